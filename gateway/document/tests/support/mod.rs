//! Shared by tests and the showcase: a demo CA, signers, sample facts, and the independent checkers.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod classic;
pub mod forms;
pub mod ltv;

use std::path::Path;
use std::process::Command;

use qz_document::ca::{self, CertificateAuthority, KeyAlgorithm, LeafRequest, SealKey, Subject};
use qz_document::cms::SignerCertificate;
use qz_document::render::{
    CertificateData, ChainFacts, Check, ConfirmingOrganisation, ContractFacts, Issuer, KeyCustody, KeyFacts,
    RecordFacts, SealFacts, SignatureFacts, SignedParty, TimestampFacts, VerificationFacts, X509Facts, sample,
};
use qz_document::seal::Imprint;
use qz_document::{cms, sign};
use sha2::{Digest, Sha256};

/// 2026-11-22 10:00 in China.
pub const NOW_MS: i64 = 1_795_312_800_000;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

pub struct Signer {
    pub key: SealKey,
    pub certificate: Vec<u8>,
}

pub struct Demo {
    pub ca: CertificateAuthority,
    pub buyer: Signer,
    pub seller: Signer,
    pub person: Signer,
    pub issuer: Signer,
}

impl Demo {
    pub fn new() -> Self {
        Self::with_keys(KeyAlgorithm::EcdsaP256)
    }

    /// The CA and everybody with keys of this kind.
    pub fn with_keys(algorithm: KeyAlgorithm) -> Self {
        let ca = CertificateAuthority::create(
            SealKey::generate_for(algorithm).unwrap(),
            NOW_MS - 5 * YEAR_MS,
            NOW_MS + 30 * YEAR_MS,
            [1; 16],
        )
        .unwrap();
        let leaf = |serial: u8, subject: Subject<'_>| {
            let key = SealKey::generate_for(algorithm).unwrap();
            let certificate = ca
                .issue(&LeafRequest {
                    subject,
                    public_key_der: &key.public_key_der().unwrap(),
                    not_before_ms: NOW_MS - 4 * YEAR_MS,
                    not_after_ms: NOW_MS + 20 * YEAR_MS,
                    serial: [serial; 16],
                })
                .unwrap();
            Signer { key, certificate }
        };
        let seal = |organisation, credit_code| Subject::Seal { organisation, credit_code, seal: "合同专用章" };
        Self {
            buyer: leaf(2, seal(sample::BUYER, "91110108MA00DEM14Q")),
            seller: leaf(3, seal(sample::SELLER, "91310115MA1KDEM22C")),
            person: leaf(4, Subject::Person { name: "周雅文", organisation: Some(sample::SELLER) }),
            issuer: leaf(5, seal("契证演示平台", "91110105MA01DEM31Q")),
            ca,
        }
    }

    pub fn ca_pem(&self) -> String {
        ca::to_pem(self.ca.certificate_der()).unwrap()
    }

    /// Both steps of a signature.
    pub fn sign(&self, pdf: &[u8], signer: &Signer, request: &sign::FieldRequest<'_>) -> Vec<u8> {
        self.try_sign(pdf, signer, request).unwrap()
    }

    /// The same for a file that may be refused.
    pub fn try_sign(
        &self, pdf: &[u8], signer: &Signer, request: &sign::FieldRequest<'_>,
    ) -> Result<Vec<u8>, sign::SignError> {
        let prepared = sign::prepare(pdf, request)?;
        let chain = [self.ca.certificate_der().to_vec()];
        let cms = cms::sign(&signer.digest(&prepared), &signer.key, &signer.certificate, &chain).unwrap();
        sign::complete(&prepared, &cms)
    }
}

impl Signer {
    /// What this signer's key wants of a revision.
    pub fn digest(&self, prepared: &sign::Prepared) -> [u8; 32] {
        let own = SignerCertificate { certificate_der: &self.certificate, chain_ders: &[] };
        prepared.digest_by(own.hash().unwrap()).unwrap()
    }
}

pub fn request<'a>(field_name: &'a str, imprint: &'a Imprint, signer_name: &'a str) -> sign::FieldRequest<'a> {
    sign::FieldRequest {
        field_name,
        page: 1,
        x_mm: 20.0,
        y_mm: 20.0,
        imprint,
        caption: None,
        signer_name,
        reason: "同意并签署本合同",
        time_ms: NOW_MS,
        policy: sign::Policy::Approval,
    }
}

/// Runs an independent checker; its absence is a failure.
pub fn oracle(arguments: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles.sh");
    let output = Command::new(script).args(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(3), "a checker is missing: {text}");
    (output.status.success(), text)
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Plausible facts for a signing certificate over `contract_pdf`.
pub fn certificate_data(demo: &Demo, contract_pdf: &[u8]) -> CertificateData {
    let record = |title: &str, kind: &str, height: u64, at: i64| RecordFacts {
        title: title.into(),
        kind: kind.into(),
        height,
        index: 0,
        hash: digest(&format!("{kind}{height}")),
        time_ms: NOW_MS + at,
    };
    let records = vec![
        record("合同建立", "contract.opened", 41, 1_000),
        record("定稿", "contract.version_fixed", 42, 4_000),
        record("甲方签署用印", "contract.signed", 44, 61_000),
        record("乙方签署用印", "contract.signed", 47, 185_000),
        record("签署完成", "contract.completed", 48, 187_000),
    ];
    let organisation = |name: &str, role: &str, confirmed| ConfirmingOrganisation {
        name: name.into(),
        role: role.into(),
        key: digest(name),
        confirmed,
    };
    let party = |index: usize, signer: &Signer| {
        let party = &sample::parties()[index];
        let certificate = ca::summarise(&signer.certificate).unwrap();
        let at = if index == 0 { 55_000 } else { 180_000 };
        let check = |method: &str, provider: &str, before: i64| Check {
            method: method.into(),
            provider: provider.into(),
            at_ms: NOW_MS + at - before,
            ip: if index == 0 { "203.0.113.18" } else { "198.51.100.7" }.into(),
            device: "演示客户端 1.0 / Linux".into(),
            demo: true,
        };
        SignedParty {
            role: party.role.clone(),
            name: party.name.clone(),
            id_kind: "统一社会信用代码".into(),
            id_code: party.id_code.clone(),
            handler: party.handler.clone(),
            authority: "法定代表人授权书（2026-11-20），限签署本合同".into(),
            identity: check("营业执照与经办人身份比对", "演示公证处（联盟成员）", 3_600_000),
            intent: check("经办人自持密钥对合同摘要签名", "签署软件", 2_000),
            key: KeyFacts {
                seal_custody: KeyCustody::Platform,
                intent_custody: KeyCustody::Signer,
                intent_algorithm: "Ed25519".into(),
                intent_key: digest(&party.name),
            },
            seal: Some(SealFacts {
                name: "合同专用章".into(),
                code: format!("1101080{index}26001"),
                state: "正常".into(),
                demo: true,
            }),
            certificate: X509Facts {
                ca: certificate.issuer_common_name,
                subject: certificate.common_name,
                serial: certificate.serial,
                not_before_ms: certificate.not_before_ms,
                not_after_ms: certificate.not_after_ms,
                demo: true,
            },
            signature: SignatureFacts {
                local_ms: NOW_MS + at,
                digest: digest(&party.address),
                record: records[2 + index].clone(),
            },
        }
    };
    CertificateData {
        number: "QZ-CERT-2026-000128".into(),
        issued_ms: NOW_MS + 240_000,
        issuer: Issuer {
            name: "契证演示平台".into(),
            id_code: "91110105MA01DEM31Q".into(),
            capacity: "联盟成员（平台方）· 演示机构".into(),
        },
        contract: ContractFacts {
            name: "设备采购合同".into(),
            number: "SL-CG-2026-1122".into(),
            subject: digest("subject"),
            state: "各方已签署完成".into(),
            file_name: "设备采购合同-SL-CG-2026-1122.pdf".into(),
            pages: 4,
            bytes: contract_pdf.len() as u64,
            sha256: hex::encode(Sha256::digest(contract_pdf)),
            version_sha256: digest("version"),
        },
        parties: vec![party(0, &demo.buyer), party(1, &demo.seller)],
        chain: ChainFacts {
            chain_id: digest("chain"),
            height: 48,
            block_id: digest("block"),
            time_ms: NOW_MS + 187_000,
            organisations: vec![
                organisation("契证演示平台", "平台方", true),
                organisation("演示公证处", "公证", true),
                organisation("演示互联网法院", "法院", true),
                organisation("演示仲裁委员会", "仲裁", false),
            ],
            records,
        },
        timestamp: None,
        verification: VerificationFacts {
            portal_url: "http://localhost:8088/portal/certificates/QZ-CERT-2026-000128".into(),
            command: "qz-verify certificate.pdf --genesis genesis.qz".into(),
            genesis_hash: digest("genesis"),
        },
    }
}

/// The same with everything unusual at once: a person without a seal, a timestamp, long texts.
pub fn unusual_certificate_data(demo: &Demo, contract_pdf: &[u8]) -> CertificateData {
    let mut data = certificate_data(demo, contract_pdf);
    let mut person = data.parties[1].clone();
    person.role = "丙方（保证人）".into();
    person.name = "周雅文".into();
    person.id_kind = "身份证件号码（脱敏）".into();
    person.id_code = "310115********0025".into();
    person.authority = "本人".into();
    person.seal = None;
    person.key.seal_custody = KeyCustody::Signer;
    person.identity.demo = false;
    data.parties.push(person);
    data.parties[0].name = "内蒙古自治区呼和浩特市示例农牧业生产资料供应链管理有限责任公司".into();
    data.parties[0].identity.device =
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140".into();
    data.contract.name = "关于内蒙古示例数据中心（一期）机电设备及智能化系统采购、安装与维护的框架合同".into();
    data.timestamp = Some(TimestampFacts {
        authority: "演示时间戳机构 Qizheng Demo TSA".into(),
        serial: digest("serial")[..32].into(),
        at_ms: NOW_MS + 188_000,
        demo: true,
    });
    let more = data.chain.organisations.clone();
    data.chain.organisations.extend(more);
    let mut more = data.chain.records.clone();
    more.extend(data.chain.records.clone());
    data.chain.records.extend(more);
    data.chain.records.truncate(14);
    data.verification.portal_url = "https://portal.example.org/verify?no=QZ-CERT-2026-000128".into();
    data
}

/// Plausible facts for a report on a seal with so many uses.
pub fn seal_report_data(uses: u32) -> qz_document::render::SealReportData {
    use qz_document::render::{
        ReportNote, ReportedAuthorisation, ReportedChange, ReportedSeal, ReportedUse, SealReportData,
    };
    let record = |title: &str, kind: &str, height: u64| RecordFacts {
        title: title.into(),
        kind: kind.into(),
        height,
        index: 0,
        hash: digest(&format!("{kind}{height}")),
        time_ms: NOW_MS + i64::try_from(height).unwrap() * 1_000,
    };
    let authorisation =
        |number: u32, holder: Option<&str>, count, until, standing: (&str, &str)| ReportedAuthorisation {
            number,
            holder: holder.map(str::to_owned),
            key: digest(&format!("key {number}")),
            count,
            until,
            used: if number == 1 { uses / 2 } else { 0 },
            standing: standing.0.into(),
            standing_en: standing.1.into(),
            record: record("授权用印", "seal.authorised", 20 + u64::from(number)),
        };
    let seal_use = |number: u32| ReportedUse {
        number,
        title: (!number.is_multiple_of(5)).then(|| "设备采购合同".to_owned()),
        contract_number: (!number.is_multiple_of(5)).then(|| format!("QF-2026-{number:04}")),
        contract: digest(&format!("contract {number}")),
        slot: number % 2,
        digest: (!number.is_multiple_of(5)).then(|| digest(&format!("signed {number}"))),
        position: (!number.is_multiple_of(5))
            .then(|| "第 3 页，左下角 (59.0, 203.5) mm，40 × 40 mm；骑缝章 3 页；说明".to_owned()),
        signer: (!number.is_multiple_of(5))
            .then(|| if number.is_multiple_of(2) { "陈思齐" } else { sample::BUYER }.to_owned()),
        key: digest(&format!("key {}", number % 2)),
        authorisation: number.is_multiple_of(2).then_some(1),
        record: record("签署", "contract.signed", 100 + u64::from(number)),
    };
    SealReportData {
        number: "SR-2F6A90C1D3B4-000260".into(),
        made_ms: NOW_MS + 400_000,
        issuer: Issuer {
            name: "契证演示平台".into(),
            id_code: "91110105MA01DEM31Q".into(),
            capacity: "联盟成员（平台方）· 演示机构".into(),
        },
        software: "qz-gateway/0.1.0".into(),
        chain_id: digest("chain"),
        chain_name: "契证演示联盟".into(),
        head_height: 260,
        head_ms: NOW_MS + 260_000,
        head_block: digest("head"),
        records_total: u64::from(uses) + 7,
        seal: ReportedSeal {
            name: "合同专用章".into(),
            kind: "合同专用章".into(),
            subject: digest("seal"),
            status: "有效".into(),
            status_en: "active".into(),
            owner: sample::BUYER.into(),
            owner_code: "91110108MA00DEM14Q".into(),
            owner_key: digest("key 1"),
            maker: "契证演示平台（制章人证书 SM2，演示）".into(),
            imprint_sha256: digest("imprint"),
            certificate_issuer: "契证演示根证书 Qizheng Demo Root".into(),
            certificate_serial: "5f1c0a7796f84a1f8fd8e5e3b21c9a04".into(),
            not_before_ms: NOW_MS,
            not_after_ms: NOW_MS + 3 * 365 * 24 * 3_600_000,
        },
        authorisations: vec![
            authorisation(1, Some("陈思齐"), Some(20), Some(5_000), ("有效", "in force")),
            authorisation(2, Some("吴晓东"), Some(1), None, ("已被授权 3 取代", "replaced by 3")),
            authorisation(3, Some("吴晓东"), None, None, ("已撤销（第 40 块）", "revoked at 40")),
        ],
        uses: (1..=uses).map(seal_use).collect(),
        changes: vec![
            ReportedChange { reason: None, record: record("制作印章", "seal.made", 12) },
            ReportedChange {
                reason: Some("经办人离职".into()), record: record("停用印章", "seal.suspended", 50)
            },
            ReportedChange {
                reason: Some("已完成交接".into()), record: record("恢复印章", "seal.resumed", 58)
            },
        ],
        limits: vec![
            ReportNote {
                zh: "上述区块之后的授权、用印、停用或恢复。".into(),
                en: "Authorisations, uses, suspensions or resumptions after that block.".into(),
            },
            ReportNote {
                zh: "实物印章，以及未经本联盟登记的电子印章的使用。".into(),
                en: "The use of physical seals, and of electronic seals that are not on this ledger.".into(),
            },
        ],
    }
}
