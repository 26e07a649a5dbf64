//! What must not work: a suspended seal through the gateway and past it, and a relay without authority.

use super::{Contract, People, Story};
use crate::api::{Operation, problem};
use anyhow::{Context, Result, anyhow, bail, ensure};
use qz_client::ClientError;
use qz_evidence::codec::Bytes;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::hash::sha256;
use qz_evidence::payload::{ContractFulfilment, ContractSigned, FulfilmentStep, Payload, SealRef};
use qz_evidence::submission::{Actor, Body};
use qz_evidence::{Height, SubmissionId, encode};
use serde_json::json;

/// Blocks until a body that is composed here expires.
const EXPIRY: u64 = 1000;

impl Story {
    /// Step 9.
    pub async fn refuse(&mut self, people: &People, completed: &Contract) -> Result<()> {
        self.screen
            .step("停用的印章不能再签；越权提交被拒绝", "a suspended seal cannot sign; a relay has no authority");
        let contract = self.open_sample(people).await?;
        self.suspend(people).await?;
        self.refused_by_gateway(people, &contract).await?;
        self.refused_by_the_court_node(people, &contract).await?;
        self.no_sealed_file(&contract).await?;
        self.refused_without_actor(completed).await?;
        self.resume_seal(people).await
    }

    async fn suspend(&mut self, people: &People) -> Result<()> {
        let seal = SealRef { seal: people.buyer.seal.subject };
        let height = self.decide(people, "suspend", "演示：印章停用", Payload::SealSuspended(seal)).await?;
        let owner = &people.buyer.party.name;
        self.screen.note(&format!("{owner} 停用合同专用章，区块 {height} · seal suspended in block {height}"));
        Ok(())
    }

    async fn resume_seal(&mut self, people: &People) -> Result<()> {
        let seal = SealRef { seal: people.buyer.seal.subject };
        let height = self.decide(people, "resume", "演示：恢复使用", Payload::SealResumed(seal)).await?;
        let owner = &people.buyer.party.name;
        self.screen.note(&format!("{owner} 恢复合同专用章，区块 {height} · seal resumed in block {height}"));
        Ok(())
    }

    /// What the owner decides about its seal; gives the height of its record.
    async fn decide(&self, people: &People, what: &str, reason: &str, expected: Payload) -> Result<u64> {
        let (seal, owner) = (people.buyer.seal.subject, &people.buyer.party);
        let (operation, _) = self.api.begin(&format!("/v1/seals/{seal}/{what}"), &json!({ "reason": reason })).await?;
        let seen = owner.understand(&operation)?;
        ensure!(*seen.payload() == expected, "not the decision that was asked for");
        let settled = self.sign_and_settle(&operation, owner, &seen).await?;
        Ok(settled.record.context("a final operation has a record")?.height)
    }

    /// Through the gateway: refused at the door, or by the ledger.
    async fn refused_by_gateway(&mut self, people: &People, contract: &Contract) -> Result<()> {
        let code = match self.prepare_signature(contract, 0, &people.buyer.party).await {
            Err(error) => problem(&error).map(|problem| problem.code.clone()).ok_or(error)?,
            Ok((operation, seen)) => {
                let party = &people.buyer.party;
                match self.api.sign(&operation, &party.subject()?, &party.sign(&seen)).await {
                    Err(error) => problem(&error).map(|problem| problem.code.clone()).ok_or(error)?,
                    Ok(Operation { id, .. }) => {
                        let settled = self.api.settle(&id).await?;
                        settled.error.with_context(|| format!("the signature became {}", settled.status))?.code
                    }
                }
            }
        };
        self.screen.check(
            &format!("经网关用停用的印章签署：拒绝（{code}） · refused through the gateway"),
            is_code(&code, "seal.suspended"),
            || code.clone(),
        )
    }

    /// Past the gateway: the owner's own valid signature, relayed by the court to the court's node.
    async fn refused_by_the_court_node(&mut self, people: &People, contract: &Contract) -> Result<()> {
        let owner = &people.buyer.party;
        let fields = ContractSigned {
            contract: contract.subject,
            slot: 0,
            version: contract.version,
            seal: Some(people.buyer.seal.subject),
        };
        let digest = sha256(&[b"what the owner would like to have sealed"]);
        let opening = Opening::new(name::TO_BE_SIGNED, random()?, digest.0);
        let body = self.body("court", Payload::ContractSigned(fields), &[opening]).await?;
        let actors = vec![owner.actor(&body)?];
        let code = self.relay_refused("court", &body, actors).await?;
        self.screen.check(
            &format!("绕过网关、经法院节点提交（印章所有人签名有效）：规则拒绝（{code}） · refused by the rules at the court's node"),
            is_code(&code, "seal.suspended"),
            || code.clone(),
        )
    }

    async fn no_sealed_file(&mut self, contract: &Contract) -> Result<()> {
        let state = self.api.get(&format!("/v1/contracts/{}", contract.subject)).await?;
        let signed = state["slots"].as_array().is_some_and(|slots| slots.iter().any(|slot| slot["signed"] == true));
        let file = match self.api.get_file(&format!("/v1/contracts/{}/document", contract.subject)).await {
            Ok(file) => Some(file),
            Err(error) if problem(&error).is_some() => None,
            Err(error) => return Err(error),
        };
        let unsealed = file.is_none_or(|file| file == contract.document);
        let mut records = vec![];
        for node in self.network.nodes() {
            records.push(node.member.records_of(&contract.subject).await?);
        }
        self.screen.check(
            "不存在盖有停用印章的 PDF，链上也没有该签署 · no sealed PDF exists, and no signature on any node",
            !signed && unsealed && state["signed_document_sha256"].is_null() && records.iter().all(|n| *n == 2),
            || format!("signed {signed}, file untouched {unsealed}, records {records:?}: {state}"),
        )
    }

    /// The platform relays without anybody's signature, and then with its own office's instead.
    async fn refused_without_actor(&mut self, contract: &Contract) -> Result<()> {
        let fields = ContractFulfilment { contract: contract.subject, obligation: 2, step: FulfilmentStep::Performed };
        let opening = Opening::new(name::DESCRIPTION, random()?, "平台代填：已付款");
        let body = self.body("platform", Payload::ContractFulfilment(fields), &[opening]).await?;
        let code = self.relay_refused("platform", &body, vec![]).await?;
        self.screen.check(
            &format!("平台转交而无当事人签名：拒绝（{code}） · refused without the party's signature"),
            is_code(&code, "actor.count"),
            || code.clone(),
        )?;
        let office = self.network.node("platform")?.member.office()?;
        let actors = vec![Actor { subject: office.subject(), signature: Bytes(office.sign(&body.digest())?.to_vec()) }];
        let code = self.relay_refused("platform", &body, actors).await?;
        self.screen.check(
            &format!("平台以自己的公章密钥代签：拒绝（{code}） · refused with the platform's own signature instead"),
            is_code(&code, "actor.not_entitled"),
            || code.clone(),
        )
    }

    /// A body composed by a party's own program, without the gateway.
    async fn body(&self, through: &str, payload: Payload, openings: &[Opening]) -> Result<Body> {
        let member = &self.network.node(through)?.member;
        let status = member.status().await?;
        let id: [u8; 32] = random()?;
        let id = SubmissionId(id[..16].try_into().context("sixteen of thirty-two bytes")?);
        let commitments = openings.iter().map(Opening::commitment).collect();
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).context("the clock is before 1970")?;
        Ok(Body::new(member.genesis().chain_id(), id, Height(status.height + EXPIRY), payload, commitments, now))
    }

    /// Relays through a member's own node and gives the code of the refusal; acceptance is an error.
    async fn relay_refused(&self, through: &str, body: &Body, actors: Vec<Actor>) -> Result<String> {
        match self.network.node(through)?.member.relay(encode(body), actors).await {
            Err(ClientError::Rejected { rejection, .. }) => {
                self.screen.note(&format!("{through}: {} · {}", rejection.message_zh, rejection.message_en));
                Ok(rejection.code)
            }
            Err(error) => Err(error.into()),
            Ok(at) => bail!("the submission was accepted in block {}", at.height),
        }
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Codes are compared without regard to how their words are joined.
fn is_code(found: &str, wanted: &str) -> bool {
    found.replace('_', ".") == wanted.replace('_', ".")
}
