//! Places of seals by words of the document 关键字定位: 甲方（盖章） instead of a page and millimetres. They are looked
//! up once, when the contract is opened; from then on its slots have coordinates like all others.

use crate::app::App;
use crate::documents;
use crate::error::{ServiceError, blocking};
use qz_document::anchor::{self, Found};
use qz_document::inspect::Pdf;
use qz_domain::Refusal;
use qz_domain::contract::{Field, MAX_SLOTS};
use qz_storage::documents::Document;
use serde::Deserialize;

/// A place by words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// The words, within one line; spaces and the width of characters make no difference.
    text: String,
    /// Which of several places, from 1; where nothing is said there must be one only.
    #[serde(default)]
    occurrence: Option<usize>,
    /// From the middle of the words to the middle of the imprint, to the right.
    #[serde(default)]
    dx_mm: f64,
    /// The same, upwards.
    #[serde(default)]
    dy_mm: f64,
}

/// The place of each slot: as given, or by words.
pub async fn places(
    app: &App, document: &Document, wanted: Vec<(Option<Field>, Option<Words>)>,
) -> Result<Vec<Field>, ServiceError> {
    // Each is looked for in the whole file.
    if wanted.len() > MAX_SLOTS {
        return Err(Refusal::invalid("slots.count", "签署位须为 1–32 个", "a contract has 1 to 32 slots").into());
    }
    let pdf = match wanted.iter().any(|(_, words)| words.is_some()) {
        true => Some(documents::bytes(app, document).await?),
        false => None,
    };
    blocking(move || {
        let opened = pdf.map(|pdf| Pdf::open(&pdf)).transpose()?;
        let place = |(index, (field, words)): (usize, (Option<Field>, Option<Words>))| match (field, words, &opened) {
            (Some(field), None, _) => Ok(field),
            (None, Some(words), Some(opened)) => {
                let found = anchor::find(opened, &words.text).map_err(|error| unusable(index, &error.to_string()))?;
                chosen(index, &words, &found)
            }
            _ => Err(Refusal::invalid(
                "slot.place",
                format!("签署位 {index} 须给出 field 或 anchor 之一"),
                format!("slot {index} has either a field or an anchor"),
            )),
        };
        Ok::<_, ServiceError>(wanted.into_iter().enumerate().map(place).collect::<Result<Vec<_>, _>>()?)
    })
    .await
}

fn chosen(index: usize, words: &Words, found: &[Found]) -> Result<Field, Refusal> {
    let (text, count) = (&words.text, found.len());
    let place = match words.occurrence {
        _ if count == 0 => {
            return Err(Refusal::invalid(
                "anchor.unknown",
                format!("文件的文字中找不到“{text}”（签署位 {index}）；扫描件与图片中的文字不能定位，请改用坐标"),
                format!(
                    "{text:?} is not in the text of the document (slot {index}); text in pictures is not read: give coordinates"
                ),
            ));
        }
        None if count > 1 => {
            let pages: Vec<String> = found.iter().take(20).map(|place| place.page.to_string()).collect();
            return Err(Refusal::invalid(
                "anchor.ambiguous",
                format!("“{text}”出现 {count} 次（第 {} 页），请用 occurrence 指明第几处", pages.join("、")),
                format!("{text:?} occurs {count} times (pages {}): say which with occurrence", pages.join(", ")),
            ));
        }
        None => found.first(),
        Some(wanted) => wanted.checked_sub(1).and_then(|at| found.get(at)),
    };
    let place = place.ok_or_else(|| {
        Refusal::invalid(
            "anchor.occurrence",
            format!("“{text}”只出现 {count} 次，occurrence 须为 1–{count}"),
            format!("{text:?} occurs {count} times: occurrence is 1 to {count}"),
        )
    })?;
    Ok(Field { page: place.page, x_mm: place.x_mm + words.dx_mm, y_mm: place.y_mm + words.dy_mm })
}

fn unusable(index: usize, error: &str) -> Refusal {
    let (zh, en) = error.split_once(" / ").unwrap_or((error, error));
    Refusal::invalid("anchor.unusable", format!("签署位 {index}：{zh}"), format!("slot {index}: {en}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_place_or_the_one_that_was_asked_for() {
        let at = |page| Found { page, x_mm: 50.0, y_mm: 60.0 };
        let words = |occurrence| Words { text: "甲方（盖章）".into(), occurrence, dx_mm: 20.0, dy_mm: -5.0 };
        let field = |page| Field { page, x_mm: 70.0, y_mm: 55.0 };
        assert_eq!(chosen(0, &words(None), &[at(3)]).unwrap(), field(3));
        assert_eq!(chosen(0, &words(Some(2)), &[at(3), at(4)]).unwrap(), field(4));
        for (occurrence, places, code) in [
            (None, vec![], "anchor.unknown"),
            (Some(1), vec![], "anchor.unknown"),
            (None, vec![at(1), at(2)], "anchor.ambiguous"),
            (Some(3), vec![at(1), at(2)], "anchor.occurrence"),
            (Some(0), vec![at(1)], "anchor.occurrence"),
        ] {
            assert_eq!(chosen(0, &words(occurrence), &places).unwrap_err().code, code);
        }
    }
}
