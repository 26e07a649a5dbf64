//! Cross-reference sections (ISO 32000-1 §7.5.4–§7.5.8): tables, streams, and both together in hybrid files.
//! Nothing is repaired or guessed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::filter;
use super::lexer::{Budget, Lexer, SyntaxError, indirect};
use super::value::{Dictionary, Value};

/// Largest unpacked cross-reference stream.
const MAX_XREF_BYTES: usize = 64 << 20;

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Deleted.
    Free,
    /// At this byte, with this generation.
    At(usize, u16),
    /// In this object stream, at this index.
    In(u32, usize),
}

/// One section with its trailer.
#[derive(Debug)]
pub(crate) struct Section {
    /// As `startxref` or `/Prev` gives it.
    pub(crate) at: usize,
    /// Section and trailer.
    pub(crate) places: Vec<Range<usize>>,
    pub(crate) entries: BTreeMap<u32, Entry>,
    pub(crate) trailer: Dictionary,
    /// What `startxref` behind it says, and the byte behind `%%EOF`.
    pub(crate) terminator: Option<(usize, usize)>,
}

/// Reads the section at `at`.
pub(crate) fn section(bytes: &[u8], at: usize, budget: &Budget) -> Result<Section, SyntaxError> {
    let mut lexer = Lexer::new(bytes, at, budget);
    let (mut entries, trailer, end) = if lexer.accept(b"xref") {
        let entries = table(&mut lexer, budget)?;
        lexer.expect(b"trailer", "no trailer behind a cross-reference table")?;
        let Value::Dictionary(trailer) = lexer.value()? else { return lexer.error("a trailer is no dictionary") };
        (entries, trailer, lexer.at)
    } else {
        stream(bytes, at, budget)?
    };
    let mut hybrid_place = None;
    if let Some(hybrid) = trailer.get(b"XRefStm") {
        let Some(hybrid) = hybrid.as_usize() else { return lexer.error("/XRefStm is no offset") };
        let (more, _, end) = stream(bytes, hybrid, budget)?;
        hybrid_place = Some(hybrid..end);
        for (number, entry) in more {
            // A table hides from old readers, as free, what the stream tells to new ones.
            if !matches!(entries.get(&number), Some(Entry::At(..) | Entry::In(..))) {
                entries.insert(number, entry);
            }
        }
    }
    let places = std::iter::once(at..end).chain(hybrid_place).collect();
    let terminator = terminator(bytes, end, budget);
    Ok(Section { at, places, entries, trailer, terminator })
}

/// `startxref`, a number and `%%EOF` behind `at`.
fn terminator(bytes: &[u8], at: usize, budget: &Budget) -> Option<(usize, usize)> {
    const MARK: &[u8] = b"%%EOF";
    let mut lexer = Lexer::new(bytes, at, budget);
    if !lexer.accept(b"startxref") {
        return None;
    }
    let value = lexer.unsigned("").ok()?;
    let rest = &bytes[lexer.at..];
    let white = rest.iter().position(|byte| !super::lexer::is_white(*byte))?;
    rest[white..].starts_with(MARK).then_some((value, lexer.at + white + MARK.len()))
}

fn table(lexer: &mut Lexer<'_>, budget: &Budget) -> Result<BTreeMap<u32, Entry>, SyntaxError> {
    let mut entries = BTreeMap::new();
    loop {
        lexer.skip_white();
        if !lexer.bytes.get(lexer.at).is_some_and(u8::is_ascii_digit) {
            return Ok(entries);
        }
        let first = lexer.unsigned("no object number")?;
        let count = lexer.unsigned("no count")?;
        for i in 0..count {
            let offset = lexer.unsigned("no offset")?;
            let generation = lexer.unsigned("no generation")?;
            lexer.skip_white();
            let entry = match (lexer.regular(), u16::try_from(generation)) {
                (b"n", Ok(generation)) => Entry::At(offset, generation),
                (b"f", _) => Entry::Free,
                _ => return lexer.error("an entry of the cross-reference table is neither used nor free"),
            };
            let Some(number) = first.checked_add(i).and_then(|number| u32::try_from(number).ok()) else {
                return lexer.error("an object number is too large");
            };
            if !budget.take(1) || entries.insert(number, entry).is_some() {
                return lexer.error("an object stands twice in one cross-reference table");
            }
        }
    }
}

type Streamed = (BTreeMap<u32, Entry>, Dictionary, usize);

fn stream(bytes: &[u8], at: usize, budget: &Budget) -> Result<Streamed, SyntaxError> {
    let wrong = |what| SyntaxError { at, what };
    let found = indirect(bytes, at, budget, &|_| None)?;
    let Value::Stream(dictionary, data) = found.value else {
        return Err(wrong("no cross-reference table or stream"));
    };
    if dictionary.name(b"Type") != Some(b"XRef") {
        return Err(wrong("no cross-reference stream"));
    }
    let filters = filter::filters(&dictionary, &Value::clone);
    let data = filter::unpack(&filters, &bytes[data], MAX_XREF_BYTES)
        .ok_or(wrong("a cross-reference stream cannot be unpacked"))?;
    let integers = |value: &Value| value.as_array().map(|all| all.iter().map(Value::as_usize).collect::<Vec<_>>());
    let size = dictionary.get(b"Size").and_then(Value::as_usize).ok_or(wrong("no /Size"))?;
    let widths = dictionary.get(b"W").and_then(integers).unwrap_or_default();
    let &[Some(first @ 0..=8), Some(second @ 0..=8), Some(third @ 0..=8)] = widths.as_slice() else {
        return Err(wrong("no valid /W"));
    };
    let width = first + second + third;
    let index = match dictionary.get(b"Index") {
        None => vec![Some(0), Some(size)],
        Some(index) => integers(index).unwrap_or_default(),
    };
    if width == 0 || index.len() % 2 == 1 {
        return Err(wrong("no valid /Index or /W"));
    }
    let mut rows = data.chunks_exact(width);
    let mut entries = BTreeMap::new();
    for pair in index.chunks_exact(2) {
        let &[Some(start), Some(count)] = pair else { return Err(wrong("no valid /Index")) };
        for i in 0..count {
            let row = rows.next().ok_or(wrong("a cross-reference stream is too short"))?;
            let number = start.checked_add(i).and_then(|number| u32::try_from(number).ok());
            let number = number.ok_or(wrong("an object number is too large"))?;
            let entry = entry(row, first, second).ok_or(wrong("an entry of the cross-reference stream is invalid"))?;
            if !budget.take(1) || entries.insert(number, entry).is_some() {
                return Err(wrong("an object stands twice in one cross-reference stream"));
            }
        }
    }
    Ok((entries, dictionary, found.end))
}

fn entry(row: &[u8], first: usize, second: usize) -> Option<Entry> {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let kind = if first == 0 { 1 } else { number(&row[..first]) };
    let (middle, last) = (number(&row[first..first + second]), number(&row[first + second..]));
    match kind {
        0 => Some(Entry::Free),
        1 => Some(Entry::At(usize::try_from(middle).ok()?, u16::try_from(last).ok()?)),
        2 => Some(Entry::In(u32::try_from(middle).ok()?, usize::try_from(last).ok()?)),
        _ => None,
    }
}
