//! What an organisation's office does on the ledger in its own name: deposit evidence, register a notarial
//! deed, submit a ruling, retrieve contracts for a case. Composed, signed and submitted with the keys of the
//! organisation's own folder, through its own node first; proven before it counts as done.
//!
//! Salts are drawn here and stand nowhere on the ledger, so an act is written to disk ([`Act::to_json`])
//! before it is submitted: whoever loses the salts can never open what the record commits to.

mod act;
mod concern;

pub use act::{Act, ActError};
pub use concern::{Concern, Desk, Why};

use crate::client::Client;
use crate::error::ClientError;
use crate::relay::{Relay, RelayError};
use crate::wire::{Finalised, ProofRequest};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::Bytes;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::payload::{
    ContractRuled, EvidenceDeposited, NotarisationRegistered, Payload, RetrievalMade, RulingEffect, RulingForm,
};
use qz_evidence::record::Record;
use qz_evidence::retrieval::{RetrievalError, RetrievalRequest, is_case_number, is_date, release_message};
use qz_evidence::submission::{Actor, Body, Parsed, actor_message};
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, decode_strict, encode};
use qz_genesis::{Home, HomeError, KeyError, Purpose, SecretKey};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Why an office could not do something.
#[derive(Debug, Error)]
pub enum OfficeError {
    /// The organisation's folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The office key does not sign.
    #[error("印鉴密钥无法签名 / the office key does not sign: {0}")]
    Key(#[from] KeyError),
    /// The nodes.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The body cannot be relayed.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// A request for the package.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// A value that the ledger would take, but nobody could mean.
    #[error("{0}")]
    Value(&'static str),
    /// What a node gives as proof does not hold, or is of something else.
    #[error("节点给出的证明不成立 / the node's proof does not hold: {0}")]
    Proof(String),
    /// This machine.
    #[error("本机时钟或随机数不可用 / no clock or no random numbers: {0}")]
    Machine(String),
}

/// What an office wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// 存证: deposits the digest of a file. Signed by nobody, relayed by the organisation.
    Deposit {
        /// What it is about.
        about: Option<SubjectId>,
        /// SHA-256 of the file.
        document: Hash32,
        /// In words.
        description: Option<String>,
    },
    /// 公证登记: registers a notarial deed about a contract or evidence.
    Notarise {
        /// The contract or evidence.
        subject: SubjectId,
        /// 公证书编号.
        number: String,
        /// SHA-256 of the deed.
        document: Hash32,
    },
    /// 裁判: rules on the dispute about a contract.
    Rule {
        /// The contract.
        contract: SubjectId,
        /// 判决书, 裁定书, 调解书, 裁决书.
        form: RulingForm,
        /// What it says about the contract.
        effect: RulingEffect,
        /// 案号.
        number: String,
        /// SHA-256 of the ruling.
        document: Hash32,
    },
    /// 司法调取: retrieves contracts for a case.
    Retrieve {
        /// The contracts, 1–4.
        contracts: Vec<SubjectId>,
        /// 案号.
        case_number: String,
        /// Until when notice to the parties is deferred, `YYYY-MM-DD`.
        notice_after: Option<String>,
    },
}

impl Deed {
    fn check(&self) -> Result<(), OfficeError> {
        let number = match self {
            Self::Notarise { number, .. } | Self::Rule { number, .. } => Some(number),
            Self::Retrieve { case_number, .. } => Some(case_number),
            Self::Deposit { .. } => None,
        };
        if number.is_some_and(|number| !is_case_number(number)) {
            return Err(OfficeError::Value(
                "编号须为 1–100 个可见字符，首尾无空格 / a number has 1 to 100 visible characters",
            ));
        }
        match self {
            Self::Retrieve { contracts, .. } if contracts.is_empty() || contracts.len() > 4 => {
                Err(OfficeError::Value("一次可调取 1–4 份合同 / a retrieval names 1 to 4 contracts"))
            }
            Self::Retrieve { notice_after: Some(date), .. } if !is_date(date) => {
                Err(OfficeError::Value("通知日期须为 YYYY-MM-DD / the date of notice is YYYY-MM-DD"))
            }
            _ => Ok(()),
        }
    }

    fn payload(&self) -> Payload {
        match self {
            Self::Deposit { about, .. } => Payload::EvidenceDeposited(EvidenceDeposited { about: *about }),
            Self::Notarise { subject, .. } => {
                Payload::NotarisationRegistered(NotarisationRegistered { subject: *subject })
            }
            Self::Rule { contract, form, effect, .. } => {
                Payload::ContractRuled(ContractRuled { contract: *contract, form: *form, effect: *effect })
            }
            Self::Retrieve { contracts, .. } => Payload::RetrievalMade(RetrievalMade { contracts: contracts.clone() }),
        }
    }

    fn values(&self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Deposit { document, description, .. } => [(name::DOCUMENT, document.0.to_vec())]
                .into_iter()
                .chain(description.iter().map(|text| (name::DESCRIPTION, text.clone().into_bytes())))
                .collect(),
            Self::Notarise { number, document, .. } | Self::Rule { number, document, .. } => {
                vec![(name::NUMBER, number.clone().into_bytes()), (name::DOCUMENT, document.0.to_vec())]
            }
            Self::Retrieve { case_number, notice_after, .. } => [(name::NUMBER, case_number.clone().into_bytes())]
                .into_iter()
                .chain(notice_after.iter().map(|date| (name::NOTICE_AFTER, date.clone().into_bytes())))
                .collect(),
        }
    }
}

/// An act that is on the ledger, with the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where.
    pub at: Finalised,
    /// A bundle with the record and what opens its commitments, verified against this office's genesis.
    pub proof: Vec<u8>,
}

/// The office of one organisation.
#[derive(Debug)]
pub struct Office {
    client: Client,
    org: OrgId,
    key: SecretKey,
    relay: Relay,
}

impl Office {
    /// With office and relay key of an organisation's folder.
    pub fn open(home: &Home, client: Client) -> Result<Self, OfficeError> {
        let org = home.organisation().id.clone();
        Ok(Self { client, org, key: home.key(Purpose::Office)?, relay: Relay::from_home(home)? })
    }

    /// The organisation.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// Composes and signs. Nothing is sent yet: write the act down first.
    pub async fn compose(&self, deed: &Deed) -> Result<Act, OfficeError> {
        deed.check()?;
        let status = self.client.status().await?;
        // A tenth below the most that the rules allow, since other nodes may be behind.
        let window = self.client.genesis().body().params.window;
        let expiry = Height(status.height.saturating_add(window - window / 10));
        let openings = deed
            .values()
            .into_iter()
            .map(|(name, value)| Ok(Opening::new(name, random()?, value)))
            .collect::<Result<Vec<_>, OfficeError>>()?;
        let commitments = openings.iter().map(Opening::commitment).collect();
        let chain_id = self.client.genesis().chain_id();
        let body = Body::new(chain_id, SubmissionId(random()?), expiry, deed.payload(), commitments, now_ms()?);
        let digest = body.digest();
        let actors = match deed {
            Deed::Deposit { .. } => vec![],
            _ => {
                let subject = SubjectId::of_organisation(&chain_id, &self.org);
                let signature = self.key.sign(&actor_message(&digest))?;
                vec![Actor { subject, signature: Bytes(signature.to_vec()) }]
            }
        };
        Ok(Act { body: encode(&body), openings, actors })
    }

    /// Submits until final, and fetches and verifies the proof. Safe to repeat.
    pub async fn record(&self, act: &Act, timeout: Duration) -> Result<Recorded, OfficeError> {
        let signed = self.relay.wrap_encoded(act.body.clone(), act.actors.clone())?;
        let at = self.client.submit_and_wait(&signed.bytes, timeout).await?;
        let request = ProofRequest { records: vec![at.record_hash], ..ProofRequest::default() };
        let bytes = self.client.proof(&request).await?;
        let bytes = bytes.ok_or_else(|| OfficeError::Proof("no node has the record yet".into()))?;
        let proof = self.open_commitments(&bytes, act)?;
        Ok(Recorded { at, proof })
    }

    fn open_commitments(&self, bundle: &[u8], act: &Act) -> Result<Vec<u8>, OfficeError> {
        let bad = |error: &dyn std::fmt::Display| OfficeError::Proof(error.to_string());
        let mut bundle: Bundle = decode_strict(bundle).map_err(|error| bad(&error))?;
        let mut shown = false;
        for entry in &mut bundle.entries {
            let record: Record = decode_strict(&entry.record).map_err(|error| bad(&error))?;
            let parsed = Parsed::new(&record.submission).map_err(|error| bad(&error))?;
            if parsed.digest() == act.digest() {
                entry.openings.clone_from(&act.openings);
                shown = true;
            }
        }
        if !shown {
            return Err(OfficeError::Proof("it does not show the record".into()));
        }
        let bytes = encode(&bundle);
        let trust = TrustInputs::new(self.client.genesis().bytes(), now_ms()?);
        let report = verify(&bytes, &trust, &[]);
        match report.failed_step() {
            Some(step) => Err(OfficeError::Proof(format!("step {}: {}", step.n, step.detail_en))),
            None if report.verdict == Verdict::Invalid => Err(OfficeError::Proof("INVALID".into())),
            None => Ok(bytes),
        }
    }

    /// A request for the package of a recorded retrieval, signed now; good for ten minutes.
    pub fn release(&self, act: &Act) -> Result<RetrievalRequest, OfficeError> {
        let mut request = RetrievalRequest::new(act.body.clone(), act.openings.clone())?;
        let now = now_ms()?;
        request.release = Some((now, self.key.sign(&release_message(&request.digest(), now))?));
        Ok(request)
    }
}

fn random<const N: usize>() -> Result<[u8; N], OfficeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| OfficeError::Machine(error.to_string()))?;
    Ok(bytes)
}

fn now_ms() -> Result<u64, OfficeError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|_| OfficeError::Machine("the clock is before 1970".into()))?;
    u64::try_from(since.as_millis()).map_err(|_| OfficeError::Machine("the clock is beyond all dates".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_could_mean_is_refused_before_anything_is_signed() {
        let subject = SubjectId(Hash32([1; 32]));
        let retrieve = |contracts: usize, case: &str, date: Option<&str>| Deed::Retrieve {
            contracts: vec![subject; contracts],
            case_number: case.into(),
            notice_after: date.map(str::to_owned),
        };
        for (deed, fits) in [
            (retrieve(1, "（2026）京0491民初1号", None), true),
            (retrieve(4, "1", Some("2026-12-31")), true),
            (retrieve(0, "1", None), false),
            (retrieve(5, "1", None), false),
            (retrieve(1, "", None), false),
            (retrieve(1, " 1", None), false),
            (retrieve(1, "1\n2", None), false),
            (retrieve(1, "1", Some("31.12.2026")), false),
            (Deed::Notarise { subject, number: String::new(), document: Hash32::ZERO }, false),
            (Deed::Deposit { about: None, document: Hash32::ZERO, description: None }, true),
        ] {
            assert_eq!(deed.check().is_ok(), fits, "{deed:?}");
        }
    }
}
