//! Golden vectors (`evidence/vectors/`), and what only a caller of the library can get wrong. The attacks on
//! files are in `evidence/conformance`.
//!
//! Changing a golden file is a change of the format: run with `QZ_UPDATE_VECTORS=1` and say why.
#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::{CERTIFICATE, DOCUMENT, Ledger, SIGNED_RANGE, START_MS, VERSION};
use qz_evidence::Hash32;
use qz_evidence::codec::encode;
use qz_evidence::hash::sha256;
use qz_evidence::verify::{GivenDocument, GivenSignature, Note, Report, SignedFile, TrustInputs, Verdict, verify};
use std::path::PathBuf;

fn check(bundle: &[u8], genesis: &[u8], document: Option<&[u8]>) -> Report {
    check_signed(bundle, genesis, document, |_| {})
}

/// A PDF as its reader describes it: what stands behind a version, or why it does not hold.
struct Described {
    version: Hash32,
    signatures: Result<Vec<GivenSignature>, Note>,
}

impl SignedFile for Described {
    fn signed_since(&self, version: &Hash32) -> Result<Vec<GivenSignature>, Note> {
        match *version == self.version {
            true => self.signatures.clone(),
            false => Err(Note::new("另一版本", "another version")),
        }
    }
}

/// Checks a file that is as it should be, but for `change`.
fn check_signed(bundle: &[u8], genesis: &[u8], document: Option<&[u8]>, change: impl Fn(&mut Described)) -> Report {
    let trust = TrustInputs::new(genesis, START_MS + 60_000);
    let mut described =
        Described { version: sha256(&[VERSION]), signatures: Ok(vec![signature(SIGNED_RANGE, CERTIFICATE)]) };
    change(&mut described);
    let given = |file| GivenDocument { name: "contract.pdf", sha256: sha256(&[file]), signed: Some(&described) };
    verify(bundle, &trust, &document.map(given).into_iter().collect::<Vec<_>>())
}

fn signature(range: &[u8], certificate: &[u8]) -> GivenSignature {
    GivenSignature { digest: sha256(&[range]), certificate: sha256(&[certificate]) }
}

fn golden(file: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    if std::env::var_os("QZ_UPDATE_VECTORS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let stored = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(stored == bytes, "{file} changed: a byte format is different from its golden vector");
}

#[test]
fn formats_are_frozen() {
    let ledger = Ledger::sample();
    let bundle = ledger.bundle();
    golden("genesis.qz", &ledger.genesis);
    golden("card.qzcard", &encode(&ledger::card(2)));
    golden("header.cbor", &bundle.head);
    golden("commit.cbor", &bundle.commit);
    golden("record.cbor", &bundle.entries[0].record);
    golden("bundle.qzproof", &encode(&bundle));
    let report = check(&encode(&bundle), &ledger.genesis, Some(DOCUMENT));
    golden("bundle.report.json", &serde_json::to_vec_pretty(&report).unwrap());
}

#[test]
fn the_golden_bundle_is_valid() {
    let ledger = Ledger::sample();
    let report = check(&encode(&ledger.bundle()), &ledger.genesis, Some(DOCUMENT));
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());
    assert_eq!(report.finalised_by.len(), 4);
    assert_eq!(report.events.len(), 5);
    assert!(report.not_checked.iter().any(|note| note.en.contains("no state proof")), "the party's key has none");
    assert!(report.subjects[0].complete);
    assert_eq!(report.documents[0].matches, Some(true));
    assert_eq!(report.events[0].signers, ["张三", "org:notary"]);
}

#[test]
fn files_and_time_are_checked() {
    let ledger = Ledger::sample();
    let bundle = encode(&ledger.bundle());
    let altered = check(&bundle, &ledger.genesis, Some(b"the final fil3"));
    assert_eq!(altered.failed_step().map(|s| s.n), Some(9));
    let base = check(&bundle, &ledger.genesis, Some(VERSION));
    assert_eq!(base.verdict, Verdict::ValidUnanchored);
    assert!(base.documents[0].what_en.contains("without signatures"));
    let mut without_states = ledger.bundle();
    without_states.states.clear();
    let without_states = encode(&without_states);
    let hour = Some(3_600_000);
    for (what, bundle, as_of_ms, max_age_ms, step) in [
        ("in the future", &bundle, START_MS - 3_600_000, None, Some(8)),
        ("in the future, without states", &without_states, START_MS - 3_600_000, None, Some(8)),
        ("too old", &bundle, START_MS + 7_200_000, hour, Some(8)),
        ("an age is demanded of a subject without state", &bundle, START_MS + 60_000, hour, Some(8)),
        ("an age is demanded, but no states", &without_states, START_MS + 60_000, hour, Some(8)),
        ("no states", &without_states, START_MS + 60_000, None, None),
    ] {
        let trust = TrustInputs::new(&ledger.genesis, as_of_ms).with_max_age(max_age_ms);
        let report = verify(bundle, &trust, &[]);
        assert_eq!(report.failed_step().map(|s| s.n), step, "{what}");
        assert_ne!(report.steps[7].status, qz_evidence::verify::StepStatus::Pass, "{what}");
    }
    let mut genesis = ledger.genesis.clone();
    for position in (0..genesis.len()).step_by(97) {
        genesis[position] ^= 1;
        assert_eq!(check(&bundle, &genesis, None).failed_step().map(|s| s.n), Some(2), "byte {position}");
        genesis[position] ^= 1;
    }
}

#[test]
fn a_final_file_is_the_fixed_version_with_exactly_the_recorded_signatures() {
    type Change = (&'static str, fn(&mut Described));
    let ledger = Ledger::sample();
    let bundle = encode(&ledger.bundle());
    assert_eq!(check(&bundle, &ledger.genesis, Some(DOCUMENT)).failed_step(), None);
    let changes: [Change; 6] = [
        ("unsigned", |d| d.signatures = Ok(vec![])),
        ("over another range", |d| d.signatures = Ok(vec![signature(b"another range", CERTIFICATE)])),
        ("by another certificate", |d| d.signatures = Ok(vec![signature(SIGNED_RANGE, b"another certificate")])),
        ("one too many", |d| d.signatures.as_mut().unwrap().push(signature(b"another range", CERTIFICATE))),
        ("something else behind the version", |d| d.signatures = Err(Note::new("另有内容", "something else"))),
        ("began as another text", |d| d.version = sha256(&[b"an earlier revision"])),
    ];
    for (what, change) in changes {
        let report = check_signed(&bundle, &ledger.genesis, Some(DOCUMENT), change);
        assert_eq!(report.failed_step().map(|s| s.n), Some(9), "{what}");
    }
    // No PDF, though a contract's final file must be one.
    let trust = TrustInputs::new(&ledger.genesis, START_MS + 60_000);
    let plain = GivenDocument { name: "contract.txt", sha256: sha256(&[DOCUMENT]), signed: None };
    assert_eq!(verify(&bundle, &trust, &[plain]).failed_step().map(|s| s.n), Some(9));
    // The platform completes a contract whose signatures the proof leaves out, or does not disclose.
    let mut hiding = ledger.bundle();
    hiding.entries.retain(|entry| entry.openings.iter().all(|o| o.name != "to_be_signed.sha256"));
    let unsigned: fn(&mut Described) = |d| d.signatures = Ok(vec![]);
    let report = check_signed(&encode(&hiding), &ledger.genesis, Some(DOCUMENT), unsigned);
    assert_eq!(report.failed_step().map(|s| s.n), Some(9));
    for name in ["to_be_signed.sha256", "certificate.sha256", "document.sha256"] {
        let mut silent = ledger.bundle();
        let last = silent.entries.len() - 1;
        silent.entries[..last].iter_mut().for_each(|entry| entry.openings.retain(|o| o.name != name));
        let report = check(&encode(&silent), &ledger.genesis, Some(DOCUMENT));
        assert_eq!(report.failed_step().map(|s| s.n), Some(9), "{name} is not disclosed");
    }
}

#[test]
fn no_single_flipped_byte_is_accepted() {
    let ledger = Ledger::sample();
    let mut bundle = encode(&ledger.bundle());
    for position in (0..bundle.len()).step_by(7) {
        bundle[position] ^= 0x01;
        let report = check(&bundle, &ledger.genesis, Some(DOCUMENT));
        assert_eq!(report.verdict, Verdict::Invalid, "flipping byte {position} was accepted");
        bundle[position] ^= 0x01;
    }
    for length in (0..bundle.len()).step_by(211) {
        assert_eq!(check(&bundle[..length], &ledger.genesis, None).failed_step().map(|s| s.n), Some(1));
    }
}

#[test]
fn hand_overs_are_frozen() {
    let mut ledger = Ledger::empty();
    ledger.take_records_of(&Ledger::sample());
    ledger.hand_over_at(2, &[1, 2, 3]);
    ledger.hand_over_at(4, &[0, 1, 2, 3]);
    ledger.rebuild();
    let bundle = encode(&ledger.bundle());
    golden("epochs.qzproof", &bundle);
    let report = check(&bundle, &ledger.genesis, Some(DOCUMENT));
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());
    assert!(report.steps[2].detail_en.starts_with("2 hand-overs"));
}
