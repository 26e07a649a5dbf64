//! Inspection of what the store knows about the consortium: validators and parameters of the next height,
//! epochs, and members with their cards.

use super::Findings;
use crate::error::StoreError;
use crate::keys::{self, meta};
use crate::read::StoreView;
use qz_chain::SubjectState;
use qz_chain::governance::governance_state;
use qz_evidence::genesis::{Card, Genesis};
use qz_evidence::header::Header;
use qz_evidence::{Height, OrgId, SubjectId};

/// A part of the check.
type Part = fn(&StoreView<'_>, &Genesis, &Header, &mut Findings) -> Result<(), StoreError>;

/// Compares it with the last header, with the headers at which epochs end, and with the subjects.
pub(super) fn check(view: &StoreView<'_>, genesis: &Genesis, tip: &Header, findings: &mut Findings) {
    let parts: [(&'static str, Part); 4] =
        [(keys::META, validators), (keys::META, params), (keys::EPOCHS, epochs), (keys::ORGANISATIONS, members)];
    for (column, part) in parts {
        if let Err(error) = part(view, genesis, tip, findings) {
            findings.add_error(None, column, &error);
        }
    }
}

fn validators(view: &StoreView<'_>, _: &Genesis, tip: &Header, findings: &mut Findings) -> Result<(), StoreError> {
    if view.stored_validators()?.hash() != tip.next_validators_hash {
        findings.add(None, keys::META, meta::VALIDATORS, "not those that the last block names");
    }
    Ok(())
}

/// Those of the last block, or those that the last change decided on, or of an upgrade that begins now.
fn params(view: &StoreView<'_>, _: &Genesis, tip: &Header, findings: &mut Findings) -> Result<(), StoreError> {
    let params = view.stored_params()?;
    let decided = governance_state(view).map_err(StoreError::State)?;
    let begins = decided.as_ref().and_then(|state| state.upgrade).filter(|upgrade| upgrade.height == tip.height.next());
    let known = match begins {
        Some(upgrade) => params.protocol == upgrade.version,
        None => params.hash() == tip.params_hash || decided.is_some_and(|state| params.hash() == state.params),
    };
    if !known {
        findings.add(None, keys::META, meta::PARAMS, "not those of the last block");
    }
    Ok(())
}

/// Every epoch begins behind the block that names its set.
fn epochs(view: &StoreView<'_>, genesis: &Genesis, _: &Header, findings: &mut Findings) -> Result<(), StoreError> {
    let mut stored = 0;
    for entry in view.scan(keys::EPOCHS, &[]) {
        let (key, _) = entry?;
        let number = <[u8; 8]>::try_from(&key[..]).map(u64::from_be_bytes);
        let epoch = number.ok().map(|number| view.epoch(number)).transpose()?.flatten();
        let right = match epoch {
            None => false,
            Some(epoch) if epoch.number == 0 => epoch.first == Height(0) && epoch.validators == *genesis.validators(),
            Some(epoch) => {
                let last = epoch.first.0.checked_sub(1).map(|last| view.header(Height(last))).transpose()?.flatten();
                last.is_some_and(|last| {
                    last.epoch + 1 == epoch.number && last.next_validators_hash == epoch.validators.hash()
                })
            }
        };
        if !right {
            findings.add(None, keys::EPOCHS, &key, "does not begin behind the block that names its validators");
        }
        stored += 1;
    }
    let expected = view.next_epoch()? + 1;
    if stored != expected {
        let problem = format!("{stored} epochs are stored, the headers have {expected}");
        findings.add(None, keys::EPOCHS, &keys::epoch(expected), problem);
    }
    Ok(())
}

/// Every member's card holds and is what its subject's state says; nobody is missing.
fn members(view: &StoreView<'_>, genesis: &Genesis, _: &Header, findings: &mut Findings) -> Result<(), StoreError> {
    let members = view.members()?;
    for member in &members {
        let agrees = match view.stored_subject(&SubjectId::of_organisation(&genesis.chain_id(), member.id()))? {
            None => false,
            Some((_, subject)) => {
                let last = view.record(&subject.last_record)?.map_or(Height(0), |record| record.height);
                subject.state == SubjectState::Organisation(member.state()) && member.since == last
            }
        };
        if !agrees || Card::open(&member.card).is_err() {
            let key = member.id().as_str().as_bytes();
            findings.add(None, keys::ORGANISATIONS, key, "not the organisation that its subject says");
        }
    }
    let active: Vec<&OrgId> = members.iter().filter(|member| member.is_active()).map(|member| member.id()).collect();
    let complete = match governance_state(view).map_err(StoreError::State)? {
        Some(state) => state.members.iter().eq(active.iter().copied()),
        None => genesis.organisations().iter().map(|o| &o.id).eq(active.iter().copied()),
    };
    if !complete {
        findings.add(None, keys::ORGANISATIONS, b"", "the active members are not those of the ledger");
    }
    Ok(())
}
