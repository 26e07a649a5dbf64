//! The ledger as the gateway sees it: relaying submissions, and proofs that the gateway verifies itself.
//!
//! A node's word is never enough: whatever is done on the ground of a record is done on the ground of a
//! proof bundle that was verified here against the pinned genesis.

use crate::clock::now_ms;
use crate::error::ServiceError;
use qz_client::{
    Client, ClientError, HistoryFailure, Membership, MembershipError, ProofRequest, Rejection, Relay, RelayError,
    SubjectHistory, SubmissionState,
};
use qz_domain::proven::ProvenRecord;
use qz_evidence::bundle::Bundle;
use qz_evidence::genesis::{Genesis, Role};
use qz_evidence::payload::Payload;
use qz_evidence::record::Record;
use qz_evidence::submission::{Actor, Parsed};
use qz_evidence::verify::history::{History, history};
use qz_evidence::verify::{Report, TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, decode_strict};
use std::time::Duration;

/// How long one attempt of a job waits for finality.
const PATIENCE: Duration = Duration::from_secs(15);
/// Records that are asked for at once.
const PAGE: u32 = 500;

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// Recorded, as a node says; the proof says where.
    Final {
        /// Hash of the record.
        record: Hash32,
    },
    /// Refused by the rules.
    Rejected(Rejection),
}

/// A bundle that was verified here.
#[derive(Debug)]
pub struct VerifiedBundle {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Decoded.
    pub bundle: Bundle,
    /// What the verification found.
    pub report: Report,
}

/// Client and relay of this gateway's organisation.
#[derive(Debug)]
pub struct Ledger {
    client: Client,
    relay: Relay,
    attestor: OrgId,
}

impl Ledger {
    /// `attestor`: the organisation that attests to identities, if it is not to be the first foreign one.
    pub fn new(client: Client, relay: Relay, attestor: Option<OrgId>) -> anyhow::Result<Self> {
        let able = |org: &qz_evidence::genesis::Organisation| org.has(Role::Attestor);
        let organisations = client.genesis().organisations();
        let attestor = match attestor {
            Some(id) => organisations.iter().find(|o| o.id == id && able(o)),
            None => organisations.iter().find(|o| o.id != *relay.org() && able(o)),
        };
        let Some(attestor) = attestor.map(|o| o.id.clone()) else {
            anyhow::bail!("创世文件中没有可用的身份认证机构（attestor）/ the genesis has no usable attestor");
        };
        Ok(Self { client, relay, attestor })
    }

    /// The client of the nodes.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Anchors a bundle and verifies the outcome.
    pub async fn anchored(
        &self, verified: VerifiedBundle, anchoring: &qz_client::Anchoring,
    ) -> Result<VerifiedBundle, ServiceError> {
        let anchored = anchoring.anchor(&self.client, &verified.bytes).await;
        let bytes = anchored.map_err(|error| ServiceError::Anchor(Box::new(error)))?;
        self.verified(decode_strict(&bytes).map_err(|error| ServiceError::Proof(error.to_string()))?)
    }

    /// Who the members are now, proven from the genesis on.
    pub async fn members(&self) -> Result<Membership, ServiceError> {
        match self.client.membership().await {
            Ok((members, _)) => Ok(members),
            Err(MembershipError::Nodes(HistoryFailure::Client(error))) => Err(error.into()),
            Err(error) => Err(ServiceError::Proof(format!("the members: {error}"))),
        }
    }

    /// The pinned genesis.
    pub fn genesis(&self) -> &Genesis {
        self.client.genesis()
    }

    /// The organisation that relays.
    pub fn organisation(&self) -> &OrgId {
        self.relay.org()
    }

    /// The organisation that attests to identities.
    pub fn attestor(&self) -> &OrgId {
        &self.attestor
    }

    /// The ledger's id.
    pub fn chain_id(&self) -> Hash32 {
        self.genesis().chain_id()
    }

    /// The tip, as a node says.
    pub async fn status(&self) -> Result<qz_client::Status, ServiceError> {
        Ok(self.client.status().await?)
    }

    /// Last height at which a body composed now may be recorded: a tenth below the most that the rules
    /// allow, since the node that we ask may be behind the others.
    pub async fn expiry(&self) -> Result<Height, ServiceError> {
        let window = self.genesis().body().params.window;
        let margin = window - window / 10;
        Ok(Height(self.client.status().await?.height.saturating_add(margin)))
    }

    /// Submits until final or refused. Safe to repeat: a submission is known by its body's digest.
    pub async fn submit(&self, body: Vec<u8>, actors: Vec<Actor>) -> Result<Submitted, ServiceError> {
        let signed = self.relay.wrap_encoded(body, actors).map_err(|error| match error {
            RelayError::Submission(error) => ServiceError::Damaged(format!("a stored operation: {error}")),
            RelayError::Key(error) => ServiceError::RelayKey(error),
        })?;
        match self.client.submit_and_wait(&signed.bytes, PATIENCE).await {
            Ok(at) => Ok(Submitted::Final { record: at.record_hash }),
            Err(ClientError::Rejected { rejection, .. }) => Ok(Submitted::Rejected(rejection)),
            Err(error) => Err(error.into()),
        }
    }

    /// The record of a body, if it was recorded.
    pub async fn find(&self, digest: &Hash32) -> Result<Option<Hash32>, ServiceError> {
        Ok(match self.client.submission(digest).await? {
            Some(SubmissionState::Final(at)) => Some(at.record_hash),
            _ => None,
        })
    }

    /// Where a subject stands, proved and verified.
    pub async fn state_of(&self, subject: &SubjectId) -> Result<History, ServiceError> {
        let request = ProofRequest { subjects: vec![*subject], ..ProofRequest::default() };
        let bytes = self.client.proof(&request).await?;
        let bytes = bytes.ok_or_else(|| ServiceError::NotYet(format!("the state of subject {subject}")))?;
        let trust = TrustInputs::new(self.genesis().bytes(), now_ms());
        history(&bytes, &trust, subject).map_err(|error| ServiceError::Proof(error.to_string()))
    }

    /// Has the owner of this seal authorised this key, and not revoked it since? Counts and end are left
    /// to the ledger's rules.
    pub async fn may_use_seal(&self, seal: &SubjectId, key: &SubjectId) -> Result<bool, ServiceError> {
        let mut authorised = false;
        for hash in self.records_of(seal).await? {
            let found = self.client.record(&hash).await?;
            let found = found.ok_or_else(|| ServiceError::NotYet(format!("record {hash}")))?;
            let record: Record = decode_strict(&found.record).map_err(|e| ServiceError::Proof(e.to_string()))?;
            let parsed = Parsed::new(&record.submission).map_err(|e| ServiceError::Proof(e.to_string()))?;
            match &parsed.body().payload {
                Payload::SealAuthorised(fields) if fields.key == *key => authorised = true,
                Payload::SealRevoked(fields) if fields.key == *key => authorised = false,
                Payload::SealDestroyed(_) => authorised = false,
                _ => {}
            }
        }
        Ok(authorised)
    }

    /// All records of a subject, proven to be all, as of a block of now.
    pub async fn history_of(&self, subject: &SubjectId) -> Result<SubjectHistory, ServiceError> {
        match self.client.history(subject, None).await {
            Ok(found) => Ok(found),
            Err(HistoryFailure::Client(error)) => Err(error.into()),
            Err(error) => Err(ServiceError::Proof(format!("the history of {subject}: {error}"))),
        }
    }

    /// Hashes of all records of a subject, in order.
    pub async fn records_of(&self, subject: &SubjectId) -> Result<Vec<Hash32>, ServiceError> {
        let mut hashes = vec![];
        let mut after = None;
        loop {
            let page = self.client.subject_records(subject, after, PAGE).await?;
            let page = page.ok_or_else(|| ServiceError::NotYet(format!("subject {subject}")))?;
            hashes.extend(page.records.iter().map(|record| record.hash));
            match page.next {
                Some(next) if after.is_none_or(|before| next > before) => after = Some(next),
                _ => return Ok(hashes),
            }
        }
    }

    /// A bundle with these records, and the state of every subject that they touch. Not verified.
    pub async fn bundle(&self, records: Vec<Hash32>) -> Result<Bundle, ServiceError> {
        let request = ProofRequest { records, ..ProofRequest::default() };
        let bytes = self.client.proof(&request).await?;
        let bytes = bytes.ok_or_else(|| ServiceError::NotYet("the records to prove".into()))?;
        decode_strict(&bytes).map_err(|error| ServiceError::Proof(error.to_string()))
    }

    /// Verifies a bundle against the pinned genesis.
    pub fn verified(&self, bundle: Bundle) -> Result<VerifiedBundle, ServiceError> {
        let bytes = qz_evidence::encode(&bundle);
        let trust = TrustInputs::new(self.genesis().bytes(), now_ms());
        let report = verify(&bytes, &trust, &[]);
        if report.verdict == Verdict::Invalid {
            let why = report.failed_step().map(|step| format!("step {}: {}", step.n, step.detail_en));
            return Err(ServiceError::Proof(why.unwrap_or_default()));
        }
        Ok(VerifiedBundle { bytes, bundle, report })
    }

    /// Fetches the proof of one record and verifies it: the finality that the key service relies on.
    pub async fn proven_record(&self, hash: &Hash32) -> Result<ProvenRecord, ServiceError> {
        let verified = self.verified(self.bundle(vec![*hash]).await?)?;
        for entry in &verified.bundle.entries {
            let record = ProvenRecord::open(entry)?;
            if record.hash == *hash {
                return Ok(record);
            }
        }
        Err(ServiceError::Proof(format!("the bundle does not contain record {hash}")))
    }
}
