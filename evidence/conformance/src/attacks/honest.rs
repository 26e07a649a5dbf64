//! What happens to honest files: further signatures, validation data, permitted additions.

use super::draft::{CATALOG, Draft, FIELD, FORM, FREE, INFO, LOOKS, PAGE, Wish, looks, stream};
use super::{Attack, People, Verdict};

pub(super) fn files(people: &People) -> Vec<Attack> {
    let file = |name: &str, bytes, expected| Attack::new("honest", name, bytes, expected);
    let signed = people.signed();
    let mut twice = signed.clone();
    twice.sign(&people.b, &Wish { name: "party-b", rectangle: [200, 60, 300, 160], ..Wish::default() });
    let mut ten = Draft::new();
    for n in 0..10 {
        let name = format!("signer-{n}");
        let left = 20 + 55 * n;
        ten.sign(&people.a, &Wish { name: &name, rectangle: [left, 60, left + 50, 110], ..Wish::default() });
    }
    let mut stored = signed.clone();
    stored.catalog = format!("/DSS {} 0 R", stored.size);
    let (dss, list) = (stored.size, stored.size + 1);
    let catalog = stored.catalog_object();
    let certificate = stream("", &people.a.issuer);
    stored.update(&[
        (CATALOG, catalog),
        (dss, format!("<</Type/DSS/Certs[{list} 0 R]>>").into_bytes()),
        (list, certificate),
    ]);
    let mut renamed = signed.clone();
    renamed.update(&[(INFO, b"<</Title(Contract, archived)>>".to_vec())]);
    let mut crlf = signed.bytes.clone();
    crlf.extend_from_slice(b"\r\n");
    let mut filled = people.certified(2);
    filled.update(&[(FIELD, Draft::field("net 60 days")), (LOOKS, looks("net 60 days"))]);
    let mut noted = people.certified(3);
    let page = noted.page_with("/Contents 4 0 R", &format!("{FREE}9 0 R"));
    let number = FREE * 10 + 9;
    noted.update(&[(PAGE, page), (number, b"<</Type/Annot/Subtype/Text/Rect[10 10 30 30]/Contents(ok)>>".to_vec())]);
    let mut waiting = signed.clone();
    let number = waiting.size;
    let (form, page) =
        (waiting.form_with(&format!("{number} 0 R")), waiting.page_with("/Contents 4 0 R", &format!("{number} 0 R")));
    let field = format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(party-c)/P {PAGE} 0 R/F 132/Rect[300 60 400 160]>>");
    waiting.update(&[(FORM, form), (PAGE, page), (number, field.into_bytes())]);
    vec![
        file("signed", signed.bytes, Verdict::Intact),
        file("signed-twice", twice.bytes, Verdict::Intact),
        file("ten-signatures", ten.bytes, Verdict::Intact),
        file("validation-data", stored.bytes, Verdict::Intact),
        file("metadata", renamed.bytes, Verdict::Intact),
        file("line-end-at-the-end", crlf, Verdict::Intact),
        file("certified-1", people.certified(1).bytes, Verdict::Intact),
        file("certified-2-filled", filled.bytes, Verdict::Caution),
        file("certified-3-noted", noted.bytes, Verdict::Caution),
        file("empty-field-added", waiting.bytes, Verdict::Intact),
    ]
}
