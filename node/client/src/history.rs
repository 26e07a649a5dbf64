//! The complete history of a subject: fetched, and verified against this client's genesis.

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::Request;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::Format;
use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::history::{History, HistoryError, history, join};
use qz_evidence::{Height, SubjectId};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Longest time for a bundle, which the node computes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Records of one part, when the whole does not fit one bundle.
const PART: u64 = 1024;
/// A node's word for "ask for it in parts".
const TOO_LARGE: &str = "history.too_large";

/// A proven history with the bundles that prove it, each at most 16 MiB.
#[derive(Clone, Debug)]
pub struct SubjectHistory {
    /// What is proven: all records, or that there is no such subject.
    pub history: History,
    /// The proof, in the order of the records.
    pub bundles: Vec<Vec<u8>>,
}

/// Why there is no proven history.
#[derive(Debug, Error)]
pub enum HistoryFailure {
    /// The nodes gave none. One whose proof does not verify is passed over like one that is down.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The nodes' parts do not make a whole.
    #[error(transparent)]
    Incomplete(#[from] HistoryError),
}

impl Client {
    /// `GET /v1/subjects/{id}/history`, in as many parts as needed, all under one head block: *all*
    /// records of the subject as of that block, or the proof that there is no such subject. Every part is
    /// verified. With `max_age` the head block is not older than that by this machine's clock.
    pub async fn history(&self, id: &SubjectId, max_age: Option<Duration>) -> Result<SubjectHistory, HistoryFailure> {
        match self.history_part(id, None, None, max_age).await {
            Ok((part, bundle)) => {
                part.complete()?;
                Ok(SubjectHistory { history: part, bundles: vec![bundle] })
            }
            Err(error) if is_too_large(&error) => self.history_in_parts(id, max_age).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Records `from ..= to` of a subject as of block `head` (the node's tip, if none is given), proven to
    /// follow one another without a gap, with the bundle.
    pub async fn history_part(
        &self, id: &SubjectId, range: Option<(u64, u64)>, head: Option<Height>, max_age: Option<Duration>,
    ) -> Result<(History, Vec<u8>), ClientError> {
        let mut query: Vec<String> = vec![];
        query.extend(range.iter().map(|(from, to)| format!("from={from}&to={to}")));
        query.extend(head.iter().map(|head| format!("head={head}")));
        let request = Request {
            path: format!("/v1/subjects/{id}/history?{}", query.join("&")),
            body: None,
            timeout: TIMEOUT,
            max_bytes: Bundle::MAX_BYTES,
        };
        let max_age_ms = max_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let verified = |bytes: &[u8]| -> Result<(History, Vec<u8>), String> {
            let trust = TrustInputs::new(self.inner.genesis.bytes(), now_ms()?).with_max_age(max_age_ms);
            let part = history(bytes, &trust, id).map_err(|error| error.to_string())?;
            check_asked(&part, range, head)?;
            Ok((part, bytes.to_vec()))
        };
        Ok(self.inner.nodes.first_answer(&request, |_, bytes| verified(bytes)).await?.1)
    }

    async fn history_in_parts(
        &self, id: &SubjectId, max_age: Option<Duration>,
    ) -> Result<SubjectHistory, HistoryFailure> {
        let (mut parts, mut bundles): (Vec<History>, _) = (vec![], vec![]);
        let (mut from, mut size, mut head) = (0, PART, None);
        // Unproven, and good enough to know how much to ask for; the first part proves the number.
        let mut records = self.subject(id).await?.and_then(|subject| subject.seq).map_or(0, |last| last + 1);
        while from < records {
            let to = (from + size).min(records) - 1;
            match self.history_part(id, Some((from, to)), head, max_age).await {
                Ok((part, bundle)) => {
                    (head, records) = (Some(part.head.height), part.records());
                    parts.push(part);
                    bundles.push(bundle);
                    from = to + 1;
                }
                Err(error) if is_too_large(&error) && size > 1 => size /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        let history = join(parts)?;
        history.complete()?;
        Ok(SubjectHistory { history, bundles })
    }
}

/// The node answered what it was asked.
fn check_asked(part: &History, range: Option<(u64, u64)>, head: Option<Height>) -> Result<(), String> {
    if head.is_some_and(|head| head != part.head.height) {
        return Err(format!("the proof is of block {}", part.head.height));
    }
    let shown = part.shown.first().zip(part.shown.last()).map(|(first, last)| (first.sequence, last.sequence));
    match range {
        None => part.complete().map_err(|error| error.to_string()),
        Some(range) if shown == Some(range) => Ok(()),
        Some((from, to)) => Err(format!("the proof does not show the records {from} to {to}")),
    }
}

fn is_too_large(error: &ClientError) -> bool {
    matches!(error, ClientError::Rejected { rejection, .. } if rejection.code == TOO_LARGE)
}

pub(crate) fn now_ms() -> Result<u64, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| "the clock is before 1970".to_owned())?;
    u64::try_from(since.as_millis()).map_err(|_| "the clock is beyond all dates".to_owned())
}
