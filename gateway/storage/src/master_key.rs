//! The master key's file: one line `qz-master-key v1 KEY_ID SECRET` (both lower-case hex, 8 and 32
//! bytes), mode 0600 in a folder of mode 0700. The id is recomputed on loading, so a mistyped or
//! damaged key is refused instead of failing on every blob. Losing this file loses every document:
//! it belongs into a backup that is not beside the blobs. PKCS#11 and KMIP stores would stand
//! beside this module.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::encryption::{KEY_BYTES, KeyEncryption, KeyId};
use crate::ids::random_bytes;

const FORMAT: &str = "qz-master-key v1";
/// Longer than any valid file.
const MAX_FILE_BYTES: u64 = 256;

/// Why the master key could not be made or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// There is a master key already; overwriting it would lose everything encrypted under it.
    #[error("{0} exists already and is not overwritten")]
    Exists(PathBuf),
    /// No such file.
    #[error("{0} does not exist: make it with `qz-gateway admin init`, or restore it from the backup")]
    Missing(PathBuf),
    /// Others than the owner may read or write the file.
    #[error("{path} has mode {mode:04o}; it must not be accessible to group or others (chmod 600)")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a master key file, or damaged.
    #[error("{path} is not a valid master key: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content.
        reason: &'static str,
    },
    /// The file system failed.
    #[error("master key {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Where the master key is by convention: `home/keys/master.key`.
#[must_use]
pub fn master_key_path(home: &Path) -> PathBuf {
    home.join("keys").join("master.key")
}

impl KeyEncryption {
    /// Makes a new random master key and writes it durably to `path`; its folder is made if absent.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`] rather than overwriting; or the file system failed.
    pub fn create(path: &Path) -> Result<Self, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;

        let key = Zeroizing::new(random_bytes::<KEY_BYTES>());
        let encryption = Self::from_key(key.clone());
        let secret = Zeroizing::new(hex::encode(key.as_slice()));
        let line = Zeroizing::new(format!("{FORMAT} {} {}\n", encryption.key_id(), *secret));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            match error.kind() {
                ErrorKind::AlreadyExists => MasterKeyError::Exists(path.to_owned()),
                _ => io(error),
            }
        })?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(io)?;
        Ok(encryption)
    }

    /// Loads the master key that [`KeyEncryption::create`] wrote.
    ///
    /// # Errors
    /// If the file is absent, accessible to others, or not a valid key.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let line = read_private(path)?;
        let invalid = |reason| MasterKeyError::Invalid { path: path.to_owned(), reason };
        let (id, secret) = line
            .strip_suffix('\n')
            .unwrap_or(&line)
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix(' '))
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| invalid("expected `qz-master-key v1 KEY_ID SECRET`"))?;
        let id: KeyId = id.parse().map_err(|_| invalid("malformed key id"))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(secret, key.as_mut_slice()).map_err(|_| invalid("malformed secret"))?;
        let encryption = Self::from_key(key);
        if encryption.key_id() != id {
            return Err(invalid("the key does not fit its id; the file is damaged"));
        }
        Ok(encryption)
    }
}

/// Reads the file, refusing one that others may open.
fn read_private(path: &Path) -> Result<Zeroizing<String>, MasterKeyError> {
    let io = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => MasterKeyError::Missing(path.to_owned()),
        _ => MasterKeyError::Io { path: path.to_owned(), source },
    };
    let file = fs::File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::TooOpen { path: path.to_owned(), mode });
    }
    // The capacity is reserved so that growing leaves no unwiped copy behind.
    let mut line = Zeroizing::new(String::with_capacity(2 * MAX_FILE_BYTES as usize));
    file.take(MAX_FILE_BYTES).read_to_string(&mut line).map_err(io)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn created_once_private_and_loads_as_the_same_key() {
        let home = tempfile::tempdir().unwrap();
        let path = master_key_path(home.path());
        let created = KeyEncryption::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = KeyEncryption::load(&path).unwrap();
        assert_eq!(loaded.key_id(), created.key_id());
        assert_eq!(*loaded.open("c", &created.seal("c", b"x")).unwrap(), b"x".to_vec());

        let before = fs::read(&path).unwrap();
        assert!(matches!(KeyEncryption::create(&path), Err(MasterKeyError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn an_absent_open_or_damaged_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = master_key_path(home.path());
        assert!(matches!(KeyEncryption::load(&path), Err(MasterKeyError::Missing(_))));

        KeyEncryption::create(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let last = good.trim_end().chars().last().unwrap();
        let other = if last == '0' { "1" } else { "0" };
        let mistyped = format!("{}{other}\n", &good[..good.len() - 2]);
        for damaged in ["", "qz-master-key v1", &good[..40], &good.replace("v1", "v2"), &mistyped] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(KeyEncryption::load(&path), Err(MasterKeyError::Invalid { .. })), "{damaged:?}");
        }

        fs::write(&path, &good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(KeyEncryption::load(&path), Err(MasterKeyError::TooOpen { mode: 0o640, .. })));
    }
}
