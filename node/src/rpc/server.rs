//! Accepts connections and serves requests on them, within the limits: a place for every connection, a
//! time for every step, and a drain on shutdown. (Bare HTTP libraries keep slow connections for ever.)

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use qz_evidence::OrgId;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use warp::Filter;
use warp::reply::Response;

use super::admission::Admission;
use super::connections::{Busy, Connections, Place};
use super::limits::RpcLimits;
use super::stall::Stalling;
use super::tls::MutualTls;

/// Bytes kept for a connection in either direction; request headers must fit. Small, so that a client
/// which does not read is noticed early.
const BUFFER_BYTES: usize = 32 * 1024;

/// Who calls, known from the TLS handshake; every request carries it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub OrgId);

/// What all connections share.
#[derive(Clone)]
struct Shared<F> {
    tls: MutualTls,
    limits: RpcLimits,
    admission: Arc<Admission>,
    routes: F,
    stopped: tokio::sync::watch::Receiver<bool>,
}

/// An answer's body, which keeps its connection busy.
struct Served<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Served<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves `routes` until `stop` resolves; then requests in progress get a moment to end.
pub(super) async fn serve<F>(
    listener: TcpListener, tls: MutualTls, limits: RpcLimits, connections: Arc<Connections>, routes: F,
    stop: impl Future<Output = ()>,
) where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
{
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    let shared = Shared { tls, limits, admission: Admission::new(limits), routes, stopped };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let place = connections.enter(address.ip());
                tokio::spawn(shared.clone().connection(stream, address, place));
            }
            Err(error) => {
                // Out of file descriptors, or the client is gone; neither ends the service.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    if tokio::time::timeout(limits.drain, connections.empty()).await.is_err() {
        tracing::warn!("requests were still in progress when the RPC ended");
    }
}

impl<F> Shared<F>
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
{
    async fn connection(self, stream: TcpStream, address: SocketAddr, place: Place) {
        let _ = stream.set_nodelay(true);
        let stream = Stalling::new(stream, self.limits.write_timeout);
        let handshake = TlsAcceptor::from(self.tls.config.clone()).accept(stream);
        let stream = tokio::select! {
            () = place.told_to_go() => return,
            outcome = tokio::time::timeout(self.limits.handshake_timeout, handshake) => match outcome {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    crate::metrics::get().refused("handshake_failed");
                    return tracing::debug!(%address, %error, "TLS handshake refused");
                }
                Err(_) => {
                    crate::metrics::get().refused("handshake_timeout");
                    return tracing::debug!(%address, "TLS handshake took too long");
                }
            },
        };
        let peer = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let Some(organisation) = self.tls.organisation(peer) else {
            crate::metrics::get().refused("handshake_failed");
            return tracing::warn!(%address, "client certificate belongs to no organisation");
        };
        if let Err(error) = place.identify(&organisation) {
            crate::metrics::get().refused("no_room");
            return tracing::warn!(%address, %organisation, %error, "connection refused");
        }
        let (tls, place) = (self.tls.clone(), Arc::new(place));
        tokio::select! {
            () = self.requests(stream, address, Caller(organisation.clone()), place) => {}
            () = tls.distrusts(&organisation) => {
                tracing::warn!(%address, %organisation, "connection ended: no active member any more");
            }
        }
    }

    async fn requests(
        mut self, stream: tokio_rustls::server::TlsStream<Stalling<TcpStream>>, address: SocketAddr, caller: Caller,
        place: Arc<Place>,
    ) {
        let routes = TowerToHyperService::new(warp::service(self.routes));
        let (admission, served) = (self.admission, place.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (admission, caller, routes) = (admission.clone(), caller.clone(), routes.clone());
            // Kept until the answer's last byte is taken.
            let busy = Busy::begin(&served);
            async move {
                let response = admission.pass(caller, request, routes).await;
                Ok::<_, Infallible>(response.map(|body| Served { body, _busy: busy }))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => Some(outcome),
            () = place.told_to_go() => None,
            // Its value borrows from the channel and must not live across the next await.
            () = async { drop(self.stopped.wait_for(|stopped| *stopped).await) } => None,
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None if place.is_busy() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            None => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::debug!(%address, %error, "connection ended");
        }
    }
}
