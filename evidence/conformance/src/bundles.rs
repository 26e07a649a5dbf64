//! Attacks on a bundle by whoever hands it over: no key of the consortium is needed.

use crate::ledger::{Ledger, START_MS, card, genesis_of, key, public, sign};
use crate::vector::{Expect, Vector};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, Format, decode_strict, encode};
use qz_evidence::commit::{CommitCertificate, VoteType, vote_message};
use qz_evidence::genesis::{Organisation, card_message};
use qz_evidence::hash::{blake3, sha256};
use qz_evidence::header::Header;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::state_proof::{OtherLeaf, Status, SubjectHead};
use qz_evidence::{Hash32, SubjectId};
use sha2::{Digest, Sha512};

/// Changes a bundle, and says which step must refuse it.
pub type Attack = (&'static str, u8, fn(&Ledger, &mut Bundle));

/// Changes a member in place.
pub fn edit<T: Format>(bytes: &mut Bytes, change: impl FnOnce(&mut T)) {
    let mut value: T = decode_strict(bytes).unwrap();
    change(&mut value);
    *bytes = Bytes(encode(&value));
}

/// A vector over a bundle, verified a minute after the ledger began.
pub fn vector(group: &str, about: &str, ledger: &Ledger, file: Vec<u8>, expect: Expect) -> Vector {
    let words = about.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = std::iter::once(group).chain(words).collect::<Vec<_>>().join("-").to_lowercase();
    Vector {
        name,
        about: about.into(),
        file,
        proof: None,
        genesis: ledger.genesis.clone(),
        as_of_ms: START_MS + 60_000,
        max_age_ms: None,
        witness_policy: None,
        tsa_roots: vec![],
        expect,
    }
}

/// Applies attacks to a ledger's bundle.
pub fn apply(group: &str, ledger: &Ledger, bundle: &Bundle, attacks: &[Attack]) -> Vec<Vector> {
    let attacked = attacks.iter().map(|(about, step, attack)| {
        let mut bundle = bundle.clone();
        attack(ledger, &mut bundle);
        vector(group, about, ledger, encode(&bundle), Expect::Refused(*step))
    });
    attacked.collect()
}

/// Signatures whose S is not the smallest: S + L.
pub fn add_order(signature: &mut [u8]) {
    const L: [u8; 16] =
        [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
    let mut carry = 0u16;
    for (i, s) in signature[32..].iter_mut().enumerate() {
        let l = L.get(i).copied().unwrap_or(if i == 31 { 0x10 } else { 0 });
        carry += u16::from(*s) + u16::from(l);
        *s = carry.to_le_bytes()[0];
        carry >>= 8;
    }
}

/// A vote that only a verifier with the cofactored equation accepts: R has a torsion component.
fn torsion_vote(ledger: &Ledger, commit: &mut CommitCertificate) {
    let signer = key(0, "consensus");
    let address = blake3(&[&public(&signer).0]);
    let head = sha256(&[ledger.headers.last().unwrap()]);
    let message = vote_message(&ledger.chain_id, VoteType::Precommit, commit.height, 0, Some(&head), &address);
    let nonce = Scalar::from(7u64);
    let r = (ED25519_BASEPOINT_POINT * nonce + EIGHT_TORSION[1]).compress().to_bytes();
    let challenge = Sha512::new().chain_update(r).chain_update(public(&signer).0).chain_update(&message).finalize();
    let challenge = Scalar::from_bytes_mod_order_wide(&challenge.into());
    // The signing library has an older release of the curve's library: the scalar goes over as bytes.
    let secret = Scalar::from_bytes_mod_order(signer.to_scalar().to_bytes());
    let s = nonce + challenge * secret;
    let vote = commit.signatures.iter_mut().find(|s| s.address == address).unwrap();
    vote.signature = Bytes([r, s.to_bytes()].concat());
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
    ("an inner node as record", 1, |_, b| {
        let path = &b.entries[1].records_path;
        b.entries[1].record = Bytes([path[0].0, path[1].0].concat());
    }),
    ("the pad as record", 1, |_, b| b.entries[1].record.0.clear()),
    ("substituted genesis", 2, |_, b| b.genesis.0[40] ^= 1),
    ("no genesis", 2, |_, b| b.genesis.0.clear()),
    ("head of another ledger", 2, |_, b| edit::<Header>(&mut b.head, |h| h.chain_id.0[0] ^= 1)),
    ("block of another ledger", 2, |_, b| edit::<Header>(&mut b.entries[2].header, |h| h.chain_id.0[31] ^= 1)),
    ("skipped epoch", 3, |_, b| edit::<Header>(&mut b.head, |h| h.epoch = 1)),
    ("another validator set", 3, |_, b| edit::<Header>(&mut b.head, |h| h.validators_hash.0[5] ^= 1)),
    ("altered head", 4, |_, b| edit::<Header>(&mut b.head, |h| h.time_ms += 1)),
    ("swapped roots in the head", 4, |_, b| {
        edit::<Header>(&mut b.head, |h| std::mem::swap(&mut h.state_root, &mut h.history_root));
    }),
    ("an earlier block as head under the same commit", 4, |l, b| b.head = Bytes(l.headers[4].clone())),
    ("forged signature", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures[1].signature.0[3] ^= 1)),
    ("short signature", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| c.signatures[1].signature.0.truncate(63));
    }),
    ("half of the votes", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures.truncate(2))),
    ("one validator twice", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| {
            c.signatures.truncate(2);
            let again = c.signatures[1].clone();
            c.signatures.push(again);
        });
    }),
    ("votes out of order", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures.swap(0, 1))),
    ("no votes", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.signatures.clear())),
    ("wrong round", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.round += 1)),
    ("wrong height", 4, |_, b| edit::<CommitCertificate>(&mut b.commit, |c| c.height.0 += 1)),
    ("commit of another block", 4, |l, b| b.commit = l.finalised_by(4, &[0, 1, 2, 3])),
    ("prevote as precommit", 4, |l, b| {
        let votes = (0..4).map(|i| l.vote(i, VoteType::Prevote, 0)).collect();
        b.commit = Bytes(encode(&l.commit(votes)));
    }),
    ("stranger among the votes", 4, |l, b| {
        let mut votes: Vec<_> = (0..3).map(|i| l.vote(i, VoteType::Precommit, 0)).collect();
        votes.push(l.vote(7, VoteType::Precommit, 0));
        b.commit = Bytes(encode(&l.commit(votes)));
    }),
    ("keys supplied with the votes", 4, |l, b| {
        let votes = (5..9).map(|i| l.vote(i, VoteType::Precommit, 0)).collect();
        b.commit = Bytes(encode(&l.commit(votes)));
    }),
    ("signature by another of its keys", 4, |l, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| {
            let head = sha256(&[l.headers.last().unwrap()]);
            let vote = &mut c.signatures[0];
            let message = vote_message(&l.chain_id, VoteType::Precommit, c.height, 0, Some(&head), &vote.address);
            vote.signature = sign(&key(0, "office"), &message);
        });
    }),
    ("S + L in a vote", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| add_order(&mut c.signatures[0].signature.0));
    }),
    ("R with a torsion component in a vote", 4, |l, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| torsion_vote(l, c));
    }),
    ("R of small order in a vote", 4, |_, b| {
        edit::<CommitCertificate>(&mut b.commit, |c| {
            c.signatures[0].signature.0 = [[1].as_slice(), &[0; 63]].concat();
        });
    }),
    ("rewritten block", 5, |_, b| edit::<Header>(&mut b.entries[0].header, |h| h.records_root.0[0] ^= 1)),
    ("flipped history sibling", 5, |_, b| b.entries[0].history_path[0].0[0] ^= 1),
    ("removed history sibling", 5, |_, b| b.entries[0].history_path.truncate(1)),
    ("inserted history sibling", 5, |_, b| b.entries[0].history_path.push(Hash32::ZERO)),
    ("swapped history siblings", 5, |_, b| b.entries[0].history_path.swap(0, 1)),
    ("empty history path", 5, |_, b| b.entries[0].history_path.clear()),
    ("history path of another block", 5, |l, b| b.entries[0].history_path = l.history_path(2)),
    ("header of the height below", 5, |_, b| edit::<Header>(&mut b.entries[0].header, |h| h.height.0 -= 1)),
    ("header of the height above", 5, |_, b| edit::<Header>(&mut b.entries[0].header, |h| h.height.0 += 1)),
    ("block beyond the head", 5, |_, b| {
        let last = b.entries.len() - 1;
        edit::<Header>(&mut b.entries[last].header, |h| h.height.0 = 9);
    }),
    ("another block at the height of the head", 5, |_, b| {
        let last = b.entries.len() - 1;
        b.entries[last].history_path.clear();
        edit::<Header>(&mut b.entries[last].header, |h| h.height.0 = 5);
    }),
    ("flipped record sibling", 6, |_, b| b.entries[1].records_path[0].0[0] ^= 1),
    ("removed record sibling", 6, |_, b| b.entries[1].records_path.truncate(1)),
    ("empty record path", 6, |_, b| b.entries[1].records_path.clear()),
    ("inserted record sibling", 6, |_, b| b.entries[1].records_path.push(Hash32::ZERO)),
    ("swapped record siblings", 6, |_, b| b.entries[1].records_path.swap(0, 1)),
    ("record path of another block", 6, |_, b| b.entries[1].records_path = b.entries[0].records_path.clone()),
    ("altered record", 6, |_, b| edit::<Record>(&mut b.entries[1].record, |r| r.links[0].sequence = 9)),
    ("index one higher", 6, |_, b| {
        b.entries.truncate(2);
        edit::<Record>(&mut b.entries[1].record, |r| r.index = 1);
    }),
    ("index one lower", 6, |_, b| {
        b.entries.remove(1);
        edit::<Record>(&mut b.entries[1].record, |r| r.index = 0);
    }),
    ("index beyond the count", 6, |_, b| edit::<Record>(&mut b.entries[3].record, |r| r.index = 77)),
    ("X.509 certificate of no record", 7, |_, b| {
        b.certificates.push(qz_evidence::bundle::CertificateEntry { entry: 99, chain: vec![Bytes(vec![0x30, 0])] });
    }),
    ("X.509 certificate that its record does not name", 7, |_, b| {
        b.certificates.push(qz_evidence::bundle::CertificateEntry { entry: 1, chain: vec![Bytes(vec![0x30, 0])] });
    }),
    ("X.509 certificate that is none", 7, |_, b| {
        let chain = vec![Bytes(crate::ledger::CERTIFICATE.to_vec())];
        b.certificates.push(qz_evidence::bundle::CertificateEntry { entry: 3, chain });
    }),
    ("state of another root", 8, |_, b| b.states[0].siblings.push(Hash32::ZERO)),
    ("altered state", 8, |_, b| {
        let head = b.states[0].head.as_mut().unwrap();
        let last = head.0.len() - 1;
        head.0[last] ^= 1;
    }),
    ("a subject with records said to be absent", 8, |_, b| b.states[0].head = None),
    ("state said to be of another subject", 8, |_, b| b.states[0].subject = SubjectId(Hash32([1; 32]))),
    ("state twice", 8, |_, b| b.states.push(b.states[0].clone())),
    ("absence shown by the subject itself", 8, |_, b| {
        let head = b.states[0].head.take().unwrap();
        b.states[0].other = Some(OtherLeaf { key: b.states[0].subject.0, value_hash: blake3(&[&head]) });
    }),
    ("membership and absence in one proof", 8, |_, b| {
        b.states[0].other = Some(OtherLeaf { key: Hash32([2; 32]), value_hash: Hash32::ZERO });
    }),
    ("257 siblings", 8, |_, b| b.states[0].siblings = vec![Hash32::ZERO; 257]),
    ("stale state proof", 8, |_, b| {
        // As the contract stood before its completion, which is left out.
        b.entries.pop();
        let last_record = record_hash(&b.entries[3].record);
        edit::<SubjectHead>(b.states[0].head.as_mut().unwrap(), |head| {
            (head.status, head.records, head.last_record) = (Status::Signed, 3, last_record);
        });
    }),
    ("wrong salt", 9, |_, b| b.entries[1].openings[0].salt.0[0] ^= 1),
    ("altered value", 9, |_, b| b.entries[1].openings[0].value.0.push(b'!')),
    ("disclosures of another record", 9, |_, b| {
        let (left, right) = b.entries.split_at_mut(2);
        std::mem::swap(&mut left[1].openings, &mut right[0].openings);
    }),
    ("names of two disclosures swapped", 9, |_, b| {
        let (left, right) = b.entries[1].openings.split_at_mut(1);
        std::mem::swap(&mut left[0].name, &mut right[0].name);
    }),
    ("a disclosure twice", 9, |_, b| {
        let again = b.entries[1].openings[0].clone();
        b.entries[1].openings.push(again);
    }),
    ("disclosure of a commitment that is not there", 9, |_, b| b.entries[1].openings[0].name = "price".into()),
];

/// A change after which a bundle still holds.
type Form = (&'static str, fn(&Ledger, &mut Bundle));

/// Accepted forms of the sample bundle.
const ACCEPTED: &[Form] = &[
    ("the sample bundle", |_, _| {}),
    ("three of four validators", |l, b| b.commit = l.finalised_by(5, &[0, 2, 3])),
    ("a commit of a later round", |l, b| {
        let votes = (0..4).map(|i| l.vote(i, VoteType::Precommit, 9)).collect();
        let mut commit = l.commit(votes);
        commit.round = 9;
        b.commit = Bytes(encode(&commit));
    }),
    ("no state", |_, b| b.states.clear()),
    ("no records", |_, b| b.entries.clear()),
    ("nothing disclosed", |_, b| b.entries.iter_mut().for_each(|e| e.openings.clear())),
    ("one record of many", |_, b| drop(b.entries.drain(1..))),
];

pub fn vectors() -> Vec<Vector> {
    let ledger = Ledger::sample();
    let bundle = ledger.bundle();
    let mut all = apply("bundle", &ledger, &bundle, ATTACKS);
    for (about, change) in ACCEPTED {
        let mut bundle = bundle.clone();
        change(&ledger, &mut bundle);
        all.push(vector("accepted", about, &ledger, encode(&bundle), Expect::Accepted));
    }
    all.extend(times(&ledger, &bundle));
    all.extend(geneses(&ledger, &bundle));
    let bytes = encode(&bundle);
    for position in (0..bytes.len()).step_by(11) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let about = format!("flipped bit in byte {position}");
        all.push(vector("flip", &about, &ledger, flipped, Expect::RefusedAlike));
    }
    for length in (0..bytes.len()).step_by(499) {
        let about = format!("only {length} bytes");
        all.push(vector("cut", &about, &ledger, bytes[..length].to_vec(), Expect::Refused(1)));
    }
    all
}

fn times(ledger: &Ledger, bundle: &Bundle) -> Vec<Vector> {
    let mut without_states = bundle.clone();
    without_states.states.clear();
    let mut only_states = bundle.clone();
    only_states.entries.clear();
    let (bundle, without_states, only_states) = (encode(bundle), encode(&without_states), encode(&only_states));
    const HOUR: u64 = 3_600_000;
    let cases = [
        ("head in the future", &bundle, START_MS - HOUR, None, Expect::Refused(8)),
        ("head in the future without states", &without_states, START_MS - HOUR, None, Expect::Refused(8)),
        ("head five minutes ahead", &bundle, START_MS + 5000 - 300_000, None, Expect::Accepted),
        ("head five minutes and a millisecond ahead", &bundle, START_MS + 5000 - 300_001, None, Expect::Refused(8)),
        ("state too old", &only_states, START_MS + 5000 + HOUR + 1, Some(HOUR), Expect::Refused(8)),
        ("state just fresh enough", &only_states, START_MS + 5000 + HOUR, Some(HOUR), Expect::Accepted),
        ("an age demanded of a subject without state", &bundle, START_MS + 60_000, Some(HOUR), Expect::Refused(8)),
        ("an age demanded without states", &without_states, START_MS + 60_000, Some(HOUR), Expect::Refused(8)),
    ];
    let timed = cases.into_iter().map(|(about, file, as_of_ms, max_age_ms, expect)| {
        let mut vector = vector("time", about, ledger, file.clone(), expect);
        (vector.as_of_ms, vector.max_age_ms) = (as_of_ms, max_age_ms);
        vector
    });
    timed.collect()
}

/// The pinned genesis itself is wrong: whoever gives it is told so.
fn geneses(ledger: &Ledger, bundle: &Bundle) -> Vec<Vector> {
    let bytes = &ledger.genesis;
    let flips = (0..bytes.len()).step_by(97).map(|position| {
        let mut genesis = bytes.clone();
        genesis[position] ^= 1;
        let mut bundle = bundle.clone();
        bundle.genesis = Bytes(genesis.clone());
        let about = format!("pinned genesis with a flipped bit in byte {position}");
        let mut vector = vector("genesis", &about, ledger, encode(&bundle), Expect::Refused(2));
        vector.genesis = genesis;
        vector
    });
    let mut all: Vec<_> = flips.collect();
    let mut low = vector("genesis", "consensus key of small order", ledger, vec![], Expect::Refused(2));
    low.genesis = genesis_with_small_order_key();
    let mut bundle = bundle.clone();
    bundle.genesis = Bytes(low.genesis.clone());
    low.file = encode(&bundle);
    all.push(low);
    all
}

/// The platform's consensus key is the neutral element: R neutral and S = 0 "sign" every message.
fn genesis_with_small_order_key() -> Vec<u8> {
    const NEUTRAL: [u8; 32] = {
        let mut point = [0; 32];
        point[0] = 1;
        point
    };
    let mut cards: Vec<_> = (0..4).map(card).collect();
    edit::<Organisation>(&mut cards[3].organisation, |o| o.validator.as_mut().unwrap().consensus_key = Hash32(NEUTRAL));
    let message = card_message(&cards[3].organisation);
    for signature in &mut cards[3].signatures {
        signature.signature = match signature.purpose.as_str() {
            "consensus" => Bytes([NEUTRAL, [0; 32]].concat()),
            purpose => sign(&key(3, purpose), &message),
        };
    }
    encode(&genesis_of(cards))
}
