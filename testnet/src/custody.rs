//! Where the demonstration keeps the passphrase of each organisation's folder: in a private file beside
//! the folder. A real operator keeps it elsewhere (systemd credential, secret store).

use crate::gateway::write_private;
use anyhow::{Context, Result};
use qz_genesis::{Home, passphrase};
use std::path::{Path, PathBuf};

/// Tells a program which passphrase file to use.
pub const VARIABLE: &str = passphrase::PASSPHRASE_FILE;

/// The passphrase file of an organisation's folder.
pub fn passphrase_file(home: &Path) -> PathBuf {
    home.with_extension("passphrase")
}

/// Makes a random passphrase for a new folder.
pub fn choose(home: &Path) -> Result<PathBuf> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("no randomness")?;
    let file = passphrase_file(home);
    write_private(&file, hex::encode(bytes).as_bytes())?;
    Ok(file)
}

/// Opens an organisation's folder of this network.
pub fn open(home: &Path) -> Result<Home> {
    Ok(Home::open_with(home, passphrase::from_file(&passphrase_file(home))?)?)
}
