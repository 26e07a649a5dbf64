//! The dispute: a party brings the contract before a forum, the notary registers a deed, the court retrieves
//! the package and rules. Everything that a member does, its operator does by command (`qz-client`).

use super::{Contract, People, Story};
use crate::custody;
use crate::party::Party;
use anyhow::{Context, Result, bail, ensure};
use qz_evidence::commitment::{Opening, name};
use qz_evidence::payload::{ContractDisputed, Payload};
use qz_evidence::submission::Body;
use qz_evidence::{Height, OrgId, SubmissionId, encode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Blocks until a body that is composed here expires.
const EXPIRY: u64 = 1000;
/// Longest time until the platform has followed the ledger.
const PATIENCE: Duration = Duration::from_secs(30);
/// The case before the court.
pub const CASE: &str = "（2026）京0491民初1号（演示）";

impl Story {
    /// A contract of the sample's text, signed by all.
    pub async fn sign_sample(&mut self, people: &People) -> Result<Contract> {
        let contract = self.open_sample(people).await?;
        self.sign(&contract, 0, &people.buyer.party).await?;
        self.sign(&contract, 1, &people.person).await?;
        self.sign(&contract, 2, &people.person).await?;
        self.completed(&contract).await?;
        Ok(contract)
    }

    /// Step 11: a second contract is disputed, and the court gets its package by command.
    pub async fn go_to_court(&mut self, people: &People) -> Result<()> {
        self.screen.step("合同发生争议，法院凭命令调取出证包", "a dispute; the court retrieves the package by command");
        let contract = self.sign_sample(people).await?;
        self.dispute(&people.buyer.party, &contract, "court").await?;
        self.screen.note("$ qz-client retrieve --home court --case … --contract … --package court-package.zip");
        let package = self.retrieve(&[&contract], None, "court-package")?;
        let bytes = std::fs::metadata(&package).context("the package")?.len();
        self.screen.fact("法院调取包 court package", format!("{bytes} bytes"));
        let events = self.api.get(&format!("/v1/contracts/{}/events", contract.subject)).await?;
        let told = events["events"]
            .as_array()
            .is_some_and(|events| events.iter().any(|event| event["notice"]["case_number"] == CASE));
        self.screen.check(
            "调取已上链，当事人可见案号与法院 · the retrieval is on the ledger; the parties see court and case",
            told,
            || events.to_string(),
        )
    }

    /// A party's dispute through the platform's door: the party checks the body and signs it.
    pub async fn dispute_by_platform(&self, party: &Party, contract: &Contract, forum: &str) -> Result<()> {
        let reason = "演示：到货与约定不符";
        let request = json!({"key": party.subject()?.to_string(), "forum": forum, "reason": reason});
        let path = format!("/v1/contracts/{}/disputes", contract.subject);
        let (operation, _) = self.api.begin(&path, &request).await?;
        let seen = party.understand(&operation)?;
        let expected = ContractDisputed { contract: contract.subject, forum: OrgId::new(forum).context("an id")? };
        ensure!(*seen.payload() == Payload::ContractDisputed(expected), "not the dispute that was asked for");
        seen.expect(name::DESCRIPTION, reason.as_bytes())?;
        self.sign_and_settle(&operation, party, &seen).await?;
        Ok(())
    }

    /// Waits until the platform shows this status of a contract.
    pub async fn becomes(&self, contract: &Contract, status: &str) -> Result<Value> {
        let path = format!("/v1/contracts/{}", contract.subject);
        let start = Instant::now();
        loop {
            let view = self.api.get(&path).await?;
            if view["status"] == status {
                return Ok(view);
            }
            ensure!(start.elapsed() < PATIENCE, "the contract does not become {status}: {view}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A party's own dispute, taken to the forum's own node: the platform is not asked.
    pub async fn dispute(&mut self, party: &Party, contract: &Contract, forum: &str) -> Result<()> {
        let member = &self.network.node(forum)?.member;
        let mut random = [0u8; 48];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let (id, salt) = random.split_at(16);
        let reason = Opening::new(name::DESCRIPTION, salt.try_into()?, "演示：到货与约定不符");
        let fields = ContractDisputed { contract: contract.subject, forum: OrgId::new(forum).context("an id")? };
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
        let body = Body::new(
            member.genesis().chain_id(),
            SubmissionId(id.try_into()?),
            Height(self.network.height().await + EXPIRY),
            Payload::ContractDisputed(fields),
            vec![reason.commitment()],
            now,
        );
        let at = member.relay(encode(&body), vec![party.actor(&body)?]).await?;
        let forum_zh = member.genesis().organisation(member.org()).map_or("", |forum| forum.name_zh.as_str());
        self.screen.note(&format!("{} 向{forum_zh}提交争议，区块 {} · disputed before {forum}", party.name, at.height));
        Ok(())
    }

    /// `qz-client COMMAND --home MEMBER … --json`: each line that it prints.
    pub fn office(&self, member: &str, command: &str, arguments: &[&str]) -> Result<Vec<Value>> {
        let (fine, text, words) = self.run_office(member, command, arguments)?;
        ensure!(fine, "qz-client {command} of {member}: {words}");
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// The same where a refusal is expected: gives the words.
    pub fn office_refused(&self, member: &str, command: &str, arguments: &[&str]) -> Result<String> {
        match self.run_office(member, command, arguments)? {
            (false, _, words) => Ok(words),
            (true, text, _) => bail!("qz-client {command} of {member} was not refused: {text}"),
        }
    }

    fn run_office(&self, member: &str, command: &str, arguments: &[&str]) -> Result<(bool, String, String)> {
        let home = self.network.folder.organisation(member);
        let output = Command::new(&self.network.binaries.client)
            .args([command, "--json", "--home"])
            .arg(&home)
            .args(arguments)
            .env(custody::VARIABLE, custody::passphrase_file(&home))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.network.binaries.client.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    }

    /// Where an office's command leaves its proof.
    pub fn proof_path(&self, name: &str) -> PathBuf {
        self.network.folder.out().join(format!("{name}.qzproof"))
    }

    /// The court retrieves these contracts for its case and gets the package.
    pub fn retrieve(&self, contracts: &[&Contract], notice_after: Option<&str>, name: &str) -> Result<PathBuf> {
        let package = self.network.folder.out().join(format!("{name}.zip"));
        let (proof, gateway) = (self.proof_path(name), format!("http://127.0.0.1:{}", self.network.ports.gateway()));
        let subjects: Vec<String> = contracts.iter().map(|contract| contract.subject.to_string()).collect();
        let mut arguments = vec!["--case", CASE, "--gateway", &gateway];
        for subject in &subjects {
            arguments.extend(["--contract", subject]);
        }
        arguments.extend(notice_after.iter().flat_map(|date| ["--notice-after", date]));
        arguments.extend([
            "--out",
            proof.to_str().context("a path")?,
            "--package",
            package.to_str().context("a path")?,
        ]);
        let answers = self.office("court", "retrieve", &arguments)?;
        ensure!(answers.len() == 2 && answers[0]["kind"] == "retrieval.made", "{answers:?}");
        Ok(package)
    }
}
