//! Relaying: a member's signature around a body that others have signed. It gives the submission a
//! carrier, no authority; the rules look at the actors.

use qz_evidence::codec::Bytes;
use qz_evidence::submission::{Actor, Body, Parsed, SubmissionError, SubmissionTag, UnsignedSubmission};
use qz_evidence::{Hash32, OrgId, encode};
use qz_genesis::{Home, HomeError, KeyError, Purpose, SecretKey};
use thiserror::Error;

/// Why a body cannot be relayed.
#[derive(Debug, Error)]
pub enum RelayError {
    /// No node would take it.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// The relay key does not sign (it is in a token).
    #[error("relay key")]
    Key(#[from] KeyError),
}

/// The relay of one organisation.
#[derive(Debug)]
pub struct Relay {
    org: OrgId,
    key: SecretKey,
}

/// A complete submission, ready to be sent, any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedSubmission {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The digest of its body, by which it is asked for.
    pub digest: Hash32,
}

impl Relay {
    /// With the relay key of an organisation's folder.
    pub fn from_home(home: &Home) -> Result<Self, HomeError> {
        Ok(Self { org: home.organisation().id.clone(), key: home.key(Purpose::Relay)? })
    }

    /// The organisation.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// Its public relay key.
    pub fn public_key(&self) -> Hash32 {
        self.key.public()
    }

    /// Wraps a body and its actors' signatures.
    pub fn wrap(&self, body: &Body, actors: Vec<Actor>) -> Result<SignedSubmission, RelayError> {
        self.wrap_encoded(encode(body), actors)
    }

    /// The same for a body's bytes as its actors signed them. Refuses what no node would take: bytes
    /// that are not canonical, too many actors or commitments. Actors' signatures are not checked, since
    /// their keys stand on the chain.
    pub fn wrap_encoded(&self, body: Vec<u8>, actors: Vec<Actor>) -> Result<SignedSubmission, RelayError> {
        let unsigned = UnsignedSubmission {
            tag: SubmissionTag,
            body: Bytes(body),
            actors,
            relay: self.org.clone(),
            relay_key: self.key.public(),
        };
        let signature = self.key.sign(&unsigned.relay_message())?;
        let bytes = encode(&unsigned.signed(signature));
        let digest = Parsed::new(&bytes)?.digest();
        Ok(SignedSubmission { bytes, digest })
    }
}
