//! Reads what the verifier needs from a PDF: attached files and signatures with their byte ranges.
//!
//! Pure functions from bytes to values: no file, network or clock, so that the same code runs in the
//! browser. It does not render, write or repair: a file whose cross-reference data has to be guessed
//! is refused, because two readers may then see two documents. It does not judge certificate chains
//! either; it hands out the certificates found in a signature.

mod attachments;
mod certificate;
mod cms;
mod difference;
mod document;
mod examine;
mod file;
pub mod matrix;
mod model;
mod scan;
mod signatures;
mod updates;

pub use attachments::{Attachment, attachments};
pub use certificate::{CertificateFacts, ChainError, certificate_facts, check_issued_by};
pub use cms::CmsError;
pub use difference::{Change, ChangeKind};
pub use examine::{
    DocumentReport, DocumentVerdict, LaterChange, Placement, RevisionReport, RevocationData, RootsError,
    SignatureReport, SignatureStatus, TimestampReport, Trust, TrustedRoots, Weight, examine,
    only_validation_data_follows, readable,
};
pub use scan::{Warning, WarningKind, Words};
pub use signatures::{PdfSignature, SignatureKind, signatures};
pub use updates::{UpdateRefused, Violation, only_signed_since};

/// Largest PDF that is read, in bytes.
pub const MAX_PDF_BYTES: usize = 64 << 20;
/// Largest sum of attached files, unpacked, in bytes.
pub const MAX_ATTACHED_BYTES: usize = 64 << 20;
/// Most attachments in one file.
pub const MAX_ATTACHMENTS: usize = 64;
/// Most form fields that are looked at.
pub const MAX_FIELDS: usize = 10_000;
/// Deepest form-field or name tree that is followed.
pub const MAX_DEPTH: usize = 32;
/// Largest CMS object in a signature's `/Contents`, in bytes.
pub const MAX_CMS_BYTES: usize = 1 << 20;

/// Why a PDF could not be read. Every variant is about the input.
#[derive(Debug, thiserror::Error)]
pub enum PdfReadError {
    /// No `%PDF-` header at the first byte.
    #[error("文件不是 PDF / not a PDF: no %PDF- header at its first byte")]
    NotPdf,
    /// Larger than [`MAX_PDF_BYTES`].
    #[error("PDF 过大 / PDF of {0} bytes is larger than the limit of {MAX_PDF_BYTES}")]
    TooLarge(usize),
    /// The file is encrypted, with or without a password.
    #[error("PDF 已加密 / the PDF is encrypted: remove the encryption first")]
    Encrypted,
    /// The structure cannot be parsed.
    #[error("PDF 结构损坏 / the PDF cannot be parsed: {0}")]
    Malformed(String),
    /// The cross-reference data is wrong and would have to be guessed.
    #[error("PDF 交叉引用表损坏 / the cross-reference data of the PDF is damaged")]
    Damaged,
    /// A reference points to nothing or to something of the wrong type.
    #[error("PDF 对象无法解析 / {what} cannot be resolved: {detail}")]
    Unresolvable {
        /// What was looked for.
        what: String,
        /// Why it could not be had.
        detail: String,
    },
    /// A tree is nested too deep, contains itself, or has too many members.
    #[error("PDF 结构超出限制 / {0} is nested too deep, contains itself or is too large")]
    Limit(&'static str),
    /// A signature's byte range is not the whole of a revision around its contents.
    #[error("签名“{field}”的 ByteRange 无效 / the byte range of signature \"{field}\" is invalid: {detail}")]
    ByteRange {
        /// Field name.
        field: String,
        /// What is wrong.
        detail: &'static str,
    },
}

impl PdfReadError {
    pub(crate) fn unresolvable(what: impl Into<String>, detail: impl ToString) -> Self {
        Self::Unresolvable { what: what.into(), detail: detail.to_string() }
    }
}
