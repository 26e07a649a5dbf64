//! Reads a proof bundle as the story of one contract: who signed what, when, and who they are.
//!
//! It reads only what the bundle proves and opens; whether the bundle *is* valid has to be verified
//! before (`qz_evidence::verify`).

use crate::compose::{AUTHORITY, HANDLER};
use crate::refusal::Refusal;
use qz_evidence::bundle::{Bundle, Entry};
use qz_evidence::commitment::{Opening, name};
use qz_evidence::header::Header;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{Payload, SealKind, Slot};
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, OrgId, SubjectId, decode_strict};
use std::collections::BTreeMap;

/// A proven record, decoded.
#[derive(Clone, Debug)]
pub struct ProvenRecord {
    /// Its hash.
    pub hash: Hash32,
    /// The record.
    pub record: Record,
    /// Its submission.
    pub parsed: Parsed,
    /// Time of its block, milliseconds since 1970.
    pub time_ms: u64,
    /// What opens its commitments.
    pub openings: Vec<Opening>,
}

impl ProvenRecord {
    /// Decodes an entry of a bundle.
    ///
    /// # Errors
    /// When it is not canonical.
    pub fn open(entry: &Entry) -> Result<Self, Refusal> {
        let bad = |error: &dyn std::fmt::Display| {
            Refusal::invalid("proof.malformed", "证明中的记录无法解析", format!("a record of the proof: {error}"))
        };
        let record: Record = decode_strict(&entry.record).map_err(|e| bad(&e))?;
        let header: Header = decode_strict(&entry.header).map_err(|e| bad(&e))?;
        let parsed = Parsed::without_relay_check(&record.submission).map_err(|e| bad(&e))?;
        let hash = record_hash(&entry.record);
        Ok(Self { hash, record, parsed, time_ms: header.time_ms, openings: entry.openings.clone() })
    }

    /// What it says.
    pub fn payload(&self) -> &Payload {
        &self.parsed.body().payload
    }

    /// The disclosed text of this name.
    pub fn text(&self, name: &str) -> Option<String> {
        let opening = self.openings.iter().find(|opening| opening.name == name)?;
        String::from_utf8(opening.value.0.clone()).ok()
    }

    /// The disclosed digest of this name.
    pub fn digest(&self, name: &str) -> Option<Hash32> {
        let opening = self.openings.iter().find(|opening| opening.name == name)?;
        Some(Hash32(<[u8; 32]>::try_from(&opening.value[..]).ok()?))
    }

    /// The subject that it creates, if its kind creates one.
    fn created(&self) -> Option<SubjectId> {
        self.record.links.first().filter(|link| link.sequence == 0).map(|link| link.subject)
    }
}

/// A key and its holder.
#[derive(Clone, Debug)]
pub struct ProvenKey {
    /// The key.
    pub key: PublicKey,
    /// Name of the holder.
    pub name: String,
    /// Credit code or masked number.
    pub id_code: String,
    /// How the identity was checked.
    pub identity_check: String,
    /// When, from where and with what the registration was asked for.
    pub capture: Option<String>,
    /// Who attested to it.
    pub attestor: OrgId,
    /// When it was registered: time of the block.
    pub time_ms: u64,
}

/// A seal.
#[derive(Clone, Debug)]
pub struct ProvenSeal {
    /// Its owner's key subject.
    pub owner: SubjectId,
    /// Its kind.
    pub kind: SealKind,
    /// Its name.
    pub name: String,
}

/// A signature of a slot.
#[derive(Clone, Debug)]
pub struct ProvenSignature {
    /// Index of the record among [`ProvenContract::records`].
    pub record: usize,
    /// The slot.
    pub slot: Slot,
    /// Index of the slot.
    pub slot_index: u8,
    /// The key that signed.
    pub key: SubjectId,
    /// Digest that the PDF signature covers.
    pub to_be_signed: Hash32,
    /// The words with which the signer agreed.
    pub intent: String,
    /// When, from where and with what.
    pub capture: Option<String>,
    /// Handling person.
    pub handler: Option<String>,
    /// On what authority.
    pub authority: Option<String>,
}

/// The story of a completed contract.
#[derive(Clone, Debug)]
pub struct ProvenContract {
    /// All records of the bundle, in its order.
    pub records: Vec<ProvenRecord>,
    /// Indices of the contract's own records.
    pub own: Vec<usize>,
    /// Title.
    pub title: String,
    /// Number.
    pub number: String,
    /// SHA-256 of the version that was signed.
    pub version_sha256: Hash32,
    /// SHA-256 of the final file.
    pub final_sha256: Hash32,
    /// The signatures in the order of the ledger.
    pub signatures: Vec<ProvenSignature>,
    /// Keys by subject.
    pub keys: BTreeMap<SubjectId, ProvenKey>,
    /// Seals by subject.
    pub seals: BTreeMap<SubjectId, ProvenSeal>,
}

impl ProvenContract {
    /// Reads the bundle.
    ///
    /// # Errors
    /// When a record that the story needs, or an opening, is not in the bundle.
    pub fn read(bundle: &Bundle, contract: SubjectId) -> Result<Self, Refusal> {
        let records = bundle.entries.iter().map(ProvenRecord::open).collect::<Result<Vec<_>, _>>()?;
        let touches = |record: &ProvenRecord| record.record.links.iter().any(|link| link.subject == contract);
        let own: Vec<usize> = (0..records.len()).filter(|index| touches(&records[*index])).collect();
        let opened = find(&records, &own, "contract.opened", |payload| match payload {
            Payload::ContractOpened(fields) => Some(fields.clone()),
            _ => None,
        })?;
        let title = need(opened.0.text(name::TITLE), name::TITLE)?;
        let number = need(opened.0.text(name::NUMBER), name::NUMBER)?;
        let slots = opened.1.slots;
        let mut latest = own.iter().rev().map(|index| &records[*index]);
        let fixed = latest.find(|r| matches!(r.payload(), Payload::ContractVersionFixed(_)));
        let version_sha256 = need(fixed.and_then(|record| record.digest(name::DOCUMENT)), "contract.version_fixed")?;
        let completed = find(&records, &own, "contract.completed", |payload| {
            matches!(payload, Payload::ContractCompleted(_)).then_some(())
        })?;
        let final_sha256 = need(completed.0.digest(name::DOCUMENT), name::DOCUMENT)?;
        let signatures = signatures(&records, &own, &slots)?;
        let mut keys = BTreeMap::new();
        let mut seals = BTreeMap::new();
        for record in &records {
            let Some(subject) = record.created() else { continue };
            match record.payload() {
                Payload::KeyRegistered(fields) => {
                    let key = ProvenKey {
                        key: fields.key.clone(),
                        name: need(record.text(name::NAME), name::NAME)?,
                        id_code: need(record.text(name::ID_CODE), name::ID_CODE)?,
                        identity_check: need(record.text(name::IDENTITY_CHECK), name::IDENTITY_CHECK)?,
                        capture: record.text(name::CAPTURE),
                        attestor: fields.attestor.clone(),
                        time_ms: record.time_ms,
                    };
                    keys.insert(subject, key);
                }
                Payload::SealMade(fields) => {
                    let name = need(record.text(name::NAME), name::NAME)?;
                    seals.insert(subject, ProvenSeal { owner: fields.owner, kind: fields.kind, name });
                }
                _ => {}
            }
        }
        Ok(Self { own, title, number, version_sha256, final_sha256, signatures, keys, seals, records })
    }
}

fn signatures(records: &[ProvenRecord], own: &[usize], slots: &[Slot]) -> Result<Vec<ProvenSignature>, Refusal> {
    let mut found = vec![];
    for index in own {
        let record = &records[*index];
        let Payload::ContractSigned(fields) = record.payload() else { continue };
        let slot = need(slots.get(usize::from(fields.slot)).cloned(), "slot")?;
        let actor = need(record.parsed.submission().actors.first(), "actor")?;
        found.push(ProvenSignature {
            record: *index,
            slot,
            slot_index: fields.slot,
            key: actor.subject,
            to_be_signed: need(record.digest(name::TO_BE_SIGNED), name::TO_BE_SIGNED)?,
            intent: need(record.text(name::INTENT), name::INTENT)?,
            capture: record.text(name::CAPTURE),
            handler: record.text(HANDLER),
            authority: record.text(AUTHORITY),
        });
    }
    Ok(found)
}

fn find<'a, T>(
    records: &'a [ProvenRecord], own: &[usize], what: &'static str, pick: impl Fn(&Payload) -> Option<T>,
) -> Result<(&'a ProvenRecord, T), Refusal> {
    let found = own.iter().find_map(|index| Some((&records[*index], pick(records[*index].payload())?)));
    need(found, what)
}

fn need<T>(value: Option<T>, what: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| {
        Refusal::missing(
            "proof.incomplete",
            format!("证明中缺少 {what}，无法出具签署证明"),
            format!("the proof lacks {what}"),
        )
    })
}
