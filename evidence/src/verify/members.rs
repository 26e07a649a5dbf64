//! Who the members were: by the pinned genesis and by the changes of the consortium that a bundle shows.
//!
//! A bundle need not show every change. What it shows stands in final blocks, and the rules of the ledger
//! let only members relay, with the key in force; so a key or role that neither the genesis nor a shown
//! change gave is refused, while one that a change took away again which the bundle does not show is the
//! members' business (it is one of the report's assumptions).

use super::{Decoded, Failure, Member};
use crate::genesis::{Card, Genesis, Organisation};
use crate::ids::{Height, OrgId, SubjectId};
use crate::payload::{Change, Payload};
use std::collections::BTreeMap;

/// A place in the ledger: height and index.
type Place = (Height, u32);

/// What an organisation was from a place on (nothing for the genesis, which is before all); nothing: it was
/// removed.
type Turn = (Option<Place>, Option<Organisation>);

/// The members at every place, as far as the bundle tells.
pub(super) struct Members {
    /// Turns of each, ascending.
    timelines: BTreeMap<OrgId, Vec<Turn>>,
    /// Does the bundle show any change?
    changed: bool,
}

impl Members {
    /// Collects them. Entries must have been proven, and be in ascending order.
    pub(super) fn collect(decoded: &Decoded, genesis: &Genesis) -> Result<Self, Failure> {
        let mut timelines: BTreeMap<_, Vec<Turn>> = BTreeMap::new();
        for organisation in genesis.organisations() {
            timelines.insert(organisation.id.clone(), vec![(None, Some(organisation.clone()))]);
        }
        let mut changed = false;
        for (i, opened) in decoded.entries.iter().enumerate() {
            let Payload::GovernanceChanged(fields) = &opened.parsed.body().payload else { continue };
            let (id, organisation) = match &fields.change {
                Change::PutOrganisation(card) => {
                    let (_, organisation) = Card::open(card).map_err(|error| {
                        Failure::new(
                            format!("第 {i} 条记录：机构名片无效（{error}）"),
                            format!("record {i}: the organisation card does not hold: {error}"),
                        )
                    })?;
                    (organisation.id.clone(), Some(organisation))
                }
                Change::RemoveOrganisation(id) => (id.clone(), None),
                Change::SetValidators(_) | Change::SetParams(_) | Change::Upgrade(..) => continue,
            };
            changed = true;
            let place = (opened.header.height, opened.record.index);
            timelines.entry(id).or_default().push((Some(place), organisation));
        }
        Ok(Self { timelines, changed })
    }

    /// What the bundle shows of a member just before a place.
    pub(super) fn before(&self, id: &OrgId, place: Place) -> Option<&Organisation> {
        let timeline = self.timelines.get(id)?;
        let (_, last) = timeline.iter().rev().find(|(since, _)| since.is_none_or(|since| since < place))?;
        last.as_ref()
    }

    /// Does the bundle show any change?
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// Everybody who was a member at any time, by id, with the last card; for names.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Organisation> {
        self.timelines.values().filter_map(|timeline| timeline.iter().rev().find_map(|(_, o)| o.as_ref()))
    }

    /// Every card of every member that the genesis or a shown record holds.
    pub(super) fn ever(&self) -> impl Iterator<Item = &Organisation> {
        self.timelines.values().flatten().filter_map(|(_, organisation)| organisation.as_ref())
    }

    /// The organisation of this subject.
    pub(super) fn of_subject(&self, genesis: &Genesis, subject: &SubjectId) -> Option<&Organisation> {
        self.everybody().find(|o| SubjectId::of_organisation(&genesis.chain_id(), &o.id) == *subject)
    }

    /// For the report.
    pub(super) fn report(&self) -> Vec<Member> {
        self.everybody().map(member).collect()
    }
}

/// An organisation in the report.
pub(super) fn member(organisation: &Organisation) -> Member {
    let Organisation { id, name_zh, name_en, roles, .. } = organisation;
    Member { org: id.clone(), name_zh: name_zh.clone(), name_en: name_en.clone(), roles: roles.clone() }
}
