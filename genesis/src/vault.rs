//! The secret files of one organisation's folder, encrypted or not: reads both, writes what its maker
//! chose. The passphrase is asked for when the first encrypted file is read, not before.

use crate::passphrase::{self, PassphraseError};
use crate::private_file::{self, FileError};
use crate::sealed::{self, NewFiles, Passphrase, SealError, Sealer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a secret file could not be read or written.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The file: absent, unreadable, readable by others, or there already.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is encrypted and there is no passphrase.
    #[error("{}: {source}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// Why there is none.
        source: PassphraseError,
    },
    /// It does not decrypt.
    #[error("{}: {source}", path.display())]
    Seal {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SealError,
    },
}

/// Reads the secret files of a folder.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
    sealer: Arc<OnceLock<Sealer>>,
}

impl Vault {
    /// Of this folder; an encrypted file takes the passphrase from the environment or the terminal.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), sealer: Arc::default() }
    }

    /// Of this folder, with its passphrase.
    pub fn with_passphrase(folder: &Path, passphrase: Passphrase) -> Self {
        Self { folder: folder.to_owned(), sealer: Arc::new(OnceLock::from(Sealer::new(passphrase))) }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The plain bytes of a secret file; `name` is its path within the folder.
    pub fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let path = self.path(name);
        let bytes = private_file::read_secret(&path)?;
        if !sealed::is_sealed(&bytes) {
            return Ok(bytes);
        }
        if self.sealer.get().is_none() {
            let found = passphrase::existing();
            let passphrase = found.map_err(|source| VaultError::Passphrase { path: path.clone(), source })?;
            // Somebody else may have been faster; then both asked for the same one.
            let _ = self.sealer.set(Sealer::new(passphrase));
        }
        let sealer = self.sealer.get().expect("set above");
        sealer.open(name, &bytes).map_err(|source| VaultError::Seal { path, source })
    }

    /// Is this file encrypted?
    pub fn is_sealed(&self, name: &str) -> Result<bool, VaultError> {
        Ok(sealed::is_sealed(&private_file::read_secret(&self.path(name))?))
    }

    /// Writes new secret files, such as the keys of a CA (name within the folder, plain bytes): encrypted when the folder
    /// has a passphrase. Never overwrites.
    pub fn write_new(&self, files: &[(&str, &[u8])]) -> Result<(), VaultError> {
        let writer = self.writer()?;
        files.iter().try_for_each(|(name, plain)| writer.write(name, plain))
    }

    /// Writes new secret files: encrypted when the folder has a passphrase.
    pub(crate) fn writer(&self) -> Result<Writer<'_>, VaultError> {
        let seal = self.sealer.get().map(Sealer::new_files).transpose();
        let sealing = seal.map_err(|source| VaultError::Seal { path: self.folder.clone(), source })?;
        Ok(Writer { folder: &self.folder, sealing })
    }
}

/// Writes secret files into a folder.
pub(crate) struct Writer<'a> {
    folder: &'a Path,
    sealing: Option<NewFiles<'a>>,
}

impl Writer<'_> {
    /// What stands on disk for these plain bytes.
    pub(crate) fn stored(&self, name: &str, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        match &self.sealing {
            None => Ok(Zeroizing::new(plain.to_vec())),
            Some(sealing) => {
                let sealed = sealing.seal(name, plain);
                let path = self.folder.join(name);
                Ok(Zeroizing::new(sealed.map_err(|source| VaultError::Seal { path, source })?))
            }
        }
    }

    /// Writes a new file; never overwrites.
    pub(crate) fn write(&self, name: &str, plain: &[u8]) -> Result<(), VaultError> {
        let stored = self.stored(name, plain)?;
        Ok(private_file::write_secret(&self.folder.join(name), &stored)?)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder
    }
}
