//! `portal.json` in the folder of a portal of its own, and the portal's part of `gateway.json`.

use crate::settings::{Settings, check_address};
use qz_evidence::OrgId;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The trust inputs that a portal gives to its visitors besides the genesis; paths relative to its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustConfig {
    /// A C2SP witness policy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness_policy: Option<PathBuf>,
    /// PEM files of timestamping authorities' root certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tsa_roots: Vec<PathBuf>,
}

/// The portal's part of a gateway's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalSettings {
    /// Trust inputs for visitors.
    #[serde(default)]
    pub trust: TrustConfig,
    /// Reverse proxies whose `X-Forwarded-For` names the visitor, for the rate limits.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
}

/// The settings of a portal of its own. It names no secret but its TLS key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalConfig {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// The organisation that runs it.
    pub organisation: OrgId,
    /// Whose nodes are asked; empty: the organisation's own, or all if it runs none.
    #[serde(default)]
    pub nodes: Vec<OrgId>,
    /// The portal where certificate numbers can be looked up; without a final slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_url: Option<String>,
    /// Trust inputs for visitors.
    #[serde(default)]
    pub trust: TrustConfig,
    /// Reverse proxies whose `X-Forwarded-For` names the visitor, for the rate limits.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
}

impl Settings for PortalConfig {
    const FILE: &'static str = "portal.json";
    const MADE_BY: &'static str = "qz-gateway admin portal-init";

    fn check(&self) -> anyhow::Result<()> {
        self.register_url.as_ref().map_or(Ok(()), |url| check_address("register_url", url))
    }
}
