//! libp2p identities of validators, derived from their network keys. No swarm here.

use crate::keys::{Purpose, SecretKey};
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use qz_evidence::Hash32;
use thiserror::Error;

/// Why there is no such identity.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PeerError {
    /// The bytes are no Ed25519 public key.
    #[error("{0} is not an Ed25519 public key")]
    PublicKey(Hash32),
    /// A key of another purpose.
    #[error("a {0} key cannot be a network identity; the network key is needed")]
    Purpose(Purpose),
    /// libp2p wants the secret, which a token does not give away.
    #[error("the network key cannot be in a token")]
    InToken,
}

/// The libp2p peer id of a network key.
pub fn peer_id(network_key: &Hash32) -> Result<PeerId, PeerError> {
    let key = ed25519::PublicKey::try_from_bytes(&network_key.0).map_err(|_| PeerError::PublicKey(*network_key))?;
    Ok(PublicKey::from(key).to_peer_id())
}

/// The libp2p key pair of an organisation's own network key.
pub fn keypair(key: &SecretKey) -> Result<Keypair, PeerError> {
    if key.purpose() != Purpose::Network {
        return Err(PeerError::Purpose(key.purpose()));
    }
    // libp2p wipes the seed that it is given.
    let seed = key.seed().map_err(|_| PeerError::InToken)?;
    Ok(Keypair::ed25519_from_bytes(*seed).expect("any 32 bytes are an Ed25519 seed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_evidence::OrgId;

    #[test]
    fn the_peer_id_of_both_halves_is_one() {
        let org = OrgId::new("court").unwrap();
        let key = SecretKey::generate(org.clone(), Purpose::Network).unwrap();
        assert_eq!(keypair(&key).unwrap().public().to_peer_id(), peer_id(&key.public()).unwrap());
        let relay = SecretKey::generate(org, Purpose::Relay).unwrap();
        assert_eq!(keypair(&relay).unwrap_err(), PeerError::Purpose(Purpose::Relay));
        assert!(peer_id(&Hash32([2; 32])).is_err());
    }
}
