//! `qz-client anchor` and `qz-client renew`: a proof gets what those outside say about its head.

use anyhow::Context;
use clap::Args;
use qz_client::{AnchorError, Anchoring, Client, ClientConfig, Home, HttpsRoots, TimestampAuthority, WitnessEndpoint};
use qz_evidence::note::VerifierKey;
use std::path::PathBuf;

/// Flags of both.
#[derive(Args)]
pub struct AnchorArgs {
    /// 证明（.qzproof）· the proof
    file: PathBuf,
    /// 组织目录 · the organisation's folder, with genesis.qz
    #[arg(long)]
    home: PathBuf,
    /// 输出文件 · where to write the new proof
    #[arg(long)]
    out: PathBuf,
    /// 时间戳服务 · a timestamp authority (RFC 3161), http:// or https://
    #[arg(long, value_name = "URL")]
    tsa: Option<String>,
    /// 外部见证人 · an outside witness: its public key and address, KEY=URL; may be repeated
    #[arg(long, value_name = "KEY=URL", value_parser = witness)]
    witness: Vec<WitnessEndpoint>,
    /// https 地址的证书颁发机构（PEM），缺省为本机信任的 · who issued the certificates of https addresses, if not
    /// one that this machine trusts
    #[arg(long, value_name = "FILE")]
    https_ca: Option<PathBuf>,
}

fn witness(text: &str) -> Result<WitnessEndpoint, String> {
    // Base64 ends with `=` too: the address begins behind the last one before `http`.
    let (key, url) = text.split_once("=http").ok_or("expected KEY=http://…")?;
    let key = VerifierKey::parse(key).map_err(|error| error.to_string())?;
    Ok(WitnessEndpoint { url: format!("http{url}"), key, tls: HttpsRoots::System })
}

/// Does it.
pub async fn run(args: AnchorArgs, renew: bool) -> Result<(), (u8, anyhow::Error)> {
    let own = |error: anyhow::Error| (2, error);
    let proof = std::fs::read(&args.file).with_context(|| args.file.display().to_string()).map_err(own)?;
    let client = Home::open(&args.home).map_err(anyhow::Error::from);
    let client = client.and_then(|home| Ok(Client::new(&ClientConfig::from_home(&home)?)?)).map_err(own)?;
    let tls = args.https_ca.as_deref().map(HttpsRoots::from_pem_file).transpose();
    let tls = tls.map_err(anyhow::Error::from).map_err(own)?.unwrap_or_default();
    let authority = args.tsa.map(|url| TimestampAuthority { url, tls: tls.clone() });
    let witnesses = args.witness.into_iter().map(|witness| WitnessEndpoint { tls: tls.clone(), ..witness }).collect();
    let anchoring = Anchoring { witnesses, authority };
    if anchoring.is_empty() {
        return Err(own(anyhow::anyhow!("name a timestamp authority (--tsa) or a witness (--witness)")));
    }
    let outcome = if renew { anchoring.renew(&client, &proof).await } else { anchoring.anchor(&client, &proof).await };
    let blame = |error: AnchorError| (if error.is_temporary() { 1 } else { 2 }, anyhow::Error::from(error));
    let anchored = outcome.map_err(blame)?;
    std::fs::write(&args.out, &anchored).with_context(|| args.out.display().to_string()).map_err(own)?;
    println!("{} ({} bytes)", args.out.display(), anchored.len());
    Ok(())
}
