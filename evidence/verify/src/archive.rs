//! Zip archives of one form (`docs/SPEC.md` §13): written so that the same entries give the same bytes, and
//! read so that two programs cannot see two different archives in one file.
//!
//! A general zip reader trusts the central directory, skips what lies between entries and forgives
//! headers that disagree; attacks on signed archives live there. This one accepts no byte that it cannot
//! account for. It does not write files: names are checked, and what becomes of the bytes is the caller's.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Largest archive.
pub const MAX_ARCHIVE_BYTES: usize = 256 << 20;
/// Most entries.
pub const MAX_ENTRIES: usize = 512;
/// Largest entry, unpacked.
pub const MAX_ENTRY_BYTES: usize = 64 << 20;
/// Largest sum of entries, unpacked.
pub const MAX_TOTAL_BYTES: usize = 512 << 20;
/// Most times that an entry may be larger than its packed bytes, beyond [`RATIO_FREE_BYTES`].
pub const MAX_RATIO: usize = 200;
/// Smaller entries may be packed ever so well.
pub const RATIO_FREE_BYTES: usize = 64 << 10;
/// Longest name.
const MAX_NAME_BYTES: usize = 120;
/// Most parts of a name.
const MAX_NAME_PARTS: usize = 4;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// What unpacks it needs: version 2.0 (deflate).
const VERSION: u16 = 20;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 1980-01-01 00:00, the first moment of the format.
const TIME: u16 = 0;
const DATE: u16 = 0x0021;
/// A plain file, mode 0644, for programs that look.
const ATTRIBUTES: u32 = 0o100_644 << 16;
/// Made on Unix, version 2.0.
const MADE_BY: u16 = (3 << 8) | VERSION;
const LEVEL: u8 = 9;

/// Why bytes are not an archive of this form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArchiveError {
    /// Larger than [`MAX_ARCHIVE_BYTES`], or an entry or their sum is too large.
    #[error("{what} 超过上限 {limit} 字节 / {what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// More than [`MAX_ENTRIES`], or none.
    #[error("压缩包内文件数须为 1–{MAX_ENTRIES} / an archive has 1 to {MAX_ENTRIES} entries")]
    Count,
    /// It ends too early, or something stands where it must not.
    #[error(
        "压缩包结构不合规（{0}），可能被改动或重新打包；请使用原始文件 / the archive is not of the required form ({0}): use the original file"
    )]
    Form(&'static str),
    /// A name that is not allowed.
    #[error("文件名不允许：{0:?} / this name is not allowed: {0:?}")]
    Name(String),
    /// Two names that are the same on some systems, or not in order.
    #[error("文件名重复、冲突或未按序：{0} / names repeat, clash or are out of order at {0}")]
    Order(String),
    /// An entry does not unpack to what its header says.
    #[error("{0} 的内容与其校验值不符 / the content of {0} does not match its header")]
    Damaged(String),
    /// An entry that is packed suspiciously well.
    #[error("{0} 的压缩率异常 / {0} is packed too well to be genuine")]
    Ratio(String),
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, with `/` between parts.
    pub name: String,
    /// Its content, unpacked.
    pub bytes: Vec<u8>,
}

/// Does this begin like an archive?
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&LOCAL.to_le_bytes())
}

/// May an entry be called so? No path outside, no hidden file, nothing that a system would rewrite.
pub fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    name.len() <= MAX_NAME_BYTES && name.split('/').count() <= MAX_NAME_PARTS && name.split('/').all(part)
}

/// Names ascending, none twice but for case, none a folder of another.
fn check_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<(), ArchiveError> {
    let mut lower: Vec<String> = vec![];
    let mut before: Option<&str> = None;
    for name in names {
        if !is_name(name) {
            return Err(ArchiveError::Name(name.chars().take(MAX_NAME_BYTES).collect()));
        }
        if before.is_some_and(|before| before >= name) {
            return Err(ArchiveError::Order(name.to_owned()));
        }
        before = Some(name);
        lower.push(name.to_ascii_lowercase());
    }
    lower.sort_unstable();
    for pair in lower.windows(2) {
        if pair[0] == pair[1] {
            return Err(ArchiveError::Order(pair[1].clone()));
        }
    }
    for name in &lower {
        let mut folders = name.match_indices('/').map(|(at, _)| &name[..at]);
        if let Some(clash) = folders.find(|folder| lower.binary_search_by(|other| other.as_str().cmp(folder)).is_ok()) {
            return Err(ArchiveError::Order(clash.to_owned()));
        }
    }
    Ok(())
}

/// What local and central headers share, in the order of the file.
struct Header {
    method: u16,
    crc: u32,
    packed: u32,
    unpacked: u32,
    name: String,
}

impl Header {
    fn put(&self, out: &mut Vec<u8>) {
        for value in [VERSION, FLAGS, self.method, TIME, DATE] {
            out.extend(value.to_le_bytes());
        }
        for value in [self.crc, self.packed, self.unpacked] {
            out.extend(value.to_le_bytes());
        }
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend(0u16.to_le_bytes());
    }
}

/// Writes an archive; entries come in any order and stand in it by name.
///
/// # Errors
/// If a name or a size is not allowed: [`read()`] would refuse the result.
pub fn write(mut entries: Vec<Entry>) -> Result<Vec<u8>, ArchiveError> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(ArchiveError::Count);
    }
    check_names(entries.iter().map(|entry| entry.name.as_str()))?;
    let mut out = vec![];
    let mut central = vec![];
    let mut total = 0usize;
    for Entry { name, bytes } in &entries {
        total = total.saturating_add(bytes.len());
        check_sizes(name, bytes.len(), total)?;
        // What is packed already would only grow.
        let packed = compress_to_vec(bytes, LEVEL);
        let shrinks = packed.len() < bytes.len() / 20 * 19;
        let fits = bytes.len() <= ratio_limit(packed.len());
        let (method, content) = if shrinks && fits { (DEFLATED, &packed) } else { (STORED, bytes) };
        let header = Header {
            method,
            crc: crc32fast::hash(bytes),
            packed: content.len() as u32,
            unpacked: bytes.len() as u32,
            name: name.clone(),
        };
        let offset = out.len() as u32;
        out.extend(LOCAL.to_le_bytes());
        header.put(&mut out);
        out.extend(name.as_bytes());
        out.extend(content);

        central.extend(CENTRAL.to_le_bytes());
        central.extend(MADE_BY.to_le_bytes());
        header.put(&mut central);
        // Comment length, disk, internal attributes.
        central.extend([0; 6]);
        central.extend(ATTRIBUTES.to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let (start, length, count) = (out.len() as u32, central.len() as u32, entries.len() as u16);
    out.extend(central);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    if out.len() > MAX_ARCHIVE_BYTES {
        return Err(too_large("archive", MAX_ARCHIVE_BYTES));
    }
    Ok(out)
}

fn too_large(what: &str, limit: usize) -> ArchiveError {
    ArchiveError::TooLarge { what: what.to_owned(), limit }
}

fn check_sizes(name: &str, bytes: usize, total: usize) -> Result<(), ArchiveError> {
    if bytes > MAX_ENTRY_BYTES {
        return Err(too_large(name, MAX_ENTRY_BYTES));
    }
    if total > MAX_TOTAL_BYTES {
        return Err(too_large("archive", MAX_TOTAL_BYTES));
    }
    Ok(())
}

fn ratio_limit(packed: usize) -> usize {
    packed.saturating_mul(MAX_RATIO).saturating_add(RATIO_FREE_BYTES)
}

/// A place in the bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ArchiveError> {
        let end = self.at.checked_add(length).ok_or(ArchiveError::Form("a length"))?;
        let part = self.bytes.get(self.at..end).ok_or(ArchiveError::Form("it ends too early"))?;
        self.at = end;
        Ok(part)
    }

    fn u16(&mut self) -> Result<u16, ArchiveError> {
        Ok(u16::from_le_bytes(self.take(2)?.try_into().expect("two bytes were taken")))
    }

    fn u32(&mut self) -> Result<u32, ArchiveError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    fn expect(&mut self, bytes: &[u8], what: &'static str) -> Result<(), ArchiveError> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(ArchiveError::Form(what)) }
    }

    fn header(&mut self) -> Result<(Header, usize), ArchiveError> {
        self.expect(&VERSION.to_le_bytes(), "version")?;
        self.expect(&FLAGS.to_le_bytes(), "flags: encrypted, streamed or with a name in no UTF-8")?;
        let method = self.u16()?;
        if method != STORED && method != DEFLATED {
            return Err(ArchiveError::Form("method"));
        }
        self.expect(&TIME.to_le_bytes(), "time")?;
        self.expect(&DATE.to_le_bytes(), "date")?;
        let (crc, packed, unpacked, name) = (self.u32()?, self.u32()?, self.u32()?, self.u16()?);
        self.expect(&[0; 2], "extra field")?;
        Ok((Header { method, crc, packed, unpacked, name: String::new() }, usize::from(name)))
    }

    fn name(&mut self, length: usize) -> Result<String, ArchiveError> {
        if length > MAX_NAME_BYTES {
            return Err(ArchiveError::Name("…".into()));
        }
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| ArchiveError::Name("…".into()))
    }
}

/// Reads an archive whole.
///
/// # Errors
/// If it is not exactly of the form that [`write()`] gives, or too large.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    if bytes.len() > MAX_ARCHIVE_BYTES {
        return Err(too_large("archive", MAX_ARCHIVE_BYTES));
    }
    let mut cursor = Cursor { bytes, at: 0 };
    let mut found: Vec<(Header, usize, &[u8])> = vec![];
    let mut total = 0usize;
    // All headers before any unpacking, so that nothing is unpacked for an archive that is refused.
    loop {
        let offset = cursor.at;
        match cursor.u32()? {
            LOCAL if found.len() == MAX_ENTRIES => return Err(ArchiveError::Count),
            LOCAL => {}
            CENTRAL => {
                cursor.at = offset;
                break;
            }
            _ => return Err(ArchiveError::Form("bytes between entries")),
        }
        let (mut header, length) = cursor.header()?;
        header.name = cursor.name(length)?;
        let content = cursor.take(header.packed as usize)?;
        total = total.saturating_add(header.unpacked as usize);
        check_sizes(&header.name, header.unpacked as usize, total)?;
        if header.unpacked as usize > ratio_limit(content.len()) {
            return Err(ArchiveError::Ratio(header.name));
        }
        found.push((header, offset, content));
    }
    check_names(found.iter().map(|(header, ..)| header.name.as_str()))?;
    read_directory(&mut cursor, &found)?;
    found.into_iter().map(|(header, _, content)| unpack(header, content)).collect()
}

/// The central directory says the same again, and the file ends behind it.
fn read_directory(cursor: &mut Cursor<'_>, found: &[(Header, usize, &[u8])]) -> Result<(), ArchiveError> {
    let start = cursor.at;
    for (local, offset, _) in found {
        cursor.expect(&CENTRAL.to_le_bytes(), "central directory")?;
        cursor.expect(&MADE_BY.to_le_bytes(), "made by")?;
        let (header, length) = cursor.header()?;
        cursor.expect(&[0; 6], "comment, disk or attributes")?;
        cursor.expect(&ATTRIBUTES.to_le_bytes(), "attributes")?;
        cursor.expect(&(*offset as u32).to_le_bytes(), "offset")?;
        let same = cursor.name(length)? == local.name
            && (header.method, header.crc, header.packed, header.unpacked)
                == (local.method, local.crc, local.packed, local.unpacked);
        if !same {
            return Err(ArchiveError::Form("the central directory disagrees"));
        }
    }
    let length = cursor.at - start;
    let count = found.len() as u16;
    cursor.expect(&END.to_le_bytes(), "end record")?;
    cursor.expect(&[0; 4], "disks")?;
    cursor.expect(&[count.to_le_bytes(), count.to_le_bytes()].concat(), "count")?;
    cursor.expect(&(length as u32).to_le_bytes(), "size of the directory")?;
    cursor.expect(&(start as u32).to_le_bytes(), "place of the directory")?;
    cursor.expect(&[0; 2], "comment")?;
    if cursor.at == cursor.bytes.len() { Ok(()) } else { Err(ArchiveError::Form("bytes behind its end")) }
}

fn unpack(header: Header, content: &[u8]) -> Result<Entry, ArchiveError> {
    let Header { method, crc, unpacked, name, .. } = header;
    let bytes = match method {
        STORED => content.to_vec(),
        _ => {
            let mut bytes = vec![0; unpacked as usize];
            let mut state = DecompressorOxide::new();
            let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            let (status, read, written) = decompress(&mut state, content, &mut bytes, 0, flags);
            if status != TINFLStatus::Done || read != content.len() || written != bytes.len() {
                return Err(ArchiveError::Damaged(name));
            }
            bytes
        }
    };
    if bytes.len() != unpacked as usize || crc32fast::hash(&bytes) != crc {
        return Err(ArchiveError::Damaged(name));
    }
    Ok(Entry { name, bytes })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(name: &str, bytes: &[u8]) -> Entry {
        Entry { name: name.into(), bytes: bytes.to_vec() }
    }

    fn sample() -> Vec<Entry> {
        vec![
            entry("contracts/01/final.pdf", b"%PDF-"),
            entry("manifest.json", "{\"a\": 1}\n".repeat(500).as_bytes()),
            entry("report.pdf", &[]),
        ]
    }

    #[test]
    fn reads_what_it_writes_and_writes_the_same_again() {
        let bytes = write(sample()).unwrap();
        assert_eq!(read(&bytes).unwrap(), sample());
        assert_eq!(write(sample().into_iter().rev().collect()).unwrap(), bytes);
        assert!(bytes.len() < 1_000, "the JSON is packed: {}", bytes.len());
        assert!(is_archive(&bytes));
    }

    #[test]
    fn refuses_every_truncation_and_every_flipped_bit() {
        let bytes = write(sample()).unwrap();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "truncated at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                // The last byte of a deflate stream may have bits that mean nothing.
                assert!(
                    read(&changed).is_ok_and(|entries| entries == sample()) || read(&changed).is_err(),
                    "bit {bit} at {at}"
                );
            }
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(read(&longer), Err(ArchiveError::Form("bytes behind its end")));
        let mut prefixed = vec![0];
        prefixed.extend(&bytes);
        assert_eq!(read(&prefixed), Err(ArchiveError::Form("bytes between entries")));
    }

    #[test]
    fn names_that_leave_the_folder_or_clash_are_refused() {
        for name in ["", "/a", "a/", "../a", "a/../b", "a/./b", "a//b", "a\\b", ".hidden", "a./b", "合同.pdf", "a\0b"]
        {
            assert_eq!(write(vec![entry(name, b"")]), Err(ArchiveError::Name(name.into())), "{name:?}");
        }
        assert!(!is_name("a/b/c/d/e") && !is_name(&"a".repeat(121)) && is_name("a/b/c/d.e-f_1"));
        for names in [["a", "a"], ["a", "A"], ["a", "a/b"], ["A", "a/b"]] {
            let entries = names.map(|name| entry(name, b"")).to_vec();
            assert!(matches!(write(entries), Err(ArchiveError::Order(_))), "{names:?}");
        }
    }

    /// The reader refuses what the writer would not write, whoever wrote it.
    #[test]
    fn what_a_name_may_not_be_is_refused_on_reading_too() {
        let bytes = write(vec![entry("ab/cd.pdf", b"x")]).unwrap();
        for (from, to) in [("ab/cd.pdf", "../cd.pdf"), ("ab/cd.pdf", "ab/../.pd"), ("ab/cd.pdf", "/b/cd.pdf")] {
            let changed = replace(&bytes, from.as_bytes(), to.as_bytes());
            assert_eq!(read(&changed), Err(ArchiveError::Name(to.into())));
        }
        let two = write(vec![entry("aa", b"x"), entry("bb", b"y")]).unwrap();
        assert_eq!(read(&replace(&two, b"bb", b"aa")), Err(ArchiveError::Order("aa".into())));
        assert_eq!(read(&replace(&two, b"bb", b"AA")), Err(ArchiveError::Order("AA".into())));
    }

    fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        let places: Vec<usize> = (0..=out.len() - from.len()).filter(|at| out[*at..].starts_with(from)).collect();
        assert_eq!(places.len(), 2, "a name stands in both headers");
        for at in places {
            out[at..at + from.len()].copy_from_slice(to);
        }
        out
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        // Zeros are stored rather than packed beyond the limit.
        let zeros = vec![0; 8 << 20];
        let honest = write(vec![entry("z", &zeros)]).unwrap();
        assert!(honest.len() > zeros.len(), "{}", honest.len());
        let bomb = raw("z", DEFLATED, &compress_to_vec(&zeros, 9), zeros.len() as u32, crc32fast::hash(&zeros));
        assert_eq!(read(&bomb), Err(ArchiveError::Ratio("z".into())));
        let huge = raw("z", DEFLATED, &[0; 16], u32::MAX, 0);
        assert_eq!(read(&huge), Err(too_large("z", MAX_ENTRY_BYTES)));
    }

    #[test]
    fn a_deflate_stream_fills_its_entry_exactly() {
        let text = b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let (packed, crc) = (compress_to_vec(text, 9), crc32fast::hash(text));
        assert!(read(&raw("a", DEFLATED, &packed, 40, crc)).is_ok());
        let more = [&packed[..], &[0]].concat();
        for (content, length) in
            [(&more[..], 40), (&packed[..], 41), (&packed[..], 39), (&packed[..packed.len() - 1], 40)]
        {
            assert_eq!(read(&raw("a", DEFLATED, content, length, crc)), Err(ArchiveError::Damaged("a".into())));
        }
        assert_eq!(read(&raw("a", STORED, text, 41, crc)), Err(ArchiveError::Damaged("a".into())));
    }

    /// An archive of one entry with whatever headers.
    fn raw(name: &str, method: u16, content: &[u8], unpacked: u32, crc: u32) -> Vec<u8> {
        let header = Header { method, crc, packed: content.len() as u32, unpacked, name: name.into() };
        let mut out = LOCAL.to_le_bytes().to_vec();
        header.put(&mut out);
        out.extend(name.as_bytes());
        out.extend(content);
        let start = out.len() as u32;
        out.extend(CENTRAL.to_le_bytes());
        out.extend(MADE_BY.to_le_bytes());
        header.put(&mut out);
        out.extend([0; 6]);
        out.extend(ATTRIBUTES.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend(name.as_bytes());
        let length = out.len() as u32 - start;
        out.extend(END.to_le_bytes());
        out.extend([0; 4]);
        out.extend([1, 0, 1, 0]);
        out.extend(length.to_le_bytes());
        out.extend(start.to_le_bytes());
        out.extend([0; 2]);
        out
    }
}
