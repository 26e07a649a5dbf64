//! Issues the signing certificate 《电子合同签署证明》: facts from a verified proof, never from the database.

use crate::app::App;
use crate::change::Change;
use crate::clock::{now_ms, signed};
use crate::documents;
use crate::error::{ServiceError, blocking};
use crate::ledger::VerifiedBundle;
use crate::{issuer, key_service, proofs};
use qz_document::ca::summarise;
use qz_document::render::{
    CertificateData, ChainFacts, Check, ConfirmingOrganisation, ContractFacts, Issuer, KeyCustody, KeyFacts,
    RecordFacts, SealFacts, SignatureFacts, SignedParty, TimestampFacts, VerificationFacts, X509Facts,
    signing_certificate,
};
use qz_domain::Refusal;
use qz_domain::contract::{Request, role_words};
use qz_domain::identity;
use qz_domain::proven::{ProvenContract, ProvenRecord, ProvenSignature};
use qz_evidence::genesis::{Genesis, Role};
use qz_evidence::keys::Algorithm;
use qz_evidence::payload::Payload;
use qz_evidence::verify::Report;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::certificates::Certificate;
use qz_storage::contracts::Contract;
use qz_storage::documents::Document;
use serde::Deserialize;

/// Letters and digits of certificate numbers, without those that look alike.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Makes a certificate of this number for a completed contract: the rows to be written.
pub async fn issue(app: &App, row: &Contract, number: &str) -> Result<Change, ServiceError> {
    let contract = crate::contracts::domain(row)?;
    contract.admit(Request::Certify)?;
    let final_id = row.final_document.clone().ok_or_else(|| ServiceError::Damaged("no final document".into()))?;
    let final_file = documents::get(app, &final_id).await?;
    let deposit = issuer::deposit(app).await?;
    let verified = proofs::anchored(app, proofs::of_contract(app, row, &[deposit]).await?).await?;
    let shown = verified.report.subjects.iter().find(|report| report.subject == contract.subject);
    if !shown.is_some_and(|report| report.complete) {
        return Err(ServiceError::NotYet(format!("every record of contract {}", contract.subject)));
    }
    let proven = ProvenContract::read(&verified.bundle, contract.subject)?;
    if proven.final_sha256.0 != final_file.sha256 {
        return Err(ServiceError::Proof("the ledger names another final file".into()));
    }
    let now = now_ms();
    let data = facts(app, &proven, &verified, &final_file, number, now)?;
    let (proof, genesis) = (verified.bytes.clone(), app.ledger.genesis().bytes().to_vec());
    let rendered = blocking(move || signing_certificate(&data, &proof, Some(&genesis))).await?;
    let pdf = key_service::sign_certificate(app, rendered, now).await?;
    let document = documents::store_pdf(app, pdf, Some(format!("电子合同签署证明-{number}.pdf"))).await?;
    let proof = documents::store_other(app, verified.bytes, Some(format!("{number}.qzproof"))).await?;
    let certificate = Certificate {
        number: number.to_owned(),
        contract: row.id.clone(),
        document: document.id.clone(),
        proof_document: proof.id.clone(),
        created_ms: now,
    };
    Ok(Change { documents: vec![document, proof], certificates: vec![certificate], ..Change::default() })
}

/// `QZ-2026-` and eight random characters: 40 bits, not to be guessed from others.
pub fn number(now: u64) -> String {
    let year = &crate::clock::rfc3339(now)[..4];
    let random = crate::authority::random::<8>();
    let text: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    format!("QZ-{year}-{text}")
}

fn facts(
    app: &App, proven: &ProvenContract, verified: &VerifiedBundle, final_file: &Document, number: &str, now: u64,
) -> Result<CertificateData, ServiceError> {
    let genesis = app.ledger.genesis();
    let issuer = &app.config.issuer;
    let parties = proven.signatures.iter().map(|signature| party(proven, verified, genesis, signature));
    let contract = proven.records[proven.own[0]].record.links[0].subject;
    let state = verified.report.subjects.iter().find(|report| report.subject == contract);
    Ok(CertificateData {
        number: number.to_owned(),
        issued_ms: signed(now),
        issuer: Issuer {
            name: issuer.name.clone(),
            id_code: issuer.id_code.clone(),
            capacity: "联盟成员（平台方）· 演示机构".into(),
        },
        contract: ContractFacts {
            name: proven.title.clone(),
            number: proven.number.clone(),
            subject: contract.to_string(),
            state: state.map_or("已完成", |report| report.status_zh).to_owned(),
            file_name: format!("{}-{}.pdf", proven.title, proven.number),
            pages: final_file.pages.as_array().map_or(0, Vec::len) as u64,
            bytes: final_file.size,
            sha256: proven.final_sha256.to_string(),
            version_sha256: proven.version_sha256.to_string(),
        },
        parties: parties.collect::<Result<_, _>>()?,
        chain: chain(proven, verified, genesis)?,
        timestamp: timestamp(&verified.report),
        verification: VerificationFacts {
            portal_url: format!("{}/verify?no={number}", app.config.portal_url),
            command: "qz-verify certificate.pdf --genesis genesis.qz".into(),
            genesis_hash: qz_evidence::hash::sha256(&[genesis.bytes()]).to_string(),
        },
    })
}

/// The timestamp over the checkpoint; its signature was verified, whom to trust is the reader's choice.
fn timestamp(report: &Report) -> Option<TimestampFacts> {
    let anchor = report.anchors.first()?;
    Some(TimestampFacts {
        authority: anchor.tsa.clone(),
        serial: anchor.serial.clone(),
        at_ms: signed(anchor.tsa_time_ms),
        demo: anchor.tsa.contains("演示"),
    })
}

fn chain(proven: &ProvenContract, verified: &VerifiedBundle, genesis: &Genesis) -> Result<ChainFacts, ServiceError> {
    let report = &verified.report;
    let head = report.head.as_ref().ok_or_else(|| ServiceError::Proof("the report names no head block".into()))?;
    let validators = genesis.organisations().iter().filter(|organisation| organisation.validator.is_some());
    let organisations = validators.map(|organisation| ConfirmingOrganisation {
        name: organisation.name_zh.clone(),
        role: organisation.roles.iter().find_map(|role| role_name(*role)).unwrap_or("成员").to_owned(),
        key: organisation.validator.as_ref().map(|card| card.consensus_key.to_string()).unwrap_or_default(),
        confirmed: report.finalised_by.iter().any(|finaliser| finaliser.org == organisation.id),
    });
    Ok(ChainFacts {
        chain_id: genesis.chain_id().to_string(),
        height: head.height.0,
        block_id: head.block_id.to_string(),
        time_ms: signed(head.time_ms),
        organisations: organisations.collect(),
        records: proven.own.iter().map(|index| record_facts(proven, &proven.records[*index])).collect(),
    })
}

fn role_name(role: Role) -> Option<&'static str> {
    match role {
        Role::Platform => Some("平台方"),
        Role::Notary => Some("公证"),
        Role::Court => Some("法院"),
        Role::Arbitration => Some("仲裁"),
        Role::Attestor | Role::Observer => None,
    }
}

fn record_facts(proven: &ProvenContract, record: &ProvenRecord) -> RecordFacts {
    let kind = record.payload().kind();
    let role = match record.payload() {
        Payload::ContractSigned(fields) => {
            let signature = proven.signatures.iter().find(|signature| signature.slot_index == fields.slot);
            signature.map_or("", |signature| role_words(signature.slot.role))
        }
        _ => "",
    };
    RecordFacts {
        title: format!("{role}{}", kind.zh),
        kind: kind.name.to_owned(),
        height: record.record.height.0,
        index: u64::from(record.record.index),
        hash: record.hash.to_string(),
        time_ms: signed(record.time_ms),
    }
}

/// When, from where and with what something was asked for, as the gateway committed it.
#[derive(Default, Deserialize)]
struct Capture {
    #[serde(default)]
    time_ms: u64,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    device: String,
}

fn capture(text: Option<&String>) -> Capture {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn or_unknown(text: String) -> String {
    if text.is_empty() { "未提供".to_owned() } else { text }
}

fn party(
    proven: &ProvenContract, verified: &VerifiedBundle, genesis: &Genesis, signature: &ProvenSignature,
) -> Result<SignedParty, ServiceError> {
    let record = &proven.records[signature.record];
    let seal = signature_seal(proven, signature);
    // The party is who owns the seal, or who signs in person.
    let party_subject = seal.map_or(signature.key, |(_, seal)| seal.owner);
    let party = key_of(proven, &party_subject)?;
    let actor = key_of(proven, &signature.key)?;
    let owner_acts = party_subject == signature.key;
    let x509 = certificate_of(proven, verified, signature)?;
    let identity_capture = capture(party.capture.as_ref());
    let intent_capture = capture(signature.capture.as_ref());
    let attestor = genesis.organisation(&party.attestor).map_or(party.attestor.as_str(), |o| o.name_zh.as_str());
    let default_handler = if owner_acts { party.name.clone() } else { actor.name.clone() };
    let default_authority = match (seal.is_some(), owner_acts) {
        (true, true) => "印章所有人以其自持密钥用印",
        (true, false) => "印章所有人的链上用印授权",
        (false, _) => "本人签署",
    };
    Ok(SignedParty {
        role: role_words(signature.slot.role).to_owned(),
        name: party.name.clone(),
        id_kind: identity::kind(&party.id_code).words().to_owned(),
        id_code: party.id_code.clone(),
        handler: declared(signature.handler.as_ref()).unwrap_or(default_handler),
        authority: declared(signature.authority.as_ref()).unwrap_or_else(|| default_authority.to_owned()),
        identity: Check {
            method: party.identity_check.clone(),
            provider: format!("{attestor}（联盟成员）"),
            at_ms: signed(party.time_ms),
            ip: or_unknown(identity_capture.ip),
            device: format!("设备 {}", or_unknown(identity_capture.device)),
            demo: true,
        },
        intent: Check {
            method: format!("签署人以自持密钥对正文摘要签名：“{}”", signature.intent),
            provider: "签署人的客户端".into(),
            at_ms: signed(if intent_capture.time_ms == 0 { record.time_ms } else { intent_capture.time_ms }),
            ip: or_unknown(intent_capture.ip),
            device: format!("设备 {}", or_unknown(intent_capture.device)),
            demo: true,
        },
        key: KeyFacts {
            seal_custody: KeyCustody::Platform,
            intent_custody: KeyCustody::Signer,
            intent_algorithm: match actor.key.algorithm {
                Algorithm::Ed25519 => "Ed25519",
                Algorithm::Es256 => "ECDSA P-256",
                Algorithm::WebAuthn => "WebAuthn",
            }
            .to_owned(),
            intent_key: hex::encode(&actor.key.bytes.0),
        },
        seal: seal.map(|(subject, seal)| SealFacts {
            name: seal.name.clone(),
            code: subject.to_string()[..16].to_owned(),
            // The ledger refuses the use of any other.
            state: "有效".into(),
            demo: true,
        }),
        certificate: x509,
        signature: SignatureFacts {
            local_ms: signed(record.parsed.body().claimed_time_ms),
            digest: signature.to_be_signed.to_string(),
            record: record_facts(proven, record),
        },
    })
}

/// What the caller said and nobody checked.
fn declared(text: Option<&String>) -> Option<String> {
    text.map(|text| format!("{text}（申报 declared）"))
}

fn signature_seal<'a>(
    proven: &'a ProvenContract, signature: &ProvenSignature,
) -> Option<(SubjectId, &'a qz_domain::proven::ProvenSeal)> {
    let subject = signature.slot.subject;
    proven.seals.get(&subject).map(|seal| (subject, seal))
}

fn key_of<'a>(
    proven: &'a ProvenContract, subject: &SubjectId,
) -> Result<&'a qz_domain::proven::ProvenKey, ServiceError> {
    let found = proven.keys.get(subject).ok_or_else(|| {
        Refusal::missing("proof.incomplete", "证明中缺少签署密钥的登记记录", format!("the proof lacks key {subject}"))
    })?;
    Ok(found)
}

/// The X.509 certificate that the proof binds to the seal, or to this signature of a person.
fn certificate_of(
    proven: &ProvenContract, verified: &VerifiedBundle, signature: &ProvenSignature,
) -> Result<X509Facts, ServiceError> {
    let made = |record: &ProvenRecord| {
        matches!(record.payload(), Payload::SealMade(_))
            && record.record.links.first().is_some_and(|link| link.subject == signature.slot.subject)
    };
    let binding = proven.records.iter().position(made).unwrap_or(signature.record);
    let bound: Option<Hash32> = proven.records[binding].digest(qz_evidence::commitment::name::CERTIFICATE);
    let entries = verified.bundle.certificates.iter();
    let leaf = entries.filter(|entry| usize::try_from(entry.entry) == Ok(binding)).find_map(|e| e.chain.first());
    let leaf = leaf.filter(|leaf| bound == Some(qz_evidence::hash::sha256(&[leaf])));
    let leaf = leaf.ok_or_else(|| ServiceError::Proof("a signature has no bound X.509 certificate".into()))?;
    let summary = summarise(leaf)?;
    Ok(X509Facts {
        ca: summary.issuer_common_name,
        subject: summary.common_name,
        serial: summary.serial,
        not_before_ms: summary.not_before_ms,
        not_after_ms: summary.not_after_ms,
        demo: true,
    })
}
