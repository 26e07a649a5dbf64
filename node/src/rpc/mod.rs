//! The members' HTTP API, JSON over mutual TLS. Bytes are base64, hashes lower-case hexadecimal.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health` | 200 or 503 `{"healthy"}` |
//! | `GET /v1/status` | `{"organisation","caller","chain_id","height","header_hash","block_id","time_ms","epoch","validators","validators_hash","params_hash","role","state_root","syncing","healthy","peers","mempool","version"}` |
//! | `POST /v1/submissions?wait=SECONDS` | body: a submission's bytes. 200 `{"state":"final","digest","record_hash","height","index","time_ms","subjects"}`, 202 `{"state":"pending","digest"}`, or an error |
//! | `POST /v1/submissions/batch?wait=SECONDS` | body: a `SubmissionBatch`. `{"results":[…]}` in order: `{"state":"final","digest","height"}`, `{"state":"pending","digest"}` or `{"state":"rejected","digest","status","error"}` |
//! | `GET /v1/submissions/{digest}` | the same, or 200 `{"state":"rejected","digest","error"}`; also by the caller's own submission id (32 digits) |
//! | `GET /v1/records/{hash}` | `{"hash","height","index","time_ms","record"}` |
//! | `GET /v1/subjects/{id}` | `{"subject","kind","status","seq","records","last_record","state_digest","height","state","cbor"}` |
//! | `GET /v1/subjects/{id}/records?after=SEQ&limit=N` | `{"records":[{"seq","hash","height","index","kind","time_ms"}],"next"}` |
//! | `GET /v1/subjects/{id}/history?from=SEQ&to=SEQ&head=HEIGHT` | a proof bundle (`application/cbor`) of all records of the subject or of this range, or of its absence; 413 `history.too_large` asks for parts |
//! | `POST /v1/proof` | body `{"records":[…],"subjects":[…],"head":HEIGHT?}`; a proof bundle (`application/cbor`) |
//! | `GET /v1/blocks/{height}` | `{"height","header_hash","header","commit","records":[…]}` |
//! | `GET /v1/genesis` | the genesis document's bytes |
//!
//! Errors: `{"error":{"code","message_zh","message_en"}}` with 400 malformed, 404 unknown, 409 the same
//! id with another body, 413 too large, 422 refused by the rules, 429 and 503 try another node, 500.

pub(crate) mod answer;
mod batch;
mod history;
mod reads;
mod server;
pub(crate) mod status;
mod subject_json;
mod submissions;
pub(crate) mod tls;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use qz_evidence::OrgId;
use qz_evidence::batch::SubmissionBatch;
use qz_evidence::codec::Format;
use qz_evidence::genesis::Genesis;
use qz_evidence::submission::Submission;
use serde::Deserialize;
use tokio::net::TcpListener;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::health::Health;
use crate::ledger::Ledger;
use crate::members::{Members, OwnNode};
use crate::mempool::Mempool;
use crate::mempool::tips::Tips;
use crate::peers::PeerStats;
use answer::Problem;
use server::Caller;

/// Largest body of a submission; anything larger is no submission.
const MAX_SUBMISSION_BYTES: u64 = <Submission as Format>::MAX_BYTES as u64;
/// Largest batch of submissions.
const MAX_BATCH_BYTES: u64 = <SubmissionBatch as Format>::MAX_BYTES as u64;
/// Largest request for a proof: 8192 hashes.
const MAX_PROOF_REQUEST_BYTES: u64 = 1024 * 1024;

/// What handlers work on.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub organisation: OrgId,
    pub genesis: Arc<Genesis>,
    pub ledger: Arc<Ledger>,
    pub mempool: Arc<Mempool>,
    pub tips: Arc<Tips>,
    pub members: Arc<Members>,
    pub own: Arc<OwnNode>,
    pub stats: Arc<PeerStats>,
    pub health: Health,
}

/// Serves the API until `stop` resolves.
pub(crate) async fn serve(listener: TcpListener, tls: tls::MutualTls, api: Api, stop: impl Future<Output = ()>) {
    server::serve(listener, tls, routes(api), stop).await;
}

/// Query of `POST /v1/submissions`.
#[derive(Debug, Default, Deserialize)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

/// Query of a subject's records.
#[derive(Debug, Default, Deserialize)]
struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

fn routes(api: Api) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let with = warp::any().map(move || api.clone());
    let caller = || warp::ext::get::<Caller>();
    let v1 = || warp::path("v1");

    let health = warp::path!("health").and(warp::get()).and(with.clone()).map(reads::health);
    let status = v1()
        .and(warp::path!("status"))
        .and(warp::get())
        .and(caller())
        .and(with.clone())
        .map(|Caller(caller), api| reads::status(&caller, &api));
    let submit = v1()
        .and(warp::path!("submissions"))
        .and(warp::post())
        .and(warp::query::<Wait>())
        .and(warp::body::content_length_limit(MAX_SUBMISSION_BYTES))
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|query: Wait, body: Bytes, api: Api| async move { submissions::submit(&api, &body, query.wait).await });
    let submit_batch = v1()
        .and(warp::path!("submissions" / "batch"))
        .and(warp::post())
        .and(warp::query::<Wait>())
        .and(warp::body::content_length_limit(MAX_BATCH_BYTES))
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|query: Wait, body: Bytes, api: Api| async move { batch::submit(&api, &body, query.wait).await });
    let submission = v1()
        .and(warp::path!("submissions" / String))
        .and(warp::get())
        .and(caller())
        .and(with.clone())
        .map(|name: String, Caller(caller), api: Api| submissions::find(&api, &caller, &name));
    let record = v1()
        .and(warp::path!("records" / String))
        .and(warp::get())
        .and(with.clone())
        .map(|hash: String, api: Api| reads::record(&api, &hash));
    let subject = v1()
        .and(warp::path!("subjects" / String))
        .and(warp::get())
        .and(with.clone())
        .map(|id: String, api: Api| reads::subject(&api, &id));
    let subject_records = v1()
        .and(warp::path!("subjects" / String / "records"))
        .and(warp::get())
        .and(warp::query::<Page>())
        .and(with.clone())
        .map(|id: String, page: Page, api: Api| reads::subject_records(&api, &id, page.after, page.limit));
    let history = v1()
        .and(warp::path!("subjects" / String / "history"))
        .and(warp::get())
        .and(warp::query::<history::HistoryQuery>())
        .and(with.clone())
        .map(|id: String, query: history::HistoryQuery, api: Api| history::history(&api, &id, &query));
    let proof = v1()
        .and(warp::path!("proof"))
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_PROOF_REQUEST_BYTES))
        .and(warp::body::json())
        .and(with.clone())
        .map(|request: reads::ProofRequest, api: Api| reads::proof(&api, &request));
    let block = v1()
        .and(warp::path!("blocks" / u64))
        .and(warp::get())
        .and(with.clone())
        .map(|height: u64, api: Api| reads::block(&api, height));
    let genesis = v1().and(warp::path!("genesis")).and(warp::get()).and(with).map(|api: Api| reads::genesis(&api));

    let reads = health.or(status).unify().or(submission).unify().or(record).unify();
    let subjects = subject.or(subject_records).unify().or(history).unify().or(block).unify().or(genesis).unify();
    reads
        .or(subjects)
        .unify()
        .or(submit_batch)
        .unify()
        .or(submit)
        .unify()
        .or(proof)
        .unify()
        .recover(|rejection| async move { Ok::<_, Infallible>(refused(&rejection)) })
        .unify()
}

/// What warp refused before a handler saw it.
fn refused(rejection: &Rejection) -> Response {
    let problem = if rejection.is_not_found() {
        Problem::not_found("路径", "path")
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        Problem::new(413, "request.too_large", "请求内容过大", "the request body is too large")
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        Problem::new(411, "request.length", "缺少 Content-Length", "Content-Length is required")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Problem::new(405, "request.method", "不支持该方法", "the method is not allowed here")
    } else {
        tracing::debug!(?rejection, "request refused");
        Problem::malformed("the request is malformed")
    };
    problem.into_response()
}
