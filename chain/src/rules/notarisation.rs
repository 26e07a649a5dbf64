//! Notarial deeds 公证书: a notary puts the number and digest of a deed to a contract or a deposit.

use super::{Context, Outcome, contract};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::SubjectState;
use crate::view::View;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::payload::NotarisationRegistered;
use qz_evidence::state_proof::SubjectType;

/// Actor: the office of a member with the notary role. The subject keeps its state, whatever it is: a
/// deed is a fact about it.
pub(super) fn registered<V: View>(c: &Context<'_, '_, V>, fields: &NotarisationRegistered) -> Result<Outcome, Refusal> {
    let subject = fields.subject;
    let found = c.overlay.find(&subject)?.ok_or(Reject::SubjectUnknown { subject })?;
    let state = match found.state.clone() {
        SubjectState::Contract(state) => contract::note(subject, state)?,
        deposit @ SubjectState::Evidence(_) => deposit,
        other => {
            let (found, expected) = (other.subject_type(), SubjectType::Contract);
            return Err(Reject::SubjectType { subject, found, expected }.into());
        }
    };
    let keys = c.sole_office(Role::Notary)?;
    c.commitment(name::NUMBER)?;
    c.commitment(name::DOCUMENT)?;
    Ok(Outcome::changes(keys, vec![(subject, state)]))
}
