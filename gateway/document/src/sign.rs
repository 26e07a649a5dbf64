//! PAdES B-B signatures in two steps (ISO 32000-1 §12.8, ETSI EN 319 142-1).
//!
//! [`prepare`] appends a revision with a visible signature field and an empty place for the CMS
//! object and tells the digest to be signed; [`complete`] fills the place. Between the two the digest
//! is made final elsewhere; the same input always gives the same digest. No key is seen here.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use lopdf::{Dictionary, Object, ObjectId, StringFormat};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::POINTS_PER_MM;
use crate::appearance::{self, ImprintError};
use crate::inspect::{Inspected, Pdf, PdfError};
use crate::seal::Imprint;
use crate::update::{Update, UpdateError};

/// Room for the CMS object, in bytes: a signature with its chain and, later, a timestamp.
pub const CONTENTS_BYTES: usize = 16 << 10;

/// Why a PDF could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The PDF is refused.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The PDF has no such page.
    #[error("PDF 只有 {count} 页，没有第 {page} 页 / the PDF has {count} pages, there is no page {page}")]
    NoSuchPage {
        /// Wanted page, from 1.
        page: usize,
        /// Pages that there are.
        count: usize,
    },
    /// The seal would not lie on the visible page.
    #[error(
        "签章位置超出第 {page} 页可见范围（{width_mm:.0} × {height_mm:.0} mm）/ the seal would leave page {page} ({width_mm:.0} × {height_mm:.0} mm)"
    )]
    OutsidePage {
        /// Page, from 1.
        page: usize,
        /// Visible width.
        width_mm: f64,
        /// Visible height.
        height_mm: f64,
    },
    /// Empty, or with a full stop, which separates levels of names.
    #[error("签名域名称无效：{0:?} / invalid field name {0:?}: it must not be empty or contain a full stop")]
    FieldName(String),
    /// The PDF has a field of this name.
    #[error("签名域“{0}”已存在 / the PDF already has a field {0:?}")]
    FieldExists(String),
    /// The imprint cannot be embedded.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// The PDF cannot be extended.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The claimed time is not a date of the years 1970 to 9999.
    #[error("签署时间无效：{0} / invalid signing time {0}")]
    Time(i64),
    /// A stored revision is not the one that was prepared.
    #[error("待签文件已被改动，摘要不符 / the prepared revision was altered: its digest differs")]
    Altered,
    /// The CMS object is larger than [`CONTENTS_BYTES`].
    #[error("签名数据 {0} 字节，超过预留空间 / the CMS object of {0} bytes does not fit")]
    CmsTooLarge(usize),
    /// The CMS object is not one over this digest.
    #[error("签名数据与待签摘要不符 / the CMS object is not over the prepared digest: {0}")]
    Cms(#[from] crate::cms::CmsError),
}

/// A visible signature to be placed.
#[derive(Debug, Clone)]
pub struct FieldRequest<'a> {
    /// Name of the new form field, unique in the file, without a full stop.
    pub field_name: &'a str,
    /// Page, from 1.
    pub page: usize,
    /// Left edge of the imprint from the left edge of the page as displayed.
    pub x_mm: f64,
    /// Lower edge of the imprint from the lower edge of the page as displayed.
    pub y_mm: f64,
    /// What is shown.
    pub imprint: &'a Imprint,
    /// Who signs, for `/Name`.
    pub signer_name: &'a str,
    /// Why, for `/Reason`.
    pub reason: &'a str,
    /// Claimed time, milliseconds since 1970, for `/M`.
    pub time_ms: i64,
}

/// A revision that waits for its CMS object.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The whole file; the place for the CMS object is zeros.
    #[serde(with = "base64_bytes")]
    pub bytes: Vec<u8>,
    /// The hexadecimal digits of `/Contents` within `bytes`.
    pub contents: Range<usize>,
    /// Offset and length of both covered parts.
    pub byte_range: [usize; 4],
    /// SHA-256 over both covered parts: what the CMS object must sign.
    #[serde(with = "hex::serde")]
    pub digest: [u8; 32],
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("byte_range", &self.byte_range)
            .field("digest", &hex::encode(self.digest))
            .finish_non_exhaustive()
    }
}

/// Appends a revision to `pdf` with a new signature field, its appearance and room for the signature.
///
/// # Errors
/// When the file is refused ([`PdfError`]), the place is not on the page, or the name is taken.
pub fn prepare(pdf: &[u8], request: &FieldRequest<'_>) -> Result<Prepared, SignError> {
    let inspected = Pdf::open(pdf)?;
    let (page_id, rectangle, matrix) = placement(&inspected, request)?;
    check_field_name(&inspected, request.field_name)?;

    let mut update = Update::new(pdf, &inspected.document)?;
    let form = appearance::embed(&mut update, &request.imprint.pdf, matrix)?;
    let signature = update.reserve()?;
    let body = SignatureBody::new(request)?;
    update.set_raw(signature, body.bytes.clone());

    let mut normal = Dictionary::new();
    normal.set("N", form);
    let mut widget = Dictionary::new();
    widget.set("Type", name("Annot"));
    widget.set("Subtype", name("Widget"));
    widget.set("FT", name("Sig"));
    widget.set("T", text(request.field_name));
    widget.set("V", signature);
    widget.set("P", page_id);
    // Print and Locked.
    widget.set("F", 132);
    widget.set("Rect", rectangle.map(|side| Object::Real(round(side))).to_vec());
    widget.set("AP", normal);
    let widget = update.add(widget)?;

    add_to_page(&mut update, page_id, widget)?;
    add_to_form(&mut update, widget)?;
    let updated = update.write()?;
    let offset = updated.raw_offsets.get(&signature).copied().ok_or(UpdateError::Unreadable(signature))?;
    Ok(body.finish(updated.bytes, offset))
}

/// Puts the CMS object in its place.
///
/// # Errors
/// When the revision is no longer the prepared one, or the object is not over its digest or too large.
pub fn complete(prepared: &Prepared, cms_der: &[u8]) -> Result<Vec<u8>, SignError> {
    if prepared.computed_digest() != Some(prepared.digest) {
        return Err(SignError::Altered);
    }
    if 2 * cms_der.len() > prepared.contents.len() {
        return Err(SignError::CmsTooLarge(cms_der.len()));
    }
    crate::cms::check_digest(cms_der, &prepared.digest)?;
    let digits = hex::encode(cms_der);
    let mut bytes = prepared.bytes.clone();
    let start = prepared.contents.start;
    bytes[start..start + digits.len()].copy_from_slice(digits.as_bytes());
    Ok(bytes)
}

impl Prepared {
    /// The digest over the byte range as stored now; `None` when the ranges do not fit the file.
    fn computed_digest(&self) -> Option<[u8; 32]> {
        let [start, first, second, last] = self.byte_range;
        let fits = start == 0
            && first.checked_add(1)? == self.contents.start
            && second == self.contents.end.checked_add(1)?
            && second.checked_add(last)? == self.bytes.len()
            && self.contents.start <= self.contents.end;
        fits.then(|| {
            let mut hash = Sha256::new();
            hash.update(&self.bytes[..first]);
            hash.update(&self.bytes[second..]);
            hash.finalize().into()
        })
    }
}

fn placement(
    inspected: &Inspected, request: &FieldRequest<'_>,
) -> Result<(ObjectId, crate::page::Rectangle, [i64; 6]), SignError> {
    let (id, page) = request
        .page
        .checked_sub(1)
        .and_then(|index| inspected.pages.get(index))
        .ok_or(SignError::NoSuchPage { page: request.page, count: inspected.page_count() })?;
    let size = page.displayed_size();
    let (width_mm, height_mm) = (size.width / POINTS_PER_MM, size.height / POINTS_PER_MM);
    let inside = |start: f64, length: f64, limit: f64| start >= -0.01 && start + length <= limit + 0.01;
    if !inside(request.x_mm, request.imprint.width_mm, width_mm)
        || !inside(request.y_mm, request.imprint.height_mm, height_mm)
    {
        return Err(SignError::OutsidePage { page: request.page, width_mm, height_mm });
    }
    let points = |mm: f64| mm * POINTS_PER_MM;
    let rectangle = page.place(
        points(request.x_mm),
        points(request.y_mm),
        points(request.imprint.width_mm),
        points(request.imprint.height_mm),
    );
    Ok((*id, rectangle, page.upright_matrix()))
}

fn check_field_name(inspected: &Inspected, wanted: &str) -> Result<(), SignError> {
    if wanted.is_empty() || wanted.contains('.') || wanted.chars().any(char::is_control) {
        return Err(SignError::FieldName(wanted.to_owned()));
    }
    let document = &inspected.document;
    let taken = || {
        let form = document.get_dict_in_dict(document.catalog().ok()?, b"AcroForm").ok()?;
        let fields = form.get_deref(b"Fields", document).ok()?.as_array().ok()?;
        fields.iter().find_map(|field| {
            let (_, field) = document.dereference(field).ok()?;
            let title = field.as_dict().ok()?.get_deref(b"T", document).ok()?;
            (lopdf::decode_text_string(title).ok()? == wanted).then_some(())
        })
    };
    if taken().is_some() { Err(SignError::FieldExists(wanted.to_owned())) } else { Ok(()) }
}

fn add_to_page(update: &mut Update<'_>, page_id: ObjectId, widget: ObjectId) -> Result<(), UpdateError> {
    let mut page = update.get_dictionary(page_id)?;
    if update.push(&mut page, "Annots", widget)? {
        update.set(page_id, Object::Dictionary(page));
    }
    Ok(())
}

/// The form may be absent, inline in the catalog, or an object of its own.
fn add_to_form(update: &mut Update<'_>, widget: ObjectId) -> Result<(), UpdateError> {
    // SignaturesExist and AppendOnly.
    const SIGNATURE_FLAGS: i64 = 3;
    let root = update.root()?;
    let mut catalog = update.get_dictionary(root)?;
    let (indirect, mut form) = match catalog.get(b"AcroForm").ok().cloned() {
        Some(Object::Reference(id)) => (Some(id), update.get_dictionary(id)?),
        Some(Object::Dictionary(form)) => (None, form),
        None | Some(Object::Null) => (None, Dictionary::new()),
        Some(_) => return Err(UpdateError::WrongType("/AcroForm")),
    };
    update.push(&mut form, "Fields", widget)?;
    let flags = form.get(b"SigFlags").and_then(Object::as_i64).unwrap_or(0);
    form.set("SigFlags", flags | SIGNATURE_FLAGS);
    match indirect {
        Some(id) => update.set(id, Object::Dictionary(form)),
        None => {
            catalog.set("AcroForm", form);
            update.set(root, Object::Dictionary(catalog));
        }
    }
    Ok(())
}

/// The signature dictionary as bytes, with the places that are filled in later.
struct SignatureBody {
    bytes: Vec<u8>,
    byte_range: usize,
    contents: usize,
}

/// `[0 a b c]` with three numbers of ten digits.
const BYTE_RANGE_WIDTH: usize = 4 + 3 * 11;

impl SignatureBody {
    fn new(request: &FieldRequest<'_>) -> Result<Self, SignError> {
        let mut bytes = b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached".to_vec();
        let mut entry = |key: &str, value: Object| {
            bytes.extend_from_slice(key.as_bytes());
            lopdf::Writer::write_object(&mut bytes, &value).expect("writing to memory cannot fail");
        };
        entry("/M", Object::string_literal(pdf_date(request.time_ms)?));
        entry("/Name", text(request.signer_name));
        entry("/Reason", text(request.reason));
        bytes.extend_from_slice(b"/ByteRange");
        let byte_range = bytes.len();
        bytes.extend_from_slice(&[b' '; BYTE_RANGE_WIDTH]);
        bytes.extend_from_slice(b"/Contents<");
        let contents = bytes.len();
        bytes.extend_from_slice(&[b'0'; 2 * CONTENTS_BYTES]);
        bytes.extend_from_slice(b">>>");
        Ok(Self { bytes, byte_range, contents })
    }

    /// Fills in the byte range, now that the length of the file and `offset` of this body are known.
    fn finish(self, mut bytes: Vec<u8>, offset: usize) -> Prepared {
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

/// `D:YYYYMMDDHHmmSS+08'00'`, China Standard Time.
fn pdf_date(time_ms: i64) -> Result<String, SignError> {
    let time = Timestamp::from_millisecond(time_ms).map_err(|_| SignError::Time(time_ms))?;
    if time_ms < 0 {
        return Err(SignError::Time(time_ms));
    }
    let local = time.to_zoned(TimeZone::fixed(Offset::constant(8)));
    Ok(local.strftime("D:%Y%m%d%H%M%S+08'00'").to_string())
}

fn name(value: &str) -> Object {
    Object::Name(value.as_bytes().to_vec())
}

/// A text string: ASCII as it is, anything else as UTF-16 with its mark.
fn text(value: &str) -> Object {
    if value.is_ascii() {
        return Object::string_literal(value);
    }
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(value.encode_utf16().flat_map(u16::to_be_bytes));
    Object::String(bytes, StringFormat::Hexadecimal)
}

fn round(value: f64) -> f32 {
    ((value * 1000.0).round() / 1000.0) as f32
}

/// Bytes as base64 text in serialised forms.
pub(crate) mod base64_bytes {
    use super::{BASE64, Deserialize, Engine};

    pub(crate) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map_err(serde::de::Error::custom)
    }
}
