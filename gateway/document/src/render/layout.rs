//! Looks at a laid-out document: are all characters visible and on the page, and where are the anchors.

use std::collections::BTreeSet;

use typst::foundations::{Label, Selector, Value};
use typst::introspection::{Introspector, MetadataElem};
use typst::layout::{Abs, Frame, FrameItem, Point, Transform};
use typst::text::TextItem;
use typst::utils::PicoStr;
use typst_layout::PagedDocument;

use super::{Anchor, RenderError};

/// Text may end this far outside the page: rounding.
const TOLERANCE_PT: f64 = 0.5;

/// Every glyph exists and lies on its page.
pub(super) fn check(document: &PagedDocument) -> Result<(), RenderError> {
    let mut missing = BTreeSet::new();
    for (index, page) in document.pages().iter().enumerate() {
        let mut visit = |item: &TextItem, transform: Transform| {
            collect_missing(item, &mut missing);
            let (start, end) = (Point::zero().transform(transform), Point::with_x(item.width()).transform(transform));
            let inside = |point: Point| within(point.x, page.frame.width()) && within(point.y, page.frame.height());
            if inside(start) && inside(end) {
                Ok(())
            } else {
                Err(RenderError::Overflow { page: index + 1, text: item.text.to_string() })
            }
        };
        walk(&page.frame, Transform::identity(), &mut visit)?;
    }
    if missing.is_empty() { Ok(()) } else { Err(RenderError::MissingGlyphs(missing.into_iter().collect())) }
}

fn within(position: Abs, limit: Abs) -> bool {
    (-TOLERANCE_PT..=limit.to_pt() + TOLERANCE_PT).contains(&position.to_pt())
}

fn collect_missing(item: &TextItem, missing: &mut BTreeSet<char>) {
    for glyph in item.glyphs.iter().filter(|glyph| glyph.id == 0) {
        let characters = item.text.get(glyph.range()).unwrap_or_default().chars();
        missing.extend(characters.filter(|character| !is_invisible(*character)));
    }
}

/// Control characters and break opportunities that have no glyph on purpose.
fn is_invisible(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

fn walk(
    frame: &Frame, transform: Transform, visit: &mut impl FnMut(&TextItem, Transform) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    for (position, item) in frame.items() {
        let here = transform.pre_concat(Transform::translate(position.x, position.y));
        match item {
            FrameItem::Group(group) => walk(&group.frame, here.pre_concat(group.transform), visit)?,
            FrameItem::Text(text) => visit(text, here)?,
            _ => {}
        }
    }
    Ok(())
}

/// Elements `#metadata("name") <anchor>`, in the order of the document.
pub(super) fn anchors(document: &PagedDocument) -> Vec<Anchor> {
    let introspector = document.introspector();
    let Some(label) = Label::new(PicoStr::intern("anchor")) else {
        return Vec::new();
    };
    introspector
        .query(&Selector::Label(label))
        .iter()
        .filter_map(|element| {
            let Value::Str(name) = &element.to_packed::<MetadataElem>()?.value else {
                return None;
            };
            let position = introspector.position(element.location()?)?;
            let page = position.page.get();
            let height = document.pages().get(page - 1)?.frame.height();
            Some(Anchor {
                name: name.to_string(),
                page,
                x_mm: to_mm(position.point.x),
                y_mm: to_mm(height - position.point.y),
            })
        })
        .collect()
}

/// Rounded to a hundredth, so that positions survive being written as text.
fn to_mm(length: Abs) -> f64 {
    (length.to_mm() * 100.0).round() / 100.0
}
