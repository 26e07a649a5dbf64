//! Those who speak about the ledger from outside: the timestamp authority that the notary runs, and a witness
//! that belongs to nobody in the consortium. Their folders, and what a verifier is given of them.

use crate::binaries::{Binaries, run};
use crate::ceremony::text;
use crate::custody;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::Process;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Whose folder lends the witness its access to the nodes.
const LENDER: &str = "notary";

/// Both, running.
pub struct Outside {
    tsa: Process,
    witness: Process,
}

fn tsa_home(folder: &Folder) -> PathBuf {
    folder.root().join("tsa")
}

fn witness_home(folder: &Folder) -> PathBuf {
    folder.root().join("witness")
}

/// The root that verifiers of timestamps are given.
pub fn tsa_root(folder: &Folder) -> PathBuf {
    folder.out().join("tsa-root.pem")
}

/// The policy that verifiers are given.
pub fn policy(folder: &Folder) -> PathBuf {
    folder.out().join("witness-policy.txt")
}

/// Makes both folders; gives what the gateway's set-up is told: whom it asks (`--tsa`, `--witness`), and whose
/// word its portal's visitors and the courts are told to count (`--witness-policy`, `--tsa-root`).
pub fn set_up(binaries: &Binaries, folder: &Folder, ports: &Ports) -> Result<Vec<String>> {
    let (tsa, witness) = (tsa_home(folder), witness_home(folder));
    let listen = format!("127.0.0.1:{}", ports.tsa());
    // A passphrase of its own, as for the members' folders.
    std::fs::create_dir_all(folder.root())?;
    let passphrase = custody::choose(&tsa)?;
    let mut init =
        vec!["admin", "tsa-init", "--home", text(&tsa)?, "--listen", &listen, "--organisation", "示例公证处"];
    init.extend(["--new-passphrase-file", text(&passphrase)?]);
    run(&binaries.gateway, &init)?;
    let name = "witness.example/demo";
    let key = run(&binaries.client, &["witness", "init", "--home", text(&witness)?, "--name", name])?;
    let key = key.trim();
    std::fs::create_dir_all(folder.out())?;
    std::fs::copy(tsa.join("tsa-root.pem"), tsa_root(folder)).context("the TSA's root")?;
    let policy_text =
        format!("# 演示：一个联盟以外的见证人 · one witness outside the consortium\nwitness demo {key}\nquorum demo\n");
    std::fs::write(policy(folder), policy_text).context("the witness policy")?;
    let witness_url = format!("http://127.0.0.1:{}", ports.witness());
    let mut arguments =
        vec!["--tsa".into(), format!("http://{listen}"), "--witness".into(), format!("{key}={witness_url}")];
    for (flag, path) in [("--witness-policy", policy(folder)), ("--tsa-root", tsa_root(folder))] {
        arguments.extend([flag.to_owned(), text(&path)?.to_owned()]);
    }
    Ok(arguments)
}

impl Outside {
    /// Starts both. Whoever needs them tries again until they answer.
    pub fn spawn(binaries: &Binaries, folder: &Folder, ports: &Ports) -> Result<Self> {
        let logs = folder.logs();
        let (tsa, witness) = (tsa_home(folder), witness_home(folder));
        let arguments = ["tsa", "--home", text(&tsa)?];
        let passphrase = custody::passphrase_file(&tsa);
        let environment = [(custody::VARIABLE, text(&passphrase)?)];
        let log = logs.join("tsa.log");
        let tsa = Process::spawn("qz-gateway (tsa)", &binaries.gateway, &arguments, &environment, &log)?;
        let lender = folder.organisation(LENDER);
        let (genesis, listen) = (folder.genesis(), format!("127.0.0.1:{}", ports.witness()));
        let mut arguments = vec!["witness", "run", "--home", text(&witness)?, "--genesis", text(&genesis)?];
        arguments.extend(["--listen", &listen, "--as", text(&lender)?, "--every", "5"]);
        let passphrase = custody::passphrase_file(&lender);
        let environment = [(custody::VARIABLE, text(&passphrase)?)];
        let log = logs.join("witness.log");
        let witness = Process::spawn("qz-client (witness)", &binaries.client, &arguments, &environment, &log)?;
        Ok(Self { tsa, witness })
    }

    /// Names and process ids.
    pub fn pids(&self) -> [(String, u32); 2] {
        [("tsa".to_owned(), self.tsa.pid()), ("witness".to_owned(), self.witness.pid())]
    }

    /// Stops both.
    pub fn stop(&mut self) {
        self.tsa.stop();
        self.witness.stop();
    }
}
