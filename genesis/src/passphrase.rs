//! Where the passphrase of an organisation's folder comes from: a file named by the caller, by
//! `QZ_PASSPHRASE_FILE` or by systemd's credentials, else the terminal. Never an argument or a variable
//! of its own, which other processes could read.

use crate::private_file::{self, FileError};
use crate::sealed::{Passphrase, SealError};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Names a file that holds the passphrase.
pub const PASSPHRASE_FILE: &str = "QZ_PASSPHRASE_FILE";
/// The name of the credential in a systemd unit (`LoadCredential=qz-passphrase:…`).
pub const CREDENTIAL: &str = "qz-passphrase";

/// Why there is no passphrase.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The file that should hold it.
    #[error("passphrase file: {0}")]
    File(#[from] FileError),
    /// Nothing names one, and nobody can be asked.
    #[error(
        "the keys of this folder are encrypted: name the file with its passphrase by {PASSPHRASE_FILE} (or the systemd credential `{CREDENTIAL}`), or run this on a terminal"
    )]
    NoSource,
    /// The terminal.
    #[error("reading the passphrase from the terminal: {0}")]
    Terminal(std::io::Error),
    /// Two entries differ.
    #[error("the two passphrases differ")]
    Differ,
    /// Not usable.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The passphrase in a file that only its owner may read.
pub fn from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    Ok(Passphrase::new(&private_file::read_secret(path)?))
}

/// The file that the environment names, if any.
pub fn file_of_environment() -> Option<PathBuf> {
    file_named(std::env::var_os(PASSPHRASE_FILE), std::env::var_os("CREDENTIALS_DIRECTORY"))
}

fn file_named(file: Option<OsString>, credentials: Option<OsString>) -> Option<PathBuf> {
    let credential = || Some(PathBuf::from(credentials?).join(CREDENTIAL)).filter(|path| path.exists());
    file.filter(|file| !file.is_empty()).map(PathBuf::from).or_else(credential)
}

/// For existing files: from the environment's file, else asked for once.
pub fn existing() -> Result<Passphrase, PassphraseError> {
    match file_of_environment() {
        Some(path) => from_file(&path),
        None => from_terminal("口令 Passphrase"),
    }
}

/// For new files: from the environment's file, else asked for twice.
pub fn chosen() -> Result<Passphrase, PassphraseError> {
    match file_of_environment() {
        Some(path) => from_file(&path),
        None => from_terminal_twice("新口令（至少 12 个字符）New passphrase (at least 12 characters)"),
    }
}

/// Asks on the terminal.
pub fn from_terminal(what: &str) -> Result<Passphrase, PassphraseError> {
    Ok(Passphrase::new(read_line(&format!("{what}: "))?.as_bytes()))
}

/// Asks on the terminal, and once more against slips.
pub fn from_terminal_twice(what: &str) -> Result<Passphrase, PassphraseError> {
    let first = read_line(&format!("{what}: "))?;
    let second = read_line("再次输入 Again: ")?;
    if *first != *second {
        return Err(PassphraseError::Differ);
    }
    Ok(Passphrase::new(first.as_bytes()))
}

fn read_line(prompt: &str) -> Result<Zeroizing<String>, PassphraseError> {
    if !std::io::stdin().is_terminal() {
        return Err(PassphraseError::NoSource);
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(PassphraseError::Terminal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_named_file_comes_before_the_credential() {
        let folder = tempfile::tempdir().unwrap();
        let directory = || Some(folder.path().as_os_str().to_owned());
        assert_eq!(file_named(None, None), None);
        assert_eq!(file_named(None, directory()), None, "a unit without this credential");
        std::fs::write(folder.path().join(CREDENTIAL), "x").unwrap();
        assert_eq!(file_named(None, directory()), Some(folder.path().join(CREDENTIAL)));
        assert_eq!(file_named(Some("".into()), directory()), Some(folder.path().join(CREDENTIAL)));
        assert_eq!(file_named(Some("/a/b".into()), directory()), Some(PathBuf::from("/a/b")));
    }

    #[test]
    fn a_passphrase_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse battery\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(from_file(&path), Err(PassphraseError::File(FileError::Mode { .. }))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(from_file(&path).is_ok());
    }
}
