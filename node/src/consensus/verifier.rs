//! Checks signatures of votes, proposals and validator proofs, always with `verify_strict`: the
//! same acceptance set as the offline verifiers, so that no certificate is valid here and invalid
//! there.

use async_trait::async_trait;
use ed25519_dalek::VerifyingKey;
use malachitebft_app_channel::Verifier;
use malachitebft_core_types::{ValidatorProof, VoteExtensionScope};
use malachitebft_signing::{Error, VerificationResult};

use qz_evidence::Hash32;

use super::context::{Ctx, Proposal, PublicKey, Signature, Vote, exact};

/// Verifies for one chain.
#[derive(Clone, Debug)]
pub(crate) struct StrictVerifier {
    /// Chain id that every signature covers.
    pub chain_id: Hash32,
}

/// Whether `signature` over `message` is valid under RFC 8032 with canonical, full-order keys.
pub(crate) fn is_valid(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).is_ok()
    })
}

#[async_trait]
impl Verifier<Ctx> for StrictVerifier {
    async fn verify_signed_vote(
        &self, vote: &Vote, signature: &Signature, key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        let valid = is_valid(key, &vote.sign_bytes(&self.chain_id), signature);
        Ok(VerificationResult::from_bool(valid))
    }

    async fn verify_signed_proposal(
        &self, proposal: &Proposal, signature: &Signature, key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        let valid = is_valid(key, &proposal.sign_bytes(&self.chain_id), signature);
        Ok(VerificationResult::from_bool(valid))
    }

    async fn verify_signed_vote_extension(
        &self, _scope: &VoteExtensionScope<Ctx>, _extension: &(), _signature: &Signature, _key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(&self, proof: &ValidatorProof<Ctx>) -> Result<VerificationResult, Error> {
        let key = exact(&proof.public_key, "public key").map(PublicKey).map_err(Error::from_source)?;
        let valid = is_valid(&key, &proof.preimage(), &proof.signature);
        Ok(VerificationResult::from_bool(valid))
    }
}
