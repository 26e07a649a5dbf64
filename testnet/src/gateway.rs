//! The gateway's folder: configuration, first set-up, API token.

use crate::binaries::{Binaries, run};
use crate::ceremony::{MEMBERS, text};
use crate::folder::{Folder, make};
use crate::ports::Ports;
use anyhow::{Context, Result};
use serde_json::json;
use std::os::unix::fs::OpenOptionsExt;

/// Writes the configuration and lets the gateway make its database, keys and demo CA.
pub fn set_up(binaries: &Binaries, folder: &Folder, ports: &Ports) -> Result<()> {
    let home = folder.gateway();
    make(&home)?;
    let platform = folder.organisation("platform");
    let nodes: Vec<_> = MEMBERS
        .iter()
        .zip(0u16..)
        .map(|(member, index)| json!({ "org": member.id, "url": format!("https://127.0.0.1:{}", ports.node(index).rpc) }))
        .collect();
    let configuration = json!({
        "listen": format!("127.0.0.1:{}", ports.gateway()),
        "portal_url": portal_url(ports),
        "nodes": nodes,
        "organisation": text(&platform)?,
    });
    let path = home.join("gateway.json");
    let bytes = serde_json::to_vec_pretty(&configuration).context("the configuration is plain JSON")?;
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    run(&binaries.gateway, &["admin", "init", "--home", text(&home)?])?;
    Ok(())
}

/// Makes an API token for `name`; keeps it in a private file and returns it.
pub fn token(binaries: &Binaries, folder: &Folder, name: &str) -> Result<String> {
    let printed = run(&binaries.gateway, &["admin", "token", "create", "--name", name, "--home", text(&folder.gateway())?])?;
    let token = printed.lines().rev().find(|line| !line.trim().is_empty()).and_then(|line| line.split_whitespace().last());
    let token = token.with_context(|| format!("qz-gateway printed no token: {printed}"))?.to_owned();
    let path = folder.clients().join(format!("{name}.token"));
    write_private(&path, token.as_bytes())?;
    Ok(token)
}

/// Where people reach the portal.
pub fn portal_url(ports: &Ports) -> String {
    format!("http://localhost:{}", ports.gateway())
}

/// Writes a new file that only its owner can read.
pub fn write_private(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    std::io::Write::write_all(&mut file, bytes).with_context(|| format!("cannot write {}", path.display()))
}
