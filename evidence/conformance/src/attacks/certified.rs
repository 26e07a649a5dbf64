//! Attacks on certified documents: evil annotations, sneaky signatures, and what a certification forbids.

use super::draft::{Draft, FIELD, FORM, LOOKS, PAGE, Wish, looks, stream};
use super::{Attack, People, Verdict};

pub(super) fn files(people: &People) -> Vec<Attack> {
    let mut files = vec![];
    files.extend(annotations(people));
    files.extend(signatures(people));
    files.extend(forbidden(people));
    files
}

fn annotated(mut draft: Draft, subtype: &str, more: &str) -> Vec<u8> {
    let (annotation, picture) = (draft.size, draft.size + 1);
    let page = draft.page_with("/Contents 4 0 R", &format!("{annotation} 0 R"));
    let body = format!(
        "<</Type/Annot/Subtype/{subtype}/Rect[60 710 560 770]/F 4/DA(/F1 14 Tf 0 g)/Contents(The buyer pays 9000 CNY.){more}/AP<</N {picture} 0 R>>>>"
    );
    let cover = b"1 1 1 rg 0 0 500 60 re f 0 g BT /F1 14 Tf 12 20 Td (The buyer pays 9000 CNY.) Tj ET";
    let cover = stream("/Type/XObject/Subtype/Form/BBox[0 0 500 60]/Resources<</Font<</F1 5 0 R>>>>", cover);
    draft.update(&[(PAGE, page), (annotation, body.into_bytes()), (picture, cover)]);
    draft.bytes
}

/// Evil annotation attack.
fn annotations(people: &People) -> Vec<Attack> {
    let evil = |name: &str, draft: Draft, subtype: &str, expected| {
        Attack::new("certification-eaa", name, annotated(draft, subtype, ""), expected)
    };
    vec![
        evil("free-text-p3", people.certified(3), "FreeText", Verdict::Changed),
        evil("stamp-p3", people.certified(3), "Stamp", Verdict::Changed),
        evil("redact-p3", people.certified(3), "Redact", Verdict::Changed),
        evil("widget-p3", people.certified(3), "Widget", Verdict::Changed),
        // Permitted, and told to whoever reads the report.
        evil("highlight-p3", people.certified(3), "Highlight", Verdict::Caution),
        evil("note-p2", people.certified(2), "Text", Verdict::Changed),
        evil("free-text-approval", people.signed(), "FreeText", Verdict::Changed),
    ]
}

/// Sneaky signature attack.
fn signatures(people: &People) -> Vec<Attack> {
    let mut large = people.certified(2);
    large.sign(&people.mallory, &Wish { name: "mallory", rectangle: [40, 400, 560, 800], ..Wish::default() });
    let mut added = people.certified(2);
    added.sign(&people.b, &Wish { name: "party-b", rectangle: [200, 60, 300, 160], ..Wish::default() });
    let mut broken = people.certified(2);
    broken.sign(&people.mallory, &Wish { name: "mallory", rectangle: [60, 700, 360, 760], ..Wish::default() });
    let at = broken.bytes.len() - 600;
    broken.patch(at, b"0.8 0 0 RG", b"0.8 0 0 rg");
    let mut unsigned = people.certified(2);
    let (number, picture) = (unsigned.size, unsigned.size + 1);
    let (form, page) =
        (unsigned.form_with(&format!("{number} 0 R")), unsigned.page_with("/Contents 4 0 R", &format!("{number} 0 R")));
    let field = format!(
        "<</Type/Annot/Subtype/Widget/FT/Sig/T(later)/P 3 0 R/F 4/Rect[60 710 560 770]/AP<</N {picture} 0 R>>>>"
    );
    let cover = stream("/Type/XObject/Subtype/Form/BBox[0 0 500 60]", b"1 1 1 rg 0 0 500 60 re f");
    unsigned.update(&[(FORM, form), (PAGE, page), (number, field.into_bytes()), (picture, cover)]);
    vec![
        Attack::new("certification-ssa", "large-seal-p2", large.bytes, Verdict::Changed),
        Attack::new("certification-ssa", "new-field-p2", added.bytes, Verdict::Changed),
        Attack::new("certification-ssa", "broken-signature-p2", broken.bytes, Verdict::Invalid),
        Attack::new("certification-ssa", "picture-in-empty-field-p2", unsigned.bytes, Verdict::Changed),
    ]
}

fn forbidden(people: &People) -> Vec<Attack> {
    let fill = |mut draft: Draft| {
        draft.update(&[(FIELD, Draft::field("net 360 days")), (LOOKS, looks("net 360 days"))]);
        draft.bytes
    };
    let mut signed = people.certified(1);
    signed.sign(&people.b, &Wish { name: "party-b", rectangle: [200, 60, 300, 160], ..Wish::default() });
    let mut locked = Draft::new();
    locked.sign(&people.a, &Wish { permits: Some(2), locks: "terms", ..Wish::default() });
    let mut added = people.certified(2);
    let number = added.size;
    let (form, page) =
        (added.form_with(&format!("{number} 0 R")), added.page_with("/Contents 4 0 R", &format!("{number} 0 R")));
    let field = format!(
        "<</Type/Annot/Subtype/Widget/FT/Tx/T(more)/V(9000)/P 3 0 R/F 4/Rect[60 500 160 520]/AP<</N {LOOKS} 0 R>>>>"
    );
    added.update(&[(FORM, form), (PAGE, page), (number, field.into_bytes())]);
    vec![
        Attack::new("certification", "filled-p1", fill(people.certified(1)), Verdict::Changed),
        Attack::new("certification", "signed-p1", signed.bytes, Verdict::Changed),
        Attack::new("certification", "locked-field-p2", fill(locked), Verdict::Changed),
        Attack::new("certification", "field-added-p2", added.bytes, Verdict::Changed),
    ]
}
