//! One door for every file that a person may hold: a signing certificate, a proof bundle, or a contract
//! PDF with its proof. Shared by the command line (`qz-verify`) and the browser (`qz-wasm`).
//!
//! No disk, no clock, no network: the caller reads files and gives the time.

pub mod archive;
mod complete;
pub mod later;
pub mod package;
mod redact;
mod revisions;
mod seal_ledger;
pub mod show;
mod signed;

pub use complete::complete;
pub use package::{PackageReport, is_package, verify_package};
pub use redact::{Keep, RedactError, Redacted, redact};
pub use seal_ledger::{Period, Row, SealLedger, SealLedgerError, seal_ledger};

use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::hash::sha256;
pub use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::{GivenDocument, Note, Report, SignedFile, Verdict, unreadable, verify};
use qz_evidence_pdf::{
    Attachment, PdfSignature, SignatureKind, TrustedRoots, Weight, attachments, examine, only_validation_data_follows,
    signatures,
};
use signed::SignedPdf;

/// What a person gives.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// A signing certificate (PDF with an attached proof), a proof bundle, or a contract PDF.
    pub file: &'a [u8],
    /// The pinned genesis document.
    pub genesis: &'a [u8],
    /// The proof bundle, when `file` is a contract PDF.
    pub proof: Option<&'a [u8]>,
    /// Time of this verification, milliseconds since 1970-01-01T00:00Z.
    pub now_ms: u64,
    /// Which outside witnesses are trusted: a policy file (C2SP tlog-policy).
    pub witness_policy: Option<&'a [u8]>,
    /// Roots of timestamp authorities, PEM or DER; empty: none.
    pub tsa_roots: &'a [u8],
}

impl<'a> Input<'a> {
    /// What verification trusts, apart from a greatest age.
    pub fn trust(&self) -> TrustInputs<'a> {
        TrustInputs {
            witness_policy: self.witness_policy,
            tsa_roots: self.tsa_roots,
            ..TrustInputs::new(self.genesis, self.now_ms)
        }
    }
}

/// File name ending of proof bundles, also inside certificates.
pub const PROOF_EXTENSION: &str = ".qzproof";

/// Verifies whatever it is given.
pub fn verify_any(input: &Input<'_>) -> Report {
    verify_with(input, None)
}

/// Verifies, refusing heads older than `max_age_ms`.
pub fn verify_with(input: &Input<'_>, max_age_ms: Option<u64>) -> Report {
    let trust = input.trust().with_max_age(max_age_ms);
    if !input.file.starts_with(b"%PDF-") {
        return match input.proof {
            None => verify(input.file, &trust, &[]),
            Some(proof) => verify(proof, &trust, &[given(input.file, None)]),
        };
    }
    let found = match signatures(input.file) {
        Ok(found) => found,
        Err(error) => {
            return unreadable(format!("PDF 无法读取（{error}）"), format!("the PDF cannot be read: {error}"));
        }
    };
    if let Some(proof) = input.proof {
        return contract(input.file, &found, proof, &trust);
    }
    match attached_proof(input.file) {
        Ok(Some(attachment)) => certificate(input.file, &found, &attachment.bytes, &trust),
        Ok(None) => {
            let found = signatures_in_words(input.file, input.now_ms);
            unreadable(
                format!(
                    "此 PDF 中没有附带证明：请同时提供 .qzproof 文件，或改用签署证明。仅就其电子签名而言：{}",
                    found.zh
                ),
                format!(
                    "this PDF carries no proof: give the .qzproof file too, or use the signing certificate. Of its signatures alone: {}",
                    found.en
                ),
            )
        }
        Err(error) => {
            unreadable(format!("PDF 附件无法读取（{error}）"), format!("the PDF's attachments cannot be read: {error}"))
        }
    }
}

/// Of a PDF without any proof, given or attached: what an examination of its signatures says. Nothing of it is
/// about a ledger. Roots of signers are not given; those of timestamp authorities are the input's.
pub fn examine_alone(input: &Input<'_>) -> Option<qz_evidence_pdf::DocumentReport> {
    if input.proof.is_some() || !input.file.starts_with(b"%PDF-") {
        return None;
    }
    let attached = attachments(input.file);
    let names_proof = match &attached {
        Ok(attached) => attached.iter().any(|attachment| attachment.name.ends_with(PROOF_EXTENSION)),
        // What the reader of attachments cannot read may still be examined, unless it was to carry a proof.
        Err(_) => input.file.windows(PROOF_EXTENSION.len()).any(|bytes| bytes == PROOF_EXTENSION.as_bytes()),
    };
    if names_proof {
        return None;
    }
    let trusted = TrustedRoots::parse(&[], input.tsa_roots, input.now_ms).unwrap_or_default();
    let report = examine(input.file, &trusted);
    let is_readable = attached.is_ok() || report.verdict != qz_evidence_pdf::DocumentVerdict::Undetermined;
    is_readable.then_some(report)
}

/// What an examination of the signatures alone says, for a PDF without a proof.
fn signatures_in_words(file: &[u8], now_ms: u64) -> Note {
    let Ok(trusted) = TrustedRoots::parse(&[], &[], now_ms) else { return Note::new("", "") };
    let report = examine(file, &trusted);
    let (mut zh, mut en) = (report.words.zh, report.words.en);
    for signature in report.signatures.iter().take(20) {
        let signer = signature.signer.as_ref().map_or("?", |signer| signer.subject.as_str());
        let forbidden = signature.later.iter().filter(|later| later.weight == Weight::Forbidden).take(5);
        let reasons: Vec<Note> = signature.problems.iter().cloned().chain(forbidden.map(|l| l.words.clone())).collect();
        zh.push_str(&format!("；“{}”（{signer}）{}", signature.field, signature.words.zh));
        en.push_str(&format!("; `{}` ({signer}) {}", signature.field, signature.words.en));
        for reason in reasons {
            zh.push_str(&format!("：{}", reason.zh));
            en.push_str(&format!(": {}", reason.en));
        }
    }
    Note::new(zh, en)
}

/// The proof attached to a certificate, if there is exactly one.
pub fn attached_proof(pdf: &[u8]) -> Result<Option<Attachment>, qz_evidence_pdf::PdfReadError> {
    let mut proofs: Vec<_> = attachments(pdf)?.into_iter().filter(|a| a.name.ends_with(PROOF_EXTENSION)).collect();
    Ok(if proofs.len() == 1 { proofs.pop() } else { None })
}

fn given<'a>(file: &[u8], signed: Option<&'a dyn SignedFile>) -> GivenDocument<'a> {
    GivenDocument { name: "document", sha256: sha256(&[file]), signed }
}

/// The last of a person or organisation; document timestamps come behind it.
fn last_signature(found: &[PdfSignature]) -> Option<&PdfSignature> {
    found.iter().rfind(|signature| signature.kind != SignatureKind::DocumentTimestamp)
}

/// Does the last signature cover the file, but for validation data and document timestamps behind it?
fn is_covered(file: &[u8], found: &[PdfSignature]) -> bool {
    last_signature(found).is_some_and(|last| last.covers_whole_file || only_validation_data_follows(file))
}

fn contract(file: &[u8], found: &[PdfSignature], proof: &[u8], trust: &TrustInputs<'_>) -> Report {
    let signed = SignedPdf::new(file, found);
    let mut report = verify(proof, trust, &[given(file, Some(&signed))]);
    if report.verdict == Verdict::Invalid {
        return report;
    }
    match signed.version_end() {
        Some(end) => report.not_checked.extend(signed::not_judged(found, end)),
        // Not a final file: no record says which signatures are the text's own.
        None => {
            if let Some(note) = broken_signature(found) {
                return report.failing_at(9, note);
            }
        }
    }
    report
}

/// A certificate's printed text is protected by its issuer's PDF signature, not by the proof inside.
fn certificate(file: &[u8], found: &[PdfSignature], proof: &[u8], trust: &TrustInputs<'_>) -> Report {
    let report = verify(proof, trust, &[]);
    if report.verdict == Verdict::Invalid {
        return report;
    }
    if let Some(note) = broken_signature(found) {
        return report.failing_at(9, note);
    }
    if !is_covered(file, found) {
        return report.failing_at(
            9,
            Note::new(
                "签署证明的 PDF 没有覆盖全文的出具方签名：文字可能在出具后被改动",
                "the certificate PDF has no issuer's signature over the whole file: its text may have been altered after issue",
            ),
        );
    }
    let issuer = last_signature(found).map(|last| last.signer_cert_der.as_slice()).unwrap_or_default();
    if !is_deposited_by_a_platform(&report, issuer) {
        return report.failing_at(
            9,
            Note::new(
                "签署证明的 PDF 签名者不是链上登记的出具方：文字可能是他人制作的",
                "the certificate PDF is not signed by the issuer that a platform put on the ledger: its text may be somebody else's",
            ),
        );
    }
    report
}

/// Anybody can sign a PDF with a key of their own. The issuer's X.509 certificate is one that an
/// organisation with the platform role deposited on the ledger, in a record that the proof shows.
fn is_deposited_by_a_platform(report: &Report, certificate: &[u8]) -> bool {
    let digest = sha256(&[certificate]).to_string();
    let deposits = report.disclosures.iter().filter(|d| d.name == name::CERTIFICATE && d.value == digest);
    deposits
        .filter_map(|d| report.events.get(d.event))
        .any(|event| event.kind == "evidence.deposited" && event.relay_roles.contains(&Role::Platform))
}

fn broken_signature<'a>(found: impl IntoIterator<Item = &'a PdfSignature>) -> Option<Note> {
    let broken = found.into_iter().find(|s| s.cms_ok.is_err())?;
    let reason = broken.cms_ok.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Some(Note::new(
        format!("PDF 签名“{}”无效（{reason}）：文件在签名后被改动", broken.field),
        format!("PDF signature `{}` does not hold ({reason}): the file was altered after it was signed", broken.field),
    ))
}
