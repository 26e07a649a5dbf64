//! What is submitted: a mix of kinds as a busy consortium would see them, all signed beforehand, so that
//! signing takes no time from the machine while it is measured.
//!
//! Of four records two deposit evidence (the relay's signature only), one opens a contract and one signs
//! a contract's slot (relay and actor): s = 1.5 signatures and u = 1 subject per record. All members relay
//! alike, each to its own node.

use super::door::Door;
use anyhow::{Context, Result, anyhow};
use ed25519_dalek::{Signer, SigningKey};
use qz_client::SignedSubmission;
use qz_evidence::commitment::{Commitment, name};
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractOpened, ContractSigned, ContractVersionFixed, EvidenceDeposited, KeyRegistered, Payload, Slot, SlotKind,
};
use qz_evidence::submission::{Actor, Body, actor_message};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use std::collections::VecDeque;

/// Signatures per record of the mix.
pub const SIGNATURES: f64 = 1.5;
/// Subjects per record of the mix.
pub const SUBJECTS: f64 = 1.0;
/// Parties; every contract has a slot for each.
const PARTIES: u8 = 4;
/// Blocks that are left of the window when the last submission of a plan is sent.
const MARGIN: u64 = 1000;

/// Who signs, and which slots are open.
pub struct Workload {
    chain_id: Hash32,
    run: [u8; 8],
    counter: u64,
    window: u64,
    parties: Vec<Party>,
    open_slots: VecDeque<(SubjectId, u8)>,
}

struct Party {
    key: SigningKey,
    subject: SubjectId,
}

/// A submission and the member that relays it.
pub struct Planned {
    /// Index of the member's door.
    pub door: usize,
    /// What is sent.
    pub submission: SignedSubmission,
}

impl Workload {
    /// Registers the parties' keys, attested by `attestor`, and waits until they are final.
    pub async fn begin(doors: &[Door], attestor: &str) -> Result<Self> {
        let genesis = doors.first().context("no member to relay")?.genesis();
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(|error| anyhow!("no randomness: {error}"))?;
        let mut workload = Self {
            chain_id: genesis.chain_id(),
            run,
            counter: 0,
            window: genesis.body().params.window,
            parties: vec![],
            open_slots: VecDeque::new(),
        };
        // Who vouches for a key must not be who relays it.
        let office = doors.iter().find(|door| door.org().as_str() == attestor).context("no such member")?.office()?;
        let relay = doors.iter().position(|door| door.org().as_str() != attestor).context("no second member")?;
        let height = doors[relay].height().await?;
        let mut registrations = vec![];
        for _ in 0..PARTIES {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| anyhow!("no randomness: {error}"))?;
            let key = SigningKey::from_bytes(&seed);
            let payload = Payload::KeyRegistered(KeyRegistered {
                key: PublicKey::ed25519(key.verifying_key().to_bytes()),
                attestor: OrgId::new(attestor).context("no well-formed id")?,
            });
            let body = workload.body(height, payload, &[name::NAME, name::ID_CODE, name::IDENTITY_CHECK]);
            let subject = SubjectId::created_by(&workload.chain_id, &body.digest());
            let attestation =
                Actor { subject: office.subject(), signature: office.sign(&body.digest())?.to_vec().into() };
            let actors = vec![actor(&body, subject, &key), attestation];
            registrations.push(Planned { door: relay, submission: doors[relay].wrap(&body, actors)? });
            workload.parties.push(Party { key, subject });
        }
        super::generator::settle(doors, registrations).await?;
        Ok(workload)
    }

    /// Signs `count` submissions, opening as many contracts beforehand as they need.
    pub async fn plan(&mut self, doors: &[Door], count: usize) -> Result<Vec<Planned>> {
        self.open_contracts(doors, count.div_ceil(4)).await?;
        let height = doors[0].height().await?;
        let mut planned = Vec::with_capacity(count);
        for i in 0..count {
            let door = (i / 4) % doors.len();
            let (body, actors) = match i % 4 {
                0 | 2 => (self.deposit(height), vec![]),
                1 => self.opening(height),
                _ => self.signing(height)?,
            };
            planned.push(Planned { door, submission: doors[door].wrap(&body, actors)? });
        }
        Ok(planned)
    }

    /// Makes at least `slots` slots that wait for a signature.
    async fn open_contracts(&mut self, doors: &[Door], slots: usize) -> Result<()> {
        let missing = slots.saturating_sub(self.open_slots.len()).div_ceil(usize::from(PARTIES));
        let height = doors[0].height().await?;
        let (mut openings, mut fixings, mut contracts) = (vec![], vec![], vec![]);
        for i in 0..missing {
            let door = i % doors.len();
            let (body, actors) = self.opening(height);
            let contract = SubjectId::created_by(&self.chain_id, &body.digest());
            openings.push(Planned { door, submission: doors[door].wrap(&body, actors)? });
            let payload = Payload::ContractVersionFixed(ContractVersionFixed { contract, version: 1 });
            let mut body = self.body(height, payload, &[name::DOCUMENT]);
            body.commitments = vec![Commitment { name: name::DOCUMENT.to_owned(), hash: version_of(&contract) }];
            let initiator = &self.parties[0];
            let actors = vec![actor(&body, initiator.subject, &initiator.key)];
            fixings.push(Planned { door, submission: doors[door].wrap(&body, actors)? });
            contracts.push(contract);
        }
        super::generator::settle(doors, openings).await?;
        super::generator::settle(doors, fixings).await?;
        // Slot after slot over all contracts, so that one block hardly has two signatures of one contract.
        self.open_slots.extend((0..PARTIES).flat_map(|slot| contracts.iter().map(move |contract| (*contract, slot))));
        Ok(())
    }

    fn deposit(&mut self, height: u64) -> Body {
        self.body(height, Payload::EvidenceDeposited(EvidenceDeposited { about: None }), &[name::DOCUMENT])
    }

    fn opening(&mut self, height: u64) -> (Body, Vec<Actor>) {
        let slots = self.parties.iter().zip([1, 2, 3, 4]);
        let slots = slots.map(|(party, role)| Slot { kind: SlotKind::Key, subject: party.subject, role, group: 0 });
        let payload = Payload::ContractOpened(ContractOpened {
            initiator: self.parties[0].subject,
            slots: slots.collect(),
            rules: vec![],
            amends: None,
        });
        let body = self.body(height, payload, &[name::NUMBER, name::TITLE]);
        let initiator = &self.parties[0];
        let actors = vec![actor(&body, initiator.subject, &initiator.key)];
        (body, actors)
    }

    fn signing(&mut self, height: u64) -> Result<(Body, Vec<Actor>)> {
        let (contract, slot) = self.open_slots.pop_front().context("no slot is left to sign")?;
        let payload =
            Payload::ContractSigned(ContractSigned { contract, slot, version: version_of(&contract), seal: None });
        let body = self.body(height, payload, &[name::CAPTURE, name::INTENT, name::TO_BE_SIGNED]);
        let party = &self.parties[usize::from(slot)];
        let actors = vec![actor(&body, party.subject, &party.key)];
        Ok((body, actors))
    }

    fn body(&mut self, height: u64, payload: Payload, commitments: &[&str]) -> Body {
        self.counter += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.run);
        id[8..].copy_from_slice(&self.counter.to_be_bytes());
        let commitments = commitments
            .iter()
            .map(|name| Commitment { name: (*name).to_owned(), hash: sha256(&[name.as_bytes(), &id]) })
            .collect();
        let expiry = Height(height + self.window.saturating_sub(MARGIN));
        Body::new(self.chain_id, SubmissionId(id), expiry, payload, commitments, now_ms())
    }
}

/// The version of a contract that its parties sign: any digest will do, if all know it.
fn version_of(contract: &SubjectId) -> Hash32 {
    sha256(&[b"version 1 of ", &contract.0.0])
}

fn actor(body: &Body, subject: SubjectId, key: &SigningKey) -> Actor {
    Actor { subject, signature: key.sign(&actor_message(&body.digest())).to_bytes().to_vec().into() }
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}
