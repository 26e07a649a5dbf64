//! Signatures of a PDF: which bytes each covers, their digest, and whether its CMS object holds.
//!
//! What a later update *changed* in an earlier signed revision is not judged here; `covers_to` tells
//! where each signed revision ends.

use std::collections::HashSet;

use lopdf::{Dictionary, Document, Object, ObjectId};
use qz_evidence::timestamp::{Roots, verify_over};
use sha2::{Digest, Sha256};

use crate::cms::{CmsError, Judged, Outcome, Profile, unpadded, verify};
use crate::document::{catalog, deref, open, resolve, resolve_dictionary, text};
use crate::{MAX_CMS_BYTES, MAX_DEPTH, MAX_FIELDS, PdfReadError};

/// What a signature field's value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureKind {
    /// A signer approves what stands before.
    Approval,
    /// The author's signature that says which changes may follow (`DocMDP`).
    Certification,
    /// A timestamp over the file as it was (ETSI EN 319 142-1 §5.4.3).
    DocumentTimestamp,
}

/// One signature found in the form fields.
#[derive(Debug, Clone)]
pub struct PdfSignature {
    /// Fully qualified field name.
    pub field: String,
    /// What it is for.
    pub kind: SignatureKind,
    /// `/ByteRange`: offset and length of the part before and of the part after `/Contents`.
    pub byte_range: [usize; 4],
    /// SHA-256 over both parts.
    pub byte_range_digest: [u8; 32],
    /// Offset just behind the last covered byte: the end of the signed revision.
    pub covers_to: usize,
    /// Nothing follows the signed revision.
    pub covers_whole_file: bool,
    /// The CMS object's message digest is that of both parts and its signature verifies with the embedded
    /// certificate; a timestamp's token is over both parts and holds.
    pub cms_ok: Result<(), CmsError>,
    /// Subject of the signer's certificate (RFC 4514 text); empty when there is none.
    pub signer_subject: String,
    /// The signer's certificate, DER; empty when there is none.
    pub signer_cert_der: Vec<u8>,
    /// The other certificates in the CMS object, DER, as sent: neither ordered nor checked.
    pub chain_ders: Vec<Vec<u8>>,
    /// `/M` as written, e.g. `D:20260101120000+08'00'`: the signer's own claim.
    pub signing_time_m: Option<String>,
    /// `/Reason`, if any.
    pub reason: Option<String>,
}

/// All signatures of `pdf`, ordered by the end of the revision that they cover.
///
/// # Errors
/// When the file cannot be read strictly, a signature field's value cannot be resolved, or a byte
/// range does not start at 0 and leave out exactly its own `/Contents`. A CMS object that does not
/// verify is not an error here but `cms_ok`.
pub fn signatures(pdf: &[u8]) -> Result<Vec<PdfSignature>, PdfReadError> {
    let document = open(pdf)?;
    let Some(form) = resolve_dictionary(&document, catalog(&document)?, b"AcroForm")? else {
        return Ok(Vec::new());
    };
    let mut walk = Walk { document: &document, pdf, seen: HashSet::new(), fields: 0, found: Vec::new() };
    if let Some(fields) = resolve(&document, form, b"Fields")? {
        walk.children(fields, "", None, 0)?;
    }
    walk.found.sort_by_key(|signature| signature.covers_to);
    Ok(walk.found)
}

struct Walk<'a> {
    document: &'a Document,
    pdf: &'a [u8],
    seen: HashSet<ObjectId>,
    fields: usize,
    found: Vec<PdfSignature>,
}

impl<'a> Walk<'a> {
    fn children(
        &mut self, fields: &'a Object, prefix: &str, kind: Option<&'a [u8]>, depth: usize,
    ) -> Result<(), PdfReadError> {
        if depth > MAX_DEPTH {
            return Err(PdfReadError::Limit("/AcroForm"));
        }
        let fields = fields.as_array().map_err(|error| PdfReadError::unresolvable("/Fields", error))?;
        for field in fields {
            self.fields += 1;
            let fresh = field.as_reference().map_or(true, |id| self.seen.insert(id));
            if self.fields > MAX_FIELDS || !fresh {
                return Err(PdfReadError::Limit("/AcroForm"));
            }
            let field = deref(self.document, field, "Fields")?
                .as_dict()
                .map_err(|error| PdfReadError::unresolvable("/Fields", error))?;
            self.field(field, prefix, kind, depth)?;
        }
        Ok(())
    }

    fn field(
        &mut self, field: &'a Dictionary, prefix: &str, inherited: Option<&'a [u8]>, depth: usize,
    ) -> Result<(), PdfReadError> {
        let part = resolve(self.document, field, b"T")?.and_then(text);
        let name = match part {
            Some(part) if prefix.is_empty() => part,
            Some(part) => format!("{prefix}.{part}"),
            None => prefix.to_owned(),
        };
        let kind = match resolve(self.document, field, b"FT")? {
            Some(kind) => kind.as_name().ok(),
            None => inherited,
        };
        if kind == Some(b"Sig") && field.has(b"V") {
            let value = resolve_dictionary(self.document, field, b"V")?
                .ok_or_else(|| PdfReadError::unresolvable(format!("signature {name:?}"), "no value"))?;
            let signature = self.signature(&name, value)?;
            self.found.push(signature);
        }
        if let Some(kids) = resolve(self.document, field, b"Kids")? {
            self.children(kids, &name, kind, depth + 1)?;
        }
        Ok(())
    }

    fn signature(&self, field: &str, value: &Dictionary) -> Result<PdfSignature, PdfReadError> {
        let contents = resolve(self.document, value, b"Contents")?
            .and_then(|contents| contents.as_str().ok())
            .ok_or_else(|| PdfReadError::unresolvable(format!("signature {field:?}"), "no /Contents"))?;
        let byte_range = self.byte_range(field, value, contents)?;
        let [_, first, second, length] = byte_range;
        let covers_to = second + length;
        let mut hash = Sha256::new();
        hash.update(&self.pdf[..first]);
        hash.update(&self.pdf[second..covers_to]);
        let digest: [u8; 32] = hash.finalize().into();
        let parts = [&self.pdf[..first], &self.pdf[second..covers_to]];
        let (kind, (outcome, cms_ok)) = self.judged(value, contents, &parts)?;
        let string = |key: &[u8]| resolve(self.document, value, key).map(|found| found.and_then(text));
        Ok(PdfSignature {
            field: field.to_owned(),
            byte_range,
            byte_range_digest: digest,
            covers_to,
            covers_whole_file: covers_to == self.pdf.len(),
            kind,
            cms_ok,
            signer_subject: outcome.subject,
            signer_cert_der: outcome.certificate,
            chain_ders: outcome.chain,
            signing_time_m: string(b"M")?,
            reason: string(b"Reason")?,
        })
    }

    /// Kind and validity, by `/SubFilter`.
    fn judged(
        &self, value: &Dictionary, contents: &[u8], covered: &[&[u8]; 2],
    ) -> Result<(SignatureKind, Judged), PdfReadError> {
        let form =
            resolve(self.document, value, b"SubFilter")?.and_then(|name| name.as_name().ok()).unwrap_or_default();
        let kind = match form {
            b"ETSI.RFC3161" => SignatureKind::DocumentTimestamp,
            _ if self.certifies(value)? => SignatureKind::Certification,
            _ => SignatureKind::Approval,
        };
        let outcome = match form {
            b"ETSI.RFC3161" => timestamp(contents, covered),
            b"adbe.pkcs7.detached" => verify(contents, covered, Profile::Pkcs7),
            b"ETSI.CAdES.detached" => verify(contents, covered, Profile::Cades),
            other => {
                let error = CmsError::Unsupported(String::from_utf8_lossy(other).into_owned());
                (Outcome::default(), Err(error))
            }
        };
        Ok((kind, outcome))
    }

    /// Has it a signature reference with the transform method `DocMDP`?
    fn certifies(&self, value: &Dictionary) -> Result<bool, PdfReadError> {
        let Some(references) = resolve(self.document, value, b"Reference")? else { return Ok(false) };
        let references = references.as_array().map_err(|error| PdfReadError::unresolvable("/Reference", error))?;
        for reference in references {
            let reference = deref(self.document, reference, "Reference")?
                .as_dict()
                .map_err(|error| PdfReadError::unresolvable("/Reference", error))?;
            if resolve(self.document, reference, b"TransformMethod")?
                .is_some_and(|m| m.as_name().is_ok_and(|name| name == b"DocMDP"))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The byte range, checked: it starts at 0, leaves out one hexadecimal string which is the
    /// signature's own `/Contents`, and ends with an end-of-file marker.
    fn byte_range(&self, field: &str, value: &Dictionary, contents: &[u8]) -> Result<[usize; 4], PdfReadError> {
        let wrong = |detail| PdfReadError::ByteRange { field: field.to_owned(), detail };
        let numbers = resolve(self.document, value, b"ByteRange")?
            .and_then(|range| range.as_array().ok())
            .ok_or_else(|| wrong("it is missing"))?;
        let mut range = [0_usize; 4];
        if numbers.len() != range.len() {
            return Err(wrong("it has not four numbers"));
        }
        for (slot, number) in range.iter_mut().zip(numbers) {
            *slot = number
                .as_i64()
                .ok()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number <= self.pdf.len())
                .ok_or_else(|| wrong("a number is out of range"))?;
        }
        let [start, first, second, length] = range;
        if start != 0 {
            return Err(wrong("it does not start at the first byte"));
        }
        if second < first + 2 || second + length > self.pdf.len() {
            return Err(wrong("its parts overlap or end behind the file"));
        }
        if contents.len() > MAX_CMS_BYTES {
            return Err(PdfReadError::Limit("/Contents"));
        }
        let gap = &self.pdf[first..second];
        if gap[0] != b'<' || gap[gap.len() - 1] != b'>' || !is_hex_of(&gap[1..gap.len() - 1], contents) {
            return Err(wrong("the left-out part is not the signature's own /Contents"));
        }
        let tail = self.pdf[second..second + length].trim_ascii_end();
        if !tail.ends_with(b"%%EOF") {
            return Err(wrong("it does not end with a revision"));
        }
        Ok(range)
    }
}

/// A document timestamp: its token is over the covered bytes. Whether its authority is trusted is not judged.
fn timestamp(contents: &[u8], covered: &[&[u8]; 2]) -> Judged {
    let mut outcome = Outcome::default();
    let result = unpadded(contents).and_then(|token| {
        let found = verify_over(token, covered, &[], &[], &[], &Roots::default())?;
        outcome.subject = found.authority;
        Ok(())
    });
    (outcome, result)
}

/// `hex` is exactly the hexadecimal digits of `bytes`, without white space.
fn is_hex_of(hex: &[u8], bytes: &[u8]) -> bool {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    hex.len() == 2 * bytes.len()
        && hex.chunks_exact(2).zip(bytes).all(|(pair, byte)| {
            matches!((nibble(pair[0]), nibble(pair[1])), (Some(high), Some(low)) if high * 16 + low == u32::from(*byte))
        })
}

#[cfg(test)]
mod tests {
    use super::is_hex_of;

    #[test]
    fn hexadecimal_contents() {
        assert!(is_hex_of(b"00fFA0", &[0, 255, 160]));
        assert!(!is_hex_of(b"00fFA", &[0, 255, 160]));
        assert!(!is_hex_of(b"00fF A", &[0, 255, 10]));
        assert!(!is_hex_of(b"00fFA1", &[0, 255, 160]));
    }
}
