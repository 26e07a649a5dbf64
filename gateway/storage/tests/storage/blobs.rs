//! Blobs: what is put comes back; what was changed, swapped, cut or lost is refused by name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use qz_storage::{BlobError, BlobKey, BlobStore, EncryptionError, KeyEncryption, MAX_BLOB_BYTES, StorageError};

use crate::fixtures::Home;

fn file_of(home: &Home, key: &BlobKey) -> PathBuf {
    home.path().join("blobs").join(&key.as_str()[..2]).join(key.as_str())
}

#[tokio::test]
async fn blobs_come_back_and_are_unreadable_on_disk() {
    let home = Home::new().await;
    let content = b"%PDF-1.7 UNIQUE-PLAINTEXT-MARKER".to_vec();
    let key = home.blobs.put(&content).await.unwrap();
    let twin = home.blobs.put(&content).await.unwrap();
    assert_ne!(key, twin);
    assert_eq!(home.blobs.get(&key).await.unwrap(), content);
    let empty = home.blobs.put(b"").await.unwrap();
    assert_eq!(home.blobs.get(&empty).await.unwrap(), b"");

    let stored = fs::read(file_of(&home, &key)).unwrap();
    assert!(!stored.windows(23).any(|part| part == b"UNIQUE-PLAINTEXT-MARKER"));
    assert_ne!(stored, fs::read(file_of(&home, &twin)).unwrap());
    let mode = fs::metadata(home.path().join("blobs")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let leftovers = fs::read_dir(home.path().join("blobs/partial")).unwrap().count();
    assert_eq!(leftovers, 0);
}

#[tokio::test]
async fn the_layout_is_the_documented_one() {
    let home = Home::new().await;
    let key = home.blobs.put(b"four").await.unwrap();
    let stored = fs::read(file_of(&home, &key)).unwrap();
    assert_eq!(&stored[..7], b"QZBLOB\x01");
    assert_eq!(hex::encode(&stored[7..15]), home.encryption.key_id().to_string());
    assert_eq!(stored.len(), 6 + 1 + 8 + (12 + 32 + 16) + (12 + 4 + 16));
}

#[tokio::test]
async fn every_flipped_byte_is_refused() {
    let home = Home::new().await;
    let key = home.blobs.put(b"content").await.unwrap();
    let path = file_of(&home, &key);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        fs::write(&path, &bad).unwrap();
        match (at, home.blobs.get(&key).await) {
            (6, Err(BlobError::Encryption(EncryptionError::UnknownVersion { version: 0, .. })))
            | (7..15, Err(BlobError::Encryption(EncryptionError::WrongMasterKey { .. })))
            | (0..6 | 15.., Err(BlobError::Encryption(EncryptionError::Corrupt { .. }))) => {}
            (_, other) => panic!("byte {at}: {other:?}"),
        }
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(home.blobs.get(&key).await.unwrap(), b"content");
}

#[tokio::test]
async fn cut_appended_and_swapped_files_are_refused() {
    let home = Home::new().await;
    let key = home.blobs.put(b"content").await.unwrap();
    let path = file_of(&home, &key);
    let good = fs::read(&path).unwrap();
    let other = home.blobs.put(b"content").await.unwrap();
    let swapped = fs::read(file_of(&home, &other)).unwrap();
    let appended = [good.as_slice(), b"x"].concat();
    for bad in [&good[..0], &good[..40], &good[..good.len() - 1], &appended, &swapped] {
        fs::write(&path, bad).unwrap();
        assert!(matches!(home.blobs.get(&key).await, Err(BlobError::Encryption(EncryptionError::Corrupt { .. }))));
    }
}

#[tokio::test]
async fn another_master_key_is_refused_by_blobs_and_database() {
    let home = Home::new().await;
    let key = home.blobs.put(b"content").await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = KeyEncryption::create(&elsewhere.path().join("master.key")).unwrap();
    let store = BlobStore::open(home.path(), other.clone()).unwrap();
    assert!(matches!(store.get(&key).await, Err(BlobError::Encryption(EncryptionError::WrongMasterKey { .. }))));
    assert!(matches!(home.storage.bind_key(&other).await, Err(StorageError::WrongMasterKey { .. })));
    home.storage.bind_key(&home.encryption).await.unwrap();
}

#[tokio::test]
async fn a_lost_blob_is_an_error_and_a_large_one_too() {
    let home = Home::new().await;
    let key = home.blobs.put(b"content").await.unwrap();
    home.blobs.delete(&key).await.unwrap();
    home.blobs.delete(&key).await.unwrap();
    assert!(matches!(home.blobs.get(&key).await, Err(BlobError::Missing(missing)) if missing == key));

    let large = vec![7; MAX_BLOB_BYTES + 1];
    assert!(matches!(home.blobs.put(&large).await, Err(BlobError::TooLarge(_))));
    let largest = home.blobs.put(&large[1..]).await.unwrap();
    assert_eq!(home.blobs.get(&largest).await.unwrap(), &large[1..]);
}

#[test]
fn a_blob_key_cannot_be_a_path() {
    for text in ["", "../../etc/passwd", "ab/cdef", "ABCDEF0123456789ABCDEF0123456789"] {
        assert!(text.parse::<BlobKey>().is_err(), "{text:?}");
    }
    assert!("abcdef0123456789abcdef0123456789".parse::<BlobKey>().is_ok());
}
