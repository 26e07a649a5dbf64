//! Imprints 印模: drawn from a form, or uploaded; looked at before they are kept, and which of them a seal may
//! have.

use crate::app::App;
use crate::documents;
use crate::error::{ServiceError, blocking};
use qz_document::seal::{self, Form, Imprint, SIDES_MM};
use qz_domain::Refusal;
use qz_domain::contract::Size;
use qz_evidence::payload::SealKind;
use qz_storage::documents::Document;
use serde_json::{Value, json};

/// Draws an imprint, without keeping it.
pub async fn drawn(form: Form) -> Result<Imprint, ServiceError> {
    blocking(move || seal::draw(&form)).await
}

/// An imprint from a picture or drawing, without keeping it.
pub async fn uploaded(file: Vec<u8>, width_mm: f64) -> Result<Imprint, ServiceError> {
    blocking(move || seal::uploaded(&file, width_mm)).await
}

/// Stores an imprint; the row is the caller's to write.
pub async fn store(app: &App, imprint: Imprint) -> Result<Document, ServiceError> {
    documents::store_pdf(app, imprint.pdf, Some("印模.pdf".to_owned())).await
}

/// What the API shows of a stored one.
pub fn view(document: &Document) -> Result<Value, ServiceError> {
    let mut view = documents::view(document);
    let size = size(document)?;
    view["width_mm"] = json!(size.width_mm);
    view["height_mm"] = json!(size.height_mm);
    Ok(view)
}

fn size(document: &Document) -> Result<Size, ServiceError> {
    let pages = documents::page_sizes(document)?;
    match pages.as_slice() {
        [size] if SIDES_MM.contains(&size.width_mm) && SIDES_MM.contains(&size.height_mm) => Ok(*size),
        _ => Err(Refusal::invalid(
            "imprint.unusable",
            "该文件不是印模（须为单页，宽高 8–80 mm）",
            "this document is no imprint: it must have one page of 8 to 80 mm",
        )
        .into()),
    }
}

/// A document that may serve as an imprint.
pub fn check(document: &Document) -> Result<(), ServiceError> {
    size(document).map(drop)
}

/// The form of a seal of this kind, if the request does not bring one.
pub fn usual(kind: SealKind, name: &str, id_code: &str, caption: &str) -> Form {
    let name = name.to_owned();
    match kind {
        SealKind::Official => Form::Official { name, caption: caption.to_owned() },
        SealKind::Contract => Form::Contract {
            name,
            caption: (!caption.is_empty()).then(|| caption.to_owned()),
            number: None,
            diameter_mm: None,
        },
        SealKind::Finance => Form::Finance { name },
        SealKind::Invoice => Form::Invoice { name, id_code: id_code.to_owned(), number: None },
        SealKind::LegalRepresentative => Form::LegalRepresentative { name },
        SealKind::Personal => Form::Personal { name },
    }
}

/// A seal's form must be of its kind and say its owner's name.
pub fn check_form(kind: SealKind, form: &Form, owner: &str, id_code: &str) -> Result<(), ServiceError> {
    let fits = match (kind, form) {
        (SealKind::Official, Form::Official { name, .. })
        | (SealKind::Contract, Form::Contract { name, .. })
        | (SealKind::Finance, Form::Finance { name }) => name.trim() == owner,
        (SealKind::Invoice, Form::Invoice { name, id_code: code, .. }) => name.trim() == owner && code == id_code,
        // The name of its representative is not the organisation's.
        (SealKind::LegalRepresentative, Form::LegalRepresentative { .. }) => true,
        (SealKind::Personal, Form::Personal { name }) => name.trim() == owner,
        (SealKind::Personal, Form::Handwriting { .. }) => true,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::invalid(
        "seal.form",
        format!("印模样式须与印章类别一致，名称与代码须与所有人登记一致（{owner}）"),
        format!("the form must be of the seal's kind and say the owner's registered name and code, {owner}"),
    )
    .into())
}
