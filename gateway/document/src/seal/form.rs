//! The forms of imprints 印模 and what each says, in true millimetres.
//!
//! Round seals follow 国务院关于国家行政机关和企业事业单位社会团体印章管理的规定 (国发〔1999〕25号) in outline;
//! the invoice seal 发票专用章 the measures of 国家税务总局公告2011年第7号. No form carries a number of a police
//! register 公安备案编码: nobody may invent one. Every imprint says 演示.

use qz_domain::contract::{DATE_STAMP, Size};
use serde::{Deserialize, Serialize};

use super::SealError;
use super::drawing::{Drawing, Frame, Ink, Star};
use super::handwriting::{self, Point};

/// Diameter of an official seal, and of a contract seal that does not say otherwise.
pub const COMPANY_SEAL_MM: f64 = 40.0;
/// Diameter of a finance seal.
pub const FINANCE_SEAL_MM: f64 = 38.0;
/// Width and height of an invoice seal.
pub const INVOICE_SEAL_MM: (f64, f64) = (40.0, 30.0);
/// Side of a legal representative's seal.
pub const LEGAL_REPRESENTATIVE_SEAL_MM: f64 = 20.0;
/// Side of a personal name seal.
pub const NAME_SEAL_MM: f64 = 18.0;
/// Widths of a handwritten signature.
const SIGNATURE_WIDTHS_MM: std::ops::RangeInclusive<f64> = 15.0..=80.0;

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case", deny_unknown_fields)]
pub enum Form {
    /// 公章: round, Ø 40 mm, star, name on the arc; a line below the star only if it is asked for.
    Official {
        /// Registered name.
        name: String,
        /// Line below the star, e.g. of a department.
        #[serde(default)]
        caption: String,
    },
    /// 合同专用章: round, Ø 38 to 42 mm.
    Contract {
        /// Registered name.
        name: String,
        /// 合同专用章 if nothing is said.
        #[serde(default)]
        caption: Option<String>,
        /// Number of this one of several, shown as （1）.
        #[serde(default)]
        number: Option<u8>,
        /// 40 if nothing is said.
        #[serde(default)]
        diameter_mm: Option<f64>,
    },
    /// 财务专用章: round, Ø 38 mm.
    Finance {
        /// Registered name.
        name: String,
    },
    /// 发票专用章: oval, 40 × 30 mm, the taxpayer's number 纳税人识别号 in the middle.
    Invoice {
        /// Registered name.
        name: String,
        /// 统一社会信用代码: 18 digits and capitals.
        id_code: String,
        /// Number of this one of several, shown as （1）.
        #[serde(default)]
        number: Option<u8>,
    },
    /// 法定代表人名章: square, 20 mm, two by two characters.
    LegalRepresentative {
        /// The person's name.
        name: String,
    },
    /// 个人名章: square, 18 mm.
    Personal {
        /// The person's name.
        name: String,
    },
    /// Handwritten signature 手写签名.
    Handwriting {
        /// Strokes as the pen drew them: points from the upper left corner, in any unit.
        strokes: Vec<Vec<Point>>,
        /// Width of the signature, 15 to 80 mm.
        width_mm: f64,
        /// Black if nothing is said.
        #[serde(default = "black")]
        ink: Ink,
    },
    /// Date stamp 日期章.
    Date {
        /// `YYYY-MM-DD`.
        date: String,
        /// Red if nothing is said.
        #[serde(default)]
        ink: Ink,
    },
}

fn black() -> Ink {
    Ink::Black
}

impl Form {
    /// The drawing.
    pub(super) fn drawing(&self) -> Result<Drawing, SealError> {
        match self {
            Self::Official { name, caption } => round(name, caption, None, COMPANY_SEAL_MM),
            Self::Contract { name, caption, number, diameter_mm } => {
                let diameter = diameter_mm.unwrap_or(COMPANY_SEAL_MM);
                if !(38.0..=42.0).contains(&diameter) {
                    return Err(SealError::Size { what: "合同专用章直径 diameter", min: 38.0, max: 42.0 });
                }
                round(name, caption.as_deref().unwrap_or("合同专用章"), *number, diameter)
            }
            Self::Finance { name } => round(name, "财务专用章", None, FINANCE_SEAL_MM),
            Self::Invoice { name, id_code, number } => invoice(name, id_code, *number),
            Self::LegalRepresentative { name } => square(name, LEGAL_REPRESENTATIVE_SEAL_MM),
            Self::Personal { name } => square(name, NAME_SEAL_MM),
            Self::Handwriting { strokes, width_mm, ink } => {
                if !SIGNATURE_WIDTHS_MM.contains(width_mm) {
                    let (min, max) = (*SIGNATURE_WIDTHS_MM.start(), *SIGNATURE_WIDTHS_MM.end());
                    return Err(SealError::Size { what: "签名宽度 width of the signature", min, max });
                }
                handwriting::drawing(strokes, *width_mm, *ink)
            }
            Self::Date { date, ink } => date_stamp(date, *ink),
        }
    }
}

fn check_length<'a>(what: &'static str, text: &'a str, min: usize, max: usize) -> Result<&'a str, SealError> {
    let text = text.trim();
    let found = text.chars().count();
    let is_plain =
        text.chars().all(|character| character == ' ' || !(character.is_control() || character.is_whitespace()));
    match (min..=max).contains(&found) {
        _ if !is_plain => Err(SealError::Blank { what }),
        true => Ok(text),
        false => Err(SealError::Length { what, min, max, found }),
    }
}

/// The usual round seal: ring, star, name on the arc, a line of text below the star.
fn round(name: &str, caption: &str, number: Option<u8>, diameter: f64) -> Result<Drawing, SealError> {
    let name = check_length("公司名称", name, 2, 28)?;
    let caption = check_length("印章横排文字", caption, 0, 10)?;
    let number = check_number(number)?;
    let line = 1.2;
    // Everything but the ring's line is in proportion to Ø 40.
    let scale = diameter / COMPANY_SEAL_MM;
    let middle = diameter / 2.0;
    let mut drawing = Drawing::new(diameter, diameter, Ink::Red);
    drawing.ring(line);
    let has_caption = !caption.is_empty();
    let lift = if has_caption { 0.9 } else { 0.0 } * scale;
    drawing.stars.push(Star { x: middle, y: middle - lift, radius: 6.8 * scale });

    let count = name.chars().count();
    let height = scale
        * match count {
            ..=10 => 6.0,
            11..=14 => 5.7,
            15..=18 => 5.2,
            19..=22 => 4.8,
            _ => 4.4,
        };
    let radius = middle - line - 0.9 * scale - height / 2.0;
    // Characters stand close for a long name; a short one does not run all around.
    let span: f64 = if has_caption { 236.0 } else { 270.0 };
    let step = (span / (count as f64 - 1.0).max(1.0)).min(if count <= 6 { 30.0 } else { 26.0 });
    // At the feet, where neighbours come closest.
    let room = (radius - height * 0.42) * step.to_radians();
    let width = (height * 0.74).min(room * 0.97);
    drawing.arc(name, (radius, radius), height, width, radius * step.to_radians());

    if has_caption {
        let letters = caption.chars().count() as f64;
        let pitch = (20.5 * scale / letters).min(4.0 * scale);
        drawing.row(caption, (middle, middle + 10.3 * scale), 4.1 * scale, pitch * 0.94, pitch);
    }
    match number {
        Some(number) => {
            numbering(&mut drawing, number, (middle, middle + 14.2 * scale), 2.7 * scale);
            drawing.demo(middle, middle + 17.0 * scale, 1.8 * scale);
        }
        None => drawing.demo(middle, middle + if has_caption { 14.6 } else { 14.8 } * scale, 2.3 * scale),
    }
    Ok(drawing)
}

fn check_number(number: Option<u8>) -> Result<Option<u8>, SealError> {
    match number {
        Some(number) if !(1..=99).contains(&number) => {
            Err(SealError::Size { what: "印章序号 number of the seal", min: 1.0, max: 99.0 })
        }
        number => Ok(number),
    }
}

/// （1）
fn numbering(drawing: &mut Drawing, number: u8, (x, y): (f64, f64), height: f64) {
    drawing.digits(&format!("({number})"), (x, y), height * 0.78, height * 0.42, height * 0.5);
}

fn invoice(name: &str, id_code: &str, number: Option<u8>) -> Result<Drawing, SealError> {
    let name = check_length("公司名称", name, 2, 28)?;
    let number = check_number(number)?;
    let is_code = id_code.len() == 18 && id_code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if !is_code {
        return Err(SealError::IdCode(id_code.chars().take(32).collect()));
    }
    let (width, height) = INVOICE_SEAL_MM;
    let (x, y) = (width / 2.0, height / 2.0);
    let mut drawing = Drawing::new(width, height, Ink::Red);
    drawing.ring(1.0);
    let count = name.chars().count() as f64;
    let letter = if count > 20.0 { 3.7 } else { 4.2 };
    let (rx, ry) = (x - 1.0 - 0.8 - letter / 2.0, y - 1.0 - 0.8 - letter / 2.0);
    // The upper part down to the ends of the number in the middle.
    let pitch = (42.0 / (count - 1.0).max(1.0)).min(5.2);
    let room = pitch * (1.0 - 0.42 * letter / ry.max(rx));
    drawing.arc(name, (rx, ry), letter, (letter * 0.76).min(room * 0.96), pitch);
    // Number in the middle, caption below it, and the number of this one of several.
    let (code_y, caption_y, demo_y) = if number.is_some() { (0.0, 5.1, 11.5) } else { (0.6, 7.3, 11.6) };
    drawing.digits(id_code, (x, y + code_y), 3.7, 1.3, 1.46);
    drawing.row("发票专用章", (x, y + caption_y), 4.6, 3.0, 3.35);
    if let Some(number) = number {
        numbering(&mut drawing, number, (x, y + 9.0), 2.3);
    }
    drawing.demo(x, y + demo_y, 1.6);
    Ok(drawing)
}

/// Two columns, read from the right: 周雅文 → 周雅 | 文印.
fn square(name: &str, side: f64) -> Result<Drawing, SealError> {
    let name = check_length("姓名", name, 2, 4)?;
    let mut letters: Vec<char> = name.chars().collect();
    letters.extend(match letters.len() {
        2 => vec!['之', '印'],
        3 => vec!['印'],
        _ => vec![],
    });
    let line = 0.9;
    let mut drawing = Drawing::new(side, side, Ink::Red);
    drawing.frames.push(Frame { width: side - line, height: side - line, line, radius: 0.5 });
    // A narrow line at the foot for the mark; the rest is four cells.
    let foot = 2.3;
    let (inner, left) = (side - 2.0 * line, line);
    let (cell_width, cell_height) = (inner / 2.0, (inner - foot) / 2.0);
    for (index, letter) in letters.into_iter().enumerate() {
        let (column, row) = (1 - index / 2, index % 2);
        let x = left + cell_width * (column as f64 + 0.5);
        let y = line + cell_height * (row as f64 + 0.5) + 0.3;
        drawing.row(&letter.to_string(), (x, y), cell_height * 0.98, cell_width * 0.93, 0.0);
    }
    drawing.demo(side / 2.0, side - line - 1.1, 1.5);
    Ok(drawing)
}

/// 2026年11月22日 in a frame.
fn date_stamp(date: &str, ink: Ink) -> Result<Drawing, SealError> {
    let wrong = || SealError::Date(date.chars().take(16).collect());
    let day: jiff::civil::Date = date.parse().map_err(|_| wrong())?;
    if date.len() != 10 || !(1949..=2999).contains(&day.year()) {
        return Err(wrong());
    }
    let Size { width_mm: width, height_mm: height } = DATE_STAMP;
    let mut drawing = Drawing::new(width, height, ink);
    let line = 0.5;
    drawing.frames.push(Frame { width: width - line, height: height - line, line, radius: 1.0 });
    let (digit, word, y) = (2.75, 4.3, height / 2.0);
    let parts = [(day.year().to_string(), '年'), (day.month().to_string(), '月'), (day.day().to_string(), '日')];
    let length: f64 = parts.iter().map(|(digits, _)| digits.len() as f64 * digit + word + 0.8).sum();
    // The mark stands at the right end.
    let mut x = (width - 5.5 - length) / 2.0 + 0.4;
    for (digits, unit) in parts {
        let run = digits.len() as f64 * digit;
        drawing.digits(&digits, (x + run / 2.0, y), 3.5, 2.45, digit);
        drawing.row(&unit.to_string(), (x + run + word / 2.0, y), 4.3, 3.9, 0.0);
        x += run + word + 0.8;
    }
    drawing.demo(width - 3.4, y, 1.7);
    Ok(drawing)
}
