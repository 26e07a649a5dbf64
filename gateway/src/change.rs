//! Everything that one request or job writes, in one transaction: rows, jobs and audit lines.

use crate::app::App;
use crate::error::ServiceError;
use qz_domain::Refusal;
use qz_storage::audit::{self, AuditLine};
use qz_storage::certificates::{self, Certificate};
use qz_storage::contracts::{self, Contract};
use qz_storage::documents::{self, Document};
use qz_storage::keys::{self, PartyKey};
use qz_storage::operations::{self, Operation};
use qz_storage::orders::{self, Order};
use qz_storage::ownership::{self, Owned};
use qz_storage::print_copies::{self, PrintCopy};
use qz_storage::publications::{self, PublicationConsent};
use qz_storage::seal_data::{self, SealData};
use qz_storage::seals::{self, Seal};
use qz_storage::{ContractId, OperationId, SealKeyId, Tx, jobs, seal_keys};
use std::fmt;
use zeroize::Zeroizing;

/// A contract to be reserved for the signature that was prepared on one of its revisions.
#[derive(Debug)]
pub struct Reservation {
    /// The contract.
    pub contract: ContractId,
    /// Version of the row that the signature was prepared from.
    pub row_version: u64,
    /// For which operation.
    pub operation: OperationId,
    /// Until when at most.
    pub until_ms: u64,
}

/// Rows to be written together.
#[derive(Default)]
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
    /// New seal data of GB/T 38540.
    pub seal_data: Vec<SealData>,
    /// New print copies.
    pub print_copies: Vec<PrintCopy>,
    /// A contract to be reserved, if it is still as it was read.
    pub busy: Option<Reservation>,
    /// New orders of signing certificates.
    pub orders: Vec<Order>,
    /// New signing certificates.
    pub certificates: Vec<Certificate>,
    /// Consents of parties to what is public.
    pub publications: Vec<PublicationConsent>,
    /// New jobs: kind, reference, not before.
    pub jobs: Vec<(&'static str, String, u64)>,
    /// Audit lines.
    pub audit: Vec<AuditLine>,
}

/// Private keys are not shown.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("documents", &self.documents)
            .field("contracts", &self.contracts)
            .field("operations", &self.operations)
            .field("keys", &self.keys)
            .field("seal_keys", &self.seal_keys.iter().map(|(id, _)| id).collect::<Vec<_>>())
            .field("seals", &self.seals)
            .field("seal_data", &self.seal_data.iter().map(|data| &data.operation).collect::<Vec<_>>())
            .field("print_copies", &self.print_copies)
            .field("busy", &self.busy)
            .field("orders", &self.orders)
            .field("certificates", &self.certificates)
            .field("publications", &self.publications)
            .field("jobs", &self.jobs)
            .field("audit", &self.audit)
            .finish()
    }
}

/// The contract is no longer the one that a signature was prepared for.
pub fn changed() -> Refusal {
    Refusal::state(
        "contract.changed",
        "合同文件在准备期间已有变化，请重新准备签署",
        "the contract has changed meanwhile; prepare the signature again",
    )
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
        if let Some(Reservation { contract, row_version, operation, until_ms }) = &self.busy {
            contracts::acquire_busy(tx, contract, operation, *until_ms, now_ms).await?;
            if contracts::get(tx, contract).await?.row_version != *row_version {
                return Err(changed().into());
            }
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
        for data in &self.seal_data {
            seal_data::insert(tx, data).await?;
        }
        for copy in &self.print_copies {
            print_copies::insert(tx, copy).await?;
        }
        for order in &self.orders {
            orders::insert(tx, order).await?;
        }
        for certificate in &self.certificates {
            certificates::insert(tx, certificate).await?;
        }
        for consent in &self.publications {
            publications::put(tx, consent).await?;
        }
        for (kind, reference, run_after_ms) in &self.jobs {
            jobs::enqueue(tx, kind, reference, *run_after_ms).await?;
        }
        for line in &self.audit {
            audit::append(tx, line).await?;
        }
        Ok(())
    }

    /// Notes what of this the caller's account brought.
    pub async fn assign(&self, tx: &Tx, account: &str) -> Result<(), ServiceError> {
        for document in &self.documents {
            ownership::put(tx, Owned::Document, document.id.as_str(), account).await?;
        }
        for contract in &self.contracts {
            ownership::put(tx, Owned::Contract, contract.id.as_str(), account).await?;
        }
        for operation in &self.operations {
            ownership::put(tx, Owned::Operation, operation.id.as_str(), account).await?;
        }
        for key in &self.keys {
            ownership::put(tx, Owned::Key, &hex::encode(key.subject), account).await?;
        }
        Ok(())
    }
}
