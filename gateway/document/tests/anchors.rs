//! Words in the text of PDFs are found where they stand: in our own contracts, on turned, cropped and scaled pages, in
//! forms, in pieces, and in files of other producers.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::anchor::{AnchorError, Found, find};
use qz_document::inspect::Pdf;
use qz_document::render::{self, sample};
use support::classic::Classic;
use support::{NOW_MS, oracle};

fn found(pdf: &[u8], words: &str) -> Vec<Found> {
    find(&Pdf::open(pdf).unwrap(), words).unwrap()
}

#[track_caller]
fn near(found: &Found, page: usize, x_mm: f64, y_mm: f64) {
    let close = |a: f64, b: f64| (a - b).abs() < 1.5;
    assert!(found.page == page && close(found.x_mm, x_mm) && close(found.y_mm, y_mm), "{found:?}: {x_mm} {y_mm}");
}

/// Where poppler sees a word that stands alone in its line: its middle, from the lower left corner.
fn by_poppler(pdf: &[u8], word: &str) -> Vec<(usize, f64, f64)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let output = std::process::Command::new("pdftotext").arg("-bbox").arg(file.path()).arg("-").output();
    let text = String::from_utf8(output.expect("apt-get install poppler-utils").stdout).unwrap();
    let value = |line: &str, key: &str| -> f64 {
        let rest = line.split(&format!("{key}=\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let (mut page, mut height, mut places) = (0, 0.0, vec![]);
    for line in text.lines() {
        if line.contains("<page ") {
            (page, height) = (page + 1, value(line, "height"));
        } else if line.contains(&format!(">{word}<")) {
            let x = f64::midpoint(value(line, "xMin"), value(line, "xMax"));
            let y = height - f64::midpoint(value(line, "yMin"), value(line, "yMax"));
            places.push((page, x / 72.0 * 25.4, y / 72.0 * 25.4));
        }
    }
    places
}

#[test]
fn words_of_our_own_contract_stand_where_poppler_sees_them() {
    let contract = render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap();
    let words = "单位名称（盖章）：";
    let (ours, theirs) = (found(&contract.pdf, words), by_poppler(&contract.pdf, words));
    assert_eq!((ours.len(), theirs.len()), (2, 2), "{ours:?} {theirs:?}");
    for (ours, (page, x, y)) in ours.iter().zip(theirs) {
        near(ours, page, x, y);
    }
    // Spaces and the width of characters make no difference.
    assert_eq!(found(&contract.pdf, "单位名称 (盖章):"), ours);
    assert!(found(&contract.pdf, "没有这样的文字").is_empty());
    // The same after another program has written it anew.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("in.pdf"), &contract.pdf).unwrap();
    let (ok, text) = oracle(&["rewrite", &path("in.pdf"), &path("out.pdf"), "--object-streams=generate"]);
    assert!(ok, "{text}");
    assert_eq!(found(&std::fs::read(path("out.pdf")).unwrap(), words), ours);
}

#[test]
fn turned_cropped_and_scaled_pages() {
    // The sample's text: 18 points Helvetica at (72, 700) of a page of 595 × 842.
    // Standard fonts do not say how wide they are: half an em is taken for each character.
    let (x, y) = (72.0 + 72.0, 700.0 + 6.0);
    for (extra, expected) in [
        ("", (x, y)),
        ("/Rotate 90", (y, 595.0 - x)),
        ("/Rotate 180", (595.0 - x, 842.0 - y)),
        ("/Rotate 270", (842.0 - y, x)),
        ("/CropBox[50 60 545 800]", (x - 50.0, y - 60.0)),
        ("/UserUnit 2.0", (2.0 * x, 2.0 * y)),
    ] {
        let pdf = Classic { page_extra: extra, ..Classic::default() }.bytes();
        let places = found(&pdf, "Sample agreement");
        assert_eq!(places.len(), 1, "{extra}");
        let (x_mm, y_mm) = (expected.0 / 72.0 * 25.4, expected.1 / 72.0 * 25.4);
        let close = |a: f64, b: f64| (a - b).abs() < 4.0;
        assert!(close(places[0].x_mm, x_mm) && close(places[0].y_mm, y_mm), "{extra}: {places:?} {x_mm} {y_mm}");
    }
}

/// A page whose content is given.
fn page(content: &str, resources: &str, objects: &[(u32, String)]) -> Vec<u8> {
    let mut all = vec![
        (1, "<</Type/Catalog/Pages 2 0 R>>".to_owned()),
        (2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>".to_owned()),
        (3, format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<<{resources}>>>>")),
        (4, format!("<</Length {}>>\nstream\n{content}\nendstream", content.len())),
    ];
    all.extend(objects.iter().cloned());
    let (mut out, mut xref) = ("%PDF-1.4\n".to_owned(), "0000000000 65535 f \n".to_owned());
    for (number, body) in &all {
        xref += &format!("{:010} 00000 n \n", out.len());
        out += &format!("{number} 0 obj\n{body}\nendobj\n");
    }
    let (start, size) = (out.len(), all.len() + 1);
    out += &format!("xref\n0 {size}\n{xref}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n");
    out.into_bytes()
}

#[test]
fn in_pieces_in_forms_and_several_times() {
    let font = (5, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned());
    let fonts = "/Font<</F1 5 0 R>>";
    let pieces = "BT /F1 10 Tf 100 500 Td [(Se) -20 (al) 5 ( he)] TJ (re) Tj 0 -300 Td (Seal here) Tj ET";
    let places = found(&page(pieces, fonts, std::slice::from_ref(&font)), "Seal here");
    assert_eq!(places.len(), 2);
    assert!(places[0].y_mm > places[1].y_mm && (places[0].x_mm - places[1].x_mm).abs() < 1.0, "{places:?}");

    let form = "BT /F1 10 Tf 0 0 Td (Seal here) Tj ET";
    let object = format!(
        "<</Type/XObject/Subtype/Form/BBox[0 0 200 50]/Resources<<{fonts}>>/Length {}>>\nstream\n{form}\nendstream",
        form.len()
    );
    let both = format!("{fonts}/XObject<</X 6 0 R>>");
    let pdf = page("q 1 0 0 1 300 400 cm /X Do Q", &both, &[font.clone(), (6, object)]);
    let places = found(&pdf, "Seal here");
    assert_eq!(places.len(), 1);
    near(&places[0], 1, (300.0 + 22.0) / 72.0 * 25.4, (400.0 + 3.5) / 72.0 * 25.4);

    // Characters of different lines are no words, even if they are written one after the other.
    let lines = "BT /F1 10 Tf 100 500 Td (Seal) Tj 0 -100 Td (here) Tj ET";
    assert!(found(&page(lines, fonts, &[font]), "Seal here").is_empty());
}

#[test]
fn what_cannot_be_looked_for() {
    let pdf = Pdf::open(&Classic::default().bytes()).unwrap();
    assert_eq!(find(&pdf, "  "), Err(AnchorError::Length));
    assert_eq!(find(&pdf, &"字".repeat(61)), Err(AnchorError::Length));
    // Forms that call each other come to an end.
    let form = "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>/Length 11>>\nstream\n/X Do /X Do\nendstream";
    let pdf = page("/X Do", "/XObject<</X 5 0 R>>", &[(5, form.to_owned())]);
    assert!(found(&pdf, "甲方").is_empty());
    // So does a page that shows forms within forms a million times.
    let many = "/X Do ".repeat(1000);
    let form = format!(
        "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>/Length {}>>\nstream\n{many}\nendstream",
        many.len()
    );
    let pdf = page(&many, "/XObject<</X 5 0 R>>", &[(5, form)]);
    assert_eq!(find(&Pdf::open(&pdf).unwrap(), "甲方"), Err(AnchorError::Unreadable(1)));
}
