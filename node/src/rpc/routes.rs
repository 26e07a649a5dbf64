//! The routes as the limits and the metrics see them: a template, the largest body, and whether an answer
//! is expensive. What they do is in `mod.rs`.

use qz_evidence::batch::SubmissionBatch;
use qz_evidence::codec::Format;
use qz_evidence::submission::Submission;

/// Largest body of a submission; anything larger is no submission.
pub(super) const MAX_SUBMISSION_BYTES: usize = <Submission as Format>::MAX_BYTES;
/// Largest batch of submissions.
const MAX_BATCH_BYTES: usize = <SubmissionBatch as Format>::MAX_BYTES;
/// Largest request for a proof: all records and subjects that one may ask for.
pub(super) const MAX_PROOF_REQUEST_BYTES: usize = 1024 * 1024;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Its path with placeholders; a label of metrics.
    pub template: &'static str,
    /// Largest request body.
    pub max_body: usize,
    /// Whether answers are made a few at a time.
    pub is_heavy: bool,
}

const fn light(template: &'static str) -> Route {
    Route { template, max_body: 0, is_heavy: false }
}

/// The route of a path; unknown paths share one.
pub(super) fn route_of(path: &str) -> Route {
    let mut segments = path.trim_matches('/').split('/');
    let (version, first, second, third) = (segments.next(), segments.next(), segments.next(), segments.next());
    let unknown = light("unknown");
    if segments.next().is_some() {
        return unknown;
    }
    match (version, first, second, third) {
        (Some("health"), None, None, None) => light("/health"),
        (Some("health"), Some("live"), None, None) => light("/health/live"),
        (Some("health"), Some("ready"), None, None) => light("/health/ready"),
        (Some("metrics"), None, None, None) => light("/metrics"),
        (Some("v1"), Some("status"), None, None) => light("/v1/status"),
        (Some("v1"), Some("submissions"), None, None) => {
            Route { template: "/v1/submissions", max_body: MAX_SUBMISSION_BYTES, is_heavy: false }
        }
        (Some("v1"), Some("submissions"), Some("batch"), None) => {
            Route { template: "/v1/submissions/batch", max_body: MAX_BATCH_BYTES, is_heavy: false }
        }
        (Some("v1"), Some("submissions"), Some(_), None) => light("/v1/submissions/{digest}"),
        (Some("v1"), Some("records"), Some(_), None) => light("/v1/records/{hash}"),
        (Some("v1"), Some("subjects"), Some(_), None) => light("/v1/subjects/{id}"),
        (Some("v1"), Some("subjects"), Some(_), Some("records")) => light("/v1/subjects/{id}/records"),
        (Some("v1"), Some("subjects"), Some(_), Some("history")) => {
            Route { template: "/v1/subjects/{id}/history", max_body: 0, is_heavy: true }
        }
        (Some("v1"), Some("proof"), None, None) => {
            Route { template: "/v1/proof", max_body: MAX_PROOF_REQUEST_BYTES, is_heavy: true }
        }
        (Some("v1"), Some("blocks"), Some(_), None) => light("/v1/blocks/{height}"),
        (Some("v1"), Some("genesis"), None, None) => light("/v1/genesis"),
        (Some("v1"), Some("events"), None, None) => light("/v1/events"),
        (Some("v1"), Some("checkpoint"), None, None) => light("/v1/checkpoint"),
        (Some("v1"), Some("consistency"), None, None) => light("/v1/consistency"),
        (Some("v1"), Some("inclusion"), None, None) => light("/v1/inclusion"),
        _ => unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_templates_and_only_known_ones() {
        for (path, template) in [
            ("/v1/status", "/v1/status"),
            ("/v1/submissions", "/v1/submissions"),
            ("/v1/submissions/abc", "/v1/submissions/{digest}"),
            ("/v1/subjects/00ff/records", "/v1/subjects/{id}/records"),
            ("/v1/subjects/00ff/other", "unknown"),
            ("/v1/subjects/00ff/records/more", "unknown"),
            ("/health/ready", "/health/ready"),
            ("/v2/status", "unknown"),
            ("/", "unknown"),
        ] {
            assert_eq!(route_of(path).template, template, "{path}");
        }
        assert_eq!(route_of("/v1/anything").max_body, 0);
    }
}
