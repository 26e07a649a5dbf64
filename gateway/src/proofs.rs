//! The proof of a contract: all of its records, the making of its keys and seals, their states, what
//! opens the commitments, and the X.509 certificates; verified here before anybody gets it.

use crate::app::App;
use crate::error::ServiceError;
use crate::ledger::VerifiedBundle;
use crate::operations;
use qz_domain::proven::ProvenRecord;
use qz_evidence::bundle::{Bundle, CertificateEntry};
use qz_evidence::codec::Bytes;
use qz_evidence::payload::{Payload, SlotKind};
use qz_evidence::{Hash32, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::{keys, seals};
use std::collections::BTreeSet;

/// Gathers and verifies the proof of a contract, and of further records that belong to it.
pub async fn of_contract(app: &App, row: &Contract, further: &[Hash32]) -> Result<VerifiedBundle, ServiceError> {
    let subject = row.subject.ok_or_else(|| ServiceError::Damaged("a contract without subject".into()))?;
    let own = app.ledger.records_of(&SubjectId(Hash32(subject))).await?;
    let own_bundle = app.ledger.bundle(own.clone()).await?;
    let mut hashes: BTreeSet<Hash32> = own.into_iter().chain(further.iter().copied()).collect();
    for hash in makings(app, &own_bundle).await? {
        hashes.insert(hash);
    }
    let mut bundle = app.ledger.bundle(hashes.into_iter().collect()).await?;
    open_commitments(app, &mut bundle).await?;
    attach_certificates(app, &mut bundle).await?;
    app.ledger.verified(bundle)
}

/// The same bundle with checkpoint, cosignatures and timestamp, if this gateway is to anchor. Whoever tries
/// again after a temporary error gathers the proof anew: a witness may have seen a later head already.
pub async fn anchored(app: &App, verified: VerifiedBundle) -> Result<VerifiedBundle, ServiceError> {
    if app.anchoring.is_empty() { Ok(verified) } else { app.ledger.anchored(verified, &app.anchoring).await }
}

/// Records that made the keys and seals of this contract.
async fn makings(app: &App, bundle: &Bundle) -> Result<Vec<Hash32>, ServiceError> {
    let (mut key_subjects, mut seal_subjects) = (BTreeSet::new(), BTreeSet::new());
    for entry in &bundle.entries {
        let record = ProvenRecord::open(entry)?;
        key_subjects.extend(record.parsed.submission().actors.iter().map(|actor| actor.subject));
        if let Payload::ContractOpened(fields) = record.payload() {
            key_subjects.insert(fields.initiator);
            for slot in &fields.slots {
                match slot.kind {
                    SlotKind::Key => key_subjects.insert(slot.subject),
                    SlotKind::Seal => seal_subjects.insert(slot.subject),
                };
            }
        }
    }
    for seal in &seal_subjects {
        if let Some(row) = seals::find(&app.storage, &seal.0.0).await? {
            key_subjects.insert(SubjectId(Hash32(row.owner)));
        }
    }
    let mut hashes = vec![];
    for subject in key_subjects.iter().chain(&seal_subjects) {
        hashes.extend(making(app, subject).await?);
    }
    Ok(hashes)
}

/// The first record of a key or seal: from our own operation, else from the ledger.
async fn making(app: &App, subject: &SubjectId) -> Result<Option<Hash32>, ServiceError> {
    let operation = match keys::find(&app.storage, &subject.0.0).await? {
        Some(row) => Some(row.operation),
        None => seals::find(&app.storage, &subject.0.0).await?.map(|row| row.operation),
    };
    if let Some(id) = operation
        && let Some(record) = qz_storage::operations::get(&app.storage, &id).await?.record
    {
        return Ok(Some(Hash32(record.hash)));
    }
    Ok(app.ledger.records_of(subject).await?.first().copied())
}

/// Adds our openings to the entries whose commitments they open.
async fn open_commitments(app: &App, bundle: &mut Bundle) -> Result<(), ServiceError> {
    for entry in &mut bundle.entries {
        let record = ProvenRecord::open(entry)?;
        let digest = record.parsed.digest();
        let Some(operation) = qz_storage::operations::find_by_digest(&app.storage, &digest.0).await? else { continue };
        let body = record.parsed.body();
        entry.openings = operations::openings(app, &operation)?
            .into_iter()
            .filter(|opening| body.commitment(&opening.name) == Some(&opening.commitment().hash))
            .collect();
    }
    Ok(())
}

/// Adds the X.509 certificates of seals (at `seal.made`) and of persons (at their signature).
async fn attach_certificates(app: &App, bundle: &mut Bundle) -> Result<(), ServiceError> {
    let mut certificates = vec![];
    for (index, entry) in bundle.entries.iter().enumerate() {
        let record = ProvenRecord::open(entry)?;
        let binds = match record.payload() {
            Payload::SealMade(_) => true,
            Payload::ContractSigned(fields) => fields.seal.is_none(),
            _ => false,
        };
        if !binds {
            continue;
        }
        let digest = record.parsed.digest();
        let Some(operation) = qz_storage::operations::find_by_digest(&app.storage, &digest.0).await? else { continue };
        let seal = seals::by_operation(&app.storage, &operation.id).await?;
        let chain = std::iter::once(seal.certificate_der).chain(seal.chain).map(Bytes).collect();
        let entry = u32::try_from(index).map_err(|_| ServiceError::Damaged("too many records".into()))?;
        certificates.push(CertificateEntry { entry, chain });
    }
    bundle.certificates = certificates;
    Ok(())
}
