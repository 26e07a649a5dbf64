//! Imprints as pictures for seal data: true size, transparent paper, and the same to look at as poppler's.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use image::{Rgba, RgbaImage};
use qz_document::seal::{self, Form, Imprint, SealError};

/// Poppler's, on white paper.
fn by_poppler(imprint: &Imprint) -> RgbaImage {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("in.pdf"), folder.path().join("out"));
    std::fs::write(&file, &imprint.pdf).unwrap();
    let status = Command::new("pdftoppm")
        .args(["-r", "600", "-singlefile", "-png"])
        .args([&file, &out])
        .status()
        .expect("pdftoppm is missing: apt-get install poppler-utils");
    assert!(status.success());
    image::open(out.with_extension("png")).unwrap().into_rgba8()
}

fn on_paper(pixel: &Rgba<u8>) -> [i32; 3] {
    let [r, g, b, alpha] = pixel.0.map(i32::from);
    [r, g, b].map(|channel| (channel * alpha + 255 * (255 - alpha)) / 255)
}

#[test]
fn pictures_are_what_poppler_draws() {
    let name = "北京示例科技有限公司";
    let imprints = [
        ("company", seal::company_seal(name, "合同专用章").unwrap(), (40.0, 40.0)),
        ("person", seal::name_seal("周雅文").unwrap(), (18.0, 18.0)),
    ];
    for (what, imprint, (width_mm, height_mm)) in imprints {
        let ours = image::load_from_memory(&seal::png(&imprint).unwrap()).unwrap().into_rgba8();
        for (side, mm) in [(ours.width(), width_mm), (ours.height(), height_mm)] {
            assert!((f64::from(side) - mm * 600.0 / 25.4).abs() < 2.0, "{what}: {side} points");
        }
        assert_eq!(ours.get_pixel(1, 1).0[3], 0, "{what}: the paper is transparent");
        let ink = ours.pixels().filter(|pixel| pixel.0[3] > 200 && pixel.0[0] > pixel.0[2]).count();
        assert!(ink * 50 > ours.pixels().len(), "{what}: {ink} points of ink");

        let theirs = by_poppler(&imprint);
        let (width, height) = (ours.width().min(theirs.width()), ours.height().min(theirs.height()));
        let points = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let notable = points.filter(|(x, y)| {
            let (a, b) = (on_paper(ours.get_pixel(*x, *y)), on_paper(theirs.get_pixel(*x, *y)));
            a.iter().zip(b).any(|(a, b)| (a - b).abs() > 96)
        });
        let notable = notable.count();
        println!("{what}: {width} × {height}, {notable} points differ");
        if let Ok(folder) = std::env::var("QZ_SAMPLES") {
            ours.save(std::path::Path::new(&folder).join(format!("{what}.png"))).unwrap();
        }
        // Edges move by a part of a point.
        assert!(notable * 100 < 3 * (width * height) as usize, "{what}: {notable} points differ");
    }
}

#[test]
fn what_is_no_imprint_is_refused() {
    let imprint = seal::draw(&Form::Personal { name: "周雅文".to_owned() }).unwrap();
    for bytes in [&b"no PDF"[..], &imprint.pdf[..imprint.pdf.len() / 3]] {
        let broken = Imprint { pdf: bytes.to_vec(), ..imprint.clone() };
        assert!(matches!(seal::png(&broken), Err(SealError::Picture(_))));
    }
}
