//! A redacted proof says the same about what it shows, and nothing about the rest.
#![allow(clippy::unwrap_used)]

use qz_conformance::{SealHistory, seal_history};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::decode_strict;
use qz_evidence::verify::{Report, Verdict};
use qz_verify::{Input, Keep, RedactError, redact, verify_any};

fn report(history: &SealHistory, file: &[u8], proof: Option<&[u8]>) -> Report {
    verify_any(&Input {
        file,
        genesis: &history.genesis,
        proof,
        now_ms: history.start_ms + 60_000,
        witness_policy: None,
        tsa_roots: &[],
    })
}

fn keep(names: &[&str]) -> Vec<Keep> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn hidden_values_and_salts_are_gone_and_the_verdict_stays() {
    let history = seal_history();
    let original: Bundle = decode_strict(&history.proof).unwrap();
    let redacted = redact(&history.proof, &keep(&["title"])).unwrap();
    let mut hidden = 0;
    for opening in original.entries.iter().flat_map(|entry| &entry.openings) {
        let kept = opening.name == "title";
        assert_eq!(contains(&redacted.bytes, &opening.salt.0), kept, "salt of {}", opening.name);
        assert_eq!(contains(&redacted.bytes, &opening.value), kept, "value of {}", opening.name);
        hidden += usize::from(!kept);
    }
    assert_eq!((redacted.kept.len(), redacted.hidden.len()), (1, hidden));
    assert!(hidden >= 8 && !redacted.checks_files());
    // The sealer's X.509 certificate names a person: it goes with the digest that binds it.
    assert_eq!(redacted.certificates_removed, 1);
    assert!(!contains(&redacted.bytes, &original.certificates[0].chain[0]));
    let (before, after) = (report(&history, &history.proof, None), report(&history, &redacted.bytes, None));
    assert_eq!((before.verdict, after.verdict), (Verdict::ValidUnanchored, Verdict::ValidUnanchored));
    assert_eq!(before.head, after.head);
    let shown: Vec<_> = after.disclosures.iter().map(|d| (d.name.as_str(), d.value.as_str())).collect();
    assert_eq!(shown, [("title", "采购合同")]);
    // What is hidden has a name in the report, and what was open before is named nowhere.
    let names: usize = after.events.iter().map(|event| event.hidden.len()).sum();
    assert_eq!(names, hidden);
    assert!(before.events.iter().all(|event| event.hidden.is_empty()));
    assert!(after.events.iter().any(|event| event.hidden.contains(&"intent".to_owned())));
}

#[test]
fn a_contract_file_is_checked_with_the_digests_alone() {
    let history = seal_history();
    let digests = keep(&["document.sha256", "to_be_signed.sha256", "certificate.sha256"]);
    let redacted = redact(&history.proof, &digests).unwrap();
    assert!(redacted.checks_files() && redacted.certificates_removed == 0);
    let checked = report(&history, &history.contract, Some(&redacted.bytes));
    assert_eq!(checked.verdict, Verdict::ValidUnanchored, "{:?}", checked.failed_step());
    let less = redact(&history.proof, &keep(&["document.sha256"])).unwrap();
    let checked = report(&history, &history.contract, Some(&less.bytes));
    assert_eq!(checked.failed_step().map(|step| step.n), Some(9));
}

#[test]
fn a_name_may_be_kept_in_one_record_only_and_must_be_there() {
    let history = seal_history();
    let redacted = redact(&history.proof, &keep(&["0:document.sha256", "title"])).unwrap();
    assert_eq!(redacted.kept, [(0, "document.sha256".to_owned()), (3, "title".to_owned())]);
    for unknown in ["titel", "0:title", "99:title"] {
        assert_eq!(redact(&history.proof, &keep(&[unknown])), Err(RedactError::Unknown(unknown.into())));
    }
    // Again, and all of it.
    let nothing = redact(&redacted.bytes, &[]).unwrap();
    assert!(nothing.kept.is_empty());
    assert_eq!(report(&history, &nothing.bytes, None).verdict, Verdict::ValidUnanchored);
    assert!(redact(b"no proof", &[]).is_err());
    assert!("x:title".parse::<Keep>().is_err());
}
