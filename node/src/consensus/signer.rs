//! Signs votes, proposals and validator proofs with the organisation's consensus key, each only
//! after the journal has admitted it. Nothing else in the node signs with it; the
//! key may be in a PKCS#11 token.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use malachitebft_app_channel::Signer;
use malachitebft_core_types::{NilOrVal, Round, SignedMessage, ValidatorProof, VoteExtensionScope, VoteType};
use malachitebft_signing::Error;

use qz_evidence::Hash32;
use qz_genesis::SecretKey;
use qz_store::failpoint;

use super::context::{Ctx, Proposal, PublicKey, Signature, Vote};
use super::journal::{Intent, Journal, JournalError, Kind};
use crate::health::Health;

/// The consensus key behind its journal.
pub(crate) struct GuardedSigner {
    chain_id: Hash32,
    key: Arc<SecretKey>,
    journal: Arc<Mutex<Journal>>,
    health: Health,
}

/// Vote extensions are not part of this chain.
#[derive(Debug, thiserror::Error)]
#[error("vote extensions are not used on this chain")]
struct NoExtensions;

impl GuardedSigner {
    /// A signer for one chain.
    pub(crate) fn new(chain_id: Hash32, key: Arc<SecretKey>, journal: Arc<Mutex<Journal>>, health: Health) -> Self {
        Self { chain_id, key, journal, health }
    }

    /// The public key that belongs to the votes.
    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey(self.key.public().0)
    }

    /// A key in a token can fail to sign. The journal then holds an intent without a signature, which is
    /// safe: the same may be signed again, nothing else.
    fn sign(&self, bytes: &[u8]) -> Result<Signature, Error> {
        match tokio::task::block_in_place(|| self.key.sign(bytes)) {
            Ok(signature) => Ok(Signature(signature)),
            Err(error) => {
                self.health.fail(format!("signer: {error}"));
                Err(Error::from_source(error))
            }
        }
    }

    /// Signs `bytes` once the journal holds the intent on disk. A refusal stops the node: the
    /// engine cannot go on without the signature, and must not.
    fn guarded(
        &self, kind: Kind, height: u64, round: Round, block: Option<[u8; 32]>, bytes: &[u8],
    ) -> Result<Signature, Error> {
        let intent = Intent { kind, height, round: round.as_i64(), block, digest: *blake3::hash(bytes).as_bytes() };
        let admitted: Result<(), JournalError> =
            tokio::task::block_in_place(|| self.journal.lock().unwrap_or_else(PoisonError::into_inner).admit(&intent));
        match admitted {
            Ok(()) => {
                // Crash: the journal holds a vote that nobody has seen; the same one is signed again, or none.
                failpoint::reached("vote.journalled");
                self.sign(bytes)
            }
            Err(error) => {
                self.health.fail(format!("signer: {}", crate::chain_of(&error)));
                Err(Error::from_source(error))
            }
        }
    }
}

#[async_trait]
impl Signer<Ctx> for GuardedSigner {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Ctx, Vote>, Error> {
        let kind = match vote.kind {
            VoteType::Prevote => Kind::Prevote,
            VoteType::Precommit => Kind::Precommit,
        };
        let block = match &vote.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(id) => Some(id.0),
        };
        let bytes = vote.sign_bytes(&self.chain_id);
        let signature = self.guarded(kind, vote.height.0, vote.round, block, &bytes)?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<Ctx, Proposal>, Error> {
        let bytes = proposal.sign_bytes(&self.chain_id);
        let block = Some(proposal.value.id.0);
        let signature = self.guarded(Kind::Proposal, proposal.height.0, proposal.round, block, &bytes)?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self, _scope: VoteExtensionScope<Ctx>, _extension: (),
    ) -> Result<SignedMessage<Ctx, ()>, Error> {
        Err(Error::from_source(NoExtensions))
    }

    async fn sign_validator_proof(&self, public_key: Vec<u8>, peer_id: Vec<u8>) -> Result<ValidatorProof<Ctx>, Error> {
        let bytes = ValidatorProof::<Ctx>::signing_bytes(&public_key, &peer_id);
        let signature = self.sign(&bytes)?;
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }
}
