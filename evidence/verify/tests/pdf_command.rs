//! `qz-verify pdf` as a person runs it: exit codes, both languages, JSON.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");

fn run(file: &str, more: &[&str]) -> Output {
    let file = format!("{CORPUS}/{file}");
    Command::new(env!("CARGO_BIN_EXE_qz-verify")).arg("pdf").arg(file).args(more).output().unwrap()
}

#[test]
fn exit_codes() {
    let root = format!("{CORPUS}/pdf/root.der");
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/checkpoint/roots.pem");
    let check = |file: &str, more: &[&str], expected: i32, words: &str| {
        let output = run(file, more);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(expected), "{file} {more:?}: {text}");
        assert!(text.contains(words), "{file}: {text}");
    };
    check("pdf/signed-twice.pdf", &[], 0, "INTACT");
    check("pdf/signed-twice.pdf", &["--roots", &root, "--as-of", "2026-11-22T08:00:00Z"], 0, "VALID");
    check(
        "pdf/signed-twice.pdf",
        &["--roots", &root, "--as-of", "2090-01-01T00:00:00Z"],
        3,
        "证书在签署时点不在有效期内",
    );
    check("pdf/signed-twice.pdf", &["--roots", other], 3, "不通向所给的任何根证书");
    check("pdf/unsigned.pdf", &[], 4, "没有电子签名");
    check("examined/honest-certified-2-filled.pdf", &[], 3, "表单域“terms”的内容被填写或修改");
    check("examined/shadow-hide-and-replace-root.pdf", &[], 1, "签署后内容被改动");
    check("examined/universal-forgery-range-huge.pdf", &[], 1, "签名无效");
    check("pdf/root.der", &[], 1, "UNDETERMINED");
    assert_eq!(run("pdf/no-such-file.pdf", &[]).status.code(), Some(2));
    assert_eq!(run("pdf/unsigned.pdf", &["--roots", &format!("{CORPUS}/pdf/unsigned.pdf")]).status.code(), Some(2));
}

#[test]
fn as_json() {
    let output = run("examined/certification-eaa-stamp-p3.pdf", &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["kind"].as_str(), report["verdict"].as_str()), (Some("pdf"), Some("changed")));
    let signature = &report["signatures"][0];
    assert_eq!((signature["kind"].as_str(), signature["permits"].as_u64()), (Some("certification"), Some(3)));
    let later = &signature["later"][0];
    assert_eq!((later["kind"].as_str(), later["weight"].as_str()), (Some("annotation-added"), Some("forbidden")));
    assert_eq!((later["page"].as_u64(), later["detail"].as_str()), (Some(1), Some("Stamp")));
}

/// A PDF without a proof is told what can be said of its signatures.
#[test]
fn without_a_proof_the_signatures_are_told() {
    let file = std::fs::read(format!("{CORPUS}/pdf/signed-twice.pdf")).unwrap();
    let input = qz_verify::Input {
        file: &file,
        genesis: b"",
        proof: None,
        now_ms: 1_790_000_000_000,
        witness_policy: None,
        tsa_roots: &[],
    };
    // Its attachment is no proof.
    let report = qz_verify::verify_any(&input);
    let step = report.failed_step().unwrap();
    assert!(step.detail_zh.contains("签名完好") && step.detail_zh.contains("sig-b"), "{}", step.detail_zh);
}
