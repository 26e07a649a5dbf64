//! A contract sealed with a PDF signature, from the issuer's X.509 certificate on the ledger to the signing
//! certificate that a user takes away.

use crate::ledger::{Ledger, START_MS, key};
use crate::pdf::{Pdf, Signer};
use qz_evidence::bundle::{Bundle, CertificateEntry};
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::commitment::name;
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractOpened, ContractRef, ContractSigned, ContractVersionFixed, EvidenceDeposited, KeyRegistered, Payload,
    SealKind, SealMade, SealRef, Slot, SlotKind,
};
use qz_evidence::record::Record;
use qz_evidence::state_proof::{Status, SubjectType};
use qz_evidence::{Hash32, SubjectId};

/// Begin and end of the X.509 certificates.
pub const VALID_MS: (u64, u64) = (START_MS - 86_400_000, START_MS + 365 * 86_400_000);

/// A text deposited as evidence.
pub const NOTE: &[u8] = "一份说明 a note\n".as_bytes();

/// Everything that the documents of one contract are made of.
pub struct Scene {
    pub ledger: Ledger,
    /// What was put up for signing.
    pub version: Vec<u8>,
    /// The sealed contract.
    pub contract: Pdf,
    pub sealer: Signer,
    /// Signs signing certificates.
    pub issuer: Signer,
}

impl Scene {
    pub fn new() -> Self {
        Self::sealed_by(Self::usual_sealer())
    }

    /// With the smallest contract file.
    pub fn sealed_by(sealer: Signer) -> Self {
        let mut contract = Pdf::new("Purchase contract", &[]);
        let version = contract.bytes.clone();
        let digest = contract.sign(&sealer);
        Self::of(sealer, version, &[digest], contract)
    }

    /// A contract whose parties and platform agree to everything: a version, the digests that were signed behind it,
    /// and the file with which it was completed.
    pub fn of_file(version: Vec<u8>, digests: &[Hash32], file: Vec<u8>) -> Self {
        Self::of(Self::usual_sealer(), version, digests, Pdf::of_bytes(file))
    }

    /// Who signs, if nothing else is said.
    pub fn usual_sealer() -> Signer {
        Signer::new(11, "sealer", VALID_MS.0, VALID_MS.1)
    }

    /// Block 1 the issuer and a key, 2 the seal, 3 contract and version, 4 the signatures, 5 the completion.
    fn of(sealer: Signer, version: Vec<u8>, digests: &[Hash32], pdf: Pdf) -> Self {
        let issuer = Signer::new(12, "issuer", VALID_MS.0, VALID_MS.1);
        let mut ledger = Ledger::empty();
        let chain = ledger.chain_id;
        ledger.block(vec![]);
        let digest = sha256(&[&issuer.certificate]);
        let deposit = ledger.body(
            Payload::EvidenceDeposited(EvidenceDeposited { about: None }),
            &[(name::CERTIFICATE, &digest.0), (name::DOCUMENT, &sha256(&[NOTE]).0)],
        );
        let deposited = SubjectId::created_by(&chain, &deposit.digest());
        let deposit = ledger.record(&deposit, &[], &[deposited]);
        let party = key(9, "party");
        let register = Payload::KeyRegistered(KeyRegistered {
            key: PublicKey::ed25519(party.verifying_key().to_bytes()),
            attestor: qz_evidence::OrgId::new("notary").unwrap(),
        });
        let register = ledger.body(register, &[(name::NAME, "张三".as_bytes())]);
        let owner = SubjectId::created_by(&chain, &register.digest());
        let office = SubjectId::of_organisation(&chain, &qz_evidence::OrgId::new("notary").unwrap());
        let register = ledger.record_at(&register, &[(owner, &party), (office, &key(2, "office"))], &[owner], 1);
        ledger.block(vec![deposit, register]);

        let made = ledger.body(
            Payload::SealMade(SealMade { owner, kind: SealKind::Contract }),
            &[(name::IMPRINT, &[9; 32]), (name::CERTIFICATE, &sha256(&[&sealer.certificate]).0)],
        );
        let seal = SubjectId::created_by(&chain, &made.digest());
        let made = ledger.record(&made, &[(owner, &party)], &[seal]);
        ledger.block(vec![made]);

        let slots = vec![Slot { kind: SlotKind::Seal, subject: seal, role: 1, group: 0 }; digests.len()];
        let opened = Payload::ContractOpened(ContractOpened { initiator: owner, slots, rules: vec![], amends: None });
        let opened = ledger.body(opened, &[(name::TITLE, "采购合同".as_bytes())]);
        let contract = SubjectId::created_by(&chain, &opened.digest());
        let opened = ledger.record(&opened, &[(owner, &party)], &[contract]);
        let fixed = ledger.body(
            Payload::ContractVersionFixed(ContractVersionFixed { contract, version: 1 }),
            &[(name::DOCUMENT, &sha256(&[&version]).0)],
        );
        let commitment = *fixed.commitment(name::DOCUMENT).unwrap();
        let fixed = ledger.record_at(&fixed, &[(owner, &party)], &[contract], 1);
        ledger.block(vec![opened, fixed]);

        let mut signings = vec![];
        for (digest, n) in digests.iter().zip(0u8..) {
            let signed = ContractSigned { contract, slot: n, version: commitment, seal: Some(seal) };
            let openings: [(&str, &[u8]); 2] = [(name::TO_BE_SIGNED, &digest.0), (name::INTENT, "同意".as_bytes())];
            let signed = ledger.body(Payload::ContractSigned(signed), &openings);
            signings.push(ledger.record_at(&signed, &[(owner, &party)], &[contract, seal], n.into()));
        }
        ledger.block(signings);

        let digest = sha256(&[&pdf.bytes]);
        let completed =
            ledger.body(Payload::ContractCompleted(ContractRef { contract }), &[(name::DOCUMENT, &digest.0)]);
        let completed = ledger.record(&completed, &[], &[contract]);
        ledger.block(vec![completed]);
        ledger.block(vec![]);
        ledger.contract = contract;
        ledger.tracked = vec![
            (contract, SubjectType::Contract, Status::Completed),
            (seal, SubjectType::Seal, Status::Active),
            (owner, SubjectType::Key, Status::Active),
            (deposited, SubjectType::Evidence, Status::Recorded),
        ];
        ledger.rebuild();
        Self { ledger, version, contract: pdf, sealer, issuer }
    }

    /// Every record and the state of every subject, with the sealer's certificate.
    pub fn bundle(&self) -> Bundle {
        let subjects: Vec<_> = self.ledger.tracked.iter().map(|t| t.0).collect();
        let mut bundle = self.ledger.bundle_of(&(1..self.ledger.headers.len()).collect::<Vec<_>>(), &subjects);
        let chain = vec![Bytes(self.sealer.certificate.clone()), Bytes(self.sealer.issuer.clone())];
        bundle.certificates = vec![CertificateEntry { entry: 2, chain }];
        bundle
    }

    /// The platform completes the contract with another file.
    pub fn complete_with(&mut self, file: &[u8]) {
        let mut record: Record = decode_strict(&self.ledger.records[5][0]).unwrap();
        let contract = self.ledger.contract;
        let digest = sha256(&[file]);
        let body =
            self.ledger.body(Payload::ContractCompleted(ContractRef { contract }), &[(name::DOCUMENT, &digest.0)]);
        let made = self.ledger.record(&body, &[], &[contract]);
        record.submission = decode_strict::<Record>(&made).unwrap().submission;
        self.ledger.set_last_of(&contract, &encode(&record));
        self.ledger.replace_record(5, 0, encode(&record));
    }

    /// The platform deposits this file as evidence, in a block of its own.
    pub fn deposit(&mut self, file: &[u8]) {
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        let body = self.ledger.body(payload, &[(name::DOCUMENT, &sha256(&[file]).0)]);
        let subject = SubjectId::created_by(&self.ledger.chain_id, &body.digest());
        let record = self.ledger.record(&body, &[], &[subject]);
        self.ledger.tracked.push((subject, SubjectType::Evidence, Status::Recorded));
        self.ledger.block(vec![record]);
    }

    /// The holder suspends and resumes the seal, then uses it once more: blocks 7, 8 and 9; 10 is the head.
    fn use_the_seal_again(&mut self) -> SubjectId {
        let seal = self.ledger.tracked[1].0;
        let owner = (self.ledger.tracked[2].0, key(9, "party"));
        let other = SubjectId(sha256(&[b"another contract"]));
        let steps = [
            (Payload::SealSuspended(SealRef { seal }), vec![seal]),
            (Payload::SealResumed(SealRef { seal }), vec![seal]),
            (
                Payload::ContractSigned(ContractSigned {
                    contract: other,
                    slot: 0,
                    version: sha256(&[]),
                    seal: Some(seal),
                }),
                vec![other, seal],
            ),
        ];
        for (payload, subjects) in steps {
            let body = self.ledger.body(payload, &[]);
            let record = self.ledger.record(&body, &[(owner.0, &owner.1)], &subjects);
            self.ledger.block(vec![record]);
        }
        self.ledger.block(vec![]);
        seal
    }

    /// A signing certificate around a proof.
    pub fn certificate(&self, proof: &[u8]) -> Pdf {
        let mut pdf = Pdf::new("Signing certificate", &[("proof.qzproof", proof)]);
        pdf.sign(&self.issuer);
        pdf
    }
}

/// The proof of a seal that was made, used, suspended, resumed and used again.
#[derive(Clone, Debug)]
pub struct SealHistory {
    /// The genesis document.
    pub genesis: Vec<u8>,
    /// The proof: everything on the ledger, and the state of the seal among others.
    pub proof: Vec<u8>,
    /// The sealed contract.
    pub contract: Vec<u8>,
    /// The seal.
    pub seal: SubjectId,
    /// Time of block 0; each block comes a second after the one before it.
    pub start_ms: u64,
}

/// Seal made in block 2, used in 4, suspended in 7, resumed in 8, used again in 9; block 10 is the head.
pub fn seal_history() -> SealHistory {
    let mut scene = Scene::new();
    let seal = scene.use_the_seal_again();
    SealHistory {
        genesis: scene.ledger.genesis.clone(),
        proof: encode(&scene.bundle()),
        contract: scene.contract.bytes,
        seal,
        start_ms: START_MS,
    }
}
