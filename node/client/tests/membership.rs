//! A witness over changes of governance: a member's witness key is replaced, another member leaves the validators.
//! The ledger is put together from the formats; with real nodes see testnet/tests/governance.rs.
#![allow(clippy::unwrap_used)]

#[path = "../../../evidence/tests/ledger/mod.rs"]
mod ledger;

use ledger::{Ledger, ORGS, START_MS, card, key, public, sign};
use qz_client::witness::{GOVERNANCE_FILE, Witness, WitnessHome, WitnessHomeError};
use qz_client::{Membership, MembershipError};
use qz_evidence::checkpoint::{SignedCheckpoint, TreeHead, member_keys};
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::genesis::{Genesis, Organisation, card_message};
use qz_evidence::note::{NoteSignature, SignedNote};
use qz_evidence::payload::{Change, GovernanceChanged, Payload};
use qz_evidence::state_proof::{Status, SubjectType};
use qz_evidence::{Hash32, OrgId, SubjectId};

/// Indices of [`ORGS`].
const ARBITRATION: usize = 0;
const COURT: usize = 1;
const NOTARY: usize = 2;
const PLATFORM: usize = 3;
/// Block 2 replaces the platform's witness key; block 4 hands over to the others without arbitration.
const ROTATED: u64 = 2;
const HANDED_OVER: u64 = 4;

fn governance(ledger: &Ledger) -> SubjectId {
    SubjectId::governance(&ledger.chain_id)
}

fn change(ledger: &mut Ledger, change: Change) {
    ledger.relay = (COURT, "relay");
    let body = ledger.body(Payload::GovernanceChanged(GovernanceChanged { change }), &[]);
    let offices = [ARBITRATION, COURT, NOTARY]
        .map(|i| (SubjectId::of_organisation(&ledger.chain_id, &OrgId::new(ORGS[i].0).unwrap()), key(i, "office")));
    let actors: Vec<_> = offices.iter().map(|(subject, key)| (*subject, key)).collect();
    let subject = governance(ledger);
    let record = ledger.record(&body, &actors, &[subject]);
    ledger.set_last_of(&subject, &record);
    ledger.block(vec![record]);
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::empty();
    ledger.tracked = vec![(governance(&ledger), SubjectType::Governance, Status::Active)];
    ledger.hand_over_at(HANDED_OVER, &[COURT, NOTARY, PLATFORM]);
    ledger.block(vec![]);
    ledger.block(vec![]);
    let mut changed = card(PLATFORM);
    let mut organisation: Organisation = decode_strict(&changed.organisation).unwrap();
    organisation.witness_key = public(&key(PLATFORM, "witness-2"));
    changed.organisation = Bytes(encode(&organisation));
    let message = card_message(&changed.organisation);
    for signature in &mut changed.signatures {
        let purpose = if signature.purpose == "witness" { "witness-2" } else { signature.purpose.as_str() };
        signature.signature = sign(&key(PLATFORM, purpose), &message);
    }
    change(&mut ledger, Change::PutOrganisation(Bytes(encode(&changed))));
    ledger.block(vec![]);
    let three = ledger::set_of(&[COURT, NOTARY, PLATFORM]).validators().to_vec();
    change(&mut ledger, Change::SetValidators(three));
    for _ in 0..3 {
        ledger.block(vec![]);
    }
    ledger
}

fn now_ms() -> u64 {
    START_MS + 60_000
}

/// A note over `size` headers by these keys.
fn note(ledger: &Ledger, size: u64, signers: &[(usize, &str)]) -> SignedNote {
    let text = TreeHead::new(&ledger.chain_id, size, Hash32([size as u8; 32])).to_string();
    let mut note = SignedNote { text, signatures: vec![] };
    for (organisation, purpose) in signers {
        let secret = key(*organisation, purpose);
        let id = OrgId::new(ORGS[*organisation].0).unwrap();
        let [log, _] = member_keys(&ledger.chain_id, &id, &public(&secret)).unwrap();
        let signature: [u8; 64] = sign(&secret, note.text.as_bytes()).0.try_into().unwrap();
        note.add(NoteSignature::new(&log, None, &signature)).unwrap();
    }
    note
}

fn proof(ledger: &Ledger) -> Vec<u8> {
    encode(&ledger.bundle_of(&[2, 4], &[governance(ledger)]))
}

#[test]
fn members_are_those_of_the_complete_history() {
    let ledger = ledger();
    let genesis = Genesis::open(&ledger.genesis).unwrap();
    let members = Membership::proven_by(&genesis, &[proof(&ledger)], now_ms()).unwrap();
    assert_eq!((members.as_of().0, members.changes(), members.epoch()), (7, 2, 1));
    let platform = members.organisation(&OrgId::new("platform").unwrap()).unwrap();
    assert_eq!(platform.witness_key, public(&key(PLATFORM, "witness-2")));
    assert_eq!(members.organisations().count(), 4, "arbitration is still a member");

    // A part of the history proves nothing, and neither does the history of something else.
    for heights in [&[2][..], &[4], &[]] {
        let part = encode(&ledger.bundle_of(heights, &[governance(&ledger)]));
        let error = Membership::proven_by(&genesis, &[part], now_ms()).unwrap_err();
        assert!(matches!(error, MembershipError::History(_)), "{error}");
    }
    let other = encode(&ledger.bundle_of(&[2, 4], &[SubjectId(Hash32([1; 32]))]));
    assert!(Membership::proven_by(&genesis, &[other], now_ms()).is_err());
    assert!(Membership::proven_by(&genesis, &[], now_ms()).is_err());
}

#[test]
fn a_witness_counts_the_keys_and_validators_of_each_height() {
    let ledger = ledger();
    let genesis = Genesis::open(&ledger.genesis).unwrap();
    let folder = tempfile::tempdir().unwrap();
    WitnessHome::create(folder.path(), "witness.example/w1").unwrap();
    let open = || Witness::open(WitnessHome::open(folder.path()).unwrap(), &genesis).unwrap();
    let witness = open();
    let counts = |witness: &Witness, size: u64, signers: &[(usize, &str)]| {
        let note = note(&ledger, size, signers).to_string();
        witness.is_of_the_log(&SignedCheckpoint::parse(note.as_bytes()).unwrap())
    };
    let (old, new) = ((PLATFORM, "witness"), (PLATFORM, "witness-2"));
    let (court, notary, arbitration) = ((COURT, "witness"), (NOTARY, "witness"), (ARBITRATION, "witness"));

    // By the genesis alone, the new key is a stranger's.
    assert!(counts(&witness, 7, &[court, notary, old]));
    assert!(!counts(&witness, 7, &[court, notary, new]));
    let bundle = proof(&ledger);
    let members = Membership::proven_by(&genesis, std::slice::from_ref(&bundle), now_ms()).unwrap();
    witness.renew_members(members.clone(), std::slice::from_ref(&bundle)).unwrap();

    let check = |witness: &Witness| {
        let (before, after) = (ROTATED + 1, ROTATED + 2);
        // The replaced key counts up to the block that replaced it, the new one always.
        assert!(counts(witness, before, &[court, notary, old]));
        assert!(!counts(witness, after, &[court, notary, old]));
        assert!(counts(witness, before, &[court, notary, new]) && counts(witness, after, &[court, notary, new]));
        assert!(!counts(witness, before, &[court, old, new]), "one member twice");
        // Three of four, then all of three: two of them have no more than two thirds.
        let (last, next) = (HANDED_OVER + 1, HANDED_OVER + 2);
        assert!(counts(witness, last, &[court, notary, arbitration]));
        assert!(!counts(witness, next, &[court, notary, arbitration]));
        assert!(counts(witness, next, &[court, notary, new]));
        assert!(!counts(witness, next, &[court, notary]));
        // Of later blocks it knows nothing else.
        assert!(counts(witness, 1000, &[court, notary, new]) && !counts(witness, 1000, &[court, notary, old]));
    };
    check(&witness);
    // Older members are not taken again.
    witness.renew_members(Membership::of_genesis(&genesis), &[]).unwrap();
    check(&witness);
    drop(witness);

    // A new process knows them from the proof that was kept, and refuses one that does not hold.
    check(&open());
    let file = folder.path().join(GOVERNANCE_FILE);
    let mut damaged = std::fs::read(&file).unwrap();
    let place = damaged.len() / 2;
    damaged[place] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let home = WitnessHome::open(folder.path()).unwrap();
    assert!(matches!(Witness::open(home, &genesis), Err(WitnessHomeError::Governance { .. })));
}
