//! Records that break the rules although members acting together finalised them: signatures (step 7), links
//! and states (step 8), disclosures of odd values (step 9). They protect the parties from all members at once.

use crate::bundles::vector;
use crate::ledger::{Ledger, key, public, sign};
use crate::vector::{Expect, Vector};
use p256::ecdsa::signature::Signer;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::commitment::name;
use qz_evidence::keys::{Algorithm, PublicKey};
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::record::Record;
use qz_evidence::state_proof::{Status, SubjectType};
use qz_evidence::submission::{Body, Parsed, Submission, UnsignedSubmission, actor_message};
use qz_evidence::{Hash32, SubjectId};

type Change = (&'static str, u8, fn(&mut Record));

/// Changes the record of block 1 (a key, registered by its holder and the notary).
const CHANGES: &[Change] = &[
    ("relabelled height", 7, |r| r.height.0 = 0),
    ("another key for the actor", 7, |r| r.actor_keys[0].bytes.0 = r.actor_keys[1].bytes.0.clone()),
    ("keys of the actors swapped", 7, |r| r.actor_keys.swap(0, 1)),
    ("a key removed", 7, |r| drop(r.actor_keys.pop())),
    ("no keys", 7, |r| r.actor_keys.clear()),
    ("a key too many", 7, |r| r.actor_keys.push(r.actor_keys[0].clone())),
    ("a key of another algorithm", 7, |r| r.actor_keys[0].algorithm = Algorithm::Es256),
    ("a WebAuthn key", 7, |r| r.actor_keys[0].algorithm = Algorithm::WebAuthn),
    ("a key of small order", 7, |r| {
        r.actor_keys[0].bytes.0 = [&[1], [0; 31].as_slice()].concat();
        submission(r, |s| s.actors[0].signature.0 = [&[1], [0; 63].as_slice()].concat());
    }),
    ("a short key", 7, |r| r.actor_keys[0].bytes.0.truncate(31)),
    ("forged signature of an actor", 7, |r| submission(r, |s| s.actors[0].signature.0[40] ^= 1)),
    ("short signature of an actor", 7, |r| submission(r, |s| s.actors[0].signature.0.truncate(63))),
    ("signature of an actor over the body itself", 7, |r| {
        submission(r, |s| s.actors[0].signature = sign(&key(9, "party"), &s.body));
    }),
    ("forged signature of the relay", 7, |r| relay_unsigned(r, |s| s.relay_signature.0[7] ^= 1)),
    ("an actor added behind the relay's back", 7, |r| {
        let again = r.actor_keys[0].clone();
        r.actor_keys.push(again);
        relay_unsigned(r, |s| s.actors.push(s.actors[0].clone()));
    }),
    ("relayed by a key that is not its relay key", 7, |r| submission_by(r, 3, "office", |_| {})),
    ("relayed in the name of another member", 7, |r| {
        submission_by(r, 3, "relay", |s| s.relay = qz_evidence::OrgId::new("court").unwrap());
    }),
    ("relayed by a stranger", 7, |r| {
        submission_by(r, 7, "relay", |s| s.relay = qz_evidence::OrgId::new("stranger").unwrap());
    }),
];

/// Changes the submission; the relay signs what comes out.
fn submission(record: &mut Record, change: impl FnOnce(&mut Submission)) {
    submission_by(record, 3, "relay", change);
}

fn submission_by(record: &mut Record, organisation: usize, purpose: &str, change: impl FnOnce(&mut Submission)) {
    let relay = key(organisation, purpose);
    relay_unsigned(record, |s| {
        s.relay_key = public(&relay);
        change(s);
        let body: Body = decode_strict(&s.body).unwrap();
        let unsigned = UnsignedSubmission::new(&body, s.actors.clone(), s.relay.clone(), s.relay_key.0);
        s.relay_signature = sign(&relay, &unsigned.relay_message());
    });
}

fn relay_unsigned(record: &mut Record, change: impl FnOnce(&mut Submission)) {
    let mut submission: Submission = decode_strict(&record.submission).unwrap();
    change(&mut submission);
    record.submission = Bytes(encode(&submission));
}

pub fn vectors() -> Vec<Vector> {
    let changed = CHANGES.iter().map(|(about, step, change)| {
        let mut ledger = Ledger::sample();
        let mut record: Record = decode_strict(&ledger.records[1][0]).unwrap();
        change(&mut record);
        ledger.replace_record(1, 0, encode(&record));
        vector("record", about, &ledger, encode(&ledger.bundle()), Expect::Refused(*step))
    });
    let mut all: Vec<_> = changed.collect();
    all.extend(es256());
    all.extend(links());
    all.extend(states());
    all.extend(values());
    all
}

/// The party's key is a P-256 key.
fn es256() -> Vec<Vector> {
    type Form = (&'static str, Expect, fn(p256::ecdsa::Signature) -> Vec<u8>);
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    const FORMS: &[Form] = &[
        ("ES256 by an actor", Expect::Accepted, |s| s.to_bytes().to_vec()),
        ("ES256 in DER", Expect::Refused(7), |s| s.to_der().as_bytes().to_vec()),
        ("ES256 with r of zero", Expect::Refused(7), |s| [&[0; 32], &s.to_bytes()[32..]].concat()),
        ("ES256 with s of zero", Expect::Refused(7), |s| [&s.to_bytes()[..32], &[0; 32]].concat()),
        ("ES256 with s of the order", Expect::Refused(7), |s| [&s.to_bytes()[..32], &ORDER].concat()),
        ("ES256 with the other s", Expect::Accepted, |s| {
            let bytes = s.to_bytes();
            let mut borrow = 0i16;
            let mut other = [0u8; 32];
            for i in (0..32).rev() {
                let difference = i16::from(ORDER[i]) - i16::from(bytes[32 + i]) - borrow;
                borrow = i16::from(difference < 0);
                other[i] = difference.rem_euclid(256) as u8;
            }
            [&bytes[..32], &other].concat()
        }),
    ];
    let made = FORMS.iter().map(|(about, expect, form)| {
        let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = signer.verifying_key().to_sec1_point(true).as_bytes().to_vec();
        let mut ledger = Ledger::sample();
        let mut record: Record = decode_strict(&ledger.records[1][0]).unwrap();
        record.actor_keys[0] = PublicKey { algorithm: Algorithm::Es256, bytes: Bytes(point) };
        let digest = Parsed::without_relay_check(&record.submission).unwrap().digest();
        let signature = form(signer.sign(&actor_message(&digest)));
        submission(&mut record, |s| s.actors[0].signature = Bytes(signature));
        ledger.replace_record(1, 0, encode(&record));
        vector("record", about, &ledger, encode(&ledger.bundle()), *expect)
    });
    made.collect()
}

/// Sequences and previous records that contradict each other.
fn links() -> Vec<Vector> {
    type Case = (&'static str, usize, usize, fn(&mut Record));
    const CASES: &[Case] = &[
        ("link to another record", 2, 1, |r| r.links[0].previous.0[0] ^= 1),
        ("a sequence twice", 2, 2, |r| r.links[0].sequence = 1),
        ("sequences going back", 2, 2, |r| r.links[0].sequence = 0),
        ("a sequence beyond the state", 4, 0, |r| r.links[0].sequence = 7),
        ("a subject twice in a record", 2, 1, |r| r.links.push(r.links[0].clone())),
        ("a first record with a previous one", 1, 0, |r| r.links[0].previous = Hash32([1; 32])),
    ];
    let made = CASES.iter().map(|(about, height, index, change)| {
        let mut ledger = Ledger::sample();
        let mut record: Record = decode_strict(&ledger.records[*height][*index]).unwrap();
        change(&mut record);
        ledger.replace_record(*height, *index, encode(&record));
        vector("links", about, &ledger, encode(&ledger.bundle()), Expect::Refused(8))
    });
    made.collect()
}

/// A tree of several subjects: membership, and absence of both kinds.
fn states() -> Vec<Vector> {
    let mut ledger = Ledger::empty();
    ledger.take_records_of(&Ledger::sample());
    for n in 0..40u8 {
        let subject = SubjectId(qz_evidence::hash::blake3(&[b"other subject", &[n]]));
        ledger.tracked.push((subject, SubjectType::Seal, Status::Suspended));
    }
    ledger.rebuild();
    let absent = SubjectId(Hash32([7; 32]));
    let subjects: Vec<_> = ledger.tracked.iter().map(|t| t.0).chain([absent]).collect();
    let bundle = ledger.bundle_of(&[1, 2, 4], &subjects);
    type Case = (&'static str, u8, fn(&mut Bundle));
    const CASES: &[Case] = &[
        ("a sibling left out", 8, |b| {
            b.states[3].siblings.remove(0);
        }),
        ("two siblings swapped", 8, |b| b.states[3].siblings.swap(0, 1)),
        ("the state of another subject", 8, |b| b.states[3].head = b.states[0].head.clone()),
        ("absence of a subject that is there", 8, |b| {
            let head = b.states[5].head.take().unwrap();
            b.states[5].other = Some(qz_evidence::state_proof::OtherLeaf {
                key: b.states[5].subject.0,
                value_hash: qz_evidence::hash::blake3(&[&head]),
            });
        }),
        ("absence by a leaf of another place", 8, |b| {
            let absent = b.states.len() - 1;
            let place = b.states.iter().position(|s| s.siblings.len() > 2 && s.subject.0.0[0] & 0x80 != 0).unwrap();
            let mut proof = b.states[place].clone();
            let head = proof.head.take().unwrap();
            proof.other = Some(qz_evidence::state_proof::OtherLeaf {
                key: proof.subject.0,
                value_hash: qz_evidence::hash::blake3(&[&head]),
            });
            proof.subject = b.states[absent].subject;
            b.states[absent] = proof;
        }),
    ];
    let mut all = vec![vector("accepted", "many states and an absence", &ledger, encode(&bundle), Expect::Accepted)];
    for (about, step, change) in CASES {
        let mut bundle = bundle.clone();
        change(&mut bundle);
        all.push(vector("states", about, &ledger, encode(&bundle), Expect::Refused(*step)));
    }
    all
}

/// Values that were committed to, but are not of the form that their name says.
fn values() -> Vec<Vector> {
    let cases: [(&str, &str, &[u8], Expect); 4] = [
        ("a deposit", name::DOCUMENT, &[5; 32], Expect::Accepted),
        ("a digest of 31 bytes", name::DOCUMENT, &[5; 31], Expect::Refused(9)),
        ("a text that is none", name::DESCRIPTION, &[0xff, 0xfe], Expect::Refused(9)),
        ("an empty text", name::DESCRIPTION, &[], Expect::Accepted),
    ];
    let made = cases.into_iter().map(|(about, name, value, expect)| {
        let mut ledger = Ledger::empty();
        ledger.block(vec![]);
        let body = ledger.body(Payload::EvidenceDeposited(EvidenceDeposited { about: None }), &[(name, value)]);
        let subject = SubjectId::created_by(&ledger.chain_id, &body.digest());
        let record = ledger.record(&body, &[], &[subject]);
        ledger.tracked.push((subject, SubjectType::Evidence, Status::Recorded));
        ledger.block(vec![record]);
        ledger.block(vec![]);
        vector("values", about, &ledger, encode(&ledger.bundle_of(&[1], &[subject])), expect)
    });
    made.collect()
}
