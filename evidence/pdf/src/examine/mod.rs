//! Examines any PDF: every signature, what it covers, who signed, and what was changed after it.
//!
//! Pure and bounded in size, depth and steps. It says nothing about the contents' meaning, and fetches
//! nothing: revocation is judged by what the file brings along.

mod locate;
pub(crate) mod permission;
mod report;
mod trust;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use qz_evidence::verify::Note;
use sha2::{Digest, Sha256};

pub use report::{
    DocumentReport, DocumentVerdict, LaterChange, Placement, RevisionReport, RevocationData, SignatureReport,
    SignatureStatus, TimestampReport, Trust, Weight,
};
pub use trust::{RootsError, TrustedRoots};

use crate::PdfReadError;
use crate::certificate::certificate_facts;
use crate::cms::{CmsError, Profile, unpadded, verify};
use crate::difference::{Change, ChangeKind, changes};
use crate::file::value::{Dictionary, Value};
use crate::file::{PdfFile, View};
use crate::model::{Field, Model};
use crate::scan;
use crate::signatures::SignatureKind;
use locate::{Located, locate};
use permission::{Rules, weigh};
use trust::Stored;

/// A seal that covers more of a page than this is something laid over it.
const MAX_SEAL_SHARE: f64 = 0.25;

/// Examines a file; never panics, and always has an answer.
pub fn examine(pdf: &[u8], trusted: &TrustedRoots) -> DocumentReport {
    // lopdf's text decoding and the DER readers are foreign code fed with hostile bytes.
    let found = catch_unwind(AssertUnwindSafe(|| examined(pdf, trusted)))
        .unwrap_or_else(|_| Err(PdfReadError::Malformed("the reader gave up".to_owned())));
    found.unwrap_or_else(|error| {
        let mut report = empty(pdf);
        report.verdict = DocumentVerdict::Undetermined;
        report.words = report.verdict.words();
        report.problems.push(sentence(&error));
        report
    })
}

/// Errors say it in Chinese, a slash, and English.
fn sentence(error: &impl ToString) -> Note {
    let text = error.to_string();
    match text.split_once(" / ") {
        Some((zh, en)) => Note::new(zh, en),
        None => Note::new(text.clone(), text),
    }
}

fn empty(pdf: &[u8]) -> DocumentReport {
    DocumentReport {
        kind: "pdf",
        verdict: DocumentVerdict::Unsigned,
        words: DocumentVerdict::Unsigned.words(),
        problems: vec![],
        size: pdf.len(),
        sha256: hex(&Sha256::digest(pdf)),
        pages: 0,
        revisions: vec![],
        signatures: vec![],
        warnings: vec![],
    }
}

/// Can the newest revision be examined: its structure, page tree and form? Nobody should sign what a later
/// examination cannot read.
///
/// # Errors
/// When it cannot.
pub fn readable(pdf: &[u8]) -> Result<(), PdfReadError> {
    let read = || {
        let file = PdfFile::open(pdf)?;
        Model::read(file.last()).map(|_| ())
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(PdfReadError::Malformed("the reader gave up".to_owned())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn examined(pdf: &[u8], trusted: &TrustedRoots) -> Result<DocumentReport, PdfReadError> {
    let file = PdfFile::open(pdf)?;
    let models = (0..file.revisions.len()).map(|i| Model::read(file.view(i))).collect::<Vec<_>>();
    let last = models.len() - 1;
    // The newest state must be readable; an older one that is not shows as a change.
    let model = match &models[last] {
        Ok(model) => model,
        Err(error) => return Err(PdfReadError::Malformed(error.to_string())),
    };
    let stored = Stored::read(file.last(), &model.catalog);
    let mut found: Vec<Found> = vec![];
    for field in model.fields.iter().filter(|field| field.is_signature()) {
        if let Some(located) = locate(&file, file.last(), field) {
            found.push(Found::new(&file, &models, field, located, &stored, trusted));
        }
    }
    found.extend(removed(&file, &models, &stored, trusted));
    found.sort_by_key(|one| (one.report.revision.unwrap_or(usize::MAX), one.end));
    let updates = updates(&file, &models, &found);
    judge(&mut found, &updates);
    let mut report = empty(pdf);
    report.pages = model.pages.len();
    report.revisions = file
        .revisions
        .iter()
        .enumerate()
        .map(|(index, revision)| RevisionReport {
            number: index + 1,
            start: revision.place.start,
            end: revision.place.end,
            signed_by: found
                .iter()
                .filter(|one| one.report.revision == Some(index + 1))
                .map(|one| one.report.field.clone())
                .collect(),
        })
        .collect();
    let problems = file.problems();
    let missing = problems.iter().take(20).map(|(number, reason)| {
        Note::new(format!("对象 {number} 无法读取（{reason}）"), format!("object {number} cannot be read ({reason})"))
    });
    report.problems.extend(missing);
    if file.is_exhausted() {
        report.problems.push(Note::new("文件过于复杂，未能全部检查", "the file is too complex to be checked wholly"));
    }
    report.signatures = found.into_iter().map(|one| one.report).collect();
    report.verdict = verdict(&report, trusted, file.is_exhausted());
    report.words = report.verdict.words();
    // Last, since it may use up what is left of the limits.
    report.warnings = scan::warnings(&file, model);
    Ok(report)
}

fn verdict(report: &DocumentReport, trusted: &TrustedRoots, is_exhausted: bool) -> DocumentVerdict {
    let worst = report.signatures.iter().map(|signature| signature.status).max();
    let is_revoked = report.signatures.iter().any(|one| matches!(one.trust, Trust::Revoked { .. } | Trust::WrongUse));
    let all_trusted = trusted.are_given()
        && report.signatures.iter().all(|one| match one.kind {
            SignatureKind::DocumentTimestamp => true,
            _ => matches!(one.trust, Trust::Trusted { .. }),
        })
        && report.signatures.iter().any(|one| one.kind != SignatureKind::DocumentTimestamp);
    match worst {
        Some(SignatureStatus::Broken) => DocumentVerdict::Invalid,
        _ if is_revoked => DocumentVerdict::Invalid,
        Some(SignatureStatus::Unsupported) => DocumentVerdict::Undetermined,
        Some(SignatureStatus::Changed) => DocumentVerdict::Changed,
        _ if is_exhausted => DocumentVerdict::Undetermined,
        Some(SignatureStatus::Caution) => DocumentVerdict::Caution,
        Some(SignatureStatus::Intact) if all_trusted => DocumentVerdict::Valid,
        Some(SignatureStatus::Intact) => DocumentVerdict::Intact,
        None => DocumentVerdict::Unsigned,
    }
}

/// A signature with what judging needs.
struct Found {
    report: SignatureReport,
    /// Index of its revision.
    index: Option<usize>,
    /// Behind the last covered byte.
    end: usize,
    /// Share of the page that it covers, at most.
    share: f64,
    /// Index of the first revision that has the field in this place: what was there before a signature, its
    /// signer has seen.
    since: usize,
}

impl Found {
    fn new(
        file: &PdfFile<'_>, models: &[Result<Model, PdfReadError>], field: &Field, located: Located, stored: &Stored,
        trusted: &TrustedRoots,
    ) -> Self {
        let view = file.last();
        let dictionary = &located.dictionary;
        let text = |key: &[u8]| view.entry(dictionary, key).as_text();
        let format = dictionary.name(b"SubFilter").unwrap_or_default().to_vec();
        let permits = permission::certifies(view, dictionary);
        let kind = match format.as_slice() {
            b"ETSI.RFC3161" => SignatureKind::DocumentTimestamp,
            _ if permits.is_some() => SignatureKind::Certification,
            _ => SignatureKind::Approval,
        };
        let mut report = SignatureReport {
            field: field.name.clone(),
            kind,
            format: String::from_utf8_lossy(&format).into_owned(),
            revision: located.revision.map(|index| index + 1),
            byte_range: located.byte_range.clone(),
            covers_whole_file: false,
            status: SignatureStatus::Broken,
            words: Note::new("", ""),
            problems: vec![],
            signer: None,
            certificate: vec![],
            digest: None,
            algorithm: None,
            claimed_time: text(b"M"),
            timestamp: None,
            trust: Trust::NoRootGiven,
            trust_words: Note::new("", ""),
            revocation: RevocationData { lists: stored.lists.len(), ocsp: stored.ocsp.len() },
            name: text(b"Name"),
            reason: text(b"Reason"),
            location: text(b"Location"),
            permits,
            locks: permission::locks(view, dictionary, field),
            placements: vec![],
            later: vec![],
        };
        let mut end = usize::MAX;
        match &located.covered {
            Err(problem) => report.problems.push(problem.clone()),
            Ok(covered) => {
                end = covered.parts[1].end;
                report.covers_whole_file = file.bytes[end..].iter().all(u8::is_ascii_whitespace);
                let parts = covered.parts.clone().map(|place| &file.bytes[place]);
                report.digest = Some(hex(&Sha256::new().chain_update(parts[0]).chain_update(parts[1]).finalize()));
                check(&mut report, &covered.contents, &parts, stored, trusted);
                if !stands_in_its_revision(file, models, field, &located) {
                    report.problems.push(Note::new(
                        "签名域在签署时并不存在，签名被移到了别处",
                        "the field did not hold this signature when it was made: it was moved",
                    ));
                }
            }
        }
        report.trust_words = report.trust.words();
        let mut share: f64 = 0.0;
        if let Some(Ok(model)) = models.last() {
            // The slices of a cross-page seal are fields of their own, which the signature locks.
            let names = permission::locked_by_name(view, dictionary);
            let slices = names.iter().filter_map(|name| model.field(name)).filter(|slice| slice.is_push_button(view));
            let shown = field.all_widgets().chain(slices.flat_map(Field::all_widgets));
            for (id, widget) in shown {
                let Some(page) = model.page_of(id, widget) else { continue };
                let Some(rectangle) = rectangle(view, widget, b"Rect") else { continue };
                let area = |[a, b, c, d]: [f64; 4]| ((c - a) * (d - b)).abs();
                if area(rectangle) <= 0.0 {
                    continue;
                }
                let page_box = rectangle_of_page(view, &model.pages[page].attributes);
                share = share.max(area(rectangle) / page_box.map_or(1.0, area).max(1.0));
                report.placements.push(Placement { page: page + 1, rectangle });
            }
        }
        report.status = match report.status {
            _ if report.problems.is_empty() => SignatureStatus::Intact,
            // Nothing else speaks against it.
            SignatureStatus::Unsupported if report.problems.len() == 1 => SignatureStatus::Unsupported,
            _ => SignatureStatus::Broken,
        };
        let since = models.iter().position(|model| model.as_ref().is_ok_and(|model| has_place(model, field)));
        Self { report, index: located.revision, end, share, since: since.unwrap_or(usize::MAX) }
    }
}

/// Is there a field of this name with the same rectangles?
fn has_place(model: &Model, field: &Field) -> bool {
    let places = |field: &Field| -> Vec<Option<Value>> {
        field.all_widgets().map(|(_, widget)| widget.get(b"Rect").cloned()).collect()
    };
    model.field(&field.name).is_some_and(|then| places(then) == places(field))
}

fn rectangle(view: View<'_>, dictionary: &Dictionary, key: &[u8]) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = view.array(dictionary, key).iter().filter_map(|n| view.resolve(n).as_number()).collect();
    numbers.try_into().ok()
}

fn rectangle_of_page(view: View<'_>, page: &Dictionary) -> Option<[f64; 4]> {
    rectangle(view, page, b"CropBox").or_else(|| rectangle(view, page, b"MediaBox"))
}

/// The CMS object or timestamp, into the report.
fn check(report: &mut SignatureReport, contents: &[u8], parts: &[&[u8]; 2], stored: &Stored, trusted: &TrustedRoots) {
    if report.kind == SignatureKind::DocumentTimestamp {
        let found = match unpadded(contents) {
            Ok(token) => trust::timestamp(token, parts, stored, trusted),
            Err(error) => {
                report.problems.push(sentence(&error));
                return;
            }
        };
        if let Some(problem) = &found.problem {
            report.problems.push(sentence(problem));
        }
        report.timestamp = Some(found);
        return;
    }
    let profile = match report.format.as_str() {
        "ETSI.CAdES.detached" => Profile::Cades,
        "adbe.pkcs7.detached" => Profile::Pkcs7,
        other => {
            report.status = SignatureStatus::Unsupported;
            report.problems.push(sentence(&CmsError::Unsupported(other.to_owned())));
            return;
        }
    };
    let (outcome, result) = verify(contents, parts, profile);
    if let Err(error) = result {
        if matches!(error, CmsError::Unsupported(_)) {
            report.status = SignatureStatus::Unsupported;
        }
        report.problems.push(sentence(&error));
    }
    report.signer = certificate_facts(&outcome.certificate).ok();
    report.algorithm = (!outcome.algorithm.is_empty()).then(|| outcome.algorithm.clone());
    report.revocation.lists += outcome.lists.len();
    report.revocation.ocsp += outcome.ocsp.len();
    if let Some(token) = &outcome.timestamp {
        report.timestamp = Some(trust::timestamp(token, &[&outcome.signature], stored, trusted));
    }
    let stamped_ms = report.timestamp.as_ref().filter(|stamp| stamp.trusted).and_then(|stamp| stamp.time_ms);
    if !outcome.certificate.is_empty() {
        report.trust = trust::chain(&outcome, stored, trusted, stamped_ms);
    }
    report.certificate = outcome.certificate;
}

/// Did the field hold this very signature in the revision that it covers?
fn stands_in_its_revision(
    file: &PdfFile<'_>, models: &[Result<Model, PdfReadError>], field: &Field, located: &Located,
) -> bool {
    let Some(index) = located.revision else { return false };
    let Some(Ok(model)) = models.get(index) else { return false };
    let place = |view: View<'_>, field: &Field| {
        let value = field.value.as_ref()?;
        let id = value.as_reference().or(field.id)?;
        Some((value.as_reference().is_some(), view.offset(id)?))
    };
    let then = model.field(&field.name).and_then(|then| place(file.view(index), then));
    then.is_some()
        && (then == place(file.last(), field) || field.value.as_ref().and_then(Value::as_reference).is_none())
}

/// Signatures of older revisions that the newest one no longer has.
fn removed(
    file: &PdfFile<'_>, models: &[Result<Model, PdfReadError>], stored: &Stored, trusted: &TrustedRoots,
) -> Vec<Found> {
    let Some((Ok(last), before)) = models.split_last() else { return vec![] };
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (index, model) in before.iter().enumerate() {
        let Ok(model) = model else { continue };
        for field in model.fields.iter().filter(|field| field.is_signature()) {
            let is_there = last.field(&field.name).is_some_and(|now| now.value.is_some());
            if is_there || found.contains_key(&field.name) {
                continue;
            }
            let Some(located) = locate(file, file.view(index), field) else { continue };
            let mut one = Found::new(file, models, field, located, stored, trusted);
            one.report.status = SignatureStatus::Broken;
            one.report.problems.push(Note::new("签名已被后来的更新移除", "a later update took the signature away"));
            found.insert(field.name.clone(), one);
        }
    }
    found.into_values().collect()
}

/// Changes by revision index, from the first one behind a signature on.
fn updates(
    file: &PdfFile<'_>, models: &[Result<Model, PdfReadError>], found: &[Found],
) -> BTreeMap<usize, Vec<Change>> {
    let Some(first) = found.iter().filter_map(|one| one.index).min() else { return BTreeMap::new() };
    let mut updates = BTreeMap::new();
    for index in first + 1..models.len() {
        let list = match (&models[index - 1], &models[index]) {
            (Ok(old), Ok(new)) => changes(file, (file.view(index - 1), old), (file.view(index), new), index),
            (Err(error), _) | (_, Err(error)) => vec![Change::of(ChangeKind::Unreadable, error.to_string())],
        };
        updates.insert(index, list);
    }
    if let Some(tail) = file.tail() {
        let detail = format!("{}–{}", tail.start, tail.end);
        updates.entry(models.len()).or_default().push(Change::of(ChangeKind::StrayBytes, detail));
    }
    updates
}

/// Weighs what came after each signature.
fn judge(found: &mut [Found], updates: &BTreeMap<usize, Vec<Change>>) {
    let permits = found.iter().filter_map(|one| Some((one.index?, one.report.permits?))).min().map(|(_, p)| p);
    // A picture that comes as a signature: not a valid one, or so large that it covers the text. The latter counts
    // only where the place was not there before: since which revision is said.
    let overlays: Vec<(String, usize)> = found
        .iter()
        .filter(|one| !one.report.placements.is_empty())
        .filter_map(|one| {
            let is_false = one.report.status == SignatureStatus::Broken;
            let since = if is_false { usize::MAX } else { one.since };
            // A certified document is signed in the fields that it came with (ISO 32000-1 table 254).
            (is_false || permits.is_some() || one.share > MAX_SEAL_SHARE).then(|| (one.report.field.clone(), since))
        })
        .collect();
    for one in found.iter_mut() {
        let Some(index) = one.index else {
            one.report.words = words(one);
            continue;
        };
        let rules = Rules { permits, locks: one.report.locks.clone() };
        for (revision, changes) in updates.range(index + 1..) {
            for change in changes {
                let mut change = change.clone();
                let is_overlay = change.kind == ChangeKind::SignatureAdded
                    && overlays.iter().any(|(name, since)| change.detail.as_ref() == Some(name) && *since > index);
                if is_overlay {
                    change.kind = ChangeKind::OverlayAdded;
                }
                let weight = weigh(&change, &rules);
                let words = change.words();
                one.report.later.push(LaterChange { revision: revision + 1, weight, change, words });
            }
        }
        if one.report.status == SignatureStatus::Intact {
            one.report.status = match one.report.later.iter().map(|later| later.weight).max() {
                Some(Weight::Forbidden) => SignatureStatus::Changed,
                Some(Weight::Permitted) => SignatureStatus::Caution,
                Some(Weight::Expected) | None => SignatureStatus::Intact,
            };
        }
        one.report.words = words(one);
    }
}

fn words(one: &Found) -> Note {
    let is_stamp = one.report.kind == SignatureKind::DocumentTimestamp;
    let (zh, en) = match one.report.status {
        SignatureStatus::Intact if one.report.later.is_empty() => {
            ("完好，此后没有任何改动", "intact, nothing came later")
        }
        SignatureStatus::Intact => ("完好，此后只有签署所需的追加内容", "intact, later only what belongs to signing"),
        SignatureStatus::Caution => {
            ("完好，此后有被许可的可见改动", "intact, permitted but visible changes came later")
        }
        SignatureStatus::Changed => {
            ("签署时完好，但此后文件被改动", "intact when signed, but the file was changed later")
        }
        SignatureStatus::Unsupported => {
            ("使用了不支持的算法或格式，无法核验", "an algorithm or format is not supported")
        }
        SignatureStatus::Broken => ("无效", "does not hold"),
    };
    match is_stamp {
        true => Note::new(format!("时间戳{zh}"), format!("timestamp {en}")),
        false => Note::new(format!("签名{zh}"), format!("signature {en}")),
    }
}

/// Do only validation data and document timestamps follow the last signature (ETSI EN 319 142-1, B-LT and
/// B-LTA), all of them well-formed and of the form of `docs/SPEC.md` §11a? False when there is no signature.
pub fn only_validation_data_follows(pdf: &[u8]) -> bool {
    let report = examine(pdf, &TrustedRoots::default());
    let is_signer = |one: &&SignatureReport| one.kind != SignatureKind::DocumentTimestamp;
    let harmless =
        |later: &LaterChange| matches!(later.change.kind, ChangeKind::ValidationData | ChangeKind::TimestampAdded);
    let Some(last) = report.signatures.iter().rfind(is_signer) else { return false };
    // Something must follow at all, and nothing behind it but the line end of its marker.
    let end = report.revisions.last().map_or(pdf.len(), |revision| revision.end);
    let is_closed = matches!(pdf.get(end..), Some(b"" | b"\n" | b"\r" | b"\r\n"));
    let is_harmless = report.verdict.holds() && !last.later.is_empty() && last.later.iter().all(harmless);
    let has_form = |signed: usize| {
        PdfFile::open(pdf)
            .is_ok_and(|file| crate::updates::only_validation_data(&file, signed - 1) && !file.is_exhausted())
    };
    is_closed && is_harmless && last.revision.is_some_and(has_form)
}
