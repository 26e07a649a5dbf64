//! Levels of the PDF signatures that the gateway makes (PAdES, ETSI EN 319 142-1): a timestamp over each
//! signature while it is made (B-T), and once all parties have signed the data by which the signatures can be
//! judged years later (B-LT).
//!
//! Without a configured timestamp authority signatures stay B-B and the API says so. With one, nothing takes
//! its place: while it cannot be reached, the signature waits.

use crate::app::App;
use crate::error::{ServiceError, blocking};
use qz_document::ltv::{self, ForSignature, ValidationData};
use qz_document::{cms, sign};
use qz_evidence::hash::sha256;
use qz_storage::contracts::SignatureLevel;

/// The CMS object with a timestamp over its signature, if an authority is configured.
pub async fn stamped(app: &App, signed: Vec<u8>) -> Result<Vec<u8>, ServiceError> {
    let Some(authority) = &app.anchoring.authority else { return Ok(signed) };
    let imprint = sha256(&[&cms::signature_value(&signed)?]);
    let stamp = authority.stamp(&imprint).await.map_err(|error| ServiceError::Timestamp(Box::new(error)))?;
    Ok(cms::with_timestamp(&signed, &stamp.token)?)
}

/// The level that every signature of a file has at least, validation data apart.
pub async fn level(pdf: Vec<u8>) -> Result<SignatureLevel, ServiceError> {
    blocking(move || {
        let signatures = sign::signatures(&pdf)?;
        for signature in signatures.iter().filter(|signature| !signature.is_timestamp) {
            if cms::timestamp(&signature.object)?.is_none() {
                return Ok(SignatureLevel::Basic);
            }
        }
        Ok::<_, ServiceError>(SignatureLevel::Timestamped)
    })
    .await
}

/// The file with the validation data of its signatures: B-LT. Only files whose signatures have timestamps.
pub async fn long_term(app: &App, pdf: Vec<u8>) -> Result<Vec<u8>, ServiceError> {
    let (pdf, signatures) = blocking(move || {
        let signatures = sign::signatures(&pdf)?;
        Ok::<_, ServiceError>((pdf, signatures))
    })
    .await?;
    let own_list = app.authority.revocation_list(&app.storage).await?;
    let mut data = Vec::new();
    for signature in &signatures {
        let mut certificates = cms::certificates(&signature.object)?;
        if let Some(token) = cms::timestamp(&signature.object)? {
            certificates.extend(cms::certificates(&token)?);
        }
        // Our own CA is asked here, not over the network.
        let (ours, others): (Vec<_>, Vec<_>) =
            certificates.iter().cloned().partition(|certificate| app.authority.is_issuer_of(certificate));
        let fetched = qz_client::revocation_data(&others).await;
        let mut found = ValidationData { certificates, revocation_lists: fetched.lists, ocsp_responses: fetched.ocsp };
        if !ours.is_empty() {
            found.revocation_lists.push(own_list.clone());
        }
        data.push(found);
    }
    blocking(move || {
        let entries: Vec<_> = signatures
            .iter()
            .zip(data)
            .map(|(signature, data)| ForSignature { contents: &signature.contents, data })
            .collect();
        ltv::add(&pdf, &entries)
    })
    .await
}
