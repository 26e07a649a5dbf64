//! Checks what `qz-conformance` wrote to `c2sp.json` with implementations of C2SP signed-note, tlog-checkpoint
//! and the tlog proofs that are not this project's: the crates `signed_note` and `tlog_tiles`.
//!
//! It shares no code with the verifiers. Those crates know Ed25519 lines of logs (type 1); for cosignatures (type
//! 4) they take the key from here, after C2SP tlog-cosignature, and do the reading and the matching of lines.
//!
//! Exit codes: 0 every case is accepted or refused as it must be, 1 one is not, 2 not carried out.

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList, key_id};
use std::process::ExitCode;
use tlog_tiles::{Checkpoint, Hash, check_record, check_tree, record_hash};

#[derive(Deserialize)]
struct Cases {
    notes: Vec<NoteCase>,
    inclusion: Vec<InclusionCase>,
    consistency: Vec<ConsistencyCase>,
}

#[derive(Deserialize)]
struct NoteCase {
    about: String,
    note: String,
    keys: Vec<String>,
    origin: String,
    size: u64,
    root: String,
    accept: bool,
}

#[derive(Deserialize)]
struct InclusionCase {
    size: u64,
    root: String,
    index: u64,
    leaf: String,
    path: Vec<String>,
    accept: bool,
}

#[derive(Deserialize)]
struct ConsistencyCase {
    from: u64,
    from_root: String,
    to: u64,
    to_root: String,
    path: Vec<String>,
    accept: bool,
}

/// C2SP tlog-cosignature: `cosignature/v1` with Ed25519, 8 bytes of time and 64 of signature.
struct Cosigner {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

impl Verifier for Cosigner {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk::<8>() else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        let mut message = format!("cosignature/v1\ntime {}\n", u64::from_be_bytes(*time)).into_bytes();
        message.extend_from_slice(text);
        self.key.verify_strict(&message, &signature).is_ok()
    }
}

fn verifier(vkey: &str) -> anyhow::Result<Box<dyn Verifier>> {
    let mut parts = vkey.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        bail!("{vkey} is no verifier key");
    };
    let bytes = STANDARD.decode(key)?;
    if bytes.first() != Some(&4) {
        return Ok(Box::new(StandardVerifier::new(vkey)?));
    }
    let found = Cosigner {
        name: name.to_owned(),
        id: key_id(name, &bytes),
        key: ed25519_dalek::VerifyingKey::try_from(&bytes[1..])?,
    };
    ensure!(format!("{:08x}", found.id) == id, "{vkey} has another key id");
    Ok(Box::new(found))
}

fn hash(text: &str) -> anyhow::Result<Hash> {
    let bytes = <[u8; 32]>::try_from(hex::decode(text)?).map_err(|_| anyhow!("{text} has not 32 bytes"))?;
    Ok(Hash(bytes))
}

fn path(texts: &[String]) -> anyhow::Result<Vec<Hash>> {
    texts.iter().map(|text| hash(text)).collect()
}

impl NoteCase {
    /// Does the note hold: every key has signed, and its text says what it must?
    fn check(&self, keys: Vec<Box<dyn Verifier>>, root: &Hash) -> anyhow::Result<()> {
        let expected = keys.len();
        let note = Note::from_bytes(self.note.as_bytes())?;
        let (verified, _) = note.verify(&VerifierList::new(keys))?;
        ensure!(verified.len() == expected, "{} of {expected} keys have signed", verified.len());
        let tree = Checkpoint::from_bytes(note.text()).map_err(|error| anyhow!("{error}"))?;
        ensure!(tree.origin() == self.origin && tree.size() == self.size, "another origin or size");
        ensure!(tree.hash() == root && tree.extension().is_empty(), "another root, or extension lines");
        Ok(())
    }
}

/// Counts of one kind.
#[derive(Default)]
struct Count {
    accepted: usize,
    refused: usize,
    wrong: usize,
}

impl Count {
    fn add<E: std::fmt::Display>(&mut self, what: &dyn Fn() -> String, accept: bool, outcome: Result<(), E>) {
        match (accept, outcome) {
            (true, Ok(())) => self.accepted += 1,
            (false, Err(_)) => self.refused += 1,
            (_, outcome) => {
                self.wrong += 1;
                let said = outcome.map_or_else(|error| format!("refused: {error}"), |()| "accepted".to_owned());
                println!("  {}: {said}", what());
            }
        }
    }
}

fn run() -> anyhow::Result<bool> {
    let file = std::env::args_os().nth(1).context("usage: qz-c2sp-check c2sp.json")?;
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let cases: Cases = serde_json::from_slice(&bytes)?;
    let [mut notes, mut inclusion, mut consistency] = [Count::default(), Count::default(), Count::default()];
    for case in &cases.notes {
        let keys: Vec<_> = case.keys.iter().map(|key| verifier(key)).collect::<Result<_, _>>()?;
        notes.add(&|| case.about.clone(), case.accept, case.check(keys, &hash(&case.root)?));
    }
    for case in &cases.inclusion {
        let leaf = record_hash(&hex::decode(&case.leaf)?);
        let outcome = check_record(&path(&case.path)?, case.size, hash(&case.root)?, case.index, leaf);
        inclusion.add(&|| format!("header {} in {}", case.index, case.size), case.accept, outcome);
    }
    for case in &cases.consistency {
        let (from, to) = (hash(&case.from_root)?, hash(&case.to_root)?);
        let outcome = check_tree(&path(&case.path)?, case.to, to, case.from, from);
        consistency.add(&|| format!("{} after {}", case.to, case.from), case.accept, outcome);
    }
    for (what, count) in [("notes", &notes), ("inclusion", &inclusion), ("consistency", &consistency)] {
        ensure!(count.accepted > 0 && count.refused > 0 || count.wrong > 0, "no {what} in the file");
        println!(
            "C2SP    {what}: {} accepted · {} tampered refused · {} wrong",
            count.accepted, count.refused, count.wrong
        );
    }
    Ok(notes.wrong + inclusion.wrong + consistency.wrong == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("qz-c2sp-check: {error:#}");
            ExitCode::from(2)
        }
    }
}
