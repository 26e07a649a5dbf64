//! Opens an uploaded PDF and says whether it can be signed; every refusal tells the user what to do.
//!
//! It does not repair. A file that a reader would have to guess about is refused, since a signature
//! must cover what everybody reads.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};

use crate::POINTS_PER_MM;
use crate::page::{self, PageBox};

/// Largest file that is accepted, in bytes.
pub const MAX_BYTES: usize = 50 << 20;
/// Most pages that are accepted.
pub const MAX_PAGES: usize = 1000;
/// Deepest nesting of direct objects that is looked into.
const MAX_NESTING: usize = 128;
/// Bound on what one stream may unpack to while the file is parsed.
const MAX_STREAM_BYTES: usize = 128 << 20;

/// Why a PDF is refused: always about the file, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// No `%PDF-` header with a version.
    #[error("文件不是 PDF，请上传 PDF 文件 / not a PDF: upload a PDF file")]
    NotPdf,
    /// Something precedes the header.
    #[error(
        "PDF 文件头之前有 {0} 字节多余内容，请用阅读器“打印为 PDF”后重新上传 / {0} bytes precede the PDF header: print it to a new PDF and upload that"
    )]
    JunkBeforeHeader(usize),
    /// Larger than [`MAX_BYTES`].
    #[error(
        "文件 {0} 字节，超过 50 MB 上限，请压缩图片或拆分附件 / {0} bytes, more than 50 MB: compress its images or split it"
    )]
    TooLarge(usize),
    /// Encrypted, even if it opens without a password.
    #[error(
        "PDF 已加密或设有权限密码，请取消加密后重新上传 / the PDF is encrypted or has a permission password: remove it and upload again"
    )]
    Encrypted,
    /// Cannot be parsed.
    #[error(
        "PDF 无法解析（{0}），请用阅读器“打印为 PDF”后重新上传 / the PDF cannot be parsed ({0}): print it to a new PDF and upload that"
    )]
    Malformed(String),
    /// The cross-reference data does not describe the file.
    #[error(
        "PDF 交叉引用表已损坏，请用阅读器“打印为 PDF”后重新上传 / the cross-reference data is damaged: print it to a new PDF and upload that"
    )]
    Damaged,
    /// There is no page.
    #[error("PDF 没有任何页面，请检查文件 / the PDF has no page: check the file")]
    NoPages,
    /// More than [`MAX_PAGES`].
    #[error("PDF 共 {0} 页，超过 1000 页上限，请拆分后上传 / {0} pages, more than 1000: split the file")]
    TooManyPages(usize),
    /// A page has no usable size.
    #[error("第 {page} 页尺寸无效（{detail}），请重新导出 / page {page} has no valid size ({detail}): export it again")]
    BadPage {
        /// Page number, from 1.
        page: usize,
        /// What is wrong.
        detail: String,
    },
    /// A certification signature forbids any change.
    #[error(
        "PDF 带有禁止任何修改的认证签名，无法再签署，请上传未认证的版本 / a certification signature forbids changes: upload the version before certification"
    )]
    ChangesForbidden,
    /// What it shows can change after signing: scripts, programs to start, dynamic forms.
    #[error(
        "PDF 含有可执行或动态内容（{0}），签署后显示的内容可能变化，请用阅读器“打印为 PDF”后重新上传 / the PDF has active content ({0}), so what it shows may change after signing: print it to a new PDF and upload that"
    )]
    ActiveContent(&'static str),
}

/// Size of a page as it is displayed: cropped and rotated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageSize {
    /// Width in points.
    pub width: f64,
    /// Height in points.
    pub height: f64,
}

/// The door to uploaded PDFs.
pub struct Pdf;

/// A PDF that can be signed.
pub struct Inspected {
    pub(crate) document: Document,
    pub(crate) pages: Vec<(ObjectId, PageBox)>,
}

impl std::fmt::Debug for Inspected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspected").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

impl Inspected {
    /// Number of pages, at least 1.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Sizes of the pages in order, in points, as displayed.
    pub fn page_sizes(&self) -> Vec<PageSize> {
        self.pages.iter().map(|(_, page)| page.displayed_size()).collect()
    }
}

/// A place on a page: page from 1, lower left corner from the visible lower left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Page, from 1.
    pub page: usize,
    /// From the left edge.
    pub x_mm: f64,
    /// From the lower edge.
    pub y_mm: f64,
}

impl Inspected {
    /// Places for imprints of the given sizes (width and height in mm) in a row at the foot of the last
    /// page, for files that do not say where seals belong. `None` when they do not fit.
    pub fn places_at_foot(&self, sizes_mm: &[(f64, f64)]) -> Option<Vec<Place>> {
        const MARGIN_MM: f64 = 15.0;
        let (_, last) = self.pages.last()?;
        let size = last.displayed_size();
        let (width_mm, height_mm) = (size.width / POINTS_PER_MM, size.height / POINTS_PER_MM);
        let taken: f64 = sizes_mm.iter().map(|(width, _)| width).sum();
        let tallest = sizes_mm.iter().map(|(_, height)| *height).fold(0.0, f64::max);
        let free = width_mm - 2.0 * MARGIN_MM - taken;
        if free < 0.0 || tallest + 2.0 * MARGIN_MM > height_mm {
            return None;
        }
        // Spread evenly: half a gap at either end.
        let gap = free / sizes_mm.len().max(1) as f64;
        let mut x_mm = MARGIN_MM + gap / 2.0;
        let place = |(width, _): &(f64, f64)| {
            let place = Place { page: self.pages.len(), x_mm, y_mm: MARGIN_MM };
            x_mm += width + gap;
            place
        };
        Some(sizes_mm.iter().map(place).collect())
    }
}

impl Pdf {
    /// Parses `bytes` and checks everything that signing relies on.
    ///
    /// # Errors
    /// See [`PdfError`]; no input panics or hangs.
    pub fn open(bytes: &[u8]) -> Result<Inspected, PdfError> {
        if bytes.len() > MAX_BYTES {
            return Err(PdfError::TooLarge(bytes.len()));
        }
        check_header(bytes)?;
        // The parser is foreign code fed with hostile bytes: a panic in it is a malformed file.
        catch_unwind(AssertUnwindSafe(|| {
            let document = parse(bytes)?;
            let pages = pages(&document)?;
            check_certification(&document)?;
            check_passive(&document)?;
            // What we could not examine afterwards is not signed: trees that are circular or lead nowhere.
            qz_evidence_pdf::readable(bytes).map_err(|error| {
                let text = error.to_string();
                PdfError::Malformed(text.rsplit(" / ").next().unwrap_or(&text).to_owned())
            })?;
            Ok(Inspected { document, pages })
        }))
        .unwrap_or_else(|_| Err(PdfError::Malformed("the parser gave up".into())))
    }
}

fn check_header(bytes: &[u8]) -> Result<(), PdfError> {
    const HEADER: &[u8] = b"%PDF-";
    // Readers look for the header within the first kilobyte.
    let head = &bytes[..bytes.len().min(1024)];
    match head.windows(HEADER.len()).position(|window| window == HEADER) {
        // `%PDF-1.7`: strict readers refuse anything else as a version.
        Some(0) => match &head[HEADER.len()..] {
            [b'1'..=b'2', b'.', b'0'..=b'9', ..] => Ok(()),
            _ => Err(PdfError::NotPdf),
        },
        Some(offset) => Err(PdfError::JunkBeforeHeader(offset)),
        None => Err(PdfError::NotPdf),
    }
}

fn parse(bytes: &[u8]) -> Result<Document, PdfError> {
    let options = LoadOptions::with_max_decompressed_size(MAX_STREAM_BYTES);
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| match error {
        lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) => PdfError::Encrypted,
        other => PdfError::Malformed(other.to_string()),
    })?;
    if document.is_encrypted() || document.was_encrypted() {
        return Err(PdfError::Encrypted);
    }
    if document.xref_recovery.is_some() || document.xref_start == 0 || document.xref_start >= bytes.len() {
        return Err(PdfError::Damaged);
    }
    Ok(document)
}

fn pages(document: &Document) -> Result<Vec<(ObjectId, PageBox)>, PdfError> {
    // The iterator stops early in a tree that lists a page twice: such a tree shows different readers
    // different documents.
    let declared = document
        .catalog()
        .and_then(|catalog| document.get_dict_in_dict(catalog, b"Pages"))
        .and_then(|pages| pages.get_deref(b"Count", document))
        .and_then(Object::as_i64)
        .unwrap_or(0);
    let ids: Vec<_> = document.page_iter().take(MAX_PAGES + 1).collect();
    let count = ids.len().max(usize::try_from(declared).unwrap_or(0));
    if ids.is_empty() {
        return Err(PdfError::NoPages);
    }
    if count > MAX_PAGES {
        return Err(PdfError::TooManyPages(count));
    }
    if ids.iter().collect::<HashSet<_>>().len() != ids.len() {
        return Err(PdfError::Malformed("a page is listed twice".into()));
    }
    ids.into_iter()
        .enumerate()
        .map(|(index, id)| match page::read(document, id) {
            Ok(page) => Ok((id, page)),
            Err(detail) => Err(PdfError::BadPage { page: index + 1, detail }),
        })
        .collect()
}

/// ISO 32000-1 §12.8.2.2: `/Perms /DocMDP` with access permission 1 forbids every change.
fn check_certification(document: &Document) -> Result<(), PdfError> {
    fn dictionary<'a>(document: &'a Document, parent: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
        document.get_dict_in_dict(parent, key).ok()
    }
    let forbidden = || {
        let catalog = document.catalog().ok()?;
        let signature = dictionary(document, dictionary(document, catalog, b"Perms")?, b"DocMDP")?;
        let references = signature.get_deref(b"Reference", document).ok()?.as_array().ok()?;
        references.iter().find_map(|reference| {
            let (_, reference) = document.dereference(reference).ok()?;
            let parameters = dictionary(document, reference.as_dict().ok()?, b"TransformParams")?;
            (parameters.get_deref(b"P", document).ok()?.as_i64().ok()? == 1).then_some(())
        })
    };
    if forbidden().is_some() { Err(PdfError::ChangesForbidden) } else { Ok(()) }
}

/// No object makes the display depend on a program: what is signed must be what is seen.
fn check_passive(document: &Document) -> Result<(), PdfError> {
    for object in document.objects.values() {
        if let Some(kind) = active_content(document, object, 0) {
            return Err(PdfError::ActiveContent(kind));
        }
    }
    Ok(())
}

/// Looks into direct members only: referenced objects get their own turn.
fn active_content(document: &Document, object: &Object, depth: usize) -> Option<&'static str> {
    if depth > MAX_NESTING {
        return Some("嵌套过深 nested too deep");
    }
    let dictionary = match object {
        Object::Array(members) => return members.iter().find_map(|member| active_content(document, member, depth + 1)),
        Object::Dictionary(dictionary) => dictionary,
        Object::Stream(stream) => &stream.dict,
        _ => return None,
    };
    match dictionary.get_deref(b"S", document).and_then(Object::as_name) {
        Ok(b"JavaScript") => return Some("JavaScript"),
        Ok(b"Launch") => return Some("Launch"),
        Ok(b"Rendition" | b"RichMediaExecute") => return Some("RichMedia"),
        _ => {}
    }
    if dictionary.has(b"XFA") {
        return Some("XFA");
    }
    dictionary.iter().find_map(|(_, value)| active_content(document, value, depth + 1))
}

/// A number of either kind.
pub(crate) fn number(object: &Object) -> Option<f64> {
    match object {
        Object::Integer(value) => Some(*value as f64),
        Object::Real(value) => Some(f64::from(*value)),
        _ => None,
    }
}
