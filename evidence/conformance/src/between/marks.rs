//! Cross-page seals 骑缝章 and date stamps, reserved and filled by hand.

use super::pages::second_page;
use super::*;

/// Objects of the update that reserves: field, group, its slices on both pages, their empty form.
const FIELD: usize = FREE;
const GROUP: usize = FREE + 1;
const SLICE: usize = FREE + 2;
const OTHER_SLICE: usize = FREE + 3;
const EMPTY: usize = FREE + 4;
/// Of the update that signs: signature, its picture, the slices' picture.
const VALUE: usize = FREE + 5;
const LOOKS: usize = FREE + 6;
const PART: usize = FREE + 7;
/// First number behind these.
const NEXT: usize = FREE + 8;

const HEAD: &str = "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 0000000000 0000000000 0000000000]/Contents<";

pub(super) fn honest() -> Vec<Case> {
    let invisible = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        let page = draft.page_with("/Contents 4 0 R", "14 0 R");
        draft.update(&[(FIELD, field("")), (FORM, draft.form_with("14 0 R")), (PAGE, page)]);
        draft.close_signed(&sealer(), VALUE, (HEAD, ""), vec![(FIELD, field("/V 19 0 R"))]);
        ("an invisible signature by hand", version, draft.bytes)
    };
    let certified = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.sign(&sealer(), &Wish { permits: Some(2), ..Wish::default() });
        draft.sign(&sealer(), &second());
        ("a certification and a second signature by hand", version, draft.bytes)
    };
    vec![made("places reserved and filled by hand", reserving(), signing()), invisible, certified]
}

fn made(about: &'static str, reserving: Objects, signing: Objects) -> Case {
    let mut draft = Draft::new();
    let version = draft.bytes.clone();
    draft.update(&reserving);
    draft.close_signed(&sealer(), VALUE, (HEAD, ""), signing);
    (about, version, draft.bytes)
}

fn field(more: &str) -> Vec<u8> {
    format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(party-a)/P 3 0 R/F 132/Rect[60 60 160 160]{more}>>").into_bytes()
}

fn slice(page: usize, object: usize, looks: &str) -> Vec<u8> {
    format!(
        "<</Type/Annot/Subtype/Widget/FT/Btn/Ff 65537/F 132/T(p{page})/TU(seal)/P {object} 0 R/Rect[550 400 590 500]/Parent {GROUP} 0 R{looks}>>"
    )
    .into_bytes()
}

const UNFILLED: &str = "/AP<</N<</Off 18 0 R>>>>/AS/Off";
const FILLED: &str = "/AP<</N<</Off 18 0 R/Seal 21 0 R>>>>/AS/Seal";

fn reserving() -> Objects {
    let draft = Draft::new();
    vec![
        (FIELD, field("")),
        (GROUP, b"<</T(party-a-straddle)/Kids[16 0 R 17 0 R]>>".to_vec()),
        (SLICE, slice(1, PAGE, UNFILLED)),
        (OTHER_SLICE, slice(2, 6, UNFILLED)),
        (EMPTY, form("", b"")),
        (FORM, draft.form_with("14 0 R 15 0 R")),
        (PAGE, draft.page_with("/Contents 4 0 R", "14 0 R 16 0 R")),
        (6, second_page("17 0 R")),
    ]
}

fn signing() -> Objects {
    vec![
        (FIELD, field("/V 19 0 R/AP<</N 20 0 R>>")),
        (SLICE, slice(1, PAGE, FILLED)),
        (OTHER_SLICE, slice(2, 6, FILLED)),
        (LOOKS, form("", b"0 0 100 100 re S")),
        (PART, form("/Resources<</XObject<</I 20 0 R>>>>", b"/I Do")),
    ]
}

/// The usual objects with one changed.
fn but(objects: Objects, number: usize, what: &str, with: &str) -> Objects {
    let change = |(n, object): (usize, Vec<u8>)| match n == number {
        true => (n, replaced(&object, what, with)),
        false => (n, object),
    };
    objects.into_iter().map(change).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = reserved_wrongly();
    all.extend(filled_wrongly());
    all.extend(at_the_wrong_time());
    all
}

/// Forms that no reader of signatures takes.
pub(super) fn unreadable() -> Vec<Case> {
    vec![
        made("a slice that stands in the form itself", but(reserving(), FORM, "15 0 R", "15 0 R 16 0 R"), signing()),
        second_group("a group twice", "<</T(party-a-straddle)/Kids[16 0 R 17 0 R]>>"),
        second_group("a group that shares a slice", "<</T(party-a-date)/Kids[16 0 R]>>"),
    ]
}

fn second_group(about: &'static str, group: &str) -> Case {
    let draft = Draft::new();
    let mut objects = reserving();
    objects.retain(|(number, _)| *number != FORM);
    let number = NEXT + 2;
    objects.push((FORM, draft.form_with(&format!("14 0 R 15 0 R {number} 0 R"))));
    objects.push((number, group.as_bytes().to_vec()));
    made(about, objects, signing())
}

fn reserved_wrongly() -> Vec<Case> {
    let with = |about, number, what: &str, by: &str| made(about, but(reserving(), number, what, by), signing());
    vec![
        made(
            "a slice with a text in it",
            {
                let mut objects = reserving();
                objects.retain(|(number, _)| *number != EMPTY);
                objects.push((EMPTY, form("", b"BT (9000 CNY) Tj ET")));
                objects
            },
            signing(),
        ),
        with("a slice whose empty picture is the page's contents", SLICE, "/Off 18 0 R", "/Off 4 0 R"),
        with("a slice that is filled from the start", SLICE, UNFILLED, "/AP<</N<</Off 18 0 R/Seal 11 0 R>>>>/AS/Seal"),
        with("a slice with another picture under the mouse", SLICE, "18 0 R>>>>", "18 0 R>>/D 18 0 R>>"),
        with("a slice with an action", SLICE, "/F 132", "/F 132/A<</S/JavaScript/JS(1)>>"),
        with("a slice with a caption", SLICE, "/F 132", "/F 132/MK<</CA(9000)>>"),
        with("a slice that is no push button", SLICE, "65537", "1"),
        with("a slice that is a text field", SLICE, "/FT/Btn", "/FT/Tx"),
        with("a slice with a value", SLICE, "/F 132", "/F 132/V/Yes"),
        with("a slice in the middle of the page, as large as it", SLICE, "[550 400 590 500]", "[0 0 595 842]"),
        with("a slice with the name of another page", SLICE, "(p1)", "(p2)"),
        with("a slice that names another page", SLICE, "/P 3 0 R", "/P 6 0 R"),
        with("a slice on no page", 6, "/Annots[17 0 R]", "/Annots[]"),
        with("a slice on two pages", 6, "[17 0 R]", "[17 0 R 16 0 R]"),
        with("a slice of another group", SLICE, "/Parent 15 0 R", "/Parent 14 0 R"),
        with("a slice without its group", GROUP, "16 0 R 17 0 R", "17 0 R"),
        with("a group of no field", GROUP, "party-a-", "party-x-"),
        with("a group with another name", GROUP, "-straddle", "-overlay"),
        with("a group with a kind", GROUP, "/Kids", "/FT/Btn/Kids"),
        with("a group with an action", GROUP, "/Kids", "/AA<</F<</S/JavaScript/JS(1)>>>>/Kids"),
        with("a date stamp on two pages", GROUP, "-straddle", "-date"),
        with("two slices on a page", OTHER_SLICE, "(p2)", "(p1)"),
        second_group("a group without slices", "<</T(party-a-date)/Kids[]>>"),
    ]
}

fn filled_wrongly() -> Vec<Case> {
    let with = |about, number, what: &str, by: &str| made(about, reserving(), but(signing(), number, what, by));
    let and = |about, object: (usize, Vec<u8>)| {
        let mut objects = signing();
        objects.retain(|(number, _)| *number != object.0);
        objects.push(object);
        made(about, reserving(), objects)
    };
    vec![
        with("a slice moved when it is filled", SLICE, "[550 400 590 500]", "[50 400 90 500]"),
        with("a slice made larger when it is filled", SLICE, "[550 400 590 500]", "[0 0 595 842]"),
        with("a slice without its empty picture", SLICE, "/Off 18 0 R", ""),
        with("a slice with another empty picture", SLICE, "/Off 18 0 R", "/Off 20 0 R"),
        with("a slice with a third picture", SLICE, "/Off 18 0 R", "/Off 18 0 R/On 21 0 R"),
        with("a slice with another state", SLICE, "/AS/Seal", "/AS/On"),
        with("a slice that shows the page's contents", SLICE, "/Seal 21 0 R", "/Seal 4 0 R"),
        with("a slice with an action when it is filled", SLICE, "/F 132", "/F 132/A<</S/JavaScript/JS(1)>>"),
        with("a slice in the page's font", PART, "/I 20 0 R", "/I 20 0 R>>/Font<</F1 5 0 R"),
        with("a field moved when it is signed", FIELD, "[60 60 160 160]", "[60 600 160 700]"),
        with("a field made larger when it is signed", FIELD, "[60 60 160 160]", "[0 0 595 842]"),
        with("a field renamed when it is signed", FIELD, "(party-a)", "(party-b)"),
        with("a field given an action when it is signed", FIELD, "/F 132", "/F 132/A<</S/JavaScript/JS(1)>>"),
        and("the empty picture of the slices replaced", (EMPTY, form("", b"BT (9000 CNY) Tj ET"))),
        and("the group changed", (GROUP, b"<</T(party-a-straddle)/Kids[16 0 R]>>".to_vec())),
        and("another text with a reserved signature", (crate::attacks::draft::CONTENT, other_text())),
    ]
}

fn at_the_wrong_time() -> Vec<Case> {
    let late = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.update(&reserving());
        draft.close_signed(&sealer(), VALUE, (HEAD, ""), signing());
        let number = draft.size;
        let object = format!(
            "<</Type/Annot/Subtype/Widget/FT/Btn/Ff 65537/F 132/T(p2)/TU(d)/P 6 0 R/Rect[0 0 9 9]/Parent {number} 0 R/AP<</N<</Off {} 0 R>>>>/AS/Off>>",
            number + 2
        );
        draft.update(&[
            (number, format!("<</T(party-a-date)/Kids[{} 0 R]>>", number + 1).into_bytes()),
            (number + 1, object.into_bytes()),
            (number + 2, form("", b"")),
            (FORM, draft.form_with(&format!("14 0 R 15 0 R {number} 0 R"))),
            (6, second_page(&format!("17 0 R {} 0 R", number + 1))),
        ]);
        sign_again(&mut draft, "14 0 R 15 0 R", number, vec![]);
        ("a date stamp's place behind a signature", version, draft.bytes)
    };
    let unsigned = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.update(&reserving());
        let mut parts = signing();
        parts.retain(|(number, _)| *number != FIELD);
        draft.update(&parts);
        draft.close_signed(&sealer(), NEXT, (HEAD, ""), vec![(FIELD, field("/V 22 0 R"))]);
        ("slices filled by nobody", version, draft.bytes)
    };
    let again = {
        // The second party's update draws the first one's slice anew.
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.update(&reserving());
        draft.close_signed(&sealer(), VALUE, (HEAD, ""), signing());
        let slice = slice(1, PAGE, "/AP<</N<</Off 18 0 R/Seal 22 0 R>>>>/AS/Seal");
        let objects = vec![(SLICE, slice), (NEXT, form("", b"BT (9000 CNY) Tj ET"))];
        sign_again(&mut draft, "14 0 R 15 0 R", 0, objects);
        ("a slice filled twice", version, draft.bytes)
    };
    let by_another = {
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.update(&reserving());
        let mut objects = signing();
        objects.retain(|(number, _)| *number != FIELD);
        objects.push((FORM, draft.form_with("14 0 R 15 0 R 22 0 R")));
        objects.push((PAGE, draft.page_with("/Contents 4 0 R", "14 0 R 16 0 R 22 0 R")));
        let own = replaced(&field("/V 19 0 R/AP<</N 20 0 R>>"), "(party-a)", "(party-b)");
        objects.push((NEXT, own));
        draft.close_signed(&sealer(), VALUE, (HEAD, ""), objects);
        ("slices filled by another party's signature", version, draft.bytes)
    };
    let twice = {
        // A field that is signed is signed once more.
        let mut draft = Draft::new();
        let version = draft.bytes.clone();
        draft.update(&reserving());
        draft.close_signed(&sealer(), VALUE, (HEAD, ""), signing());
        let objects = vec![(FIELD, field("/V 22 0 R/AP<</N 20 0 R>>"))];
        draft.close_signed(&sealer(), NEXT, (HEAD, ""), objects);
        ("a field signed twice", version, draft.bytes)
    };
    vec![late, unsigned, again, by_another, twice]
}

/// A second party's signature, in a field of its own behind the fields given (and one more, if it is not 0).
fn sign_again(draft: &mut Draft, fields: &str, more: usize, mut objects: Objects) {
    let value = draft.size.max(NEXT + 1);
    let widget = value + 1;
    let more = if more == 0 { String::new() } else { format!(" {more} 0 R") };
    let own =
        format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(party-b)/V {value} 0 R/P 3 0 R/F 132/Rect[200 60 300 160]>>");
    objects.push((widget, own.into_bytes()));
    objects.push((FORM, draft.form_with(&format!("{fields}{more} {widget} 0 R"))));
    objects.push((PAGE, draft.page_with("/Contents 4 0 R", &format!("14 0 R 16 0 R {widget} 0 R"))));
    draft.close_signed(&sealer(), value, (HEAD, ""), objects);
}
