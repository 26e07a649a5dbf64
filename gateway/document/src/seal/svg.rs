//! Uploaded vector imprints: an SVG file is read strictly and written anew with plain shapes only.
//!
//! What could run, load, hide or look different elsewhere is refused, not skipped: scripts, style sheets,
//! text (fonts differ), embedded pictures, references, filters, masks, animations.

use std::fmt::Write;

use roxmltree::{Document, Node, ParsingOptions};

use super::SealError;

/// Most elements.
const MAX_ELEMENTS: u32 = 20_000;
/// Largest file in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// A plain drawing.
pub(super) struct Reduced {
    /// The new file.
    pub(super) text: String,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Shapes and their own attributes.
const SHAPES: [(&str, &[&str]); 8] = [
    ("g", &[]),
    ("path", &["d"]),
    ("circle", &["cx", "cy", "r"]),
    ("ellipse", &["cx", "cy", "rx", "ry"]),
    ("rect", &["x", "y", "width", "height", "rx", "ry"]),
    ("line", &["x1", "y1", "x2", "y2"]),
    ("polygon", &["points"]),
    ("polyline", &["points"]),
];
/// Attributes of every shape.
const PAINT: [&str; 12] = [
    "fill",
    "fill-opacity",
    "fill-rule",
    "stroke",
    "stroke-width",
    "stroke-opacity",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-miterlimit",
    "opacity",
    "transform",
    "clip-rule",
];
/// Elements and attributes without any effect, which drawing programs leave.
const EFFECTLESS: [&str; 5] = ["title", "desc", "metadata", "defs", "namedview"];

const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// Reads and reduces an SVG file.
pub(super) fn reduced(file: &[u8]) -> Result<Reduced, SealError> {
    if file.len() > MAX_BYTES {
        return Err(refused("文件超过 1 MB", "more than 1 MB"));
    }
    let text = std::str::from_utf8(file).map_err(|_| refused("不是 UTF-8 文本", "not UTF-8"))?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: 2 * MAX_ELEMENTS, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| refused("XML 无法读取或含有文档类型定义", &format!("{error}")))?;
    let root = document.root_element();
    if root.tag_name().name() != "svg" || root.tag_name().namespace() != Some(NAMESPACE) {
        return Err(refused("根元素不是 svg", "the root is no svg element"));
    }
    let numbers: Vec<f64> = root
        .attribute("viewBox")
        .map(|text| text.split([' ', ',']).filter(|part| !part.is_empty()).filter_map(|n| n.parse().ok()).collect())
        .unwrap_or_default();
    let [x, y, width, height] = match numbers.as_slice() {
        [x, y, width, height] => [*x, *y, *width, *height],
        _ => {
            let side = |name| root.attribute(name).and_then(|text| text.trim_end_matches("px").parse::<f64>().ok());
            match (side("width"), side("height")) {
                (Some(width), Some(height)) => [0.0, 0.0, width, height],
                _ => return Err(refused("缺少 viewBox", "viewBox is missing")),
            }
        }
    };
    let is_sane = [x, y].iter().all(|v| v.is_finite() && v.abs() < 1e6)
        && [width, height].iter().all(|v| v.is_finite() && (0.1..1e6).contains(v));
    if !is_sane {
        return Err(refused("viewBox 无效", "viewBox is invalid"));
    }
    let mut out =
        format!(r#"<svg xmlns="{NAMESPACE}" viewBox="{x} {y} {width} {height}" width="{width}" height="{height}">"#);
    let before = out.len();
    for child in root.children() {
        shape(child, &mut out, 0)?;
    }
    if out.len() == before {
        return Err(refused("没有任何图形", "there is no shape"));
    }
    out.push_str("</svg>");
    Ok(Reduced { text: out, width, height })
}

fn refused(zh: &str, en: &str) -> SealError {
    SealError::Upload(format!(
        "SVG 不能使用（{zh}），请转为纯路径图形或上传 PNG / the SVG cannot be used ({en}): convert it to plain paths, or upload a PNG"
    ))
}

fn shape(node: Node<'_, '_>, out: &mut String, depth: usize) -> Result<(), SealError> {
    if !node.is_element() {
        let has_text = node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty());
        return if has_text || node.is_pi() { Err(refused("含有文字内容", "text content")) } else { Ok(()) };
    }
    let tag = node.tag_name();
    let is_foreign = tag.namespace() != Some(NAMESPACE);
    if EFFECTLESS.contains(&tag.name()) && !(tag.name() == "defs" && node.children().any(|child| child.is_element())) {
        return Ok(());
    }
    let known = SHAPES.iter().find(|(name, _)| *name == tag.name()).filter(|_| !is_foreign && depth < MAX_DEPTH);
    let Some((name, own)) = known else {
        return Err(refused(&format!("含有 {} 元素", tag.name()), &format!("element {}", tag.name())));
    };
    let _ = write!(out, "<{name}");
    for attribute in node.attributes() {
        let (key, value) = (attribute.name(), attribute.value());
        // Names and other programs' notes draw nothing.
        if attribute.namespace().is_some() || matches!(key, "id" | "class") || key.starts_with("data-") {
            continue;
        }
        let is_plain = value.len() < MAX_BYTES
            && value.chars().all(|c| c.is_ascii_alphanumeric() || " \n\t\r.,-+()%#".contains(c))
            && !value.to_ascii_lowercase().contains("url");
        if !(own.contains(&key) || PAINT.contains(&key)) || !is_plain {
            return Err(refused(&format!("含有属性 {key}"), &format!("attribute {key}")));
        }
        let _ = write!(out, r#" {key}="{}""#, value.replace(['\n', '\t', '\r'], " "));
    }
    out.push('>');
    for child in node.children() {
        shape(child, out, depth + 1)?;
    }
    let _ = write!(out, "</{name}>");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn svg(body: &str) -> String {
        format!(r#"<svg xmlns="{NAMESPACE}" viewBox="0 0 40 40">{body}</svg>"#)
    }

    #[test]
    fn plain_shapes_are_kept() {
        let body = r##"<g id="a" fill="none" stroke="#ce1218"><circle cx="20" cy="20" r="18"/></g>
            <path d="M1 1L3 3z" transform="rotate(10)"/><!-- note --><title>印</title>"##;
        let found = reduced(svg(body).as_bytes()).unwrap();
        assert!(found.text.contains(r#"<circle cx="20" cy="20" r="18"></circle></g>"#), "{}", found.text);
        assert!(!found.text.contains("id=") && !found.text.contains("印") && !found.text.contains("note"));
        assert_eq!((found.width, found.height), (40.0, 40.0));
    }

    #[test]
    fn what_is_no_plain_shape_is_refused() {
        for body in [
            "",
            "<script>alert(1)</script>",
            "<text>印</text>",
            r#"<image href="a.png"/>"#,
            r##"<use href="#a"/>"##,
            "<style>path{}</style>",
            "<foreignObject/>",
            r#"<path d="M0 0" onclick="x()"/>"#,
            r#"<path d="M0 0" style="fill:red"/>"#,
            r#"<path d="M0 0" fill="url(http://x/)"/>"#,
            r#"<defs><linearGradient id="a"/></defs><path d="M0 0"/>"#,
            r#"<animate attributeName="x"/>"#,
            "loose text",
        ] {
            assert!(reduced(svg(body).as_bytes()).is_err(), "{body}");
        }
        for file in [
            "<html/>",
            "<svg viewBox='0 0 4 4'><path d='M0 0'/></svg>",
            r#"<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="&a;"/></svg>"#,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 0 4"><path d="M0 0"/></svg>"#,
            r#"<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>"#,
        ] {
            assert!(reduced(file.as_bytes()).is_err(), "{file}");
        }
    }
}
