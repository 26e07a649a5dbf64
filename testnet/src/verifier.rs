//! Runs the real `qz-verify` in a folder that holds nothing but the files to be verified, with an empty
//! environment.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `qz-verify` said.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The protocol's word: `VALID`, `VALID-UNANCHORED` or `INVALID`.
    pub word: String,
    /// Number and English title of the failed step.
    pub failed_step: Option<(u64, String)>,
    /// The report for people.
    pub text: String,
    /// The report for machines.
    pub json: Value,
}

/// A file to be put into the empty folder: name and bytes.
pub type NamedFile<'a> = (&'a str, &'a [u8]);

/// Puts `files` into a new empty folder below `parent` and verifies there with these arguments.
pub fn verify(program: &Path, parent: &Path, files: &[NamedFile<'_>], arguments: &[&str]) -> Result<Verdict> {
    let folder =
        tempfile::Builder::new().prefix("offline-").tempdir_in(parent).context("cannot make an empty folder")?;
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    let json_arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let (code, text) = run(program, folder.path(), arguments)?;
    let (json_code, json) = run(program, folder.path(), &json_arguments)?;
    let json: Value = serde_json::from_str(&json).context("qz-verify --json printed no JSON")?;
    let word = json["verdict"].as_str().context("the report has no verdict")?.to_owned();
    // 0 and a valid verdict belong together, in both forms.
    let wants_anchors = arguments.contains(&"--witness-policy") && arguments.contains(&"--tsa-root");
    let expected = match word.as_str() {
        "INVALID" => 1,
        "VALID-UNANCHORED" if wants_anchors => 3,
        _ => 0,
    };
    if (code, json_code) != (Some(expected), Some(expected)) || !text.starts_with(&word) {
        bail!("qz-verify contradicts itself: {word}, exit codes {code:?} and {json_code:?}:\n{text}");
    }
    // A court package has checks of its own above the steps of its parts.
    let steps = json["steps"].as_array().or(json["checks"].as_array()).context("the report has no steps")?;
    let failed = steps.iter().find(|step| step["status"] == "fail");
    let failed_step =
        failed.map(|step| (step["n"].as_u64().unwrap_or(0), step["title_en"].as_str().unwrap_or_default().to_owned()));
    Ok(Verdict { word, failed_step, text, json })
}

/// What `qz-verify pdf` says about a signed file, for machines.
pub fn examine(program: &Path, file: &Path) -> Result<Value> {
    let folder = file.parent().context("a file in a folder")?;
    let name = file.file_name().and_then(|name| name.to_str()).context("a file with a name")?;
    let (_, json) = run(program, folder, &["pdf", name, "--json"])?;
    serde_json::from_str(&json).context("qz-verify pdf --json printed no JSON")
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !words.trim().is_empty() {
        bail!("qz-verify {}: {}", arguments.join(" "), words.trim());
    }
    Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Reads a file for [`verify`].
pub fn read(path: &PathBuf) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
