//! `qz-gateway organisation`: a small page for the operators of one member, beside its own node: what is
//! pending before it, what it did, how its node is. Read-only and without signing keys in the page: it shows
//! the commands with which the operator acts (`qz-client`).
//!
//! It listens on loopback only and wants the operator's token. What it shows of the ledger is the own
//! node's word; the commands prove what they do.

mod desk;
mod routes;

pub use desk::follow;
pub use routes::routes;

use anyhow::{Context, bail};
use clap::Args;
use desk::Seen;
use qz_client::{Client, ClientConfig, Home};
use qz_evidence::genesis::Organisation;
use qz_evidence::{Hash32, SubjectId};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Flags of `qz-gateway organisation`.
#[derive(Debug, Args)]
pub struct Flags {
    /// 机构目录（qz-genesis 生成）/ folder of the organisation
    #[arg(long)]
    pub organisation: PathBuf,
    /// 监听地址，仅限本机 / loopback address of the page
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// 运维令牌文件（0600；不存在则新建）/ file with the operator's token, made if it does not exist
    #[arg(long)]
    pub token_file: PathBuf,
    /// 另行关注的主体编号 / a further subject to watch; may be repeated
    #[arg(long = "watch", value_name = "SUBJECT", value_parser = subject)]
    pub watch: Vec<SubjectId>,
}

fn subject(text: &str) -> Result<SubjectId, String> {
    Hash32::from_hex(text).map(SubjectId).ok_or_else(|| "64 位十六进制 / 64 hexadecimal digits".to_owned())
}

/// What the page's handlers share.
pub struct Page {
    /// The member.
    pub organisation: Organisation,
    /// Its folder, as the operator named it; part of the commands that are shown.
    pub home: PathBuf,
    /// Its own node first.
    pub client: Client,
    /// SHA-256 of the operator's token.
    pub token: [u8; 32],
    /// The watch list.
    pub watched: Vec<SubjectId>,
    /// What was read of the ledger so far.
    pub seen: Mutex<Seen>,
}

/// Opens the folder and the token; connects to nobody yet.
pub fn open(flags: &Flags) -> anyhow::Result<Arc<Page>> {
    if !flags.listen.ip().is_loopback() {
        bail!("{}: 机构页面只能监听本机地址 / the page listens on a loopback address only", flags.listen);
    }
    let home = Home::open(&flags.organisation)
        .with_context(|| format!("{}: 机构目录 / organisation's folder", flags.organisation.display()))?;
    let client = Client::new(&ClientConfig::from_home(&home)?)?;
    let organisation = home.organisation().clone();
    let token = crate::server::token_digest(&token(&flags.token_file)?);
    let page = Page {
        organisation,
        home: flags.organisation.clone(),
        client,
        token,
        watched: flags.watch.clone(),
        seen: Mutex::default(),
    };
    Ok(Arc::new(page))
}

/// Reads the operator's token, or makes one.
fn token(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            bail!("{name}: 令牌文件须仅本人可读（chmod 600）/ only its owner may read the token file")
        }
        Ok(_) => {
            let text = std::fs::read_to_string(path).with_context(|| name.to_string())?;
            match text.trim() {
                short if short.len() < 32 => bail!("{name}: 令牌至少 32 个字符 / a token has at least 32 characters"),
                token => Ok(token.to_owned()),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let token = format!("qzo_{}", hex::encode(crate::authority::random::<32>()));
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("{name}: 无法创建 / cannot be made"))?;
            writeln!(file, "{token}").and_then(|()| file.sync_all()).with_context(|| name.to_string())?;
            tracing::info!(file = %name, "operator's token made");
            Ok(token)
        }
        Err(error) => Err(error).with_context(|| name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.token");
        let made = token(&path).unwrap();
        assert_eq!(token(&path).unwrap(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(token(&path).unwrap_err().to_string().contains("chmod 600"));
        let short = folder.path().join("short");
        std::fs::write(&short, "secret").unwrap();
        std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(token(&short).is_err());
    }
}
