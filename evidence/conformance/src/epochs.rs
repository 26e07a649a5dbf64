//! Attacks on the way from the genesis' validators to those of the head (SPEC §11, step 3), and commits by
//! small sets (step 4).

use crate::bundles::{Attack, apply, edit, vector};
use crate::ledger::{Ledger, key, public, set_of};
use crate::vector::{Expect, Vector};
use qz_evidence::OrgId;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, encode};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::hash::sha256;
use qz_evidence::header::Header;
use qz_evidence::validators::{Validator, ValidatorSet};

/// Arbitration leaves after block 2 and comes back after block 4: A → B → A.
fn three_epochs() -> Ledger {
    let sample = Ledger::sample();
    let mut ledger = Ledger::empty();
    ledger.take_records_of(&sample);
    ledger.hand_over_at(2, &[1, 2, 3]);
    ledger.hand_over_at(4, &[0, 1, 2, 3]);
    ledger.rebuild();
    ledger
}

/// Arbitration leaves after block 2: three validators at the head.
fn two_epochs() -> Ledger {
    let mut ledger = Ledger::empty();
    ledger.take_records_of(&Ledger::sample());
    ledger.hand_over_at(2, &[1, 2, 3]);
    ledger.rebuild();
    ledger
}

const ATTACKS: &[Attack] = &[
    ("no hand-over at all", 3, |_, b| b.hand_overs.clear()),
    ("first hand-over omitted", 3, |_, b| drop(b.hand_overs.remove(0))),
    ("last hand-over omitted", 3, |_, b| drop(b.hand_overs.pop())),
    ("same epoch twice", 3, |_, b| {
        let again = b.hand_overs[0].clone();
        b.hand_overs.insert(1, again);
    }),
    ("last epoch twice", 3, |_, b| b.hand_overs.push(b.hand_overs[1].clone())),
    ("hand-overs in another order", 3, |_, b| b.hand_overs.swap(0, 1)),
    ("hand-over without votes", 3, |_, b| {
        edit::<CommitCertificate>(&mut b.hand_overs[1].commit, |c| c.signatures.clear());
    }),
    ("hand-over by exactly two thirds", 3, |l, b| b.hand_overs[1].commit = l.finalised_by(4, &[1, 2])),
    ("hand-over finalised by the set that it makes", 3, |l, b| {
        b.hand_overs[1].commit = l.finalised_by(4, &[0, 1, 2, 3]);
    }),
    ("hand-over with another commit", 3, |l, b| b.hand_overs[0].commit = l.finalised_by(3, &[0, 1, 2, 3])),
    ("hand-over to another set than decided", 3, |_, b| b.hand_overs[0].next = Bytes(encode(&set_of(&[0, 1, 2])))),
    ("hand-over to the set before", 3, |_, b| b.hand_overs[0].next = b.hand_overs[1].next.clone()),
    ("altered hand-over header", 3, |_, b| edit::<Header>(&mut b.hand_overs[0].header, |h| h.time_ms += 1)),
    ("hand-over of another epoch number", 3, |_, b| edit::<Header>(&mut b.hand_overs[0].header, |h| h.epoch = 1)),
    ("hand-over outside the history", 3, |_, b| b.hand_overs[0].history_path[0].0[0] ^= 1),
    ("hand-over without history path", 3, |_, b| b.hand_overs[0].history_path.clear()),
    ("a block that ends no epoch as hand-over", 3, |l, b| {
        let mut extra = b.hand_overs[0].clone();
        extra.header = Bytes(l.headers[1].clone());
        extra.commit = l.finalised_by(1, &[0, 1, 2, 3]);
        extra.next = Bytes(encode(&l.sets[0]));
        extra.history_path = l.history_path(1);
        b.hand_overs.insert(0, extra);
    }),
    ("hand-over to strangers by strangers", 3, |l, b| {
        let strangers = strangers(1);
        edit::<Header>(&mut b.hand_overs[0].header, |h| h.next_validators_hash = strangers.hash());
        b.hand_overs[0].next = Bytes(encode(&strangers));
        let votes = (5..9).map(|i| l.vote_on(2, i, qz_evidence::commit::VoteType::Precommit, 0));
        b.hand_overs[0].commit = Bytes(encode(&l.commit_on(2, votes.collect())));
    }),
    ("hand-over of another ledger", 2, |_, b| edit::<Header>(&mut b.hand_overs[1].header, |h| h.chain_id.0[0] ^= 1)),
    ("trailing byte in a hand-over header", 1, |_, b| b.hand_overs[0].header.0.push(0)),
    ("trailing byte in a hand-over commit", 1, |_, b| b.hand_overs[0].commit.0.push(0)),
    ("trailing byte in a hand-over set", 1, |_, b| b.hand_overs[0].next.0.push(0)),
    ("head finalised by the set before", 4, |l, b| b.commit = l.finalised_by(5, &[0, 1])),
];

/// Four validators that no genesis names.
fn strangers(power: u64) -> ValidatorSet {
    let members = (5..9).map(|i| Validator {
        organisation: OrgId::new("court").unwrap(),
        key: public(&key(i, "consensus")),
        power,
    });
    ValidatorSet::new(members.collect()).unwrap()
}

pub fn vectors() -> Vec<Vector> {
    let ledger = three_epochs();
    let bundle = ledger.bundle();
    let mut all = apply("epochs", &ledger, &bundle, ATTACKS);
    all.push(vector("accepted", "three epochs A B A", &ledger, encode(&bundle), Expect::Accepted));
    let two = two_epochs();
    let mut bundle = two.bundle();
    all.push(vector("accepted", "two epochs", &two, encode(&bundle), Expect::Accepted));
    bundle.commit = two.finalised_by(5, &[1, 2]);
    all.push(vector("epochs", "head finalised by exactly two thirds", &two, encode(&bundle), Expect::Refused(4)));
    bundle.commit = two.finalised_by(5, &[0, 1, 2, 3]);
    all.push(vector("epochs", "head finalised by one who left", &two, encode(&bundle), Expect::Refused(4)));
    all.extend(finalised());
    all.extend(odd_sets());
    all
}

/// Headers that members acting together finalised although they break the rules between headers.
fn finalised() -> Vec<Vector> {
    type Edit = (&'static str, u8, u64, fn(&mut Header));
    const EDITS: &[Edit] = &[
        ("finalised head of a skipped epoch", 3, 5, |h| h.epoch = 1),
        ("finalised head with another set", 3, 5, |h| h.validators_hash.0[0] ^= 1),
        ("finalised head with a larger history", 5, 5, |h| h.history_size += 1),
        ("finalised head with a smaller history", 5, 5, |h| h.history_size -= 1),
        ("finalised head with swapped roots", 5, 5, |h| std::mem::swap(&mut h.history_root, &mut h.records_root)),
        ("finalised block with swapped roots", 6, 2, |h| std::mem::swap(&mut h.state_root, &mut h.records_root)),
        ("finalised block that counts a record less", 6, 2, |h| h.record_count = 2),
        ("finalised block that counts two records more", 6, 2, |h| h.record_count = 5),
        ("finalised block that counts no record", 6, 2, |h| h.record_count = 0),
    ];
    let made = EDITS.iter().map(|(about, step, height, change)| {
        let mut ledger = Ledger::sample();
        ledger.edits.insert(*height, *change);
        ledger.rebuild();
        vector("finalised", about, &ledger, encode(&ledger.bundle()), Expect::Refused(*step))
    });
    made.collect()
}

/// Sets that no honest chain decides, decided and finalised by the members of epoch 0.
fn odd_sets() -> Vec<Vector> {
    let set = encode(&set_of(&[1, 2, 3]));
    // The last member of every validator is its power, 1.
    let powers: Vec<usize> = (0..set.len() - 1).filter(|i| set[*i..].starts_with(&[0x02, 0x01])).collect();
    let with_power = |power: &[u8]| {
        let mut bytes = vec![];
        let mut from = 0;
        for place in &powers {
            bytes.extend_from_slice(&set[from..=*place]);
            bytes.extend_from_slice(power);
            from = place + 2;
        }
        bytes.extend_from_slice(&set[from..]);
        bytes
    };
    assert_eq!(with_power(&[1]), set);
    let mut most = vec![0x1b];
    most.extend([0xff; 8]);
    let cases = [
        ("powers whose sum overflows", with_power(&most)),
        ("powers of zero", with_power(&[0])),
        ("a power above the bound", with_power(&[0x1a, 0x00, 0x0f, 0x42, 0x41])),
        ("an empty set", [&set[..set.len() - set_members(&set)], &[0x80]].concat()),
    ];
    let made = cases.into_iter().map(|(about, next)| {
        let (ledger, bundle) = decided(&next);
        vector("epochs", about, &ledger, encode(&bundle), Expect::Refused(3))
    });
    made.collect()
}

/// Length of what follows the key of the members.
fn set_members(set: &[u8]) -> usize {
    let key = set.iter().position(|byte| *byte == 0x83).unwrap();
    set.len() - key
}

/// A ledger in which block 2 hands over to a set that cannot be; its members finalise the head.
fn decided(next: &[u8]) -> (Ledger, Bundle) {
    let mut ledger = two_epochs();
    let hash = sha256(&[b"qz/validators/v1", next]);
    ledger.replace_set_hash(2, hash);
    let mut bundle = ledger.bundle();
    bundle.hand_overs[0].next = Bytes(next.to_vec());
    (ledger, bundle)
}
