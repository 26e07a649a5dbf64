//! Certification requests (PKCS #10, RFC 2986): made for a key of ours, to be taken to an external CA, and
//! read by our own CA, which checks that whoever asks has the key.

use der::asn1::{BitString, SetOfVec};
use der::{Decode, DecodePem, Encode, EncodePem};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::SubjectPublicKeyInfo;

use super::{CaError, KeyAlgorithm, SealKey, Subject, subject_name};
use crate::key::verifies;

/// A request that was signed with the key that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The key, SubjectPublicKeyInfo DER.
    pub public_key_der: Vec<u8>,
    /// The name that is asked for, RFC 4514 text. What a CA certifies is its own decision.
    pub subject: String,
}

/// A request for a certificate of `key`; PEM.
///
/// # Errors
/// When the key does not sign or the name cannot be written.
pub fn create(key: &SealKey, subject: &Subject<'_>) -> Result<String, CaError> {
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject_name(subject)?,
        public_key: SubjectPublicKeyInfo::from_der(&key.public_key_der()?)?,
        attributes: SetOfVec::default(),
    };
    let signature = BitString::from_bytes(&key.sign(&info.to_der()?)?)?;
    let request = CertReq { info, algorithm: key.algorithm().identifier(), signature };
    Ok(request.to_pem(der::pem::LineEnding::LF)?)
}

/// Reads a request (PEM) and checks its signature.
///
/// # Errors
/// When it is none, its key is of no known kind, or it was not signed with that key.
pub fn read(pem: &str) -> Result<Request, CaError> {
    let request = CertReq::from_pem(pem)?;
    let public_key_der = request.info.public_key.to_der()?;
    let algorithm = KeyAlgorithm::of_public_key(&request.info.public_key)?;
    let message = request.info.to_der()?;
    let signature = request.signature.as_bytes().unwrap_or_default();
    if request.algorithm.oid != algorithm.identifier().oid || !verifies(algorithm, &public_key_der, &message, signature)
    {
        return Err(CaError::Possession);
    }
    Ok(Request { public_key_der, subject: request.info.subject.to_string() })
}
