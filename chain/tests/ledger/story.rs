//! A story to tell on the ledger: two companies with seals, a person and a clerk.

use super::{Ledger, actor, commitments, key, key_slot, org, relay, seal_slot};
use qz_evidence::SubjectId;
use qz_evidence::commitment::Commitment;
use qz_evidence::payload::{ContractDisputed, ContractRef, ContractSlotRef, GroupRule, Payload, Slot};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::Parsed;

/// Two companies with seals, a person, and a clerk of company A.
pub struct Story {
    pub ledger: Ledger,
    pub a: SubjectId,
    pub b: SubjectId,
    pub person: SubjectId,
    pub clerk: SubjectId,
    pub seal_a: SubjectId,
    pub seal_b: SubjectId,
}

impl Story {
    pub fn new() -> Self {
        let mut ledger = Ledger::new();
        let [a, b, person, clerk] = ["a", "b", "person", "clerk"].map(|name| ledger.register(name));
        let seal_a = ledger.make_seal(a, "a");
        let seal_b = ledger.make_seal(b, "b");
        Self { ledger, a, b, person, clerk, seal_a, seal_b }
    }

    /// Party A's and B's seals, then the person.
    pub fn slots(&self) -> Vec<Slot> {
        vec![seal_slot(self.seal_a, 1, 1), seal_slot(self.seal_b, 2, 1), key_slot(self.person, 3, 2)]
    }

    /// A contract with its version fixed.
    pub fn contract(&mut self, slots: Vec<Slot>, rules: Vec<GroupRule>, amends: Option<SubjectId>) -> SubjectId {
        let opening = self.ledger.opening((self.a, "a"), slots, rules, amends);
        self.ledger.record(&opening);
        let contract = self.ledger.created(&opening);
        let fixing = self.ledger.fixing((self.a, "a"), contract, 1);
        self.ledger.record(&fixing);
        contract
    }

    pub fn complete(&mut self, amends: Option<SubjectId>) -> SubjectId {
        let contract = self.contract(self.slots(), vec![], amends);
        let (seal_a, seal_b) = (Some(self.seal_a), Some(self.seal_b));
        let signatures = [
            self.ledger.signing(contract, 0, (self.a, "a"), seal_a),
            self.ledger.signing(contract, 1, (self.b, "b"), seal_b),
            self.ledger.signing(contract, 2, (self.person, "person"), None),
            self.ledger.completion(contract),
        ];
        assert_eq!(self.ledger.block(&signatures), [], "one block, each sees those before it");
        contract
    }

    pub fn status(&self, subject: SubjectId) -> Status {
        self.ledger.state(subject).status()
    }

    pub fn seal_command(&mut self, payload: Payload) {
        let submission = self.ledger.submission(payload, vec![], &[(self.a, &key("a"))]);
        self.ledger.record(&submission);
    }

    /// A, B and the person with their keys, who hold the slots of [`Story::slots`].
    pub fn parties(&self) -> [(SubjectId, &'static str); 3] {
        [(self.a, "a"), (self.b, "b"), (self.person, "person")]
    }

    /// By actors with the keys of these names.
    pub fn by(&mut self, payload: Payload, committed: &[&str], actors: &[(SubjectId, &str)]) -> Parsed {
        let body = self.ledger.body(payload, commitments(committed));
        let actors = actors.iter().map(|(subject, name)| actor(&body, *subject, &key(name))).collect();
        relay(&body, actors, "platform")
    }

    /// By the office of a member.
    pub fn by_office(&mut self, payload: Payload, committed: Vec<Commitment>, member: &str) -> Parsed {
        let office = SubjectId::of_organisation(&self.ledger.chain_id(), &org(member));
        self.ledger.submission(payload, committed, &[(office, &key(&format!("{member}/office")))])
    }

    /// Every state of a contract, each with a contract in that state.
    pub fn contracts_of_every_state(&mut self) -> Vec<(Status, SubjectId)> {
        let a = (self.a, "a");
        let opening = self.ledger.opening(a, self.slots(), vec![], None);
        self.ledger.record(&opening);
        let opened = self.ledger.created(&opening);
        let signing = self.contract(self.slots(), vec![], None);
        let signed = self.contract(vec![key_slot(self.a, 1, 1)], vec![], None);
        let signature = self.ledger.signing(signed, 0, a, None);
        self.ledger.record(&signature);
        let declined = self.contract(self.slots(), vec![], None);
        let decline = Payload::ContractDeclined(ContractSlotRef { contract: declined, slot: 0 });
        let completed = self.complete(None);
        let [terminated, voided, disputed] = std::array::from_fn(|_| self.complete(None));
        let parties = self.parties();
        let ends = [
            self.by(decline, &[], &[a]),
            self.by(Payload::ContractTerminated(ContractRef { contract: terminated }), &[], &parties),
            self.by(Payload::ContractVoided(ContractRef { contract: voided }), &[], &parties),
            self.by(Payload::ContractDisputed(ContractDisputed { contract: disputed, forum: org("court") }), &[], &[a]),
        ];
        assert_eq!(self.ledger.block(&ends), []);
        let all = [
            (Status::Opened, opened),
            (Status::Signing, signing),
            (Status::Signed, signed),
            (Status::Completed, completed),
            (Status::Declined, declined),
            (Status::Terminated, terminated),
            (Status::Voided, voided),
            (Status::Disputed, disputed),
        ];
        for (status, contract) in all {
            assert_eq!(self.status(contract), status);
        }
        all.to_vec()
    }
}
