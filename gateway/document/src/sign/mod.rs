//! PAdES signatures in two steps (ISO 32000-1 §12.8, ETSI EN 319 142-1).
//!
//! [`prepare`] appends a revision with a visible signature field and an empty place for the CMS
//! object and tells the digest to be signed; [`complete`] fills the place. Between the two the digest
//! is made final elsewhere; the same input always gives the same digest. No key is seen here.
//! [`reserve`] makes empty fields before the first signature, so that a certification allows the later
//! ones; [`prepare_timestamp`] is for a timestamp over the whole file.

mod body;
mod field;
mod straddle;
mod widget;

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lopdf::{Dictionary, Object, ObjectId};
use qz_evidence::Hash32;
use qz_evidence::checkpoint::Anchor;
use qz_evidence::timestamp::{self, Roots, TimestampError};
use serde::{Deserialize, Serialize};

use crate::POINTS_PER_MM;
use crate::appearance::{self, ImprintError};
use crate::inspect::{Inspected, Pdf, PdfError};
use crate::key::HashFunction;
use crate::page::{PageBox, Rectangle};
use crate::seal::{Caption, Imprint, SealError};
use crate::update::{Update, UpdateError};
use body::SignatureBody;
use field::{Field, Standing};
pub use straddle::Straddling;

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
    /// The PDF has an empty signature field of this name at another place.
    #[error("签名域“{0}”预留在其他位置 / the field {0:?} was reserved at another place")]
    FieldElsewhere(String),
    /// An earlier signature locks the field.
    #[error("此前的签名已锁定签名域“{0}”，不能再签 / an earlier signature locks the field {0:?}")]
    FieldLocked(String),
    /// The places of a cross-page seal were not reserved before the first signature.
    #[error(
        "骑缝章“{0}”的位置未在首次签署前预留 / the places of the cross-page seal {0:?} were not reserved before the first signature"
    )]
    NotReserved(String),
    /// The file is signed already.
    #[error(
        "文件已有签名，骑缝章的位置须在首次签署前预留，请使用未签署的版本 / the file is signed: places of a cross-page seal must be reserved before; use the version without signatures"
    )]
    StraddleTooLate,
    /// A certification allows to fill in fields, not to add any.
    #[error(
        "PDF 带有认证签名，只能在预留的签名域中签署，不能新增签名域 / the PDF is certified: only fields that exist may be signed, none may be added"
    )]
    Certified,
    /// A certification signature comes first.
    #[error("PDF 已有签名，认证签名只能是第一个 / the PDF is signed: a certification can only be the first signature")]
    NotFirst,
    /// The imprint cannot be embedded.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// The caption below the imprint cannot be drawn.
    #[error(transparent)]
    Caption(#[from] SealError),
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
    /// The timestamp does not hold, or is over something else.
    #[error("文档时间戳无效 / the document timestamp does not hold: {0}")]
    Timestamp(#[from] TimestampError),
}

/// Fields whose values a signature fixes (ISO 32000-1 §12.8.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Every field.
    All,
    /// These.
    Only(Vec<String>),
    /// Every one but these.
    AllBut(Vec<String>),
}

/// What a signature says of later changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// Nothing; an empty field that is filled in brings its own lock.
    #[default]
    Approval,
    /// The first signature certifies the file: from now on existing fields may be filled in and signed, and
    /// nothing else may change (DocMDP with permission 2).
    Certification,
    /// It fixes the values of fields.
    Locking(Lock),
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
    /// Shown below the imprint, with [`Self::time_ms`]; the widget is larger by it.
    pub caption: Option<&'a Caption>,
    /// Who signs, for `/Name`.
    pub signer_name: &'a str,
    /// Why, for `/Reason`.
    pub reason: &'a str,
    /// Claimed time, milliseconds since 1970, for `/M`.
    pub time_ms: i64,
    /// What it says of later changes.
    pub policy: Policy,
}

/// A signature field to be made before the first signature.
#[derive(Debug, Clone, PartialEq)]
pub struct EmptyField {
    /// Name of the new form field, unique in the file, without a full stop.
    pub name: String,
    /// Page, from 1.
    pub page: usize,
    /// Left edge from the left edge of the page as displayed.
    pub x_mm: f64,
    /// Lower edge from the lower edge of the page as displayed.
    pub y_mm: f64,
    /// Width.
    pub width_mm: f64,
    /// Height.
    pub height_mm: f64,
    /// What its signature will lock.
    pub lock: Option<Lock>,
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
    /// SHA-256 over both covered parts: what the CMS object must sign, unless its key wants another function.
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

/// A signature that a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Name of its field.
    pub field: String,
    /// Its `/Contents` as it stands in the file, padding included.
    pub contents: Vec<u8>,
    /// The CMS object or timestamp token in it.
    pub object: Vec<u8>,
    /// It is a timestamp over the file (ETSI.RFC3161).
    pub is_timestamp: bool,
}

/// The signatures of a file, in the order of its form; nothing is verified.
///
/// # Errors
/// When the file is refused.
pub fn signatures(pdf: &[u8]) -> Result<Vec<Signed>, SignError> {
    Ok(field::signed(&Pdf::open(pdf)?.document))
}

/// Appends a revision to `pdf` with a signature field, its appearance and room for the signature. An empty
/// signature field of that name at that place is filled in, otherwise a new one is made.
///
/// # Errors
/// When the file is refused ([`PdfError`]), the place is not on the page, the name is taken, or earlier
/// signatures forbid it.
pub fn prepare(pdf: &[u8], request: &FieldRequest<'_>) -> Result<Prepared, SignError> {
    prepare_marked(pdf, request, &[])
}

/// What the revision of a signature draws into places that were reserved for it, besides its own field.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The places.
    pub places: &'a Straddling,
    /// What is drawn; the signature's own imprint if nothing is said.
    pub imprint: Option<&'a Imprint>,
}

/// The same with a cross-page seal 骑缝章 whose places were reserved by [`reserve_all`]: the revision draws the
/// signer's imprint into them, and the signature locks them.
///
/// # Errors
/// As for [`prepare`]; and when the places were not reserved, lie elsewhere, or are filled already.
pub fn prepare_straddling(
    pdf: &[u8], request: &FieldRequest<'_>, straddling: &Straddling,
) -> Result<Prepared, SignError> {
    prepare_marked(pdf, request, &[Mark { places: straddling, imprint: None }])
}

/// The same with any marks: a cross-page seal, a date stamp.
///
/// # Errors
/// As for [`prepare_straddling`].
pub fn prepare_marked(pdf: &[u8], request: &FieldRequest<'_>, marks: &[Mark<'_>]) -> Result<Prepared, SignError> {
    let inspected = Pdf::open(pdf)?;
    let document = &inspected.document;
    let (page_id, page) = page_of(&inspected, request.page)?;
    let (corner, size) = request.widget_mm();
    let rectangle = placed(page, request.page, corner, size)?;
    check_name(request.field_name)?;
    let reserved = Field::find(document, request.field_name);
    let standing = Standing::of(&inspected);
    standing.check(request.field_name, reserved.is_some())?;
    if request.policy == Policy::Certification && standing.signed {
        return Err(SignError::NotFirst);
    }
    let reserved = match reserved {
        None => None,
        Some(field) => Some(reserved_at(&inspected, field, request.field_name, page_id, &rectangle)?),
    };

    let mut update = Update::new(pdf, document)?;
    let (form, upright) = request.appearance(&mut update, page)?;
    for mark in marks {
        for name in mark.places.field_names() {
            standing.check(&name, true)?;
        }
        // Upright for the places, which each turn it as their page wants.
        let imprint = match (mark.imprint, upright) {
            (None, Some(imprint)) => imprint,
            (own, _) => appearance::embed(&mut update, &own.unwrap_or(request.imprint).pdf, appearance::UPRIGHT)?,
        };
        straddle::fill(&mut update, &inspected, mark.places, imprint)?;
    }
    let signature = update.reserve()?;
    let lock = match (&request.policy, &reserved) {
        (Policy::Locking(lock), _) => Some(lock.clone()),
        (Policy::Approval | Policy::Certification, Some((_, lock))) => lock.clone(),
        (Policy::Approval | Policy::Certification, None) => None,
    };
    let lock = marks.iter().fold(lock, |lock, mark| Some(straddle::locking(lock, mark.places)));
    let root = update.root()?;
    let body = SignatureBody::signature(request, lock.as_ref(), root)?;
    update.set_raw(signature, body.bytes());
    if request.policy == Policy::Certification {
        certify(&mut update, signature)?;
    }

    let mut normal = Dictionary::new();
    normal.set("N", form);
    let mut widget = match &reserved {
        Some((id, _)) => update.get_dictionary(*id)?,
        None => field::widget(request.field_name, page_id, &rectangle, None),
    };
    if let Policy::Locking(lock) = &request.policy {
        widget.set("Lock", lock.dictionary("SigFieldLock"));
    }
    widget.set("V", signature);
    widget.set("AP", normal);
    match reserved {
        Some((id, _)) => update.set(id, Object::Dictionary(widget)),
        None => {
            field::add(&mut update, page_id, widget)?;
        }
    }
    finish(update, signature, body)
}

/// Appends a revision with empty signature fields, each at its place.
///
/// # Errors
/// When the file is refused, a place is not on its page, a name is taken, or earlier signatures forbid it.
pub fn reserve(pdf: &[u8], fields: &[EmptyField]) -> Result<Vec<u8>, SignError> {
    reserve_all(pdf, fields, &[])
}

/// The same with the places of cross-page seals 骑缝章. To be called before the first signature.
///
/// # Errors
/// As for [`reserve`]; and for cross-page seals when the file has a signature already.
pub fn reserve_all(pdf: &[u8], fields: &[EmptyField], straddlings: &[Straddling]) -> Result<Vec<u8>, SignError> {
    let inspected = Pdf::open(pdf)?;
    let standing = Standing::of(&inspected);
    let mut update = Update::new(pdf, &inspected.document)?;
    for (index, field) in fields.iter().enumerate() {
        check_name(&field.name)?;
        let twice = fields[..index].iter().any(|other| other.name == field.name);
        if twice || Field::find(&inspected.document, &field.name).is_some() {
            return Err(SignError::FieldExists(field.name.clone()));
        }
        standing.check(&field.name, false)?;
        let (page_id, page) = page_of(&inspected, field.page)?;
        let rectangle = placed(page, field.page, (field.x_mm, field.y_mm), (field.width_mm, field.height_mm))?;
        field::add(&mut update, page_id, field::widget(&field.name, page_id, &rectangle, field.lock.as_ref()))?;
    }
    for (index, straddling) in straddlings.iter().enumerate() {
        check_name(&straddling.name)?;
        let twice = straddlings[..index].iter().any(|other| other.name == straddling.name)
            || fields.iter().any(|field| field.name == straddling.name);
        if twice || Field::find(&inspected.document, &straddling.name).is_some() {
            return Err(SignError::FieldExists(straddling.name.clone()));
        }
        straddle::reserve(&mut update, &inspected, &standing, straddling)?;
    }
    Ok(update.write()?.bytes)
}

/// Appends a revision with room for a timestamp over the whole file (ETSI.RFC3161), in an invisible field on
/// the first page. The token is to be over [`Prepared::digest`]; [`complete_timestamp`] puts it in its place.
///
/// # Errors
/// When the file is refused, the name is taken, or a signature forbids every change.
pub fn prepare_timestamp(pdf: &[u8], field_name: &str) -> Result<Prepared, SignError> {
    let inspected = Pdf::open(pdf)?;
    check_name(field_name)?;
    if Field::find(&inspected.document, field_name).is_some() {
        return Err(SignError::FieldExists(field_name.to_owned()));
    }
    let (page_id, _) = page_of(&inspected, 1)?;
    let mut update = Update::new(pdf, &inspected.document)?;
    let signature = update.reserve()?;
    let body = SignatureBody::timestamp();
    update.set_raw(signature, body.bytes());
    let mut widget = field::widget(field_name, page_id, &[0.0; 4], None);
    widget.set("V", signature);
    field::add(&mut update, page_id, widget)?;
    finish(update, signature, body)
}

fn finish(update: Update<'_>, signature: ObjectId, body: SignatureBody) -> Result<Prepared, SignError> {
    let updated = update.write()?;
    let offset = updated.raw_offsets.get(&signature).copied().ok_or(UpdateError::Unreadable(signature))?;
    Ok(body.finish(updated.bytes, offset))
}

/// Puts the CMS object in its place.
///
/// # Errors
/// When the revision is no longer the prepared one, or the object is not over its digest or too large.
pub fn complete(prepared: &Prepared, cms_der: &[u8]) -> Result<Vec<u8>, SignError> {
    prepared.check(cms_der)?;
    let content = prepared.covered().ok_or(SignError::Altered)?;
    crate::cms::check_digest(cms_der, &content)?;
    Ok(prepared.filled(cms_der))
}

/// Puts a timestamp token in its place. It must hold in itself; whom to trust is the verifier's choice.
///
/// # Errors
/// When the revision is no longer the prepared one, or the token is not over its digest or too large.
pub fn complete_timestamp(prepared: &Prepared, token_der: &[u8]) -> Result<Vec<u8>, SignError> {
    prepared.check(token_der)?;
    check_token(token_der, &prepared.digest)?;
    Ok(prepared.filled(token_der))
}

/// Checks that a token holds in itself and is over this SHA-256 digest; gives its time (ms since 1970).
///
/// # Errors
/// When it does not.
pub fn check_token(token_der: &[u8], digest: &[u8; 32]) -> Result<u64, TimestampError> {
    let anchor = Anchor::of_token(token_der.to_vec());
    Ok(timestamp::verify(&anchor, &Hash32(*digest), &Roots::default())?.time_ms)
}

impl Prepared {
    /// The digest of what is covered, by the hash function that the signer's key wants
    /// ([`crate::cms::SignerCertificate::hash`]).
    ///
    /// # Errors
    /// When the revision is no longer the prepared one.
    pub fn digest_by(&self, function: HashFunction) -> Result<[u8; 32], SignError> {
        match self.covered() {
            Some(covered) if self.computed_digest() == Some(self.digest) => Ok(function.digest(&covered)),
            _ => Err(SignError::Altered),
        }
    }

    /// The covered parts; `None` when the ranges do not fit the file.
    fn covered(&self) -> Option<[&[u8]; 2]> {
        let [start, first, second, last] = self.byte_range;
        let fits = start == 0
            && first.checked_add(1)? == self.contents.start
            && second == self.contents.end.checked_add(1)?
            && second.checked_add(last)? == self.bytes.len()
            && self.contents.start <= self.contents.end;
        fits.then(|| [&self.bytes[..first], &self.bytes[second..]])
    }

    /// The digest over the byte range as stored now.
    fn computed_digest(&self) -> Option<[u8; 32]> {
        self.covered().map(|covered| HashFunction::Sha256.digest(&covered))
    }

    fn check(&self, object: &[u8]) -> Result<(), SignError> {
        if self.computed_digest() != Some(self.digest) {
            return Err(SignError::Altered);
        }
        if 2 * object.len() > self.contents.len() {
            return Err(SignError::CmsTooLarge(object.len()));
        }
        Ok(())
    }

    fn filled(&self, object: &[u8]) -> Vec<u8> {
        let digits = hex::encode(object);
        let mut bytes = self.bytes.clone();
        let start = self.contents.start;
        bytes[start..start + digits.len()].copy_from_slice(digits.as_bytes());
        bytes
    }
}

fn page_of(inspected: &Inspected, page: usize) -> Result<(ObjectId, &PageBox), SignError> {
    let found = page.checked_sub(1).and_then(|index| inspected.pages.get(index));
    found.map(|(id, page)| (*id, page)).ok_or(SignError::NoSuchPage { page, count: inspected.page_count() })
}

/// The rectangle on the page for what is displayed at this place.
fn placed(page: &PageBox, number: usize, (x, y): (f64, f64), (w, h): (f64, f64)) -> Result<Rectangle, SignError> {
    let size = page.displayed_size();
    let (width_mm, height_mm) = (size.width / POINTS_PER_MM, size.height / POINTS_PER_MM);
    let inside = |start: f64, length: f64, limit: f64| start >= -0.01 && length > 0.0 && start + length <= limit + 0.01;
    if !inside(x, w, width_mm) || !inside(y, h, height_mm) {
        return Err(SignError::OutsidePage { page: number, width_mm, height_mm });
    }
    let [x, y, w, h] = [x, y, w, h].map(|mm| mm * POINTS_PER_MM);
    Ok(page.place(x, y, w, h))
}

fn check_name(wanted: &str) -> Result<(), SignError> {
    match wanted.is_empty() || wanted.contains('.') || wanted.chars().any(char::is_control) {
        true => Err(SignError::FieldName(wanted.to_owned())),
        false => Ok(()),
    }
}

/// The number and lock of a field that was reserved for this.
fn reserved_at(
    inspected: &Inspected, field: Field<'_>, name: &str, page: ObjectId, place: &Rectangle,
) -> Result<(ObjectId, Option<Lock>), SignError> {
    let document = &inspected.document;
    match field.id {
        Some(id) if field.is_empty_signature(document) => match field.lies_at(document, page, place) {
            true => Ok((id, field.lock(document))),
            false => Err(SignError::FieldElsewhere(name.to_owned())),
        },
        _ => Err(SignError::FieldExists(name.to_owned())),
    }
}

/// The catalog names the certification (ISO 32000-1 §12.8.4).
fn certify(update: &mut Update<'_>, signature: ObjectId) -> Result<(), UpdateError> {
    let root = update.root()?;
    let mut catalog = update.get_dictionary(root)?;
    let mut permissions = match catalog.get(b"Perms").ok().cloned() {
        Some(Object::Reference(id)) => update.get_dictionary(id)?,
        Some(Object::Dictionary(permissions)) => permissions,
        _ => Dictionary::new(),
    };
    permissions.set("DocMDP", signature);
    catalog.set("Perms", permissions);
    update.set(root, Object::Dictionary(catalog));
    Ok(())
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
