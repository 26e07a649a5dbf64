//! Opens a PDF strictly and follows references within it; knows nothing of signatures or attachments.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Dictionary, Document, LoadOptions, Object};

use crate::{MAX_PDF_BYTES, PdfReadError};

/// Bound on what one stream may unpack to while the file is parsed.
const MAX_STREAM_BYTES: usize = 64 << 20;

/// Parses `pdf`, refusing what two readers could read differently.
pub(crate) fn open(pdf: &[u8]) -> Result<Document, PdfReadError> {
    if pdf.len() > MAX_PDF_BYTES {
        return Err(PdfReadError::TooLarge(pdf.len()));
    }
    if !pdf.starts_with(b"%PDF-") {
        return Err(PdfReadError::NotPdf);
    }
    let options = LoadOptions::with_max_decompressed_size(MAX_STREAM_BYTES);
    // The parser is foreign code fed with hostile bytes: a panic in it is a malformed file.
    let document = catch_unwind(AssertUnwindSafe(|| Document::load_mem_with_options(pdf, options)))
        .map_err(|_| PdfReadError::Malformed("the parser gave up".into()))?
        .map_err(|error| match error {
            lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) => PdfReadError::Encrypted,
            other => PdfReadError::Malformed(other.to_string()),
        })?;
    if document.is_encrypted() || document.was_encrypted() {
        return Err(PdfReadError::Encrypted);
    }
    if document.xref_recovery.is_some() {
        return Err(PdfReadError::Damaged);
    }
    Ok(document)
}

/// The value of `key`, with references followed; `None` when the key is absent.
/// A reference to a missing object is an error, never an absence.
pub(crate) fn resolve<'a>(
    document: &'a Document, dictionary: &'a Dictionary, key: &[u8],
) -> Result<Option<&'a Object>, PdfReadError> {
    let Ok(value) = dictionary.get(key) else {
        return Ok(None);
    };
    deref(document, value, &String::from_utf8_lossy(key)).map(Some)
}

/// Follows a reference; `what` names the thing in the error.
pub(crate) fn deref<'a>(document: &'a Document, value: &'a Object, what: &str) -> Result<&'a Object, PdfReadError> {
    let (_, object) =
        document.dereference(value).map_err(|error| PdfReadError::unresolvable(format!("/{what}"), error))?;
    Ok(object)
}

/// Like [`resolve`] for a value that must be a dictionary.
pub(crate) fn resolve_dictionary<'a>(
    document: &'a Document, dictionary: &'a Dictionary, key: &[u8],
) -> Result<Option<&'a Dictionary>, PdfReadError> {
    match resolve(document, dictionary, key)? {
        None => Ok(None),
        Some(object) => object
            .as_dict()
            .map(Some)
            .map_err(|error| PdfReadError::unresolvable(format!("/{}", String::from_utf8_lossy(key)), error)),
    }
}

/// The document catalog.
pub(crate) fn catalog(document: &Document) -> Result<&Dictionary, PdfReadError> {
    document.catalog().map_err(|error| PdfReadError::unresolvable("/Root", error))
}

/// A text string (PDFDocEncoding, UTF-16 or UTF-8) as Rust text.
pub(crate) fn text(object: &Object) -> Option<String> {
    lopdf::decode_text_string(object).ok()
}
