//! The messages of the Time-Stamp Protocol (RFC 3161, with RFC 5816's signingCertificateV2): a request, a
//! response, what a token says, and the making of a token by whoever holds the key. Bytes only; HTTP and
//! keys are the caller's.

use crate::hash::Hash32;
use crate::signed_data::NewSignedData;
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{DateTime, Encode, Sequence, Tag, Tagged};
use sha2::{Digest, Sha256};
use std::time::Duration;
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;

pub(super) const ID_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
pub(super) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// What was stamped.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct MessageImprint {
    /// Its hash function.
    pub hash_algorithm: AlgorithmIdentifierOwned,
    /// The hash.
    pub hashed_message: OctetString,
}

impl MessageImprint {
    /// By SHA-256, the only function of this project.
    pub fn sha256(hash: &Hash32) -> der::Result<Self> {
        Ok(Self {
            hash_algorithm: AlgorithmIdentifierOwned { oid: SHA_256, parameters: None },
            hashed_message: OctetString::new(hash.0.to_vec())?,
        })
    }

    /// The hash, if it is one by SHA-256.
    pub fn as_sha256(&self) -> Option<Hash32> {
        let is_sha256 = self.hash_algorithm.oid == SHA_256;
        <[u8; 32]>::try_from(self.hashed_message.as_bytes()).ok().filter(|_| is_sha256).map(Hash32)
    }
}

/// An ASN.1 INTEGER in its one form: a leading zero only where it keeps the number positive.
fn integer(number: u64) -> der::Result<Int> {
    let bytes = [&[0], &number.to_be_bytes()[..]].concat();
    let superfluous = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    Int::new(&bytes[superfluous..])
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampReq {
    /// 1.
    pub version: u8,
    /// What to stamp.
    pub message_imprint: MessageImprint,
    /// Under which policy, if it matters.
    pub req_policy: Option<ObjectIdentifier>,
    /// Comes back in the token.
    pub nonce: Option<Int>,
    /// Shall the token carry the authority's certificate?
    #[asn1(default = "Default::default")]
    pub cert_req: bool,
    /// None are known.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

impl TimeStampReq {
    /// Asks for a token over a hash, with the certificate in it.
    pub fn new(hash: &Hash32, nonce: u64) -> der::Result<Self> {
        Ok(Self {
            version: 1,
            message_imprint: MessageImprint::sha256(hash)?,
            req_policy: None,
            nonce: Some(integer(nonce)?),
            cert_req: true,
            extensions: None,
        })
    }
}

/// How a request went.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PkiStatusInfo {
    /// 0 granted, 1 granted with modifications, 2 rejection, others see RFC 3161 §2.4.2.
    pub status: u8,
    /// The authority's words.
    pub status_string: Option<Vec<String>>,
    /// Why not.
    pub fail_info: Option<der::asn1::BitString>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampResp {
    /// How it went.
    pub status: PkiStatusInfo,
    /// The token (a ContentInfo), if it was granted.
    pub time_stamp_token: Option<Any>,
}

impl TimeStampResp {
    /// The token's bytes, or the authority's words of refusal.
    pub fn token(&self) -> Result<Vec<u8>, String> {
        match (&self.status.status, &self.time_stamp_token) {
            (0 | 1, Some(token)) => token.to_der().map_err(|error| error.to_string()),
            (status, _) => {
                let words = self.status.status_string.clone().unwrap_or_default().join("; ");
                Err(format!("the authority refuses (status {status}) {words}"))
            }
        }
    }
}

/// How exact the time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Sequence)]
pub struct Accuracy {
    /// Seconds.
    pub seconds: Option<u64>,
    /// Thousandths, 1–999.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub millis: Option<u16>,
    /// Millionths, 1–999.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub micros: Option<u16>,
}

impl Accuracy {
    /// In milliseconds, rounded up.
    pub fn as_millis(&self) -> u64 {
        let micros = u64::from(self.micros.unwrap_or(0)).div_ceil(1000);
        self.seconds.unwrap_or(0).saturating_mul(1000).saturating_add(u64::from(self.millis.unwrap_or(0)) + micros)
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TstInfo {
    /// 1.
    pub version: u8,
    /// The authority's policy.
    pub policy: ObjectIdentifier,
    /// What was stamped.
    pub message_imprint: MessageImprint,
    /// The token's number.
    pub serial_number: Int,
    /// A GeneralizedTime; it may have a fraction, which is why it is read by [`gen_time_ms`].
    pub gen_time: Any,
    /// How exact it is.
    pub accuracy: Option<Accuracy>,
    /// Are tokens of this authority ordered by their times alone?
    #[asn1(default = "Default::default")]
    pub ordering: bool,
    /// That of the request.
    pub nonce: Option<Int>,
    /// The authority's name.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub tsa: Option<Any>,
    /// Further statements.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

/// `YYYYMMDDhhmmss[.f…]Z` (RFC 3161 §2.4.2) in milliseconds since 1970; a finer fraction is cut.
pub fn gen_time_ms(time: &Any) -> Option<u64> {
    if time.tag() != Tag::GeneralizedTime {
        return None;
    }
    let text = std::str::from_utf8(time.value()).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.len() != 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| whole[from..to].parse::<u16>().ok();
    let small = |from: usize| number(from, from + 2).and_then(|n| u8::try_from(n).ok());
    let date = DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?).ok()?;
    let millis = match fraction {
        None => 0,
        // DER: no fraction of nothing, no zeros at the end.
        Some(digits) => {
            let is_der = !digits.ends_with('0') && digits.len() <= 9 && !digits.is_empty();
            let digits = Some(digits).filter(|digits| is_der && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            format!("{digits:0<3}")[..3].parse::<u64>().ok()?
        }
    };
    u64::try_from(date.unix_duration().as_millis()).ok()?.checked_add(millis)
}

/// The same the other way.
fn gen_time(ms: u64) -> der::Result<Any> {
    let time = DateTime::from_unix_duration(Duration::from_secs(ms / 1000))?;
    let mut text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minutes(),
        time.seconds()
    );
    if !ms.is_multiple_of(1000) {
        text.push_str(format!(".{:03}", ms % 1000).trim_end_matches('0'));
    }
    text.push('Z');
    Any::new(Tag::GeneralizedTime, text.into_bytes())
}

/// What an authority puts into a token.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// What is stamped, as it was asked.
    pub imprint: &'a MessageImprint,
    /// The nonce of the request.
    pub nonce: Option<&'a Int>,
    /// The authority's policy.
    pub policy: ObjectIdentifier,
    /// The token's number; never used again.
    pub serial: u64,
    /// The authority's clock, milliseconds since 1970.
    pub time_ms: u64,
    /// How exact it is.
    pub accuracy: Accuracy,
    /// The authority's certificate (DER).
    pub certificate: &'a [u8],
    /// Its issuers, to be carried along.
    pub issuers: &'a [Vec<u8>],
    /// Was the certificate asked for?
    pub with_certificates: bool,
}

impl NewToken<'_> {
    /// The token; `sign` gives the ECDSA P-256 SHA-256 signature (DER) over the bytes that it gets.
    pub fn signed<E: From<der::Error>>(&self, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
        let info = TstInfo {
            version: 1,
            policy: self.policy,
            message_imprint: self.imprint.clone(),
            serial_number: integer(self.serial)?,
            gen_time: gen_time(self.time_ms)?,
            accuracy: Some(self.accuracy),
            ordering: false,
            nonce: self.nonce.cloned(),
            tsa: None,
            extensions: None,
        };
        let info = info.to_der()?;
        let digest = Sha256::digest(&info);
        let signed = NewSignedData {
            content_type: ID_TST_INFO,
            content: Some(&info),
            digest: &digest,
            digest_algorithm: AlgorithmIdentifierOwned { oid: SHA_256, parameters: None },
            signature_algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
            certificate: self.certificate,
            issuers: self.issuers,
            with_certificates: self.with_certificates,
        };
        let signature = sign(&signed.to_be_signed()?)?;
        Ok(signed.assemble(&signature)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use der::Decode;

    #[test]
    fn times_are_read_and_written_with_and_without_a_fraction() {
        for (ms, text) in [
            (0, "19700101000000Z"),
            (1_790_000_000_000, "20260921141320Z"),
            (1_790_000_000_120, "20260921141320.12Z"),
            (1_790_000_000_007, "20260921141320.007Z"),
        ] {
            let written = gen_time(ms).unwrap();
            assert_eq!(std::str::from_utf8(written.value()), Ok(text));
            assert_eq!(gen_time_ms(&written), Some(ms));
        }
        let read = |text: &str| gen_time_ms(&Any::new(Tag::GeneralizedTime, text.as_bytes()).unwrap());
        assert_eq!(read("20260921141320.123456Z"), Some(1_790_000_000_123));
        for bad in [
            "20260921141320",
            "202609211413Z",
            "20260921141320.Z",
            "20260921141320.10Z",
            "20261321141320Z",
            "20260921141320+0800",
            "2026092114132 Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_request_is_read_back() {
        for nonce in [0, 127, 128, 0xffff, u64::MAX] {
            let request = TimeStampReq::new(&Hash32([3; 32]), nonce).unwrap();
            let bytes = request.to_der().unwrap();
            assert_eq!(TimeStampReq::from_der(&bytes).unwrap(), request);
            assert_eq!(request.message_imprint.as_sha256(), Some(Hash32([3; 32])));
        }
    }
}
