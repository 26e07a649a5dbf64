//! Seals: made with imprint, key and X.509 certificate; then suspended, resumed, destroyed, authorised.

use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::custody::{self, Kept, KeyChoice, Store};
use crate::error::{ServiceError, blocking};
use crate::server::{Caller, Outcome};
use crate::{access, authority, documents, external, imprints, keys, operations, seal_data};
use qz_document::ca::Subject;
use qz_document::seal::Form;
use qz_domain::compose::{self, Content, SealDecision};
use qz_domain::contract::Size;
use qz_domain::{Refusal, refusal};
use qz_evidence::hash::sha256;
use qz_evidence::payload::SealKind;
use qz_evidence::{Hash32, Height, SubjectId};
use qz_storage::SealKeyId;
use qz_storage::documents::Document;
use qz_storage::keys::PartyKey;
use qz_storage::seals::{self, Seal, SealStatus};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// `POST /v1/seals`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSeal {
    name: String,
    #[schema(value_type = String, example = "contract")]
    kind: SealKind,
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    owner: SubjectId,
    company_name: String,
    #[serde(default)]
    bottom_text: String,
    /// How the imprint is drawn, if not as usual for the kind; `docs/OPERATIONS.md` has the forms.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"form": "contract", "name": "北京示例科技有限公司", "number": 1}))]
    form: Option<Form>,
    /// An imprint that was made or uploaded before (`POST /v1/imprints`).
    #[serde(default)]
    imprint: Option<String>,
    /// Kind of the seal's key and where it is kept, if not as configured.
    #[serde(default)]
    #[schema(inline)]
    key: KeyChoice,
    /// A key outside of the gateway: its certificate by whichever CA and the issuers, PEM.
    #[serde(default)]
    external_certificate: Option<String>,
}

/// `POST /v1/seals/{subject}/{suspend|resume|destroy}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    reason: String,
}

/// `POST /v1/seals/{subject}/authorisations`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAuthorisation {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: SubjectId,
    #[serde(default)]
    count: Option<u32>,
    #[serde(default)]
    until: Option<u64>,
}

/// Makes a seal: draws it, makes its key, has the demonstration CA certify it.
pub async fn make(app: &App, caller: &Caller, new: NewSeal) -> Result<Outcome, ServiceError> {
    let owner = keys::active(app, &new.owner).await?;
    let name = refusal::text("name", &new.name, 40)?;
    if new.company_name.trim() != owner.name {
        return Err(Refusal::invalid(
            "seal.owner_name",
            format!("印章名称须与所有人登记名称“{}”一致", owner.name),
            format!("the name on the seal must be the owner's registered name, {}", owner.name),
        )
        .into());
    }
    let (kind, company, bottom) = (new.kind, owner.name.clone(), new.bottom_text.trim().to_owned());
    let imprint = imprint(app, caller, (new.form, new.imprint), kind, &owner, &bottom).await?;
    let now = now_ms();
    let subject = match kind {
        SealKind::LegalRepresentative | SealKind::Personal => Subject::Person { name: &company, organisation: None },
        _ => Subject::Seal { organisation: &company, credit_code: &owner.id_code, seal: &name },
    };
    let (certificate_der, chain, row) = match new.external_certificate {
        Some(pem) => {
            let (certificate, chain) = external::chain(pem, &company).await?;
            (certificate, chain, Zeroizing::new(custody::OUTSIDE.to_vec()))
        }
        None => {
            let kept = new_key(app, new.key).await?;
            (app.authority.certify(&subject, &kept.key, now)?, vec![app.authority.root_der()], kept.row)
        }
    };
    let (imprint, is_new) = imprint;
    let certificate = sha256(&[&certificate_der]);
    let content = compose::seal_made(new.owner, kind, &name, &Hash32(imprint.sha256), &certificate);
    let operation = operations::compose(app, content, None, Value::Null).await?;
    let key = SealKeyId::random();
    let seal = Seal {
        operation: operation.id.clone(),
        subject: operation.created_subject,
        name: name.clone(),
        kind: kind_name(kind).to_owned(),
        owner: owner.subject,
        company_name: company.clone(),
        bottom_text: bottom,
        imprint: imprint.id.clone(),
        certificate_der,
        chain,
        key: key.clone(),
        status: SealStatus::Pending,
        created_ms: now,
    };
    let body = operations::view(app, &operation)?;
    let mut seal_keys = vec![(key, row)];
    let mut data = Vec::new();
    if let Some(made) = seal_data::make(app, &seal, kind, &subject, &imprint, now).await? {
        seal_keys.extend(made.key.map(|row| (made.data.key.clone(), row)));
        data.push(made.data);
    }
    let change = Change {
        documents: if is_new { vec![imprint] } else { vec![] },
        seal_keys,
        seal_data: data,
        seals: vec![seal],
        jobs: vec![operations::job(&operation)],
        audit: vec![operations::composed(caller, &operation)],
        operations: vec![operation],
        ..Change::default()
    };
    Ok(Outcome::created(body, change))
}

/// The imprint of a new seal, and whether it is new too.
async fn imprint(
    app: &App, caller: &Caller, (form, made): (Option<Form>, Option<String>), kind: SealKind, owner: &PartyKey,
    bottom: &str,
) -> Result<(Document, bool), ServiceError> {
    let Some(made) = made else {
        let form = form.unwrap_or_else(|| imprints::usual(kind, &owner.name, &owner.id_code, bottom));
        imprints::check_form(kind, &form, &owner.name, &owner.id_code)?;
        return Ok((imprints::store(app, imprints::drawn(form).await?).await?, true));
    };
    if form.is_some() {
        return Err(Refusal::invalid(
            "seal.two_imprints",
            "印模样式与已有印模只能给出一个",
            "give either a form or an imprint, not both",
        )
        .into());
    }
    let unknown = || Refusal::missing("document.unknown", "没有此文件", "there is no such document");
    let document = access::document(app, caller, &made.parse().map_err(|_| unknown())?).await?;
    imprints::check(&document)?;
    Ok((document, false))
}

/// A key of its own for a seal.
async fn new_key(app: &App, choice: KeyChoice) -> Result<Kept, ServiceError> {
    let config = app.config.seal_keys.clone();
    let label = format!("qz-{}", hex::encode(authority::random::<8>()));
    blocking(move || custody::generate(&config, choice, &label)).await
}

/// What signs a person's own slot: a name seal and a key that serve this one signature.
pub struct Personal {
    /// The imprint's row.
    pub document: Document,
    /// The imprint.
    pub imprint: qz_document::seal::Imprint,
    /// The certificate.
    pub certificate_der: Vec<u8>,
    /// The key.
    pub key: Kept,
}

/// The seal for a person's own slot.
pub async fn personal(app: &App, holder: &PartyKey) -> Result<Personal, ServiceError> {
    let name = holder.name.clone();
    let imprint = imprints::drawn(Form::Personal { name }).await?;
    let subject = Subject::Person { name: &holder.name, organisation: None };
    // For one signature: not worth a place in a token.
    let key = new_key(app, KeyChoice { store: Some(Store::File), ..KeyChoice::default() }).await?;
    let certificate_der = app.authority.certify(&subject, &key.key, now_ms())?;
    let document = documents::store_pdf(app, imprint.pdf.clone(), Some(format!("{}-签名.pdf", holder.name))).await?;
    Ok(Personal { document, imprint, certificate_der, key })
}

/// Suspends, resumes or destroys a seal.
pub async fn decide(
    app: &App, caller: &Caller, subject: SubjectId, decision: SealDecision, request: Decision,
) -> Result<Outcome, ServiceError> {
    let seal = seals::get(&app.storage, &subject.0.0).await?;
    let admitted = matches!(
        (seal.status, decision),
        (SealStatus::Active, SealDecision::Suspend | SealDecision::Destroy)
            | (SealStatus::Suspended, SealDecision::Resume | SealDecision::Destroy)
    );
    if !admitted {
        return Err(wrong_state(seal.status).into());
    }
    let reason = refusal::text("reason", &request.reason, 200)?;
    let content = compose::seal_decided(subject, SubjectId(Hash32(seal.owner)), decision, &reason);
    propose(app, caller, content).await
}

/// Allows a key to use a seal.
pub async fn authorise(
    app: &App, caller: &Caller, subject: SubjectId, request: NewAuthorisation,
) -> Result<Outcome, ServiceError> {
    let seal = seals::get(&app.storage, &subject.0.0).await?;
    if seal.status != SealStatus::Active {
        return Err(wrong_state(seal.status).into());
    }
    keys::active(app, &request.key).await?;
    if request.count == Some(0) {
        return Err(Refusal::invalid("authorisation.empty", "授权次数须大于零", "the count must not be zero").into());
    }
    let owner = SubjectId(Hash32(seal.owner));
    let until = request.until.map(Height);
    propose(app, caller, compose::seal_authorised(subject, owner, request.key, request.count, until)).await
}

async fn propose(app: &App, caller: &Caller, content: Content) -> Result<Outcome, ServiceError> {
    let operation = operations::compose(app, content, None, Value::Null).await?;
    let body = operations::view(app, &operation)?;
    let change = Change {
        jobs: vec![operations::job(&operation)],
        audit: vec![operations::composed(caller, &operation)],
        operations: vec![operation],
        ..Change::default()
    };
    Ok(Outcome::created(body, change))
}

/// The refusal of something that this state of the seal does not allow.
pub fn wrong_state(status: SealStatus) -> Refusal {
    match status {
        SealStatus::Suspended => Refusal::state("seal.suspended", "印章已停用", "the seal is suspended"),
        SealStatus::Destroyed => Refusal::state("seal.destroyed", "印章已销毁", "the seal is destroyed"),
        SealStatus::Pending => Refusal::state("seal.pending", "印章尚未上链", "the seal is not on the ledger yet"),
        SealStatus::Rejected => Refusal::state("seal.rejected", "印章未制作成功", "the seal was not made"),
        SealStatus::Active => Refusal::state("seal.active", "印章未停用", "the seal is not suspended"),
    }
}

/// `GET /v1/seals/{subject}`
pub async fn show(app: &App, subject: &SubjectId) -> Result<Value, ServiceError> {
    let seal = seals::get(&app.storage, &subject.0.0).await?;
    let summary = qz_document::ca::summarise(&seal.certificate_der)?;
    Ok(json!({
        "subject": subject,
        "name": seal.name,
        "kind": seal.kind,
        "owner": SubjectId(Hash32(seal.owner)),
        "company_name": seal.company_name,
        "bottom_text": seal.bottom_text,
        "status": seal.status.as_str(),
        "demo": true,
        "operation": seal.operation.as_str(),
        "imprint_sha256": hex::encode(documents::get(app, &seal.imprint).await?.sha256),
        "certificate": {
            "sha256": sha256(&[&seal.certificate_der]),
            "subject": summary.subject,
            "issuer": summary.issuer,
            "serial": summary.serial,
            "not_before_ms": summary.not_before_ms,
            "not_after_ms": summary.not_after_ms,
        },
    }))
}

/// The true size of a seal's imprint: that of its page.
pub async fn imprint_size(app: &App, seal: &Seal) -> Result<Size, ServiceError> {
    let imprint = documents::get(app, &seal.imprint).await?;
    let size = documents::page_sizes(&imprint)?.first().copied();
    size.ok_or_else(|| ServiceError::Damaged(format!("imprint of seal {}", seal.operation)))
}

/// The name of a kind in storage and the API.
pub fn kind_name(kind: SealKind) -> &'static str {
    match kind {
        SealKind::Official => "official",
        SealKind::Contract => "contract",
        SealKind::Finance => "finance",
        SealKind::Invoice => "invoice",
        SealKind::LegalRepresentative => "legalrepresentative",
        SealKind::Personal => "personal",
    }
}
