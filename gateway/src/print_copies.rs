//! Controlled print copies 防伪打印 of completed contracts: numbered, marked with whose they are, looked up by their
//! code, and every one of them noted. A copy is no signed document and says so.

use crate::app::App;
use crate::authority;
use crate::change::Change;
use crate::clock::{now_ms, rfc3339, signed};
use crate::documents;
use crate::error::{ServiceError, blocking};
use crate::server::{Caller, Outcome};
use qz_document::copy::{CopyMark, print_copy};
use qz_domain::{Refusal, refusal};
use qz_storage::contracts::Contract;
use qz_storage::documents::Document;
use qz_storage::print_copies::{self, PrintCopy};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// `POST /v1/contracts/{subject}/print-copies`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCopy {
    /// For whom: stands on every page.
    printed_for: String,
    /// What for: stands on every page.
    purpose: String,
}

/// Makes the next copy of a contract's final file.
pub async fn make(app: &App, caller: &Caller, row: Contract, new: NewCopy) -> Result<Outcome, ServiceError> {
    let Some(id) = &row.final_document else {
        return Err(Refusal::state(
            "contract.not_completed",
            "合同尚未签署完成，不能制作打印件",
            "the contract was never completed; there is nothing to copy",
        )
        .into());
    };
    let printed_for = refusal::text("printed_for", &new.printed_for, 40)?;
    let purpose = refusal::text("purpose", &new.purpose, 40)?;
    let source = documents::get(app, id).await?;
    let pdf = documents::bytes(app, &source).await?;
    let made_ms = now_ms();
    let number = print_copies::of_contract(&app.storage, &row.id).await?.last().map_or(1, |last| last.number + 1);
    let day: String = rfc3339(made_ms).chars().take(10).filter(|c| *c != '-').collect();
    let code = format!("QZ-COPY-{day}-{}", hex::encode(authority::random::<8>()));
    let mark = CopyMark {
        code: code.clone(),
        number,
        printed_for: printed_for.clone(),
        purpose: purpose.clone(),
        made_ms: signed(made_ms),
        issuer: app.config.issuer.name.clone(),
        source_sha256: hex::encode(source.sha256),
        verify_url: format!("{}/verify?no={code}", app.config.portal_url),
    };
    let copy = blocking(move || print_copy(&pdf, &mark)).await?;
    let name = format!("{}-{}-打印件{number}.pdf", row.title, row.number);
    let document = documents::store_pdf(app, copy, Some(name)).await?;
    let copy = PrintCopy {
        contract: row.id.clone(),
        number,
        code: code.clone(),
        requester: caller.token.to_string(),
        account: caller.account.clone(),
        printed_for,
        purpose,
        source_sha256: source.sha256,
        document: document.id.clone(),
        made_ms,
    };
    let body = view(&copy, &document);
    let detail = format!("copy {number} of contract {}", row.id);
    let change = Change {
        documents: vec![document],
        audit: vec![caller.audit(made_ms, "contract.printed", Some(&code), &detail)],
        print_copies: vec![copy],
        ..Change::default()
    };
    Ok(Outcome::created(body, change))
}

/// `GET /v1/contracts/{subject}/print-copies`: the log.
pub async fn log(app: &App, row: &Contract) -> Result<Value, ServiceError> {
    let mut copies = Vec::new();
    for copy in print_copies::of_contract(&app.storage, &row.id).await? {
        copies.push(view(&copy, &documents::get(app, &copy.document).await?));
    }
    Ok(json!({ "copies": copies }))
}

/// A copy that was made, again.
pub async fn file(app: &App, row: &Contract, number: u64) -> Result<(Document, Vec<u8>), ServiceError> {
    let copies = print_copies::of_contract(&app.storage, &row.id).await?;
    let Some(copy) = copies.iter().find(|copy| copy.number == number) else {
        return Err(Refusal::missing("copy.unknown", "没有此打印件", "there is no such copy").into());
    };
    let document = documents::get(app, &copy.document).await?;
    let bytes = documents::bytes(app, &document).await?;
    Ok((document, bytes))
}

fn view(copy: &PrintCopy, document: &Document) -> Value {
    json!({
        "number": copy.number,
        "code": copy.code,
        "printed_for": copy.printed_for,
        "purpose": copy.purpose,
        "requester": copy.requester,
        "account": copy.account,
        "made_ms": copy.made_ms,
        "made": rfc3339(copy.made_ms),
        "source_sha256": hex::encode(copy.source_sha256),
        "sha256": hex::encode(document.sha256),
    })
}
