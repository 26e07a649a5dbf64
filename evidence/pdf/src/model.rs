//! What a revision shows: its pages with inherited attributes, annotations and form fields.

use std::collections::{HashMap, HashSet};

use crate::file::View;
use crate::file::value::{Dictionary, Id, Value};
use crate::{MAX_DEPTH, MAX_FIELDS, PdfReadError};

/// Most pages that are looked at.
pub(crate) const MAX_PAGES: usize = 10_000;

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) id: Id,
    /// With what it inherits.
    pub(crate) attributes: Dictionary,
    /// `/Annots`, members as written.
    pub(crate) annotations: Vec<Value>,
}

/// A terminal form field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Fully qualified name.
    pub(crate) name: String,
    /// `/FT`, inherited.
    pub(crate) kind: Vec<u8>,
    pub(crate) id: Option<Id>,
    pub(crate) dictionary: Dictionary,
    /// `/V`, inherited, as written.
    pub(crate) value: Option<Value>,
    /// Widgets that are objects of their own; a field that is its own widget has none.
    pub(crate) widgets: Vec<(Option<Id>, Dictionary)>,
}

impl Field {
    pub(crate) fn is_signature(&self) -> bool {
        self.kind == b"Sig"
    }

    /// A button that only shows a picture and does not keep a state (ISO 32000-1 §12.7.4.2.2).
    pub(crate) fn is_push_button(&self, view: View<'_>) -> bool {
        const PUSH_BUTTON: i64 = 1 << 16;
        let flags = view.entry(&self.dictionary, b"Ff").as_integer().unwrap_or(0);
        self.kind == b"Btn" && flags & PUSH_BUTTON != 0 && self.value.is_none()
    }

    /// All widgets, the field itself where it is one.
    pub(crate) fn all_widgets(&self) -> impl Iterator<Item = (Option<Id>, &Dictionary)> {
        let own = self.dictionary.get(b"Rect").map(|_| (self.id, &self.dictionary));
        own.into_iter().chain(self.widgets.iter().map(|(id, dictionary)| (*id, dictionary)))
    }
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) catalog: Dictionary,
    pub(crate) form: Option<Dictionary>,
    pub(crate) pages: Vec<Page>,
    pub(crate) fields: Vec<Field>,
    /// Catalog, pages, annotations and fields: compared each on its own.
    pub(crate) own: HashSet<Id>,
    /// Page index of each annotation.
    pub(crate) page_of: HashMap<Id, usize>,
}

impl Model {
    pub(crate) fn read(view: View<'_>) -> Result<Self, PdfReadError> {
        let catalog = view.catalog().ok_or_else(|| PdfReadError::unresolvable("/Root", "no catalog"))?;
        let pages = pages(view, &catalog)?;
        let form = view.dictionary(&catalog, b"AcroForm");
        let fields = match &form {
            Some(form) => fields(view, form)?,
            None => vec![],
        };
        let mut own: HashSet<Id> = HashSet::new();
        let mut page_of = HashMap::new();
        let is_plain = |id: Id| matches!(&*view.get(id), Value::Dictionary(found) if found.get(b"Rect").is_some());
        for (index, page) in pages.iter().enumerate() {
            own.insert(page.id);
            for id in page.annotations.iter().filter_map(Value::as_reference) {
                page_of.insert(id, index);
                if is_plain(id) {
                    own.insert(id);
                }
            }
        }
        // A signature's transforms name the catalog (`/Data`), which later revisions may add to.
        own.extend(view.trailer().get(b"Root").and_then(Value::as_reference));
        own.extend(fields.iter().filter_map(|field| field.id));
        own.extend(fields.iter().flat_map(|field| &field.widgets).filter_map(|(id, _)| *id));
        Ok(Self { catalog, form, pages, fields, own, page_of })
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Page index of an annotation, by the page's list or by `/P`.
    pub(crate) fn page_of(&self, id: Option<Id>, widget: &Dictionary) -> Option<usize> {
        let listed = id.and_then(|id| self.page_of.get(&id).copied());
        listed.or_else(|| {
            let page = widget.get(b"P").and_then(Value::as_reference)?;
            self.pages.iter().position(|found| found.id == page)
        })
    }
}

/// What pages inherit (ISO 32000-1 table 30).
const INHERITED: [&[u8]; 4] = [b"Resources", b"MediaBox", b"CropBox", b"Rotate"];

fn pages(view: View<'_>, catalog: &Dictionary) -> Result<Vec<Page>, PdfReadError> {
    let limit = || PdfReadError::Limit("/Pages");
    let root = catalog.get(b"Pages").and_then(Value::as_reference);
    let root = root.ok_or_else(|| PdfReadError::unresolvable("/Pages", "no page tree"))?;
    let mut found = vec![];
    let mut seen = HashSet::new();
    let mut open: Vec<(Id, Dictionary, usize)> = vec![(root, Dictionary::default(), 0)];
    while let Some((id, inherited, depth)) = open.pop() {
        if !seen.insert(id) || depth > MAX_DEPTH || found.len() >= MAX_PAGES || !view.file().spend(1) {
            return Err(limit());
        }
        let value = view.get(id);
        let Value::Dictionary(node) = &*value else {
            return Err(PdfReadError::unresolvable("/Kids", "a member is no page"));
        };
        let mut passed = inherited;
        for key in INHERITED {
            if let Some(value) = node.get(key) {
                passed.0.retain(|(name, _)| name != key);
                passed.0.push((key.to_vec(), value.clone()));
            }
        }
        if node.get(b"Kids").is_some() {
            let kids = view.array(node, b"Kids");
            for kid in kids.iter().rev() {
                let kid = kid.as_reference().ok_or_else(|| PdfReadError::unresolvable("/Kids", "no reference"))?;
                open.push((kid, passed.clone(), depth + 1));
            }
            if open.len() > 2 * MAX_PAGES {
                return Err(limit());
            }
        } else {
            let annotations = view.array(node, b"Annots");
            let mut attributes = node.clone();
            for (key, value) in passed.0 {
                if attributes.get(&key).is_none() {
                    attributes.0.push((key, value));
                }
            }
            found.push(Page { id, attributes, annotations });
        }
    }
    Ok(found)
}

struct Walk<'f> {
    view: View<'f>,
    seen: HashSet<Id>,
    nodes: usize,
    found: Vec<Field>,
}

/// What a field hands down.
#[derive(Clone, Default)]
struct Inherited {
    name: String,
    kind: Vec<u8>,
    value: Option<Value>,
}

fn fields(view: View<'_>, form: &Dictionary) -> Result<Vec<Field>, PdfReadError> {
    let mut walk = Walk { view, seen: HashSet::new(), nodes: 0, found: vec![] };
    for node in view.array(form, b"Fields") {
        walk.node(&node, &Inherited::default(), 0)?;
    }
    Ok(walk.found)
}

impl Walk<'_> {
    fn node(&mut self, node: &Value, inherited: &Inherited, depth: usize) -> Result<(), PdfReadError> {
        self.nodes += 1;
        let id = node.as_reference();
        let is_fresh = id.is_none_or(|id| self.seen.insert(id));
        if self.nodes > MAX_FIELDS || depth > MAX_DEPTH || !is_fresh {
            return Err(PdfReadError::Limit("/AcroForm"));
        }
        let value = self.view.resolve(node);
        // A deleted field leaves a reference to nothing.
        let Value::Dictionary(dictionary) = &*value else { return Ok(()) };
        let part = self.view.entry(dictionary, b"T").as_text();
        let name = match part {
            Some(part) if inherited.name.is_empty() => part,
            Some(part) => format!("{}.{part}", inherited.name),
            None => inherited.name.clone(),
        };
        let kind = self.view.entry(dictionary, b"FT").as_name().map_or_else(|| inherited.kind.clone(), <[u8]>::to_vec);
        let own = dictionary.get(b"V").filter(|value| **value != Value::Null).cloned();
        let inherited = Inherited { name, kind, value: own.or_else(|| inherited.value.clone()) };
        let mut widgets = vec![];
        let kids = self.view.array(dictionary, b"Kids");
        let mut has_fields = false;
        for kid in &kids {
            let child = self.view.resolve(kid);
            match child.as_dictionary() {
                Some(child) if child.get(b"T").is_none() => {
                    self.nodes += 1;
                    if self.nodes > MAX_FIELDS {
                        return Err(PdfReadError::Limit("/AcroForm"));
                    }
                    widgets.push((kid.as_reference(), child.clone()));
                }
                _ => {
                    has_fields = true;
                    self.node(kid, &inherited, depth + 1)?;
                }
            }
        }
        if !has_fields || !widgets.is_empty() {
            let Inherited { name, kind, value } = inherited;
            self.found.push(Field { name, kind, id, dictionary: dictionary.clone(), value, widgets });
        }
        Ok(())
    }
}
