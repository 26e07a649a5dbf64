//! The CMS object of a PDF signature: one signer, detached (RFC 5652, ETSI EN 319 122-1). What is unsupported
//! is named so, not as broken. Whether the signer's certificate is trusted is not judged here.

use ::cms::revocation::RevocationInfoChoice;
use ::cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use qz_evidence::x509::{HashFunction, SignatureFailure, check_signature, content_info};
use sha1::{Digest, Sha1};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}
const ID_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
const ID_SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
/// The same two in GB/T 35275, whose objects are otherwise those of PKCS #7.
const GM_DATA: ObjectIdentifier = oid("1.2.156.10197.6.1.4.2.1");
const GM_SIGNED_DATA: ObjectIdentifier = oid("1.2.156.10197.6.1.4.2.2");
const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.47");
const SIGNATURE_TIME_STAMP: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.14");
const ADOBE_REVOCATION: ObjectIdentifier = oid("1.2.840.113583.1.1.8");
const SHA_256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");

/// Most certificates and revocation lists that are read from one object.
const MAX_KEPT: usize = 64;

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// Not one DER object followed by zeros, or not signed data.
    #[error("签名数据无法解析 / the CMS object cannot be parsed: {0}")]
    Malformed(String),
    /// An algorithm or form that is not known here.
    #[error("不支持的签名算法 / unsupported algorithm {0}")]
    Unsupported(String),
    /// There is not exactly one signer, or its certificate is not included.
    #[error("签名人不明确 / {0}")]
    Signer(&'static str),
    /// A signed attribute is missing, repeated or wrong.
    #[error("签名属性无效 / signed attribute {0} is missing, repeated or wrong")]
    Attribute(&'static str),
    /// The covered bytes are not the ones that were signed.
    #[error("文件内容与签名不符 / the covered bytes are not the signed ones: message digest differs")]
    DigestMismatch,
    /// The signature over the signed attributes does not verify.
    #[error("签名值校验失败 / the signature does not verify with the signer's certificate")]
    BadSignature,
    /// A document timestamp does not hold.
    #[error("{0}")]
    Timestamp(#[from] qz_evidence::timestamp::TimestampError),
}

/// What `/SubFilter` promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// ETSI.CAdES.detached: the signed attributes name the certificate.
    Cades,
    /// adbe.pkcs7.detached: they may.
    Pkcs7,
}

/// What was found in a CMS object.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) subject: String,
    pub(crate) certificate: Vec<u8>,
    /// The other certificates, as sent.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Revocation lists, DER.
    pub(crate) lists: Vec<Vec<u8>>,
    /// OCSP answers, DER.
    pub(crate) ocsp: Vec<Vec<u8>>,
    /// The signature-time-stamp token, DER.
    pub(crate) timestamp: Option<Vec<u8>>,
    /// What such a token is over.
    pub(crate) signature: Vec<u8>,
    /// In words.
    pub(crate) algorithm: String,
}

/// What could be read, and whether the signature holds.
pub(crate) type Judged = (Outcome, Result<(), CmsError>);

/// RFC 5035 §4: the algorithm is left out when it is SHA-256.
#[derive(Sequence)]
struct EssCertIdV2 {
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    issuer_serial: Option<der::Any>,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
    policies: Option<der::Any>,
}

/// Adobe's `RevocationInfoArchival` (PDF reference, 12.8.3.3.2), DER of lists and answers.
#[derive(Sequence)]
struct RevocationInfoArchival {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    lists: Option<Vec<der::Any>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    answers: Option<Vec<der::Any>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    others: Option<der::Any>,
}

/// Verifies `contents` (padded with zeros) against the covered bytes. The outcome holds what could be read,
/// also when the signature does not hold.
pub(crate) fn verify(contents: &[u8], covered: &[&[u8]], profile: Profile) -> Judged {
    let mut outcome = Outcome::default();
    let result = check(contents, covered, profile, &mut outcome);
    (outcome, result)
}

fn malformed(error: impl ToString) -> CmsError {
    CmsError::Malformed(error.to_string())
}

fn check(contents: &[u8], covered: &[&[u8]], profile: Profile, outcome: &mut Outcome) -> Result<(), CmsError> {
    let info = content_info(unpadded(contents)?).map_err(malformed)?;
    if ![ID_SIGNED_DATA, GM_SIGNED_DATA].contains(&info.content_type) {
        return Err(malformed("not signed data"));
    }
    let signed = info.content.decode_as::<SignedData>().map_err(malformed)?;
    let content_type = signed.encap_content_info.econtent_type;
    if ![ID_DATA, GM_DATA].contains(&content_type) || signed.encap_content_info.econtent.is_some() {
        return Err(malformed("not a detached signature over data"));
    }
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(CmsError::Signer("not exactly one signer"));
    };
    let own = sort_certificates(&info.content.to_der().map_err(malformed)?, signer, outcome);
    collect_revocation(&signed, signer, outcome);
    outcome.signature = signer.signature.as_bytes().to_vec();
    outcome.timestamp = timestamp_token(signer);
    let own = own.ok_or(CmsError::Signer("the signer's certificate is not included"))?;
    outcome.subject = own.tbs_certificate().subject().to_string();
    outcome.algorithm = algorithm(signer, &own);
    check_signer(signer, content_type, (&own, &outcome.certificate), covered, profile)
}

/// The signer's certificate; the others go into the outcome.
fn sort_certificates(signed_data: &[u8], signer: &SignerInfo, outcome: &mut Outcome) -> Option<Certificate> {
    let mut own = None;
    for der in certificates(signed_data).into_iter().flatten().take(MAX_KEPT) {
        let Ok(candidate) = Certificate::from_der(der) else { continue };
        if own.is_none() && names(&signer.sid, &candidate) {
            outcome.certificate = der.to_vec();
            own = Some(candidate);
        } else {
            outcome.chain.push(der.to_vec());
        }
    }
    own
}

/// The certificates of a SignedData, byte for byte: written anew, one with unusual times would have another hash.
fn certificates(signed_data: &[u8]) -> Option<Vec<&[u8]>> {
    const CERTIFICATES: u8 = 0xa0;
    let mut rest = contents(signed_data)?;
    // Version, digest algorithms, content.
    for _ in 0..3 {
        rest = split_object(rest)?.1;
    }
    let (set, _) = split_object(rest)?;
    let mut members = if set.first() == Some(&CERTIFICATES) { contents(set)? } else { &[] };
    let mut found = vec![];
    while !members.is_empty() {
        let (one, more) = split_object(members)?;
        found.push(one);
        members = more;
    }
    Some(found)
}

/// The first DER object, and what follows it.
fn split_object(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(header(bytes)?.1)
}

/// What a DER object holds.
fn contents(object: &[u8]) -> Option<&[u8]> {
    let (start, end) = header(object)?;
    object.get(start..end)
}

/// Where the contents of the DER object begin and end. Tags have one byte, lengths at most four.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? {
        short @ 0..=0x7f => (2, usize::from(short)),
        long @ 0x81..=0x84 => {
            let start = 2 + usize::from(long & 0x7f);
            (start, bytes.get(2..start)?.iter().fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet)))
        }
        _ => return None,
    };
    Some((start, start.checked_add(length)?))
}

fn collect_revocation(signed: &SignedData, signer: &SignerInfo, outcome: &mut Outcome) {
    for choice in signed.crls.iter().flat_map(|set| set.0.iter()).take(MAX_KEPT) {
        if let RevocationInfoChoice::Crl(list) = choice {
            outcome.lists.extend(list.to_der());
        }
    }
    if let Ok(archive) = attribute(signer, ADOBE_REVOCATION, "")
        && let Ok(archive) = archive.decode_as::<RevocationInfoArchival>()
    {
        let lists = archive.lists.iter().flatten().take(MAX_KEPT).filter_map(|list| list.to_der().ok());
        outcome.lists.extend(lists);
        let answers = archive.answers.iter().flatten().take(MAX_KEPT).filter_map(|answer| answer.to_der().ok());
        outcome.ocsp.extend(answers);
    }
}

fn timestamp_token(signer: &SignerInfo) -> Option<Vec<u8>> {
    let mut found = signer.unsigned_attrs.iter().flat_map(|set| set.iter());
    let attribute = found.find(|attribute| attribute.oid == SIGNATURE_TIME_STAMP)?;
    attribute.values.get(0)?.to_der().ok()
}

/// Names an algorithm as people know it, such as `ECDSA P-256, SHA-256`.
fn algorithm(signer: &SignerInfo, certificate: &Certificate) -> String {
    let key = certificate.tbs_certificate().subject_public_key_info();
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    let is_pss = signer.signature_algorithm.oid == oid("1.2.840.113549.1.1.10");
    let scheme = match (key.algorithm.oid.to_string().as_str(), curve.map(|oid| oid.to_string()).as_deref()) {
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => "ECDSA P-256".to_owned(),
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => "ECDSA P-384".to_owned(),
        ("1.2.840.10045.2.1", Some("1.2.156.10197.1.301")) => "SM2".to_owned(),
        ("1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10", _) => {
            let modulus = key.subject_public_key.as_bytes().map_or(0, <[u8]>::len);
            // The DER of modulus and exponent is little longer than the modulus.
            let bits = modulus.saturating_sub(10) / 64 * 512;
            format!("RSA{} {bits}", if is_pss { "-PSS" } else { "" })
        }
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        (other, _) => other.to_owned(),
    };
    match HashFunction::of(&signer.digest_alg.oid) {
        Some(HashFunction::Sha256) => format!("{scheme}, SHA-256"),
        Some(HashFunction::Sha384) => format!("{scheme}, SHA-384"),
        Some(HashFunction::Sha512) => format!("{scheme}, SHA-512"),
        Some(HashFunction::Sm3) => format!("{scheme}, SM3"),
        None => format!("{scheme}, {}", signer.digest_alg.oid),
    }
}

fn names(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == *tbs.issuer() && id.serial_number == *tbs.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            tbs.get_extension::<SubjectKeyIdentifier>().is_ok_and(|found| found.is_some_and(|(_, own)| own == *id))
        }
    }
}

fn check_signer(
    signer: &SignerInfo, content_type: ObjectIdentifier, (certificate, certificate_der): (&Certificate, &[u8]),
    covered: &[&[u8]], profile: Profile,
) -> Result<(), CmsError> {
    let hash = HashFunction::of(&signer.digest_alg.oid)
        .ok_or_else(|| CmsError::Unsupported(signer.digest_alg.oid.to_string()))?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    let failed = |failure| match failure {
        SignatureFailure::Unsupported(what) => CmsError::Unsupported(what),
        SignatureFailure::Bad => CmsError::BadSignature,
    };
    if signer.signed_attrs.is_none() && profile == Profile::Pkcs7 {
        // RFC 5652 §5.4: without attributes the signature is over the content itself.
        let (algorithm, signature) = (&signer.signature_algorithm, signer.signature.as_bytes());
        return check_signature(key, algorithm, Some(hash), &covered.concat(), signature).map_err(failed);
    }
    let named = attribute(signer, CONTENT_TYPE, "contentType")?;
    if named.decode_as::<ObjectIdentifier>().map_err(malformed)? != content_type {
        return Err(CmsError::Attribute("contentType"));
    }
    let has = |oid| signer.signed_attrs.iter().flat_map(|set| set.iter()).any(|attribute| attribute.oid == oid);
    if has(SIGNING_CERTIFICATE) && !has(SIGNING_CERTIFICATE_V2) {
        check_named_by_sha1(signer, certificate_der)?;
    } else if profile == Profile::Cades || has(SIGNING_CERTIFICATE_V2) {
        check_named(signer, certificate_der)?;
    }
    let message_digest =
        attribute(signer, MESSAGE_DIGEST, "messageDigest")?.decode_as::<OctetString>().map_err(malformed)?;
    if message_digest.as_bytes() != hash.digest_parts(covered) {
        return Err(CmsError::DigestMismatch);
    }
    // RFC 5652 §5.4: the signature is over the attributes as an explicit SET OF.
    let attributes = signer.signed_attrs.as_ref().ok_or(CmsError::Attribute("signedAttrs"))?;
    let signed_bytes = attributes.to_der().map_err(malformed)?;
    check_signature(key, &signer.signature_algorithm, Some(hash), &signed_bytes, signer.signature.as_bytes())
        .map_err(failed)
}

/// RFC 2634 §5.4, of older signers: by SHA-1, which nobody can turn to another certificate of the same hash.
fn check_named_by_sha1(signer: &SignerInfo, certificate_der: &[u8]) -> Result<(), CmsError> {
    #[derive(Sequence)]
    struct EssCertId {
        cert_hash: OctetString,
        issuer_serial: Option<der::Any>,
    }
    #[derive(Sequence)]
    struct SigningCertificate {
        certs: Vec<EssCertId>,
        policies: Option<der::Any>,
    }
    const NAME: &str = "signingCertificate";
    let wrong = || CmsError::Attribute(NAME);
    let named = attribute(signer, SIGNING_CERTIFICATE, NAME)?;
    let named = named.decode_as::<SigningCertificate>().map_err(|_| wrong())?;
    let first = named.certs.first().ok_or_else(wrong)?;
    if first.cert_hash.as_bytes() == Sha1::digest(certificate_der).as_slice() { Ok(()) } else { Err(wrong()) }
}

/// RFC 5035: the signed attributes name the certificate by its hash.
fn check_named(signer: &SignerInfo, certificate_der: &[u8]) -> Result<(), CmsError> {
    const NAME: &str = "signingCertificateV2";
    let wrong = || CmsError::Attribute(NAME);
    let named = attribute(signer, SIGNING_CERTIFICATE_V2, NAME)?;
    let named = named.decode_as::<SigningCertificateV2>().map_err(|_| wrong())?;
    let first = named.certs.first().ok_or_else(wrong)?;
    let hash = first.hash_algorithm.as_ref().map_or(SHA_256, |algorithm| algorithm.oid);
    let hash = HashFunction::of(&hash).ok_or_else(wrong)?;
    if hash.digest(certificate_der) == first.cert_hash.as_bytes() { Ok(()) } else { Err(wrong()) }
}

/// The one value of the signed attribute `oid`.
fn attribute<'a>(signer: &'a SignerInfo, oid: ObjectIdentifier, name: &'static str) -> Result<&'a der::Any, CmsError> {
    let mut found = signer.signed_attrs.iter().flat_map(|set| set.iter()).filter(|attribute| attribute.oid == oid);
    match (found.next(), found.next()) {
        (Some(attribute), None) if attribute.values.len() == 1 => {
            attribute.values.get(0).ok_or(CmsError::Attribute(name))
        }
        _ => Err(CmsError::Attribute(name)),
    }
}

/// The DER object at the front of `contents`; what follows must be zeros.
pub(crate) fn unpadded(contents: &[u8]) -> Result<&[u8], CmsError> {
    let (_, length) = header(contents).ok_or_else(|| malformed("truncated, or an indefinite or oversized length"))?;
    let (object, padding) = contents.split_at_checked(length).ok_or_else(|| malformed("truncated"))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(malformed("something follows the object"));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::unpadded;

    #[test]
    fn padding_is_cut_by_the_object_length() {
        assert_eq!(unpadded(&[0x30, 1, 7, 0, 0]), Ok(&[0x30, 1, 7][..]));
        assert_eq!(unpadded(&[0x30, 0x81, 1, 7]), Ok(&[0x30, 0x81, 1, 7][..]));
        for bad in [&[0x30][..], &[0x30, 5, 1], &[0x30, 1, 7, 9], &[0x30, 0x80, 0, 0], &[0x30, 0x82, 1]] {
            assert!(unpadded(bad).is_err(), "{bad:?}");
        }
    }
}
