//! A contract PDF written byte by byte, and updates of it: two pages, a picture, a form field, a font. Classic
//! cross-reference tables, so that every attack is on exactly the bytes that it means.

use std::collections::BTreeMap;

use crate::pdf::Signer;
use qz_evidence::hash::sha256;

/// Room for a CMS object, in bytes.
const ROOM: usize = 4096;

/// Object numbers of the original.
pub const CATALOG: usize = 1;
pub const PAGE: usize = 3;
pub const CONTENT: usize = 4;
pub const FONT: usize = 5;
pub const PICTURE: usize = 8;
pub const FORM: usize = 9;
pub const FIELD: usize = 10;
pub const LOOKS: usize = 11;
pub const INFO: usize = 12;
pub const NOTE: usize = 13;
/// First number that is free.
pub const FREE: usize = 14;

/// What a signature asks for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    pub name: &'a str,
    /// Certification with this permission.
    pub permits: Option<u8>,
    /// `/Lock`-like field lock: names of the fields.
    pub locks: &'a str,
    pub rectangle: [usize; 4],
    /// Text between `/Contents` and the end of what is left out: a gap to hide something in.
    pub stuffing: &'a str,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self { name: "party-a", permits: None, locks: "", rectangle: [60, 60, 160, 160], stuffing: "" }
    }
}

/// A file under way.
#[derive(Clone, Debug)]
pub struct Draft {
    pub bytes: Vec<u8>,
    pub xref: usize,
    pub size: usize,
    /// Offsets of the newest objects.
    pub offsets: BTreeMap<usize, usize>,
    fields: Vec<usize>,
    annotations: Vec<usize>,
    certification: Option<usize>,
    /// More entries of the catalog.
    pub catalog: String,
}

pub fn stream(more: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("<<{more}/Length {}>>\nstream\n", bytes.len()).as_bytes(), bytes, b"\nendstream"].concat()
}

/// What page 1 draws: two lines of the contract and the picture.
pub fn text_of_page(amount: &str) -> Vec<u8> {
    let text = format!(
        "BT /F1 14 Tf 72 760 Td (Purchase contract) Tj 0 -30 Td (The buyer pays {amount} CNY.) Tj ET q 40 0 0 40 400 700 cm /Im1 Do Q"
    );
    stream("", text.as_bytes())
}

pub fn looks(text: &str) -> Vec<u8> {
    let content = format!("/Tx BMC BT /F1 12 Tf 2 4 Td ({text}) Tj ET EMC");
    let more = "/Type/XObject/Subtype/Form/BBox[0 0 200 20]/Resources<</Font<</F1 5 0 R>>>>";
    stream(more, content.as_bytes())
}

impl Draft {
    /// The original, unsigned.
    pub fn new() -> Self {
        let mut draft = Self {
            bytes: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(),
            xref: 0,
            size: 0,
            offsets: BTreeMap::new(),
            fields: vec![FIELD],
            annotations: vec![FIELD, NOTE],
            certification: None,
            catalog: String::new(),
        };
        let second = stream("", b"BT /F1 14 Tf 72 760 Td (Page two: annex) Tj ET");
        let picture = stream(
            "/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceRGB/BitsPerComponent 8",
            b"\xc0\x10\x10",
        );
        let objects = vec![
            (CATALOG, draft.catalog_object()),
            (2, b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 2>>".to_vec()),
            (PAGE, draft.page_object()),
            (CONTENT, text_of_page("1000")),
            (FONT, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec()),
            (
                6,
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents 7 0 R>>"
                    .to_vec(),
            ),
            (7, second),
            (PICTURE, picture),
            (FORM, draft.form_object()),
            (FIELD, Self::field("net 30 days")),
            (LOOKS, looks("net 30 days")),
            (INFO, b"<</Title(Contract)>>".to_vec()),
            (NOTE, b"<</Type/Annot/Subtype/Text/Rect[500 800 520 820]/Contents(see annex)/F 4>>".to_vec()),
        ];
        draft.update(&objects);
        draft
    }

    pub fn field(value: &str) -> Vec<u8> {
        format!(
            "<</Type/Annot/Subtype/Widget/FT/Tx/T(terms)/V({value})/DA(/F1 12 Tf 0 g)/P 3 0 R/F 4/Rect[72 600 272 620]/AP<</N 11 0 R>>>>"
        )
        .into_bytes()
    }

    pub fn catalog_object(&self) -> Vec<u8> {
        let certified = self.certification.map(|n| format!("/Perms<</DocMDP {n} 0 R>>")).unwrap_or_default();
        format!("<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R{certified}{}>>", self.catalog).into_bytes()
    }

    pub fn page_object(&self) -> Vec<u8> {
        self.page_with("/Contents 4 0 R", "")
    }

    /// Page 1 with other contents, and further annotations.
    pub fn page_with(&self, contents: &str, annotations: &str) -> Vec<u8> {
        let list: Vec<String> = self.annotations.iter().map(|n| format!("{n} 0 R")).collect();
        format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>/XObject<</Im1 8 0 R>>>>{contents}/Annots[{} {annotations}]>>",
            list.join(" ")
        )
        .into_bytes()
    }

    pub fn form_object(&self) -> Vec<u8> {
        self.form_with("")
    }

    /// The form with further fields.
    pub fn form_with(&self, more: &str) -> Vec<u8> {
        let list: Vec<String> = self.fields.iter().map(|n| format!("{n} 0 R")).collect();
        format!("<</SigFlags 3/DA(/F1 12 Tf 0 g)/DR<</Font<</F1 5 0 R>>>>/Fields[{} {more}]>>", list.join(" "))
            .into_bytes()
    }

    /// Appends objects, a table and a trailer.
    pub fn update(&mut self, objects: &[(usize, Vec<u8>)]) {
        self.body(objects);
        let entries: Vec<(usize, usize)> = objects.iter().map(|(number, _)| (*number, self.offsets[number])).collect();
        self.close(&entries, "");
    }

    /// Appends objects only.
    pub fn body(&mut self, objects: &[(usize, Vec<u8>)]) {
        for (number, object) in objects {
            self.offsets.insert(*number, self.bytes.len());
            self.bytes.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
            self.bytes.extend_from_slice(object);
            self.bytes.extend_from_slice(b"\nendobj\n");
        }
        self.size = self.size.max(objects.iter().map(|(number, _)| number + 1).max().unwrap_or(0));
    }

    /// Appends a table with these entries, and a trailer with `more`.
    pub fn close(&mut self, entries: &[(usize, usize)], more: &str) {
        let is_first = self.xref == 0;
        let previous = if is_first { String::new() } else { format!("/Prev {}", self.xref) };
        let root = if more.contains("/Root") { String::new() } else { format!("/Root {CATALOG} 0 R") };
        self.xref = self.bytes.len();
        let mut text = String::from("xref\n");
        if is_first {
            text.push_str("0 1\n0000000000 65535 f \n");
        }
        for (number, offset) in entries {
            match offset {
                // Freed.
                0 => text.push_str(&format!("{number} 1\n0000000000 00001 f \n")),
                _ => text.push_str(&format!("{number} 1\n{offset:010} 00000 n \n")),
            }
        }
        text.push_str(&format!(
            "trailer\n<</Size {}/Info {INFO} 0 R{root}{previous}{more}>>\nstartxref\n{}\n%%EOF\n",
            self.size, self.xref
        ));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Signs in a new field. Returns the number of the signature dictionary.
    pub fn sign(&mut self, signer: &Signer, wish: &Wish<'_>) -> usize {
        self.sign_with(signer, wish, &[])
    }

    /// The same with further objects in the same update, or others in the place of its own.
    pub fn sign_with(&mut self, signer: &Signer, wish: &Wish<'_>, more: &[(usize, Vec<u8>)]) -> usize {
        let value = self.size.max(FREE).max(more.iter().map(|(n, _)| n + 1).max().unwrap_or(0));
        let (widget, picture) = (value + 1, value + 2);
        self.fields.push(widget);
        self.annotations.push(widget);
        if wish.permits.is_some() {
            self.certification = Some(value);
        }
        let mut reference = String::new();
        if let Some(permits) = wish.permits {
            reference.push_str(&format!(
                "<</Type/SigRef/TransformMethod/DocMDP/TransformParams<</Type/TransformParams/V/1.2/P {permits}>>>>"
            ));
        }
        if !wish.locks.is_empty() {
            reference.push_str(&format!(
                "<</Type/SigRef/TransformMethod/FieldMDP/Data {CATALOG} 0 R/TransformParams<</Type/TransformParams/V/1.2/Action/Include/Fields[({})]>>>>",
                wish.locks
            ));
        }
        let reference = if reference.is_empty() { reference } else { format!("/Reference[{reference}]") };
        let head = format!(
            "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(D:20261122100000+08'00')/Name({}){reference}/ByteRange[0 0000000000 0000000000 0000000000]/Contents<",
            wish.name
        );
        let [a, b, c, d] = wish.rectangle;
        let field = format!(
            "<</Type/Annot/Subtype/Widget/FT/Sig/T({})/V {value} 0 R/P 3 0 R/F 132/Rect[{a} {b} {c} {d}]/AP<</N {picture} 0 R>>>>",
            wish.name
        );
        let seal = format!("0.8 0 0 RG 3 w 5 5 {} {} re S", c - a - 10, d - b - 10);
        let seal = stream(&format!("/Type/XObject/Subtype/Form/BBox[0 0 {} {}]", c - a, d - b), seal.as_bytes());
        let mut objects = vec![
            (CATALOG, self.catalog_object()),
            (PAGE, self.page_object()),
            (FORM, self.form_object()),
            (widget, field.into_bytes()),
            (picture, seal),
        ];
        objects.retain(|(number, _)| more.iter().all(|(other, _)| other != number));
        objects.extend(more.iter().cloned());
        self.close_signed(signer, value, (&head, wish.stuffing), objects);
        value
    }

    /// Appends an update with these objects and a signature dictionary over it, of which the text in front of the
    /// string of `/Contents` is given, and what stands behind that.
    pub fn close_signed(
        &mut self, signer: &Signer, value: usize, (head, stuffing): (&str, &str), mut objects: Vec<(usize, Vec<u8>)>,
    ) {
        let body = [head.as_bytes(), &vec![b'0'; 2 * ROOM], b">", stuffing.as_bytes(), b">>"].concat();
        let place = objects.iter().position(|(number, _)| *number > value).unwrap_or(objects.len());
        objects.insert(place, (value, body));
        self.update(&objects);
        let start = self.offsets[&value] + format!("{value} 0 obj\n").len() + head.len();
        let (first, second) = (start - 1, start + 2 * ROOM + 1 + stuffing.len());
        let range = format!("[0 {first:010} {second:010} {:010}]", self.bytes.len() - second);
        let place = start - b"/Contents<".len() - range.len();
        self.bytes[place..place + range.len()].copy_from_slice(range.as_bytes());
        let digest = sha256(&[&self.bytes[..first], &self.bytes[second..]]);
        let digits = hex::encode(signer.cms(&digest));
        self.bytes[start..start + digits.len()].copy_from_slice(digits.as_bytes());
    }

    /// Bytes of an object as it stands in the file, between `obj` and `endobj`.
    pub fn object(&self, number: usize) -> Vec<u8> {
        let start = self.offsets[&number] + format!("{number} 0 obj\n").len();
        let length = find(&self.bytes[start..], b"\nendobj\n");
        self.bytes[start..start + length].to_vec()
    }

    /// Replaces the first occurrence behind `from` by as many bytes.
    pub fn patch(&mut self, from: usize, what: &[u8], with: &[u8]) {
        assert_eq!(what.len(), with.len());
        let at = from + find(&self.bytes[from..], what);
        self.bytes[at..at + with.len()].copy_from_slice(with);
    }
}

pub fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("the draft has it")
}
