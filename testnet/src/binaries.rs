//! The programs under test: found beside the running one, because they are built together.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Paths of the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `qz-genesis`
    pub genesis: PathBuf,
    /// `qz-node`
    pub node: PathBuf,
    /// `qz-gateway`
    pub gateway: PathBuf,
    /// `qz-verify`
    pub verify: PathBuf,
    /// `qz-client`
    pub client: PathBuf,
}

impl Binaries {
    /// Looks for all programs beside the running one (a test runs one folder deeper, in `deps`).
    pub fn locate() -> Result<Self> {
        let found = Self::beside()?;
        found.check(&[&found.genesis, &found.node, &found.gateway, &found.verify, &found.client])?;
        Ok(found)
    }

    /// The same for a network without gateway.
    pub fn locate_for_nodes() -> Result<Self> {
        let found = Self::beside()?;
        found.check(&[&found.genesis, &found.node])?;
        Ok(found)
    }

    fn beside() -> Result<Self> {
        let own = std::env::current_exe().context("where is this program?")?;
        let mut folder = own.parent().context("this program has no folder")?.to_owned();
        if folder.ends_with("deps") {
            folder.pop();
        }
        let path = |name: &str| folder.join(name);
        Ok(Self {
            genesis: path("qz-genesis"),
            node: path("qz-node"),
            gateway: path("qz-gateway"),
            verify: path("qz-verify"),
            client: path("qz-client"),
        })
    }

    fn check(&self, needed: &[&PathBuf]) -> Result<()> {
        let missing: Vec<_> = needed.iter().filter(|p| !p.is_file()).filter_map(|p| p.file_name()?.to_str()).collect();
        if !missing.is_empty() {
            bail!(
                "缺少程序 {0}，请先运行 cargo build --workspace · missing in {1}: {0}; run cargo build --workspace first",
                missing.join(", "),
                self.genesis.parent().unwrap_or(&self.genesis).display()
            );
        }
        Ok(())
    }
}

/// Runs a program to its end and gives what it printed; a failure quotes its words.
pub fn run(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = output(program, arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} {} failed ({}): {}{}",
            program.display(),
            arguments.join(" "),
            output.status,
            text.trim(),
            words.trim()
        );
    }
    Ok(text)
}

/// Runs a program to its end, whatever its exit code.
pub fn output(program: &Path, arguments: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))
}
