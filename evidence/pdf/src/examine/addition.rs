//! Updates that add validation data and document timestamps and nothing else, in the one form that
//! `docs/SPEC.md` §11a describes: narrower than what the comparison of revisions calls harmless, so that two
//! verifiers agree on every byte.

use std::collections::HashSet;

use crate::difference::references;
use crate::file::value::{Dictionary, Id, Value};
use crate::file::xref::Entry;
use crate::file::{PdfFile, View};
use crate::model::Model;

/// Is every update behind revision `signed` of that form?
pub(super) fn only_validation_data(file: &PdfFile<'_>, signed: usize) -> bool {
    let views: Vec<View<'_>> = (signed..file.revisions.len()).map(|index| file.view(index)).collect();
    views.len() > 1 && views.windows(2).all(|pair| update(pair[0], pair[1]).is_some())
}

/// `None`: the update has another form or does something else.
fn update(old: View<'_>, new: View<'_>) -> Option<()> {
    let section = new.revision().only_section()?;
    let is_plain = |(number, entry): (&u32, &Entry)| match entry {
        Entry::At(at, _) => new.revision().place.contains(at),
        Entry::Free => *number == 0,
        Entry::In(..) => false,
    };
    if section.trailer.get(b"XRefStm").is_some() || !section.entries.iter().all(is_plain) {
        return None;
    }
    const STRUCTURE: [&[u8]; 9] =
        [b"Size", b"Prev", b"ID", b"Type", b"W", b"Index", b"Filter", b"DecodeParms", b"Length"];
    same_but(old.trailer(), new.trailer(), &STRUCTURE)?;
    let root = new.trailer().get(b"Root")?.as_reference()?;
    let (before, after) = (old.catalog()?, new.catalog()?);
    same_but(&before, &after, &[b"DSS", b"AcroForm", b"Extensions", b"Version"])?;
    let model = Model::read(old).ok()?;
    let mut arrays = Arrays { old, new, permitted: HashSet::from([root]), moved: vec![] };

    let (form_before, form_after) =
        (dictionary(old, before.get(b"AcroForm"))?, dictionary(new, after.get(b"AcroForm"))?);
    same_but(&form_before, &form_after, &[b"Fields", b"SigFlags"])?;
    if let Some(id) = before.get(b"AcroForm").and_then(Value::as_reference)
        && !form_before.0.is_empty()
    {
        (after.get(b"AcroForm") == before.get(b"AcroForm")).then_some(())?;
        arrays.permitted.insert(id);
    }
    let fields = arrays.grown(&form_before, &form_after, b"Fields")?;
    let mut shown = vec![];
    for page in &model.pages {
        let (page_before, page_after) = (old.get(page.id), new.get(page.id));
        let (page_before, page_after) = (page_before.as_dictionary()?, page_after.as_dictionary()?);
        same_but(page_before, page_after, &[b"Annots"])?;
        arrays.permitted.insert(page.id);
        shown.extend(arrays.grown(page_before, page_after, b"Annots")?);
    }
    let Arrays { mut permitted, moved, .. } = arrays;
    let used: HashSet<u32> = old.numbers().collect();
    let fresh: HashSet<Id> = section.entries.keys().map(|number| new.id_of(*number)).collect();
    let is_fresh = |id: &Id| fresh.contains(id) && !used.contains(&id.number);
    let mut added = vec![];
    for field in &fields {
        let id = field.as_reference().filter(is_fresh)?;
        timestamp(new, id, &is_fresh)?;
        (!added.contains(&id)).then_some(())?;
        added.push(id);
    }
    let is_added = |value: &Value| value.as_reference().is_some_and(|id| added.contains(&id));
    shown.iter().all(is_added).then_some(())?;

    // What /DSS alone led to may be replaced; all other objects are new, and reached from what was added.
    let trailer = entries_but(old.trailer(), b"Root");
    let elsewhere = reached(old, trailer.chain(entries_but(&before, b"DSS")));
    let by_store = reached(old, before.get(b"DSS").into_iter());
    permitted.extend(by_store.into_iter().filter(|id| !elsewhere.contains(id)));
    let roots = [b"DSS".as_slice(), b"Extensions", b"AcroForm"].into_iter().filter_map(|key| after.get(key));
    let found = reached(new, roots.chain(&fields).chain(&moved));
    let section_stream = section.trailer.name(b"Type").map(|_| section.at);
    let is_harmless = |id: &Id| match used.contains(&id.number) {
        true => permitted.contains(id),
        false => found.contains(id) || permitted.contains(id) || new.offset(*id) == section_stream,
    };
    let has_own_length = |id: &Id| match &*new.get(*id) {
        Value::Stream(dictionary, _) => dictionary.get(b"Length").is_some_and(|length| length.as_usize().is_some()),
        _ => true,
    };
    fresh.iter().filter(|id| id.number != 0).all(|id| is_harmless(id) && has_own_length(id)).then_some(())
}

/// An invisible field with a new document timestamp.
fn timestamp(view: View<'_>, id: Id, is_fresh: &dyn Fn(&Id) -> bool) -> Option<()> {
    let field = view.get(id);
    let field = field.as_dictionary()?;
    const NOT: [&[u8]; 6] = [b"AP", b"A", b"AA", b"Kids", b"Parent", b"MK"];
    if field.name(b"FT") != Some(b"Sig") || NOT.iter().any(|key| field.get(key).is_some()) {
        return None;
    }
    let value = view.get(field.get(b"V")?.as_reference().filter(is_fresh)?);
    (value.as_dictionary()?.name(b"SubFilter") == Some(b"ETSI.RFC3161")).then_some(())
}

struct Arrays<'f> {
    old: View<'f>,
    new: View<'f>,
    permitted: HashSet<Id>,
    /// Arrays that stand in a new object.
    moved: Vec<Value>,
}

impl Arrays<'_> {
    /// New members of an array, direct or not, whose old ones still come first.
    fn grown(&mut self, before: &Dictionary, after: &Dictionary, key: &[u8]) -> Option<Vec<Value>> {
        let (was, now) = (before.get(key), after.get(key));
        let first = members(self.old, was)?;
        let all = members(self.new, now)?;
        let rest = all.strip_prefix(first.as_slice())?.to_vec();
        match (was.and_then(Value::as_reference), now) {
            (Some(id), _) if !first.is_empty() => {
                (was == now).then_some(())?;
                self.permitted.insert(id);
            }
            (_, Some(now @ Value::Reference(_))) if was != Some(now) => self.moved.push(now.clone()),
            _ => {}
        }
        Some(rest)
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
fn same_but(old: &Dictionary, new: &Dictionary, except: &[&[u8]]) -> Option<()> {
    let keys = old.iter().chain(new.iter()).map(|(key, _)| key).filter(|key| !except.contains(key));
    keys.into_iter().all(|key| old.get(key) == new.get(key)).then_some(())
}

fn entries_but<'d>(dictionary: &'d Dictionary, except: &'d [u8]) -> impl Iterator<Item = &'d Value> {
    dictionary.iter().filter(move |(key, _)| *key != except).map(|(_, value)| value)
}

/// All objects to which these values lead.
fn reached<'d>(view: View<'_>, roots: impl Iterator<Item = &'d Value>) -> HashSet<Id> {
    let (mut found, mut work) = (HashSet::new(), vec![]);
    roots.for_each(|root| references(root, &mut |id| work.push(id)));
    while let Some(id) = work.pop() {
        if found.insert(id) && view.file().spend(1) {
            references(&view.get(id), &mut |id| work.push(id));
        }
    }
    found
}
