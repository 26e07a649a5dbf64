//! Changes of the consortium: who may make them, what each may do, and from which height on.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::{Ledger, card_with, commitments, member_key, org, proposer, public, relay};
use qz_chain::governance::{UPGRADE_NOTICE, check_protocol, replay};
use qz_chain::{
    MemoryView, SUPPORTED_PROTOCOL, SubjectState, Upgrade, Verified, View, execute, pending_upgrade, propose,
};
use qz_evidence::codec::Bytes;
use qz_evidence::genesis::{Card, Params, Role};
use qz_evidence::header::Header;
use qz_evidence::payload::{Change, EvidenceDeposited, Payload};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::Parsed;
use qz_evidence::validators::{Validator, ValidatorSet};
use qz_evidence::{Height, SubjectId, encode};

/// A certificate authority; `n` changes its public key.
fn authority(n: u8) -> Bytes {
    let mut der = include_bytes!("../../evidence/pdf/tests/data/root.der").to_vec();
    let point = der.windows(4).position(|w| w == [0x03, 0x42, 0x00, 0x04]).unwrap();
    der[point + 10] ^= n;
    Bytes(der)
}

/// The same authority in another certificate.
fn reissued(authority: &Bytes) -> Bytes {
    let mut der = authority.0.clone();
    let last = der.len() - 1;
    der[last] ^= 1;
    Bytes(der)
}

fn fifth() -> Card {
    card_with("fifth", &[Role::Platform, Role::Attestor], "fifth", |o| o.tls_ca = authority(1))
}

fn put(card: &Card) -> Change {
    Change::PutOrganisation(Bytes(encode(card)))
}

fn validator(name: &str, keys: &str, power: u64) -> Validator {
    Validator { organisation: org(name), key: public(&member_key(keys, "consensus")), power }
}

/// The change to a set of these members with the keys of the same names.
fn validators(names: &[&str]) -> Change {
    let set = ValidatorSet::new(names.iter().map(|name| validator(name, name, 1)).collect()).unwrap();
    Change::SetValidators(set.validators().to_vec())
}

fn params(ledger: &Ledger, change: impl Fn(&mut Params)) -> Change {
    let mut params = ledger.view.params().unwrap();
    change(&mut params);
    Change::SetParams(Bytes(encode(&params)))
}

/// A deposit, which needs nobody's signature, relayed by this member.
fn deposit(ledger: &mut Ledger, member: &str) -> Parsed {
    let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
    let body = ledger.body(payload, commitments(&["document.sha256"]));
    relay(&body, vec![], member)
}

fn tip(ledger: &Ledger) -> Header {
    ledger.view.tip().unwrap()
}

fn refused(ledger: &mut Ledger, change: Change) -> &'static str {
    let submission = ledger.agreed(change);
    ledger.refusal(&submission)
}

fn accept(ledger: &mut Ledger, change: Change) {
    let submission = ledger.agreed(change);
    ledger.record(&submission);
}

#[test]
fn a_quorum_of_distinct_members_has_to_approve() {
    let mut ledger = Ledger::new();
    let table: [(&[&str], &str); 8] = [
        (&[], "governance.quorum"),
        (&["court", "notary"], "governance.quorum"),
        (&["court", "notary", "court"], "governance.signed_twice"),
        (&["court", "notary", "notary", "platform"], "governance.signed_twice"),
        (&["court", "notary", "stranger"], "actor.not_entitled"),
        (&["court", "notary", "platform", "stranger"], "actor.not_entitled"),
        (&["court", "notary", "platform"], "accepted"),
        (&["arbitration", "court", "notary", "platform"], "accepted"),
    ];
    for (offices, expected) in table {
        let change = ledger.change(put(&fifth()), offices);
        assert_eq!(ledger.refusal(&change), expected, "{offices:?}");
    }
    // The right names, one of them signed by another key.
    let approved = ledger.change(put(&fifth()), &["court", "notary", "platform"]);
    let mut actors = approved.submission().actors.clone();
    actors[1].signature = actors[0].signature.clone();
    let forged = relay(approved.body(), actors, "platform");
    assert_eq!(ledger.refusal(&forged), "actor.signature");
}

#[test]
fn an_admitted_organisation_relays_attests_and_governs_but_does_not_validate_yet() {
    let mut ledger = Ledger::new();
    let early = deposit(&mut ledger, "fifth");
    assert_eq!(ledger.refusal(&early), "relay.unknown");
    accept(&mut ledger, put(&fifth()));
    let subject = SubjectId::of_organisation(&ledger.chain_id(), &org("fifth"));
    let SubjectState::Organisation(state) = ledger.state(subject) else { panic!("another type") };
    assert_eq!(state.status, Status::Active);
    assert_eq!(ledger.view.organisations().unwrap().len(), 5);
    assert_eq!(tip(&ledger).next_validators_hash, ledger.genesis.validators().hash());
    let first = deposit(&mut ledger, "fifth");
    ledger.record(&first);
    let registration = ledger.registration("somebody", "fifth");
    ledger.record(&registration);
    let change = ledger.change(validators(&["court", "fifth", "notary", "platform"]), &["court", "notary", "fifth"]);
    ledger.record(&change);
}

#[test]
fn cards_are_checked() {
    let mut ledger = Ledger::new();
    accept(&mut ledger, put(&card_with("court", &[Role::Court], "court", |o| o.tls_ca = authority(9))));
    let mut altered = fifth();
    altered.signatures[2].signature.0[5] ^= 1;
    let mut unsigned = fifth();
    unsigned.signatures.pop();
    let roles = [Role::Platform];
    let shared = |change: fn(&mut qz_evidence::genesis::Organisation)| card_with("fifth", &roles, "fifth", change);
    let table = [
        ("a proof of possession fails", put(&altered), "governance.card"),
        ("one is missing", put(&unsigned), "governance.card"),
        ("no card at all", Change::PutOrganisation(Bytes(vec![0x80])), "governance.card"),
        ("trailing byte", Change::PutOrganisation(Bytes([encode(&fifth()), vec![0]].concat())), "governance.card"),
        (
            "another member's relay key",
            put(&shared(|o| o.relay_key = public(&member_key("notary", "relay")))),
            "governance.key_shared",
        ),
        (
            "another member's consensus key as office key",
            put(&shared(|o| o.office_key = public(&member_key("court", "consensus")))),
            "governance.key_shared",
        ),
        ("one key for two purposes", put(&shared(|o| o.witness_key = o.relay_key)), "governance.key_shared"),
        ("another member's TLS CA", put(&shared(|o| o.tls_ca = authority(9))), "governance.authority"),
        (
            "its key in another certificate",
            put(&shared(|o| o.tls_ca = reissued(&authority(9)))),
            "governance.authority",
        ),
        ("a TLS CA that is none", put(&shared(|o| o.tls_ca = Bytes(vec![1, 2]))), "governance.authority"),
        (
            "the card in force",
            put(&card_with("court", &[Role::Court], "court", |o| o.tls_ca = authority(9))),
            "governance.unchanged",
        ),
        ("an organisation may have no TLS CA", put(&shared(|_| {})), "accepted"),
        (
            "its own TLS CA and keys again",
            put(&card_with("court", &[Role::Court], "court", |o| {
                o.tls_ca = authority(9);
                o.name_en = "Court".into();
            })),
            "accepted",
        ),
    ];
    for (what, change, expected) in table {
        assert_eq!(refused(&mut ledger, change), expected, "{what}");
    }
}

#[test]
fn a_stolen_relay_key_is_revoked_by_a_new_card() {
    let mut ledger = Ledger::new();
    let card = card_with("court", &[Role::Court], "court", |o| o.relay_key = public(&member_key("court 2", "relay")));
    let old = deposit(&mut ledger, "court");
    let change = ledger.agreed(put(&card));
    // The next submission of the same block sees it.
    let rejected = ledger.block(&[change, old]);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["relay.key"]);
    let old = deposit(&mut ledger, "court");
    assert_eq!(ledger.refusal(&old), "relay.key");
    assert_eq!(tip(&ledger).epoch, 0, "the set is the same");
    assert_eq!(tip(&ledger).next_validators_hash, tip(&ledger).validators_hash);
}

#[test]
fn a_removed_member_neither_relays_nor_approves_nor_validates() {
    let mut ledger = Ledger::new();
    accept(&mut ledger, Change::RemoveOrganisation(org("arbitration")));
    let removed = tip(&ledger);
    assert_ne!(removed.next_validators_hash, removed.validators_hash);
    assert_eq!(removed.epoch, 0);
    let subject = SubjectId::of_organisation(&ledger.chain_id(), &org("arbitration"));
    assert_eq!(ledger.view.subject(&subject).unwrap().unwrap().state.status(), Status::Revoked);
    let member = ledger.view.organisations().unwrap().into_iter().find(|m| *m.id() == org("arbitration")).unwrap();
    assert_eq!((member.status, member.since), (Status::Revoked, removed.height));
    let relayed = deposit(&mut ledger, "arbitration");
    assert_eq!(ledger.refusal(&relayed), "relay.unknown");
    let change = ledger.change(put(&fifth()), &["arbitration", "court", "notary", "platform"]);
    assert_eq!(ledger.refusal(&change), "actor.not_entitled");
    ledger.block(&[]);
    let next = tip(&ledger);
    assert_eq!((next.epoch, next.validators_hash), (1, removed.next_validators_hash));
    assert_eq!(ledger.view.validators().unwrap().validators().len(), 3);
    // Three are left, and three must approve: none can go before the quorum is lowered.
    let notary_leaves = Change::RemoveOrganisation(org("notary"));
    let others = ["court", "notary", "platform"];
    let change = ledger.change(notary_leaves.clone(), &others);
    assert_eq!(ledger.refusal(&change), "governance.too_few");
    let lower = params(&ledger, |p| p.governance_quorum = 2);
    let lower = ledger.change(lower, &others);
    let change = ledger.change(notary_leaves, &others);
    assert_eq!(ledger.block(&[lower, change]), []);
    for id in ["arbitration", "nobody"] {
        let change = ledger.change(Change::RemoveOrganisation(org(id)), &["court", "platform"]);
        assert_eq!(ledger.refusal(&change), "governance.member_unknown", "{id}");
    }
    // A former member can come back.
    let change = put(&card_with("arbitration", &[Role::Arbitration], "arbitration", |_| {}));
    let change = ledger.change(change, &["court", "platform"]);
    ledger.record(&change);
    let relayed = deposit(&mut ledger, "arbitration");
    ledger.record(&relayed);
}

#[test]
fn the_last_validator_cannot_leave() {
    let mut ledger = Ledger::new();
    accept(&mut ledger, validators(&["court"]));
    assert_eq!(refused(&mut ledger, Change::RemoveOrganisation(org("court"))), "governance.validators");
    let without = card_with("court", &[Role::Court], "court", |o| o.validator = None);
    assert_eq!(refused(&mut ledger, put(&without)), "governance.validators");
}

#[test]
fn validator_sets_are_checked() {
    let mut ledger = Ledger::new();
    let observer = card_with("watcher", &[Role::Observer], "watcher", |o| o.validator = None);
    accept(&mut ledger, put(&observer));
    let watched = deposit(&mut ledger, "watcher");
    assert_eq!(ledger.refusal(&watched), "relay.observer");
    let same = ledger.genesis.validators().validators().to_vec();
    let mut reversed = same.clone();
    reversed.reverse();
    let one = |v: Validator| Change::SetValidators(vec![v]);
    let table = [
        ("nobody", Change::SetValidators(vec![]), "governance.validators"),
        ("the set in force", Change::SetValidators(same.clone()), "governance.unchanged"),
        ("not ascending", Change::SetValidators(reversed), "governance.validators"),
        ("one twice", Change::SetValidators(vec![same[0].clone(), same[0].clone()]), "governance.validators"),
        ("no power", one(Validator { power: 0, ..same[0].clone() }), "governance.validators"),
        ("too much power", one(Validator { power: 1_000_001, ..same[0].clone() }), "governance.validators"),
        ("no member", one(validator("fifth", "fifth", 1)), "governance.validator_unknown"),
        ("another's key", one(validator("court", "notary", 1)), "governance.validator_unknown"),
        ("a member without validator", one(validator("watcher", "watcher", 1)), "governance.validator_unknown"),
        ("other powers", one(Validator { power: 7, ..same[0].clone() }), "accepted"),
    ];
    for (what, change, expected) in table {
        assert_eq!(refused(&mut ledger, change), expected, "{what}");
    }
}

#[test]
fn epochs_begin_at_the_height_after_the_change() {
    let mut ledger = Ledger::new();
    let zero = ledger.genesis.validators().hash();
    ledger.block(&[]);
    let set = |ledger: &Ledger| (tip(ledger).epoch, tip(ledger).validators_hash, tip(ledger).next_validators_hash);
    assert_eq!(set(&ledger), (0, zero, zero));
    accept(&mut ledger, validators(&["court", "notary", "platform"]));
    let one = ledger.view.validators().unwrap().hash();
    assert_eq!(set(&ledger), (0, zero, one));
    // Only one of the set may propose from now on.
    let stranger = propose(&ledger.view, [], 1_900_000_000_000, proposer("arbitration"), &Verified::default()).unwrap();
    let error = execute(&ledger.view, &stranger.block, &Verified::default()).unwrap_err();
    assert!(error.to_string().contains("not a validator of this height"), "{error}");
    ledger.block(&[]);
    assert_eq!(set(&ledger), (1, one, one));
    // Back to the first set is an epoch of its own, and the next height may change it again.
    let first = ledger.genesis.validators().validators().to_vec();
    accept(&mut ledger, Change::SetValidators(first));
    assert_eq!(set(&ledger), (1, one, zero));
    accept(&mut ledger, validators(&["court", "notary"]));
    let three = ledger.view.validators().unwrap().hash();
    assert_eq!(set(&ledger), (2, zero, three));
    ledger.block(&[]);
    assert_eq!(set(&ledger), (3, three, three));
    // There and back in one block is no change of the set.
    let there = ledger.agreed(validators(&["court", "platform"]));
    let back = ledger.agreed(validators(&["court", "notary"]));
    assert_eq!(ledger.block(&[there, back]), []);
    assert_eq!(set(&ledger), (3, three, three));
    ledger.block(&[]);
    assert_eq!(set(&ledger), (3, three, three));
    replays_identically(&ledger);
}

#[test]
fn a_consensus_key_is_rotated_in_the_set_at_the_power_it_has_there() {
    let mut ledger = Ledger::new();
    let mut set = ledger.genesis.validators().validators().to_vec();
    set.iter_mut().find(|v| v.organisation == org("notary")).unwrap().power = 3;
    accept(&mut ledger, Change::SetValidators(set));
    let rotated = card_with("notary", &[Role::Notary, Role::Attestor], "notary 2", |o| {
        if let Some(validator) = &mut o.validator {
            validator.power = 50;
        }
    });
    accept(&mut ledger, put(&rotated));
    let now = ledger.view.validators().unwrap();
    assert_eq!(now.total_power(), 6);
    assert!(now.validators().contains(&validator("notary", "notary 2", 3)));
    assert!(!now.validators().contains(&validator("notary", "notary", 3)));
    // Without a validator in its card it leaves the set.
    let without = card_with("notary", &[Role::Notary, Role::Attestor], "notary 2", |o| o.validator = None);
    let change = ledger.change(put(&without), &["arbitration", "court", "platform"]);
    ledger.record(&change);
    assert_eq!(ledger.view.validators().unwrap().validators().len(), 3);
    replays_identically(&ledger);
}

#[test]
fn parameters_are_checked_and_in_force_at_the_next_height() {
    let mut ledger = Ledger::new();
    type Case = (&'static str, fn(&mut Params), &'static str);
    let bad: [Case; 9] = [
        ("window too small", |p| p.window = 15, "governance.params"),
        ("window too large", |p| p.window = 1_000_001, "governance.params"),
        ("blocks too small", |p| p.max_block_bytes = 65_535, "governance.params"),
        ("blocks larger than the engine takes", |p| p.max_block_bytes = 2_097_153, "governance.params"),
        ("no record at all", |p| p.max_block_records = 0, "governance.params"),
        ("more approvals than members", |p| p.governance_quorum = 5, "governance.params"),
        ("not a majority", |p| p.governance_quorum = 2, "governance.majority"),
        ("another protocol", |p| p.protocol = 2, "governance.protocol"),
        ("the same", |_| {}, "governance.unchanged"),
    ];
    for (what, change, expected) in bad {
        let change = params(&ledger, change);
        assert_eq!(refused(&mut ledger, change), expected, "{what}");
    }
    assert_eq!(refused(&mut ledger, Change::SetParams(Bytes(vec![0x80]))), "governance.params");
    let before = ledger.view.params().unwrap();
    let change = params(&ledger, |p| {
        p.max_block_records = 2;
        p.foreign_attestor = false;
    });
    accept(&mut ledger, change);
    assert_eq!(tip(&ledger).params_hash, before.hash(), "decided under the old ones");
    let after = ledger.view.params().unwrap();
    assert_eq!((after.max_block_records, after.foreign_attestor), (2, false));
    let three: Vec<_> = (0..3).map(|_| deposit(&mut ledger, "court")).collect();
    ledger.block(&three);
    assert_eq!((tip(&ledger).params_hash, tip(&ledger).record_count), (after.hash(), 2));
    assert_eq!(tip(&ledger).epoch, 0, "epochs are of validator sets only");
    replays_identically(&ledger);
}

#[test]
fn an_upgrade_takes_effect_at_exactly_its_height() {
    let mut ledger = Ledger::new();
    let now = ledger.height().next();
    let table = [
        ("no notice", 2, now.0 + UPGRADE_NOTICE - 1, "governance.upgrade"),
        ("no newer version", 1, now.0 + 100, "governance.upgrade"),
        ("no version", 0, now.0 + 100, "governance.upgrade"),
        ("the least notice", 2, now.0 + UPGRADE_NOTICE, "accepted"),
        ("two versions on", 3, now.0 + UPGRADE_NOTICE, "accepted"),
    ];
    for (what, version, height, expected) in table {
        assert_eq!(refused(&mut ledger, Change::Upgrade(version, Height(height))), expected, "{what}");
    }
    let at = Height(now.0 + UPGRADE_NOTICE);
    let upgrade = Upgrade { version: 2, height: at };
    accept(&mut ledger, Change::Upgrade(2, at));
    assert_eq!(refused(&mut ledger, Change::Upgrade(2, at)), "governance.unchanged");
    // Taken back, and decided again.
    accept(&mut ledger, Change::Upgrade(1, Height(0)));
    assert_eq!(pending_upgrade(&ledger.view).unwrap(), None);
    assert_eq!(refused(&mut ledger, Change::Upgrade(1, Height(0))), "governance.upgrade");
    let at = Height(ledger.height().0 + 1 + UPGRADE_NOTICE);
    accept(&mut ledger, Change::Upgrade(2, at));
    let upgrade = Upgrade { height: at, ..upgrade };
    let one = ledger.view.params().unwrap();
    while ledger.height().0 + 1 < at.0 {
        assert_eq!(pending_upgrade(&ledger.view).unwrap(), Some(upgrade));
        assert_eq!((tip(&ledger).params_hash, ledger.view.params().unwrap().protocol), (one.hash(), 1));
        ledger.block(&[]);
    }
    assert_eq!(pending_upgrade(&ledger.view).unwrap(), None);
    assert_eq!(tip(&ledger).params_hash, one.hash());
    let two = ledger.view.params().unwrap();
    assert_eq!(two, Params { protocol: 2, ..one });
    ledger.block(&[]);
    assert_eq!((tip(&ledger).height, tip(&ledger).params_hash), (at, two.hash()));
    // Later changes build on the new version.
    let change = params(&ledger, |p| p.window += 1);
    accept(&mut ledger, change);
    assert_eq!(ledger.view.params().unwrap().protocol, 2);
    replays_identically(&ledger);
}

#[test]
fn a_program_without_the_rules_of_a_version_makes_and_judges_no_block_of_it() {
    let mut ledger = Ledger::new();
    let at = Height(ledger.height().0 + 1 + UPGRADE_NOTICE);
    let version = SUPPORTED_PROTOCOL + 1;
    accept(&mut ledger, Change::Upgrade(version, at));
    while ledger.height().next() < at {
        ledger.block(&[]);
    }
    assert!(check_protocol(SUPPORTED_PROTOCOL, at).is_ok());
    let unsupported = check_protocol(version, at).unwrap_err();
    let error = propose(&ledger.view, [], 1_900_000_000_000, proposer("court"), &Verified::default()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, unsupported.to_string());
    assert!(cause.contains(&format!("height {at} needs protocol version {version}")), "{cause}");
}

#[test]
fn the_governance_subject_has_every_change_without_gaps() {
    let mut ledger = Ledger::new();
    let governance = SubjectId::governance(&ledger.chain_id());
    assert_eq!(ledger.view.subject(&governance).unwrap(), None, "nothing changed yet, and that is provable");
    let admit = ledger.agreed(put(&fifth()));
    let set = ledger.agreed(validators(&["court", "fifth", "notary", "platform"]));
    assert_eq!(ledger.block(&[admit, set]), []);
    accept(&mut ledger, Change::RemoveOrganisation(org("arbitration")));
    let subject = ledger.view.subject(&governance).unwrap().unwrap();
    assert_eq!(subject.records, 3);
    let SubjectState::Governance(state) = &subject.state else { panic!("another type") };
    assert_eq!(state.members, ["court", "fifth", "notary", "platform"].map(org));
    assert_eq!(state.validators, ledger.view.validators().unwrap().hash());
    assert_eq!(state.params, ledger.view.params().unwrap().hash());
    let fifth = SubjectId::of_organisation(&ledger.chain_id(), &org("fifth"));
    assert_eq!(ledger.view.subject(&fifth).unwrap().unwrap().records, 1);
    let proof = qz_chain::state_proof(&ledger.view, ledger.height(), &governance).unwrap();
    assert_eq!(proof.root(), Some(tip(&ledger).state_root));
}

#[test]
fn replays_stay_refused_when_the_window_shrinks_and_grows() {
    let mut ledger = Ledger::with(100, true);
    // Recorded under a window of 100, so it expires after up to 100 heights.
    let body =
        ledger.body(Payload::EvidenceDeposited(EvidenceDeposited { about: None }), commitments(&["document.sha256"]));
    let body = qz_evidence::submission::Body { expiry: Height(ledger.height().0 + 90), ..body };
    let old = relay(&body, vec![], "court");
    ledger.record(&old);
    let change = params(&ledger, |p| p.window = 16);
    accept(&mut ledger, change);
    for _ in 0..75 {
        ledger.block(&[]);
    }
    // Its expiry is within the window again; only a memory of the larger one refuses it.
    assert_eq!(ledger.refusal(&old), "submission.duplicate");
    assert_eq!(replay(&ledger.view).unwrap().window, 100);
    let before = ledger.height();
    let change = params(&ledger, |p| p.window = 1000);
    accept(&mut ledger, change);
    let bounds = replay(&ledger.view).unwrap();
    // What the smaller window let nodes forget does not count for anybody.
    assert_eq!((bounds.window, bounds.from), (1000, Height((before.0 + 1).saturating_sub(100))));
    assert!(bounds.counts(before, before.next()) && !bounds.counts(Height(0), Height(1200)));
    replays_identically(&ledger);
}

/// Every header again from the genesis on.
fn replays_identically(ledger: &Ledger) {
    let mut view = MemoryView::new(&ledger.genesis).unwrap();
    for block in &ledger.blocks {
        let changes = execute(&view, block, &Verified::default()).unwrap();
        assert_eq!(changes.header, block.header.0);
        view.apply(&changes).unwrap();
    }
    assert_eq!(view.tip().unwrap(), tip(ledger));
    assert_eq!(view.organisations().unwrap(), ledger.view.organisations().unwrap());
    assert_eq!(view.validators().unwrap(), ledger.view.validators().unwrap());
}
