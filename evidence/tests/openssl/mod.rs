//! A certification authority, a timestamp authority and OCSP responders of OpenSSL's: what this project reads is
//! not only what this project writes.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Serial number of the timestamp authority's certificate.
const SERIAL: &str = "1001";

/// A folder of keys and certificates.
pub struct Pki {
    pub folder: PathBuf,
}

/// Runs OpenSSL in a folder; panics with its words if it fails.
pub fn openssl(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("OpenSSL is missing: apt-get install openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Pki {
    /// A root, a timestamp authority that names its responder at `ocsp_url`, and three responders: `delegate`,
    /// `unmarked` (without id-pkix-ocsp-nocheck) and `purposeless` (without the extended key usage).
    pub fn new(folder: &Path, ocsp_url: &str) -> Self {
        let pki = Self { folder: folder.to_owned() };
        pki.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -subj /CN=root -days 30 -addext keyUsage=critical,keyCertSign,cRLSign");
        let tsa = format!(
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nauthorityInfoAccess=OCSP;URI:{ocsp_url}\nauthorityKeyIdentifier=keyid\n"
        );
        pki.issue("tsa", SERIAL, "ec -pkeyopt ec_paramgen_curve:P-384", &tsa);
        pki.issue("delegate", "2001", "rsa:2048", "extendedKeyUsage=OCSPSigning\nnoCheck=ignored\n");
        pki.issue("unmarked", "2002", "ec -pkeyopt ec_paramgen_curve:P-256", "extendedKeyUsage=OCSPSigning\n");
        pki.issue("purposeless", "2003", "ec -pkeyopt ec_paramgen_curve:P-256", "noCheck=ignored\n");
        pki.write(
            "ts.cnf",
            "[tsa]\ndefault_tsa=one\n[one]\nserial=ts.serial\ncrypto_device=builtin\nsigner_digest=sha256\ndefault_policy=1.3.6.1.4.1.32473.5\n\
             digests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n",
        );
        pki.write("ts.serial", "01");
        pki.good();
        pki
    }

    pub fn run(&self, arguments: &str) -> Vec<u8> {
        openssl(&self.folder, arguments)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    fn issue(&self, name: &str, serial: &str, key: &str, extensions: &str) {
        self.run(&format!("req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.write("ext.cnf", extensions);
        self.run(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -set_serial 0x{serial} -days 30 -extfile ext.cnf -out {name}.pem"
        ));
    }

    /// The responders know of no revocation.
    pub fn good(&self) {
        self.write("index.txt", format!("V\t400101000000Z\t\t{SERIAL}\tunknown\t/CN=tsa\n"));
    }

    /// They know the authority's certificate as revoked at this time (`YYMMDDHHMMSSZ`), perhaps `,reason`.
    pub fn revoked(&self, when: &str) {
        self.write("index.txt", format!("R\t400101000000Z\t{when}\t{SERIAL}\tunknown\t/CN=tsa\n"));
    }

    /// They do not know the certificate.
    pub fn unknown(&self) {
        self.write("index.txt", format!("V\t400101000000Z\t\t77{SERIAL}\tunknown\t/CN=other\n"));
    }

    /// The response of the timestamp authority to a request.
    pub fn stamp(&self, request: &[u8]) -> Vec<u8> {
        self.write("query.tsq", request);
        self.run("ts -reply -queryfile query.tsq -signer tsa.pem -inkey tsa.key -config ts.cnf -out reply.tsr");
        self.read("reply.tsr")
    }

    /// What a responder says to a request.
    pub fn answer(&self, responder: &str, request: &[u8], more: &str) -> Vec<u8> {
        self.write("request.der", request);
        self.run(&format!(
            "ocsp -index index.txt -CA root.pem -rsigner {responder}.pem -rkey {responder}.key -reqin request.der -respout response.der{more}"
        ));
        self.read("response.der")
    }
}
