//! A look at the engine's write-ahead log before the engine opens it.
//!
//! The log holds what this validator is locked on. The engine silently begins a new log when the file is
//! missing or of another height, and cuts off whatever follows a damaged entry; a validator that goes on
//! voting at that height after that may break its lock. So the node looks first (`clearance.rs` decides).
//! Nothing is written here. The format is that of `arc-malachitebft-wal` 0.8.2: `version u32 ‖ height u64`,
//! then entries `compressed u8 ‖ length u64 ‖ CRC-32 u32 ‖ bytes`, big endian.

use std::io;
use std::path::Path;

const VERSION: u32 = 1;
const HEADER_LEN: usize = 12;
const ENTRY_HEADER_LEN: usize = 13;

/// What the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineLog {
    /// No file, or an empty one.
    Missing,
    /// Whole, but for an entry that a crash cut short (nothing was published before an entry is synced).
    Whole { height: u64, entries: usize },
    /// Bytes that no crash explains.
    Damaged { offset: usize },
}

/// Reads the log.
pub(crate) fn inspect(path: &Path) -> io::Result<EngineLog> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(EngineLog::Missing),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> EngineLog {
    if bytes.is_empty() {
        return EngineLog::Missing;
    }
    let (Some(version), Some(height)) = (number(bytes, 0, 4), number(bytes, 4, 8)) else {
        return EngineLog::Damaged { offset: 0 };
    };
    if version != u64::from(VERSION) {
        return EngineLog::Damaged { offset: 0 };
    }
    let mut offset = HEADER_LEN;
    let mut entries = 0;
    while let (Some(length), Some(checksum)) = (number(bytes, offset + 1, 8), number(bytes, offset + 9, 4)) {
        let start = offset + ENTRY_HEADER_LEN;
        let data = usize::try_from(length).ok().and_then(|length| bytes.get(start..start.checked_add(length)?));
        // Reaching beyond the end is what a crash leaves of the last entry.
        let Some(data) = data else { break };
        if u64::from(crc32fast::hash(data)) != checksum || bytes[offset] > 1 {
            return EngineLog::Damaged { offset };
        }
        offset = start + data.len();
        entries += 1;
    }
    EngineLog::Whole { height, entries }
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// As the engine's own library writes it.
    fn written(height: u64, entries: &[&[u8]]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = malachitebft_wal::Log::open(&path).unwrap();
        log.reset(height).unwrap();
        for entry in entries {
            log.append(entry).unwrap();
        }
        log.flush().unwrap();
        drop(log);
        assert_eq!(inspect(&path).unwrap(), EngineLog::Whole { height, entries: entries.len() });
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn what_the_engine_writes_is_understood_and_damage_is_told_from_a_torn_end() {
        assert_eq!(inspect(Path::new("/nowhere/log")).unwrap(), EngineLog::Missing);
        written(7, &[]);
        let whole = written(9, &[b"first entry", b"second"]);
        for cut in 1..=b"second".len() + ENTRY_HEADER_LEN {
            let log = parse(&whole[..whole.len() - cut]);
            assert_eq!(log, EngineLog::Whole { height: 9, entries: 1 }, "{cut}");
        }
        let in_first = HEADER_LEN + ENTRY_HEADER_LEN + 3;
        let mut damaged = whole.clone();
        damaged[in_first] ^= 1;
        assert_eq!(parse(&damaged), EngineLog::Damaged { offset: HEADER_LEN });
        let mut damaged = whole;
        damaged[0] ^= 1;
        assert_eq!(parse(&damaged), EngineLog::Damaged { offset: 0 });
    }
}
