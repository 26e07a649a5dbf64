//! Shadow attacks: what is signed was prepared to be swapped afterwards.

use super::draft::{CATALOG, CONTENT, Draft, FIELD, FONT, LOOKS, PAGE, PICTURE, Wish, looks, stream, text_of_page};
use super::{Attack, People, Verdict};

pub(super) fn files(people: &People) -> Vec<Attack> {
    let mut files = vec![];
    files.extend(hide(people));
    files.extend(replace(people));
    files.extend(hide_and_replace(people));
    files
}

/// A cover that a later update takes away.
fn cover() -> Draft {
    let mut draft = Draft::new();
    let form = stream("/Type/XObject/Subtype/Form/BBox[0 0 500 60]", b"1 1 1 rg 0 0 500 60 re f");
    let text = "BT /F1 14 Tf 72 730 Td (The buyer pays 9000 CNY.) Tj ET q 1 0 0 1 60 710 cm /Im1 Do Q";
    draft.update(&[(PICTURE, form), (CONTENT, stream("", text.as_bytes()))]);
    draft
}

/// The covered document before anyone signs it.
pub(super) fn planted_cover() -> Vec<u8> {
    cover().bytes
}

fn hide(people: &People) -> Vec<Attack> {
    let signed = || {
        let mut draft = cover();
        draft.sign(&people.a, &Wish::default());
        draft
    };
    let mut freed = signed();
    freed.close(&[(PICTURE, 0)], "");
    let mut emptied = signed();
    emptied.update(&[(PICTURE, stream("/Type/XObject/Subtype/Form/BBox[0 0 500 60]", b""))]);
    let mut retyped = signed();
    let body = String::from_utf8(retyped.object(PICTURE)).unwrap().replace("/Subtype/Form", "/Subtype/Frob");
    retyped.update(&[(PICTURE, body.into_bytes())]);
    let mut resources = signed();
    let page = String::from_utf8(resources.page_object()).unwrap().replace("/XObject<</Im1 8 0 R>>", "");
    resources.update(&[(PAGE, page.into_bytes())]);
    vec![
        Attack::new("shadow-hide", "cover-freed", freed.bytes, Verdict::Changed),
        Attack::new("shadow-hide", "cover-emptied", emptied.bytes, Verdict::Changed),
        Attack::new("shadow-hide", "cover-retyped", retyped.bytes, Verdict::Changed),
        Attack::new("shadow-hide", "cover-unnamed", resources.bytes, Verdict::Changed),
    ]
}

fn replace(people: &People) -> Vec<Attack> {
    let mut font = people.signed();
    font.update(&[(FONT, b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>".to_vec())]);
    let mut value = people.signed();
    value.update(&[(FIELD, Draft::field("net 360 days")), (LOOKS, looks("net 360 days"))]);
    let mut overlay = people.signed();
    overlay.update(&[(LOOKS, looks("net 360 days"))]);
    let mut seal = people.signed();
    let picture = seal.size - 1;
    seal.update(&[(picture, stream("/Type/XObject/Subtype/Form/BBox[0 0 100 100]", b"0 0 100 100 re f"))]);
    let mut flag = people.signed();
    let form =
        String::from_utf8(flag.form_object()).unwrap().replace("/SigFlags 3", "/SigFlags 3/NeedAppearances true");
    flag.update(&[(super::draft::FORM, form.into_bytes())]);
    vec![
        Attack::new("shadow-replace", "font", font.bytes, Verdict::Changed),
        Attack::new("shadow-replace", "field-value", value.bytes, Verdict::Changed),
        Attack::new("shadow-replace", "field-looks", overlay.bytes, Verdict::Changed),
        Attack::new("shadow-replace", "seal-picture", seal.bytes, Verdict::Changed),
        Attack::new("shadow-replace", "need-appearances", flag.bytes, Verdict::Changed),
    ]
}

/// A second page text that nothing shows, before anyone signs.
fn planted(is_listed: bool) -> (Draft, usize) {
    let mut draft = Draft::new();
    let hidden = draft.size;
    draft.body(&[(hidden, text_of_page("9000"))]);
    // An object that is never shown; or one that no table names.
    let entries = if is_listed { vec![(hidden, draft.offsets[&hidden])] } else { vec![] };
    draft.close(&entries, "");
    (draft, hidden)
}

/// The prepared document before anyone signs it.
pub(super) fn planted_page(is_listed: bool) -> Vec<u8> {
    planted(is_listed).0.bytes
}

fn hide_and_replace(people: &People) -> Vec<Attack> {
    // The table alone is changed: the page's content number now leads to the hidden object's bytes.
    let (mut table, hidden) = planted(true);
    table.sign(&people.a, &Wish::default());
    let at = table.offsets[&hidden];
    table.close(&[(CONTENT, at)], "");
    // The page now names the hidden object.
    let (mut page, hidden) = planted(true);
    page.sign(&people.a, &Wish::default());
    let other = page.page_with(&format!("/Contents {hidden} 0 R"), "");
    page.update(&[(PAGE, other)]);
    // Another catalog with other pages was there all the time; the trailer switches.
    let mut root = Draft::new();
    let n = root.size;
    let objects = vec![
        (n, format!("<</Type/Catalog/Pages {} 0 R/AcroForm 9 0 R>>", n + 1).into_bytes()),
        (n + 1, format!("<</Type/Pages/Kids[{} 0 R 6 0 R]/Count 2>>", n + 2).into_bytes()),
        (
            n + 2,
            format!(
                "<</Type/Page/Parent {} 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents {} 0 R>>",
                n + 1,
                n + 3
            )
            .into_bytes(),
        ),
        (n + 3, text_of_page("9000")),
    ];
    root.update(&objects);
    root.sign(&people.a, &Wish::default());
    root.close(&[], &format!("/Root {n} 0 R"));
    // The same object number twice in the original; the table leads to the harmless one first.
    let (mut twice, _) = planted(false);
    twice.body(&[(CONTENT, text_of_page("9000"))]);
    let evil = twice.offsets[&CONTENT];
    twice.close(&[], "");
    twice.sign(&people.a, &Wish::default());
    twice.close(&[(CONTENT, evil)], "");
    let mut catalog = people.signed();
    let number = catalog.size;
    let body =
        String::from_utf8(catalog.catalog_object()).unwrap().replace("/Pages 2 0 R", &format!("/Pages {number} 0 R"));
    catalog.update(&[(CATALOG, body.into_bytes()), (number, b"<</Type/Pages/Kids[6 0 R]/Count 1>>".to_vec())]);
    vec![
        Attack::new("shadow-hide-and-replace", "table", table.bytes, Verdict::Changed),
        Attack::new("shadow-hide-and-replace", "page", page.bytes, Verdict::Changed),
        Attack::new("shadow-hide-and-replace", "root", root.bytes, Verdict::Changed),
        Attack::new("shadow-hide-and-replace", "same-number", twice.bytes, Verdict::Changed),
        Attack::new("shadow-hide-and-replace", "page-tree", catalog.bytes, Verdict::Changed),
    ]
}
