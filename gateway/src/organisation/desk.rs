//! Reads the ledger from its beginning and keeps what concerns the organisation.

use super::Page;
use qz_client::office::{Concern, Desk};
use qz_client::{Event, EventsFrom};
use qz_evidence::SubjectId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Most records that are kept for the list.
const MAX_RECENT: usize = 500;
/// Pause after the nodes gave nothing.
const PAUSE: Duration = Duration::from_secs(2);

/// What was read so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Disputes that wait for this organisation, by contract.
    pub pending: BTreeMap<SubjectId, Concern>,
    /// What concerns the organisation, newest first.
    pub recent: VecDeque<Concern>,
    /// Read up to this block.
    pub height: u64,
    /// Why nothing more is read at the moment.
    pub trouble: Option<String>,
}

/// Follows the ledger until `stop` resolves.
pub async fn follow(page: Arc<Page>, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = read(&page) => {}
        () = stop => {}
    }
}

async fn read(page: &Page) {
    let chain_id = page.client.genesis().chain_id();
    let mut desk = Desk::new(&chain_id, page.organisation.id.clone(), page.watched.iter().copied());
    let mut events = page.client.events(EventsFrom::Height(1));
    loop {
        let outcome = match events.next().await {
            Ok(Event::Record(event)) => take(page, &mut desk, &event).await,
            Ok(Event::Block(block)) => {
                let mut seen = page.seen.lock().unwrap_or_else(PoisonError::into_inner);
                (seen.height, seen.trouble) = (block.height, None);
                continue;
            }
            Ok(Event::Refused(_)) => continue,
            Err(error) => Err(error.to_string()),
        };
        if let Err(trouble) = outcome {
            tracing::warn!(%trouble, "the ledger is not read");
            page.seen.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(trouble);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Takes one record; asks again until a node has given it, since a record that is left out would be missed.
async fn take(page: &Page, desk: &mut Desk, event: &qz_client::events::RecordEvent) -> Result<(), String> {
    loop {
        match desk.take(&page.client, event).await {
            Ok(None) => return Ok(()),
            Ok(Some(concern)) => {
                let mut seen = page.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.pending.clone_from(desk.pending());
                seen.recent.push_front(concern);
                seen.recent.truncate(MAX_RECENT);
                return Ok(());
            }
            Err(error) if error.is_temporary() => {
                page.seen.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(error.to_string());
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
