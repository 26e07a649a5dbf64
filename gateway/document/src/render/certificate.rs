//! The signing certificate 《电子合同签署证明》: what was signed, by whom, when, who confirmed it, how to
//! verify it, and what it does not show. Not to be confused with an X.509 certificate 数字证书.

use std::collections::BTreeMap;

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::{Deserialize, Serialize};

use super::{Job, Purpose, RenderError, Rendered, engine, render};

/// Name of the attached proof bundle.
pub const PROOF_FILE: &str = "proof.qzproof";
/// Name of the attached genesis document.
pub const GENESIS_FILE: &str = "genesis.qz";

/// Everything that a signing certificate lists. Hashes and keys are lower-case hexadecimal, times are
/// milliseconds since 1970 and shown in China Standard Time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateData {
    /// Number of this signing certificate.
    pub number: String,
    /// When it is issued.
    pub issued_ms: i64,
    /// Who issues it.
    pub issuer: Issuer,
    /// The contract and its final file.
    pub contract: ContractFacts,
    /// Who signed, in order.
    pub parties: Vec<SignedParty>,
    /// Where it is recorded and who confirmed it.
    pub chain: ChainFacts,
    /// A timestamp of a third party over the checkpoint, if there is one.
    pub timestamp: Option<TimestampFacts>,
    /// How to verify.
    pub verification: VerificationFacts,
}

/// The issuer of a signing certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Registered name.
    pub name: String,
    /// Unified social credit code.
    pub id_code: String,
    /// What it is in the consortium, e.g. 契证平台（联盟成员 · 平台方）.
    pub capacity: String,
}

/// A contract and its final file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractFacts {
    /// Title.
    pub name: String,
    /// Number.
    pub number: String,
    /// Subject id on the chain.
    pub subject: String,
    /// State in words, e.g. 已签署完成.
    pub state: String,
    /// Name of the final file.
    pub file_name: String,
    /// Pages of the final file.
    pub pages: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// SHA-256 of the version that the parties agreed on, before signatures.
    pub version_sha256: String,
}

/// A party that signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedParty {
    /// E.g. 甲方（买方）.
    pub role: String,
    /// Registered name, or the name of a person.
    pub name: String,
    /// E.g. 统一社会信用代码, or 身份证件号码（脱敏）.
    pub id_kind: String,
    /// The code, or the masked number.
    pub id_code: String,
    /// Handling person 经办人.
    pub handler: String,
    /// On what authority that person acted.
    pub authority: String,
    /// How the identity was checked.
    pub identity: Check,
    /// How the intent to sign was checked 意愿认证.
    pub intent: Check,
    /// Who holds the signing key.
    pub key: KeyFacts,
    /// The seal, if one was used.
    pub seal: Option<SealFacts>,
    /// The X.509 certificate of the signature.
    pub certificate: X509Facts,
    /// The signature and its record.
    pub signature: SignatureFacts,
}

/// A check of identity or intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// How.
    pub method: String,
    /// By whom.
    pub provider: String,
    /// When.
    pub at_ms: i64,
    /// From which network address.
    pub ip: String,
    /// With which device.
    pub device: String,
    /// A demonstration without an official source: shown as 演示核验.
    pub demo: bool,
}

/// Who holds a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyCustody {
    /// 平台托管.
    Platform,
    /// 签署人自持.
    Signer,
}

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Who holds the key of the PDF signature.
    pub seal_custody: KeyCustody,
    /// Who holds the key of the intent signature.
    pub intent_custody: KeyCustody,
    /// Algorithm of the intent signature, e.g. Ed25519.
    pub intent_algorithm: String,
    /// Public key of the intent signature.
    pub intent_key: String,
}

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealFacts {
    /// E.g. 合同专用章.
    pub name: String,
    /// Its code.
    pub code: String,
    /// State on the chain in words when it was used.
    pub state: String,
    /// A demonstration seal: shown as 演示印章.
    pub demo: bool,
}

/// An X.509 certificate 数字证书.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct X509Facts {
    /// Who issued it.
    pub ca: String,
    /// Whom it names.
    pub subject: String,
    /// Serial number.
    pub serial: String,
    /// First moment of validity.
    pub not_before_ms: i64,
    /// Last moment of validity.
    pub not_after_ms: i64,
    /// The CA is not a licensed one: shown as 非依法设立的电子认证服务提供者.
    pub demo: bool,
}

/// A signature and its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureFacts {
    /// Claimed local time, `/M` in the PDF.
    pub local_ms: i64,
    /// Digest that was signed in the PDF (ByteRange).
    pub digest: String,
    /// Record on the chain; its time is 上链时间.
    pub record: RecordFacts,
}

/// A record on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFacts {
    /// What it is, in words, e.g. 甲方签署.
    pub title: String,
    /// Kind, e.g. contract.signed.
    pub kind: String,
    /// Block height.
    pub height: u64,
    /// Index in the block.
    pub index: u64,
    /// Record hash.
    pub hash: String,
    /// Time of the block.
    pub time_ms: i64,
}

/// Where it is recorded and who confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFacts {
    /// Chain id.
    pub chain_id: String,
    /// Height of the block whose commit certificate is in the proof.
    pub height: u64,
    /// Id of that block.
    pub block_id: String,
    /// Its time.
    pub time_ms: i64,
    /// Members and whether each confirmed that block.
    pub organisations: Vec<ConfirmingOrganisation>,
    /// All records of the contract, in order.
    pub records: Vec<RecordFacts>,
}

/// A member of the consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmingOrganisation {
    /// Name.
    pub name: String,
    /// E.g. 平台方, 公证, 法院, 仲裁.
    pub role: String,
    /// Its consensus key.
    pub key: String,
    /// Whether its signature is in the commit certificate.
    pub confirmed: bool,
}

/// A timestamp of a third party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampFacts {
    /// Timestamp authority.
    pub authority: String,
    /// Serial number of the token.
    pub serial: String,
    /// Its time.
    pub at_ms: i64,
    /// A demonstration authority: shown as 演示时间戳.
    pub demo: bool,
}

/// How to verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationFacts {
    /// Address of the portal for this certificate: the QR code.
    pub portal_url: String,
    /// Command for offline verification.
    pub command: String,
    /// SHA-256 of the genesis document, to be compared with one from another source.
    pub genesis_hash: String,
}

/// Renders the signing certificate with `proof` attached as `proof.qzproof` and, if given, the genesis
/// document as `genesis.qz`. Anchor: `issuer`.
///
/// # Errors
/// See [`RenderError`].
pub fn signing_certificate(
    data: &CertificateData, proof: &[u8], genesis: Option<&[u8]>,
) -> Result<Rendered, RenderError> {
    let code = QrCode::with_error_correction_level(&data.verification.portal_url, EcLevel::M)
        .map_err(RenderError::QrCode)?
        .render::<svg::Color<'_>>()
        .quiet_zone(false)
        .dark_color(svg::Color("#16263d"))
        .light_color(svg::Color("#ffffff"))
        .build();
    let mut value = engine::with_times(data)?;
    value["with_genesis"] = genesis.is_some().into();
    value["proof_bytes"] = proof.len().into();
    let mut files = BTreeMap::from([("qr.svg", code.into_bytes()), (PROOF_FILE, proof.to_vec())]);
    if let Some(genesis) = genesis {
        files.insert(GENESIS_FILE, genesis.to_vec());
    }
    render(Job {
        template: include_str!("../../templates/certificate.typ"),
        data: value,
        files,
        identity: &format!("signing-certificate/{}", data.number),
        created_ms: data.issued_ms,
        purpose: Purpose::Document,
    })
}
