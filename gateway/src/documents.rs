//! Documents: uploaded, rendered and signed PDFs, stored encrypted; and the templates.

use crate::app::App;
use crate::clock::now_ms;
use crate::error::{ServiceError, blocking};
use qz_document::inspect::Pdf;
use qz_document::render::{self, AmendmentText, ContractText, ReceiptText, Rendered};
use qz_domain::Refusal;
use qz_domain::contract::Size;
use qz_evidence::hash::sha256;
use qz_evidence_pdf::{PdfReadError, TrustedRoots, Warning, examine, signatures};
use qz_storage::DocumentId;
use qz_storage::documents::{self, Document};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MM_PER_POINT: f64 = 25.4 / 72.0;

/// The row of a document.
pub async fn get(app: &App, id: &DocumentId) -> Result<Document, ServiceError> {
    Ok(documents::get(&app.storage, id).await?)
}

/// The bytes of a document, compared with its digest.
pub async fn bytes(app: &App, document: &Document) -> Result<Vec<u8>, ServiceError> {
    let bytes = app.blobs.get(&document.blob).await?;
    if sha256(&[&bytes]).0 != document.sha256 {
        return Err(ServiceError::Damaged(format!("document {} is not the one of its row", document.id)));
    }
    Ok(bytes)
}

/// Checks a PDF and stores its bytes; the row is the caller's to write.
pub async fn store_pdf(app: &App, pdf: Vec<u8>, file_name: Option<String>) -> Result<Document, ServiceError> {
    let (pdf, pages) = blocking(move || {
        let sizes = Pdf::open(&pdf)?.page_sizes();
        let millimetres = |points: f64| (points * MM_PER_POINT * 100.0).round() / 100.0;
        let pages: Vec<Size> = sizes
            .iter()
            .map(|size| Size { width_mm: millimetres(size.width), height_mm: millimetres(size.height) })
            .collect();
        Ok::<_, ServiceError>((pdf, pages))
    })
    .await?;
    store(app, &pdf, json!(pages), file_name).await
}

/// The same for an uploaded PDF, which must not be signed: the final file has exactly the signatures
/// that the ledger records.
/// Content that could show something else after signing is refused or told as warnings.
pub async fn store_upload(
    app: &App, pdf: Vec<u8>, file_name: Option<String>,
) -> Result<(Document, Vec<Warning>), ServiceError> {
    let (pdf, warnings) = blocking(move || {
        Pdf::open(&pdf)?;
        match signatures(&pdf) {
            Ok(found) if found.is_empty() => {
                let warnings = examine(&pdf, &TrustedRoots::default()).warnings;
                match warnings.iter().find(|warning| warning.grave) {
                    Some(grave) => Err(changeable(grave).into()),
                    None => Ok((pdf, warnings)),
                }
            }
            Ok(_) | Err(PdfReadError::ByteRange { .. }) => Err(already_signed().into()),
            Err(error) => Err(ServiceError::from(Refusal::invalid(
                "pdf.malformed",
                "无法读取该 PDF 的签名域，不能用于签署",
                format!("the signature fields of this PDF cannot be read: {error}"),
            ))),
        }
    })
    .await?;
    Ok((store_pdf(app, pdf, file_name).await?, warnings))
}

fn changeable(warning: &Warning) -> Refusal {
    Refusal::invalid(
        "pdf.changeable",
        format!("{}；签署后显示的内容可能变化，请用阅读器“打印为 PDF”后重新上传", warning.words.zh),
        format!("{}: what it shows may change after signing; print it to a new PDF and upload that", warning.words.en),
    )
}

fn already_signed() -> Refusal {
    Refusal::invalid(
        "pdf.already_signed",
        "该 PDF 已带有电子签名；暂不支持在他人签名之上继续签署，请上传未签名的文本",
        "this PDF is signed already; signing on top of other people's signatures is not supported yet: upload the unsigned text",
    )
}

/// No room for the signatures.
pub fn too_large_to_sign() -> Refusal {
    Refusal::invalid(
        "document.too_large_to_sign",
        "文件过大：签署后将超过 50 MB（每个签署位预留 1 MB），请压缩文件或减少签署位",
        "the document would exceed 50 MB once signed (1 MB is kept for each slot); make it smaller or use fewer slots",
    )
}

/// Stores other bytes, such as a proof bundle.
pub async fn store_other(app: &App, bytes: Vec<u8>, file_name: Option<String>) -> Result<Document, ServiceError> {
    store(app, &bytes, json!([]), file_name).await
}

async fn store(app: &App, bytes: &[u8], pages: Value, file_name: Option<String>) -> Result<Document, ServiceError> {
    let blob = app.blobs.put(bytes).await?;
    Ok(Document {
        id: DocumentId::random(),
        sha256: sha256(&[bytes]).0,
        file_name,
        size: bytes.len() as u64,
        pages,
        blob,
        created_ms: now_ms(),
        template: None,
    })
}

/// Sizes of the pages.
pub fn page_sizes(document: &Document) -> Result<Vec<Size>, ServiceError> {
    serde_json::from_value(document.pages.clone())
        .map_err(|error| ServiceError::Damaged(format!("pages of document {}: {error}", document.id)))
}

/// What the API shows.
pub fn view(document: &Document) -> Value {
    json!({
        "id": document.id.as_str(),
        "sha256": hex::encode(document.sha256),
        "file_name": document.file_name,
        "size": document.size,
        "pages": document.pages,
    })
}

/// Renders a template of the platform from `data`.
pub async fn render_template(template: &str, data: Value) -> Result<Rendered, ServiceError> {
    match template {
        "procurement" => {
            let text: ContractText = parse(data)?;
            blocking(move || render::contract(&text)).await
        }
        "amendment" => {
            let text: AmendmentText = parse(data)?;
            blocking(move || render::amendment(&text)).await
        }
        "receipt" => {
            let text: ReceiptText = parse(data)?;
            blocking(move || render::payment_receipt(&text)).await
        }
        _ => Err(Refusal::invalid(
            "template.unknown",
            "模板须为 procurement、amendment 或 receipt",
            "a template is procurement, amendment or receipt",
        )
        .into()),
    }
}

fn parse<T: DeserializeOwned>(data: Value) -> Result<T, ServiceError> {
    serde_json::from_value(data).map_err(|error| {
        Refusal::invalid(
            "template.data",
            format!("模板数据不完整或格式错误：{error}"),
            format!("the template's data are incomplete or malformed: {error}"),
        )
        .into()
    })
}
