//! Files that nobody but this account may read.

use anyhow::Context as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a new file of mode 0600, durable on return; one that is there already is an error.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
}
