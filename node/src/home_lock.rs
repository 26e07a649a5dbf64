//! One process at a time works on an organisation's folder: the running node, or a command that checks,
//! repairs or copies its ledger while it is stopped.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The lock, held until dropped; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error(
        "{} 已被进程 {holder} 占用，请先停止节点 · {} is in use by process {holder}; stop the node first",
        .folder.display(), .folder.display()
    )]
    Held { folder: PathBuf, holder: String },
    /// The file cannot be used.
    #[error("{}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl HomeLock {
    /// Takes the lock of a folder, at once or not at all.
    pub(crate) fn take(home: &Path) -> Result<Self, LockError> {
        let path = home.join("node.lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message; whoever holds the lock may be writing its number just now.
                let _ = file.take(32).read_to_string(&mut holder);
                return Err(LockError::Held { folder: home.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // The number only helps people; on a full disk the lock counts without it.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_is_had_once() {
        let folder = tempfile::tempdir().unwrap();
        let lock = HomeLock::take(folder.path()).unwrap();
        let refused = HomeLock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(lock);
        HomeLock::take(folder.path()).unwrap();
    }
}
