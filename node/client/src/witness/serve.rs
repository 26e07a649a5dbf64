//! The witness as a process: it takes checkpoints over HTTP, follows a node if it has access to one, and
//! compares with what other witnesses were shown.

use super::{MAX_REQUEST_BYTES, Witness};
use crate::anchor::fetch_note;
use crate::checkpoint::Checkpoint;
use crate::client::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::SubjectId;
use qz_evidence::checkpoint::SignedCheckpoint;
use qz_evidence::note::SignedNote;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warp::http::StatusCode;
use warp::{Filter, Reply};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 128;
/// Longest time of a connection, headers and body included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom a witness looks at by itself.
pub struct Follow {
    /// A node of the ledger.
    pub client: Option<Client>,
    /// Other witnesses, `http://…`.
    pub peers: Vec<String>,
    /// How often.
    pub every: Duration,
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, witness: Arc<Witness>, follow: Follow) {
    tokio::spawn(follow_on(witness.clone(), follow));
    let service = warp::service(routes(witness));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = hyper_util::service::TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            // A connection that is cut or too slow is the caller's loss.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
            drop(place);
        });
    }
}

fn routes(witness: Arc<Witness>) -> impl Filter<Extract = (warp::reply::Response,), Error = Infallible> + Clone {
    let with = warp::any().map(move || witness.clone());
    let add = warp::path!("add-checkpoint")
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_REQUEST_BYTES as u64))
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|body: bytes::Bytes, witness: Arc<Witness>| async move {
            let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, seconds())).await;
            match answer {
                Ok(answer) => respond(answer.status, answer.content_type, answer.body),
                Err(_) => respond(500, "text/plain", "the witness failed\n".to_owned()),
            }
        });
    let latest =
        warp::path!("checkpoint").and(warp::get()).and(with.clone()).map(|witness: Arc<Witness>| {
            match witness.latest() {
                Some(latest) => respond(200, "text/plain; charset=utf-8", latest.note.to_string()),
                None => respond(404, "text/plain", "nothing signed yet\n".to_owned()),
            }
        });
    let health = warp::path!("health").and(warp::get()).and(with).map(|witness: Arc<Witness>| {
        let alarm = witness.alarm();
        let body = serde_json::json!({ "healthy": alarm.is_none(), "reason": alarm });
        respond(if alarm.is_none() { 200 } else { 503 }, "application/json", body.to_string())
    });
    add.or(latest)
        .unify()
        .or(health)
        .unify()
        .recover(|_| async { Ok::<_, Infallible>(respond(400, "text/plain", "no such request\n".to_owned())) })
        .unify()
}

fn respond(status: u16, content_type: &'static str, body: String) -> warp::reply::Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    warp::reply::with_status(warp::reply::with_header(body, "content-type", content_type), status).into_response()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn follow_on(witness: Arc<Witness>, mut follow: Follow) {
    // What is kept may know other nodes than the genesis.
    let known = follow.client.as_ref().map(|client| client.of_members(&witness.members()));
    match known {
        Some(Ok(client)) => follow.client = Some(client),
        Some(Err(error)) => tracing::warn!(%error, "the nodes of the genesis are asked"),
        None => {}
    }
    loop {
        tokio::time::sleep(follow.every).await;
        if witness.alarm().is_some() {
            return;
        }
        for peer in &follow.peers {
            if let Err(reason) = compare(&witness, &follow, peer).await {
                tracing::warn!(%peer, %reason, "not compared with this witness");
            }
        }
        if let Some(client) = &mut follow.client
            && let Err(reason) = step(&witness, client).await
        {
            tracing::warn!(%reason, "the ledger was not followed");
        }
    }
}

/// Shows itself the node's newest checkpoint, with the proof that the node must give.
async fn step(witness: &Arc<Witness>, client: &mut Client) -> Result<(), String> {
    let governance = SubjectId::governance(&client.genesis().chain_id());
    let subject = client.subject(&governance).await.map_err(|error| error.to_string())?;
    let changes = subject.and_then(|subject| subject.seq).map_or(0, |last| last + 1);
    if changes > witness.members().changes() {
        renew_members(witness, client).await?;
    }
    let (mut checkpoint, mut note) = newest(witness, client).await?;
    if checkpoint.hand_overs.len() > witness.members().epoch() {
        renew_members(witness, client).await?;
        (checkpoint, note) = newest(witness, client).await?;
    }
    let latest = witness.latest();
    let old = latest.as_ref().map_or(0, |latest| latest.tree.size);
    if checkpoint.size < old {
        return Err(format!("the node shows {} headers, {old} were signed: behind, or a rollback", checkpoint.size));
    }
    let mut request = format!("old {old}\n");
    if old > 0 && old < checkpoint.size {
        let found = client.consistency(old, checkpoint.size).await.map_err(|error| error.to_string())?;
        for hash in found.ok_or("the node gives no consistency proof")?.path {
            let _ = writeln!(request, "{}", BASE64.encode(hash.0));
        }
    }
    let _ = write!(request, "\n{note}");
    let answer = witness.add_checkpoint(request.as_bytes(), seconds());
    match answer.status {
        // Somebody else showed a newer one in between.
        200 | 409 => Ok(()),
        status => Err(format!("{status}: {}", answer.body.trim_end())),
    }
}

async fn newest(witness: &Witness, client: &Client) -> Result<(Checkpoint, SignedNote), String> {
    let signed = client.signed_checkpoint_by(None, &witness.members()).await.map_err(|error| error.to_string())?;
    signed.ok_or_else(|| "no node has a block".to_owned())
}

/// Follows the consortium: its proven members, and from then on the nodes of these.
async fn renew_members(witness: &Witness, client: &mut Client) -> Result<(), String> {
    let (members, bundles) = client.membership().await.map_err(|error| error.to_string())?;
    witness.renew_members(members, &bundles).map_err(|error| error.to_string())?;
    *client = client.of_members(&witness.members()).map_err(|error| error.to_string())?;
    Ok(())
}

/// Compares another witness' checkpoint with the own one, or with what the node shows at that size.
async fn compare(witness: &Arc<Witness>, follow: &Follow, peer: &str) -> Result<(), String> {
    let url = format!("{}/checkpoint", peer.trim_end_matches('/'));
    let Some(bytes) = fetch_note(&url).await.map_err(|error| error.to_string())? else { return Ok(()) };
    let theirs = SignedCheckpoint::parse(&bytes).map_err(|error| error.to_string())?;
    if let Some(own) = witness.latest()
        && own.tree.size == theirs.tree.size
    {
        witness.compare(&theirs, &own);
        return Ok(());
    }
    let Some(client) = &follow.client else { return Ok(()) };
    let height = theirs.tree.size.checked_sub(1).ok_or("an empty checkpoint")?;
    let shown =
        client.signed_checkpoint_by(Some(height), &witness.members()).await.map_err(|error| error.to_string())?;
    let Some((_, note)) = shown else { return Ok(()) };
    let own = SignedCheckpoint::parse(note.to_string().as_bytes()).map_err(|error| error.to_string())?;
    witness.compare(&theirs, &own);
    Ok(())
}
