//! Files by which a change of the consortium is agreed on outside the ledger.
//!
//! A *proposal* is an encoded [`Body`] with a `governance.changed` payload, nothing more: exactly the
//! bytes that the offices sign. An [`Approval`] is one office's signature of it. A [`SignedBody`] is the
//! body with everybody's signatures; any member may relay it. Whether a change is allowed is decided by
//! the rules of the ledger, who approves it by the people; neither is decided here.

use crate::codec::{Bytes, CodecError, Format, decode_strict, encode};
use crate::format_tag;
use crate::hash::Hash32;
use crate::ids::OrgId;
use crate::payload::{Change, Payload};
use crate::submission::{Actor, Body, MAX_ACTORS, body_digest};
use minicbor::{Decode, Encode};
use thiserror::Error;

format_tag!(
    /// Tag of an approval.
    ApprovalTag = "qz/approval/v1"
);
format_tag!(
    /// Tag of a signed body.
    SignedBodyTag = "qz/signed-body/v1"
);

/// Why a file of governance was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GovernanceFileError {
    /// Not canonical bytes.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The body does something else.
    #[error("the body is a `{0}`, not a change of the consortium")]
    NotGovernance(&'static str),
    /// More signatures than a submission may carry.
    #[error("{0} signatures; a submission carries at most {MAX_ACTORS}")]
    TooManyActors(usize),
}

/// A proposal: the body's bytes and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    bytes: Vec<u8>,
    body: Body,
    change: Change,
}

impl Proposal {
    /// Decodes the bytes that will be signed.
    pub fn open(bytes: &[u8]) -> Result<Self, GovernanceFileError> {
        let body: Body = decode_strict(bytes)?;
        match &body.payload {
            Payload::GovernanceChanged(fields) => {
                let change = fields.change.clone();
                Ok(Self { bytes: bytes.to_vec(), body, change })
            }
            other => Err(GovernanceFileError::NotGovernance(other.kind().name)),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// What it would change.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// The digest that the offices sign, and by which people tell one proposal from another.
    pub fn digest(&self) -> Hash32 {
        body_digest(&self.bytes)
    }
}

/// One office's signature of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approval {
    /// Format tag.
    #[n(0)]
    pub tag: ApprovalTag,
    /// Digest of the proposal's body.
    #[n(1)]
    pub digest: Hash32,
    /// The organisation whose office signs.
    #[n(2)]
    pub organisation: OrgId,
    /// The signature over [`crate::submission::actor_message`].
    #[n(3)]
    pub signature: Bytes,
}

impl Format for Approval {
    const NAME: &'static str = "approval";
    const MAX_BYTES: usize = 512;
}

/// A body with the signatures of its actors, not relayed yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedBody {
    /// Format tag.
    #[n(0)]
    pub tag: SignedBodyTag,
    /// Encoded [`Body`], verbatim.
    #[n(1)]
    pub body: Bytes,
    /// Signatures over the body, at most [`MAX_ACTORS`].
    #[n(2)]
    pub actors: Vec<Actor>,
}

impl Format for SignedBody {
    const NAME: &'static str = "signed body";
    const MAX_BYTES: usize = 24 * 1024;
}

impl SignedBody {
    /// A body's bytes with its actors' signatures.
    pub fn new(body: Vec<u8>, actors: Vec<Actor>) -> Self {
        Self { tag: SignedBodyTag, body: Bytes(body), actors }
    }

    /// Decodes the file, and the body in it. Signatures are for the ledger to verify: their keys stand there.
    pub fn open(bytes: &[u8]) -> Result<(Self, Body), GovernanceFileError> {
        let signed: Self = decode_strict(bytes)?;
        if signed.actors.len() > MAX_ACTORS {
            return Err(GovernanceFileError::TooManyActors(signed.actors.len()));
        }
        let body = decode_strict(&signed.body)?;
        Ok((signed, body))
    }

    /// Bytes for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ids::{Height, SubjectId, SubmissionId};
    use crate::payload::{ContractRef, GovernanceChanged};

    fn body(payload: Payload) -> Vec<u8> {
        encode(&Body::new(Hash32([1; 32]), SubmissionId([2; 16]), Height(9), payload, vec![], 3))
    }

    fn change() -> Payload {
        Payload::GovernanceChanged(GovernanceChanged { change: Change::Upgrade(2, Height(500)) })
    }

    #[test]
    fn the_files_are_frozen() {
        let organisation = OrgId::new("court").unwrap();
        let approval =
            Approval { tag: ApprovalTag, digest: Hash32([4; 32]), organisation, signature: Bytes(vec![5; 64]) };
        let golden = format!(
            "a4006e{}015820{}0265{}035840{}",
            hex::encode("qz/approval/v1"),
            "04".repeat(32),
            hex::encode("court"),
            "05".repeat(64)
        );
        assert_eq!(hex::encode(encode(&approval)), golden);
        assert_eq!(decode_strict::<Approval>(&encode(&approval)).unwrap(), approval);
        let actor = Actor { subject: SubjectId(Hash32([6; 32])), signature: Bytes(vec![7; 64]) };
        let bytes = body(change());
        let signed = SignedBody::new(bytes.clone(), vec![actor]);
        let golden = format!(
            "a30071{}0158{:02x}{}0281a2005820{}015840{}",
            hex::encode("qz/signed-body/v1"),
            bytes.len(),
            hex::encode(&bytes),
            "06".repeat(32),
            "07".repeat(64)
        );
        assert_eq!(hex::encode(signed.to_bytes()), golden);
        assert_eq!(SignedBody::open(&signed.to_bytes()).unwrap().0, signed);
    }

    #[test]
    fn what_is_no_proposal_or_too_large_is_refused() {
        let other = body(Payload::ContractArchived(ContractRef { contract: SubjectId(Hash32([1; 32])) }));
        assert_eq!(Proposal::open(&other), Err(GovernanceFileError::NotGovernance("contract.archived")));
        assert!(matches!(Proposal::open(&[body(change()), vec![0]].concat()), Err(GovernanceFileError::Codec(_))));
        let actor = Actor { subject: SubjectId(Hash32([6; 32])), signature: Bytes(vec![7; 64]) };
        let many = SignedBody::new(body(change()), vec![actor; MAX_ACTORS + 1]);
        assert_eq!(SignedBody::open(&many.to_bytes()).unwrap_err(), GovernanceFileError::TooManyActors(33));
    }
}
