//! Pictures of seals and signatures (rule 10): new from the first to the last object, of bounded size, and the
//! same at every time and place. What they show is not judged.

use super::{Update, Violation};
use crate::file::value::{Dictionary, Id, Value};
use crate::updates::graph::reached;

/// Longest side, in points: imprints have at most 80 mm, and captions 9.5 below them.
const MAX_SIDE: f64 = 256.0;
/// Entries of a stream by which it shows something else one day, on paper, or elsewhere.
const CHANGING: [&[u8]; 5] = [b"F", b"OC", b"OPI", b"Ref", b"Alternates"];

impl Update<'_> {
    /// Is this a form to which nothing of before belongs?
    pub(super) fn picture(&self, id: Id) -> Result<(), Violation> {
        let form = Value::Reference(id);
        let is_form = matches!(&*self.new.get(id), Value::Stream(dictionary, _)
            if dictionary.name(b"Subtype") == Some(b"Form"));
        let all = reached(self.new, std::iter::once(&form));
        let is_harmless = |id: &Id| self.is_new(id) && is_still(&self.new.get(*id));
        if is_form && all.iter().all(is_harmless) { Ok(()) } else { Err(Violation::Looks) }
    }

    /// May something be drawn in the rectangle of this widget on this page?
    pub(super) fn is_small(&self, widget: &Dictionary, page: usize) -> bool {
        let numbers = widget.get(b"Rect").and_then(Value::as_array).unwrap_or_default();
        let numbers: Vec<f64> = numbers.iter().filter_map(Value::as_number).collect();
        let page = self.pages.get(page).map(|id| self.old.get(*id));
        let unit = page.as_deref().and_then(Value::as_dictionary).map(|page| self.old.entry(page, b"UserUnit"));
        let unit = match unit.as_deref() {
            None | Some(Value::Null) => 1.0,
            Some(value) => value.as_number().unwrap_or(f64::INFINITY),
        };
        match numbers.as_slice() {
            [left, bottom, right, top] => {
                let is_side = |from: &f64, to: &f64| to >= from && (to - from) * unit <= MAX_SIDE;
                is_side(left, right) && is_side(bottom, top)
            }
            _ => false,
        }
    }
}

fn is_still(value: &Value) -> bool {
    match value {
        Value::Stream(dictionary, _) => {
            CHANGING.iter().all(|key| dictionary.get(key).is_none()) && are_still(dictionary)
        }
        Value::Dictionary(dictionary) => are_still(dictionary),
        Value::Array(members) => members.iter().all(is_still),
        _ => true,
    }
}

/// No layers, neither here nor below.
fn are_still(dictionary: &Dictionary) -> bool {
    !matches!(dictionary.name(b"Type"), Some(b"OCG" | b"OCMD")) && dictionary.iter().all(|(_, value)| is_still(value))
}
