//! What every request passes before a handler sees it: its organisation's rate, the size that its route
//! allows, a complete body in time. Afterwards it is counted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Method, Request};
use qz_evidence::OrgId;
use warp::http::header::CONTENT_LENGTH;
use warp::reply::{Reply, Response};

use super::answer::Problem;
use super::limits::RpcLimits;
use super::routes::{Route, route_of};
use super::server::Caller;

/// The limits, and what each organisation has used of them.
#[derive(Debug)]
pub(super) struct Admission {
    limits: RpcLimits,
    buckets: Mutex<HashMap<OrgId, Bucket>>,
    proofs: tokio::sync::Semaphore,
}

/// Requests that an organisation may still make just now.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Admission {
    /// Nothing used.
    pub(super) fn new(limits: RpcLimits) -> Arc<Self> {
        let proofs = tokio::sync::Semaphore::new(limits.proofs);
        Arc::new(Self { limits, buckets: Mutex::default(), proofs })
    }

    /// Lets a request through to `service`, or answers it.
    pub(super) async fn pass<S>(&self, caller: Caller, request: Request<Incoming>, service: S) -> Response
    where
        S: Service<Request<Full<Bytes>>, Response = Response, Error = Infallible>,
    {
        let begun = Instant::now();
        let route = route_of(request.uri().path());
        let response = match self.admit(caller, route, request).await {
            Err(problem) => problem.into_response(),
            Ok(request) => self.handle(route, request, service).await,
        };
        crate::metrics::get().answered(route.template, response.status().as_u16(), begun.elapsed());
        response
    }

    async fn admit(
        &self, caller: Caller, route: Route, request: Request<Incoming>,
    ) -> Result<Request<Full<Bytes>>, Problem> {
        if !self.take(&caller.0, Instant::now()) {
            crate::metrics::get().refused("rate");
            return Err(Problem::new(
                429,
                "node.rate",
                "贵机构的请求过于频繁；请稍后再试",
                "your organisation sends too many requests; try again later",
            ));
        }
        let (mut head, body) = request.into_parts();
        let body = if head.method == Method::POST {
            let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            self.body(body, length, route.max_body).await?
        } else {
            Bytes::new()
        };
        head.extensions.insert(caller);
        Ok(Request::from_parts(head, Full::new(body)))
    }

    async fn body<B>(&self, body: B, announced: Option<u64>, limit: usize) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let too_large = || Problem::new(413, "request.too_large", "请求内容过大", "the request body is too large");
        let announced = announced
            .ok_or_else(|| Problem::new(411, "request.length", "缺少 Content-Length", "Content-Length is required"))?;
        if usize::try_from(announced).map_or(true, |length| length > limit) {
            return Err(too_large());
        }
        match tokio::time::timeout(self.limits.body_timeout, Limited::new(body, limit).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "request body broken off");
                Err(Problem::malformed("the body ended early"))
            }
            Err(_) => {
                crate::metrics::get().refused("body_slow");
                Err(Problem::new(408, "request.slow", "请求内容未在时限内到达", "the body did not arrive in time"))
            }
        }
    }

    async fn handle<S>(&self, route: Route, request: Request<Full<Bytes>>, service: S) -> Response
    where
        S: Service<Request<Full<Bytes>>, Response = Response, Error = Infallible>,
    {
        let busy = || {
            Problem::new(
                503,
                "node.busy",
                "节点繁忙；请稍后再试或改用其他成员的节点",
                "this node is busy; try later or another node",
            )
            .into_response()
        };
        let handled = async {
            let _turn = match route.is_heavy {
                true => Some(self.proofs.acquire().await.expect("the semaphore is never closed")),
                false => None,
            };
            service.call(request).await.unwrap_or_else(|never| match never {})
        };
        tokio::time::timeout(self.limits.request_timeout, handled).await.unwrap_or_else(|_| {
            crate::metrics::get().refused("handler_slow");
            busy()
        })
    }

    /// Takes one request from an organisation's bucket, if there is one.
    fn take(&self, organisation: &OrgId, now: Instant) -> bool {
        let (rate, burst) = (f64::from(self.limits.requests_per_second), f64::from(self.limits.request_burst));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Organisations are members, so there are few.
        let bucket = buckets.entry(organisation.clone()).or_insert(Bucket { left: burst, at: now });
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        *bucket = Bucket { left: (bucket.left + elapsed * rate).min(burst), at: now };
        let has_one = bucket.left >= 1.0;
        if has_one {
            bucket.left -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate_for_each_organisation_apart() {
        let limits = RpcLimits { requests_per_second: 10, request_burst: 5, ..Default::default() };
        let admission = Admission::new(limits);
        let (court, notary) = (OrgId::new("court").unwrap(), OrgId::new("notary").unwrap());
        let start = Instant::now();
        let taken = |organisation, at| (0..20).filter(|_| admission.take(organisation, at)).count();
        assert_eq!(taken(&court, start), 5);
        assert_eq!(taken(&notary, start), 5, "another organisation has its own share");
        assert_eq!(taken(&court, start + Duration::from_millis(250)), 2);
        assert_eq!(taken(&court, start + Duration::from_secs(60)), 5, "a long pause earns no more than the burst");
    }

    #[tokio::test]
    async fn bodies_need_a_length_a_bound_and_an_end() {
        let limits = RpcLimits { body_timeout: Duration::from_millis(50), ..Default::default() };
        let admission = Admission::new(limits);
        let status = |outcome: Result<Bytes, Problem>| outcome.map_err(|problem| problem.status());
        let full = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(status(admission.body(full(), None, 10).await), Err(411));
        assert_eq!(status(admission.body(full(), Some(11), 10).await), Err(413));
        assert_eq!(status(admission.body(full(), Some(4), 4).await), Err(413), "a lie about the length");
        assert_eq!(status(admission.body(full(), Some(5), 5).await), Ok(Bytes::from_static(b"12345")));
        let never = http_body_util::StreamBody::new(futures::stream::pending::<
            Result<hyper::body::Frame<Bytes>, Infallible>,
        >());
        assert_eq!(status(admission.body(never, Some(5), 5).await), Err(408));
    }
}
