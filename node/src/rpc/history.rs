//! The complete history of a subject as a proof bundle.

use qz_evidence::{Hash32, Height, SubjectId};
use qz_store::HistoryRange;
use serde::Deserialize;
use warp::reply::Response;

use super::Api;
use super::answer::{Problem, bytes_answer, settle};

/// Query of `GET /v1/subjects/{id}/history`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    from: Option<u64>,
    to: Option<u64>,
    head: Option<u64>,
}

/// `GET /v1/subjects/{id}/history`. An unknown subject is answered with the proof that it is unknown.
pub(super) fn history(api: &Api, id: &str, query: &HistoryQuery) -> Response {
    let HistoryQuery { from, to, head } = *query;
    settle(tokio::task::block_in_place(|| {
        let id = Hash32::from_hex(id).ok_or_else(|| Problem::malformed("expected 64 hexadecimal digits"))?;
        let range = HistoryRange { from, to, head: head.map(Height) };
        // A node that lost blocks does not call what is left the whole.
        api.ledger.whole()?;
        let bundle = api.ledger.history(&SubjectId(id), range)?;
        Ok(bytes_answer(200, "application/cbor", bundle))
    }))
}
