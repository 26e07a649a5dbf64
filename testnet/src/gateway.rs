//! The gateway's folder: configuration, first set-up, API token.

use crate::binaries::{Binaries, run};
use crate::ceremony::{MEMBERS, text};
use crate::folder::Folder;
use crate::outside;
use crate::ports::Ports;
use anyhow::{Context, Result};
use std::os::unix::fs::OpenOptionsExt;

/// Whose gateway it is.
pub const PLATFORM: &str = "platform";

/// Lets the gateway make its folder: configuration, database, master key, demo CA.
pub fn set_up(binaries: &Binaries, folder: &Folder, ports: &Ports) -> Result<()> {
    let (home, organisation) = (folder.gateway(), folder.organisation(PLATFORM));
    let (listen, portal) = (format!("127.0.0.1:{}", ports.gateway()), portal_url(ports));
    let mut arguments = vec!["admin", "init", "--home", text(&home)?, "--organisation", text(&organisation)?];
    arguments.extend(["--listen", &listen, "--portal-url", &portal, "--attestor", "notary"]);
    for member in &MEMBERS {
        arguments.extend(["--node", member.id]);
    }
    let anchoring = outside::set_up(binaries, folder, ports)?;
    arguments.extend(anchoring.iter().map(String::as_str));
    run(&binaries.gateway, &arguments)?;
    Ok(())
}

/// Was [`set_up`] done in this folder?
pub fn is_set_up(folder: &Folder) -> bool {
    folder.gateway().join("gateway.json").is_file()
}

/// Makes an API token for `name`; keeps it in a private file and returns it.
pub fn token(binaries: &Binaries, folder: &Folder, name: &str) -> Result<String> {
    let printed =
        run(&binaries.gateway, &["admin", "token", "create", "--name", name, "--home", text(&folder.gateway())?])?;
    let token =
        printed.lines().rev().find(|line| !line.trim().is_empty()).and_then(|line| line.split_whitespace().last());
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
