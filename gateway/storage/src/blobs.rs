//! Documents as encrypted files under `home/blobs`, through OpenDAL (a folder now; S3 or WebHDFS are
//! other services of the same operator). Each blob has its own random AES-256-GCM data key, wrapped
//! by the master key. Blobs are immutable: a change is a new blob with a new key.
//!
//! Layout, version 1 (all lengths in bytes):
//!
//! | length | content |
//! | --- | --- |
//! | 6 | `QZBLOB` |
//! | 1 | version = 1 |
//! | 8 | id of the master key |
//! | 12 + 32 + 16 | data key: nonce, ciphertext and tag under the master key; associated data `qz-storage data key v1 ‖ 0x00 ‖ blob key` |
//! | 12 + n + 16 | content: nonce, ciphertext and tag under the data key; associated data `qz-storage blob v1 ‖ 0x00 ‖ blob key ‖` everything above |
//!
//! The blob key is 16 random bytes in hex, chosen here: it says nothing about the content, and as
//! associated data it ties a file to its name. A write is durable and atomic: temporary file, sync,
//! rename (OpenDAL), sync of the folder (here). A crash between putting a blob and committing the row
//! that names it leaves an unreferenced blob, which is harmless.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use opendal::{ErrorKind, Operator, services};
use zeroize::Zeroizing;

use crate::encryption::{
    EncryptionError, KEY_BYTES, KEY_ID_BYTES, KeyEncryption, KeyId, NONCE_BYTES, TAG_BYTES, decrypt, encrypt,
};
use crate::ids::random_bytes;

/// The largest content of a blob: a 50 MB document with its signatures fits.
pub const MAX_BLOB_BYTES: usize = 64 << 20;

const MAGIC: &[u8; 6] = b"QZBLOB";
const VERSION: u8 = 1;
const DATA_KEY_DOMAIN: &[u8] = b"qz-storage data key v1\0";
const CONTENT_DOMAIN: &[u8] = b"qz-storage blob v1\0";
const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const HEADER_BYTES: usize = MAGIC.len() + 1 + KEY_ID_BYTES + WRAPPED_KEY_BYTES;
/// Where unfinished writes live, inside the blobs' folder so that renaming stays on one file system.
const PARTIAL_FOLDER: &str = "partial";

/// Why a blob could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The content is larger than [`MAX_BLOB_BYTES`].
    #[error("a blob of {0} bytes is larger than {MAX_BLOB_BYTES}")]
    TooLarge(usize),
    /// Something names this blob, but the store does not have it: data are lost.
    #[error("blob {0} is missing from the store")]
    Missing(BlobKey),
    /// The file is damaged, cut, or not the one of this name.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The folder could not be made or synced.
    #[error("folder of the blobs {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("blob store: {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: opendal::Error,
    },
}

/// Names a blob: 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    fn random() -> Self {
        Self(hex::encode(random_bytes::<16>()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 256 folders, so that none gets too long.
    fn folder(&self) -> &str {
        &self.0[..2]
    }

    fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.0)
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A text that is not a blob key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a blob key: 32 lower-case hexadecimal digits expected")]
pub struct InvalidBlobKey;

impl FromStr for BlobKey {
    type Err = InvalidBlobKey;
    fn from_str(text: &str) -> Result<Self, InvalidBlobKey> {
        let digits = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(digits) { Ok(Self(text.to_owned())) } else { Err(InvalidBlobKey) }
    }
}

/// The store of blobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobStore {
    operator: Operator,
    root: PathBuf,
    encryption: KeyEncryption,
}

impl BlobStore {
    /// Opens the store in `home/blobs` (made if absent, mode 0700).
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(home: &Path, encryption: KeyEncryption) -> Result<Self, BlobError> {
        let folder_error = |source| BlobError::Folder { path: home.join("blobs"), source };
        let root = home.join("blobs");
        DirBuilder::new().recursive(true).mode(0o700).create(root.join(PARTIAL_FOLDER)).map_err(folder_error)?;
        let root = root.canonicalize().map_err(folder_error)?;
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| folder_error(io::Error::other("the path must be valid UTF-8")))
        };
        let service = services::Fs::default().root(&text(&root)?).atomic_write_dir(&text(&root.join(PARTIAL_FOLDER))?);
        let operator = Operator::new(service).map_err(|source| BlobError::Store { doing: "open", source })?;
        Ok(Self { operator, root, encryption })
    }

    /// Encrypts and stores `content`; when this returns, it is durable.
    ///
    /// # Errors
    /// Too large, or the store failed.
    pub async fn put(&self, content: &[u8]) -> Result<BlobKey, BlobError> {
        if content.len() > MAX_BLOB_BYTES {
            return Err(BlobError::TooLarge(content.len()));
        }
        let key = BlobKey::random();
        let file = {
            let (encryption, key) = (self.encryption.clone(), key.clone());
            let content = content.to_vec();
            off_the_executor(move || encode(&encryption, &key, &content)).await
        };
        self.operator.write(&key.path(), file).await.map_err(|source| BlobError::Store { doing: "write", source })?;
        self.sync_folder(&key).await?;
        Ok(key)
    }

    /// The content of a blob.
    ///
    /// # Errors
    /// [`BlobError::Missing`] if the store does not have it; damage; the store failed.
    pub async fn get(&self, key: &BlobKey) -> Result<Vec<u8>, BlobError> {
        let file = self.operator.read(&key.path()).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound => BlobError::Missing(key.clone()),
            _ => BlobError::Store { doing: "read", source },
        })?;
        let (encryption, key) = (self.encryption.clone(), key.clone());
        off_the_executor(move || decode(&encryption, &key, &file.to_vec())).await.map_err(BlobError::from)
    }

    /// Removes a blob; one that is absent already is fine. Only for blobs that no row names.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.operator.delete(&key.path()).await.map_err(|source| BlobError::Store { doing: "delete", source })
    }

    /// Makes the rename durable, and the folder itself if it is new.
    async fn sync_folder(&self, key: &BlobKey) -> Result<(), BlobError> {
        let folder = self.root.join(key.folder());
        let root = self.root.clone();
        off_the_executor(move || {
            for path in [folder, root] {
                File::open(&path)
                    .and_then(|opened| opened.sync_all())
                    .map_err(|source| BlobError::Folder { path, source })?;
            }
            Ok(())
        })
        .await
    }
}

/// Runs work that takes milliseconds (encrypting 50 MB, syncing) beside the async tasks.
async fn off_the_executor<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic, and the runtime waits for it")
}

fn encode(encryption: &KeyEncryption, key: &BlobKey, content: &[u8]) -> Vec<u8> {
    let data_key = Zeroizing::new(random_bytes::<KEY_BYTES>());
    let mut file = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + content.len() + TAG_BYTES);
    file.extend_from_slice(MAGIC);
    file.push(VERSION);
    file.extend_from_slice(&encryption.key_id().0);
    file.extend_from_slice(&encryption.wrap(&data_key_aad(key), &data_key));
    let message = encrypt(&data_key, &content_aad(key, &file), content);
    file.extend_from_slice(&message);
    file
}

fn decode(encryption: &KeyEncryption, key: &BlobKey, file: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let what = || format!("blob {key}");
    let corrupt = || EncryptionError::Corrupt { what: what() };
    let (header, message) = file.split_at_checked(HEADER_BYTES).ok_or_else(corrupt)?;
    let rest = header.strip_prefix(MAGIC).ok_or_else(corrupt)?;
    let (&version, rest) = rest.split_first().ok_or_else(corrupt)?;
    if version != VERSION {
        return Err(EncryptionError::UnknownVersion { what: what(), version });
    }
    let (key_id, wrapped) = rest.split_first_chunk().ok_or_else(corrupt)?;
    encryption.expect_key(&what(), KeyId(*key_id))?;
    let data_key = encryption.unwrap(&data_key_aad(key), wrapped).ok_or_else(corrupt)?;
    let mut content = decrypt(&data_key, &content_aad(key, header), message).ok_or_else(corrupt)?;
    Ok(std::mem::take(&mut *content))
}

fn data_key_aad(key: &BlobKey) -> Vec<u8> {
    [DATA_KEY_DOMAIN, key.0.as_bytes()].concat()
}

fn content_aad(key: &BlobKey, header: &[u8]) -> Vec<u8> {
    [CONTENT_DOMAIN, key.0.as_bytes(), header].concat()
}
