//! What may stand behind the last signature of a contract file: validation data and document timestamps (SPEC
//! §11a), and what must be refused there. The platform completes the contract with each of these files.

use crate::bundles::vector;
use crate::ledger::START_MS;
use crate::ledger::anchoring::{Authority, Style};
use crate::pdf::{Pdf, stream};
use crate::scene::Scene;
use crate::vector::{Expect, Vector};
use qz_document::ltv::{ForSignature, ValidationData};
use qz_evidence::codec::encode;

const TIMESTAMP: &str = "/Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161";
/// Objects of the contract file.
const CATALOG: usize = 1;
const PAGE: usize = 3;
const CONTENT: usize = 4;
const FONT: usize = 5;
const WIDGET: usize = 7;

type Objects = Vec<(usize, Vec<u8>)>;

pub fn vectors() -> Vec<Vector> {
    let mut all: Vec<Vector> = accepted().into_iter().map(|(about, file)| completed(about, file, true)).collect();
    all.extend(refused().into_iter().map(|(about, file)| completed(about, file, false)));
    all.extend(certificates());
    all
}

fn completed(about: &str, file: Vec<u8>, holds: bool) -> Vector {
    let mut scene = Scene::new();
    scene.complete_with(&file);
    let (group, expect) = if holds { ("accepted", Expect::Accepted) } else { ("behind", Expect::Refused(9)) };
    let mut vector = vector(group, about, &scene.ledger, file, expect);
    vector.proof = Some(encode(&scene.bundle()));
    vector
}

fn signed() -> Pdf {
    Scene::new().contract
}

/// Certificate and store in objects with the first free numbers; the catalog is told.
fn store(pdf: &mut Pdf) -> Objects {
    let (certificate, entry, dss) = (pdf.free(), pdf.free() + 1, pdf.free() + 2);
    pdf.catalog = format!("/DSS {dss} 0 R");
    let vri = format!("/VRI<</{} {entry} 0 R>>", "0123456789ABCDEF0123".repeat(2));
    vec![
        (certificate, stream("", &Scene::new().sealer.issuer)),
        (entry, format!("<</Cert[{certificate} 0 R]>>").into_bytes()),
        (dss, format!("<</Type/DSS/Certs[{certificate} 0 R]{vri}>>").into_bytes()),
        (CATALOG, pdf.catalog_object()),
    ]
}

fn with_store(mut pdf: Pdf) -> Pdf {
    let objects = store(&mut pdf);
    pdf.update(&objects);
    pdf
}

fn authority() -> Authority {
    Authority::new(40, Style::default())
}

fn stamped_as(mut pdf: Pdf, more: &str, others: Objects) -> Pdf {
    let prepared = pdf.prepare_as(TIMESTAMP, more, others);
    pdf.complete(&prepared, &authority().anchor(&prepared.covered, START_MS + 6000).token.0);
    pdf
}

fn stamped(pdf: Pdf) -> Pdf {
    stamped_as(pdf, "", vec![])
}

/// By the functions that the gateway uses.
fn by_the_gateway(archive: bool) -> Vec<u8> {
    let pdf = signed().bytes;
    let found = qz_document::sign::signatures(&pdf).unwrap();
    let authority = authority();
    let data = ValidationData { certificates: vec![Scene::new().sealer.issuer], ..ValidationData::default() };
    let stored = qz_document::ltv::add(&pdf, &[ForSignature { contents: &found[0].contents, data }]).unwrap();
    if !archive {
        return stored;
    }
    let prepared = qz_document::sign::prepare_timestamp(&stored, "archive").unwrap();
    let [_, first, second, length] = prepared.byte_range;
    let covered = [&prepared.bytes[..first], &prepared.bytes[second..second + length]].concat();
    let token = authority.anchor(&covered, START_MS + 6000).token.0;
    qz_document::sign::complete_timestamp(&prepared, &token).unwrap()
}

fn accepted() -> Vec<(&'static str, Vec<u8>)> {
    let mut streamed = signed();
    let objects = store(&mut streamed);
    streamed.update_with_stream(&objects, &[]);
    let mut unended = with_store(signed()).bytes;
    unended.pop();
    let renewed = stamped(with_store(stamped(with_store(signed()))));
    vec![
        ("a contract file with validation data", with_store(signed()).bytes),
        ("a contract file with a document timestamp", stamped(signed()).bytes),
        ("a contract file with validation data and a document timestamp", stamped(with_store(signed())).bytes),
        ("a contract file with both in one update", {
            let mut pdf = signed();
            let mut objects = store(&mut pdf);
            objects.pop();
            stamped_as(pdf, "", objects).bytes
        }),
        ("a contract file with renewed validation data and timestamp", renewed.bytes),
        ("a contract file with validation data in a cross-reference stream", streamed.bytes),
        ("a contract file with validation data and no last line end", unended),
        ("a contract file with validation data by the gateway", by_the_gateway(false)),
        ("a contract file with archive timestamp by the gateway", by_the_gateway(true)),
    ]
}

/// Validation data, and something else in the same update.
fn with(change: impl FnOnce(&mut Pdf, &mut Objects)) -> Vec<u8> {
    let mut pdf = signed();
    let mut objects = store(&mut pdf);
    change(&mut pdf, &mut objects);
    pdf.update(&objects);
    pdf.bytes
}

fn put(objects: &mut Objects, number: usize, object: &[u8]) {
    objects.retain(|(other, _)| *other != number);
    objects.push((number, object.to_vec()));
}

/// The same with something in the catalog.
fn with_entry(entry: &str) -> Vec<u8> {
    with(|pdf, objects| {
        pdf.catalog.push_str(entry);
        put(objects, CATALOG, &pdf.catalog_object());
    })
}

/// The same with something about the page, and a new object behind the others.
fn with_page(annotations: &str, more: &str, object: &str) -> Vec<u8> {
    with(|pdf, objects| {
        let number = pdf.free() + 3;
        let replaced = |text: &str| text.replace("NEW", &format!("{number} 0 R"));
        put(objects, PAGE, &pdf.page_object(&replaced(annotations), &replaced(more)));
        put(objects, number, object.as_bytes());
    })
}

/// The store stands under a number that is in use for something else.
fn with_store_at(number: usize, object: &[u8]) -> Vec<u8> {
    with(|pdf, objects| {
        pdf.catalog = format!("/DSS {number} 0 R");
        put(objects, CATALOG, &pdf.catalog_object());
        put(objects, number, object);
    })
}

fn new_text() -> Vec<u8> {
    stream("", b"BT /F1 12 Tf 72 720 Td (Another contract) Tj ET")
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = objects_changed();
    all.extend(form_and_timestamps());
    all.extend(malformed());
    all
}

fn objects_changed() -> Vec<(&'static str, Vec<u8>)> {
    let annotation = "<</Type/Annot/Subtype/FreeText/Rect[72 700 300 740]/Contents(void)/DA(/F1 12 Tf)>>";
    vec![
        ("the page draws something else", with(|_, objects| put(objects, CONTENT, &new_text()))),
        ("the page draws another object", {
            let text = String::from_utf8(new_text()).unwrap();
            with(|pdf, objects| {
                let number = pdf.free() + 3;
                let page = String::from_utf8(pdf.page_object("", "")).unwrap();
                put(objects, PAGE, page.replace("/Contents 4 0 R", &format!("/Contents {number} 0 R")).as_bytes());
                put(objects, number, text.as_bytes());
            })
        }),
        ("another font", with(|_, objects| put(objects, FONT, b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"))),
        ("an annotation", with_page(" NEW", "", annotation)),
        (
            "a picture in a widget of no field",
            with_page(" NEW", "", "<</Type/Annot/Subtype/Widget/FT/Sig/Rect[0 0 9 9]>>"),
        ),
        ("a page turned", with_page("", "/Rotate 90", "<<>>")),
        ("an action of the page", with_page("", "/AA<</O NEW>>", "<</S/JavaScript/JS(1)>>")),
        ("an action when it is opened", with_entry("/OpenAction<</S/JavaScript/JS(1)>>")),
        ("an attachment", with_entry("/Names<</EmbeddedFiles<</Names[]>>>>")),
        ("metadata", with_entry("/Metadata 4 0 R")),
        ("layers", with_entry("/OCProperties<</OCGs[]/D<<>>>>")),
        ("the store in place of the page", with_store_at(PAGE, b"<</Type/DSS/Certs[]>>")),
        ("the store in place of the contents", with_store_at(CONTENT, b"<</Type/DSS/Certs[]>>")),
        ("the store in place of the font", with_store_at(FONT, b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>")),
        ("a certificate in place of the contents", with_store_at(CONTENT, &new_text())),
        (
            "the signature's looks",
            with(|_, objects| {
                put(
                    objects,
                    WIDGET,
                    b"<</Type/Annot/Subtype/Widget/FT/Sig/T(sig-7)/V 6 0 R/P 3 0 R/F 132/Rect[0 0 0 0]/AP<<>>>>",
                );
            }),
        ),
        (
            "an object that nothing uses",
            with(|pdf, objects| {
                let number = pdf.free() + 3;
                put(objects, number, &new_text());
            }),
        ),
    ]
}

fn form_and_timestamps() -> Vec<(&'static str, Vec<u8>)> {
    let with_field = |field: &str| {
        with(|pdf, objects| {
            let number = pdf.free() + 3;
            let catalog = String::from_utf8(pdf.catalog_object()).unwrap();
            let catalog = catalog.replace("/Fields[", &format!("/Fields[{number} 0 R "));
            put(objects, CATALOG, catalog.as_bytes());
            put(objects, number, field.as_bytes());
        })
    };
    let behind = |field: &str| {
        with(|pdf, objects| {
            let number = pdf.free() + 3;
            let catalog = String::from_utf8(pdf.catalog_object()).unwrap();
            put(objects, CATALOG, catalog.replace("]", &format!(" {number} 0 R]")).as_bytes());
            put(objects, number, field.as_bytes());
        })
    };
    let setting = |setting: &str| {
        with(|pdf, objects| {
            let catalog = String::from_utf8(pdf.catalog_object()).unwrap();
            put(objects, CATALOG, catalog.replace("/SigFlags 3", setting).as_bytes());
        })
    };
    let picture = |pdf: &Pdf| (pdf.free(), stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]", b"0 0 9 9 re f"));
    let shown = {
        let pdf = signed();
        let object = picture(&pdf);
        let more = format!("/AP<</N {} 0 R>>", object.0);
        stamped_as(pdf, &more, vec![object]).bytes
    };
    let mut elsewhere = signed();
    let prepared = elsewhere.prepare_as(TIMESTAMP, "", vec![]);
    elsewhere.complete(&prepared, &authority().anchor(b"another text", START_MS + 6000).token.0);
    let mut empty = signed();
    empty.prepare_as(TIMESTAMP, "", vec![]);
    vec![
        ("a text field", behind("<</FT/Tx/T(amount)/V(1)>>")),
        ("an empty signature field", behind("<</Type/Annot/Subtype/Widget/FT/Sig/T(late)/Rect[0 0 0 0]>>")),
        ("a field in front of the others", with_field("<</Type/Annot/Subtype/Widget/FT/Sig/T(late)/Rect[0 0 0 0]>>")),
        (
            "the field of the signature altered",
            with(|_, objects| {
                put(objects, WIDGET, b"<</Type/Annot/Subtype/Widget/FT/Sig/T(other)/V 6 0 R/P 3 0 R/Rect[0 0 9 9]>>");
            }),
        ),
        ("a setting of the form", setting("/SigFlags 3/NeedAppearances true")),
        ("a dynamic form", setting("/SigFlags 3/XFA(1)")),
        ("a timestamp with a picture", shown),
        ("a timestamp with an action", stamped_as(signed(), "/AA<</E<</S/JavaScript/JS(1)>>>>", vec![]).bytes),
        ("a timestamp over something else", elsewhere.bytes),
        ("a timestamp without a token", empty.bytes),
        ("a timestamp and another text", stamped_as(signed(), "", vec![(CONTENT, new_text())]).bytes),
        ("another text behind a timestamp", {
            let mut pdf = stamped(with_store(signed()));
            pdf.update(&[(CONTENT, new_text())]);
            pdf.bytes
        }),
    ]
}

fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let appended = |bytes: &[u8]| [&with_store(signed()).bytes, bytes].concat();
    let between = |bytes: &[u8]| {
        let mut pdf = signed();
        let objects = store(&mut pdf);
        let offsets = pdf.body(&objects);
        pdf.bytes.extend_from_slice(bytes);
        let entries: Vec<_> = objects.iter().map(|(number, _)| *number).zip(offsets).collect();
        pdf.close(&entries, "");
        pdf.bytes
    };
    let closed = |more: &str, further: &[(usize, usize)]| {
        let mut pdf = signed();
        let objects = store(&mut pdf);
        let mut entries: Vec<_> = objects.iter().map(|(number, _)| *number).zip(pdf.body(&objects)).collect();
        entries.extend_from_slice(further);
        pdf.close(&entries, more);
        pdf.bytes
    };
    let replaced = |what: &str, with: &str| {
        let mut bytes = with_store(signed()).bytes;
        let place = bytes.windows(what.len()).rposition(|window| window == what.as_bytes()).unwrap();
        bytes.splice(place..place + what.len(), with.bytes());
        bytes
    };
    let page_at = {
        let bytes = signed().bytes;
        bytes.windows(8).position(|window| window == b"3 0 obj\n").unwrap()
    };
    vec![
        ("garbage at the end", appended(b"garbage")),
        ("a blank line at the end", appended(b"\n")),
        ("a comment at the end", appended(b"%\n")),
        ("garbage between objects", between(b"garbage\n")),
        ("a comment between objects", between(b"% a word\n")),
        ("an object without an entry", between(b"4 0 obj\n<<>>\nendobj\n")),
        ("a freed object", closed("", &[(CONTENT, 0)])),
        ("an entry that leads to a former object", closed("", &[(PAGE, page_at)])),
        ("other entries of the trailer", closed("/Info 4 0 R", &[])),
        ("a hybrid section", closed("/XRefStm 10", &[])),
        ("another root", replaced("/Root 1 0 R", "/Root 2 0 R")),
        ("a key twice in the catalog", with_entry("/DSS 4 0 R")),
        ("validation data packed in an object stream", packed()),
    ]
}

/// The store in an object stream: a form that §11a does not have.
fn packed() -> Vec<u8> {
    let mut pdf = signed();
    let (dss, container) = (pdf.free(), pdf.free() + 1);
    pdf.catalog = format!("/DSS {dss} 0 R");
    let content = format!("{dss} 0 <</Type/DSS>>");
    let first = format!("{dss} 0 ").len();
    let container_object = stream(&format!("/Type/ObjStm/N 1/First {first}"), content.as_bytes());
    let objects = [(CATALOG, pdf.catalog_object()), (container, container_object)];
    pdf.update_with_stream(&objects, &[(dss, container)]);
    pdf.bytes
}

/// Signing certificates with the same behind their signature.
fn certificates() -> Vec<Vector> {
    let scene = Scene::new();
    let certificate = || scene.certificate(&encode(&scene.bundle()));
    let mut altered = certificate();
    let mut objects = store(&mut altered);
    put(&mut objects, CONTENT, &new_text());
    altered.update(&objects);
    let cases = [
        ("accepted", "a signing certificate with validation data", with_store(certificate()).bytes, Expect::Accepted),
        ("accepted", "a signing certificate with a timestamp", stamped(certificate()).bytes, Expect::Accepted),
        ("behind", "a signing certificate with other contents", altered.bytes, Expect::Refused(9)),
    ];
    let made = cases.into_iter().map(|(group, about, file, expect)| vector(group, about, &scene.ledger, file, expect));
    made.collect()
}
