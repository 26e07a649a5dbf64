//! Finds words in the text of a PDF, so that a seal can be placed where a contract says 甲方（盖章）.
//!
//! It reads what a page writes, in the order in which it writes it: words are found within a line, in whatever
//! pieces they are written; spaces and the width of characters (（ or (） make no difference. Pictures of text are
//! not read, and fonts that do not say which characters they show cannot be searched.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::content::Content;
use lopdf::{Dictionary, Document, Encoding, Object, ObjectId};
use qz_evidence_pdf::matrix::{IDENTITY, Matrix, point, times};

use crate::POINTS_PER_MM;
use crate::inspect::{Inspected, number};
use crate::page::PageBox;

/// Most characters of the words that are looked for.
pub const MAX_CHARACTERS: usize = 60;
/// Most places of the words in one file.
const MAX_FOUND: usize = 1000;
/// Most characters of one page that are read.
const MAX_GLYPHS: usize = 100_000;
/// Most content of one page.
const MAX_CONTENT: usize = 8 << 20;
/// Most content of the whole file, forms as often as they are shown.
const MAX_ALL_CONTENT: usize = 16 << 20;
/// Most that the list of a font's characters may unpack to.
const MAX_MAP_BYTES: usize = 4 << 20;
/// Deepest nesting of forms.
const MAX_FORMS: usize = 4;
/// Width of a character whose font does not say.
const USUAL_WIDTH: f64 = 500.0;

/// Where words stand, in millimetres from the lower left corner of the page as displayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Page, from 1.
    pub page: usize,
    /// Middle of the words.
    pub x_mm: f64,
    /// Middle of the line.
    pub y_mm: f64,
}

/// Why words cannot be looked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AnchorError {
    /// No characters, or too many.
    #[error("定位文字须为 1–60 个字 / the words of an anchor have 1 to 60 characters")]
    Length,
    /// A page whose content cannot be read.
    #[error("第 {0} 页的文字无法读取，请改用坐标 / the text of page {0} cannot be read: give coordinates instead")]
    Unreadable(usize),
    /// Far too many.
    #[error("定位文字出现次数过多 / the words occur too often")]
    TooMany,
}

/// Every place of the words, in the order of the pages.
///
/// # Errors
/// When a page cannot be read, or the words are none or too many.
pub fn find(inspected: &Inspected, words: &str) -> Result<Vec<Found>, AnchorError> {
    let wanted: Vec<char> = words.chars().filter_map(plain).collect();
    if wanted.is_empty() || words.chars().count() > MAX_CHARACTERS {
        return Err(AnchorError::Length);
    }
    let (mut found, mut left) = (vec![], MAX_ALL_CONTENT);
    for (index, (id, page)) in inspected.pages.iter().enumerate() {
        // The parser of content streams is a library's, and the file is a stranger's.
        let read = catch_unwind(AssertUnwindSafe(|| glyphs(&inspected.document, *id, &mut left)));
        let glyphs = read.ok().flatten().ok_or(AnchorError::Unreadable(index + 1))?;
        found.extend(matches(&glyphs, &wanted).into_iter().map(|place| displayed(page, index + 1, place)));
        if found.len() > MAX_FOUND {
            return Err(AnchorError::TooMany);
        }
    }
    Ok(found)
}

fn displayed(page: &PageBox, number: usize, (x, y): (f64, f64)) -> Found {
    let (x, y) = page.displayed_point(x, y);
    let mm = |points: f64| (points / POINTS_PER_MM * 100.0).round() / 100.0;
    Found { page: number, x_mm: mm(x), y_mm: mm(y) }
}

/// As it is compared: without spaces, ASCII in its usual width.
fn plain(character: char) -> Option<char> {
    match character {
        _ if character.is_whitespace() || matches!(character, '\u{200b}' | '\u{feff}') => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0),
        other => Some(other),
    }
}

/// A character as it is compared, with the ends of its place on the baseline and the middle between both edges.
struct Glyph {
    character: char,
    start: (f64, f64),
    end: (f64, f64),
    /// From the baseline to the middle of the line.
    up: (f64, f64),
    size: f64,
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The middles of all places where the glyphs say this, one after the other in one line.
fn matches(glyphs: &[Glyph], wanted: &[char]) -> Vec<(f64, f64)> {
    let mut found = vec![];
    let mut at = 0;
    while at + wanted.len() <= glyphs.len() {
        let part = &glyphs[at..at + wanted.len()];
        let says = part.iter().zip(wanted).all(|(glyph, character)| glyph.character == *character);
        // Up to two characters' width between two, as in justified or spaced words.
        let joined = || part.windows(2).all(|pair| distance(pair[0].end, pair[1].start) <= 2.0 * pair[0].size);
        if says && joined() {
            let (first, last) = (&part[0], &part[part.len() - 1]);
            let middle = |a: f64, b: f64| f64::midpoint(a, b);
            found
                .push((middle(first.start.0, last.end.0) + first.up.0, middle(first.start.1, last.end.1) + first.up.1));
            at += wanted.len();
        } else {
            at += 1;
        }
    }
    found
}

/// How a font's codes read, and how wide they are.
struct Font<'a> {
    encoding: Encoding<'a>,
    bytes_per_code: usize,
    widths: HashMap<u32, f64>,
    default_width: f64,
}

impl<'a> Font<'a> {
    fn of(document: &'a Document, font: &'a Dictionary) -> Option<Self> {
        let encoding = font.get_font_encoding_with_limit(document, MAX_MAP_BYTES).ok()?;
        let mut widths = HashMap::new();
        let is_composite = matches!(font.get_deref(b"Subtype", document).and_then(Object::as_name), Ok(b"Type0"));
        if !is_composite {
            let first = font.get_deref(b"FirstChar", document).and_then(Object::as_i64).unwrap_or(0);
            let listed = font.get_deref(b"Widths", document).and_then(Object::as_array);
            for (index, width) in listed.into_iter().flatten().take(256).enumerate() {
                let code = u32::try_from(first + i64::try_from(index).ok()?).ok()?;
                widths.insert(code, number(document.dereference(width).ok()?.1)?);
            }
            return Some(Self { encoding, bytes_per_code: 1, widths, default_width: USUAL_WIDTH });
        }
        let descendants = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array).ok()?;
        let descendant = document.dereference(descendants.first()?).ok()?.1.as_dict().ok()?;
        let default_width = descendant.get_deref(b"DW", document).ok().and_then(number).unwrap_or(1000.0);
        if let Ok(listed) = descendant.get_deref(b"W", document).and_then(Object::as_array) {
            read_widths(document, listed, &mut widths);
        }
        Some(Self { encoding, bytes_per_code: 2, widths, default_width })
    }

    /// Its characters in the encoding that are written in `bytes`, each with its width in thousandths.
    fn read(&self, bytes: &[u8]) -> Vec<(String, f64, bool)> {
        let code = |code: &[u8]| {
            let text = Document::decode_text(&self.encoding, code).unwrap_or_default();
            let value = code.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            let width = self.widths.get(&value).copied().unwrap_or(self.default_width);
            (text, width, self.bytes_per_code == 1 && code == b" ")
        };
        bytes.chunks(self.bytes_per_code).map(code).collect()
    }
}

/// `c [w …]` and `first last w` (ISO 32000-1 §9.7.4.3).
fn read_widths(document: &Document, listed: &[Object], widths: &mut HashMap<u32, f64>) {
    let value = |index: usize| listed.get(index).and_then(|value| document.dereference(value).ok()).map(|(_, v)| v);
    let code = |index: usize| value(index).and_then(|value| value.as_i64().ok()).and_then(|v| u32::try_from(v).ok());
    let mut at = 0;
    while let Some(first) = code(at) {
        match value(at + 1) {
            Some(Object::Array(run)) => {
                for (index, width) in (0_u32..).zip(run.iter().take(65_536)) {
                    let width = document.dereference(width).ok().and_then(|(_, width)| number(width));
                    widths.extend(width.map(|width| (first.saturating_add(index), width)));
                }
                at += 2;
            }
            Some(_) => {
                let (Some(last), Some(width)) = (code(at + 1), value(at + 2).and_then(number)) else { return };
                widths.extend((first..=last.min(65_535)).map(|code| (code, width)));
                at += 3;
            }
            None => return,
        }
    }
}

/// What text is written with (ISO 32000-1 §9.3).
#[derive(Clone)]
struct State {
    matrix: Matrix,
    /// Its name among the resources of the form that is read, and its size.
    font: Option<(Vec<u8>, f64)>,
    leading: f64,
    character_space: f64,
    word_space: f64,
    scale: f64,
    rise: f64,
}

struct Reader<'a> {
    document: &'a Document,
    glyphs: Vec<Glyph>,
    /// Content that may still be read.
    left: &'a mut usize,
}

fn glyphs(document: &Document, page: ObjectId, left: &mut usize) -> Option<Vec<Glyph>> {
    let content = document.get_page_content_with_limit(page, MAX_CONTENT).ok()?;
    let mut reader = Reader { document, glyphs: vec![], left };
    let resources = crate::page::inherited(document, page, b"Resources").and_then(|found| found.as_dict().ok());
    let state = State {
        matrix: IDENTITY,
        font: None,
        leading: 0.0,
        character_space: 0.0,
        word_space: 0.0,
        scale: 1.0,
        rise: 0.0,
    };
    reader.run(&content, resources, state, 0)?;
    Some(reader.glyphs)
}

impl<'a> Reader<'a> {
    fn fonts(&self, resources: Option<&'a Dictionary>) -> HashMap<Vec<u8>, Font<'a>> {
        let listed = resources.and_then(|resources| self.document.get_dict_in_dict(resources, b"Font").ok());
        let font = |(name, font): (&Vec<u8>, &'a Object)| {
            let font = self.document.dereference(font).ok()?.1.as_dict().ok()?;
            Some((name.clone(), Font::of(self.document, font)?))
        };
        listed.into_iter().flat_map(Dictionary::iter).filter_map(font).collect()
    }

    fn run(&mut self, content: &[u8], resources: Option<&'a Dictionary>, state: State, depth: usize) -> Option<()> {
        // An empty form costs something too.
        *self.left = self.left.checked_sub(content.len().max(64))?;
        let operations = Content::decode(content).ok()?.operations;
        let fonts = self.fonts(resources);
        let (mut state, mut saved) = (state, vec![]);
        let (mut line, mut text) = (IDENTITY, IDENTITY);
        for operation in &operations {
            let operands = &operation.operands;
            let n = |index: usize| operands.get(index).and_then(number).unwrap_or(0.0);
            let six = || [n(0), n(1), n(2), n(3), n(4), n(5)];
            match operation.operator.as_str() {
                "q" if saved.len() < 64 => saved.push(state.clone()),
                "Q" => state = saved.pop().unwrap_or(state),
                "cm" => state.matrix = times(six(), state.matrix),
                "BT" => (line, text) = (IDENTITY, IDENTITY),
                "Tf" => {
                    let name = operands.first().and_then(|name| name.as_name().ok());
                    state.font = name.map(|name| (name.to_vec(), n(1)));
                }
                "TL" => state.leading = n(0),
                "Tc" => state.character_space = n(0),
                "Tw" => state.word_space = n(0),
                "Tz" => state.scale = n(0) / 100.0,
                "Ts" => state.rise = n(0),
                "Tm" => (line, text) = (six(), six()),
                "Td" | "TD" => {
                    if operation.operator == "TD" {
                        state.leading = -n(1);
                    }
                    line = times([1.0, 0.0, 0.0, 1.0, n(0), n(1)], line);
                    text = line;
                }
                "T*" => {
                    line = times([1.0, 0.0, 0.0, 1.0, 0.0, -state.leading], line);
                    text = line;
                }
                "Tj" | "'" | "\"" | "TJ" => {
                    if matches!(operation.operator.as_str(), "'" | "\"") {
                        if operation.operator == "\"" {
                            (state.word_space, state.character_space) = (n(0), n(1));
                        }
                        line = times([1.0, 0.0, 0.0, 1.0, 0.0, -state.leading], line);
                        text = line;
                    }
                    let pieces = match operands.last() {
                        Some(Object::Array(pieces)) => pieces.as_slice(),
                        Some(piece) => std::slice::from_ref(piece),
                        None => &[],
                    };
                    self.write(pieces, &fonts, &state, &mut text)?;
                }
                "Do" if depth < MAX_FORMS => {
                    let name = operands.first().and_then(|name| name.as_name().ok());
                    self.form(name.unwrap_or_default(), resources, &state, depth)?;
                }
                _ => {}
            }
        }
        Some(())
    }

    fn form(&mut self, name: &[u8], resources: Option<&'a Dictionary>, state: &State, depth: usize) -> Option<()> {
        let found = resources
            .and_then(|resources| self.document.get_dict_in_dict(resources, b"XObject").ok())
            .and_then(|forms| forms.get_deref(name, self.document).ok()?.as_stream().ok())
            .filter(|form| matches!(form.dict.get(b"Subtype").and_then(Object::as_name), Ok(b"Form")));
        let Some(form) = found else { return Some(()) };
        let content = match form.dict.has(b"Filter") {
            true => form.decompressed_content_with_limit(MAX_CONTENT).ok()?,
            false => form.content.clone(),
        };
        let own = form.dict.get_deref(b"Matrix", self.document).and_then(Object::as_array).ok();
        let own: Option<Vec<f64>> = own.map(|own| own.iter().filter_map(number).collect());
        let own = own.and_then(|own| Matrix::try_from(own).ok()).unwrap_or(IDENTITY);
        let state = State { matrix: times(own, state.matrix), ..state.clone() };
        let inner = self.document.get_dict_in_dict(&form.dict, b"Resources").ok().or(resources);
        self.run(&content, inner, state, depth + 1)
    }

    fn write(
        &mut self, pieces: &[Object], fonts: &HashMap<Vec<u8>, Font<'a>>, state: &State, text: &mut Matrix,
    ) -> Option<()> {
        let (name, size) = state.font.as_ref()?;
        let font = fonts.get(name);
        for piece in pieces {
            let Object::String(bytes, _) = piece else {
                let back = number(piece).unwrap_or(0.0) / 1000.0 * size * state.scale;
                *text = times([1.0, 0.0, 0.0, 1.0, -back, 0.0], *text);
                continue;
            };
            // Without its font's list of characters a text cannot be read, and so not be found.
            let Some(font) = font else { continue };
            for (characters, width, is_space) in font.read(bytes) {
                let space = state.character_space + if is_space { state.word_space } else { 0.0 };
                let advance = (width / 1000.0 * size + space) * state.scale;
                let here = times(*text, state.matrix);
                let (start, end) = (point(here, 0.0, state.rise), point(here, advance, state.rise));
                let middle = point(here, 0.0, state.rise + 0.35 * size);
                let top = point(here, 0.0, state.rise + size);
                for character in characters.chars().filter_map(plain) {
                    self.glyphs.push(Glyph {
                        character,
                        start,
                        end,
                        up: (middle.0 - start.0, middle.1 - start.1),
                        size: distance(start, top),
                    });
                }
                *text = times([1.0, 0.0, 0.0, 1.0, advance, 0.0], *text);
            }
        }
        (self.glyphs.len() <= MAX_GLYPHS).then_some(())
    }
}
