//! Finds signatures and says which bytes each covers, by the bytes themselves: the left-out part must be the
//! very `/Contents` of this signature, and the rest everything up to the end of a revision.

use std::ops::Range;

use qz_evidence::verify::Note;

use crate::MAX_CMS_BYTES;
use crate::file::lexer::Lexer;
use crate::file::value::{Dictionary, Value};
use crate::file::{PdfFile, View};
use crate::model::Field;

/// A signature's place in the file.
pub(crate) struct Located {
    /// Index of the revision in which its dictionary stands.
    pub(crate) revision: Option<usize>,
    pub(crate) dictionary: Dictionary,
    pub(crate) byte_range: Vec<i64>,
    /// The covered parts and `/Contents`, if both are valid.
    pub(crate) covered: Result<Covered, Note>,
}

/// What a valid byte range covers.
pub(crate) struct Covered {
    pub(crate) parts: [Range<usize>; 2],
    pub(crate) contents: Vec<u8>,
}

/// Looks at the signature in a field; `view` is the revision in which the field is looked at.
pub(crate) fn locate(file: &PdfFile<'_>, view: View<'_>, field: &Field) -> Option<Located> {
    let value = field.value.as_ref()?;
    let resolved = view.resolve(value);
    if *resolved == Value::Null {
        // A value that leads nowhere is a signature that somebody took away.
        let empty = Located {
            revision: None,
            dictionary: Dictionary::default(),
            byte_range: vec![],
            covered: Err(Note::new("签名数据缺失", "the signature's value is missing")),
        };
        return Some(empty);
    }
    let dictionary = resolved.as_dictionary().cloned().unwrap_or_default();
    let holder = value.as_reference().or(field.id);
    let offset = holder.and_then(|id| view.offset(id));
    let revision = offset.and_then(|at| file.revisions.iter().position(|revision| revision.place.contains(&at)));
    let numbers = view.array(&dictionary, b"ByteRange");
    let byte_range: Vec<i64> = numbers.iter().take(16).map(|number| number.as_integer().unwrap_or(-1)).collect();
    let covered = match (offset, revision) {
        (Some(offset), Some(revision)) => {
            let is_direct = value.as_reference().is_none();
            covered(file, view, &dictionary, &byte_range, (offset, revision, is_direct))
        }
        _ => Err(Note::new(
            "签名数据不在文件的明文部分，无法核对覆盖范围",
            "the signature stands in a compressed object: what it covers cannot be checked",
        )),
    };
    Some(Located { revision, dictionary, byte_range, covered })
}

fn wrong(zh: &str, en: &str) -> Note {
    Note::new(format!("签名的覆盖范围（ByteRange）无效：{zh}"), format!("the byte range is invalid: {en}"))
}

fn covered(
    file: &PdfFile<'_>, view: View<'_>, dictionary: &Dictionary, byte_range: &[i64],
    (offset, revision, is_direct): (usize, usize, bool),
) -> Result<Covered, Note> {
    let contents = view.entry(dictionary, b"Contents");
    let contents = contents.as_string().ok_or_else(|| Note::new("签名数据为空", "the signature has no contents"))?;
    if contents.iter().all(|byte| *byte == 0) {
        return Err(Note::new("签名数据为空", "the signature's contents are empty"));
    }
    if contents.len() > MAX_CMS_BYTES {
        return Err(Note::new("签名数据过大", "the signature's contents are too large"));
    }
    let numbers: Vec<usize> = byte_range.iter().filter_map(|number| usize::try_from(*number).ok()).collect();
    let &[start, first, second, length] = numbers.as_slice() else {
        return Err(wrong("应为四个非负整数", "it has not four non-negative numbers"));
    };
    if byte_range.len() != 4 || start != 0 {
        return Err(wrong("未从文件开头算起", "it does not begin at the first byte"));
    }
    let end = second.checked_add(length).filter(|end| first < second && *end <= file.bytes.len());
    let end = end.ok_or_else(|| wrong("超出文件", "it leaves the file"))?;
    let place = contents_place(file, offset, is_direct)
        .ok_or_else(|| wrong("找不到签名数据的位置", "the place of its contents cannot be found"))?;
    if place != (first..second) {
        return Err(wrong(
            "留空部分不是本签名的签名数据（可能被移动或夹带内容）",
            "what it leaves out is not this signature's own contents (moved, or something hidden in it)",
        ));
    }
    let gap = &file.bytes[place];
    let is_plain = gap.len() == 2 * contents.len() + 2
        && gap.starts_with(b"<")
        && gap.ends_with(b">")
        && gap[1..gap.len() - 1].iter().all(u8::is_ascii_hexdigit);
    if !is_plain {
        return Err(wrong("签名数据中夹带了其他字符", "the left-out part holds more than the digits of the contents"));
    }
    let own = &file.revisions[revision].place;
    // A line end may follow the marker.
    let tail = file.bytes.get(own.end..end);
    if !tail.is_some_and(|tail| tail.iter().all(u8::is_ascii_whitespace)) {
        return Err(wrong("没有覆盖到所在版本的结尾", "it does not end where its revision ends"));
    }
    Ok(Covered { parts: [0..first, second..end], contents: contents.to_vec() })
}

/// Where the value of `/Contents` stands, delimiters included.
fn contents_place(file: &PdfFile<'_>, offset: usize, is_direct: bool) -> Option<Range<usize>> {
    let mut lexer = Lexer::new(file.bytes, offset, file.budget());
    lexer.unsigned("").ok()?;
    lexer.unsigned("").ok()?;
    lexer.expect(b"obj", "").ok()?;
    let find = |lexer: &mut Lexer<'_>, key: &[u8]| {
        let places = lexer.places().ok()?;
        places.into_iter().find(|(name, _)| name == key).map(|(_, place)| place)
    };
    if is_direct {
        let place = find(&mut lexer, b"V")?;
        lexer = Lexer::new(file.bytes, place.start, file.budget());
    }
    find(&mut lexer, b"Contents")
}
