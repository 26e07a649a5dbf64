//! The largest files that are accepted: 500 pages, and close to 50 MB. Both are signed twice, hold for every
//! judge, and take no more than seconds.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use qz_document::inspect::{MAX_BYTES, Pdf};
use qz_document::seal;
use qz_document::sign::FieldRequest;
use qz_evidence_pdf::{DocumentVerdict, TrustedRoots, examine};
use support::{Demo, oracle, request};

/// `pages` pages with a sentence each and, on the first, an image of about `image_bytes` that does not compress.
fn written(pages: u32, image_bytes: usize) -> Vec<u8> {
    const FIRST_PAGE: u32 = 5;
    let mut out = b"%PDF-1.7\n%\xe5\xa5\x91\xe8\xaf\x81\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |out: &mut Vec<u8>, head: &str, data: Option<&[u8]>| {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n{head}", offsets.len()).as_bytes());
        if let Some(data) = data {
            out.extend_from_slice(b"\nstream\n");
            out.extend_from_slice(data);
            out.extend_from_slice(b"\nendstream");
        }
        out.extend_from_slice(b"\nendobj\n");
    };
    let kids: Vec<_> = (0..pages).map(|page| format!("{} 0 R", FIRST_PAGE + 2 * page)).collect();
    object(&mut out, "<</Type/Catalog/Pages 2 0 R>>", None);
    let resources = "/Resources<</Font<</F1 3 0 R>>/XObject<</I 4 0 R>>>>/MediaBox[0 0 595 842]";
    object(&mut out, &format!("<</Type/Pages/Kids[{}]/Count {pages}{resources}>>", kids.join(" ")), None);
    object(&mut out, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", None);
    let side = image_bytes.isqrt();
    let mut noise = 1_u64;
    let image: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.to_be_bytes()[0]
    })
    .take(side * side)
    .collect();
    let head = format!(
        "<</Type/XObject/Subtype/Image/Width {side}/Height {side}/ColorSpace/DeviceGray/BitsPerComponent 8/Length {}>>",
        image.len()
    );
    object(&mut out, &head, Some(&image));
    for page in 0..pages {
        object(&mut out, &format!("<</Type/Page/Parent 2 0 R/Contents {} 0 R>>", FIRST_PAGE + 2 * page + 1), None);
        let picture = if page == 0 { "q 300 0 0 300 72 300 cm /I Do Q " } else { "" };
        let content = format!("{picture}BT /F1 18 Tf 72 700 Td (Page {} of {pages}) Tj ET", page + 1);
        object(&mut out, &format!("<</Length {}>>", content.len()), Some(content.as_bytes()));
    }
    let (start, size) = (out.len(), offsets.len() + 1);
    let entries: String = offsets.iter().map(|offset| format!("{offset:010} 00000 n \n")).collect();
    let end = format!("xref\n0 {size}\n0000000000 65535 f \n{entries}trailer\n<</Size {size}/Root 1 0 R>>\n");
    out.extend_from_slice(format!("{end}startxref\n{start}\n%%EOF\n").as_bytes());
    out
}

/// Signed on the last page and on the first; every judge agrees.
fn check(name: &str, pdf: &[u8], bound: Duration) {
    let demo = Demo::new();
    let imprint = seal::name_seal("周雅文").unwrap();
    let pages = Pdf::open(pdf).unwrap().page_count();
    let started = Instant::now();
    let once = demo.sign(pdf, &demo.buyer, &FieldRequest { page: pages, ..request("sig-a", &imprint, "甲") });
    let signing = started.elapsed();
    let twice = demo.sign(&once, &demo.seller, &FieldRequest { x_mm: 70.0, ..request("sig-b", &imprint, "乙") });
    assert_eq!(&twice[..once.len()], once);
    let started = Instant::now();
    let report = examine(&twice, &TrustedRoots::default());
    let examining = started.elapsed();
    println!(
        "{name}: {} bytes, {pages} pages; a signature {} ms, {} bytes; examination {} ms",
        pdf.len(),
        signing.as_millis(),
        once.len() - pdf.len(),
        examining.as_millis()
    );
    assert_eq!((report.verdict, report.signatures.len()), (DocumentVerdict::Intact, 2), "{:?}", report.problems);
    assert!(signing < bound && examining < bound, "{name} takes too long");

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("signed.pdf"), &twice).unwrap();
    std::fs::write(path("ca.pem"), demo.ca_pem()).unwrap();
    let (ok, text) = oracle(&["structure", &path("signed.pdf")]);
    assert!(ok, "{name}: {text}");
    let (ok, text) = oracle(&["validate", &path("ca.pem"), &path("signed.pdf")]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{name}: {text}");
}

#[test]
fn five_hundred_pages() {
    check("500 pages", &written(500, 10_000), Duration::from_secs(10));
}

#[test]
fn fifty_megabytes() {
    let pdf = written(2, 49 << 20);
    assert!((MAX_BYTES - (2 << 20)..MAX_BYTES).contains(&pdf.len()), "{}", pdf.len());
    check("50 MB", &pdf, Duration::from_secs(20));
}
