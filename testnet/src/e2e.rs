//! The browser tests against a network that has just played the story: at the portal of the issuer's gateway,
//! at one that the court runs beside its own node, and at the court's operators' page.

use crate::{Place, begin};
use anyhow::{Context, Result, bail, ensure};
use qz_testnet::ceremony::text;
use qz_testnet::custody;
use qz_testnet::network::Network;
use qz_testnet::outside;
use qz_testnet::process::Process;
use qz_testnet::story::{Options, STEPS};
use qz_testnet::tamper;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The organisation that runs the second portal.
const COURT: &str = "court";
/// Longest time until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let number = story.number.as_deref().context("the story issued no certificate")?;
    let (mut portal, portal_url) = courts_portal(&story.network)?;
    let (mut operators, operators_url, token) = courts_operators(&story.network)?;

    let status = tokio::process::Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(web)
        .env("PORTAL_URL", story.network.portal_url())
        .env("COURT_PORTAL_URL", portal_url)
        .env("ORGANISATION_URL", operators_url)
        .env("ORGANISATION_TOKEN", token.trim())
        .env("CERT", &outputs.certificate)
        .env("NUMBER", number)
        .env("CONTRACT", &outputs.contract)
        .env("PROOF", &outputs.proof)
        .env("EARLY_PROOF", &outputs.early_proof)
        .env("GENESIS", &outputs.genesis)
        .env("PACKAGE", &outputs.package)
        .env("WITNESS_POLICY", outside::policy(&story.network.folder))
        .env("TSA_ROOT", outside::tsa_root(&story.network.folder))
        .env("TAMPERED", format!("{}:{}", altered.display(), altered_proof.display()))
        .env("OUT", std::path::absolute(&screenshots)?)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("无法运行 npm · npm cannot be run")?;
    println!("  截图 screenshots: {}", screenshots.display());
    portal.check_running()?;
    operators.check_running()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Makes and starts the court's portal, which has no signing key: the folder holds what it may have.
fn courts_portal(network: &Network) -> Result<(Process, String)> {
    let home = network.folder.root().join("court-portal");
    let organisation = network.folder.organisation(COURT);
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    // The organisation's passphrase is needed once, to issue the portal's TLS certificate.
    let (of_organisation, of_portal) = (custody::passphrase_file(&organisation), custody::choose(&home)?);
    let made = std::process::Command::new(&network.binaries.gateway)
        .args(["admin", "portal-init", "--listen", &listen, "--register-url", &network.portal_url(), "--home"])
        .arg(&home)
        .arg("--organisation")
        .arg(&organisation)
        .arg("--passphrase-file")
        .arg(&of_portal)
        .env(custody::VARIABLE, of_organisation)
        .output()
        .context("qz-gateway cannot be run")?;
    ensure!(made.status.success(), "portal-init: {}", String::from_utf8_lossy(&made.stderr));
    let mut files: Vec<String> = vec![];
    for folder in [home.clone(), home.join("tls")] {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            files.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    files.sort();
    ensure!(
        files == ["client.crt", "client.key", "genesis.qz", "portal.json", "tls"],
        "the portal's folder holds more than it may: {}",
        files.join(", ")
    );
    let log = network.folder.logs().join("court-portal.log");
    let arguments = ["portal", "--home", text(&home)?];
    let environment = [(custody::VARIABLE, text(&of_portal)?)];
    let mut portal = Process::spawn("court's portal", &network.binaries.gateway, &arguments, &environment, &log)?;
    answers(&mut portal, &listen)?;
    Ok((portal, format!("http://localhost:{port}")))
}

/// Starts the page of the court's operators; gives its address and their token.
fn courts_operators(network: &Network) -> Result<(Process, String, String)> {
    let organisation = network.folder.organisation(COURT);
    let listen = format!("127.0.0.1:{}", free_port()?);
    let token = network.folder.root().join("court-operators.token");
    let arguments = ["organisation", "--organisation", text(&organisation)?, "--listen", &listen];
    let arguments = [&arguments[..], &["--token-file", text(&token)?]].concat();
    let passphrase = custody::passphrase_file(&organisation);
    let environment = [(custody::VARIABLE, text(&passphrase)?)];
    let log = network.folder.logs().join("court-operators.log");
    let mut page = Process::spawn("court's operators", &network.binaries.gateway, &arguments, &environment, &log)?;
    answers(&mut page, &listen)?;
    let token = std::fs::read_to_string(&token).context("the operators' token")?;
    Ok((page, format!("http://{listen}"), token))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("a free port")?.port())
}

/// Waits until somebody listens there.
fn answers(process: &mut Process, listen: &str) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect(listen).is_err() {
        process.check_running()?;
        ensure!(start.elapsed() < PATIENCE, "nobody answers at {listen}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
