//! A small ledger with fixed keys, built from the formats alone: the source of golden and negative
//! vectors. It has no rules and no consensus; what its blocks hold is whatever its maker says.
#![allow(dead_code, clippy::unwrap_used)]

pub mod anchoring;
pub mod responder;

use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::bundle::{Bundle, BundleTag, Entry, HandOver};
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
use qz_evidence::state_proof::{HeadTag, OtherLeaf, StateProof, Status, SubjectHead, SubjectType};
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

/// Vectors depend on them, so they do not follow the defaults.
fn params() -> Params {
    Params { max_block_records: 1024, ..Params::default_for(4) }
}

/// The key of an organisation (0–3) for a purpose.
pub fn key(organisation: usize, purpose: &str) -> SigningKey {
    SigningKey::from_bytes(&blake3(&[&[organisation as u8], purpose.as_bytes()]).0)
}

pub fn public(key: &SigningKey) -> Hash32 {
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
    genesis_of((0..4).map(card).collect())
}

pub fn genesis_of(cards: Vec<Card>) -> GenesisDocument {
    let body =
        GenesisBody { tag: GenesisBodyTag, name: "示例联盟".into(), time_ms: START_MS, cards, params: params() };
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
    /// The validator set of each epoch so far; the last votes on the next block.
    pub sets: Vec<ValidatorSet>,
    /// Organisations of the set that follows a height.
    changes: HashMap<u64, Vec<usize>>,
    /// What dishonest members make of the header of a height, before they finalise it.
    pub edits: HashMap<u64, fn(&mut Header)>,
    /// Hash of the set that follows a height, in place of the real one.
    forced_set: Option<(u64, Hash32)>,
    pub headers: Vec<Vec<u8>>,
    pub records: Vec<Vec<Vec<u8>>>,
    pub openings: HashMap<Hash32, Vec<Opening>>,
    frontier: Frontier,
    nodes: HashMap<(u32, u64), Hash32>,
    chains: HashMap<SubjectId, (u64, Hash32)>,
    /// The subjects in the state tree.
    pub tracked: Vec<(SubjectId, SubjectType, Status)>,
    pub contract: SubjectId,
    submissions: u8,
    /// Who relays (an index of [`ORGS`]), and for what its key is.
    pub relay: (usize, &'static str),
}

/// The set of these organisations (indices of [`ORGS`]).
pub fn set_of(organisations: &[usize]) -> ValidatorSet {
    let validators = organisations.iter().map(|i| Validator {
        organisation: OrgId::new(ORGS[*i].0).unwrap(),
        key: public(&key(*i, "consensus")),
        power: 1,
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

impl Ledger {
    /// Nothing but a genesis: not even block 0.
    pub fn empty() -> Self {
        let document = genesis();
        Self {
            genesis: encode(&document),
            chain_id: chain_id(&document.body),
            sets: vec![set_of(&[0, 1, 2, 3])],
            changes: HashMap::new(),
            edits: HashMap::new(),
            forced_set: None,
            headers: vec![],
            records: vec![],
            openings: HashMap::new(),
            frontier: Frontier::default(),
            nodes: HashMap::new(),
            chains: HashMap::new(),
            tracked: vec![],
            contract: SubjectId::default(),
            submissions: 0,
            relay: (3, "relay"),
        }
    }

    /// Five blocks: a key, a contract, its version, eight fillers, its completion.
    pub fn sample() -> Self {
        let mut ledger = Self::empty();
        let chain_id = ledger.chain_id;
        ledger.tracked = vec![(SubjectId::default(), SubjectType::Contract, Status::Completed)];
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
        ledger.tracked[0].0 = contract;
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

    pub fn body(&mut self, payload: Payload, values: &[(&str, &[u8])]) -> Body {
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

    pub fn record(&mut self, body: &Body, actors: &[(SubjectId, &SigningKey)], subjects: &[SubjectId]) -> Vec<u8> {
        self.record_at(body, actors, subjects, 0)
    }

    pub fn record_at(
        &mut self, body: &Body, actors: &[(SubjectId, &SigningKey)], subjects: &[SubjectId], index: u32,
    ) -> Vec<u8> {
        let message = actor_message(&body.digest());
        let signed = actors.iter().map(|(subject, key)| Actor { subject: *subject, signature: sign(key, &message) });
        let relay = key(self.relay.0, self.relay.1);
        let organisation = OrgId::new(ORGS[self.relay.0].0).unwrap();
        let envelope = UnsignedSubmission::new(body, signed.collect(), organisation, public(&relay).0);
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
        self.head_of(&self.tracked.iter().find(|tracked| tracked.0 == self.contract).copied().unwrap())
    }

    fn head_of(&self, (subject, subject_type, status): &(SubjectId, SubjectType, Status)) -> SubjectHead {
        let (records, last_record) = self.chains.get(subject).copied().unwrap_or_default();
        let state_digest = blake3(&[b"state"]);
        SubjectHead { tag: HeadTag, subject_type: *subject_type, status: *status, records, last_record, state_digest }
    }

    /// Where a subject stands after the last block: membership, or absence.
    pub fn state_of(&self, subject: &SubjectId) -> StateProof {
        let mut leaves: Vec<_> = self.tracked.iter().map(|t| (t.0, encode(&self.head_of(t)))).collect();
        leaves.sort();
        let mut proof = StateProof { subject: *subject, head: None, other: None, siblings: vec![] };
        let mut siblings = vec![];
        let mut rest = leaves.as_slice();
        while rest.len() > 1 {
            let depth = siblings.len();
            let (zero, one) = rest.split_at(rest.partition_point(|leaf| !bit(&leaf.0, depth)));
            let (mine, other) = if bit(subject, depth) { (one, zero) } else { (zero, one) };
            siblings.push(subtree(other, depth + 1));
            rest = mine;
        }
        siblings.reverse();
        proof.siblings = siblings;
        match rest.first() {
            Some((key, head)) if key == subject => proof.head = Some(Bytes(head.clone())),
            Some((key, head)) => proof.other = Some(OtherLeaf { key: key.0, value_hash: blake3(&[head]) }),
            None => {}
        }
        proof
    }

    fn state(&self) -> StateProof {
        self.state_of(&self.contract)
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

    /// The block of this height ends an epoch: these organisations validate from then on.
    pub fn hand_over_at(&mut self, height: u64, organisations: &[usize]) {
        self.changes.insert(height, organisations.to_vec());
    }

    /// From a hand-over on, headers name a set by this hash whatever the set is.
    pub fn replace_set_hash(&mut self, height: u64, hash: Hash32) {
        self.forced_set = Some((height, hash));
        self.rebuild();
    }

    /// This record is the last one of a subject.
    pub fn set_last_of(&mut self, subject: &SubjectId, record: &[u8]) {
        let decoded: Record = qz_evidence::decode_strict(record).unwrap();
        let link = decoded.links.iter().find(|link| link.subject == *subject).unwrap();
        self.chains.insert(*subject, (link.sequence + 1, record_hash(record)));
    }

    /// The records of another ledger of the same genesis.
    pub fn take_records_of(&mut self, other: &Self) {
        self.records.clone_from(&other.records);
        self.openings.clone_from(&other.openings);
        self.chains.clone_from(&other.chains);
        self.tracked.clone_from(&other.tracked);
        self.contract = other.contract;
    }

    pub fn block(&mut self, records: Vec<Vec<u8>>) {
        let height = self.headers.len() as u64;
        let hashes: Vec<_> = records.iter().map(|r| record_hash(r)).collect();
        let set = self.sets.last().unwrap().clone();
        let next = self.changes.get(&height).map_or_else(|| set.clone(), |organisations| set_of(organisations));
        let mut header = Header {
            tag: HeaderTag,
            chain_id: self.chain_id,
            height: Height(height),
            epoch: self.sets.len() as u64 - 1,
            time_ms: START_MS + height * 1000,
            previous: self.headers.last().map_or(Hash32::ZERO, |h| sha256(&[h])),
            record_count: records.len() as u32,
            records_root: RecordsTree::new(&hashes).root(),
            state_root: self.state().root().unwrap(),
            history_size: height,
            history_root: self.frontier.root(),
            validators_hash: set.hash(),
            next_validators_hash: next.hash(),
            params_hash: params().hash(),
            proposer: Hash32::ZERO,
        };
        if let Some((from, hash)) = self.forced_set.filter(|(from, _)| *from <= height) {
            header.next_validators_hash = hash;
            header.validators_hash = if from < height { hash } else { header.validators_hash };
        }
        if let Some(edit) = self.edits.get(&height) {
            edit(&mut header);
        }
        let bytes = encode(&header);
        let leaf = leaf_hash(&bytes);
        self.nodes.insert((0, height), leaf);
        self.nodes.extend(self.frontier.append(leaf).into_iter().map(|(level, i, hash)| ((level, i), hash)));
        self.headers.push(bytes);
        self.records.push(records);
        if next != set {
            self.sets.push(next);
        }
    }

    /// Replaces a record and builds all headers again, as members acting together could.
    pub fn replace_record(&mut self, height: usize, index: usize, record: Vec<u8>) {
        self.records[height][index] = record;
        self.rebuild();
    }

    /// Builds all headers again.
    pub fn rebuild(&mut self) {
        let blocks = std::mem::take(&mut self.records);
        self.headers.clear();
        self.nodes.clear();
        self.frontier = Frontier::default();
        self.sets.truncate(1);
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
        self.vote_on(self.headers.len() - 1, organisation, vote, round)
    }

    pub fn vote_on(&self, height: usize, organisation: usize, vote: VoteType, round: i64) -> CommitSignature {
        let signer = key(organisation, "consensus");
        let address = blake3(&[&public(&signer).0]);
        let block = sha256(&[&self.headers[height]]);
        let message = vote_message(&self.chain_id, vote, Height(height as u64), round, Some(&block), &address);
        CommitSignature { address, signature: sign(&signer, &message) }
    }

    pub fn commit(&self, signatures: Vec<CommitSignature>) -> CommitCertificate {
        self.commit_on(self.headers.len() - 1, signatures)
    }

    pub fn commit_on(&self, height: usize, signatures: Vec<CommitSignature>) -> CommitCertificate {
        CommitCertificate::new(Height(height as u64), 0, sha256(&[&self.headers[height]]), signatures)
    }

    /// A block finalised by these organisations.
    pub fn finalised_by(&self, height: usize, organisations: &[usize]) -> Bytes {
        let votes = organisations.iter().map(|i| self.vote_on(height, *i, VoteType::Precommit, 0));
        Bytes(encode(&self.commit_on(height, votes.collect())))
    }

    /// The end of every epoch so far, finalised by all of its set.
    pub fn hand_overs(&self) -> Vec<HandOver> {
        let mut heights: Vec<_> = self.changes.keys().copied().collect();
        heights.sort_unstable();
        let mut set = vec![0, 1, 2, 3];
        let ends = heights.iter().enumerate().map(|(epoch, height)| {
            let commit = self.finalised_by(*height as usize, &set);
            set.clone_from(&self.changes[height]);
            HandOver {
                header: Bytes(self.headers[*height as usize].clone()),
                commit,
                next: Bytes(encode(&self.sets[epoch + 1])),
                history_path: self.history_path(*height),
            }
        });
        ends.collect()
    }

    /// Who validates the next block.
    pub fn validating(&self) -> Vec<usize> {
        self.changes.iter().max_by_key(|(height, _)| **height).map_or_else(|| vec![0, 1, 2, 3], |(_, set)| set.clone())
    }

    /// A proof of every record about the contract and its party.
    pub fn bundle(&self) -> Bundle {
        self.bundle_of(&[1, 2, 4], &[self.contract])
    }

    /// A proof of every record of these blocks, and of the state of these subjects.
    pub fn bundle_of(&self, heights: &[usize], subjects: &[SubjectId]) -> Bundle {
        let mut entries = vec![];
        for height in heights.iter().copied() {
            let hashes: Vec<_> = self.records[height].iter().map(|r| record_hash(r)).collect();
            let tree = RecordsTree::new(&hashes);
            for (index, record) in self.records[height].iter().enumerate() {
                let decoded: Record = qz_evidence::decode_strict(record).unwrap();
                let digest =
                    qz_evidence::submission::Parsed::without_relay_check(&decoded.submission).unwrap().digest();
                entries.push(Entry {
                    record: Bytes(record.clone()),
                    records_path: tree.path(index as u32).unwrap(),
                    header: Bytes(self.headers[height].clone()),
                    history_path: self.history_path(height as u64),
                    openings: self.openings[&digest].clone(),
                });
            }
        }
        Bundle {
            tag: BundleTag,
            genesis: Bytes(self.genesis.clone()),
            hand_overs: self.hand_overs(),
            head: Bytes(self.headers.last().unwrap().clone()),
            commit: self.finalised_by(self.headers.len() - 1, &self.validating()),
            entries,
            states: subjects.iter().map(|subject| self.state_of(subject)).collect(),
            certificates: vec![],
            checkpoint: None,
            anchors: vec![],
        }
    }
}

fn bit(key: &SubjectId, depth: usize) -> bool {
    key.0.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// The hash of the part of the state tree that holds these leaves, ascending by key.
fn subtree(leaves: &[(SubjectId, Vec<u8>)], depth: usize) -> Hash32 {
    match leaves {
        [] => Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__"),
        [(key, head)] => blake3(&[b"JMT::LeafNode", &key.0.0, &blake3(&[head]).0]),
        _ => {
            let (zero, one) = leaves.split_at(leaves.partition_point(|leaf| !bit(&leaf.0, depth)));
            blake3(&[b"JMT::IntrnalNode", &subtree(zero, depth + 1).0, &subtree(one, depth + 1).0])
        }
    }
}
