//! OCSP answers and timestamps that OpenSSL made. What is wrong on purpose is in `evidence/conformance`.
#![allow(clippy::unwrap_used)]

mod openssl;

use openssl::Pki;
use qz_evidence::checkpoint::Anchor;
use qz_evidence::codec::Bytes;
use qz_evidence::hash::sha256;
use qz_evidence::revocation::{Question, Sources};
use qz_evidence::timestamp::{Roots, TimestampError, TimestampRequest, certificates_of, verify};

const URL: &str = "http://127.0.0.1:9/ocsp";

struct Case {
    pki: Pki,
    anchor: Anchor,
    question: Question,
    roots: Roots,
}

impl Case {
    fn new(folder: &std::path::Path) -> Self {
        let pki = Pki::new(folder, URL);
        let request = TimestampRequest::new(&sha256(&[b"text"]), 77).unwrap();
        let anchor = Anchor::of_token(request.token_of(&pki.stamp(&request.bytes)).unwrap());
        let roots = Roots::parse(&pki.read("root.pem")).unwrap();
        let sources = Sources::of(&certificates_of(&anchor).unwrap());
        let [question] = &sources.questions[..] else { panic!("one certificate names a responder") };
        assert_eq!(question.url, URL);
        Self { question: question.clone(), pki, anchor, roots }
    }

    /// The names of certificates that were not checked for revocation.
    fn verify(&self, answers: &[Vec<u8>]) -> Result<Vec<String>, TimestampError> {
        let ocsp = answers.iter().map(|answer| Bytes(answer.clone())).collect();
        let anchor = Anchor { ocsp, ..self.anchor.clone() };
        let found = verify(&anchor, &sha256(&[b"text"]), &self.roots)?;
        Ok(found.trusted.expect("the root was given").unchecked)
    }

    fn ask(&self, responder: &str, more: &str) -> Vec<u8> {
        let answer = self.pki.answer(responder, &self.question.request, more);
        assert!(self.question.is_answered_by(&answer));
        answer
    }
}

#[test]
fn answers_of_a_real_responder_count() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(folder.path());
    let (checked, unchecked) = (Ok(vec![]), Ok(vec!["CN=tsa".to_owned()]));
    assert_eq!(case.verify(&[]), unchecked);
    for more in [" -ndays 7", " -ndays 7 -resp_key_id", " -ndays 7 -rmd sha512"] {
        for responder in ["root", "delegate"] {
            assert_eq!(case.verify(&[case.ask(responder, more)]), checked, "{responder}{more}");
        }
    }
    // Without nextUpdate: made after the timestamp, so it counts. The responder's certificate may be kept elsewhere.
    assert_eq!(case.verify(&[case.ask("root", "")]), checked);
    assert_eq!(case.verify(&[case.ask("delegate", " -ndays 7 -resp_no_certs")]), unchecked);
    for nobody in ["unmarked", "purposeless", "tsa"] {
        assert_eq!(case.verify(&[case.ask(nobody, " -ndays 7")]), unchecked, "{nobody}");
    }
    let mut forged = case.ask("root", " -ndays 7 -resp_no_certs");
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(case.verify(&[forged]), unchecked);
    case.pki.unknown();
    assert_eq!(case.verify(&[case.ask("root", " -ndays 7")]), unchecked);
}

#[test]
fn what_a_real_responder_revoked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(folder.path());
    let good = case.ask("delegate", " -ndays 7");
    for (when, refused) in [
        ("240101000000Z,superseded", true),
        ("240101000000Z", true),
        ("390101000000Z,superseded", false),
        ("390101000000Z,cessationOfOperation", false),
        ("390101000000Z,keyCompromise", true),
        ("390101000000Z", true),
    ] {
        case.pki.revoked(when);
        for responder in ["root", "delegate"] {
            let found = case.verify(&[good.clone(), case.ask(responder, " -ndays 7")]);
            match refused {
                true => assert_eq!(found, Err(TimestampError::Revoked("CN=tsa".to_owned())), "{responder} {when}"),
                false => assert_eq!(found, Ok(vec![]), "{responder} {when}"),
            }
        }
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(folder.path());
    let good = case.ask("root", " -ndays 7");
    // OCSPResponse { tryLater } and { malformedRequest }.
    for bad in [vec![], b"nonsense".to_vec(), vec![0x30, 3, 0x0a, 1, 3], vec![0x30, 3, 0x0a, 1, 1]] {
        assert!(matches!(case.verify(&[good.clone(), bad.clone()]), Err(TimestampError::Malformed(_))));
        assert!(!case.question.is_answered_by(&bad));
    }
    let longer = [&good[..], &[0]].concat();
    assert!(matches!(case.verify(&[longer]), Err(TimestampError::Malformed(_))));
    assert!(matches!(case.verify(&vec![good; 9]), Err(TimestampError::Malformed(_))));
}
