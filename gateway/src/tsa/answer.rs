//! From a request to a response (RFC 3161 §2.4): granted, or refused with its reason.

use super::serial::Serials;
use der::asn1::{BitString, ObjectIdentifier};
use der::{Any, Decode, Encode};
use qz_document::ca::SealKey;
use qz_evidence::timestamp::{Accuracy, NewToken, PkiStatusInfo, TimeStampReq, TimeStampResp};
use std::sync::{Mutex, PoisonError};

/// The demonstration policy, below the example arc of RFC 5612.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.3161.1");

/// PKIFailureInfo (RFC 3161 §2.4.2): the number of the bit.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    BadAlgorithm = 0,
    BadRequest = 2,
    BadDataFormat = 5,
    TimeNotAvailable = 14,
    UnacceptedPolicy = 15,
    UnacceptedExtension = 16,
}

impl Refusal {
    fn words(self) -> &'static str {
        match self {
            Self::BadAlgorithm => "仅支持 SHA-256 摘要 / only SHA-256 imprints",
            Self::BadRequest => "请求版本不受支持 / unknown version of the request",
            Self::BadDataFormat => "请求无法解析 / the request cannot be read",
            Self::TimeNotAvailable => "时钟回退，暂不签发 / the clock went backwards",
            Self::UnacceptedPolicy => "不支持所请求的策略 / unknown policy",
            Self::UnacceptedExtension => "不支持扩展项 / no extension is known",
        }
    }
}

/// Who stamps.
pub struct Clerk {
    key: SealKey,
    certificate: Vec<u8>,
    serials: Serials,
    /// The last time that was stamped.
    last_ms: Mutex<u64>,
}

impl Clerk {
    /// With this key and its certificate (DER).
    pub fn new(key: SealKey, certificate: Vec<u8>, serials: Serials) -> Self {
        Self { key, certificate, serials, last_ms: Mutex::new(0) }
    }

    /// The response to a request at this time.
    pub fn answer(&self, request: &[u8], now_ms: u64) -> anyhow::Result<Vec<u8>> {
        let response = match self.token(request, now_ms)? {
            Ok(token) => TimeStampResp {
                status: PkiStatusInfo { status: 0, status_string: None, fail_info: None },
                time_stamp_token: Some(Any::from_der(&token)?),
            },
            Err(refusal) => TimeStampResp {
                status: PkiStatusInfo {
                    status: 2,
                    status_string: Some(vec![refusal.words().to_owned()]),
                    fail_info: Some(bit(refusal as usize)?),
                },
                time_stamp_token: None,
            },
        };
        Ok(response.to_der()?)
    }

    fn token(&self, request: &[u8], now_ms: u64) -> anyhow::Result<Result<Vec<u8>, Refusal>> {
        let Ok(request) = TimeStampReq::from_der(request) else { return Ok(Err(Refusal::BadDataFormat)) };
        let refusal = match &request {
            TimeStampReq { version: 2.., .. } | TimeStampReq { version: 0, .. } => Some(Refusal::BadRequest),
            TimeStampReq { message_imprint, .. } if message_imprint.as_sha256().is_none() => {
                Some(Refusal::BadAlgorithm)
            }
            TimeStampReq { req_policy: Some(policy), .. } if *policy != POLICY => Some(Refusal::UnacceptedPolicy),
            TimeStampReq { extensions: Some(_), .. } => Some(Refusal::UnacceptedExtension),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return Ok(Err(refusal));
        }
        {
            let mut last = self.last_ms.lock().unwrap_or_else(PoisonError::into_inner);
            if now_ms < *last {
                return Ok(Err(Refusal::TimeNotAvailable));
            }
            *last = now_ms;
        }
        let token = NewToken {
            imprint: &request.message_imprint,
            nonce: request.nonce.as_ref(),
            policy: POLICY,
            serial: self.serials.take()?,
            time_ms: now_ms,
            accuracy: Accuracy { seconds: Some(1), millis: None, micros: None },
            certificate: &self.certificate,
            issuers: &[],
            with_certificates: request.cert_req,
        };
        Ok(Ok(token.signed(|message| self.key.sign(message).map_err(anyhow::Error::from))?))
    }
}

/// A named bit list with one bit.
fn bit(number: usize) -> der::Result<BitString> {
    let mut bytes = vec![0; number / 8 + 1];
    bytes[number / 8] = 0x80 >> (number % 8);
    BitString::new(u8::try_from(7 - number % 8).unwrap_or(0), bytes)
}
