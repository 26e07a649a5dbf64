//! Many signers on one file: fields reserved before the first signature, a certification by the initiator,
//! locks by the others. Every earlier signature stays valid for pyHanko, validation data included.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::{self, EmptyField, FieldRequest, Lock, Policy, SignError};
use support::ltv::{Tsa, archived};
use support::{Demo, NOW_MS, oracle, request};

const SIGNERS: usize = 10;

fn contract() -> Vec<u8> {
    render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap().pdf
}

fn name(index: usize) -> String {
    format!("qz-slot-{index}")
}

/// Five in a row, two rows.
fn place(index: usize) -> (f64, f64) {
    (15.0 + 35.0 * (index % 5) as f64, 20.0 + 40.0 * (index / 5) as f64)
}

/// Every signer but the first fixes its own field.
fn reserved(pdf: &[u8], side_mm: f64) -> Vec<u8> {
    let field = |index: usize| {
        let (x_mm, y_mm) = place(index);
        let lock = (index > 0).then(|| Lock::Only(vec![name(index)]));
        EmptyField { name: name(index), page: 1, x_mm, y_mm, width_mm: side_mm, height_mm: side_mm, lock }
    };
    sign::reserve(pdf, &(0..SIGNERS).map(field).collect::<Vec<_>>()).unwrap()
}

/// Verdicts of pyHanko: how many signatures are valid.
fn valid(demo: &Demo, tsa: Option<&Tsa>, pdf: &[u8]) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("ca.pem"), demo.ca_pem()).unwrap();
    std::fs::write(path("signed.pdf"), pdf).unwrap();
    let (ok, text) = oracle(&["structure", &path("signed.pdf")]);
    assert!(ok, "{text}");
    let (_, text) = match tsa {
        None => oracle(&["validate", &path("ca.pem"), &path("signed.pdf")]),
        Some(tsa) => {
            std::fs::write(path("tsa.pem"), qz_document::ca::to_pem(&tsa.root).unwrap()).unwrap();
            oracle(&["validate-stamped", &path("ca.pem"), &path("tsa.pem"), &path("signed.pdf")])
        }
    };
    (text.matches("judged VALID").count(), text)
}

#[test]
fn ten_signers_after_a_certification() {
    let (demo, tsa) = (Demo::new(), Tsa::new());
    let imprint = seal::name_seal("周雅文").unwrap();
    let mut pdf = reserved(&contract(), imprint.width_mm);
    let field = |index: usize| {
        let (x_mm, y_mm) = place(index);
        let policy = if index == 0 { Policy::Certification } else { Policy::Approval };
        (name(index), FieldRequest { x_mm, y_mm, policy, ..request("", &imprint, "周雅文") })
    };
    for index in 0..SIGNERS {
        let (name, request) = field(index);
        let signer = [&demo.buyer, &demo.seller, &demo.person][index % 3];
        let before = pdf.clone();
        pdf = demo.sign(&pdf, signer, &FieldRequest { field_name: &name, ..request });
        assert_eq!(&pdf[..before.len()], before);
    }
    let (count, text) = valid(&demo, None, &pdf);
    assert_eq!(count, SIGNERS, "{text}");
    let ours = qz_evidence_pdf::signatures(&pdf).unwrap();
    assert!(ours.len() == SIGNERS && ours.iter().all(|one| one.cms_ok.is_ok()));

    // What comes behind is refused here, and pyHanko would not have it either.
    let (_, request) = field(0);
    let more = FieldRequest { field_name: "qz-slot-10", x_mm: 100.0, y_mm: 120.0, ..request.clone() };
    let approval = FieldRequest { policy: Policy::Approval, ..more.clone() };
    assert!(matches!(sign::prepare(&pdf, &approval), Err(SignError::Certified)));
    let late =
        EmptyField { name: "late".into(), page: 1, x_mm: 1.0, y_mm: 1.0, width_mm: 9.0, height_mm: 9.0, lock: None };
    assert!(matches!(sign::reserve(&pdf, &[late]), Err(SignError::Certified)));

    // Validation data and a timestamp over the file are no change of what was signed.
    let archive = archived(&demo.with_validation_data(&pdf, &tsa, &[]), &tsa, "qz-timestamp-1");
    let (count, text) = valid(&demo, Some(&tsa), &archive);
    assert_eq!(count, SIGNERS, "{text}");
}

#[test]
fn a_reserved_field_is_filled_where_it_was_reserved() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let pdf = reserved(&contract(), imprint.width_mm);
    let (x_mm, y_mm) = place(3);
    let good = FieldRequest { x_mm, y_mm, ..request("qz-slot-3", &imprint, "周雅文") };
    let elsewhere = FieldRequest { x_mm: x_mm + 5.0, ..good.clone() };
    assert!(matches!(sign::prepare(&pdf, &elsewhere), Err(SignError::FieldElsewhere(_))));
    let signed = demo.sign(&pdf, &demo.buyer, &good);
    assert!(matches!(sign::prepare(&signed, &good), Err(SignError::FieldLocked(_))));
    let (x_mm, y_mm) = place(0);
    let certification =
        FieldRequest { x_mm, y_mm, policy: Policy::Certification, ..request("qz-slot-0", &imprint, "周雅文") };
    assert!(matches!(sign::prepare(&signed, &certification), Err(SignError::NotFirst)));
    assert!(matches!(
        sign::reserve(
            &pdf,
            &[EmptyField { name: "qz-slot-0".into(), page: 1, x_mm, y_mm, width_mm: 9.0, height_mm: 9.0, lock: None }]
        ),
        Err(SignError::FieldExists(_))
    ));
}

#[test]
fn the_last_signer_may_lock_everything() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let once = demo.sign(&contract(), &demo.buyer, &request("sig-a", &imprint, "甲"));
    let last = FieldRequest { x_mm: 80.0, policy: Policy::Locking(Lock::All), ..request("sig-b", &imprint, "乙") };
    let twice = demo.sign(&once, &demo.seller, &last);
    let (count, text) = valid(&demo, None, &twice);
    assert_eq!(count, 2, "{text}");
    let third = FieldRequest { x_mm: 120.0, ..request("sig-c", &imprint, "丙") };
    assert!(matches!(sign::prepare(&twice, &third), Err(SignError::FieldLocked(_))));
}
