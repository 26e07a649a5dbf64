//! Blocks, certificates, records and their indexes, from height 0 to the tip.

use super::{Findings, Inspection, Progress};
use crate::error::StoreError;
use crate::keys::{self, Place};
use crate::read::{StoreView, StoredRecord};
use qz_chain::genesis_state;
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::history::{Frontier, leaf_hash};
use qz_evidence::record::Record;
use qz_evidence::records_tree::RecordsTree;
use qz_evidence::submission::{Parsed, actor_message};
use qz_evidence::{Hash32, Height, decode_strict};

/// How often progress is told, in heights.
const TELL_EVERY: u64 = 256;

/// How many entries each index must have; counted from the records, compared with the columns.
#[derive(Default)]
struct Expected {
    places: u64,
    /// Records that are the last of their body.
    bodies: u64,
    /// Records whose number is still within the replay window.
    relayed: u64,
    sequences: u64,
}

struct Walk<'a, 's> {
    view: &'a StoreView<'s>,
    chain_id: Hash32,
    pruned: Height,
    /// `None` once a header was missing: nothing after it can be compared.
    frontier: Option<Frontier>,
    parent: Option<Header>,
    expected: Expected,
    records: u64,
    signatures: u64,
}

/// Checks all heights, and that the indexes hold nothing else.
pub(super) fn check(view: &StoreView<'_>, genesis: &Genesis, inspection: &mut Inspection, progress: &mut Progress<'_>) {
    let findings = &mut inspection.findings;
    let pruned = view.pruned().unwrap_or_else(|error| {
        findings.add_error(None, keys::META, &error);
        Height(0)
    });
    let mut walk = Walk {
        view,
        chain_id: genesis.chain_id(),
        pruned,
        frontier: Some(Frontier::default()),
        parent: None,
        expected: Expected::default(),
        records: 0,
        signatures: 0,
    };
    let tip = view.tip_height();
    for height in (0..=tip.0).map(Height) {
        if height.0.is_multiple_of(TELL_EVERY) {
            progress("blocks", height.0, tip.0);
        }
        match walk.header(height, findings) {
            Ok(header) => {
                if height == Height(0) {
                    check_first(genesis, &header, findings);
                } else if let Err(error) = walk.block(&header, findings) {
                    findings.add_error(Some(height), keys::RECORDS, &error);
                }
                walk.parent = Some(header);
            }
            Err(error) => {
                findings.add_error(Some(height), keys::HEADERS, &error);
                walk.frontier = None;
                walk.parent = None;
            }
        }
    }
    progress("blocks", tip.0, tip.0);
    walk.end(findings);
    if let Some(tip) = &walk.parent {
        super::consortium::check(view, genesis, tip, findings);
    }
    inspection.records = walk.records;
    inspection.signatures = walk.signatures;
}

fn check_first(genesis: &Genesis, header: &Header, findings: &mut Findings) {
    match genesis_state(genesis) {
        Ok((expected, _)) if expected == *header => {}
        Ok(_) => findings.add(Some(Height(0)), keys::HEADERS, &[0; 8], "not the header that the genesis gives"),
        Err(error) => findings.add(Some(Height(0)), keys::HEADERS, &[0; 8], error),
    }
}

impl Walk<'_, '_> {
    /// The header, as a link of the chain and leaf of the history.
    fn header(&mut self, height: Height, findings: &mut Findings) -> Result<Header, StoreError> {
        let key = keys::height(height);
        let bytes = self.view.must(keys::HEADERS, &key)?;
        let header: Header = decode_strict(&bytes).map_err(|error| StoreError::corrupt(keys::HEADERS, &key, error))?;
        let mut wrong = |problem: &str| findings.add(Some(height), keys::HEADERS, &key, problem);
        if header.height != height {
            wrong("a header of another height");
        }
        if header.chain_id != self.chain_id {
            wrong("a header of another ledger");
        }
        if header.history_size != height.0 {
            wrong("its history size is not its height");
        }
        if let Some(parent) = &self.parent {
            if header.previous != parent.block_id() {
                wrong("its parent is not the block before");
            }
            if header.time_ms <= parent.time_ms {
                wrong("its time is not after its parent's");
            }
            if header.validators_hash != parent.next_validators_hash {
                wrong("its validators are not those that its parent named");
            }
            let grown = u64::from(parent.next_validators_hash != parent.validators_hash);
            if header.epoch < parent.epoch || header.epoch > parent.epoch + 1 || header.epoch < parent.epoch + grown {
                wrong("its epoch does not follow its parent's");
            }
        }
        if let Some(frontier) = &mut self.frontier {
            if header.history_root != frontier.root() {
                wrong("its history root is not that of the headers before");
            }
            let leaf = leaf_hash(&bytes);
            let nodes = std::iter::once((0, height.0, leaf)).chain(frontier.append(leaf));
            for (level, index, hash) in nodes.collect::<Vec<_>>() {
                let stored = self.view.history_node(level, index);
                match stored {
                    Ok(stored) if stored == hash => {}
                    Ok(_) => findings.add(Some(height), keys::HISTORY, &keys::history(level, index), "another hash"),
                    Err(error) => findings.add_error(Some(height), keys::HISTORY, &error),
                }
            }
        }
        Ok(header)
    }

    /// Certificate and records of a height above 0; the block is made of its header and them.
    fn block(&mut self, header: &Header, findings: &mut Findings) -> Result<(), StoreError> {
        let height = header.height;
        self.certificate(header, findings);
        let records = self.view.records_of_block(height)?;
        let hashes: Vec<_> = records.iter().map(|record| record.hash).collect();
        if RecordsTree::new(&hashes).root() != header.records_root {
            findings.add(
                Some(height),
                keys::RECORDS,
                &keys::height(height),
                "the records do not give the header's root",
            );
        }
        self.records += records.len() as u64;
        for record in &records {
            if let Err(error) = self.record(record, findings) {
                findings.add_error(Some(height), keys::RECORDS, &error);
            }
        }
        Ok(())
    }

    fn certificate(&mut self, header: &Header, findings: &mut Findings) {
        let height = header.height;
        let key = keys::height(height);
        let checked = || -> Result<Result<usize, String>, StoreError> {
            let Some(commit) = self.view.commit_certificate(height)? else { return Ok(Err("missing".to_owned())) };
            let Some(set) = self.view.validators_of(height)? else { return Ok(Err("no validators".to_owned())) };
            if set.hash() != header.validators_hash {
                return Ok(Err("the stored validators are not the header's".to_owned()));
            }
            let verified = commit.verify(&self.chain_id, height, &header.block_id(), &set);
            Ok(verified.map(|_| commit.signatures.len()).map_err(|error| error.to_string()))
        };
        match checked() {
            Ok(Ok(signatures)) => self.signatures += signatures as u64,
            Ok(Err(problem)) => findings.add(Some(height), keys::COMMITS, &key, problem),
            Err(error) => findings.add_error(Some(height), keys::COMMITS, &error),
        }
    }

    /// A record: its submission's signatures, its place, and every index that leads to it.
    fn record(&mut self, stored: &StoredRecord, findings: &mut Findings) -> Result<(), StoreError> {
        let place = Place { height: stored.height, index: stored.index };
        let key = place.to_bytes();
        let height = Some(stored.height);
        let record: Record = stored.decode()?;
        if record.height != stored.height || record.index != stored.index {
            findings.add(height, keys::RECORDS, &key, "a record of another place");
        }
        let parsed = Parsed::without_relay_check(&record.submission)
            .map_err(|error| StoreError::corrupt(keys::RECORDS, &key, error))?;
        self.submission_signatures(&parsed, &record, &key, findings);

        if self.view.place(keys::RECORD_PLACES, &stored.hash)? != Some(place) {
            findings.add(height, keys::RECORD_PLACES, &stored.hash.0, "does not lead to the record");
        }
        self.expected.places += 1;
        self.body(&parsed, place, findings)?;
        let (relay, id) = (&parsed.submission().relay, &parsed.body().id);
        let relayed = keys::relayed(relay, id);
        match self.view.get(keys::RELAYED, &relayed)?.as_deref().map(keys::height_from) {
            Some(Some(recorded)) if recorded == place.height => self.expected.relayed += 1,
            Some(Some(recorded)) if recorded > place.height && recorded <= self.view.tip_height() => {}
            None if place.height < self.pruned => {}
            _ => findings.add(height, keys::RELAYED, &relayed, "does not lead to the record's height"),
        }
        for link in &record.links {
            let key = keys::sequence(&link.subject, link.sequence);
            if self.view.get(keys::SEQUENCES, &key)?.as_deref() != Some(&stored.hash.0) {
                findings.add(height, keys::SEQUENCES, &key, "does not lead to the record");
            }
            let before = match link.sequence.checked_sub(1) {
                None => Some(Hash32::ZERO.0.to_vec()),
                Some(before) => self.view.get(keys::SEQUENCES, &keys::sequence(&link.subject, before))?,
            };
            if before.as_deref() != Some(&link.previous.0) {
                findings.add(
                    height,
                    keys::SEQUENCES,
                    &key,
                    "the subject's record before is not the one that is linked",
                );
            }
            self.expected.sequences += 1;
        }
        Ok(())
    }

    /// The index of bodies leads to the last record of a body.
    fn body(&mut self, parsed: &Parsed, place: Place, findings: &mut Findings) -> Result<(), StoreError> {
        let digest = parsed.digest();
        let height = Some(place.height);
        match self.view.place(keys::BODIES, &digest)? {
            Some(found) if found == place => self.expected.bodies += 1,
            Some(later) if later > place => {
                let same = self.view.record_at(later.height, later.index)?.is_some_and(|record| {
                    record
                        .decode()
                        .ok()
                        .and_then(|record| Parsed::without_relay_check(&record.submission).ok())
                        .is_some_and(|parsed| parsed.digest() == digest)
                });
                if !same {
                    findings.add(height, keys::BODIES, &digest.0, "leads to a record of another body");
                }
            }
            _ => findings.add(height, keys::BODIES, &digest.0, "does not lead to the record"),
        }
        Ok(())
    }

    fn submission_signatures(&mut self, parsed: &Parsed, record: &Record, key: &[u8], findings: &mut Findings) {
        let height = Some(record.height);
        if !parsed.relay_signature_holds() {
            findings.add(height, keys::RECORDS, key, "the relay's signature does not verify");
        }
        let actors = &parsed.submission().actors;
        if actors.len() != record.actor_keys.len() {
            findings.add(height, keys::RECORDS, key, "not one key for every actor");
        }
        let message = actor_message(&parsed.digest());
        for (actor, actor_key) in actors.iter().zip(&record.actor_keys) {
            if !actor_key.verify(&message, &actor.signature) {
                let problem = format!("the signature of actor {} does not verify", actor.subject);
                findings.add(height, keys::RECORDS, key, problem);
            }
        }
        self.signatures += 1 + actors.len() as u64;
    }

    /// What is left when all heights were seen: the end of the chain, and that no index holds more.
    fn end(&self, findings: &mut Findings) {
        if let Some(frontier) = &self.frontier {
            match self.view.stored_frontier() {
                Ok(stored) if stored == *frontier => {}
                Ok(_) => findings.add(None, keys::META, keys::meta::FRONTIER, "not the frontier of the headers"),
                Err(error) => findings.add_error(None, keys::META, &error),
            }
        }
        let tip = self.view.tip_height().0;
        let counts = [
            (keys::HEADERS, tip + 1),
            (keys::COMMITS, tip),
            (keys::RECORDS, self.records),
            (keys::RECORD_PLACES, self.expected.places),
            (keys::BODIES, self.expected.bodies),
            (keys::RELAYED, self.expected.relayed),
            (keys::SEQUENCES, self.expected.sequences),
            (keys::HISTORY, 2 * (tip + 1) - u64::from((tip + 1).count_ones())),
        ];
        for (column, expected) in counts {
            match self.view.count(column) {
                Ok(found) if found == expected => {}
                Ok(found) => findings.add(None, column, &[], format!("{found} entries, {expected} are accounted for")),
                Err(error) => findings.add_error(None, column, &error),
            }
        }
    }
}
