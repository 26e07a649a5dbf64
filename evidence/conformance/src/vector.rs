//! One vector, and how it is written for verifiers in other languages.

use qz_evidence::verify::Verdict;
use qz_verify::Input;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// What a verifier must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No step fails; not every step passes.
    Accepted,
    /// Every step passes.
    Valid,
    /// INVALID, by this step.
    Refused(u8),
    /// INVALID; all verifiers name the same step.
    RefusedAlike,
}

impl Expect {
    /// Must it be accepted?
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Accepted | Self::Valid)
    }
}

/// What a verifier said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `VALID`, `VALID-UNANCHORED` or `INVALID`.
    pub verdict: String,
    /// The step that failed.
    pub step: Option<u8>,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A file with everything that a verification needs.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Unique; also the file's name.
    pub name: String,
    /// One line on the attack, or on what is accepted.
    pub about: String,
    /// What is verified.
    pub file: Vec<u8>,
    /// The proof, when `file` is a document.
    pub proof: Option<Vec<u8>>,
    /// The pinned genesis document.
    pub genesis: Vec<u8>,
    /// Time of the verification, milliseconds.
    pub as_of_ms: u64,
    /// Greatest age of the state, milliseconds.
    pub max_age_ms: Option<u64>,
    /// The witness policy that is given.
    pub witness_policy: Option<Vec<u8>>,
    /// The roots of timestamp authorities that are given, PEM.
    pub tsa_roots: Vec<u8>,
    /// What must come out.
    pub expect: Expect,
}

impl Vector {
    /// The Rust verifier's outcome.
    pub fn run(&self) -> Outcome {
        let input = Input {
            file: &self.file,
            genesis: &self.genesis,
            proof: self.proof.as_deref(),
            now_ms: self.as_of_ms,
            witness_policy: self.witness_policy.as_deref(),
            tsa_roots: &self.tsa_roots,
        };
        let report = qz_verify::verify_with(&input, self.max_age_ms);
        Outcome {
            verdict: match report.verdict {
                Verdict::Valid => "VALID",
                Verdict::ValidUnanchored => "VALID-UNANCHORED",
                Verdict::Invalid => "INVALID",
            }
            .into(),
            step: report.failed_step().map(|step| step.n),
            reason: report.failed_step().map(|step| step.detail_en.clone()),
        }
    }

    /// Does an outcome meet the expectation?
    pub fn met_by(&self, outcome: &Outcome) -> bool {
        match self.expect {
            Expect::Accepted => outcome.verdict == "VALID-UNANCHORED" && outcome.step.is_none(),
            Expect::Valid => outcome.verdict == "VALID" && outcome.step.is_none(),
            Expect::Refused(step) => outcome.verdict == "INVALID" && outcome.step == Some(step),
            Expect::RefusedAlike => outcome.verdict == "INVALID" && outcome.step.is_some(),
        }
    }

    /// Writes the files into a folder; returns the vector's line of the manifest.
    pub fn write(&self, folder: &Path) -> std::io::Result<Value> {
        let put = |ending: &str, bytes: &[u8]| {
            let name = format!("{}.{ending}", self.name);
            std::fs::write(folder.join(&name), bytes)?;
            std::io::Result::Ok(name)
        };
        let ending = match (&self.proof, self.file.starts_with(b"%PDF-")) {
            (_, true) => "pdf",
            (Some(_), false) => "txt",
            (None, false) => "qzproof",
        };
        let digest = qz_evidence::hash::sha256(&[&self.genesis]).to_string();
        let genesis = format!("{}.genesis.qz", &digest[..16]);
        std::fs::write(folder.join(&genesis), &self.genesis)?;
        let (verdict, step) = match self.expect {
            Expect::Accepted => ("VALID-UNANCHORED", None),
            Expect::Valid => ("VALID", None),
            Expect::Refused(step) => ("INVALID", Some(step)),
            Expect::RefusedAlike => ("INVALID", None),
        };
        Ok(json!({
            "name": self.name, "about": self.about, "file": put(ending, &self.file)?,
            "proof": self.proof.as_deref().map(|proof| put("proof.qzproof", proof)).transpose()?,
            "witness_policy": self.witness_policy.as_deref().map(|policy| put("witnesses.txt", policy)).transpose()?,
            "tsa_roots": if self.tsa_roots.is_empty() { None } else { Some(put("roots.pem", &self.tsa_roots)?) },
            "genesis": genesis, "as_of_ms": self.as_of_ms, "max_age_ms": self.max_age_ms,
            "verdict": verdict, "step": step,
        }))
    }
}
