//! Notes and proofs for implementations of the C2SP transparency-log formats that are not ours
//! (`evidence/c2sp`): what this ledger publishes must be accepted there, and what was tampered with refused.
//!
//! Our own verdict stands beside each case, so that both sides answer the same question.

use crate::ledger::anchoring::{Authority, Style, witness};
use crate::ledger::{Ledger, ORGS, key};
use qz_evidence::OrgId;
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Checkpoint, SignedCheckpoint, TreeHead, member_keys};
use qz_evidence::codec::decode_strict;
use qz_evidence::hash::Hash32;
use qz_evidence::history::{Frontier, consistency_path, inclusion_path, is_consistent, leaf_hash, root_from_path};
use qz_evidence::note::VerifierKey;
use serde::Serialize;
use std::collections::HashMap;

/// A signed note that is a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct NoteCase {
    /// One line.
    pub about: String,
    /// The note.
    pub note: String,
    /// Verifier keys; every line of one of them must hold, and each must have signed.
    pub keys: Vec<String>,
    /// What its text must say.
    pub origin: String,
    /// What its text must say.
    pub size: u64,
    /// What its text must say, hexadecimal.
    pub root: Hash32,
    /// Must it be accepted?
    pub accept: bool,
}

/// A proof that a header is in the history.
#[derive(Clone, Debug, Serialize)]
pub struct InclusionCase {
    /// Of the tree.
    pub size: u64,
    /// Its root, hexadecimal.
    pub root: Hash32,
    /// Of the leaf.
    pub index: u64,
    /// The leaf, hexadecimal.
    pub leaf: String,
    /// Bottom up, hexadecimal.
    pub path: Vec<Hash32>,
    /// Must it be accepted?
    pub accept: bool,
}

/// A proof that a history continues another.
#[derive(Clone, Debug, Serialize)]
pub struct ConsistencyCase {
    /// Leaves of the older tree.
    pub from: u64,
    /// Its root, hexadecimal.
    pub from_root: Hash32,
    /// Leaves of the newer tree.
    pub to: u64,
    /// Its root, hexadecimal.
    pub to_root: Hash32,
    /// Bottom up, hexadecimal.
    pub path: Vec<Hash32>,
    /// Must it be accepted?
    pub accept: bool,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cases {
    /// Notes.
    pub notes: Vec<NoteCase>,
    /// Inclusion proofs.
    pub inclusion: Vec<InclusionCase>,
    /// Consistency proofs.
    pub consistency: Vec<ConsistencyCase>,
}

impl NoteCase {
    /// Our own verdict.
    pub fn holds(&self) -> bool {
        let Ok(found) = SignedCheckpoint::parse(self.note.as_bytes()) else { return false };
        let expected = TreeHead { origin: self.origin.clone(), size: self.size, root: self.root };
        found.tree == expected
            && self.keys.iter().all(|key| {
                let key = VerifierKey::parse(key).unwrap();
                let mut lines = found.note.signatures.iter();
                lines.any(|line| key.verify(&found.note.text, line).is_some())
            })
    }
}

impl InclusionCase {
    /// Our own verdict.
    pub fn holds(&self) -> bool {
        let leaf = leaf_hash(&hex::decode(&self.leaf).unwrap());
        root_from_path(&leaf, self.index, self.size, &self.path) == Some(self.root)
    }
}

impl ConsistencyCase {
    /// Our own verdict.
    pub fn holds(&self) -> bool {
        is_consistent(self.from, &self.from_root, self.to, &self.to_root, &self.path)
    }
}

/// All cases.
pub fn cases() -> Cases {
    let ledger = Ledger::sample();
    let (inclusion, consistency) = proofs(40);
    Cases { notes: notes(&ledger), inclusion, consistency }
}

/// The note of the sample bundle's checkpoint: log lines and cosignatures of four members, two outside witnesses.
fn notes(ledger: &Ledger) -> Vec<NoteCase> {
    let bundle: Bundle = ledger.anchored_bundle(&Authority::new(40, Style::default()));
    let checkpoint: Checkpoint = decode_strict(bundle.checkpoint.as_ref().unwrap()).unwrap();
    let note = String::from_utf8(checkpoint.note.0).unwrap();
    let tree = SignedCheckpoint::parse(note.as_bytes()).unwrap().tree;
    let members = (0..4).map(|organisation| {
        let public = Hash32(key(organisation, "witness").verifying_key().to_bytes());
        member_keys(&ledger.chain_id, &OrgId::new(ORGS[organisation].0).unwrap(), &public).unwrap()
    });
    let mut keys: Vec<String> = members.flatten().map(|key| key.to_string()).collect();
    keys.extend([1, 2].map(|n| witness(n).1.to_string()));
    let good = NoteCase {
        about: "the checkpoint of the sample proof".to_owned(),
        note: note.clone(),
        keys: keys.clone(),
        origin: tree.origin.clone(),
        size: tree.size,
        root: tree.root,
        accept: true,
    };
    let changed = |about: &str, note: String| {
        assert_ne!(note, good.note, "{about}");
        NoteCase { about: about.to_owned(), note, accept: false, ..good.clone() }
    };
    let line = |n: usize| note.lines().nth(4 + n).unwrap();
    // The last letter of a signature, but for padding: another key or signature, still base64.
    let flipped = |n: usize| {
        let old = line(n);
        let place = old.len() - 12;
        let letter = if &old[place..=place] == "A" { "B" } else { "A" };
        note.replace(old, &format!("{}{letter}{}", &old[..place], &old[place + 1..]))
    };
    let mut all = vec![good.clone()];
    all.extend([
        changed("another size", note.replacen("\n6\n", "\n7\n", 1)),
        changed("a size with a leading zero", note.replacen("\n6\n", "\n06\n", 1)),
        changed("another log", note.replacen("qizheng/", "qizheng/0", 1)),
        changed("a forged line of the log", flipped(0)),
        changed("a forged cosignature of a member", flipped(1)),
        changed("a forged cosignature of an outside witness", flipped(8)),
        changed("a line of the log is missing", note.replacen(&format!("{}\n", line(0)), "", 1)),
        changed("a cosignature is missing", note.replacen(&format!("{}\n", line(9)), "", 1)),
        changed("no empty line", note.replacen("\n\n", "\n", 1)),
        changed("a hyphen for a dash", note.replacen('\u{2014}', "-", 1)),
        changed("no last newline", note.trim_end().to_owned()),
    ]);
    for seconds in [0u64, 1, u64::from(u32::MAX)] {
        // The same signature under another time, in bytes: key id (4), time (8), signature (64).
        let parsed = qz_evidence::note::NoteSignature::parse(line(8)).unwrap();
        let mut moved = parsed.clone();
        moved.bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        all.push(changed(&format!("a cosignature moved to {seconds}"), note.replace(line(8), &moved.to_string())));
    }
    all
}

/// Every header in every history of up to `most`, every history in every later one, and each with a fault.
fn proofs(most: u64) -> (Vec<InclusionCase>, Vec<ConsistencyCase>) {
    let mut frontier = Frontier::default();
    let (mut nodes, mut roots) = (HashMap::new(), vec![frontier.root()]);
    let header = |height: u64| [b"header ".as_slice(), &height.to_be_bytes()].concat();
    for height in 0..most {
        let leaf = leaf_hash(&header(height));
        nodes.insert((0, height), leaf);
        nodes.extend(frontier.append(leaf).into_iter().map(|(level, i, hash)| ((level, i), hash)));
        roots.push(frontier.root());
    }
    let perfect = |level, i| nodes.get(&(level, i)).copied().ok_or(());
    let root = |size: u64| roots[usize::try_from(size).unwrap()];
    let (mut inclusion, mut consistency) = (vec![], vec![]);
    for to in 1..=most {
        for index in 0..to {
            let path = inclusion_path(index, to, &mut { perfect }).unwrap();
            let leaf = hex::encode(header(index));
            let good = InclusionCase { size: to, root: root(to), index, leaf, path, accept: true };
            inclusion.extend(tampered(&good.path).map(|path| InclusionCase { path, accept: false, ..good.clone() }));
            let leaf = hex::encode(header(index + 1));
            inclusion.push(InclusionCase { leaf, accept: false, ..good.clone() });
            inclusion.push(InclusionCase { root: root(to - 1), accept: false, ..good.clone() });
            inclusion.push(good);
        }
        for from in 1..=to {
            let path = consistency_path(from, to, &mut { perfect }).unwrap();
            let (from_root, to_root) = (root(from), root(to));
            let good = ConsistencyCase { from, from_root, to, to_root, path, accept: true };
            consistency.extend(tampered(&good.path).map(|path| ConsistencyCase {
                path,
                accept: false,
                ..good.clone()
            }));
            consistency.push(ConsistencyCase { from_root: root(from - 1), accept: false, ..good.clone() });
            consistency.push(good);
        }
    }
    (inclusion, consistency)
}

/// A path with a bit flipped, with a hash too many, and with one missing.
fn tampered(path: &[Hash32]) -> impl Iterator<Item = Vec<Hash32>> {
    let flipped = path.split_last().map(|(last, rest)| {
        let mut last = *last;
        last.0[31] ^= 1;
        [rest, &[last]].concat()
    });
    let shorter = path.split_last().map(|(_, rest)| rest.to_vec());
    let longer = [path, &[Hash32([1; 32])]].concat();
    flipped.into_iter().chain(shorter).chain([longer])
}

#[cfg(test)]
mod tests {
    use super::cases;

    #[test]
    fn our_own_verdict_is_the_expected_one() {
        let cases = cases();
        assert!(cases.notes.iter().all(|case| case.holds() == case.accept));
        for case in &cases.inclusion {
            assert_eq!(case.holds(), case.accept, "{case:?}");
        }
        for case in &cases.consistency {
            assert_eq!(case.holds(), case.accept, "{case:?}");
        }
        assert!(cases.notes.len() > 10 && cases.inclusion.len() > 3000 && cases.consistency.len() > 3000);
    }
}
