//! Contract files as the gateway makes them between the fixed version and the last signature (SPEC §11a): what
//! both verifiers must accept, made by the functions that the gateway uses.

use crate::attacks::draft::Draft;
use crate::bundles::vector;
use crate::ledger::START_MS;
use crate::ledger::anchoring::{Authority, Style};
use crate::pdf::{Pdf, Signer, stream};
use crate::scene::Scene;
use crate::vector::{Expect, Vector};
use qz_document::ltv::{ForSignature, ValidationData};
use qz_document::seal::{Caption, Imprint};
use qz_document::sign::{self, EmptyField, FieldRequest, Lock, Mark, Policy, Straddling};
use qz_domain::contract::straddle::Slice;
use qz_evidence::Hash32;
use qz_evidence::codec::encode;
use qz_evidence_pdf::SignatureKind;

/// A contract that began as `version` and was completed with `file`, whose signatures behind the version are all on
/// the ledger.
pub fn completed(group: &str, about: &str, version: &[u8], file: Vec<u8>, expect: Expect) -> Vector {
    let found = qz_evidence_pdf::signatures(&file).unwrap_or_default();
    let is_party =
        |s: &&qz_evidence_pdf::PdfSignature| s.covers_to > version.len() && s.kind != SignatureKind::DocumentTimestamp;
    let digests: Vec<_> = found.iter().filter(is_party).map(|s| Hash32(s.byte_range_digest)).collect();
    let scene = Scene::of_file(version.to_vec(), &digests, file.clone());
    let mut vector = vector(group, about, &scene.ledger, file, expect);
    vector.proof = Some(encode(&scene.bundle()));
    vector
}

pub fn vectors() -> Vec<Vector> {
    let mut all = files();
    all.extend(uploads());
    let made =
        all.into_iter().map(|(about, version, file)| completed("accepted", about, &version, file, Expect::Accepted));
    made.collect()
}

type Case = (&'static str, Vec<u8>, Vec<u8>);

fn imprint(text: &str) -> Imprint {
    Imprint { pdf: Pdf::new(text, &[]).bytes, width_mm: 40.0, height_mm: 40.0 }
}

/// Two pages, a form, an annotation.
fn version() -> Vec<u8> {
    Draft::new().bytes
}

struct Signing<'a> {
    field: &'a str,
    page: usize,
    x_mm: f64,
    policy: Policy,
    caption: Option<Caption>,
}

impl<'a> Signing<'a> {
    fn at(field: &'a str, page: usize, x_mm: f64) -> Self {
        Self { field, page, x_mm, policy: Policy::Approval, caption: None }
    }

    fn sign(&self, pdf: &[u8], signer: &Signer, marks: &[Mark<'_>]) -> Vec<u8> {
        let request = FieldRequest {
            field_name: self.field,
            page: self.page,
            x_mm: self.x_mm,
            y_mm: 20.0,
            imprint: &imprint("Seal"),
            caption: self.caption.as_ref(),
            signer_name: "甲方",
            reason: "同意",
            time_ms: i64::try_from(START_MS).unwrap(),
            policy: self.policy.clone(),
        };
        let prepared = sign::prepare_marked(pdf, &request, marks).unwrap();
        sign::complete(&prepared, &signer.cms(&Hash32(prepared.digest))).unwrap()
    }

    fn empty(&self, locks: &[&Straddling]) -> EmptyField {
        let mut names: Vec<_> = locks.iter().flat_map(|places| places.field_names()).collect();
        names.push(self.field.to_owned());
        EmptyField {
            name: self.field.to_owned(),
            page: self.page,
            x_mm: self.x_mm,
            y_mm: 20.0,
            width_mm: 40.0,
            height_mm: 40.0,
            lock: Some(Lock::Only(names)),
        }
    }
}

fn cross_page(field: &str, y_mm: f64) -> Straddling {
    let slice = |page: usize| Slice {
        page,
        x_mm: 190.0,
        y_mm,
        left_mm: 20.0 * (page - 1) as f64,
        bottom_mm: 0.0,
        width_mm: 19.0,
        height_mm: 40.0,
    };
    Straddling { name: format!("{field}-straddle"), title: "骑缝章".into(), slices: vec![slice(1), slice(2)] }
}

fn date(field: &str, x_mm: f64) -> Straddling {
    let place = Slice { page: 2, x_mm, y_mm: 80.0, left_mm: 0.0, bottom_mm: 0.0, width_mm: 46.0, height_mm: 9.0 };
    Straddling { name: format!("{field}-date"), title: "日期章".into(), slices: vec![place] }
}

/// Two parties with cross-page seals and dates, all places reserved, perhaps certified. `between` stands for what the
/// gateway may add behind the first signature.
pub fn reserved(version: &[u8], signer: &Signer, certified: bool, between: fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let policy = if certified { Policy::Certification } else { Policy::Approval };
    let (first, second) = (Signing { policy, ..Signing::at("qz-slot-0", 1, 20.0) }, Signing::at("qz-slot-1", 2, 80.0));
    let places = [("qz-slot-0", 200.0, 20.0), ("qz-slot-1", 100.0, 80.0)];
    let marks = places.map(|(field, y_mm, x_mm)| (cross_page(field, y_mm), date(field, x_mm)));
    let fields = [first.empty(&[&marks[0].0, &marks[0].1]), second.empty(&[&marks[1].0, &marks[1].1])];
    let all: Vec<_> = marks.iter().flat_map(|(seal, date)| [seal.clone(), date.clone()]).collect();
    let mut pdf = sign::reserve_all(version, &fields, &all).unwrap();
    let stamp = Imprint { width_mm: 46.0, height_mm: 9.0, ..imprint("2026-11-22") };
    for (signing, (seal, date)) in [first, second].iter().zip(&marks) {
        let marks = [Mark { places: seal, imprint: None }, Mark { places: date, imprint: Some(&stamp) }];
        pdf = signing.sign(&pdf, signer, &marks);
        if signing.field == "qz-slot-0" {
            pdf = between(pdf);
        }
    }
    pdf
}

/// Validation data of the last signature.
fn stored(pdf: Vec<u8>) -> Vec<u8> {
    let found = sign::signatures(&pdf).unwrap();
    let data = ValidationData { certificates: vec![Scene::usual_sealer().issuer], ..ValidationData::default() };
    let last = found.last().unwrap();
    qz_document::ltv::add(&pdf, &[ForSignature { contents: &last.contents, data }]).unwrap()
}

fn stamped(pdf: Vec<u8>) -> Vec<u8> {
    let name = format!("qz-archive-{}", pdf.len());
    let prepared = sign::prepare_timestamp(&pdf, &name).unwrap();
    let [_, first, second, length] = prepared.byte_range;
    let covered = [&prepared.bytes[..first], &prepared.bytes[second..second + length]].concat();
    let token = Authority::new(40, Style::default()).anchor(&covered, START_MS + 6000).token.0;
    sign::complete_timestamp(&prepared, &token).unwrap()
}

fn files() -> Vec<Case> {
    let sealer = Scene::usual_sealer();
    let one = |pdf: &[u8]| Signing::at("qz-slot-0", 1, 20.0).sign(pdf, &sealer, &[]);
    let two = |pdf: &[u8]| Signing::at("qz-slot-1", 2, 80.0).sign(pdf, &sealer, &[]);
    let caption =
        Caption { signer: "甲方有限公司".into(), seal: Some("合同专用章".into()), is_demonstration: true };
    let captioned = Signing { caption: Some(caption), ..Signing::at("qz-slot-0", 1, 20.0) };
    let locking = Signing { policy: Policy::Locking(Lock::All), ..Signing::at("qz-slot-0", 1, 20.0) };
    let certified = |pdf: &[u8]| reserved(pdf, &sealer, true, |pdf| pdf);
    vec![
        ("signed with a seal by the gateway's functions", version(), one(&version())),
        ("signed twice, each in a field of its own", version(), two(&one(&version()))),
        ("a seal with a caption", version(), captioned.sign(&version(), &sealer, &[])),
        ("signed with a lock on all fields", version(), locking.sign(&version(), &sealer, &[])),
        ("two cross-page seals and dates", version(), reserved(&version(), &sealer, false, |pdf| pdf)),
        ("certified, with two cross-page seals and dates", version(), certified(&version())),
        ("validation data between two signatures", version(), two(&stored(one(&version())))),
        ("validation data and a timestamp between two signatures", version(), two(&stamped(stored(one(&version()))))),
        ("the same with cross-page seals", version(), reserved(&version(), &sealer, true, |pdf| stamped(stored(pdf)))),
        ("validation data and timestamps at last, renewed", version(), {
            stamped(stored(stamped(stored(certified(&version())))))
        }),
    ]
}

/// Files that come from elsewhere, signed by the gateway's functions.
fn uploads() -> Vec<Case> {
    let sealer = Scene::usual_sealer();
    let stranger = Signer::new(31, "stranger", START_MS - 86_400_000, START_MS + 365 * 86_400_000);
    let one = |pdf: &[u8]| Signing::at("qz-slot-0", 1, 20.0).sign(pdf, &sealer, &[]);
    let case = |about, version: Vec<u8>| (about, version.clone(), one(&version));
    let mut signed = Pdf::new("Framework contract", &[]);
    signed.sign(&stranger);
    let mut signed_in_part = Draft::new();
    signed_in_part.sign(&stranger, &crate::attacks::draft::Wish::default());
    let mut broken = signed.clone();
    let place = broken.bytes.windows(9).position(|w| w == b"Framework").unwrap();
    broken.bytes[place] = b'f';
    let stranger_alone = (
        "an upload with a signature that does not hold, which is part of its text",
        broken.bytes.clone(),
        one(&broken.bytes),
    );
    vec![
        case("an upload with a stranger's signature", signed.bytes.clone()),
        case("an upload with a form and a stranger's signature", signed_in_part.bytes),
        stranger_alone,
        case("an upload with attachments", Pdf::new("Contract", &[("annex.txt", b"annex")]).bytes),
        case("an upload with a cross-reference stream", streamed()),
        case("an upload with packed objects", packed()),
        case(
            "an upload with bytes behind its end",
            [&version(), b"\r\n\r\n<!-- sent by mail -->\r\n".as_slice()].concat(),
        ),
        case("an upload with lists and a form in objects of their own", with_lists("[]")),
        case("an upload that refers to objects that are not there", with_lists("[90 0 R]")),
        case("an upload that refers to the number that comes next", {
            let next = Pdf::new("Purchase contract", &[]).free() + 3;
            with_lists(&format!("[{next} 0 R]"))
        }),
        case("an upload with a page turned and cropped", turned()),
        case("an upload with a title that ends like a file", marked()),
        ("an upload with an empty signature field, which is filled", with_field(), one(&with_field())),
        ("validation data and timestamp behind an upload's empty list", with_lists("[]"), {
            stamped(stored(Signing::at("qz-slot-1", 1, 80.0).sign(&with_lists("[]"), &sealer, &[])))
        }),
    ]
}

/// Written anew with a cross-reference stream.
fn streamed() -> Vec<u8> {
    let mut pdf = Pdf::new("Purchase contract", &[]);
    let objects = [(4, stream("", b"BT /F1 12 Tf 72 700 Td (Second draft) Tj ET"))];
    pdf.update_with_stream(&objects, &[]);
    pdf.bytes
}

/// The font in an object stream.
fn packed() -> Vec<u8> {
    let mut pdf = Pdf::new("Purchase contract", &[]);
    let container = pdf.free();
    let content = "5 0 <</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>";
    let object = stream("/Type/ObjStm/N 1/First 4", content.as_bytes());
    pdf.update_with_stream(&[(container, object)], &[(5, container)]);
    pdf.bytes
}

/// The lists of fields and annotations in objects of their own, the latter with these members.
fn with_lists(annotations: &str) -> Vec<u8> {
    let mut pdf = Pdf::new("Purchase contract", &[]);
    let (form, fields, list) = (pdf.free(), pdf.free() + 1, pdf.free() + 2);
    pdf.catalog = format!("/AcroForm {form} 0 R");
    let page = String::from_utf8(pdf.page_object("", "")).unwrap();
    pdf.update(&[
        (1, pdf.catalog_object()),
        (3, page.replace("/Annots[]", &format!("/Annots {list} 0 R")).into_bytes()),
        (form, format!("<</Fields {fields} 0 R/DA(/F1 12 Tf 0 g)>>").into_bytes()),
        (fields, b"[]".to_vec()),
        (list, annotations.as_bytes().to_vec()),
    ]);
    pdf.bytes
}

fn turned() -> Vec<u8> {
    let mut pdf = Pdf::new("Purchase contract", &[]);
    pdf.update(&[(3, pdf.page_object("", "/Rotate 90/CropBox[10 10 585 832]/UserUnit 1.5"))]);
    pdf.bytes
}

/// Its information has the mark of a file's end in it.
fn marked() -> Vec<u8> {
    let mut pdf = Pdf::new("Purchase contract", &[]);
    let number = pdf.free();
    let offsets = pdf.body(&[(number, b"<</Title(How to end: startxref 9 %%EOF)>>".to_vec())]);
    pdf.close(&[(number, offsets[0])], &format!("/Info {number} 0 R"));
    pdf.bytes
}

/// An earlier round of the same contract left a field.
fn with_field() -> Vec<u8> {
    let mut field = Signing::at("qz-slot-0", 1, 20.0).empty(&[]);
    field.lock = None;
    sign::reserve(&version(), &[field]).unwrap()
}
