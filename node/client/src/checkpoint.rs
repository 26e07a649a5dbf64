//! Checkpoints: the whole history up to a block in one hash, and the proof that one history continues
//! another. Both are checked here, so that a node cannot show one member another past than the next.

use qz_evidence::bundle::HandOver;
use qz_evidence::checkpoint::{TreeHead, keys_of};
use qz_evidence::codec::decode_strict;
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::Genesis;
use qz_evidence::hand_over::validators_of;
use qz_evidence::header::Header;
use qz_evidence::history::{Frontier, is_consistent, leaf_hash};
use qz_evidence::note::{NoteSignature, SignedNote};
use qz_evidence::{Hash32, Height, header};
use serde::{Deserialize, Serialize};

use crate::client::{Client, MAX_JSON_BYTES};
use crate::error::ClientError;
use crate::membership::Membership;
use crate::transport::{Answer, Request};
use crate::wire::{base64_bytes, optional_base64_bytes};

/// `GET /v1/checkpoint?height=M`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Height of the block.
    pub height: u64,
    /// Headers covered: height + 1.
    pub size: u64,
    /// Root over them (RFC 9162 §2.1, SHA-256).
    pub root: Hash32,
    /// Encoded header of the block.
    #[serde(with = "base64_bytes")]
    pub header: Vec<u8>,
    /// Encoded commit certificate; none for height 0.
    #[serde(with = "optional_base64_bytes")]
    pub commit: Option<Vec<u8>>,
    /// Inclusion path of the header under the root. The header is the last leaf, so these are also the
    /// peaks of the history before it, smallest first.
    pub path: Vec<Hash32>,
    /// One for each epoch since the genesis, ascending: who has handed over to the block's validators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hand_overs: Vec<EpochHandOver>,
    /// Lines of the signed note by the node's organisation; see [`Client::signed_checkpoint`].
    #[serde(default)]
    pub signatures: Vec<String>,
}

/// The end of an epoch, which names the validators of the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochHandOver {
    /// Encoded header of the epoch's last block.
    #[serde(with = "base64_bytes")]
    pub header: Vec<u8>,
    /// Its encoded commit certificate.
    #[serde(with = "base64_bytes")]
    pub commit: Vec<u8>,
    /// Encoded validators of the next epoch.
    #[serde(with = "base64_bytes")]
    pub next: Vec<u8>,
    /// Path of the header in the history that the checkpoint's header carries.
    pub path: Vec<Hash32>,
}

/// `GET /v1/consistency?from=SIZE&to=SIZE`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Headers of the older history.
    pub from: u64,
    /// Its root.
    pub from_root: Hash32,
    /// Headers of the newer history.
    pub to: u64,
    /// Its root.
    pub to_root: Hash32,
    /// RFC 9162 §2.1.4.
    pub path: Vec<Hash32>,
}

impl Checkpoint {
    /// Recomputes everything that does not need signatures: the header is the one of this ledger and
    /// height, it carries the history before it, and both together give the root. Gives the header.
    pub fn check(&self, genesis: &Genesis) -> Result<Header, String> {
        let found: Header = decode_strict(&self.header).map_err(|error| error.to_string())?;
        if found.chain_id != genesis.chain_id() || found.height != Height(self.height) {
            return Err(format!("the header is that of height {} of ledger {}", found.height, found.chain_id));
        }
        if self.size.checked_sub(1) != Some(self.height) {
            return Err(format!("a checkpoint of height {} covers not {} headers", self.height, self.size));
        }
        let peaks = self.path.iter().rev().copied().collect();
        let mut history =
            Frontier::from_parts(self.height, peaks).ok_or_else(|| "the path has another length".to_owned())?;
        if history.root() != found.history_root {
            return Err("the path is not the history that the header carries".to_owned());
        }
        history.append(leaf_hash(&self.header));
        if history.root() != self.root {
            return Err(format!("the root is {}, not {}", history.root(), self.root));
        }
        Ok(found)
    }

    /// Whether its block is final: signed by the validators that the hand-overs prove from those of the genesis
    /// on. Height 0 is the genesis' own.
    pub fn check_finality(&self, genesis: &Genesis, header: &Header) -> Result<(), String> {
        let chain_id = genesis.chain_id();
        let hand_overs: Vec<_> = self.hand_overs.iter().map(EpochHandOver::to_evidence).collect();
        let validators =
            validators_of(&chain_id, genesis.validators(), &hand_overs, header).map_err(|error| error.to_string())?;
        if self.height == 0 {
            return Ok(());
        }
        let commit = self.commit.as_ref().ok_or("it has no commit certificate")?;
        let commit: CommitCertificate = decode_strict(commit).map_err(|error| error.to_string())?;
        let block_id = header::block_id(&self.header);
        let signed = commit.verify(&chain_id, Height(self.height), &block_id, &validators);
        signed.map(|_| ()).map_err(|error| format!("its block is not final: {error}"))
    }
}

impl EpochHandOver {
    fn to_evidence(&self) -> HandOver {
        HandOver {
            header: self.header.clone().into(),
            commit: self.commit.clone().into(),
            next: self.next.clone().into(),
            history_path: self.path.clone(),
        }
    }
}

impl Checkpoint {
    /// What the note says.
    pub fn tree(&self, genesis: &Genesis) -> TreeHead {
        TreeHead::new(&genesis.chain_id(), self.size, self.root)
    }
}

impl Client {
    /// The checkpoint of a block, or of the last one, as a note with the lines of every member whose node
    /// answers and has the block; lines that do not hold with the keys of the genesis are left out. Nothing if no
    /// node has the block.
    pub async fn signed_checkpoint(
        &self, height: Option<u64>,
    ) -> Result<Option<(Checkpoint, SignedNote)>, ClientError> {
        self.signed_checkpoint_by(height, &Membership::of_genesis(self.genesis())).await
    }

    /// The same with the keys of these members.
    pub async fn signed_checkpoint_by(
        &self, height: Option<u64>, members: &Membership,
    ) -> Result<Option<(Checkpoint, SignedNote)>, ClientError> {
        let Some(checkpoint) = self.checkpoint(height).await? else { return Ok(None) };
        let genesis = self.genesis();
        let mut note = SignedNote { text: checkpoint.tree(genesis).to_string(), signatures: vec![] };
        let request = Request::get(format!("/v1/checkpoint?height={}", checkpoint.height), MAX_JSON_BYTES);
        for node in self.inner.nodes.in_order() {
            let Ok(Answer::Success(bytes)) = node.ask(&request).await else { continue };
            let Ok(theirs) = serde_json::from_slice::<Checkpoint>(&bytes) else { continue };
            if theirs.root != checkpoint.root {
                tracing::warn!(node = %node.org, height = checkpoint.height, "this node shows another history");
                continue;
            }
            let keys = members.organisation(&node.org).and_then(|own| keys_of(&genesis.chain_id(), own).ok());
            for line in theirs.signatures.iter().filter_map(|line| NoteSignature::parse(line).ok()) {
                let holds = keys.iter().flatten().any(|key| key.verify(&note.text, &line).is_some());
                if holds && let Err(error) = note.add(line) {
                    tracing::debug!(node = %node.org, %error, "a line of a checkpoint is left out");
                }
            }
        }
        Ok(Some((checkpoint, note)))
    }

    /// `GET /v1/checkpoint`: of this height, else of the node's last block; checked with
    /// [`Checkpoint::check`] and [`Checkpoint::check_finality`]. Nothing if no node that answers has it.
    pub async fn checkpoint(&self, height: Option<u64>) -> Result<Option<Checkpoint>, ClientError> {
        let query = height.map_or_else(String::new, |height| format!("?height={height}"));
        let request = Request::get(format!("/v1/checkpoint{query}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| {
            let found: Checkpoint = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
            if height.is_some_and(|height| height != found.height) {
                return Err(format!("it is the checkpoint of height {}", found.height));
            }
            let header = found.check(self.genesis())?;
            found.check_finality(self.genesis(), &header)?;
            Ok(found)
        })
        .await
    }

    /// `GET /v1/inclusion`: path of the header at `height` in the history of `size` headers, not checked:
    /// the caller has header and root. Nothing if no node that answers has got so far.
    pub async fn inclusion(&self, height: u64, size: u64) -> Result<Option<Vec<Hash32>>, ClientError> {
        #[derive(Deserialize)]
        struct Found {
            path: Vec<Hash32>,
        }
        let request = Request::get(format!("/v1/inclusion?height={height}&size={size}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| serde_json::from_slice::<Found>(bytes).map_err(|error| error.to_string()))
            .await
            .map(|found| found.map(|found| found.path))
    }

    /// `GET /v1/consistency`: the proof that the history of `to` headers continues that of `from`,
    /// 1 ≤ `from` ≤ `to`, checked. Compare the roots with those of the checkpoints that you keep.
    /// Nothing if no node that answers has got so far.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Option<Consistency>, ClientError> {
        let request = Request::get(format!("/v1/consistency?from={from}&to={to}"), MAX_JSON_BYTES);
        self.lookup(&request, |bytes| {
            let found: Consistency = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
            if (found.from, found.to) != (from, to) {
                return Err("it is about other sizes".to_owned());
            }
            match is_consistent(from, &found.from_root, to, &found.to_root, &found.path) {
                true => Ok(found),
                false => Err("the newer history does not continue the older one".to_owned()),
            }
        })
        .await
    }
}
