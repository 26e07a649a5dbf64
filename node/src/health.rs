//! Whether this node may go on: the first fatal reason wins, makes the node unhealthy at once and
//! ends the process with a non-zero code shortly after.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by everything that can find the node beyond repair.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Health {
    /// A healthy node.
    pub(crate) fn new() -> Self {
        Self { reason: Arc::new(watch::Sender::new(None)) }
    }

    /// Marks the node as failed; later reasons are only logged.
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(%reason, "node failed");
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }

    /// Whether nothing has failed.
    pub(crate) fn is_healthy(&self) -> bool {
        self.reason.borrow().is_none()
    }

    /// Waits until the node has failed and returns why.
    pub(crate) async fn failed(&self) -> String {
        let mut reason = self.reason.subscribe();
        match reason.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "health channel closed".to_owned(),
        }
    }
}
