//! The endpoints as typed calls.

use crate::config::{self, ClientConfig, ConfigError};
use crate::error::{ClientError, Failure};
use crate::membership::Membership;
use crate::transport::{Answer, Node, Nodes, Request};
use crate::wire::{Block, ProofRequest, RecordAt, Status, Subject, SubjectRecords, SubmissionState};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Format, decode_strict};
use qz_evidence::genesis::{Genesis, GenesisDocument};
use qz_evidence::header;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::{Hash32, OrgId, SubjectId};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Largest JSON answer.
pub(crate) const MAX_JSON_BYTES: usize = 1024 * 1024;
/// Largest answer about a block, which lists up to 65536 record hashes.
const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024;
/// Longest time for a proof, which the node computes.
const PROOF_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one ledger's nodes; cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub genesis: Genesis,
    pub nodes: Nodes,
    /// For [`Client::of_members`].
    config: ClientConfig,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client(chain {})", self.inner.genesis.chain_id())
    }
}

impl Client {
    /// Checks the genesis and prepares TLS for each node; connects to nobody yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let genesis = config.open()?;
        let nodes = Nodes::new(config, |org| genesis.organisation(org))?;
        Ok(Self { inner: Arc::new(Inner { genesis, nodes, config: config.clone() }) })
    }

    /// The same client for today's members, with today's addresses and TLS authorities: the nodes that it called
    /// already, if they still are members', and those of validators who joined after the genesis.
    pub fn of_members(&self, members: &Membership) -> Result<Self, ConfigError> {
        let Inner { genesis, config, .. } = &*self.inner;
        let mut nodes = vec![];
        for known in &config.nodes {
            let Some(card) = members.organisation(&known.org) else { continue };
            let moved = config::endpoint(card).filter(|now| {
                genesis.organisation(&known.org).and_then(config::endpoint).is_none_or(|then| then.url != now.url)
            });
            nodes.push(moved.unwrap_or_else(|| known.clone()));
        }
        for newcomer in members.validators().filter(|one| genesis.organisation(&one.id).is_none()) {
            if !nodes.iter().any(|node| node.org == newcomer.id) {
                nodes.extend(config::endpoint(newcomer));
            }
        }
        if nodes.is_empty() {
            return Err(ConfigError::NoNodes);
        }
        let config = ClientConfig { nodes, ..config.clone() };
        let nodes = Nodes::new(&config, |org| members.organisation(org))?;
        Ok(Self { inner: Arc::new(Inner { genesis: genesis.clone(), nodes, config }) })
    }

    /// The genesis that this client trusts.
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// `GET /v1/status` of the first node that answers.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let request = Request::get("/v1/status".to_owned(), MAX_JSON_BYTES);
        Ok(self.inner.nodes.first_answer(&request, |node, bytes| self.parse_status(node, bytes)).await?.1)
    }

    /// `GET /v1/status` of one organisation's node.
    pub async fn status_of(&self, org: &OrgId) -> Result<Status, ClientError> {
        let node = self.inner.nodes.of(org).ok_or_else(|| ClientError::UnknownNode(org.clone()))?;
        let unreachable = |failure| ClientError::Unreachable { tried: vec![node.attempt(failure)] };
        match node.ask(&Request::get("/v1/status".to_owned(), MAX_JSON_BYTES)).await.map_err(unreachable)? {
            Answer::Refused(status, rejection) => Err(ClientError::Rejected { node: org.clone(), status, rejection }),
            Answer::Success(bytes) => {
                self.parse_status(node, &bytes).map_err(|reason| unreachable(Failure::Nonsense(reason)))
            }
        }
    }

    fn parse_status(&self, node: &Node, bytes: &[u8]) -> Result<Status, String> {
        let status: Status = json(bytes)?;
        if status.chain_id != self.inner.genesis.chain_id() {
            return Err(format!("it serves another chain, {}", status.chain_id));
        }
        if status.organisation != node.org {
            return Err(format!("it says that it is the node of {}", status.organisation));
        }
        Ok(status)
    }

    /// `GET /v1/submissions/{digest}`; nothing if no node that answers knows it.
    pub async fn submission(&self, digest: &Hash32) -> Result<Option<SubmissionState>, ClientError> {
        let request = Request::get(format!("/v1/submissions/{digest}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| submission_state(bytes, digest)).await
    }

    /// `GET /v1/records/{hash}`; nothing if no node that answers knows it. The record's hash has been
    /// recomputed.
    pub async fn record(&self, hash: &Hash32) -> Result<Option<RecordAt>, ClientError> {
        let request = Request::get(format!("/v1/records/{hash}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| {
            let found: RecordAt = json(bytes)?;
            decode_strict::<Record>(&found.record).map_err(|error| error.to_string())?;
            let recomputed = record_hash(&found.record);
            same("the record's hash", &recomputed, hash).and(same("the record's hash", &found.hash, hash))?;
            Ok(found)
        })
        .await
    }

    /// `GET /v1/subjects/{id}`; nothing if no node that answers knows it.
    pub async fn subject(&self, id: &SubjectId) -> Result<Option<Subject>, ClientError> {
        let request = Request::get(format!("/v1/subjects/{id}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| {
            let found: Subject = json(bytes)?;
            same("the subject", &found.subject.0, &id.0)?;
            Ok(found)
        })
        .await
    }

    /// `GET /v1/subjects/{id}/records`: records after number `after`, at most `limit`.
    pub async fn subject_records(
        &self, id: &SubjectId, after: Option<u64>, limit: u32,
    ) -> Result<Option<SubjectRecords>, ClientError> {
        let after = after.map_or_else(String::new, |seq| format!("after={seq}&"));
        let request = Request::get(format!("/v1/subjects/{id}/records?{after}limit={limit}"), MAX_JSON_BYTES);
        self.lookup(&request, json).await
    }

    /// `POST /v1/proof`: an encoded [`Bundle`] for these records, its form checked but *not* verified;
    /// nothing if no node that answers knows them all.
    pub async fn proof(&self, proof: &ProofRequest) -> Result<Option<Vec<u8>>, ClientError> {
        let body = serde_json::to_vec(proof).expect("hashes and numbers are representable in JSON");
        let request = Request {
            path: "/v1/proof".to_owned(),
            body: Some(("application/json", body)),
            timeout: PROOF_TIMEOUT,
            max_bytes: Bundle::MAX_BYTES,
        };
        self.lookup(&request, |bytes| {
            let bundle: Bundle = decode_strict(bytes).map_err(|error| error.to_string())?;
            let proven: Vec<Hash32> = bundle.entries.iter().map(|entry| record_hash(&entry.record)).collect();
            match proof.records.iter().find(|wanted| !proven.contains(wanted)) {
                Some(missing) => Err(format!("the bundle lacks record {missing}")),
                None => Ok(bytes.to_vec()),
            }
        })
        .await
    }

    /// `GET /v1/blocks/{height}`; nothing if no node that answers has it.
    pub async fn block(&self, height: u64) -> Result<Option<Block>, ClientError> {
        let request = Request::get(format!("/v1/blocks/{height}"), MAX_BLOCK_BYTES);
        self.lookup(&request, |bytes| {
            let found: Block = json(bytes)?;
            if found.height != height {
                return Err(format!("it is block {}, {height} was asked for", found.height));
            }
            same("the header's hash", &header::block_id(&found.header), &found.header_hash)?;
            Ok(found)
        })
        .await
    }

    /// `GET /v1/genesis`: a node's genesis document, which is the one of this client.
    pub async fn node_genesis(&self) -> Result<Vec<u8>, ClientError> {
        let request = Request::get("/v1/genesis".to_owned(), GenesisDocument::MAX_BYTES);
        let parse = |_: &Node, bytes: &[u8]| {
            let genesis = Genesis::open(bytes).map_err(|error| error.to_string())?;
            same("the chain id", &genesis.chain_id(), &self.inner.genesis.chain_id())?;
            Ok(bytes.to_vec())
        };
        Ok(self.inner.nodes.first_answer(&request, parse).await?.1)
    }

    /// Asks node after node; absence is believed only when no node has it and at least one says so.
    pub(crate) async fn lookup<T>(
        &self, request: &Request, parse: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<T>, ClientError> {
        match self.inner.nodes.first_answer(request, |_, bytes| parse(bytes)).await {
            Ok((_, value)) => Ok(Some(value)),
            Err(ClientError::Unreachable { tried }) if tried.iter().any(|a| a.failure == Failure::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn submission_state(bytes: &[u8], digest: &Hash32) -> Result<SubmissionState, String> {
    let state: SubmissionState = json(bytes)?;
    same("the submission", &state.digest(), digest)?;
    Ok(state)
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

fn same(what: &str, found: &Hash32, wanted: &Hash32) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what} is {found}, {wanted} was asked for")) }
}
