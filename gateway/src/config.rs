//! `gateway.json` in the gateway's home folder: where it listens, for whom it relays, who issues.

use crate::custody::SealKeysConfig;
use crate::portal::config::PortalSettings;
use crate::settings::{Settings, check_address};
use anyhow::{Context, bail};
use qz_evidence::OrgId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The settings of a gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// Address of the portal as the world sees it; part of the QR code. Without a final slash.
    pub portal_url: String,
    /// Folder of the organisation (made by `qz-genesis`): relay key, TLS client identity, genesis.
    pub organisation: PathBuf,
    /// Organisations whose nodes are called, in order of preference; empty: own first, then all others.
    #[serde(default)]
    pub nodes: Vec<OrgId>,
    /// The organisation that attests to identities; absent: the first foreign one with that role.
    #[serde(default)]
    pub attestor: Option<OrgId>,
    /// Who issues signing certificates.
    pub issuer: IssuerConfig,
    /// The public portal.
    #[serde(default)]
    pub portal: PortalSettings,
    /// Keys of seals: their kind and where they are kept.
    #[serde(default)]
    pub seal_keys: SealKeysConfig,
    /// Archiving of completed contracts; absent: none are archived. Needs `anchoring.tsa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archiving: Option<ArchivingConfig>,
    /// Seal data of GB/T 38540 for every new seal; absent: none are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal_data: Option<SealDataConfig>,
    /// What a signature needs to know about the revocation of its certificate.
    #[serde(default)]
    pub signer_revocation: SignerRevocation,
    /// Who anchors the proofs of signing certificates; absent: nobody, and every certificate says so.
    #[serde(default)]
    pub anchoring: Option<AnchoringConfig>,
}

/// Archived files of completed contracts: timestamped as a whole, and again in time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivingConfig {
    /// So many days before the certificate of the timestamp's authority ends the next timestamp is made.
    #[serde(default = "ArchivingConfig::default_days")]
    pub renew_before_days: u32,
}

impl ArchivingConfig {
    fn default_days() -> u32 {
        90
    }
}

impl Default for ArchivingConfig {
    fn default() -> Self {
        Self { renew_before_days: Self::default_days() }
    }
}

/// Seal data designed toward GB/T 38540-2020, signed by a seal maker of this gateway's own (SM2).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealDataConfig {
    /// Whose software makes them (Vid), ASCII.
    #[serde(default = "SealDataConfig::default_vendor")]
    pub vendor: String,
    /// Sign the final files of contracts with them too.
    #[serde(default)]
    pub sign_contracts: bool,
}

impl SealDataConfig {
    fn default_vendor() -> String {
        "QIZHENG".into()
    }
}

impl Default for SealDataConfig {
    fn default() -> Self {
        Self { vendor: Self::default_vendor(), sign_contracts: false }
    }
}

/// What a signature needs to know about the revocation of its certificate, by lists and OCSP of its CA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerRevocation {
    /// The status must be had: until then the signature waits, and says why. A certificate that names neither a list
    /// nor a responder is refused.
    #[default]
    Required,
    /// What can be had counts; what cannot does not stop a signature.
    IfAvailable,
}

/// Outside witnesses and the timestamp authority.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchoringConfig {
    /// Address of the timestamp authority (RFC 3161), `http://…` or `https://…`.
    pub tsa: Option<String>,
    /// Outside witnesses; every one must cosign.
    #[serde(default)]
    pub witnesses: Vec<WitnessConfig>,
    /// PEM of who issued the TLS certificates of `https` addresses; absent: whom this machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_ca: Option<PathBuf>,
}

/// An outside witness.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Its public key (C2SP verifier key).
    pub key: String,
    /// Its address, `http://…` or `https://…`.
    pub url: String,
}

impl AnchoringConfig {
    /// As the client wants it.
    pub fn open(&self) -> anyhow::Result<qz_client::Anchoring> {
        let tls = match &self.https_ca {
            Some(path) => qz_client::HttpsRoots::from_pem_file(path)?,
            None => qz_client::HttpsRoots::System,
        };
        let witness = |one: &WitnessConfig| -> anyhow::Result<qz_client::WitnessEndpoint> {
            let key = qz_evidence::note::VerifierKey::parse(&one.key)
                .with_context(|| format!("见证人公钥无效 / the witness key `{}`", one.key))?;
            Ok(qz_client::WitnessEndpoint { url: one.url.clone(), key, tls: tls.clone() })
        };
        Ok(qz_client::Anchoring {
            witnesses: self.witnesses.iter().map(witness).collect::<anyhow::Result<_>>()?,
            authority: self.tsa.clone().map(|url| qz_client::TimestampAuthority { url, tls: tls.clone() }),
        })
    }
}

/// `KEY=http://…` of a command line.
impl std::str::FromStr for WitnessConfig {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, url) = text.split_once("=http").ok_or("expected KEY=http://…")?;
        Ok(Self { key: key.to_owned(), url: format!("http{url}") })
    }
}

/// The issuer of signing certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Name on the certificates and on the seal.
    pub name: String,
    /// Unified social credit code 统一社会信用代码.
    pub id_code: String,
}

impl Settings for Config {
    const FILE: &'static str = "gateway.json";
    const MADE_BY: &'static str = "qz-gateway admin init";

    fn check(&self) -> anyhow::Result<()> {
        check_address("portal_url", &self.portal_url)?;
        let stamps = self.anchoring.as_ref().is_some_and(|anchoring| anchoring.tsa.is_some());
        if self.archiving.is_some() && !stamps {
            bail!("archiving 需要时间戳服务 / needs a timestamp authority: anchoring.tsa");
        }
        self.seal_keys.check()
    }
}
