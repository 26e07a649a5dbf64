//! Files that hold secrets: made with mode 0600 in folders of mode 0700, never overwritten, and not
//! read when others than the owner may read them. Encryption at rest is not done here.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Largest secret file that is read.
const MAX_BYTES: u64 = 16 * 1024;

/// Why a secret's file could not be made or read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system's refusal.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Something is there already; secrets are never overwritten.
    #[error("{}: exists already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others may read it.
    #[error("{}: has mode {mode:04o}; others may read this secret (want 0600: chmod 600)", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a regular file, or larger than any secret of this system.
    #[error("{}: not a regular file of at most {MAX_BYTES} bytes", .0.display())]
    NotASecretFile(PathBuf),
}

impl FileError {
    /// Wraps an I/O error with its path; "already exists" becomes its own case.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Io { path, source },
        }
    }
}

/// Makes a folder (and its parents) with mode 0700; an existing folder stays as it is.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::at(path))
}

/// Writes a new file with mode 0600 and syncs it.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_new(path, bytes, 0o600)
}

/// Writes a new public file (mode 0644) and syncs it.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_new(path, bytes, 0o644)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(FileError::at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::at(path))
}

/// Reads a secret, after checking that only the owner may.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(FileError::at(path))?;
    let metadata = file.metadata().map_err(FileError::at(path))?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(FileError::NotASecretFile(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Mode { path: path.to_owned(), mode });
    }
    // The buffer never grows, so no copy of the secret stays behind in freed memory.
    let capacity = usize::try_from(MAX_BYTES).expect("16 KiB fits");
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(FileError::at(path))?;
    Ok(bytes)
}
