//! Deposits of evidence 存证: a digest and a time, needing nobody's signature but the relay's.

use super::{Context, Outcome};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{EvidenceState, SubjectState};
use crate::view::View;
use qz_evidence::commitment::name;
use qz_evidence::payload::EvidenceDeposited;

/// No actors. The subject that it is about, if named, must exist; it is not touched, because whoever
/// deposits something about a contract is not thereby a party to it.
pub(super) fn deposited<V: View>(c: &Context<'_, '_, V>, fields: &EvidenceDeposited) -> Result<Outcome, Refusal> {
    let [] = c.actors()?;
    let document = c.commitment(name::DOCUMENT)?;
    if let Some(about) = fields.about
        && c.overlay.find(&about)?.is_none()
    {
        return Err(Reject::SubjectUnknown { subject: about }.into());
    }
    let state = EvidenceState { document, about: fields.about };
    Ok(Outcome::creates(vec![], c.created, SubjectState::Evidence(state)))
}
