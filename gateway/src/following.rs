//! Follows the ledger for what other members record about our contracts: disputes that a party took to its
//! forum, rulings, retrievals by courts. A record only says that it is time to look: where the contract
//! stands is read from a state proof that is verified here.
//!
//! A crash leaves the cursor behind: some blocks are read again, and each look gives the same again.

use crate::app::App;
use crate::clock::now_ms;
use crate::error::ServiceError;
use crate::{contracts, worker};
use qz_client::{Event, EventsFrom};
use qz_domain::contract::Status;
use qz_evidence::state_proof::Status as LedgerStatus;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::audit::{self, AuditLine};
use qz_storage::jobs::{self, Claim};
use qz_storage::ledger_states::{self, LedgerState};
use qz_storage::{Tx, contracts as contract_rows, operations as rows};
use std::sync::Arc;
use std::time::Duration;

/// Pause after the nodes gave nothing.
const PAUSE: Duration = Duration::from_secs(2);
/// Blocks after which the cursor is written even if they concerned nobody here.
const CURSOR_EVERY: u64 = 100;
/// Kinds that move a contract although no operation of ours settles them.
const MOVING: [&str; 4] = ["contract.disputed", "contract.ruled", "contract.terminated", "contract.voided"];

/// Follows until `stop` resolves.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()>) {
    let work = async {
        while let Err(error) = read(&app).await {
            tracing::warn!(%error, "the ledger is not followed");
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
}

async fn read(app: &App) -> Result<(), ServiceError> {
    let mut written = match ledger_states::read_to(&app.storage).await? {
        Some(height) => height,
        None => begin(app).await?,
    };
    let mut events = app.ledger.client().events(EventsFrom::Height(written + 1));
    loop {
        match events.next().await? {
            Event::Record(event) if !event.own || MOVING.contains(&event.kind.as_str()) => {
                let tx = app.storage.begin().await?;
                let mut concerned = false;
                for touched in &event.subjects {
                    let Some(row) = contract_rows::find_by_subject(&tx, &touched.subject.0.0).await? else { continue };
                    if !look(&tx, &touched.subject, event.height).await? {
                        continue;
                    }
                    concerned = true;
                    let detail = format!("{} {} @ {}.{}", event.kind, event.hash, event.height, event.index);
                    audit::append(&tx, &line("ledger.record", row.id.as_str(), detail)).await?;
                }
                match concerned {
                    true => {
                        // The block's other records are still to come.
                        written = event.height - 1;
                        ledger_states::set_read_to(&tx, written).await?;
                        tx.commit().await?;
                        app.changed();
                    }
                    false => tx.rollback().await?,
                }
            }
            Event::Block(block) if block.height >= written + CURSOR_EVERY => {
                let tx = app.storage.begin().await?;
                ledger_states::set_read_to(&tx, block.height).await?;
                tx.commit().await?;
                written = block.height;
            }
            _ => {}
        }
    }
}

/// The first time: looks at every contract that is on the ledger, and reads on from here.
async fn begin(app: &App) -> Result<u64, ServiceError> {
    let height = app.ledger.status().await?.height;
    let subjects = contract_rows::subjects(&app.storage).await?;
    let tx = app.storage.begin().await?;
    for subject in subjects {
        look(&tx, &SubjectId(Hash32(subject)), height).await?;
    }
    ledger_states::set_read_to(&tx, height).await?;
    tx.commit().await?;
    app.changed();
    Ok(height)
}

/// Has a job look where the contract stands, at this height or later. False if one was to look already.
pub async fn look(tx: &Tx, contract: &SubjectId, height: u64) -> Result<bool, ServiceError> {
    let reference = format!("{contract}:{height}");
    let new = jobs::about(tx, worker::FOLLOW, &reference).await?.is_empty();
    if new {
        jobs::enqueue(tx, worker::FOLLOW, &reference, now_ms()).await?;
    }
    Ok(new)
}

/// The job: notes where a contract stands, and moves our row if others moved the contract.
pub async fn follow(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let reference = &claim.job.ref_id;
    let damaged = || ServiceError::Damaged(format!("reference {reference}"));
    let (subject, height) = reference.split_once(':').ok_or_else(damaged)?;
    let subject = SubjectId(Hash32::from_hex(subject).ok_or_else(damaged)?);
    let height: u64 = height.parse().map_err(|_| damaged())?;
    let found = app.ledger.state_of(&subject).await?;
    if found.head.height.0 < height {
        return Err(ServiceError::NotYet(format!("block {height}")));
    }
    let now = now_ms();
    let tx = app.storage.begin().await?;
    let row = contract_rows::find_by_subject(&tx, &subject.0.0).await?;
    // Its opening is not recorded yet, or it is none of ours.
    if let (Some(mut row), Some(state)) = (row, found.state)
        && let Some(status) = of_ledger(state.status)
    {
        let noted = LedgerState {
            status: status.as_str().to_owned(),
            records: state.records,
            height: found.head.height.0,
            time_ms: found.head.time_ms,
        };
        if ledger_states::put(&tx, &row.id, &noted).await? {
            let before = contracts::domain(&row)?;
            let after = before.clone().follow(status);
            if after.status != before.status {
                let detail = format!("{} -> {} @ {}", before.status.as_str(), after.status.as_str(), noted.height);
                audit::append(&tx, &line("contract.followed", row.id.as_str(), detail)).await?;
                contracts::put(&mut row, &after)?;
                contract_rows::update(&tx, &mut row, now).await?;
                // A ruling gave it back as it was before it was completed.
                if after.status == Status::Signed
                    && let Some(last) = rows::for_contract(&tx, &row.id).await?.last()
                {
                    jobs::enqueue(&tx, worker::COMPLETE, last.id.as_str(), now).await?;
                }
            }
        }
    }
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// A contract's status in our words.
fn of_ledger(status: LedgerStatus) -> Option<Status> {
    Some(match status {
        LedgerStatus::Opened => Status::Opened,
        LedgerStatus::Signing => Status::Signing,
        LedgerStatus::Signed => Status::Signed,
        LedgerStatus::Completed => Status::Completed,
        LedgerStatus::Declined => Status::Declined,
        LedgerStatus::Terminated => Status::Terminated,
        LedgerStatus::Voided => Status::Voided,
        LedgerStatus::Disputed => Status::Disputed,
        _ => return None,
    })
}

fn line(action: &str, contract: &str, detail: String) -> AuditLine {
    AuditLine {
        time_ms: now_ms(),
        actor: "worker".into(),
        ip: None,
        action: action.into(),
        subject: Some(contract.to_owned()),
        detail,
    }
}
