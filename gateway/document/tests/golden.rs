//! Golden images: pages that somebody has looked at, kept small in `tests/golden/`. A page that looks
//! otherwise fails, and the test says where the picture of the difference is.
//!
//! After a wanted change: `QZ_GOLDEN=renew cargo test -p qz-document --test golden`, then look at every changed
//! picture before it is committed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use qz_document::inspect::Pdf;
use qz_document::render::{self, Anchor, sample};
use qz_document::seal::{self, Caption, Form, Imprint, Ink};
use qz_document::sign::{self, EmptyField, FieldRequest, Straddling};
use qz_domain::contract::Size;
use qz_domain::contract::caption::Extent;
use qz_domain::contract::straddle::Straddle;
use support::{Demo, NOW_MS, forms, request};

/// Largest picture that is kept.
const MAX_BYTES: u64 = 100_000;
/// Pixels per inch of pages.
const PAGE_DPI: u32 = 60;
/// Pixels per inch of imprints, which are small.
const IMPRINT_DPI: u32 = 150;
/// A pixel differs when a channel differs by more: edges of letters move a little with every version of
/// the renderer.
const NOTABLE: u8 = 72;
/// Parts in a thousand of the pixels that may differ.
const TOLERATED: usize = 4;

/// Draws one page with poppler.
fn drawn(pdf: &[u8], page: usize, dpi: u32) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("in.pdf"), folder.path().join("out"));
    std::fs::write(&file, pdf).unwrap();
    let (page, dpi) = (page.to_string(), dpi.to_string());
    let status = Command::new("pdftoppm")
        .args(["-r", &dpi, "-f", &page, "-l", &page, "-singlefile", "-png"])
        .args([&file, &out])
        .status()
        .expect("pdftoppm is missing: apt-get install poppler-utils");
    assert!(status.success());
    let mut picture = image::open(out.with_extension("png")).unwrap().into_rgb8();
    // Eight levels of each colour: small files, and edges of letters that count less.
    for channel in picture.iter_mut() {
        *channel = ((u16::from(*channel) * 7 + 127) / 255 * 255 / 7) as u8;
    }
    picture
}

fn saved(picture: &RgbImage, path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    picture.write_with_encoder(encoder).unwrap();
}

/// The share of pixels that differ, in thousandths, and a picture of them.
fn compared(found: &RgbImage, golden: &RgbImage) -> Result<usize, RgbImage> {
    if found.dimensions() != golden.dimensions() {
        return Err(found.clone());
    }
    let differs = |a: &Rgb<u8>, b: &Rgb<u8>| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > NOTABLE);
    let (mut picture, mut count) = (golden.clone(), 0);
    for (x, y, pixel) in found.enumerate_pixels() {
        let old = golden.get_pixel(x, y);
        let faint = old.0.map(|channel| 200 + channel / 5);
        picture.put_pixel(x, y, Rgb(faint));
        if differs(pixel, old) {
            count += 1;
            picture.put_pixel(x, y, Rgb([220, 0, 220]));
        }
    }
    // Of what is drawn, not of the white around it.
    let inked = golden.pixels().filter(|pixel| pixel.0.iter().any(|channel| *channel < 200)).count().max(1);
    let share = count * 1000 / (inked + golden.pixels().len() / 20);
    if share > TOLERATED { Err(picture) } else { Ok(share) }
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares a page with its golden image, or renews it.
fn check(name: &str, found: &RgbImage, problems: &mut Vec<String>) {
    let path = golden_folder().join(format!("{name}.png"));
    if std::env::var("QZ_GOLDEN").as_deref() == Ok("renew") {
        saved(found, &path);
        println!("renewed: look at {}", path.display());
    }
    let Ok(golden) = image::open(&path) else {
        problems.push(format!("{name}: {} is missing; QZ_GOLDEN=renew makes it", path.display()));
        return;
    };
    let bytes = std::fs::metadata(&path).unwrap().len();
    if bytes > MAX_BYTES {
        problems.push(format!("{name}: {bytes} bytes are too many for a golden image"));
    }
    if let Err(difference) = compared(found, &golden.into_rgb8()) {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (now, differing) = (out.join(format!("{name}.png")), out.join(format!("{name}.difference.png")));
        found.save(&now).unwrap();
        difference.save(&differing).unwrap();
        problems.push(format!("{name}: looks otherwise; {} against {}", differing.display(), now.display()));
    }
}

fn finish(problems: &[String]) {
    assert!(problems.is_empty(), "{}\nLook at them; `docs/OPERATIONS.md` says how to renew.", problems.join("\n"));
}

#[test]
fn imprints() {
    let mut problems = vec![];
    for (name, form) in forms::all() {
        let imprint = seal::draw(&form).unwrap();
        check(&format!("imprint-{name}"), &drawn(&imprint.pdf, 1, IMPRINT_DPI), &mut problems);
    }
    let upload = seal::uploaded(&forms::photograph(), 40.0).unwrap();
    check("imprint-photograph", &drawn(&upload.pdf, 1, IMPRINT_DPI), &mut problems);
    finish(&problems);
}

/// A contract of two companies with its seals: a name seal that overlaps a company's, and 骑缝章.
#[test]
fn contract_with_cross_page_seals() {
    let demo = Demo::new();
    let contract = render::contract(&sample::contract("QF-2026-1122", "2026年11月22日", NOW_MS)).unwrap();
    let sizes: Vec<Size> = Pdf::open(&contract.pdf)
        .unwrap()
        .page_sizes()
        .iter()
        .map(|page| Size { width_mm: page.width / 72.0 * 25.4, height_mm: page.height / 72.0 * 25.4 })
        .collect();
    let company = |name: &str| {
        seal::draw(&Form::Contract { name: name.into(), caption: None, number: None, diameter_mm: None }).unwrap()
    };
    let person = seal::draw(&Form::LegalRepresentative { name: "周雅文".into() }).unwrap();
    let hand = seal::draw(&Form::Handwriting { strokes: forms::signature(), width_mm: 32.0, ink: Ink::Blue }).unwrap();
    let caption = |signer: &str, seal: Option<&str>| Caption {
        signer: signer.into(),
        seal: seal.map(str::to_owned),
        is_demonstration: true,
    };
    // Anchor, imprint, signer, share of the edge for a cross-page seal, caption.
    let line = Some("合同专用章");
    let signers = [
        ("seal-0", company(sample::BUYER), &demo.buyer, Some(2.0 / 3.0), Some(caption(sample::BUYER, line))),
        ("person-0", hand, &demo.buyer, None, None),
        ("seal-1", company(sample::SELLER), &demo.seller, Some(1.0 / 3.0), Some(caption(sample::SELLER, line))),
        ("person-1", person, &demo.person, None, Some(caption("周雅文", None))),
    ];
    let straddling = |name: &str, imprint: &Imprint, share: f64| {
        let size = Size { width_mm: imprint.width_mm, height_mm: imprint.height_mm };
        let slices = Straddle::default().slices(&sizes, size, share).unwrap();
        Straddling { name: format!("{name}-straddle"), title: "骑缝章".into(), slices }
    };
    let slices: Vec<Option<Straddling>> = signers
        .iter()
        .map(|(name, imprint, _, share, _)| share.map(|share| straddling(name, imprint, share)))
        .collect();
    let place = |name: &str, imprint: &Imprint| {
        let anchor = contract.anchor(name).unwrap();
        let (x_mm, y_mm) = anchor.corner(imprint);
        (anchor.page, x_mm, y_mm)
    };
    let fields: Vec<EmptyField> = signers
        .iter()
        .map(|(name, imprint, _, _, caption)| {
            let page = place(name, imprint).0;
            let Anchor { x_mm, y_mm, .. } = contract.anchor(name).unwrap();
            let Imprint { width_mm, height_mm, .. } = *imprint;
            let extent = Extent::of(Size { width_mm, height_mm }, caption.is_some());
            let (x_mm, y_mm) = (x_mm - extent.left_mm, y_mm - extent.below_mm);
            let Size { width_mm, height_mm } = extent.size();
            EmptyField { name: (*name).to_owned(), page, x_mm, y_mm, width_mm, height_mm, lock: None }
        })
        .collect();
    let reserved: Vec<Straddling> = slices.iter().flatten().cloned().collect();
    let mut pdf = sign::reserve_all(&contract.pdf, &fields, &reserved).unwrap();
    for ((name, imprint, signer, _, caption), slices) in signers.iter().zip(&slices) {
        let (page, x_mm, y_mm) = place(name, imprint);
        let caption = caption.as_ref();
        let request = FieldRequest { page, x_mm, y_mm, caption, ..request(name, imprint, "演示签署人") };
        let prepared = match slices {
            Some(slices) => sign::prepare_straddling(&pdf, &request, slices).unwrap(),
            None => sign::prepare(&pdf, &request).unwrap(),
        };
        let cms = qz_document::cms::sign(&prepared.digest, &signer.key, &signer.certificate, &[]).unwrap();
        pdf = sign::complete(&prepared, &cms).unwrap();
    }
    let mut problems = vec![];
    for page in 1..=contract.pages {
        check(&format!("contract-{page}"), &drawn(&pdf, page, PAGE_DPI), &mut problems);
    }
    finish(&problems);
}

#[test]
fn signing_certificate() {
    let demo = Demo::new();
    let contract = render::contract(&sample::contract("QF-2026-1122", "2026年11月22日", NOW_MS)).unwrap();
    let data = support::certificate_data(&demo, &contract.pdf);
    let rendered = render::signing_certificate(&data, &[0xa0; 3000], Some(&[0xa1; 900])).unwrap();
    let imprint = seal::company_seal("契证演示平台", "签署证明专用章").unwrap();
    let anchor = rendered.anchor("issuer").unwrap();
    let (x_mm, y_mm) = anchor.corner(&imprint);
    let request = FieldRequest { page: anchor.page, x_mm, y_mm, ..request("issuer", &imprint, "契证演示平台") };
    let pdf = demo.sign(&rendered.pdf, &demo.issuer, &request);
    let mut problems = vec![];
    for page in 1..=rendered.pages {
        check(&format!("certificate-{page}"), &drawn(&pdf, page, PAGE_DPI), &mut problems);
    }
    finish(&problems);
}

/// A report whose table of uses runs over pages.
#[test]
fn seal_report() {
    let rendered = render::seal_report(&support::seal_report_data(12)).unwrap();
    let mut problems = vec![];
    for page in 1..=rendered.pages {
        check(&format!("seal-report-{page}"), &drawn(&rendered.pdf, page, PAGE_DPI), &mut problems);
    }
    finish(&problems);
}

/// The comparison itself sees what a clerk would see.
#[test]
fn a_moved_or_missing_seal_is_a_difference() {
    let drawing = |form: &Form| drawn(&seal::draw(form).unwrap().pdf, 1, IMPRINT_DPI);
    let contract =
        |name: &str| drawing(&Form::Contract { name: name.into(), caption: None, number: None, diameter_mm: None });
    let golden = contract("上海样本精密仪器有限公司");
    assert_eq!(compared(&golden, &golden).unwrap(), 0);
    assert!(compared(&contract("上海样本精细仪器有限公司"), &golden).is_err(), "one character");
    let (width, height) = golden.dimensions();
    let moved = RgbImage::from_fn(width, height, |x, y| *golden.get_pixel((x + 2).min(width - 1), y));
    assert!(compared(&moved, &golden).is_err(), "a third of a millimetre");
    let white = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    assert!(compared(&white, &golden).is_err());
}
