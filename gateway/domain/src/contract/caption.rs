//! The caption below an imprint, which says who signs, with which seal and at what claimed time; and how large
//! the widget of a signature is with it. Sizes only: nothing is drawn here.
//!
//! The imprint keeps its true size and its place; the caption is added below it, in the middle. The size is the
//! same for every text, so that a field can be reserved before it is known when it will be signed.

use super::Size;

/// Size of a caption.
pub const CAPTION: Size = Size { width_mm: 40.0, height_mm: 9.0 };
/// Space between imprint and caption.
pub const CAPTION_GAP_MM: f64 = 0.5;

/// The rectangle of a signature's widget, in millimetres from the middle of the imprint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// To the left.
    pub left_mm: f64,
    /// To the right.
    pub right_mm: f64,
    /// Downwards.
    pub below_mm: f64,
    /// Upwards.
    pub above_mm: f64,
}

impl Extent {
    /// Of an imprint, with a caption or without.
    pub fn of(imprint: Size, has_caption: bool) -> Self {
        let (half_width, half_height) = (imprint.width_mm / 2.0, imprint.height_mm / 2.0);
        let (side, more) = match has_caption {
            true => (half_width.max(CAPTION.width_mm / 2.0), CAPTION_GAP_MM + CAPTION.height_mm),
            false => (half_width, 0.0),
        };
        Self { left_mm: side, right_mm: side, below_mm: half_height + more, above_mm: half_height }
    }

    /// The whole.
    pub fn size(&self) -> Size {
        Size { width_mm: self.left_mm + self.right_mm, height_mm: self.below_mm + self.above_mm }
    }

    /// Does it lie on a page with the middle of the imprint at (`x_mm`, `y_mm`) from the lower left corner?
    pub fn lies_on(&self, page: Size, (x_mm, y_mm): (f64, f64)) -> bool {
        let inside = |start: f64, end: f64, limit: f64| start >= -0.01 && end <= limit + 0.01;
        inside(x_mm - self.left_mm, x_mm + self.right_mm, page.width_mm)
            && inside(y_mm - self.below_mm, y_mm + self.above_mm, page.height_mm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Size = Size { width_mm: 210.0, height_mm: 297.0 };

    #[track_caller]
    fn check(imprint: (f64, f64), has_caption: bool, expected: (f64, f64)) {
        let (width_mm, height_mm) = imprint;
        let size = Extent::of(Size { width_mm, height_mm }, has_caption).size();
        assert_eq!((size.width_mm, size.height_mm), expected);
    }

    #[test]
    fn a_caption_is_added_below_and_may_be_wider() {
        check((40.0, 40.0), false, (40.0, 40.0));
        check((40.0, 40.0), true, (40.0, 49.5));
        check((18.0, 18.0), true, (40.0, 27.5));
        check((80.0, 20.0), true, (80.0, 29.5));
    }

    #[test]
    fn it_has_to_lie_on_the_page() {
        let seal = Size { width_mm: 40.0, height_mm: 40.0 };
        let (plain, captioned) = (Extent::of(seal, false), Extent::of(seal, true));
        assert!(plain.lies_on(PAGE, (20.0, 20.0)) && !captioned.lies_on(PAGE, (20.0, 20.0)));
        assert!(captioned.lies_on(PAGE, (20.0, 29.5)) && captioned.lies_on(PAGE, (190.0, 277.0)));
        assert!(!captioned.lies_on(PAGE, (190.0, 277.1)) && !captioned.lies_on(PAGE, (f64::NAN, 100.0)));
    }
}
