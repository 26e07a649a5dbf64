//! What this gateway counts, in the OpenMetrics text format that Prometheus reads (`GET /metrics`, with an operator's
//! token). Only what happens is counted here; jobs and the ledger's height are sampled at a scrape. No label takes
//! a value that a client can choose, and nothing in it is about a person.

use crate::app::App;
use crate::error::ServiceError;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use qz_storage::jobs;
use std::time::Duration;

/// `Content-Type` of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The parts of the API; whatever else is asked for is the portal's.
const ROUTES: [&str; 13] = [
    "authority",
    "certificates",
    "contracts",
    "documents",
    "jobs",
    "keys",
    "openapi.json",
    "operations",
    "retrievals",
    "seals",
    "status",
    "verifications",
    "publication",
];

/// Seconds, upper bounds.
const SECONDS: [f64; 9] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobsOf {
    kind: String,
    state: &'static str,
}

/// What has happened since this process began.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    submissions: Family<Outcome, Counter>,
    signatures: Counter,
    seconds: Seconds,
}

#[derive(Debug)]
struct Seconds(Family<Route, Histogram>);

impl Default for Seconds {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(SECONDS)))
    }
}

/// Which part of the API, or of the site, a path belongs to.
fn route(path: &str) -> &'static str {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next()) {
        (Some("v1"), Some(part)) => ROUTES.into_iter().find(|known| *known == part).unwrap_or("unknown"),
        (Some("metrics"), None) => "metrics",
        (Some("health"), None) => "health",
        _ => "portal",
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, path: &str, status: u16, took: Duration) {
        let route = route(path);
        self.requests.get_or_create(&Answered { route, status }).inc();
        self.seconds.0.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    /// What became of a submission to the ledger: `final`, `rejected`, or `unanswered`, which is tried again.
    pub fn submitted(&self, outcome: &'static str) {
        self.submissions.get_or_create(&Outcome { outcome }).inc();
    }

    /// A PDF signature was made.
    pub fn signed(&self) {
        self.signatures.inc();
    }

    /// Everything, with what is sampled now. A ledger that no node answers for is `0` in `ledger_reachable`.
    pub async fn render(&self, app: &App) -> Result<String, ServiceError> {
        let mut registry = Registry::with_prefix("qizheng_gateway");
        registry.register("requests", "Requests by part of the API and status", self.requests.clone());
        registry.register("request_seconds", "How long requests took", self.seconds.0.clone());
        registry.register("submissions", "Submissions to the ledger by outcome", self.submissions.clone());
        registry.register("signatures", "PDF signatures made", self.signatures.clone());
        let queue = Family::<JobsOf, Gauge>::default();
        for count in jobs::counts(&app.storage).await? {
            let state = match count.status {
                jobs::JobStatus::Failed => "failed",
                jobs::JobStatus::Running => "running",
                _ if count.has_failed => "retrying",
                _ => "waiting",
            };
            queue
                .get_or_create(&JobsOf { kind: count.kind, state })
                .inc_by(i64::try_from(count.jobs).unwrap_or(i64::MAX));
        }
        registry.register("jobs", "Jobs that are not done, by kind and state", queue);
        let (height, reachable, healthy) = (Gauge::<i64>::default(), Gauge::<i64>::default(), Gauge::<i64>::default());
        if let Ok(status) = app.ledger.status().await {
            height.set(i64::try_from(status.height).unwrap_or(i64::MAX));
            reachable.set(1);
            healthy.set(i64::from(status.healthy));
        }
        registry.register("ledger_height", "Height of the ledger at the node that answers", height);
        registry.register("ledger_reachable", "Does a node answer?", reachable);
        registry.register("ledger_node_healthy", "Does it say that it is healthy?", healthy);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string cannot fail");
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn labels_are_not_chosen_by_clients() {
        for (path, expected) in [
            ("/v1/contracts/0123/signatures", "contracts"),
            ("/v1/anything", "unknown"),
            ("/metrics", "metrics"),
            ("/metrics/x", "portal"),
            ("/verify", "portal"),
            ("/", "portal"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
