//! Why an update behind the fixed version is refused.

/// What an update does that none may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Its bytes are not those of a plain update.
    #[error("其结构不合规，或夹有其他字节 / it is no plain update, or bytes stand in it that belong to nothing")]
    Form,
    /// The trailer.
    #[error("文件尾被改动 / it changes the trailer")]
    Trailer,
    /// The document catalog.
    #[error("文档目录（附件、动作、图层等）被改动 / it changes the catalog (attachments, actions, layers …)")]
    Catalog,
    /// The form's settings, or its fields that were there.
    #[error("表单设置或已有表单域被改动 / it changes settings of the form, or fields that were there")]
    Settings,
    /// A page other than in its list of annotations; from 1.
    #[error("第 {0} 页被改动 / it changes page {0}")]
    Page(usize),
    /// A new annotation that belongs to no signature; page from 1.
    #[error(
        "第 {0} 页增加了不属于签署的批注或图形 / it adds something to page {0} that is no signature's or seal's place"
    )]
    Annotation(usize),
    /// A new field that is none of those that signing makes.
    #[error("增加了不属于签署的表单域 / it adds a field that does not belong to signing")]
    Field,
    /// A signature that is not one over the whole update, or a second one.
    #[error(
        "签名没有覆盖该次更新的全部内容，或不止一个 / its signature does not cover all of it, or is not the only one"
    )]
    Signature,
    /// A slice of a cross-page seal, or a date stamp.
    #[error(
        "骑缝章或日期章的位置被不当增加或改动 / places of a cross-page seal or date stamp are added or changed otherwise than by their signature"
    )]
    Slice,
    /// The picture of a seal.
    #[error(
        "印章或签名的图样过大，或引用其他内容、图层、外部数据 / the picture of a seal or signature is too large, or refers to other contents, layers or outside data"
    )]
    Looks,
    /// The entry for certifications.
    #[error("认证许可被改动 / it changes the permissions of a certification")]
    Permissions,
    /// An object is replaced, freed, unreadable, or used by nothing.
    #[error("对象 {0} 被替换、删除、无法读取或未被使用 / it replaces, frees or hides object {0}")]
    Object(u32),
    /// The limits of reading are used up.
    #[error("文件过于复杂，未能全部检查 / the file is too complex to be checked wholly")]
    TooComplex,
}

/// An update that does something else than signing, or than adding validation data behind the last signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{violation}")]
pub struct UpdateRefused {
    /// Which update behind the fixed version, from 1.
    pub number: usize,
    /// What it does.
    pub violation: Violation,
}
