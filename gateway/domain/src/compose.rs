//! Composes the body of every kind of operation: clear fields, commitments with their openings, and who
//! must sign.

use crate::operation::RequiredActor;
use crate::refusal::Refusal;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractAmended, ContractDisputed, ContractFulfilment, ContractOpened, ContractRef, ContractSigned,
    ContractSlotRef, ContractVersionFixed, EvidenceDeposited, FulfilmentStep, KeyRegistered, Payload, SealAuthorised,
    SealKind, SealMade, SealRef,
};
use qz_evidence::submission::{Body, MAX_COMMITMENTS};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};

/// Name of the commitment to the handling person 经办人.
pub const HANDLER: &str = "handler";
/// Name of the commitment to the places of a signature's imprint.
pub const POSITIONS: &str = "positions";
/// Name of the commitment to the authority on which the handling person acts.
pub const AUTHORITY: &str = "authority";

/// What every body carries besides its content.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The ledger.
    pub chain_id: Hash32,
    /// 16 random bytes.
    pub id: SubmissionId,
    /// Last height at which it may be recorded.
    pub expiry: Height,
    /// The gateway's clock, milliseconds since 1970.
    pub claimed_time_ms: u64,
}

/// Who must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// The subject that the operation creates: a key signs for itself.
    Created,
    /// A key subject or an organisation's subject.
    Subject(SubjectId),
}

/// What an operation says, before it has an envelope and salts.
#[derive(Clone, Debug)]
pub struct Content {
    payload: Payload,
    values: Vec<(&'static str, Vec<u8>)>,
    actors: Vec<(Who, String)>,
}

/// A composed operation.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the actors sign.
    pub body: Body,
    /// What opens its commitments.
    pub openings: Vec<Opening>,
    /// Who must sign, in the order that the ledger wants.
    pub actors: Vec<RequiredActor>,
    /// The subject that it creates, if it creates one.
    pub created: Option<SubjectId>,
}

impl Content {
    fn new(payload: Payload) -> Self {
        Self { payload, values: vec![], actors: vec![] }
    }

    fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.values.push((name, value.as_ref().to_vec()));
        self
    }

    fn with_some(self, name: &'static str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn signed_by(mut self, subject: SubjectId, why: &str) -> Self {
        self.actors.push((Who::Subject(subject), why.to_owned()));
        self
    }

    fn signed_by_created(mut self, why: &str) -> Self {
        self.actors.push((Who::Created, why.to_owned()));
        self
    }

    /// The body, with one salt for each commitment.
    ///
    /// # Errors
    /// When there are more commitments than a body may have.
    pub fn draft(self, envelope: Envelope, mut salt: impl FnMut() -> [u8; 32]) -> Result<Draft, Refusal> {
        if self.values.len() > MAX_COMMITMENTS {
            return Err(Refusal::invalid("body.commitments", "承诺项过多", "too many commitments"));
        }
        let openings: Vec<Opening> =
            self.values.iter().map(|(name, value)| Opening::new(name, salt(), value)).collect();
        let creates = matches!(
            self.payload,
            Payload::ContractOpened(_)
                | Payload::SealMade(_)
                | Payload::KeyRegistered(_)
                | Payload::EvidenceDeposited(_)
        );
        let commitments = openings.iter().map(Opening::commitment).collect();
        let Envelope { chain_id, id, expiry, claimed_time_ms } = envelope;
        let body = Body::new(chain_id, id, expiry, self.payload, commitments, claimed_time_ms);
        let own = SubjectId::created_by(&chain_id, &body.digest());
        let actors = self.actors.into_iter().map(|(who, why)| RequiredActor {
            subject: match who {
                Who::Created => own,
                Who::Subject(subject) => subject,
            },
            why,
        });
        Ok(Draft { actors: actors.collect(), created: creates.then_some(own), body, openings })
    }
}

/// What is known about a key's holder.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Registered name, or the name of a person.
    pub name: String,
    /// Credit code or masked number.
    pub id_code: String,
    /// How the identity was checked.
    pub identity_check: String,
    /// When, from where and with what the registration was asked for.
    pub capture: String,
}

/// `key.registered`: signed by the new key itself and by the attestor's office.
pub fn key_registered(chain_id: &Hash32, key: PublicKey, attestor: OrgId, holder: &Holder) -> Content {
    let office = SubjectId::of_organisation(chain_id, &attestor);
    Content::new(Payload::KeyRegistered(KeyRegistered { key, attestor }))
        .with(name::NAME, &holder.name)
        .with(name::ID_CODE, &holder.id_code)
        .with(name::IDENTITY_CHECK, &holder.identity_check)
        .with(name::CAPTURE, &holder.capture)
        .signed_by_created("证明持有所登记的密钥")
        .signed_by(office, "核验并证明持有人身份")
}

/// `seal.made`: signed by the owner.
pub fn seal_made(
    owner: SubjectId, kind: SealKind, seal_name: &str, imprint_sha256: &Hash32, certificate_sha256: &Hash32,
) -> Content {
    Content::new(Payload::SealMade(SealMade { owner, kind }))
        .with(name::NAME, seal_name)
        .with(name::IMPRINT, imprint_sha256.0)
        .with(name::CERTIFICATE, certificate_sha256.0)
        .signed_by(owner, "印章所有人同意制作印章")
}

/// What a seal's owner may decide about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealDecision {
    /// 停用.
    Suspend,
    /// 恢复.
    Resume,
    /// 销毁.
    Destroy,
}

/// `seal.suspended`, `.resumed`, `.destroyed`: signed by the owner.
pub fn seal_decided(seal: SubjectId, owner: SubjectId, decision: SealDecision, reason: &str) -> Content {
    let fields = SealRef { seal };
    let (payload, why) = match decision {
        SealDecision::Suspend => (Payload::SealSuspended(fields), "印章所有人停用印章"),
        SealDecision::Resume => (Payload::SealResumed(fields), "印章所有人恢复印章"),
        SealDecision::Destroy => (Payload::SealDestroyed(fields), "印章所有人销毁印章"),
    };
    Content::new(payload).with(name::DESCRIPTION, reason).signed_by(owner, why)
}

/// `seal.authorised`: signed by the owner.
pub fn seal_authorised(
    seal: SubjectId, owner: SubjectId, key: SubjectId, count: Option<u32>, until: Option<Height>,
) -> Content {
    Content::new(Payload::SealAuthorised(SealAuthorised { seal, key, count, until }))
        .signed_by(owner, "印章所有人授权用印")
}

/// `contract.opened`: signed by the initiator.
pub fn contract_opened(fields: ContractOpened, title: &str, number: &str) -> Content {
    let initiator = fields.initiator;
    Content::new(Payload::ContractOpened(fields))
        .with(name::TITLE, title)
        .with(name::NUMBER, number)
        .signed_by(initiator, "发起人发起合同")
}

/// `contract.version_fixed`: signed by the initiator.
pub fn version_fixed(contract: SubjectId, version: u32, initiator: SubjectId, document: &Hash32) -> Content {
    Content::new(Payload::ContractVersionFixed(ContractVersionFixed { contract, version }))
        .with(name::DOCUMENT, document.0)
        .signed_by(initiator, "发起人固定待签文本")
}

/// What a signer agrees to.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The words with which the signer agrees.
    pub words: String,
    /// When, from where and with what the signature was asked for.
    pub capture: String,
    /// Handling person 经办人, if it is somebody else than the key's holder.
    pub handler: Option<String>,
    /// On what authority.
    pub authority: Option<String>,
}

/// `contract.signed`: signed by the slot's key, or a key that may use the slot's seal.
/// `certificate` is the X.509 certificate of a person's slot; a seal's stands in its `seal.made`. `positions`
/// (JSON) is where the imprint stands.
pub fn contract_signed(
    fields: ContractSigned, key: SubjectId, to_be_signed: &Hash32, certificate: Option<&Hash32>, intent: &Intent,
    positions: &str,
) -> Content {
    let why = if fields.seal.is_some() {
        "用印人同意签署本合同并用印"
    } else {
        "签署人同意签署本合同"
    };
    Content::new(Payload::ContractSigned(fields))
        .with(name::TO_BE_SIGNED, to_be_signed.0)
        .with(name::INTENT, &intent.words)
        .with(POSITIONS, positions)
        .with(name::CAPTURE, &intent.capture)
        .with_some(name::CERTIFICATE, certificate.map(|digest| digest.0))
        .with_some(HANDLER, intent.handler.as_ref())
        .with_some(AUTHORITY, intent.authority.as_ref())
        .signed_by(key, why)
}

/// `contract.declined`: signed as for signing.
pub fn contract_declined(contract: SubjectId, slot: u8, key: SubjectId, reason: &str) -> Content {
    Content::new(Payload::ContractDeclined(ContractSlotRef { contract, slot }))
        .with(name::DESCRIPTION, reason)
        .signed_by(key, "签署人拒签")
}

/// `contract.disputed`: signed by a party.
pub fn contract_disputed(contract: SubjectId, forum: OrgId, key: SubjectId, reason: &str) -> Content {
    Content::new(Payload::ContractDisputed(ContractDisputed { contract, forum }))
        .with(name::DESCRIPTION, reason)
        .signed_by(key, "合同一方提出争议")
}

/// `contract.completed`: no actor, the platform relays.
pub fn contract_completed(contract: SubjectId, final_file: &Hash32) -> Content {
    Content::new(Payload::ContractCompleted(ContractRef { contract })).with(name::DOCUMENT, final_file.0)
}

/// `contract.amended`: signed by the initiator of the original.
pub fn contract_amended(contract: SubjectId, amendment: SubjectId, initiator: SubjectId) -> Content {
    Content::new(Payload::ContractAmended(ContractAmended { contract, amendment }))
        .signed_by(initiator, "原合同发起人确认变更生效")
}

/// `contract.fulfilment`: signed by a party's key.
pub fn contract_fulfilment(
    contract: SubjectId, obligation: u16, step: FulfilmentStep, key: SubjectId, description: &str,
    receipt: Option<&Hash32>,
) -> Content {
    Content::new(Payload::ContractFulfilment(ContractFulfilment { contract, obligation, step }))
        .with(name::DESCRIPTION, description)
        .with_some(name::RECEIPT, receipt.map(|digest| digest.0))
        .signed_by(key, "合同一方确认履约情况")
}

/// `evidence.deposited` of the X.509 certificate with which this platform seals signing certificates: no
/// actor, the platform relays. It ties the issuer's PDF signature to a member of the consortium.
pub fn issuer_deposited(certificate: &Hash32) -> Content {
    Content::new(Payload::EvidenceDeposited(EvidenceDeposited { about: None }))
        .with(name::DOCUMENT, certificate.0)
        .with(name::CERTIFICATE, certificate.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn envelope() -> Envelope {
        Envelope { chain_id: Hash32([1; 32]), id: SubmissionId([2; 16]), expiry: Height(9), claimed_time_ms: 5 }
    }

    #[test]
    fn openings_open_the_commitments_and_the_key_signs_for_itself() {
        let holder = Holder {
            name: "北京示例科技有限公司".into(),
            id_code: "91110108MA00DEM14Q".into(),
            identity_check: "演示核验".into(),
            capture: "{}".into(),
        };
        let chain = Hash32([1; 32]);
        let notary = OrgId::new("notary").unwrap();
        let content = key_registered(&chain, PublicKey::ed25519([3; 32]), notary.clone(), &holder);
        let mut salt = 0;
        let draft = content
            .draft(envelope(), || {
                salt += 1;
                [salt; 32]
            })
            .unwrap();
        assert_eq!(draft.body.commitments.len(), 4);
        for opening in &draft.openings {
            assert_eq!(draft.body.commitment(&opening.name), Some(&opening.commitment().hash));
        }
        let created = SubjectId::created_by(&chain, &draft.body.digest());
        assert_eq!(draft.created, Some(created));
        let signers: Vec<_> = draft.actors.iter().map(|actor| actor.subject).collect();
        assert_eq!(signers, [created, SubjectId::of_organisation(&chain, &notary)]);
    }

    #[test]
    fn completion_needs_no_actor_and_creates_nothing() {
        let contract = SubjectId(Hash32([7; 32]));
        let draft = contract_completed(contract, &Hash32([8; 32])).draft(envelope(), || [0; 32]).unwrap();
        assert!(draft.actors.is_empty() && draft.created.is_none());
        assert!(draft.body.commitment(name::DOCUMENT).is_some());
    }
}
