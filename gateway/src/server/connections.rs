//! Accepts connections: a cap on their number, a time limit for request headers (bare warp keeps slow
//! connections open for ever), and a drain on shutdown.

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use warp::Filter;
use warp::reply::Response;

/// Connections served at the same time.
const MAX_CONNECTIONS: u32 = 512;
/// Time for the headers of a request.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Time for requests in progress when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);

/// The caller's address; every request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves `routes` until `stop` resolves.
pub async fn serve<F>(listener: TcpListener, routes: F, stop: impl Future<Output = ()>)
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let (stopping, stopped) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the client is gone: neither ends the service.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (routes, stopped) = (routes.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, address, routes, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let _ = tokio::time::timeout(DRAIN, places.acquire_many(MAX_CONNECTIONS)).await;
}

async fn connection<F>(stream: TcpStream, address: SocketAddr, routes: F, mut stopped: watch::Receiver<bool>)
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
{
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(address));
        service.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // The lock guard that `wait_for` gives must not live on.
    let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%address, %error, "connection ended");
    }
}
