//! `GET /v1/openapi.json`: the API for machines (OpenAPI 3.1). Schemas of request bodies derive from the
//! types that parse them; the table of operations is tested against the routes.

use super::request::MAX_WAIT;
use super::{Routes, documents, ok, operations};
use crate::{contracts, external, keys, print_copies, publication, seals, signing};
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;
use warp::Filter;

pub fn routes() -> Routes {
    let document = document();
    warp::path!("v1" / "openapi.json").and(warp::get()).map(move || ok(&document)).boxed()
}

/// Where `?wait=SECONDS` is understood.
const WAITS: [(&str, &str); 3] = [
    ("get", "/v1/operations/{id}"),
    ("get", "/v1/certificates/{number}/status"),
    ("post", "/v1/contracts/{subject}/certificates"),
];

/// What a request carries.
enum Body {
    None,
    /// JSON of this schema, under an idempotency key.
    Creates(Value),
    /// JSON of this schema, safe to repeat by itself.
    Json(Value),
    /// A PDF, under an idempotency key.
    Pdf,
    /// A PDF to be looked at and not kept.
    Shown,
    /// A form of an imprint or a picture; kept under an idempotency key, or only looked at.
    Imprint(bool),
}

/// What comes back.
#[derive(Clone, Copy)]
enum Answer {
    Json,
    File(&'static str),
}

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).expect("a schema has a JSON form")
}

/// Method, path, summary, body, answer.
fn table() -> Vec<(&'static str, &'static str, &'static str, Body, Answer)> {
    use Answer::{File, Json};
    use Body::{Creates, Imprint, None, Pdf, Shown};
    let nothing = || Creates(json!({"type": "object"}));
    let request = || Body::Json(json!({"type": "object", "description": "qz/retrieval-request/v1, docs/SPEC.md §13"}));
    vec![
        ("get", "/v1/status", "网关与账本状态 Gateway and ledger", None, Json),
        ("get", "/v1/jobs", "失败或重试中的后台任务 Failed or retried jobs (status=failed|retrying)", None, Json),
        ("post", "/v1/keys", "登记密钥 Register a key", Creates(schema::<keys::NewKey>()), Json),
        ("get", "/v1/keys/{subject}", "查看密钥 A key", None, Json),
        ("post", "/v1/seals", "制作印章 Make a seal", Creates(schema::<seals::NewSeal>()), Json),
        ("get", "/v1/seals/{subject}", "查看印章 A seal", None, Json),
        ("get", "/v1/seals/{subject}/imprint", "印模 Imprint", None, File("application/pdf")),
        ("get", "/v1/seals/{subject}/certificate", "数字证书 X.509 certificate", None, File("application/pkix-cert")),
        (
            "get",
            "/v1/seals/{subject}/esl",
            "电子印章数据（GB/T 38540，如已启用）Seal data, if they are made",
            None,
            File("application/octet-stream"),
        ),
        (
            "get",
            "/v1/seals/{subject}/report",
            "用印授权与使用报告（出具方签署的 PDF）Report on authorisations and uses, signed by the issuer",
            None,
            File("application/pdf"),
        ),
        ("post", "/v1/seals/{subject}/suspend", "停用印章 Suspend", Creates(schema::<seals::Decision>()), Json),
        ("post", "/v1/seals/{subject}/resume", "恢复印章 Resume", Creates(schema::<seals::Decision>()), Json),
        ("post", "/v1/seals/{subject}/destroy", "销毁印章 Destroy", Creates(schema::<seals::Decision>()), Json),
        (
            "post",
            "/v1/seals/{subject}/authorisations",
            "授权用印 Authorise a key",
            Creates(schema::<seals::NewAuthorisation>()),
            Json,
        ),
        ("post", "/v1/imprints", "制作或上传印模（width_mm）Make or upload an imprint", Imprint(true), Json),
        (
            "post",
            "/v1/imprints/preview",
            "印模预览，不保存 Look at an imprint without keeping it",
            Imprint(false),
            File("application/pdf"),
        ),
        ("post", "/v1/documents", "上传 PDF Upload a PDF", Pdf, Json),
        ("post", "/v1/verifications", "核验任意 PDF 的签名 Examine the signatures of any PDF", Shown, Json),
        (
            "post",
            "/v1/documents/render",
            "以模板生成文件 Render a template",
            Creates(schema::<documents::Template>()),
            Json,
        ),
        ("get", "/v1/documents/{id}", "下载文件 Download", None, File("application/pdf")),
        ("post", "/v1/contracts", "发起合同 Open a contract", Creates(schema::<contracts::NewContract>()), Json),
        ("get", "/v1/contracts/{subject}", "查看合同 A contract", None, Json),
        ("post", "/v1/contracts/{subject}/fix", "固定待签文本 Fix the version", nothing(), Json),
        (
            "post",
            "/v1/contracts/{subject}/signatures",
            "准备签署 Prepare a signature",
            Creates(schema::<signing::NewSignature>()),
            Json,
        ),
        ("post", "/v1/contracts/{subject}/decline", "拒签 Decline", Creates(schema::<contracts::Decline>()), Json),
        (
            "post",
            "/v1/contracts/{subject}/amendments",
            "变更生效 Let an amendment take effect",
            Creates(schema::<contracts::Amendment>()),
            Json,
        ),
        (
            "post",
            "/v1/contracts/{subject}/fulfilments",
            "履约记录 Record fulfilment",
            Creates(schema::<contracts::Fulfilment>()),
            Json,
        ),
        (
            "post",
            "/v1/contracts/{subject}/disputes",
            "提出争议 Bring it before a court or arbitration body",
            Creates(schema::<contracts::Dispute>()),
            Json,
        ),
        ("get", "/v1/contracts/{subject}/publication", "公开范围 What the parties made public", None, Json),
        (
            "put",
            "/v1/contracts/{subject}/publication",
            "一方同意公开的内容 A party's consent to what is public",
            Body::Json(schema::<publication::NewConsent>()),
            Json,
        ),
        (
            "post",
            "/v1/contracts/{subject}/print-copies",
            "制作防伪打印件 Make a controlled print copy",
            Creates(schema::<print_copies::NewCopy>()),
            Json,
        ),
        ("get", "/v1/contracts/{subject}/print-copies", "打印登记 The print log", None, Json),
        (
            "get",
            "/v1/contracts/{subject}/print-copies/{copy}",
            "下载打印件 A print copy",
            None,
            File("application/pdf"),
        ),
        (
            "get",
            "/v1/contracts/{subject}/seal-signatures",
            "GB/T 38540 电子签章（如已启用）Seal signatures, if there are any",
            None,
            Json,
        ),
        (
            "get",
            "/v1/contracts/{subject}/seal-signatures/{slot}",
            "下载电子签章数据 A seal signature (SES_Signature, DER)",
            None,
            File("application/octet-stream"),
        ),
        (
            "get",
            "/v1/contracts/{subject}/archive",
            "存档文件（B-LTA，如已启用）Archived file, if there is one",
            None,
            File("application/pdf"),
        ),
        ("get", "/v1/contracts/{subject}/document", "最新合同文件 Latest file", None, File("application/pdf")),
        ("get", "/v1/contracts/{subject}/events", "链上事件与调取通知 Events and notices of retrieval", None, Json),
        ("get", "/v1/contracts/{subject}/proof", "证据包 Proof bundle", None, File("application/cbor")),
        (
            "post",
            "/v1/contracts/{subject}/certificates",
            "出具签署证明（未及时完成则 202）Order a signing certificate (202 while it waits)",
            nothing(),
            Json,
        ),
        ("get", "/v1/certificates/{number}", "签署证明 A signing certificate", None, File("application/pdf")),
        (
            "get",
            "/v1/certificates/{number}/status",
            "签署证明的出具进度（可长轮询）How far a certificate is (long poll by wait)",
            None,
            Json,
        ),
        ("post", "/v1/retrievals", "法院递交已上链的调取 A court presents a retrieval", request(), Json),
        (
            "post",
            "/v1/retrievals/package",
            "法院领取调取包 A court fetches the package",
            request(),
            File("application/zip"),
        ),
        ("get", "/v1/operations/{id}", "查看操作（可长轮询）An operation (long poll by wait)", None, Json),
        ("get", "/v1/operations/{id}/to-be-signed", "外部密钥的待签数据 What an outside key signs", None, Json),
        (
            "post",
            "/v1/operations/{id}/external-signature",
            "提交外部密钥的签名 Bring an outside key's signature",
            Body::Json(schema::<external::Brought>()),
            Json,
        ),
        (
            "post",
            "/v1/operations/{id}/signatures",
            "提交当事人签名 Give an actor's signature",
            Body::Json(schema::<operations::Signature>()),
            Json,
        ),
    ]
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, summary, body, answer) in table() {
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = operation(method, path, summary, &body, answer);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "契证网关 Qizheng Gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "当事人的密钥从不进入网关：客户端核对操作正文后以自持密钥签名。The gateway never holds an actor's key: clients check an operation's body and sign it themselves.",
        },
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": {
                "type": "object",
                "description": "RFC 9457",
                "required": ["type", "title", "detail", "detail_en", "status", "code"],
                "properties": {
                    "type": {"type": "string"}, "title": {"type": "string"}, "detail": {"type": "string"},
                    "detail_en": {"type": "string"}, "status": {"type": "integer"}, "code": {"type": "string"},
                },
            }},
        },
        "paths": paths,
    })
}

fn operation(method: &str, path: &str, summary: &str, body: &Body, answer: Answer) -> Value {
    let mut parameters = vec![];
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    }
    let creates = matches!(body, Body::Creates(_) | Body::Pdf | Body::Imprint(true));
    if creates {
        let schema = json!({"type": "string", "maxLength": 128});
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "required": true, "schema": schema}));
    }
    if WAITS.contains(&(method, path)) {
        let schema = json!({"type": "integer", "minimum": 0, "maximum": MAX_WAIT.as_secs()});
        let words = "最多等待的秒数 Seconds to wait at most";
        parameters
            .push(json!({"name": "wait", "in": "query", "required": false, "description": words, "schema": schema}));
    }
    if path == "/v1/jobs" {
        let schema = json!({"type": "string", "enum": ["failed", "retrying"]});
        parameters.push(json!({"name": "status", "in": "query", "required": true, "schema": schema}));
    }
    let (media_type, schema) = match answer {
        Answer::Json => ("application/json", json!({"type": "object"})),
        Answer::File(media_type) => (media_type, json!({"type": "string", "format": "binary"})),
    };
    if matches!(body, Body::Imprint(_)) {
        let schema = json!({"type": "number", "minimum": 8, "maximum": 80});
        parameters.push(json!({"name": "width_mm", "in": "query", "required": false, "schema": schema}));
    }
    let success = if creates { "201" } else { "200" };
    let problem = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            success: {"description": "OK", "content": {media_type: {"schema": schema}}},
            "default": {"description": "问题 Problem", "content": problem},
        },
    });
    if path.starts_with("/v1/retrievals") {
        // The signed request itself entitles.
        operation["security"] = json!([]);
    }
    let binary = || json!({"schema": {"type": "string", "format": "binary"}});
    let content = match body {
        Body::None => return operation,
        Body::Imprint(_) => json!({
            "application/json": {"schema": {"type": "object", "required": ["form"]}},
            "image/png": binary(), "image/jpeg": binary(), "image/svg+xml": binary(),
        }),
        Body::Creates(schema) | Body::Json(schema) => json!({"application/json": {"schema": schema}}),
        Body::Pdf | Body::Shown => json!({"application/pdf": binary()}),
    };
    operation["requestBody"] = json!({"required": true, "content": content});
    operation
}
