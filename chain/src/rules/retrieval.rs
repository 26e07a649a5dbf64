//! Judicial retrieval 司法调证: a court takes the evidence of contracts, and their owners can see that it
//! did.

use super::{Context, Outcome, contract};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::view::View;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::payload::RetrievalMade;

/// Most contracts of one retrieval.
const MAX_CONTRACTS: usize = 4;

/// Actor: the office of a member with the court role. Touches every contract, none twice; their states
/// stay, whatever they are.
pub(super) fn made<V: View>(c: &Context<'_, '_, V>, fields: &RetrievalMade) -> Result<Outcome, Refusal> {
    let contracts = &fields.contracts;
    if !(1..=MAX_CONTRACTS).contains(&contracts.len()) {
        return Err(Reject::RetrievalCount { found: contracts.len() }.into());
    }
    if let Some((_, contract)) = contracts.iter().enumerate().find(|(i, id)| contracts[..*i].contains(id)) {
        return Err(Reject::RetrievalRepeated { contract: *contract }.into());
    }
    let keys = c.sole_office(Role::Court)?;
    c.commitment(name::NUMBER)?;
    let mut touched = vec![];
    for id in contracts {
        touched.push((*id, contract::note(*id, c.overlay.contract(id)?)?));
    }
    Ok(Outcome::changes(keys, touched))
}
