//! Everything that one request or job writes, in one transaction: rows, jobs and audit lines.

use crate::app::App;
use crate::error::ServiceError;
use qz_storage::audit::{self, AuditLine};
use qz_storage::certificates::{self, Certificate};
use qz_storage::contracts::{self, Contract};
use qz_storage::documents::{self, Document};
use qz_storage::keys::{self, PartyKey};
use qz_storage::operations::{self, Operation};
use qz_storage::seals::{self, Seal};
use qz_storage::{ContractId, OperationId, SealKeyId, Tx, jobs, seal_keys};
use zeroize::Zeroizing;

/// Rows to be written together.
#[derive(Debug, Default)]
pub struct Change {
    /// New documents; their blobs are stored already.
    pub documents: Vec<Document>,
    /// New contracts.
    pub contracts: Vec<Contract>,
    /// New operations.
    pub operations: Vec<Operation>,
    /// New keys of parties.
    pub keys: Vec<PartyKey>,
    /// New private keys of seals.
    pub seal_keys: Vec<(SealKeyId, Zeroizing<Vec<u8>>)>,
    /// New seals.
    pub seals: Vec<Seal>,
    /// A contract to be reserved for an operation until a time.
    pub busy: Option<(ContractId, OperationId, u64)>,
    /// New signing certificates.
    pub certificates: Vec<Certificate>,
    /// New jobs: kind, reference, not before.
    pub jobs: Vec<(&'static str, String, u64)>,
    /// Audit lines.
    pub audit: Vec<AuditLine>,
}

impl Change {
    /// Writes the rows, those that others refer to first.
    pub async fn write(&self, app: &App, tx: &Tx, now_ms: u64) -> Result<(), ServiceError> {
        for document in &self.documents {
            documents::insert(tx, document).await?;
        }
        for contract in &self.contracts {
            contracts::insert(tx, contract).await?;
        }
        if let Some((contract, operation, until_ms)) = &self.busy {
            contracts::acquire_busy(tx, contract, operation, *until_ms, now_ms).await?;
        }
        for operation in &self.operations {
            operations::insert(tx, operation).await?;
        }
        for key in &self.keys {
            keys::insert(tx, key).await?;
        }
        for (id, pkcs8) in &self.seal_keys {
            seal_keys::insert(tx, &app.encryption, id, pkcs8, now_ms).await?;
        }
        for seal in &self.seals {
            seals::insert(tx, seal).await?;
        }
        for certificate in &self.certificates {
            certificates::insert(tx, certificate).await?;
        }
        for (kind, reference, run_after_ms) in &self.jobs {
            jobs::enqueue(tx, kind, reference, *run_after_ms).await?;
        }
        for line in &self.audit {
            audit::append(tx, line).await?;
        }
        Ok(())
    }
}
