//! The monitor's listener: `/metrics`, `/health/live` and `/health/ready` over plain HTTP, so that
//! Prometheus and a supervisor need no certificate. Only on a loopback address, only reading, and
//! nothing that names a record or a party.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warp::Filter;
use warp::reply::Response;

use super::{Api, health};

/// Connections at once.
const MAX_CONNECTIONS: usize = 32;
/// Longest life of a connection; a scraper comes back with a new one.
const LIFETIME: Duration = Duration::from_secs(60);
/// Time for the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, api: Api) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let routes = routes(api);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "monitor connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            crate::metrics::get().refused("monitor_full");
            continue;
        };
        let service = TowerToHyperService::new(warp::service(routes.clone()));
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // Whether it ended well is the scraper's business.
            let _ = tokio::time::timeout(LIFETIME, connection).await;
            drop(place);
        });
    }
}

fn routes(api: Api) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    let with = warp::any().map(move || api.clone());
    let live = warp::path!("health" / "live").and(with.clone()).map(|api: Api| health::live(&api));
    let ready = warp::path!("health" / "ready").and(with.clone()).map(|api: Api| health::ready(&api));
    let metrics = warp::path!("metrics").and(with).map(|api: Api| health::metrics(&api));
    warp::get().and(live.or(ready).unify().or(metrics).unify())
}
