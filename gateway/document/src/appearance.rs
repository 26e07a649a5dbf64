//! Turns the first page of a small PDF (a seal imprint) into a form XObject inside another PDF,
//! fonts and all. It copies objects; it does not interpret the drawing.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream};

use crate::inspect::number;
use crate::page::Rectangle;
use crate::update::{Update, UpdateError};

/// The matrix that turns nothing.
pub(crate) const UPRIGHT: [i64; 6] = [1, 0, 0, 1, 0, 0];

/// Deepest nesting that is copied.
const MAX_DEPTH: usize = 64;

/// Why an imprint could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum ImprintError {
    /// The imprint is not a one-page PDF as this crate makes them.
    #[error("印模文件无效 / the imprint is not a usable PDF: {0}")]
    Invalid(String),
    /// The target could not be changed.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

/// A drawing and its place in a larger form: left, bottom, right, top, in points.
pub(crate) struct Part<'a> {
    pub(crate) drawing: Drawing<'a>,
    pub(crate) place: Rectangle,
}

/// What is drawn.
pub(crate) enum Drawing<'a> {
    /// A one-page PDF.
    Pdf(&'a [u8]),
    /// A form that is in the file already.
    Form(ObjectId, Rectangle),
}

/// Copies the drawings into `update`, each at its place, and returns the number of the form that shows them all, of
/// `size` points; `matrix` turns it upright.
pub(crate) fn compose(
    update: &mut Update<'_>, parts: &[Part<'_>], (width, height): (f64, f64), matrix: [i64; 6],
) -> Result<ObjectId, ImprintError> {
    let mut objects = Dictionary::new();
    let mut content = String::new();
    for (index, part) in parts.iter().enumerate() {
        let (form, bounds) = match part.drawing {
            Drawing::Pdf(pdf) => embed_bounded(update, pdf, UPRIGHT)?,
            Drawing::Form(form, bounds) => (form, bounds),
        };
        let [left, bottom, right, top] = part.place;
        let (x, y) = ((right - left) / (bounds[2] - bounds[0]), (top - bottom) / (bounds[3] - bounds[1]));
        let (dx, dy) = (left - bounds[0] * x, bottom - bounds[1] * y);
        content.push_str(&format!("q {x:.6} 0 0 {y:.6} {dx:.4} {dy:.4} cm /P{index} Do Q\n"));
        objects.set(format!("P{index}"), form);
    }
    let mut resources = Dictionary::new();
    resources.set("XObject", objects);
    let mut form = Dictionary::new();
    form.set("Type", Object::Name(b"XObject".to_vec()));
    form.set("Subtype", Object::Name(b"Form".to_vec()));
    form.set("BBox", [0.0, 0.0, width, height].map(|side| Object::Real(side as f32)).to_vec());
    form.set("Matrix", matrix.map(Object::Integer).to_vec());
    form.set("Resources", resources);
    Ok(update.add(Stream::new(form, content.into_bytes()))?)
}

/// Copies the imprint into `update` and returns the form's number; `matrix` turns it upright.
pub(crate) fn embed(update: &mut Update<'_>, imprint: &[u8], matrix: [i64; 6]) -> Result<ObjectId, ImprintError> {
    Ok(embed_bounded(update, imprint, matrix)?.0)
}

/// The same, with the box of the form in its own coordinates.
pub(crate) fn embed_bounded(
    update: &mut Update<'_>, imprint: &[u8], matrix: [i64; 6],
) -> Result<(ObjectId, Rectangle), ImprintError> {
    let invalid = |detail: &dyn ToString| ImprintError::Invalid(detail.to_string());
    let source = Document::load_mem_with_options(imprint, LoadOptions::default()).map_err(|error| invalid(&error))?;
    let page_id = source.page_iter().next().ok_or_else(|| invalid(&"no page"))?;
    let page = source.get_dictionary(page_id).map_err(|error| invalid(&error))?;
    let bounds =
        page.get_deref(b"MediaBox", &source).and_then(Object::as_array).map_err(|error| invalid(&error))?.clone();
    let sides: Vec<f64> = bounds.iter().filter_map(number).collect();
    let sides = Rectangle::try_from(sides).map_err(|_| invalid(&"no /MediaBox"))?;
    if bounds.len() != 4 || sides[2] <= sides[0] || sides[3] <= sides[1] {
        return Err(invalid(&"an empty /MediaBox"));
    }
    let mut copies = Copies { source: &source, update, numbers: HashMap::new() };
    let mut form = Dictionary::new();
    form.set("Type", Object::Name(b"XObject".to_vec()));
    form.set("Subtype", Object::Name(b"Form".to_vec()));
    form.set("BBox", bounds);
    form.set("Matrix", matrix.map(Object::Integer).to_vec());
    for key in ["Resources", "Group"] {
        if let Ok(value) = page.get(key.as_bytes()) {
            let value = copies.copy(value, 0)?;
            form.set(key, value);
        }
    }
    let mut stream = Stream::new(form, source.get_page_content(page_id));
    stream.compress().map_err(|error| invalid(&error))?;
    Ok((update.add(stream)?, sides))
}

struct Copies<'a, 'b, 'c> {
    source: &'a Document,
    update: &'b mut Update<'c>,
    numbers: HashMap<ObjectId, ObjectId>,
}

impl Copies<'_, '_, '_> {
    fn copy(&mut self, object: &Object, depth: usize) -> Result<Object, ImprintError> {
        if depth > MAX_DEPTH {
            return Err(ImprintError::Invalid("nested too deep".into()));
        }
        Ok(match object {
            Object::Reference(id) => Object::Reference(self.copy_indirect(*id, depth)?),
            Object::Array(members) => {
                Object::Array(members.iter().map(|member| self.copy(member, depth + 1)).collect::<Result<_, _>>()?)
            }
            Object::Dictionary(dictionary) => Object::Dictionary(self.copy_dictionary(dictionary, depth)?),
            Object::Stream(stream) => {
                let mut copy = stream.clone();
                copy.dict = self.copy_dictionary(&stream.dict, depth)?;
                Object::Stream(copy)
            }
            plain => plain.clone(),
        })
    }

    fn copy_dictionary(&mut self, dictionary: &Dictionary, depth: usize) -> Result<Dictionary, ImprintError> {
        let mut copy = Dictionary::new();
        for (key, value) in dictionary.iter() {
            // Links back into the page tree or the structure tree would drag the whole file along.
            if !matches!(key.as_slice(), b"Parent" | b"StructParent" | b"StructParents" | b"P") {
                copy.set(key.clone(), self.copy(value, depth + 1)?);
            }
        }
        Ok(copy)
    }

    fn copy_indirect(&mut self, id: ObjectId, depth: usize) -> Result<ObjectId, ImprintError> {
        if let Some(number) = self.numbers.get(&id) {
            return Ok(*number);
        }
        let number = self.update.reserve()?;
        self.numbers.insert(id, number);
        let object = self.source.get_object(id).map_err(|error| ImprintError::Invalid(error.to_string()))?;
        let copy = self.copy(object, depth + 1)?;
        self.update.set(number, copy);
        Ok(number)
    }
}
