//! The portal's browser tests against a network that has just played the story.

use crate::{Place, begin};
use anyhow::{Context, Result, bail};
use qz_testnet::story::{Options, STEPS};
use qz_testnet::tamper;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

/// Plays the story, then runs `npm run e2e` in `web`; its exit code is ours.
pub(crate) async fn run(place: &Place, web: &Path, out: Option<PathBuf>) -> Result<ExitCode> {
    if !web.join("package.json").is_file() {
        bail!("{} 不是门户源码文件夹 · is not the portal's folder", web.display());
    }
    let (mut story, logs) = begin(place, STEPS - 2).await?;
    story.play(&Options::default()).await.with_context(|| format!("日志在 logs are in {}", logs.display()))?;
    let outputs = &story.outputs;
    let folder = story.network.folder.out();
    let certificate = std::fs::read(&outputs.certificate).context("the certificate")?;
    let altered = folder.join("certificate-altered.pdf");
    std::fs::write(&altered, tamper::file(&certificate)).with_context(|| altered.display().to_string())?;
    let proof = std::fs::read(&outputs.proof).context("the proof")?;
    let altered_proof = folder.join("contract-altered.qzproof");
    std::fs::write(&altered_proof, tamper::validator_signature(&proof)?)
        .with_context(|| altered_proof.display().to_string())?;
    let screenshots = out.unwrap_or_else(|| folder.join("screenshots"));

    let status = tokio::process::Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(web)
        .env("PORTAL_URL", story.network.portal_url())
        .env("CERT", &outputs.certificate)
        .env("CONTRACT", &outputs.contract)
        .env("PROOF", &outputs.proof)
        .env("TAMPERED", format!("{}:{}", altered.display(), altered_proof.display()))
        .env("OUT", std::path::absolute(&screenshots)?)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("无法运行 npm · npm cannot be run")?;
    println!("  截图 screenshots: {}", screenshots.display());
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
