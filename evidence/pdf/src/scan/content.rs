//! Reads content streams as far as needed: where text is written, and what is drawn over it afterwards.

use crate::file::View;
use crate::file::lexer::Lexer;
use crate::file::value::{Dictionary, Value};
use crate::matrix::{IDENTITY, Matrix, point, times};

/// Most operators of one page that are looked at.
const MAX_OPERATORS: usize = 200_000;
/// Most content of one page, unpacked.
const MAX_CONTENT: usize = 16 << 20;
/// Deepest nesting of saved states.
const MAX_STATES: usize = 64;

/// The corners' bounds of a box.
fn bounds(m: Matrix, [left, bottom, right, top]: [f64; 4]) -> [f64; 4] {
    let corners = [(left, bottom), (left, top), (right, bottom), (right, top)].map(|(x, y)| point(m, x, y));
    let pick =
        |start: f64, f: fn(f64, f64) -> f64, side: fn(&(f64, f64)) -> f64| corners.iter().map(side).fold(start, f);
    [
        pick(f64::INFINITY, f64::min, |p| p.0),
        pick(f64::INFINITY, f64::min, |p| p.1),
        pick(f64::NEG_INFINITY, f64::max, |p| p.0),
        pick(f64::NEG_INFINITY, f64::max, |p| p.1),
    ]
}

/// The content of a page, its streams one after the other.
fn content_of(view: View<'_>, page: &Dictionary) -> Option<Vec<u8>> {
    let contents = view.entry(page, b"Contents");
    let streams: Vec<Value> = match &*contents {
        Value::Array(members) => members.clone(),
        Value::Stream(..) => vec![Value::clone(&contents)],
        _ => return None,
    };
    let mut all = vec![];
    for stream in &streams {
        all.extend(view.unpacked(&view.resolve(stream))?);
        all.push(b'\n');
        if all.len() > MAX_CONTENT {
            return None;
        }
    }
    Some(all)
}

/// Calls `each` with every operator and its operands, until it says to stop. Inline images are skipped.
fn operators(view: View<'_>, content: &[u8], mut each: impl FnMut(&[u8], &[Value]) -> bool) {
    let mut lexer = Lexer::new(content, 0, view.file().budget());
    let mut operands: Vec<Value> = vec![];
    for _ in 0..MAX_OPERATORS {
        lexer.skip_white();
        let Some(byte) = content.get(lexer.at) else { return };
        let is_word = byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'"');
        if is_word && !content[lexer.at..].starts_with(b"true") && !content[lexer.at..].starts_with(b"false") {
            let operator = lexer.regular();
            if operator == b"BI" {
                let image =
                    content[lexer.at..].windows(4).position(|w| w.starts_with(b"\nEI") || w.starts_with(b" EI"));
                let Some(end) = image else { return };
                lexer.at += end + 3;
            } else if !each(operator, &operands) {
                return;
            }
            operands.clear();
        } else {
            match lexer.value() {
                Ok(value) if operands.len() < 64 => operands.push(value),
                _ => return,
            }
        }
    }
}

/// Is a picture or form drawn over text that was written before it on the same page?
pub(super) fn covers_text(view: View<'_>, page: &Dictionary) -> bool {
    let Some(content) = content_of(view, page) else { return false };
    let resources = view.dictionary(page, b"Resources").unwrap_or_default();
    let pictures = view.dictionary(&resources, b"XObject").unwrap_or_default();
    let mut states: Vec<Matrix> = vec![];
    let mut matrix = IDENTITY;
    let mut line = IDENTITY;
    let (mut is_visible, mut leading) = (true, 0.0);
    let mut written: Vec<(f64, f64)> = vec![];
    let mut covered = false;
    operators(view, &content, |operator, operands| {
        let numbers: Vec<f64> = operands.iter().filter_map(Value::as_number).collect();
        match (operator, numbers.as_slice()) {
            (b"q", _) if states.len() < MAX_STATES => states.push(matrix),
            (b"Q", _) => matrix = states.pop().unwrap_or(matrix),
            (b"cm", &[a, b, c, d, e, f]) => matrix = times([a, b, c, d, e, f], matrix),
            (b"BT", _) => line = IDENTITY,
            (b"Tm", &[a, b, c, d, e, f]) => line = [a, b, c, d, e, f],
            (b"TL", &[value]) => leading = value,
            (b"TD", &[x, y]) => {
                leading = -y;
                line = times([1.0, 0.0, 0.0, 1.0, x, y], line);
            }
            (b"Td", &[x, y]) => line = times([1.0, 0.0, 0.0, 1.0, x, y], line),
            (b"T*", _) => line = times([1.0, 0.0, 0.0, 1.0, 0.0, -leading], line),
            // Invisible text, as scanners put over or under their pictures.
            (b"Tr", &[mode]) => is_visible = mode < 3.0,
            (b"Tj" | b"TJ" | b"'" | b"\"", _) => {
                if matches!(operator, b"'" | b"\"") {
                    line = times([1.0, 0.0, 0.0, 1.0, 0.0, -leading], line);
                }
                if is_visible && written.len() < 100_000 {
                    // A little above the base line and to the right of the first letter's edge.
                    written.push(point(times(line, matrix), 1.0, 1.0));
                }
            }
            (b"Do", _) => {
                let name = operands.first().and_then(Value::as_name).unwrap_or_default();
                covered |= covering_box(view, &pictures, name, matrix)
                    .is_some_and(|[l, b, r, t]| written.iter().any(|(x, y)| l <= *x && *x <= r && b <= *y && *y <= t));
            }
            _ => {}
        }
        !covered
    });
    covered
}

/// Where an opaque picture, or a form that paints, is drawn.
fn covering_box(view: View<'_>, pictures: &Dictionary, name: &[u8], matrix: Matrix) -> Option<[f64; 4]> {
    let picture = view.entry(pictures, name);
    let dictionary = picture.as_dictionary()?;
    let numbers = |key: &[u8]| -> Vec<f64> {
        view.array(dictionary, key).iter().filter_map(|number| view.resolve(number).as_number()).collect()
    };
    match dictionary.name(b"Subtype")? {
        // A mask or a soft mask lets what is below shine through.
        b"Image" if dictionary.get(b"SMask").is_some() || dictionary.get(b"Mask").is_some() => None,
        b"Image" if *view.entry(dictionary, b"ImageMask") == Value::Bool(true) => None,
        b"Image" => Some(bounds(matrix, [0.0, 0.0, 1.0, 1.0])),
        b"Form" => {
            let inner: Option<Matrix> = numbers(b"Matrix").try_into().ok();
            let inner = times(inner.unwrap_or(IDENTITY), matrix);
            let content = view.unpacked(&picture)?;
            let mut filled = None;
            let mut last = None;
            operators(view, &content, |operator, operands| {
                let numbers: Vec<f64> = operands.iter().filter_map(Value::as_number).collect();
                match (operator, numbers.as_slice()) {
                    (b"re", &[x, y, width, height]) => last = Some([x, y, x + width, y + height]),
                    (b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*", _) => filled = last,
                    _ => {}
                }
                filled.is_none()
            });
            filled.map(|filled| bounds(inner, filled))
        }
        _ => None,
    }
}

/// The text of a form XObject, if its fonts have a plain Latin encoding.
pub(super) fn plain_text(view: View<'_>, looks: &Value) -> Option<String> {
    let dictionary = looks.as_dictionary()?;
    let resources = view.dictionary(dictionary, b"Resources")?;
    let fonts = view.dictionary(&resources, b"Font")?;
    for (name, _) in fonts.iter() {
        let font = view.dictionary(&fonts, name)?;
        let is_plain = font.name(b"Subtype") == Some(b"Type1")
            && matches!(&*view.entry(&font, b"Encoding"), Value::Name(name) if name == b"WinAnsiEncoding");
        if !is_plain {
            return None;
        }
    }
    let content = view.unpacked(looks)?;
    let mut text = String::new();
    let mut is_latin = true;
    operators(view, &content, |operator, operands| {
        if matches!(operator, b"Tj" | b"TJ" | b"'" | b"\"") {
            let mut add = |bytes: &[u8]| {
                is_latin &= bytes.is_ascii();
                text.push_str(&String::from_utf8_lossy(bytes));
            };
            match operands.last() {
                Some(Value::String(bytes)) => add(bytes),
                Some(Value::Array(members)) => members.iter().filter_map(Value::as_string).for_each(add),
                _ => {}
            }
        }
        true
    });
    is_latin.then_some(text)
}
