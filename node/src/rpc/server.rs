//! Accepts connections: a cap on their number, a time limit for the TLS handshake and for request
//! headers (bare warp keeps slow connections open for ever), and a drain on shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use qz_evidence::OrgId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use warp::Filter;
use warp::reply::Response;

use super::tls::MutualTls;

/// Connections served at the same time.
const MAX_CONNECTIONS: usize = 512;
/// Time for a TLS handshake, and for the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for requests in progress when the node stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Who calls, known from the TLS handshake; every request carries it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub OrgId);

/// Serves `routes` until `stop` resolves.
pub(crate) async fn serve<F>(listener: TcpListener, tls: MutualTls, routes: F, stop: impl Future<Output = ()>)
where
    F: Filter<Extract = (Response,), Error = std::convert::Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
{
    let acceptor = TlsAcceptor::from(tls.config.clone());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    tokio::pin!(stop);
    loop {
        let permit = tokio::select! {
            () = &mut stop => break,
            permit = room.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or the client is gone; neither ends the service.
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let connection = Connection { stream, address, stopped: stopped.clone() };
        let (acceptor, tls, routes) = (acceptor.clone(), tls.clone(), routes.clone());
        tokio::spawn(async move {
            connection.serve(acceptor, tls, routes).await;
            drop(permit);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let all = u32::try_from(MAX_CONNECTIONS).expect("512 fits");
    let _ = tokio::time::timeout(DRAIN, room.acquire_many(all)).await;
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    stopped: tokio::sync::watch::Receiver<bool>,
}

impl Connection {
    async fn serve<F>(mut self, acceptor: TlsAcceptor, tls: MutualTls, routes: F)
    where
        F: Filter<Extract = (Response,), Error = std::convert::Infallible> + Clone + Send + Sync + 'static,
        F::Future: Send,
    {
        let address = self.address;
        let _ = self.stream.set_nodelay(true);
        let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(self.stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::info!(%address, %error, "TLS handshake refused"),
            Err(_) => return tracing::info!(%address, "TLS handshake took too long"),
        };
        let peer = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let Some(organisation) = tls.organisation(peer) else {
            return tracing::warn!(%address, "client certificate belongs to no organisation");
        };
        let caller = Caller(organisation.clone());
        let service = TowerToHyperService::new(warp::service(routes));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(caller.clone());
            service.call(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            outcome = &mut connection => Some(outcome),
            () = tls.distrusts(&organisation) => {
                return tracing::warn!(%address, %organisation, "connection ended: no active member any more");
            }
            // Its value borrows from the channel and must not live across the next await.
            () = async { drop(self.stopped.wait_for(|stopped| *stopped).await) } => None,
        };
        let outcome = match ended {
            Some(outcome) => outcome,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%address, %error, "connection ended");
        }
    }
}
