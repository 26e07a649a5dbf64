//! What anybody learns who has the number of a signing certificate or print copy: that it was issued and when, and what
//! *all* parties of the contract consented to make public. The register is this gateway's word; only
//! verifying the certificate itself proves anything, and the answer says so.

use crate::app::App;
use crate::clock::rfc3339;
use crate::error::ServiceError;
use crate::{contracts, documents, publication};
use qz_domain::Refusal;
use qz_domain::publication::PublicField;
use qz_storage::contracts::Contract;
use qz_storage::print_copies::{self, PrintCopy};
use qz_storage::{ContractId, certificates};
use serde_json::{Map, Value, json};

/// This portal keeps no register.
pub fn no_register() -> Refusal {
    Refusal::missing(
        "register.none",
        "本站不保存证明登记，请到出具方的门户查询",
        "this site keeps no register of certificates; ask the portal of the issuer",
    )
}

/// `GET /api/certificates/{number}`
pub async fn public_view(app: &App, number: &str) -> Result<Value, ServiceError> {
    if let Some(copy) = print_copies::find(&app.storage, number).await? {
        return public_copy(app, &copy).await;
    }
    let Some(certificate) = certificates::find(&app.storage, number).await? else {
        return Err(Refusal::missing(
            "certificate.unknown",
            "没有此编号的签署证明，或编号有误",
            "no signing certificate has this number",
        )
        .into());
    };
    let (shown, withheld) = shown(app, &certificate.contract).await?;
    Ok(json!({
        "kind": "certificate",
        "number": certificate.number,
        "issued_ms": certificate.created_ms,
        "issued": rfc3339(certificate.created_ms),
        "issuer": app.config.issuer.name,
        "public": shown,
        "withheld": withheld,
    }))
}

/// Whoever holds a print copy learns that it was made, when, and which one of the contract's it is. For whom and
/// what for stands on the paper.
async fn public_copy(app: &App, copy: &PrintCopy) -> Result<Value, ServiceError> {
    let (shown, withheld) = shown(app, &copy.contract).await?;
    Ok(json!({
        "kind": "print-copy",
        "number": copy.code,
        "copy": copy.number,
        "issued_ms": copy.made_ms,
        "issued": rfc3339(copy.made_ms),
        "issuer": app.config.issuer.name,
        "public": shown,
        "withheld": withheld,
    }))
}

/// What the parties made public of a contract, and the names of the rest.
async fn shown(app: &App, contract: &ContractId) -> Result<(Map<String, Value>, Vec<&'static str>), ServiceError> {
    let row = qz_storage::contracts::get(&app.storage, contract).await?;
    let public = publication::public_fields(app, &row).await?;
    let mut shown = Map::new();
    for field in &public {
        shown.insert(field.as_str().to_owned(), value(app, &row, *field).await?);
    }
    let withheld = PublicField::ALL.iter().filter(|field| !public.contains(field)).map(|field| field.as_str());
    Ok((shown, withheld.collect()))
}

async fn value(app: &App, row: &Contract, field: PublicField) -> Result<Value, ServiceError> {
    let contract = contracts::domain(row)?;
    Ok(match field {
        PublicField::Status => {
            let (zh, en) = contract.status.words();
            json!({"zh": zh, "en": en})
        }
        PublicField::Title => json!(row.title),
        PublicField::Number => json!(row.number),
        PublicField::Parties => json!(publication::party_names(app, row).await?),
        PublicField::DocumentSha256 => match &row.final_document {
            Some(id) => json!(hex::encode(documents::get(app, id).await?.sha256)),
            None => Value::Null,
        },
    })
}
