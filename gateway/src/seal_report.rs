//! The report on a seal 用印授权与使用报告: its complete history as the ledger proves it, told with what this gateway
//! knows of the contracts and people in it. What it does not know it says, and leaves open.

use crate::app::App;
use crate::clock::{now_ms, signed};
use crate::court::SOFTWARE;
use crate::error::{ServiceError, blocking};
use crate::{documents, key_service, operations};
use qz_document::ca::summarise;
use qz_document::render::{
    Issuer, RecordFacts, ReportNote, ReportedAuthorisation, ReportedChange, ReportedSeal, ReportedUse, SealReportData,
    seal_report,
};
use qz_domain::compose::POSITIONS;
use qz_domain::proven::ProvenRecord;
use qz_evidence::bundle::Bundle;
use qz_evidence::commitment::name;
use qz_evidence::payload::{ContractSigned, Payload, SealAuthorised, SealKind};
use qz_evidence::state_proof::Status;
use qz_evidence::verify::history::History;
use qz_evidence::{Hash32, SubjectId, decode_strict};
use qz_storage::seals::Seal;
use qz_storage::{contracts, keys, seal_data};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most records of a seal in one report.
const MAX_RECORDS: u64 = 1000;

/// The report, sealed by the issuer: a PDF.
pub async fn make(app: &App, seal: &Seal, subject: &SubjectId) -> Result<Vec<u8>, ServiceError> {
    let found = app.ledger.history_of(subject).await?;
    if found.history.records() > MAX_RECORDS {
        return Err(qz_domain::Refusal::state(
            "seal.too_many_records",
            format!("该印章的链上记录超过 {MAX_RECORDS} 条，请用 qz-verify seal-ledger 导出（文本、JSON 或 CSV）"),
            format!("this seal has more than {MAX_RECORDS} records: export them with `qz-verify seal-ledger`"),
        )
        .into());
    }
    let data = Story::of(app, seal, &found).await?.data(app, seal, subject, &found.history).await?;
    let made_ms = now_ms();
    let rendered = blocking(move || seal_report(&data)).await?;
    key_service::sign_seal_report(app, rendered, made_ms).await
}

/// What the records say, in their order.
#[derive(Default)]
struct Story {
    authorisations: Vec<ReportedAuthorisation>,
    uses: Vec<ReportedUse>,
    changes: Vec<ReportedChange>,
    /// The authorisation in force of each key: index in the list.
    in_force: BTreeMap<SubjectId, usize>,
}

impl Story {
    async fn of(app: &App, seal: &Seal, found: &qz_client::SubjectHistory) -> Result<Self, ServiceError> {
        let mut records = BTreeMap::new();
        for bytes in &found.bundles {
            let bundle: Bundle = decode_strict(bytes).map_err(|error| ServiceError::Proof(error.to_string()))?;
            for entry in &bundle.entries {
                let record = ProvenRecord::open(entry)?;
                records.insert(record.hash, record);
            }
        }
        let mut story = Self::default();
        for shown in &found.history.shown {
            let mut record = records
                .remove(&shown.hash)
                .ok_or_else(|| ServiceError::Proof(format!("record {} is not in the proof", shown.hash)))?;
            record.openings = openings(app, &record).await?;
            match record.payload().clone() {
                Payload::SealAuthorised(fields) => story.authorised(app, &record, &fields).await?,
                Payload::SealRevoked(fields) => {
                    let height = record.record.height.0;
                    story.end(&fields.key, format!("已撤销（第 {height} 块）"), format!("revoked at {height}"));
                    story
                        .changes
                        .push(ReportedChange { reason: record.text(name::DESCRIPTION), record: facts(&record) });
                }
                Payload::ContractSigned(fields) => story.used(app, seal, &record, &fields).await?,
                payload => {
                    if matches!(payload, Payload::SealDestroyed(_)) {
                        let keys: Vec<SubjectId> = story.in_force.keys().copied().collect();
                        for key in keys {
                            story.end(&key, "印章已销毁".into(), "seal destroyed".into());
                        }
                    }
                    story
                        .changes
                        .push(ReportedChange { reason: record.text(name::DESCRIPTION), record: facts(&record) });
                }
            }
        }
        story.spent(found.history.head.height.0);
        Ok(story)
    }

    async fn authorised(
        &mut self, app: &App, record: &ProvenRecord, fields: &SealAuthorised,
    ) -> Result<(), ServiceError> {
        let index = self.authorisations.len();
        let number = number(index);
        self.end(&fields.key, format!("已被授权 {number} 取代"), format!("replaced by {number}"));
        self.in_force.insert(fields.key, index);
        self.authorisations.push(ReportedAuthorisation {
            number,
            holder: holder(app, &fields.key).await?,
            key: fields.key.to_string(),
            count: fields.count,
            until: fields.until.map(|height| height.0),
            used: 0,
            standing: "有效".into(),
            standing_en: "in force".into(),
            record: facts(record),
        });
        Ok(())
    }

    async fn used(
        &mut self, app: &App, seal: &Seal, record: &ProvenRecord, fields: &ContractSigned,
    ) -> Result<(), ServiceError> {
        let actor = record.parsed.submission().actors.first();
        let key = actor.map(|actor| actor.subject).ok_or_else(|| ServiceError::Proof("a use without actor".into()))?;
        // The owner's own use rests on no authorisation.
        let index = self.in_force.get(&key).copied().filter(|_| key.0.0 != seal.owner);
        let authorisation = index.and_then(|index| self.authorisations.get_mut(index));
        let authorisation = authorisation.map(|authorisation| {
            authorisation.used += 1;
            authorisation.number
        });
        let contract = contracts::find_by_subject(&app.storage, &fields.contract.0.0).await?;
        self.uses.push(ReportedUse {
            number: number(self.uses.len()),
            title: contract.as_ref().map(|row| row.title.clone()),
            contract_number: contract.map(|row| row.number),
            contract: fields.contract.to_string(),
            slot: u32::from(fields.slot),
            digest: record.digest(name::TO_BE_SIGNED).map(|digest| digest.to_string()),
            position: record.text(POSITIONS).and_then(|text| position(&text)),
            signer: holder(app, &key).await?,
            key: key.to_string(),
            authorisation,
            record: facts(record),
        });
        Ok(())
    }

    fn end(&mut self, key: &SubjectId, standing: String, standing_en: String) {
        let ended = self.in_force.remove(key).and_then(|index| self.authorisations.get_mut(index));
        if let Some(authorisation) = ended {
            (authorisation.standing, authorisation.standing_en) = (standing, standing_en);
        }
    }

    /// Authorisations that nobody ended, and that allow nothing any more.
    fn spent(&mut self, head: u64) {
        for index in self.in_force.values() {
            let Some(authorisation) = self.authorisations.get_mut(*index) else { continue };
            let words = match (authorisation.count, authorisation.until) {
                (Some(count), _) if authorisation.used >= count => ("次数已用完", "used up"),
                (_, Some(until)) if until <= head => ("已到截止高度", "its end has passed"),
                _ => continue,
            };
            (authorisation.standing, authorisation.standing_en) = (words.0.into(), words.1.into());
        }
    }

    async fn data(
        self, app: &App, seal: &Seal, subject: &SubjectId, history: &History,
    ) -> Result<SealReportData, ServiceError> {
        let issuer = &app.config.issuer;
        let status = history.state.as_ref().map_or(Status::Active, |state| state.status).words();
        Ok(SealReportData {
            number: format!("SR-{}-{:06}", &subject.to_string()[..12].to_ascii_uppercase(), history.head.height.0),
            made_ms: signed(now_ms()),
            issuer: Issuer {
                name: issuer.name.clone(),
                id_code: issuer.id_code.clone(),
                capacity: "联盟成员（平台方）· 演示机构".into(),
            },
            software: SOFTWARE.into(),
            chain_id: app.ledger.chain_id().to_string(),
            chain_name: app.ledger.genesis().body().name.clone(),
            head_height: history.head.height.0,
            head_ms: signed(history.head.time_ms),
            head_block: history.head.block_id.to_string(),
            records_total: history.records(),
            seal: reported_seal(app, seal, subject, status).await?,
            authorisations: self.authorisations,
            uses: self.uses,
            changes: self.changes,
            limits: limits(),
        })
    }
}

/// In the report, from 1.
fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

async fn reported_seal(
    app: &App, seal: &Seal, subject: &SubjectId, (status, status_en): (&str, &str),
) -> Result<ReportedSeal, ServiceError> {
    let certificate = summarise(&seal.certificate_der)?;
    let owner = keys::find(&app.storage, &seal.owner).await?;
    let maker = match seal_data::find(&app.storage, &seal.operation).await? {
        Some(_) => format!("{}（制章人以 SM2 证书签署的 GB/T 38540 印章数据）", app.config.issuer.name),
        None => format!("{}（平台绘制印模、绑定密钥与数字证书）", app.config.issuer.name),
    };
    Ok(ReportedSeal {
        name: seal.name.clone(),
        kind: kind_words(seal).into(),
        subject: subject.to_string(),
        status: status.into(),
        status_en: status_en.into(),
        owner: seal.company_name.clone(),
        owner_code: owner.map(|owner| owner.id_code).unwrap_or_default(),
        owner_key: SubjectId(Hash32(seal.owner)).to_string(),
        maker,
        imprint_sha256: hex::encode(documents::get(app, &seal.imprint).await?.sha256),
        certificate_issuer: certificate.issuer_common_name,
        certificate_serial: certificate.serial,
        not_before_ms: certificate.not_before_ms,
        not_after_ms: certificate.not_after_ms,
    })
}

fn kind_words(seal: &Seal) -> &'static str {
    let kinds = [
        (SealKind::Official, "公章"),
        (SealKind::Contract, "合同专用章"),
        (SealKind::Finance, "财务专用章"),
        (SealKind::Invoice, "发票专用章"),
        (SealKind::LegalRepresentative, "法定代表人名章"),
        (SealKind::Personal, "个人名章"),
    ];
    let found = kinds.iter().find(|(kind, _)| crate::seals::kind_name(*kind) == seal.kind);
    found.map_or("印章", |(_, words)| words)
}

/// The openings of a record that was composed here.
async fn openings(app: &App, record: &ProvenRecord) -> Result<Vec<qz_evidence::commitment::Opening>, ServiceError> {
    let digest = record.parsed.digest();
    let Some(operation) = qz_storage::operations::find_by_digest(&app.storage, &digest.0).await? else {
        return Ok(vec![]);
    };
    let body = record.parsed.body();
    let openings = operations::openings(app, &operation)?.into_iter();
    Ok(openings.filter(|opening| body.commitment(&opening.name) == Some(&opening.commitment().hash)).collect())
}

async fn holder(app: &App, key: &SubjectId) -> Result<Option<String>, ServiceError> {
    Ok(keys::find(&app.storage, &key.0.0).await?.map(|row| row.name))
}

fn facts(record: &ProvenRecord) -> RecordFacts {
    let kind = record.payload().kind();
    RecordFacts {
        title: kind.zh.into(),
        kind: kind.name.into(),
        height: record.record.height.0,
        index: u64::from(record.record.index),
        hash: record.hash.to_string(),
        time_ms: signed(record.time_ms),
    }
}

/// The committed places in words.
fn position(text: &str) -> Option<String> {
    let places: Value = serde_json::from_str(text).ok()?;
    let number = |name: &str| places.get(name).and_then(Value::as_f64);
    let (x, y, width, height) = (number("x_mm")?, number("y_mm")?, number("width_mm")?, number("height_mm")?);
    let page = places.get("page").and_then(Value::as_u64)?;
    let mut words = format!("第 {page} 页，左下角 ({x}, {y}) mm，{width} × {height} mm");
    if let Some(slices) = places.get("straddle").and_then(Value::as_array) {
        words.push_str(&format!("；骑缝章 {} 页", slices.len()));
    }
    if places.get("date").is_some_and(Value::is_array) {
        words.push_str("；日期章");
    }
    Some(words)
}

fn limits() -> Vec<ReportNote> {
    [
        ("上述区块之后的授权、用印、停用或恢复。", "Authorisations, uses, suspensions or resumptions after that block."),
        (
            "实物印章，以及未经本联盟登记的电子印章的使用。",
            "The use of physical seals, and of electronic seals that are not on this ledger.",
        ),
        (
            "各合同其后是否成立、生效或履行；合同名称、编号、人员姓名取自本平台留存的资料，链上只有其承诺值。",
            "Whether each contract was concluded or performed; titles, numbers and names are the platform's, the ledger holds commitments to them only.",
        ),
        ("所有人内部的用印审批：链上只有授权与用印。", "Approvals within the owner's organisation: the ledger knows authorisations and uses only."),
    ]
    .map(|(zh, en)| ReportNote { zh: zh.into(), en: en.into() })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_words() {
        let text = r#"{"page":3,"x_mm":59.0,"y_mm":203.5,"width_mm":40.0,"height_mm":40.0,"straddle":[[1,0,0,1,1]],"date":null}"#;
        assert_eq!(position(text).as_deref(), Some("第 3 页，左下角 (59, 203.5) mm，40 × 40 mm；骑缝章 1 页"));
        assert_eq!(position("{}"), None);
        assert_eq!(position("no"), None);
    }
}
