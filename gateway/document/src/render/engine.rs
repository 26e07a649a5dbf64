//! Runs Typst: a closed world of templates, data and fonts, without file system or clock.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use jiff::Timestamp as Moment;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use serde_json::Value;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_kit::fonts::FontStore;
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use super::{RenderError, Rendered, layout};

/// Families that the templates use, all in Debian's fonts-noto-cjk.
const FAMILIES: [&str; 3] = ["Noto Serif CJK SC", "Noto Sans CJK SC", "Noto Sans Mono CJK SC"];
/// Most data for one document: some hundred pages.
pub(super) const MAX_DATA_BYTES: usize = 1 << 20;
const FONT_FOLDERS: [&str; 3] = ["/usr/share/fonts", "/usr/local/share/fonts", "/opt/fonts"];

/// What the PDF/A-3b file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A document that people read: tagged.
    Document,
    /// A drawing to be embedded in another PDF: without structure.
    Drawing,
}

/// One document to be rendered.
pub(crate) struct Job<'a> {
    /// The template's text.
    pub(crate) template: &'static str,
    /// What the template reads as `data.json`.
    pub(crate) data: Value,
    /// Further files that the template reads, by name.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    /// Stable identity of the document, for its PDF identifier.
    pub(crate) identity: &'a str,
    /// Creation time, milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// What it is for.
    pub(crate) purpose: Purpose,
}

struct Shared {
    library: LazyHash<Library>,
    fonts: FontStore,
}

fn shared() -> Result<&'static Shared, RenderError> {
    static SHARED: OnceLock<Result<Shared, &'static str>> = OnceLock::new();
    let loaded = SHARED.get_or_init(|| {
        let mut fonts = FontStore::new();
        for folder in FONT_FOLDERS.iter().map(Path::new).filter(|folder| folder.is_dir()) {
            fonts.extend(typst_kit::fonts::scan(folder));
        }
        for family in FAMILIES {
            if fonts.book().select_family(&family.to_lowercase()).next().is_none() {
                return Err(family);
            }
        }
        Ok(Shared { library: LazyHash::new(Library::default()), fonts })
    });
    loaded.as_ref().map_err(|family| RenderError::FontMissing(family))
}

struct ClosedWorld<'a> {
    shared: &'a Shared,
    main: Source,
    sources: HashMap<FileId, Source>,
    files: HashMap<FileId, Bytes>,
}

impl World for ClosedWorld<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.shared.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        self.shared.fonts.book()
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() {
            return Ok(self.main.clone());
        }
        self.sources.get(&id).cloned().ok_or_else(|| FileError::NotFound("source".into()))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.files.get(&id).cloned().ok_or_else(|| FileError::NotFound("file".into()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.shared.fonts.font(index)
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn file_id(name: &str) -> FileId {
    let path = VirtualPath::new(name).expect("names of template files are plain");
    RootedPath::new(VirtualRoot::Project, path).intern()
}

/// Renders one document and checks that all of it can be read.
pub(crate) fn render(job: Job<'_>) -> Result<Rendered, RenderError> {
    let data = serde_json::to_vec(&job.data).expect("a JSON value can be written");
    if data.len() > MAX_DATA_BYTES {
        return Err(RenderError::TooLarge(data.len()));
    }
    let mut files: HashMap<FileId, Bytes> =
        job.files.into_iter().map(|(name, bytes)| (file_id(name), Bytes::new(bytes))).collect();
    files.insert(file_id("data.json"), Bytes::new(data));
    let style = Source::new(file_id("style.typ"), include_str!("../../templates/style.typ").into());
    let world = ClosedWorld {
        shared: shared()?,
        main: Source::new(file_id("main.typ"), job.template.into()),
        sources: HashMap::from([(style.id(), style)]),
        files,
    };
    let compiled = typst::compile::<PagedDocument>(&world).output.map_err(|errors| template_error(&world, &errors));
    let result = compiled.and_then(|document| {
        layout::check(&document)?;
        let anchors = layout::anchors(&document);
        let pdf = typst_pdf::pdf(&document, &options(job.identity, job.created_ms, job.purpose)?)
            .map_err(|errors| template_error(&world, &errors))?;
        Ok(Rendered { pdf, pages: document.pages().len(), anchors })
    });
    // Typst remembers intermediate results; keep those of the last few documents only.
    typst::comemo::evict(5);
    result
}

fn options(identity: &str, created_ms: i64, purpose: Purpose) -> Result<PdfOptions, RenderError> {
    let standards =
        PdfStandards::new(&[PdfStandard::A_3b]).map_err(|error| RenderError::Template(format!("{error:?}")))?;
    let time = moment(created_ms)?.to_zoned(TimeZone::UTC);
    let part = |value: i8| u8::try_from(value).unwrap_or(0);
    let date = Datetime::from_ymd_hms(
        i32::from(time.year()),
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second()),
    )
    .ok_or(RenderError::Time(created_ms))?;
    Ok(PdfOptions {
        ident: Smart::Custom(identity.to_owned()),
        creator: Smart::Custom(Some("Qizheng 契证".into())),
        timestamp: Some(Timestamp::new_utc(date)),
        standards,
        tagged: purpose == Purpose::Document,
        ..PdfOptions::default()
    })
}

fn template_error(world: &ClosedWorld<'_>, errors: &[SourceDiagnostic]) -> RenderError {
    let line = |error: &SourceDiagnostic| {
        let hints = error.hints.iter().map(|hint| format!(" ({})", hint.v)).collect::<String>();
        format!("{}{hints} at {:?} of {:?}", error.message, error.span, world.main.id())
    };
    RenderError::Template(errors.iter().map(line).collect::<Vec<_>>().join("; "))
}

fn moment(time_ms: i64) -> Result<Moment, RenderError> {
    match Moment::from_millisecond(time_ms) {
        Ok(moment) if time_ms >= 0 => Ok(moment),
        _ => Err(RenderError::Time(time_ms)),
    }
}

/// `data` as JSON in which each `name_ms` number is joined by `name`, the time in China as text.
pub(crate) fn with_times(data: &impl Serialize) -> Result<Value, RenderError> {
    let mut value = serde_json::to_value(data).map_err(|error| RenderError::Template(error.to_string()))?;
    add_times(&mut value)?;
    Ok(value)
}

fn add_times(value: &mut Value) -> Result<(), RenderError> {
    match value {
        Value::Array(members) => members.iter_mut().try_for_each(add_times),
        Value::Object(members) => {
            let mut texts = Vec::new();
            for (key, member) in members.iter_mut() {
                match (key.strip_suffix("_ms"), member.as_i64()) {
                    (Some(name), Some(time_ms)) => {
                        let local = moment(time_ms)?.to_zoned(TimeZone::fixed(Offset::constant(8)));
                        texts.push((name.to_owned(), local.strftime("%Y-%m-%d %H:%M:%S").to_string()));
                    }
                    _ => add_times(member)?,
                }
            }
            members.extend(texts.into_iter().map(|(name, text)| (name, Value::String(text))));
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_become_text_in_china_standard_time() {
        let data = serde_json::json!({ "a": [{ "at_ms": 1_767_225_600_000_i64 }], "items": 3 });
        let data = with_times(&data).unwrap();
        assert_eq!(data["a"][0]["at"], "2026-01-01 08:00:00");
        assert_eq!(data["items"], 3);
        assert!(matches!(with_times(&serde_json::json!({ "at_ms": -1 })), Err(RenderError::Time(-1))));
    }
}
