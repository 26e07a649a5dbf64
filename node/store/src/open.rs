//! Opening the database.

use crate::error::StoreError;
use crate::inspect::Findings;
use crate::keys::{CONSENSUS, FAMILIES, FORMAT, META, RECORDS, SEQUENCES, SUBJECTS, TREE_NODES, TREE_VALUES, meta};
use crate::node_cache::NodeCache;
use crate::recent::Recent;
use qz_chain::genesis_state;
use qz_evidence::Hash32;
use qz_evidence::genesis::Genesis;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, ErrorKind,
    Options, WriteBatch,
};
use std::path::Path;
use std::sync::Mutex;

/// Memory for blocks of the database's files, shared by all column families.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Families that fill files quickly, and for how many seconds such a file is left alone. RocksDB rewrites a file of the
/// last level as soon as no snapshot needs what is deleted in it; every view is a snapshot, so it would write each file
/// twice, at once. (A file that is moved down whole is not compressed until then.)
const REWRITTEN: [&str; 6] = [RECORDS, SUBJECTS, SEQUENCES, TREE_NODES, TREE_VALUES, CONSENSUS];
const REWRITE_AFTER_S: &str = "86400";

/// What to do about a damaged write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Recovery {
    /// Refuse to open. The one exception is an incomplete last record: a process that is killed while it
    /// writes leaves one, and what was not written whole was never reported as written.
    /// [`Store::log_was_torn`] tells.
    #[default]
    Strict,
    /// Keep everything before the first damage. Whole batches only, so the ledger is consistent, but maybe
    /// shorter than what this node has signed: it must catch up from its peers before it votes.
    AcceptLoss,
}

/// The ledger on disk. One process, one `Store`; share it by reference.
pub struct Store {
    pub(crate) db: DB,
    pub(crate) chain_id: Hash32,
    log_was_torn: bool,
    /// Writes are synced; not so in a store that is thrown away after a crash.
    pub(crate) durable: bool,
    /// Commits come one after the other. Bytes of the last one's batch: the next one begins with so much room, since
    /// growing to megabytes by doubling costs fresh pages every time.
    pub(crate) committing: Mutex<usize>,
    pub(crate) nodes: NodeCache,
    pub(crate) recent: Mutex<Recent>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store of ledger {} in {}", self.chain_id, self.db.path().display())
    }
}

impl Store {
    /// Opens the database of this ledger, and creates it with the state of height 0 if there is none.
    pub fn open(path: &Path, genesis: &Genesis) -> Result<Self, StoreError> {
        Self::open_with(path, genesis, Recovery::Strict)
    }

    /// Opens with a choice about damaged logs.
    pub fn open_with(path: &Path, genesis: &Genesis, recovery: Recovery) -> Result<Self, StoreError> {
        refuse_headless(path)?;
        refuse_beheaded(path)?;
        let (db, log_was_torn) = match recovery {
            Recovery::AcceptLoss => (open_database(path, DBRecoveryMode::PointInTime)?, false),
            Recovery::Strict => match open_database(path, DBRecoveryMode::AbsoluteConsistency) {
                Err(StoreError::WriteAheadLog { .. }) => {
                    (open_database(path, DBRecoveryMode::TolerateCorruptedTailRecords)?, true)
                }
                other => (other?, false),
            },
        };
        let store = Self::around(db, genesis, log_was_torn, true);
        match store.meta(meta::CHAIN_ID)? {
            None => store.begin(genesis)?,
            Some(found) => store.check(path, &found)?,
        }
        Ok(store)
    }

    /// Opens the database of a stopped node without changing anything, and says what is wrong with its log.
    /// What follows damage in the log is not read.
    pub fn open_to_inspect(path: &Path, genesis: &Genesis) -> Result<(Self, Findings), StoreError> {
        let mut findings = Findings::default();
        refuse_headless(path)?;
        if !path.join("CURRENT").exists() {
            return Err(StoreError::NoLedger { path: path.to_owned() });
        }
        refuse_beheaded(path)?;
        let (db, log_was_torn) = match open_read_only(path, DBRecoveryMode::AbsoluteConsistency) {
            Err(StoreError::WriteAheadLog { .. }) => {
                match open_read_only(path, DBRecoveryMode::TolerateCorruptedTailRecords) {
                    Err(error @ StoreError::WriteAheadLog { .. }) => {
                        findings.add_error(None, "log", &error);
                        (open_read_only(path, DBRecoveryMode::PointInTime)?, true)
                    }
                    other => (other?, true),
                }
            }
            other => (other?, false),
        };
        let store = Self::around(db, genesis, log_was_torn, true);
        match store.meta(meta::CHAIN_ID)? {
            None => Err(StoreError::NoLedger { path: path.to_owned() }),
            Some(found) => store.check(path, &found).map(|()| (store, findings)),
        }
    }

    /// A new ledger at height 0 that need not survive a crash.
    pub(crate) fn open_scratch(path: &Path, genesis: &Genesis) -> Result<Self, StoreError> {
        let store = Self::open_empty(path, genesis)?;
        store.begin(genesis)?;
        Ok(store)
    }

    /// A new database with nothing in it, whose writes are not durable before it is flushed.
    pub(crate) fn open_empty(path: &Path, genesis: &Genesis) -> Result<Self, StoreError> {
        let db = open_database(path, DBRecoveryMode::AbsoluteConsistency)?;
        Ok(Self::around(db, genesis, false, false))
    }

    /// Is what was imported of this ledger and in this program's format?
    pub(crate) fn check_imported(&self, path: &Path) -> Result<(), StoreError> {
        match self.meta(meta::CHAIN_ID)? {
            Some(found) => self.check(path, &found),
            None => Err(StoreError::corrupt(META, meta::CHAIN_ID, "missing")),
        }
    }

    fn around(db: DB, genesis: &Genesis, log_was_torn: bool, durable: bool) -> Self {
        Self {
            db,
            chain_id: genesis.chain_id(),
            log_was_torn,
            durable,
            committing: Mutex::new(0),
            nodes: NodeCache::default(),
            recent: Mutex::default(),
        }
    }

    /// The ledger's id.
    pub fn chain_id(&self) -> Hash32 {
        self.chain_id
    }

    /// Did the log end in an incomplete record? Then the process was killed while it wrote, or the machine
    /// lost power; a block of which peers have proof may have to be fetched again.
    pub fn log_was_torn(&self) -> bool {
        self.log_was_torn
    }

    /// An empty database gets height 0. One batch: after a crash it is empty still, or complete.
    fn begin(&self, genesis: &Genesis) -> Result<(), StoreError> {
        let (_, changes) = genesis_state(genesis).map_err(StoreError::Genesis)?;
        let mut batch = WriteBatch::default();
        self.put_changes(None, &changes, &mut batch)?;
        let family = self.family(META);
        batch.put_cf(family, meta::FORMAT, FORMAT);
        batch.put_cf(family, meta::CHAIN_ID, genesis.chain_id().0);
        batch.put_cf(family, meta::GENESIS, genesis.bytes());
        self.write_synced(batch)
    }

    fn check(&self, path: &Path, found: &[u8]) -> Result<(), StoreError> {
        if self.meta(meta::FORMAT)?.as_deref() != Some(FORMAT) {
            return Err(StoreError::corrupt(META, meta::FORMAT, "not the format of this program"));
        }
        if *found == self.chain_id.0 {
            return Ok(());
        }
        let found =
            crate::keys::hash_from(found).ok_or_else(|| StoreError::corrupt(META, meta::CHAIN_ID, "not 32 bytes"))?;
        Err(StoreError::OtherLedger { path: path.to_owned(), found, expected: self.chain_id })
    }

    /// Writes everything that is only in the log into tables. Never needed for operation.
    pub fn flush(&self) -> Result<(), StoreError> {
        FAMILIES
            .into_iter()
            .try_for_each(|name| self.db.flush_cf(self.family(name)).map_err(StoreError::database("flush")))
    }

    /// Rewrites all files so that nothing deleted takes room any more. Takes as long as reading and writing
    /// the whole store; for measurements and before a back-up, never needed for operation.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.flush()?;
        for name in FAMILIES {
            self.db.compact_range_cf(self.family(name), None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(META), key).map_err(StoreError::database("read"))
    }

    pub(crate) fn family(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("every family of FAMILIES is opened with the database")
    }
}

fn open_database(path: &Path, mode: DBRecoveryMode) -> Result<DB, StoreError> {
    let db = DB::open_cf_descriptors(&database_options(mode), path, families()).map_err(failed_to_open(path, mode))?;
    for name in REWRITTEN {
        let family = db.cf_handle(name).expect("every family of FAMILIES was opened");
        db.set_options_cf(family, &[("bottommost_file_compaction_delay", REWRITE_AFTER_S)])
            .map_err(StoreError::database("set the options of"))?;
    }
    Ok(db)
}

fn open_read_only(path: &Path, mode: DBRecoveryMode) -> Result<DB, StoreError> {
    let options = database_options(mode);
    DB::open_cf_descriptors_read_only(&options, path, families(), false).map_err(failed_to_open(path, mode))
}

fn families() -> impl Iterator<Item = ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    FAMILIES.into_iter().map(move |name| ColumnFamilyDescriptor::new(name, family_options(name, &cache)))
}

fn failed_to_open(path: &Path, mode: DBRecoveryMode) -> impl FnOnce(rocksdb::Error) -> StoreError {
    move |source| match source.kind() {
        ErrorKind::Corruption if mode != DBRecoveryMode::PointInTime => {
            StoreError::WriteAheadLog { path: path.to_owned(), source }
        }
        _ => StoreError::Open { path: path.to_owned(), source },
    }
}

/// A database that has lost the file that names its manifest looks new to RocksDB, which would then begin
/// an empty one and delete what is there.
fn refuse_headless(path: &Path) -> Result<(), StoreError> {
    if path.join("CURRENT").exists() {
        return Ok(());
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
    let leftover = entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("MANIFEST-") || name.ends_with(".sst") || name.ends_with(".log")
    });
    if leftover { Err(StoreError::Headless { path: path.to_owned() }) } else { Ok(()) }
}

/// A manifest that has lost its end may still open: as an older database, or as one with fewer columns. RocksDB
/// would add the columns, empty, and delete every table that the manifest does not name. So the columns and the
/// ledger's id are looked for first, without changing anything. A process that was killed while it made a new
/// database is told from that by what it leaves: no data while columns are missing, no table before the id.
fn refuse_beheaded(path: &Path) -> Result<(), StoreError> {
    if !path.join("CURRENT").exists() {
        return Ok(());
    }
    let (logs, tables) = data_files(path);
    let beheaded = |reason| StoreError::Manifest { path: path.to_owned(), reason };
    if logs || tables {
        let found =
            DB::list_cf(&Options::default(), path).map_err(failed_to_open(path, DBRecoveryMode::PointInTime))?;
        if FAMILIES.iter().any(|name| !found.iter().any(|found| found == name)) {
            return Err(beheaded("columns are missing"));
        }
    }
    if tables {
        // What else is wrong is for the opening itself to say.
        let Ok(db) = open_read_only(path, DBRecoveryMode::PointInTime) else { return Ok(()) };
        let family = db.cf_handle(META).expect("every family of FAMILIES was opened");
        if db.get_cf(family, meta::CHAIN_ID).map_err(StoreError::database("read"))?.is_none() {
            return Err(beheaded("no ledger is in the tables that it names"));
        }
    }
    Ok(())
}

/// Are there logs that anything was written to, and are there tables?
fn data_files(path: &Path) -> (bool, bool) {
    let (mut logs, mut tables) = (false, false);
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        tables |= name.ends_with(".sst");
        logs |= name.ends_with(".log") && entry.metadata().is_ok_and(|file| file.len() > 0);
    }
    (logs, tables)
}

/// RocksDB's own default, point-in-time recovery, silently drops whatever follows damage in the middle of
/// the log, so the mode is always set.
fn database_options(mode: DBRecoveryMode) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(mode);
    options.set_max_open_files(256);
    options.set_keep_log_file_num(2);
    options.set_stats_dump_period_sec(0);
    options.set_max_total_wal_size(128 * 1024 * 1024);
    // A manifest that has lost its end would else pass for an older, shorter ledger.
    options.set_track_and_verify_wals_in_manifest(true);
    options
}

fn family_options(name: &str, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    // What is written last is soon rewritten; it is compressed where it stays.
    let (new, old) = (DBCompressionType::None, DBCompressionType::Lz4);
    options.set_compression_per_level(&[new, new, old, old, old, old, old]);
    // Most look-ups are for what is not there (is this body new?); in memory, too, a filter answers them.
    options.set_memtable_prefix_bloom_ratio(0.05);
    options.set_memtable_whole_key_filtering(true);
    // Many families, few large ones: the write buffers together stay small.
    options.set_write_buffer_size(if name == CONSENSUS { 4 } else { 8 } * 1024 * 1024);
    options
}
