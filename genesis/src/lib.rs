//! The genesis ceremony: every organisation makes its own keys in its own folder, hands out a public
//! card, and signs the genesis document that is assembled from all cards.
//!
//! The same crate is the library by which a node, a gateway or a test reads such a folder
//! ([`Home`]). Formats and checks of cards and of the genesis itself live in `qz_evidence::genesis`;
//! nothing here decides what a verifier trusts, and nothing here opens a socket.
//!
//! ```text
//! DIR/organisation.json    public description (see `description`)
//! DIR/genesis.qz           the finished genesis document, put here after the ceremony
//! DIR/keys/PURPOSE.key     Ed25519 keys: office, relay, witness; validators also consensus, network
//! DIR/tls/{ca,server,client}.{crt,key}   the organisation's own certificate authority and its leaves
//! ```
//! Private keys are encrypted under a passphrase (`sealed`), or the file says in which PKCS#11 token the
//! key lives (`token`).

pub mod address;
pub mod ceremony;
pub mod client_folder;
pub mod custody;
pub mod description;
pub mod home;
pub mod keys;
pub mod passphrase;
pub mod peer;
pub mod private_file;
pub mod proposal;
pub mod sealed;
pub mod show;
pub mod tls;
pub mod token;
pub mod token_signer;
pub mod vault;

pub use client_folder::{ClientFolder, ClientFolderError};
pub use home::{Custody, Home, HomeError};
pub use keys::{KeyError, Purpose, SecretKey};
pub use tls::TlsIdentity;
