//! `manifest.json` of a court package: what is in it, who made it and on the ground of which record.

use qz_evidence::{Hash32, OrgId, SubjectId};
use serde::{Deserialize, Serialize};

/// Value of `format`.
pub const FORMAT: &str = "qz/court-package/v1";
/// Largest manifest.
pub const MAX_BYTES: usize = 1 << 20;
/// Most contracts of a package: those of one record.
pub const MAX_CONTRACTS: usize = 4;

/// What a file of the package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// The platform's own verification, for machines.
    Report,
    /// How to verify.
    Readme,
    /// The genesis document, for comparison.
    Genesis,
    /// The court's request.
    Request,
    /// Proof of the retrieval's record.
    RetrievalProof,
    /// Proof of a contract.
    Proof,
    /// A version as put up for signing.
    Version,
    /// The final file.
    Final,
    /// The latest signed revision of a contract that was never completed.
    Revision,
    /// A file of fulfilment.
    Receipt,
    /// A signing certificate.
    Certificate,
    /// What the platform recorded before and beside the ledger.
    Process,
}

/// Who made the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeBy {
    /// The member.
    pub organisation: OrgId,
    /// Name of the issuer.
    pub name: String,
    /// Its unified social credit code.
    pub id_code: String,
    /// The program.
    pub software: String,
    /// Its version.
    pub version: String,
}

/// The record of the retrieval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalAt {
    /// Hash of the record.
    pub record: Hash32,
    /// Height of its block.
    pub height: u64,
    /// Its index there.
    pub index: u32,
    /// Time of the block, milliseconds since 1970-01-01T00:00Z.
    pub time_ms: u64,
    /// Digest of the court's body.
    pub digest: Hash32,
    /// Until when notice to the parties is deferred, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_after: Option<String>,
}

/// A contract in the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractIn {
    /// Its folder: `contracts/01`.
    pub folder: String,
    /// Its subject.
    pub subject: SubjectId,
    /// Its title.
    pub title: String,
    /// Its number.
    pub number: String,
}

/// A file in the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIn {
    /// Its name in the archive.
    pub path: String,
    /// What it is.
    pub role: FileRole,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Hash32,
    /// Of which contract, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<usize>,
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The ledger.
    pub chain_id: Hash32,
    /// The consortium's name.
    pub chain_name: String,
    /// The case number 案号.
    pub case_number: String,
    /// The court.
    pub court: OrgId,
    /// When it was made, milliseconds since 1970-01-01T00:00Z.
    pub made_ms: u64,
    /// The same for people, RFC 3339 with its zone.
    pub made: String,
    /// Who made it.
    pub made_by: MadeBy,
    /// The record on whose ground.
    pub retrieval: RetrievalAt,
    /// The contracts, in the order of the record.
    pub contracts: Vec<ContractIn>,
    /// Every file but the manifest and `report.pdf`, ascending by path.
    pub files: Vec<FileIn>,
}

impl Manifest {
    /// As a file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// With what is wrong, for people.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("it is larger than {MAX_BYTES} bytes"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!("its format is not {FORMAT}"));
        }
        if manifest.contracts.is_empty() || manifest.contracts.len() > MAX_CONTRACTS {
            return Err("it names no contract, or more than 4".to_owned());
        }
        for (number, contract) in (1..).zip(&manifest.contracts) {
            let twice = manifest.contracts.iter().filter(|other| other.subject == contract.subject).count() > 1;
            if contract.folder != folder(number) || twice {
                return Err("its contracts are not numbered 01 to 04, or one stands twice".to_owned());
            }
        }
        Ok(manifest)
    }

    /// The files of a role, of a contract or of none.
    pub fn files_of(&self, role: FileRole, contract: Option<usize>) -> impl Iterator<Item = &FileIn> {
        self.files.iter().filter(move |file| file.role == role && file.contract == contract)
    }
}

/// Folder of the contract with this number, from 1.
pub fn folder(number: usize) -> String {
    format!("contracts/{number:02}")
}

/// May a file of this role, of this contract, be called so?
pub fn is_path_of(file: &FileIn) -> bool {
    use FileRole::{
        Certificate, Final, Genesis, Process, Proof, Readme, Receipt, Report, Request, RetrievalProof, Revision,
        Version,
    };
    let FileIn { path, role, contract, .. } = file;
    let whole = match role {
        Report => Some("report.json"),
        Readme => Some("README.txt"),
        Genesis => Some("genesis.qz"),
        Request => Some("retrieval/request.json"),
        RetrievalProof => Some("retrieval/proof.qzproof"),
        Proof | Version | Final | Revision | Receipt | Certificate | Process => None,
    };
    if let Some(whole) = whole {
        return contract.is_none() && path == whole;
    }
    let inside = contract.and_then(|number| path.strip_prefix(&folder(number))?.strip_prefix('/'));
    let numbered = |name: &str, before: &str| {
        name.strip_prefix(before).and_then(|rest| rest.strip_suffix(".pdf")).is_some_and(|part| !part.is_empty())
    };
    inside.is_some_and(|name| match role {
        Proof => name == "proof.qzproof",
        Final => name == "final.pdf",
        Revision => name == "revision.pdf",
        Process => name == "process.json",
        Version => numbered(name, "version-"),
        Receipt => numbered(name, "receipt-"),
        Certificate => numbered(name, "certificate-"),
        Report | Readme | Genesis | Request | RetrievalProof => false,
    })
}
