//! Controlled print copies 防伪打印: a PDF that looks like the signed one with its seals, says on every page that it is
//! a copy, whose and which one, and leads to where it can be verified.
//!
//! The copy is a new file, not an update: form, signatures, validation data and attachments are left behind, and what
//! the seals show becomes part of the page. So no reader can take it for a signed document.

use std::collections::{BTreeMap, HashMap};

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::Serialize;

use crate::POINTS_PER_MM;
use crate::appearance::{self, ImprintError};
use crate::inspect::{Inspected, Pdf, PdfError, number};
use crate::page::{self, PageBox, Rectangle};
use crate::render::{Job, Purpose, RenderError, render, with_times};
use crate::update::{Update, UpdateError};

/// Height of the strip that every page gets at its foot.
const STRIP_MM: f64 = 22.0;
/// Narrowest page that has room for the strip's text.
const LEAST_WIDTH_MM: f64 = 120.0;
/// Most annotations of a page that are looked at.
const MAX_ANNOTATIONS: usize = 10_000;
/// Hidden and NoView.
const UNSEEN: i64 = 2 | 32;

/// Why a copy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The PDF is refused.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// A page is too narrow for what is printed on it.
    #[error(
        "第 {page} 页宽度不足 {LEAST_WIDTH_MM} mm，放不下打印标识 / page {page} is too narrow for the marks of a copy: less than {LEAST_WIDTH_MM} mm"
    )]
    TooNarrow {
        /// Page, from 1.
        page: usize,
    },
    /// A page's content is encoded in a way that cannot be copied.
    #[error("第 {page} 页内容的编码不支持（{filter}）/ the content of page {page} is encoded with {filter}")]
    Encoding {
        /// Page, from 1.
        page: usize,
        /// The filter.
        filter: String,
    },
    /// The marks cannot be drawn.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The marks cannot be put on a page.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// The file cannot be extended.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The copy cannot be written.
    #[error("打印件无法生成 / the copy cannot be written: {0}")]
    Write(String),
}

/// What every page of a copy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyMark {
    /// What the copy is looked up by.
    pub code: String,
    /// Which copy of this document, from 1.
    pub number: u64,
    /// For whom it was made.
    pub printed_for: String,
    /// What for.
    pub purpose: String,
    /// When, milliseconds since 1970; shown in China Standard Time with its zone.
    pub made_ms: i64,
    /// Who keeps the original and the print log.
    pub issuer: String,
    /// SHA-256 of the signed file, hexadecimal.
    pub source_sha256: String,
    /// Where the copy is looked up: the QR code.
    pub verify_url: String,
}

/// Makes the copy. The marks are part of the pages; the pages keep their size and get a strip below.
///
/// # Errors
/// When the file is refused or a page cannot take the marks.
pub fn print_copy(pdf: &[u8], mark: &CopyMark) -> Result<Vec<u8>, CopyError> {
    let inspected = Pdf::open(pdf)?;
    let mut update = Update::new(pdf, &inspected.document)?;
    let mut marks = Marks { mark, forms: HashMap::new() };
    for (index, (id, page)) in inspected.pages.iter().enumerate() {
        let overlay = marks.form(&mut update, page, index + 1)?;
        copy_page(&inspected, &mut update, index + 1, *id, page, overlay)?;
    }
    let root = update.root()?;
    let old = update.get_dictionary(root)?;
    let mut catalog = Dictionary::new();
    for key in ["Type", "Pages", "Lang", "PageLabels"] {
        if let Ok(value) = old.get(key.as_bytes()) {
            catalog.set(key, value.clone());
        }
    }
    update.set(root, Object::Dictionary(catalog));
    let title = format!("打印件 第 {} 份 {}", mark.number, mark.code);
    let mut info = Dictionary::new();
    info.set("Title", lopdf::text_string(&title));
    info.set("Producer", lopdf::text_string("Qizheng 契证"));
    let info = update.add(info)?;
    rewritten(&update.write()?.bytes, info)
}

/// The same objects as a file of one revision, without those that nothing leads to any more.
fn rewritten(updated: &[u8], info: ObjectId) -> Result<Vec<u8>, CopyError> {
    let failed = |error: &dyn ToString| CopyError::Write(error.to_string());
    let mut document =
        Document::load_mem_with_options(updated, LoadOptions::default()).map_err(|error| failed(&error))?;
    let root = document.trailer.get(b"Root").map_err(|error| failed(&error))?.clone();
    document.trailer = Dictionary::new();
    document.trailer.set("Root", root);
    document.trailer.set("Info", info);
    document.prune_objects();
    document.renumber_objects();
    let mut out = Vec::new();
    document.save_to(&mut out).map_err(|error| failed(&error))?;
    Ok(out)
}

/// The marks, drawn once for pages of the same size and direction.
struct Marks<'a> {
    mark: &'a CopyMark,
    forms: HashMap<(u64, u64, [i64; 6]), ObjectId>,
}

impl Marks<'_> {
    fn form(&mut self, update: &mut Update<'_>, page: &PageBox, number: usize) -> Result<ObjectId, CopyError> {
        let size = page.displayed_size();
        let (width_mm, height_mm) = (size.width / POINTS_PER_MM, size.height / POINTS_PER_MM);
        if width_mm < LEAST_WIDTH_MM {
            return Err(CopyError::TooNarrow { page: number });
        }
        let matrix = page.upright_matrix();
        let key = (width_mm.to_bits(), height_mm.to_bits(), matrix);
        if let Some(form) = self.forms.get(&key) {
            return Ok(*form);
        }
        let drawn = self.draw(width_mm, height_mm)?;
        let form = appearance::embed(update, &drawn, matrix)?;
        self.forms.insert(key, form);
        Ok(form)
    }

    fn draw(&self, width_mm: f64, height_mm: f64) -> Result<Vec<u8>, RenderError> {
        let code = QrCode::with_error_correction_level(&self.mark.verify_url, EcLevel::M)
            .map_err(RenderError::QrCode)?
            .render::<svg::Color<'_>>()
            .quiet_zone(false)
            .build();
        let mut data = with_times(self.mark)?;
        data["width_mm"] = width_mm.into();
        data["height_mm"] = height_mm.into();
        data["strip_mm"] = STRIP_MM.into();
        let rendered = render(Job {
            template: include_str!("../templates/copy.typ"),
            data,
            files: BTreeMap::from([("qr.svg", code.into_bytes())]),
            identity: &format!("print-copy/{}", self.mark.code),
            created_ms: self.mark.made_ms,
            purpose: Purpose::Drawing,
        })?;
        Ok(rendered.pdf)
    }
}

/// The page as it was shown, its widgets drawn, the marks on top and the strip below.
fn copy_page(
    inspected: &Inspected, update: &mut Update<'_>, number: usize, id: ObjectId, page: &PageBox, overlay: ObjectId,
) -> Result<(), CopyError> {
    let document = &inspected.document;
    let size = page.displayed_size();
    let strip = STRIP_MM * POINTS_PER_MM;
    let visible = page.place(0.0, 0.0, size.width, size.height);
    let whole = page.place(0.0, -strip, size.width, size.height + strip);

    let mut forms = Dictionary::new();
    forms.set("QzPage", content_form(document, update, number, id, &visible)?);
    let mut content = "q /QzPage Do Q\n".to_owned();
    for (index, (appearance, place)) in widgets(document, id).into_iter().enumerate() {
        let Some(matrix) = placing(document, appearance, &place) else { continue };
        let name = format!("QzField{index}");
        content += &format!("q {matrix} cm /{name} Do Q\n");
        forms.set(name, appearance);
    }
    let bounds = [0.0, 0.0, size.width, size.height + strip];
    let turned = transformed(&bounds, &page.upright_matrix().map(|value| value as f64));
    content += &format!("q {} cm /QzCopy Do Q\n", fitting(&turned, &whole));
    forms.set("QzCopy", overlay);

    let old = update.get_dictionary(id)?;
    let mut new = Dictionary::new();
    for key in ["Type", "Parent", "UserUnit"] {
        if let Ok(value) = old.get(key.as_bytes()) {
            new.set(key, value.clone());
        }
    }
    if let Some(turn) = page::inherited(document, id, b"Rotate") {
        new.set("Rotate", turn.clone());
    }
    let sides = whole.map(|side| Object::Real(side as f32)).to_vec();
    new.set("MediaBox", sides.clone());
    new.set("CropBox", sides);
    let mut resources = Dictionary::new();
    resources.set("XObject", forms);
    new.set("Resources", resources);
    new.set("Contents", update.add(Stream::new(Dictionary::new(), content.into_bytes()))?);
    update.set(id, Object::Dictionary(new));
    Ok(())
}

/// What the page drew itself, as one form: unbalanced operators in it reach no further.
fn content_form(
    document: &Document, update: &mut Update<'_>, number: usize, id: ObjectId, visible: &Rectangle,
) -> Result<ObjectId, CopyError> {
    const DECODED: [&[u8]; 3] = [b"FlateDecode", b"LZWDecode", b"ASCII85Decode"];
    for content in document.get_page_contents(id) {
        let filters = document.get_object(content).and_then(Object::as_stream).and_then(Stream::filters);
        if let Some(filter) = filters.into_iter().flatten().find(|filter| !DECODED.contains(filter)) {
            let filter = String::from_utf8_lossy(filter).into_owned();
            return Err(CopyError::Encoding { page: number, filter });
        }
    }
    let mut form = Dictionary::new();
    form.set("Type", Object::Name(b"XObject".to_vec()));
    form.set("Subtype", Object::Name(b"Form".to_vec()));
    form.set("BBox", visible.map(|side| Object::Real(side as f32)).to_vec());
    let resources = page::inherited(document, id, b"Resources").cloned();
    form.set("Resources", resources.unwrap_or_else(|| Dictionary::new().into()));
    if let Ok(group) = document.get_dictionary(id).and_then(|page| page.get(b"Group")) {
        form.set("Group", group.clone());
    }
    let mut stream = Stream::new(form, document.get_page_content(id));
    stream.compress().map_err(|error| CopyError::Write(error.to_string()))?;
    Ok(update.add(stream)?)
}

/// Appearances and places of the widgets that can be seen on a page.
fn widgets(document: &Document, page: ObjectId) -> Vec<(ObjectId, Rectangle)> {
    let annotations = || document.get_dictionary(page).ok()?.get_deref(b"Annots", document).ok()?.as_array().ok();
    let widget = |annotation: &Object| {
        let widget = document.dereference(annotation).ok()?.1.as_dict().ok()?;
        let kind = widget.get_deref(b"Subtype", document).and_then(Object::as_name).ok()?;
        let flags = widget.get_deref(b"F", document).and_then(Object::as_i64).unwrap_or(0);
        if kind != b"Widget" || flags & UNSEEN != 0 {
            return None;
        }
        let states = widget.get_deref(b"AP", document).ok()?.as_dict().ok()?;
        let mut normal = states.get(b"N").ok()?;
        // One appearance for each state, such as that of a check box.
        if let Ok(choices) = document.dereference(normal).ok()?.1.as_dict() {
            let state = widget.get_deref(b"AS", document).and_then(Object::as_name).ok()?;
            normal = choices.get(state).ok()?;
        }
        Some((normal.as_reference().ok()?, rectangle(document, widget, b"Rect")?))
    };
    annotations().into_iter().flatten().take(MAX_ANNOTATIONS).filter_map(widget).collect()
}

fn rectangle(document: &Document, dictionary: &Dictionary, key: &[u8]) -> Option<Rectangle> {
    let sides = dictionary.get_deref(key, document).ok()?.as_array().ok()?;
    let sides: Vec<f64> = sides.iter().filter_map(|side| number(document.dereference(side).ok()?.1)).collect();
    match sides[..] {
        [a, b, c, d] => Some([a.min(c), b.min(d), a.max(c), b.max(d)]),
        _ => None,
    }
}

/// The matrix that puts an appearance into its rectangle (ISO 32000-1 §12.5.5, algorithm 8.1).
fn placing(document: &Document, appearance: ObjectId, place: &Rectangle) -> Option<String> {
    let form = &document.get_object(appearance).ok()?.as_stream().ok()?.dict;
    let bounds = rectangle(document, form, b"BBox")?;
    let matrix = match form.get_deref(b"Matrix", document).and_then(Object::as_array) {
        Ok(values) => {
            let values: Vec<f64> = values.iter().filter_map(number).collect();
            <[f64; 6]>::try_from(values).ok()?
        }
        Err(_) => [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
    };
    let turned = transformed(&bounds, &matrix);
    let seen = turned[2] - turned[0] > 0.0 && turned[3] - turned[1] > 0.0 && place[2] > place[0] && place[3] > place[1];
    seen.then(|| fitting(&turned, place))
}

/// The box around a rectangle after a transformation.
fn transformed(bounds: &Rectangle, matrix: &[f64; 6]) -> Rectangle {
    let [a, b, c, d, e, f] = matrix;
    let corners = [(0, 1), (2, 1), (0, 3), (2, 3)].map(|(x, y)| {
        let (x, y) = (bounds[x], bounds[y]);
        (a * x + c * y + e, b * x + d * y + f)
    });
    let fold = |value: fn(&(f64, f64)) -> f64, pick: fn(f64, f64) -> f64| {
        corners.iter().map(value).reduce(pick).unwrap_or_default()
    };
    [fold(|c| c.0, f64::min), fold(|c| c.1, f64::min), fold(|c| c.0, f64::max), fold(|c| c.1, f64::max)]
}

/// The scaling and shift from one box into another.
fn fitting(from: &Rectangle, to: &Rectangle) -> String {
    let (x, y) = ((to[2] - to[0]) / (from[2] - from[0]), (to[3] - to[1]) / (from[3] - from[1]));
    format!("{x:.6} 0 0 {y:.6} {:.4} {:.4}", to[0] - from[0] * x, to[1] - from[1] * y)
}
