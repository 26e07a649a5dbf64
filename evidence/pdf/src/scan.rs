//! Looks for what could show something else after signing: scripts, layers, covers over text, content that
//! nothing shows, fields that look otherwise than they are, fonts that are not in the file.
//!
//! Warnings, not verdicts: each has honest uses. Content streams are read as far as needed to see what is drawn
//! over text; a coding that is not known here is passed over.

mod content;

use std::collections::BTreeSet;

use qz_evidence::verify::Note;
use serde::Serialize;

use crate::difference::{reachable, references};
use crate::file::value::{Dictionary, Value};
use crate::file::{Gap, PdfFile, View};
use crate::model::{Field, Model};

/// Kinds of warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// JavaScript.
    Script,
    /// An action that starts a program, opens another file, or sends data.
    Action,
    /// A form in another format inside (XFA), whose looks are computed.
    DynamicForm,
    /// Looks of form fields are to be computed by the reader.
    NeedAppearances,
    /// Sound, video, three-dimensional or rich media.
    Media,
    /// Content that is read from another file.
    ExternalContent,
    /// Layers that can be switched.
    Layers,
    /// Something is drawn over text.
    CoveredText,
    /// An annotation covers text or draws a picture.
    CoveringAnnotation,
    /// Objects that nothing shows: pages, texts or pictures kept for later.
    HiddenContent,
    /// Bytes or objects that no cross-reference data name.
    UnlistedBytes,
    /// Earlier versions of the file are inside.
    EarlierVersions,
    /// A form field looks otherwise than its value.
    FieldLooks,
    /// A font is not in the file.
    FontNotEmbedded,
    /// Attached files.
    Attachments,
    /// Form fields that can be filled in.
    FormFields,
    /// The file is too complex to be looked at wholly.
    NotWhollyScanned,
}

impl WarningKind {
    /// Should such a file not be signed at all?
    pub fn is_grave(self) -> bool {
        matches!(
            self,
            Self::Script
                | Self::DynamicForm
                | Self::ExternalContent
                | Self::CoveredText
                | Self::FieldLooks
                | Self::Media
        )
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Script => ("含有脚本（JavaScript），显示内容可能变化", "JavaScript: what is shown may change"),
            Self::Action => (
                "含有会启动程序、打开其他文件或发送数据的动作",
                "actions that start programs, open other files or send data",
            ),
            Self::DynamicForm => ("含有动态表单（XFA）", "a dynamic form (XFA)"),
            Self::NeedAppearances => {
                ("表单域的外观由阅读器生成，各阅读器显示可能不同", "the reader computes the looks of form fields")
            }
            Self::Media => ("含有音频、视频、三维或富媒体", "sound, video, 3D or rich media"),
            Self::ExternalContent => ("引用了文件以外的内容", "content that is read from another file"),
            Self::Layers => ("含有可切换显示的图层", "layers that can be switched on and off"),
            Self::CoveredText => (
                "有图片或图形盖在文字之上，移除后会露出其他文字",
                "a picture or drawing covers text that would show without it",
            ),
            Self::CoveringAnnotation => ("有批注盖在页面内容之上", "an annotation covers content of the page"),
            Self::HiddenContent => (
                "含有未显示的页面、文字或图片，可能被用来在签署后替换内容",
                "pages, texts or pictures that nothing shows: they could be swapped in after signing",
            ),
            Self::UnlistedBytes => ("含有未登记的对象或字节", "objects or bytes that no table names"),
            Self::EarlierVersions => ("文件内保留了较早的版本", "earlier versions are kept inside"),
            Self::FieldLooks => {
                ("表单域显示的内容与其实际值不一致", "a form field shows something else than its value")
            }
            Self::FontNotEmbedded => {
                ("有字体未嵌入，各电脑上显示可能不同", "a font is not embedded: text may look different elsewhere")
            }
            Self::Attachments => ("带有附件", "attached files"),
            Self::NotWhollyScanned => ("文件过于复杂，未能全部扫描", "the file is too complex to be scanned wholly"),
            Self::FormFields => ("含有可填写的表单域，签署前请填好并固定", "form fields that can be filled in"),
        }
    }
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// Its kind.
    pub kind: WarningKind,
    /// Page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// Should such a file not be signed at all?
    pub grave: bool,
    /// Field name, action or another detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// In words.
    pub words: Words,
}

/// A sentence in both languages, with an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Words {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Warning {
    fn new(kind: WarningKind, page: Option<usize>, detail: Option<String>) -> Self {
        let (zh, en) = kind.words();
        let Note { zh, en } = match page {
            Some(page) => Note::new(format!("第 {page} 页：{zh}"), format!("page {page}: {en}")),
            None => Note::new(zh, en),
        };
        let of = |text: String| match &detail {
            Some(detail) => format!("{text}（{detail}）"),
            None => text,
        };
        let words = Words { zh: of(zh), en: of(en) };
        Self { kind, page, grave: kind.is_grave(), detail, words }
    }
}

/// Most warnings that are listed.
const MAX_WARNINGS: usize = 100;

/// Looks at the newest state of a file.
pub(crate) fn warnings(file: &PdfFile<'_>, model: &Model) -> Vec<Warning> {
    let mut scan = Scan { view: file.last(), model, found: BTreeSet::new() };
    scan.objects(file);
    scan.form();
    for (index, page) in model.pages.iter().enumerate() {
        if content::covers_text(scan.view, &page.attributes) {
            scan.add(WarningKind::CoveredText, Some(index + 1), None);
        }
        scan.annotations(index, &page.annotations);
    }
    scan.bytes(file);
    if file.is_exhausted() {
        scan.add(WarningKind::NotWhollyScanned, None, None);
    }
    scan.found.into_iter().take(MAX_WARNINGS).collect()
}

struct Scan<'f> {
    view: View<'f>,
    model: &'f Model,
    found: BTreeSet<Warning>,
}

impl Scan<'_> {
    fn add(&mut self, kind: WarningKind, page: Option<usize>, detail: Option<String>) {
        self.found.insert(Warning::new(kind, page, detail));
    }

    /// Everything that the file leads to, and what it does not.
    fn objects(&mut self, file: &PdfFile<'_>) {
        let reached = reachable(self.view);
        let mut hidden = 0;
        for number in self.view.numbers().collect::<Vec<_>>() {
            let value = self.view.get(self.view.id_of(number));
            if reached.contains(&number) {
                self.value(&value, 0);
            } else if is_showable(&value) {
                hidden += 1;
            }
        }
        if hidden > 0 {
            self.add(WarningKind::HiddenContent, None, Some(hidden.to_string()));
        }
        let catalog = &self.model.catalog;
        if self.view.dictionary(catalog, b"OCProperties").is_some() {
            self.add(WarningKind::Layers, None, None);
        }
        let names = self.view.dictionary(catalog, b"Names").unwrap_or_default();
        if names.get(b"EmbeddedFiles").is_some() {
            self.add(WarningKind::Attachments, None, None);
        }
        if names.get(b"JavaScript").is_some() {
            self.add(WarningKind::Script, None, None);
        }
        let is_signed = self.model.fields.iter().any(|field| field.is_signature() && field.value.is_some());
        if file.revisions.len() > 1 && !is_signed {
            self.add(WarningKind::EarlierVersions, None, Some((file.revisions.len() - 1).to_string()));
        }
    }

    /// A value with its direct members.
    fn value(&mut self, value: &Value, depth: usize) {
        let dictionary = match value {
            Value::Array(members) if depth < 64 => {
                members.iter().for_each(|member| self.value(member, depth + 1));
                return;
            }
            Value::Dictionary(dictionary) | Value::Stream(dictionary, _) => dictionary,
            _ => return,
        };
        if matches!(value, Value::Stream(..)) && dictionary.get(b"F").is_some_and(|f| f.as_name().is_none()) {
            self.add(WarningKind::ExternalContent, None, None);
        }
        self.action(dictionary);
        self.font(dictionary);
        if depth < 64 {
            dictionary.iter().for_each(|(_, member)| self.value(member, depth + 1));
        }
    }

    fn action(&mut self, dictionary: &Dictionary) {
        let view = self.view;
        let name = |key| view.entry(dictionary, key).as_name().map(<[u8]>::to_vec);
        match name(b"S").as_deref() {
            Some(b"JavaScript") => self.add(WarningKind::Script, None, None),
            Some(
                kind @ (b"Launch" | b"SubmitForm" | b"ImportData" | b"GoToR" | b"GoToE" | b"Hide" | b"SetOCGState"),
            ) => {
                self.add(WarningKind::Action, None, Some(String::from_utf8_lossy(kind).into_owned()));
            }
            Some(b"Rendition" | b"Movie" | b"Sound" | b"RichMediaExecute" | b"GoTo3DView") => {
                self.add(WarningKind::Media, None, None);
            }
            _ => {}
        }
        if name(b"Subtype").as_deref() == Some(b"Form") && dictionary.get(b"Ref").is_some() {
            self.add(WarningKind::ExternalContent, None, None);
        }
    }

    fn font(&mut self, dictionary: &Dictionary) {
        let is_font = dictionary.name(b"Type") == Some(b"Font");
        let kind = dictionary.name(b"Subtype").unwrap_or_default();
        if !is_font || matches!(kind, b"Type0" | b"Type3") {
            return;
        }
        let descriptor = self.view.dictionary(dictionary, b"FontDescriptor").unwrap_or_default();
        let is_inside = [&b"FontFile"[..], b"FontFile2", b"FontFile3"].iter().any(|key| descriptor.get(key).is_some());
        if !is_inside {
            let name = dictionary.name(b"BaseFont").map(|name| String::from_utf8_lossy(name).into_owned());
            self.add(WarningKind::FontNotEmbedded, None, name);
        }
    }

    fn form(&mut self) {
        let Some(form) = &self.model.form else { return };
        if form.get(b"XFA").is_some() {
            self.add(WarningKind::DynamicForm, None, None);
        }
        if *self.view.entry(form, b"NeedAppearances") == Value::Bool(true) {
            self.add(WarningKind::NeedAppearances, None, None);
        }
        // A push button holds nothing that could be filled in; what it shows may only come with a signature.
        let is_passive = |field: &Field| field.is_signature() || field.is_push_button(self.view);
        let fields: Vec<&Field> = self.model.fields.iter().filter(|field| !is_passive(field)).collect();
        if !fields.is_empty() {
            self.add(WarningKind::FormFields, None, Some(fields.len().to_string()));
        }
        for field in fields.into_iter().filter(|field| field.kind == b"Tx") {
            let Some(value) = field.value.as_ref().and_then(|value| self.view.resolve(value).as_text()) else {
                continue;
            };
            for (id, widget) in field.all_widgets() {
                let shown = self.view.dictionary(widget, b"AP").map(|looks| self.view.entry(&looks, b"N"));
                let Some(shown) = shown.and_then(|looks| content::plain_text(self.view, &looks)) else { continue };
                let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                // Hidden letters of passwords, and fonts with codes of their own, cannot be compared.
                if !letters(&shown).is_empty() && letters(&shown) != letters(&value) {
                    let page = self.model.page_of(id, widget).map(|page| page + 1);
                    self.add(WarningKind::FieldLooks, page, Some(field.name.clone()));
                }
            }
        }
    }

    fn annotations(&mut self, index: usize, annotations: &[Value]) {
        for annotation in annotations {
            let value = self.view.resolve(annotation);
            let Some(found) = value.as_dictionary() else { continue };
            let page = Some(index + 1);
            match found.name(b"Subtype") {
                Some(b"Screen" | b"Movie" | b"Sound" | b"3D" | b"RichMedia") => {
                    self.add(WarningKind::Media, page, None);
                }
                Some(kind @ (b"FreeText" | b"Stamp" | b"Redact" | b"Watermark" | b"Square" | b"Polygon")) => {
                    let kind = String::from_utf8_lossy(kind).into_owned();
                    self.add(WarningKind::CoveringAnnotation, page, Some(kind));
                }
                _ => {}
            }
        }
    }

    fn bytes(&mut self, file: &PdfFile<'_>) {
        let gaps = (0..file.revisions.len()).flat_map(|revision| file.gaps(revision));
        let strange = gaps.filter(|gap| !matches!(gap, Gap::Comment(_))).count() + usize::from(file.tail().is_some());
        if strange > 0 {
            self.add(WarningKind::UnlistedBytes, None, Some(strange.to_string()));
        }
    }
}

/// Could it be shown on a page one day?
fn is_showable(value: &Value) -> bool {
    let Some(dictionary) = value.as_dictionary() else { return false };
    let kind = dictionary.name(b"Type");
    let mut leads = false;
    references(value, &mut |_| leads = true);
    match value {
        Value::Stream(..) => !matches!(kind, Some(b"XRef" | b"ObjStm" | b"Metadata")),
        _ => matches!(kind, Some(b"Catalog" | b"Pages" | b"Page")) && leads,
    }
}
