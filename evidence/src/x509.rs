//! X.509 as far as timestamps and PDF signatures need it: signatures, a path to a given root, and kept
//! revocation lists. Certificates are those that came with the signature; nothing is fetched. Policies and
//! name constraints are not read: a critical extension other than those known here ends a path.

use cms::content_info::ContentInfo;
use der::asn1::{ObjectIdentifier, UintRef};
use der::pem::PemLabel as _;
use der::{Decode, DecodePem as _, Encode, Sequence};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use sm3::Sm3;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, CrlDistributionPoints, CrlReason, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Time;

pub(crate) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}
const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSASSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
/// GM/T 0006: the curve of SM2.
const CURVE_SM2: ObjectIdentifier = oid("1.2.156.10197.1.301");
/// GM/T 0009: the distinguishing identifier where none is agreed.
const SM2_IDENTIFIER: &str = "1234567812345678";
const ID_KP_TIME_STAMPING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.8");
const BASIC_CONSTRAINTS: ObjectIdentifier = oid("2.5.29.19");
pub(crate) const KEY_USAGE: ObjectIdentifier = oid("2.5.29.15");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = oid("2.5.29.37");
const CERTIFICATE_POLICIES: ObjectIdentifier = oid("2.5.29.32");
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = oid("2.5.29.31");
const REASON_CODE: ObjectIdentifier = oid("2.5.29.21");

/// Most certificates between a signer and its root.
const MAX_INTERMEDIATES: usize = 4;

/// Hash functions of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SM3 (GB/T 32905), with SM2 only.
    Sm3,
}

impl HashFunction {
    /// By its identifier; SHA-1 and MD5 are not accepted.
    pub fn of(algorithm: &ObjectIdentifier) -> Option<Self> {
        match algorithm.to_string().as_str() {
            "2.16.840.1.101.3.4.2.1" => Some(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" => Some(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" => Some(Self::Sha512),
            "1.2.156.10197.1.401" => Some(Self::Sm3),
            _ => None,
        }
    }

    /// Of these bytes.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        self.digest_parts(&[bytes])
    }

    /// Of several parts, one after the other.
    pub fn digest_parts(self, parts: &[&[u8]]) -> Vec<u8> {
        fn of<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            hash.finalize().to_vec()
        }
        match self {
            Self::Sha256 => of::<Sha256>(parts),
            Self::Sha384 => of::<Sha384>(parts),
            Self::Sha512 => of::<Sha512>(parts),
            Self::Sm3 => of::<Sm3>(parts),
        }
    }
}

#[derive(Clone, Copy)]
enum Scheme {
    Ecdsa,
    Rsa,
    /// With this many bytes of salt.
    RsaPss(usize),
    Ed25519,
    /// GB/T 32918.2.
    Sm2,
}

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureFailure {
    /// This algorithm or key is not known here, or too weak.
    Unsupported(String),
    /// The signature does not verify.
    Bad,
}

/// Of a signature algorithm; `digest` is that of the CMS signer, for which RSA may leave it out.
fn scheme(
    algorithm: &AlgorithmIdentifierOwned, digest: Option<HashFunction>,
) -> Result<(Scheme, HashFunction), SignatureFailure> {
    use HashFunction::{Sha256, Sha384, Sha512, Sm3};
    let (scheme, hash) = match algorithm.oid.to_string().as_str() {
        // RFC 8419 §3: the digest is the signer's business, the signature is over the message itself.
        "1.3.101.112" if digest != Some(Sm3) => return Ok((Scheme::Ed25519, digest.unwrap_or(Sha512))),
        "1.2.840.113549.1.1.10" => pss(algorithm)?,
        "1.2.840.10045.4.3.2" => (Scheme::Ecdsa, Sha256),
        "1.2.840.10045.4.3.3" => (Scheme::Ecdsa, Sha384),
        "1.2.840.10045.4.3.4" => (Scheme::Ecdsa, Sha512),
        "1.2.840.113549.1.1.11" => (Scheme::Rsa, Sha256),
        "1.2.840.113549.1.1.12" => (Scheme::Rsa, Sha384),
        "1.2.840.113549.1.1.13" => (Scheme::Rsa, Sha512),
        "1.2.156.10197.1.501" => (Scheme::Sm2, Sm3),
        // GB/T 35275 names only SM2's signature algorithm, other signers only the curve or its kind.
        "1.2.156.10197.1.301.1" | "1.2.156.10197.1.301" | "1.2.840.10045.2.1" if digest == Some(Sm3) => {
            (Scheme::Sm2, Sm3)
        }
        // RFC 5753 names only the curve's algorithm in some signers.
        "1.2.840.10045.2.1" if digest.is_some() => (Scheme::Ecdsa, digest.unwrap_or(Sha256)),
        other => match (algorithm.oid == RSA_ENCRYPTION, digest) {
            (true, Some(digest)) => (Scheme::Rsa, digest),
            _ => return Err(SignatureFailure::Unsupported(other.to_owned())),
        },
    };
    match digest {
        Some(digest) if digest != hash => Err(SignatureFailure::Unsupported("two different hash functions".into())),
        _ if (hash == Sm3) != matches!(scheme, Scheme::Sm2) => Err(sm3_without_sm2()),
        _ => Ok((scheme, hash)),
    }
}

fn sm3_without_sm2() -> SignatureFailure {
    SignatureFailure::Unsupported("SM3 without SM2".to_owned())
}

/// PKCS #1 §A.1.1.
#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// RFC 4055 §3.1, as far as a verifier needs it.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<u16>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// Scheme and hash function of PSS parameters; the mask must use the same function.
fn pss(algorithm: &AlgorithmIdentifierOwned) -> Result<(Scheme, HashFunction), SignatureFailure> {
    let unsupported = || SignatureFailure::Unsupported("these RSA-PSS parameters".to_owned());
    let parameters = algorithm.parameters.as_ref().ok_or_else(unsupported)?;
    let parameters = parameters.decode_as::<PssParameters>().map_err(|_| unsupported())?;
    if parameters.trailer.is_some_and(|trailer| trailer != 1) {
        return Err(unsupported());
    }
    let hash = parameters.hash.and_then(|hash| HashFunction::of(&hash.oid)).ok_or_else(unsupported)?;
    let mask = parameters.mask.and_then(|mask| mask.parameters).ok_or_else(unsupported)?;
    let mask = mask.decode_as::<AlgorithmIdentifierOwned>().map_err(|_| unsupported())?;
    match HashFunction::of(&mask.oid) {
        // Without a length it is 20.
        Some(mask) if mask == hash => Ok((Scheme::RsaPss(parameters.salt_length.map_or(20, usize::from)), hash)),
        _ => Err(unsupported()),
    }
}

/// Does `signature` by this key cover `message`?
pub fn check_signature(
    key: &SubjectPublicKeyInfoOwned, algorithm: &AlgorithmIdentifierOwned, digest: Option<HashFunction>,
    message: &[u8], signature: &[u8],
) -> Result<(), SignatureFailure> {
    let (scheme, hash) = scheme(algorithm, digest)?;
    match scheme {
        Scheme::Ecdsa => check_ecdsa(key, &hash.digest(message), signature),
        Scheme::Sm2 => check_sm2(key, message, signature),
        Scheme::Rsa => {
            let padding = match hash {
                HashFunction::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                HashFunction::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                HashFunction::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                HashFunction::Sm3 => return Err(sm3_without_sm2()),
            };
            rsa_key(key)?.verify(padding, &hash.digest(message), signature).map_err(|_| SignatureFailure::Bad)
        }
        Scheme::RsaPss(salt) => {
            let (key, hashed) = (rsa_key(key)?, hash.digest(message));
            match hash {
                HashFunction::Sha256 => key.verify(Pss::<Sha256>::new_with_salt(salt), &hashed, signature),
                HashFunction::Sha384 => key.verify(Pss::<Sha384>::new_with_salt(salt), &hashed, signature),
                HashFunction::Sha512 => key.verify(Pss::<Sha512>::new_with_salt(salt), &hashed, signature),
                HashFunction::Sm3 => return Err(sm3_without_sm2()),
            }
            .map_err(|_| SignatureFailure::Bad)
        }
        Scheme::Ed25519 => {
            let bytes = key.subject_public_key.as_bytes().and_then(|bytes| <&[u8; 32]>::try_from(bytes).ok());
            let (Some(bytes), Ok(signature)) = (bytes, signature.try_into()) else {
                return Err(SignatureFailure::Bad);
            };
            match crate::keys::verify_ed25519(bytes, message, signature) {
                true if key.algorithm.oid == algorithm.oid => Ok(()),
                _ => Err(SignatureFailure::Bad),
            }
        }
    }
}

fn check_ecdsa(key: &SubjectPublicKeyInfoOwned, hashed: &[u8], signature: &[u8]) -> Result<(), SignatureFailure> {
    let der = key.to_der().map_err(|_| SignatureFailure::Bad)?;
    if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(&der) {
        let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureFailure::Bad)?;
        return key.verify_prehash(hashed, &signature).map_err(|_| SignatureFailure::Bad);
    }
    let key = p384::ecdsa::VerifyingKey::from_public_key_der(&der)
        .map_err(|_| SignatureFailure::Unsupported("an elliptic curve other than P-256 and P-384".to_owned()))?;
    let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| SignatureFailure::Bad)?;
    key.verify_prehash(hashed, &signature).map_err(|_| SignatureFailure::Bad)
}

/// GB/T 32918.2 §7 with the identifier of GM/T 0009; the key a point in full (04 ‖ x ‖ y), the signature DER.
fn check_sm2(key: &SubjectPublicKeyInfoOwned, message: &[u8], signature: &[u8]) -> Result<(), SignatureFailure> {
    use p256::ecdsa::signature::Verifier as _;
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    if key.algorithm.oid != EC_PUBLIC_KEY || curve != Some(CURVE_SM2) {
        return Err(SignatureFailure::Unsupported("SM2 by a key on another curve".to_owned()));
    }
    let point = key.subject_public_key.as_bytes().filter(|point| point.first() == Some(&4));
    let key = point.and_then(|point| sm2::dsa::VerifyingKey::from_sec1_bytes(SM2_IDENTIFIER, point).ok());
    match (key, sm2::dsa::Signature::from_der(signature)) {
        (Some(key), Ok(signature)) => key.verify(message, &signature).map_err(|_| SignatureFailure::Bad),
        _ => Err(SignatureFailure::Bad),
    }
}

fn rsa_key(key: &SubjectPublicKeyInfoOwned) -> Result<RsaPublicKey, SignatureFailure> {
    let unsupported = |what: &str| SignatureFailure::Unsupported(what.to_owned());
    if key.algorithm.oid != RSA_ENCRYPTION && key.algorithm.oid != RSASSA_PSS {
        return Err(unsupported("a key that is not RSA"));
    }
    let bytes = key.subject_public_key.as_bytes().ok_or(SignatureFailure::Bad)?;
    let RsaKey { modulus, exponent } = RsaKey::from_der(bytes).map_err(|_| SignatureFailure::Bad)?;
    if !(256..=1024).contains(&modulus.as_bytes().len()) || exponent.as_bytes().len() > 4 {
        return Err(unsupported("an RSA key outside 2048–8192 bits"));
    }
    let number = |n: UintRef<'_>| BoxedUint::from_be_slice_vartime(n.as_bytes());
    RsaPublicKey::new(number(modulus), number(exponent)).map_err(|_| unsupported("this RSA key"))
}

/// Milliseconds since 1970.
pub fn time_ms(time: Time) -> u64 {
    u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX)
}

/// Is this moment within its validity?
pub fn is_in_force(certificate: &Certificate, at_ms: u64) -> bool {
    let validity = certificate.tbs_certificate().validity();
    (time_ms(validity.not_before)..=time_ms(validity.not_after)).contains(&at_ms)
}

pub(crate) fn extension<T: for<'a> Decode<'a, Error = der::Error>>(
    certificate: &Certificate, oid: ObjectIdentifier,
) -> Result<Option<(bool, T)>, &'static str> {
    let all = certificate.tbs_certificate().extensions();
    let mut found = all.into_iter().flatten().filter(|extension| extension.extn_id == oid);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => {
            let value = T::from_der(one.extn_value.as_bytes()).map_err(|_| "an extension cannot be read")?;
            Ok(Some((one.critical, value)))
        }
        (Some(_), Some(_)) => Err("an extension stands twice"),
    }
}

pub(crate) fn has_other_critical(extensions: Option<&Extensions>) -> bool {
    let known = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, CERTIFICATE_POLICIES];
    extensions.into_iter().flatten().any(|extension| extension.critical && !known.contains(&extension.extn_id))
}

/// RFC 3161 §2.3: the certificate is for timestamps and for nothing else, and says so critically.
pub fn check_authority(certificate: &Certificate) -> Result<(), &'static str> {
    match extension::<ExtendedKeyUsage>(certificate, EXTENDED_KEY_USAGE)? {
        None => return Err("has no extended key usage"),
        Some((false, _)) => return Err("has an extended key usage that is not critical"),
        Some((true, ExtendedKeyUsage(purposes))) if purposes != [ID_KP_TIME_STAMPING] => {
            return Err("is not for timestamps alone");
        }
        Some((true, _)) => {}
    }
    match extension::<KeyUsage>(certificate, KEY_USAGE)? {
        Some((_, usage)) if !usage.digital_signature() && !usage.non_repudiation() => Err("must not sign"),
        _ => Ok(()),
    }
}

/// May it issue certificates, with so many issuers below it?
fn is_issuer(certificate: &Certificate, below: usize) -> bool {
    let may_sign = match extension::<KeyUsage>(certificate, KEY_USAGE) {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    };
    match extension::<BasicConstraints>(certificate, BASIC_CONSTRAINTS) {
        Ok(Some((_, BasicConstraints { ca, path_len_constraint }))) => {
            ca && may_sign && path_len_constraint.is_none_or(|most| below <= usize::from(most))
        }
        _ => false,
    }
}

/// Did this issuer sign this certificate? Says nothing of the issuer's right to.
pub fn issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    let (issuer, tbs) = (issuer.tbs_certificate(), certificate.tbs_certificate());
    issuer.subject() == tbs.issuer()
        && tbs.signature() == certificate.signature_algorithm()
        && tbs.to_der().is_ok_and(|message| {
            let signature = certificate.signature().as_bytes().unwrap_or_default();
            let key = issuer.subject_public_key_info();
            check_signature(key, certificate.signature_algorithm(), None, &message, signature).is_ok()
        })
}

/// A path: the authority's certificate first, the root last.
pub type Path<'a> = Vec<&'a Certificate>;

/// Paths from `leaf` over `pool` to one of `roots`, by names, signatures and the right to issue.
pub fn paths<'a>(leaf: &'a Certificate, pool: &'a [Certificate], roots: &'a [Certificate]) -> Vec<Path<'a>> {
    let mut found = vec![];
    let mut open: Vec<Path<'a>> = vec![vec![leaf]];
    // Each certificate stands once in a path and the pool is small, but names can be chosen to multiply paths.
    for _ in 0..256 {
        let Some(path) = open.pop() else { break };
        let Some(last) = path.last().copied() else { continue };
        if has_other_critical(last.tbs_certificate().extensions()) {
            continue;
        }
        let below = path.len() - 1;
        for root in roots {
            if is_issuer(root, below) && issued(root, last) && !has_other_critical(root.tbs_certificate().extensions())
            {
                found.push([&path[..], &[root]].concat());
            }
        }
        if below < MAX_INTERMEDIATES {
            let next = pool.iter().filter(|one| !path.contains(one) && is_issuer(one, below) && issued(one, last));
            open.extend(next.map(|one| [&path[..], &[one]].concat()));
        }
    }
    found
}

/// Are all certificates of a path valid at this time? Gives the first that is not.
pub fn not_in_force<'a>(path: &Path<'a>, at_ms: u64) -> Option<&'a Certificate> {
    path.iter().copied().find(|certificate| !is_in_force(certificate, at_ms))
}

/// When the first certificate of a path expires.
pub fn expires_ms(path: &Path<'_>) -> u64 {
    path.iter().map(|certificate| time_ms(certificate.tbs_certificate().validity().not_after)).min().unwrap_or(0)
}

/// What kept revocation data say of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// No list and no answer that counts.
    Unknown,
    /// It was not revoked when it signed, or later for a reason that leaves earlier signatures good.
    Good,
    /// Its signatures are not to be believed.
    Revoked,
}

impl Revocation {
    /// What two pieces of revocation data say together: the worse, but any is more than none.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::Good, _) | (_, Self::Good) => Self::Good,
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }
}

/// Of a certificate that signed at `at_ms` and was revoked at `revoked_ms` (RFC 3161 §4): what was signed before stays
/// good if a reason is given that does not touch the key.
pub(crate) fn revoked(revoked_ms: u64, reason: Option<CrlReason>, at_ms: u64) -> Revocation {
    let harmless = matches!(
        reason,
        Some(
            CrlReason::Unspecified
                | CrlReason::AffiliationChanged
                | CrlReason::Superseded
                | CrlReason::CessationOfOperation
        )
    );
    if harmless && revoked_ms > at_ms { Revocation::Good } else { Revocation::Revoked }
}

/// Of a certificate at a time, by its issuer's lists.
pub fn revocation(
    certificate: &Certificate, issuer: &Certificate, lists: &[CertificateList], at_ms: u64,
) -> Revocation {
    let mut outcome = Revocation::Unknown;
    for list in lists.iter().filter(|list| counts(list, issuer, at_ms)) {
        outcome = outcome.or(Revocation::Good);
        let entries = list.tbs_cert_list.revoked_certificates.iter().flatten();
        let serial = certificate.tbs_certificate().serial_number();
        for entry in entries.filter(|entry| entry.serial_number == *serial) {
            let extensions = entry.crl_entry_extensions.iter().flatten();
            let mut reasons = extensions.filter(|extension| extension.extn_id == REASON_CODE);
            let reason = reasons.next().and_then(|reason| CrlReason::from_der(reason.extn_value.as_bytes()).ok());
            outcome = outcome.or(revoked(time_ms(entry.revocation_date), reason, at_ms));
        }
    }
    outcome
}

fn counts(list: &CertificateList, issuer: &Certificate, at_ms: u64) -> bool {
    let tbs = &list.tbs_cert_list;
    let is_plain = !tbs.crl_extensions.iter().flatten().any(|extension| extension.critical);
    is_plain
        && tbs.issuer == *issuer.tbs_certificate().subject()
        && tbs.signature == list.signature_algorithm
        && tbs.next_update.is_some_and(|next| time_ms(next) >= at_ms)
        && tbs.to_der().is_ok_and(|message| {
            let signature = list.signature.as_bytes().unwrap_or_default();
            let key = issuer.tbs_certificate().subject_public_key_info();
            check_signature(key, &list.signature_algorithm, None, &message, signature).is_ok()
        })
}

/// Where a certificate's revocation lists are, over `http`.
pub fn list_urls(certificate: &Certificate) -> Vec<String> {
    let points = extension::<CrlDistributionPoints>(certificate, CRL_DISTRIBUTION_POINTS);
    let points = points.ok().flatten().map(|(_, points)| points.0).unwrap_or_default();
    let names = points.into_iter().filter_map(|point| match point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    let urls = names.flatten().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.as_str().to_owned()),
        _ => None,
    });
    urls.filter(|url| url.starts_with("http://")).collect()
}

/// Certificates of a file: one in DER, or any number in PEM.
pub fn read_roots(bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    if bytes.first() == Some(&0x30) {
        return Certificate::from_der(bytes).map(|one| vec![one]).map_err(|error| error.to_string());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "neither DER nor PEM".to_owned())?;
    let (begin, end) =
        (format!("-----BEGIN {}-----", Certificate::PEM_LABEL), format!("-----END {}-----", Certificate::PEM_LABEL));
    let mut rest = text;
    let mut found = vec![];
    while let Some(start) = rest.find(&begin) {
        let length = rest[start..].find(&end).ok_or("a PEM block has no end")? + end.len();
        let block = &rest[start..start + length];
        found.push(Certificate::from_pem(block).map_err(|error| error.to_string())?);
        rest = &rest[start + length..];
    }
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

/// A CMS object whose bytes are its one DER encoding.
pub fn content_info(bytes: &[u8]) -> Result<ContentInfo, String> {
    ContentInfo::from_der(bytes).map_err(|error| error.to_string())
}
