//! Refused files, and rubbish that must neither panic nor hang.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use qz_document::inspect::{Pdf, PdfError};
use qz_document::render::{self, sample};
use qz_document::seal;
use support::classic::Classic;
use support::{Demo, NOW_MS, oracle, request};

fn encrypted(options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("in.pdf"), Classic::default().bytes()).unwrap();
    let (source, target) = (path("in.pdf"), path("out.pdf"));
    let mut arguments = vec!["rewrite", &source, &target];
    arguments.extend(options);
    let (ok, text) = oracle(&arguments);
    assert!(ok, "{text}");
    std::fs::read(target).unwrap()
}

#[test]
fn each_refusal_has_its_reason() {
    let good = Classic::default().bytes();
    let sizes = Pdf::open(&good).unwrap().page_sizes();
    assert_eq!((sizes.len(), sizes[0].width, sizes[0].height), (1, 595.0, 842.0));

    let open = |bytes: &[u8]| Pdf::open(bytes).unwrap_err();
    assert!(matches!(open(b""), PdfError::NotPdf));
    assert!(matches!(open(b"PK\x03\x04 a word file"), PdfError::NotPdf));
    assert!(matches!(open(&[b"\n\n".as_slice(), &good].concat()), PdfError::JunkBeforeHeader(2)));
    let mut large = good.clone();
    large.resize((50 << 20) + 1, b' ');
    assert!(matches!(open(&large), PdfError::TooLarge(_)));
    assert!(matches!(open(&encrypted(&["--encrypt", "u", "o", "256", "--"])), PdfError::Encrypted));
    assert!(matches!(open(&encrypted(&["--encrypt", "", "o", "256", "--"])), PdfError::Encrypted));
    assert!(matches!(
        open(&encrypted(&["--allow-weak-crypto", "--encrypt", "", "o", "128", "--"])),
        PdfError::Encrypted
    ));
    assert!(matches!(open(&good[..good.len() / 2]), PdfError::Damaged | PdfError::Malformed(_) | PdfError::NoPages));
    let shifted = String::from_utf8(good.clone()).unwrap().replace("endobj\n2 0", "endobj  \n2 0").into_bytes();
    assert!(matches!(open(&shifted), PdfError::Damaged | PdfError::Malformed(_)));
    let empty = String::from_utf8(good.clone()).unwrap().replace("[3 0 R]/Count 1", "[]/Count 0     ");
    assert!(matches!(open(empty.as_bytes()), PdfError::NoPages));
    let crooked = Classic { page_extra: "/Rotate 45", ..Classic::default() }.bytes();
    assert!(matches!(open(&crooked), PdfError::BadPage { page: 1, .. }));
    let flat = Classic { media_box: "[0 0 0 842]", ..Classic::default() }.bytes();
    assert!(matches!(open(&flat), PdfError::BadPage { page: 1, .. }));
    let certified = Classic {
        catalog_extra: "/Perms<</DocMDP 6 0 R>>",
        objects: vec![(6, "<</Type/Sig/Reference[<</TransformMethod/DocMDP/TransformParams<</P 1>>>>]>>")],
        ..Classic::default()
    };
    assert!(matches!(open(&certified.bytes()), PdfError::ChangesForbidden));
}

#[test]
fn content_that_can_change_is_refused() {
    #[track_caller]
    fn check(catalog_extra: &'static str, objects: Vec<(u32, &'static str)>, expected: &str) {
        let pdf = Classic { catalog_extra, objects, ..Classic::default() }.bytes();
        match Pdf::open(&pdf) {
            Err(PdfError::ActiveContent(kind)) => assert_eq!(kind, expected),
            other => panic!("{other:?}"),
        }
    }
    check("/OpenAction<</S/JavaScript/JS(app.alert(1))>>", vec![], "JavaScript");
    check("/OpenAction 6 0 R", vec![(6, "<</S 7 0 R/JS(x)>>"), (7, "/JavaScript")], "JavaScript");
    check("/Outlines 6 0 R", vec![(6, "<</First[[<</A<</S/Launch/F(x.exe)>>>>]]>>")], "Launch");
    check("/AcroForm<</Fields[]/XFA 6 0 R>>", vec![(6, "[]")], "XFA");
    let link = Classic {
        page_extra: "/Annots[<</Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://example.org)>>>>]",
        ..Classic::default()
    };
    Pdf::open(&link.bytes()).unwrap();
}

#[test]
fn too_many_pages() {
    let outcome = Pdf::open(&with_page_listed(1001));
    assert!(matches!(outcome, Err(PdfError::TooManyPages(1001))), "{outcome:?}");
    let outcome = Pdf::open(&with_page_listed(2));
    assert!(matches!(outcome, Err(PdfError::Malformed(_))), "{outcome:?}");
}

/// A page tree with the same page several times.
fn with_page_listed(times: usize) -> Vec<u8> {
    let kids = vec!["3 0 R"; times].join(" ");
    let pdf = String::from_utf8(Classic::default().bytes()).unwrap();
    let head = pdf.split("xref\n").next().unwrap().replace("[3 0 R]/Count 1", &format!("[{kids}]/Count {times}"));
    let mut xref = "0000000000 65535 f \n".to_owned();
    for number in 1..=5 {
        xref += &format!("{:010} 00000 n \n", head.find(&format!("\n{number} 0 obj")).unwrap() + 1);
    }
    let start = head.len();
    format!("{head}xref\n0 6\n{xref}trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").into_bytes()
}

/// A signed contract, so that every reader has something to chew on.
fn specimen() -> &'static [u8] {
    static SPECIMEN: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SPECIMEN.get_or_init(|| {
        let demo = Demo::new();
        let contract = render::contract(&sample::contract("T-1", "2026年11月22日", NOW_MS)).unwrap();
        let imprint = seal::name_seal("周雅文").unwrap();
        demo.sign(&contract.pdf, &demo.buyer, &request("sig-a", &imprint, "甲"))
    })
}

fn read_all(bytes: &[u8]) {
    let start = Instant::now();
    let _ = Pdf::open(bytes);
    let _ = qz_evidence_pdf::signatures(bytes);
    let _ = qz_evidence_pdf::attachments(bytes);
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
}

#[test]
fn nesting_and_cycles_end() {
    let mut deep = "[".repeat(200_000);
    deep += &"]".repeat(200_000);
    read_all(format!("%PDF-1.4\n1 0 obj\n{deep}\nendobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF").as_bytes());
    let cyclic = Classic {
        catalog_extra: "/AcroForm<</Fields[6 0 R]>>/Names<</EmbeddedFiles 7 0 R>>",
        objects: vec![(6, "<</T(a)/Kids[6 0 R]>>"), (7, "<</Kids[7 0 R 7 0 R]>>")],
        page_extra: "/Parent 3 0 R",
        ..Classic::default()
    };
    read_all(&cyclic.bytes());
    assert!(qz_evidence_pdf::signatures(&cyclic.bytes()).is_err());
    assert!(qz_evidence_pdf::attachments(&cyclic.bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn truncated_and_flipped_files_end(
        cut in 0.0..1.0_f64,
        flips in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..12),
    ) {
        let mut bytes = specimen().to_vec();
        for (place, value) in flips {
            let index = (place * bytes.len() as f64) as usize;
            bytes[index] = value;
        }
        read_all(&bytes);
        bytes.truncate((cut * bytes.len() as f64) as usize);
        read_all(&bytes);
    }

    /// Changes where the structure is: the tail with cross-reference data and trailer, without the
    /// signature's hexadecimal digits.
    #[test]
    fn damaged_structure_ends(flips in prop::collection::vec((0..4000_usize, any::<u8>()), 1..6)) {
        let mut bytes = specimen().to_vec();
        let length = bytes.len();
        for (back, value) in flips {
            bytes[length - 1 - back] = value;
        }
        read_all(&bytes);
    }

    #[test]
    fn rubbish_ends(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_all(&bytes);
        read_all(&[b"%PDF-1.7\n".as_slice(), &bytes].concat());
    }
}
