//! A PDF as a list of revisions, each of which can be looked at as it was when it was written.
//!
//! Strict where it matters for signatures: every update must be a well-formed one whose cross-reference data
//! lead to it, and an object is only what its revision's cross-reference data say. Objects are read when they
//! are asked for; what cannot be read is remembered as a problem and never taken for absent.

mod coverage;
pub(crate) mod filter;
pub(crate) mod lexer;
pub(crate) mod value;
pub(crate) mod xref;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

pub(crate) use coverage::Gap;
use lexer::{Budget, Lexer, indirect};
use value::{Dictionary, Id, Value};
use xref::{Entry, Section, section};

use crate::{MAX_PDF_BYTES, PdfReadError};

/// Most values that are read from one file.
const MAX_VALUES: usize = 6_000_000;
/// Most steps of comparing and walking.
const MAX_STEPS: usize = 60_000_000;
/// Most revisions.
const MAX_REVISIONS: usize = 512;
/// Most entries of cross-reference data over all revisions, each of which keeps those of the ones before.
const MAX_KEPT_ENTRIES: usize = 10_000_000;
/// Largest sum of unpacked object streams, in bytes.
const MAX_UNPACKED: usize = 192 << 20;
/// Longest chain of references that is followed.
const MAX_CHAIN: usize = 32;

/// One revision: the original or an update.
#[derive(Debug)]
pub(crate) struct Revision {
    /// Its bytes; the end is behind `%%EOF`, its line end not included.
    pub(crate) place: Range<usize>,
    /// Its sections, the one that `startxref` names first.
    sections: Vec<Section>,
    /// All objects as of this revision.
    entries: BTreeMap<u32, Entry>,
    /// Objects whose place differs from the revision before.
    pub(crate) changed: Vec<u32>,
}

impl Revision {
    pub(crate) fn trailer(&self) -> &Dictionary {
        &self.sections[0].trailer
    }

    /// Where the section is that `startxref` names.
    pub(crate) fn newest_section(&self) -> usize {
        self.sections[0].at
    }

    /// Its section, if it has just one.
    pub(crate) fn only_section(&self) -> Option<&Section> {
        match self.sections.as_slice() {
            [section] => Some(section),
            _ => None,
        }
    }
}

/// An object that was read, and the byte behind it.
#[derive(Clone)]
struct Object {
    id: Id,
    value: Rc<Value>,
    end: usize,
}

/// Objects of one object stream: number and value.
type Packed = Rc<Vec<(u32, Rc<Value>)>>;

/// A PDF whose structure holds.
pub(crate) struct PdfFile<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) revisions: Vec<Revision>,
    budget: Budget,
    steps: Budget,
    unpacked: Cell<usize>,
    direct: RefCell<HashMap<usize, Object>>,
    packed: RefCell<HashMap<usize, Packed>>,
    /// Objects that cannot be read, with the reason.
    problems: RefCell<BTreeMap<u32, String>>,
}

impl std::fmt::Debug for PdfFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PdfFile").field("revisions", &self.revisions.len()).finish_non_exhaustive()
    }
}

impl<'a> PdfFile<'a> {
    /// Reads the structure of `bytes`: header, all cross-reference sections, all revisions.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, PdfReadError> {
        if bytes.len() > MAX_PDF_BYTES {
            return Err(PdfReadError::TooLarge(bytes.len()));
        }
        if !bytes.starts_with(b"%PDF-") {
            return Err(PdfReadError::NotPdf);
        }
        let budget = Budget::new(MAX_VALUES);
        let sections = chain(bytes, &budget)?;
        if sections.iter().any(|section| section.trailer.get(b"Encrypt").is_some()) {
            return Err(PdfReadError::Encrypted);
        }
        let revisions = revisions(sections)?;
        Ok(Self {
            bytes,
            revisions,
            budget,
            steps: Budget::new(MAX_STEPS),
            unpacked: Cell::new(0),
            direct: RefCell::default(),
            packed: RefCell::default(),
            problems: RefCell::default(),
        })
    }

    /// The file as of a revision.
    pub(crate) fn view(&self, revision: usize) -> View<'_> {
        View { file: self, revision: &self.revisions[revision] }
    }

    /// The newest state.
    pub(crate) fn last(&self) -> View<'_> {
        self.view(self.revisions.len() - 1)
    }

    /// Objects that could not be read so far, with the reason.
    pub(crate) fn problems(&self) -> BTreeMap<u32, String> {
        self.problems.borrow().clone()
    }

    /// Was the file too complicated to be read whole?
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget.is_spent() || self.steps.is_spent() || self.unpacked.get() >= MAX_UNPACKED
    }

    /// Counts work that is no reading; false when there was too much.
    pub(crate) fn spend(&self, steps: usize) -> bool {
        self.steps.take(steps)
    }

    /// The values' budget, for content that is read elsewhere.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    fn indirect_at(&self, at: usize, view: View<'_>) -> Result<Object, String> {
        if let Some(found) = self.direct.borrow().get(&at) {
            return Ok(found.clone());
        }
        let length = |id: Id| match view.revision.entries.get(&id.number)? {
            Entry::At(at, generation) if *generation == id.generation => {
                let found = indirect(self.bytes, *at, &self.budget, &|_| None).ok()?;
                found.value.as_usize().filter(|_| found.id == id)
            }
            Entry::In(..) => view.get(id).as_usize(),
            _ => None,
        };
        let found = indirect(self.bytes, at, &self.budget, &length).map_err(|error| error.to_string())?;
        let found = Object { id: found.id, value: Rc::new(found.value), end: found.end };
        self.direct.borrow_mut().insert(at, found.clone());
        Ok(found)
    }

    fn packed_in(&self, container: u32, view: View<'_>) -> Result<Packed, String> {
        let Some(Entry::At(at, generation)) = view.revision.entries.get(&container).copied() else {
            return Err("its object stream is missing".to_owned());
        };
        if let Some(found) = self.packed.borrow().get(&at) {
            return Ok(Rc::clone(found));
        }
        let stream = self.indirect_at(at, view)?;
        if stream.id != (Id { number: container, generation }) {
            return Err("its object stream is another object".to_owned());
        }
        let found: Packed = Rc::new(self.unpack_objects(&stream.value, view)?);
        self.packed.borrow_mut().insert(at, Rc::clone(&found));
        Ok(found)
    }

    fn unpack_objects(&self, stream: &Value, view: View<'_>) -> Result<Vec<(u32, Rc<Value>)>, String> {
        let dictionary = stream.as_dictionary().filter(|d| d.name(b"Type") == Some(b"ObjStm"));
        let dictionary = dictionary.ok_or("its container is no object stream")?;
        let data = view.unpacked(stream).ok_or("its object stream cannot be unpacked")?;
        let number = |key: &[u8]| dictionary.get(key).map(|value| view.resolve(value)).and_then(|v| v.as_usize());
        let (count, first) = (number(b"N").ok_or("no /N")?, number(b"First").ok_or("no /First")?);
        let text = |error: lexer::SyntaxError| format!("in an object stream: {error}");
        let mut header = Lexer::new(&data, 0, &self.budget);
        let mut found = vec![];
        for _ in 0..count {
            let number = header.unsigned("no object number").map_err(text)?;
            let offset = header.unsigned("no offset").map_err(text)?;
            let at = first.checked_add(offset).filter(|at| *at <= data.len()).ok_or("an offset is out of range")?;
            let value = Lexer::new(&data, at, &self.budget).value().map_err(text)?;
            found.push((u32::try_from(number).map_err(|error| error.to_string())?, Rc::new(value)));
        }
        Ok(found)
    }
}

/// All sections, the newest first.
fn chain(bytes: &[u8], budget: &Budget) -> Result<Vec<Section>, PdfReadError> {
    let malformed = |error: lexer::SyntaxError| PdfReadError::Malformed(error.to_string());
    const MARK: &[u8] = b"startxref";
    let last = bytes.windows(MARK.len()).rposition(|window| window == MARK).ok_or(PdfReadError::Damaged)?;
    let mut lexer = Lexer::new(bytes, last + MARK.len(), budget);
    let mut next = Some(lexer.unsigned("no offset behind startxref").map_err(malformed)?);
    let mut sections: Vec<Section> = vec![];
    let mut seen = HashSet::new();
    while let Some(at) = next {
        if !seen.insert(at) || sections.len() > MAX_REVISIONS {
            return Err(PdfReadError::Limit("/Prev"));
        }
        let found = section(bytes, at, budget).map_err(malformed)?;
        next = match found.trailer.get(b"Prev") {
            None => None,
            Some(previous) => Some(previous.as_usize().ok_or(PdfReadError::Damaged)?),
        };
        sections.push(found);
    }
    // It must be the one that closes the newest update, not one behind it.
    let end = sections.iter().filter_map(|section| section.terminator).map(|(_, end)| end).max();
    if end.is_none_or(|end| end < last) { Err(PdfReadError::Damaged) } else { Ok(sections) }
}

/// Sections in the order of the file, grouped into revisions.
fn revisions(sections: Vec<Section>) -> Result<Vec<Revision>, PdfReadError> {
    let mut found: Vec<Revision> = vec![];
    let mut waiting: Option<Section> = None;
    let mut kept = 0;
    for section in sections.into_iter().rev() {
        let Some((value, end)) = section.terminator else { return Err(PdfReadError::Damaged) };
        let group = match waiting.take() {
            // A linearised file: its second half comes first in the chain and ends the file, and says where
            // the section of the first page is.
            Some(main) if main.terminator.is_some_and(|(value, _)| value == section.at) => vec![section, main],
            Some(_) => return Err(PdfReadError::Damaged),
            None if found.is_empty() && value != section.at => {
                waiting = Some(section);
                continue;
            }
            None if value == section.at => vec![section],
            None => return Err(PdfReadError::Damaged),
        };
        let start = found.last().map_or(0, |before| before.place.end);
        let end = group.iter().filter_map(|section| section.terminator).map(|(_, end)| end).fold(end, usize::max);
        kept += found.last().map_or(0, |before| before.entries.len());
        if kept > MAX_KEPT_ENTRIES {
            return Err(PdfReadError::Limit("/Prev"));
        }
        let mut entries = found.last().map(|before| before.entries.clone()).unwrap_or_default();
        let mut changed = vec![];
        for section in group.iter().rev() {
            for (number, entry) in &section.entries {
                let before = entries.insert(*number, *entry).unwrap_or(Entry::Free);
                if before != *entry {
                    changed.push(*number);
                }
            }
        }
        if end <= start || group.iter().any(|section| section.at < start) {
            return Err(PdfReadError::Damaged);
        }
        found.push(Revision { place: start..end, sections: group, entries, changed });
    }
    if waiting.is_some() || found.is_empty() { Err(PdfReadError::Damaged) } else { Ok(found) }
}

/// The file as of one revision.
#[derive(Clone, Copy)]
pub(crate) struct View<'f> {
    file: &'f PdfFile<'f>,
    revision: &'f Revision,
}

impl<'f> View<'f> {
    pub(crate) fn file(&self) -> &'f PdfFile<'f> {
        self.file
    }

    pub(crate) fn revision(&self) -> &'f Revision {
        self.revision
    }

    pub(crate) fn trailer(&self) -> &'f Dictionary {
        self.revision.trailer()
    }

    /// Numbers of all objects that are not free.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + use<'f> {
        self.revision.entries.iter().filter(|(_, entry)| **entry != Entry::Free).map(|(number, _)| *number)
    }

    /// Where an object is, when it is not in an object stream.
    pub(crate) fn offset(&self, id: Id) -> Option<usize> {
        match self.revision.entries.get(&id.number) {
            Some(Entry::At(at, generation)) if *generation == id.generation => Some(*at),
            _ => None,
        }
    }

    /// The reference under which an object number is in use.
    pub(crate) fn id_of(&self, number: u32) -> Id {
        let generation = match self.revision.entries.get(&number) {
            Some(Entry::At(_, generation)) => *generation,
            _ => 0,
        };
        Id { number, generation }
    }

    /// An object; null when it is free or was never there (ISO 32000-1 §7.3.10).
    pub(crate) fn get(&self, id: Id) -> Rc<Value> {
        self.read(id).unwrap_or_else(|reason| {
            self.file.problems.borrow_mut().insert(id.number, reason);
            Rc::new(Value::Null)
        })
    }

    fn read(&self, id: Id) -> Result<Rc<Value>, String> {
        match self.revision.entries.get(&id.number) {
            Some(Entry::At(at, generation)) if *generation == id.generation => {
                let found = self.file.indirect_at(*at, *self)?;
                if found.id != id {
                    return Err(format!(
                        "another object ({} {}) stands in its place",
                        found.id.number, found.id.generation
                    ));
                }
                Ok(found.value)
            }
            Some(Entry::In(container, index)) if id.generation == 0 => {
                let packed = self.file.packed_in(*container, *self)?;
                match packed.get(*index) {
                    Some((number, value)) if *number == id.number => Ok(Rc::clone(value)),
                    _ => Err("it is not in its object stream".to_owned()),
                }
            }
            _ => Ok(Rc::new(Value::Null)),
        }
    }

    /// Follows references.
    pub(crate) fn resolve(&self, value: &Value) -> Rc<Value> {
        let mut found = match value {
            Value::Reference(id) => self.get(*id),
            other => return Rc::new(other.clone()),
        };
        for _ in 0..MAX_CHAIN {
            let Value::Reference(id) = *found else { return found };
            found = self.get(id);
        }
        Rc::new(Value::Null)
    }

    /// The entry of a dictionary with references followed; null when absent.
    pub(crate) fn entry(&self, dictionary: &Dictionary, key: &[u8]) -> Rc<Value> {
        dictionary.get(key).map_or_else(|| Rc::new(Value::Null), |value| self.resolve(value))
    }

    /// The same for a dictionary; `None` when it is none.
    pub(crate) fn dictionary(&self, dictionary: &Dictionary, key: &[u8]) -> Option<Dictionary> {
        self.entry(dictionary, key).as_dictionary().cloned()
    }

    /// The same for an array, empty when it is none.
    pub(crate) fn array(&self, dictionary: &Dictionary, key: &[u8]) -> Vec<Value> {
        self.entry(dictionary, key).as_array().map(<[Value]>::to_vec).unwrap_or_default()
    }

    /// The document catalog.
    pub(crate) fn catalog(&self) -> Option<Dictionary> {
        self.dictionary(self.trailer(), b"Root")
    }

    /// The data of a stream without its filters; `None` when a filter is not known here.
    pub(crate) fn unpacked(&self, stream: &Value) -> Option<Vec<u8>> {
        let Value::Stream(dictionary, data) = stream else { return None };
        let resolve = |value: &Value| Value::clone(&self.resolve(value));
        let filters = filter::filters(dictionary, &resolve);
        let used = self.file.unpacked.get();
        let found = filter::unpack(&filters, &self.file.bytes[data.clone()], MAX_UNPACKED.checked_sub(used)?);
        let taken = found.as_ref().map_or(data.len(), Vec::len);
        self.file.unpacked.set(used.saturating_add(taken));
        found
    }
}
