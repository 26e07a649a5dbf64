//! What the parties of a contract let anybody see who has the number of its signing certificate.
//!
//! Nothing by default. Each party consents by a signature of its own key over what it consents to; public
//! is what *all* of them consent to, so that each can take it back alone.

use crate::refusal::Refusal;
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, SubjectId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Domain tag of the signed message.
const TAG: &[u8] = b"qz/publication/v1";
/// A consent's time may differ so much from the gateway's clock, in milliseconds.
const MAX_SKEW_MS: u64 = 10 * 60 * 1000;

/// Something that can be made public, in the order in which it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicField {
    /// SHA-256 of the final file.
    DocumentSha256,
    /// The contract's number.
    Number,
    /// Names of the parties.
    Parties,
    /// Where the contract stands.
    Status,
    /// The contract's title.
    Title,
}

impl PublicField {
    /// All, in the order in which they are signed.
    pub const ALL: [Self; 5] = [Self::DocumentSha256, Self::Number, Self::Parties, Self::Status, Self::Title];

    /// The word on the wire and in the signed message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DocumentSha256 => "document_sha256",
            Self::Number => "number",
            Self::Parties => "parties",
            Self::Status => "status",
            Self::Title => "title",
        }
    }
}

/// What one party consents to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The contract.
    pub contract: SubjectId,
    /// The party's key.
    pub key: SubjectId,
    /// Everything that may be shown; empty takes an earlier consent back.
    pub fields: BTreeSet<PublicField>,
    /// When, by the party's clock, milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
}

impl Consent {
    /// What is signed: tag ‖ chain id ‖ contract ‖ key ‖ time (8, big endian) ‖ field words, each followed
    /// by a newline, ascending.
    pub fn message(&self, chain_id: &Hash32) -> Vec<u8> {
        let mut message = [TAG, &chain_id.0, &self.contract.0.0, &self.key.0.0, &self.time_ms.to_be_bytes()].concat();
        for field in &self.fields {
            message.extend_from_slice(field.as_str().as_bytes());
            message.push(b'\n');
        }
        message
    }

    /// Signed by the key, about now, and later than the party's last one (so that an old one cannot be
    /// replayed).
    ///
    /// # Errors
    /// Which of the three does not hold.
    pub fn check(
        &self, chain_id: &Hash32, key: &PublicKey, signature: &[u8], last_ms: Option<u64>, now_ms: u64,
    ) -> Result<(), Refusal> {
        if !key.verify(&self.message(chain_id), signature) {
            return Err(Refusal::invalid(
                "signature.invalid",
                "签名与公开内容不符",
                "the signature does not cover this consent",
            ));
        }
        if self.time_ms.abs_diff(now_ms) > MAX_SKEW_MS {
            return Err(Refusal::invalid(
                "consent.time",
                "签名时间与系统时间相差超过 10 分钟",
                "the time that was signed is more than 10 minutes away",
            ));
        }
        if last_ms.is_some_and(|last| self.time_ms <= last) {
            return Err(Refusal::state(
                "consent.replayed",
                "已有更新的公开设置",
                "a later consent of this key is in force",
            ));
        }
        Ok(())
    }
}

/// What may be shown, given the parties' keys and the consents that exist.
pub fn public_fields(parties: &BTreeSet<SubjectId>, consents: &[Consent]) -> BTreeSet<PublicField> {
    let of = |party: &SubjectId| consents.iter().find(|consent| consent.key == *party).map(|consent| &consent.fields);
    let mut agreed: Option<BTreeSet<PublicField>> = None;
    for party in parties {
        let Some(fields) = of(party) else { return BTreeSet::new() };
        agreed = Some(match agreed {
            None => fields.clone(),
            Some(before) => before.intersection(fields).copied().collect(),
        });
    }
    agreed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    fn id(byte: u8) -> SubjectId {
        SubjectId(Hash32([byte; 32]))
    }

    fn consent(key: u8, fields: &[PublicField]) -> Consent {
        Consent { contract: id(1), key: id(key), fields: fields.iter().copied().collect(), time_ms: 1_000_000 }
    }

    #[test]
    fn public_is_what_all_consent_to() {
        use PublicField::{Number, Status, Title};
        let check = |parties: &[u8], consents: &[Consent], expected: &[PublicField]| {
            let parties = parties.iter().map(|byte| id(*byte)).collect();
            assert_eq!(public_fields(&parties, consents), expected.iter().copied().collect(), "{consents:?}");
        };
        check(&[2, 3], &[], &[]);
        check(&[2, 3], &[consent(2, &PublicField::ALL)], &[]);
        check(&[2, 3], &[consent(2, &[Title, Status]), consent(3, &[Status, Number])], &[Status]);
        check(&[2, 3], &[consent(2, &[Title]), consent(3, &[])], &[]);
        check(&[2], &[consent(2, &[Title]), consent(9, &[])], &[Title]);
        check(&[], &[consent(2, &[Title])], &[]);
    }

    #[test]
    fn the_message_is_frozen() {
        let message = consent(2, &[PublicField::Title, PublicField::Number]).message(&Hash32([7; 32]));
        let expected = [
            &b"qz/publication/v1"[..],
            &[7; 32],
            &[1; 32],
            &[2; 32],
            &[0, 0, 0, 0, 0, 0x0f, 0x42, 0x40],
            b"number\ntitle\n",
        ];
        assert_eq!(message, expected.concat());
        for field in PublicField::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
        }
        assert!(PublicField::ALL.is_sorted_by_key(|field| field.as_str()));
    }

    #[test]
    fn only_the_key_itself_consents_and_only_once() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let public = PublicKey::ed25519(key.verifying_key().to_bytes());
        let (chain, consent) = (Hash32([7; 32]), consent(2, &[PublicField::Title]));
        let signature = key.sign(&consent.message(&chain)).to_bytes();
        let check = |consent: &Consent, chain: &Hash32, last, now| {
            consent.check(chain, &public, &signature, last, now).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(&consent, &chain, None, 1_000_000), Ok(()));
        assert_eq!(check(&consent, &chain, Some(999_999), 1_600_000), Ok(()));
        assert_eq!(check(&consent, &chain, Some(1_000_000), 1_000_000), Err("consent.replayed"));
        assert_eq!(check(&consent, &chain, None, 1_600_001), Err("consent.time"));
        assert_eq!(check(&consent, &Hash32([8; 32]), None, 1_000_000), Err("signature.invalid"));
        let more = Consent { fields: PublicField::ALL.into(), ..consent };
        assert_eq!(check(&more, &chain, None, 1_000_000), Err("signature.invalid"));
    }
}
