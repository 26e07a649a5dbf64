//! Anchors of audit logs: an organisation fixes the root of its log, which from then on it can only
//! append to without being found out.

use super::{Context, Outcome};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{AuditLogState, SubjectState};
use crate::view::View;
use qz_evidence::SubjectId;
use qz_evidence::payload::AuditAnchored;
use qz_evidence::state_proof::SubjectType;

/// The state machine of audit logs: every anchor is over more entries than the one before. That the new
/// root extends the old one is for whoever reads the log to check (RFC 9162 consistency proof).
fn next(log: SubjectId, before: Option<AuditLogState>, anchor: &AuditAnchored) -> Result<AuditLogState, Reject> {
    let AuditAnchored { organisation, size, root } = anchor;
    let last = before.map_or(0, |state| state.size);
    if *size <= last {
        return Err(Reject::AuditNotGrown { log, last, found: *size });
    }
    Ok(AuditLogState { organisation: organisation.clone(), size: *size, root: *root })
}

/// Actor: the organisation's office. An organisation has one audit log; the first anchor creates it.
pub(super) fn anchored<V: View>(c: &Context<'_, '_, V>, fields: &AuditAnchored) -> Result<Outcome, Refusal> {
    let (_, keys) = c.office_of(&fields.organisation)?;
    let log = SubjectId::of_audit_log(&c.overlay.chain_id, &fields.organisation);
    let before = match c.overlay.find(&log)?.as_deref().map(|subject| &subject.state) {
        None => None,
        Some(SubjectState::AuditLog(state)) => Some(state.clone()),
        Some(other) => {
            let (found, expected) = (other.subject_type(), SubjectType::AuditLog);
            return Err(Reject::SubjectType { subject: log, found, expected }.into());
        }
    };
    let creates = before.is_none();
    let state = SubjectState::AuditLog(next(log, before, fields)?);
    Ok(if creates { Outcome::creates(keys, log, state) } else { Outcome::changes(keys, vec![(log, state)]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qz_evidence::{Hash32, OrgId};

    #[test]
    fn only_larger_logs_are_anchored() {
        let log = SubjectId(Hash32([1; 32]));
        let Some(organisation) = OrgId::new("court") else { unreachable!("a well-formed id") };
        let state = |size, byte| AuditLogState { organisation: organisation.clone(), size, root: Hash32([byte; 32]) };
        let anchor = |size, byte| AuditAnchored { organisation: organisation.clone(), size, root: Hash32([byte; 32]) };
        let not_grown = |last, found| Err(Reject::AuditNotGrown { log, last, found });
        let table = [
            (None, anchor(1, 1), Ok(state(1, 1))),
            (None, anchor(9, 1), Ok(state(9, 1))),
            (None, anchor(0, 1), not_grown(0, 0)),
            (Some(state(9, 1)), anchor(10, 2), Ok(state(10, 2))),
            (Some(state(9, 1)), anchor(u64::MAX, 2), Ok(state(u64::MAX, 2))),
            (Some(state(9, 1)), anchor(9, 1), not_grown(9, 9)),
            (Some(state(9, 1)), anchor(9, 2), not_grown(9, 9)),
            (Some(state(9, 1)), anchor(8, 2), not_grown(9, 8)),
            (Some(state(u64::MAX, 1)), anchor(u64::MAX, 2), not_grown(u64::MAX, u64::MAX)),
        ];
        for (before, anchor, expected) in table {
            assert_eq!(next(log, before.clone(), &anchor), expected, "{before:?} {anchor:?}");
        }
    }
}
