//! Holds the ledger, as every node serves it, against itself, against the genesis and against the
//! clients' book. Everything is asked of every node, and nothing is believed that can be checked.

use super::book::Book;
use super::cluster::Cluster;
use super::plan::NodeIndex;
use anyhow::{Context, Result};
use qz_client::{Block, Client, ProofRequest};
use qz_evidence::codec::decode_strict;
use qz_evidence::commit::{CommitCertificate, VoteType, vote_message};
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId};
use std::collections::{BTreeMap, BTreeSet};

/// Records of one proof bundle.
const PROOF_RECORDS: usize = 200;
/// Records of a subject that are asked for at once; a run makes fewer.
const PAGE: u32 = 1000;

/// A block as the first node that was asked served it.
struct Seen {
    header: Header,
    id: Hash32,
    records: Vec<Hash32>,
}

/// The comparison of all nodes' blocks, which grows with the ledger.
pub struct Walk {
    genesis: Genesis,
    blocks: Vec<Seen>,
    /// The next height to ask each node for.
    next: Vec<u64>,
    /// Decisions that took more than one round.
    pub later_rounds: u64,
    /// What is wrong.
    pub violations: Vec<String>,
}

impl Walk {
    /// Nothing has been compared yet.
    pub fn new(cluster: &Cluster) -> Result<Self> {
        let first = cluster.nodes().first().context("no nodes")?;
        let genesis = first.member.genesis().clone();
        let next = vec![0; cluster.nodes().len()];
        Ok(Self { genesis, blocks: vec![], next, later_rounds: 0, violations: vec![] })
    }

    /// Blocks that were compared.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Compares all nodes up to this height, which they have all reached. The journals are those of now.
    pub async fn extend(&mut self, cluster: &mut Cluster, height: u64) -> Result<()> {
        let mut asked = vec![];
        for (node, next) in cluster.nodes().iter().zip(&self.next) {
            let (client, range) = (node.member.client().clone(), *next..=height);
            asked.push(tokio::spawn(async move {
                let mut blocks = vec![];
                for height in range {
                    blocks.push(client.block(height).await?.with_context(|| format!("there is no block {height}"))?);
                }
                anyhow::Ok(blocks)
            }));
        }
        let mut answers = vec![];
        for (node, answer) in asked.into_iter().enumerate() {
            answers.push(answer.await.context("asking a node")?.with_context(|| format!("node {node}"))?);
        }
        // After the answers, so that every vote in them must be in a journal by now.
        cluster.gather_journals()?;
        for (node, blocks) in answers.into_iter().enumerate() {
            for block in blocks {
                if let Err(error) = self.compare(cluster, node, &block) {
                    self.violations.push(format!("block {} of node {node}: {error:#}", block.height));
                }
            }
            self.next[node] = height + 1;
        }
        Ok(())
    }

    fn compare(&mut self, cluster: &Cluster, node: NodeIndex, block: &Block) -> Result<()> {
        match self.blocks.get(usize::try_from(block.height)?) {
            Some(seen) => {
                anyhow::ensure!(seen.id == block.header_hash, "FORK: {} and {}", seen.id, block.header_hash);
                anyhow::ensure!(seen.records == block.records, "other records than elsewhere");
            }
            None => self.append(block)?,
        }
        if let Some(commit) = &block.commit {
            self.check_commit(cluster, block, commit)?;
        } else {
            anyhow::ensure!(block.height == 0, "no commit certificate");
        }
        let _ = node;
        Ok(())
    }

    fn append(&mut self, block: &Block) -> Result<()> {
        let header: Header = decode_strict(&block.header)?;
        anyhow::ensure!(header.height == Height(block.height), "its header is of height {}", header.height);
        anyhow::ensure!(header.chain_id == self.genesis.chain_id(), "its header is of another ledger");
        anyhow::ensure!(header.record_count as usize == block.records.len(), "its header counts other records");
        if let Some(parent) = self.blocks.last() {
            anyhow::ensure!(header.previous == parent.id, "it does not follow the block before");
            anyhow::ensure!(header.time_ms > parent.header.time_ms, "its time is not after the block before");
        }
        self.blocks.push(Seen { id: block.header_hash, header, records: block.records.clone() });
        Ok(())
    }

    /// More than two thirds signed, and each signature was journalled before it was made.
    fn check_commit(&mut self, cluster: &Cluster, block: &Block, commit: &[u8]) -> Result<()> {
        let commit: CommitCertificate = decode_strict(commit)?;
        let (chain_id, id, height) = (self.genesis.chain_id(), block.header_hash, Height(block.height));
        commit.verify(&chain_id, height, &id, self.genesis.validators())?;
        self.later_rounds += u64::from(commit.round > 0);
        let round = i64::from(commit.round);
        for signature in &commit.signatures {
            let validator = self.genesis.validators().by_address(&signature.address).context("an unknown signer")?;
            let signer = cluster.nodes().iter().position(|node| *node.member.org() == validator.organisation);
            let signer = signer.context("a validator without a node")?;
            let signed = vote_message(&chain_id, VoteType::Precommit, height, round, Some(&id), &signature.address);
            anyhow::ensure!(
                cluster.journals.holds_precommit(signer, block.height, round, &signed),
                "the precommit of validator {signer} in round {round} is in none of its journals"
            );
        }
        Ok(())
    }

    /// Holds the ledger against the clients' book: nothing lost, nothing twice, nothing invented, every
    /// record provable offline from every node, every subject's chain whole.
    pub async fn against_book(&mut self, cluster: &Cluster, book: &Book) -> Result<Facts> {
        let recorded = self.read_records(cluster, book).await?;
        for (digest, entry) in book.entries() {
            let (Some(receipt), found) = (&entry.receipt, recorded.get(digest)) else { continue };
            match found {
                None => self.violations.push(format!("LOST: {} {digest}, acknowledged as {receipt:?}", entry.kind)),
                Some(at) if *at != (receipt.record, receipt.height, receipt.index) => {
                    self.violations.push(format!("{} {digest} is at {at:?}, acknowledged as {receipt:?}", entry.kind))
                }
                Some(_) => {}
            }
        }
        let records: Vec<Hash32> = recorded.values().map(|(record, ..)| *record).collect();
        let mut proofs = 0;
        for (index, node) in cluster.nodes().iter().enumerate() {
            for some in records.chunks(PROOF_RECORDS) {
                if let Err(error) = self.prove(node.member.client(), some).await {
                    self.violations.push(format!("proof by node {index}: {error:#}"));
                }
                proofs += some.len();
            }
        }
        let subjects = self.check_subjects(cluster, book).await;
        Ok(Facts { records: records.len(), proofs, subjects })
    }

    /// Where each body is recorded; a body that is there twice, or that nobody submitted, is a violation.
    async fn read_records(&mut self, cluster: &Cluster, book: &Book) -> Result<BTreeMap<Hash32, (Hash32, u64, u32)>> {
        let mut recorded = BTreeMap::new();
        let all: Vec<(u64, u32, Hash32)> = self
            .blocks
            .iter()
            .flat_map(|block| block.records.iter().zip(0..).map(|(hash, index)| (block.header.height.0, index, *hash)))
            .collect();
        let mut nodes = cluster.nodes().iter().cycle();
        for (height, index, hash) in all {
            let node = nodes.next().context("no nodes")?;
            let found = node.member.client().record(&hash).await?;
            let Some(found) = found else {
                self.violations.push(format!("{} does not serve record {hash} of block {height}", node.id()));
                continue;
            };
            let record: Record = decode_strict(&found.record)?;
            if (record.height, record.index) != (Height(height), index) {
                self.violations.push(format!("record {hash} says that it is at another place than {height}:{index}"));
            }
            let digest = Parsed::new(&record.submission)?.digest();
            if !book.entries().contains_key(&digest) {
                self.violations.push(format!("INVENTED: record {hash} of block {height}, which nobody submitted"));
            }
            if let Some(earlier) = recorded.insert(digest, (hash, height, index)) {
                self.violations.push(format!("TWICE: body {digest} at {earlier:?} and at {height}:{index}"));
            }
        }
        Ok(recorded)
    }

    async fn prove(&self, client: &Client, records: &[Hash32]) -> Result<()> {
        let request = ProofRequest { records: records.to_vec(), ..ProofRequest::default() };
        let bundle = client.proof(&request).await?.context("it lacks a record")?;
        let as_of_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
        let trust = TrustInputs { genesis: self.genesis.bytes(), as_of_ms, max_age_ms: None };
        let report = verify(&bundle, &trust, &[]);
        anyhow::ensure!(report.verdict != Verdict::Invalid, "does not verify: {:?}", report.failed_step());
        let head = report.head.as_ref().context("the report names no head")?;
        // A head beyond what was compared is compared by whoever extends the walk.
        if let Some(seen) = usize::try_from(head.height.0).ok().and_then(|height| self.blocks.get(height)) {
            anyhow::ensure!(seen.id == head.block_id, "FORK: its head {} is not {}", head.block_id, seen.id);
        }
        Ok(())
    }

    /// Each node lists exactly the acknowledged records of each subject, numbered without a gap.
    async fn check_subjects(&mut self, cluster: &Cluster, book: &Book) -> usize {
        let mut expected: BTreeMap<SubjectId, BTreeSet<Hash32>> = BTreeMap::new();
        for receipt in book.entries().values().filter_map(|entry| entry.receipt.as_ref()) {
            for subject in &receipt.subjects {
                expected.entry(*subject).or_default().insert(receipt.record);
            }
        }
        for (index, node) in cluster.nodes().iter().enumerate() {
            for (subject, records) in &expected {
                if let Err(error) = check_subject(node.member.client(), subject, records).await {
                    self.violations.push(format!("subject {subject} at node {index}: {error:#}"));
                }
            }
        }
        expected.len()
    }
}

async fn check_subject(client: &Client, subject: &SubjectId, expected: &BTreeSet<Hash32>) -> Result<()> {
    let found = client.subject_records(subject, None, PAGE).await?.context("it is not known")?;
    let gapless = found.records.iter().zip(0..).all(|(record, number)| record.seq == number);
    anyhow::ensure!(gapless && found.next.is_none(), "its records are not numbered without a gap");
    let hashes: BTreeSet<_> = found.records.iter().map(|record| record.hash).collect();
    anyhow::ensure!(
        hashes == *expected && hashes.len() == found.records.len(),
        "{} records listed, {} acknowledged",
        found.records.len(),
        expected.len()
    );
    Ok(())
}

/// What was compared.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Records on the ledger.
    pub records: usize,
    /// Proofs of them that were verified, over all nodes.
    pub proofs: usize,
    /// Subjects whose chains were compared.
    pub subjects: usize,
}
