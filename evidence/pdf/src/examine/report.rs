//! What an examination says: values for programs, sentences in Chinese and English for people.

use qz_evidence::verify::Note;
use serde::Serialize;

use crate::certificate::CertificateFacts;
use crate::difference::Change;
use crate::scan::Warning;
use crate::signatures::SignatureKind;

/// The result for a whole file, the worst of its signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentVerdict {
    /// Every signature holds and leads to a given root; nothing but expected additions came later.
    Valid,
    /// Every signature holds; who signed was not (wholly) checked against a root.
    Intact,
    /// Every signature holds, and something visible was added that the certification permits.
    Caution,
    /// There is no signature.
    Unsigned,
    /// Something was changed after signing.
    Changed,
    /// A signature does not hold.
    Invalid,
    /// The file cannot be read reliably, or a signature uses what is not known here.
    Undetermined,
}

impl DocumentVerdict {
    /// In words.
    pub fn words(self) -> Note {
        let (zh, en) = match self {
            Self::Valid => ("签名有效，签署后未被改动", "VALID: signed, trusted and unchanged since"),
            Self::Intact => (
                "签名完好，签署后未被改动；签署人身份未核验",
                "INTACT: signed and unchanged since; who signed was not verified",
            ),
            Self::Caution => (
                "签名完好，但签署后有被许可的可见改动，请核对",
                "CAUTION: signed; permitted but visible changes came later, look at them",
            ),
            Self::Unsigned => ("没有电子签名", "UNSIGNED: there is no signature"),
            Self::Changed => ("签署后内容被改动", "CHANGED: the document was changed after it was signed"),
            Self::Invalid => ("签名无效", "INVALID: a signature does not hold"),
            Self::Undetermined => (
                "无法核验：文件损坏、加密，或使用了不支持的算法",
                "UNDETERMINED: the file is damaged or encrypted, or an algorithm is not supported",
            ),
        };
        Note::new(zh, en)
    }

    /// Does no signature fail and nothing speak against the file?
    pub fn holds(self) -> bool {
        matches!(self, Self::Valid | Self::Intact | Self::Caution)
    }
}

/// The result for one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureStatus {
    /// Holds; later only what belongs to signing (signatures, timestamps, validation data, metadata).
    Intact,
    /// Holds; later something visible that is permitted.
    Caution,
    /// The signature holds for its revision, which was changed later.
    Changed,
    /// An algorithm or format is not known here.
    Unsupported,
    /// It does not hold.
    Broken,
}

/// How much a later change weighs for one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Belongs to signing.
    Expected,
    /// Permitted by the certification, and visible.
    Permitted,
    /// Not permitted.
    Forbidden,
}

/// A later change, as it weighs for one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaterChange {
    /// Revision that made it, from 1.
    pub revision: usize,
    /// How it weighs.
    pub weight: Weight,
    /// What it is.
    #[serde(flatten)]
    pub change: Change,
    /// In words.
    pub words: Note,
}

/// A revision of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevisionReport {
    /// From 1, the original.
    pub number: usize,
    /// First byte.
    pub start: usize,
    /// Behind its end-of-file marker.
    pub end: usize,
    /// Fields whose signatures cover the file up to here.
    pub signed_by: Vec<String>,
}

/// Whether the signer's certificate leads to a given root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Trust {
    /// No root was given: not checked.
    NoRootGiven,
    /// It leads to this root.
    Trusted {
        /// Subjects from the signer to the root.
        path: Vec<String>,
        /// Certificates of the path for which the file brings no revocation data.
        unchecked: Vec<String>,
    },
    /// It leads to none of the roots.
    Unknown,
    /// It leads to a root, but was not valid at the time.
    NotInForce {
        /// Subject of the certificate.
        certificate: String,
    },
    /// It leads to a root, and was revoked.
    Revoked {
        /// Subject of the certificate.
        certificate: String,
    },
    /// The certificate must not sign documents.
    WrongUse,
}

impl Trust {
    /// In words.
    pub fn words(&self) -> Note {
        match self {
            Self::NoRootGiven => Note::new(
                "未给出信任的根证书，签署人身份未核验",
                "no root certificate was given: who signed was not verified",
            ),
            Self::Trusted { path, unchecked } => {
                let root = path.last().map_or("", String::as_str);
                let zh = if unchecked.is_empty() {
                    ""
                } else {
                    "；文件未附部分证书的吊销信息，吊销情况未核验"
                };
                let en =
                    if unchecked.is_empty() { "" } else { "; revocation was not checked for want of data in the file" };
                Note::new(
                    format!("证书链通向所给的根证书（{root}）{zh}"),
                    format!("the certificate leads to the given root ({root}){en}"),
                )
            }
            Self::Unknown => Note::new(
                "证书不通向所给的任何根证书，签署人身份不可信",
                "the certificate leads to none of the given roots: who signed is not trusted",
            ),
            Self::NotInForce { certificate } => Note::new(
                format!("证书在签署时点不在有效期内（{certificate}）"),
                format!("a certificate was not valid at the time of signing ({certificate})"),
            ),
            Self::Revoked { certificate } => Note::new(
                format!("证书已被吊销（{certificate}）"),
                format!("a certificate was revoked ({certificate})"),
            ),
            Self::WrongUse => Note::new("证书用途不含签名", "the certificate's key usage does not allow signing"),
        }
    }
}

/// A timestamp of a third party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimestampReport {
    /// Its time, milliseconds since 1970; absent if it does not hold.
    pub time_ms: Option<u64>,
    /// The authority.
    pub authority: Option<String>,
    /// Does it lead to one of the given roots of timestamp authorities?
    pub trusted: bool,
    /// Why it does not hold.
    pub problem: Option<String>,
}

/// Where a signature shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// Page, from 1.
    pub page: usize,
    /// Lower left and upper right corner, in points, in the page's own coordinates.
    pub rectangle: [f64; 4],
}

/// Everything about one signature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignatureReport {
    /// Field name.
    pub field: String,
    /// What it is for.
    pub kind: SignatureKind,
    /// `/SubFilter`.
    pub format: String,
    /// Revision in which it stands, from 1.
    pub revision: Option<usize>,
    /// `/ByteRange` as written.
    pub byte_range: Vec<i64>,
    /// Nothing follows what it covers.
    pub covers_whole_file: bool,
    /// The result.
    pub status: SignatureStatus,
    /// The result in words.
    pub words: Note,
    /// Why it does not hold.
    pub problems: Vec<Note>,
    /// The signer's certificate.
    pub signer: Option<CertificateFacts>,
    /// The certificate, DER.
    #[serde(skip)]
    pub certificate: Vec<u8>,
    /// SHA-256 over what it covers; absent when the byte range is invalid.
    pub digest: Option<String>,
    /// Algorithm in words.
    pub algorithm: Option<String>,
    /// The signer's own claim of the time, `/M` as written.
    pub claimed_time: Option<String>,
    /// Signature timestamp, or the document timestamp itself.
    pub timestamp: Option<TimestampReport>,
    /// Does the certificate lead to a root?
    pub trust: Trust,
    /// That in words.
    pub trust_words: Note,
    /// Revocation lists and OCSP answers that the file brings.
    pub revocation: RevocationData,
    /// `/Name`.
    pub name: Option<String>,
    /// `/Reason`.
    pub reason: Option<String>,
    /// `/Location`.
    pub location: Option<String>,
    /// What the certification permits (`/DocMDP /P`): 1 nothing, 2 filling in and signing, 3 annotations too.
    pub permits: Option<u8>,
    /// Fields that it locks; `["*"]` for all.
    pub locks: Vec<String>,
    /// Where it shows; empty when it is invisible.
    pub placements: Vec<Placement>,
    /// What came later.
    pub later: Vec<LaterChange>,
}

/// How much revocation data there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RevocationData {
    /// Revocation lists.
    pub lists: usize,
    /// OCSP answers.
    pub ocsp: usize,
}

/// Everything about a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentReport {
    /// `pdf`: tells this report from that of a proof.
    pub kind: &'static str,
    /// The result.
    pub verdict: DocumentVerdict,
    /// The result in words.
    pub words: Note,
    /// Why the file cannot be read.
    pub problems: Vec<Note>,
    /// Bytes.
    pub size: usize,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Pages.
    pub pages: usize,
    /// Revisions in the order of the file.
    pub revisions: Vec<RevisionReport>,
    /// Signatures and document timestamps in the order of what they cover.
    pub signatures: Vec<SignatureReport>,
    /// What the file contains that could show something else later.
    pub warnings: Vec<Warning>,
}
