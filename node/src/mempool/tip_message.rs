//! A node's word on how far its ledger reaches, as it travels in gossip.
//!
//! Gossip messages are unsigned: what is wrong with one is the fault of whoever delivered it, since everybody checks
//! before passing on. A tip, though, counts for its author, so it carries his signature:
//! `height u64 ‖ number u64 ‖ public key 32 ‖ signature 64`, big endian; the signature is the network key's over
//! `"qz/tip/v1" ‖ chain id ‖ height ‖ number`.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, SigningError, ed25519};
use qz_evidence::Hash32;
use qz_evidence::hash::tag;

const KEY: usize = 32;
/// All of it.
const LEN: usize = 8 + 8 + KEY + 64;

/// Makes the message. `number` makes messages of one height different, since equal ones are passed on once.
pub fn encode(key: &Keypair, chain_id: &Hash32, height: u64, number: u64) -> Result<Vec<u8>, SigningError> {
    let signature = key.sign(&signed(chain_id, height, number))?;
    let public = key.public().try_into_ed25519().map(|key| key.to_bytes()).unwrap_or_default();
    Ok([&height.to_be_bytes()[..], &number.to_be_bytes(), &public, &signature].concat())
}

/// Whose word it is, and the height; none if it has another form or its signature does not hold.
pub(super) fn decode(message: &[u8], chain_id: &Hash32) -> Option<(PeerId, u64)> {
    if message.len() != LEN {
        return None;
    }
    let (height, rest) = message.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (public, signature) = rest.split_first_chunk::<KEY>()?;
    let (height, number) = (u64::from_be_bytes(*height), u64::from_be_bytes(*number));
    let public = PublicKey::from(ed25519::PublicKey::try_from_bytes(public).ok()?);
    public.verify(&signed(chain_id, height, number), signature).then(|| (public.to_peer_id(), height))
}

fn signed(chain_id: &Hash32, height: u64, number: u64) -> Vec<u8> {
    [tag::TIP, &chain_id.0, &height.to_be_bytes(), &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_its_author_can_say_it() {
        let chain = Hash32([4; 32]);
        let key = Keypair::generate_ed25519();
        let message = encode(&key, &chain, 7, 1).unwrap();
        assert_eq!(decode(&message, &chain), Some((key.public().to_peer_id(), 7)));
        assert_eq!(decode(&message, &Hash32([5; 32])), None, "of another chain");
        assert_eq!(decode(&message[1..], &chain), None);
        for place in [0, 8, 16, 48, LEN - 1] {
            let mut altered = message.clone();
            altered[place] ^= 1;
            assert_eq!(decode(&altered, &chain), None, "byte {place}");
        }
    }
}
