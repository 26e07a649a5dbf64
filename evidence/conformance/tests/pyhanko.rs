//! pyHanko as the oracle: its validation and difference analysis over the attacks and over a corpus of other
//! producers' signed PDFs, compared with ours. Needs the environment and the corpus that `make setup-test` makes.
#![allow(clippy::unwrap_used)]

use qz_conformance::attacks::{self, Verdict};
use qz_evidence_pdf::{DocumentVerdict, SignatureStatus, TrustedRoots, examine};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn home(variable: &str, below: &str) -> PathBuf {
    let own = std::env::var_os(variable).map(PathBuf::from);
    own.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(below))
}

/// What pyHanko says of the PDFs in a folder.
fn pyhanko(folder: &Path) -> serde_json::Map<String, Value> {
    let python = home("QZ_VENV", ".cache/qizheng-venv").join("bin/python");
    if !python.exists() {
        // The script of the document crate makes the environment.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway/document/tests/oracles.sh");
        Command::new(script).args(["validate", "/nonexistent", "/nonexistent"]).output().unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyhanko_report.py");
    let answer = Command::new(&python).arg(script).arg(folder).output().unwrap();
    assert!(answer.status.success(), "{}: {}", python.display(), String::from_utf8_lossy(&answer.stderr));
    let report: Value = serde_json::from_slice(&answer.stdout).unwrap();
    report.as_object().unwrap().clone()
}

/// Does pyHanko accept every signature and find only permitted changes? `None`: it cannot read the file.
fn accepts(report: &Value) -> Option<bool> {
    let signatures = report["signatures"].as_array()?;
    let good = |signature: &Value| {
        signature["intact"] == true
            && signature["valid"] == true
            && signature["docmdp_ok"] != false
            && signature["level"] != "OTHER"
            && matches!(signature["coverage"].as_str(), Some("ENTIRE_FILE" | "ENTIRE_REVISION"))
    };
    Some(!signatures.is_empty() && signatures.iter().all(good))
}

fn examined(bytes: &[u8]) -> DocumentVerdict {
    examine(bytes, &TrustedRoots::default()).verdict
}

#[test]
fn nothing_that_pyhanko_refuses_passes_and_honest_files_pass_both() {
    let folder = tempfile::tempdir().unwrap();
    let all = attacks::all();
    for attack in &all {
        std::fs::write(folder.path().join(format!("{}.pdf", attack.name)), &attack.bytes).unwrap();
    }
    let reports = pyhanko(folder.path());
    let (mut both, mut only_ours, mut unread) = (0, vec![], 0);
    for attack in &all {
        let theirs = accepts(&reports[&format!("{}.pdf", attack.name)]);
        match attack.expected {
            Verdict::Intact => assert_eq!(theirs, Some(true), "{}: pyHanko refuses an honest file", attack.name),
            Verdict::Caution => assert_ne!(theirs, None, "{}: pyHanko cannot read it", attack.name),
            _ => match theirs {
                Some(true) => only_ours.push(attack.name.as_str()),
                Some(false) => both += 1,
                None => unread += 1,
            },
        }
        // Never the other way round.
        if theirs == Some(false) {
            assert!(
                !matches!(examined(&attack.bytes), DocumentVerdict::Valid | DocumentVerdict::Intact),
                "{}",
                attack.name
            );
        }
    }
    println!(
        "{} files; refused by both {both}, unreadable for pyHanko {unread}, refused by ours alone: {only_ours:#?}",
        all.len()
    );
}

/// Files of the corpus about which the two differ, with the reason.
const DIFFERENT: [(&str, &str); 10] = [
    (
        "pyhanko-form-update-ap-indirect-sneaky-trailer-",
        "an appearance used twice is left as it is: pyHanko refuses, nothing shows otherwise",
    ),
    ("pyhanko-form-update-no-override-appearance-stream-ap-indirect-sneaky-", "the same"),
    ("pyhanko-ed448-", "Ed448 is not known here: undetermined"),
    ("pyhanko-base-", "an empty signature: pyHanko cannot read it"),
    ("pyhanko-pdf-sig-with-econtent-", "pyHanko raises an error"),
    ("pyhanko-signed-encrypted-", "encrypted: undetermined"),
    ("pyhanko-one-byterange-", "refused by both"),
    ("pyhanko-signature-gap-too-big-", "refused by both"),
    ("pyhanko-tail-uncovered-", "refused by both"),
    ("pyhanko-weird-byterange-", "refused by both"),
];

#[test]
fn other_producers_signatures_are_judged_as_by_pyhanko() {
    let folder = home("QZ_CORPUS", ".cache/qizheng/corpus").join("signed");
    let reports = pyhanko(&folder);
    assert!(reports.len() >= 30, "the corpus in {} is incomplete: run testnet/corpus.sh", folder.display());
    let (mut accepted, mut refused, mut wrong) = (0, 0, vec![]);
    for (name, theirs) in &reports {
        let report = examine(&std::fs::read(folder.join(name)).unwrap(), &TrustedRoots::default());
        let ours = report.verdict.holds();
        match accepts(theirs) == Some(ours) {
            true if ours => accepted += 1,
            true => refused += 1,
            false if DIFFERENT.iter().any(|(start, _)| name.starts_with(start)) => {}
            false => wrong.push(format!("{name}: ours {:?}, pyHanko {theirs}", report.verdict)),
        }
        // Whether the cryptography of a signature holds is no matter of opinion.
        for signature in theirs["signatures"].as_array().into_iter().flatten() {
            let own = report.signatures.iter().find(|own| Some(own.field.as_str()) == signature["field"].as_str());
            let holds = own.is_some_and(|own| own.status < SignatureStatus::Unsupported);
            if holds && (signature["intact"] != true || signature["valid"] != true) {
                wrong.push(format!("{name}: signature {}", signature["field"]));
            }
        }
    }
    println!("{} files: accepted by both {accepted}, refused by both {refused}", reports.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file of the corpus gets an answer, whatever it is; unsigned ones are never called signed.
#[test]
fn the_whole_corpus_is_read_without_trouble() {
    let root = home("QZ_CORPUS", ".cache/qizheng/corpus");
    let mut counts = std::collections::BTreeMap::new();
    for kind in ["signed", "unsigned"] {
        let folder = std::fs::read_dir(root.join(kind));
        let folder = folder.unwrap_or_else(|error| panic!("{}: {error}: run testnet/corpus.sh", root.display()));
        for entry in folder {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let started = std::time::Instant::now();
            let verdict = examined(&bytes);
            assert!(started.elapsed().as_secs() < 20, "{} takes too long", path.display());
            assert!(kind == "signed" || !verdict.holds(), "{}", path.display());
            *counts.entry((kind, format!("{verdict:?}"))).or_insert(0) += 1;
        }
    }
    println!("{counts:#?}");
    let unsigned = counts.get(&("unsigned", "Unsigned".to_owned())).copied().unwrap_or_default();
    assert!(unsigned >= 100, "{counts:?}");
}
