//! `GET /v1/events`: what becomes final, as server-sent events, without a gap.
//!
//! The ledger itself is the queue. A stream holds a position and reads blocks from the store as they are
//! committed, so a client may come back after any pause and go on where it stopped, at this node or
//! another one. Per client only a small buffer is kept: who does not empty it is told where it stopped
//! and disconnected.
//!
//! | event | id | data |
//! | --- | --- | --- |
//! | `start` | the last event before this stream | `{"height"}` |
//! | `record` | `HEIGHT.INDEX` | `{"height","index","hash","digest","kind","relay","own","subjects":[{"subject","seq"}],"time_ms"}` |
//! | `block`, after its records | `HEIGHT` | `{"height","header_hash","epoch","records","time_ms"}` |
//! | `refused`, of own submissions, live only | none | `{"digest","error"}` |
//! | `end` | none | `{"reason","message_zh","message_en","resume"}`; the connection closes |
//!
//! Comments (`:height N`) break silence.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use qz_evidence::submission::Parsed;
use qz_evidence::{EventId, OrgId, header};
use qz_store::StoredRecord;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use warp::reply::{Reply, Response};
use warp::sse::Event;

use super::Api;
use super::answer::{Problem, settle};
use crate::ledger::LedgerError;
use crate::mempool::Refused;

/// A node that is behind or alone for so long sends its listeners to another one.
const STALE_PATIENCE: Duration = Duration::from_secs(10);

/// The next event of a stream: a record of a block, or the block when all its records are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    height: u64,
    index: u32,
}

impl Position {
    /// What follows the event of this id.
    fn after(id: EventId) -> Self {
        match id.index {
            Some(index) => Self { height: id.height, index: index.saturating_add(1) },
            None => Self { height: id.height.saturating_add(1), index: 0 },
        }
    }
}

/// How many streams each organisation has open.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<OrgId, usize>>);

/// One open stream, until it is dropped.
struct Open {
    streams: Arc<Streams>,
    organisation: OrgId,
    ended: Option<&'static str>,
}

impl Streams {
    fn open(self: &Arc<Self>, organisation: &OrgId, limit: usize) -> Option<Open> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(organisation.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        crate::metrics::get().stream_begins();
        Some(Open { streams: self.clone(), organisation: organisation.clone(), ended: None })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut counts = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.organisation) {
            *count -= 1;
        }
        crate::metrics::get().stream_ends(self.ended);
    }
}

/// Why this node ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Slow,
    Stopping,
    Stale,
    Failed,
}

impl End {
    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Slow => {
                ("slow", "客户端接收过慢；请从断点继续", "the client reads too slowly: resume from where it stopped")
            }
            Self::Stopping => ("stopping", "节点正在停止；请改用其他节点", "this node is stopping: use another one"),
            Self::Stale => (
                "stale",
                "节点落后或与多数节点失去连接；请改用其他节点",
                "this node is behind or cut off: use another one",
            ),
            Self::Failed => ("failed", "节点内部错误；请改用其他节点", "this node failed: use another one"),
        }
    }

    fn event(self, resume: Option<EventId>) -> Event {
        let (reason, zh, en) = self.texts();
        let resume = resume.map(|id| id.to_string());
        let data = json!({ "reason": reason, "message_zh": zh, "message_en": en, "resume": resume });
        Event::default().event("end").data(data.to_string())
    }
}

/// `GET /v1/events?from_height=H`, or with `Last-Event-ID`.
pub(super) fn stream(api: Api, caller: OrgId, from_height: Option<u64>, last: Option<String>) -> Response {
    settle(try_stream(api, caller, from_height, last))
}

fn try_stream(api: Api, caller: OrgId, from_height: Option<u64>, last: Option<String>) -> Result<Response, Problem> {
    api.ledger.whole()?;
    let standing = api.standing();
    let head = EventId { height: standing.height, index: None };
    let before = match (last, from_height) {
        (Some(last), _) => {
            Some(last.parse().map_err(|_| Problem::malformed("Last-Event-ID is HEIGHT or HEIGHT.INDEX"))?)
        }
        (None, Some(from)) => from.checked_sub(1).map(|height| EventId { height, index: None }),
        (None, None) => Some(head),
    };
    let position = before.map_or(Position { height: 0, index: 0 }, Position::after);
    if position.height > Position::after(head).height || standing.is_syncing {
        return Err(Problem::new(
            503,
            "node.behind",
            "本节点正在追赶区块，请稍后重试或改用其他节点",
            "this node is catching up: try again later, or another node",
        ));
    }
    let limits = api.limits;
    let open = api.streams.open(&caller, limits.streams_per_organisation).ok_or_else(|| {
        crate::metrics::get().refused("streams");
        Problem::new(429, "node.streams", "贵机构打开的事件流过多", "your organisation has too many event streams open")
    })?;

    let (sender, mut receiver) = mpsc::channel(limits.stream_buffer);
    let last_words = Arc::new(OnceLock::new());
    let feeder = Feeder { api, caller, position, sent: before, sender, open };
    tokio::spawn(feeder.run(last_words.clone()));
    let mut over = false;
    let events = futures::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|event| match event {
            Some(event) => Some(Ok::<Event, Infallible>(event)),
            None if over => None,
            None => {
                over = true;
                last_words.get().map(|(end, resume): &(End, Option<EventId>)| Ok(end.event(*resume)))
            }
        })
    });
    Ok(warp::sse::reply(events).into_response())
}

/// Reads the ledger for one client.
struct Feeder {
    api: Api,
    caller: OrgId,
    position: Position,
    /// The last event that is in the client's buffer.
    sent: Option<EventId>,
    sender: mpsc::Sender<Event>,
    open: Open,
}

/// The client is gone, or the stream ends with a word.
type Over = Option<End>;

impl Feeder {
    async fn run(mut self, last_words: Arc<OnceLock<(End, Option<EventId>)>>) {
        let over = self.feed().await;
        if let Some(end) = over {
            self.open.ended = Some(end.texts().0);
            tracing::debug!(organisation = %self.caller, reason = end.texts().0, "event stream ended");
            // Set before the sender is dropped, which is what the reader waits for.
            let _ = last_words.set((end, self.sent));
        }
    }

    async fn feed(&mut self) -> Over {
        let mut heads = self.api.tips.own();
        let mut refused = self.api.mempool.refused();
        let mut closing = self.api.closing.clone();
        let mut heartbeat = tokio::time::interval(self.api.limits.stream_heartbeat);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut stale_since: Option<Instant> = None;
        let start = Event::default().event("start").data(json!({ "height": self.head() }).to_string());
        let start = match self.sent {
            Some(id) => start.id(id.to_string()),
            None => start,
        };
        if let Err(over) = self.send(start).await {
            return over;
        }
        loop {
            if let Err(over) = self.catch_up().await {
                return over;
            }
            tokio::select! {
                changed = heads.changed() => if changed.is_err() {
                    return Some(End::Stopping);
                },
                refusal = refused.recv() => match refusal {
                    Ok(refusal) => if let Err(over) = self.refused(&refusal).await {
                        return over;
                    },
                    // Too many at once: `GET /v1/submissions/{digest}` still tells them.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Some(End::Stopping),
                },
                _ = heartbeat.tick() => {
                    let standing = self.api.standing();
                    let is_stale = standing.is_syncing || standing.peers < standing.needed;
                    stale_since = is_stale.then(|| stale_since.unwrap_or_else(Instant::now));
                    if stale_since.is_some_and(|since| since.elapsed() >= STALE_PATIENCE) {
                        return Some(End::Stale);
                    }
                    if let Err(over) = self.send(Event::default().comment(format!("height {}", standing.height))).await {
                        return over;
                    }
                }
                () = async { drop(closing.wait_for(|closing| *closing).await) } => return Some(End::Stopping),
                () = self.sender.closed() => return None,
            }
        }
    }

    fn head(&self) -> u64 {
        self.api.ledger.head().height
    }

    /// Sends everything that is final and not yet sent.
    async fn catch_up(&mut self) -> Result<(), Over> {
        while self.position.height <= self.head() {
            let height = self.position.height;
            let block = tokio::task::block_in_place(|| Block::read(&self.api, height));
            let block = block.map_err(|error| {
                tracing::error!(error = %crate::chain_of(&error), height, "event stream failed");
                Some(End::Failed)
            })?;
            for record in block.records.iter().skip(usize::try_from(self.position.index).unwrap_or(usize::MAX)) {
                let data = block.record(record, &self.caller).map_err(|error| {
                    tracing::error!(error = %crate::chain_of(&error), height, "event stream failed");
                    Some(End::Failed)
                })?;
                self.final_event("record", EventId { height, index: Some(record.index) }, &data).await?;
            }
            self.final_event("block", EventId { height, index: None }, &block.data).await?;
        }
        Ok(())
    }

    async fn final_event(&mut self, name: &str, id: EventId, data: &Value) -> Result<(), Over> {
        self.send(Event::default().event(name).id(id.to_string()).data(data.to_string())).await?;
        self.sent = Some(id);
        self.position = Position::after(id);
        Ok(())
    }

    async fn refused(&mut self, refused: &Refused) -> Result<(), Over> {
        if refused.relay != self.caller {
            return Ok(());
        }
        let error = Problem::from(refused.refusal.clone()).body();
        let data = json!({ "digest": refused.digest, "error": error });
        self.send(Event::default().event("refused").data(data.to_string())).await
    }

    /// Into the client's buffer, or over: because it stays full, or the client is gone.
    async fn send(&self, event: Event) -> Result<(), Over> {
        match self.sender.send_timeout(event, self.api.limits.stream_patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Some(End::Slow)),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(None),
        }
    }
}

/// A committed block as events tell it.
struct Block {
    data: Value,
    time_ms: u64,
    records: Vec<StoredRecord>,
}

impl Block {
    fn read(api: &Api, height: u64) -> Result<Self, LedgerError> {
        let header = api.ledger.header(height)?.ok_or(LedgerError::MissingHeader(height))?;
        let (records, decoded) = (api.ledger.records_of_block(height)?, api.ledger.decoded_header(height)?);
        let data = json!({
            "height": height,
            "header_hash": header::block_id(&header),
            "epoch": decoded.epoch,
            "records": records.len(),
            "time_ms": decoded.time_ms,
        });
        Ok(Self { data, time_ms: decoded.time_ms, records })
    }

    fn record(&self, stored: &StoredRecord, caller: &OrgId) -> Result<Value, LedgerError> {
        let record = stored.decode()?;
        let parsed = Parsed::without_relay_check(&record.submission)
            .map_err(|error| LedgerError::Record { hash: stored.hash, reason: error.to_string() })?;
        let relay = &parsed.submission().relay;
        let link = |link: &qz_evidence::record::Link| json!({ "subject": link.subject, "seq": link.sequence });
        Ok(json!({
            "height": stored.height,
            "index": stored.index,
            "hash": stored.hash,
            "digest": parsed.digest(),
            "kind": parsed.body().payload.kind().name,
            "relay": relay,
            "own": relay == caller,
            "subjects": record.links.iter().map(link).collect::<Vec<_>>(),
            "time_ms": self.time_ms,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ids_are_positions() {
        for (text, next) in [("7", (8, 0)), ("7.0", (7, 1)), ("0", (1, 0)), ("12.41", (12, 42))] {
            let id: EventId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            let position = Position::after(id);
            assert_eq!((position.height, position.index), next);
        }
        for text in ["", "x", "1.", ".1", "1.2.3", "-1", "99999999999999999999"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn streams_of_an_organisation_are_counted_and_freed() {
        let streams = Arc::new(Streams::default());
        let (court, notary) = (OrgId::new("court").unwrap(), OrgId::new("notary").unwrap());
        let first = streams.open(&court, 2).unwrap();
        let _second = streams.open(&court, 2).unwrap();
        assert!(streams.open(&court, 2).is_none());
        assert!(streams.open(&notary, 2).is_some());
        drop(first);
        assert!(streams.open(&court, 2).is_some());
    }
}
