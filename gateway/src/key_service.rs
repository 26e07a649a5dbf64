//! The key service: the only place of the gateway that signs PDFs.
//!
//! It signs a contract only on the ground of a record whose finality it has verified itself, and only
//! the digest that this record commits to. So with everything else in the gateway bypassed, no sealed
//! PDF of a suspended seal exists. It decides nothing else and writes nothing.

use crate::app::App;
use crate::clock::{now_ms, signed};
use crate::config::SignerRevocation;
use crate::error::{ServiceError, blocking};
use crate::signing::Plan;
use crate::{contracts, custody, failpoint, operations, pades};
use qz_document::ca::{RevocationData, Standing, check_signer_with};
use qz_document::cms::{self, SignerCertificate};
use qz_document::key::{HashFunction, SealKey};
use qz_document::render::Rendered;
use qz_document::ses;
use qz_document::sign::{self, FieldRequest, Policy, Prepared};
use qz_domain::Refusal;
use qz_domain::proven::ProvenRecord;
use qz_evidence::Hash32;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::hash::sha256;
use qz_evidence::payload::{ContractSigned, Payload, SlotKind};
use qz_storage::contracts::Contract;
use qz_storage::operations::{self as rows, Operation};
use qz_storage::seals::{self, Seal};
use qz_storage::{external_signatures, seal_data, seal_keys};

/// Completes the signature that a final `contract.signed` record allows; gives the signed PDF.
///
/// Repeating it signs the same bytes: the revision was stored before the record. Only the timestamp is another.
pub async fn sign_after_finality(
    app: &App, operation: &Operation, contract: &Contract,
) -> Result<Vec<u8>, ServiceError> {
    let Approved { prepared, seal } = approved(app, operation, contract).await?;
    failpoint::reached("after_finality_before_pdf");

    let row = seal_keys::open(&app.storage, &app.encryption, &seal.key).await?;
    let config = app.config.seal_keys.clone();
    match blocking(move || custody::open(&config, &row)).await? {
        Some(key) => seal_up(app, prepared, key, seal.certificate_der, seal.chain).await,
        None => {
            let signature = external_signatures::find(&app.storage, &operation.id).await?;
            let signature = signature.ok_or(ServiceError::AwaitsSignature)?;
            let (prepared, signed) = blocking(move || {
                let signed = cms::assemble(&digest(&prepared, &seal)?, signer(&seal), &signature)?;
                Ok::<_, ServiceError>((prepared, signed))
            })
            .await?;
            finish(app, prepared, signed).await
        }
    }
}

/// What a key outside of the gateway has to sign, once the record that allows it is final: bytes that it hashes
/// itself, and by which function.
pub async fn to_be_signed(
    app: &App, operation: &Operation, contract: &Contract,
) -> Result<(Vec<u8>, HashFunction), ServiceError> {
    let Approved { prepared, seal } = approved(app, operation, contract).await?;
    let row = seal_keys::open(&app.storage, &app.encryption, &seal.key).await?;
    if row.as_slice() != custody::OUTSIDE {
        return Err(Refusal::state(
            "signature.inside",
            "该印章的密钥由平台保管，无需外部签名",
            "the key of this seal is in the gateway: no signature is to be brought",
        )
        .into());
    }
    blocking(move || {
        let message = cms::to_be_signed(&digest(&prepared, &seal)?, signer(&seal))?;
        Ok::<_, ServiceError>((message, signer(&seal).hash()?))
    })
    .await
}

/// Checks a signature that was brought, without keeping it.
pub async fn check_brought(
    app: &App, operation: &Operation, contract: &Contract, signature: Vec<u8>,
) -> Result<(), ServiceError> {
    let Approved { prepared, seal } = approved(app, operation, contract).await?;
    let held =
        blocking(move || Ok::<_, ServiceError>(cms::assemble(&digest(&prepared, &seal)?, signer(&seal), &signature)));
    match held.await? {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::invalid(
            "signature.wrong",
            "签名值与待签数据或印章的数字证书不符",
            format!("the signature is not over what was to be signed, or by another key: {error}"),
        )
        .into()),
    }
}

fn signer(seal: &Seal) -> SignerCertificate<'_> {
    SignerCertificate { certificate_der: &seal.certificate_der, chain_ders: &seal.chain }
}

fn digest(prepared: &Prepared, seal: &Seal) -> Result<[u8; 32], ServiceError> {
    Ok(prepared.digest_by(signer(seal).hash()?)?)
}

/// A revision that a final record allows to sign, and the seal for it.
struct Approved {
    prepared: Prepared,
    seal: Seal,
}

async fn approved(app: &App, operation: &Operation, contract: &Contract) -> Result<Approved, ServiceError> {
    let refuse = |why: &str| ServiceError::Withheld(format!("operation {}: {why}", operation.id));
    let record = operation.record.ok_or_else(|| refuse("it has no record"))?;
    let proven = app.ledger.proven_record(&Hash32(record.hash)).await?;
    let fields = check_record(&proven, operation, contract)?;

    let plan = Plan::of(&operation.payload)?;
    let prepared = plan.prepared(app).await?;
    let openings = operations::openings(app, operation)?;
    let to_be_signed = opened(&proven, &openings, name::TO_BE_SIGNED)
        .ok_or_else(|| refuse("the record does not commit to a digest to be signed"))?;
    if covered_digest(&prepared) != Some(to_be_signed) || prepared.digest != to_be_signed.0 {
        return Err(refuse("the prepared revision is not the one that the record commits to"));
    }
    let seal = seal_of(app, operation, &fields).await?;
    if bound_certificate(app, &seal, &proven, &openings, &fields).await? != Some(sha256(&[&seal.certificate_der])) {
        return Err(refuse("the ledger binds another X.509 certificate"));
    }
    match standing(app, &seal).await? {
        Standing::Good => {}
        // Nothing takes the place of an answer: the signature waits for it.
        Standing::Unknown => return Err(ServiceError::StatusUnknown),
        other => return Err(refuse(other.words().1)),
    }
    Ok(Approved { prepared, seal })
}

/// May the seal's certificate sign now? What our own CA has revoked is known without asking; other CAs are asked, for
/// their lists and by OCSP. [`Standing::Unknown`] only where the settings want to know.
pub async fn standing(app: &App, seal: &Seal) -> Result<Standing, ServiceError> {
    let (lists, answers) = if app.authority.is_issuer_of(&seal.certificate_der) {
        (vec![app.authority.revocation_list(&app.storage).await?], vec![])
    } else {
        let found = qz_client::revocation_data(&path_of(seal)).await;
        (found.lists, found.ocsp)
    };
    let data = RevocationData { lists: &lists, answers: &answers };
    let standing = check_signer_with(&seal.certificate_der, &seal.chain, data, signed(now_ms()))?;
    Ok(match (standing, app.config.signer_revocation) {
        (Standing::Unknown, SignerRevocation::IfAvailable) => Standing::Good,
        _ => standing,
    })
}

/// Does the seal's certificate, or an issuer's, name a list or a responder at all?
pub fn names_revocation_data(seal: &Seal) -> bool {
    let sources = qz_evidence::revocation::Sources::of(&path_of(seal));
    !sources.lists.is_empty() || !sources.questions.is_empty()
}

fn path_of(seal: &Seal) -> Vec<Vec<u8>> {
    std::iter::once(&seal.certificate_der).chain(&seal.chain).cloned().collect()
}

/// Signs a prepared revision; with a timestamp if an authority is configured.
async fn seal_up(
    app: &App, prepared: Prepared, key: SealKey, certificate: Vec<u8>, chain: Vec<Vec<u8>>,
) -> Result<Vec<u8>, ServiceError> {
    let (prepared, signed) = blocking(move || {
        let digest =
            prepared.digest_by(SignerCertificate { certificate_der: &certificate, chain_ders: &[] }.hash()?)?;
        let signed = cms::sign(&digest, &key, &certificate, &chain)?;
        Ok::<_, ServiceError>((prepared, signed))
    })
    .await?;
    finish(app, prepared, signed).await
}

async fn finish(app: &App, prepared: Prepared, signed: Vec<u8>) -> Result<Vec<u8>, ServiceError> {
    let signed = pades::stamped(app, signed).await?;
    let complete = blocking(move || sign::complete(&prepared, &signed)).await?;
    app.metrics.signed();
    Ok(complete)
}

/// The record is this operation's, and says what the contract expects.
fn check_record(
    proven: &ProvenRecord, operation: &Operation, contract: &Contract,
) -> Result<ContractSigned, ServiceError> {
    let refuse = |why: &str| ServiceError::Withheld(format!("operation {}: {why}", operation.id));
    if proven.parsed.digest().0 != operation.digest {
        return Err(refuse("the record is another operation's"));
    }
    let Payload::ContractSigned(fields) = proven.payload() else {
        return Err(refuse("the record is no signature of a contract"));
    };
    let expected = contracts::domain(contract)?;
    let slot = expected.slot(fields.slot)?;
    let seal = (slot.kind == SlotKind::Seal).then_some(slot.subject);
    if fields.contract != expected.subject || fields.seal != seal || expected.version_commitment != Some(fields.version)
    {
        return Err(refuse("the record names another contract, version or seal"));
    }
    Ok(fields.clone())
}

/// The digest that an opening of ours discloses, if it opens the proven record's commitment.
fn opened(proven: &ProvenRecord, openings: &[Opening], name: &str) -> Option<Hash32> {
    let opening = openings.iter().find(|opening| opening.name == name)?;
    let holds = proven.parsed.body().commitment(name) == Some(&opening.commitment().hash);
    if holds { Some(Hash32(<[u8; 32]>::try_from(&opening.value[..]).ok()?)) } else { None }
}

/// SHA-256 over what the signature will cover, from the stored bytes.
fn covered_digest(prepared: &Prepared) -> Option<Hash32> {
    let [start, first, second, last] = prepared.byte_range;
    let before = prepared.bytes.get(start..start.checked_add(first)?)?;
    let after = prepared.bytes.get(second..second.checked_add(last)?)?;
    let whole = start == 0 && second.checked_add(last)? == prepared.bytes.len() && first < second;
    whole.then(|| sha256(&[before, after]))
}

async fn seal_of(app: &App, operation: &Operation, fields: &ContractSigned) -> Result<Seal, ServiceError> {
    Ok(match &fields.seal {
        Some(subject) => seals::get(&app.storage, &subject.0.0).await?,
        // A person's slot: the seal was made for this operation.
        None => seals::by_operation(&app.storage, &operation.id).await?,
    })
}

/// Digest of the X.509 certificate that the ledger binds: to the seal when it was made, to a person's
/// signature in its own record.
async fn bound_certificate(
    app: &App, seal: &Seal, signed: &ProvenRecord, openings: &[Opening], fields: &ContractSigned,
) -> Result<Option<Hash32>, ServiceError> {
    let Some(subject) = fields.seal else {
        return Ok(opened(signed, openings, name::CERTIFICATE));
    };
    let making = rows::get(&app.storage, &seal.operation).await?;
    let Some(record) = making.record else { return Ok(None) };
    let made = app.ledger.proven_record(&Hash32(record.hash)).await?;
    let is_this_seal = matches!(made.payload(), Payload::SealMade(_))
        && made.record.links.first().is_some_and(|link| link.subject == subject && link.sequence == 0);
    if !is_this_seal {
        return Ok(None);
    }
    Ok(opened(&made, &operations::openings(app, &making)?, name::CERTIFICATE))
}

/// A seal signature of GB/T 38540 (SES_Signature, DER) over a contract's final file, with the seal of a slot. Made only
/// for the file that a final `contract.completed` commits to, and with the seal that a final `contract.signed` used.
/// Nothing if the seal has no seal data, or this gateway does not keep its keys.
pub async fn sign_with_seal_data(
    app: &App, contract: &Contract, slot: u8, pdf: &[u8],
) -> Result<Option<Vec<u8>>, ServiceError> {
    let refuse = |why: &str| ServiceError::Withheld(format!("seal signature for contract {}: {why}", contract.id));
    let expected = contracts::domain(contract)?;
    let used = expected.slot(slot)?.signed.as_ref().ok_or_else(|| refuse("the slot is not signed"))?;
    let id = used.operation.parse().map_err(|_| ServiceError::Damaged(format!("operation {}", used.operation)))?;
    let signing = rows::get(&app.storage, &id).await?;
    let proven = app.ledger.proven_record(&used.record).await?;
    let fields = check_record(&proven, &signing, contract)?;
    if fields.slot != slot || fields.seal.is_none() {
        return Err(refuse("the record is of another slot"));
    }
    check_completed(app, contract, &sha256(&[pdf])).await?;

    let seal = seal_of(app, &signing, &fields).await?;
    let Some(data) = seal_data::find(&app.storage, &seal.operation).await? else { return Ok(None) };
    let own = seal_keys::open(&app.storage, &app.encryption, &seal.key).await?;
    let row = seal_keys::open(&app.storage, &app.encryption, &data.key).await?;
    if own.as_slice() == custody::OUTSIDE || row.as_slice() == custody::OUTSIDE {
        return Ok(None);
    }
    let signer = Seal { certificate_der: data.certificate_der.clone(), ..seal };
    match standing(app, &signer).await? {
        Standing::Good => {}
        Standing::Unknown => return Err(ServiceError::StatusUnknown),
        other => return Err(refuse(other.words().1)),
    }
    let config = app.config.seal_keys.clone();
    let key = blocking(move || custody::open(&config, &row)).await?.ok_or_else(|| refuse("its key is not here"))?;
    let digest = ses::document_digest(pdf);
    let new = ses::NewSignature {
        seal: &data.esl,
        digest: &digest,
        properties: &format!("PDF;bytes=0-{};record={}", pdf.len().saturating_sub(1), used.record),
        time_ms: signed(now_ms()),
    };
    let mut made = ses::sign(&new, &key, &data.certificate_der)?;
    if let Some(authority) = &app.anchoring.authority {
        let stamp = authority.stamp(&Hash32(ses::timestamp_imprint(&made)?)).await;
        let stamp = stamp.map_err(|error| ServiceError::Timestamp(Box::new(error)))?;
        made = ses::with_timestamp(&made, &stamp.token)?;
    }
    // What is given out holds: an expired seal ends here.
    let trust = ses::Trust { roots: vec![app.authority.root_der()], ..ses::Trust::default() };
    ses::verify_signature(&made, &digest, &trust)?;
    Ok(Some(made))
}

/// Does a final `contract.completed` commit to a file with this digest?
async fn check_completed(app: &App, contract: &Contract, file: &Hash32) -> Result<(), ServiceError> {
    let subject = contracts::domain(contract)?.subject;
    for operation in rows::for_contract(&app.storage, &contract.id).await? {
        let Some(record) = operation.record.filter(|_| operation.kind == "contract.completed") else { continue };
        let proven = app.ledger.proven_record(&Hash32(record.hash)).await?;
        let is_own = matches!(proven.payload(), Payload::ContractCompleted(fields) if fields.contract == subject);
        let openings = operations::openings(app, &operation)?;
        if is_own && opened(&proven, &openings, name::DOCUMENT).as_ref() == Some(file) {
            return Ok(());
        }
    }
    let why = "no final record completes it with this file";
    Err(ServiceError::Withheld(format!("seal signature for contract {}: {why}", contract.id)))
}

/// Seals a signing certificate with the issuer's own seal.
pub async fn sign_certificate(app: &App, rendered: Rendered, now_ms: u64) -> Result<Vec<u8>, ServiceError> {
    sign_issued(app, rendered, "出具电子合同签署证明", now_ms).await
}

/// Seals the report of a court package with the issuer's own seal.
pub async fn sign_report(app: &App, rendered: Rendered, now_ms: u64) -> Result<Vec<u8>, ServiceError> {
    sign_issued(app, rendered, "出具法院调取包出证报告", now_ms).await
}

/// Seals the report on a seal with the issuer's own seal.
pub async fn sign_seal_report(app: &App, rendered: Rendered, now_ms: u64) -> Result<Vec<u8>, ServiceError> {
    sign_issued(app, rendered, "出具用印授权与使用报告", now_ms).await
}

async fn sign_issued(
    app: &App, rendered: Rendered, reason: &'static str, now_ms: u64,
) -> Result<Vec<u8>, ServiceError> {
    let issuer = app.authority.issuer();
    let (key, certificate) = (issuer.key.clone(), issuer.certificate_der.clone());
    let (imprint, root) = (app.authority.issuer_imprint().clone(), app.authority.root_der());
    let signer_name = app.config.issuer.name.clone();
    let prepared = blocking(move || {
        let anchor = rendered
            .anchor("issuer")
            .ok_or_else(|| ServiceError::Damaged("the signing certificate has no place for the seal".into()))?;
        let (x_mm, y_mm) = anchor.corner(&imprint);
        let request = FieldRequest {
            field_name: "issuer",
            page: anchor.page,
            x_mm,
            y_mm,
            imprint: &imprint,
            // The document itself says who issues it and when.
            caption: None,
            signer_name: &signer_name,
            reason,
            time_ms: signed(now_ms),
            policy: Policy::Approval,
        };
        Ok::<_, ServiceError>(sign::prepare(&rendered.pdf, &request)?)
    })
    .await?;
    seal_up(app, prepared, key, certificate, vec![root]).await
}
