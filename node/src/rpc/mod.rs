//! The members' HTTP API, JSON over mutual TLS. Bytes are base64, hashes lower-case hexadecimal.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health`, `/health/live` | 200 or 503 `{"healthy","reason"}`: has this node failed for good? |
//! | `GET /health/ready` | 200 or 503 `{"ready","height","behind","peers","peers_needed","clock_offset_ms","reasons":[{"code","message_zh","message_en"}]}` |
//! | `GET /metrics` | OpenMetrics text |
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
//! | `GET /v1/checkpoint?height=M` | `{"height","size","root","header","commit","path":[…],"hand_overs":[{"header","commit","next","path":[…]}],"signatures":[…]}`; `path` proves header M in the history of M+1 headers and is what remains of the history before it; the hand-overs lead from the genesis' validators to those that signed the commit; `signatures` are this member's lines of the signed note |
//! | `GET /v1/consistency?from=SIZE&to=SIZE` | `{"from","from_root","to","to_root","path":[…]}` (RFC 9162 §2.1.4) |
//! | `GET /v1/inclusion?height=H&size=SIZE` | `{"height","size","path":[…]}`: header H in the history of SIZE headers (RFC 9162 §2.1.3) |
//! | `GET /v1/events?from_height=H` | server-sent events, see [`events`]; `Last-Event-ID` resumes |
//!
//! Errors: `{"error":{"code","message_zh","message_en"}}` with 400 malformed, 404 unknown, 408 too slow,
//! 409 the same id with another body, 411 no length, 413 too large, 422 refused by the rules, 429 and
//! 503 later or at another node, 500.

mod admission;
pub(crate) mod answer;
mod batch;
pub(crate) mod call;
mod checkpoints;
mod connections;
mod events;
mod health;
mod history;
pub(crate) mod limits;
pub(crate) mod monitor;
mod reads;
mod routes;
mod server;
mod stall;
pub(crate) mod status;
mod subject_json;
mod submissions;
pub(crate) mod tls;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use qz_evidence::OrgId;
use qz_evidence::genesis::Genesis;
use qz_genesis::SecretKey;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::health::Health;
use crate::ledger::Ledger;
use crate::members::{Members, OwnNode};
use crate::mempool::Mempool;
use crate::mempool::tips::Tips;
use crate::peers::PeerStats;
use answer::Problem;
use connections::Connections;
use limits::RpcLimits;
use server::Caller;

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
    /// The database's folder.
    pub data: Arc<Path>,
    /// Signs the checkpoints that are asked for.
    pub witness: Option<Arc<SecretKey>>,
    pub limits: RpcLimits,
    /// True when the node stops.
    pub closing: watch::Receiver<bool>,
    connections: Arc<Connections>,
    streams: Arc<events::Streams>,
}

/// What an [`Api`] is made of.
pub(crate) struct Parts {
    pub organisation: OrgId,
    pub genesis: Genesis,
    pub ledger: Arc<Ledger>,
    pub mempool: Arc<Mempool>,
    pub tips: Arc<Tips>,
    pub members: Arc<Members>,
    pub own: Arc<OwnNode>,
    pub stats: Arc<PeerStats>,
    pub health: Health,
    pub data: PathBuf,
    pub witness: Option<Arc<SecretKey>>,
    pub limits: RpcLimits,
    pub closing: watch::Receiver<bool>,
}

impl Api {
    /// An API that serves nobody yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            organisation,
            genesis,
            ledger,
            mempool,
            tips,
            members,
            own,
            stats,
            health,
            data,
            witness,
            limits,
            closing,
        } = parts;
        let connections = Connections::new(limits);
        let (genesis, data) = (Arc::new(genesis), data.into());
        Self {
            organisation,
            genesis,
            ledger,
            mempool,
            tips,
            members,
            own,
            stats,
            health,
            data,
            witness,
            limits,
            closing,
            connections,
            streams: Arc::default(),
        }
    }
}

/// Serves the API until `stop` resolves.
pub(crate) async fn serve(listener: TcpListener, tls: tls::MutualTls, api: Api, stop: impl Future<Output = ()>) {
    let (limits, connections) = (api.limits, api.connections.clone());
    server::serve(listener, tls, limits, connections, routes(api), stop).await;
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

/// Query of a checkpoint.
#[derive(Debug, Default, Deserialize)]
struct OfHeight {
    height: Option<u64>,
}

/// Query of a consistency proof.
#[derive(Debug, Deserialize)]
struct Sizes {
    from: u64,
    to: u64,
}

/// Query of an inclusion path.
#[derive(Debug, Deserialize)]
struct Place {
    height: u64,
    size: u64,
}

/// Query of the event stream.
#[derive(Debug, Default, Deserialize)]
struct From {
    from_height: Option<u64>,
}

fn routes(api: Api) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let with = warp::any().map(move || api.clone());
    let caller = || warp::ext::get::<Caller>();
    let v1 = || warp::path("v1");

    let live = warp::path!("health").or(warp::path!("health" / "live")).unify();
    let live = live.and(warp::get()).and(with.clone()).map(|api: Api| health::live(&api));
    let ready = warp::path!("health" / "ready").and(warp::get()).and(with.clone()).map(|api: Api| health::ready(&api));
    let metrics = warp::path!("metrics").and(warp::get()).and(with.clone()).map(|api: Api| health::metrics(&api));
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
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|query: Wait, body: Bytes, api: Api| async move { submissions::submit(&api, &body, query.wait).await });
    let submit_batch = v1()
        .and(warp::path!("submissions" / "batch"))
        .and(warp::post())
        .and(warp::query::<Wait>())
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
        .and(warp::body::json())
        .and(with.clone())
        .map(|request: reads::ProofRequest, api: Api| reads::proof(&api, &request));
    let block = v1()
        .and(warp::path!("blocks" / u64))
        .and(warp::get())
        .and(with.clone())
        .map(|height: u64, api: Api| reads::block(&api, height));
    let genesis =
        v1().and(warp::path!("genesis")).and(warp::get()).and(with.clone()).map(|api: Api| reads::genesis(&api));
    let checkpoint = v1()
        .and(warp::path!("checkpoint"))
        .and(warp::get())
        .and(warp::query::<OfHeight>())
        .and(with.clone())
        .map(|of: OfHeight, api: Api| checkpoints::checkpoint(&api, of.height));
    let consistency = v1()
        .and(warp::path!("consistency"))
        .and(warp::get())
        .and(warp::query::<Sizes>())
        .and(with.clone())
        .map(|sizes: Sizes, api: Api| checkpoints::consistency(&api, sizes.from, sizes.to));
    let inclusion = v1()
        .and(warp::path!("inclusion"))
        .and(warp::get())
        .and(warp::query::<Place>())
        .and(with.clone())
        .map(|place: Place, api: Api| checkpoints::inclusion(&api, place.height, place.size));
    let events = v1()
        .and(warp::path!("events"))
        .and(warp::get())
        .and(warp::query::<From>())
        .and(warp::header::optional::<String>("last-event-id"))
        .and(caller())
        .and(with)
        .map(|from: From, last, Caller(caller), api| events::stream(api, caller, from.from_height, last));

    let health = live.or(ready).unify().or(metrics).unify();
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
        .or(checkpoint.or(consistency).unify().or(inclusion).unify().or(events).unify())
        .unify()
        .recover(|rejection| async move { Ok::<_, Infallible>(refused(&rejection)) })
        .unify()
}

/// What warp refused before a handler saw it.
fn refused(rejection: &Rejection) -> Response {
    let problem = if rejection.is_not_found() {
        Problem::not_found("路径", "path")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Problem::new(405, "request.method", "不支持该方法", "the method is not allowed here")
    } else {
        tracing::debug!(?rejection, "request refused");
        Problem::malformed("the request is malformed")
    };
    problem.into_response()
}
