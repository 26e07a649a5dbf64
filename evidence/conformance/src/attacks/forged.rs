//! Bytes that were changed, added, hidden, moved, or taken from the signature itself.

use super::draft::{CATALOG, CONTENT, Draft, PAGE, Wish, find, text_of_page};
use super::{Attack, People, Verdict};

pub(super) fn files(people: &People) -> Vec<Attack> {
    let mut files = vec![];
    files.extend(flipped(people));
    files.extend(appended(people));
    files.extend(stuffed(people));
    files.extend(wrapped(people));
    files.extend(saved(people));
    files.extend(universal(people));
    files
}

fn flipped(people: &People) -> Vec<Attack> {
    let flip = |name: &str, what: &[u8], with: &[u8], expected| {
        let mut draft = people.signed();
        draft.patch(0, what, with);
        Attack::new("bit-flip", name, draft.bytes, expected)
    };
    let mut signature = people.signed();
    let contents = find(&signature.bytes, b"/Contents<308") + 10;
    let digit = &mut signature.bytes[contents + 900];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    vec![
        flip("text", b"(The buyer pays 1000", b"(The buyer pays 9000", Verdict::Invalid),
        flip("picture", b"\xc0\x10\x10", b"\xc0\x10\x11", Verdict::Invalid),
        flip("time", b"D:20261122", b"D:20251122", Verdict::Invalid),
        flip("range", b"/ByteRange[0 0", b"/ByteRange[1 0", Verdict::Invalid),
        flip("table", b"trailer\n", b"trailes\n", Verdict::Undetermined),
        Attack::new("bit-flip", "signature", signature.bytes, Verdict::Invalid),
    ]
}

fn appended(people: &People) -> Vec<Attack> {
    let append = |name: &str, what: &[u8]| {
        let bytes = [people.signed().bytes.as_slice(), what].concat();
        Attack::new("appended-garbage", name, bytes, Verdict::Changed)
    };
    let object = [b"4 0 obj\n".as_slice(), &text_of_page("9000"), b"\nendobj\n"].concat();
    vec![
        append("text", b"some garbage\n"),
        append("comment", b"% a comment\n"),
        append("long", &b"garbage ".repeat(10_000)),
        append("marker", b"junk\n%%EOF\n"),
        append("object", &object),
        Attack::new(
            "appended-garbage",
            "second-file",
            [people.signed().bytes, Draft::new().bytes].concat(),
            Verdict::Undetermined,
        ),
    ]
}

fn stuffed(people: &People) -> Vec<Attack> {
    let gap = |stuffing: &str| {
        let mut draft = Draft::new();
        draft.sign(&people.a, &Wish { stuffing, ..Wish::default() });
        draft.bytes
    };
    let mut padding = people.signed();
    let contents = find(&padding.bytes, b"/Contents<308") + 10;
    padding.bytes[contents + 2 * 4096 - 4] = b'7';
    // White space among the digits, as many bytes.
    let mut spaced = people.signed();
    spaced.bytes[contents + 2 * 4096 - 4] = b' ';
    let mut between = people.signed();
    between.bytes.extend_from_slice(b"hidden between two revisions\n");
    between.sign(&people.b, &Wish { name: "party-b", ..Wish::default() });
    let mut unlisted = people.signed();
    unlisted.body(&[(CONTENT, text_of_page("9000"))]);
    let entries: Vec<_> = vec![];
    unlisted.close(&entries, "");
    vec![
        Attack::new("gap-stuffing", "behind-contents", gap("/Evil(hidden text)"), Verdict::Invalid),
        Attack::new("gap-stuffing", "blanks", gap("          "), Verdict::Invalid),
        Attack::new("gap-stuffing", "padding", padding.bytes, Verdict::Invalid),
        Attack::new("gap-stuffing", "spaces", spaced.bytes, Verdict::Invalid),
        Attack::new("gap-stuffing", "between-revisions", between.bytes, Verdict::Changed),
        Attack::new("gap-stuffing", "unlisted-object", unlisted.bytes, Verdict::Changed),
    ]
}

/// The second covered part is moved back, and something is put where it was.
fn wrapped(people: &People) -> Vec<Attack> {
    let honest = people.signed();
    let value = find(&honest.bytes, b"/Type/Sig/");
    let range = value + find(&honest.bytes[value..], b"/ByteRange[") + b"/ByteRange[".len();
    let contents = range + find(&honest.bytes[range..], b"/Contents<") + b"/Contents".len();
    let second = contents + find(&honest.bytes[contents..], b">") + 1;
    let tail = honest.bytes[second..].to_vec();
    let number = honest.offsets.keys().copied().find(|n| honest.offsets[n] < value && value < honest.offsets[n] + 40);
    let number = number.unwrap();
    // The attacker's objects stand in the place of the tail; the signature dictionary is rewritten with a
    // range that leaves out more.
    let wrap = |is_six: bool| {
        let mut draft = honest.clone();
        draft.bytes.truncate(second);
        draft.bytes.extend_from_slice(b">>\nendobj\n");
        let object = honest.object(number);
        draft.body(&[(CONTENT, text_of_page("9000"))]);
        let place = draft.bytes.len() + format!("{number} 0 obj\n").len();
        draft.body(&[(number, object)]);
        draft.close(&[(CONTENT, draft.offsets[&CONTENT]), (number, draft.offsets[&number])], "");
        let moved = draft.bytes.len();
        draft.bytes.extend_from_slice(&tail);
        let text = match is_six {
            false => format!("[0 {contents:010} {moved:010} {:010}]", tail.len()),
            true => format!("[0 {contents} {contents} 0 {moved} {}]", tail.len()),
        };
        let at = place + find(&draft.bytes[place..], b"/ByteRange[") + b"/ByteRange".len();
        let old = find(&draft.bytes[at..], b"]") + 1;
        let text = format!("{text:<old$}");
        draft.bytes[at..at + old].copy_from_slice(text.as_bytes());
        draft.bytes
    };
    // The field is moved to a new name with the same signature, shown elsewhere.
    let mut field = people.signed();
    let moved = field.size;
    let widget =
        format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(chairman)/V {number} 0 R/P 3 0 R/F 132/Rect[60 300 160 400]>>");
    let (form, page) =
        (field.form_with(&format!("{moved} 0 R")), field.page_with("/Contents 4 0 R", &format!("{moved} 0 R")));
    field.update(&[(super::draft::FORM, form), (PAGE, page), (moved, widget.into_bytes())]);
    vec![
        Attack::new("signature-wrapping", "moved-tail", wrap(false), Verdict::Undetermined),
        Attack::new("signature-wrapping", "six-numbers", wrap(true), Verdict::Undetermined),
        Attack::new("signature-wrapping", "second-field", field.bytes, Verdict::Invalid),
    ]
}

/// Incremental saving, in whole and in part.
fn saved(people: &People) -> Vec<Attack> {
    let evil = [(CONTENT, text_of_page("9000"))];
    let mut whole = people.signed();
    whole.update(&evil);
    let mut body_only = people.signed();
    body_only.body(&evil);
    let mut no_table = people.signed();
    no_table.body(&evil);
    let text = format!(
        "trailer\n<</Size {}/Root 1 0 R/Prev {}>>\nstartxref\n{}\n%%EOF\n",
        no_table.size, no_table.xref, no_table.xref
    );
    no_table.bytes.extend_from_slice(text.as_bytes());
    let mut copied = people.signed();
    let value = copied.size - 3;
    let signature = copied.object(value);
    copied.update(&[evil[0].clone(), (value, signature)]);
    let mut page = people.signed();
    let number = page.size;
    let other = page.page_with(&format!("/Contents {number} 0 R"), "");
    page.update(&[(PAGE, other), (number, text_of_page("9000"))]);
    let mut inserted = people.signed();
    let number = inserted.size;
    inserted.update(&[
        (2, format!("<</Type/Pages/Kids[3 0 R {number} 0 R 6 0 R]/Count 3>>").into_bytes()),
        (number, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>".to_vec()),
    ]);
    let mut removed = people.signed();
    removed.update(&[(2, b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec())]);
    let mut resigned = people.signed();
    resigned.update(&evil);
    resigned.sign(&people.b, &Wish { name: "party-b", rectangle: [200, 60, 300, 160], ..Wish::default() });
    let mut script = people.signed();
    script.catalog = "/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>".into();
    let catalog = script.catalog_object();
    script.update(&[(CATALOG, catalog)]);
    vec![
        Attack::new("incremental-saving", "whole", whole.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "body-only", body_only.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "no-table", no_table.bytes, Verdict::Undetermined),
        Attack::new("incremental-saving", "copied-signature", copied.bytes, Verdict::Invalid),
        Attack::new("incremental-saving", "other-content", page.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "page-inserted", inserted.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "page-removed", removed.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "signed-again", resigned.bytes, Verdict::Changed),
        Attack::new("incremental-saving", "script", script.bytes, Verdict::Changed),
    ]
}

/// The signature is damaged so that a careless reader takes it for valid.
fn universal(people: &People) -> Vec<Attack> {
    let honest = people.signed();
    let value = honest.size - 3;
    let object = String::from_utf8(honest.object(value)).unwrap();
    let range = object.find("/ByteRange").unwrap();
    let range_end = range + object[range..].find(']').unwrap() + 1;
    let contents = object.find("/Contents").unwrap();
    let forge = |name: &str, body: String| {
        let mut draft = honest.clone();
        draft.update(&[(CONTENT, text_of_page("9000")), (value, body.into_bytes())]);
        Attack::new("universal-forgery", name, draft.bytes, Verdict::Invalid)
    };
    let with_range = |text: &str| format!("{}{text}{}", &object[..range], &object[range_end..]);
    let with_contents = |text: &str| format!("{}{text}>>", &object[..contents]);
    let mut gone = honest.clone();
    let widget = gone.size - 2;
    let field = String::from_utf8(gone.object(widget)).unwrap().replace(&format!("/V {value} 0 R"), "");
    gone.update(&[(widget, field.into_bytes())]);
    let mut dangling = honest.clone();
    dangling.body(&[]);
    dangling.close(&[(value, 0)], "");
    let mut no_field = Draft::new();
    no_field.bytes.clone_from(&honest.bytes);
    (no_field.xref, no_field.size) = (honest.xref, honest.size);
    no_field.offsets.clone_from(&honest.offsets);
    let (form, page) = (no_field.form_object(), no_field.page_object());
    no_field.update(&[(super::draft::FORM, form), (PAGE, page)]);
    vec![
        forge("contents-missing", with_contents("")),
        forge("contents-null", with_contents("/Contents null")),
        forge("contents-empty", with_contents("/Contents<>")),
        forge("contents-zero", with_contents("/Contents<00>")),
        forge("contents-zeros", with_contents(&format!("/Contents<{}>", "0".repeat(2 * 4096)))),
        forge("range-missing", with_range("")),
        forge("range-null", with_range("/ByteRange null")),
        forge("range-negative", with_range("/ByteRange[0 -1 -1 10]")),
        forge("range-three", with_range("/ByteRange[0 10 20]")),
        forge("range-zero", with_range("/ByteRange[0 0 0 0]")),
        forge("range-all", with_range(&format!("/ByteRange[0 {} {} 0]", honest.bytes.len(), honest.bytes.len()))),
        forge("range-huge", with_range("/ByteRange[0 99999999999999999999 1 1]")),
        Attack::new("universal-forgery", "value-removed", gone.bytes, Verdict::Invalid),
        Attack::new("universal-forgery", "value-freed", dangling.bytes, Verdict::Invalid),
        Attack::new("universal-forgery", "field-removed", no_field.bytes, Verdict::Invalid),
    ]
}
