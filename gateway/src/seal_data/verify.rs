//! `qz-gateway seal-data verify`: judges seal data of GB/T 38540, whoever made them, offline.

use crate::clock::{now_ms, signed};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use qz_document::ca::chain_from_pem;
use qz_document::ses::{self, SignatureTime, Trust, VerifiedSeal};
use qz_evidence::timestamp::Roots;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Commands about seal data.
#[derive(Debug, Subcommand)]
pub enum SealDataCommand {
    /// 核验电子印章（.esl）；给出 --document 则核验电子签章 / verify a seal; with --document a signature with a seal
    Verify(Verify),
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// 电子印章或电子签章文件（DER）/ the seal or signature
    file: PathBuf,
    /// 受信任的根证书（PEM），可重复 / a trusted root; may be repeated
    #[arg(long, required = true)]
    root: Vec<PathBuf>,
    /// 中级证书（PEM），可重复 / issuing CAs below it
    #[arg(long)]
    issuer: Vec<PathBuf>,
    /// 另行认可的制章人证书（PEM），可重复 / a maker's certificate that is accepted as such without saying so itself
    #[arg(long)]
    maker: Vec<PathBuf>,
    /// 吊销列表（DER），可重复 / a revocation list
    #[arg(long)]
    crl: Vec<PathBuf>,
    /// 时间戳根证书（PEM 或 DER）/ root of the timestamp authority
    #[arg(long)]
    tsa_root: Option<PathBuf>,
    /// 原文文件：核验的是其上的电子签章 / the document on which the seal was set
    #[arg(long)]
    document: Option<PathBuf>,
    /// 核验印章有效期的时刻（RFC 3339），缺省为现在 / as of when a seal is judged; now
    #[arg(long)]
    at: Option<jiff::Timestamp>,
}

/// Does it; what does not hold is an error.
pub fn run(command: &SealDataCommand) -> anyhow::Result<()> {
    let SealDataCommand::Verify(flags) = command;
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    let pem = |paths: &[PathBuf]| -> anyhow::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        for path in paths {
            let text = String::from_utf8(read(path)?).with_context(|| path.display().to_string())?;
            let chain = chain_from_pem(&text).with_context(|| path.display().to_string())?;
            if chain.is_empty() {
                bail!("{}: 没有证书 / has no certificate", path.display());
            }
            found.extend(chain);
        }
        Ok(found)
    };
    let trust = Trust {
        roots: pem(&flags.root)?,
        issuers: pem(&flags.issuer)?,
        makers: pem(&flags.maker)?,
        revocation_lists: flags.crl.iter().map(read).collect::<anyhow::Result<_>>()?,
        timestamp_roots: match &flags.tsa_root {
            Some(path) => Roots::parse(&read(path)?).with_context(|| path.display().to_string())?,
            None => Roots::default(),
        },
    };
    let data = read(&flags.file)?;
    let answer = match &flags.document {
        Some(path) => {
            let held = ses::verify_signature(&data, &ses::document_digest(&read(path)?), &trust)?;
            let (proof, stamped_ms) = match held.time {
                SignatureTime::Claimed => ("claimed", None),
                SignatureTime::Stamped(at_ms) => ("stamped", Some(at_ms)),
                SignatureTime::Proven(at_ms) => ("proven", Some(at_ms)),
            };
            json!({
                "kind": "signature",
                "verdict": "holds",
                "signer": held.signer,
                "time_ms": held.time_ms,
                "time": {"is": proof, "stamped_ms": stamped_ms},
                "properties": held.properties,
                "revocation_known": held.revocation_known,
                "seal": seal(&held.seal),
            })
        }
        None => {
            let at_ms = flags.at.map_or_else(|| signed(now_ms()), jiff::Timestamp::as_millisecond);
            let held = ses::verify_seal(&data, &trust, at_ms)?;
            let mut answer = seal(&held);
            answer["kind"] = "seal".into();
            answer["verdict"] = "holds".into();
            answer["at_ms"] = at_ms.into();
            answer
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer).expect("strings and numbers have a JSON form"));
    Ok(())
}

fn seal(seal: &VerifiedSeal) -> Value {
    json!({
        "id": seal.id,
        "vendor": seal.vendor,
        "type": seal.kind,
        "name": seal.name,
        "created_ms": seal.created_ms,
        "valid_from_ms": seal.valid_from_ms,
        "valid_until_ms": seal.valid_until_ms,
        "picture": {
            "format": seal.picture.format,
            "bytes": seal.picture.data.len(),
            "width_mm": seal.picture.width_mm,
            "height_mm": seal.picture.height_mm,
        },
        "maker": seal.maker,
        "signers": seal.signers,
        "revocation_known": seal.revocation_known,
    })
}
