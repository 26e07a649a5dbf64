//! What of the ledger concerns an organisation: disputes brought before it, its own records, what happens
//! later to the contracts that it has dealt with, and changes of the consortium.
//!
//! It reads a node's stream of events, so what it tells is the node's word; whoever acts on it fetches the
//! proof. It remembers nothing on disk: reading the stream again gives the same.

use crate::client::Client;
use crate::error::ClientError;
use crate::events::RecordEvent;
use qz_evidence::payload::{Payload, RulingEffect};
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId, SubjectId, decode_strict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most subjects that are followed; the oldest are not given up, later ones are not added.
const MAX_FOLLOWED: usize = 100_000;

/// Why a record concerns the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A dispute was brought before it.
    Forum,
    /// It signed or relayed the record itself.
    Own,
    /// About a contract that it has dealt with.
    Followed,
    /// About a subject on its watch list.
    Watched,
    /// A change of the consortium.
    Governance,
}

/// A record that concerns the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concern {
    /// Why.
    pub why: Why,
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Time of the block, milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
    /// Hash of the record.
    pub record: Hash32,
    /// Kind, such as `contract.disputed`.
    pub kind: String,
    /// What it is, Chinese.
    pub title_zh: &'static str,
    /// What it is, English.
    pub title_en: &'static str,
    /// Who relayed it.
    pub relay: OrgId,
    /// The subjects that it touches.
    pub subjects: Vec<SubjectId>,
}

/// The organisation's desk: what is pending before it, and what it follows.
#[derive(Clone, Debug)]
pub struct Desk {
    org: OrgId,
    office: SubjectId,
    watched: BTreeSet<SubjectId>,
    followed: BTreeSet<SubjectId>,
    pending: BTreeMap<SubjectId, Concern>,
}

impl Desk {
    /// An empty desk.
    pub fn new(chain_id: &Hash32, org: OrgId, watched: impl IntoIterator<Item = SubjectId>) -> Self {
        let office = SubjectId::of_organisation(chain_id, &org);
        let watched = watched.into_iter().collect();
        Self { org, office, watched, followed: BTreeSet::new(), pending: BTreeMap::new() }
    }

    /// Disputes that wait for this organisation's ruling, by contract.
    pub fn pending(&self) -> &BTreeMap<SubjectId, Concern> {
        &self.pending
    }

    /// Takes the next record of the stream; fetches it if its clear fields matter.
    pub async fn take(&mut self, client: &Client, event: &RecordEvent) -> Result<Option<Concern>, ClientError> {
        let parsed = match matters(&event.kind) {
            true => client.record(&event.hash).await?.and_then(|found| open(&found.record)),
            false => None,
        };
        let mut concern = self.consider(event, parsed.as_ref());
        if let Some(concern) = concern.as_mut().filter(|concern| concern.title_zh.is_empty()) {
            let found = client.record(&event.hash).await?.and_then(|found| open(&found.record));
            if let Some(parsed) = found {
                let words = parsed.body().payload.kind();
                (concern.title_zh, concern.title_en) = (words.zh, words.en);
            }
        }
        Ok(concern)
    }

    fn consider(&mut self, event: &RecordEvent, parsed: Option<&Parsed>) -> Option<Concern> {
        let subjects: Vec<SubjectId> = event.subjects.iter().map(|touched| touched.subject).collect();
        let signed = parsed.is_some_and(|p| p.submission().actors.iter().any(|actor| actor.subject == self.office));
        let before_us = matches!(
            parsed.map(|p| &p.body().payload),
            Some(Payload::ContractDisputed(fields)) if fields.forum == self.org
        );
        let touches = |set: &BTreeSet<SubjectId>| subjects.iter().any(|subject| set.contains(subject));
        let why = if before_us {
            Why::Forum
        } else if signed || event.relay == self.org {
            Why::Own
        } else if touches(&self.watched) {
            Why::Watched
        } else if touches(&self.followed) || subjects.iter().any(|subject| self.pending.contains_key(subject)) {
            Why::Followed
        } else if event.kind == "governance.changed" {
            Why::Governance
        } else {
            return None;
        };
        let words = parsed.map(|p| p.body().payload.kind());
        let concern = Concern {
            why,
            height: event.height,
            index: event.index,
            time_ms: event.time_ms,
            record: event.hash,
            kind: event.kind.clone(),
            title_zh: words.map_or("", |words| words.zh),
            title_en: words.map_or("", |words| words.en),
            relay: event.relay.clone(),
            subjects: subjects.clone(),
        };
        if (before_us || signed) && self.followed.len() < MAX_FOLLOWED {
            self.followed.extend(subjects);
        }
        if let Some(parsed) = parsed {
            self.settle(&parsed.body().payload, before_us, &concern);
        }
        Some(concern)
    }

    /// Keeps the list of disputes that wait for this organisation.
    fn settle(&mut self, payload: &Payload, before_us: bool, concern: &Concern) {
        match payload {
            Payload::ContractDisputed(fields) if before_us => {
                self.pending.insert(fields.contract, concern.clone());
            }
            // Moved to another forum.
            Payload::ContractDisputed(fields) => drop(self.pending.remove(&fields.contract)),
            Payload::ContractRuled(fields) if fields.effect != RulingEffect::Interim => {
                self.pending.remove(&fields.contract);
            }
            // Settled by the parties.
            Payload::ContractTerminated(fields) | Payload::ContractVoided(fields) => {
                self.pending.remove(&fields.contract);
            }
            _ => {}
        }
    }
}

/// Kinds whose clear fields say whom they concern, or that offices sign.
fn matters(kind: &str) -> bool {
    matches!(
        kind,
        "contract.disputed"
            | "contract.ruled"
            | "contract.terminated"
            | "contract.voided"
            | "notarisation.registered"
            | "retrieval.made"
            | "evidence.deposited"
            | "key.registered"
            | "key.rotated"
            | "key.revoked"
            | "audit.anchored"
            | "governance.changed"
    )
}

fn open(record: &[u8]) -> Option<Parsed> {
    let record: Record = decode_strict(record).ok()?;
    Parsed::new(&record.submission).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::events::TouchedSubject;
    use qz_evidence::payload::{ContractDisputed, ContractRef, ContractRuled, RulingForm};
    use qz_evidence::submission::{Body, SubmissionTag, UnsignedSubmission};
    use qz_evidence::{Height, SubmissionId, encode};

    const CHAIN: Hash32 = Hash32([1; 32]);

    fn org(id: &str) -> OrgId {
        OrgId::new(id).unwrap()
    }

    fn contract(n: u8) -> SubjectId {
        SubjectId(Hash32([n; 32]))
    }

    /// A record with this payload, relayed by the platform and signed by nobody.
    fn take(desk: &mut Desk, payload: Payload, subject: SubjectId) -> Option<Why> {
        let kind = payload.kind().name.to_owned();
        let body = Body::new(CHAIN, SubmissionId([2; 16]), Height(9), payload, vec![], 5);
        let unsigned = UnsignedSubmission {
            tag: SubmissionTag,
            body: qz_evidence::codec::Bytes(encode(&body)),
            actors: vec![],
            relay: org("platform"),
            relay_key: Hash32([3; 32]),
        };
        let bytes = encode(&unsigned.signed([0; 64]));
        let parsed = Parsed::without_relay_check(&bytes).unwrap();
        let event = RecordEvent {
            height: 1,
            index: 0,
            hash: Hash32([4; 32]),
            digest: parsed.digest(),
            kind,
            relay: org("platform"),
            own: false,
            subjects: vec![TouchedSubject { subject, seq: 0 }],
            time_ms: 7,
        };
        desk.consider(&event, Some(&parsed)).map(|concern| concern.why)
    }

    fn disputed(n: u8, forum: &str) -> Payload {
        Payload::ContractDisputed(ContractDisputed { contract: contract(n), forum: org(forum) })
    }

    fn ruled(n: u8, effect: RulingEffect) -> Payload {
        Payload::ContractRuled(ContractRuled { contract: contract(n), form: RulingForm::Order, effect })
    }

    #[test]
    fn a_dispute_waits_until_it_is_ruled_settled_or_moved() {
        let mut desk = Desk::new(&CHAIN, org("court"), []);
        assert_eq!(take(&mut desk, disputed(1, "arbitration"), contract(1)), None);
        for n in [2, 3, 4] {
            assert_eq!(take(&mut desk, disputed(n, "court"), contract(n)), Some(Why::Forum));
        }
        assert_eq!(desk.pending().len(), 3);
        assert_eq!(take(&mut desk, ruled(2, RulingEffect::Interim), contract(2)), Some(Why::Followed));
        assert_eq!(desk.pending().len(), 3, "an interim order does not end it");
        take(&mut desk, ruled(2, RulingEffect::InForce), contract(2));
        take(&mut desk, Payload::ContractTerminated(ContractRef { contract: contract(3) }), contract(3));
        take(&mut desk, disputed(4, "arbitration"), contract(4));
        assert!(desk.pending().is_empty());
        let later = Payload::ContractArchived(ContractRef { contract: contract(2) });
        assert_eq!(take(&mut desk, later, contract(2)), Some(Why::Followed), "what was dealt with is followed");
    }

    #[test]
    fn what_is_watched_concerns_whoever_watches() {
        let archived = || Payload::ContractArchived(ContractRef { contract: contract(5) });
        let mut desk = Desk::new(&CHAIN, org("notary"), [contract(5)]);
        assert_eq!(take(&mut desk, archived(), contract(5)), Some(Why::Watched));
        assert_eq!(take(&mut desk, archived(), contract(6)), None);
    }
}
