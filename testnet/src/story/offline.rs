//! The stranger's part: nothing runs any more, and the files alone must convince.

use super::Outputs;
use crate::binaries::Binaries;
use crate::folder::{Folder, make};
use crate::outside;
use crate::screen::Screen;
use crate::{tamper, verifier};
use anyhow::{Context, Result};
use std::path::Path;

const ACCEPTED: &str = "VALID-UNANCHORED";
/// Longest line of a report that is shown, in characters.
const MAX_QUOTED: usize = 110;

/// Verifies the outputs in an empty folder, whole and with one byte flipped.
pub(super) fn verify(screen: &mut Screen, binaries: &Binaries, folder: &Folder, outputs: &Outputs) -> Result<()> {
    let place = folder.root().join("offline");
    make(&place)?;
    let contract = verifier::read(&outputs.contract)?;
    let proof = verifier::read(&outputs.proof)?;
    let certificate = verifier::read(&outputs.certificate)?;
    let genesis = verifier::read(&outputs.genesis)?;

    let (policy, root) = (verifier::read(&outside::policy(folder))?, verifier::read(&outside::tsa_root(folder))?);
    let files = [
        ("certificate.pdf", &certificate[..]),
        ("genesis.qz", &genesis),
        ("witness-policy.txt", &policy),
        ("tsa-root.pem", &root),
    ];
    let without = ["certificate.pdf", "--genesis", "genesis.qz"];
    let trust = ["--witness-policy", "witness-policy.txt", "--tsa-root", "tsa-root.pem"];
    let arguments = [&without[..], &trust].concat();
    screen.note(&format!("$ qz-verify {}", arguments.join(" ")));
    let verdict = verifier::verify(&binaries.verify, &place, &files, &arguments)?;
    quote(screen, &verdict.text, &folder.out().join("certificate.verification.txt"))?;
    let finalisers = verdict.json["finalised_by"].as_array().map_or(0, Vec::len);
    screen.check(
        "签署证明：VALID，列出共识确认的机构、外部见证人与时间戳 · the signing certificate is valid, witnessed and stamped",
        verdict.word == "VALID" && finalisers >= 3,
        || format!("{} with {finalisers} finalisers: {}", verdict.word, verdict.text),
    )?;
    let verdict = verifier::verify(&binaries.verify, &place, &files, &without)?;
    screen.check(
        "不提供见证策略与时间戳根证书：VALID-UNANCHORED · without these trust inputs it is not anchored",
        verdict.word == ACCEPTED,
        || verdict.text.clone(),
    )?;

    let check = |contract: &[u8], proof: &[u8], genesis: &[u8]| {
        let files = [("contract.pdf", contract), ("contract.qzproof", proof), ("genesis.qz", genesis)];
        verifier::verify(
            &binaries.verify,
            &place,
            &files,
            &["contract.pdf", "--proof", "contract.qzproof", "--genesis", "genesis.qz"],
        )
    };
    screen.note("$ qz-verify contract.pdf --proof contract.qzproof --genesis genesis.qz");
    let verdict = check(&contract, &proof, &genesis)?;
    quote(screen, &verdict.text, &folder.out().join("contract.verification.txt"))?;
    let matched = verdict.json["documents"].as_array().is_some_and(|d| d.iter().any(|d| d["matches"] == true));
    screen.check(
        "合同与证据包：VALID-UNANCHORED · contract with its proof is valid",
        verdict.word == ACCEPTED && matched,
        || verdict.text.clone(),
    )?;

    let flipped = [
        (
            "合同一个字节",
            "one byte of the contract",
            check(&tamper::file(&contract), &proof, &genesis)?,
            &[9u64, 1][..],
        ),
        ("记录一个字节", "one byte of the record", check(&contract, &tamper::record(&proof)?, &genesis)?, &[6]),
        (
            "节点签名一个字节",
            "one byte of a validator's signature",
            check(&contract, &tamper::validator_signature(&proof)?, &genesis)?,
            &[4],
        ),
        ("创世文件一个字节", "one byte of the genesis", check(&contract, &proof, &tamper::genesis(&genesis)?)?, &[2]),
    ];
    for (zh, en, verdict, expected) in flipped {
        let named = verdict.failed_step.clone().unwrap_or_default();
        screen.check(
            &format!("改动{zh}：INVALID，第 {} 步 {} · {en} flipped: step {} fails", named.0, named.1, named.0),
            verdict.word == "INVALID" && expected.contains(&named.0),
            || verdict.text.clone(),
        )?;
    }
    let package = verifier::read(&outputs.package)?;
    for (package, accepted) in [(package.clone(), true), (tamper::file(&package), false)] {
        let files = [("package.zip", &package[..]), ("genesis.qz", &genesis)];
        let verdict = verifier::verify(&binaries.verify, &place, &files, &["package.zip", "--genesis", "genesis.qz"])?;
        let (words, expected) = match accepted {
            true => ("法院调取包：VALID-UNANCHORED · the court package is valid", ACCEPTED),
            false => ("改动法院调取包一个字节：INVALID · one byte of the court package flipped", "INVALID"),
        };
        screen.check(words, verdict.word == expected, || verdict.text.clone())?;
    }
    let files = [
        ("package.zip", &package[..]),
        ("genesis.qz", &genesis),
        ("witness-policy.txt", &policy),
        ("tsa-root.pem", &root),
    ];
    let arguments = [&["package.zip", "--genesis", "genesis.qz"][..], &trust].concat();
    let verdict = verifier::verify(&binaries.verify, &place, &files, &arguments)?;
    screen.check(
        "法院调取包：给出见证策略与时间戳根证书，VALID · with both trust inputs the court package is anchored",
        verdict.word == "VALID",
        || verdict.text.clone(),
    )?;
    let flipped = tamper::file(&certificate);
    let files = [("certificate.pdf", &flipped[..]), ("genesis.qz", &genesis)];
    let verdict = verifier::verify(&binaries.verify, &place, &files, &["certificate.pdf", "--genesis", "genesis.qz"])?;
    let named = verdict.failed_step.clone().unwrap_or_default();
    screen.check(
        &format!("改动签署证明一个字节：INVALID，第 {} 步 · one byte of the signing certificate flipped", named.0),
        verdict.word == "INVALID",
        || verdict.text.clone(),
    )
}

/// Shows the verdict, who finalised, and the steps; the whole report goes into a file.
fn quote(screen: &Screen, report: &str, file: &Path) -> Result<()> {
    let head = report.lines().take_while(|line| !line.starts_with("记录"));
    let steps = report.lines().skip_while(|line| !line.starts_with("步骤")).take_while(|line| !line.is_empty());
    for line in head.chain(steps).filter(|line| !line.is_empty()) {
        let short: String = line.chars().take(MAX_QUOTED).collect();
        let more = if short.len() < line.len() { "…" } else { "" };
        screen.quote(&format!("{short}{more}"));
    }
    std::fs::write(file, report).with_context(|| format!("cannot write {}", file.display()))?;
    screen.note(&format!("全文 full report: {}", file.display()));
    Ok(())
}
