//! What an update changed, in kinds and in words.

use qz_evidence::verify::Note;
use serde::Serialize;

/// Kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Validation data (`/DSS`) were added.
    ValidationData,
    /// A document timestamp was added.
    TimestampAdded,
    /// Metadata or the information dictionary changed.
    Metadata,
    /// A signature was added.
    SignatureAdded,
    /// An empty signature field was added.
    SignatureFieldAdded,
    /// A cross-page seal 骑缝章 was put in its reserved places by the signature that locks them.
    SealSlice,
    /// A form field was filled in or changed its value or looks.
    FormFilled,
    /// An annotation was added.
    AnnotationAdded,
    /// An annotation was changed.
    AnnotationChanged,
    /// An annotation was removed.
    AnnotationRemoved,
    /// What a page draws.
    PageContent,
    /// A font that a page uses.
    FontReplaced,
    /// An image or drawing that a page uses.
    ImageReplaced,
    /// Size, crop or rotation of a page.
    PageGeometry,
    /// Another attribute of a page.
    PageAttribute,
    /// A page was added.
    PageAdded,
    /// A page was removed.
    PageRemoved,
    /// Pages stand in another order.
    PagesReordered,
    /// A form field was added.
    FieldAdded,
    /// A form field was removed.
    FieldRemoved,
    /// A form field's definition changed.
    FieldAltered,
    /// A signature was taken away.
    SignatureRemoved,
    /// A signature was put in another one's place.
    SignatureReplaced,
    /// The looks of a signature changed.
    SignatureAppearance,
    /// Something was laid over a page.
    OverlayAdded,
    /// A script or action.
    ActionChanged,
    /// Layers.
    Layers,
    /// Attached files or other named objects.
    NamesChanged,
    /// Settings of the form (scripts' order, fonts, dynamic forms).
    FormSettings,
    /// The structure for screen readers.
    Structure,
    /// Another entry of the document catalog.
    CatalogEntry,
    /// An object that nothing uses.
    HiddenObject,
    /// Bytes that belong to nothing.
    StrayBytes,
    /// Something that cannot be read.
    Unreadable,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Its kind.
    pub kind: ChangeKind,
    /// Page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// Field name, subtype, catalog key or another detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Change {
    pub(crate) fn new(kind: ChangeKind) -> Self {
        Self { kind, page: None, detail: None }
    }

    pub(crate) fn on(kind: ChangeKind, page: usize) -> Self {
        Self { kind, page: Some(page + 1), detail: None }
    }

    pub(crate) fn of(kind: ChangeKind, detail: impl Into<String>) -> Self {
        Self { kind, page: None, detail: Some(detail.into()) }
    }

    pub(crate) fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn at(mut self, page: Option<usize>) -> Self {
        self.page = page.map(|page| page + 1);
        self
    }

    /// What a clerk is told.
    pub fn words(&self) -> Note {
        use ChangeKind as K;
        let detail = self.detail.as_deref().unwrap_or_default();
        let (zh, en) = match self.kind {
            K::ValidationData => ("补充了长期验证数据（证书、吊销信息）".into(), "validation data were added".into()),
            K::TimestampAdded => {
                (format!("添加了文档时间戳“{detail}”"), format!("document timestamp `{detail}` was added"))
            }
            K::Metadata => ("文件属性（元数据）有更新".into(), "metadata were updated".into()),
            K::SignatureAdded => (format!("添加了签名“{detail}”"), format!("signature `{detail}` was added")),
            K::SignatureFieldAdded => {
                (format!("添加了待签的签名域“{detail}”"), format!("empty signature field `{detail}` was added"))
            }
            K::SealSlice => (
                format!("签署人在预留位置加盖了骑缝章或日期章（“{detail}”）"),
                format!("a signer put a cross-page seal or date stamp in the places kept for it (`{detail}`)"),
            ),
            K::FormFilled => (
                format!("表单域“{detail}”的内容被填写或修改"),
                format!("the value of form field `{detail}` was changed"),
            ),
            K::AnnotationAdded => (format!("添加了批注（{detail}）"), format!("an annotation was added ({detail})")),
            K::AnnotationChanged => {
                (format!("批注被修改（{detail}）"), format!("an annotation was changed ({detail})"))
            }
            K::AnnotationRemoved => {
                (format!("批注被删除（{detail}）"), format!("an annotation was removed ({detail})"))
            }
            K::PageContent => ("页面内容被改动".into(), "page content was changed".into()),
            K::FontReplaced => (
                "页面所用字体被替换，文字显示可能不同".into(),
                "a font was replaced: the text may read differently".into(),
            ),
            K::ImageReplaced => {
                ("页面上的图片或图形被替换".into(), "an image or drawing on the page was replaced".into())
            }
            K::PageGeometry => {
                ("页面大小、裁剪或旋转被改动".into(), "size, crop or rotation of the page was changed".into())
            }
            K::PageAttribute => (format!("页面属性 {detail} 被改动"), format!("page attribute {detail} was changed")),
            K::PageAdded => ("插入了页面".into(), "a page was added".into()),
            K::PageRemoved => ("删除了页面".into(), "a page was removed".into()),
            K::PagesReordered => ("页面顺序被改动".into(), "pages were reordered".into()),
            K::FieldAdded => (format!("添加了表单域“{detail}”"), format!("form field `{detail}` was added")),
            K::FieldRemoved => (format!("表单域“{detail}”被删除"), format!("form field `{detail}` was removed")),
            K::FieldAltered => (format!("表单域“{detail}”的设置被改动"), format!("form field `{detail}` was altered")),
            K::SignatureRemoved => (format!("签名“{detail}”被移除"), format!("signature `{detail}` was removed")),
            K::SignatureReplaced => (format!("签名“{detail}”被替换"), format!("signature `{detail}` was replaced")),
            K::SignatureAppearance => {
                (format!("签名“{detail}”的印章图样被改动"), format!("the looks of signature `{detail}` were changed"))
            }
            K::OverlayAdded => {
                (format!("页面上被覆盖了新内容（{detail}）"), format!("something was laid over the page ({detail})"))
            }
            K::ActionChanged => (
                format!("添加或改动了脚本或动作（{detail}）"),
                format!("a script or action was added or changed ({detail})"),
            ),
            K::Layers => {
                ("图层设置被改动，显示内容可能不同".into(), "layers were changed: other content may show".into())
            }
            K::NamesChanged => ("附件或命名对象被改动".into(), "attached files or named objects were changed".into()),
            K::FormSettings => {
                (format!("表单设置被改动（{detail}）"), format!("form settings were changed ({detail})"))
            }
            K::Structure => {
                ("供读屏软件使用的文字结构被改动".into(), "the text structure for screen readers was changed".into())
            }
            K::CatalogEntry => (format!("文档目录项 {detail} 被改动"), format!("catalog entry {detail} was changed")),
            K::HiddenObject => (
                format!("添加了未被使用的隐藏对象（对象 {detail}）"),
                format!("a hidden object that nothing uses was added (object {detail})"),
            ),
            K::StrayBytes => (
                format!("存在不属于任何合法更新的字节（{detail}）"),
                format!("bytes that belong to no well-formed update ({detail})"),
            ),
            K::Unreadable => (format!("有内容无法读取（{detail}）"), format!("something cannot be read ({detail})")),
        };
        match self.page {
            Some(page) => Note::new(format!("第 {page} 页：{zh}"), format!("page {page}: {en}")),
            None => Note::new(zh, en),
        }
    }
}
