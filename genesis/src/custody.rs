//! Changing how an existing folder's secrets are kept: another passphrase, a backup and its
//! restoration, a successor folder with new keys for a rotation.

use crate::description;
use crate::home::{Custody, Home, HomeError, ceremony_files, make_folders, read_capped, refuse_existing};
use crate::keys::{self, Purpose, SecretKey};
use crate::private_file::{self, FileError};
use crate::sealed::{self, Passphrase, SealError, Sealer};
use crate::tls::{self, TlsPaths};
use crate::vault::{Vault, VaultError, Writer};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const BACKUP_FORMAT: &str = "qz-backup";
const BACKUP_VERSION: u32 = 1;
/// What a backup is called in its authenticated data.
const BACKUP_NAME: &str = "backup";
/// Largest backup that is read.
const MAX_BACKUP_BYTES: usize = 32 * 1024 * 1024;

/// Why a folder's custody could not be changed.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// The folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Not a backup of this program.
    #[error("{}: not a backup of this program", .0.display())]
    NotABackup(PathBuf),
    /// It does not decrypt.
    #[error("{}: {source}", path.display())]
    Seal {
        /// The backup.
        path: PathBuf,
        /// Why not.
        source: SealError,
    },
    /// A backup names a file that no folder has.
    #[error("the backup holds `{0}`, which is no file of an organisation's folder")]
    StrangeFile(String),
    /// A key in a token is rotated in the token, not by copying.
    #[error("nothing to rotate: name at least one key, or tls")]
    NothingToRotate,
    /// The organisation runs no validator.
    #[error("organisation {0} runs no validator and so has no such key")]
    NoValidator(String),
}

macro_rules! from_home {
    ($($error:ty),*) => { $(impl From<$error> for CustodyError {
        fn from(error: $error) -> Self { Self::Home(error.into()) }
    })* };
}
from_home!(FileError, VaultError, keys::KeyError, tls::TlsError, description::DescriptionError);

/// Names of the secret files that stand in a folder.
fn secret_files(vault: &Vault) -> Vec<String> {
    let names = Purpose::ALL.map(keys::name).into_iter().chain(tls::KEY_NAMES.map(str::to_owned));
    names.filter(|name| vault.path(name).exists()).collect()
}

/// Encrypts every secret file under a new passphrase, or under none. May be repeated after a crash in
/// the middle: files that the new passphrase already opens are left alone. Gives the files changed.
pub fn reseal(home: &Home, new: Option<Passphrase>) -> Result<Vec<String>, CustodyError> {
    Ok(reseal_files(home.vault(), &secret_files(home.vault()), new)?)
}

/// The same for these files of any folder.
pub fn reseal_files(vault: &Vault, names: &[String], new: Option<Passphrase>) -> Result<Vec<String>, VaultError> {
    let target = match &new {
        Some(passphrase) => Vault::with_passphrase(vault.folder(), passphrase.clone()),
        None => Vault::new(vault.folder()),
    };
    let writer = target.writer()?;
    let mut changed = vec![];
    for name in names {
        let sealed = vault.is_sealed(name)?;
        let done = if sealed { new.is_some() && target.read(name).is_ok() } else { new.is_none() };
        if done {
            continue;
        }
        let plain = vault.read(name)?;
        replace(&vault.path(name), &writer.stored(name, &plain)?)?;
        changed.push(name.clone());
    }
    Ok(changed)
}

/// Puts new bytes in a file's place, so that a crash leaves the old or the new.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(FileError::at(&fresh)(error)),
        _ => {}
    }
    private_file::write_secret(&fresh, bytes)?;
    std::fs::rename(&fresh, path).map_err(FileError::at(path))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::at(folder))
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct BackupFile {
    name: String,
    bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    format: String,
    version: u32,
    files: Vec<BackupFile>,
}

/// Public files of a folder that a backup holds, if they are there.
fn public_files(home: &Path) -> Vec<PathBuf> {
    let TlsPaths { ca_certificate, server_certificate, client_certificate, .. } = TlsPaths::of(home);
    let rest = ["organisation.json", "genesis.qz", "node.json"].map(|name| home.join(name));
    [ca_certificate, server_certificate, client_certificate].into_iter().chain(rest).collect()
}

/// Everything that makes this organisation, encrypted under the backup's own passphrase. The ledger and
/// the signing journal are not in it: a restored validator listens before it votes.
pub fn backup(home: &Home, passphrase: Passphrase, to: &Path) -> Result<usize, CustodyError> {
    let mut files = vec![];
    for name in secret_files(home.vault()) {
        files.push(BackupFile { bytes: hex::encode(home.vault().read(&name)?), name });
    }
    for path in public_files(home.path()).into_iter().filter(|path| path.exists()) {
        let name = path.strip_prefix(home.path()).expect("made by joining").display().to_string();
        files.push(BackupFile { name, bytes: hex::encode(read_capped(&path, MAX_BACKUP_BYTES / 8)?) });
    }
    let count = files.len();
    let backup = Backup { format: BACKUP_FORMAT.to_owned(), version: BACKUP_VERSION, files };
    let plain = Zeroizing::new(serde_json::to_vec(&backup).expect("strings and numbers are representable in JSON"));
    let at = |source| CustodyError::Seal { path: to.to_owned(), source };
    let sealer = Sealer::new(passphrase);
    let sealed = sealer.new_files().and_then(|files| files.seal(BACKUP_NAME, &plain)).map_err(at)?;
    private_file::write_secret(to, &sealed)?;
    Ok(count)
}

/// Makes a folder of a backup, its secrets encrypted under `custody` (or not), and checks that every key
/// is the one that the description names. Never overwrites.
pub fn restore(
    from: &Path, backup_passphrase: Passphrase, to: &Path, passphrase: Option<Passphrase>,
) -> Result<Home, CustodyError> {
    let bytes = read_capped(from, MAX_BACKUP_BYTES)?;
    if !sealed::is_sealed(&bytes) {
        return Err(CustodyError::NotABackup(from.to_owned()));
    }
    let opened = Sealer::new(backup_passphrase).open(BACKUP_NAME, &bytes);
    let plain = opened.map_err(|source| CustodyError::Seal { path: from.to_owned(), source })?;
    let not_a_backup = || CustodyError::NotABackup(from.to_owned());
    let backup: Backup = serde_json::from_slice(&plain).map_err(|_| not_a_backup())?;
    if backup.format != BACKUP_FORMAT || backup.version != BACKUP_VERSION {
        return Err(not_a_backup());
    }
    refuse_existing(to)?;
    write_restored(&backup, to, passphrase).inspect_err(|_| {
        // Nothing stood there before.
        for file in ceremony_files(to).into_iter().chain(public_files(to)) {
            let _ = std::fs::remove_file(file);
        }
    })
}

fn write_restored(backup: &Backup, to: &Path, passphrase: Option<Passphrase>) -> Result<Home, CustodyError> {
    make_folders(to)?;
    let vault = match passphrase {
        Some(passphrase) => Vault::with_passphrase(to, passphrase),
        None => Vault::new(to),
    };
    let writer = vault.writer()?;
    let secret: Vec<String> =
        Purpose::ALL.map(keys::name).into_iter().chain(tls::KEY_NAMES.map(str::to_owned)).collect();
    let public = public_files(to);
    for file in &backup.files {
        let strange = || CustodyError::StrangeFile(file.name.clone());
        let bytes = Zeroizing::new(hex::decode(&file.bytes).map_err(|_| strange())?);
        if secret.contains(&file.name) {
            writer.write(&file.name, &bytes)?;
        } else if public.contains(&to.join(&file.name)) {
            private_file::write_public(&to.join(&file.name), &bytes)?;
        } else {
            return Err(strange());
        }
    }
    let home = Home::open_vault(to, vault)?;
    home.card()?;
    home.tls_server()?;
    home.tls_client()?;
    Ok(home)
}

/// What a rotation replaces.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// These keys.
    pub keys: Vec<Purpose>,
    /// The TLS authority and its leaves.
    pub tls: bool,
}

/// A successor folder: the same organisation with new keys in some places, to be brought into force by
/// governance (`put-organisation` with its card) and then moved into the old one's place.
pub fn rotate(
    home: &Home, to: &Path, rotation: &Rotation, today: jiff::civil::Date, custody: Custody,
) -> Result<Home, CustodyError> {
    if rotation.keys.is_empty() && !rotation.tls {
        return Err(CustodyError::NothingToRotate);
    }
    refuse_existing(to)?;
    write_rotated(home, to, rotation, today, custody).inspect_err(|_| {
        for file in ceremony_files(to).into_iter().chain(public_files(to)) {
            let _ = std::fs::remove_file(file);
        }
    })
}

fn write_rotated(
    home: &Home, to: &Path, rotation: &Rotation, today: jiff::civil::Date, custody: Custody,
) -> Result<Home, CustodyError> {
    make_folders(to)?;
    let vault = match custody.passphrase {
        Some(passphrase) => Vault::with_passphrase(to, passphrase),
        None => Vault::new(to),
    };
    let writer = vault.writer()?;
    let mut organisation = home.organisation().clone();
    let no_validator = || CustodyError::NoValidator(home.organisation().id.to_string());
    for purpose in &rotation.keys {
        let key = match custody.tokens.get(purpose) {
            Some(token) => SecretKey::generate_in_token(organisation.id.clone(), *purpose, token.clone())?,
            None => SecretKey::generate(organisation.id.clone(), *purpose)?,
        };
        key.save(&writer)?;
        let place = match purpose {
            Purpose::Office => &mut organisation.office_key,
            Purpose::Relay => &mut organisation.relay_key,
            Purpose::Witness => &mut organisation.witness_key,
            Purpose::Consensus => &mut organisation.validator.as_mut().ok_or_else(no_validator)?.consensus_key,
            Purpose::Network => &mut organisation.validator.as_mut().ok_or_else(no_validator)?.network_key,
        };
        *place = key.public();
    }
    if rotation.tls {
        let url = organisation.validator.as_ref().map(|validator| validator.rpc_url.as_str());
        let rpc = url.map(crate::address::rpc_url).transpose().map_err(HomeError::from)?;
        tls::create(&writer, organisation.id.as_str(), rpc.as_ref().map(|r| r.host.as_str()), today)?;
        organisation.tls_ca = qz_evidence::codec::Bytes(tls::ca_der(to)?);
    }
    copy_kept(home, &writer, to)?;
    description::write(to, &organisation)?;
    let successor = Home::open_vault(to, vault)?;
    successor.card()?;
    Ok(successor)
}

/// Copies what the rotation did not make anew.
fn copy_kept(home: &Home, writer: &Writer<'_>, to: &Path) -> Result<(), CustodyError> {
    for name in secret_files(home.vault()) {
        if !to.join(&name).exists() {
            writer.write(&name, &home.vault().read(&name)?)?;
        }
    }
    let description = description::path(home.path());
    for path in public_files(home.path()).into_iter().filter(|path| path.exists() && *path != description) {
        let copy = to.join(path.strip_prefix(home.path()).expect("made by joining"));
        if !copy.exists() {
            private_file::write_public(&copy, &read_capped(&path, MAX_BACKUP_BYTES / 8)?)?;
        }
    }
    Ok(())
}
