//! Making and verifying signatures with a seal (GB/T 38540-2020 §7).

use der::Encode;
use der::asn1::{BitString, OctetString};
use qz_evidence::Hash32;
use qz_evidence::checkpoint::Anchor;
use qz_evidence::timestamp;
use sha2::{Digest, Sha256};

use super::format::{Seal, Signature, ToSign, VERSION, ascii, check_extensions, general_time, millis, strict};
use super::path::Holder;
use super::{SesError, Trust, VerifiedSeal, Who, encoding};
use crate::key::{HashFunction, KeyAlgorithm, SealKey};

/// What is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct NewSignature<'a> {
    /// The seal, DER.
    pub seal: &'a [u8],
    /// SM3 of what is covered ([`document_digest`]).
    pub digest: &'a [u8; 32],
    /// At least which part of the document is covered, ASCII.
    pub properties: &'a str,
    /// When, milliseconds since 1970; kept in seconds.
    pub time_ms: i64,
}

/// What is known of the time of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureTime {
    /// What the signer says.
    Claimed,
    /// A timestamp says so as well, and leads to no given root; milliseconds since 1970.
    Stamped(i64),
    /// A timestamp says so that leads to a given root.
    Proven(i64),
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The seal.
    pub seal: VerifiedSeal,
    /// Subject of the signer's certificate, RFC 4514 text.
    pub signer: String,
    /// What the signer gives as time, milliseconds since 1970.
    pub time_ms: i64,
    /// How sure that is.
    pub time: SignatureTime,
    /// What is covered, in the signer's words.
    pub properties: String,
    /// Revocation lists say that no certificate of either path is revoked.
    pub revocation_known: bool,
}

/// SM3 of a document, all of its bytes.
pub fn document_digest(document: &[u8]) -> [u8; 32] {
    HashFunction::Sm3.digest(&[document])
}

fn content(new: &NewSignature<'_>) -> Result<ToSign, SesError> {
    let seal = Seal::read(new.seal)?;
    seal.check_form()?;
    Ok(ToSign {
        version: VERSION,
        seal,
        time: general_time("签章时间 (time of signing)", new.time_ms)?,
        digest: BitString::from_bytes(new.digest).map_err(encoding("dataHash"))?,
        properties: ascii("原文属性 (properties)", new.properties)?,
        extensions: None,
    })
}

/// What the signer's key signs (hashing within): the DER of TBS_Sign.
///
/// # Errors
/// When the seal cannot be read or a value is not allowed.
pub fn to_be_signed(new: &NewSignature<'_>) -> Result<Vec<u8>, SesError> {
    content(new)?.to_der().map_err(encoding("TBS_Sign"))
}

/// The finished signature, DER; `signature` is over [`to_be_signed`] with SM2, as DER.
///
/// # Errors
/// When the seal does not name the certificate, or the signature does not verify with it.
pub fn assemble(new: &NewSignature<'_>, certificate: &[u8], signature: &[u8]) -> Result<Vec<u8>, SesError> {
    let to_sign = content(new)?;
    let holder = Holder::read(Who::Signer, certificate)?;
    if !to_sign.seal.names(certificate)? {
        return Err(SesError::NotListed);
    }
    if !holder.signed(&to_sign.to_der().map_err(encoding("TBS_Sign"))?, signature) {
        return Err(SesError::Signature(Who::Signer));
    }
    let signed = Signature {
        to_sign,
        certificate: OctetString::new(certificate).map_err(encoding("certificate"))?,
        algorithm: KeyAlgorithm::Sm2.identifier().oid,
        signature: BitString::from_bytes(signature).map_err(encoding("signature"))?,
        timestamp: None,
    };
    signed.to_der().map_err(encoding("SES_Signature"))
}

/// Both halves for a key that is here.
///
/// # Errors
/// As [`assemble`]; or when the key does not sign.
pub fn sign(new: &NewSignature<'_>, key: &SealKey, certificate: &[u8]) -> Result<Vec<u8>, SesError> {
    if key.public_key_der()? != Holder::read(Who::Signer, certificate)?.public_key_der {
        return Err(SesError::OtherKey(Who::Signer));
    }
    assemble(new, certificate, &key.sign(&to_be_signed(new)?)?)
}

/// What a timestamp of this signature is over: the SHA-256 of its value.
///
/// # Errors
/// When it cannot be read.
pub fn timestamp_imprint(signature: &[u8]) -> Result<[u8; 32], SesError> {
    let read: Signature = strict("SES_Signature", signature)?;
    Ok(Sha256::digest(read.value()).into())
}

/// Adds a timestamp token (RFC 3161, DER) over the SHA-256 of the signature's value.
///
/// # Errors
/// When the token is over something else, or there is one already.
pub fn with_timestamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, SesError> {
    let mut read: Signature = strict("SES_Signature", signature)?;
    if read.timestamp.is_some() {
        return Err(SesError::Timestamp("已有时间戳 (there is one already)".to_owned()));
    }
    read.timestamp = Some(BitString::from_bytes(token).map_err(encoding("timeStamp"))?);
    read.stamped(&Trust::default())?;
    read.to_der().map_err(encoding("SES_Signature"))
}

impl Signature {
    fn value(&self) -> &[u8] {
        self.signature.as_bytes().unwrap_or_default()
    }

    fn stamped(&self, trust: &Trust) -> Result<SignatureTime, SesError> {
        let Some(token) = &self.timestamp else { return Ok(SignatureTime::Claimed) };
        let failed = |error: &dyn std::fmt::Display| SesError::Timestamp(error.to_string());
        let anchor = Anchor::of_token(token.raw_bytes().to_vec());
        let imprint = Hash32(Sha256::digest(self.value()).into());
        let found = timestamp::verify(&anchor, &imprint, &trust.timestamp_roots).map_err(|error| failed(&error))?;
        let time_ms = i64::try_from(found.time_ms).unwrap_or(i64::MAX);
        Ok(if found.trusted.is_some() { SignatureTime::Proven(time_ms) } else { SignatureTime::Stamped(time_ms) })
    }
}

/// Verifies a signature (DER) over a document with this SM3 digest: format, the signer's signature, the digest,
/// the seal when it was used, the signer's certificate then, and that the seal names it.
///
/// The time is the signer's own word unless a timestamp proves it; a timestamp that leads to a given root replaces
/// it.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_signature(der: &[u8], digest: &[u8; 32], trust: &Trust) -> Result<VerifiedSignature, SesError> {
    let read: Signature = strict("SES_Signature", der)?;
    let to_sign = &read.to_sign;
    if to_sign.version != VERSION {
        return Err(SesError::Version { id: "TBS_Sign".to_owned(), version: to_sign.version });
    }
    check_extensions(to_sign.extensions.as_deref())?;
    let certificate = read.certificate.as_bytes();
    let holder = Holder::read(Who::Signer, certificate)?;
    if read.algorithm != KeyAlgorithm::Sm2.identifier().oid {
        return Err(SesError::Algorithm { who: Who::Signer, algorithm: read.algorithm.to_string() });
    }
    if !holder.signed(&to_sign.to_der().map_err(encoding("TBS_Sign"))?, read.value()) {
        return Err(SesError::Signature(Who::Signer));
    }
    if to_sign.digest.as_bytes() != Some(digest.as_slice()) {
        return Err(SesError::OtherDocument);
    }
    let time = read.stamped(trust)?;
    let time_ms = millis(to_sign.time);
    let at_ms = match time {
        SignatureTime::Proven(proven_ms) => proven_ms,
        SignatureTime::Claimed | SignatureTime::Stamped(_) => time_ms,
    };
    let seal = to_sign.seal.verify(trust, at_ms)?;
    if !to_sign.seal.names(certificate)? {
        return Err(SesError::NotListed);
    }
    let checked = holder.check(Who::Signer, trust, at_ms)?;
    Ok(VerifiedSignature {
        signer: holder.certificate.tbs_certificate().subject().to_string(),
        time_ms,
        time,
        properties: to_sign.properties.to_string(),
        revocation_known: seal.revocation_known && checked.revocation_known,
        seal,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ca::{CertificateAuthority, LeafRequest, Subject};
    use crate::ses::{NewSeal, Picture, Signers, make_seal};

    const NOW_MS: i64 = 1_795_312_800_000;

    /// What [`assemble`] would not make: signed by somebody whom the seal does not name.
    #[test]
    fn a_signer_who_is_not_listed_is_refused() {
        let sm2 = || SealKey::generate_for(KeyAlgorithm::Sm2).unwrap();
        let ca = CertificateAuthority::create(sm2(), NOW_MS - 1000, NOW_MS + 1_000_000, [1; 16]).unwrap();
        let issue = |key: &SealKey, serial: u8, subject: Subject<'_>| {
            let request = LeafRequest {
                subject,
                public_key_der: &key.public_key_der().unwrap(),
                not_before_ms: NOW_MS - 1000,
                not_after_ms: NOW_MS + 1_000_000,
                serial: [serial; 16],
            };
            ca.issue(&request).unwrap()
        };
        let (maker, named, other) = (sm2(), sm2(), sm2());
        let maker_certificate = issue(&maker, 2, Subject::Maker { organisation: "演示", credit_code: "1" });
        let person = |name| Subject::Person { name, organisation: None };
        let (named_certificate, certificate) = (issue(&named, 3, person("甲")), issue(&other, 4, person("乙")));
        let new = NewSeal {
            id: "1",
            vendor: "QZ",
            kind: 1,
            name: "章",
            signers: Signers::Digests(std::slice::from_ref(&named_certificate)),
            created_ms: NOW_MS,
            valid_from_ms: NOW_MS,
            valid_until_ms: NOW_MS + 900_000,
            picture: Picture { format: "PNG".into(), data: vec![1], width_mm: 1, height_mm: 1 },
        };
        let seal = make_seal(&new, &maker, &maker_certificate).unwrap();
        let digest = document_digest(b"document");
        let new = NewSignature { seal: &seal, digest: &digest, properties: "file", time_ms: NOW_MS };
        let trust = Trust { roots: vec![ca.certificate_der().to_vec()], ..Trust::default() };
        let signed_by = |key: &SealKey, certificate: &[u8]| {
            let to_sign = content(&new).unwrap();
            let signature = key.sign(&to_sign.to_der().unwrap()).unwrap();
            let signed = Signature {
                to_sign,
                certificate: OctetString::new(certificate).unwrap(),
                algorithm: KeyAlgorithm::Sm2.identifier().oid,
                signature: BitString::from_bytes(&signature).unwrap(),
                timestamp: None,
            };
            verify_signature(&signed.to_der().unwrap(), &digest, &trust)
        };
        signed_by(&named, &named_certificate).unwrap();
        assert!(matches!(signed_by(&other, &certificate), Err(SesError::NotListed)));
        // Somebody else's certificate does not help.
        assert!(matches!(signed_by(&other, &named_certificate), Err(SesError::Signature(Who::Signer))));
        // A maker does not sign documents.
        assert!(signed_by(&maker, &maker_certificate).is_err());
    }
}
