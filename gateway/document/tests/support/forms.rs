//! One imprint of each form, with short and long names.
#![allow(dead_code, missing_docs)]

use qz_document::seal::{Form, Ink, Point};

const LONG: &str = "内蒙古自治区呼伦贝尔市演示国际进出口贸易股份有限公司";

pub fn all() -> Vec<(&'static str, Form)> {
    let contract =
        |name: &str, number, diameter_mm| Form::Contract { name: name.into(), caption: None, number, diameter_mm };
    let invoice =
        |name: &str, number| Form::Invoice { name: name.into(), id_code: "91110108MA00DEM14Q".into(), number };
    vec![
        ("official", Form::Official { name: "北京示例科技有限公司".into(), caption: String::new() }),
        ("official-short", Form::Official { name: "示例公司".into(), caption: String::new() }),
        ("official-long", Form::Official { name: LONG.into(), caption: String::new() }),
        ("contract", contract("上海样本精密仪器有限公司", None, None)),
        ("contract-numbered", contract("上海样本精密仪器有限公司", Some(2), Some(42.0))),
        ("contract-long", contract(LONG, None, Some(38.0))),
        ("finance", Form::Finance { name: "上海样本精密仪器有限公司".into() }),
        ("invoice", invoice("北京示例科技有限公司", None)),
        ("invoice-long", invoice(LONG, Some(1))),
        ("legal-representative", Form::LegalRepresentative { name: "周雅文".into() }),
        ("legal-representative-two", Form::LegalRepresentative { name: "王伟".into() }),
        ("personal", Form::Personal { name: "欧阳文博".into() }),
        ("handwriting", Form::Handwriting { strokes: signature(), width_mm: 40.0, ink: Ink::Black }),
        ("date", Form::Date { date: "2026-11-22".into(), ink: Ink::Red }),
    ]
}

/// 王一 as a pen writes it.
pub fn signature() -> Vec<Vec<Point>> {
    let line = |points: &[(f64, f64)]| points.iter().map(|(x, y)| Point(*x, *y)).collect();
    vec![
        line(&[(12.0, 14.0), (24.0, 12.5), (38.0, 11.0), (50.0, 9.0), (54.0, 10.0)]),
        line(&[(16.0, 34.0), (26.0, 32.0), (38.0, 30.5), (48.0, 29.0), (51.0, 30.0)]),
        line(&[(33.0, 11.0), (34.0, 22.0), (33.5, 34.0), (32.0, 46.0), (33.0, 54.0)]),
        line(&[(6.0, 58.0), (18.0, 55.0), (34.0, 53.0), (50.0, 50.0), (62.0, 48.0), (66.0, 50.0)]),
        line(&[
            (74.0, 36.0),
            (80.0, 33.0),
            (92.0, 32.0),
            (106.0, 30.0),
            (120.0, 27.0),
            (130.0, 25.0),
            (134.0, 28.0),
            (128.0, 32.0),
        ]),
    ]
}

/// A stamp on warm paper with a shadow, grain and a coffee-coloured corner, as a telephone photographs it; JPEG.
pub fn photograph() -> Vec<u8> {
    const SIDE: u32 = 700;
    let mut noise = 0x2545_f491_u32;
    let mut grain = || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        (noise % 9) as i32 - 4
    };
    let picture = image::RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (dx, dy) = (f64::from(x) - 360.0, f64::from(y) - 340.0);
        let (radius, angle) = (dx.hypot(dy), dy.atan2(dx));
        // A ring and a five-pointed flower.
        let ink = (radius - 250.0).abs() < 8.0 || radius < 80.0 * (1.0 + 0.6 * (5.0 * angle).cos());
        let shade = 1.0 - 0.10 * f64::from(x) / f64::from(SIDE);
        let paper = [236.0, 231.0, 220.0];
        let stamp = [196.0, 32.0, 38.0];
        let colour = if ink { stamp } else { paper };
        let mut channel = |value: f64| ((value * shade) as i32 + grain()).clamp(0, 255) as u8;
        image::Rgb([channel(colour[0]), channel(colour[1]), channel(colour[2])])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Jpeg).expect("memory takes everything");
    out.into_inner()
}
