//! Which nodes to call, and as whom.

use qz_evidence::OrgId;
use qz_evidence::genesis::{Genesis, GenesisError, Organisation};
use qz_genesis::address::{self, AddressError};
use qz_genesis::{ClientFolder, ClientFolderError, Home, HomeError, TlsIdentity};
use thiserror::Error;
use zeroize::Zeroizing;

/// A node of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The organisation whose node it is; its TLS authority in the genesis must have issued the node's
    /// certificate.
    pub org: OrgId,
    /// The RPC's URL, `https://HOST:PORT`.
    pub url: String,
}

/// Everything that a client needs.
#[derive(Clone)]
pub struct ClientConfig {
    /// The nodes, in the order of preference.
    pub nodes: Vec<NodeEndpoint>,
    /// The genesis document's bytes.
    pub genesis: Vec<u8>,
    /// The client certificate, PEM.
    pub client_certificate_pem: Vec<u8>,
    /// Its private key, PEM.
    pub client_key_pem: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

/// Why a client could not be made.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The organisation's folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The folder of a reader.
    #[error(transparent)]
    Folder(#[from] ClientFolderError),
    /// The genesis.
    #[error("the genesis document: {0}")]
    Genesis(#[from] GenesisError),
    /// There is nobody to call.
    #[error("no node is named")]
    NoNodes,
    /// A node of an organisation that is not in the genesis.
    #[error("organisation {0} is not in the genesis, so its node's certificate cannot be checked")]
    UnknownOrganisation(OrgId),
    /// A URL.
    #[error("the node of organisation {org}: {source}")]
    Url {
        /// Whose node.
        org: OrgId,
        /// Why.
        source: AddressError,
    },
    /// Certificates or keys that TLS cannot use.
    #[error("TLS: {0}")]
    Tls(String),
}

impl ClientConfig {
    /// As the organisation of this folder; its own node first, then those of the other validators in
    /// the order of the genesis.
    pub fn from_home(home: &Home) -> Result<Self, ConfigError> {
        let genesis = home.genesis_document()?;
        let TlsIdentity { certificate_pem, key_pem } = home.tls_client()?;
        let mut nodes = endpoints(&genesis);
        nodes.sort_by_key(|node| node.org != home.organisation().id);
        Ok(Self {
            nodes,
            genesis: genesis.bytes().to_vec(),
            client_certificate_pem: certificate_pem,
            client_key_pem: key_pem,
        })
    }

    /// As a process of `organisation` that only reads; the organisation's own node first.
    pub fn from_client_folder(folder: &ClientFolder, organisation: &OrgId) -> Result<Self, ConfigError> {
        let genesis = folder.genesis()?;
        let TlsIdentity { certificate_pem, key_pem } = folder.tls_client()?;
        let mut nodes = endpoints(&genesis);
        nodes.sort_by_key(|node| node.org != *organisation);
        Ok(Self {
            nodes,
            genesis: genesis.bytes().to_vec(),
            client_certificate_pem: certificate_pem,
            client_key_pem: key_pem,
        })
    }

    /// The same, calling only the nodes of these organisations, in this order.
    pub fn only(mut self, organisations: &[OrgId]) -> Result<Self, ConfigError> {
        let node = |org: &OrgId| {
            let found = self.nodes.iter().find(|node| node.org == *org);
            found.cloned().ok_or_else(|| ConfigError::UnknownOrganisation(org.clone()))
        };
        self.nodes = organisations.iter().map(node).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Checks nodes against the genesis.
    pub(crate) fn open(&self) -> Result<Genesis, ConfigError> {
        let genesis = Genesis::open(&self.genesis)?;
        if self.nodes.is_empty() {
            return Err(ConfigError::NoNodes);
        }
        for node in &self.nodes {
            address::rpc_url(&node.url).map_err(|source| ConfigError::Url { org: node.org.clone(), source })?;
            if genesis.organisation(&node.org).is_none() {
                return Err(ConfigError::UnknownOrganisation(node.org.clone()));
            }
        }
        Ok(genesis)
    }
}

/// The nodes of all validators, in the order of the genesis.
pub fn endpoints(genesis: &Genesis) -> Vec<NodeEndpoint> {
    genesis.organisations().iter().filter_map(endpoint).collect()
}

/// The node of an organisation, if it has one.
pub(crate) fn endpoint(organisation: &Organisation) -> Option<NodeEndpoint> {
    let card = organisation.validator.as_ref()?;
    Some(NodeEndpoint { org: organisation.id.clone(), url: card.rpc_url.clone() })
}
