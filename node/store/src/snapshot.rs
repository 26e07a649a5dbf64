//! Snapshots: everything that a ledger holds, as one file, to start another node from.
//!
//! File: `"qz/snapshot/v1" ‖ chain id 32 ‖ height u64 BE ‖ block id 32`, then for each column family
//! `len u8 ‖ name`, its entries `0x01 ‖ len u32 BE ‖ key ‖ len u32 BE ‖ value` in ascending order of
//! keys, and `0x00`; then `0x00`, the number of all entries as u64 BE, and SHA-256 of everything before.
//! That digest names the snapshot. The consensus driver's notes are not in it.
//!
//! Nothing in a snapshot is believed: an imported ledger is checked whole, from the genesis on, before it
//! is put in place ([`Store::inspect`] after [`Store::import`]).

use crate::error::StoreError;
use crate::inspect::Progress;
use crate::keys::{self, CONSENSUS, FAMILIES};
use crate::open::Store;
use qz_evidence::genesis::Genesis;
use qz_evidence::{Hash32, Height};
use rocksdb::WriteBatch;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::path::Path;
use thiserror::Error;

const MAGIC: &[u8; 14] = b"qz/snapshot/v1";
const ENTRY: u8 = 1;
const END: u8 = 0;
/// Longest key of any column, generously.
const MAX_KEY: u32 = 1024;
/// Longest value of any column, generously: a block.
const MAX_VALUE: u32 = 4 * 1024 * 1024;
/// Bytes that are written to the database at once.
const BATCH_BYTES: usize = 1024 * 1024;
/// How often progress is told, in entries.
const TELL_EVERY: u64 = 65_536;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The ledger.
    pub chain_id: Hash32,
    /// Its last block.
    pub height: Height,
    /// That block's id.
    pub block_id: Hash32,
    /// Entries of all columns.
    pub entries: u64,
    /// SHA-256 of the file but for its last 32 bytes, which are this digest.
    pub digest: Hash32,
}

/// Why a snapshot could not be written or read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the snapshot file")]
    Io(#[from] io::Error),
    /// The file is not a snapshot, of a newer format, or damaged.
    #[error("the snapshot is damaged at byte {offset}: {reason}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// It is of another ledger.
    #[error("the snapshot is of ledger {found}, not of {expected}")]
    OtherLedger {
        /// Its chain id.
        found: Hash32,
        /// The genesis' chain id.
        expected: Hash32,
    },
    /// What it holds is not what its header says.
    #[error("the snapshot says block {said}, but its ledger ends with block {found}")]
    OtherHead {
        /// The block id in its header.
        said: Hash32,
        /// The block id of its last header.
        found: Hash32,
    },
}

/// Everything that passes through, hashed.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
    offset: u64,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), offset: 0 }
    }

    fn digest(&self) -> Hash32 {
        Hash32(self.hash.clone().finalize().into())
    }
}

impl<W: Write> Hashed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    fn put_sized(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| io::Error::other("an entry of 4 GiB"))?;
        self.put(&len.to_be_bytes())?;
        self.put(bytes)
    }
}

impl<R: Read> Hashed<R> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.malformed("it ends too early"),
            _ => error.into(),
        })?;
        self.hash.update(&*bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    fn take_sized(&mut self, limit: u32) -> Result<Vec<u8>, SnapshotError> {
        let len = u32::from_be_bytes(self.take_array()?);
        if len > limit {
            return Err(self.malformed("an entry is too long"));
        }
        let mut bytes = vec![0; len as usize];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    fn malformed(&self, reason: &'static str) -> SnapshotError {
        SnapshotError::Malformed { offset: self.offset, reason }
    }
}

impl Store {
    /// Writes everything as of the tip.
    pub fn export(&self, out: impl Write, progress: &mut Progress<'_>) -> Result<SnapshotInfo, SnapshotError> {
        let view = self.view()?;
        let block_id = view.tip_header()?.block_id();
        let mut out = Hashed::new(out);
        out.put(MAGIC)?;
        out.put(&self.chain_id.0)?;
        out.put(&keys::height(view.tip_height()))?;
        out.put(&block_id.0)?;
        let mut entries = 0u64;
        for family in exported() {
            let name = family.as_bytes();
            out.put(&[u8::try_from(name.len()).expect("names of column families are short")])?;
            out.put(name)?;
            for entry in view.scan(family, &[]) {
                let (key, value) = entry?;
                out.put(&[ENTRY])?;
                out.put_sized(&key)?;
                out.put_sized(&value)?;
                entries += 1;
                if entries.is_multiple_of(TELL_EVERY) {
                    progress(family, entries, entries);
                }
            }
            out.put(&[END])?;
        }
        out.put(&[END])?;
        out.put(&entries.to_be_bytes())?;
        let digest = out.digest();
        out.inner.write_all(&digest.0)?;
        out.inner.flush()?;
        Ok(SnapshotInfo { chain_id: self.chain_id, height: view.tip_height(), block_id, entries, digest })
    }

    /// Reads a snapshot into a new database in `path`, a folder that does not exist yet. Its form and its
    /// digest are checked here; the caller must check what it says ([`Store::inspect`]) before using it, and
    /// [`Store::finish_import`] makes it durable.
    pub fn import(
        path: &Path, genesis: &Genesis, input: impl Read, progress: &mut Progress<'_>,
    ) -> Result<(Self, SnapshotInfo), SnapshotError> {
        let mut input = Hashed::new(input);
        if input.take_array()? != *MAGIC {
            return Err(SnapshotError::Malformed { offset: 0, reason: "not a snapshot of this format" });
        }
        let (chain_id, expected) = (Hash32(input.take_array()?), genesis.chain_id());
        if chain_id != expected {
            return Err(SnapshotError::OtherLedger { found: chain_id, expected });
        }
        let height = Height(u64::from_be_bytes(input.take_array()?));
        let block_id = Hash32(input.take_array()?);
        let store = Self::open_empty(path, genesis)?;
        let mut entries = 0;
        for family in exported() {
            store.import_family(family, &mut input, &mut entries, progress)?;
        }
        let [end] = input.take_array()?;
        let count = u64::from_be_bytes(input.take_array()?);
        if end != END || count != entries {
            return Err(input.malformed("not the number of entries that it says"));
        }
        let digest = input.digest();
        if Hash32(input.take_array()?) != digest {
            return Err(input.malformed("its digest is another one"));
        }
        if input.inner.read(&mut [0])? != 0 {
            return Err(input.malformed("bytes follow its end"));
        }
        store.check_imported(path)?;
        let found = store.view()?.tip_header()?;
        if found.block_id() != block_id || found.height != height {
            return Err(SnapshotError::OtherHead { said: block_id, found: found.block_id() });
        }
        Ok((store, SnapshotInfo { chain_id, height, block_id, entries, digest }))
    }

    fn import_family(
        &self, family: &'static str, input: &mut Hashed<impl Read>, entries: &mut u64, progress: &mut Progress<'_>,
    ) -> Result<(), SnapshotError> {
        let [len] = input.take_array()?;
        let mut name = vec![0; usize::from(len)];
        input.take(&mut name)?;
        if name != family.as_bytes() {
            return Err(input.malformed("another column than this format has here"));
        }
        let mut batch = WriteBatch::default();
        let mut last: Option<Vec<u8>> = None;
        loop {
            match input.take_array()? {
                [END] => break,
                [ENTRY] => {}
                _ => return Err(input.malformed("neither an entry nor an end")),
            }
            let key = input.take_sized(MAX_KEY)?;
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(input.malformed("keys out of order"));
            }
            let value = input.take_sized(MAX_VALUE)?;
            batch.put_cf(self.family(family), &key, value);
            last = Some(key);
            *entries += 1;
            if entries.is_multiple_of(TELL_EVERY) {
                progress(family, *entries, *entries);
            }
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.write_synced(std::mem::take(&mut batch))?;
            }
        }
        Ok(self.write_synced(batch)?)
    }

    /// Makes an imported ledger durable and closes it; its folder can be put in place then.
    pub fn finish_import(self) -> Result<(), StoreError> {
        self.flush()
    }
}

fn exported() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().filter(|family| *family != CONSENSUS)
}
