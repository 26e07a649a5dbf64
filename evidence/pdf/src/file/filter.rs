//! Unpacks streams: Flate with predictors, ASCII hexadecimal and base 85 (ISO 32000-1 §7.4). Images' own
//! codings, LZW and run lengths are left packed.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use super::lexer::is_white;
use super::value::{Dictionary, Value};

/// Unpacks `data`; `None` when a filter is not known here, the data are damaged, or they would be larger
/// than `limit`. Filters and parameters must be direct or already resolved.
pub(crate) fn unpack(filters: &[(Vec<u8>, Option<Dictionary>)], data: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut bytes = data.to_vec();
    for (filter, parameters) in filters {
        bytes = match filter.as_slice() {
            b"FlateDecode" | b"Fl" => predicted(inflated(&bytes, limit)?, parameters.as_ref())?,
            b"ASCIIHexDecode" | b"AHx" => hexadecimal(&bytes)?,
            b"ASCII85Decode" | b"A85" => base85(&bytes)?,
            _ => return None,
        };
        if bytes.len() > limit {
            return None;
        }
    }
    Some(bytes)
}

/// Zlib data; the checksum at the end is not required, as in every reader.
fn inflated(data: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut state = InflateState::new_boxed(DataFormat::Zlib);
    let mut found = vec![];
    let mut buffer = vec![0; 64 << 10];
    let mut rest = data;
    loop {
        let step = inflate(&mut state, rest, &mut buffer, MZFlush::None);
        found.extend_from_slice(&buffer[..step.bytes_written]);
        rest = &rest[step.bytes_consumed..];
        if found.len() > limit {
            return None;
        }
        match step.status {
            Ok(MZStatus::StreamEnd) => return Some(found),
            Ok(_) if step.bytes_consumed + step.bytes_written > 0 => {}
            // Truncated behind its last block, or nothing goes on.
            _ => return None,
        }
    }
}

fn parameter(parameters: &Dictionary, key: &[u8], default: usize) -> Option<usize> {
    match parameters.get(key) {
        None => Some(default),
        Some(value) => value.as_usize(),
    }
}

/// Undoes a PNG predictor; the TIFF one is not known here.
fn predicted(data: Vec<u8>, parameters: Option<&Dictionary>) -> Option<Vec<u8>> {
    let Some(parameters) = parameters else { return Some(data) };
    match parameter(parameters, b"Predictor", 1)? {
        1 => return Some(data),
        10..=15 => {}
        _ => return None,
    }
    let colors = parameter(parameters, b"Colors", 1)?;
    let bits = parameter(parameters, b"BitsPerComponent", 8)?;
    let columns = parameter(parameters, b"Columns", 1)?;
    if !(1..=32).contains(&colors) || !(1..=16).contains(&bits) || !(1..=1 << 20).contains(&columns) {
        return None;
    }
    let step = (colors * bits).div_ceil(8);
    let width = (colors * bits * columns).div_ceil(8);
    let mut found: Vec<u8> = Vec::with_capacity(data.len());
    let mut above = vec![0_u8; width];
    for row in data.chunks(width + 1) {
        let (kind, row) = row.split_first()?;
        let mut row = row.to_vec();
        row.resize(width, 0);
        for i in 0..width {
            let left = if i >= step { row[i - step] } else { 0 };
            let corner = if i >= step { above[i - step] } else { 0 };
            let add = match kind {
                0 => 0,
                1 => left,
                2 => above[i],
                3 => u8::try_from((u16::from(left) + u16::from(above[i])) / 2).ok()?,
                4 => paeth(left, above[i], corner),
                _ => return None,
            };
            row[i] = row[i].wrapping_add(add);
        }
        found.extend_from_slice(&row);
        above = row;
    }
    Some(found)
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(above), i16::from(corner));
    let guess = a + b - c;
    let (to_a, to_b, to_c) = ((guess - a).abs(), (guess - b).abs(), (guess - c).abs());
    if to_a <= to_b && to_a <= to_c {
        left
    } else if to_b <= to_c {
        above
    } else {
        corner
    }
}

fn hexadecimal(data: &[u8]) -> Option<Vec<u8>> {
    let mut digits = vec![];
    for byte in data.iter().copied().filter(|byte| !is_white(*byte)) {
        if byte == b'>' {
            break;
        }
        digits.push(u8::try_from(char::from(byte).to_digit(16)?).ok()?);
    }
    if digits.len() % 2 == 1 {
        digits.push(0);
    }
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn base85(data: &[u8]) -> Option<Vec<u8>> {
    let mut found = vec![];
    let mut group: Vec<u32> = vec![];
    for byte in data.iter().copied().filter(|byte| !is_white(*byte)) {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => found.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            _ => return None,
        }
        if group.len() == 5 {
            found.extend_from_slice(&word(&group)?);
            group.clear();
        }
    }
    if !group.is_empty() {
        let kept = group.len().checked_sub(1).filter(|kept| *kept > 0)?;
        group.resize(5, 84);
        found.extend_from_slice(&word(&group)?[..kept]);
    }
    Some(found)
}

fn word(group: &[u32]) -> Option<[u8; 4]> {
    let number = group.iter().try_fold(0_u32, |sum, digit| sum.checked_mul(85)?.checked_add(*digit))?;
    Some(number.to_be_bytes())
}

/// `/Filter` and `/DecodeParms` as a list, where `resolve` follows references.
pub(crate) fn filters(
    dictionary: &Dictionary, resolve: &dyn Fn(&Value) -> Value,
) -> Vec<(Vec<u8>, Option<Dictionary>)> {
    let list = |key: &[u8], short: &[u8]| match dictionary.get(key).or_else(|| dictionary.get(short)).map(resolve) {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(members)) => members.iter().map(resolve).collect(),
        Some(one) => vec![one],
    };
    let parameters = list(b"DecodeParms", b"DP");
    let named = list(b"Filter", b"F").into_iter().enumerate();
    named
        .map(|(i, filter)| {
            let name = filter.as_name().unwrap_or(b"?").to_vec();
            (name, parameters.get(i).and_then(Value::as_dictionary).cloned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(base85(b"87cURD]i,\"Ebo80~>").unwrap(), b"Hello World!");
        assert_eq!(base85(b"87cUR~>").unwrap(), b"Hell");
        assert_eq!(hexadecimal(b"48 656C6>").unwrap(), b"Hel`");
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(b"some text some text", 6);
        let flate = [(b"FlateDecode".to_vec(), None)];
        assert_eq!(unpack(&flate, &packed, 100).unwrap(), b"some text some text");
        assert_eq!(unpack(&flate, &packed, 10), None, "over the limit");
        assert_eq!(unpack(&flate, &packed[..5], 100), None, "truncated");
        assert_eq!(unpack(&[(b"DCTDecode".to_vec(), None)], b"", 100), None);
    }

    #[test]
    fn png_predictors() {
        let parameters =
            Dictionary(vec![(b"Predictor".to_vec(), Value::Integer(12)), (b"Columns".to_vec(), Value::Integer(3))]);
        let rows = vec![2, 1, 2, 3, 2, 1, 1, 1, 1, 5, 1, 1, 0, 9, 9, 9];
        let expected = [1, 2, 3, 2, 3, 4, 5, 6, 7, 9, 9, 9];
        assert_eq!(predicted(rows, Some(&parameters)).unwrap(), expected);
    }
}
