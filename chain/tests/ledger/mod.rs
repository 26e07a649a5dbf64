//! A consortium of four organisations, companies with keys and seals, and a ledger in memory to try the
//! rules on. Keys are fixed seeds, so that every run makes the same bytes.

#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "test support, not every test uses all of it")]

pub mod random;
pub mod story;

use ed25519_dalek::{Signer, SigningKey};
use qz_chain::{Block, MemoryView, Proposed, Reject, Subject, SubjectState, Verified, View, execute, propose};
use qz_evidence::codec::Bytes;
use qz_evidence::commit::{CommitCertificate, CommitSignature, VoteType, vote_message};
use qz_evidence::commitment::Commitment;
use qz_evidence::genesis::{
    Card, CardSignature, CardTag, Genesis, GenesisBody, GenesisBodyTag, GenesisDocument, GenesisSignature, GenesisTag,
    Organisation, OrganisationTag, Params, Role, ValidatorCard, card_message, chain_id, signature_message,
};
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    Change, ContractOpened, ContractRef, ContractSigned, ContractVersionFixed, GovernanceChanged, GroupRule,
    KeyRegistered, Payload, SealKind, SealMade, Slot, SlotKind,
};
use qz_evidence::submission::{Actor, Body, Parsed, UnsignedSubmission, actor_message};
use qz_evidence::validators::address;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, encode};

pub const MEMBERS: [(&str, &[Role]); 4] = [
    ("arbitration", &[Role::Arbitration]),
    ("court", &[Role::Court]),
    ("notary", &[Role::Notary, Role::Attestor]),
    ("platform", &[Role::Platform, Role::Attestor]),
];

pub fn org(name: &str) -> OrgId {
    OrgId::new(name).unwrap()
}

/// A key that is always the same for the same name.
pub fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[b"test key ", name.as_bytes()]).0)
}

pub fn public(key: &SigningKey) -> Hash32 {
    Hash32(key.verifying_key().to_bytes())
}

pub fn member_key(member: &str, purpose: &str) -> SigningKey {
    key(&format!("{member}/{purpose}"))
}

pub fn genesis_with(window: u64, foreign_attestor: bool) -> Genesis {
    let cards = MEMBERS.iter().map(|(name, roles)| card(name, roles)).collect();
    // So few that a test can fill a block.
    let params = Params { window, foreign_attestor, max_block_records: 1024, ..Params::default_for(MEMBERS.len()) };
    let body = encode(&GenesisBody {
        tag: GenesisBodyTag,
        name: "试验联盟".into(),
        time_ms: 1_700_000_000_000,
        cards,
        params,
    });
    let message = signature_message(&chain_id(&body));
    let sign = |name: &str| Bytes(member_key(name, "office").sign(&message).to_bytes().to_vec());
    let signatures =
        MEMBERS.iter().map(|(name, _)| GenesisSignature { organisation: org(name), signature: sign(name) }).collect();
    Genesis::open(&encode(&GenesisDocument { tag: GenesisTag, body: Bytes(body), signatures })).unwrap()
}

fn card(name: &str, roles: &[Role]) -> Card {
    card_with(name, roles, name, |_| {})
}

/// A card with the keys of `keys`, changed at will before it is signed.
pub fn card_with(name: &str, roles: &[Role], keys: &str, change: impl Fn(&mut Organisation)) -> Card {
    let public_key = |purpose| public(&member_key(keys, purpose));
    let mut organisation = Organisation {
        tag: OrganisationTag,
        id: org(name),
        name_zh: format!("机构{name}"),
        name_en: name.into(),
        roles: roles.to_vec(),
        office_key: public_key("office"),
        relay_key: public_key("relay"),
        witness_key: public_key("witness"),
        tls_ca: Bytes(vec![]),
        validator: Some(ValidatorCard {
            consensus_key: public_key("consensus"),
            network_key: public_key("network"),
            power: 1,
            consensus_address: "/ip4/127.0.0.1/tcp/27000".into(),
            mempool_address: "/ip4/127.0.0.1/tcp/27100".into(),
            rpc_url: "https://127.0.0.1:27200".into(),
        }),
    };
    change(&mut organisation);
    let bytes = encode(&organisation);
    let message = card_message(&bytes);
    let sign = |(purpose, public_key): (&str, Hash32)| {
        // Whoever's key it is: the card of another's key is signed by that other.
        let mut owners = [keys, name, "court", "court 2", "notary", "platform"].into_iter();
        let all = ["office", "relay", "witness", "consensus", "network"];
        let key = owners.find_map(|owner| {
            all.iter().map(|purpose| member_key(owner, purpose)).find(|key| public(key) == public_key)
        });
        CardSignature { purpose: purpose.into(), signature: Bytes(key.unwrap().sign(&message).to_bytes().to_vec()) }
    };
    let signatures = organisation.keys().into_iter().map(sign).collect();
    Card { tag: CardTag, organisation: Bytes(bytes), signatures }
}

/// Address of a member's validator.
pub fn proposer(name: &str) -> Hash32 {
    address(&public(&member_key(name, "consensus")))
}

/// A certificate by all four validators.
pub fn certificate(chain: &Hash32, height: Height, block_id: Hash32) -> CommitCertificate {
    certificate_by(&MEMBERS.map(|(name, _)| name), chain, height, block_id)
}

/// A certificate by the validators with these keys.
pub fn certificate_by(keys: &[&str], chain: &Hash32, height: Height, block_id: Hash32) -> CommitCertificate {
    let signatures = keys.iter().map(|name| {
        let key = member_key(name, "consensus");
        let address = address(&public(&key));
        let message = vote_message(chain, VoteType::Precommit, height, 0, Some(&block_id), &address);
        CommitSignature { address, signature: Bytes(key.sign(&message).to_bytes().to_vec()) }
    });
    CommitCertificate::new(height, 0, block_id, signatures.collect())
}

pub fn commitments(names: &[&str]) -> Vec<Commitment> {
    names.iter().map(|name| Commitment { name: (*name).into(), hash: sha256(&[name.as_bytes()]) }).collect()
}

pub fn commitment(name: &str, content: &str) -> Commitment {
    Commitment { name: name.into(), hash: sha256(&[content.as_bytes()]) }
}

/// Puts bodies into envelopes.
pub fn relay(body: &Body, actors: Vec<Actor>, member: &str) -> Parsed {
    let key = member_key(member, "relay");
    let unsigned = UnsignedSubmission::new(body, actors, org(member), key.verifying_key().to_bytes());
    let signature = key.sign(&unsigned.relay_message()).to_bytes();
    Parsed::new(&encode(&unsigned.signed(signature))).unwrap()
}

pub fn actor(body: &Body, subject: SubjectId, key: &SigningKey) -> Actor {
    Actor { subject, signature: Bytes(key.sign(&actor_message(&body.digest())).to_bytes().to_vec()) }
}

/// A ledger in memory with its blocks.
pub struct Ledger {
    pub genesis: Genesis,
    pub view: MemoryView,
    pub blocks: Vec<Block>,
    counter: u32,
}

impl Ledger {
    pub fn new() -> Self {
        Self::with(1000, true)
    }

    pub fn with(window: u64, foreign_attestor: bool) -> Self {
        let genesis = genesis_with(window, foreign_attestor);
        Self { view: MemoryView::new(&genesis).unwrap(), genesis, blocks: vec![], counter: 0 }
    }

    /// Submission numbers go on from here.
    pub fn skip_numbers(&mut self, counter: u32) {
        self.counter = counter;
    }

    pub fn chain_id(&self) -> Hash32 {
        self.genesis.chain_id()
    }

    pub fn height(&self) -> Height {
        self.view.tip().unwrap().height
    }

    pub fn body(&mut self, payload: Payload, commitments: Vec<Commitment>) -> Body {
        self.counter += 1;
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.counter.to_be_bytes());
        let expiry = Height(self.height().0 + 10);
        Body::new(self.chain_id(), SubmissionId(id), expiry, payload, commitments, 1_700_000_000_000)
    }

    /// A change of the consortium, approved by the offices with these keys, relayed by the platform.
    pub fn change(&mut self, change: Change, offices: &[&str]) -> Parsed {
        let body = self.body(Payload::GovernanceChanged(GovernanceChanged { change }), vec![]);
        let actors = offices.iter().map(|name| {
            let subject = SubjectId::of_organisation(&self.chain_id(), &org(name));
            actor(&body, subject, &member_key(name, "office"))
        });
        let actors = actors.collect();
        relay(&body, actors, "platform")
    }

    /// A change that three of the four offices of the genesis approve.
    pub fn agreed(&mut self, change: Change) -> Parsed {
        self.change(change, &["arbitration", "court", "notary"])
    }

    /// A submission relayed by the platform with one actor per (subject, key).
    pub fn submission(
        &mut self, payload: Payload, commitments: Vec<Commitment>, actors: &[(SubjectId, &SigningKey)],
    ) -> Parsed {
        let body = self.body(payload, commitments);
        let actors = actors.iter().map(|(subject, key)| actor(&body, *subject, key)).collect();
        relay(&body, actors, "platform")
    }

    pub fn propose(&self, submissions: &[Parsed]) -> Proposed {
        let now = self.view.tip().unwrap().time_ms + 500;
        propose(&self.view, submissions, now, proposer("court"), &Verified::default()).unwrap()
    }

    /// Proposes, executes and applies a block; gives what was rejected.
    pub fn block(&mut self, submissions: &[Parsed]) -> Vec<Reject> {
        let Proposed { block, changes, rejected } = self.propose(submissions);
        let executed = execute(&self.view, &block, &Verified::default()).unwrap();
        assert_eq!(executed, changes, "proposer and validator disagree");
        self.view.apply(&executed).unwrap();
        self.blocks.push(block);
        rejected.into_iter().map(|(_, reject)| reject).collect()
    }

    /// A block with this one submission, which must apply.
    pub fn record(&mut self, submission: &Parsed) {
        assert_eq!(self.block(std::slice::from_ref(submission)), []);
    }

    /// The code with which a submission is refused at the next height.
    pub fn refusal(&self, submission: &Parsed) -> &'static str {
        match &self.propose(std::slice::from_ref(submission)).rejected[..] {
            [(_, reject)] => reject.code(),
            [] => "accepted",
            _ => unreachable!("one submission, one refusal"),
        }
    }

    pub fn subject(&self, subject: SubjectId) -> Subject {
        (*self.view.subject(&subject).unwrap().unwrap()).clone()
    }

    pub fn state(&self, subject: SubjectId) -> SubjectState {
        self.subject(subject).state
    }

    pub fn created(&self, submission: &Parsed) -> SubjectId {
        SubjectId::created_by(&self.chain_id(), &submission.digest())
    }

    /// A registration of the key of this name, attested by a member, relayed by the platform.
    pub fn registration(&mut self, name: &str, attestor: &str) -> Parsed {
        let holder = key(name);
        let payload = Payload::KeyRegistered(KeyRegistered {
            key: PublicKey::ed25519(holder.verifying_key().to_bytes()),
            attestor: org(attestor),
        });
        let body = self.body(payload, commitments(&["name", "id_code", "identity_check"]));
        let subject = SubjectId::created_by(&self.chain_id(), &body.digest());
        let office = SubjectId::of_organisation(&self.chain_id(), &org(attestor));
        let actors = vec![actor(&body, subject, &holder), actor(&body, office, &member_key(attestor, "office"))];
        relay(&body, actors, "platform")
    }

    /// Registers the key of this name; gives its subject.
    pub fn register(&mut self, name: &str) -> SubjectId {
        let registration = self.registration(name, "notary");
        self.record(&registration);
        self.created(&registration)
    }

    /// Makes a seal owned by the key of this name.
    pub fn make_seal(&mut self, owner: SubjectId, name: &str) -> SubjectId {
        let payload = Payload::SealMade(SealMade { owner, kind: SealKind::Contract });
        let made =
            self.submission(payload, commitments(&["imprint.sha256", "certificate.sha256"]), &[(owner, &key(name))]);
        self.record(&made);
        self.created(&made)
    }

    pub fn opening(
        &mut self, initiator: (SubjectId, &str), slots: Vec<Slot>, rules: Vec<GroupRule>, amends: Option<SubjectId>,
    ) -> Parsed {
        let payload = Payload::ContractOpened(ContractOpened { initiator: initiator.0, slots, rules, amends });
        self.submission(payload, commitments(&["title"]), &[(initiator.0, &key(initiator.1))])
    }

    pub fn fixing(&mut self, initiator: (SubjectId, &str), contract: SubjectId, version: u32) -> Parsed {
        let payload = Payload::ContractVersionFixed(ContractVersionFixed { contract, version });
        let document = vec![commitment("document.sha256", "version")];
        self.submission(payload, document, &[(initiator.0, &key(initiator.1))])
    }

    /// A signature of a slot, by this key, with this seal.
    pub fn signing(
        &mut self, contract: SubjectId, slot: u8, signer: (SubjectId, &str), seal: Option<SubjectId>,
    ) -> Parsed {
        let version = commitment("document.sha256", "version").hash;
        let payload = Payload::ContractSigned(ContractSigned { contract, slot, version, seal });
        self.submission(payload, commitments(&["to_be_signed.sha256"]), &[(signer.0, &key(signer.1))])
    }

    pub fn completion(&mut self, contract: SubjectId) -> Parsed {
        self.submission(
            Payload::ContractCompleted(ContractRef { contract }),
            vec![commitment("document.sha256", "final")],
            &[],
        )
    }
}

pub fn key_slot(subject: SubjectId, role: u8, group: u8) -> Slot {
    Slot { kind: SlotKind::Key, subject, role, group }
}

pub fn seal_slot(subject: SubjectId, role: u8, group: u8) -> Slot {
    Slot { kind: SlotKind::Seal, subject, role, group }
}
