//! The folder of a process that only *reads* the ledger (a public portal): the genesis document and a TLS
//! client identity of its own, issued by the organisation's authority. No key that signs anything for the
//! ledger is in it, and one in which such a key lies is refused.
//!
//! ```text
//! DIR/genesis.qz             the pinned genesis document
//! DIR/tls/client.{crt,key}   shown to the organisation's nodes
//! ```

use crate::home::{Home, HomeError, read_capped};
use crate::keys::{self, Purpose};
use crate::private_file::{self, FileError};
use crate::sealed::Passphrase;
use crate::tls::{self, TlsError, TlsIdentity, TlsPaths};
use crate::vault::{Vault, VaultError};
use qz_evidence::codec::Format;
use qz_evidence::genesis::{Genesis, GenesisDocument, GenesisError};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why such a folder could not be made or used.
#[derive(Debug, Error)]
pub enum ClientFolderError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The secret file.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The genesis document.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The organisation's folder, or a file that is too large.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A secret that a reader must not have.
    #[error("{}: a process that only reads must not have this secret; move it away", .0.display())]
    Secret(PathBuf),
}

/// The folder of a process that only reads.
#[derive(Clone, Debug)]
pub struct ClientFolder {
    path: PathBuf,
    vault: Vault,
}

impl ClientFolder {
    /// Makes one for a process of the organisation of `home`; `role` goes into its certificate's name.
    /// With a passphrase the key is encrypted. Certificates are valid from the day before `today` on.
    pub fn create(
        path: &Path, home: &Home, role: &str, passphrase: Option<Passphrase>, today: jiff::civil::Date,
    ) -> Result<Self, ClientFolderError> {
        let genesis = home.genesis_document()?;
        private_file::make_folder(path)?;
        private_file::make_folder(&path.join("tls"))?;
        let vault = match passphrase {
            Some(passphrase) => Vault::with_passphrase(path, passphrase),
            None => Vault::new(path),
        };
        let folder = Self { path: path.to_owned(), vault };
        folder.refuse_secrets()?;
        let organisation = home.organisation().id.as_str();
        tls::issue_client(home.path(), home.vault(), organisation, role, &folder.vault.writer()?, today)?;
        private_file::write_public(&folder.genesis_path(), genesis.bytes())?;
        Ok(folder)
    }

    /// Opens one. Its key is read when it is needed, with the passphrase from the environment or the
    /// terminal if it is encrypted.
    pub fn open(path: &Path) -> Result<Self, ClientFolderError> {
        let folder = Self { path: path.to_owned(), vault: Vault::new(path) };
        folder.refuse_secrets()?;
        Ok(folder)
    }

    /// The pinned genesis document, with every signature in it verified.
    pub fn genesis(&self) -> Result<Genesis, ClientFolderError> {
        Ok(Genesis::open(&read_capped(&self.genesis_path(), GenesisDocument::MAX_BYTES)?)?)
    }

    /// The identity that is shown to nodes.
    pub fn tls_client(&self) -> Result<TlsIdentity, ClientFolderError> {
        Ok(tls::client(&self.path, &self.vault)?)
    }

    fn genesis_path(&self) -> PathBuf {
        self.path.join("genesis.qz")
    }

    /// Whoever copies a whole organisation's folder here hands its keys to a public web server.
    fn refuse_secrets(&self) -> Result<(), ClientFolderError> {
        let tls = TlsPaths::of(&self.path);
        let mut secrets: Vec<PathBuf> = Purpose::ALL.map(|purpose| keys::path(&self.path, purpose)).into();
        secrets.extend([tls.ca_key, tls.server_key]);
        match secrets.into_iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(ClientFolderError::Secret(path)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::NewOrganisation;
    use qz_evidence::genesis::Role;

    fn home(path: &Path) -> Home {
        let new = NewOrganisation {
            id: qz_evidence::OrgId::new("court").unwrap(),
            name_zh: "法院".into(),
            name_en: "Court".into(),
            roles: vec![Role::Court],
            validator: None,
        };
        Home::create(path, new, jiff::civil::date(2026, 3, 1)).unwrap()
    }

    #[test]
    fn a_folder_with_a_signing_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        home(folder.path());
        let refused = ClientFolder::open(folder.path()).unwrap_err();
        assert!(matches!(refused, ClientFolderError::Secret(_)), "{refused}");
    }

    #[test]
    fn an_organisation_without_a_genesis_cannot_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(&folder.path().join("court"));
        let made = folder.path().join("portal");
        assert!(ClientFolder::create(&made, &home, "portal", None, jiff::civil::date(2026, 3, 1)).is_err());
        assert!(!made.exists(), "nothing is left behind");
    }
}
