//! Key files of the services that stand beside the gateway, the CA and the timestamp authority: encrypted at rest like
//! every other secret file (`genesis/src/sealed.rs`: AES-256-GCM under Argon2id). The passphrase comes from a file, a
//! systemd credential or the terminal. The gateway's own keys are not here: they stand encrypted in its database.

use anyhow::Context as _;
use clap::Args;
use qz_client::{Passphrase, Vault, passphrase_chosen, passphrase_from_file, reseal_files};
use qz_document::ca::SealKey;
use std::path::{Path, PathBuf};

/// How new key files are kept.
#[derive(Debug, Args)]
pub struct NewPassphrase {
    /// 新口令所在文件（至少 12 个字符）；不给则取 QZ_PASSPHRASE_FILE、systemd 凭据 qz-passphrase 或终端输入
    /// / file with the passphrase for the keys; else QZ_PASSPHRASE_FILE, the systemd credential or the terminal
    #[arg(long, alias = "passphrase-file")]
    new_passphrase_file: Option<PathBuf>,
    /// 不加密密钥，仅供测试 / leave the keys to file modes alone: for tests
    #[arg(long, conflicts_with = "new_passphrase_file")]
    no_passphrase: bool,
}

impl NewPassphrase {
    /// The passphrase; nothing if the keys shall not be encrypted.
    pub fn get(&self) -> anyhow::Result<Option<Passphrase>> {
        Ok(match (self.no_passphrase, &self.new_passphrase_file) {
            (true, _) => None,
            (false, Some(file)) => Some(passphrase_from_file(file)?),
            (false, None) => Some(passphrase_chosen()?),
        })
    }
}

/// The keys in a folder. The passphrase is wanted when the first encrypted file is read, and once only.
#[derive(Clone, Debug)]
pub struct KeyFiles(Vault);

impl KeyFiles {
    /// Of an existing folder.
    pub fn open(home: &Path) -> Self {
        Self(Vault::new(home))
    }

    /// Writes the keys of a new folder.
    pub fn create(home: &Path, passphrase: Option<Passphrase>, keys: &[(&str, &SealKey)]) -> anyhow::Result<()> {
        let vault = match passphrase {
            Some(passphrase) => Vault::with_passphrase(home, passphrase),
            None => Vault::new(home),
        };
        let plain = keys.iter().map(|(_, key)| key.to_pkcs8_der()).collect::<Result<Vec<_>, _>>()?;
        let files: Vec<(&str, &[u8])> = keys.iter().zip(&plain).map(|((name, _), key)| (*name, &key[..])).collect();
        vault.write_new(&files).context("密钥无法写入 / the keys cannot be written")
    }

    /// Is there a key of this name?
    pub fn has(&self, name: &str) -> bool {
        self.0.path(name).exists()
    }

    /// A key, PKCS #8.
    pub fn read(&self, name: &str) -> anyhow::Result<SealKey> {
        let bytes = self.0.read(name).context("密钥无法读取 / the key cannot be read")?;
        SealKey::from_pkcs8_der(&bytes).with_context(|| self.0.path(name).display().to_string())
    }

    /// Says in the log which keys are not encrypted, and what to do about it.
    pub fn warn_of_plain(&self, names: &[&str], command: &str) -> anyhow::Result<()> {
        for name in names.iter().filter(|name| self.has(name)) {
            if !self.0.is_sealed(name)? {
                let path = self.0.path(name);
                tracing::warn!(key = %path.display(), "密钥未加密，请运行 {command} / this key is not encrypted: run {command}");
            }
        }
        Ok(())
    }

    /// Encrypts the keys that are there under another passphrase, or the first, or none. May be repeated if it was stopped.
    pub fn reseal(&self, names: &[&str], new: Option<Passphrase>) -> anyhow::Result<()> {
        let names: Vec<String> = names.iter().filter(|name| self.has(name)).map(|name| (*name).to_owned()).collect();
        let changed =
            reseal_files(&self.0, &names, new).context("密钥未能重新加密 / the keys cannot be encrypted anew")?;
        println!(
            "已更换 {count} 个密钥文件的保护方式 / changed the protection of {count} key files",
            count = changed.len()
        );
        for name in changed {
            println!("  {}", self.0.path(&name).display());
        }
        Ok(())
    }
}
