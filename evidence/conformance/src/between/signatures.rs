//! Signature fields, their values, their pictures.

use super::pages::{form_when_signed, page_when_signed};
use super::*;
use crate::ledger::START_MS;
use crate::ledger::anchoring::{Authority, Style};
use crate::pdf::Pdf;

/// Objects of a signature's update: value, field, picture.
const FIELD: usize = FREE + 1;
const LOOKS: usize = FREE + 2;

pub(super) fn cases() -> Vec<Case> {
    let mut all = fields();
    all.extend(pictures());
    all.extend(values());
    all.extend(later());
    all.extend(timestamps());
    all
}

/// The field of the usual signature.
fn field(what: &str, with: &str) -> Objects {
    let usual =
        "<</Type/Annot/Subtype/Widget/FT/Sig/T(party-a)/V 14 0 R/P 3 0 R/F 132/Rect[60 60 160 160]/AP<</N 16 0 R>>>>";
    vec![(FIELD, replaced(usual.as_bytes(), what, with))]
}

/// The same with further objects.
fn with_field(what: &str, with: &str, more: Objects) -> Objects {
    field(what, with).into_iter().chain(more).collect()
}

/// The usual update, whose own numbers are kept although there are further objects.
fn kept(about: &'static str, objects: Objects) -> Case {
    let mut draft = Draft::new();
    let version = draft.bytes.clone();
    let mut all = vec![
        (PAGE, page_when_signed(0)),
        (FORM, form_when_signed(0)),
        (CATALOG, draft.catalog_object()),
        (LOOKS, form("", b"0 0 100 100 re S")),
    ];
    all.extend(field("/F 132", "/F 132"));
    all.retain(|(number, _)| objects.iter().all(|(other, _)| other != number));
    all.extend(objects);
    draft.close_signed(&sealer(), FREE, (HEAD, ""), all);
    (about, version, draft.bytes)
}

const HEAD: &str = "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 0000000000 0000000000 0000000000]/Contents<";

fn fields() -> Vec<Case> {
    let with = |about, what: &str, by: &str| kept(about, with_field(what, by, vec![]));
    let empty = |about, more: &str| {
        let object = format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(late)/P 3 0 R/F 132/Rect[0 0 9 9]{more}>>");
        let page = replaced(&page_when_signed(0), " ]>>", " 17 0 R]>>");
        let fields = replaced(&form_when_signed(0), " ]>>", " 17 0 R]>>");
        kept(about, vec![(17, object.into_bytes()), (PAGE, page), (FORM, fields)])
    };
    vec![
        with("a signature with an action", "/F 132", "/F 132/A<</S/JavaScript/JS(1)>>"),
        with("a signature with further actions", "/F 132", "/F 132/AA<</E<</S/JavaScript/JS(1)>>>>"),
        with("a signature with a caption", "/F 132", "/F 132/MK<</CA(9000 CNY)>>"),
        with("a signature that is a text laid over the page", "/Subtype/Widget", "/Subtype/FreeText/Contents(9000)"),
        with("a signature on a layer", "/F 132", "/F 132/OC<</Type/OCG/Name(x)>>"),
        with("a hidden signature", "/F 132", "/F 134"),
        with("a signature in a field with flags", "/F 132", "/F 132/Ff 1"),
        with("a signature in a field below another", "/F 132", "/F 132/Parent 10 0 R"),
        with("a signature in the name of another field", "(party-a)", "(terms)"),
        with("the same name in UTF-16", "(party-a)", "<FEFF007400650072006D0073>"),
        with("a name with a full stop", "(party-a)", "(a.b)"),
        with("no name", "/T(party-a)", ""),
        with("a signature that names another page", "/P 3 0 R", "/P 6 0 R"),
        with("a signature over the whole page", "[60 60 160 160]", "[0 0 595 842]"),
        with("a signature as wide as the page", "[60 60 160 160]", "[0 400 595 420]"),
        with("a signature with its corners exchanged", "[60 60 160 160]", "[160 160 60 60]"),
        with("a lock that leads elsewhere", "/F 132", "/F 132/Lock 4 0 R"),
        empty("an empty field with a picture", "/AP<</N 16 0 R>>"),
        empty("an empty field with a default value", "/DV(9000)"),
        empty("an empty field as large as the page", "/Border[0 0 9]"),
    ]
}

fn pictures() -> Vec<Case> {
    let looks = |about, more: &str| kept(about, vec![(LOOKS, form(more, b"/X Do"))]);
    let with = |about, more: &str, object: Vec<u8>| kept(about, vec![(LOOKS, form(more, b"/X Do")), (17, object)]);
    let ap = |about, with: &str| kept(about, with_field("<</N 16 0 R>>", with, vec![]));
    vec![
        looks("a picture that uses the page's font", "/Resources<</Font<</F1 5 0 R>>>>"),
        looks("a picture that uses the page's picture", "/Resources<</XObject<</X 8 0 R>>>>"),
        looks("a picture on a layer", "/OC<</Type/OCG/Name(x)>>"),
        looks("a picture with its data elsewhere", "/F(http://example.com/)"),
        looks("a picture of another file", "/Ref<</F(other.pdf)/Page 0>>"),
        looks("a picture for another device", "/OPI<<>>"),
        with("a layer in a picture", "/Resources<</Properties<</X 17 0 R>>>>", b"<</Type/OCG/Name(x)>>".to_vec()),
        with("a layer's conditions in a picture", "/Resources<</Properties<</X 17 0 R>>>>", b"<</Type/OCMD>>".to_vec()),
        with(
            "another picture on paper",
            "/Resources<</XObject<</X 17 0 R>>>>",
            stream("/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Alternates[]", b"\0"),
        ),
        kept("a picture that is an image", vec![(LOOKS, stream("/Subtype/Image/Width 1/Height 1", b"\0"))]),
        ap("the picture of another field", "<</N 11 0 R>>"),
        ap("the page's contents as a picture", "<</N 4 0 R>>"),
        ap("another picture under the mouse", "<</N 16 0 R/R 16 0 R>>"),
        ap("pictures by state", "<</N<</On 16 0 R>>>>"),
        kept("pictures in an object", with_field("<</N 16 0 R>>", " 17 0 R", vec![(17, b"<</N 16 0 R>>".to_vec())])),
    ]
}

fn values() -> Vec<Case> {
    let two = {
        let other = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(party-b)/V 14 0 R/P 3 0 R/F 132/Rect[0 0 9 9]>>".to_vec();
        let page = replaced(&page_when_signed(0), " ]>>", " 17 0 R]>>");
        let fields = replaced(&form_when_signed(0), " ]>>", " 17 0 R]>>");
        kept("two fields with one signature", vec![(17, other), (PAGE, page), (FORM, fields)])
    };
    let other_kind = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        let head = HEAD.replace("ETSI.CAdES.detached", "adbe.pkcs7.detached");
        let mut all = vec![(PAGE, page_when_signed(0)), (FORM, form_when_signed(0)), (LOOKS, form("", b""))];
        all.extend(field("/F 132", "/F 132"));
        draft.close_signed(&sealer(), FREE, (&head, ""), all);
        ("a signature of another kind", version, draft.bytes)
    };
    vec![two, other_kind]
}

/// What a second signature's update does to the first.
fn later() -> Vec<Case> {
    let then = |about, objects: fn(&Draft) -> Objects| {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.sign(&sealer(), &Wish::default());
        let objects = objects(&draft);
        draft.sign_with(&sealer(), &second(), &objects);
        (about, version, draft.bytes)
    };
    let stored = {
        // The first signature's picture is also in the store, which may be written anew.
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.sign(&sealer(), &Wish::default());
        draft.catalog = "/DSS<</Certs[16 0 R]>>".into();
        draft.sign_with(&sealer(), &second(), &[]);
        draft.update(&[(LOOKS, form("", b"BT (9000 CNY) Tj ET"))]);
        draft.sign(&sealer(), &Wish { name: "party-c", ..second() });
        ("a picture that is validation data too", version, draft.bytes)
    };
    let covered = {
        // Signed, altered by nobody's update, signed again.
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.sign(&sealer(), &Wish::default());
        draft.update(&[(crate::attacks::draft::CONTENT, other_text())]);
        draft.sign(&sealer(), &second());
        ("another text between two signatures", version, draft.bytes)
    };
    let twice = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.sign(&sealer(), &Wish { permits: Some(2), ..Wish::default() });
        draft.sign(&sealer(), &Wish { permits: Some(2), ..second() });
        ("certified twice", version, draft.bytes)
    };
    vec![
        then("the first signature's picture replaced by the second", |_| vec![(LOOKS, form("", b"BT (9000) Tj ET"))]),
        then("the first signature's field given another picture", |draft| {
            let field = replaced(&draft.object(FIELD), "/N 16 0 R", "/N 17 0 R");
            vec![(FIELD, field), (17, form("", b"BT (9000) Tj ET"))]
        }),
        then("the first signature moved by the second", |draft| {
            vec![(FIELD, replaced(&draft.object(FIELD), "[60 60 160 160]", "[60 600 160 700]"))]
        }),
        then("the first signature's field emptied by the second", |draft| {
            vec![(FIELD, replaced(&draft.object(FIELD), "/V 14 0 R", ""))]
        }),
        then("another text with the second signature", |_| vec![(crate::attacks::draft::CONTENT, other_text())]),
        stored,
        covered,
        twice,
    ]
}

fn timestamps() -> Vec<Case> {
    let stamped = |about, what: &str, with: &str| {
        let mut pdf = Pdf::new("Purchase contract", &[]);
        let version = pdf.bytes.clone();
        let kind = "/Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161";
        let (value, widget) = (pdf.free(), pdf.free() + 1);
        let field = format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(stamp)/V {value} 0 R/P 3 0 R/F 132/Rect[0 0 0 0]>>");
        let prepared = pdf.prepare_replacing(kind, (widget, replaced(field.as_bytes(), what, with)));
        let token = Authority::new(40, Style::default()).anchor(&prepared.covered, START_MS + 6000).token.0;
        pdf.complete(&prepared, &token);
        pdf.sign(&sealer());
        (about, version, pdf.bytes)
    };
    vec![
        stamped(
            "a timestamp that is a text laid over the page",
            "/Subtype/Widget",
            "/Subtype/FreeText/DA(/F1 9 Tf)/Contents(9000)",
        ),
        stamped("a timestamp with the contents of a page", "/F 132", "/F 132/Contents 4 0 R"),
        stamped("a timestamp in the name of a signature to come", "(stamp)", "(sig-9)"),
    ]
}
