//! Writes the sample documents: contract, sealed contract, amendment, receipt, signing certificate.
//!
//! `cargo run -p qz-document --example showcase -- OUTDIR`
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use qz_document::render::{self, Rendered, sample};
use qz_document::seal::{self, Imprint};
use sha2::{Digest, Sha256};
use support::classic::Classic;
use support::{Demo, NOW_MS, Signer, request};

fn main() {
    let folder = std::env::args().nth(1).expect("usage: showcase OUTDIR");
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).unwrap();
        println!("{name}: {} bytes", bytes.len());
    };
    let demo = Demo::new();
    write("ca.pem", demo.ca_pem().as_bytes());

    let buyer_seal = seal::company_seal(sample::BUYER, "合同专用章").unwrap();
    let seller_seal = seal::company_seal(sample::SELLER, "合同专用章").unwrap();
    let name_seal = seal::name_seal("周雅文").unwrap();
    let issuer_seal = seal::company_seal("契证演示平台", "存证专用章").unwrap();
    write("seal-company.pdf", &seller_seal.pdf);
    write("seal-person.pdf", &name_seal.pdf);

    let contract = render::contract(&sample::contract("SL-CG-2026-1122", "2026年11月22日", NOW_MS)).unwrap();
    println!("contract: {} pages, anchors {:?}", contract.pages, contract.anchors);
    write("contract.pdf", &contract.pdf);

    let place = |pdf: &[u8], rendered: &Rendered, anchor: &str, imprint: &Imprint, signer: &Signer, name: &str| {
        let anchor = rendered.anchor(anchor).unwrap();
        let (x_mm, y_mm) = anchor.corner(imprint);
        let field = format!("sig-{}", anchor.name);
        let request =
            qz_document::sign::FieldRequest { page: anchor.page, x_mm, y_mm, ..request(&field, imprint, name) };
        demo.sign(pdf, signer, &request)
    };
    let signed = place(&contract.pdf, &contract, "seal-0", &buyer_seal, &demo.buyer, sample::BUYER);
    let signed = place(&signed, &contract, "person-1", &name_seal, &demo.person, "周雅文");
    let signed = place(&signed, &contract, "seal-1", &seller_seal, &demo.seller, sample::SELLER);
    write("contract-sealed.pdf", &signed);

    let sha256 = hex::encode(Sha256::digest(&signed));
    let amendment = render::amendment(&sample::amendment(
        "SL-CG-2026-1122-B1",
        "SL-CG-2026-1122",
        &sha256,
        "2026年12月1日",
        NOW_MS,
    ))
    .unwrap();
    write("amendment.pdf", &amendment.pdf);
    let receipt = render::payment_receipt(&sample::receipt("HD20261125000017", "SL-CG-2026-1122", NOW_MS)).unwrap();
    write("receipt.pdf", &receipt.pdf);

    let data = support::certificate_data(&demo, &signed);
    let certificate = render::signing_certificate(&data, &[0xa0; 3000], Some(&[0xa1; 900])).unwrap();
    println!("certificate: {} pages", certificate.pages);
    let certificate_signed =
        place(&certificate.pdf, &certificate, "issuer", &issuer_seal, &demo.issuer, "契证演示平台");
    write("certificate.pdf", &certificate_signed);

    let unusual = support::unusual_certificate_data(&demo, &signed);
    let unusual = render::signing_certificate(&unusual, &[0xa0; 3000], None).unwrap();
    write("certificate-unusual.pdf", &unusual.pdf);

    // The fixture of the verifier's own tests (evidence/pdf/tests/data).
    let classic = Classic {
        catalog_extra: "/Names<</EmbeddedFiles<</Kids[8 0 R]>>>>",
        objects: vec![
            (6, "<</Type/Filespec/F(note.txt)/UF(note.txt)/EF<</F 7 0 R>>>>"),
            (7, "<</Type/EmbeddedFile/Length 5>>\nstream\nhello\nendstream"),
            (8, "<</Limits[(note.txt)(note.txt)]/Names[(note.txt) 6 0 R]>>"),
        ],
        ..Classic::default()
    };
    let once = demo.sign(&classic.bytes(), &demo.buyer, &request("sig-a", &name_seal, sample::BUYER));
    let second = qz_document::sign::FieldRequest { x_mm: 70.0, ..request("sig-b", &name_seal, sample::SELLER) };
    write("signed-twice.pdf", &demo.sign(&once, &demo.seller, &second));
    write("root.der", demo.ca.certificate_der());
}
