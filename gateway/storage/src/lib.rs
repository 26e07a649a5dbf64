//! Durable state of the gateway: rows in SQL (SeaORM over SQLite), documents as encrypted blobs
//! (OpenDAL), the master key that wraps them, and the queue of jobs.
//!
//! One [`Tx`] writes state, audit line and job together, so that a crash leaves either all of a
//! change or nothing of it. One module is one concept with one row struct; reads take
//! `&`[`Storage`] or `&`[`Tx`], writes take `&`[`Tx`].
//!
//! Absent from this crate: the rules (which transition a contract may make is the domain's), the
//! clock (every time is an argument, in milliseconds since 1970 UTC), HTTP, the chain, PDFs.
//! Damage is never read as absence: a row that does not decode, a blob that fails authentication
//! and a blob that a row names but the folder lacks are errors with their key.

mod blobs;
mod database;
mod encryption;
mod error;
mod ids;
mod master_key;
mod migrations;
mod row;
mod text_enum;

pub mod archives;
pub mod audit;
pub mod certificates;
pub mod contracts;
pub mod documents;
pub mod external_signatures;
pub mod idempotency;
pub mod jobs;
pub mod keys;
pub mod ledger_states;
pub mod operations;
pub mod orders;
pub mod ownership;
pub mod print_copies;
pub mod publications;
pub mod retrievals;
pub mod revoked_certificates;
pub mod seal_data;
pub mod seal_keys;
pub mod seal_signatures;
pub mod seals;
pub mod tokens;

pub use blobs::{BlobError, BlobKey, BlobStore, MAX_BLOB_BYTES};
pub use database::{Read, Storage, Tx};
pub use encryption::{EncryptionError, KeyEncryption, KeyId, Sealed};
pub use error::StorageError;
pub use ids::{ContractId, DocumentId, InvalidId, OperationId, SealKeyId, TokenId};
pub use master_key::{MasterKeyError, master_key_path};
pub use text_enum::UnknownText;
