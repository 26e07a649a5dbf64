//! Makes a court package: gathers the contracts' files and proofs, verifies everything through the same
//! door as the court will, writes the report, seals it, and releases nothing that does not verify.
//!
//! The job may run twice: it ends by noting one document for the retrieval, and the same retrieval again
//! gives a package of the same contents at a later time.

use super::{process, report};
use crate::app::App;
use crate::clock::{now_ms, rfc3339};
use crate::error::{ServiceError, blocking};
use crate::ledger::VerifiedBundle;
use crate::portal::trust::Trust;
use crate::{documents, issuer, key_service, operations, proofs};
use qz_document::render::evidence_report;
use qz_domain::Refusal;
use qz_domain::proven::ProvenRecord;
use qz_evidence::bundle::Bundle;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::hash::sha256;
use qz_evidence::payload::Payload;
use qz_evidence::retrieval::RetrievalRequest;
use qz_evidence::verify::Verdict;
use qz_evidence::{Hash32, OrgId, SubjectId};
use qz_storage::audit::{self, AuditLine};
use qz_storage::contracts::Contract;
use qz_storage::documents::Document;
use qz_storage::jobs::{self, Claim};
use qz_storage::retrievals::{self, PackageStatus, Retrieval};
use qz_storage::{certificates, contracts, operations as rows};
use qz_verify::archive::{self, ArchiveError, Entry};
use qz_verify::package::manifest::{self, ContractIn, FileIn, FileRole, MadeBy, Manifest, RetrievalAt};
use qz_verify::{Input, PackageReport, package::MANIFEST, package::REPORT, verify_package};
use serde_json::Value;

const README: &str = include_str!("README.txt");

/// A file on its way into the package.
struct File {
    path: String,
    role: FileRole,
    contract: Option<usize>,
    bytes: Vec<u8>,
}

/// The job: makes the package of a retrieval and notes it.
pub async fn make(app: &App, claim: &Claim) -> Result<(), ServiceError> {
    let digest = Hash32::from_hex(&claim.job.ref_id)
        .ok_or_else(|| ServiceError::Damaged(format!("reference {}", claim.job.ref_id)))?;
    let retrieval = retrievals::find(&app.storage, &app.encryption, &digest.0).await?;
    let retrieval = retrieval.ok_or_else(|| ServiceError::Damaged(format!("no retrieval {digest}")))?;
    if retrieval.status == PackageStatus::Ready {
        let tx = app.storage.begin().await?;
        jobs::finish(&tx, claim, now_ms()).await?;
        return Ok(tx.commit().await?);
    }
    let archive = assemble(app, &retrieval).await?;
    let file_name = format!("court-package-{}.zip", &claim.job.ref_id[..12]);
    let sha256 = hex::encode(sha256(&[&archive]).0);
    let document = documents::store_other(app, archive, Some(file_name)).await?;
    let now = now_ms();
    let tx = app.storage.begin().await?;
    qz_storage::documents::insert(&tx, &document).await?;
    retrievals::set_package(&tx, &digest.0, PackageStatus::Ready, Some(&document.id), None, now).await?;
    let line = AuditLine {
        time_ms: now,
        actor: "worker".into(),
        ip: None,
        action: "package.made".into(),
        subject: Some(claim.job.ref_id.clone()),
        detail: sha256,
    };
    audit::append(&tx, &line).await?;
    jobs::finish(&tx, claim, now).await?;
    Ok(tx.commit().await?)
}

/// What shows that this is a court, when the genesis does not: the changes of governance about it.
async fn admission(app: &App, court: &OrgId) -> Result<Vec<Hash32>, ServiceError> {
    if app.ledger.genesis().organisation(court).is_some_and(|member| member.has(Role::Court)) {
        return Ok(vec![]);
    }
    app.ledger.records_of(&SubjectId::of_organisation(&app.ledger.chain_id(), court)).await
}

async fn assemble(app: &App, retrieval: &Retrieval) -> Result<Vec<u8>, ServiceError> {
    let request = RetrievalRequest::parse(&retrieval.request)
        .map_err(|error| ServiceError::Damaged(format!("a stored request: {error}")))?;
    let record = Hash32(retrieval.record);
    let court = OrgId::new(&retrieval.court).ok_or_else(|| ServiceError::Damaged("a court's id".into()))?;
    let proven = [vec![record], admission(app, &court).await?].concat();
    let proof = proofs::anchored(app, opened(app, app.ledger.bundle(proven).await?, &request)?).await?;
    let mut files = vec![
        file("README.txt", FileRole::Readme, None, README.as_bytes().to_vec()),
        file("genesis.qz", FileRole::Genesis, None, app.ledger.genesis().bytes().to_vec()),
        file("retrieval/request.json", FileRole::Request, None, retrieval.request.clone()),
        file("retrieval/proof.qzproof", FileRole::RetrievalProof, None, proof.bytes),
    ];
    let mut named = vec![];
    for (number, subject) in (1..).zip(&request.contracts) {
        let row = contracts::by_subject(&app.storage, &subject.0.0).await?;
        named.push(ContractIn {
            folder: manifest::folder(number),
            subject: *subject,
            title: row.title.clone(),
            number: row.number.clone(),
        });
        contract_files(app, &request, &record, &row, subject, number, &mut files).await?;
    }
    let at = proof_place(&proof.report, &record)?;
    let made_ms = now_ms();
    let issuer = &app.config.issuer;
    let mut manifest = Manifest {
        format: manifest::FORMAT.to_owned(),
        chain_id: app.ledger.chain_id(),
        chain_name: app.ledger.genesis().body().name.clone(),
        case_number: request.case_number.clone(),
        court,
        made_ms,
        made: rfc3339(made_ms),
        made_by: MadeBy {
            organisation: app.ledger.organisation().clone(),
            name: issuer.name.clone(),
            id_code: issuer.id_code.clone(),
            software: "qz-gateway".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        retrieval: RetrievalAt {
            record,
            height: at.0,
            index: at.1,
            time_ms: at.2,
            digest: request.digest(),
            notice_after: request.notice_after.clone(),
        },
        contracts: named,
        files: vec![],
    };

    // Everything is verified as the court will do it; only the seal is still missing.
    let genesis = app.ledger.genesis().bytes().to_vec();
    let (found, mut files) = {
        let mut manifest = manifest.clone();
        list(&mut manifest, &mut files);
        let (genesis, trust) = (genesis.clone(), app.trust.clone());
        blocking(move || {
            let found = verified(&manifest, &files, &[], &genesis, &trust)?;
            Ok::<_, ServiceError>((found, files))
        })
        .await?
    };
    if found.failure.as_ref().is_none_or(|failure| failure.check != 7) {
        return Err(unfit(&found));
    }
    files.push(file("report.json", FileRole::Report, None, report::json(app, &found)?));
    list(&mut manifest, &mut files);
    let data = report::data(app, &manifest, &found)?;
    let listed = manifest.to_json();
    let rendered = blocking(move || evidence_report(&data, &listed)).await?;
    let pdf = key_service::sign_report(app, rendered, made_ms).await?;
    let trust = app.trust.clone();
    blocking(move || {
        let found = verified(&manifest, &files, &pdf, &genesis, &trust)?;
        if found.verdict == Verdict::Invalid {
            return Err(unfit(&found));
        }
        archive_of(&manifest, &files, &pdf)
    })
    .await
}

fn unfit(found: &PackageReport) -> ServiceError {
    let why = found.failure.as_ref().map(|failure| format!("check {}: {}", failure.check, failure.en));
    ServiceError::Proof(format!("the package does not verify: {}", why.unwrap_or_default()))
}

fn file(path: &str, role: FileRole, contract: Option<usize>, bytes: Vec<u8>) -> File {
    File { path: path.to_owned(), role, contract, bytes }
}

/// Puts the files into the manifest, ascending by path.
fn list(manifest: &mut Manifest, files: &mut [File]) {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let entry = |file: &File| FileIn {
        path: file.path.clone(),
        role: file.role,
        bytes: file.bytes.len() as u64,
        sha256: sha256(&[&file.bytes]),
        contract: file.contract,
    };
    manifest.files = files.iter().map(entry).collect();
}

fn archive_of(manifest: &Manifest, files: &[File], report: &[u8]) -> Result<Vec<u8>, ServiceError> {
    let mut entries: Vec<Entry> =
        files.iter().map(|file| Entry { name: file.path.clone(), bytes: file.bytes.clone() }).collect();
    entries.push(Entry { name: MANIFEST.to_owned(), bytes: manifest.to_json() });
    entries.push(Entry { name: REPORT.to_owned(), bytes: report.to_vec() });
    archive::write(entries).map_err(|error| match error {
        ArchiveError::TooLarge { .. } | ArchiveError::Count => Refusal::invalid(
            "package.too_large",
            format!("调取内容过大，请分多次调取：{error}"),
            format!("the package would be too large; retrieve fewer contracts at a time: {error}"),
        )
        .into(),
        other => ServiceError::Damaged(other.to_string()),
    })
}

/// Verifies with the trust inputs of this gateway's settings; the report says that they are the platform's.
fn verified(
    manifest: &Manifest, files: &[File], report: &[u8], genesis: &[u8], trust: &Trust,
) -> Result<PackageReport, ServiceError> {
    let archive = archive_of(manifest, files, report)?;
    let witness_policy = trust.witness_policy.as_deref().map(str::as_bytes);
    let tsa_roots = trust.tsa_roots.as_deref().unwrap_or_default().as_bytes();
    Ok(verify_package(
        &Input { file: &archive, genesis, proof: None, now_ms: now_ms(), witness_policy, tsa_roots },
        None,
    ))
}

/// Height, index and time of the retrieval, from its proof.
fn proof_place(report: &qz_evidence::verify::Report, record: &Hash32) -> Result<(u64, u32, u64), ServiceError> {
    let event = report.events.iter().find(|event| event.record_hash == *record);
    let event = event.ok_or_else(|| ServiceError::Proof(format!("the bundle does not contain record {record}")))?;
    Ok((event.height.0, event.index, event.time_ms))
}

/// Opens the retrieval's commitments in a bundle, and verifies it.
fn opened(app: &App, mut bundle: Bundle, request: &RetrievalRequest) -> Result<VerifiedBundle, ServiceError> {
    for entry in &mut bundle.entries {
        if ProvenRecord::open(entry)?.parsed.digest() == request.digest() {
            entry.openings.clone_from(&request.openings);
        }
    }
    app.ledger.verified(bundle)
}

/// All files of one contract.
async fn contract_files(
    app: &App, request: &RetrievalRequest, record: &Hash32, row: &Contract, subject: &SubjectId, number: usize,
    files: &mut Vec<File>,
) -> Result<(), ServiceError> {
    let folder = manifest::folder(number);
    let put =
        |name: String, role: FileRole, bytes: Vec<u8>| file(&format!("{folder}/{name}"), role, Some(number), bytes);
    let deposit = issuer::deposit(app).await?;
    let proof = opened(app, proofs::of_contract(app, row, &[deposit]).await?.bundle, request)?;
    let proof = proofs::anchored(app, proof).await?;
    let complete = proof.report.subjects.iter().any(|found| found.subject == *subject && found.complete);
    if !complete || !proof.report.events.iter().any(|event| event.record_hash == *record) {
        return Err(ServiceError::NotYet(format!("contract {subject} with this retrieval")));
    }
    files.push(put("proof.qzproof".into(), FileRole::Proof, proof.bytes));

    let mut receipts = 0;
    for operation in rows::for_contract(&app.storage, &row.id).await?.iter().filter(|o| o.record.is_some()) {
        match operations::body(operation)?.payload {
            Payload::ContractVersionFixed(fields) => {
                let bytes = committed(app, operation, name::DOCUMENT).await?;
                let bytes = bytes.ok_or_else(|| ServiceError::Damaged(format!("version of {}", operation.id)))?;
                files.push(put(format!("version-{}.pdf", fields.version), FileRole::Version, bytes));
            }
            Payload::ContractFulfilment(_) => {
                if let Some(bytes) = committed(app, operation, name::RECEIPT).await? {
                    receipts += 1;
                    files.push(put(format!("receipt-{receipts}.pdf"), FileRole::Receipt, bytes));
                }
            }
            _ => {}
        }
    }
    let latest = match (&row.final_document, &row.current_revision) {
        (Some(id), _) => Some((id, "final.pdf", FileRole::Final)),
        (None, Some(id)) => Some((id, "revision.pdf", FileRole::Revision)),
        (None, None) => None,
    };
    if let Some((id, name, role)) = latest {
        let document = documents::get(app, id).await?;
        files.push(put(name.into(), role, documents::bytes(app, &document).await?));
    }
    for certificate in certificates::for_contract(&app.storage, &row.id).await? {
        let document = documents::get(app, &certificate.document).await?;
        let bytes = documents::bytes(app, &document).await?;
        files.push(put(format!("certificate-{}.pdf", certificate.number), FileRole::Certificate, bytes));
    }
    let process: Value = process::record(app, row).await?;
    let mut process = serde_json::to_vec_pretty(&process).expect("a JSON value can be written");
    process.push(b'\n');
    files.push(put("process.json".into(), FileRole::Process, process));
    Ok(())
}

/// The file to which an operation commits under this name, if it commits to one.
async fn committed(app: &App, operation: &rows::Operation, name: &str) -> Result<Option<Vec<u8>>, ServiceError> {
    let opening = operations::openings(app, operation)?.into_iter().find(|opening| opening.name == name);
    let Some(opening) = opening else { return Ok(None) };
    let digest = <[u8; 32]>::try_from(opening.value.0.as_slice())
        .map_err(|_| ServiceError::Damaged(format!("a digest of operation {}", operation.id)))?;
    let found: Option<Document> = qz_storage::documents::find_by_sha256(&app.storage, &digest).await?;
    match found {
        Some(document) => Ok(Some(documents::bytes(app, &document).await?)),
        None => Ok(None),
    }
}
