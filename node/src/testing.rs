//! A consortium of four for unit tests: real keys, a real genesis and a real store for each member.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::commitment::Commitment;
use qz_evidence::genesis::{Genesis, Role};
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::{Body, UnsignedSubmission};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, encode};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::NewOrganisation;
use qz_genesis::{Home, Purpose, ceremony};

use crate::ledger::Ledger;

/// Four members in a temporary folder.
pub(crate) struct Consortium {
    folder: tempfile::TempDir,
    pub homes: Vec<Home>,
    pub genesis: Genesis,
}

impl Consortium {
    /// Holds the ceremony.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let homes: Vec<_> = ["arbitration", "court", "notary", "platform"]
            .into_iter()
            .zip(0..)
            .map(|(name, number)| {
                let new = NewOrganisation {
                    id: OrgId::new(name).unwrap(),
                    name_zh: name.to_owned(),
                    name_en: name.to_owned(),
                    roles: vec![Role::Attestor],
                    validator: Some(ValidatorDescription {
                        power: 1,
                        consensus_address: format!("/ip4/127.0.0.1/tcp/{}", 100 + number),
                        mempool_address: format!("/ip4/127.0.0.1/tcp/{}", 200 + number),
                        rpc_url: format!("https://127.0.0.1:{}", 300 + number),
                    }),
                };
                let today = jiff::civil::date(2026, 11, 22);
                Home::create(&folder.path().join(name), new, today).unwrap()
            })
            .collect();
        let cards: Vec<_> = homes.iter().map(|home| home.card().unwrap()).collect();
        let body = ceremony::assemble("test", &cards, 1_700_000_000_000, false).unwrap().body;
        let sign = |home| encode(&ceremony::sign(home, &body, None).unwrap());
        let signatures: Vec<_> = homes.iter().map(sign).collect();
        let genesis = ceremony::finish(&body, &signatures).unwrap();
        Self { folder, homes, genesis }
    }

    /// A ledger of its own under this name.
    pub(crate) fn ledger(&self, name: &str) -> Arc<Ledger> {
        let path = self.folder.path().join("ledgers").join(name);
        std::fs::create_dir_all(&path).unwrap();
        Arc::new(Ledger::open(&path, &self.genesis).unwrap())
    }

    /// A deposit of evidence relayed by the platform.
    pub(crate) fn submission(&self, number: u8) -> Vec<u8> {
        self.deposit(number, None)
    }

    /// A deposit about another subject, which must exist.
    pub(crate) fn deposit(&self, number: u8, about: Option<SubjectId>) -> Vec<u8> {
        self.deposit_until(number, about, 100)
    }

    /// A deposit that expires.
    pub(crate) fn deposit_until(&self, number: u8, about: Option<SubjectId>, expiry: u64) -> Vec<u8> {
        let platform = &self.homes[3];
        let key = SigningKey::from_bytes(&platform.key(Purpose::Relay).unwrap().seed().unwrap());
        let body = Body::new(
            self.genesis.chain_id(),
            SubmissionId([number; 16]),
            Height(expiry),
            Payload::EvidenceDeposited(EvidenceDeposited { about }),
            vec![Commitment { name: "document.sha256".to_owned(), hash: Hash32([number; 32]) }],
            0,
        );
        let relay = platform.organisation().id.clone();
        let unsigned = UnsignedSubmission::new(&body, Vec::new(), relay, key.verifying_key().to_bytes());
        let signature = key.sign(&unsigned.relay_message()).to_bytes();
        encode(&unsigned.signed(signature))
    }

    /// Puts these submissions into the next block of a ledger, as if the network had decided it.
    pub(crate) fn decide(&self, ledger: &Ledger, submissions: &[Vec<u8>]) -> crate::ledger::Committed {
        let waiting: Vec<_> = submissions
            .iter()
            .map(|bytes| crate::mempool::pool::Waiting {
                bytes: bytes.as_slice().into(),
                parsed: Arc::new(qz_evidence::submission::Parsed::new(bytes).unwrap()),
                since: std::time::Instant::now(),
            })
            .collect();
        let proposer = self.genesis.validators().validators()[0].address();
        let built = ledger.propose(&waiting, 0, proposer).unwrap();
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        let height = Height(ledger.head().height + 1);
        let certificate = qz_evidence::commit::CommitCertificate::new(height, 0, built.id, Vec::new());
        ledger.commit(&built.bytes, &certificate).unwrap()
    }
}
