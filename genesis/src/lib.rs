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

pub mod address;
pub mod ceremony;
pub mod description;
pub mod home;
pub mod keys;
pub mod peer;
pub mod private_file;
pub mod show;
pub mod tls;

pub use home::{Home, HomeError};
pub use keys::{KeyError, Purpose, SecretKey};
pub use tls::TlsIdentity;
