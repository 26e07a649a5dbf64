//! `portal.json` in the folder of a portal of its own, and the portal's part of `gateway.json`.

use anyhow::{Context, bail};
use qz_evidence::OrgId;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "portal.json";

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

impl PortalConfig {
    /// Reads and checks `home/portal.json`.
    pub fn load(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{}: 读取失败，请先运行 qz-gateway admin portal-init / cannot be read; run `qz-gateway admin portal-init` first",
                path.display()
            )
        })?;
        let config: Self =
            serde_json::from_str(&text).with_context(|| format!("{}: 格式错误 / malformed", path.display()))?;
        config.check()?;
        Ok(config)
    }

    /// Is the register's address one that a page can link to?
    pub fn check(&self) -> anyhow::Result<()> {
        match &self.register_url {
            Some(url) if !(url.starts_with("https://") || url.starts_with("http://")) || url.ends_with('/') => bail!(
                "register_url `{url}` 须以 http:// 或 https:// 开头且不以 / 结尾 / must start with http:// or https:// and not end with /"
            ),
            _ => Ok(()),
        }
    }

    /// Writes the file; an existing one is not overwritten.
    pub fn create(&self, home: &Path) -> anyhow::Result<()> {
        use std::io::Write;
        self.check()?;
        let path = home.join(FILE);
        let mut file = std::fs::File::create_new(&path)
            .with_context(|| format!("{}: 已存在或无法创建 / exists already or cannot be made", path.display()))?;
        let text = serde_json::to_string_pretty(self).expect("settings have string keys");
        writeln!(file, "{text}").and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
    }
}
