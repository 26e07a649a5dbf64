//! The high-water mark: the last block that this node has had, in a file beside its database.
//!
//! A database can be lost or fall back behind a damaged log; then the ledger looks whole and is shorter.
//! The mark remembers what was there, so that the node knows that it must catch up, and does not answer
//! as if later blocks did not exist. It decides nothing about signing; that is the signer's journal's.
//!
//! File, 92 bytes: `"qz/highwater" ‖ chain id 32 ‖ height u64 BE ‖ block id 32 ‖ first 8 bytes of
//! BLAKE3(all before)`. It is overwritten in place after each block and not synced: it survives the end of
//! the process, and after a power failure it may be behind, which does no harm.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use qz_evidence::Hash32;

const MAGIC: &[u8; 12] = b"qz/highwater";
const CHECKSUM_LEN: usize = 8;
const LEN: usize = MAGIC.len() + 32 + 8 + 32 + CHECKSUM_LEN;

/// A block that this node has had.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub height: u64,
    pub block_id: Hash32,
}

/// Why the mark cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The file is of another ledger.
    #[error("{} belongs to another ledger", .0.display())]
    Foreign(PathBuf),
    /// Reading or writing failed.
    #[error("high-water mark {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The open file.
#[derive(Debug)]
pub(crate) struct HighWater {
    path: PathBuf,
    chain_id: Hash32,
    file: File,
    mark: Option<Mark>,
}

impl HighWater {
    /// The mark's file of a database folder.
    pub(crate) fn path_of(database: &Path) -> PathBuf {
        database.with_extension("mark")
    }

    /// Opens the file, creating it if there is none. A spoilt mark (of a power failure) counts as none.
    pub(crate) fn open(path: &Path, chain_id: Hash32) -> Result<Self, MarkError> {
        let mark = read(path, &chain_id)?;
        let io = |source| MarkError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), chain_id, file, mark })
    }

    /// The last block that this node has had, as far as is known.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Raises the mark; a lower one is ignored.
    pub(crate) fn raise(&mut self, mark: Mark) -> Result<(), MarkError> {
        if self.mark.is_some_and(|known| known.height >= mark.height) {
            return Ok(());
        }
        self.file
            .write_all_at(&encode(&self.chain_id, &mark), 0)
            .map_err(|source| MarkError::Io { path: self.path.clone(), source })?;
        self.mark = Some(mark);
        Ok(())
    }
}

/// The mark in a file, if there is a whole one.
pub(crate) fn read(path: &Path, chain_id: &Hash32) -> Result<Option<Mark>, MarkError> {
    let io = |source| MarkError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::with_capacity(LEN);
    match File::open(path) {
        Ok(file) => file.take(LEN as u64 + 1).read_to_end(&mut bytes).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let Some((found, mark)) = decode(&bytes) else {
        if !bytes.is_empty() {
            tracing::warn!(path = %path.display(), "the high-water mark is spoilt and counts as none");
        }
        return Ok(None);
    };
    if found == *chain_id { Ok(Some(mark)) } else { Err(MarkError::Foreign(path.to_owned())) }
}

fn encode(chain_id: &Hash32, mark: &Mark) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &chain_id.0, &mark.height.to_be_bytes(), &mark.block_id.0].concat();
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(&checksum.as_bytes()[..CHECKSUM_LEN]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Hash32, Mark)> {
    if bytes.len() != LEN {
        return None;
    }
    let (body, checksum) = bytes.split_at(LEN - CHECKSUM_LEN);
    if &blake3::hash(body).as_bytes()[..CHECKSUM_LEN] != checksum {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let height = u64::from_be_bytes(rest[32..40].try_into().ok()?);
    Some((Hash32(rest[..32].try_into().ok()?), Mark { height, block_id: Hash32(rest[40..].try_into().ok()?) }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHAIN: Hash32 = Hash32([1; 32]);

    fn mark(height: u64) -> Mark {
        Mark { height, block_id: Hash32([7; 32]) }
    }

    #[test]
    fn the_mark_only_rises_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mark");
        let mut water = HighWater::open(&path, CHAIN).unwrap();
        assert_eq!(water.mark(), None);
        water.raise(mark(5)).unwrap();
        water.raise(mark(4)).unwrap();
        assert_eq!(HighWater::open(&path, CHAIN).unwrap().mark(), Some(mark(5)));
        assert!(matches!(HighWater::open(&path, Hash32([2; 32])), Err(MarkError::Foreign(_))));
    }

    #[test]
    fn a_spoilt_mark_counts_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mark");
        HighWater::open(&path, CHAIN).unwrap().raise(mark(5)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[position] ^= 1;
            std::fs::write(&path, &spoilt).unwrap();
            let mut water = HighWater::open(&path, CHAIN).unwrap();
            assert_eq!(water.mark(), None, "{position}");
            water.raise(mark(3)).unwrap();
            assert_eq!(HighWater::open(&path, CHAIN).unwrap().mark(), Some(mark(3)));
        }
        std::fs::write(&path, &whole[..LEN - 1]).unwrap();
        assert_eq!(HighWater::open(&path, CHAIN).unwrap().mark(), None);
    }
}
