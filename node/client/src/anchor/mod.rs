//! Anchoring: a proof bundle gets the checkpoint of its head block, cosigned by the members and by outside
//! witnesses, and a timestamp over it. Later the same again over the old evidence: renewal.
//!
//! Nothing here is trusted: who verifies the bundle names the witnesses and the authority himself. What
//! cannot be had is an error that says whether trying again helps; there is no substitute for it.

mod http;
mod revocation;
mod timestamp;
mod witnesses;

pub use http::{HttpError, HttpsRoots, RootsError};
pub use revocation::{RevocationData, revocation_data};
pub use timestamp::{TimestampAuthority, TsaError};
pub use witnesses::{SIZE_TYPE, WitnessEndpoint, WitnessError};

use crate::client::Client;
use crate::config::ConfigError;
use crate::error::ClientError;
use crate::history::HistoryFailure;
use crate::membership::MembershipError;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Checkpoint, Former, FormerTag, anchored_message, encoded};
use qz_evidence::codec::{Bytes, CodecError, decode_strict, encode};
use qz_evidence::hash::sha256;
use qz_evidence::header::Header;
use thiserror::Error;

/// Why a bundle could not be anchored.
#[derive(Debug, Error)]
pub enum AnchorError {
    /// The bundle.
    #[error("the proof cannot be read: {0}")]
    Bundle(#[from] CodecError),
    /// The nodes.
    #[error(transparent)]
    Node(#[from] ClientError),
    /// Who the members are.
    #[error("the members are not proven: {0}")]
    Members(#[from] MembershipError),
    /// Their nodes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No node has the bundle's head.
    #[error("no node has block {0}")]
    UnknownHead(u64),
    /// A witness.
    #[error("witness {name}: {source}")]
    Witness {
        /// Its key's name.
        name: String,
        /// Why.
        #[source]
        source: WitnessError,
    },
    /// The timestamp authority.
    #[error("timestamp authority: {0}")]
    Tsa(#[from] TsaError),
    /// Renewal of something that cannot be renewed.
    #[error("it cannot be renewed: {0}")]
    Renewal(String),
}

impl AnchorError {
    /// Would trying again perhaps succeed? With a *new head* of the ledger.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Node(error) => error.is_temporary(),
            Self::UnknownHead(_) => true,
            Self::Witness { source, .. } => source.is_temporary(),
            Self::Tsa(error) => error.is_temporary(),
            Self::Members(MembershipError::Nodes(HistoryFailure::Client(error))) => error.is_temporary(),
            Self::Members(_) | Self::Config(_) | Self::Bundle(_) | Self::Renewal(_) => false,
        }
    }
}

/// Who is asked.
#[derive(Clone, Debug, Default)]
pub struct Anchoring {
    /// Outside witnesses; each must cosign.
    pub witnesses: Vec<WitnessEndpoint>,
    /// The timestamp authority.
    pub authority: Option<TimestampAuthority>,
}

impl Anchoring {
    /// Is nobody to be asked?
    pub fn is_empty(&self) -> bool {
        self.witnesses.is_empty() && self.authority.is_none()
    }

    /// The bundle with its checkpoint, cosignatures and timestamp.
    pub async fn anchor(&self, client: &Client, bundle: &[u8]) -> Result<Vec<u8>, AnchorError> {
        self.anchor_over(client, decode_strict(bundle)?, vec![]).await
    }

    /// Proves the records of `old` under the newest head and anchors that, over the old evidence. Any
    /// member's node can serve the proof; what `old` discloses is kept.
    pub async fn renew(&self, client: &Client, old: &[u8]) -> Result<Vec<u8>, AnchorError> {
        let old: Bundle = decode_strict(old)?;
        let mut fresh = fetch_again(client, &old).await?;
        let head: Header = decode_strict(&fresh.head)?;
        let former = former_evidence(client, &old, &head).await?;
        for entry in &mut fresh.entries {
            let same = old.entries.iter().find(|other| other.record == entry.record);
            entry.openings = same.map(|other| other.openings.clone()).unwrap_or_default();
        }
        for certificate in &old.certificates {
            let record = usize::try_from(certificate.entry).ok().and_then(|n| old.entries.get(n)).map(|e| &e.record);
            let place = fresh.entries.iter().position(|entry| Some(&entry.record) == record);
            if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
                let mut moved = certificate.clone();
                moved.entry = place;
                fresh.certificates.push(moved);
            }
        }
        self.anchor_over(client, fresh, former).await
    }

    async fn anchor_over(
        &self, client: &Client, mut bundle: Bundle, former: Vec<Bytes>,
    ) -> Result<Vec<u8>, AnchorError> {
        let head: Header = decode_strict(&bundle.head)?;
        let height = head.height.0;
        // After a change of governance others speak for the log than those of the genesis.
        let (members, _) = client.membership().await?;
        let client = &client.of_members(&members)?;
        let signed = client.signed_checkpoint_by(Some(height), &members).await?;
        let (checkpoint, mut note) = signed.ok_or(AnchorError::UnknownHead(height))?;
        if checkpoint.header != bundle.head.0 {
            return Err(AnchorError::UnknownHead(height));
        }
        for witness in &self.witnesses {
            let failed = |source| AnchorError::Witness { name: witness.key.name().to_owned(), source };
            let line = witness.cosign(client, &checkpoint, &note).await.map_err(failed)?;
            note.add(line).map_err(|error| failed(WitnessError::Answer(error.to_string())))?;
        }
        bundle.anchors = match &self.authority {
            None => vec![],
            Some(authority) => {
                let imprint = sha256(&[&anchored_message(&note.text, &former)]);
                vec![Bytes(encode(&authority.stamp(&imprint).await?))]
            }
        };
        bundle.checkpoint = Some(encoded(&note, checkpoint.path, former));
        Ok(encode(&bundle))
    }
}

/// Another witness' newest note; nothing if it has signed none.
pub(crate) async fn fetch_note(url: &str) -> Result<Option<Vec<u8>>, HttpError> {
    let answer = http::exchange(url, &HttpsRoots::System, None, qz_evidence::note::MAX_NOTE_BYTES).await?;
    Ok(answer.status.is_success().then_some(answer.body))
}

/// The same records and subjects under the newest head.
async fn fetch_again(client: &Client, old: &Bundle) -> Result<Bundle, AnchorError> {
    let request = crate::wire::ProofRequest {
        records: old.entries.iter().map(|e| qz_evidence::records_tree::record_hash(&e.record)).collect(),
        subjects: old.states.iter().map(|state| state.subject).collect(),
        head: None,
    };
    let bytes = client.proof(&request).await?;
    let bytes = bytes.ok_or_else(|| AnchorError::Renewal("no node knows all of its records".to_owned()))?;
    Ok(decode_strict(&bytes)?)
}

/// What the old bundle had, its own former evidence first.
async fn former_evidence(client: &Client, old: &Bundle, head: &Header) -> Result<Vec<Bytes>, AnchorError> {
    let Some(checkpoint) = &old.checkpoint else { return Ok(vec![]) };
    let checkpoint: Checkpoint = decode_strict(checkpoint)?;
    let mut former = checkpoint.former;
    if !old.anchors.is_empty() {
        former.push(Bytes(encode(&Former {
            tag: FormerTag,
            header: old.head.clone(),
            history_path: history_path(client, &old.head, head).await?,
            note: checkpoint.note,
            path: checkpoint.path,
            anchors: old.anchors.clone(),
        })));
    }
    Ok(former)
}

/// Path of a former head in the new head's history.
async fn history_path(client: &Client, former: &[u8], head: &Header) -> Result<Vec<qz_evidence::Hash32>, AnchorError> {
    let former_header: Header = decode_strict(former)?;
    let height = former_header.height.0;
    if height >= head.height.0 {
        return Err(AnchorError::Renewal(format!("the ledger has no block after {height} yet")));
    }
    let path = client.inclusion(height, head.history_size).await?.ok_or(AnchorError::UnknownHead(head.height.0))?;
    let leaf = qz_evidence::history::leaf_hash(former);
    match qz_evidence::history::root_from_path(&leaf, height, head.history_size, &path) == Some(head.history_root) {
        true => Ok(path),
        false => Err(AnchorError::Renewal(format!("its head, block {height}, is not in this ledger"))),
    }
}
