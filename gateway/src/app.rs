//! What every part of the running gateway shares.

use crate::authority::{Authority, Credential};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::portal::trust::Trust;
use crate::seal_data;
use crate::settings::Settings;
use anyhow::Context;
use qz_client::{Client, ClientConfig, Home, Relay};
use qz_storage::{BlobStore, KeyEncryption, Storage, master_key_path};
use std::path::Path;
use tokio::sync::Notify;

/// The running gateway.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Rows.
    pub storage: Storage,
    /// Documents.
    pub blobs: BlobStore,
    /// The master key.
    pub encryption: KeyEncryption,
    /// The ledger's nodes and our relay.
    pub ledger: Ledger,
    /// Outside witnesses and the timestamp authority.
    pub anchoring: qz_client::Anchoring,
    /// Trust inputs of the portal's visitors and of the reports for courts.
    pub trust: Trust,
    /// Demonstration CA and issuer.
    pub authority: Authority,
    /// The seal maker, if seal data of GB/T 38540 are made.
    pub maker: Option<Credential>,
    /// What is counted.
    pub metrics: Metrics,
    /// Rings when an operation has moved on.
    pub progress: Notify,
    /// Rings when there is a job.
    pub work: Notify,
}

/// Opens storage under the home's master key.
pub async fn open_storage(home: &Path) -> anyhow::Result<(Storage, KeyEncryption)> {
    let encryption = KeyEncryption::load(&master_key_path(home))?;
    let storage = Storage::open(home).await?;
    storage.bind_key(&encryption).await?;
    Ok((storage, encryption))
}

impl App {
    /// Opens everything in the home folder. Connects to no node yet.
    pub async fn open(home: &Path) -> anyhow::Result<Self> {
        let config = Config::load(home)?;
        let (storage, encryption) = open_storage(home).await?;
        let blobs = BlobStore::open(home, encryption.clone())?;
        let authority = Authority::load(home, &storage, &encryption, &config.issuer.name, &config.portal_url).await?;
        let maker = match config.seal_data {
            Some(_) => Some(seal_data::maker(home, &storage, &encryption, &authority, &config.issuer).await?),
            None => None,
        };
        let organisation = &config.organisation;
        let organisation_home = Home::open(organisation)
            .with_context(|| format!("{}: 机构文件夹 / organisation's folder", organisation.display()))?;
        let mut client = ClientConfig::from_home(&organisation_home)?;
        if !config.nodes.is_empty() {
            client = client.only(&config.nodes)?;
        }
        let relay = Relay::from_home(&organisation_home)?;
        let anchoring = config.anchoring.as_ref().map(|anchoring| anchoring.open()).transpose()?.unwrap_or_default();
        let ledger = Ledger::new(Client::new(&client)?, relay, config.attestor.clone())?;
        let trust = Trust::load(home, &config.portal.trust)?;
        Ok(Self {
            config,
            storage,
            blobs,
            encryption,
            ledger,
            anchoring,
            trust,
            authority,
            maker,
            metrics: Metrics::default(),
            progress: Notify::new(),
            work: Notify::new(),
        })
    }

    /// Tells waiting requests and the worker that something changed.
    pub fn changed(&self) {
        self.progress.notify_waiters();
        self.work.notify_one();
    }
}
