//! What may follow a signature: by its certification (`DocMDP`, ISO 32000-1 §12.8.2.2), its field locks
//! (`FieldMDP`, §12.8.2.4, and `/Lock`), and by what belongs to signing in any case.

use super::report::Weight;
use crate::difference::{Change, ChangeKind};
use crate::file::View;
use crate::file::value::{Dictionary, Value};
use crate::model::Field;

/// What holds for the changes after one signature.
pub(crate) struct Rules {
    /// The document's certification.
    pub(crate) permits: Option<u8>,
    /// Names of locked fields, `*` for all, a leading `!` for all but these.
    pub(crate) locks: Vec<String>,
}

/// Annotations that put text or pictures over a page: no certification makes them harmless.
const COVERING: [&str; 12] = [
    "FreeText",
    "Stamp",
    "Redact",
    "Widget",
    "Screen",
    "Movie",
    "Sound",
    "3D",
    "RichMedia",
    "FileAttachment",
    "Watermark",
    "PrinterMark",
];

/// How a change weighs.
pub(crate) fn weigh(change: &Change, rules: &Rules) -> Weight {
    use ChangeKind as K;
    let detail = change.detail.as_deref().unwrap_or_default();
    match change.kind {
        K::ValidationData | K::TimestampAdded | K::Metadata => Weight::Expected,
        K::SignatureAdded | K::SignatureFieldAdded | K::SealSlice => match rules.permits {
            Some(1) => Weight::Forbidden,
            _ if rules.locks.iter().any(|lock| lock == detail) => Weight::Forbidden,
            _ => Weight::Expected,
        },
        K::FormFilled => match rules.permits {
            Some(2 | 3) if !is_locked(detail, &rules.locks) => Weight::Permitted,
            _ => Weight::Forbidden,
        },
        K::AnnotationAdded | K::AnnotationChanged | K::AnnotationRemoved => match rules.permits {
            Some(3) if !COVERING.contains(&detail) => Weight::Permitted,
            _ => Weight::Forbidden,
        },
        _ => Weight::Forbidden,
    }
}

/// A lock on a field locks those below it.
pub(crate) fn is_locked(name: &str, locks: &[String]) -> bool {
    let is_below = |above: &str| name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let excluded: Vec<&str> = locks.iter().filter_map(|lock| lock.strip_prefix('!')).collect();
    if locks.iter().any(|lock| lock == "*") {
        return !excluded.iter().any(|above| is_below(above));
    }
    locks.iter().any(|lock| is_below(lock))
}

/// The transform methods of a signature with their parameters.
fn transforms(view: View<'_>, signature: &Dictionary) -> Vec<(Vec<u8>, Dictionary)> {
    let references = view.array(signature, b"Reference");
    let read = |reference: &Value| {
        let reference = view.resolve(reference);
        let reference = reference.as_dictionary()?;
        let method = view.entry(reference, b"TransformMethod").as_name()?.to_vec();
        Some((method, view.dictionary(reference, b"TransformParams").unwrap_or_default()))
    };
    references.iter().take(16).filter_map(read).collect()
}

/// `/P` of a certification; 2 when it says nothing.
pub(crate) fn certifies(view: View<'_>, signature: &Dictionary) -> Option<u8> {
    let (_, parameters) = transforms(view, signature).into_iter().find(|(method, _)| method == b"DocMDP")?;
    let level = view.entry(&parameters, b"P").as_integer();
    Some(level.and_then(|level| u8::try_from(level).ok()).filter(|level| (1..=3).contains(level)).unwrap_or(2))
}

/// Fields that a signature dictionary itself locks one by one (`FieldMDP` with `Include`).
pub(crate) fn locked_by_name(view: View<'_>, signature: &Dictionary) -> Vec<String> {
    let parameters = transforms(view, signature).into_iter().filter(|(method, _)| method == b"FieldMDP");
    parameters.flat_map(|(_, parameters)| included(view, &parameters)).collect()
}

/// The names that transform parameters or a lock dictionary include.
pub(crate) fn included(view: View<'_>, lock: &Dictionary) -> Vec<String> {
    match view.entry(lock, b"Action").as_name() {
        Some(b"Include") => {
            view.array(lock, b"Fields").iter().filter_map(|name| view.resolve(name).as_text()).collect()
        }
        _ => vec![],
    }
}

/// Fields that a signature locks.
pub(crate) fn locks(view: View<'_>, signature: &Dictionary, field: &Field) -> Vec<String> {
    let mut found = vec![];
    let parameters = transforms(view, signature).into_iter().filter(|(method, _)| method == b"FieldMDP");
    let own = view.dictionary(&field.dictionary, b"Lock");
    for parameters in parameters.map(|(_, parameters)| parameters).chain(own) {
        let names = view.array(&parameters, b"Fields");
        let names: Vec<String> = names.iter().filter_map(|name| view.resolve(name).as_text()).collect();
        let action = view.entry(&parameters, b"Action");
        let more: Vec<String> = match action.as_name() {
            Some(b"Include") => names,
            Some(b"Exclude") => std::iter::once("*".to_owned()).chain(names.iter().map(|n| format!("!{n}"))).collect(),
            _ => vec!["*".to_owned()],
        };
        for lock in more {
            if !found.contains(&lock) {
                found.push(lock);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_certification_permits() {
        use Weight::{Expected, Forbidden, Permitted};
        let check = |kind: ChangeKind, detail: &str, expected: [Weight; 4]| {
            for (permits, expected) in [None, Some(1), Some(2), Some(3)].into_iter().zip(expected) {
                let rules = Rules { permits, locks: vec![] };
                assert_eq!(weigh(&Change::of(kind, detail), &rules), expected, "{kind:?} {detail} {permits:?}");
            }
        };
        check(ChangeKind::ValidationData, "", [Expected; 4]);
        check(ChangeKind::SignatureAdded, "b", [Expected, Forbidden, Expected, Expected]);
        check(ChangeKind::SealSlice, "b", [Expected, Forbidden, Expected, Expected]);
        check(ChangeKind::FormFilled, "x", [Forbidden, Forbidden, Permitted, Permitted]);
        check(ChangeKind::AnnotationAdded, "Text", [Forbidden, Forbidden, Forbidden, Permitted]);
        check(ChangeKind::AnnotationAdded, "Stamp", [Forbidden; 4]);
        check(ChangeKind::PageContent, "", [Forbidden; 4]);
        check(ChangeKind::OverlayAdded, "", [Forbidden; 4]);
    }

    #[test]
    fn locks_hold_for_fields_below() {
        let check = |locks: &[&str], name: &str, expected: bool| {
            let locks: Vec<String> = locks.iter().map(|lock| (*lock).to_owned()).collect();
            assert_eq!(is_locked(name, &locks), expected, "{locks:?} {name}");
        };
        check(&[], "a", false);
        check(&["*"], "a", true);
        check(&["a"], "a.b", true);
        check(&["a"], "ab", false);
        check(&["*", "!a"], "a.b", false);
        check(&["*", "!a"], "b", true);
    }
}
