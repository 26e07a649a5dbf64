//! What the ledger of a seal says, and when it says nothing.
#![allow(clippy::unwrap_used)]

use qz_conformance::{SealHistory, seal_history};
use qz_evidence::SubjectId;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{decode_strict, encode};
use qz_evidence::verify::{TrustInputs, Verdict};
use qz_verify::{Period, SealLedger, SealLedgerError, seal_ledger};

fn ask(
    history: &SealHistory, proof: Vec<u8>, from: Option<u64>, to: Option<u64>,
) -> Result<SealLedger, SealLedgerError> {
    let trust = TrustInputs::new(&history.genesis, history.start_ms + 60_000);
    let at = |block: u64| history.start_ms + block * 1000;
    seal_ledger(&[proof], &trust, None, Period { from_ms: from.map(at), to_ms: to.map(at) })
}

fn edited(history: &SealHistory, change: impl FnOnce(&mut Bundle)) -> Vec<u8> {
    let mut bundle: Bundle = decode_strict(&history.proof).unwrap();
    change(&mut bundle);
    encode(&bundle)
}

#[test]
fn every_use_between_two_moments_is_listed() {
    let history = seal_history();
    let kinds = |ledger: &SealLedger| ledger.rows.iter().map(|row| row.kind).collect::<Vec<_>>();
    let whole = ask(&history, history.proof.clone(), None, None).unwrap();
    assert_eq!(whole.seal, history.seal);
    assert_eq!(whole.verdict, Verdict::ValidUnanchored);
    let all = ["seal.made", "contract.signed", "seal.suspended", "seal.resumed", "contract.signed"];
    assert_eq!(kinds(&whole), all);
    assert_eq!((whole.records, whole.uses, whole.in_force), (5, 2, true));
    assert_eq!(whole.rows[1].contract_title.as_deref(), Some("采购合同"));
    assert_eq!(whole.rows[1].signers, ["张三"]);
    assert_eq!((whole.rows[2].status, whole.rows[3].status), ("suspended", "active"));
    assert_eq!(whole.covered_to_ms, whole.head.time_ms);
    // Both ends are included; nothing else is.
    for (from, to, expected) in [(4, 7, &all[1..3]), (5, 6, &all[..0]), (8, 9, &all[3..]), (2, 2, &all[..1])] {
        let part = ask(&history, history.proof.clone(), Some(from), Some(to)).unwrap();
        assert_eq!(kinds(&part), expected, "{from} to {to}");
        assert_eq!((part.records, part.uses), (5, 2), "the proof is still of everything");
    }
}

#[test]
fn what_lies_behind_the_head_is_named_as_not_proven() {
    let history = seal_history();
    let beyond = ask(&history, history.proof.clone(), Some(1), Some(3600)).unwrap();
    assert_eq!(beyond.covered_to_ms, beyond.head.time_ms);
    assert!(beyond.not_proven[0].en.contains("ends after the time of the proof's block"));
    let within = ask(&history, history.proof.clone(), Some(1), Some(5)).unwrap();
    assert_eq!(within.covered_to_ms, history.start_ms + 5000);
    assert!(!within.not_proven.iter().any(|note| note.en.contains("ends after")));
}

#[test]
fn a_hidden_use_leaves_no_ledger() {
    let history = seal_history();
    for (what, proof) in [
        ("the first use", edited(&history, |b| drop(b.entries.remove(5)))),
        ("the suspension", edited(&history, |b| drop(b.entries.remove(7)))),
        ("the last use", edited(&history, |b| drop(b.entries.pop()))),
    ] {
        let error = ask(&history, proof, None, None).unwrap_err();
        assert!(error.is_of_the_proof(), "{what}: {error}");
        assert!(error.note().zh.contains("缺少"), "{what}: {error}");
    }
    let altered = edited(&history, |b| b.states[1].siblings.clear());
    assert!(matches!(ask(&history, altered, None, None), Err(SealLedgerError::History(_))));
}

#[test]
fn it_must_be_clear_which_seal_is_meant() {
    let history = seal_history();
    let without = edited(&history, |b| drop(b.states.remove(1)));
    assert!(matches!(ask(&history, without, None, None), Err(SealLedgerError::WhichSeal(0))));
    assert!(matches!(ask(&history, history.proof.clone(), Some(9), Some(2)), Err(SealLedgerError::Period)));
    let trust = TrustInputs::new(&history.genesis, history.start_ms + 60_000);
    let contract: Bundle = decode_strict(&history.proof).unwrap();
    let contract: SubjectId = contract.states[0].subject;
    let found = seal_ledger(std::slice::from_ref(&history.proof), &trust, Some(contract), Period::default());
    assert!(matches!(found, Err(SealLedgerError::NoSeal(_))), "{found:?}");
}
