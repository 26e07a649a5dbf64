//! Submissions: what an author signs (the *body*), and the envelope in which a member relays it.
//!
//! The author's signature covers the body only, which names no relay, so a party that one member
//! ignores takes the same signed body to any other member. The relay's signature covers body, actors
//! and itself. A relay's signature gives no authority of its own: the rules look at the actors.

use crate::codec::{Bytes, CodecError, Format, decode_strict, encode};
use crate::commitment::{Commitment, is_name};
use crate::format_tag;
use crate::hash::{Hash32, sha256, tag};
use crate::ids::{Height, OrgId, SubjectId, SubmissionId};
use crate::keys::Signatures;
use crate::payload::Payload;
use minicbor::{Decode, Encode};
use thiserror::Error;

format_tag!(
    /// Tag of a body.
    BodyTag = "qz/body/v1"
);
format_tag!(
    /// Tag of a submission.
    SubmissionTag = "qz/submission/v1"
);

/// Most actors of one submission: every party of a contract with the most slots.
pub const MAX_ACTORS: usize = 32;
/// Most commitments of one body.
pub const MAX_COMMITMENTS: usize = 32;
/// Most references of one body.
pub const MAX_REFERENCES: usize = 8;

/// What the actors sign.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Body {
    /// Format tag.
    #[n(0)]
    pub tag: BodyTag,
    /// The ledger this is meant for.
    #[n(1)]
    pub chain_id: Hash32,
    /// The author's number of this submission.
    #[n(2)]
    pub id: SubmissionId,
    /// Last height at which it may be recorded.
    #[n(3)]
    pub expiry: Height,
    /// Kind and clear fields.
    #[n(4)]
    pub payload: Payload,
    /// Salted commitments, names ascending and unique.
    #[n(5)]
    pub commitments: Vec<Commitment>,
    /// Record hashes that this one refers to.
    #[n(6)]
    pub references: Vec<Hash32>,
    /// The author's clock, milliseconds since 1970-01-01T00:00Z. A claim, nothing more.
    #[n(7)]
    pub claimed_time_ms: u64,
}

impl Format for Body {
    const NAME: &'static str = "body";
    const MAX_BYTES: usize = 16 * 1024;
}

impl Body {
    /// A body with its commitments in canonical order.
    pub fn new(
        chain_id: Hash32, id: SubmissionId, expiry: Height, payload: Payload, mut commitments: Vec<Commitment>,
        claimed_time_ms: u64,
    ) -> Self {
        commitments.sort_by(|a, b| a.name.cmp(&b.name));
        Self { tag: BodyTag, chain_id, id, expiry, payload, commitments, references: vec![], claimed_time_ms }
    }

    /// Bytes, digest and what the actors sign.
    pub fn digest(&self) -> Hash32 {
        body_digest(&encode(self))
    }

    /// The commitment of this name, if there is one.
    pub fn commitment(&self, name: &str) -> Option<&Hash32> {
        self.commitments.iter().find(|c| c.name == name).map(|c| &c.hash)
    }

    fn check(&self) -> Result<(), SubmissionError> {
        if self.commitments.len() > MAX_COMMITMENTS {
            return Err(SubmissionError::TooMany { what: "commitments", limit: MAX_COMMITMENTS });
        }
        if self.references.len() > MAX_REFERENCES {
            return Err(SubmissionError::TooMany { what: "references", limit: MAX_REFERENCES });
        }
        if let Some(bad) = self.commitments.iter().find(|c| !is_name(&c.name)) {
            return Err(SubmissionError::CommitmentName(bad.name.chars().take(64).collect()));
        }
        if self.commitments.windows(2).any(|pair| pair[0].name >= pair[1].name) {
            return Err(SubmissionError::CommitmentOrder);
        }
        Ok(())
    }
}

/// Digest of a body's bytes.
pub fn body_digest(body: &[u8]) -> Hash32 {
    sha256(&[tag::BODY, body])
}

/// The message that an actor signs with Ed25519 or ES256. (A WebAuthn challenge is its SHA-256.)
pub fn actor_message(body_digest: &Hash32) -> Vec<u8> {
    [tag::ACTOR, &body_digest.0[..]].concat()
}

/// A signature of a party, signer, seal owner or office over the body.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Actor {
    /// The key subject, or the organisation's subject for an office.
    #[n(0)]
    pub subject: SubjectId,
    /// The signature over [`actor_message`].
    #[n(1)]
    pub signature: Bytes,
}

/// The envelope without the relay's signature: what the relay signs the digest of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnsignedSubmission {
    /// Format tag.
    #[n(0)]
    pub tag: SubmissionTag,
    /// Encoded [`Body`], verbatim.
    #[n(1)]
    pub body: Bytes,
    /// Signatures over the body.
    #[n(2)]
    pub actors: Vec<Actor>,
    /// The member that relays.
    #[n(3)]
    pub relay: OrgId,
    /// Its relay key (Ed25519), as in the genesis or a later governance record.
    #[n(4)]
    pub relay_key: Hash32,
}

impl UnsignedSubmission {
    /// A new envelope.
    pub fn new(body: &Body, actors: Vec<Actor>, relay: OrgId, relay_key: [u8; 32]) -> Self {
        Self { tag: SubmissionTag, body: Bytes(encode(body)), actors, relay, relay_key: Hash32(relay_key) }
    }

    /// The message that the relay signs.
    pub fn relay_message(&self) -> Vec<u8> {
        let Self { tag, body, actors, relay, relay_key } = self;
        Unsigned { tag, body, actors, relay, relay_key }.relay_message()
    }

    /// With the relay's signature.
    pub fn signed(self, signature: [u8; 64]) -> Submission {
        let Self { tag, body, actors, relay, relay_key } = self;
        Submission { tag, body, actors, relay, relay_key, relay_signature: Bytes(signature.to_vec()) }
    }
}

/// What an [`UnsignedSubmission`] says, wherever it stands.
#[derive(Encode)]
#[cbor(map)]
struct Unsigned<'a> {
    #[n(0)]
    tag: &'a SubmissionTag,
    #[n(1)]
    body: &'a Bytes,
    #[n(2)]
    actors: &'a [Actor],
    #[n(3)]
    relay: &'a OrgId,
    #[n(4)]
    relay_key: &'a Hash32,
}

impl Unsigned<'_> {
    fn relay_message(&self) -> Vec<u8> {
        [tag::RELAY, &sha256(&[&encode(self)]).0[..]].concat()
    }
}

/// A submission as it travels and as it stands in a record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Submission {
    /// Format tag.
    #[n(0)]
    pub tag: SubmissionTag,
    /// Encoded [`Body`], verbatim.
    #[n(1)]
    pub body: Bytes,
    /// Signatures over the body.
    #[n(2)]
    pub actors: Vec<Actor>,
    /// The member that relays.
    #[n(3)]
    pub relay: OrgId,
    /// Its relay key (Ed25519).
    #[n(4)]
    pub relay_key: Hash32,
    /// Its signature over [`UnsignedSubmission::relay_message`].
    #[n(5)]
    pub relay_signature: Bytes,
}

impl Format for Submission {
    const NAME: &'static str = "submission";
    const MAX_BYTES: usize = 24 * 1024;
}

/// Why a submission's form was refused, before any rule is looked at.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubmissionError {
    /// Not the canonical bytes of a submission or body.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A list is too long.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A commitment's name has a wrong form.
    #[error("`{0}` is not a commitment name (1-64 of a-z, 0-9, _, .)")]
    CommitmentName(String),
    /// Commitments are not in ascending order of unique names.
    #[error("commitments are not in ascending order of unique names")]
    CommitmentOrder,
    /// The relay's signature does not verify.
    #[error("the relay's signature does not verify")]
    RelaySignature,
}

/// A submission whose form and relay signature have been checked (the relay key's right to relay, and
/// the actors, are the rules' business: they need state).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    submission: Submission,
    body: Body,
    digest: Hash32,
    envelope_digest: Hash32,
}

impl Parsed {
    /// Parses bytes and checks form and relay signature.
    pub fn new(bytes: &[u8]) -> Result<Self, SubmissionError> {
        let parsed = Self::without_relay_check(bytes)?;
        if !parsed.relay_signature_holds() {
            return Err(SubmissionError::RelaySignature);
        }
        Ok(parsed)
    }

    /// Parses bytes and checks form only; for readers that report the signature as a step of its own,
    /// and for execution of bytes whose signature this process has checked before.
    pub fn without_relay_check(bytes: &[u8]) -> Result<Self, SubmissionError> {
        let submission: Submission = decode_strict(bytes)?;
        if submission.actors.len() > MAX_ACTORS {
            return Err(SubmissionError::TooMany { what: "actors", limit: MAX_ACTORS });
        }
        let body: Body = decode_strict(&submission.body)?;
        body.check()?;
        let digest = body_digest(&submission.body);
        Ok(Self { submission, body, digest, envelope_digest: sha256(&[bytes]) })
    }

    /// Does the relay's signature cover this envelope?
    pub fn relay_signature_holds(&self) -> bool {
        let mut signatures = Signatures::default();
        self.claim_relay_signature(&mut signatures);
        signatures.verdicts() == [true]
    }

    /// Adds the relay's signature to those that are verified together.
    pub fn claim_relay_signature(&self, signatures: &mut Signatures) {
        let Submission { tag, body, actors, relay, relay_key, relay_signature } = &self.submission;
        let unsigned = Unsigned { tag, body, actors, relay, relay_key };
        signatures.add_ed25519(&relay_key.0, &unsigned.relay_message(), relay_signature);
    }

    /// The envelope.
    pub fn submission(&self) -> &Submission {
        &self.submission
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body's digest, which is the submission's identity whichever member relays it.
    pub fn digest(&self) -> Hash32 {
        self.digest
    }

    /// SHA-256 of the whole encoded submission, signatures included.
    pub fn envelope_digest(&self) -> Hash32 {
        self.envelope_digest
    }
}
