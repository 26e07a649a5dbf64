//! Whose relay key it is: the card in the genesis, or the one of a shown change of governance (SPEC §11,
//! step 7).

use crate::bundles::vector;
use crate::ledger::{Ledger, ORGS, card, key, public, sign};
use crate::vector::{Expect, Vector};
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::genesis::{Organisation, card_message};
use qz_evidence::payload::{Change, EvidenceDeposited, GovernanceChanged, Payload};
use qz_evidence::{OrgId, SubjectId};

/// What the platform's members do about its relay key at block 2; blocks 1 and 3 hold a deposit each.
fn ledger(change: Change, first: &'static str, last: &'static str) -> Ledger {
    let mut ledger = Ledger::empty();
    ledger.block(vec![]);
    let deposit = |ledger: &mut Ledger, relay: &'static str| {
        ledger.relay = (3, relay);
        let body = ledger.body(
            Payload::EvidenceDeposited(EvidenceDeposited { about: None }),
            &[("document.sha256", [relay.len() as u8; 32].as_slice())],
        );
        let subject = SubjectId::created_by(&ledger.chain_id, &body.digest());
        let record = ledger.record(&body, &[], &[subject]);
        ledger.block(vec![record]);
    };
    deposit(&mut ledger, first);
    ledger.relay = (1, "relay");
    let body = ledger.body(Payload::GovernanceChanged(GovernanceChanged { change }), &[]);
    let offices: Vec<_> = [0, 1, 2]
        .map(|i| (SubjectId::of_organisation(&ledger.chain_id, &OrgId::new(ORGS[i].0).unwrap()), key(i, "office")))
        .into();
    let actors: Vec<_> = offices.iter().map(|(subject, key)| (*subject, key)).collect();
    let subjects = [SubjectId(qz_evidence::hash::sha256(&[b"qz/governance-subject/v1", &ledger.chain_id.0]))];
    let record = ledger.record(&body, &actors, &subjects);
    ledger.block(vec![record]);
    deposit(&mut ledger, last);
    ledger.block(vec![]);
    ledger
}

/// The platform's card with another relay key.
fn new_card(forged: bool) -> Change {
    let mut card = card(3);
    let mut organisation: Organisation = decode_strict(&card.organisation).unwrap();
    organisation.relay_key = public(&key(3, "relay-2"));
    card.organisation = Bytes(encode(&organisation));
    let message = card_message(&card.organisation);
    for signature in &mut card.signatures {
        let purpose = if signature.purpose == "relay" && !forged { "relay-2" } else { signature.purpose.as_str() };
        signature.signature = sign(&key(3, purpose), &message);
    }
    Change::PutOrganisation(Bytes(encode(&card)))
}

pub fn vectors() -> Vec<Vector> {
    let removed = || Change::RemoveOrganisation(OrgId::new("platform").unwrap());
    let all: &[usize] = &[1, 2, 3];
    let cases = [
        ("accepted", "a rotated relay key", ledger(new_card(false), "relay", "relay-2"), all, Expect::Accepted),
        (
            "relay",
            "the old relay key after its rotation",
            ledger(new_card(false), "relay", "relay"),
            all,
            Expect::Refused(7),
        ),
        (
            "relay",
            "the new relay key before its rotation",
            ledger(new_card(false), "relay-2", "relay-2"),
            all,
            Expect::Refused(7),
        ),
        ("relay", "the rotation left out", ledger(new_card(false), "relay", "relay-2"), &[1, 3], Expect::Refused(7)),
        (
            "relay",
            "a card that its relay key did not sign",
            ledger(new_card(true), "relay", "relay-2"),
            all,
            Expect::Refused(7),
        ),
        (
            "accepted",
            "a record before the removal of its relay",
            ledger(removed(), "relay", "relay"),
            &[1, 2],
            Expect::Accepted,
        ),
        ("relay", "relayed after its removal", ledger(removed(), "relay", "relay"), all, Expect::Refused(7)),
    ];
    let made = cases.into_iter().map(|(group, about, ledger, heights, expect)| {
        vector(group, about, &ledger, encode(&ledger.bundle_of(heights, &[])), expect)
    });
    made.collect()
}
