//! The widgets of cross-page seals 骑缝章.
//!
//! A signature field has one widget only (ISO 32000-2 §12.7.5.5), and what a page shows may not change after
//! the first signature, except in form fields that were there. So the slices of each signer are read-only
//! push buttons, all of them made before the first signature ([`super::reserve`]) and empty. The revision that
//! signs the signer's field sets their appearances, and its signature locks them by name (FieldMDP,
//! §12.8.2.4). For earlier signatures that is filling in a form; for every later one it is final.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};
use qz_domain::contract::straddle::Slice;

use super::body::{name, text};
use super::field::{self, Field, Standing};
use super::{Lock, SignError, page_of, placed};
use crate::POINTS_PER_MM;
use crate::inspect::Inspected;
use crate::page::Rectangle;
use crate::update::{Update, UpdateError};

/// ReadOnly and Pushbutton (§12.7.4.2.1).
const BUTTON_FLAGS: i64 = 1 | 1 << 16;
/// State of a slice before its signature; PDF/A (ISO 19005-2 §6.3.3) wants states for buttons.
const EMPTY: &str = "Off";
/// State of a slice with its part of the imprint.
const SEALED: &str = "Seal";

/// The slices of one signer, to be reserved or filled.
#[derive(Debug, Clone, PartialEq)]
pub struct Straddling {
    /// Name of the field above the slices', unique in the file, without a full stop.
    pub name: String,
    /// What a reader says of them: whose seal it is.
    pub title: String,
    /// The slices, in the order of the pages.
    pub slices: Vec<Slice>,
}

impl Straddling {
    /// The full name of a slice.
    fn slice_name(&self, slice: &Slice) -> String {
        format!("{}.{}", self.name, part(slice))
    }

    /// What the signer's signature has to lock.
    pub fn field_names(&self) -> Vec<String> {
        self.slices.iter().map(|slice| self.slice_name(slice)).collect()
    }
}

fn part(slice: &Slice) -> String {
    format!("p{}", slice.page)
}

fn rectangle(inspected: &Inspected, slice: &Slice) -> Result<(ObjectId, Rectangle), SignError> {
    let (page_id, page) = page_of(inspected, slice.page)?;
    let place = placed(page, slice.page, (slice.x_mm, slice.y_mm), (slice.width_mm, slice.height_mm))?;
    Ok((page_id, place))
}

/// Adds the empty slices of one signer.
pub(super) fn reserve(
    update: &mut Update<'_>, inspected: &Inspected, standing: &Standing, straddling: &Straddling,
) -> Result<(), SignError> {
    if standing.signed {
        return Err(SignError::StraddleTooLate);
    }
    let empty = empty_form(update)?;
    let parent = update.reserve()?;
    let mut kids = Vec::with_capacity(straddling.slices.len());
    for slice in &straddling.slices {
        let (page_id, place) = rectangle(inspected, slice)?;
        let mut widget = field::annotation(page_id, &place);
        widget.set("FT", name("Btn"));
        widget.set("Ff", BUTTON_FLAGS);
        widget.set("T", text(&part(slice)));
        widget.set("TU", text(&straddling.title));
        widget.set("Parent", parent);
        widget.set("AP", looks(empty, None));
        widget.set("AS", name(EMPTY));
        let widget = update.add(widget)?;
        field::add_to_page(update, page_id, widget)?;
        kids.push(Object::Reference(widget));
    }
    let mut field = Dictionary::new();
    field.set("T", text(&straddling.name));
    field.set("Kids", kids);
    update.set(parent, Object::Dictionary(field));
    field::add_to_form(update, parent)?;
    Ok(())
}

/// Draws each part of `imprint`, a form of `size` points, into the slice that was reserved for it.
pub(super) fn fill(
    update: &mut Update<'_>, inspected: &Inspected, straddling: &Straddling, imprint: ObjectId,
) -> Result<(), SignError> {
    let document = &inspected.document;
    let missing = || SignError::NotReserved(straddling.name.clone());
    let parent = Field::find(document, &straddling.name).ok_or_else(missing)?;
    let kids = parent.kids(document);
    if kids.len() != straddling.slices.len() {
        return Err(missing());
    }
    for slice in &straddling.slices {
        let elsewhere = || SignError::FieldElsewhere(straddling.slice_name(slice));
        let wanted = part(slice);
        let found = kids.iter().find(|kid| kid.name(document).as_deref() == Some(&wanted)).ok_or_else(missing)?;
        let (page_id, place) = rectangle(inspected, slice)?;
        let id = found.id.filter(|_| found.lies_at(document, page_id, &place)).ok_or_else(elsewhere)?;
        let mut widget = update.get_dictionary(id)?;
        let empty =
            empty_look(document, &widget).ok_or_else(|| SignError::FieldExists(straddling.slice_name(slice)))?;
        let (_, page) = page_of(inspected, slice.page)?;
        let form = window(update, imprint, slice, page.upright_matrix())?;
        widget.set("AP", looks(empty, Some(form)));
        widget.set("AS", name(SEALED));
        update.set(id, Object::Dictionary(widget));
    }
    Ok(())
}

/// What a signature that fills the slices has to lock besides `own`, what it locks anyway.
pub(super) fn locking(own: Option<Lock>, straddling: &Straddling) -> Lock {
    match own {
        Some(Lock::Only(mut names)) => {
            let more = straddling.field_names().into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>();
            names.extend(more);
            Lock::Only(names)
        }
        Some(Lock::All) => Lock::All,
        Some(Lock::AllBut(names)) => {
            Lock::AllBut(names.into_iter().filter(|name| !straddling.field_names().contains(name)).collect())
        }
        None => Lock::Only(straddling.field_names()),
    }
}

/// The empty form of a widget that nobody filled yet.
fn empty_look(document: &Document, widget: &Dictionary) -> Option<ObjectId> {
    let looks = document.get_dict_in_dict(widget, b"AP").ok()?;
    let states = document.get_dict_in_dict(looks, b"N").ok()?;
    match states.len() {
        1 => states.get(EMPTY.as_bytes()).and_then(Object::as_reference).ok(),
        _ => None,
    }
}

fn looks(empty: ObjectId, sealed: Option<ObjectId>) -> Dictionary {
    let mut states = Dictionary::new();
    states.set(EMPTY, empty);
    if let Some(sealed) = sealed {
        states.set(SEALED, sealed);
    }
    let mut looks = Dictionary::new();
    looks.set("N", states);
    looks
}

fn form(bounds: [f64; 4], matrix: [i64; 6]) -> Dictionary {
    let mut form = Dictionary::new();
    form.set("Type", name("XObject"));
    form.set("Subtype", name("Form"));
    form.set("BBox", bounds.map(|side| Object::Real(side as f32)).to_vec());
    form.set("Matrix", matrix.map(Object::Integer).to_vec());
    form
}

fn empty_form(update: &mut Update<'_>) -> Result<ObjectId, UpdateError> {
    let mut form = form([0.0, 0.0, 1.0, 1.0], [1, 0, 0, 1, 0, 0]);
    form.set("Resources", Dictionary::new());
    update.add(Stream::new(form, Vec::new()))
}

/// A form that shows a part of `imprint`.
fn window(
    update: &mut Update<'_>, imprint: ObjectId, slice: &Slice, matrix: [i64; 6],
) -> Result<ObjectId, UpdateError> {
    let [left, bottom, width, height] =
        [slice.left_mm, slice.bottom_mm, slice.width_mm, slice.height_mm].map(|mm| mm * POINTS_PER_MM);
    let mut form = form([left, bottom, left + width, bottom + height], matrix);
    let mut objects = Dictionary::new();
    objects.set("I", imprint);
    let mut resources = Dictionary::new();
    resources.set("XObject", objects);
    form.set("Resources", resources);
    update.add(Stream::new(form, b"/I Do".to_vec()))
}
