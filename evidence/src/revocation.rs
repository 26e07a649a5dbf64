//! Where revocation data of certificates are to be had, as the certificates themselves say: lists (RFC 5280
//! §4.2.1.13) and OCSP responders (§4.2.2.1). Nothing is fetched here and nothing is believed.

use crate::ocsp;
use crate::x509;
use der::Decode;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;

/// Addresses (`http` only: what they give is signed) of lists and responders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Of revocation lists, each once.
    pub lists: Vec<String>,
    /// What to ask whom.
    pub questions: Vec<Question>,
}

impl Sources {
    /// Of certificates (DER) in any order; issuers among them are used to name certificates. What is no
    /// certificate has no sources.
    pub fn of(certificates: &[Vec<u8>]) -> Self {
        let all: Vec<Certificate> = certificates.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
        let mut found = Self::default();
        for certificate in &all {
            for url in x509::list_urls(certificate) {
                if !found.lists.contains(&url) {
                    found.lists.push(url);
                }
            }
            found.questions.extend(Question::about(certificate, &all));
        }
        found
    }
}

/// A question to an OCSP responder about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where to send it.
    pub url: String,
    /// Its bytes (DER).
    pub request: Vec<u8>,
    certificate: Certificate,
}

impl Question {
    fn about(certificate: &Certificate, all: &[Certificate]) -> Option<Self> {
        let url = ocsp::url(certificate)?;
        let issuer = all.iter().find(|one| x509::issued(one, certificate));
        Some(Self { url, request: ocsp::request(certificate, issuer)?, certificate: certificate.clone() })
    }

    /// Is this an answer to it? Who signed it is judged by whoever verifies.
    pub fn is_answered_by(&self, response: &[u8]) -> bool {
        ocsp::Answer::read(response).is_ok_and(|answer| answer.is_about(&self.certificate))
    }
}

/// Are these bytes a revocation list (DER)?
pub fn is_revocation_list(bytes: &[u8]) -> bool {
    <CertificateList>::from_der(bytes).is_ok()
}
