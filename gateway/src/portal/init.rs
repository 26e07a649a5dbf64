//! `qz-gateway admin portal-init`: makes the folder of a portal out of an organisation's folder, taking
//! nothing secret along. Run where the organisation's folder is; the result can be copied elsewhere.

use super::config::PortalConfig;
use super::organisation_home;
use super::trust::TrustFiles;
use crate::settings::Settings;
use anyhow::Context;
use clap::Args;
use qz_client::ClientFolder;
use qz_evidence::OrgId;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of `admin portal-init`.
#[derive(Debug, Args)]
pub struct PortalInit {
    /// 门户目录（新建）/ folder of the portal, to be made
    #[arg(long)]
    home: PathBuf,
    /// 机构目录（qz-genesis 生成）/ folder of the organisation
    #[arg(long)]
    organisation: PathBuf,
    /// 监听地址 / address of the HTTP server
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// 依次使用哪些机构的节点；缺省为本机构节点 / whose nodes to ask; the organisation's own by default
    #[arg(long = "node", value_name = "ORG")]
    nodes: Vec<String>,
    /// 可按编号查询证明的门户地址 / the portal that knows certificate numbers
    #[arg(long)]
    register_url: Option<String>,
    /// 口令文件；给出则加密 TLS 私钥 / file with a passphrase that encrypts the TLS key
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustFiles,
}

/// Makes the folder.
pub fn portal_init(flags: PortalInit) -> anyhow::Result<()> {
    let PortalInit { home, organisation, listen, nodes, register_url, passphrase_file, trust } = flags;
    let organisation = organisation_home(&organisation)?;
    let node = |name: String| OrgId::new(&name).with_context(|| format!("{name}: 不是机构编号 / no organisation's id"));
    let config = PortalConfig {
        listen,
        organisation: organisation.organisation().id.clone(),
        nodes: nodes.into_iter().map(node).collect::<Result<_, _>>()?,
        register_url,
        trust: trust.settings(),
        trusted_proxies: vec![],
    };
    config.check()?;
    let trust = trust.read()?;
    let passphrase = passphrase_file.as_deref().map(qz_client::passphrase_from_file).transpose()?;
    let today = jiff::Zoned::now().date();
    let folder = ClientFolder::create(&home, &organisation, "portal", passphrase, today)?;
    trust.write(&home)?;
    config.create(&home)?;
    println!("门户目录已建立 / made: {}", home.display());
    println!("链 chain {}", folder.genesis()?.chain_id());
    println!("启动 run: qz-gateway portal --home {}", home.display());
    Ok(())
}
