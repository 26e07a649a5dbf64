//! What an imprint is made of, in millimetres from its upper left corner: rings, frames, stars, characters
//! and strokes, each at its place. Geometry only; `templates/seal.typ` puts it on a page.

use serde::Serialize;

/// A drawing of true size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) ink: Ink,
    pub(super) rings: Vec<Ring>,
    pub(super) frames: Vec<Frame>,
    pub(super) stars: Vec<Star>,
    pub(super) glyphs: Vec<Glyph>,
    pub(super) strokes: Vec<Stroke>,
}

/// Colour, a little transparent as ink is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ink {
    /// Seal paste 印泥.
    #[default]
    Red,
    /// Writing ink.
    Black,
    /// Blue ink.
    Blue,
}

/// An ellipse around the middle; `rx` and `ry` are of the line's middle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ring {
    pub(super) rx: f64,
    pub(super) ry: f64,
    pub(super) line: f64,
}

/// A rectangle around the middle, measured at the line's middle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) line: f64,
    pub(super) radius: f64,
}

/// A five-pointed star.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Star {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) radius: f64,
}

/// A character with its middle at (`x`, `y`), turned clockwise by `angle` degrees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Glyph {
    pub(super) text: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) angle: f64,
    /// Font size.
    pub(super) size: f64,
    /// Its width: full-width characters are narrowed to it, others measured and fitted.
    pub(super) width: f64,
    pub(super) sans: bool,
}

/// A line of one width through cubic curves: `[x, y]` first, then `[x1, y1, x2, y2, x, y]` each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stroke {
    pub(super) start: [f64; 2],
    pub(super) curves: Vec<[f64; 6]>,
    pub(super) line: f64,
}

/// Height of digits and capitals of the sans font in its size.
const SANS_DIGIT_HEIGHT: f64 = 0.733;

impl Drawing {
    pub(super) fn new(width: f64, height: f64, ink: Ink) -> Self {
        let (rings, frames, stars, glyphs, strokes) = (vec![], vec![], vec![], vec![], vec![]);
        Self { width, height, ink, rings, frames, stars, glyphs, strokes }
    }

    /// The outer ring 边框, flush with the edges.
    pub(super) fn ring(&mut self, line: f64) {
        self.rings.push(Ring { rx: (self.width - line) / 2.0, ry: (self.height - line) / 2.0, line });
    }

    /// Chinese characters in a row around (`x`, `y`).
    pub(super) fn row(&mut self, text: &str, (x, y): (f64, f64), height: f64, width: f64, pitch: f64) {
        let count = text.chars().count();
        for (index, character) in text.chars().enumerate() {
            let x = x + (index as f64 - (count as f64 - 1.0) / 2.0) * pitch;
            let text = character.to_string();
            self.glyphs.push(Glyph { text, x, y, angle: 0.0, size: height, width, sans: false });
        }
    }

    /// Digits and capitals in a row around (`x`, `y`).
    pub(super) fn digits(&mut self, text: &str, (x, y): (f64, f64), height: f64, width: f64, pitch: f64) {
        let size = height / SANS_DIGIT_HEIGHT;
        let count = text.chars().count();
        for (index, character) in text.chars().enumerate() {
            let x = x + (index as f64 - (count as f64 - 1.0) / 2.0) * pitch;
            let text = character.to_string();
            self.glyphs.push(Glyph { text, x, y, angle: 0.0, size, width, sans: true });
        }
    }

    /// Chinese characters from left to right along the upper part of an ellipse with half axes `rx` and `ry`
    /// through their middles, feet towards the middle, the same length of arc between neighbours.
    pub(super) fn arc(&mut self, text: &str, (rx, ry): (f64, f64), height: f64, width: f64, pitch: f64) {
        let count = text.chars().count();
        let ellipse = Ellipse::new(rx, ry);
        for (index, character) in text.chars().enumerate() {
            let along = (index as f64 - (count as f64 - 1.0) / 2.0) * pitch;
            let angle = ellipse.parameter(along);
            let (sin, cos) = angle.sin_cos();
            self.glyphs.push(Glyph {
                text: character.to_string(),
                x: self.width / 2.0 + rx * sin,
                y: self.height / 2.0 - ry * cos,
                // Upright on the normal of the ellipse.
                angle: (ry * sin).atan2(rx * cos).to_degrees(),
                size: height,
                width,
                sans: false,
            });
        }
    }

    /// The mark of a demonstration.
    pub(super) fn demo(&mut self, x: f64, y: f64, height: f64) {
        self.row("演示", (x, y), height, height * 0.92, height * 1.12);
    }
}

/// Lengths of arc of an ellipse, from its uppermost point clockwise.
struct Ellipse {
    /// Length up to each of the equally spaced parameters from 0 to π.
    lengths: Vec<f64>,
}

impl Ellipse {
    const STEPS: usize = 2000;

    fn new(rx: f64, ry: f64) -> Self {
        let point = |step: usize| {
            let (sin, cos) = (std::f64::consts::PI * step as f64 / Self::STEPS as f64).sin_cos();
            (rx * sin, ry * cos)
        };
        let mut lengths = vec![0.0];
        let mut length = 0.0;
        for step in 1..=Self::STEPS {
            let ((x0, y0), (x1, y1)) = (point(step - 1), point(step));
            length += (x1 - x0).hypot(y1 - y0);
            lengths.push(length);
        }
        Self { lengths }
    }

    /// The parameter (clockwise from the top, radians) at this length of arc; the ellipse is symmetric.
    fn parameter(&self, length: f64) -> f64 {
        let wanted = length.abs();
        let after = self.lengths.partition_point(|length| *length < wanted).clamp(1, Self::STEPS);
        let (before, next) = (self.lengths[after - 1], self.lengths[after]);
        let step = (after - 1) as f64 + ((wanted - before) / (next - before)).clamp(0.0, 1.0);
        (std::f64::consts::PI * step / Self::STEPS as f64).copysign(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours on the arc are equally far from each other, and the row is symmetric.
    #[test]
    fn characters_are_evenly_spaced_on_the_arc() {
        for (rx, ry) in [(14.5, 14.5), (16.0, 11.0)] {
            let mut drawing = Drawing::new(40.0, 30.0, Ink::Red);
            drawing.arc("上海样本精密仪器有限公司", (rx, ry), 4.2, 2.5, 3.2);
            let glyphs = &drawing.glyphs;
            for pair in glyphs.windows(2) {
                let chord = (pair[1].x - pair[0].x).hypot(pair[1].y - pair[0].y);
                assert!((chord - 3.2).abs() < 0.12, "{chord}");
            }
            for (left, right) in glyphs.iter().zip(glyphs.iter().rev()) {
                assert!((left.x + right.x - 40.0).abs() < 0.01 && (left.y - right.y).abs() < 0.01);
                assert!((left.angle + right.angle).abs() < 0.01);
            }
        }
    }
}
