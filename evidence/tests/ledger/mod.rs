//! A small ledger with fixed keys, built from the formats alone: the source of golden and negative
//! vectors. It has no rules and no consensus; the state tree holds one subject.
#![allow(dead_code, clippy::unwrap_used)]

pub mod anchoring;

use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::bundle::{Bundle, BundleTag, Entry};
use qz_evidence::codec::{Bytes, encode};
use qz_evidence::commit::{CommitCertificate, CommitSignature, VoteType, vote_message};
use qz_evidence::commitment::{Opening, name};
use qz_evidence::genesis::{
    Card, CardSignature, CardTag, GenesisBody, GenesisBodyTag, GenesisDocument, GenesisSignature, GenesisTag,
    Organisation, OrganisationTag, Params, Role, ValidatorCard, card_message, chain_id, signature_message,
};
use qz_evidence::hash::{blake3, sha256};
use qz_evidence::header::{Header, HeaderTag};
use qz_evidence::history::{Frontier, inclusion_path, leaf_hash};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractOpened, ContractRef, ContractSigned, ContractVersionFixed, KeyRegistered, Payload, Slot, SlotKind,
};
use qz_evidence::record::{Link, Record, RecordTag};
use qz_evidence::records_tree::{RecordsTree, record_hash};
use qz_evidence::state_proof::{HeadTag, StateProof, Status, SubjectHead, SubjectType};
use qz_evidence::submission::{Actor, Body, UnsignedSubmission, actor_message};
use qz_evidence::validators::{Validator, ValidatorSet};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use std::collections::HashMap;

pub const START_MS: u64 = 1_790_000_000_000;
pub const DOCUMENT: &[u8] = b"the final file";
/// What was put up for signing.
pub const VERSION: &[u8] = b"the version put up for signing";
/// Stands for the certificate of [`DOCUMENT`]'s one PDF signature.
pub const CERTIFICATE: &[u8] = b"a certificate";
/// Stands for the bytes that the one PDF signature of [`DOCUMENT`] covers.
pub const SIGNED_RANGE: &[u8] = b"the signed range";
pub const ORGS: [(&str, &str, &str, Role); 4] = [
    ("arbitration", "示例仲裁委员会", "Example Arbitration Commission", Role::Arbitration),
    ("court", "示例法院", "Example Court", Role::Court),
    ("notary", "示例公证处", "Example Notary", Role::Notary),
    ("platform", "示例平台", "Example Platform", Role::Platform),
];

/// The key of an organisation (0–3) for a purpose.
pub fn key(organisation: usize, purpose: &str) -> SigningKey {
    SigningKey::from_bytes(&blake3(&[&[organisation as u8], purpose.as_bytes()]).0)
}

fn public(key: &SigningKey) -> Hash32 {
    Hash32(key.verifying_key().to_bytes())
}

pub fn sign(key: &SigningKey, message: &[u8]) -> Bytes {
    Bytes(key.sign(message).to_bytes().to_vec())
}

pub fn card(organisation: usize) -> Card {
    let (id, name_zh, name_en, role) = ORGS[organisation];
    let mut roles = vec![role];
    if role == Role::Notary {
        roles.push(Role::Attestor);
    }
    let port = 27000 + organisation;
    let description = Organisation {
        tag: OrganisationTag,
        id: OrgId::new(id).unwrap(),
        name_zh: name_zh.into(),
        name_en: name_en.into(),
        roles,
        office_key: public(&key(organisation, "office")),
        relay_key: public(&key(organisation, "relay")),
        witness_key: public(&key(organisation, "witness")),
        tls_ca: Bytes(vec![0x30, 0x00]),
        validator: Some(ValidatorCard {
            consensus_key: public(&key(organisation, "consensus")),
            network_key: public(&key(organisation, "network")),
            power: 1,
            consensus_address: format!("/ip4/127.0.0.1/tcp/{port}"),
            mempool_address: format!("/ip4/127.0.0.1/tcp/{}", port + 100),
            rpc_url: format!("https://127.0.0.1:{}", port + 200),
        }),
    };
    let bytes = encode(&description);
    let message = card_message(&bytes);
    let signatures = description.keys().into_iter().map(|(purpose, _)| CardSignature {
        purpose: purpose.into(),
        signature: sign(&key(organisation, purpose), &message),
    });
    Card { tag: CardTag, signatures: signatures.collect(), organisation: Bytes(bytes) }
}

pub fn genesis() -> GenesisDocument {
    let body = GenesisBody {
        tag: GenesisBodyTag,
        name: "示例联盟".into(),
        time_ms: START_MS,
        cards: (0..4).map(card).collect(),
        params: Params::default_for(4),
    };
    let body = encode(&body);
    let message = signature_message(&chain_id(&body));
    let signatures = (0..4).map(|i| GenesisSignature {
        organisation: OrgId::new(ORGS[i].0).unwrap(),
        signature: sign(&key(i, "office"), &message),
    });
    GenesisDocument { tag: GenesisTag, signatures: signatures.collect(), body: Bytes(body) }
}

pub struct Ledger {
    pub genesis: Vec<u8>,
    pub chain_id: Hash32,
    pub validators: ValidatorSet,
    pub headers: Vec<Vec<u8>>,
    pub records: Vec<Vec<Vec<u8>>>,
    pub openings: HashMap<Hash32, Vec<Opening>>,
    frontier: Frontier,
    nodes: HashMap<(u32, u64), Hash32>,
    chains: HashMap<SubjectId, (u64, Hash32)>,
    pub contract: SubjectId,
    submissions: u8,
}

impl Ledger {
    /// Five blocks: a key, a contract, its version, eight fillers, its completion.
    pub fn sample() -> Self {
        let document = genesis();
        let chain_id = chain_id(&document.body);
        let validators = (0..4).map(|i| Validator {
            organisation: OrgId::new(ORGS[i].0).unwrap(),
            key: public(&key(i, "consensus")),
            power: 1,
        });
        let mut ledger = Self {
            genesis: encode(&document),
            chain_id,
            validators: ValidatorSet::new(validators.collect()).unwrap(),
            headers: vec![],
            records: vec![],
            openings: HashMap::new(),
            frontier: Frontier::default(),
            nodes: HashMap::new(),
            chains: HashMap::new(),
            contract: SubjectId::default(),
            submissions: 0,
        };
        ledger.block(vec![]);
        let party = key(9, "party");
        let register = Payload::KeyRegistered(KeyRegistered {
            key: PublicKey::ed25519(party.verifying_key().to_bytes()),
            attestor: OrgId::new("notary").unwrap(),
        });
        let body = ledger.body(register, &[(name::NAME, "张三".as_bytes())]);
        let subject = SubjectId::created_by(&chain_id, &body.digest());
        let office = SubjectId::of_organisation(&chain_id, &OrgId::new("notary").unwrap());
        let record = ledger.record(&body, &[(subject, &party), (office, &key(2, "office"))], &[subject]);
        ledger.block(vec![record]);
        let slots = vec![Slot { kind: SlotKind::Key, subject, role: 1, group: 0 }];
        let opened = Payload::ContractOpened(ContractOpened { initiator: subject, slots, rules: vec![], amends: None });
        let body = ledger.body(opened, &[(name::TITLE, "采购合同".as_bytes()), (name::NUMBER, b"HT-2026-0001")]);
        let contract = SubjectId::created_by(&chain_id, &body.digest());
        ledger.contract = contract;
        let opened = ledger.record(&body, &[(subject, &party)], &[contract]);
        let digest = sha256(&[VERSION]);
        let fixed = Payload::ContractVersionFixed(ContractVersionFixed { contract, version: 1 });
        let body = ledger.body(fixed, &[(name::DOCUMENT, &digest.0)]);
        let fixed = ledger.record_at(&body, &[(subject, &party)], &[contract], 1);
        let version = *body.commitment(name::DOCUMENT).unwrap();
        let (range, certificate) = (sha256(&[SIGNED_RANGE]), sha256(&[CERTIFICATE]));
        let signed = Payload::ContractSigned(ContractSigned { contract, slot: 0, version, seal: None });
        let body = ledger.body(
            signed,
            &[(name::TO_BE_SIGNED, &range.0), (name::CERTIFICATE, &certificate.0), (name::INTENT, "同意".as_bytes())],
        );
        let signed = ledger.record_at(&body, &[(subject, &party)], &[contract], 2);
        ledger.block(vec![opened, fixed, signed]);
        let fillers = (0..8).map(|i| {
            let body = ledger.body(Payload::ContractArchived(ContractRef { contract: SubjectId::default() }), &[]);
            ledger.record_at(&body, &[], &[SubjectId(blake3(&[&[i]]))], u32::from(i))
        });
        let fillers: Vec<_> = fillers.collect();
        ledger.block(fillers);
        let digest = sha256(&[DOCUMENT]);
        let completed = Payload::ContractCompleted(ContractRef { contract });
        let body = ledger.body(completed, &[(name::DOCUMENT, &digest.0)]);
        let completed = ledger.record(&body, &[], &[contract]);
        ledger.block(vec![completed]);
        ledger.block(vec![]);
        ledger
    }

    fn body(&mut self, payload: Payload, values: &[(&str, &[u8])]) -> Body {
        self.submissions += 1;
        let n = self.submissions;
        let salt = |name: &str| blake3(&[&[n], name.as_bytes()]).0;
        let openings: Vec<_> = values.iter().map(|(name, value)| Opening::new(name, salt(name), value)).collect();
        let commitments = openings.iter().map(Opening::commitment).collect();
        let time = START_MS + u64::from(n) * 1000;
        let body = Body::new(self.chain_id, SubmissionId([n; 16]), Height(1000), payload, commitments, time);
        self.openings.insert(body.digest(), openings);
        body
    }

    fn record(&mut self, body: &Body, actors: &[(SubjectId, &SigningKey)], subjects: &[SubjectId]) -> Vec<u8> {
        self.record_at(body, actors, subjects, 0)
    }

    fn record_at(
        &mut self, body: &Body, actors: &[(SubjectId, &SigningKey)], subjects: &[SubjectId], index: u32,
    ) -> Vec<u8> {
        let message = actor_message(&body.digest());
        let signed = actors.iter().map(|(subject, key)| Actor { subject: *subject, signature: sign(key, &message) });
        let relay = key(3, "relay");
        let envelope =
            UnsignedSubmission::new(body, signed.collect(), OrgId::new("platform").unwrap(), public(&relay).0);
        let signature = relay.sign(&envelope.relay_message()).to_bytes();
        let links = subjects.iter().map(|subject| {
            let (sequence, previous) = self.chains.get(subject).copied().unwrap_or((0, Hash32::ZERO));
            Link { subject: *subject, sequence, previous }
        });
        let record = Record {
            tag: RecordTag,
            submission: Bytes(encode(&envelope.signed(signature))),
            height: Height(self.headers.len() as u64),
            index,
            actor_keys: actors.iter().map(|(_, key)| PublicKey::ed25519(key.verifying_key().to_bytes())).collect(),
            links: links.collect(),
        };
        let bytes = encode(&record);
        for link in &record.links {
            self.chains.insert(link.subject, (link.sequence + 1, record_hash(&bytes)));
        }
        bytes
    }

    pub fn head_of_contract(&self) -> SubjectHead {
        let (records, last_record) = self.chains.get(&self.contract).copied().unwrap_or_default();
        SubjectHead {
            tag: HeadTag,
            subject_type: SubjectType::Contract,
            status: Status::Completed,
            records,
            last_record,
            state_digest: blake3(&[b"state"]),
        }
    }

    fn state(&self) -> StateProof {
        let head = Some(Bytes(encode(&self.head_of_contract())));
        StateProof { subject: self.contract, head, other: None, siblings: vec![] }
    }

    /// Root over all headers.
    pub fn root(&self) -> Hash32 {
        self.frontier.root()
    }

    /// Path of the last header under that root.
    pub fn last_path(&self) -> Vec<Hash32> {
        let size = self.headers.len() as u64;
        inclusion_path(size - 1, size, &mut |level, i| self.nodes.get(&(level, i)).copied().ok_or(())).unwrap()
    }

    pub fn block(&mut self, records: Vec<Vec<u8>>) {
        let height = self.headers.len() as u64;
        let hashes: Vec<_> = records.iter().map(|r| record_hash(r)).collect();
        let set = self.validators.hash();
        let header = Header {
            tag: HeaderTag,
            chain_id: self.chain_id,
            height: Height(height),
            epoch: 0,
            time_ms: START_MS + height * 1000,
            previous: self.headers.last().map_or(Hash32::ZERO, |h| sha256(&[h])),
            record_count: records.len() as u32,
            records_root: RecordsTree::new(&hashes).root(),
            state_root: self.state().root().unwrap(),
            history_size: height,
            history_root: self.frontier.root(),
            validators_hash: set,
            next_validators_hash: set,
            params_hash: Params::default_for(4).hash(),
            proposer: Hash32::ZERO,
        };
        let bytes = encode(&header);
        let leaf = leaf_hash(&bytes);
        self.nodes.insert((0, height), leaf);
        self.nodes.extend(self.frontier.append(leaf).into_iter().map(|(level, i, hash)| ((level, i), hash)));
        self.headers.push(bytes);
        self.records.push(records);
    }

    /// Replaces a record and builds all headers again, as members acting together could.
    pub fn replace_record(&mut self, height: usize, index: usize, record: Vec<u8>) {
        let mut blocks = std::mem::take(&mut self.records);
        blocks[height][index] = record;
        self.headers.clear();
        self.nodes.clear();
        self.frontier = Frontier::default();
        for records in blocks {
            self.block(records);
        }
    }

    pub fn history_path(&self, height: u64) -> Vec<Hash32> {
        let head = self.headers.len() as u64 - 1;
        if height == head {
            return vec![];
        }
        inclusion_path(height, head, &mut |level, i| self.nodes.get(&(level, i)).copied().ok_or(())).unwrap()
    }

    pub fn vote(&self, organisation: usize, vote: VoteType, round: i64) -> CommitSignature {
        let signer = key(organisation, "consensus");
        let address = blake3(&[&public(&signer).0]);
        let head = self.headers.last().unwrap();
        let height = Height(self.headers.len() as u64 - 1);
        let message = vote_message(&self.chain_id, vote, height, round, Some(&sha256(&[head])), &address);
        CommitSignature { address, signature: sign(&signer, &message) }
    }

    pub fn commit(&self, signatures: Vec<CommitSignature>) -> CommitCertificate {
        let head = self.headers.last().unwrap();
        CommitCertificate::new(Height(self.headers.len() as u64 - 1), 0, sha256(&[head]), signatures)
    }

    /// A proof of every record about the contract and its party.
    pub fn bundle(&self) -> Bundle {
        let mut entries = vec![];
        for height in [1usize, 2, 4] {
            let hashes: Vec<_> = self.records[height].iter().map(|r| record_hash(r)).collect();
            let tree = RecordsTree::new(&hashes);
            for (index, record) in self.records[height].iter().enumerate() {
                let decoded: Record = qz_evidence::decode_strict(record).unwrap();
                let digest = qz_evidence::submission::Parsed::new(&decoded.submission).unwrap().digest();
                entries.push(Entry {
                    record: Bytes(record.clone()),
                    records_path: tree.path(index as u32).unwrap(),
                    header: Bytes(self.headers[height].clone()),
                    history_path: self.history_path(height as u64),
                    openings: self.openings[&digest].clone(),
                });
            }
        }
        let votes = (0..4).map(|i| self.vote(i, VoteType::Precommit, 0)).collect();
        Bundle {
            tag: BundleTag,
            genesis: Bytes(self.genesis.clone()),
            hand_overs: vec![],
            head: Bytes(self.headers.last().unwrap().clone()),
            commit: Bytes(encode(&self.commit(votes))),
            entries,
            states: vec![self.state()],
            certificates: vec![],
            checkpoint: None,
            anchors: vec![],
        }
    }
}
