//! Proofs that a validator signed two contents for one step, as the engine collects them: one line per
//! validator and height, and a metric, for the operator, who takes it to the other members. The chain itself does not
//! punish; who equivocates is removed by governance.

use malachitebft_app_channel::app::types::MisbehaviorEvidence;

use super::context::{Ctx, Height};

/// Says who equivocated at a height.
pub(super) fn report(height: Height, evidence: &MisbehaviorEvidence<Ctx>) {
    let metrics = crate::metrics::get();
    for (validator, pairs) in evidence.proposals.iter() {
        metrics.equivocated("proposal");
        tracing::warn!(%height, %validator, pairs = pairs.len(), "equivocation: two proposals signed for one round");
    }
    for (validator, pairs) in evidence.votes.iter() {
        metrics.equivocated("vote");
        tracing::warn!(%height, %validator, pairs = pairs.len(), "equivocation: two votes signed for one step");
    }
}
