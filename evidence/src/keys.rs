//! Public keys and signature verification: Ed25519 and ES256.
//!
//! Ed25519 signatures are checked strictly ([`crate::ed25519`]), each with its own equation, everywhere. One combined equation
//! for many, and the lenient equation, accept signatures with torsion components that strict verifiers refuse, which
//! could fork the ledger; [`Signatures`] shares only the way to the results. No private key type lives here.

use crate::codec::Bytes;
use crate::ed25519::{self, Claim, StrictKey};
use crate::known_keys;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use std::fmt;

/// Signature algorithm of an actor's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Ed25519 (RFC 8032), 32-byte key, 64-byte signature.
    #[n(1)]
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), 33-byte compressed key, 64-byte r‖s.
    #[n(2)]
    Es256,
    /// WebAuthn assertion by an ES256 credential; refused by this protocol version's rules.
    #[n(3)]
    WebAuthn,
}

/// A public key with its algorithm.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PublicKey {
    /// The algorithm.
    #[n(0)]
    pub algorithm: Algorithm,
    /// The key's bytes.
    #[n(1)]
    pub bytes: Bytes,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.algorithm, hex::encode(&self.bytes.0))
    }
}

impl PublicKey {
    /// An Ed25519 key.
    pub fn ed25519(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Ed25519, bytes: Bytes(bytes.to_vec()) }
    }

    /// Is this a usable key of its algorithm (a point on the curve, not of small order)?
    pub fn is_well_formed(&self) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => ed25519_key(&self.bytes).is_some(),
            Algorithm::Es256 => {
                self.bytes.len() == 33 && p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.bytes).is_ok()
            }
            Algorithm::WebAuthn => false,
        }
    }

    /// Does `signature` by this key cover `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => match (<[u8; 32]>::try_from(&self.bytes[..]), <[u8; 64]>::try_from(signature)) {
                (Ok(key), Ok(signature)) => verify_ed25519(&key, message, &signature),
                _ => false,
            },
            Algorithm::Es256 => verify_es256(&self.bytes, message, signature),
            Algorithm::WebAuthn => false,
        }
    }
}

fn ed25519_key(bytes: &[u8]) -> Option<StrictKey> {
    StrictKey::from_bytes(&bytes.try_into().ok()?)
}

/// Strict Ed25519 verification: canonical S, no small-order key or R, cofactorless equation.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    known_keys::get(key).is_some_and(|key| key.verify(message, signature))
}

/// Signatures that are verified together: each has its own verdict, the same as alone ([`ed25519::verdicts`]).
#[derive(Debug, Default)]
pub struct Signatures {
    /// Verdicts on those that are not Ed25519.
    others: Vec<bool>,
    /// One for each too.
    claims: Vec<Option<Claim>>,
}

impl Signatures {
    /// Adds one, to be verified as by [`PublicKey::verify`].
    pub fn add(&mut self, key: &PublicKey, message: &[u8], signature: &[u8]) {
        match (key.algorithm, <[u8; 32]>::try_from(&key.bytes[..])) {
            (Algorithm::Ed25519, Ok(key)) => self.add_ed25519(&key, message, signature),
            _ => {
                self.others.push(key.verify(message, signature));
                self.claims.push(None);
            }
        }
    }

    /// Adds one, to be verified as by [`verify_ed25519`].
    pub fn add_ed25519(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8]) {
        let signature = <[u8; 64]>::try_from(signature).ok();
        self.others.push(false);
        self.claims.push(signature.and_then(|signature| known_keys::get(key)?.claim(message, &signature)));
    }

    /// Does each cover its message? In the order in which they were added.
    pub fn verdicts(&self) -> Vec<bool> {
        let hold = ed25519::verdicts(&self.claims);
        self.others.iter().zip(hold).map(|(other, holds)| *other || holds).collect()
    }
}

fn verify_es256(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    if key.len() != 33 {
        return false;
    }
    match (p256::ecdsa::VerifyingKey::from_sec1_bytes(key), p256::ecdsa::Signature::from_slice(signature)) {
        (Ok(key), Ok(signature)) => key.verify(message, &signature).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    /// The order of the base point, little endian (RFC 8032 §5.1).
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    #[test]
    fn signatures_together_have_the_verdicts_of_each_alone() {
        use p256::ecdsa::signature::Signer as _;
        let secret = |n: u8| SigningKey::from_bytes(&[n; 32]);
        let key = |n| PublicKey::ed25519(secret(n).verifying_key().to_bytes());
        let phone = p256::ecdsa::SigningKey::from_slice(&[4; 32]).unwrap();
        let point = phone.verifying_key().to_sec1_point(true).as_bytes().to_vec();
        let es256 = PublicKey { algorithm: Algorithm::Es256, bytes: Bytes(point) };
        let by_phone: p256::ecdsa::Signature = phone.sign(b"message");
        let claims = [
            (key(1), secret(1).sign(b"message").to_vec()),
            (es256.clone(), by_phone.to_vec()),
            (key(1), secret(2).sign(b"message").to_vec()),
            (es256, secret(1).sign(b"message").to_vec()),
            (key(2), secret(2).sign(b"message").to_vec()),
            (key(2), vec![0; 63]),
            (PublicKey { algorithm: Algorithm::Ed25519, bytes: Bytes(vec![1; 31]) }, vec![0; 64]),
            (PublicKey { algorithm: Algorithm::WebAuthn, ..key(1) }, secret(1).sign(b"message").to_vec()),
        ];
        let mut together = Signatures::default();
        for (key, signature) in &claims {
            together.add(key, b"message", signature);
        }
        let alone: Vec<bool> = claims.iter().map(|(key, signature)| key.verify(b"message", signature)).collect();
        assert_eq!(together.verdicts(), alone);
        assert_eq!(alone, [true, true, false, false, true, false, false, false]);
    }

    #[test]
    fn strict_edge_cases_are_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = key.sign(b"message").to_bytes();
        assert!(verify_ed25519(&public, b"message", &signature));
        assert!(!verify_ed25519(&public, b"massage", &signature));

        // S + L satisfies the equation, but is not canonical.
        let mut malleated = signature;
        let mut carry = 0u16;
        for i in 0..32 {
            carry += u16::from(malleated[32 + i]) + u16::from(L[i]);
            malleated[32 + i] = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(!verify_ed25519(&public, b"message", &malleated));

        // The identity as key and R with S = 0 satisfies the cofactorless equation for any message.
        let mut identity = [0u8; 32];
        identity[0] = 1;
        let mut forged = [0u8; 64];
        forged[0] = 1;
        assert!(!verify_ed25519(&identity, b"anything", &forged));
        assert!(!PublicKey::ed25519(identity).is_well_formed());

        // The point of order 2 (y = -1).
        let mut order_two = [0xff; 32];
        order_two[0] = 0xec;
        order_two[31] = 0x7f;
        assert!(!verify_ed25519(&order_two, b"anything", &forged));
        // Small-order R under an honest key.
        let mut small_r = signature;
        small_r[..32].copy_from_slice(&identity);
        assert!(!verify_ed25519(&public, b"message", &small_r));
    }

    #[test]
    fn a_torsion_component_in_the_key_is_refused() {
        use curve25519_dalek::{constants::EIGHT_TORSION, edwards::EdwardsPoint, scalar::Scalar};
        use sha2::{Digest, Sha512};
        let secret = Scalar::from_bytes_mod_order([9; 32]);
        let mixed = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[1]).compress().to_bytes();
        // Sign under the mixed key's bytes with the honest scalar: the cofactored equation holds, the
        // cofactorless one only when the challenge is a multiple of eight.
        let mut refused = 0;
        for n in 0u8..32 {
            let nonce = Scalar::from_bytes_mod_order([n + 1; 32]);
            let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
            let wide: [u8; 64] = Sha512::new().chain_update(r).chain_update(mixed).chain_update([n]).finalize().into();
            let s = nonce + Scalar::from_bytes_mod_order_wide(&wide) * secret;
            let signature: [u8; 64] = [r, s.to_bytes()].concat().try_into().unwrap();
            refused += u32::from(!verify_ed25519(&mixed, &[n], &signature));
        }
        assert!(refused > 16, "only {refused} of 32 were refused");
    }

    #[test]
    fn es256_accepts_its_own_and_refuses_others() {
        use p256::ecdsa::{Signature, SigningKey};
        let key = SigningKey::from_slice(&[3; 32]).unwrap();
        let public = PublicKey {
            algorithm: Algorithm::Es256,
            bytes: Bytes(key.verifying_key().to_sec1_point(true).as_bytes().to_vec()),
        };
        assert!(public.is_well_formed());
        let signature: Signature = p256::ecdsa::signature::Signer::sign(&key, b"message");
        let mut bytes = signature.to_bytes().to_vec();
        assert!(public.verify(b"message", &bytes));
        bytes[63] ^= 1;
        assert!(!public.verify(b"message", &bytes));
    }
}
