//! Who takes part: two companies and a person, each with an actor key in a folder of its own, registered
//! under the attestation of the notary; and their seals.

use super::Story;
use crate::api::Operation;
use crate::member::Office;
use crate::party::{Party, Understood, understand};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qz_evidence::commitment::name;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{KeyRegistered, Payload, SealAuthorised, SealKind, SealMade};
use qz_evidence::{OrgId, SubjectId};
use serde_json::json;

/// How often the person may use the company's seal.
const AUTHORISED_USES: u32 = 4;

/// A seal on the ledger.
#[derive(Clone, Debug)]
pub struct Seal {
    /// Its subject.
    pub subject: SubjectId,
    /// Its name.
    pub name: String,
}

/// A company: its key and its contract seal.
pub struct Company {
    /// The client.
    pub party: Party,
    /// 合同专用章
    pub seal: Seal,
}

/// Everybody.
pub struct People {
    /// 甲方
    pub buyer: Company,
    /// 乙方
    pub seller: Company,
    /// 乙方's handling person 经办人, who uses its seal and signs for himself too.
    pub person: Party,
}

struct Identity {
    folder: &'static str,
    name: &'static str,
    id_code: &'static str,
    identity_check: &'static str,
}

const BUYER: Identity = Identity {
    folder: "buyer",
    name: "北京启明科技（演示）有限公司",
    id_code: "91110108MA00DEM14Q",
    identity_check: "演示核验：营业执照与经办人身份比对（演示公证处）",
};
const SELLER: Identity = Identity {
    folder: "seller",
    name: "上海远航贸易（演示）有限公司",
    id_code: "91310115MA1KDEM22C",
    identity_check: "演示核验：营业执照与经办人身份比对（演示公证处）",
};
const PERSON: Identity = Identity {
    folder: "person",
    name: "吴晓东",
    id_code: "310115********0017",
    identity_check: "演示核验：居民身份证当面核对（演示公证处）",
};

impl Story {
    /// Registers everybody and makes the seals.
    pub async fn introduce(&mut self) -> Result<People> {
        self.screen
            .step("两家公司与一名经办人登记密钥、制作印章", "two companies and a person register keys and make seals");
        let notary = self.network.node("notary")?.member.office()?;
        let buyer = self.register(&notary, &BUYER).await?;
        let seller = self.register(&notary, &SELLER).await?;
        let person = self.register(&notary, &PERSON).await?;
        let buyer_seal = self.make_seal(&buyer, "合同专用章", SealKind::Contract, BUYER.name).await?;
        let seller_seal = self.make_seal(&seller, "合同专用章", SealKind::Contract, SELLER.name).await?;
        self.authorise(&seller, &seller_seal, &person).await?;
        let folders = self.network.folder.clients();
        let private = [BUYER.folder, SELLER.folder, PERSON.folder]
            .iter()
            .all(|name| is_private(&folders.join(name).join("actor.key")));
        self.screen.check(
            "签名密钥只在当事人自己的文件夹中（0600） · actor keys stand in their owners' folders only",
            private,
            || "a key file is readable by others".to_owned(),
        )?;
        Ok(People {
            buyer: Company { party: buyer, seal: buyer_seal },
            seller: Company { party: seller, seal: seller_seal },
            person,
        })
    }

    async fn register(&mut self, notary: &Office, identity: &Identity) -> Result<Party> {
        let chain_id = self.network.nodes()[0].member.genesis().chain_id();
        let folder = self.network.folder.clients().join(identity.folder);
        let mut party = Party::create(&folder, identity.name, chain_id)?;
        let request = json!({
            "algorithm": "ed25519",
            "public_key": STANDARD.encode(party.public_key()),
            "name": identity.name,
            "id_code": identity.id_code,
            "identity_check": identity.identity_check,
        });
        let (operation, _) = self.api.begin("/v1/keys", &request).await?;
        // The holder and the notary's office each look for themselves before they sign.
        let expected = Payload::KeyRegistered(KeyRegistered {
            key: PublicKey::ed25519(party.public_key()),
            attestor: OrgId::new("notary").context("a well-formed id")?,
        });
        let look = |operation: &Operation| -> Result<Understood> {
            let understood = understand(operation, &chain_id)?;
            ensure!(*understood.payload() == expected, "another key than the one to be registered");
            understood.expect(name::NAME, identity.name.as_bytes())?;
            understood.expect(name::ID_CODE, identity.id_code.as_bytes())?;
            understood.expect(name::IDENTITY_CHECK, identity.identity_check.as_bytes())?;
            Ok(understood)
        };
        let seen = look(&operation)?;
        let subject = SubjectId::created_by(&chain_id, &seen.digest());
        ensure!(operation.created_subject == Some(subject), "the gateway names another subject than the body creates");
        let signature = party.sign(&seen);
        self.api.sign(&operation, &subject, &signature).await?;
        let seen = look(&operation)?;
        self.api.sign(&operation, &notary.subject(), &notary.sign(&seen.digest())?).await?;
        self.final_or_error(&operation).await?;
        party.registered_as(subject);
        self.screen.note(&format!("{} 已登记 registered, key {}", identity.name, short(&subject)));
        Ok(party)
    }

    async fn make_seal(&mut self, owner: &Party, seal_name: &str, kind: SealKind, company: &str) -> Result<Seal> {
        let subject = owner.subject()?;
        let request = json!({
            "name": seal_name, "kind": kind, "owner": subject.to_string(), "company_name": company, "bottom_text": seal_name,
        });
        let (operation, _) = self.api.begin("/v1/seals", &request).await?;
        let seen = owner.understand(&operation)?;
        ensure!(
            *seen.payload() == Payload::SealMade(SealMade { owner: subject, kind }),
            "not the seal that was asked for"
        );
        self.api.sign(&operation, &subject, &owner.sign(&seen)).await?;
        self.final_or_error(&operation).await?;
        let seal = operation.created_subject.context("the operation creates no seal")?;
        let imprint = self.api.get_file(&format!("/v1/seals/{seal}/imprint")).await?;
        seen.expect(name::IMPRINT, &qz_evidence::hash::sha256(&[&imprint]).0)?;
        let certificate = self.api.get_file(&format!("/v1/seals/{seal}/certificate")).await?;
        seen.expect(name::CERTIFICATE, &qz_evidence::hash::sha256(&[&certificate]).0)?;
        self.screen.note(&format!("{company} “{seal_name}” 已制作上链 · seal {}", short(&seal)));
        Ok(Seal { subject: seal, name: seal_name.to_owned() })
    }

    async fn authorise(&mut self, owner: &Party, seal: &Seal, key: &Party) -> Result<()> {
        let request = json!({ "key": key.subject()?.to_string(), "count": AUTHORISED_USES, "until": null });
        let (operation, _) = self.api.begin(&format!("/v1/seals/{}/authorisations", seal.subject), &request).await?;
        let seen = owner.understand(&operation)?;
        let expected =
            SealAuthorised { seal: seal.subject, key: key.subject()?, count: Some(AUTHORISED_USES), until: None };
        ensure!(*seen.payload() == Payload::SealAuthorised(expected), "not the authorisation that was asked for");
        self.api.sign(&operation, &owner.subject()?, &owner.sign(&seen)).await?;
        self.final_or_error(&operation).await?;
        self.screen.note(&format!(
            "{} 授权 {} 用印 {AUTHORISED_USES} 次 · may use the seal {AUTHORISED_USES} times",
            owner.name, key.name
        ));
        Ok(())
    }

    /// Waits until an operation is final and its follow-up done; anything else is an error.
    pub async fn final_or_error(&self, operation: &Operation) -> Result<Operation> {
        let settled = self.api.settle(&operation.id).await?;
        if let Some(error) = &settled.error {
            anyhow::bail!(
                "{} 被拒绝 · refused: {}: {} · {}",
                settled.kind,
                error.code,
                error.message_zh,
                error.message_en
            );
        }
        ensure!(settled.status == "final", "{} is {}", settled.kind, settled.status);
        if let Some(follow_up) = settled.followup.as_ref().filter(|f| f.status == "failed") {
            anyhow::bail!("{}: the follow-up failed: {:?}", settled.kind, follow_up.detail);
        }
        Ok(settled)
    }
}

/// The first digits of an id, for people.
pub fn short(subject: &SubjectId) -> String {
    let mut text = subject.to_string();
    text.truncate(12);
    text.push('…');
    text
}

fn is_private(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 == 0)
}
