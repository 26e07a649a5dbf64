//! The functions that the fuzz targets run (`evidence/fuzz`), over the committed corpus: every input that once
//! found something stays there.
#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;

use std::path::Path;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("bundle", bodies::bundle),
    ("edited", bodies::edited),
    ("record", bodies::record),
    ("checkpoint", bodies::checkpoint),
    ("ocsp", bodies::ocsp),
    ("timestamp", bodies::timestamp),
    ("pdf", bodies::pdf),
    ("examined", bodies::examined),
    ("archive", bodies::archive),
];

/// Each file as it is, cut at many places, and with single bits flipped.
#[test]
fn the_corpus_breaks_nothing() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let mut files = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            target(&bytes);
            for part in 1..8 {
                target(&bytes[..bytes.len() * part / 8]);
                let mut flipped = bytes.clone();
                if let Some(byte) = flipped.get_mut(bytes.len() * part / 8) {
                    *byte ^= 1 << part;
                }
                target(&flipped);
            }
            files += 1;
        }
        assert!(files > 0, "{} is empty", folder.display());
    }
}
