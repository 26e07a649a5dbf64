//! Holds the ledger, as every node serves it, against itself, against the genesis and against the
//! clients' book. Everything is asked of every node, and nothing is believed that can be checked.

use super::book::Book;
use super::chain::Chain;
use super::cluster::Cluster;
use anyhow::{Context, Result, ensure};
use qz_client::{Block, Client, ProofRequest};
use qz_evidence::codec::decode_strict;
use qz_evidence::commit::{CommitCertificate, VoteType, vote_message};
use qz_evidence::genesis::Genesis;
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId};
use std::collections::{BTreeMap, BTreeSet};

/// Records of one proof bundle.
const PROOF_RECORDS: usize = 200;
/// Records of a subject that are asked for at once; a run makes fewer.
const PAGE: u32 = 1000;

/// The comparison of all nodes' blocks, which grows with the ledger.
pub struct Walk {
    genesis: Genesis,
    chain: Chain,
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
        let chain = Chain::new(genesis.chain_id());
        let next = vec![0; cluster.nodes().len()];
        Ok(Self { genesis, chain, next, later_rounds: 0, violations: vec![] })
    }

    /// Blocks that were compared.
    pub fn blocks(&self) -> usize {
        self.chain.blocks().len()
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
                if let Err(error) = self.compare(cluster, &block) {
                    self.violations.push(format!("block {} of node {node}: {error:#}", block.height));
                }
            }
            self.next[node] = height + 1;
        }
        Ok(())
    }

    fn compare(&mut self, cluster: &Cluster, block: &Block) -> Result<()> {
        self.chain.check(block)?;
        match &block.commit {
            Some(commit) => self.check_commit(cluster, block, commit),
            None => {
                ensure!(block.height == 0, "no commit certificate");
                Ok(())
            }
        }
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
            ensure!(
                cluster.journals.holds_precommit(signer, block.height, round, &signed),
                "the precommit of validator {signer} in round {round} is in none of its journals"
            );
        }
        Ok(())
    }

    /// Holds the ledger against the clients' book: nothing lost, nothing twice, nothing invented, every
    /// record provable offline from every node, every subject's chain whole.
    pub async fn against_book(&mut self, cluster: &Cluster, book: &Book) -> Result<Facts> {
        let recorded = self.read_records(cluster).await?;
        self.violations.extend(hold(&recorded, book));
        let records: Vec<Hash32> = recorded.iter().map(|recorded| recorded.record).collect();
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

    /// Every record of the compared blocks, each read from one node after the other.
    async fn read_records(&mut self, cluster: &Cluster) -> Result<Vec<Recorded>> {
        let mut all = vec![];
        let mut nodes = cluster.nodes().iter().cycle();
        for (height, index, hash) in self.chain.records() {
            let node = nodes.next().context("no nodes")?;
            let Some(found) = node.member.client().record(&hash).await? else {
                self.violations.push(format!("{} does not serve record {hash} of block {height}", node.id()));
                continue;
            };
            let record: Record = decode_strict(&found.record)?;
            if (record.height, record.index) != (Height(height), index) {
                self.violations.push(format!("record {hash} says that it is at another place than {height}:{index}"));
            }
            all.push(Recorded { body: Parsed::new(&record.submission)?.digest(), record: hash, height, index });
        }
        Ok(all)
    }

    async fn prove(&self, client: &Client, records: &[Hash32]) -> Result<()> {
        let request = ProofRequest { records: records.to_vec(), ..ProofRequest::default() };
        let bundle = client.proof(&request).await?.context("it lacks a record")?;
        let as_of_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
        let trust = TrustInputs::new(self.genesis.bytes(), as_of_ms);
        let report = verify(&bundle, &trust, &[]);
        ensure!(report.verdict != Verdict::Invalid, "does not verify: {:?}", report.failed_step());
        let head = report.head.as_ref().context("the report names no head")?;
        // A head beyond what was compared is compared by whoever extends the walk.
        if let Some(seen) = usize::try_from(head.height.0).ok().and_then(|height| self.chain.blocks().get(height)) {
            ensure!(seen.id == head.block_id, "FORK: its head {} is not {}", head.block_id, seen.id);
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
    ensure!(gapless && found.next.is_none(), "its records are not numbered without a gap");
    let hashes: BTreeSet<_> = found.records.iter().map(|record| record.hash).collect();
    ensure!(
        hashes == *expected && hashes.len() == found.records.len(),
        "{} records listed, {} acknowledged",
        found.records.len(),
        expected.len()
    );
    Ok(())
}

/// A record as it stands on the ledger.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    body: Hash32,
    record: Hash32,
    height: u64,
    index: u32,
}

/// The ledger against the book: every acknowledged body is there exactly once, where its receipt says, and
/// nothing is there that nobody submitted. Gives a line for whatever is otherwise.
fn hold(recorded: &[Recorded], book: &Book) -> Vec<String> {
    let mut wrong = vec![];
    let mut places: BTreeMap<Hash32, &Recorded> = BTreeMap::new();
    for at in recorded {
        if !book.entries().contains_key(&at.body) {
            wrong.push(format!("INVENTED: nobody submitted {at:?}"));
        }
        if let Some(earlier) = places.insert(at.body, at) {
            wrong.push(format!("TWICE: {earlier:?} and {at:?}"));
        }
    }
    for (digest, entry) in book.entries() {
        let Some(receipt) = &entry.receipt else { continue };
        match places.get(digest) {
            None => wrong.push(format!("LOST: {} {digest}, acknowledged as {receipt:?}", entry.kind)),
            Some(at) if (at.record, at.height, at.index) != (receipt.record, receipt.height, receipt.index) => {
                wrong.push(format!("MOVED: {} {digest} is at {at:?}, acknowledged as {receipt:?}", entry.kind));
            }
            Some(_) => {}
        }
    }
    wrong
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_client::Finalised;

    fn recorded(body: u8, index: u32) -> Recorded {
        Recorded { body: Hash32([body; 32]), record: Hash32([body + 100; 32]), height: 3, index }
    }

    fn book(bodies: &[u8]) -> Book {
        let mut book = Book::default();
        for (body, index) in bodies.iter().zip(0..) {
            let Recorded { body, record, height, index } = recorded(*body, index);
            book.sent(body, "evidence.deposited", 0);
            let at = Finalised { digest: body, record_hash: record, height, index, time_ms: 0, subjects: vec![] };
            book.acknowledged(&at);
        }
        book
    }

    #[test]
    fn whatever_differs_from_the_book_is_named() {
        let whole = [recorded(1, 0), recorded(2, 1)];
        assert!(hold(&whole, &book(&[1, 2])).is_empty());
        let table = [
            (vec![whole[0]], book(&[1, 2]), "LOST"),
            (vec![whole[0], recorded(2, 5)], book(&[1, 2]), "MOVED"),
            (whole.to_vec(), book(&[1]), "INVENTED"),
            (vec![whole[0], whole[1], recorded(1, 2)], book(&[1, 2]), "TWICE"),
        ];
        for (recorded, book, word) in table {
            let wrong = hold(&recorded, &book);
            assert!(wrong.iter().any(|line| line.starts_with(word)), "{word}: {wrong:?}");
        }
    }
}
