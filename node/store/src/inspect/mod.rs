//! Checking a whole store: every hash, root, signature and index, and that nothing is there that should
//! not be. It reads only, names what is wrong and repairs nothing; what is checked by executing again is
//! [`Store::replay`].
//!
//! The genesis is the only thing that is trusted: each block's certificate is checked against the
//! validators that the blocks before it, already checked, have set in force.

mod blocks;
mod consortium;
mod replay;
mod state;

use crate::error::StoreError;
use crate::keys;
use crate::open::Store;
use crate::read::StoreView;
use qz_evidence::Height;
use qz_evidence::genesis::Genesis;

/// Findings that are kept in words; further ones are counted.
const MAX_FINDINGS: usize = 1000;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The height that is concerned, if it is one.
    pub height: Option<Height>,
    /// The column family.
    pub column: &'static str,
    /// The key in hexadecimal; empty if the whole column is concerned.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(height) = self.height {
            write!(f, "height {height}: ")?;
        }
        write!(f, "{}", self.column)?;
        if !self.key.is_empty() {
            write!(f, "/{}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first thousand.
    pub kept: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl Findings {
    /// Is everything as it must be?
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds one.
    pub fn add(&mut self, height: Option<Height>, column: &'static str, key: &[u8], problem: impl ToString) {
        if self.kept.len() < MAX_FINDINGS {
            self.kept.push(Finding { height, column, key: hex::encode(key), problem: problem.to_string() });
        } else {
            self.more += 1;
        }
    }

    /// Adds what made a read fail; `column` is where it happened, unless the error knows better.
    pub fn add_error(&mut self, height: Option<Height>, column: &'static str, error: &StoreError) {
        match error {
            StoreError::Corrupt { family, key, reason } => {
                if self.kept.len() < MAX_FINDINGS {
                    self.kept.push(Finding { height, column: family, key: key.clone(), problem: reason.clone() });
                } else {
                    self.more += 1;
                }
            }
            error => {
                let mut words = error.to_string();
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    words = format!("{words}: {error}");
                    cause = error.source();
                }
                self.add(height, column, &[], words);
            }
        }
    }
}

/// How much was checked, and what is wrong.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Height of the last block.
    pub tip: Height,
    /// Records in all blocks.
    pub records: u64,
    /// Signatures of relays, actors and validators that were verified.
    pub signatures: u64,
    /// Subjects as of the last block.
    pub subjects: u64,
    /// Nodes of the state tree, all versions that are kept.
    pub tree_nodes: u64,
    /// What is wrong.
    pub findings: Findings,
}

/// Hears what is being checked: (what, done, of how many).
pub type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

impl Store {
    /// Checks everything that this store holds, but for the consensus driver's own notes.
    pub fn inspect(&self, genesis: &Genesis, progress: &mut Progress<'_>) -> Inspection {
        let mut inspection = Inspection::default();
        match self.view() {
            Ok(view) => {
                inspection.tip = view.tip_height();
                check_genesis(&view, genesis, &mut inspection.findings);
                blocks::check(&view, genesis, &mut inspection, progress);
                state::check(&view, &mut inspection, progress);
            }
            Err(error) => inspection.findings.add_error(None, keys::META, &error),
        }
        inspection
    }
}

fn check_genesis(view: &StoreView<'_>, genesis: &Genesis, findings: &mut Findings) {
    match view.genesis_bytes() {
        Ok(bytes) if bytes == genesis.bytes() => {}
        Ok(_) => findings.add(None, keys::META, keys::meta::GENESIS, "another genesis document than the folder's"),
        Err(error) => findings.add_error(None, keys::META, &error),
    }
}
