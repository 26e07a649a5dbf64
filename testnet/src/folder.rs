//! The folder of one run: where everything lies, and how a later command recognises it.
//!
//! ```text
//! RUN/testnet.json            marks the folder as ours; supervisor, processes and addresses
//! RUN/{platform,notary,court,arbitration}/   an organisation's own folder (keys, genesis, ledger)
//! RUN/ceremony/               cards, body, signatures: what travels between organisations
//! RUN/gateway/                the gateway's folder
//! RUN/clients/NAME/           a party's own folder with its actor key; never the gateway's
//! RUN/logs/  RUN/out/  RUN/offline/
//! ```

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const FORMAT: &str = "qz-testnet";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// What stands in `testnet.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Always `qz-testnet`.
    pub format: String,
    /// Process id of the program that supervises the children.
    pub supervisor: u32,
    /// First port.
    pub base_port: u16,
    /// The portal's address.
    pub portal: String,
    /// Children: name and process id.
    pub processes: Vec<(String, u32)>,
}

impl Folder {
    /// Makes a new folder for a run below `parent`; `parent` may exist, the run's folder is new. A link
    /// `latest` points to it.
    pub fn new_run(parent: &Path) -> Result<Self> {
        make(parent)?;
        let parent = parent.canonicalize().with_context(|| format!("cannot use {}", parent.display()))?;
        let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
        for attempt in 0..100 {
            let name = if attempt == 0 { format!("run-{now}") } else { format!("run-{now}-{attempt}") };
            let root = parent.join(&name);
            match private().create(&root) {
                Ok(()) => {
                    let link = parent.join("latest");
                    let ours = link.symlink_metadata().is_ok_and(|m| m.is_symlink());
                    if ours {
                        let _ = std::fs::remove_file(&link);
                    }
                    // A convenience only; something else of that name stays.
                    let _ = std::os::unix::fs::symlink(&name, &link);
                    let folder = Self { root };
                    folder.make_inner()?;
                    return Ok(folder);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", root.display())),
            }
        }
        bail!("cannot make a new folder in {}", parent.display())
    }

    /// Makes exactly this folder, which must be new or empty.
    pub fn create(root: &Path) -> Result<Self> {
        make(root)?;
        let root = root.canonicalize().with_context(|| format!("cannot use {}", root.display()))?;
        let mut entries = std::fs::read_dir(&root).with_context(|| format!("cannot read {}", root.display()))?;
        if entries.next().is_some() {
            bail!(
                "{} 不是空文件夹，也不是测试网络的文件夹 · is neither empty nor a test network's folder",
                root.display()
            );
        }
        let folder = Self { root };
        folder.make_inner()?;
        Ok(folder)
    }

    /// The folder that another process has made ([`Folder::new_run`]) for this one.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Opens the folder of an earlier run, if it is one.
    pub fn open(root: &Path) -> Result<Option<Self>> {
        let Ok(root) = root.canonicalize() else { return Ok(None) };
        let folder = Self { root };
        match std::fs::metadata(folder.description_path()) {
            Ok(_) => folder.description().map(|_| Some(folder)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.description_path().display())),
        }
    }

    /// Removes the run's folder, and the link `latest` if it points to it.
    pub fn remove(self) -> Result<()> {
        let link = self.root.with_file_name("latest");
        if link.read_link().is_ok_and(|target| Some(target.as_os_str()) == self.root.file_name()) {
            // Without its target it would only mislead; if it cannot be removed, it does that.
            let _ = std::fs::remove_file(&link);
        }
        std::fs::remove_dir_all(&self.root).with_context(|| format!("cannot remove {}", self.root.display()))
    }

    fn make_inner(&self) -> Result<()> {
        for inner in [self.logs(), self.out(), self.ceremony(), self.clients()] {
            make(&inner)?;
        }
        Ok(())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An organisation's own folder.
    pub fn organisation(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// What travels between organisations during the ceremony.
    pub fn ceremony(&self) -> PathBuf {
        self.root.join("ceremony")
    }

    /// The gateway's folder.
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// Folders of the parties' clients.
    pub fn clients(&self) -> PathBuf {
        self.root.join("clients")
    }

    /// Log files.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What the story leaves for people to look at.
    pub fn out(&self) -> PathBuf {
        self.root.join("out")
    }

    /// The genesis document, as published.
    pub fn genesis(&self) -> PathBuf {
        self.out().join("genesis.qz")
    }

    fn description_path(&self) -> PathBuf {
        self.root.join("testnet.json")
    }

    /// Writes the description.
    pub fn describe(&self, description: &Description) -> Result<()> {
        let path = self.description_path();
        let text = serde_json::to_vec_pretty(description).context("the description is plain JSON")?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads the description.
    pub fn description(&self) -> Result<Description> {
        let path = self.description_path();
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let description: Description =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
        if description.format != FORMAT {
            bail!("{} is not a test network's description", path.display());
        }
        Ok(description)
    }
}

impl Description {
    /// A description by this process.
    pub fn new(base_port: u16, portal: String, processes: Vec<(String, u32)>) -> Self {
        Self { format: FORMAT.to_owned(), supervisor: std::process::id(), base_port, portal, processes }
    }
}

fn private() -> std::fs::DirBuilder {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Makes a folder that only its owner can read; it may exist.
pub fn make(path: &Path) -> Result<()> {
    let mut builder = private();
    builder.recursive(true).create(path).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runs_do_not_touch_each_other() {
        let parent = tempfile::tempdir().unwrap();
        let first = Folder::new_run(parent.path()).unwrap();
        let second = Folder::new_run(parent.path()).unwrap();
        assert_ne!(first.root(), second.root());
        assert_eq!(parent.path().join("latest").canonicalize().unwrap(), second.root());
        assert!(Folder::open(first.root()).unwrap().is_none());
        first.describe(&Description::new(1, String::new(), vec![])).unwrap();
        assert!(Folder::open(first.root()).unwrap().is_some());
        assert!(Folder::create(first.root()).is_err());
    }
}
