//! Tests of the contract's states.
#![allow(clippy::unwrap_used)]
use super::*;

const V1: Hash32 = Hash32([1; 32]);

fn id(n: u8) -> SubjectId {
    SubjectId(Hash32([n; 32]))
}

fn slot(n: u8, group: u8) -> Slot {
    let field = Field { page: 1, x_mm: 50.0, y_mm: 50.0 };
    Slot {
        role: n,
        kind: SlotKind::Seal,
        subject: id(n),
        group,
        field,
        straddle: None,
        date: None,
        caption: false,
        signed: None,
    }
}

fn contract(status: Status, slots: Vec<Slot>, rules: &[Rule]) -> Contract {
    Contract {
        subject: id(200),
        status,
        initiator: id(100),
        slots,
        rules: rules.to_vec(),
        version: 1,
        version_commitment: Some(V1),
    }
}

fn sign(contract: Contract, slot: u8) -> Contract {
    contract.apply(Event::Signed { slot, operation: "op".into(), record: V1 }).unwrap()
}

#[test]
fn requests_by_state() {
    use Request::{Amend, Certify, Decline, Dispute, FixVersion, Fulfil, Sign};
    let all = [FixVersion, Sign { slot: 0 }, Decline { slot: 0 }, Amend, Fulfil, Certify, Dispute];
    let table: [(Status, &[Request]); 10] = [
        (Status::Opening, &[]),
        (Status::Opened, &[FixVersion]),
        (Status::Signing, &[FixVersion, Sign { slot: 0 }, Decline { slot: 0 }]),
        (Status::Signed, &[Dispute]),
        (Status::Completed, &[Amend, Fulfil, Certify, Dispute]),
        (Status::Declined, &[]),
        (Status::Failed, &[]),
        (Status::Terminated, &[Certify, Dispute]),
        (Status::Voided, &[Dispute]),
        (Status::Disputed, &[Fulfil, Certify, Dispute]),
    ];
    for (status, admitted) in table {
        let contract = contract(status, vec![slot(1, 1)], &[]);
        for request in all {
            assert_eq!(contract.admit(request).is_ok(), admitted.contains(&request), "{status:?} {request:?}");
        }
    }
}

#[test]
fn groups_sign_in_order_and_rules_say_how_many() {
    let start = contract(Status::Signing, vec![slot(1, 1), slot(2, 2), slot(3, 2)], &[Rule { group: 2, required: 1 }]);
    let code = |c: &Contract, slot| c.admit(Request::Sign { slot }).map_err(|r| r.code);
    assert_eq!(code(&start, 1), Err("slot.order"));
    assert_eq!(code(&start, 7), Err("slot.unknown"));
    let one = sign(start, 0);
    assert_eq!(one.status, Status::Signing);
    assert_eq!(code(&one, 0), Err("slot.signed"));
    assert_eq!(one.admit(Request::FixVersion).map_err(|r| r.code), Err("contract.partly_signed"));
    assert_eq!(code(&one, 2), Ok(()));
    let two = sign(one, 2);
    assert_eq!(two.status, Status::Signed);
    assert!(!two.document_is_current());
}

#[test]
fn records_move_it_on() {
    let fixed = Event::VersionFixed { version: 1, commitment: V1 };
    let opening = contract(Status::Opening, vec![slot(1, 1)], &[]);
    let opened = opening.clone().apply(Event::Opened).unwrap();
    assert_eq!(opened.status, Status::Opened);
    assert_eq!(opening.clone().apply(Event::NotOpened).unwrap().status, Status::Failed);
    assert!(opening.apply(fixed.clone()).is_err());
    let signing = opened.apply(fixed).unwrap();
    assert_eq!(signing.clone().apply(Event::Declined).unwrap().status, Status::Declined);
    let late = sign(signing.clone().apply(Event::Declined).unwrap(), 0);
    assert!(late.status == Status::Declined && late.slots[0].signed.is_some(), "signed@10, declined@11");
    let signed = sign(signing, 0);
    assert_eq!(signed.status, Status::Signed);
    assert_eq!(signed.apply(Event::Completed).unwrap().status, Status::Completed);
}

#[test]
fn it_follows_what_others_do_and_nothing_else() {
    use Status::{Completed, Disputed, Signed, Signing, Terminated, Voided};
    for (ours, ledger, after) in [
        (Completed, Disputed, Disputed),
        (Disputed, Completed, Completed),
        (Disputed, Signed, Signed),
        (Disputed, Terminated, Terminated),
        (Terminated, Disputed, Disputed),
        (Signing, Voided, Voided),
        // Our own operations tell this, with the file that belongs to it.
        (Signed, Completed, Signed),
        (Signing, Signed, Signing),
        (Completed, Signed, Completed),
    ] {
        assert_eq!(contract(ours, vec![slot(1, 1)], &[]).follow(ledger).status, after, "{ours:?} {ledger:?}");
    }
    let disputed = contract(Disputed, vec![slot(1, 1)], &[]);
    let late = sign(disputed, 0);
    assert!(late.status == Disputed && late.slots[0].signed.is_some());
    assert_eq!(late.apply(Event::Completed).unwrap().status, Disputed);
}

#[test]
fn plans_that_the_ledger_or_the_page_would_refuse() {
    let page = [Size { width_mm: 210.0, height_mm: 297.0 }];
    let size = Size { width_mm: 40.0, height_mm: 40.0 };
    let check = |slots: &[Slot], rules: &[Rule]| {
        plan(id(100), slots, rules, None, &page, |_| size).map(drop).map_err(|r| r.code)
    };
    assert_eq!(check(&[slot(1, 1), slot(2, 1)], &[Rule { group: 1, required: 2 }]), Ok(()));
    assert_eq!(check(&[], &[]), Err("slots.count"));
    assert_eq!(check(&[slot(7, 1)], &[]), Err("slot.role"));
    assert_eq!(check(&[slot(1, 1), slot(1, 2)], &[]), Err("slot.repeated"));
    assert_eq!(check(&[slot(1, 1)], &[Rule { group: 1, required: 2 }]), Err("rules.invalid"));
    assert_eq!(check(&[slot(1, 1)], &[Rule { group: 2, required: 1 }]), Err("rules.invalid"));
    let at = |page, x_mm, y_mm| Slot { field: Field { page, x_mm, y_mm }, ..slot(1, 1) };
    assert_eq!(check(&[at(2, 50.0, 50.0)], &[]), Err("field.page"));
    assert_eq!(check(&[at(0, 50.0, 50.0)], &[]), Err("field.page"));
    assert_eq!(check(&[at(1, 10.0, 50.0)], &[]), Err("field.outside"));
    assert_eq!(check(&[at(1, 50.0, f64::NAN)], &[]), Err("field.outside"));
}
