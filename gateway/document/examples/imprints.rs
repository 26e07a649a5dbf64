//! Writes one imprint of each form, to be looked at.
//!
//! `cargo run -p qz-document --example imprints -- OUTDIR`
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/forms.rs"]
mod forms;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: imprints OUTDIR");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, form) in forms::all() {
        let imprint = qz_document::seal::draw(&form).unwrap();
        std::fs::write(format!("{folder}/{name}.pdf"), &imprint.pdf).unwrap();
        println!("{name}: {} × {} mm, {} bytes", imprint.width_mm, imprint.height_mm, imprint.pdf.len());
    }
}
