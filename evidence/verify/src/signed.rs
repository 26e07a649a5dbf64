//! A contract's final file against the version that was fixed for signing (SPEC §11 step 9, §11a).

use std::cell::Cell;

use qz_evidence::Hash32;
use qz_evidence::hash::sha256;
use qz_evidence::verify::{GivenSignature, Note, SignedFile};
use qz_evidence_pdf::{PdfSignature, SignatureKind, only_signed_since};

use crate::{broken_signature, revisions};

/// A PDF with its signatures.
pub(crate) struct SignedPdf<'a> {
    file: &'a [u8],
    /// Ordered by where their ranges end.
    signatures: &'a [PdfSignature],
    /// Where the version ends as which the file was found to have begun.
    version_end: Cell<Option<usize>>,
}

impl<'a> SignedPdf<'a> {
    pub(crate) fn new(file: &'a [u8], signatures: &'a [PdfSignature]) -> Self {
        Self { file, signatures, version_end: Cell::new(None) }
    }

    /// Where the fixed version ends, once the file was judged as a final one.
    pub(crate) fn version_end(&self) -> Option<usize> {
        self.version_end.get()
    }
}

impl SignedFile for SignedPdf<'_> {
    fn signed_since(&self, version: &Hash32) -> Result<Vec<GivenSignature>, Note> {
        let end = revisions::end_of(self.file, version).ok_or_else(|| {
            Note::new(
                "签名前的文本不是链上固定的待签文本",
                "what it was before the signatures is not the version that was fixed on the ledger",
            )
        })?;
        self.version_end.set(Some(end));
        let behind: Vec<_> = self.signatures.iter().filter(|signature| signature.covers_to > end).collect();
        if let Some(broken) = broken_signature(behind.iter().copied()) {
            return Err(broken);
        }
        let is_party = |signature: &&&PdfSignature| signature.kind != SignatureKind::DocumentTimestamp;
        let parties = || behind.iter().filter(is_party);
        if let Some(last) = parties().next_back() {
            only_signed_since(self.file, end, last.covers_to).map_err(|refused| {
                let number = refused.number;
                let text = refused.violation.to_string();
                let (zh, en) = text.split_once(" / ").unwrap_or((&text, &text));
                Note::new(
                    format!("待签文本之后的第 {number} 次更新不只是签署：{zh}"),
                    format!("update {number} behind the fixed version does more than sign: {en}"),
                )
            })?;
        }
        let pair = |signature: &&PdfSignature| GivenSignature {
            digest: Hash32(signature.byte_range_digest),
            certificate: sha256(&[&signature.signer_cert_der]),
        };
        Ok(parties().map(pair).collect())
    }
}

/// What a reader must know that step 9 does not show of a final file.
pub(crate) fn not_judged(found: &[PdfSignature], version_end: usize) -> Vec<Note> {
    let pictures = Note::new(
        "印章、说明文字、骑缝章、日期章图样所显示的内容未作判断：文件正文即链上固定的待签文本，其上只有各签名在预定位置的图样（每边不超过 90 毫米）。",
        "What the pictures of seals, their captions, cross-page seals and date stamps show was not judged: the pages are those of the version fixed on the ledger, with nothing on them but pictures of the signatures, at most 90 mm wide and high.",
    );
    let former = found.iter().filter(|signature| signature.covers_to <= version_end).count();
    let text = (former > 0).then(|| {
        Note::new(
            format!("待签文本自身已带有 {former} 个电子签名，属于文本内容，未作判断。"),
            format!(
                "The fixed version itself came with {former} signatures: they are part of the text and were not judged."
            ),
        )
    });
    std::iter::once(pictures).chain(text).collect()
}
