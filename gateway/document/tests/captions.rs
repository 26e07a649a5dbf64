//! Captions below imprints: the imprint keeps its millimetres however the page is turned, a reserved field has room
//! for the caption, earlier signatures stay valid, and a character without a glyph is an error.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use image::RgbImage;
use qz_document::render::RenderError;
use qz_document::seal::{self, Caption, SealError};
use qz_document::sign::{self, EmptyField, FieldRequest, SignError};
use qz_domain::contract::Size;
use qz_domain::contract::caption::{CAPTION, CAPTION_GAP_MM, Extent};
use support::classic::Classic;
use support::{Demo, oracle, request};

const DPI: f64 = 120.0;

fn caption(signer: &str) -> Caption {
    Caption { signer: signer.into(), seal: Some("合同专用章".into()), is_demonstration: true }
}

fn drawn(pdf: &[u8]) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("in.pdf"), folder.path().join("out"));
    std::fs::write(&file, pdf).unwrap();
    let status = Command::new("pdftoppm")
        .args(["-r", &DPI.to_string(), "-singlefile", "-cropbox", "-png"])
        .args([&file, &out])
        .status()
        .expect("pdftoppm is missing: apt-get install poppler-utils");
    assert!(status.success());
    image::open(out.with_extension("png")).unwrap().into_rgb8()
}

/// Left, top, right and bottom of the pixels of this kind, in millimetres from the upper left corner.
fn bounds(picture: &RgbImage, is_wanted: impl Fn([u8; 3]) -> bool) -> [f64; 4] {
    let mut sides: Option<[u32; 4]> = None;
    for (x, y, _) in picture.enumerate_pixels().filter(|(_, _, pixel)| is_wanted(pixel.0)) {
        let [l, t, r, b] = sides.unwrap_or([x, y, x, y]);
        sides = Some([l.min(x), t.min(y), r.max(x), b.max(y)]);
    }
    let [l, t, r, b] = sides.expect("something is drawn").map(f64::from);
    [l, t, r + 1.0, b + 1.0].map(|pixels| pixels / DPI * 25.4)
}

fn is_red([r, g, b]: [u8; 3]) -> bool {
    r > 150 && g < 150 && b < 150
}

/// The caption's own colour, and not the black of the page's text.
fn is_grey([r, g, b]: [u8; 3]) -> bool {
    let bluish = i16::from(b) - i16::from(r);
    (4..40).contains(&bluish) && r < 200 && r.abs_diff(g) < 20
}

#[test]
fn the_imprint_keeps_its_size_on_any_page() {
    let demo = Demo::new();
    let imprint = seal::company_seal("北京示例科技有限公司", "合同专用章").unwrap();
    let words = caption("北京示例科技有限公司");
    for extra in [
        "",
        "/Rotate 90",
        "/Rotate 180",
        "/Rotate 270",
        "/CropBox[50 60 545 700]",
        "/CropBox[50 60 545 700]/Rotate 90",
        "/UserUnit 2.0",
    ] {
        let pdf = Classic { page_extra: extra, ..Classic::default() }.bytes();
        let request = FieldRequest { x_mm: 90.0, y_mm: 70.0, caption: Some(&words), ..request("sig", &imprint, "甲") };
        let signed = demo.sign(&pdf, &demo.buyer, &request);
        // Rendering at 72 units an inch: poppler does not know /UserUnit.
        let unit = if extra.contains("UserUnit") { 2.0 } else { 1.0 };
        let picture = drawn(&signed);
        let height = f64::from(picture.height()) / DPI * 25.4;
        let [left, top, right, bottom] = bounds(&picture, is_red).map(|mm| mm * unit);
        let near = |a: f64, b: f64| (a - b).abs() < 0.35 * unit;
        assert!(near(right - left, 40.0) && near(bottom - top, 40.0), "{extra}: {left} {top} {right} {bottom}");
        assert!(near(left, 90.0) && near(height * unit - bottom, 70.0), "{extra}: {left}, {}", height * unit - bottom);
        let [l, t, r, b] = bounds(&picture, is_grey).map(|mm| mm * unit);
        let room = bottom + CAPTION_GAP_MM;
        assert!(t > room - 0.4 && b < room + CAPTION.height_mm + 0.4, "{extra}: caption {t} to {b}, below {bottom}");
        assert!(near(f64::midpoint(l, r), 110.0) && r - l > 25.0, "{extra}: caption {l} to {r}");
    }
}

#[test]
fn a_reserved_field_has_room_for_it_and_earlier_signatures_stay_valid() {
    let demo = Demo::new();
    let imprints = [seal::company_seal("北京示例科技有限公司", "").unwrap(), seal::name_seal("周雅文").unwrap()];
    let words = caption("北京示例科技有限公司");
    let extent = |index: usize| {
        let (width_mm, height_mm) = (imprints[index].width_mm, imprints[index].height_mm);
        Extent::of(Size { width_mm, height_mm }, true)
    };
    // One page with ten seals, round ones and names in turn.
    let middle = |index: usize| (30.0 + 45.0 * (index % 4) as f64, 60.0 + 75.0 * (index / 4) as f64);
    let field = |index: usize| {
        let ((x, y), extent) = (middle(index), extent(index % 2));
        let Size { width_mm, height_mm } = extent.size();
        let (x_mm, y_mm) = (x - extent.left_mm, y - extent.below_mm);
        EmptyField { name: format!("slot-{index}"), page: 1, x_mm, y_mm, width_mm, height_mm, lock: None }
    };
    let fields: Vec<EmptyField> = (0..10).map(field).collect();
    let mut pdf = sign::reserve(&Classic::default().bytes(), &fields).unwrap();
    for (index, field) in fields.iter().enumerate() {
        let imprint = &imprints[index % 2];
        let (x, y) = middle(index);
        let (x_mm, y_mm) = (x - imprint.width_mm / 2.0, y - imprint.height_mm / 2.0);
        let request = FieldRequest { x_mm, y_mm, ..request(&field.name, imprint, "甲") };
        assert!(matches!(sign::prepare(&pdf, &request), Err(SignError::FieldElsewhere(_))), "no caption, too large");
        let request = FieldRequest { caption: Some(&words), ..request };
        assert_eq!(sign::prepare(&pdf, &request).unwrap(), sign::prepare(&pdf, &request).unwrap(), "the same bytes");
        pdf = demo.sign(&pdf, [&demo.buyer, &demo.seller][index % 2], &request);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("ca.pem"), demo.ca_pem()).unwrap();
    std::fs::write(path("signed.pdf"), &pdf).unwrap();
    let (ok, text) = oracle(&["structure", &path("signed.pdf")]);
    assert!(ok, "{text}");
    let (ok, text) = oracle(&["validate", &path("ca.pem"), &path("signed.pdf")]);
    assert!(ok && text.matches("judged VALID").count() == 10, "{text}");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let imprint = seal::name_seal("周雅文").unwrap();
    let pdf = Classic::default().bytes();
    let prepare = |words: &Caption, y_mm: f64| {
        sign::prepare(&pdf, &FieldRequest { y_mm, caption: Some(words), ..request("sig", &imprint, "甲") })
    };
    let missing = prepare(&caption("甲\u{1f600}公司"), 40.0).unwrap_err();
    assert!(
        matches!(&missing, SignError::Caption(SealError::Render(RenderError::MissingGlyphs(found))) if *found == ['\u{1f600}']),
        "{missing}"
    );
    assert!(missing.to_string().contains("U+1F600"), "{missing}");
    assert!(matches!(prepare(&caption("甲"), 9.0), Err(SignError::OutsidePage { .. })), "no room below the imprint");
    prepare(&caption("甲"), 9.6).unwrap();
}

/// Fonts are embedded as subsets: a caption costs kilobytes, not megabytes.
#[test]
fn it_costs_little() {
    let demo = Demo::new();
    let imprint = seal::company_seal("北京示例科技有限公司", "合同专用章").unwrap();
    let (pdf, words) = (Classic::default().bytes(), caption("北京示例科技有限公司"));
    let plain = FieldRequest { y_mm: 40.0, ..request("sig", &imprint, "甲") };
    let signed = |request: &FieldRequest<'_>| demo.sign(&pdf, &demo.buyer, request);
    let (without, with) = (signed(&plain), signed(&FieldRequest { caption: Some(&words), ..plain.clone() }));
    let more = with.len() - without.len();
    println!("a caption adds {more} bytes");
    assert!((1_000..30_000).contains(&more), "{more}");
    let fonts = Command::new("pdffonts").arg(write(&with).path()).output().unwrap();
    let fonts = String::from_utf8_lossy(&fonts.stdout).into_owned();
    // Helvetica is the test file's own; the caption's are embedded as subsets.
    let (own, captions): (Vec<_>, Vec<_>) = fonts.lines().skip(2).partition(|line| line.contains("Helvetica"));
    assert!(own.len() == 1 && !captions.is_empty(), "{fonts}");
    assert!(captions.iter().all(|line| line.contains(" yes yes ")), "{fonts}");
}

fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}
