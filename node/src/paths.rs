//! What a node keeps in its organisation's folder.

use std::path::{Path, PathBuf};

/// The ledger's database; its high-water mark stands beside it.
pub(crate) fn data(home: &Path) -> PathBuf {
    home.join("data")
}

/// Says at which height an imported ledger ended, until this node has a journal.
pub(crate) fn imported(home: &Path) -> PathBuf {
    home.join("data.imported")
}

/// The signer's journal.
pub(crate) fn journal(home: &Path) -> PathBuf {
    home.join("signer.journal")
}

/// Folder of the engine's log.
pub(crate) fn wal(home: &Path) -> PathBuf {
    home.join("wal")
}

/// The engine's log.
pub(crate) fn engine_log(home: &Path) -> PathBuf {
    wal(home).join(crate::consensus::engine::WAL_FILE)
}
