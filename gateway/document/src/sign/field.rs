//! Signature fields of the form (ISO 32000-1 §12.7.4.5): finding, adding and filling them, and what earlier
//! signatures forbid.

use der::{Decode, Encode};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::body::{name, text};
use super::{Lock, SignError, Signed};
use crate::inspect::{Inspected, number};
use crate::page::Rectangle;
use crate::update::{Update, UpdateError};

/// Print and Locked.
const WIDGET_FLAGS: i64 = 132;
/// Points by which a place may differ from the field's.
const SAME_PLACE: f64 = 1.0;

/// A field of the form without kids.
pub(super) struct Field<'a> {
    /// Its number; `None` when it stands within the list of fields.
    pub(super) id: Option<ObjectId>,
    dictionary: &'a Dictionary,
}

/// The fields that are looked for by name: names with full stops are not made here.
fn fields(document: &Document) -> Vec<Field<'_>> {
    let list = || {
        let form = document.get_dict_in_dict(document.catalog().ok()?, b"AcroForm").ok()?;
        form.get_deref(b"Fields", document).ok()?.as_array().ok()
    };
    let field = |field| {
        let (id, field) = document.dereference(field).ok()?;
        Some(Field { id, dictionary: field.as_dict().ok()? })
    };
    list().into_iter().flatten().filter_map(field).collect()
}

impl Field<'_> {
    /// The field of this name.
    pub(super) fn find<'a>(document: &'a Document, wanted: &str) -> Option<Field<'a>> {
        fields(document).into_iter().find(|field| field.name(document).as_deref() == Some(wanted))
    }

    /// The fields and widgets below it.
    pub(super) fn kids<'a>(&self, document: &'a Document) -> Vec<Field<'a>> {
        let kids = self.dictionary.get_deref(b"Kids", document).and_then(Object::as_array);
        // The dictionary may be borrowed for shorter than the document: look the kids up by number.
        let ids: Vec<ObjectId> =
            kids.map(|kids| kids.iter().filter_map(|kid| kid.as_reference().ok()).collect()).unwrap_or_default();
        let kid = |id| Some(Field { id: Some(id), dictionary: document.get_dictionary(id).ok()? });
        ids.into_iter().filter_map(kid).collect()
    }

    /// Its own part of its name.
    pub(super) fn name(&self, document: &Document) -> Option<String> {
        let title = self.dictionary.get_deref(b"T", document).ok()?;
        lopdf::decode_text_string(title).ok()
    }

    /// Is it an empty signature field with its widget in it?
    pub(super) fn is_empty_signature(&self, document: &Document) -> bool {
        let kind = self.dictionary.get_deref(b"FT", document).and_then(Object::as_name);
        let value = self.dictionary.get_deref(b"V", document);
        matches!(kind, Ok(b"Sig")) && value.map_or(true, Object::is_null) && !self.dictionary.has(b"Kids")
    }

    /// The signature in it.
    pub(super) fn signature<'a>(&'a self, document: &'a Document) -> Option<Signed> {
        let value = document.get_dict_in_dict(self.dictionary, b"V").ok()?;
        let contents = value.get_deref(b"Contents", document).and_then(Object::as_str).ok()?.to_vec();
        let kind = value.get_deref(b"SubFilter", document).and_then(Object::as_name);
        let is_timestamp = matches!(kind, Ok(b"ETSI.RFC3161"));
        let object = object_length(&contents).and_then(|length| contents.get(..length))?.to_vec();
        Some(Signed { field: self.name(document)?, contents, object, is_timestamp })
    }

    /// Does it lie on this page at this place?
    pub(super) fn lies_at(&self, document: &Document, page: ObjectId, place: &Rectangle) -> bool {
        let own = self.dictionary.get_deref(b"Rect", document).and_then(Object::as_array);
        let sides: Vec<f64> = own.map(|own| own.iter().filter_map(number).collect()).unwrap_or_default();
        let on_page = self.dictionary.get(b"P").and_then(Object::as_reference).map_or(true, |own| own == page);
        on_page && sides.len() == 4 && sides.iter().zip(place).all(|(own, side)| (own - side).abs() <= SAME_PLACE)
    }

    /// What it locks when it is signed.
    pub(super) fn lock(&self, document: &Document) -> Option<Lock> {
        let lock = self.dictionary.get_deref(b"Lock", document).ok()?.as_dict().ok()?;
        Lock::read(document, lock)
    }
}

/// The signatures of a file.
pub(super) fn signed(document: &Document) -> Vec<Signed> {
    fields(document).iter().filter_map(|field| field.signature(document)).collect()
}

/// Length of the DER object at the front.
fn object_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = der::SliceReader::new(bytes).ok()?;
    let header = der::Header::decode(&mut reader).ok()?;
    usize::try_from((header.encoded_len().ok()? + header.length()).ok()?).ok()
}

impl Lock {
    /// As `/Lock` or transform parameters.
    pub(super) fn dictionary(&self, kind: &str) -> Dictionary {
        let mut lock = Dictionary::new();
        lock.set("Type", name(kind));
        let (action, names) = match self {
            Self::All => ("All", None),
            Self::Only(names) => ("Include", Some(names)),
            Self::AllBut(names) => ("Exclude", Some(names)),
        };
        lock.set("Action", name(action));
        if let Some(names) = names {
            lock.set("Fields", names.iter().map(|name| text(name)).collect::<Vec<_>>());
        }
        lock
    }

    fn read(document: &Document, lock: &Dictionary) -> Option<Self> {
        let names = || {
            let names = lock.get_deref(b"Fields", document).ok()?.as_array().ok()?;
            let name = |name| lopdf::decode_text_string(document.dereference(name).ok()?.1).ok();
            names.iter().map(name).collect::<Option<Vec<_>>>()
        };
        match lock.get_deref(b"Action", document).and_then(Object::as_name).ok()? {
            b"All" => Some(Self::All),
            b"Include" => names().map(Self::Only),
            b"Exclude" => names().map(Self::AllBut),
            _ => None,
        }
    }

    fn covers(&self, field: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == field);
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::AllBut(names) => !named(names),
        }
    }
}

/// What the signatures in a file allow to be done.
pub(super) struct Standing {
    /// There is a signature of a party.
    pub(super) signed: bool,
    /// One of them certifies the file: only fields that exist may be filled in.
    pub(super) certified: bool,
    locks: Vec<Lock>,
}

impl Standing {
    pub(super) fn of(inspected: &Inspected) -> Self {
        let document = &inspected.document;
        let mut standing = Self { signed: false, certified: false, locks: Vec::new() };
        for field in fields(document) {
            let Ok(value) = document.get_dict_in_dict(field.dictionary, b"V") else { continue };
            if !value.has(b"ByteRange") {
                continue;
            }
            let kind = value.get_deref(b"Type", document).and_then(Object::as_name);
            standing.signed |= !matches!(kind, Ok(b"DocTimeStamp"));
            let references = value.get_deref(b"Reference", document).and_then(Object::as_array);
            for reference in references.into_iter().flatten() {
                let Some(reference) = document.dereference(reference).ok().and_then(|(_, r)| r.as_dict().ok()) else {
                    continue;
                };
                match reference.get_deref(b"TransformMethod", document).and_then(Object::as_name) {
                    Ok(b"DocMDP") => standing.certified = true,
                    Ok(b"FieldMDP") => {
                        let parameters = document.get_dict_in_dict(reference, b"TransformParams").ok();
                        standing.locks.extend(parameters.and_then(|lock| Lock::read(document, lock)));
                    }
                    _ => {}
                }
            }
        }
        standing
    }

    /// May this field be added, or filled in if it is there?
    pub(super) fn check(&self, field: &str, exists: bool) -> Result<(), SignError> {
        if self.certified && !exists {
            return Err(SignError::Certified);
        }
        match self.locks.iter().any(|lock| lock.covers(field)) {
            true => Err(SignError::FieldLocked(field.to_owned())),
            false => Ok(()),
        }
    }
}

/// A widget on its page, of whatever field.
pub(super) fn annotation(page: ObjectId, rectangle: &Rectangle) -> Dictionary {
    let mut widget = Dictionary::new();
    widget.set("Type", name("Annot"));
    widget.set("Subtype", name("Widget"));
    widget.set("P", page);
    widget.set("F", WIDGET_FLAGS);
    widget.set("Rect", rectangle.map(|side| Object::Real(round(side))).to_vec());
    widget
}

/// A widget without a value.
pub(super) fn widget(field_name: &str, page: ObjectId, rectangle: &Rectangle, lock: Option<&Lock>) -> Dictionary {
    let mut widget = annotation(page, rectangle);
    widget.set("FT", name("Sig"));
    widget.set("T", text(field_name));
    if let Some(lock) = lock {
        widget.set("Lock", lock.dictionary("SigFieldLock"));
    }
    widget
}

/// Puts a new widget on its page and into the form.
pub(super) fn add(update: &mut Update<'_>, page: ObjectId, widget: Dictionary) -> Result<ObjectId, UpdateError> {
    let widget = update.add(widget)?;
    add_to_page(update, page, widget)?;
    add_to_form(update, widget)?;
    Ok(widget)
}

pub(super) fn add_to_page(update: &mut Update<'_>, page_id: ObjectId, widget: ObjectId) -> Result<(), UpdateError> {
    let mut page = update.get_dictionary(page_id)?;
    if update.push(&mut page, "Annots", widget)? {
        update.set(page_id, Object::Dictionary(page));
    }
    Ok(())
}

/// The form may be absent, inline in the catalog, or an object of its own.
pub(super) fn add_to_form(update: &mut Update<'_>, widget: ObjectId) -> Result<(), UpdateError> {
    // SignaturesExist and AppendOnly.
    const SIGNATURE_FLAGS: i64 = 3;
    let root = update.root()?;
    let mut catalog = update.get_dictionary(root)?;
    let (indirect, mut form) = match catalog.get(b"AcroForm").ok().cloned() {
        Some(Object::Reference(id)) => (Some(id), update.get_dictionary(id)?),
        Some(Object::Dictionary(form)) => (None, form),
        None | Some(Object::Null) => (None, Dictionary::new()),
        Some(_) => return Err(UpdateError::WrongType("/AcroForm")),
    };
    update.push(&mut form, "Fields", widget)?;
    let flags = form.get(b"SigFlags").and_then(Object::as_i64).unwrap_or(0);
    form.set("SigFlags", flags | SIGNATURE_FLAGS);
    match indirect {
        Some(id) => update.set(id, Object::Dictionary(form)),
        None => {
            catalog.set("AcroForm", form);
            update.set(root, Object::Dictionary(catalog));
        }
    }
    Ok(())
}

fn round(value: f64) -> f32 {
    ((value * 1000.0).round() / 1000.0) as f32
}
