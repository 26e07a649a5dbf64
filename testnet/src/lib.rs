//! A whole consortium on one machine: the ceremony, four `qz-node` processes and one `qz-gateway`, and
//! the story that the demo and the tests play on them through public doors only.
//!
//! This is the library of the `qz-testnet` binary and of its own tests. Nothing imports it, no product
//! code lives here, and it knows no secret that a real party in the same place would not hold: clients
//! keep their keys in their own folders, the gateway sees signatures only. Everything is a real process,
//! a real key and a real file; nothing is simulated.

pub mod api;
pub mod binaries;
pub mod catchup;
pub mod ceremony;
pub mod chaos;
pub mod custody;
pub mod doctor;
pub mod folder;
pub mod gateway;
pub mod load;
pub mod member;
pub mod network;
pub mod outside;
pub mod party;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod screen;
pub mod story;
pub mod tamper;
pub mod verifier;

/// Installs the TLS provider of this process; every caller may do it, the first one counts.
pub fn prepare_tls() {
    // An error only says that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
