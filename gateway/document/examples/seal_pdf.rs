//! Seals any PDF at the foot of its last page with a demonstration company seal, for looking at the
//! result: `cargo run -p qz-document --example seal_pdf -- IN.pdf OUT.pdf CA.pem`
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use qz_document::inspect::Pdf;
use qz_document::render::sample;
use qz_document::seal;
use qz_document::sign::FieldRequest;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target, root] = arguments.as_slice() else {
        eprintln!("usage: seal_pdf IN.pdf OUT.pdf CA.pem");
        std::process::exit(2);
    };
    let pdf = std::fs::read(source).unwrap();
    let opened = match Pdf::open(&pdf) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let demo = support::Demo::new();
    let imprint = seal::company_seal(sample::BUYER, "合同专用章").unwrap();
    let size = (imprint.width_mm, imprint.height_mm);
    let place = opened.places_at_foot(&[size, size]).expect("the page is large enough")[1];
    let request = FieldRequest {
        page: place.page,
        x_mm: place.x_mm,
        y_mm: place.y_mm,
        ..support::request("sig-seal", &imprint, sample::BUYER)
    };
    std::fs::write(target, demo.sign(&pdf, &demo.buyer, &request)).unwrap();
    std::fs::write(root, demo.ca_pem()).unwrap();
}
