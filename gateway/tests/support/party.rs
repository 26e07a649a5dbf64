//! Parties with their own keys: what their clients do. They decode what they sign.

use super::{Api, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::Payload;
use qz_evidence::submission::{Body, actor_message, body_digest};
use qz_evidence::{SubjectId, decode_strict};
use qz_genesis::Purpose;
use serde_json::{Value, json};

pub const BUYER: &str = "北京示例科技有限公司";
pub const SELLER: &str = "上海样本精密仪器有限公司";
pub const INTENT: &str = "本人已阅读并同意签署本合同";

pub struct Party {
    pub key: SigningKey,
    pub subject: String,
}

impl Party {
    /// A key that nobody has registered yet.
    pub fn unregistered(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), subject: String::new() }
    }

    pub fn registration(&self, name: &str, id_code: &str) -> Value {
        json!({
            "algorithm": "ed25519", "public_key": BASE64.encode(self.key.verifying_key().as_bytes()),
            "name": name, "id_code": id_code, "identity_check": "营业执照与经办人身份比对",
        })
    }

    /// Registered on the ledger with the notary's attestation.
    pub async fn register(world: &World, seed: u8, name: &str, id_code: &str) -> Self {
        let mut party = Self::unregistered(seed);
        let api = world.api();
        let operation = api.create("/v1/keys", &party.registration(name, id_code)).await;
        let body = body_of(&operation);
        let Payload::KeyRegistered(fields) = &body.payload else { panic!("not a registration") };
        assert_eq!(fields.key, PublicKey::ed25519(party.key.verifying_key().to_bytes()));
        party.subject = operation["created_subject"].as_str().unwrap().to_owned();
        party.sign(&api, &operation).await;
        let settled = attest(world, &operation).await;
        assert_eq!(settled["status"], "final", "{settled}");
        party
    }

    pub fn signature(&self, operation: &Value) -> [u8; 64] {
        let bytes = BASE64.decode(operation["body"].as_str().unwrap()).unwrap();
        self.key.sign(&actor_message(&body_digest(&bytes))).to_bytes()
    }

    pub async fn sign(&self, api: &Api, operation: &Value) -> Value {
        let id = operation["id"].as_str().unwrap();
        let (status, answer) = api.sign(id, &self.subject, &self.signature(operation)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Signs and waits for the ledger and what follows.
    pub async fn conclude(&self, api: &Api, operation: &Value) -> Value {
        self.sign(api, operation).await;
        api.settled(operation["id"].as_str().unwrap()).await
    }

    /// The same, and it must be recorded.
    pub async fn carry_out(&self, api: &Api, operation: &Value) -> Value {
        let settled = self.conclude(api, operation).await;
        assert_eq!(settled["status"], "final", "{settled}");
        assert!(settled["record"]["hash"].is_string());
        settled
    }

    /// A company seal on the ledger; gives its subject.
    pub async fn seal(&self, api: &Api, company: &str) -> String {
        let operation = api.create("/v1/seals", &seal_request(&self.subject, company)).await;
        let seal = operation["created_subject"].as_str().unwrap().to_owned();
        self.carry_out(api, &operation).await;
        seal
    }
}

pub fn seal_request(owner: &str, company: &str) -> Value {
    json!({"name": "合同专用章", "kind": "contract", "owner": owner, "company_name": company, "bottom_text": "合同专用章"})
}

/// The notary's office signs.
pub async fn attest(world: &World, operation: &Value) -> Value {
    let notary = world.organisation("notary");
    let chain = notary.genesis().unwrap().chain_id();
    let subject = SubjectId::of_organisation(&chain, &notary.organisation().id).to_string();
    let bytes = BASE64.decode(operation["body"].as_str().unwrap()).unwrap();
    let signature = notary.key(Purpose::Office).unwrap().sign(&actor_message(&body_digest(&bytes))).unwrap();
    let api = world.api();
    let id = operation["id"].as_str().unwrap();
    let (status, answer) = api.sign(id, &subject, &signature).await;
    assert_eq!(status, 200, "{answer}");
    api.settled(id).await
}

pub fn body_of(operation: &Value) -> Body {
    decode_strict(&BASE64.decode(operation["body"].as_str().unwrap()).unwrap()).unwrap()
}

/// Two companies with seals, a person, and a rendered contract.
pub struct Cast {
    pub buyer: Party,
    pub buyer_seal: String,
    pub person: Party,
    pub document: Value,
}

impl Cast {
    pub async fn new(world: &World) -> Self {
        let api = world.api();
        let buyer = Party::register(world, 1, BUYER, "91110108MA00DEM14Q").await;
        let buyer_seal = buyer.seal(&api, BUYER).await;
        let person = Party::register(world, 2, "周雅文", "110101199003071234").await;
        Self { buyer, buyer_seal, person, document: render(&api, "T-1").await }
    }

    fn anchor(&self, name: &str) -> Value {
        let anchors = self.document["anchors"].as_array().unwrap();
        let found = anchors.iter().find(|anchor| anchor["name"] == name).unwrap();
        json!({"page": found["page"], "x_mm": found["x_mm"], "y_mm": found["y_mm"]})
    }

    /// A seal slot of the buyer, then a slot of the person.
    pub fn plan(&self) -> Value {
        json!({
            "title": "设备采购合同", "number": "T-1", "document": self.document["id"], "initiator": self.buyer.subject,
            "slots": [
                {"role": 1, "kind": "seal", "subject": self.buyer_seal, "group": 1, "field": self.anchor("seal-0")},
                {"role": 2, "kind": "key", "subject": self.person.subject, "group": 2, "field": self.anchor("person-1")},
            ],
        })
    }

    /// Opened and version-fixed; gives its subject.
    pub async fn contract(&self, api: &Api) -> String {
        self.contract_of(api, &self.plan()).await
    }

    pub async fn contract_of(&self, api: &Api, plan: &Value) -> String {
        let opened = api.create("/v1/contracts", plan).await;
        let subject = opened["contract"]["subject"].as_str().unwrap().to_owned();
        assert_eq!(opened["contract"]["status"], "pending");
        self.buyer.carry_out(api, &opened["operation"]).await;
        let fixed = api.create(&format!("/v1/contracts/{subject}/fix"), &json!({})).await;
        self.buyer.carry_out(api, &fixed).await;
        subject
    }

    /// Signed by both and completed.
    pub async fn completed(&self, api: &Api, plan: &Value) -> String {
        let contract = self.contract_of(api, plan).await;
        for (slot, party) in [(0, &self.buyer), (1, &self.person)] {
            let operation = prepare(api, &contract, slot, &party.subject).await;
            let settled = party.carry_out(api, &operation).await;
            assert_eq!(settled["followup"]["status"], "done", "{settled}");
        }
        self.completion(api, &contract).await;
        contract
    }

    /// Waits until a contract that all have signed is completed; gives its view.
    pub async fn completion(&self, api: &Api, contract: &str) -> Value {
        let started = std::time::Instant::now();
        let operation = loop {
            let (_, view) = api.get(&format!("/v1/contracts/{contract}")).await;
            if let Some(operation) = view["completion_operation"].as_str() {
                break operation.to_owned();
            }
            assert!(started.elapsed() < std::time::Duration::from_secs(60), "{view}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let completion = api.settled(&operation).await;
        assert_eq!(completion["status"], "final", "{completion}");
        api.get(&format!("/v1/contracts/{contract}")).await.1
    }
}

pub async fn prepare(api: &Api, contract: &str, slot: u8, key: &str) -> Value {
    let request = json!({"slot": slot, "key": key, "intent": INTENT});
    api.create(&format!("/v1/contracts/{contract}/signatures"), &request).await
}

pub async fn render(api: &Api, number: &str) -> Value {
    let party = |role: &str, name: &str, id_code: &str| {
        json!({
            "role": role, "name": name, "id_code": id_code, "legal_representative": "李明远", "handler": "陈思齐",
            "address": "北京市海淀区示例路 8 号", "phone": "010-5555 0108", "bank": "示例银行 1100 0108",
        })
    };
    let data = json!({
        "title": "设备采购合同", "number": number,
        "parties": [party("甲方（买方）", BUYER, "91110108MA00DEM14Q"), party("乙方（卖方）", SELLER, "91310115MA1KDEM22C")],
        "preamble": "甲乙双方经协商一致，订立本合同。",
        "clauses": [{"heading": "标的", "text": "乙方向甲方供货。", "table": "items"}],
        "items": [{"name": "测量机", "specification": "SM-800", "unit": "台", "quantity": "2", "unit_price": "1.00", "total": "2.00"}],
        "payments": [], "amount": "人民币贰元整（¥2.00）", "sign_date": "2026年11月22日", "place": "北京", "created_ms": 1_795_312_800_000_i64,
    });
    api.create("/v1/documents/render", &json!({"template": "procurement", "data": data})).await
}
