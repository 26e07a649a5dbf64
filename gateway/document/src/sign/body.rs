//! The signature dictionary as bytes (ISO 32000-1 §12.8.1), with the places that are filled in later: the
//! byte range once the file's length is known, the CMS object once it is made.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use lopdf::{Dictionary, Object, ObjectId, StringFormat};

use super::{CONTENTS_BYTES, FieldRequest, Lock, Policy, Prepared, SignError};

/// `[0 a b c]` with three numbers of ten digits.
const BYTE_RANGE_WIDTH: usize = 4 + 3 * 11;

/// A signature dictionary with empty places.
pub(super) struct SignatureBody {
    bytes: Vec<u8>,
    byte_range: usize,
    contents: usize,
}

impl SignatureBody {
    /// Of a party's signature; `root` is the catalog, which transforms refer to.
    pub(super) fn signature(
        request: &FieldRequest<'_>, lock: Option<&Lock>, root: ObjectId,
    ) -> Result<Self, SignError> {
        let mut entries = vec![
            ("/M", Object::string_literal(pdf_date(request.time_ms)?)),
            ("/Name", text(request.signer_name)),
            ("/Reason", text(request.reason)),
        ];
        let mut references = Vec::new();
        if request.policy == Policy::Certification {
            references.push(certification(root));
        }
        if let Some(lock) = lock {
            references.push(field_lock(lock, root));
        }
        if !references.is_empty() {
            entries.push(("/Reference", Object::Array(references)));
        }
        Ok(Self::new("/Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached", &entries))
    }

    /// Of a timestamp over the whole file (ETSI EN 319 142-1 §5.4.3).
    pub(super) fn timestamp() -> Self {
        Self::new("/Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161", &[])
    }

    fn new(start: &str, entries: &[(&str, Object)]) -> Self {
        let mut bytes = format!("<<{start}").into_bytes();
        for (key, value) in entries {
            bytes.extend_from_slice(key.as_bytes());
            lopdf::Writer::write_object(&mut bytes, value).expect("writing to memory cannot fail");
        }
        bytes.extend_from_slice(b"/ByteRange");
        let byte_range = bytes.len();
        bytes.extend_from_slice(&[b' '; BYTE_RANGE_WIDTH]);
        bytes.extend_from_slice(b"/Contents<");
        let contents = bytes.len();
        bytes.extend_from_slice(&[b'0'; 2 * CONTENTS_BYTES]);
        bytes.extend_from_slice(b">>>");
        Self { bytes, byte_range, contents }
    }

    /// As it is written into the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Fills in the byte range, now that the length of the file and `offset` of this body are known.
    pub(super) fn finish(self, mut bytes: Vec<u8>, offset: usize) -> Prepared {
        let contents = offset + self.contents..offset + self.contents + 2 * CONTENTS_BYTES;
        let (first, second) = (contents.start - 1, contents.end + 1);
        let byte_range = [0, first, second, bytes.len() - second];
        let [a, b, c, d] = byte_range;
        let numbers = format!("{:<width$}]", format!("[{a} {b} {c} {d}"), width = BYTE_RANGE_WIDTH - 1);
        let place = offset + self.byte_range;
        bytes[place..place + BYTE_RANGE_WIDTH].copy_from_slice(numbers.as_bytes());
        let mut prepared = Prepared { bytes, contents, byte_range, digest: [0; 32] };
        prepared.digest = prepared.computed_digest().expect("the ranges were derived from this file");
        prepared
    }
}

/// DocMDP (ISO 32000-1 §12.8.2.2) with permission 2: from now on only filling in existing fields and signing.
fn certification(root: ObjectId) -> Object {
    let mut parameters = Dictionary::new();
    parameters.set("Type", name("TransformParams"));
    parameters.set("P", 2);
    parameters.set("V", name("1.2"));
    reference("DocMDP", parameters, root)
}

/// FieldMDP (§12.8.2.4): these fields keep their values.
fn field_lock(lock: &Lock, root: ObjectId) -> Object {
    let mut parameters = lock.dictionary("TransformParams");
    parameters.set("V", name("1.2"));
    reference("FieldMDP", parameters, root)
}

fn reference(method: &str, parameters: Dictionary, root: ObjectId) -> Object {
    let mut reference = Dictionary::new();
    reference.set("Type", name("SigRef"));
    reference.set("TransformMethod", name(method));
    reference.set("TransformParams", parameters);
    reference.set("Data", root);
    reference.into()
}

/// `D:YYYYMMDDHHmmSS+08'00'`, China Standard Time.
fn pdf_date(time_ms: i64) -> Result<String, SignError> {
    let time = Timestamp::from_millisecond(time_ms).map_err(|_| SignError::Time(time_ms))?;
    if time_ms < 0 {
        return Err(SignError::Time(time_ms));
    }
    let local = time.to_zoned(TimeZone::fixed(Offset::constant(8)));
    Ok(local.strftime("D:%Y%m%d%H%M%S+08'00'").to_string())
}

pub(super) fn name(value: &str) -> Object {
    Object::Name(value.as_bytes().to_vec())
}

/// A text string: ASCII as it is, anything else as UTF-16 with its mark.
pub(super) fn text(value: &str) -> Object {
    if value.is_ascii() {
        return Object::string_literal(value);
    }
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(value.encode_utf16().flat_map(u16::to_be_bytes));
    Object::String(bytes, StringFormat::Hexadecimal)
}
