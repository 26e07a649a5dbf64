//! What a fuzz target does with its input: read it as a stranger's file would be read. Nothing may panic,
//! overflow or take unbounded memory, and what is accepted has one encoding.
//!
//! `evidence/verify/tests/corpus.rs` runs the same functions over the committed corpus.

use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::{Anchor, Checkpoint, TreeHead};
use qz_evidence::codec::{Format, decode_strict, encode};
use qz_evidence::genesis::Genesis;
use qz_evidence::note::{SignedNote, VerifierKey};
use qz_evidence::policy::WitnessPolicy;
use qz_evidence::record::Record;
use qz_evidence::submission::{Body, Parsed, Submission};
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, SubjectId};
use qz_verify::Input;
use x509_cert::Certificate;
use x509_cert::der::Decode;

const GENESIS: &[u8] = include_bytes!("../../vectors/genesis.qz");
const GOLDEN: &[u8] = include_bytes!("../../vectors/bundle.qzproof");
const POLICY: &[u8] = include_bytes!("../corpus/checkpoint/policy.txt");
const ROOTS: &[u8] = include_bytes!("../corpus/checkpoint/roots.pem");
/// A minute after the golden ledger began.
const NOW_MS: u64 = 1_790_000_060_000;

fn trust() -> TrustInputs<'static> {
    TrustInputs { witness_policy: Some(POLICY), tsa_roots: ROOTS, ..TrustInputs::new(GENESIS, NOW_MS) }
}

/// A strict format accepts only what it encodes.
fn one_encoding<T: Format>(data: &[u8]) -> Option<T> {
    let value: T = decode_strict(data).ok()?;
    assert_eq!(encode(&value), data);
    Some(value)
}

/// A proof bundle, or a genesis.
pub fn bundle(data: &[u8]) {
    one_encoding::<Bundle>(data);
    let report = verify(data, &trust(), &[]);
    assert_eq!(report.verdict == Verdict::Invalid, report.failed_step().is_some());
    let _ = qz_verify::show::bundle(data);
    let _ = qz_evidence::verify::history::history(data, &trust(), &SubjectId(Hash32([1; 32])));
    let _ = Genesis::open(data);
}

/// The golden bundle with some bytes replaced: pairs of a place (big endian) and a byte. What signatures
/// cover cannot be changed, so whatever is still accepted shows the same head.
pub fn edited(data: &[u8]) {
    let mut bytes = GOLDEN.to_vec();
    for edit in data.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[place] = edit[2];
    }
    let report = verify(&bytes, &trust(), &[]);
    if report.verdict != Verdict::Invalid {
        let golden = verify(GOLDEN, &trust(), &[]);
        assert_eq!(report.head.map(|head| head.block_id), golden.head.map(|head| head.block_id));
    }
}

/// A record, submission or body.
pub fn record(data: &[u8]) {
    if let Some(record) = one_encoding::<Record>(data) {
        submission(&record.submission);
        for key in &record.actor_keys {
            key.verify(data, &[0; 64]);
            key.is_well_formed();
        }
    }
    submission(data);
    one_encoding::<Body>(data);
}

fn submission(data: &[u8]) {
    one_encoding::<Submission>(data);
    if let Ok(parsed) = Parsed::new(data) {
        assert!(parsed.relay_signature_holds());
        let _ = parsed.body().payload.kind();
    }
}

/// A note, checkpoint, witness policy, anchor or root.
pub fn checkpoint(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        if let Ok(head) = TreeHead::parse(&note.text) {
            assert_eq!(head.to_string(), note.text);
        }
    }
    one_encoding::<Checkpoint>(data);
    let _ = WitnessPolicy::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = VerifierKey::parse(text);
    }
    if let Some(anchor) = one_encoding::<Anchor>(data) {
        let roots = qz_evidence::timestamp::Roots::parse(ROOTS).expect("the committed roots are PEM");
        let _ = qz_evidence::timestamp::verify(&anchor, &Hash32([0; 32]), &roots);
        if let Ok(certificates) = qz_evidence::timestamp::certificates_of(&anchor) {
            let _ = qz_evidence::revocation::Sources::of(&certificates);
        }
    }
    let _ = qz_evidence::timestamp::Roots::parse(data);
}

/// An OCSP answer, as an anchor or a PDF brings it; or a certificate of which an answer is asked.
pub fn ocsp(data: &[u8]) {
    let roots = Certificate::load_pem_chain(ROOTS).expect("the committed roots are PEM");
    let root = &roots[0];
    if let Ok(answer) = qz_evidence::ocsp::Answer::read(data) {
        let _ = answer.is_about(root);
        let _ = qz_evidence::ocsp::status(root, root, &[answer], &roots, NOW_MS);
    }
    if let Ok(certificate) = Certificate::from_der(data) {
        let _ = qz_evidence::ocsp::url(&certificate);
        let _ = qz_evidence::ocsp::request(&certificate, Some(root));
        let _ = qz_evidence::revocation::Sources::of(&[data.to_vec()]);
    }
}

/// A time-stamp token (RFC 3161) over nothing, and the answer of an authority.
pub fn timestamp(data: &[u8]) {
    let roots = qz_evidence::timestamp::Roots::parse(ROOTS).expect("the committed roots are PEM");
    let _ = qz_evidence::timestamp::verify_over(data, &[b""], &[], &[], &[], &roots);
    let anchor = Anchor::of_token(data.to_vec());
    let _ = qz_evidence::timestamp::verify(&anchor, &Hash32([0; 32]), &roots);
    let _ = qz_evidence::timestamp::certificates_of(&anchor);
    let request = qz_evidence::timestamp::TimestampRequest::new(&Hash32([0; 32]), 7).expect("it has a nonce");
    let _ = request.token_of(data);
}

/// A PDF: a signing certificate, and a contract with a proof.
pub fn pdf(data: &[u8]) {
    let _ = qz_evidence_pdf::attachments(data);
    let _ = qz_evidence_pdf::signatures(data);
    let _ = qz_evidence_pdf::certificate_facts(data);
    examined(data);
    let input =
        Input { file: data, genesis: GENESIS, proof: None, now_ms: NOW_MS, witness_policy: None, tsa_roots: &[] };
    qz_verify::verify_any(&input);
    qz_verify::verify_any(&Input { proof: Some(GOLDEN), ..input });
}

/// An examination always has an answer, says the same twice, and never takes an unsigned file for a signed one.
pub fn examined(data: &[u8]) {
    let roots = qz_evidence_pdf::TrustedRoots::parse(ROOTS, ROOTS, NOW_MS).expect("the committed roots are PEM");
    let report = qz_evidence_pdf::examine(data, &roots);
    if qz_evidence_pdf::only_validation_data_follows(data) {
        assert!(report.verdict.holds() && !report.signatures.is_empty());
    }
    assert_eq!(report.size, data.len());
    assert!(!report.verdict.holds() || !report.signatures.is_empty());
    assert_eq!(report, qz_evidence_pdf::examine(data, &roots));
}

/// A court package.
pub fn archive(data: &[u8]) {
    if let Ok(entries) = qz_verify::archive::read(data) {
        assert!(qz_verify::archive::is_archive(data));
        for entry in &entries {
            assert!(qz_verify::archive::is_name(&entry.name));
        }
    }
    let input =
        Input { file: data, genesis: GENESIS, proof: None, now_ms: NOW_MS, witness_policy: None, tsa_roots: &[] };
    let _ = qz_verify::verify_package(&input, None);
}
