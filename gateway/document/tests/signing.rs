//! Signatures on many kinds of PDF, two after each other, judged by pyHanko and qpdf and read back by
//! the verifier's own reader.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::{self, FieldRequest, SignError};
use qz_evidence_pdf::signatures;
use support::classic::Classic;
use support::{Demo, NOW_MS, oracle, request};

/// Two signatures in sequence on `pdf`; both must hold for every judge.
fn check_two_signers(name: &str, pdf: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::new();
    let imprint = seal::company_seal(sample::BUYER, "合同专用章").unwrap();
    let second = seal::name_seal("周雅文").unwrap();
    let once = demo.sign(pdf, &demo.buyer, &request("sig-a", &imprint, sample::BUYER));
    let twice = demo.sign(
        &once,
        &demo.seller,
        &FieldRequest { x_mm: 70.0, y_mm: 40.0, ..request("sig-b", &second, sample::SELLER) },
    );
    assert_eq!(&twice[..once.len()], once, "{name}: an update never touches what is before it");
    assert_eq!(&once[..pdf.len()], pdf);

    let found = signatures(&twice).unwrap();
    assert_eq!(found.iter().map(|s| s.field.as_str()).collect::<Vec<_>>(), ["sig-a", "sig-b"], "{name}");
    assert_eq!(found[0].covers_to, once.len(), "{name}");
    assert!(!found[0].covers_whole_file && found[1].covers_whole_file, "{name}");
    for signature in &found {
        assert_eq!(signature.cms_ok, Ok(()), "{name}");
        assert_eq!(signature.chain_ders, [demo.ca.certificate_der()], "{name}");
        assert_eq!(signature.signing_time_m.as_deref(), Some("D:20261122100000+08'00'"));
    }
    assert_eq!(found[0].signer_cert_der, demo.buyer.certificate);

    let file = folder.path().join("signed.pdf");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&file, &twice).unwrap();
    std::fs::write(&ca, demo.ca_pem()).unwrap();
    let (ok, text) = oracle(&["structure", &file.to_string_lossy()]);
    assert!(ok, "{name}: {text}");
    let (ok, text) = oracle(&["validate", &ca.to_string_lossy(), &file.to_string_lossy()]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{name}: {text}");
}

fn rewritten(pdf: &[u8], options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("in.pdf"), pdf).unwrap();
    let (source, target) = (path("in.pdf"), path("out.pdf"));
    let mut arguments = vec!["rewrite", &source, &target];
    arguments.extend(options);
    let (ok, text) = oracle(&arguments);
    assert!(ok, "{text}");
    std::fs::read(Path::new(&target)).unwrap()
}

fn contract() -> Vec<u8> {
    render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap().pdf
}

#[test]
fn our_own_contract() {
    check_two_signers("contract", &contract());
}

#[test]
fn classic_cross_reference_table() {
    check_two_signers("disabled", &rewritten(&contract(), &["--object-streams=disable"]));
}

#[test]
fn object_streams() {
    let pdf = rewritten(&contract(), &["--object-streams=generate"]);
    assert!(pdf.windows(7).any(|window| window == b"/ObjStm"));
    check_two_signers("object streams", &pdf);
}

#[test]
fn linearised() {
    check_two_signers("linearised", &rewritten(&contract(), &["--linearize"]));
    check_two_signers("linearised classic", &rewritten(&contract(), &["--linearize", "--object-streams=disable"]));
}

#[test]
fn no_final_newline() {
    check_two_signers("no newline", &Classic { final_newline: false, ..Classic::default() }.bytes());
}

#[test]
fn existing_forms_inline_and_indirect() {
    const FIELD: &str = "<</Type/Annot/Subtype/Widget/FT/Tx/T(remark)/V(x)/Rect[50 50 90 70]/P 3 0 R/F 4>>";
    let inline = Classic {
        catalog_extra: "/AcroForm<</Fields[6 0 R]/DA(/Helv 0 Tf 0 g)>>",
        page_extra: "/Annots[6 0 R]",
        objects: vec![(6, FIELD)],
        ..Classic::default()
    };
    check_two_signers("inline form", &inline.bytes());
    let indirect = Classic {
        catalog_extra: "/AcroForm 7 0 R",
        page_extra: "/Annots 9 0 R",
        objects: vec![(6, FIELD), (7, "<</Fields 8 0 R>>"), (8, "[6 0 R]"), (9, "[6 0 R]")],
        ..Classic::default()
    };
    check_two_signers("indirect form", &indirect.bytes());
}

#[test]
fn turned_cropped_and_scaled_pages() {
    for extra in [
        "/Rotate 90",
        "/Rotate 180",
        "/Rotate -90",
        "/CropBox[50 60 545 700]",
        "/CropBox[50 60 545 700]/Rotate 270",
        "/UserUnit 2.0",
    ] {
        check_two_signers(extra, &Classic { page_extra: extra, ..Classic::default() }.bytes());
    }
}

#[test]
fn a_flipped_byte_is_refused() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let pdf = demo.sign(&contract(), &demo.buyer, &request("sig-a", &imprint, "甲"));
    let [_, first, second, length] = signatures(&pdf).unwrap()[0].byte_range;
    let folder = tempfile::tempdir().unwrap();
    let (ca, file) = (folder.path().join("ca.pem"), folder.path().join("flipped.pdf"));
    std::fs::write(&ca, demo.ca_pem()).unwrap();
    let holds = |bytes: &[u8]| signatures(bytes).is_ok_and(|found| found.iter().all(|s| s.cms_ok.is_ok()));
    assert!(holds(&pdf));
    let step = pdf.len() / 60;
    for position in (10..first).step_by(step).chain((second..second + length).step_by(97)) {
        let mut flipped = pdf.clone();
        flipped[position] ^= 1;
        assert!(!holds(&flipped), "byte {position}");
    }
    // Inside the signature value too: it is at the end of the CMS object.
    let mut flipped = pdf.clone();
    let position = (first..second - 1).rev().find(|index| pdf[*index] != b'0').unwrap() - 20;
    flipped[position] = if flipped[position] == b'0' { b'1' } else { b'0' };
    assert!(!holds(&flipped));
    flipped = pdf.clone();
    flipped[first / 2] ^= 1;
    std::fs::write(&file, &flipped).unwrap();
    let (ok, text) = oracle(&["validate", &ca.to_string_lossy(), &file.to_string_lossy()]);
    assert!(!ok || text.contains("INVALID"), "{text}");
}

#[test]
fn a_crash_resumes_with_the_same_digest() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let request = request("sig-a", &imprint, "甲");
    let pdf = contract();
    let prepared = sign::prepare(&pdf, &request).unwrap();
    assert_eq!(prepared, sign::prepare(&pdf, &request).unwrap());
    let stored = serde_json::to_string(&prepared).unwrap();
    let resumed: sign::Prepared = serde_json::from_str(&stored).unwrap();
    assert_eq!(resumed, prepared);

    let cms = qz_document::cms::sign(&prepared.digest, &demo.buyer.key, &demo.buyer.certificate, &[]).unwrap();
    assert_eq!(sign::complete(&resumed, &cms).unwrap(), sign::complete(&prepared, &cms).unwrap());

    let other = qz_document::cms::sign(&[7; 32], &demo.buyer.key, &demo.buyer.certificate, &[]).unwrap();
    assert!(matches!(sign::complete(&prepared, &other), Err(SignError::Cms(_))));
    let mut altered = prepared.clone();
    altered.bytes[100] ^= 1;
    assert!(matches!(sign::complete(&altered, &cms), Err(SignError::Altered)));
    altered = prepared.clone();
    altered.contents.end += 2;
    assert!(matches!(sign::complete(&altered, &cms), Err(SignError::Altered)));
    assert!(qz_document::cms::sign(&prepared.digest, &demo.seller.key, &demo.buyer.certificate, &[]).is_err());
}

#[test]
fn wrong_requests_are_refused() {
    let imprint = seal::company_seal(sample::BUYER, "").unwrap();
    let pdf = Classic::default().bytes();
    let good = request("sig-a", &imprint, "甲");
    let refused = |request: FieldRequest<'_>| sign::prepare(&pdf, &request).unwrap_err();
    assert!(matches!(refused(FieldRequest { page: 2, ..good.clone() }), SignError::NoSuchPage { page: 2, count: 1 }));
    assert!(matches!(refused(FieldRequest { page: 0, ..good.clone() }), SignError::NoSuchPage { .. }));
    assert!(matches!(refused(FieldRequest { x_mm: 180.0, ..good.clone() }), SignError::OutsidePage { .. }));
    assert!(matches!(refused(FieldRequest { y_mm: f64::NAN, ..good.clone() }), SignError::OutsidePage { .. }));
    assert!(matches!(refused(FieldRequest { field_name: "a.b", ..good.clone() }), SignError::FieldName(_)));
    assert!(matches!(refused(FieldRequest { time_ms: -1, ..good.clone() }), SignError::Time(-1)));
    let demo = Demo::new();
    let signed = demo.sign(&pdf, &demo.buyer, &good);
    assert!(matches!(sign::prepare(&signed, &good), Err(SignError::FieldExists(_))));
}

#[test]
fn openssl_accepts_the_signature_as_cades() {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let prepared = sign::prepare(&contract(), &request("sig-a", &imprint, "甲")).unwrap();
    let chain = [demo.ca.certificate_der().to_vec()];
    let cms = qz_document::cms::sign(&prepared.digest, &demo.buyer.key, &demo.buyer.certificate, &chain).unwrap();
    let [_, first, second, _] = prepared.byte_range;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let content = [&prepared.bytes[..first], &prepared.bytes[second..]].concat();
    std::fs::write(path("ca.pem"), demo.ca_pem()).unwrap();
    std::fs::write(path("cms.der"), &cms).unwrap();
    std::fs::write(path("content"), &content).unwrap();
    let (ok, text) = oracle(&["cades", &path("ca.pem"), &path("cms.der"), &path("content")]);
    assert!(ok, "{text}");
    std::fs::write(path("content"), &content[1..]).unwrap();
    assert!(!oracle(&["cades", &path("ca.pem"), &path("cms.der"), &path("content")]).0);
}

#[test]
fn places_at_the_foot_are_on_the_page() {
    let seal = seal::company_seal(sample::BUYER, "").unwrap();
    let pdf = Classic { page_extra: "/Rotate 90", ..Classic::default() }.bytes();
    let opened = qz_document::inspect::Pdf::open(&pdf).unwrap();
    let sizes = [(40.0, 40.0), (40.0, 40.0), (18.0, 18.0)];
    let places = opened.places_at_foot(&sizes).unwrap();
    assert_eq!(places.len(), 3);
    assert!(places[0].x_mm + 40.0 < places[1].x_mm && places[2].x_mm + 18.0 < 297.0);
    let last = FieldRequest {
        page: places[1].page,
        x_mm: places[1].x_mm,
        y_mm: places[1].y_mm,
        ..request("sig-a", &seal, "甲")
    };
    sign::prepare(&pdf, &last).unwrap();
    assert_eq!(opened.places_at_foot(&[(40.0, 40.0); 9]), None);
}
