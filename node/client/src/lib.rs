//! Typed client of the node RPC: what a gateway, a test network or a member's own program calls.
//!
//! It speaks mutual TLS with the organisation's client certificate and accepts of each node only a
//! certificate of *that node's organisation's* authority, as pinned by the genesis. It fails over
//! between nodes when one cannot be reached or is busy, never when one refuses.
//!
//! What it does not do: it does not make an answer true. A node's `final` is that node's word; whoever
//! acts on it (a key service, a certificate issuer) fetches the proof bundle and verifies it with
//! `qz_evidence::verify`. It keeps nothing on disk; outboxes are the caller's.

pub mod anchor;
mod checkpoint;
mod client;
pub mod config;
pub mod error;
pub mod events;
mod history;
mod membership;
pub mod office;
pub mod relay;
mod submit;
mod tls;
mod transport;
pub mod wire;
pub mod witness;

pub use anchor::{
    AnchorError, Anchoring, HttpsRoots, RevocationData, RootsError, TimestampAuthority, TsaError, WitnessEndpoint,
    revocation_data,
};
pub use checkpoint::{Checkpoint, Consistency, EpochHandOver};
pub use client::Client;
pub use config::{ClientConfig, ConfigError, NodeEndpoint};
pub use error::{Attempt, ClientError, Failure};
pub use events::{Event, Events, EventsFrom};
// What a caller that may import only this crate needs to open its organisation's folder.
pub use history::{HistoryFailure, SubjectHistory};
pub use membership::{Membership, MembershipError};
pub use qz_genesis::custody::reseal_files;
pub use qz_genesis::passphrase::{chosen as passphrase_chosen, from_file as passphrase_from_file};
pub use qz_genesis::private_file::{FileError, read_secret};
pub use qz_genesis::sealed::Passphrase;
pub use qz_genesis::token::{TokenError, TokenLocation};
pub use qz_genesis::token_signer::{SignerKind, TokenSigner};
pub use qz_genesis::vault::{Vault, VaultError};
pub use qz_genesis::{ClientFolder, ClientFolderError, Home, HomeError, KeyError};
pub use relay::{Relay, RelayError, SignedSubmission};
pub use wire::{
    BatchResult, Block, Finalised, ProofRequest, RecordAt, Rejection, Status, Subject, SubjectRecord, SubjectRecords,
    SubmissionState,
};
