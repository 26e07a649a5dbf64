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

/// SHA-256 of every prefix of `file` at which a revision may end, the whole file apart.
pub(crate) fn digests(file: &[u8]) -> Vec<Hash32> {
    let mut ends: Vec<usize> = vec![];
    let markers = file.windows(MARKER.len()).enumerate().filter(|(_, window)| *window == MARKER);
    for (start, _) in markers.take(MARKERS) {
        let first = (start + MARKER.len()).max(ends.last().map_or(0, |last| last + 1));
        ends.extend(first..(start + MARKER.len() + SLACK + 1).min(file.len()));
    }
    let mut hasher = Sha256::new();
    let mut done = 0;
    let digest = |end: usize| {
        hasher.update(&file[done..end]);
        done = end;
        Hash32(hasher.clone().finalize().into())
    };
    ends.into_iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qz_evidence::hash::sha256;

    #[test]
    fn every_place_behind_a_marker_is_an_end_once() {
        let file = b"%PDF-1.7 one %%EOF\r\ntwo %%EOF\n";
        let found = digests(file);
        for end in 18..file.len() {
            assert_eq!(found.iter().filter(|d| **d == sha256(&[&file[..end]])).count(), 1, "{end}");
        }
        assert_eq!(found.len(), file.len() - 18);
        assert!(digests(b"no marker").is_empty());
        assert!(digests(b"%%EOF").is_empty());
    }
}
