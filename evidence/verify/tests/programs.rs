//! `qz-verify redact` and `qz-verify seal-ledger` as programs, on a signing certificate and on the history of a seal.
#![allow(clippy::unwrap_used)]

use qz_conformance::{Expect, all, seal_history};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{decode_strict, encode};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn qz_verify(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qz-verify")).args(arguments).current_dir(folder).output().unwrap()
}

/// What it prints and its exit code.
fn said(folder: &Path, arguments: &[&str]) -> (String, i32) {
    let Output { status, stdout, stderr } = qz_verify(folder, arguments);
    let words = [stdout, stderr].concat();
    (String::from_utf8(words).unwrap(), status.code().unwrap())
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let output = qz_verify(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_signing_certificate_is_redacted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let is_certificate = |v: &&qz_conformance::Vector| {
        v.expect == Expect::Accepted && v.proof.is_none() && v.max_age_ms.is_none() && v.file.starts_with(b"%PDF-")
    };
    let certificate = all().iter().find(is_certificate).cloned().expect("a signing certificate is among the vectors");
    std::fs::write(folder.join("certificate.pdf"), &certificate.file).unwrap();
    std::fs::write(folder.join("genesis.qz"), &certificate.genesis).unwrap();
    let arguments = ["redact", "certificate.pdf", "--keep", "document.sha256", "-o", "shown.qzproof", "--json"];
    let report = json_of(folder, &arguments);
    let (kept, hidden) = (report["kept"].as_array().unwrap(), report["hidden"].as_array().unwrap());
    assert!(!kept.is_empty() && !hidden.is_empty(), "{report}");
    assert!(kept.iter().all(|name| name.as_str().unwrap().ends_with(":document.sha256")));

    // The verdict stays, and shows no more than was kept.
    let verdict = json_of(folder, &["shown.qzproof", "--genesis", "genesis.qz", "--json"]);
    assert_eq!(verdict["verdict"], "VALID-UNANCHORED");
    let shown = verdict["disclosures"].as_array().unwrap();
    assert_eq!(shown.len(), kept.len());
    assert!(shown.iter().all(|one| one["name"] == "document.sha256"));

    // For people, and everything hidden.
    let (words, code) = said(folder, &["redact", "certificate.pdf", "-o", "nothing.qzproof"]);
    assert_eq!(code, 0);
    assert!(words.contains("隐去 / hidden") && words.contains("document.sha256"), "{words}");
    assert_eq!(said(folder, &["nothing.qzproof", "--genesis", "genesis.qz"]).1, 0);
    for (wrong, expected) in [
        (&["redact", "certificate.pdf", "--keep", "no-such-name", "-o", "x"][..], "no-such-name"),
        (&["redact", "missing.pdf", "-o", "x"], "missing.pdf"),
        (&["redact", "genesis.qz", "-o", "x"], "not a proof"),
    ] {
        let (words, code) = said(folder, wrong);
        assert!(code == 2 && words.contains(expected), "{wrong:?}: {code} {words}");
        assert!(!folder.join("x").exists());
    }
}

#[test]
fn the_ledger_of_a_seal_is_complete_or_not_proven() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let history = seal_history();
    std::fs::write(folder.join("seal.qzproof"), &history.proof).unwrap();
    std::fs::write(folder.join("genesis.qz"), &history.genesis).unwrap();
    let ask = ["seal-ledger", "seal.qzproof", "--genesis", "genesis.qz"];
    let with = |more: &[&'static str]| [&ask[..], more].concat();
    let ledger = json_of(folder, &with(&["--json"]));
    assert_eq!((&ledger["seal"], &ledger["uses"]), (&json!(history.seal), &json!(2)));
    assert_eq!(ledger["rows"].as_array().unwrap().len(), 5);
    let (table, code) = said(folder, &with(&["--csv"]));
    let rows = (0..).take_while(|n| table.contains(&format!("\n\"{n}\",\""))).count();
    assert_eq!((rows, code), (5, 0), "{table}");
    let (words, code) = said(folder, &ask);
    assert!(code == 0 && words.contains("采购合同") && words.contains("张三"), "{words}");
    // A day long before.
    let before = json_of(folder, &with(&["--json", "--from", "2020-01-01", "--to", "2020-01-31"]));
    assert_eq!(before["rows"], json!([]));

    let mut hidden: Bundle = decode_strict(&history.proof).unwrap();
    hidden.entries.pop();
    std::fs::write(folder.join("hidden.qzproof"), encode(&hidden)).unwrap();
    let (words, code) = said(folder, &["seal-ledger", "hidden.qzproof", "--genesis", "genesis.qz"]);
    assert!(code == 1 && words.contains("INVALID"), "{code} {words}");
    let (words, code) = said(folder, &with(&["--from", "2026-02-01", "--to", "2026-01-01"]));
    assert_eq!(code, 2, "{words}");
    let other = "00".repeat(32);
    assert_eq!(said(folder, &[&ask[..], &["--seal", &other]].concat()).1, 1, "nothing is proven of it");
}
