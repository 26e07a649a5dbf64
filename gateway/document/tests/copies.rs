//! Controlled print copies: what they say, that they are not signed, and that pages turned, cropped and scaled get
//! their marks upright.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::copy::{CopyError, CopyMark, print_copy};
use qz_document::inspect::Pdf;
use qz_document::render::{self, sample};
use qz_document::seal;
use qz_document::sign::FieldRequest;
use qz_evidence_pdf::{DocumentVerdict, TrustedRoots, examine};
use support::classic::Classic;
use support::{Demo, NOW_MS, oracle, request};

const STRIP_POINTS: f64 = 22.0 * 72.0 / 25.4;

fn mark() -> CopyMark {
    CopyMark {
        code: "QZ-COPY-20261122-4f1c9a70b2d35e68".into(),
        number: 3,
        printed_for: "上海样本精密仪器有限公司 周雅文".into(),
        purpose: "银行开户存档".into(),
        made_ms: NOW_MS,
        issuer: "契证演示平台".into(),
        source_sha256: "5b0c07cff5bea2b19388aa99ce6adbca5b0c07cff5bea2b19388aa99ce6adbca".into(),
        verify_url: "https://portal.example.org/verify?no=QZ-COPY-20261122-4f1c9a70b2d35e68".into(),
    }
}

/// A contract with two seals.
fn signed() -> Vec<u8> {
    let demo = Demo::new();
    let rendered = render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap();
    let (a, b) = (seal::company_seal(sample::BUYER, "合同专用章"), seal::company_seal(sample::SELLER, "合同专用章"));
    let (a, b) = (a.unwrap(), b.unwrap());
    let place = |name: &str, imprint| {
        let anchor = rendered.anchor(name).unwrap();
        (anchor.page, anchor.corner(imprint))
    };
    let (page, (x_mm, y_mm)) = place("seal-0", &a);
    let once = demo.sign(
        &rendered.pdf,
        &demo.buyer,
        &FieldRequest { page, x_mm, y_mm, ..request("sig-a", &a, sample::BUYER) },
    );
    let (page, (x_mm, y_mm)) = place("seal-1", &b);
    demo.sign(&once, &demo.seller, &FieldRequest { page, x_mm, y_mm, ..request("sig-b", &b, sample::SELLER) })
}

fn judged(name: &str, copy: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.pdf").to_string_lossy().into_owned();
    std::fs::write(&path, copy).unwrap();
    if let Some(kept) = std::env::var_os("QZ_SHOW") {
        std::fs::write(std::path::Path::new(&kept).join(format!("{name}.pdf")), copy).unwrap();
    }
    let (ok, text) = oracle(&["structure", &path]);
    assert!(ok, "{name}: {text}");
    let (ok, text) = oracle(&["text", &path]);
    assert!(ok, "{text}");
    text
}

#[test]
fn a_copy_says_so_on_every_page_and_is_not_signed() {
    let original = signed();
    let copy = print_copy(&original, &mark()).unwrap();
    let text = judged("contract", &copy);
    let (before, after) = (Pdf::open(&original).unwrap(), Pdf::open(&copy).unwrap());
    assert_eq!(before.page_count(), after.page_count());
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert_eq!(pages.len(), before.page_count());
    for page in pages {
        let page: String = page.split_whitespace().collect();
        for said in [
            "打印件第3份",
            "非原件",
            "QZ-COPY-20261122-4f1c9a70b2d35e68",
            "上海样本精密仪器有限公司周雅文",
            "银行开户存档",
            "2026-11-2210:00:00(UTC+8)",
            "本件不含有效的电子签名",
            "5b0c07cff5bea2b19388aa99ce6adbca5b0c07cff5bea2b19388aa99ce6adbca",
        ] {
            assert!(page.contains(said), "{said} is missing: {page}");
        }
    }
    // What the contract says and what its seals show is still there.
    assert!(text.contains(sample::SELLER));
    let report = examine(&copy, &TrustedRoots::default());
    assert_eq!((report.verdict, report.signatures.len(), report.revisions.len()), (DocumentVerdict::Unsigned, 0, 1));
    assert!(report.warnings.iter().all(|warning| !warning.grave), "{:?}", report.warnings);
    for gone in [&b"/ByteRange"[..], b"/AcroForm", b"/DSS", b"/Perms", b"EmbeddedFile", b"pdfaid"] {
        assert!(!copy.windows(gone.len()).any(|window| window == gone), "{}", String::from_utf8_lossy(gone));
    }
    for (before, after) in before.page_sizes().iter().zip(after.page_sizes()) {
        assert!((after.width - before.width).abs() < 0.1 && (after.height - before.height - STRIP_POINTS).abs() < 0.1);
    }
    // The same again; another number is another file.
    assert_eq!(print_copy(&original, &mark()).unwrap(), copy);
    assert_ne!(print_copy(&original, &CopyMark { number: 4, ..mark() }).unwrap(), copy);
}

#[test]
fn turned_cropped_and_scaled_pages() {
    for (name, extra, width, height) in [
        ("plain", "", 595.0, 842.0),
        ("turned", "/Rotate 90", 842.0, 595.0),
        ("upside-down", "/Rotate 180", 595.0, 842.0),
        ("turned-back", "/Rotate -90", 842.0, 595.0),
        ("cropped", "/CropBox[50 60 545 700]/Rotate 270", 640.0, 495.0),
        ("scaled", "/UserUnit 2.0", 1190.0, 1684.0),
    ] {
        let pdf = Classic { page_extra: extra, ..Classic::default() }.bytes();
        let demo = Demo::new();
        let imprint = seal::name_seal("周雅文").unwrap();
        let copy = print_copy(&demo.sign(&pdf, &demo.buyer, &request("sig-a", &imprint, "甲")), &mark()).unwrap();
        let text: String = judged(name, &copy).split_whitespace().collect();
        assert!(text.contains("打印件第3份") && text.contains("Sampleagreement"), "{name}: {text}");
        let size = Pdf::open(&copy).unwrap().page_sizes()[0];
        let close = |a: f64, b: f64| (a - b).abs() < 0.1;
        assert!(close(size.width, width) && close(size.height, height + STRIP_POINTS), "{name}: {size:?}");
    }
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let narrow = Classic { media_box: "[0 0 200 842]", ..Classic::default() }.bytes();
    assert!(matches!(print_copy(&narrow, &mark()), Err(CopyError::TooNarrow { page: 1 })));
    assert!(matches!(print_copy(b"no pdf", &mark()), Err(CopyError::Pdf(_))));
    let strange = CopyMark { printed_for: "\u{e123}".into(), ..mark() };
    assert!(matches!(print_copy(&Classic::default().bytes(), &strange), Err(CopyError::Render(_))));
}
