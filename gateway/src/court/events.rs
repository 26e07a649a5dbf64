//! What happened to a contract on the ledger, for its parties: also what other members recorded about it,
//! such as rulings, notarial deeds and retrievals by a court.
//!
//! A court may ask for notice of a retrieval to be deferred to a date. Until then this list is silent about
//! it. The ledger is not: whoever asks for the complete proof sees that there is such a record, never the
//! case number.

use crate::app::App;
use crate::clock::{now_ms, rfc3339};
use crate::error::ServiceError;
use crate::proofs;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use qz_domain::proven::ProvenRecord;
use qz_evidence::commitment::name;
use qz_evidence::payload::Payload;
use qz_evidence::retrieval::RetrievalRequest;
use qz_evidence::verify::Event;
use qz_evidence::{Hash32, SubjectId};
use qz_storage::contracts::Contract;
use qz_storage::retrievals;
use serde_json::{Value, json};

/// A retrieval whose deferred date nobody has shown us is told after this time.
const UNKNOWN_DEFERRAL_MS: u64 = 30 * 24 * 3_600_000;

/// `GET /v1/contracts/{subject}/events`
pub async fn events(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let subject =
        SubjectId(Hash32(row.subject.ok_or_else(|| ServiceError::Damaged("a contract without subject".into()))?));
    let verified = proofs::of_contract(app, row, &[]).await?;
    let now = now_ms();
    let mut shown = vec![];
    for (event, entry) in verified.report.events.iter().zip(&verified.bundle.entries) {
        if !event.subjects.contains(&subject) {
            continue;
        }
        let record = ProvenRecord::open(entry)?;
        let mut view = view(event);
        if matches!(record.payload(), Payload::RetrievalMade(_)) {
            let known = retrievals::find(&app.storage, &app.encryption, &record.parsed.digest().0).await?;
            let request = known.as_ref().map(|known| RetrievalRequest::parse(&known.request)).transpose();
            let request = request.map_err(|error| ServiceError::Damaged(format!("a stored request: {error}")))?;
            let defers = record.parsed.body().commitment(name::NOTICE_AFTER).is_some();
            let from = match &request {
                Some(request) => request.notice_after.as_deref().map_or(Ok(0), start_of)?,
                None if defers => event.time_ms.saturating_add(UNKNOWN_DEFERRAL_MS),
                None => 0,
            };
            if now < from {
                continue;
            }
            view["notice"] = json!({
                "zh": "法院就案件调取了本合同的材料",
                "en": "a court retrieved the documents of this contract for a case",
                "court": known.as_ref().map(|known| known.court.as_str()),
                "case_number": request.as_ref().map(|request| request.case_number.as_str()),
                "released": known.as_ref().is_some_and(|known| known.document.is_some()),
            });
        }
        shown.push(view);
    }
    let head = verified.report.head.as_ref().map(|head| {
        json!({"height": head.height, "time_ms": head.time_ms, "time": rfc3339(head.time_ms), "block_id": head.block_id})
    });
    Ok(json!({"contract": subject, "as_of": head, "events": shown}))
}

fn view(event: &Event) -> Value {
    json!({
        "kind": event.kind, "title_zh": event.title_zh, "title_en": event.title_en,
        "height": event.height, "index": event.index, "record": event.record_hash,
        "time_ms": event.time_ms, "time": rfc3339(event.time_ms), "relay": event.relay, "signers": event.signers,
    })
}

/// The first moment of a date in China.
fn start_of(date: &str) -> Result<u64, ServiceError> {
    let bad = || ServiceError::Damaged("the date of a notice".to_owned());
    let date: Date = date.parse().map_err(|_| bad())?;
    let start = date.to_zoned(TimeZone::fixed(Offset::constant(8))).map_err(|_| bad())?;
    u64::try_from(start.timestamp().as_millisecond()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_date_begins_at_midnight_in_china() {
        assert_eq!(rfc3339(start_of("2026-11-22").unwrap()), "2026-11-22T00:00:00.000+08:00");
        assert!(start_of("2026-02-30").is_err());
    }
}
