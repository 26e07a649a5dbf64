//! What may stand behind the fixed version of a contract, in the one form that `docs/SPEC.md` §11a describes:
//! updates that sign (new fields, signatures, the slices of cross-page seals), and updates that add validation
//! data and document timestamps. Everything else is refused: narrower than what the comparison of revisions
//! calls harmless, so that two verifiers agree on every byte.
//!
//! What the picture of a seal or signature shows is not judged, only where it comes from and how large it is.

mod fields;
mod graph;
mod looks;
mod refusal;

use std::collections::{HashMap, HashSet};

use graph::{Graph, reached, reached_without};
pub use refusal::{UpdateRefused, Violation};

use crate::file::value::{Dictionary, Id, Value};
use crate::file::xref::{Entry, Section};
use crate::file::{PdfFile, View};
use crate::model::Model;

/// Do only updates after §11a stand behind the first `version` bytes, which are a file of their own? Those up
/// to byte `signed`, the end of the last party's signature, may sign; those behind it add only validation data
/// and timestamps.
///
/// # Errors
/// The first update that does something else, and what; `signed` is to be an end of a signature's range.
pub fn only_signed_since(pdf: &[u8], version: usize, signed: usize) -> Result<(), UpdateRefused> {
    let unreadable = |number| move |_| UpdateRefused { number, violation: Violation::Form };
    let whole = PdfFile::open(pdf).map_err(unreadable(1))?;
    let start = PdfFile::open(pdf.get(..version).unwrap_or_default()).map_err(unreadable(1))?;
    let first = start.revisions.len();
    // The version's own newest section must be one of the file, or the file began as something else.
    let is_continued = whole.revisions.len() > first
        && whole.revisions[first - 1].newest_section() == start.revisions[first - 1].newest_section();
    if !is_continued {
        return Err(UpdateRefused { number: 1, violation: Violation::Form });
    }
    let mut is_signed = false;
    for index in first..whole.revisions.len() {
        let stage = match whole.revisions[index].place.end <= signed {
            true => Stage::Signing { is_signed },
            false => Stage::Sealed,
        };
        let from = whole.revisions[index].place.start.max(version);
        let outcome = judge(&whole, index, from, stage);
        is_signed |= outcome.map_err(|violation| UpdateRefused { number: index + 1 - first, violation })?;
    }
    let last = whole.revisions.len() - first;
    match is_closed(pdf, &whole, signed) {
        true => Ok(()),
        false => Err(UpdateRefused { number: last, violation: Violation::Form }),
    }
}

/// Is every update behind revision `signed` one that adds validation data or timestamps, at least one?
pub(crate) fn only_validation_data(file: &PdfFile<'_>, signed: usize) -> bool {
    let behind = signed + 1..file.revisions.len();
    let is_harmless = |index: usize| judge(file, index, file.revisions[index].place.start, Stage::Sealed).is_ok();
    !behind.is_empty() && behind.clone().all(is_harmless)
}

/// Nothing stands behind the last update but at most one line end, or what the signature covers.
fn is_closed(pdf: &[u8], file: &PdfFile<'_>, signed: usize) -> bool {
    let end = file.revisions.last().map_or(0, |revision| revision.place.end);
    signed == pdf.len() || (signed < end && matches!(pdf.get(end..), Some(b"" | b"\n" | b"\r" | b"\r\n")))
}

/// What an update may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Sign; has an update behind the version signed before?
    Signing { is_signed: bool },
    /// Add validation data and timestamps.
    Sealed,
}

/// Entries of a trailer that belong to the file's own structure.
const STRUCTURE: [&[u8]; 9] = [b"Size", b"Prev", b"ID", b"Type", b"W", b"Index", b"Filter", b"DecodeParms", b"Length"];

/// An update with the file before and after it.
struct Update<'f> {
    old: View<'f>,
    new: View<'f>,
    /// Its objects.
    objects: HashSet<Id>,
    /// Numbers in use before.
    used: HashSet<u32>,
    /// What refers to what before.
    graph: Graph,
    /// Pages before, in their order.
    pages: Vec<Id>,
    /// Objects of before that it may replace.
    permitted: HashSet<Id>,
    /// Lists that stand in a new object.
    moved: Vec<Value>,
}

/// Judges the update at `index`, whose objects begin behind byte `from`; true if it signs.
fn judge(file: &PdfFile<'_>, index: usize, from: usize, stage: Stage) -> Result<bool, Violation> {
    let (old, new) = (file.view(index - 1), file.view(index));
    let section = new.revision().only_section().ok_or(Violation::Form)?;
    form(file, index, from, section)?;
    trailer(old, new)?;
    let root = new.trailer().get(b"Root").and_then(Value::as_reference).ok_or(Violation::Trailer)?;
    let model = Model::read(old).map_err(|_| Violation::Form)?;
    let mut update = Update {
        old,
        new,
        objects: section.entries.keys().filter(|number| **number != 0).map(|number| new.id_of(*number)).collect(),
        used: old.numbers().collect(),
        graph: Graph::of(old),
        pages: model.pages.iter().map(|page| page.id).collect(),
        permitted: HashSet::from([root]),
        moved: vec![],
    };
    let signs = update.judge(stage, section.at)?;
    // What could not be read was taken for nothing.
    let problems = file.problems();
    match section.entries.keys().find(|number| problems.contains_key(number)) {
        Some(number) => Err(Violation::Object(*number)),
        None if file.is_exhausted() => Err(Violation::TooComplex),
        None => Ok(signs),
    }
}

/// Rule 1.
fn form(file: &PdfFile<'_>, index: usize, from: usize, section: &Section) -> Result<(), Violation> {
    let place = &file.revisions[index].place;
    let is_plain = |(number, entry): (&u32, &Entry)| match entry {
        Entry::At(at, _) => place.contains(at) && *at >= from,
        Entry::Free => *number == 0,
        Entry::In(..) => false,
    };
    let is_one = section.at >= from
        && section.trailer.get(b"XRefStm").is_none()
        && section.entries.iter().all(is_plain)
        && file.gaps_from(index, from).is_empty();
    is_one.then_some(()).ok_or(Violation::Form)
}

/// Rule 2.
fn trailer(old: View<'_>, new: View<'_>) -> Result<(), Violation> {
    let size = new.trailer().get(b"Size").and_then(Value::as_usize).unwrap_or(0);
    let holds_all = new.numbers().all(|number| usize::try_from(number).is_ok_and(|number| number < size));
    match is_same_but(old.trailer(), new.trailer(), &STRUCTURE) && holds_all {
        true => Ok(()),
        false => Err(Violation::Trailer),
    }
}

impl Update<'_> {
    /// Rules 3 to 7, and through them the others; true if the update signs.
    fn judge(&mut self, stage: Stage, section: usize) -> Result<bool, Violation> {
        let (before, after) =
            (self.old.catalog().ok_or(Violation::Catalog)?, self.new.catalog().ok_or(Violation::Catalog)?);
        let own: &[&[u8]] = match stage {
            Stage::Signing { .. } => &[b"DSS", b"AcroForm", b"Extensions", b"Version", b"Perms"],
            Stage::Sealed => &[b"DSS", b"AcroForm", b"Extensions", b"Version"],
        };
        if !is_same_but(&before, &after, own) {
            return Err(Violation::Catalog);
        }
        let (fields, all_fields) = self.form_fields(&before, &after)?;
        let shown = self.annotations()?;
        self.permit_store(&before);
        let signature = self.additions(&fields, &all_fields, &shown, stage)?;
        if before.get(b"Perms") != after.get(b"Perms") {
            self.certification(&before, &after, signature.as_ref())?;
        }

        let roots = [b"DSS".as_slice(), b"Extensions", b"AcroForm"].into_iter().filter_map(|key| after.get(key));
        let found = reached(self.new, roots.chain(&fields).chain(&self.moved));
        for id in &self.objects {
            let is_section = self.new.offset(*id) == Some(section);
            let is_harmless = match self.used.contains(&id.number) {
                true => self.permitted.contains(id),
                false => !self.graph.names(id.number) && (found.contains(id) || is_section),
            };
            if !is_harmless || !has_own_length(&self.new.get(*id)) {
                return Err(Violation::Object(id.number));
            }
        }
        Ok(signature.is_some())
    }

    /// Rule 3: new fields, and all fields after.
    fn form_fields(&mut self, before: &Dictionary, after: &Dictionary) -> Result<(Vec<Value>, Vec<Value>), Violation> {
        let form = |view, catalog: &Dictionary| dictionary(view, catalog.get(b"AcroForm")).ok_or(Violation::Settings);
        let (old, new) = (form(self.old, before)?, form(self.new, after)?);
        if !is_same_but(&old, &new, &[b"Fields", b"SigFlags"]) {
            return Err(Violation::Settings);
        }
        if let Some(id) = before.get(b"AcroForm").and_then(Value::as_reference) {
            match after.get(b"AcroForm") == before.get(b"AcroForm") {
                true => drop(self.permitted.insert(id)),
                false if old.0.is_empty() => {}
                false => return Err(Violation::Settings),
            }
        }
        let added = self.grown(&old, &new, b"Fields").ok_or(Violation::Settings)?;
        let all = members(self.new, new.get(b"Fields")).ok_or(Violation::Settings)?;
        Ok((added, all))
    }

    /// Rules 4 and 5: new annotations, each with the index of its page.
    fn annotations(&mut self) -> Result<Vec<(usize, Value)>, Violation> {
        let mut shown = vec![];
        for (index, id) in self.pages.clone().into_iter().enumerate() {
            let (before, after) = (self.old.get(id), self.new.get(id));
            let (Value::Dictionary(before), Value::Dictionary(after)) = (&*before, &*after) else {
                return Err(Violation::Page(index + 1));
            };
            if !is_same_but(before, after, &[b"Annots"]) {
                return Err(Violation::Page(index + 1));
            }
            self.permitted.insert(id);
            let added = self.grown(before, after, b"Annots").ok_or(Violation::Page(index + 1))?;
            shown.extend(added.into_iter().map(|value| (index, value)));
        }
        Ok(shown)
    }

    /// New members of an array, direct or not, whose old ones still come first.
    fn grown(&mut self, before: &Dictionary, after: &Dictionary, key: &[u8]) -> Option<Vec<Value>> {
        let (was, now) = (before.get(key), after.get(key));
        let first = members(self.old, was)?;
        let all = members(self.new, now)?;
        let rest = all.strip_prefix(first.as_slice())?.to_vec();
        match (was.and_then(Value::as_reference), now) {
            // The same object, which serves for nothing else.
            (Some(id), _) if was == now => {
                (rest.is_empty() || self.graph.count(id) == 1).then_some(())?;
                self.permitted.insert(id);
            }
            (Some(_), _) if !first.is_empty() => return None,
            (_, Some(now @ Value::Reference(id))) => {
                self.is_new(id).then_some(())?;
                self.moved.push(now.clone());
            }
            _ => {}
        }
        Some(rest)
    }

    /// What `/DSS` alone led to may be replaced.
    fn permit_store(&mut self, catalog: &Dictionary) {
        let trailer = entries_but(self.old.trailer(), b"Root");
        // Signatures may refer to the catalog; its store is looked at on its own.
        let root = self.old.trailer().get(b"Root").and_then(Value::as_reference);
        let elsewhere = reached_without(self.old, trailer.chain(entries_but(catalog, b"DSS")), root);
        let by_store = reached(self.old, catalog.get(b"DSS").into_iter());
        self.permitted.extend(by_store.into_iter().filter(|id| !elsewhere.contains(id)));
    }

    /// An object of the update whose number was neither in use nor referred to before.
    fn is_new(&self, id: &Id) -> bool {
        self.objects.contains(id) && !self.used.contains(&id.number) && !self.graph.names(id.number)
    }

    /// A reference to a new object.
    fn new_object(&self, value: Option<&Value>) -> Option<Id> {
        value.and_then(Value::as_reference).filter(|id| self.is_new(id))
    }

    /// How often each annotation stands on a page before, and on which.
    fn places(&self) -> HashMap<Id, Vec<usize>> {
        let mut found: HashMap<Id, Vec<usize>> = HashMap::new();
        for (index, id) in self.pages.iter().enumerate() {
            let page = self.old.get(*id);
            let listed = page.as_dictionary().and_then(|page| members(self.old, page.get(b"Annots")));
            for id in listed.unwrap_or_default().iter().filter_map(Value::as_reference) {
                found.entry(id).or_default().push(index);
            }
        }
        found
    }
}

fn has_own_length(value: &Value) -> bool {
    match value {
        Value::Stream(dictionary, _) => dictionary.get(b"Length").is_some_and(|length| length.as_usize().is_some()),
        _ => true,
    }
}

fn members(view: View<'_>, value: Option<&Value>) -> Option<Vec<Value>> {
    match value.map(|value| view.resolve(value)).as_deref() {
        None | Some(Value::Null) => Some(vec![]),
        Some(Value::Array(members)) => Some(members.clone()),
        Some(_) => None,
    }
}

fn dictionary(view: View<'_>, value: Option<&Value>) -> Option<Dictionary> {
    match value.map(|value| view.resolve(value)).as_deref() {
        None | Some(Value::Null) => Some(Dictionary::default()),
        Some(Value::Dictionary(found)) => Some(found.clone()),
        Some(_) => None,
    }
}

/// Entries as they are written: a reference equals only itself.
fn is_same_but(old: &Dictionary, new: &Dictionary, except: &[&[u8]]) -> bool {
    let mut keys = old.iter().chain(new.iter()).map(|(key, _)| key).filter(|key| !except.contains(key));
    keys.all(|key| old.get(key) == new.get(key))
}

fn entries_but<'d>(dictionary: &'d Dictionary, except: &'d [u8]) -> impl Iterator<Item = &'d Value> {
    dictionary.iter().filter(move |(key, _)| *key != except).map(|(_, value)| value)
}
