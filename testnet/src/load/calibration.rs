//! What the hardware could do at best: signatures verified and state-tree updates made by one core, in
//! the same minutes and the same build as the load itself, because on a shared machine only ratios mean
//! anything.
//!
//! `L = 2 / (4·(s/V + u·J))`: four validators on two cores that do nothing but verify `s` signatures and
//! make `u` state-tree updates for every record. V is `verify_strict` with the key decompressed beforehand,
//! J one update out of a batch on a tree in memory; both are harder on us than what a node must do.

use anyhow::{Result, ensure};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use qz_chain::memory::MemoryTree;
use qz_chain::tree;
use qz_evidence::hash::{blake3, sha256};
use qz_evidence::state_proof::{HeadTag, Status, SubjectHead, SubjectType};
use qz_evidence::submission::actor_message;
use qz_evidence::{Hash32, Height, SubjectId};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Signatures that are verified in turn.
const SIGNATURES: u32 = 64;
/// Subjects in the tree that J is measured on.
const SUBJECTS: u32 = 20_000;
/// Updates of one block.
const UPDATES: u32 = 128;
/// Time for one measurement of each.
const SPAN: Duration = Duration::from_millis(300);
/// Validators and cores of L.
const VALIDATORS: f64 = 4.0;
const CORES: f64 = 2.0;

/// One measurement.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Hardware {
    /// V: `verify_strict` per second of one core.
    pub verifications_per_s: f64,
    /// J: seconds of one state-tree update.
    pub update_s: f64,
}

impl Hardware {
    /// CPU seconds that all validators need for one record at least.
    pub fn least_cpu_s(&self, signatures: f64, subjects: f64) -> f64 {
        VALIDATORS * (signatures / self.verifications_per_s + subjects * self.update_s)
    }

    /// L in records per second.
    pub fn limit(&self, signatures: f64, subjects: f64) -> f64 {
        CORES / self.least_cpu_s(signatures, subjects)
    }
}

/// Everything prepared for measuring.
pub struct Calibration {
    signatures: Vec<(VerifyingKey, Vec<u8>, Signature)>,
    tree: MemoryTree,
    height: Height,
}

impl Calibration {
    /// Makes keys, signatures and a tree.
    pub fn prepare() -> Result<Self> {
        let sign = |n: u32| {
            let key = SigningKey::from_bytes(&sha256(&[b"calibration", &n.to_be_bytes()]).0);
            let message = actor_message(&sha256(&[&n.to_be_bytes()]));
            let signature = key.sign(&message);
            (key.verifying_key(), message, signature)
        };
        let mut nodes = MemoryTree::default();
        let mut height = Height(0);
        for first in (0..SUBJECTS).step_by(1000) {
            let heads: Vec<_> = (first..first + 1000).map(|n| (subject(n), head(n))).collect();
            nodes.apply(&tree::put(&nodes, height, &heads)?.1)?;
            height = height.next();
        }
        Ok(Self { signatures: (0..SIGNATURES).map(sign).collect(), tree: nodes, height })
    }

    /// Measures both, one after the other, on this thread.
    pub fn measure(&self) -> Result<Hardware> {
        Ok(Hardware { verifications_per_s: self.verifications()?, update_s: self.update()? })
    }

    fn verifications(&self) -> Result<f64> {
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed() < SPAN {
            for (key, message, signature) in &self.signatures {
                ensure!(key.verify_strict(black_box(message), signature).is_ok(), "a signature does not verify");
            }
            count += SIGNATURES;
        }
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    }

    /// Half of the subjects of a batch are new, half exist.
    fn update(&self) -> Result<f64> {
        let (mut spent, mut count) = (Duration::ZERO, 0u32);
        while spent < SPAN {
            let number = |i: u32| if i.is_multiple_of(2) { (count + 37 * i) % SUBJECTS } else { SUBJECTS + count + i };
            let mut heads: Vec<_> = (0..UPDATES).map(|i| (subject(number(i)), head(count + i))).collect();
            heads.sort_by_key(|(id, _)| *id);
            heads.dedup_by_key(|(id, _)| *id);
            let start = Instant::now();
            black_box(tree::put(&self.tree, self.height, black_box(&heads))?);
            spent += start.elapsed();
            count += u32::try_from(heads.len())?;
        }
        Ok(spent.as_secs_f64() / f64::from(count))
    }
}

fn subject(n: u32) -> SubjectId {
    SubjectId(blake3(&[b"subject", &n.to_be_bytes()]))
}

fn head(n: u32) -> SubjectHead {
    SubjectHead {
        tag: HeadTag,
        subject_type: SubjectType::Evidence,
        status: Status::Active,
        records: 1,
        last_record: Hash32([7; 32]),
        state_digest: blake3(&[&n.to_be_bytes()]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_limit_is_what_the_formula_says() {
        let hardware = Hardware { verifications_per_s: 20_000.0, update_s: 25e-6 };
        // 4·(1.5/20000 + 25 µs) = 400 µs
        assert!((hardware.least_cpu_s(1.5, 1.0) - 400e-6).abs() < 1e-12);
        assert!((hardware.limit(1.5, 1.0) - 5000.0).abs() < 1e-6);
        let measured = Calibration::prepare().unwrap().measure().unwrap();
        assert!(measured.verifications_per_s > 0.0 && measured.update_s > 0.0);
    }
}
