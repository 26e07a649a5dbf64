//! Following the ledger: every record and block in order, each once, whichever nodes come and go.
//!
//! The stream knows its position and checks each event against it, so that a node that skips, repeats or
//! reorders is left like one that is broken. It goes on at another node from the same position. What it
//! tells is that node's word, as everywhere in this crate; proofs are fetched with [`Client::proof`].

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use qz_evidence::{EventId, Hash32, OrgId, SubjectId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::error::{Attempt, ClientError, Failure};
use crate::transport::Answer;
use crate::wire::Rejection;

/// Time for a node to begin a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// A node that says nothing for so long, not even that it is there, is left.
const SILENCE: Duration = Duration::from_secs(65);
/// First and longest pause between rounds over all nodes.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Largest event; a record touches six subjects at most.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsFrom {
    /// With what becomes final from now on.
    Now,
    /// With the first record of this block.
    Height(u64),
    /// With what follows this event.
    After(EventId),
}

/// Something that became final, or an own submission that never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record.
    Record(RecordEvent),
    /// A block, after all its records.
    Block(BlockEvent),
    /// A submission relayed by this client's organisation was refused after the node had accepted it.
    /// Told only while connected to the node that refused; ask [`Client::submission`] otherwise.
    Refused(RefusedEvent),
}

impl Event {
    /// Its place; none for a refusal.
    pub fn id(&self) -> Option<EventId> {
        match self {
            Self::Record(record) => Some(EventId { height: record.height, index: Some(record.index) }),
            Self::Block(block) => Some(EventId { height: block.height, index: None }),
            Self::Refused(_) => None,
        }
    }
}

/// A final record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordEvent {
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Its hash.
    pub hash: Hash32,
    /// Digest of the submission's body.
    pub digest: Hash32,
    /// Kind, such as `contract.signed`.
    pub kind: String,
    /// The organisation that relayed it.
    pub relay: OrgId,
    /// Was that this client's organisation?
    pub own: bool,
    /// The subjects that it touches.
    pub subjects: Vec<TouchedSubject>,
    /// Time of the block.
    pub time_ms: u64,
}

/// A subject that a record touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedSubject {
    /// Its id.
    pub subject: SubjectId,
    /// The record's number within it.
    pub seq: u64,
}

/// A final block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvent {
    /// Its height.
    pub height: u64,
    /// Hash of its header.
    pub header_hash: Hash32,
    /// Its epoch.
    pub epoch: u64,
    /// How many records it has.
    pub records: u32,
    /// Its time.
    pub time_ms: u64,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// Digest of the submission's body.
    pub digest: Hash32,
    /// Why.
    pub error: Rejection,
}

/// The next event: a record, or the block when `index` is the number of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    height: u64,
    index: u32,
}

impl Position {
    fn after(id: EventId) -> Self {
        match id.index {
            Some(index) => Self { height: id.height, index: index.saturating_add(1) },
            None => Self { height: id.height.saturating_add(1), index: 0 },
        }
    }
}

/// A stream of events; see [`Client::events`].
#[derive(Debug)]
pub struct Events {
    client: Client,
    /// The last event before the next one. None: from the very first block.
    last: Option<EventId>,
    /// Whether `last` is known; if not, the first node's word is taken.
    is_placed: bool,
    connection: Option<Connection>,
    pause: Duration,
    /// Set while nobody can be reached.
    retry_at: Option<Instant>,
    tried: Vec<Attempt>,
}

/// A node that is telling.
struct Connection {
    node: OrgId,
    response: reqwest::Response,
    buffer: Vec<u8>,
    ready: VecDeque<Message>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.node)
    }
}

impl Client {
    /// Follows the ledger. Goes from node to node as long as it takes; dropping the stream ends it.
    pub fn events(&self, from: EventsFrom) -> Events {
        let (last, is_placed) = match from {
            EventsFrom::Now => (None, false),
            EventsFrom::Height(height) => (height.checked_sub(1).map(|height| EventId { height, index: None }), true),
            EventsFrom::After(id) => (Some(id), true),
        };
        Events {
            client: self.clone(),
            last,
            is_placed,
            connection: None,
            pause: PAUSES.0,
            retry_at: None,
            tried: vec![],
        }
    }
}

impl Events {
    /// The next event. Waits for it without end; nothing is lost if the future is dropped and made again.
    /// Fails only if a node refuses the request itself.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if self.connection.is_none() {
                self.connect().await?;
            }
            let Some(connection) = &mut self.connection else { continue };
            let failure = match connection.message().await {
                Ok(message) => match self.take(message) {
                    Ok(Some(event)) => {
                        self.pause = PAUSES.0;
                        return Ok(event);
                    }
                    Ok(None) => continue,
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            self.leave(failure);
        }
    }

    /// The place of the last event that [`Events::next`] gave, to be stored and passed to
    /// [`EventsFrom::After`]; none before the first one of a stream from [`EventsFrom::Now`].
    pub fn last(&self) -> Option<EventId> {
        self.last
    }

    /// The node that is telling just now.
    pub fn node(&self) -> Option<&OrgId> {
        self.connection.as_ref().map(|connection| &connection.node)
    }

    /// Why the nodes that were tried since the last event gave nothing.
    pub fn tried(&self) -> &[Attempt] {
        &self.tried
    }

    /// One round over the nodes, after the pause that is due.
    async fn connect(&mut self) -> Result<(), ClientError> {
        if let Some(at) = self.retry_at {
            tokio::time::sleep_until(at).await;
            self.retry_at = None;
        }
        let (path, last) = match (self.last, self.is_placed) {
            (Some(id), _) => ("/v1/events", Some(id.to_string())),
            (None, true) => ("/v1/events?from_height=0", None),
            (None, false) => ("/v1/events", None),
        };
        let mut tried = vec![];
        for node in self.client.inner.nodes.in_order() {
            match node.open(path, last.as_deref(), OPEN_TIMEOUT).await {
                Ok(Answer::Success(response)) => {
                    self.tried = tried;
                    self.connection =
                        Some(Connection { node: node.org.clone(), response, buffer: vec![], ready: VecDeque::new() });
                    return Ok(());
                }
                Ok(Answer::Refused(status, rejection)) => {
                    return Err(ClientError::Rejected { node: node.org.clone(), status, rejection });
                }
                Err(failure) => tried.push(node.attempt(failure)),
            }
        }
        self.tried = tried;
        self.retry_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }

    /// Leaves the node that failed; it is asked last for a while.
    fn leave(&mut self, failure: Failure) {
        let Some(connection) = self.connection.take() else { return };
        if let Some(node) = self.client.inner.nodes.of(&connection.node) {
            node.has_failed();
            self.tried.push(node.attempt(failure));
        }
        // Nodes that accept and fail at once must not be called in a tight loop.
        self.retry_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    /// Checks a message against the position.
    fn take(&mut self, message: Message) -> Result<Option<Event>, Failure> {
        let nonsense = |what: String| Failure::Nonsense(what);
        let parse = |error: serde_json::Error| Failure::Nonsense(error.to_string());
        let event = match message.event.as_str() {
            "start" => {
                let id = message.id.as_deref().map(str::parse).transpose();
                let id = id.map_err(|_| nonsense("an event id that is none".to_owned()))?;
                if self.is_placed && id != self.last {
                    return Err(nonsense("it begins elsewhere than asked".to_owned()));
                }
                (self.last, self.is_placed) = (id, true);
                return Ok(None);
            }
            "record" => Event::Record(serde_json::from_str(&message.data).map_err(parse)?),
            "block" => Event::Block(serde_json::from_str(&message.data).map_err(parse)?),
            "refused" => return Ok(Some(Event::Refused(serde_json::from_str(&message.data).map_err(parse)?))),
            "end" => {
                return Err(Failure::Unavailable { status: 200, message: message.data });
            }
            // A later version may tell more.
            _ => return Ok(None),
        };
        let next = self.last.map_or(Position { height: 0, index: 0 }, Position::after);
        let fits = self.is_placed
            && match &event {
                Event::Record(record) => Position { height: record.height, index: record.index } == next,
                Event::Block(block) => Position { height: block.height, index: block.records } == next,
                Event::Refused(_) => true,
            };
        if !fits {
            return Err(nonsense(format!("an event out of order: {:?} is not {next:?}", event.id())));
        }
        self.last = event.id();
        Ok(Some(event))
    }
}

/// One message of the text format.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    event: String,
    id: Option<String>,
    data: String,
}

impl Connection {
    /// The next message that is not only a comment. May be dropped and called again.
    async fn message(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            match timeout(SILENCE, self.response.chunk()).await {
                Err(_) => return Err(Failure::Timeout),
                Ok(Err(error)) => return Err(crate::transport::failure(error)),
                Ok(Ok(None)) => return Err(Failure::Broken("the stream ended".to_owned())),
                Ok(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk),
            }
            split(&mut self.buffer, &mut self.ready)?;
            if self.buffer.len() > MAX_EVENT_BYTES {
                return Err(Failure::TooLarge(MAX_EVENT_BYTES));
            }
        }
    }
}

/// Moves the complete messages out of the buffer.
fn split(buffer: &mut Vec<u8>, ready: &mut VecDeque<Message>) -> Result<(), Failure> {
    let mut start = 0;
    while let Some(length) = buffer[start..].windows(2).position(|pair| pair == b"\n\n") {
        let text = std::str::from_utf8(&buffer[start..start + length])
            .map_err(|_| Failure::Nonsense("an event that is not UTF-8".to_owned()))?;
        let message = parse(text);
        if !message.event.is_empty() {
            ready.push_back(message);
        }
        start += length + 2;
    }
    buffer.drain(..start);
    Ok(())
}

fn parse(text: &str) -> Message {
    let mut message = Message::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut message.event),
            "id" => message.id = Some(value.to_owned()),
            "data" if message.data.is_empty() => value.clone_into(&mut message.data),
            "data" => {
                message.data.push('\n');
                message.data.push_str(value);
            }
            _ => {}
        }
    }
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn messages_are_split_wherever_the_chunks_end() {
        let text = b":height 3\n\nevent:record\ndata:{\"a\":1}\nid:3.0\n\nevent: end\ndata: x\ndata:y\n\nevent:b";
        for cut in 0..text.len() {
            let (mut buffer, mut ready) = (text[..cut].to_vec(), VecDeque::new());
            split(&mut buffer, &mut ready).unwrap();
            buffer.extend_from_slice(&text[cut..]);
            split(&mut buffer, &mut ready).unwrap();
            let record = Message { event: "record".into(), id: Some("3.0".into()), data: "{\"a\":1}".into() };
            let end = Message { event: "end".into(), id: None, data: "x\ny".into() };
            assert_eq!(Vec::from(ready), [record, end]);
            assert_eq!(buffer, b"event:b");
        }
        assert!(split(&mut b"event:\xff\n\n".to_vec(), &mut VecDeque::new()).is_err());
    }
}
