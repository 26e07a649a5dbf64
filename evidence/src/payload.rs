//! What a submission says: every kind of the protocol with its clear fields.
//!
//! Clear fields are only what the rules of the ledger need (slots, authorisations, states); everything
//! else is a salted commitment of the body. On the wire a payload is `[kind number, [fields]]`, numbers
//! never reused. Subjects that a kind touches are named in its fields; the first record of a subject
//! creates it.

use crate::codec::Bytes;
use crate::hash::Hash32;
use crate::ids::{Height, OrgId, SubjectId};
use crate::keys::PublicKey;
use crate::validators::Validator;
use minicbor::{Decode, Encode};

/// The kind of a submission with its clear fields.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Payload {
    /// A contract begins: who signs, in which order. Actor: the initiator's key. Creates the contract.
    #[n(1)]
    ContractOpened(#[n(0)] ContractOpened),
    /// The document version that signatures must name. Actor: the initiator's key.
    #[n(2)]
    ContractVersionFixed(#[n(0)] ContractVersionFixed),
    /// A slot is signed. Actor: the slot's key, or a key authorised for the slot's seal.
    #[n(3)]
    ContractSigned(#[n(0)] ContractSigned),
    /// A signer declines 拒签. Actor: as for signing.
    #[n(4)]
    ContractDeclined(#[n(0)] ContractSlotRef),
    /// All signatures are in; commits the final file. Relay: a platform.
    #[n(5)]
    ContractCompleted(#[n(0)] ContractRef),
    /// A completed amendment (a contract of its own, whose opening names this one) takes effect.
    #[n(6)]
    ContractAmended(#[n(0)] ContractAmended),
    /// A step of fulfilment 履约. Actor: a party's key.
    #[n(7)]
    ContractFulfilment(#[n(0)] ContractFulfilment),
    /// Terminated 解除. Actors: every party, each once.
    #[n(8)]
    ContractTerminated(#[n(0)] ContractRef),
    /// Voided by agreement 作废. Actors: every party, each once.
    #[n(9)]
    ContractVoided(#[n(0)] ContractRef),
    /// A dispute is raised. Actor: a party's key.
    #[n(10)]
    ContractDisputed(#[n(0)] ContractDisputed),
    /// A ruling 判决/裁定/调解书/裁决书. Actor: office of the court or arbitration body in charge.
    #[n(11)]
    ContractRuled(#[n(0)] ContractRuled),
    /// Archived 归档; commits the archived package. Relay: a platform.
    #[n(12)]
    ContractArchived(#[n(0)] ContractRef),
    /// A seal is made. Actor: the owner's key. Creates the seal.
    #[n(20)]
    SealMade(#[n(0)] SealMade),
    /// A key may use the seal. Actor: the owner's key.
    #[n(21)]
    SealAuthorised(#[n(0)] SealAuthorised),
    /// An authorisation ends. Actor: the owner's key.
    #[n(22)]
    SealRevoked(#[n(0)] SealKeyRef),
    /// Suspended 停用: cannot sign from the next height on. Actor: the owner's key.
    #[n(23)]
    SealSuspended(#[n(0)] SealRef),
    /// Resumed 恢复. Actor: the owner's key.
    #[n(24)]
    SealResumed(#[n(0)] SealRef),
    /// Destroyed 销毁, for good. Actor: the owner's key.
    #[n(25)]
    SealDestroyed(#[n(0)] SealRef),
    /// A key of a person or an organisation's handling person. Actors: the key itself, then the office of
    /// an organisation with the attestor role. Creates the key.
    #[n(30)]
    KeyRegistered(#[n(0)] KeyRegistered),
    /// A key takes another's place. Actors: the old key or an attestor, and the new key.
    #[n(31)]
    KeyRotated(#[n(0)] KeyRotated),
    /// A key ends. Actor: the key itself or an attestor.
    #[n(32)]
    KeyRevoked(#[n(0)] KeyRef),
    /// A digest is deposited 存证; needs no actor. Creates an evidence subject.
    #[n(40)]
    EvidenceDeposited(#[n(0)] EvidenceDeposited),
    /// A notarial deed 公证书 is registered. Actor: office of a notary.
    #[n(41)]
    NotarisationRegistered(#[n(0)] NotarisationRegistered),
    /// A court retrieves evidence 调证. Actor: office of a court.
    #[n(42)]
    RetrievalMade(#[n(0)] RetrievalMade),
    /// Root of an organisation's audit log. Actor: that organisation's office.
    #[n(43)]
    AuditAnchored(#[n(0)] AuditAnchored),
    /// A change of the consortium. Actors: offices of k of n organisations.
    #[n(50)]
    GovernanceChanged(#[n(0)] GovernanceChanged),
}

/// Which of the protocol's kinds a payload is (for state tables and texts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The protocol's name, such as `contract.signed`.
    pub name: &'static str,
    /// Chinese.
    pub zh: &'static str,
    /// English.
    pub en: &'static str,
}

impl Payload {
    /// Names of this kind.
    pub fn kind(&self) -> KindInfo {
        let (name, zh, en) = match self {
            Self::ContractOpened(_) => ("contract.opened", "发起合同", "contract opened"),
            Self::ContractVersionFixed(_) => ("contract.version_fixed", "固定待签文本", "document version fixed"),
            Self::ContractSigned(_) => ("contract.signed", "签署", "signed"),
            Self::ContractDeclined(_) => ("contract.declined", "拒签", "declined"),
            Self::ContractCompleted(_) => ("contract.completed", "签署完成", "contract completed"),
            Self::ContractAmended(_) => ("contract.amended", "合同变更", "contract amended"),
            Self::ContractFulfilment(_) => ("contract.fulfilment", "履约", "fulfilment"),
            Self::ContractTerminated(_) => ("contract.terminated", "解除", "terminated"),
            Self::ContractVoided(_) => ("contract.voided", "作废", "voided"),
            Self::ContractDisputed(_) => ("contract.disputed", "提出争议", "disputed"),
            Self::ContractRuled(_) => ("contract.ruled", "裁判", "ruled"),
            Self::ContractArchived(_) => ("contract.archived", "归档", "archived"),
            Self::SealMade(_) => ("seal.made", "制作印章", "seal made"),
            Self::SealAuthorised(_) => ("seal.authorised", "授权用印", "seal use authorised"),
            Self::SealRevoked(_) => ("seal.revoked", "撤销用印授权", "seal authorisation revoked"),
            Self::SealSuspended(_) => ("seal.suspended", "停用印章", "seal suspended"),
            Self::SealResumed(_) => ("seal.resumed", "恢复印章", "seal resumed"),
            Self::SealDestroyed(_) => ("seal.destroyed", "销毁印章", "seal destroyed"),
            Self::KeyRegistered(_) => ("key.registered", "登记密钥", "key registered"),
            Self::KeyRotated(_) => ("key.rotated", "更换密钥", "key rotated"),
            Self::KeyRevoked(_) => ("key.revoked", "吊销密钥", "key revoked"),
            Self::EvidenceDeposited(_) => ("evidence.deposited", "存证", "evidence deposited"),
            Self::NotarisationRegistered(_) => ("notarisation.registered", "登记公证", "notarisation registered"),
            Self::RetrievalMade(_) => ("retrieval.made", "司法调证", "judicial retrieval"),
            Self::AuditAnchored(_) => ("audit.anchored", "审计日志锚定", "audit log anchored"),
            Self::GovernanceChanged(_) => ("governance.changed", "联盟治理变更", "governance change"),
        };
        KindInfo { name, zh, en }
    }
}

/// What fills a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum SlotKind {
    /// A person's key signs.
    #[n(1)]
    Key,
    /// A seal is applied by a key authorised for it.
    #[n(2)]
    Seal,
}

/// A place in a contract that somebody must sign.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Slot {
    /// Key or seal.
    #[n(0)]
    pub kind: SlotKind,
    /// The key subject or seal subject.
    #[n(1)]
    pub subject: SubjectId,
    /// Role: 1 甲方, 2 乙方, 3 丙方, 4 丁方, 9 other.
    #[n(2)]
    pub role: u8,
    /// Order group: all needed signatures of lower groups come first. Same number: in parallel.
    #[n(3)]
    pub group: u8,
}

/// How many slots of an order group are enough (n of m). Groups without a rule need all of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GroupRule {
    /// The order group.
    #[n(0)]
    pub group: u8,
    /// Signatures needed, 1 ..= slots of the group.
    #[n(1)]
    pub required: u8,
}

/// Fields of `contract.opened`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractOpened {
    /// The initiator's key subject.
    #[n(0)]
    pub initiator: SubjectId,
    /// 1–32 slots.
    #[n(1)]
    pub slots: Vec<Slot>,
    /// n-of-m rules, groups ascending.
    #[n(2)]
    pub rules: Vec<GroupRule>,
    /// The contract that this one amends, if it is an amendment.
    #[n(3)]
    pub amends: Option<SubjectId>,
}

/// Fields of `contract.version_fixed`; the body commits `document.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractVersionFixed {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// Version number, one above the last (the first is 1).
    #[n(1)]
    pub version: u32,
}

/// Fields of `contract.signed`; the body commits `to_be_signed.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractSigned {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// Index of the slot in `contract.opened`.
    #[n(1)]
    pub slot: u8,
    /// The `document.sha256` commitment of the fixed version that the signer saw.
    #[n(2)]
    pub version: Hash32,
    /// The seal, for a seal slot.
    #[n(3)]
    pub seal: Option<SubjectId>,
}

/// A contract and one of its slots.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractSlotRef {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// Index of the slot.
    #[n(1)]
    pub slot: u8,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractRef {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
}

/// Fields of `contract.amended`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractAmended {
    /// The contract that is amended.
    #[n(0)]
    pub contract: SubjectId,
    /// The completed amendment, a contract whose opening names `contract`.
    #[n(1)]
    pub amendment: SubjectId,
}

/// A step of fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum FulfilmentStep {
    /// An obligation and its date are recorded 到期.
    #[n(1)]
    Due,
    /// It is performed 履行.
    #[n(2)]
    Performed,
    /// The other party accepts 验收.
    #[n(3)]
    Accepted,
    /// It is overdue 逾期.
    #[n(4)]
    Overdue,
}

/// Fields of `contract.fulfilment`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractFulfilment {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// Number of the obligation within the contract.
    #[n(1)]
    pub obligation: u16,
    /// The step.
    #[n(2)]
    pub step: FulfilmentStep,
}

/// Fields of `contract.disputed`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractDisputed {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// The court or arbitration body it goes to.
    #[n(1)]
    pub forum: OrgId,
}

/// Form of a ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RulingForm {
    /// 判决书, court.
    #[n(1)]
    Judgment,
    /// 裁定书, court.
    #[n(2)]
    Order,
    /// 调解书, court or arbitration.
    #[n(3)]
    Mediation,
    /// 裁决书, arbitration.
    #[n(4)]
    Award,
}

impl RulingForm {
    /// Chinese and English words for this form.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Judgment => ("判决书", "judgment"),
            Self::Order => ("裁定书", "order"),
            Self::Mediation => ("调解书", "mediation document"),
            Self::Award => ("裁决书", "award"),
        }
    }
}

/// What a ruling says about the contract as a whole; all else stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RulingEffect {
    /// Procedural 程序性: the dispute goes on.
    #[n(1)]
    Interim,
    /// The dispute is over, the contract is in force 有效.
    #[n(2)]
    InForce,
    /// The dispute is over, the contract is terminated 解除.
    #[n(3)]
    Terminated,
    /// The dispute is over, the contract is void 无效, 撤销.
    #[n(4)]
    Void,
}

/// Fields of `contract.ruled`; the body commits `number` (of the case) and `document.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContractRuled {
    /// The contract.
    #[n(0)]
    pub contract: SubjectId,
    /// The form.
    #[n(1)]
    pub form: RulingForm,
    /// What it says about the contract.
    #[n(2)]
    pub effect: RulingEffect,
}

/// Kind of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum SealKind {
    /// 公章
    #[n(1)]
    Official,
    /// 合同专用章
    #[n(2)]
    Contract,
    /// 财务专用章
    #[n(3)]
    Finance,
    /// 发票专用章
    #[n(4)]
    Invoice,
    /// 法定代表人名章
    #[n(5)]
    LegalRepresentative,
    /// 个人名章 or signature
    #[n(6)]
    Personal,
}

/// Fields of `seal.made`; the body commits `imprint.sha256` and `certificate.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealMade {
    /// The owner's key subject.
    #[n(0)]
    pub owner: SubjectId,
    /// The kind of seal.
    #[n(1)]
    pub kind: SealKind,
}

/// Fields of `seal.authorised`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealAuthorised {
    /// The seal.
    #[n(0)]
    pub seal: SubjectId,
    /// Who may use it: a key subject.
    #[n(1)]
    pub key: SubjectId,
    /// Uses allowed; absent: any number.
    #[n(2)]
    pub count: Option<u32>,
    /// Last height at which it may be used; absent: no end.
    #[n(3)]
    pub until: Option<Height>,
}

/// A seal and a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealKeyRef {
    /// The seal.
    #[n(0)]
    pub seal: SubjectId,
    /// The key subject.
    #[n(1)]
    pub key: SubjectId,
}

/// A seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealRef {
    /// The seal.
    #[n(0)]
    pub seal: SubjectId,
}

/// Fields of `key.registered`; the body commits `name`, `id_code` and `identity_check`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyRegistered {
    /// The key.
    #[n(0)]
    pub key: PublicKey,
    /// The organisation whose office attests to the holder's identity.
    #[n(1)]
    pub attestor: OrgId,
}

/// Fields of `key.rotated`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyRotated {
    /// The key subject, which stays.
    #[n(0)]
    pub subject: SubjectId,
    /// The new key.
    #[n(1)]
    pub key: PublicKey,
}

/// A key subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyRef {
    /// The key subject.
    #[n(0)]
    pub subject: SubjectId,
}

/// Fields of `evidence.deposited`; the body commits `document.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EvidenceDeposited {
    /// A subject that the deposit is about, if any.
    #[n(0)]
    pub about: Option<SubjectId>,
}

/// Fields of `notarisation.registered`; the body commits `number` and `document.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NotarisationRegistered {
    /// The contract or evidence that the deed is about.
    #[n(0)]
    pub subject: SubjectId,
}

/// Fields of `retrieval.made`; the body commits `number` (the case number).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RetrievalMade {
    /// The contracts retrieved, 1–4.
    #[n(0)]
    pub contracts: Vec<SubjectId>,
}

/// Fields of `audit.anchored`. The subject is [`SubjectId::of_audit_log`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AuditAnchored {
    /// The organisation.
    #[n(0)]
    pub organisation: OrgId,
    /// Entries in the log.
    #[n(1)]
    pub size: u64,
    /// Root of the log (RFC 9162, SHA-256).
    #[n(2)]
    pub root: Hash32,
}

/// Fields of `governance.changed`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GovernanceChanged {
    /// What changes.
    #[n(0)]
    pub change: Change,
}

/// A change of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// Admit or replace an organisation: an encoded and signed card (`docs/SPEC.md`, genesis).
    #[n(1)]
    PutOrganisation(#[n(0)] Bytes),
    /// Remove an organisation.
    #[n(2)]
    RemoveOrganisation(#[n(0)] OrgId),
    /// The next validator set, from the next epoch on.
    #[n(3)]
    SetValidators(#[n(0)] Vec<Validator>),
    /// New parameters: encoded `Params`.
    #[n(4)]
    SetParams(#[n(0)] Bytes),
    /// Protocol version with its activation height.
    #[n(5)]
    Upgrade(#[n(0)] u32, #[n(1)] Height),
}
