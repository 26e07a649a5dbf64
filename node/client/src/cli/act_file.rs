//! The act file beside a proof: written before anything is submitted, mode 0600, never overwritten.

use anyhow::{Context, bail};
use qz_client::office::Act;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `FILE.qzact` for `FILE.qzproof`.
pub fn path(proof: &Path) -> PathBuf {
    proof.with_extension("qzact")
}

/// Neither an earlier act nor an earlier proof is overwritten.
pub fn refuse_existing(proof: &Path, act: &Path) -> anyhow::Result<()> {
    if act.exists() {
        bail!(
            "{0} 已存在：先前的行为可能尚未完成，请用 `qz-client finish --out {1}` 继续，或换一个 --out / {0} exists: an earlier act may be unfinished; go on with `qz-client finish --out {1}`, or choose another --out",
            act.display(),
            proof.display()
        );
    }
    if proof.exists() {
        bail!("{0} 已存在，请换一个 --out / {0} exists; choose another --out", proof.display());
    }
    Ok(())
}

/// Writes an act down, durably.
pub fn write(path: &Path, act: &Act) -> anyhow::Result<()> {
    let written =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(&act.to_json())?;
            file.sync_all()
        });
    written.with_context(|| format!("{}: 无法写入 / cannot be written", path.display()))
}

/// Reads an act.
pub fn read(path: &Path) -> anyhow::Result<Act> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: 无法读取 / cannot be read", path.display()))?;
    Act::parse(&bytes).with_context(|| path.display().to_string())
}
