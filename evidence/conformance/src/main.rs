//! `qz-conformance`: writes the vectors, or runs the Rust and the Python verifier over all of them.
//!
//! Exit codes: 0 both verifiers say what is expected of every vector, 1 they do not, 2 not carried out.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use qz_conformance::{Outcome, Vector};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Vectors for verifiers of evidence 存证校验向量.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write all vectors with `manifest.json`, and `c2sp.json` for `evidence/c2sp`, to a folder.
    Write {
        /// Made if missing.
        folder: PathBuf,
    },
    /// Write the attacks on signed PDFs, with `attacks.json` saying what must be said of each, to a folder.
    Attacks {
        /// Made if missing.
        folder: PathBuf,
    },
    /// Run both verifiers over all vectors and print the counts.
    Run {
        /// Where the vectors are written to.
        folder: PathBuf,
        /// A Python with the libraries of `evidence/python/requirements.txt`.
        #[arg(long)]
        python: PathBuf,
        /// The folder `evidence/python`.
        #[arg(long)]
        verifier: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Action::Write { folder } => write(&folder, &qz_conformance::all()).map(|()| true),
        Action::Attacks { folder } => write_attacks(&folder).map(|()| true),
        Action::Run { folder, python, verifier } => run(&folder, &python, &verifier),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("qz-conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn write_attacks(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut rows = vec![];
    for attack in qz_conformance::attacks::all() {
        std::fs::write(folder.join(format!("{}.pdf", attack.name)), &attack.bytes)?;
        rows.push(serde_json::json!({ "name": attack.name, "class": attack.class, "expected": attack.expected }));
    }
    std::fs::write(folder.join("attacks.json"), serde_json::to_vec_pretty(&rows)?)?;
    println!("{} files", rows.len());
    Ok(())
}

fn write(folder: &Path, vectors: &[Vector]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lines: Result<Vec<_>, _> = vectors.iter().map(|vector| vector.write(folder)).collect();
    let lines = lines.with_context(|| format!("cannot write to {}", folder.display()))?;
    std::fs::write(folder.join("manifest.json"), serde_json::to_vec_pretty(&lines)?)?;
    std::fs::write(folder.join("c2sp.json"), serde_json::to_vec(&qz_conformance::c2sp::cases())?)?;
    Ok(())
}

/// What the Python verifier says of each vector, by name.
fn python(folder: &Path, python: &Path, verifier: &Path) -> anyhow::Result<BTreeMap<String, Outcome>> {
    let manifest = std::path::absolute(folder.join("manifest.json"))?;
    let output = Command::new(python)
        .args(["-m", "qizheng.vectors"])
        .arg(manifest)
        .current_dir(verifier)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    if !output.status.success() {
        bail!("the Python verifier ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the Python verifier printed no JSON")
}

fn run(folder: &Path, interpreter: &Path, verifier: &Path) -> anyhow::Result<bool> {
    let vectors = qz_conformance::all();
    write(folder, &vectors)?;
    let theirs = python(folder, interpreter, verifier)?;
    let ours: BTreeMap<String, Outcome> = vectors.iter().map(|v| (v.name.clone(), v.run())).collect();
    if ours.len() != vectors.len() || theirs.len() != ours.len() {
        bail!("{} vectors, {} names, {} outcomes in Python", vectors.len(), ours.len(), theirs.len());
    }
    let mut wrong = 0;
    for (who, outcomes) in [("Rust", &ours), ("Python", &theirs)] {
        let met = |vector: &&Vector| outcomes.get(&vector.name).is_some_and(|outcome| vector.met_by(outcome));
        let (positive, negative): (Vec<_>, Vec<_>) = vectors.iter().partition(|v| v.expect.is_positive());
        let (accepted, refused) =
            (positive.iter().filter(|v| met(v)).count(), negative.iter().filter(|v| met(v)).count());
        println!(
            "{who:<7} {accepted}/{} positive accepted · {refused}/{} negative refused by the right step",
            positive.len(),
            negative.len()
        );
        for vector in vectors.iter().filter(|vector| !met(vector)) {
            wrong += 1;
            println!(
                "  {}: expected {:?}, got {:?} ({})",
                vector.name,
                vector.expect,
                outcomes.get(&vector.name),
                vector.about
            );
        }
    }
    let said = |o: &Outcome| (o.verdict.clone(), o.step);
    let disagreements = vectors.iter().filter(|v| theirs.get(&v.name).map(said) != ours.get(&v.name).map(said));
    let mut count = 0;
    for vector in disagreements {
        count += 1;
        println!("  {}: Rust {:?}, Python {:?}", vector.name, ours.get(&vector.name), theirs.get(&vector.name));
    }
    println!("{} vectors, {count} disagreements", vectors.len());
    Ok(wrong == 0 && count == 0)
}
