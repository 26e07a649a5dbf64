//! The public portal: what it may know and whom it may ask. It serves pages that verify in the visitor's
//! browser, the pinned genesis and trust inputs, state proofs from a node, and what the parties of a
//! contract made public.
//!
//! Two roles share it. `qz-gateway portal` is run by any organisation beside its own node, from a folder
//! without signing keys, database or documents. `qz-gateway serve` has the issuer's register besides.

pub mod config;
pub mod init;
pub mod limits;
pub mod lookup;
pub mod trust;
pub mod verifier;

use crate::app::App;
use crate::clock::now_ms;
use crate::error::ServiceError;
use anyhow::Context;
use config::PortalConfig;
use limits::Limits;
use qz_client::{Client, ClientConfig, ClientFolder, Home, ProofRequest};
use qz_evidence::genesis::{Genesis, Organisation};
use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::history::history;
use qz_evidence::{OrgId, SubjectId};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;
use trust::Trust;

/// Proofs that a node is asked for at the same time; further visitors wait their turn.
const PROOFS_AT_ONCE: usize = 8;

/// What a portal serves from.
#[derive(Debug)]
pub struct Portal {
    client: Client,
    operator: Option<Organisation>,
    trust: Trust,
    register: Register,
    places: Semaphore,
    /// How often a visitor may ask.
    pub limits: Limits,
}

/// Who knows certificate numbers.
#[derive(Debug)]
enum Register {
    /// This gateway issued them.
    Own(Arc<App>),
    /// Another portal, by its address; absent: nobody that we know of.
    Elsewhere(Option<String>),
}

impl Portal {
    /// The portal of a serving gateway: same nodes, own register.
    pub fn of_gateway(app: &Arc<App>) -> anyhow::Result<Self> {
        let settings = &app.config.portal;
        let client = app.ledger.client().clone();
        let operator = client.genesis().organisation(app.ledger.organisation()).cloned();
        Ok(Self {
            trust: app.trust.clone(),
            limits: Limits::new(&settings.trusted_proxies),
            register: Register::Own(app.clone()),
            places: Semaphore::new(PROOFS_AT_ONCE),
            client,
            operator,
        })
    }

    /// A portal of its own, from a folder that `admin portal-init` made.
    pub fn open(home: &Path, config: &PortalConfig) -> anyhow::Result<Self> {
        let folder = ClientFolder::open(home)?;
        let mut client = ClientConfig::from_client_folder(&folder, &config.organisation)?;
        // Its own node, if the organisation runs one: that is the node that it has a reason to believe
        // to be up to date.
        let own = [config.organisation.clone()];
        let runs_one = client.nodes.iter().any(|node| node.org == config.organisation);
        let wanted: &[OrgId] = match (config.nodes.as_slice(), runs_one) {
            ([], true) => &own,
            (named, _) => named,
        };
        if !wanted.is_empty() {
            client = client.only(wanted)?;
        }
        let client = Client::new(&client)?;
        let operator = client.genesis().organisation(&config.organisation).cloned();
        Ok(Self {
            trust: Trust::load(home, &config.trust)?,
            limits: Limits::new(&config.trusted_proxies),
            register: Register::Elsewhere(config.register_url.clone()),
            places: Semaphore::new(PROOFS_AT_ONCE),
            client,
            operator,
        })
    }

    /// The pinned genesis.
    pub fn genesis(&self) -> &Genesis {
        self.client.genesis()
    }

    /// What the page needs to know about this portal.
    pub fn site(&self) -> Value {
        json!({
            "operator": self.operator.as_ref().map(|operator| json!({
                "org": operator.id, "name_zh": operator.name_zh, "name_en": operator.name_en,
            })),
            "state_proofs": true,
            "register": match &self.register {
                Register::Own(_) => "own",
                Register::Elsewhere(Some(_)) => "elsewhere",
                Register::Elsewhere(None) => "none",
            },
            "register_url": match &self.register {
                Register::Elsewhere(Some(url)) => Some(url),
                _ => None,
            },
            "witness_policy": self.trust.witness_policy,
            "tsa_roots": self.trust.tsa_roots,
        })
    }

    /// A proof of where one subject stands now, and nothing else: no records, no other subjects. Whoever
    /// knows one subject's id must not be able to walk from it to the seals and contracts around it.
    pub async fn state_proof(&self, subject: &SubjectId) -> Result<Vec<u8>, ServiceError> {
        let _place = self.places.acquire().await.map_err(|error| ServiceError::Damaged(error.to_string()))?;
        let request = ProofRequest { subjects: vec![*subject], ..ProofRequest::default() };
        let found = self.client.proof(&request).await?;
        let bytes = found.ok_or_else(|| ServiceError::NotYet(format!("the state of subject {subject}")))?;
        let trust = TrustInputs::new(self.genesis().bytes(), now_ms());
        match history(&bytes, &trust, subject) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(ServiceError::Proof(error.to_string())),
        }
    }

    /// What the parties of a certificate's contract made public.
    pub async fn look_up(&self, number: &str) -> Result<Value, ServiceError> {
        match &self.register {
            Register::Own(app) => lookup::public_view(app, number).await,
            Register::Elsewhere(_) => Err(lookup::no_register().into()),
        }
    }
}

/// The organisation's folder, only while `admin portal-init` runs.
pub(crate) fn organisation_home(path: &Path) -> anyhow::Result<Home> {
    Home::open(path).with_context(|| format!("{}: 机构文件夹 / organisation's folder", path.display()))
}
