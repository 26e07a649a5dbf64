//! The validator's own keys without anything that would hold them back.

use ed25519_dalek::{Signer, SigningKey};
use malachitebft_app::types::SignedConsensusMsg;
use malachitebft_core_types::{NilOrVal, SignedMessage};
use qz_evidence::commitment::{Commitment, name};
use qz_evidence::genesis::Genesis;
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::{Body, UnsignedSubmission};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, encode, validators};
use qz_genesis::{Home, Purpose};
use qz_node::seam::{Address, BlockId, Ctx, Proposal, Signature, Vote};

/// Signs whatever it is asked to.
pub(crate) struct Hand {
    pub chain_id: Hash32,
    pub address: Address,
    organisation: OrgId,
    consensus: SigningKey,
    relay: SigningKey,
}

impl Hand {
    /// The keys of an organisation's folder.
    pub(crate) fn of(home: &Home, genesis: &Genesis) -> anyhow::Result<Self> {
        let consensus = SigningKey::from_bytes(&*home.key(Purpose::Consensus)?.seed()?);
        let public = Hash32(consensus.verifying_key().to_bytes());
        Ok(Self {
            chain_id: genesis.chain_id(),
            address: Address(validators::address(&public).0),
            organisation: home.organisation().id.clone(),
            consensus,
            relay: SigningKey::from_bytes(&*home.key(Purpose::Relay)?.seed()?),
        })
    }

    /// A signed vote.
    pub(crate) fn vote(&self, vote: Vote) -> SignedConsensusMsg<Ctx> {
        let signature = self.consensus.sign(&vote.sign_bytes(&self.chain_id)).to_bytes();
        SignedConsensusMsg::Vote(SignedMessage::new(vote, Signature(signature)))
    }

    /// The same vote for something else, or for another nothing.
    pub(crate) fn other_vote(&self, vote: &Vote, other: BlockId) -> SignedConsensusMsg<Ctx> {
        let value = match vote.value {
            NilOrVal::Val(id) if id == other => NilOrVal::Nil,
            _ => NilOrVal::Val(other),
        };
        self.vote(Vote { value, ..vote.clone() })
    }

    /// A signed proposal.
    pub(crate) fn proposal(&self, proposal: Proposal) -> SignedConsensusMsg<Ctx> {
        let signature = self.consensus.sign(&proposal.sign_bytes(&self.chain_id)).to_bytes();
        SignedConsensusMsg::Proposal(SignedMessage::new(proposal, Signature(signature)))
    }

    /// A well-formed and well-signed deposit of evidence about a subject; of a subject that does not exist,
    /// the rules refuse it.
    pub(crate) fn deposit(&self, id: [u8; 16], expiry: u64, about: Option<SubjectId>) -> Vec<u8> {
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about });
        let document = Commitment { name: name::DOCUMENT.to_owned(), hash: Hash32(random()) };
        let body = Body::new(self.chain_id, SubmissionId(id), Height(expiry), payload, vec![document], 0);
        let key = self.relay.verifying_key().to_bytes();
        let unsigned = UnsignedSubmission::new(&body, Vec::new(), self.organisation.clone(), key);
        let signature = self.relay.sign(&unsigned.relay_message()).to_bytes();
        encode(&unsigned.signed(signature))
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}
