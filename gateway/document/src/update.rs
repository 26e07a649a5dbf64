//! Appends an incremental update to a PDF (ISO 32000-1 §7.5.6): changed and new objects, a
//! cross-reference section of the same kind as the last one, a trailer. Never touches a byte before.

use std::collections::{BTreeMap, HashSet};

use lopdf::{Dictionary, Document, Object, ObjectId, StringFormat, Writer};
use sha2::{Digest, Sha256};

/// Why an update could not be made.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// An object that must be changed cannot be read.
    #[error("PDF 对象 {0:?} 无法读取 / object {0:?} of the PDF cannot be read")]
    Unreadable(ObjectId),
    /// An object has the wrong type.
    #[error("PDF 对象 {0} 类型不符 / {0} of the PDF has the wrong type")]
    WrongType(&'static str),
    /// The trailer lacks what an update needs.
    #[error("PDF 文件尾缺少 {0} / the trailer of the PDF lacks {0}")]
    Trailer(&'static str),
    /// No object number is left, or the file passes 4 GB.
    #[error("PDF 对象过多或文件过大 / the PDF has too many objects or is too large")]
    Exhausted,
}

/// An object to be written.
enum Body {
    Object(Object),
    /// Bytes written as they are; their offset is reported.
    Raw(Vec<u8>),
}

/// The changes to be appended.
pub(crate) struct Update<'a> {
    base: &'a [u8],
    document: &'a Document,
    bodies: BTreeMap<ObjectId, Body>,
    next: u32,
    /// Numbers to which something in the file refers although no object has them. One that came now would be
    /// drawn there.
    awaited: HashSet<u32>,
}

/// The updated file and where the raw objects begin in it.
pub(crate) struct Updated {
    pub(crate) bytes: Vec<u8>,
    pub(crate) raw_offsets: BTreeMap<ObjectId, usize>,
}

impl<'a> Update<'a> {
    /// `document` must have been parsed from `base`, unrepaired.
    pub(crate) fn new(base: &'a [u8], document: &'a Document) -> Result<Self, UpdateError> {
        let listed = document.reference_table.entries.keys().next_back().copied().unwrap_or(0);
        let size = document.trailer.get(b"Size").and_then(Object::as_i64).unwrap_or(0);
        let size = u32::try_from(size).map_err(|_| UpdateError::Trailer("/Size"))?;
        let next = document.max_id.max(listed).checked_add(1).ok_or(UpdateError::Exhausted)?.max(size);
        let mut awaited = HashSet::new();
        document.objects.values().for_each(|object| references_from(object, next, &mut awaited));
        document.trailer.iter().for_each(|(_, object)| references_from(object, next, &mut awaited));
        Ok(Self { base, document, bodies: BTreeMap::new(), next, awaited })
    }

    /// A number for a new object.
    pub(crate) fn reserve(&mut self) -> Result<ObjectId, UpdateError> {
        while self.awaited.contains(&self.next) {
            self.next = self.next.checked_add(1).ok_or(UpdateError::Exhausted)?;
        }
        let id = (self.next, 0);
        self.next = self.next.checked_add(1).ok_or(UpdateError::Exhausted)?;
        Ok(id)
    }

    /// Adds a new object.
    pub(crate) fn add(&mut self, object: impl Into<Object>) -> Result<ObjectId, UpdateError> {
        let id = self.reserve()?;
        self.set(id, object.into());
        Ok(id)
    }

    /// Writes `object` under `id`, replacing an earlier version.
    pub(crate) fn set(&mut self, id: ObjectId, object: Object) {
        self.bodies.insert(id, Body::Object(object));
    }

    /// Writes `bytes` as the body of `id`.
    pub(crate) fn set_raw(&mut self, id: ObjectId, bytes: Vec<u8>) {
        self.bodies.insert(id, Body::Raw(bytes));
    }

    /// The current version of an object, copied.
    pub(crate) fn get(&self, id: ObjectId) -> Result<Object, UpdateError> {
        match self.bodies.get(&id) {
            Some(Body::Object(object)) => Ok(object.clone()),
            Some(Body::Raw(_)) => Err(UpdateError::Unreadable(id)),
            None => self.document.objects.get(&id).cloned().ok_or(UpdateError::Unreadable(id)),
        }
    }

    /// The current version of an object that must be a dictionary.
    pub(crate) fn get_dictionary(&self, id: ObjectId) -> Result<Dictionary, UpdateError> {
        match self.get(id)? {
            Object::Dictionary(dictionary) => Ok(dictionary),
            _ => Err(UpdateError::Unreadable(id)),
        }
    }

    /// The dictionary `key` of `dictionary`, direct or indirect, copied; nothing if it is absent.
    pub(crate) fn sub_dictionary(
        &self, dictionary: &Dictionary, key: &'static str,
    ) -> Result<Option<Dictionary>, UpdateError> {
        match dictionary.get(key.as_bytes()) {
            Err(_) | Ok(Object::Null) => Ok(None),
            Ok(Object::Reference(id)) => self.get_dictionary(*id).map(Some),
            Ok(Object::Dictionary(found)) => Ok(Some(found.clone())),
            Ok(_) => Err(UpdateError::WrongType(key)),
        }
    }

    /// Appends `member` to the array `key` of `dictionary`, which may be absent, direct or indirect.
    /// Returns whether `dictionary` itself changed.
    pub(crate) fn push(
        &mut self, dictionary: &mut Dictionary, key: &'static str, member: ObjectId,
    ) -> Result<bool, UpdateError> {
        let current = dictionary.get(key.as_bytes()).ok().cloned().unwrap_or(Object::Null);
        if let Object::Reference(id) = current {
            match self.get(id) {
                Ok(Object::Array(mut members)) => {
                    members.push(member.into());
                    self.set(id, Object::Array(members));
                    return Ok(false);
                }
                // A reference to nothing is the null object (ISO 32000-1 §7.3.10).
                Ok(Object::Null) | Err(UpdateError::Unreadable(_)) => {}
                _ => return Err(UpdateError::WrongType(key)),
            }
        }
        let mut members = match current {
            Object::Array(members) => members,
            Object::Null | Object::Reference(_) => Vec::new(),
            _ => return Err(UpdateError::WrongType(key)),
        };
        members.push(member.into());
        dictionary.set(key, members);
        Ok(true)
    }

    /// The catalog's number.
    pub(crate) fn root(&self) -> Result<ObjectId, UpdateError> {
        self.document.trailer.get(b"Root").and_then(Object::as_reference).map_err(|_| UpdateError::Trailer("/Root"))
    }

    /// Serialises the update behind the unchanged base.
    pub(crate) fn write(mut self) -> Result<Updated, UpdateError> {
        let with_stream = !self.base[self.document.xref_start..].trim_ascii_start().starts_with(b"xref");
        let section_id = if with_stream { Some(self.reserve()?) } else { None };
        let mut out = self.base.to_vec();
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        let mut offsets: BTreeMap<ObjectId, usize> = BTreeMap::new();
        let mut raw_offsets = BTreeMap::new();
        for (&id, body) in &self.bodies {
            offsets.insert(id, out.len());
            out.extend_from_slice(format!("{} {} obj\n", id.0, id.1).as_bytes());
            match body {
                Body::Object(object) => append(&mut out, object),
                Body::Raw(bytes) => {
                    raw_offsets.insert(id, out.len());
                    out.extend_from_slice(bytes);
                }
            }
            out.extend_from_slice(b"\nendobj\n");
        }
        let section = out.len();
        let trailer = self.trailer(&out)?;
        match section_id {
            Some(id) => {
                offsets.insert(id, section);
                write_section_stream(&mut out, id, &offsets, trailer)?;
            }
            None => write_section_table(&mut out, &offsets, &trailer),
        }
        out.extend_from_slice(format!("startxref\n{section}\n%%EOF\n").as_bytes());
        Ok(Updated { bytes: out, raw_offsets })
    }

    /// The previous trailer's entries, `/Prev`, and a file identifier whose second part names this revision
    /// (ISO 32000-1 §14.4).
    fn trailer(&self, body: &[u8]) -> Result<Dictionary, UpdateError> {
        // §7.5.6: all entries of the previous trailer but `/Prev`; those of a cross-reference stream are the
        // stream's own.
        const OWN: [&[u8]; 9] =
            [b"Prev", b"XRefStm", b"Type", b"W", b"Index", b"Filter", b"DecodeParms", b"Length", b"DL"];
        let mut trailer = self.document.trailer.clone();
        OWN.iter().for_each(|key| {
            trailer.remove(key);
        });
        trailer.set("Size", i64::from(self.next));
        trailer.set("Prev", i64::try_from(self.document.xref_start).map_err(|_| UpdateError::Exhausted)?);
        trailer.set("Root", self.root()?);
        let hash = Sha256::digest(body);
        let revision = Object::String(hash[..16].to_vec(), StringFormat::Hexadecimal);
        let first = self
            .document
            .trailer
            .get_deref(b"ID", self.document)
            .and_then(Object::as_array)
            .ok()
            .and_then(|id| id.first())
            .and_then(|id| id.as_str().ok())
            .map(|id| Object::String(id.to_vec(), StringFormat::Hexadecimal));
        trailer.set("ID", vec![first.unwrap_or_else(|| revision.clone()), revision]);
        Ok(trailer)
    }
}

/// Numbers from `first` on to which an object refers.
fn references_from(object: &Object, first: u32, found: &mut HashSet<u32>) {
    match object {
        Object::Reference((number, _)) if *number >= first => drop(found.insert(*number)),
        Object::Array(members) => members.iter().for_each(|member| references_from(member, first, found)),
        Object::Dictionary(entries) => entries.iter().for_each(|(_, value)| references_from(value, first, found)),
        Object::Stream(stream) => stream.dict.iter().for_each(|(_, value)| references_from(value, first, found)),
        _ => {}
    }
}

fn append(out: &mut Vec<u8>, object: &Object) {
    Writer::write_object(out, object).expect("writing to memory cannot fail");
}

/// Runs of consecutive object numbers.
fn runs(offsets: &BTreeMap<ObjectId, usize>) -> Vec<Vec<(ObjectId, usize)>> {
    let mut runs: Vec<Vec<(ObjectId, usize)>> = Vec::new();
    for (&id, &offset) in offsets {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|(last, _)| last.0.checked_add(1) == Some(id.0)) => {
                run.push((id, offset));
            }
            _ => runs.push(vec![(id, offset)]),
        }
    }
    runs
}

fn write_section_table(out: &mut Vec<u8>, offsets: &BTreeMap<ObjectId, usize>, trailer: &Dictionary) {
    out.extend_from_slice(b"xref\n");
    for run in runs(offsets) {
        out.extend_from_slice(format!("{} {}\n", run[0].0.0, run.len()).as_bytes());
        for ((_, generation), offset) in run {
            out.extend_from_slice(format!("{offset:010} {generation:05} n \n").as_bytes());
        }
    }
    out.extend_from_slice(b"trailer\n");
    append(out, &Object::Dictionary(trailer.clone()));
    out.push(b'\n');
}

fn write_section_stream(
    out: &mut Vec<u8>, id: ObjectId, offsets: &BTreeMap<ObjectId, usize>, mut trailer: Dictionary,
) -> Result<(), UpdateError> {
    let (mut index, mut entries) = (Vec::new(), Vec::new());
    for run in runs(offsets) {
        index.push(Object::Integer(i64::from(run[0].0.0)));
        index.push(Object::Integer(i64::try_from(run.len()).map_err(|_| UpdateError::Exhausted)?));
        for ((_, generation), offset) in run {
            entries.push(1);
            entries.extend_from_slice(&u32::try_from(offset).map_err(|_| UpdateError::Exhausted)?.to_be_bytes());
            entries.extend_from_slice(&generation.to_be_bytes());
        }
    }
    trailer.set("Type", Object::Name(b"XRef".to_vec()));
    trailer.set("W", vec![Object::Integer(1), Object::Integer(4), Object::Integer(2)]);
    trailer.set("Index", index);
    out.extend_from_slice(format!("{} {} obj\n", id.0, id.1).as_bytes());
    append(out, &Object::Stream(lopdf::Stream::new(trailer, entries)));
    out.extend_from_slice(b"\nendobj\n");
    Ok(())
}
