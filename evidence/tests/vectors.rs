//! Golden vectors (`evidence/vectors/`) and negative vectors: every attack of `docs/SPEC.md` §12 that
//! the first nine steps must refuse, each with the step that refuses it.
//!
//! Changing a golden file is a change of the format: run with `QZ_UPDATE_VECTORS=1` and say why.
#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::{CERTIFICATE, DOCUMENT, Ledger, SIGNED_RANGE, START_MS, VERSION};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::commit::{CommitCertificate, VoteType};
use qz_evidence::hash::{blake3, sha256};
use qz_evidence::header::Header;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::verify::{GivenDocument, GivenSignature, Report, TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, SubjectId};
use std::path::PathBuf;

fn check(bundle: &[u8], genesis: &[u8], document: Option<&[u8]>) -> Report {
    check_signed(bundle, genesis, document, |_| {})
}

/// Checks a file that is as it should be, but for `change`.
fn check_signed(bundle: &[u8], genesis: &[u8], document: Option<&[u8]>, change: impl Fn(&mut GivenDocument)) -> Report {
    let trust = TrustInputs::new(genesis, START_MS + 60_000);
    let given = document.map(|file| {
        let mut given = GivenDocument {
            name: "contract.pdf".into(),
            sha256: sha256(&[file]),
            signatures: vec![signature(SIGNED_RANGE, CERTIFICATE)],
            earlier_revisions: vec![sha256(&[b"an earlier revision"]), sha256(&[VERSION])],
            covered: true,
        };
        change(&mut given);
        given
    });
    verify(bundle, &trust, &given.into_iter().collect::<Vec<_>>())
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

/// Changes a bundle, and says which step must refuse it.
type Attack = (&'static str, u8, fn(&Ledger, &mut Bundle));

fn edit<T: qz_evidence::codec::Format>(bytes: &mut Bytes, change: impl FnOnce(&mut T)) {
    let mut value: T = decode_strict(bytes).unwrap();
    change(&mut value);
    *bytes = Bytes(encode(&value));
}

const ATTACKS: &[Attack] = &[
    ("neither record nor state", 1, |_, b| {
        b.entries.clear();
        b.states.clear();
    }),
    ("records out of order", 1, |_, b| b.entries.swap(0, 1)),
    ("a record twice", 1, |_, b| {
        let again = b.entries[0].clone();
        b.entries.insert(0, again);
    }),
    ("trailing byte in a record", 1, |_, b| b.entries[0].record.0.push(0)),
    ("substituted genesis", 2, |_, b| b.genesis.0[40] ^= 1),
    ("head of another ledger", 2, |_, b| edit::<Header>(&mut b.head, |h| h.chain_id.0[0] ^= 1)),
    ("skipped epoch", 3, |_, b| edit::<Header>(&mut b.head, |h| h.epoch = 1)),
    ("another validator set", 3, |_, b| edit::<Header>(&mut b.head, |h| h.validators_hash.0[5] ^= 1)),
    ("altered head", 4, |_, b| edit::<Header>(&mut b.head, |h| h.time_ms += 1)),
    ("forged signature", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures[1].signature.0[3] ^= 1)),
    ("exactly two thirds or less", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures.truncate(2))),
    ("one validator twice", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| {
            c.signatures.truncate(2);
            let again = c.signatures[1].clone();
            c.signatures.push(again);
        });
    }),
    ("no votes", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures.clear())),
    ("wrong round", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.round += 1)),
    ("wrong height", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.height.0 += 1)),
    ("prevote as precommit", 4, |l, b| {
        let votes = (0..4).map(|i| l.vote(i, VoteType::Prevote, 0)).collect();
        b.commit = Bytes(encode(&l.commit(votes)));
    }),
    ("stranger among the votes", 4, |l, b| {
        let mut votes: Vec<_> = (0..3).map(|i| l.vote(i, VoteType::Precommit, 0)).collect();
        votes.push(l.vote(7, VoteType::Precommit, 0));
        b.commit = Bytes(encode(&l.commit(votes)));
    }),
    ("S + L in a vote", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| {
            const L: [u8; 16] =
                [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
            let s = &mut c.signatures[0].signature.0[32..];
            let mut carry = 0u16;
            for (i, s) in s.iter_mut().enumerate() {
                let l = L.get(i).copied().unwrap_or(if i == 31 { 0x10 } else { 0 });
                carry += u16::from(*s) + u16::from(l);
                *s = carry.to_le_bytes()[0];
                carry >>= 8;
            }
        });
    }),
    ("rewritten block", 5, |_, b| edit::<Header>(&mut b.entries[0].header, |h| h.records_root.0[0] ^= 1)),
    ("flipped history sibling", 5, |_, b| b.entries[0].history_path[0].0[0] ^= 1),
    ("removed history sibling", 5, |_, b| b.entries[0].history_path.truncate(1)),
    ("inserted history sibling", 5, |_, b| b.entries[0].history_path.push(Hash32::ZERO)),
    ("empty history path", 5, |_, b| b.entries[0].history_path.clear()),
    ("history path of another block", 5, |l, b| b.entries[0].history_path = l.history_path(2)),
    ("flipped record sibling", 6, |_, b| b.entries[1].records_path[0].0[0] ^= 1),
    ("removed record sibling", 6, |_, b| b.entries[1].records_path.clear()),
    ("inserted record sibling", 6, |_, b| b.entries[1].records_path.push(Hash32::ZERO)),
    ("altered record", 6, |_, b| edit::<Record>(&mut b.entries[1].record, |r| r.links[0].sequence = 9)),
    ("wrong index", 6, |_, b| {
        b.entries.truncate(2);
        edit::<Record>(&mut b.entries[1].record, |r| r.index = 1);
    }),
    ("index beyond the count", 6, |_, b| edit::<Record>(&mut b.entries[3].record, |r| r.index = 77)),
    ("state of another root", 8, |_, b| b.states[0].siblings.push(Hash32::ZERO)),
    ("altered state", 8, |_, b| {
        if let Some(head) = &mut b.states[0].head {
            let last = head.0.len() - 1;
            head.0[last] ^= 1;
        }
    }),
    ("a later record is hidden", 8, |l, b| {
        // The subject is said not to exist although records about it are shown.
        b.states[0].head = None;
        b.states[0].subject = l.contract;
    }),
    ("state twice", 8, |_, b| b.states.push(b.states[0].clone())),
    ("wrong salt", 9, |_, b| b.entries[1].openings[0].salt.0[0] ^= 1),
    ("altered value", 9, |_, b| b.entries[1].openings[0].value.0.push(b'!')),
    ("swapped disclosures", 9, |_, b| {
        let (left, right) = b.entries.split_at_mut(2);
        std::mem::swap(&mut left[1].openings, &mut right[0].openings);
    }),
    ("disclosure of a commitment that is not there", 9, |_, b| b.entries[1].openings[0].name = "price".into()),
];

#[test]
fn every_attack_is_refused_by_its_step() {
    let ledger = Ledger::sample();
    for (name, step, attack) in ATTACKS {
        let mut bundle = ledger.bundle();
        attack(&ledger, &mut bundle);
        let report = check(&encode(&bundle), &ledger.genesis, Some(DOCUMENT));
        assert_eq!(report.verdict, Verdict::Invalid, "{name} was accepted");
        assert_eq!(report.failed_step().map(|s| s.n), Some(*step), "{name}: {:?}", report.failed_step());
    }
}

/// A ledger whose own records are wrong, finalised by dishonest members: the signatures inside the
/// records still protect the parties.
#[test]
fn a_record_without_its_actors_signature_is_refused_even_when_finalised() {
    type Attack = (&'static str, fn(&mut Record));
    let attacks: [Attack; 3] = [
        ("relabelled height", |r| r.height.0 = 0),
        ("another key for the actor", |r| r.actor_keys[0].bytes.0 = r.actor_keys[1].bytes.0.clone()),
        ("a key removed", |r| drop(r.actor_keys.pop())),
    ];
    for (name, attack) in attacks {
        let mut ledger = Ledger::sample();
        let mut record: Record = decode_strict(&ledger.records[1][0]).unwrap();
        attack(&mut record);
        ledger.replace_record(1, 0, encode(&record));
        let report = check(&encode(&ledger.bundle()), &ledger.genesis, None);
        assert_eq!(report.failed_step().map(|s| s.n), Some(7), "{name}: {:?}", report.failed_step());
    }
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
    type Change = (&'static str, fn(&mut GivenDocument));
    let ledger = Ledger::sample();
    let bundle = encode(&ledger.bundle());
    assert_eq!(check(&bundle, &ledger.genesis, Some(DOCUMENT)).failed_step(), None);
    let changes: [Change; 7] = [
        ("unsigned", |d| d.signatures.clear()),
        ("over another range", |d| d.signatures = vec![signature(b"another range", CERTIFICATE)]),
        ("by another certificate", |d| d.signatures = vec![signature(SIGNED_RANGE, b"another certificate")]),
        ("one too many", |d| d.signatures.push(signature(b"another range", CERTIFICATE))),
        ("something added behind the last signature", |d| d.covered = false),
        ("began as another text", |d| d.earlier_revisions.truncate(1)),
        ("began as nothing", |d| d.earlier_revisions.clear()),
    ];
    for (what, change) in changes {
        let report = check_signed(&bundle, &ledger.genesis, Some(DOCUMENT), change);
        assert_eq!(report.failed_step().map(|s| s.n), Some(9), "{what}");
    }
    // The platform completes a contract whose signatures the proof leaves out, or does not disclose.
    let mut hiding = ledger.bundle();
    hiding.entries.retain(|entry| entry.openings.iter().all(|o| o.name != "to_be_signed.sha256"));
    let unsigned: fn(&mut GivenDocument) = |d| d.signatures.clear();
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
fn a_pad_or_an_inner_node_is_no_record() {
    let ledger = Ledger::sample();
    let header: Header = decode_strict(&ledger.headers[1]).unwrap();
    assert_eq!(header.record_count, 1);
    assert_ne!(record_hash(&[]), blake3(&[&[0x02]]));
    let absent = SubjectId(Hash32([1; 32]));
    let mut bundle = ledger.bundle();
    bundle.states[0].subject = absent;
    let report = check(&encode(&bundle), &ledger.genesis, None);
    assert_eq!(report.failed_step().map(|s| s.n), Some(8));
}
