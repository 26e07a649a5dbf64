//! Cross-page seals 骑缝章: an imprint cut in slices along an edge of a group of pages, so that a page that
//! is exchanged, taken out or put in shows. Which page gets which part of the imprint, in millimetres;
//! nothing is drawn here.
//!
//! The slices follow what a stamp leaves on fanned-out sheets: read from left to right (from top to bottom
//! at an upper or lower edge) over the sheets as they lie, they are the imprint. Each group of pages carries
//! one whole imprint.

use super::Size;
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Sheets in a group unless something else is asked for: 4 mm each of a round seal of Ø 40 mm.
pub const DEFAULT_GROUP: usize = 10;
/// Most sheets in a group.
pub const MAX_GROUP: usize = 40;
/// The narrowest slice that shows anything.
pub const MIN_SLICE_MM: f64 = 0.8;

/// The edge along which the sheets are fanned out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edge {
    /// 右侧
    #[default]
    Right,
    /// 左侧
    Left,
    /// 上侧
    Top,
    /// 下侧
    Bottom,
}

/// How the document will be printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sides {
    /// 单面: every page is a sheet.
    #[default]
    Single,
    /// 双面: two pages are a sheet, and the front of it is sealed.
    Double,
}

/// A cross-page seal as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Straddle {
    /// The edge.
    pub edge: Edge,
    /// Sheets that share an imprint. The last group may be smaller; a single sheet joins the group before.
    pub group: usize,
    /// How the document will be printed.
    pub sides: Sides,
    /// Middle of the imprint along the edge: from the lower edge, or from the left edge at an upper or lower
    /// edge. Where nothing is said, a share of the edge by the number of parties.
    pub middle_mm: Option<f64>,
}

impl Default for Straddle {
    fn default() -> Self {
        Self { edge: Edge::default(), group: DEFAULT_GROUP, sides: Sides::default(), middle_mm: None }
    }
}

/// A part of an imprint on a page. Millimetres from the lower left corner of the page as displayed, and of
/// the imprint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Page, from 1.
    pub page: usize,
    /// Left edge of the slice on the page.
    pub x_mm: f64,
    /// Lower edge of the slice on the page.
    pub y_mm: f64,
    /// Where the slice begins in the imprint, from its left edge.
    pub left_mm: f64,
    /// Where the slice begins in the imprint, from its lower edge.
    pub bottom_mm: f64,
    /// Width.
    pub width_mm: f64,
    /// Height.
    pub height_mm: f64,
}

impl Straddle {
    /// The slices of an `imprint` over `pages`, in the order of the pages. `middle_share` is where along the
    /// edge the middle lies when the request does not say (0 to 1).
    ///
    /// # Errors
    /// When there are fewer than two sheets, the group is too small or too large, or a slice would leave its page.
    pub fn slices(&self, pages: &[Size], imprint: Size, middle_share: f64) -> Result<Vec<Slice>, Refusal> {
        if !(2..=MAX_GROUP).contains(&self.group) {
            return Err(Refusal::invalid(
                "straddle.group",
                format!("骑缝章每组须为 2–{MAX_GROUP} 张"),
                format!("a group of a cross-page seal has 2 to {MAX_GROUP} sheets"),
            ));
        }
        let step = match self.sides {
            Sides::Single => 1,
            Sides::Double => 2,
        };
        let sheets: Vec<usize> = (1..=pages.len()).step_by(step).collect();
        if sheets.len() < 2 {
            return Err(Refusal::invalid(
                "straddle.single",
                "骑缝章至少需要两张纸，本文件不足",
                "a cross-page seal needs at least two sheets",
            ));
        }
        let mut slices = Vec::with_capacity(sheets.len());
        for group in groups(sheets.len(), self.group) {
            let count = group.len();
            for (index, page) in sheets[group].iter().enumerate() {
                slices.push(self.slice(*page, pages[*page - 1], imprint, (index, count), middle_share)?);
            }
        }
        Ok(slices)
    }

    fn slice(
        &self, page: usize, size: Size, imprint: Size, (index, count): (usize, usize), share: f64,
    ) -> Result<Slice, Refusal> {
        let part = |length: f64| length / count as f64;
        // The first sheet lies on top: at a right edge the next ones look out to the right of it.
        let (forward, backward) = (index as f64, (count - 1 - index) as f64);
        let slice = match self.edge {
            Edge::Right | Edge::Left => {
                let width_mm = part(imprint.width_mm);
                let is_right = self.edge == Edge::Right;
                let middle = self.middle_mm.unwrap_or(share * size.height_mm);
                Slice {
                    page,
                    x_mm: if is_right { size.width_mm - width_mm } else { 0.0 },
                    y_mm: middle - imprint.height_mm / 2.0,
                    left_mm: width_mm * if is_right { forward } else { backward },
                    bottom_mm: 0.0,
                    width_mm,
                    height_mm: imprint.height_mm,
                }
            }
            Edge::Top | Edge::Bottom => {
                let height_mm = part(imprint.height_mm);
                let is_top = self.edge == Edge::Top;
                let middle = self.middle_mm.unwrap_or(share * size.width_mm);
                Slice {
                    page,
                    x_mm: middle - imprint.width_mm / 2.0,
                    y_mm: if is_top { size.height_mm - height_mm } else { 0.0 },
                    left_mm: 0.0,
                    bottom_mm: height_mm * if is_top { forward } else { backward },
                    width_mm: imprint.width_mm,
                    height_mm,
                }
            }
        };
        let inside = |start: f64, length: f64, limit: f64| start >= -0.01 && start + length <= limit + 0.01;
        if slice.width_mm.min(slice.height_mm) < MIN_SLICE_MM {
            return Err(Refusal::invalid(
                "straddle.thin",
                format!("骑缝章每份不足 {MIN_SLICE_MM} mm，请减少每组张数"),
                format!("a slice would be narrower than {MIN_SLICE_MM} mm: use smaller groups"),
            ));
        }
        if inside(slice.x_mm, slice.width_mm, size.width_mm) && inside(slice.y_mm, slice.height_mm, size.height_mm) {
            return Ok(slice);
        }
        Err(Refusal::invalid(
            "straddle.outside",
            format!("骑缝章超出第 {page} 页"),
            format!("the cross-page seal would leave page {page}"),
        ))
    }
}

/// Groups of `size` out of `count` sheets: the last one may be smaller, a single sheet joins the one before.
fn groups(count: usize, size: usize) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<_> = (0..count).step_by(size).map(|start| start..(start + size).min(count)).collect();
    if groups.len() > 1 && groups.last().is_some_and(|last| last.len() == 1) {
        groups.pop();
        if let Some(last) = groups.last_mut() {
            last.end = count;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const A4: Size = Size { width_mm: 210.0, height_mm: 297.0 };
    const ROUND: Size = Size { width_mm: 40.0, height_mm: 40.0 };

    #[test]
    fn odd_remainders() {
        let check = |count, size, expected: &[usize]| {
            let found = groups(count, size);
            assert_eq!(found.iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), expected, "{count} by {size}");
            assert_eq!(found.iter().map(|group| group.start).next(), Some(0));
            assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(found.last().unwrap().end, count);
        };
        check(30, 10, &[10, 10, 10]);
        check(30, 8, &[8, 8, 8, 6]);
        check(31, 10, &[10, 10, 11]);
        check(3, 2, &[3]);
        check(2, 10, &[2]);
        check(5, 4, &[5]);
    }

    /// The slices of a group, put side by side, are one whole imprint without gap or overlap.
    #[test]
    fn a_group_is_one_imprint() {
        for edge in [Edge::Right, Edge::Left, Edge::Top, Edge::Bottom] {
            for (pages, group, sides) in [(7, 3, Sides::Single), (30, 8, Sides::Double), (2, 10, Sides::Single)] {
                let straddle = Straddle { edge, group, sides, middle_mm: None };
                let slices = straddle.slices(&vec![A4; pages], ROUND, 0.5).unwrap();
                let upright = matches!(edge, Edge::Right | Edge::Left);
                let area: f64 = slices.iter().map(|slice| slice.width_mm * slice.height_mm).sum();
                let sheets = if sides == Sides::Double { pages.div_ceil(2) } else { pages };
                assert_eq!(slices.len(), sheets);
                assert!((area / 1600.0 - groups(sheets, group).len() as f64).abs() < 1e-9);
                for slice in &slices {
                    assert!(sides == Sides::Single || slice.page % 2 == 1, "the front of a sheet");
                    let flush = match edge {
                        Edge::Right => slice.x_mm + slice.width_mm - A4.width_mm,
                        Edge::Left => slice.x_mm,
                        Edge::Top => slice.y_mm + slice.height_mm - A4.height_mm,
                        Edge::Bottom => slice.y_mm,
                    };
                    assert!(flush.abs() < 1e-9, "{edge:?} {slice:?}");
                }
                let of = |slice: &Slice| if upright { slice.left_mm } else { slice.bottom_mm };
                let rises = of(&slices[0]) < of(&slices[1]);
                assert_eq!(rises, matches!(edge, Edge::Right | Edge::Top), "{edge:?}");
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let refused = |straddle: Straddle, pages: usize, expected: &str| {
            assert_eq!(straddle.slices(&vec![A4; pages], ROUND, 0.5).unwrap_err().code, expected);
        };
        refused(Straddle { group: 1, ..Straddle::default() }, 5, "straddle.group");
        refused(Straddle { group: 41, ..Straddle::default() }, 5, "straddle.group");
        refused(Straddle::default(), 1, "straddle.single");
        refused(Straddle { sides: Sides::Double, ..Straddle::default() }, 2, "straddle.single");
        refused(Straddle { middle_mm: Some(10.0), ..Straddle::default() }, 2, "straddle.outside");
        refused(Straddle { middle_mm: Some(f64::NAN), ..Straddle::default() }, 2, "straddle.outside");
        let thin = Size { width_mm: 18.0, height_mm: 18.0 };
        let refused = Straddle { group: 40, ..Straddle::default() }.slices(&vec![A4; 40], thin, 0.5);
        assert_eq!(refused.unwrap_err().code, "straddle.thin");
    }
}
