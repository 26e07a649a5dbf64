//! Whose cosignatures and timestamps count: the operator's choice, given to every visitor's verifier along
//! with the genesis, and used for the reports that this gateway makes for courts.
//!
//! A visitor sees what was used and can bring others; nobody has to believe the operator.

use super::config::TrustConfig;
use anyhow::{Context, bail};
use clap::Args;
use qz_document::ca::{from_pem, summarise};
use qz_evidence::hash::sha256;
use qz_evidence::policy::WitnessPolicy;
use qz_evidence::timestamp::Roots;
use std::path::{Path, PathBuf};

/// Where `admin init` and `admin portal-init` keep copies, in the home folder.
const FOLDER: &str = "trust";
const POLICY: &str = "witness-policy.txt";
/// Most bytes of a trust file.
const MAX_BYTES: u64 = 256 * 1024;

/// The trust inputs of an operator.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// C2SP witness policy.
    pub witness_policy: Option<String>,
    /// PEM certificates of timestamping authorities.
    pub tsa_roots: Option<String>,
}

impl Trust {
    /// Reads the files that the configuration names, relative to `home`.
    pub fn load(home: &Path, config: &TrustConfig) -> anyhow::Result<Self> {
        let policy = config.witness_policy.as_deref().map(|path| policy(&home.join(path))).transpose()?;
        let roots = config.tsa_roots.iter().map(|path| root(&home.join(path))).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { witness_policy: policy, tsa_roots: (!roots.is_empty()).then(|| roots.join("\n")) })
    }
}

impl Trust {
    /// Names of the policy's witnesses.
    pub fn witnesses(&self) -> anyhow::Result<Vec<String>> {
        let Some(policy) = &self.witness_policy else { return Ok(vec![]) };
        let policy = WitnessPolicy::parse(policy.as_bytes())?;
        Ok(policy.witnesses().iter().map(|witness| witness.name.clone()).collect())
    }

    /// Common name and SHA-256 (DER, hexadecimal) of each root.
    pub fn roots(&self) -> anyhow::Result<Vec<(String, String)>> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        let blocks = self.tsa_roots.as_deref().unwrap_or_default().split(BEGIN).skip(1);
        blocks
            .map(|block| {
                let der = from_pem(&format!("{BEGIN}{block}"))?;
                Ok((summarise(&der)?.common_name, sha256(&[&der]).to_string()))
            })
            .collect()
    }
}

/// Flags of the commands that make a folder.
#[derive(Clone, Debug, Default, Args)]
pub struct TrustFiles {
    /// 见证策略（C2SP）：采信哪些外部见证人 / the outside witnesses that count, given to visitors and courts
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// 采信的时间戳机构根证书（PEM），可重复 / root of a timestamp authority that counts; may be repeated
    #[arg(long = "tsa-root", value_name = "FILE")]
    tsa_roots: Vec<PathBuf>,
}

/// Contents of [`TrustFiles`] that hold, on their way into a folder.
pub struct TrustCopies(Vec<(PathBuf, String)>);

impl TrustFiles {
    /// What the settings will say of them.
    pub fn settings(&self) -> TrustConfig {
        TrustConfig {
            witness_policy: self.witness_policy.as_ref().map(|_| Path::new(FOLDER).join(POLICY)),
            tsa_roots: (1..=self.tsa_roots.len()).map(root_name).collect(),
        }
    }

    /// Reads and checks them, before anything is made.
    pub fn read(&self) -> anyhow::Result<TrustCopies> {
        let mut copies = vec![];
        if let Some(path) = &self.witness_policy {
            copies.push((Path::new(FOLDER).join(POLICY), policy(path)?));
        }
        for (path, number) in self.tsa_roots.iter().zip(1..) {
            copies.push((root_name(number), root(path)?));
        }
        Ok(TrustCopies(copies))
    }
}

impl TrustCopies {
    /// Copies them into the folder, which can then be moved as a whole.
    pub fn write(&self, home: &Path) -> anyhow::Result<()> {
        for (name, text) in &self.0 {
            let path = home.join(name);
            std::fs::create_dir_all(home.join(FOLDER)).with_context(|| path.display().to_string())?;
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

fn root_name(number: usize) -> PathBuf {
    Path::new(FOLDER).join(format!("tsa-root-{number}.pem"))
}

/// Text of a witness policy that holds: a visitor's verifier would otherwise refuse every file because of it.
fn policy(path: &Path) -> anyhow::Result<String> {
    let text = read(path)?;
    WitnessPolicy::parse(text.as_bytes())
        .with_context(|| format!("{}: 不是有效的见证策略 / no valid witness policy", path.display()))?;
    Ok(text)
}

/// Text with one or more PEM certificates.
fn root(path: &Path) -> anyhow::Result<String> {
    let text = read(path)?;
    let roots = Roots::parse(text.as_bytes());
    let roots = roots.with_context(|| format!("{}: 不是 PEM 根证书 / no PEM root certificate", path.display()))?;
    if roots.is_empty() {
        bail!("{}: 没有证书 / holds no certificate", path.display());
    }
    Ok(text)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path).with_context(|| path.display().to_string())?.len();
    if size > MAX_BYTES {
        bail!("{}: 超过 {MAX_BYTES} 字节 / larger than that", path.display());
    }
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn good() -> String {
        use ed25519_dalek::SigningKey;
        use qz_evidence::note::{KeyType, VerifierKey};
        let public = SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
        let key = VerifierKey::new("w.example", KeyType::Cosigner, public).unwrap();
        format!("witness outside {key}\nquorum outside\n")
    }

    #[test]
    fn files_are_checked_copied_and_read_back() {
        let (from, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = from.path().join("policy");
        std::fs::write(&path, good()).unwrap();
        let files = TrustFiles { witness_policy: Some(path), tsa_roots: vec![] };
        files.read().unwrap().write(home.path()).unwrap();
        let trust = Trust::load(home.path(), &files.settings()).unwrap();
        assert_eq!((trust.witness_policy.as_deref(), &trust.tsa_roots), (Some(good().as_str()), &None));
        assert_eq!(trust.witnesses().unwrap(), ["outside"]);
    }

    #[test]
    fn what_is_no_policy_or_no_root_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad");
        for text in ["witness x", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&bad, text).unwrap();
            let root = TrustFiles { witness_policy: None, tsa_roots: vec![bad.clone()] };
            let refused = format!("{:#}", root.read().err().unwrap());
            assert!(refused.contains("bad"), "{refused}");
        }
        std::fs::write(&bad, "witness x").unwrap();
        let policy = TrustFiles { witness_policy: Some(bad), tsa_roots: vec![] };
        assert!(policy.read().is_err());
        assert!(Trust::load(folder.path(), &policy.settings()).is_err(), "a missing file counts as none");
    }
}
