//! The visible box of a page and the way from what a person sees to the page's own coordinates.

use lopdf::{Document, Object, ObjectId};

use crate::inspect::{PageSize, number};

/// Deepest page tree that is followed upwards.
const MAX_TREE_DEPTH: usize = 64;

/// Visible box of a page in its own coordinates, and how it is turned for display.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PageBox {
    left: f64,
    bottom: f64,
    width: f64,
    height: f64,
    /// Clockwise turns of 90°.
    quarter_turns: u8,
    /// Points per unit of the page's coordinates.
    user_unit: f64,
}

/// A rectangle in the page's own coordinates: left, bottom, right, top.
pub(crate) type Rectangle = [f64; 4];

impl PageBox {
    /// Size as displayed, in points.
    pub(crate) fn displayed_size(&self) -> PageSize {
        let (width, height) =
            if self.quarter_turns.is_multiple_of(2) { (self.width, self.height) } else { (self.height, self.width) };
        PageSize { width: width * self.user_unit, height: height * self.user_unit }
    }

    /// The page's rectangle for one displayed at (`x`, `y`) points from the visible bottom-left corner.
    pub(crate) fn place(&self, x: f64, y: f64, width: f64, height: f64) -> Rectangle {
        let (near, far) = (self.point(x, y), self.point(x + width, y + height));
        [near.0.min(far.0), near.1.min(far.1), near.0.max(far.0), near.1.max(far.1)]
    }

    /// The form matrix that turns an appearance back upright: `/Rotate` turns clockwise for display.
    pub(crate) fn upright_matrix(&self) -> [i64; 6] {
        match self.quarter_turns {
            0 => [1, 0, 0, 1, 0, 0],
            1 => [0, 1, -1, 0, 0, 0],
            2 => [-1, 0, 0, -1, 0, 0],
            _ => [0, -1, 1, 0, 0, 0],
        }
    }

    /// What [`Self::place`] does, backwards: where a point of the page is displayed, in points from the visible
    /// bottom-left corner.
    pub(crate) fn displayed_point(&self, x: f64, y: f64) -> (f64, f64) {
        let (u, v) = (x - self.left, y - self.bottom);
        let (x, y) = match self.quarter_turns {
            0 => (u, v),
            1 => (v, self.width - u),
            2 => (self.width - u, self.height - v),
            _ => (self.height - v, u),
        };
        (x * self.user_unit, y * self.user_unit)
    }

    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x / self.user_unit, y / self.user_unit);
        let (u, v) = match self.quarter_turns {
            0 => (x, y),
            1 => (self.width - y, x),
            2 => (self.width - x, self.height - y),
            _ => (y, self.height - x),
        };
        (self.left + u, self.bottom + v)
    }
}

/// Reads the boxes of a page, inherited ones included.
pub(crate) fn read(document: &Document, id: ObjectId) -> Result<PageBox, String> {
    let media = rectangle(document, id, b"MediaBox")?.ok_or("no /MediaBox")?;
    let visible = match rectangle(document, id, b"CropBox")? {
        Some(crop) => [crop[0].max(media[0]), crop[1].max(media[1]), crop[2].min(media[2]), crop[3].min(media[3])],
        None => media,
    };
    let rotation = match inherited(document, id, b"Rotate") {
        Some(value) => number(value).ok_or("/Rotate is not a number")?,
        None => 0.0,
    };
    if rotation % 90.0 != 0.0 {
        return Err(format!("/Rotate is {rotation}"));
    }
    let user_unit = document
        .get_dictionary(id)
        .ok()
        .and_then(|page| page.get_deref(b"UserUnit", document).ok())
        .and_then(number)
        .unwrap_or(1.0);
    let page = PageBox {
        left: visible[0],
        bottom: visible[1],
        width: visible[2] - visible[0],
        height: visible[3] - visible[1],
        quarter_turns: (rotation / 90.0).rem_euclid(4.0) as u8,
        user_unit,
    };
    // ISO 32000-1 annex C: pages from 3 to 14 400 units.
    let sane = |side: f64| (1.0..=20_000.0).contains(&side);
    if !sane(page.width) || !sane(page.height) || !(0.01..=1000.0).contains(&user_unit) {
        return Err(format!("{} × {} × {user_unit}", page.width, page.height));
    }
    Ok(page)
}

fn rectangle(document: &Document, id: ObjectId, key: &[u8]) -> Result<Option<Rectangle>, String> {
    let Some(value) = inherited(document, id, key) else {
        return Ok(None);
    };
    let key = String::from_utf8_lossy(key);
    let values = value.as_array().map_err(|_| format!("/{key} is not an array"))?;
    let numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| document.dereference(value).ok().and_then(|(_, value)| number(value)))
        .filter(|value| value.is_finite())
        .collect();
    match numbers.as_slice() {
        [a, b, c, d] if values.len() == 4 => Ok(Some([a.min(*c), b.min(*d), a.max(*c), b.max(*d)])),
        _ => Err(format!("/{key} has not four numbers")),
    }
}

/// An attribute of a page or of what is above it.
pub(crate) fn inherited<'a>(document: &'a Document, id: ObjectId, key: &[u8]) -> Option<&'a Object> {
    let mut node = document.get_dictionary(id).ok()?;
    for _ in 0..MAX_TREE_DEPTH {
        if let Ok(value) = node.get_deref(key, document)
            && !value.is_null()
        {
            return Some(value);
        }
        node = document.get_dict_in_dict(node, b"Parent").ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quarter_turns: u8, user_unit: f64, expected: Rectangle) {
        let page = PageBox { left: 10.0, bottom: 20.0, width: 100.0, height: 200.0, quarter_turns, user_unit };
        assert_eq!(page.place(5.0, 7.0, 30.0, 40.0), expected);
        let (x, y) = page.point(12.0, 34.0);
        assert_eq!(page.displayed_point(x, y), (12.0, 34.0), "there and back");
    }

    #[test]
    fn displayed_places_map_into_the_page() {
        check(0, 1.0, [15.0, 27.0, 45.0, 67.0]);
        check(1, 1.0, [63.0, 25.0, 103.0, 55.0]);
        check(2, 1.0, [75.0, 173.0, 105.0, 213.0]);
        check(3, 1.0, [17.0, 185.0, 57.0, 215.0]);
        check(0, 2.0, [12.5, 23.5, 27.5, 43.5]);
    }
}
