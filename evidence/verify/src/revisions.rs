//! Where earlier revisions of a PDF may end.
//!
//! An incremental update leaves the bytes before it as they were, so the version that was put up for signing
//! is a prefix of the final file. It ends behind an `%%EOF`, perhaps with some bytes behind that: readers
//! accept the marker anywhere in the last 1024 bytes.

use qz_evidence::Hash32;
use sha2::{Digest, Sha256};

const MARKER: &[u8] = b"%%EOF";
/// Bytes that may stand behind the marker.
const SLACK: usize = 1024;
/// Markers looked at, from the front; each costs up to [`SLACK`] hashes.
const MARKERS: usize = 256;

/// Where the prefix of `file` with this SHA-256 ends, if a revision may end there; the whole file is none.
pub(crate) fn end_of(file: &[u8], digest: &Hash32) -> Option<usize> {
    digests(file).find(|(_, found)| found == digest).map(|(end, _)| end)
}

/// Every place at which a revision may end, with the SHA-256 of what stands before it.
fn digests(file: &[u8]) -> impl Iterator<Item = (usize, Hash32)> {
    let mut ends: Vec<usize> = vec![];
    let markers = file.windows(MARKER.len()).enumerate().filter(|(_, window)| *window == MARKER);
    for (start, _) in markers.take(MARKERS) {
        let first = (start + MARKER.len()).max(ends.last().map_or(0, |last| last + 1));
        ends.extend(first..(start + MARKER.len() + SLACK + 1).min(file.len()));
    }
    let mut hasher = Sha256::new();
    let mut done = 0;
    ends.into_iter().map(move |end| {
        hasher.update(&file[done..end]);
        done = end;
        (end, Hash32(hasher.clone().finalize().into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qz_evidence::hash::sha256;

    #[test]
    fn every_place_behind_a_marker_is_an_end_once() {
        let file = b"%PDF-1.7 one %%EOF\r\ntwo %%EOF\n";
        let found: Vec<_> = digests(file).collect();
        for end in 18..file.len() {
            let digest = sha256(&[&file[..end]]);
            assert_eq!(found.iter().filter(|(_, other)| *other == digest).count(), 1, "{end}");
            assert_eq!(end_of(file, &digest), Some(end));
        }
        assert_eq!(found.len(), file.len() - 18);
        assert_eq!(end_of(file, &sha256(&[file])), None);
        assert_eq!(digests(b"no marker").count() + digests(b"%%EOF").count(), 0);
    }
}
