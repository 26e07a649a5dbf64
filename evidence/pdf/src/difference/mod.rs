//! What one revision changed against the one before it.
//!
//! Both are walked from their roots side by side, each part in the way that fits it: pages, annotations,
//! fields, catalog entries. Everything that is not expressly harmless is named as a change; whether a change
//! is permitted depends on the signature and is judged in `examine`.

mod change;
mod form;
mod pages;

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

pub use change::{Change, ChangeKind};

use crate::file::value::{Dictionary, Id, Value};
use crate::file::{Gap, PdfFile, View};
use crate::model::Model;

/// Compares revision `new` with the one before it.
pub(crate) fn changes(
    file: &PdfFile<'_>, old: (View<'_>, &Model), new: (View<'_>, &Model), index: usize,
) -> Vec<Change> {
    let mut difference = Difference { old, new, found: BTreeSet::new(), seen: HashSet::new() };
    let problems = file.problems();
    difference.pages();
    difference.catalog();
    difference.form();
    difference.trailer();
    difference.unused(&file.revisions[index].changed);
    difference.bytes(file.gaps(index));
    for (number, reason) in file.problems() {
        if !problems.contains_key(&number) {
            difference.note(Change::of(ChangeKind::Unreadable, format!("{number}: {reason}")));
        }
    }
    if file.is_exhausted() {
        difference.note(Change::of(ChangeKind::Unreadable, "文件过于复杂 too complex"));
    }
    difference.found.into_iter().collect()
}

/// Most changes that are listed one by one.
const MAX_CHANGES: usize = 200;

struct Difference<'f> {
    old: (View<'f>, &'f Model),
    new: (View<'f>, &'f Model),
    found: BTreeSet<Change>,
    /// Pairs of objects that were compared where a difference is reported as a violation.
    seen: HashSet<(Id, Id)>,
}

impl Difference<'_> {
    fn note(&mut self, change: Change) {
        if self.found.len() < MAX_CHANGES {
            self.found.insert(change);
        }
    }

    /// Are both the same, with all that they refer to? To be used where a difference is reported as something
    /// that no signature permits: pairs are compared once.
    fn same(&mut self, old: Option<&Value>, new: Option<&Value>) -> bool {
        let mut seen = std::mem::take(&mut self.seen);
        let equal = self.compare(old, new, &mut seen);
        self.seen = seen;
        equal
    }

    /// The same with a memory of its own, for what may be permitted.
    fn same_afresh(&self, old: Option<&Value>, new: Option<&Value>) -> bool {
        self.compare(old, new, &mut HashSet::new())
    }

    fn compare(&self, old: Option<&Value>, new: Option<&Value>, seen: &mut HashSet<(Id, Id)>) -> bool {
        let null = Value::Null;
        let mut work: Vec<(Rc<Value>, Rc<Value>)> = vec![];
        if !self.step(old.unwrap_or(&null), new.unwrap_or(&null), &mut work, seen) {
            return false;
        }
        while let Some((old, new)) = work.pop() {
            if !self.step(&old, &new, &mut work, seen) {
                return false;
            }
        }
        true
    }

    /// Compares two values; what they refer to is put into `work`.
    fn step(
        &self, old: &Value, new: &Value, work: &mut Vec<(Rc<Value>, Rc<Value>)>, seen: &mut HashSet<(Id, Id)>,
    ) -> bool {
        if !self.new.0.file().spend(1) {
            return false;
        }
        match (old, new) {
            (Value::Reference(a), Value::Reference(b)) => {
                if self.old.1.own.contains(a) && self.new.1.own.contains(b) {
                    return a == b;
                }
                if seen.insert((*a, *b)) {
                    work.push((self.old.0.get(*a), self.new.0.get(*b)));
                }
                true
            }
            (Value::Reference(a), direct) => {
                work.push((self.old.0.get(*a), Rc::new(direct.clone())));
                !matches!(&*self.old.0.get(*a), Value::Reference(_))
            }
            (direct, Value::Reference(b)) => {
                work.push((Rc::new(direct.clone()), self.new.0.get(*b)));
                !matches!(&*self.new.0.get(*b), Value::Reference(_))
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.step(a, b, work, seen))
            }
            (Value::Dictionary(a), Value::Dictionary(b)) => self.step_dictionary(a, b, work, seen, &[]),
            (Value::Stream(a, x), Value::Stream(b, y)) => {
                let bytes = self.new.0.file().bytes;
                // The same data may stand behind another length entry.
                bytes[x.clone()] == bytes[y.clone()] && self.step_dictionary(a, b, work, seen, &[b"Length"])
            }
            (a, b) => a == b,
        }
    }

    fn step_dictionary(
        &self, old: &Dictionary, new: &Dictionary, work: &mut Vec<(Rc<Value>, Rc<Value>)>,
        seen: &mut HashSet<(Id, Id)>, except: &[&[u8]],
    ) -> bool {
        let null = Value::Null;
        let keys = old.iter().chain(new.iter()).map(|(key, _)| key).filter(|key| !except.contains(key));
        keys.into_iter().all(|key| {
            let (a, b) = (old.get(key).unwrap_or(&null), new.get(key).unwrap_or(&null));
            // Ways back up to what is compared on its own.
            let is_back =
                matches!(key, b"Parent" | b"P") && matches!((a, b), (Value::Reference(_), Value::Reference(_)));
            is_back || self.step(a, b, work, seen)
        })
    }

    /// Keys of two dictionaries whose values differ, apart from `except`; violations only.
    fn differing(&mut self, old: &Dictionary, new: &Dictionary, except: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut keys: Vec<Vec<u8>> = old.iter().chain(new.iter()).map(|(key, _)| key.to_vec()).collect();
        keys.sort();
        keys.dedup();
        keys.retain(|key| !except.contains(&key.as_slice()));
        keys.into_iter().filter(|key| !self.same(old.get(key), new.get(key))).collect()
    }

    fn catalog(&mut self) {
        let (old, new) = (self.old.1.catalog.clone(), self.new.1.catalog.clone());
        const OWN: [&[u8]; 3] = [b"Pages", b"AcroForm", b"Type"];
        let harmless: [&[u8]; 4] = [b"DSS", b"Metadata", b"Version", b"Extensions"];
        let except: Vec<&[u8]> = OWN.iter().chain(&harmless).copied().collect();
        for key in self.differing(&old, &new, &except) {
            let name = format!("/{}", String::from_utf8_lossy(&key));
            let change = match key.as_slice() {
                b"OpenAction" | b"AA" => Change::of(ChangeKind::ActionChanged, name),
                b"OCProperties" => Change::new(ChangeKind::Layers),
                b"Names" | b"AF" | b"Dests" => Change::new(ChangeKind::NamesChanged),
                b"StructTreeRoot" | b"MarkInfo" | b"Lang" => Change::new(ChangeKind::Structure),
                _ => Change::of(ChangeKind::CatalogEntry, name),
            };
            self.note(change);
        }
        if !self.same_afresh(old.get(b"DSS"), new.get(b"DSS")) {
            self.note(Change::new(ChangeKind::ValidationData));
        }
        if !self.same_afresh(old.get(b"Metadata"), new.get(b"Metadata")) {
            self.note(Change::new(ChangeKind::Metadata));
        }
    }

    fn trailer(&mut self) {
        let (old, new) = (self.old.0.trailer(), self.new.0.trailer());
        if !self.same_afresh(old.get(b"Info"), new.get(b"Info")) {
            self.note(Change::new(ChangeKind::Metadata));
        }
        // The entries of the file's own structure, and what was compared already.
        const OWN: [&[u8]; 13] = [
            b"Root",
            b"Info",
            b"Size",
            b"Prev",
            b"ID",
            b"XRefStm",
            b"Type",
            b"W",
            b"Index",
            b"Filter",
            b"DecodeParms",
            b"Length",
            b"DocChecksum",
        ];
        for key in self.differing(&old.clone(), &new.clone(), &OWN) {
            self.note(Change::of(ChangeKind::CatalogEntry, format!("trailer /{}", String::from_utf8_lossy(&key))));
        }
    }

    /// Changed objects that nothing in the new revision leads to.
    fn unused(&mut self, changed: &[u32]) {
        if changed.is_empty() {
            return;
        }
        let view = self.new.0;
        let reached = reachable(view);
        let in_use: HashSet<u32> = view.numbers().collect();
        for number in changed {
            if !in_use.contains(number) || reached.contains(number) {
                continue;
            }
            let value = view.get(view.id_of(*number));
            // Left-overs of lists and settings are harmless; what could be shown one day is not.
            let kind = value.as_dictionary().and_then(|dictionary| dictionary.name(b"Type"));
            let is_showable = match &*value {
                Value::Stream(..) => !matches!(kind, Some(b"XRef" | b"ObjStm" | b"Metadata")),
                _ => matches!(kind, Some(b"Catalog" | b"Pages" | b"Page" | b"Font" | b"Annot")),
            };
            if is_showable {
                self.note(Change::of(ChangeKind::HiddenObject, number.to_string()));
            }
        }
    }

    fn bytes(&mut self, gaps: Vec<Gap>) {
        for gap in gaps {
            let detail = match gap {
                Gap::Comment(place) => format!("注释 comment, {}–{}", place.start, place.end),
                Gap::Stray(place) => format!("{}–{}", place.start, place.end),
                Gap::Overlap(place) => format!("对象重叠 overlapping objects, {}–{}", place.start, place.end),
                Gap::Unlisted(place, number) => {
                    format!("未登记的对象 unlisted object {number}, {}–{}", place.start, place.end)
                }
            };
            self.note(Change::of(ChangeKind::StrayBytes, detail));
        }
    }
}

/// Numbers of all objects to which the trailer leads.
pub(crate) fn reachable(view: View<'_>) -> HashSet<u32> {
    let mut found = HashSet::new();
    let trailer = view.trailer();
    let mut work: Vec<Rc<Value>> = vec![];
    for (key, value) in trailer.iter() {
        if !matches!(key, b"Prev" | b"XRefStm") {
            work.push(Rc::new(value.clone()));
        }
    }
    while let Some(value) = work.pop() {
        references(&value, &mut |id| {
            if found.insert(id.number) && view.file().spend(1) {
                work.push(view.get(id));
            }
        });
    }
    found
}

/// Calls `each` with every reference in a value.
pub(crate) fn references(value: &Value, each: &mut dyn FnMut(Id)) {
    match value {
        Value::Reference(id) => each(*id),
        Value::Array(members) => members.iter().for_each(|member| references(member, each)),
        Value::Dictionary(dictionary) | Value::Stream(dictionary, _) => {
            dictionary.iter().for_each(|(_, value)| references(value, each));
        }
        _ => {}
    }
}
