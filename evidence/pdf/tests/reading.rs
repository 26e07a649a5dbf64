//! Reads a PDF signed twice, then the same with one thing wrong at a time.
#![allow(clippy::unwrap_used)]

use qz_evidence_pdf::{CmsError, PdfReadError, attachments, certificate_facts, check_issued_by, signatures};

const SPECIMEN: &[u8] = include_bytes!("data/signed-twice.pdf");
const ROOT: &[u8] = include_bytes!("data/root.der");
/// 2026-11-22 10:00 in China.
const THEN_MS: i64 = 1_795_312_800_000;

/// The specimen with the first `from` behind `offset` replaced by `to` of the same length.
fn replaced(offset: usize, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let found = SPECIMEN[offset..].windows(from.len()).position(|window| window == from.as_bytes());
    let start = offset + found.unwrap();
    let mut bytes = SPECIMEN.to_vec();
    bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

fn byte_range_text(range: [usize; 4]) -> String {
    format!("[{} {} {} {}", range[0], range[1], range[2], range[3])
}

#[test]
fn both_signatures_hold() {
    let found = signatures(SPECIMEN).unwrap();
    assert_eq!(found.len(), 2);
    for signature in &found {
        assert_eq!(signature.cms_ok, Ok(()));
        assert_eq!(signature.chain_ders, [ROOT]);
        assert_eq!(check_issued_by(&signature.signer_cert_der, ROOT, THEN_MS), Ok(()));
        assert_eq!(signature.signing_time_m.as_deref(), Some("D:20261122100000+08'00'"));
        assert_eq!(signature.reason.as_deref(), Some("同意并签署本合同"));
        let facts = certificate_facts(&signature.signer_cert_der).unwrap();
        assert_eq!(facts.subject, signature.signer_subject);
    }
    assert_eq!((found[0].field.as_str(), found[1].field.as_str()), ("sig-a", "sig-b"));
    assert!(found[0].covers_to < found[1].covers_to);
    assert!(!found[0].covers_whole_file && found[1].covers_whole_file);
    // The first revision alone, as its signer saw it.
    let first = signatures(&SPECIMEN[..found[0].covers_to]).unwrap();
    assert!(first.len() == 1 && first[0].covers_whole_file);
    assert_eq!(first[0].byte_range_digest, found[0].byte_range_digest);
}

#[test]
fn attachments_are_read() {
    let found = attachments(SPECIMEN).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].bytes.as_slice()), ("note.txt", b"hello".as_slice()));
}

#[test]
fn appended_bytes_are_noticed() {
    let appended = [SPECIMEN, b"\n% more\n"].concat();
    let found = signatures(&appended);
    assert!(found.is_err() || !found.unwrap()[1].covers_whole_file);
}

#[test]
fn changed_content_breaks_the_digest() {
    let changed = replaced(0, "Sample agreement", "Sample agreemenT");
    let found = signatures(&changed).unwrap();
    assert_eq!(found[0].cms_ok, Err(CmsError::DigestMismatch));
    assert_eq!(found[1].cms_ok, Err(CmsError::DigestMismatch));
    // In the second revision: only the second signature is broken.
    let end = signatures(SPECIMEN).unwrap()[0].covers_to;
    let changed = replaced(end, "/F 132", "/F 134");
    let found = signatures(&changed).unwrap();
    assert_eq!(found[0].cms_ok, Ok(()));
    assert_eq!(found[1].cms_ok, Err(CmsError::DigestMismatch));
}

#[test]
fn changed_signature_values_are_bad() {
    let [_, first, second, _] = signatures(SPECIMEN).unwrap()[1].byte_range;
    let last = (first..second - 1).rev().find(|index| SPECIMEN[*index] != b'0').unwrap();
    let mut changed = SPECIMEN.to_vec();
    changed[last - 20] = if changed[last - 20] == b'1' { b'2' } else { b'1' };
    let found = signatures(&changed).unwrap();
    assert!(found[1].cms_ok.is_err());
    // Something hidden behind the object, in the padding.
    let mut changed = SPECIMEN.to_vec();
    changed[second - 4] = b'7';
    assert!(matches!(signatures(&changed).unwrap()[1].cms_ok, Err(CmsError::Malformed(_))));
}

#[test]
fn byte_ranges_must_be_whole() {
    let [_, first, second, length] = signatures(SPECIMEN).unwrap()[0].byte_range;
    let old = byte_range_text([0, first, second, length]);
    for new in [
        [1, first, second, length],
        [0, first - 10, second, length],
        [0, first, second + 10, length],
        [0, first, second, length - 10],
        [0, first, second, 99999],
        [0, second, first, length],
    ] {
        let new = byte_range_text(new);
        let new = format!("{new:<width$}", width = old.len());
        if new.len() != old.len() {
            continue;
        }
        let outcome = signatures(&replaced(0, &old, &new));
        assert!(matches!(outcome, Err(PdfReadError::ByteRange { .. })), "{new}: {outcome:?}");
    }
}

#[test]
fn a_hidden_signature_is_an_error() {
    // The field stays, its value does not resolve: a lenient reader would see an unsigned file.
    let end = signatures(SPECIMEN).unwrap()[0].covers_to;
    let widget = String::from_utf8_lossy(&SPECIMEN[end..]).into_owned();
    let start = widget.find("/V ").unwrap();
    let value: String = widget[start..].chars().take_while(|c| *c != 'R').collect();
    let missing = format!("{:<width$}", "/V 9999 0 ", width = value.len());
    let missing = missing.replace("9999 0 ", &format!("{:0>1$} 0 ", 0, value.len() - 6));
    let outcome = signatures(&replaced(end, &value, &missing));
    assert!(matches!(outcome, Err(PdfReadError::Unresolvable { .. })), "{value:?} {missing:?} {outcome:?}");
    let outcome = signatures(&replaced(end, "/Contents<", "/Contentz<"));
    assert!(matches!(outcome, Err(PdfReadError::Unresolvable { .. })), "{outcome:?}");
}

#[test]
fn unreadable_files_are_refused() {
    assert!(matches!(signatures(b"hello"), Err(PdfReadError::NotPdf)));
    assert!(matches!(attachments(&[b"\n", SPECIMEN].concat()), Err(PdfReadError::NotPdf)));
    assert!(signatures(&SPECIMEN[..SPECIMEN.len() / 3]).is_err());
    assert!(matches!(signatures(&vec![b'%'; (64 << 20) + 1]), Err(PdfReadError::TooLarge(_))));
}
