//! Pages, catalog, form and structure.

use super::*;
use crate::attacks::draft::{CONTENT, FIELD, FONT, INFO, LOOKS, NOTE, PICTURE, looks};
use crate::pdf::Pdf;

pub(super) fn cases() -> Vec<Case> {
    let mut all = contents();
    all.extend(annotations());
    all.extend(catalog());
    all.extend(structure());
    all.extend(planted());
    all
}

fn contents() -> Vec<Case> {
    let signed_page = |what: &str, with: &str| replaced(&page_when_signed(0), what, with);
    let picture =
        stream("/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceRGB/BitsPerComponent 8", b"\0\0\0");
    let font = b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>".to_vec();
    let tree = b"<</Type/Pages/Kids[6 0 R 3 0 R]/Count 2>>".to_vec();
    vec![
        case("other text of the page, signed", &[(CONTENT, other_text())]),
        updated("other text of the page, and then signed", |draft| draft.update(&[(CONTENT, other_text())])),
        case(
            "the page draws another object",
            &[(FREE, other_text()), (PAGE, replaced(&page_when_signed(1), "/Contents 4 0 R", "/Contents 14 0 R"))],
        ),
        case(
            "the page draws an object more",
            &[
                (FREE, other_text()),
                (PAGE, replaced(&page_when_signed(1), "/Contents 4 0 R", "/Contents[4 0 R 14 0 R]")),
            ],
        ),
        case("another font", &[(FONT, font)]),
        case("another picture", &[(PICTURE, picture)]),
        case("other boxes", &[(PAGE, signed_page("/MediaBox[0 0 595 842]", "/MediaBox[0 300 595 842]"))]),
        case("a crop box", &[(PAGE, signed_page("/MediaBox", "/CropBox[0 0 9 9]/MediaBox"))]),
        case("the page turned", &[(PAGE, signed_page("/MediaBox", "/Rotate 180/MediaBox"))]),
        case("another unit", &[(PAGE, signed_page("/MediaBox", "/UserUnit 2/MediaBox"))]),
        case("a number written as another kind", &[(PAGE, signed_page("595", "595.0"))]),
        case("other resources", &[(PAGE, signed_page("/Im1 8 0 R", "/Im1 11 0 R"))]),
        case(
            "resources inherited",
            &[(PAGE, signed_page("/Resources<</Font<</F1 5 0 R>>/XObject<</Im1 8 0 R>>>>", ""))],
        ),
        case("pages in another order", &[(2, tree)]),
        case("a page fewer", &[(2, b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec())]),
        case(
            "a page more",
            &[
                (2, b"<</Type/Pages/Kids[3 0 R 6 0 R 14 0 R]/Count 3>>".to_vec()),
                (FREE, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>".to_vec()),
            ],
        ),
        case(
            "attributes for pages to inherit",
            &[(2, b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 2/Rotate 90>>".to_vec())],
        ),
        case("an action of the page", &[(PAGE, signed_page("/MediaBox", "/AA<</O<</S/JavaScript/JS(1)>>>>/MediaBox"))]),
        case(
            "a page's parent",
            &[
                (FREE, b"<</Type/Pages/Kids[3 0 R]/Count 1/Rotate 90>>".to_vec()),
                (PAGE, replaced(&page_when_signed(1), "/Parent 2 0 R", "/Parent 14 0 R")),
            ],
        ),
    ]
}

/// The page as an update writes it that has `own` objects of its own in front of the signature's.
pub(super) fn page_when_signed(own: usize) -> Vec<u8> {
    replaced(&Draft::new().page_object(), "]>>", &format!("{} 0 R ]>>", FREE + own + 1))
}

fn annotations() -> Vec<Case> {
    let with = |object: &str| {
        let page = replaced(&page_when_signed(1), " ]>>", " 14 0 R]>>");
        vec![(FREE, object.as_bytes().to_vec()), (PAGE, page)]
    };
    let text = "/Rect[72 700 300 740]/Contents(The buyer pays 9000 CNY)/DA(/F1 12 Tf)";
    let page = |what: &str, with: &str| replaced(&page_when_signed(0), what, with);
    vec![
        case("a text laid over the page", &with(&format!("<</Type/Annot/Subtype/FreeText{text}>>"))),
        case("a stamp", &with("<</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]>>")),
        case("a note", &with("<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/Contents(void)>>")),
        case("a link", &with("<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(http://example.com)>>>>")),
        case("a widget of no field", &with("<</Type/Annot/Subtype/Widget/FT/Sig/T(x)/F 132/P 3 0 R/Rect[0 0 9 9]>>")),
        case(
            "an annotation within the page's list",
            &[(PAGE, page(" ]>>", " <</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]>>]>>"))],
        ),
        case(
            "an annotation altered",
            &[(NOTE, b"<</Type/Annot/Subtype/Text/Rect[500 800 520 820]/Contents(void)/F 4>>".to_vec())],
        ),
        case("an annotation removed", &[(PAGE, page("13 0 R ", ""))]),
        case("annotations in another order", &[(PAGE, page("10 0 R 13 0 R", "13 0 R 10 0 R"))]),
        case(
            "the seal in front of the other annotations",
            &[(PAGE, page("10 0 R 13 0 R 15 0 R", "15 0 R 10 0 R 13 0 R"))],
        ),
        case("the seal on a page twice", &[(PAGE, page(" ]>>", " 15 0 R]>>"))]),
        case("the seal on another page too", &[(6, second_page("15 0 R"))]),
        case("the seal on another page instead", &[(PAGE, Draft::new().page_object()), (6, second_page("15 0 R"))]),
        case("the seal on no page", &[(PAGE, Draft::new().page_object())]),
        case("a field filled", &[(FIELD, Draft::field("net 360 days"))]),
        case("a field's looks", &[(LOOKS, looks("net 360 days"))]),
    ]
}

/// Page 2 with these annotations.
pub(super) fn second_page(annotations: &str) -> Vec<u8> {
    format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents 7 0 R/Annots[{annotations}]>>"
    )
    .into_bytes()
}

fn catalog() -> Vec<Case> {
    let with = |more: &str| {
        let object = Draft::new().catalog_object();
        vec![(CATALOG, replaced(&object, "/Pages", &format!("{more}/Pages")))]
    };
    let form = |what: &str, with: &str| vec![(FORM, replaced(&form_when_signed(0), what, with))];
    let field = |field: &str| {
        vec![(FREE, field.as_bytes().to_vec()), (FORM, replaced(&form_when_signed(1), " ]>>", " 14 0 R ]>>"))]
    };
    let tree = [
        (FREE, b"<</Type/Pages/Kids[6 0 R]/Count 1>>".to_vec()),
        (CATALOG, replaced(&Draft::new().catalog_object(), "/Pages 2 0 R", "/Pages 14 0 R")),
    ];
    vec![
        case("another page tree", &tree),
        case("an action when it is opened", &with("/OpenAction<</S/JavaScript/JS(1)>>")),
        case("further actions", &with("/AA<</WP<</S/JavaScript/JS(1)>>>>")),
        case("attachments", &with("/Names<</EmbeddedFiles<</Names[]>>>>")),
        case("layers", &with("/OCProperties<</OCGs[]/D<<>>>>")),
        case("metadata", &with("/Metadata 4 0 R")),
        case("settings of the viewer", &with("/ViewerPreferences<</HideToolbar true>>")),
        case("permissions without a certification", &with("/Perms<</UR3 4 0 R>>")),
        case("permissions that name another object", &with("/Perms<</DocMDP 4 0 R>>")),
        case(
            "permissions in an object of their own",
            &[
                (FREE, b"<</DocMDP 15 0 R>>".to_vec()),
                (CATALOG, replaced(&Draft::new().catalog_object(), "/Pages", "/Perms 14 0 R/Pages")),
            ],
        ),
        updated("permissions before the signature", |draft| draft.update(&with("/Perms<</DocMDP 14 0 R>>"))),
        case("looks made by the viewer", &form("/SigFlags 3", "/SigFlags 3/NeedAppearances true")),
        case("a dynamic form", &form("/SigFlags 3", "/SigFlags 3/XFA(1)")),
        case("the form's font", &form("/F1 5 0 R", "/F1 11 0 R")),
        case("the form's default looks", &form("0 g", "1 g")),
        case("a field less", &form("10 0 R ", "")),
        case(
            "another form",
            &[
                (FREE, form_when_signed(1)),
                (CATALOG, replaced(&Draft::new().catalog_object(), "/AcroForm 9 0 R", "/AcroForm 14 0 R")),
            ],
        ),
        case("a text field", &field("<</FT/Tx/T(amount)/V(1)>>")),
        case("a field within the list", &form(" ]>>", " <</FT/Tx/T(amount)/V(1)>>]>>")),
        case("a script as a field", &field("<</FT/Btn/T(go)/A<</S/JavaScript/JS(1)>>>>")),
    ]
}

/// The form as an update writes it that has `own` objects of its own in front of the signature's.
pub(super) fn form_when_signed(own: usize) -> Vec<u8> {
    replaced(&Draft::new().form_object(), "10 0 R ", &format!("10 0 R {} 0 R ", FREE + own + 1))
}

fn structure() -> Vec<Case> {
    let between = |about, bytes: &'static [u8]| updated(about, move |draft| draft.bytes.extend_from_slice(bytes));
    let unnamed = |about, object: &'static [u8]| {
        updated(about, move |draft| {
            let number = draft.size;
            draft.update(&[(number, object.to_vec())]);
        })
    };
    let closed = |about, entries: fn(&Draft) -> Vec<(usize, usize)>, more: &'static str| {
        updated(about, move |draft| {
            draft.body(&[(CATALOG, draft.catalog_object())]);
            let mut entries = entries(draft);
            entries.push((CATALOG, draft.offsets[&CATALOG]));
            draft.close(&entries, more);
        })
    };
    let at_end = {
        let (version, mut file) = signed_with(&[]);
        file.push(b'\n');
        ("a byte behind the signature", version, file)
    };
    let small = {
        // The catalog names a size, behind which readers take objects for missing.
        let (version, _) = signed_with(&[]);
        let mut draft = Draft::new();
        draft.body(&[(CATALOG, draft.catalog_object())]);
        draft.size = 8;
        draft.close(&[(CATALOG, draft.offsets[&CATALOG])], "");
        draft.sign(&sealer(), &Wish::default());
        ("a size that hides objects", version, draft.bytes)
    };
    vec![
        between("garbage between version and signature", b"garbage\n"),
        between("a comment between version and signature", b"% a word\n"),
        between("an object without an entry", b"4 0 obj\n<<>>\nendobj\n"),
        unnamed("an object that nothing uses", b"<</Type/Font>>"),
        closed("a freed object", |_| vec![(CONTENT, 0)], ""),
        closed("an entry that leads to a former object", |draft| vec![(CONTENT, draft.offsets[&7])], ""),
        closed("other entries of the trailer", |_| vec![], "/Tenant(x)"),
        closed("a hybrid section", |_| vec![], "/XRefStm 10"),
        updated("other information", |draft| draft.update(&[(INFO, b"<</Title(Another)>>".to_vec())])),
        at_end,
        small,
    ]
}

/// Versions that were made for a later change.
fn planted() -> Vec<Case> {
    let dangling = {
        // The page draws an object that is not there yet; the form may lead to it.
        let mut draft = Draft::new();
        let page = draft.page_with("/Contents[4 0 R 15 0 R]", "");
        draft.update(&[(PAGE, page)]);
        let version = draft.bytes.clone();
        let mut store = Objects::new();
        draft.catalog = "/DSS 16 0 R".into();
        store.push((CATALOG, draft.catalog_object()));
        store.push((15, other_text()));
        store.push((16, b"<</Type/DSS/Certs[15 0 R]>>".to_vec()));
        draft.update(&store);
        let page = replaced(&page_when_signed(3), "/Contents 4 0 R", "/Contents[4 0 R 15 0 R]");
        draft.sign_with(&sealer(), &Wish::default(), &[(PAGE, page)]);
        ("an object that the page was waiting for", version, draft.bytes)
    };
    let shared = {
        // One list is both what page 1 shows as annotations and what page 2 does.
        let mut pdf = Pdf::new("Purchase contract", &[]);
        let (list, page) = (pdf.free(), pdf.free() + 1);
        let first = replaced(&pdf.page_object("", ""), "/Annots[]", &format!("/Annots {list} 0 R"));
        pdf.update(&[
            (2, format!("<</Type/Pages/Kids[3 0 R {page} 0 R]/Count 2>>").into_bytes()),
            (3, first.clone()),
            (list, b"[]".to_vec()),
            (page, first.clone()),
        ]);
        let version = pdf.bytes.clone();
        let widget = pdf.free() + 1;
        let objects = vec![(3, first), (list, format!("[{widget} 0 R]").into_bytes())];
        sign_in(&mut pdf, objects);
        ("a list of annotations for two pages", version, pdf.bytes)
    };
    let wrapped = {
        // All objects again behind the version, and sections that lead to them only.
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        let again = |number: usize| if number == CONTENT { other_text() } else { draft.object(number) };
        let objects: Objects = (1..FREE).map(|number| (number, again(number))).collect();
        draft.body(&objects);
        draft.xref = 0;
        let entries: Vec<_> = draft.offsets.clone().into_iter().collect();
        draft.close(&entries, "");
        draft.sign(&sealer(), &Wish::default());
        ("sections that leave the version out", version, draft.bytes)
    };
    vec![dangling, shared, wrapped]
}

/// Signs with these objects in the place of the usual ones.
fn sign_in(pdf: &mut Pdf, objects: Objects) {
    let prepared = pdf.prepare_with(objects);
    let cms = sealer().cms(&prepared.digest);
    pdf.complete(&prepared, &cms);
}
