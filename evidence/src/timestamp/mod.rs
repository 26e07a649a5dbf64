//! Time-stamp tokens (RFC 3161, RFC 5816): does this authority say that this hash existed at that time?
//!
//! Pure: roots come from the verifier, certificates, revocation lists and OCSP answers from the anchor, and the time of
//! reliance is the caller's. Algorithms: SHA-256/384/512 with ECDSA on P-256 or P-384, RSA (PKCS #1 v1.5
//! or PSS, 2048 bits and more) and Ed25519; others are named as unsupported.

mod protocol;

pub use protocol::{
    Accuracy, MessageImprint, NewToken, PkiStatusInfo, TimeStampReq, TimeStampResp, TstInfo, gen_time_ms,
};

use crate::checkpoint::{Anchor, MAX_KEPT};
use crate::codec::Bytes;
use crate::hash::Hash32;
use crate::ocsp;
use crate::signed_data;
use crate::x509::{self, HashFunction, Revocation, SignatureFailure};
use cms::cert::CertificateChoices;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// Why a token is no valid timestamp.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TimestampError {
    /// It cannot be read.
    #[error("时间戳无法解析 / the token cannot be read: {0}")]
    Malformed(String),
    /// An algorithm that is not known here.
    #[error("不支持的算法 / unsupported algorithm: {0}")]
    Unsupported(String),
    /// Not one signer with a certificate.
    #[error("签发者不明确 / the signer is not clear: {0}")]
    Signer(&'static str),
    /// A signed attribute.
    #[error("签名属性无效 / signed attribute {0} is missing, repeated or wrong")]
    Attribute(&'static str),
    /// The signature.
    #[error("时间戳签名无效 / the token's signature does not verify")]
    BadSignature,
    /// It stamps something else.
    #[error("时间戳针对的是其他内容 / the token is over something else")]
    OtherImprint,
    /// The authority's certificate is not one for timestamps.
    #[error("数字证书不是时间戳专用证书 / the authority's certificate {0}")]
    NotAnAuthority(&'static str),
    /// A certificate was not valid when it signed.
    #[error("签发时数字证书不在有效期内 / not valid at that time: {0}")]
    NotInForce(String),
    /// A certificate was revoked.
    #[error("数字证书已被吊销 / revoked: {0}")]
    Revoked(String),
}

/// A file of roots that is unusable.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the TSA root cannot be read: {0}")]
pub struct RootsError(String);

/// Timestamp authorities' roots that the verifier trusts.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<Certificate>);

impl Roots {
    /// Reads one certificate in DER or several in PEM; nothing of no bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, RootsError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        x509::read_roots(bytes).map(Self).map_err(RootsError)
    }

    /// Were none given?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Media type of a request (RFC 3161 §3.4).
pub const QUERY_TYPE: &str = "application/timestamp-query";
/// Media type of a response.
pub const REPLY_TYPE: &str = "application/timestamp-reply";

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRequest {
    /// Its bytes (DER).
    pub bytes: Vec<u8>,
    /// Its nonce, as [`Timestamp::nonce`] shows it.
    pub nonce: Option<Vec<u8>>,
}

impl TimestampRequest {
    /// Over a hash, by SHA-256; asks for the authority's certificate.
    pub fn new(imprint: &Hash32, nonce: u64) -> Result<Self, TimestampError> {
        let request = TimeStampReq::new(imprint, nonce).map_err(malformed)?;
        let nonce = request.nonce.as_ref().map(|nonce| nonce.as_bytes().to_vec());
        Ok(Self { bytes: request.to_der().map_err(malformed)?, nonce })
    }

    /// The token in a response, or the authority's words. The token is not checked.
    pub fn token_of(&self, response: &[u8]) -> Result<Vec<u8>, String> {
        TimeStampResp::from_der(response).map_err(|error| error.to_string())?.token()
    }
}

/// The certificates (DER) that an anchor has, the authority's first; see [`crate::revocation`].
pub fn certificates_of(anchor: &Anchor) -> Result<Vec<Vec<u8>>, TimestampError> {
    let token = Token::read(&anchor.token, &anchor.certificates)?;
    token.pool.iter().map(|certificate| certificate.to_der().map_err(malformed)).collect()
}

/// A token that holds in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The authority's time, milliseconds since 1970.
    pub time_ms: u64,
    /// How exact, if it says.
    pub accuracy_ms: Option<u64>,
    /// The authority: subject of its certificate.
    pub authority: String,
    /// The token's number, hexadecimal.
    pub serial: String,
    /// The authority's policy, dotted.
    pub policy: String,
    /// The nonce, if it has one (DER bytes of the integer).
    pub nonce: Option<Vec<u8>>,
    /// Its path to a root, if one was given that it leads to.
    pub trusted: Option<Trusted>,
}

/// A path to a root that the verifier gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Subject of the root.
    pub root: String,
    /// When the first certificate of the path expires, milliseconds since 1970.
    pub expires_ms: u64,
    /// Certificates of the path without a list or answer that counts: not checked for revocation.
    pub unchecked: Vec<String>,
}

/// Verifies an anchor's token over a hash. Everything that contradicts is an error; a token of an authority
/// that leads to none of the roots is merely not trusted.
pub fn verify(anchor: &Anchor, imprint: &Hash32, roots: &Roots) -> Result<Timestamp, TimestampError> {
    let token = Token::read(&anchor.token, &anchor.certificates)?;
    if token.info.message_imprint.as_sha256() != Some(*imprint) {
        return Err(TimestampError::OtherImprint);
    }
    judged(&token, &RevocationData::read(&anchor.revocations, &anchor.ocsp)?, roots)
}

/// The same for a token over the bytes themselves, in parts, by whichever hash function it names.
/// `certificates`, `lists` and `answers` are further certificates, revocation lists and OCSP answers (DER); at most
/// eight of each are read.
pub fn verify_over(
    token: &[u8], parts: &[&[u8]], certificates: &[Vec<u8>], lists: &[Vec<u8>], answers: &[Vec<u8>], roots: &Roots,
) -> Result<Timestamp, TimestampError> {
    let kept = |all: &[Vec<u8>]| all.iter().take(MAX_KEPT).cloned().map(Bytes).collect::<Vec<_>>();
    let token = Token::read(token, &kept(certificates))?;
    let imprint = &token.info.message_imprint;
    let hash = HashFunction::of(&imprint.hash_algorithm.oid)
        .ok_or_else(|| TimestampError::Unsupported(imprint.hash_algorithm.oid.to_string()))?;
    if hash.digest_parts(parts) != imprint.hashed_message.as_bytes() {
        return Err(TimestampError::OtherImprint);
    }
    judged(&token, &RevocationData::read(&kept(lists), &kept(answers))?, roots)
}

fn judged(token: &Token, data: &RevocationData, roots: &Roots) -> Result<Timestamp, TimestampError> {
    let leaf = token.certificate();
    let mut trusted = Err(None);
    for path in x509::paths(leaf, &token.pool, &roots.0) {
        match check_path(&path, data, &token.pool, token.time_ms) {
            Ok(found) => {
                trusted = Ok(found);
                break;
            }
            Err(error) => trusted = Err(Some(error)),
        }
    }
    let trusted = match trusted {
        Ok(found) => Some(found),
        Err(None) => None,
        Err(Some(error)) => return Err(error),
    };
    Ok(Timestamp {
        time_ms: token.time_ms,
        accuracy_ms: token.info.accuracy.as_ref().map(Accuracy::as_millis),
        authority: subject(leaf),
        serial: hex::encode(token.info.serial_number.as_bytes()),
        policy: token.info.policy.to_string(),
        nonce: token.info.nonce.as_ref().map(|nonce| nonce.as_bytes().to_vec()),
        trusted,
    })
}

fn check_path(
    path: &x509::Path<'_>, data: &RevocationData, pool: &[Certificate], at_ms: u64,
) -> Result<Trusted, TimestampError> {
    if let Some(certificate) = x509::not_in_force(path, at_ms) {
        return Err(TimestampError::NotInForce(subject(certificate)));
    }
    let mut unchecked = vec![];
    for pair in path.windows(2) {
        let by_lists = x509::revocation(pair[0], pair[1], &data.lists, at_ms);
        match by_lists.or(ocsp::status(pair[0], pair[1], &data.answers, pool, at_ms)) {
            Revocation::Good => {}
            Revocation::Unknown => unchecked.push(subject(pair[0])),
            Revocation::Revoked => return Err(TimestampError::Revoked(subject(pair[0]))),
        }
    }
    let root = path.last().map_or_else(String::new, |root| subject(root));
    Ok(Trusted { root, expires_ms: x509::expires_ms(path), unchecked })
}

/// What is kept about the authority's certificates.
struct RevocationData {
    lists: Vec<CertificateList>,
    answers: Vec<ocsp::Answer>,
}

impl RevocationData {
    fn read(lists: &[Bytes], answers: &[Bytes]) -> Result<Self, TimestampError> {
        if lists.len() > MAX_KEPT || answers.len() > MAX_KEPT {
            return Err(malformed("too many revocation lists or OCSP answers"));
        }
        let lists = lists.iter().map(|list| CertificateList::from_der(list).map_err(malformed));
        let answers = answers.iter().map(|answer| ocsp::Answer::read(answer).map_err(malformed));
        Ok(Self { lists: lists.collect::<Result<_, _>>()?, answers: answers.collect::<Result<_, _>>()? })
    }
}

fn malformed(error: impl ToString) -> TimestampError {
    TimestampError::Malformed(error.to_string())
}

fn subject(certificate: &Certificate) -> String {
    certificate.tbs_certificate().subject().to_string()
}

/// RFC 5035 §4.
#[derive(Sequence)]
struct EssCertIdV2 {
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    issuer_serial: Option<Any>,
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
    policies: Option<Any>,
}

/// A token whose signature holds.
struct Token {
    info: TstInfo,
    time_ms: u64,
    /// The signer's certificate first.
    pool: Vec<Certificate>,
}

impl Token {
    fn certificate(&self) -> &Certificate {
        self.pool.first().expect("Token::read puts the signer's certificate first")
    }

    fn read(bytes: &[u8], further: &[Bytes]) -> Result<Self, TimestampError> {
        let info = x509::content_info(bytes).map_err(malformed)?;
        if info.content_type != signed_data::ID_SIGNED_DATA {
            return Err(malformed("not signed data"));
        }
        let signed = info.content.decode_as::<SignedData>().map_err(malformed)?;
        let content = match &signed.encap_content_info.econtent {
            Some(content) if signed.encap_content_info.econtent_type == protocol::ID_TST_INFO => {
                content.decode_as::<OctetString>().map_err(malformed)?
            }
            _ => return Err(malformed("it holds no TSTInfo")),
        };
        let [signer] = signed.signer_infos.0.as_slice() else {
            return Err(TimestampError::Signer("not exactly one signer"));
        };
        let mut pool = certificates(&signed, further)?;
        let own = pool.iter().position(|one| names(&signer.sid, one));
        let own = own.ok_or(TimestampError::Signer("its certificate is not included"))?;
        pool.swap(0, own);
        x509::check_authority(&pool[0]).map_err(TimestampError::NotAnAuthority)?;
        check_signer(signer, &pool[0], content.as_bytes())?;
        let info = TstInfo::from_der(content.as_bytes()).map_err(malformed)?;
        if info.version != 1 || info.extensions.iter().flatten().any(|extension| extension.critical) {
            return Err(malformed("another version, or a critical extension"));
        }
        let time_ms = gen_time_ms(&info.gen_time).ok_or_else(|| malformed("its time is none"))?;
        Ok(Self { info, time_ms, pool })
    }
}

fn certificates(signed: &SignedData, further: &[Bytes]) -> Result<Vec<Certificate>, TimestampError> {
    if further.len() > MAX_KEPT {
        return Err(malformed("too many certificates"));
    }
    let mut found: Vec<Certificate> = vec![];
    for choice in signed.certificates.iter().flat_map(|set| set.0.iter()) {
        if let CertificateChoices::Certificate(one) = choice {
            found.push(one.clone());
        }
    }
    if found.len() > MAX_KEPT {
        return Err(malformed("too many certificates"));
    }
    for bytes in further {
        let one = Certificate::from_der(bytes).map_err(malformed)?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

fn names(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            let tbs = certificate.tbs_certificate();
            id.issuer == *tbs.issuer() && id.serial_number == *tbs.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn check_signer(signer: &SignerInfo, certificate: &Certificate, content: &[u8]) -> Result<(), TimestampError> {
    let unsupported = |oid: &ObjectIdentifier| TimestampError::Unsupported(oid.to_string());
    let hash = HashFunction::of(&signer.digest_alg.oid).ok_or_else(|| unsupported(&signer.digest_alg.oid))?;
    let content_type = attribute(signer, signed_data::CONTENT_TYPE, "contentType")?;
    if content_type.decode_as::<ObjectIdentifier>().map_err(malformed)? != protocol::ID_TST_INFO {
        return Err(TimestampError::Attribute("contentType"));
    }
    check_named(signer, certificate)?;
    let digest = attribute(signer, signed_data::MESSAGE_DIGEST, "messageDigest")?;
    if digest.decode_as::<OctetString>().map_err(malformed)?.as_bytes() != hash.digest(content) {
        return Err(TimestampError::Attribute("messageDigest"));
    }
    // RFC 5652 §5.4: the signature is over the attributes as an explicit SET OF.
    let attributes = signer.signed_attrs.as_ref().ok_or(TimestampError::Attribute("signedAttrs"))?;
    let message = attributes.to_der().map_err(malformed)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    x509::check_signature(key, &signer.signature_algorithm, Some(hash), &message, signer.signature.as_bytes()).map_err(
        |failure| match failure {
            SignatureFailure::Unsupported(what) => TimestampError::Unsupported(what),
            SignatureFailure::Bad => TimestampError::BadSignature,
        },
    )
}

/// RFC 5816: the signed attributes name the certificate by its hash.
fn check_named(signer: &SignerInfo, certificate: &Certificate) -> Result<(), TimestampError> {
    const NAME: &str = "signingCertificateV2";
    let wrong = || TimestampError::Attribute(NAME);
    let value = attribute(signer, signed_data::SIGNING_CERTIFICATE_V2, NAME)?;
    let named = value.decode_as::<SigningCertificateV2>().map_err(|_| wrong())?;
    let first = named.certs.first().ok_or_else(wrong)?;
    let hash = first.hash_algorithm.as_ref().map_or(Some(HashFunction::Sha256), |a| HashFunction::of(&a.oid));
    let der = certificate.to_der().map_err(malformed)?;
    match hash {
        Some(hash) if hash.digest(&der) == first.cert_hash.as_bytes() => Ok(()),
        _ => Err(wrong()),
    }
}

/// The one value of the signed attribute `oid`.
fn attribute<'a>(signer: &'a SignerInfo, oid: ObjectIdentifier, name: &'static str) -> Result<&'a Any, TimestampError> {
    let mut found = signer.signed_attrs.iter().flat_map(|set| set.iter()).filter(|attribute| attribute.oid == oid);
    match (found.next(), found.next()) {
        (Some(attribute), None) if attribute.values.len() == 1 => {
            attribute.values.get(0).ok_or(TimestampError::Attribute(name))
        }
        _ => Err(TimestampError::Attribute(name)),
    }
}
