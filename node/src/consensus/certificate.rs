//! Commit certificates between the engine's form and the one that proofs carry.

use malachitebft_core_types::{CommitCertificate, CommitSignature, Round};
use qz_evidence::Hash32;
use qz_evidence::codec::Bytes;
use qz_evidence::commit;

use super::context::{Address, BlockId, Ctx, Height, Signature};

/// The certificate in the form that proofs carry.
pub(super) fn to_evidence(certificate: &CommitCertificate<Ctx>) -> commit::CommitCertificate {
    let signatures = certificate.commit_signatures.iter().map(|signed| commit::CommitSignature {
        address: Hash32(signed.address.0),
        signature: Bytes(signed.signature.0.to_vec()),
    });
    commit::CommitCertificate::new(
        qz_evidence::Height(certificate.height.0),
        certificate.round.as_u32().unwrap_or(0),
        Hash32(certificate.value_id.0),
        signatures.collect(),
    )
}

/// The certificate in the form that the engine syncs.
pub(super) fn from_evidence(certificate: &commit::CommitCertificate) -> CommitCertificate<Ctx> {
    let signatures = certificate.signatures.iter().filter_map(|signed| {
        let signature: [u8; 64] = signed.signature[..].try_into().ok()?;
        Some(CommitSignature::new(Address(signed.address.0), Signature(signature)))
    });
    CommitCertificate {
        height: Height(certificate.height.0),
        round: Round::new(certificate.round),
        value_id: BlockId(certificate.block_id.0),
        commit_signatures: signatures.collect(),
    }
}
