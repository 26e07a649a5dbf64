//! Executing all blocks again, from the genesis, into a store of its own.

use super::{Findings, Progress};
use crate::error::StoreError;
use crate::keys;
use crate::open::Store;
use qz_chain::{ExecuteError, Verified, execute};
use qz_evidence::Height;
use qz_evidence::genesis::Genesis;
use std::path::Path;

/// How often progress is told, in heights.
const TELL_EVERY: u64 = 64;

impl Store {
    /// Executes every block on an empty ledger in `scratch`, a folder that does not exist yet. Execution
    /// verifies all signatures, applies all rules and compares every field of every header, all roots
    /// among them. Ends at the first block that does not execute, since nothing after it can.
    pub fn replay(
        &self, genesis: &Genesis, scratch: &Path, progress: &mut Progress<'_>,
    ) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let view = self.view()?;
        let tip = view.tip_height();
        let copy = Self::open_scratch(scratch, genesis)?;
        for height in (1..=tip.0).map(Height) {
            if height.0.is_multiple_of(TELL_EVERY) || height == tip {
                progress("replay", height.0, tip.0);
            }
            let key = keys::height(height);
            let block = view.block(height)?;
            let Some(commit) = view.commit_certificate(height)? else {
                findings.add(Some(height), keys::COMMITS, &key, "missing");
                break;
            };
            match execute(&copy.view()?, &block, &Verified::default()) {
                Ok(changes) => {
                    if view.header_bytes(height)?.as_ref() != Some(&changes.header) {
                        findings.add(Some(height), keys::HEADERS, &key, "not the header that execution gives");
                    }
                    for (record, stored) in changes.records.iter().zip(view.records_of_block(height)?) {
                        if record.hash != stored.hash {
                            findings.add(Some(height), keys::RECORDS, &stored.hash.0, "not the record of execution");
                        }
                    }
                    copy.commit(&changes, &commit)?;
                }
                Err(ExecuteError::Block(error)) => {
                    findings.add(Some(height), keys::RECORDS, &key, format!("does not execute: {error}"));
                    break;
                }
                Err(ExecuteError::View(source)) => return Err(StoreError::Replay { height, source }),
            }
        }
        Ok(findings)
    }
}
