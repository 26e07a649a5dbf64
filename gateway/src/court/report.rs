//! The report 出证报告 of a court package: what was verified, in the order of a judge's questions. Every
//! statement in it comes from the verification of the package itself, never from the database.

use crate::app::App;
use crate::clock::signed;
use crate::error::ServiceError;
use qz_document::render::{
    Issuer, RecordFacts, ReportCheck, ReportContract, ReportData, ReportFile, ReportMember, ReportNote, ReportPerson,
    ReportRoot, ReportTrust,
};
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::hash::sha256;
use qz_evidence::verify::{Event, Note, Report, StepStatus};
use qz_verify::PackageReport;
use qz_verify::package::manifest::{ContractIn, FileRole, Manifest};
use serde_json::{Value, json};

/// `report.json`: the platform's own verification, before the seal (check 7).
pub fn json(app: &App, found: &PackageReport) -> Result<Vec<u8>, ServiceError> {
    let value = json!({
        "format": "qz/court-report/v1",
        "note_zh": "平台在出具前的自行校验；请以您自己的校验为准。",
        "note_en": "The platform's own verification before issue; rely on your own.",
        "software": super::process::SOFTWARE,
        "trust_note_zh": "第 10、11 步所用的见证策略与时间戳根证书由平台选定。",
        "trust_note_en": "The witness policy and the timestamp roots of steps 10 and 11 are the platform's choice.",
        "trust": trust(app)?,
        "checks": found.checks.iter().filter(|check| check.n < 7).collect::<Vec<_>>(),
        "parts": found.parts,
    });
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a JSON value can be written");
    bytes.push(b'\n');
    Ok(bytes)
}

/// What the PDF shows.
pub fn data(app: &App, manifest: &Manifest, found: &PackageReport) -> Result<ReportData, ServiceError> {
    let genesis = app.ledger.genesis();
    let issuer = &app.config.issuer;
    let court = found.court.as_ref();
    let retrieval = &manifest.retrieval;
    let contracts = manifest.contracts.iter().zip(1..).map(|(contract, number)| one(contract, number, found));
    Ok(ReportData {
        number: format!("CP-{}", &retrieval.digest.to_string()[..12].to_ascii_uppercase()),
        made_ms: signed(manifest.made_ms),
        issuer: Issuer {
            name: issuer.name.clone(),
            id_code: issuer.id_code.clone(),
            capacity: "联盟成员（平台方）· 演示机构".into(),
        },
        software: super::process::SOFTWARE.into(),
        case_number: manifest.case_number.clone(),
        court: court.map_or_else(|| manifest.court.to_string(), |court| court.name_zh.clone()),
        retrieval: RecordFacts {
            title: "法院调取".into(),
            kind: "retrieval.made".into(),
            height: retrieval.height,
            index: u64::from(retrieval.index),
            hash: retrieval.record.to_string(),
            time_ms: signed(retrieval.time_ms),
        },
        notice_after: retrieval.notice_after.clone(),
        chain_id: manifest.chain_id.to_string(),
        chain_name: manifest.chain_name.clone(),
        genesis_hash: sha256(&[genesis.bytes()]).to_string(),
        members: genesis
            .organisations()
            .iter()
            .map(|member| ReportMember {
                name: member.name_zh.clone(),
                roles: member.roles.iter().map(|role| role_name(*role)).collect::<Vec<_>>().join("、"),
                validates: member.validator.is_some(),
                is_platform: member.has(Role::Platform),
            })
            .collect(),
        trust: trust(app)?,
        contracts: contracts.collect::<Result<_, _>>()?,
        checks: found
            .checks
            .iter()
            .filter(|check| check.n < 7)
            .map(|check| ReportCheck {
                n: check.n,
                title_zh: check.title_zh.into(),
                title_en: check.title_en.into(),
                status: status(check.status).into(),
                detail_zh: check.detail_zh.clone(),
                detail_en: check.detail_en.clone(),
            })
            .collect(),
        files: manifest
            .files
            .iter()
            .map(|file| ReportFile {
                path: file.path.clone(),
                role: role_words(file.role).into(),
                bytes: file.bytes,
                sha256: file.sha256.to_string(),
            })
            .collect(),
        not_checked: notes(found, |report| &report.not_checked),
        assumptions: notes(found, |report| &report.assumptions),
    })
}

/// Whose witnesses and timestamps were relied on: this gateway's settings, as its portal's visitors get them.
fn trust(app: &App) -> Result<ReportTrust, ServiceError> {
    let damaged = |error: anyhow::Error| ServiceError::Damaged(format!("the trust inputs: {error:#}"));
    let roots = app.trust.roots().map_err(damaged)?.into_iter().map(|(name, sha256)| ReportRoot { name, sha256 });
    Ok(ReportTrust {
        witnesses: app.trust.witnesses().map_err(damaged)?,
        policy_sha256: app.trust.witness_policy.as_ref().map(|policy| sha256(&[policy.as_bytes()]).to_string()),
        roots: roots.collect(),
    })
}

fn notes(found: &PackageReport, of: impl Fn(&Report) -> &Vec<Note>) -> Vec<ReportNote> {
    let mut notes: Vec<ReportNote> = vec![];
    for note in found.strongest().flat_map(|part| of(&part.report)) {
        let note = ReportNote { zh: note.zh.clone(), en: note.en.clone() };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

fn one(contract: &ContractIn, number: usize, found: &PackageReport) -> Result<ReportContract, ServiceError> {
    let missing = || ServiceError::Proof(format!("contract {number} was not verified"));
    let part = |role: FileRole| found.parts.iter().find(|part| part.role == role && part.contract == Some(number));
    let report = &part(FileRole::Proof).ok_or_else(missing)?.report;
    let head = report.head.as_ref().ok_or_else(missing)?;
    let state = report.subjects.iter().find(|state| state.subject == contract.subject).ok_or_else(missing)?;
    let own = report.events.iter().filter(|event| event.subjects.contains(&contract.subject));
    // The final file's verification says most: its steps, with the file, if there is one.
    let strongest = part(FileRole::Final).map_or(report, |part| &part.report);
    Ok(ReportContract {
        title: contract.title.clone(),
        number: contract.number.clone(),
        subject: contract.subject.to_string(),
        folder: contract.folder.clone(),
        state: state.status_zh.into(),
        records_total: state.records,
        head_height: head.height.0,
        head_ms: signed(head.time_ms),
        head_block: head.block_id.to_string(),
        finalised_by: report.finalised_by.iter().map(|member| member.name_zh.clone()).collect(),
        records: own.clone().map(|event| record(report, event)).collect(),
        people: people(report),
        final_sha256: found
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.files_of(FileRole::Final, Some(number)).next())
            .map(|file| file.sha256.to_string()),
        steps: strongest
            .steps
            .iter()
            .map(|step| ReportCheck {
                n: step.n,
                title_zh: step.title_zh.into(),
                title_en: step.title_en.into(),
                status: status(step.status).into(),
                detail_zh: step.detail_zh.clone(),
                detail_en: step.detail_en.clone(),
            })
            .collect(),
        anchored: strongest.steps.iter().any(|step| step.n == 11 && step.status == StepStatus::Pass),
        notarised: own.clone().filter(|event| event.kind == "notarisation.registered").count() as u64,
        disputed: own.clone().any(|event| event.kind == "contract.disputed"),
        verdict_zh: strongest.heading().1.into(),
        verdict_en: strongest.heading().2.into(),
    })
}

/// A signer in words: an office by its organisation's name.
fn signer(report: &Report, signer: &str) -> String {
    let office = signer.strip_prefix("org:");
    let member = office.and_then(|id| report.organisations.iter().find(|member| member.org.as_str() == id));
    match (office, member) {
        (Some(_), Some(member)) => member.name_zh.clone(),
        // A key whose holder is not disclosed.
        (None, _) if signer.len() == 64 => format!("{}…", &signer[..8]),
        _ => signer.to_owned(),
    }
}

fn record(report: &Report, event: &Event) -> RecordFacts {
    let signers: Vec<String> = event.signers.iter().map(|found| signer(report, found)).collect();
    let by = if signers.is_empty() { String::new() } else { format!(" · {}", signers.join("、")) };
    RecordFacts {
        title: format!("{}{by}", event.title_zh),
        kind: event.kind.into(),
        height: event.height.0,
        index: u64::from(event.index),
        hash: event.record_hash.to_string(),
        time_ms: signed(event.time_ms),
    }
}

/// Holders of keys, as their registrations disclose them.
fn people(report: &Report) -> Vec<ReportPerson> {
    let registered = report.events.iter().enumerate().filter(|(_, event)| event.kind == "key.registered");
    registered
        .map(|(index, event)| {
            let disclosed = |name: &str| {
                let found = report.disclosures.iter().find(|d| d.event == index && d.name == name);
                found.map_or_else(|| "未披露".to_owned(), |found| found.value.clone())
            };
            let capture: Value = serde_json::from_str(&disclosed(name::CAPTURE)).unwrap_or_default();
            let text =
                |key: &str| capture.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
            let holder = disclosed(name::NAME);
            let signed_in =
                report.events.iter().filter(|other| other.kind == "contract.signed" && other.signers.contains(&holder));
            ReportPerson {
                id_code: disclosed(name::ID_CODE),
                identity_check: disclosed(name::IDENTITY_CHECK),
                attested_by: event
                    .signers
                    .iter()
                    .filter(|found| found.starts_with("org:"))
                    .map(|found| signer(report, found))
                    .collect::<Vec<_>>()
                    .join("、"),
                registered_ms: signed(event.time_ms),
                ip: text("ip").unwrap_or_else(|| "未提供".into()),
                device: text("device").unwrap_or_else(|| "未提供".into()),
                software: text("software").unwrap_or_else(|| "未记录".into()),
                signed_ms: signed_in.map(|event| signed(event.time_ms)).next(),
                name: holder,
            }
        })
        .collect()
}

fn status(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pass => "pass",
        StepStatus::Fail => "fail",
        StepStatus::NotChecked => "not-checked",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Platform => "平台方",
        Role::Notary => "公证",
        Role::Court => "法院",
        Role::Arbitration => "仲裁",
        Role::Attestor => "身份核验",
        Role::Observer => "观察",
    }
}

fn role_words(role: FileRole) -> &'static str {
    match role {
        FileRole::Report => "平台自行校验结果",
        FileRole::Readme => "说明",
        FileRole::Genesis => "创世文件（供比对）",
        FileRole::Request => "法院调取请求",
        FileRole::RetrievalProof => "调取记录证据包",
        FileRole::Proof => "合同证据包",
        FileRole::Version => "待签文本",
        FileRole::Final => "最终文件",
        FileRole::Revision => "修订稿（未上链）",
        FileRole::Receipt => "履约凭证",
        FileRole::Certificate => "签署证明",
        FileRole::Process => "过程记录（平台陈述）",
    }
}
