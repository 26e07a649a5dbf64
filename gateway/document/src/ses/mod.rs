//! Seal data 电子印章 and seal signatures 电子签章 designed toward GB/T 38540-2020, version 4: a seal maker 制章人 signs a
//! seal's name, validity, imprint and the certificates that may use it; a signature with the seal is over a
//! document's SM3 digest. SM2 with SM3 only, the identifier being 1234567812345678 (GB/T 35276).
//!
//! Bytes in, bytes out. It does not put seals into PDF or OFD files, keeps no list of makers, and claims no
//! approval by any authority: who is a maker is said by the caller's roots. What is read must be DER to the byte.

mod format;
mod path;
mod seal;
mod signature;

use der::asn1::ObjectIdentifier;
use qz_evidence::timestamp::Roots;

pub use seal::{NewSeal, Picture, Signers, VerifiedSeal, make_seal, verify_seal};
pub use signature::{
    NewSignature, SignatureTime, VerifiedSignature, assemble, document_digest, sign, timestamp_imprint, to_be_signed,
    verify_signature, with_timestamp,
};

/// Extended key usage of seal makers' certificates made here (an OID of RFC 5612's documentation arc): a user of
/// seals must not be able to make one.
pub const SEAL_MAKING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.38540.1");

/// Largest seal or signature that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// Whom a verifier trusts. DER throughout.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Roots of makers and signers.
    pub roots: Vec<Vec<u8>>,
    /// Issuing CAs below them: the format carries none.
    pub issuers: Vec<Vec<u8>>,
    /// Makers' certificates that are accepted without the purpose [`SEAL_MAKING`]; they must lead to a root too.
    pub makers: Vec<Vec<u8>>,
    /// Revocation lists of the issuers; those that do not verify are not listened to.
    pub revocation_lists: Vec<Vec<u8>>,
    /// Roots of timestamp authorities.
    pub timestamp_roots: Roots,
}

/// Whose certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The seal maker 制章人.
    Maker,
    /// Who signs with the seal 签章人.
    Signer,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Maker => "制章人 (maker)",
            Self::Signer => "签章人 (signer)",
        })
    }
}

/// Why seal data cannot be made or do not hold.
#[derive(Debug, thiserror::Error)]
pub enum SesError {
    /// Larger than [`MAX_BYTES`].
    #[error("印章数据过大（{0} 字节）/ the seal data are too large: {0} bytes")]
    TooLarge(usize),
    /// Not DER, or not of this structure.
    #[error("{what}的编码无效 / {what} is not valid DER: {source}")]
    Encoding {
        /// What was read or written.
        what: &'static str,
        /// The cause.
        #[source]
        source: der::Error,
    },
    /// Readable, and yet not the one encoding that DER allows.
    #[error("编码不是唯一的 DER 形式 / the encoding is not the one that DER allows")]
    NotCanonical,
    /// The header is not `ES`, or the version is not 4.
    #[error("不是第 4 版电子印章（标识 {id:?}，版本 {version}）/ no seal of version 4: {id:?}, version {version}")]
    Version {
        /// Identifier of the header.
        id: String,
        /// Version.
        version: u32,
    },
    /// An extension that must be understood is not known here.
    #[error("含有未知的关键扩展 {0} / the critical extension {0} is not known here")]
    CriticalExtension(ObjectIdentifier),
    /// Anything but SM2 with SM3.
    #[error("{who}的签名算法不是 SM2/SM3（{algorithm}）/ the {who} signs with {algorithm}, not with SM2 and SM3")]
    Algorithm {
        /// Whose.
        who: Who,
        /// Identifier of the algorithm or curve.
        algorithm: String,
    },
    /// The list of certificates is empty or of no known kind.
    #[error("签章者证书列表无效（类型 {0}）/ the list of signers' certificates, of type {0}, is not valid")]
    CertificateList(u32),
    /// A value that the format does not allow.
    #[error("{0}无效 / {0} is not valid")]
    Value(&'static str),
    /// A signature does not verify with its certificate.
    #[error("{0}的签名无效 / the signature of the {0} does not hold")]
    Signature(Who),
    /// A certificate does not lead to a given root.
    #[error(
        "{who}的证书不能追溯到给定的根证书（{detail}）/ the certificate of the {who} leads to no given root: {detail}"
    )]
    Path {
        /// Whose.
        who: Who,
        /// Where it ends.
        detail: String,
    },
    /// A certificate of the path was not valid at the time.
    #[error("{0}的证书在当时不在有效期内 / a certificate of the {0} was not valid at the time")]
    CertificateTime(Who),
    /// A certificate of the path was revoked.
    #[error("{0}的证书已被吊销 / a certificate of the {0} was revoked")]
    Revoked(Who),
    /// The certificate is not for this.
    #[error("{0}的证书用途不符 / the certificate of the {0} is not for this purpose")]
    Purpose(Who),
    /// The seal was not in force.
    #[error("电子印章在当时不在有效期内 / the seal was not in force at the time")]
    NotInForce,
    /// The signer's certificate is not among those that the seal names.
    #[error("签章者证书不在电子印章的证书列表中 / the signer's certificate is not one that the seal names")]
    NotListed,
    /// The signature is over another document.
    #[error("原文杂凑值不符：签章所盖的是另一份文件 / the digest differs: the seal was set on another document")]
    OtherDocument,
    /// The timestamp does not hold, or is over something else.
    #[error("签章时间戳无效 / the timestamp of the signature does not hold: {0}")]
    Timestamp(String),
    /// The key does not sign, or is not the certificate's.
    #[error(transparent)]
    Key(#[from] crate::key::KeyError),
    /// The certificate is for another key.
    #[error("{0}的证书与密钥不匹配 / the certificate of the {0} is not for this key")]
    OtherKey(Who),
}

fn encoding(what: &'static str) -> impl FnOnce(der::Error) -> SesError {
    move |source| SesError::Encoding { what, source }
}
