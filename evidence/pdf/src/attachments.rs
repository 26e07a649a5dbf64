//! Files attached to a PDF (`/Names /EmbeddedFiles`, ISO 32000-1 §7.11.4).

use std::collections::HashSet;

use lopdf::{Dictionary, Document, Object, ObjectId};

use crate::document::{catalog, deref, open, resolve, resolve_dictionary, text};
use crate::{MAX_ATTACHED_BYTES, MAX_ATTACHMENTS, MAX_DEPTH, PdfReadError};

/// One attached file.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// File name as the PDF gives it: never use it as a path.
    pub name: String,
    /// Content, unpacked.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({:?}, {} bytes)", self.name, self.bytes.len())
    }
}

/// All attached files of `pdf` in the order of its name tree.
///
/// # Errors
/// When the file cannot be read strictly, a referenced object is missing, or a limit is exceeded.
pub fn attachments(pdf: &[u8]) -> Result<Vec<Attachment>, PdfReadError> {
    let document = open(pdf)?;
    let Some(names) = resolve_dictionary(&document, catalog(&document)?, b"Names")? else {
        return Ok(Vec::new());
    };
    let Some(tree) = resolve_dictionary(&document, names, b"EmbeddedFiles")? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut budget = MAX_ATTACHED_BYTES;
    walk(&document, tree, 0, &mut HashSet::new(), &mut found, &mut budget)?;
    Ok(found)
}

fn walk(
    document: &Document, node: &Dictionary, depth: usize, seen: &mut HashSet<ObjectId>, found: &mut Vec<Attachment>,
    budget: &mut usize,
) -> Result<(), PdfReadError> {
    if depth > MAX_DEPTH {
        return Err(PdfReadError::Limit("/EmbeddedFiles"));
    }
    if let Some(names) = resolve(document, node, b"Names")? {
        let names = names.as_array().map_err(|error| PdfReadError::unresolvable("/EmbeddedFiles /Names", error))?;
        for pair in names.chunks(2) {
            let [_, specification] = pair else {
                return Err(PdfReadError::unresolvable("/EmbeddedFiles /Names", "odd number of members"));
            };
            if found.len() == MAX_ATTACHMENTS {
                return Err(PdfReadError::Limit("/EmbeddedFiles"));
            }
            let specification = deref(document, specification, "Filespec")?
                .as_dict()
                .map_err(|error| PdfReadError::unresolvable("/Filespec", error))?;
            found.push(read(document, specification, budget)?);
        }
    }
    if let Some(kids) = resolve(document, node, b"Kids")? {
        let kids = kids.as_array().map_err(|error| PdfReadError::unresolvable("/EmbeddedFiles /Kids", error))?;
        for kid in kids {
            if let Object::Reference(id) = kid
                && !seen.insert(*id)
            {
                return Err(PdfReadError::Limit("/EmbeddedFiles"));
            }
            let kid = deref(document, kid, "Kids")?
                .as_dict()
                .map_err(|error| PdfReadError::unresolvable("/EmbeddedFiles /Kids", error))?;
            walk(document, kid, depth + 1, seen, found, budget)?;
        }
    }
    Ok(())
}

fn read(document: &Document, specification: &Dictionary, budget: &mut usize) -> Result<Attachment, PdfReadError> {
    let name = match resolve(document, specification, b"UF")? {
        Some(name) => text(name),
        None => resolve(document, specification, b"F")?.and_then(text),
    }
    .ok_or_else(|| PdfReadError::unresolvable("/Filespec", "no file name"))?;
    let files = resolve_dictionary(document, specification, b"EF")?
        .ok_or_else(|| PdfReadError::unresolvable("/Filespec", "no /EF"))?;
    let stream = match resolve(document, files, b"F")? {
        Some(stream) => Some(stream),
        None => resolve(document, files, b"UF")?,
    }
    .ok_or_else(|| PdfReadError::unresolvable("/EF", "no embedded file"))?;
    let stream = stream.as_stream().map_err(|error| PdfReadError::unresolvable("/EF", error))?;
    let bytes = if stream.dict.has(b"Filter") {
        stream
            .decompressed_content_with_limit(*budget)
            .map_err(|error| PdfReadError::unresolvable(format!("attachment {name:?}"), error))?
    } else {
        stream.content.clone()
    };
    *budget = budget.checked_sub(bytes.len()).ok_or(PdfReadError::Limit("/EmbeddedFiles"))?;
    Ok(Attachment { name, bytes })
}
