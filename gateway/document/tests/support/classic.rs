//! Writes small classic PDFs by hand, with whatever odd structure a test wants.
#![allow(dead_code, missing_docs)]

pub struct Classic {
    pub catalog_extra: &'static str,
    pub page_extra: &'static str,
    pub media_box: &'static str,
    pub objects: Vec<(u32, &'static str)>,
    pub final_newline: bool,
}

impl Default for Classic {
    fn default() -> Self {
        Self { catalog_extra: "", page_extra: "", media_box: "[0 0 595 842]", objects: Vec::new(), final_newline: true }
    }
}

impl Classic {
    /// Objects 1–5 are catalog, pages, page, content and font; `objects` come on top.
    pub fn bytes(&self) -> Vec<u8> {
        let content = "BT /F1 18 Tf 72 700 Td (Sample agreement) Tj ET";
        let mut objects = vec![
            (1, format!("<</Type/Catalog/Pages 2 0 R{}>>", self.catalog_extra)),
            (2, format!("<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox{}>>", self.media_box)),
            (
                3,
                format!(
                    "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>{}>>",
                    self.page_extra
                ),
            ),
            (4, format!("<</Length {}>>\nstream\n{content}\nendstream", content.len())),
            (5, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned()),
        ];
        objects.extend(self.objects.iter().map(|(number, body)| (*number, (*body).to_owned())));
        let mut out = "%PDF-1.4\n".to_owned();
        let mut xref = "0000000000 65535 f \n".to_owned();
        for (number, body) in &objects {
            xref += &format!("{:010} 00000 n \n", out.len());
            out += &format!("{number} 0 obj\n{body}\nendobj\n");
        }
        let start = out.len();
        let size = objects.len() + 1;
        out += &format!("xref\n0 {size}\n{xref}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF");
        if self.final_newline {
            out.push('\n');
        }
        out.into_bytes()
    }
}
