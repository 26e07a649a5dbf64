//! Handwritten signatures: strokes of a pen or finger become smooth curves of true size.

use serde::{Deserialize, Serialize};

use super::SealError;
use super::drawing::{Drawing, Ink, Stroke};

/// Most strokes.
const MAX_STROKES: usize = 200;
/// Most points of all strokes.
const MAX_POINTS: usize = 20_000;
/// Width of the pen.
const LINE_MM: f64 = 0.65;
/// Points that lie closer than this say nothing.
const NEAR_MM: f64 = 0.25;
/// Tallest signature.
const MAX_HEIGHT_MM: f64 = 60.0;

/// A point `[x, y]`, from the upper left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(pub f64, pub f64);

/// The strokes, `width` mm wide, with the mark below.
pub(super) fn drawing(strokes: &[Vec<Point>], width: f64, ink: Ink) -> Result<Drawing, SealError> {
    let count: usize = strokes.iter().map(Vec::len).sum();
    if strokes.len() > MAX_STROKES || count > MAX_POINTS {
        return Err(SealError::TooManyStrokes);
    }
    let points = || strokes.iter().flatten();
    if points().any(|Point(x, y)| !(x.is_finite() && y.is_finite() && x.abs() < 1e6 && y.abs() < 1e6)) {
        return Err(SealError::EmptySignature);
    }
    let bounds = |of: fn(&Point) -> f64| {
        points()
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (top, bottom)) = (bounds(|point| point.0), bounds(|point| point.1));
    let (across, down) = (right - left, bottom - top);
    // A dot or nothing is no signature.
    if count < 4 || across <= 0.0 {
        return Err(SealError::EmptySignature);
    }
    let margin = LINE_MM;
    let scale = (width - 2.0 * margin) / across;
    let height = down * scale + 2.0 * margin;
    if height > MAX_HEIGHT_MM {
        return Err(SealError::Size { what: "签名高度 height of the signature", min: 0.0, max: MAX_HEIGHT_MM });
    }
    let foot = 2.4;
    let mut drawing = Drawing::new(width, height + foot, ink);
    for stroke in strokes {
        let place = |point: &Point| [(point.0 - left) * scale + margin, (point.1 - top) * scale + margin];
        let places: Vec<[f64; 2]> = stroke.iter().map(place).collect();
        drawing.strokes.extend(smooth(&thinned(&places)));
    }
    drawing.demo(width - 2.6, height + foot - 1.1, 1.7);
    Ok(drawing)
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Without points that lie on each other; the last one stays.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::with_capacity(points.len());
    for point in points {
        if kept.last().is_none_or(|last| distance(*last, *point) >= NEAR_MM) {
            kept.push(*point);
        }
    }
    if let (Some(end), true) = (points.last(), kept.len() > 1)
        && let Some(last) = kept.last_mut()
    {
        *last = *end;
    }
    kept
}

/// A curve through all points (Catmull–Rom).
fn smooth(points: &[[f64; 2]]) -> Option<Stroke> {
    let (&start, rest) = points.split_first()?;
    let at = |index: isize| points[index.clamp(0, points.len() as isize - 1) as usize];
    let mut curves = Vec::with_capacity(points.len());
    for index in 0..rest.len() as isize {
        let (before, from, to, after) = (at(index - 1), at(index), at(index + 1), at(index + 2));
        let control = |point: [f64; 2], low: [f64; 2], high: [f64; 2], sign: f64| {
            [point[0] + sign * (high[0] - low[0]) / 6.0, point[1] + sign * (high[1] - low[1]) / 6.0]
        };
        let (first, second) = (control(from, before, to, 1.0), control(to, from, after, -1.0));
        curves.push([first[0], first[1], second[0], second[1], to[0], to[1]]);
    }
    if curves.is_empty() {
        // A dot: a line of no length with round ends.
        curves.push([start[0], start[1], start[0], start[1], start[0] + 0.01, start[1]]);
    }
    Some(Stroke { start, curves, line: LINE_MM })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn strokes_keep_their_ends_and_their_size() {
        let stroke: Vec<Point> = (0..40).map(|i| Point(f64::from(i) * 5.0, f64::from(i % 7) * 4.0)).collect();
        let drawing = drawing(&[stroke, vec![Point(90.0, 10.0)]], 40.0, Ink::Black).unwrap();
        assert_eq!(drawing.width, 40.0);
        assert_eq!(drawing.strokes.len(), 2);
        assert!((drawing.strokes[0].start[0] - LINE_MM).abs() < 1e-9);
        let end = drawing.strokes[0].curves.last().unwrap();
        assert!((end[4] - (40.0 - LINE_MM)).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_no_signature() {
        let check = |strokes: &[Vec<Point>]| assert!(drawing(strokes, 40.0, Ink::Black).is_err(), "{strokes:?}");
        check(&[]);
        check(&[vec![]]);
        check(&[vec![Point(1.0, 1.0); 9]]);
        check(&[vec![Point(0.0, 0.0), Point(f64::NAN, 1.0), Point(2.0, 2.0), Point(3.0, 1.0)]]);
        check(&[vec![Point(0.0, 0.0), Point(0.1, 90.0), Point(0.0, 95.0), Point(0.2, 99.0)]]);
        check(&vec![vec![Point(0.0, 0.0)]; 201]);
    }
}
