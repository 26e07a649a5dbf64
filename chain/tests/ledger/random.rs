//! Random submissions of every kind, valid and invalid, for a ledger that grows with them.
//!
//! A [`Step`] is a few numbers; what they mean depends on the ledger so far, so that a shorter or simpler
//! list of steps is again a sensible one and a failure shrinks well.

use super::{Ledger, MEMBERS, actor, card, commitment, commitments, key, key_slot, org, public, relay, seal_slot};
use proptest::prelude::*;
use qz_chain::state::ContractState;
use qz_chain::{SubjectState, View};
use qz_evidence::codec::Bytes;
use qz_evidence::genesis::{Params, Role};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    AuditAnchored, Change, ContractAmended, ContractDisputed, ContractFulfilment, ContractOpened, ContractRef,
    ContractRuled, ContractSigned, ContractSlotRef, ContractVersionFixed, EvidenceDeposited, FulfilmentStep,
    GovernanceChanged, GroupRule, KeyRef, KeyRegistered, KeyRotated, NotarisationRegistered, Payload, RetrievalMade,
    RulingEffect, RulingForm, SealAuthorised, SealKeyRef, SealKind, SealMade, SealRef, Slot, SlotKind,
};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::{Body, Parsed};
use qz_evidence::validators::Validator;
use qz_evidence::{Hash32, Height, SubjectId, encode};

/// Something to try.
#[derive(Clone, Debug)]
pub struct Step {
    kind: u8,
    /// Which subjects, and other choices.
    pick: [u8; 4],
    /// How it may be wrong; mostly not.
    twist: u8,
}

impl Step {
    /// A number to cut a stream of steps into blocks with.
    pub fn size(&self) -> usize {
        usize::from(self.pick[3])
    }
}

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    (0u8..64, any::<[u8; 4]>(), 0u8..60).prop_map(|(kind, pick, twist)| Step { kind, pick, twist })
}

/// Actors: key subjects with the names of their keys.
type Actors = Vec<(SubjectId, String)>;
/// What a step says: payload, names of its commitments, actors.
type Content = (Payload, &'static [&'static str], Actors);

const DOCUMENT: &[&str] = &["document.sha256"];
const DEED: &[&str] = &["number", "document.sha256"];

/// A ledger with what the steps so far have put up.
pub struct World {
    pub ledger: Ledger,
    /// Key subjects with the names of all keys that they may have now.
    people: Vec<(SubjectId, Vec<String>)>,
    seals: Vec<SubjectId>,
    contracts: Vec<SubjectId>,
    deposits: Vec<SubjectId>,
    past: Vec<Parsed>,
    names: u32,
}

fn pick<T: Clone>(list: &[T], n: u8) -> Option<T> {
    list.get(usize::from(n).checked_rem(list.len())?).cloned()
}

impl World {
    /// Three people, two seals, no contract.
    pub fn new(window: u64) -> Self {
        let mut ledger = Ledger::with(window, true);
        let people: Vec<_> = ["a", "b", "c"].map(|name| (ledger.register(name), vec![name.to_owned()])).to_vec();
        let seals = vec![ledger.make_seal(people[0].0, "a"), ledger.make_seal(people[1].0, "b")];
        let (contracts, deposits, past) = Default::default();
        Self { ledger, people, seals, contracts, deposits, past, names: 0 }
    }

    /// The submissions of these steps, as of now.
    pub fn submissions(&mut self, steps: &[Step]) -> Vec<Parsed> {
        // What was refused was never created.
        let view = &self.ledger.view;
        let exists = |id: &SubjectId| view.subject(id).unwrap().is_some();
        self.people.retain(|person| exists(&person.0));
        self.seals.retain(exists);
        self.contracts.retain(exists);
        self.deposits.retain(exists);
        let submissions: Vec<_> = steps.iter().map(|step| self.submission(step)).collect();
        self.past.extend(submissions.iter().cloned());
        submissions
    }

    fn submission(&mut self, step: &Step) -> Parsed {
        let Step { kind, pick: [n, m, o, p], twist } = *step;
        match kind {
            // The same again, by the same member or by another.
            60 if !self.past.is_empty() => self.past[usize::from(n) % self.past.len()].clone(),
            61 if !self.past.is_empty() => {
                let again = self.past[usize::from(n) % self.past.len()].clone();
                relay(again.body(), again.submission().actors.clone(), "notary")
            }
            _ => {
                let content = self.content(step).or_else(|| self.opening(n, m, o, p)).unwrap();
                self.envelope(content, n, twist)
            }
        }
    }

    fn content(&mut self, step: &Step) -> Option<Content> {
        let Step { kind, pick: [n, m, o, p], .. } = *step;
        match kind {
            0..=3 => self.of_keys(kind, n, m),
            4..=11 => self.of_seals(kind, n, m, o),
            12..=33 => self.onwards(n, m, o),
            34..=38 => self.opening(n, m, o, p),
            39..=52 => self.of_contracts(kind, n, m, o),
            _ => self.of_others(kind, n, m, o),
        }
    }

    fn of_keys(&mut self, kind: u8, n: u8, m: u8) -> Option<Content> {
        let subject = pick(&self.people, n)?.0;
        let by = self.actor(subject);
        match kind {
            0 | 1 => {
                let name = self.new_name();
                let key = PublicKey::ed25519(key(&name).verifying_key().to_bytes());
                let position = self.people.iter().position(|person| person.0 == subject)?;
                self.people[position].1.push(name.clone());
                Some((Payload::KeyRotated(KeyRotated { subject, key }), &[], vec![by, (subject, name)]))
            }
            // Keys end seldom, or soon nobody could act.
            2 if m < 90 && self.people.len() > 4 => Some((Payload::KeyRevoked(KeyRef { subject }), &[], vec![by])),
            _ => {
                let name = self.new_name();
                let key = PublicKey::ed25519(key(&name).verifying_key().to_bytes());
                let attestor = pick(&["notary", "platform", "court"], m / 64)?;
                let payload = Payload::KeyRegistered(KeyRegistered { key, attestor: org(attestor) });
                // Who it creates hangs on the whole body: see `envelope`.
                let office = (self.office(attestor), format!("{attestor}/office"));
                Some((payload, &["name", "id_code", "identity_check"], vec![(SubjectId::default(), name), office]))
            }
        }
    }

    fn of_seals(&mut self, kind: u8, n: u8, m: u8, o: u8) -> Option<Content> {
        let seal = pick(&self.seals, n)?;
        let SubjectState::Seal(state) = self.state(seal)? else { return None };
        let by = vec![self.actor(state.owner)];
        let key = pick(&self.people, m)?.0;
        let fields = SealRef { seal };
        let (count, until) = match o % 4 {
            0 => (Some(u32::from(o / 64)), None),
            1 => (None, Some(Height(self.ledger.height().0 + u64::from(o / 32)))),
            _ => (None, None),
        };
        let payload = match kind {
            4 if self.seals.len() < 6 => {
                let by = vec![self.actor(key)];
                let payload = Payload::SealMade(SealMade { owner: key, kind: SealKind::Finance });
                return Some((payload, &["imprint.sha256", "certificate.sha256"], by));
            }
            4..=6 => Payload::SealAuthorised(SealAuthorised { seal, key, count, until }),
            7 => Payload::SealRevoked(SealKeyRef { seal, key }),
            8 => Payload::SealSuspended(fields),
            9 | 10 => Payload::SealResumed(fields),
            _ if o < 60 => Payload::SealDestroyed(fields),
            _ => Payload::SealResumed(fields),
        };
        Some((payload, &[], by))
    }

    fn opening(&mut self, n: u8, m: u8, o: u8, p: u8) -> Option<Content> {
        let initiator = pick(&self.people, n)?.0;
        let by = vec![self.actor(initiator)];
        let completed = self.of_status(Status::Completed);
        let (slots, amends) = match pick(&completed, o) {
            // With the original's slots.
            Some((id, original)) if p.is_multiple_of(2) => (original.slots, Some(id)),
            _ => {
                let other = pick(&self.people, m)?.0;
                let seal = pick(&self.seals, o)?;
                let slots = [key_slot(initiator, 1, 1), seal_slot(seal, 2, 1 + p % 2), key_slot(other, 3, 2)];
                (slots[..usize::from(1 + o % 3)].to_vec(), None)
            }
        };
        let rules = if p % 5 == 1 { vec![GroupRule { group: 1, required: 1 }] } else { vec![] };
        Some((Payload::ContractOpened(ContractOpened { initiator, slots, rules, amends }), &["title"], by))
    }

    /// The natural next thing to do with some contract.
    fn onwards(&mut self, n: u8, m: u8, o: u8) -> Option<Content> {
        let contract = pick(&self.contracts, n)?;
        let state = self.contract(contract)?;
        let initiator = vec![self.actor(state.initiator)];
        match state.status {
            Status::Opened => {
                let payload = Payload::ContractVersionFixed(ContractVersionFixed { contract, version: 1 });
                Some((payload, DOCUMENT, initiator))
            }
            Status::Signing => {
                let open: Vec<_> = (0u8..).zip(&state.slots).filter(|(i, _)| !state.is_signed(*i)).collect();
                let (slot, what) = pick(&open, m)?;
                let (by, seal) = self.signer(what, o)?;
                let version = state.document?;
                let payload = Payload::ContractSigned(ContractSigned { contract, slot, version, seal });
                Some((payload, &["to_be_signed.sha256"], vec![by]))
            }
            Status::Signed => Some((Payload::ContractCompleted(ContractRef { contract }), DOCUMENT, vec![])),
            Status::Disputed => self.ruling(contract, &state, m, o),
            _ => {
                let by = vec![pick(&self.parties(&state), m)?];
                let steps = [FulfilmentStep::Due, FulfilmentStep::Performed, FulfilmentStep::Accepted];
                let step = pick(&[&steps[..], &[FulfilmentStep::Overdue]].concat(), o)?;
                let payload = ContractFulfilment { contract, obligation: u16::from(m % 3), step };
                Some((Payload::ContractFulfilment(payload), &["receipt.sha256"], by))
            }
        }
    }

    fn ruling(&self, contract: SubjectId, state: &ContractState, m: u8, o: u8) -> Option<Content> {
        let forum = state.dispute.as_ref()?.forum.as_str().to_owned();
        let fitting = if forum == "court" { RulingForm::Order } else { RulingForm::Award };
        let form = pick(&[fitting, fitting, RulingForm::Mediation, RulingForm::Judgment], m)?;
        let effects = [RulingEffect::Interim, RulingEffect::InForce, RulingEffect::Terminated, RulingEffect::Void];
        let payload = Payload::ContractRuled(ContractRuled { contract, form, effect: pick(&effects, o)? });
        Some((payload, DEED, vec![(self.office(&forum), format!("{forum}/office"))]))
    }

    fn of_contracts(&mut self, kind: u8, n: u8, m: u8, o: u8) -> Option<Content> {
        let contract = pick(&self.contracts, n)?;
        let state = self.contract(contract)?;
        let initiator = vec![self.actor(state.initiator)];
        let parties = self.parties(&state);
        let payload = match kind {
            39 => {
                let version = state.version + u32::from(o % 3);
                let payload = Payload::ContractVersionFixed(ContractVersionFixed { contract, version });
                return Some((payload, DOCUMENT, initiator));
            }
            40 => {
                let slot = m % 3;
                let by = self.signer(state.slots.get(usize::from(slot))?, o)?.0;
                return Some((Payload::ContractDeclined(ContractSlotRef { contract, slot }), &[], vec![by]));
            }
            41..=43 => {
                let (amendment, change) = pick(&self.of_status(Status::Completed), m)?;
                let original = change.amends.filter(|_| o > 20).unwrap_or(contract);
                let by = self.contract(original).map_or(state.initiator, |original| original.initiator);
                let payload = Payload::ContractAmended(ContractAmended { contract: original, amendment });
                return Some((payload, &[], vec![self.actor(by)]));
            }
            44 => Payload::ContractTerminated(ContractRef { contract }),
            45 => Payload::ContractVoided(ContractRef { contract }),
            46..=48 => {
                let forum = org(pick(&["court", "arbitration", "court", "notary"], m)?);
                let by = vec![pick(&parties, o)?];
                return Some((Payload::ContractDisputed(ContractDisputed { contract, forum }), &[], by));
            }
            49 => return Some((Payload::ContractArchived(ContractRef { contract }), DOCUMENT, vec![])),
            50 => return self.ruling(contract, &state, m, o),
            _ => {
                let by = (self.office("notary"), "notary/office".to_owned());
                let subject = if m.is_multiple_of(2) { contract } else { pick(&self.deposits, o)? };
                let payload = Payload::NotarisationRegistered(NotarisationRegistered { subject });
                return Some((payload, DEED, vec![by]));
            }
        };
        Some((payload, &[], parties))
    }

    fn of_others(&mut self, kind: u8, n: u8, m: u8, o: u8) -> Option<Content> {
        match kind {
            53..=55 => {
                let mut contracts = self.contracts.clone();
                contracts.rotate_left(usize::from(n).checked_rem(self.contracts.len())?);
                contracts.truncate(usize::from(m % 6));
                let by = (self.office("court"), "court/office".to_owned());
                Some((Payload::RetrievalMade(RetrievalMade { contracts }), &["number"], vec![by]))
            }
            56 | 57 => {
                let name = pick(&["platform", "court"], n)?;
                let fields = AuditAnchored { organisation: org(name), size: u64::from(m), root: Hash32([o; 32]) };
                Some((Payload::AuditAnchored(fields), &[], vec![(self.office(name), format!("{name}/office"))]))
            }
            62 | 63 => {
                let offices = ["court", "notary", "platform"];
                let by = offices.map(|member| (self.office(member), format!("{member}/office"))).to_vec();
                let payload = Payload::GovernanceChanged(GovernanceChanged { change: self.change(n, m) });
                Some((payload, &[], by))
            }
            _ => {
                let about = if n.is_multiple_of(2) { pick(&self.contracts, m) } else { None };
                Some((Payload::EvidenceDeposited(EvidenceDeposited { about }), DOCUMENT, vec![]))
            }
        }
    }

    /// Of the consortium. Court, notary and platform stay, so that there is always somebody to propose.
    fn change(&self, n: u8, m: u8) -> Change {
        let (member, roles) = MEMBERS[0];
        match n % 8 {
            0 | 1 => Change::RemoveOrganisation(org(member)),
            2 | 3 => Change::PutOrganisation(Bytes(encode(&card(member, roles)))),
            4 | 5 => {
                let power = |i: usize| 1 + u64::from(m) / (1 << i) % 3;
                let validator = |(i, (name, _)): (usize, &(&str, &[Role]))| Validator {
                    organisation: org(name),
                    key: public(&key(&format!("{name}/consensus"))),
                    power: power(i),
                };
                Change::SetValidators(MEMBERS.iter().enumerate().map(validator).skip(usize::from(m % 2)).collect())
            }
            6 => {
                let params = self.ledger.genesis.body().params.clone();
                let window = params.window + u64::from(m % 8);
                Change::SetParams(Bytes(encode(&Params { window, ..params })))
            }
            _ => Change::Upgrade(2, Height(self.ledger.height().0 + 8 + u64::from(m % 8))),
        }
    }

    /// The submission of a content, with something wrong if the twist says so.
    fn envelope(&mut self, (payload, committed, mut actors): Content, n: u8, twist: u8) -> Parsed {
        let version = matches!(payload, Payload::ContractVersionFixed(_));
        let committed = if twist == 1 { &committed[..committed.len().saturating_sub(1)] } else { committed };
        let values = if version { vec![commitment("document.sha256", &n.to_string())] } else { commitments(committed) };
        let mut body = self.ledger.body(payload, values);
        match twist {
            2 => body.expiry = Height(self.ledger.height().0),
            3 => body.expiry = Height(self.ledger.height().0 + 5000),
            4 => body.chain_id = Hash32([n; 32]),
            // Somebody else's number.
            5 => body.id = self.past.last().map_or(body.id, |past| past.body().id),
            _ => {}
        }
        self.remember(&body);
        let created = SubjectId::created_by(&self.ledger.chain_id(), &body.digest());
        for (subject, _) in actors.iter_mut().filter(|(subject, _)| *subject == SubjectId::default()) {
            *subject = created;
        }
        let stranger = pick(&self.people, n).map(|person| self.actor(person.0));
        match (twist, actors.first_mut(), stranger) {
            (6, Some(first), Some(stranger)) => *first = stranger,
            (7, Some(first), Some(stranger)) => first.1 = stranger.1,
            (8, Some(_), _) => drop(actors.pop()),
            (9, _, Some(stranger)) => actors.push(stranger),
            _ => {}
        }
        let actors = actors.iter().map(|(subject, name)| actor(&body, *subject, &key(name))).collect();
        let member = match twist {
            10 => "notary",
            11 => "arbitration",
            12 => "court",
            _ => "platform",
        };
        relay(&body, actors, member)
    }

    /// Notes what this body will create if it is accepted.
    fn remember(&mut self, body: &Body) {
        let created = SubjectId::created_by(&self.ledger.chain_id(), &body.digest());
        match &body.payload {
            Payload::KeyRegistered(fields) if self.people.len() < 8 => {
                let names = (1..=self.names).map(|n| format!("key {n}"));
                let name = names.into_iter().find(|name| fields.key == PublicKey::ed25519(public(&key(name)).0));
                self.people.extend(name.map(|name| (created, vec![name])));
            }
            Payload::SealMade(_) => self.seals.push(created),
            Payload::ContractOpened(_) if self.contracts.len() < 12 => self.contracts.push(created),
            // The oldest is most likely over by now.
            Payload::ContractOpened(_) => {
                self.contracts.remove(0);
                self.contracts.push(created);
            }
            Payload::EvidenceDeposited(_) => self.deposits.push(created),
            _ => {}
        }
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("key {}", self.names)
    }

    fn office(&self, member: &str) -> SubjectId {
        SubjectId::of_organisation(&self.ledger.chain_id(), &org(member))
    }

    fn state(&self, subject: SubjectId) -> Option<SubjectState> {
        self.ledger.view.subject(&subject).unwrap().map(|subject| subject.state.clone())
    }

    fn contract(&self, subject: SubjectId) -> Option<ContractState> {
        match self.state(subject)? {
            SubjectState::Contract(state) => Some(state),
            _ => None,
        }
    }

    fn of_status(&self, status: Status) -> Vec<(SubjectId, ContractState)> {
        let contracts = self.contracts.iter().filter_map(|id| Some((*id, self.contract(*id)?)));
        contracts.filter(|(_, state)| state.status == status).collect()
    }

    /// A key subject with the name of the key that it has now.
    fn actor(&self, subject: SubjectId) -> (SubjectId, String) {
        let names = self.people.iter().find(|person| person.0 == subject).map(|person| person.1.clone());
        let now = match self.state(subject) {
            Some(SubjectState::Key(state)) => Some(state.key),
            _ => None,
        };
        let has = |name: &String| now == Some(PublicKey::ed25519(public(&key(name)).0));
        (subject, names.into_iter().flatten().find(has).unwrap_or_else(|| "nobody".to_owned()))
    }

    /// Who may sign a slot, mostly its holder, with the seal.
    fn signer(&self, slot: &Slot, n: u8) -> Option<((SubjectId, String), Option<SubjectId>)> {
        match slot.kind {
            SlotKind::Key => Some((self.actor(slot.subject), None)),
            SlotKind::Seal => {
                let SubjectState::Seal(seal) = self.state(slot.subject)? else { return None };
                let clerk = pick(&seal.authorisations, n).filter(|_| n.is_multiple_of(2));
                Some((self.actor(clerk.map_or(seal.owner, |clerk| clerk.key)), Some(slot.subject)))
            }
        }
    }

    /// Who holds the slots, each once.
    fn parties(&self, state: &ContractState) -> Actors {
        let holder = |slot: &Slot| match (slot.kind, self.state(slot.subject)) {
            (SlotKind::Seal, Some(SubjectState::Seal(seal))) => seal.owner,
            _ => slot.subject,
        };
        let mut parties: Vec<_> = state.slots.iter().map(holder).collect();
        parties.sort();
        parties.dedup();
        parties.into_iter().map(|party| self.actor(party)).collect()
    }
}
