//! The caption below an imprint: who signs, with which seal, at what claimed time. Its size never depends on its
//! text, which is set as large as there is room for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use qz_domain::contract::caption::CAPTION;
use serde_json::json;

use super::{Imprint, SealError, drawn};
use crate::render::RenderError;

/// Most characters of a name in a caption.
const MAX_NAME: usize = 60;

/// What a caption says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// Organisation or person.
    pub signer: String,
    /// Name of an organisation's seal.
    pub seal: Option<String>,
    /// Its certificate is of a demonstration: the caption says 演示.
    pub is_demonstration: bool,
}

impl Caption {
    /// The last row: `2026-11-22 16:30:05 +08:00`, China Standard Time.
    fn time(&self, time_ms: i64) -> Result<String, RenderError> {
        let time = Timestamp::from_millisecond(time_ms).map_err(|_| RenderError::Time(time_ms))?;
        if time_ms < 0 {
            return Err(RenderError::Time(time_ms));
        }
        let local = time.to_zoned(TimeZone::fixed(Offset::constant(8)));
        let mark = if self.is_demonstration { "演示 · " } else { "" };
        Ok(format!("{mark}{}", local.strftime("%Y-%m-%d %H:%M:%S %:z")))
    }

    /// Draws it, 40 × 9 mm. The time is the one that the signer claims (milliseconds since 1970), the same as `/M` of
    /// the signature, and no timestamp.
    ///
    /// # Errors
    /// When a name is too long or has characters without a glyph, or the time is no date of the years 1970 to 9999.
    pub fn draw(&self, time_ms: i64) -> Result<Imprint, SealError> {
        let signer = check_name("签署人名称 the signer's name", &self.signer)?;
        let seal = self.seal.as_deref().map(|seal| check_name("印章名称 the seal's name", seal)).transpose()?;
        let (width, height) = (CAPTION.width_mm, CAPTION.height_mm);
        let time = self.time(time_ms)?;
        let rows: Vec<&str> = [Some(signer), seal, Some(&time)].into_iter().flatten().collect();
        let identity = format!("caption/{}", json!(rows));
        let data = json!({ "width": width, "height": height, "rows": rows });
        drawn(include_str!("../../templates/caption.typ"), data, BTreeMap::new(), &identity, (width, height))
    }
}

fn check_name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, SealError> {
    let name = name.trim();
    match name.chars().count() {
        _ if name.chars().any(char::is_control) => Err(SealError::Blank { what }),
        1..=MAX_NAME => Ok(name),
        found => Err(SealError::Length { what, min: 1, max: MAX_NAME, found }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TIME_MS: i64 = 1_795_336_205_000;

    fn caption(signer: &str, seal: Option<&str>) -> Caption {
        Caption { signer: signer.into(), seal: seal.map(str::to_owned), is_demonstration: true }
    }

    #[test]
    fn the_time_has_its_zone() {
        assert_eq!(caption("甲", None).time(TIME_MS).unwrap(), "演示 · 2026-11-22 16:30:05 +08:00");
        let plain = Caption { is_demonstration: false, ..caption("甲", None) };
        assert_eq!(plain.time(TIME_MS).unwrap(), "2026-11-22 16:30:05 +08:00");
        assert!(matches!(plain.draw(-1), Err(SealError::Render(RenderError::Time(-1)))));
    }

    /// Whatever may be registered fits; what cannot be shown is refused, never drawn as a box.
    #[test]
    fn the_longest_names_fit() {
        let (name, seal) = ("章".repeat(60), "印".repeat(40));
        let latin = &"Shanghai Sample Precision Instruments (Holding) Company Limited"[..60];
        for (signer, seal) in [("周雅文", None), (latin, Some("合同专用章")), (&name, Some(seal.as_str()))] {
            let drawn = caption(signer, seal).draw(TIME_MS).unwrap();
            assert_eq!((drawn.width_mm, drawn.height_mm), (CAPTION.width_mm, CAPTION.height_mm));
        }
        let refused = |signer: &str| caption(signer, None).draw(TIME_MS).unwrap_err();
        assert!(matches!(refused(&"章".repeat(61)), SealError::Length { max: 60, found: 61, .. }));
        assert!(matches!(refused("  "), SealError::Length { found: 0, .. }));
        assert!(matches!(refused("甲\n乙"), SealError::Blank { .. }));
        assert!(matches!(refused("甲\u{1f600}"), SealError::Render(RenderError::MissingGlyphs(_))));
    }
}
