//! Making and verifying seals (GB/T 38540-2020 §6).

use der::Encode;
use der::asn1::{Any, BitString, OctetString, PrintableString};

use super::format::{
    CERTIFICATES, CertificateDigest, DIGESTS, HEADER_ID, Header, PictureInfo, Property, SM3_NAME, Seal, SealInfo,
    VERSION, ascii, check_extensions, general_time, millis, strict,
};
use super::path::Holder;
use super::{SesError, Trust, Who, encoding};
use crate::key::{HashFunction, KeyAlgorithm, SealKey};

/// Most certificates that a seal names.
const MAX_SIGNERS: usize = 1000;
/// Largest side of an imprint, in millimetres.
const MAX_SIDE_MM: u32 = 500;

/// Which certificates may sign with a seal; DER.
#[derive(Debug, Clone, Copy)]
pub enum Signers<'a> {
    /// The seal carries them.
    Certificates(&'a [Vec<u8>]),
    /// The seal carries their SM3 digests.
    Digests(&'a [Vec<u8>]),
}

/// The imprint as the seal shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// `PNG`, `SVG` …
    pub format: String,
    /// The picture's bytes.
    pub data: Vec<u8>,
    /// Width in millimetres.
    pub width_mm: u32,
    /// Height in millimetres.
    pub height_mm: u32,
}

/// What a seal is to say.
#[derive(Debug, Clone)]
pub struct NewSeal<'a> {
    /// Identifier of the seal, ASCII.
    pub id: &'a str,
    /// Whose software makes it, ASCII.
    pub vendor: &'a str,
    /// Kind of the seal, by the maker's list.
    pub kind: u32,
    /// Name of the seal.
    pub name: &'a str,
    /// Who may sign with it.
    pub signers: Signers<'a>,
    /// When it is made, milliseconds since 1970; as all times here kept in seconds.
    pub created_ms: i64,
    /// First moment of validity.
    pub valid_from_ms: i64,
    /// Last moment of validity.
    pub valid_until_ms: i64,
    /// The imprint.
    pub picture: Picture,
}

/// A seal that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSeal {
    /// Identifier of the seal.
    pub id: String,
    /// Whose software made it.
    pub vendor: String,
    /// Kind of the seal, by the maker's list.
    pub kind: u32,
    /// Name of the seal.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// First moment of validity.
    pub valid_from_ms: i64,
    /// Last moment of validity.
    pub valid_until_ms: i64,
    /// The imprint.
    pub picture: Picture,
    /// Subject of the maker's certificate, RFC 4514 text.
    pub maker: String,
    /// Certificates that may sign with it: so many.
    pub signers: usize,
    /// Revocation lists say that no certificate of the maker's path is revoked.
    pub revocation_known: bool,
}

/// Makes a seal; DER (`.esl`).
///
/// # Errors
/// When a value is not allowed, a certificate cannot be read, or key and certificate are not the maker's SM2 pair.
pub fn make_seal(new: &NewSeal<'_>, maker: &SealKey, maker_certificate: &[u8]) -> Result<Vec<u8>, SesError> {
    let holder = Holder::read(Who::Maker, maker_certificate)?;
    if maker.public_key_der()? != holder.public_key_der {
        return Err(SesError::OtherKey(Who::Maker));
    }
    let info = info(new)?;
    let signature = maker.sign(&info.to_der().map_err(encoding("eSealInfo"))?)?;
    let seal = Seal {
        info,
        certificate: OctetString::new(maker_certificate).map_err(encoding("certificate"))?,
        algorithm: KeyAlgorithm::Sm2.identifier().oid,
        signature: BitString::from_bytes(&signature).map_err(encoding("signedValue"))?,
    };
    seal.to_der().map_err(encoding("SESeal"))
}

fn info(new: &NewSeal<'_>) -> Result<SealInfo, SesError> {
    if new.name.trim().is_empty() || new.name.len() > 1024 {
        return Err(SesError::Value("印章名称 (the seal's name)"));
    }
    if new.valid_until_ms <= new.valid_from_ms {
        return Err(SesError::Value("印章有效期 (the seal's validity)"));
    }
    let (list_type, list) = list(new.signers)?;
    let picture = &new.picture;
    let side = |mm: u32| (1..=MAX_SIDE_MM).contains(&mm);
    if picture.data.is_empty() || !side(picture.width_mm) || !side(picture.height_mm) {
        return Err(SesError::Value("印章图像 (the imprint)"));
    }
    Ok(SealInfo {
        header: Header {
            id: ascii("ID", HEADER_ID)?,
            version: VERSION,
            vendor: ascii("厂商标识 (the vendor)", new.vendor)?,
        },
        id: ascii("印章标识 (the seal's identifier)", new.id)?,
        property: Property {
            kind: new.kind,
            name: new.name.to_owned(),
            list_type,
            list,
            created: general_time("制作时间 (time of making)", new.created_ms)?,
            valid_from: general_time("有效期起始 (first moment of validity)", new.valid_from_ms)?,
            valid_until: general_time("有效期终止 (last moment of validity)", new.valid_until_ms)?,
        },
        picture: PictureInfo {
            format: ascii("图像类型 (the imprint's format)", &picture.format)?,
            data: OctetString::new(picture.data.as_slice()).map_err(encoding("picture"))?,
            width: picture.width_mm,
            height: picture.height_mm,
        },
        extensions: None,
    })
}

fn list(signers: Signers<'_>) -> Result<(u32, Any), SesError> {
    let (kind, certificates) = match signers {
        Signers::Certificates(certificates) => (CERTIFICATES, certificates),
        Signers::Digests(certificates) => (DIGESTS, certificates),
    };
    if certificates.is_empty() || certificates.len() > MAX_SIGNERS {
        return Err(SesError::CertificateList(kind));
    }
    for certificate in certificates {
        Holder::read(Who::Signer, certificate)?;
    }
    let failed = || encoding("certList");
    let octets = |bytes: &[u8]| OctetString::new(bytes).map_err(failed());
    let list = match signers {
        Signers::Certificates(_) => {
            let members = certificates.iter().map(|der| octets(der)).collect::<Result<Vec<_>, _>>()?;
            Any::encode_from(&members).map_err(failed())?
        }
        Signers::Digests(_) => {
            let member = |der: &Vec<u8>| {
                let function = PrintableString::new(SM3_NAME).map_err(failed())?;
                Ok(CertificateDigest { function, value: octets(&HashFunction::Sm3.digest(&[der]))? })
            };
            let members = certificates.iter().map(member).collect::<Result<Vec<_>, SesError>>()?;
            Any::encode_from(&members).map_err(failed())?
        }
    };
    Ok((kind, list))
}

impl Seal {
    /// Version, list and extensions are ones that are known here, values are in bounds.
    pub(super) fn check_form(&self) -> Result<usize, SesError> {
        let header = &self.info.header;
        if header.id.as_str() != HEADER_ID || header.version != VERSION {
            return Err(SesError::Version { id: header.id.to_string(), version: header.version });
        }
        check_extensions(self.info.extensions.as_deref())?;
        let property = &self.info.property;
        if millis(property.valid_until) <= millis(property.valid_from) {
            return Err(SesError::Value("印章有效期 (the seal's validity)"));
        }
        let members = match property.list_type {
            CERTIFICATES => self.certificates()?.len(),
            DIGESTS => self.digests()?.len(),
            other => return Err(SesError::CertificateList(other)),
        };
        match (1..=MAX_SIGNERS).contains(&members) {
            true => Ok(members),
            false => Err(SesError::CertificateList(property.list_type)),
        }
    }

    fn certificates(&self) -> Result<Vec<OctetString>, SesError> {
        self.info.property.list.decode_as().map_err(encoding("certList"))
    }

    fn digests(&self) -> Result<Vec<CertificateDigest>, SesError> {
        self.info.property.list.decode_as().map_err(encoding("certList"))
    }

    /// Is this certificate one that may sign with the seal?
    pub(super) fn names(&self, certificate: &[u8]) -> Result<bool, SesError> {
        if self.info.property.list_type == CERTIFICATES {
            return Ok(self.certificates()?.iter().any(|one| one.as_bytes() == certificate));
        }
        let digest = HashFunction::Sm3.digest(&[certificate]);
        let fits = |one: &CertificateDigest| one.function.as_str() == SM3_NAME && one.value.as_bytes() == digest;
        Ok(self.digests()?.iter().any(fits))
    }

    /// The maker signed it, was allowed to when it was made, and it is in force at this time.
    pub(super) fn verify(&self, trust: &Trust, at_ms: i64) -> Result<VerifiedSeal, SesError> {
        let signers = self.check_form()?;
        let maker = Holder::read(Who::Maker, self.certificate.as_bytes())?;
        if self.algorithm != KeyAlgorithm::Sm2.identifier().oid {
            return Err(SesError::Algorithm { who: Who::Maker, algorithm: self.algorithm.to_string() });
        }
        let message = self.info.to_der().map_err(encoding("eSealInfo"))?;
        if !self.signature.as_bytes().is_some_and(|signature| maker.signed(&message, signature)) {
            return Err(SesError::Signature(Who::Maker));
        }
        let property = &self.info.property;
        let checked = maker.check(Who::Maker, trust, millis(property.created))?;
        let (valid_from_ms, valid_until_ms) = (millis(property.valid_from), millis(property.valid_until));
        if !(valid_from_ms..=valid_until_ms).contains(&at_ms) {
            return Err(SesError::NotInForce);
        }
        let picture = &self.info.picture;
        Ok(VerifiedSeal {
            id: self.info.id.to_string(),
            vendor: self.info.header.vendor.to_string(),
            kind: property.kind,
            name: property.name.clone(),
            created_ms: millis(property.created),
            valid_from_ms,
            valid_until_ms,
            picture: Picture {
                format: picture.format.to_string(),
                data: picture.data.as_bytes().to_vec(),
                width_mm: picture.width,
                height_mm: picture.height,
            },
            maker: maker.certificate.tbs_certificate().subject().to_string(),
            signers,
            revocation_known: checked.revocation_known,
        })
    }

    /// Reads a seal.
    pub(super) fn read(der: &[u8]) -> Result<Self, SesError> {
        strict("SESeal", der)
    }
}

/// Verifies a seal (DER) as of a time (milliseconds since 1970): format, maker's signature, maker's certificate
/// when the seal was made, the seal's validity.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_seal(der: &[u8], trust: &Trust, at_ms: i64) -> Result<VerifiedSeal, SesError> {
    Seal::read(der)?.verify(trust, at_ms)
}
