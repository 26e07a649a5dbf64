//! The smallest PDFs that carry attachments and signatures: written byte by byte, so that each attack is on
//! exactly the bytes it means. Classic cross-reference tables, one incremental update per signature.

use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use qz_document::ca::{CertificateAuthority, LeafRequest, SealKey, Subject};
use qz_evidence::Hash32;
use qz_evidence::hash::sha256;
use qz_evidence::signed_data::NewSignedData;

/// Room for a CMS object, in bytes.
const ROOM: usize = 4096;

/// A file and what later updates of it need to know.
#[derive(Clone, Debug)]
pub struct Pdf {
    pub bytes: Vec<u8>,
    xref: usize,
    size: usize,
    /// Widgets so far.
    fields: Vec<usize>,
    /// `/Names` of the catalog, if there are attachments.
    names: String,
    /// More entries of the catalog.
    pub catalog: String,
}

impl Pdf {
    /// One page with this text; attachments by name.
    pub fn new(text: &str, attachments: &[(&str, &[u8])]) -> Self {
        let content = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
        let mut objects = vec![
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>"
                .to_vec(),
            stream("", content.as_bytes()),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_vec(),
        ];
        let mut names = String::new();
        for (name, bytes) in attachments {
            let number = objects.len() + 2;
            objects.push(stream("/Type/EmbeddedFile", bytes));
            objects.push(format!("<</Type/Filespec/F({name})/UF({name})/EF<</F {number} 0 R>>>>").into_bytes());
            names.push_str(&format!("({name}) {} 0 R ", number + 1));
        }
        let names = if names.is_empty() { names } else { format!("/Names<</EmbeddedFiles<</Names[{names}]>>>>") };
        objects.insert(0, format!("<</Type/Catalog/Pages 2 0 R{names}>>").into_bytes());
        let mut pdf = Self {
            bytes: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(),
            xref: 0,
            size: 0,
            fields: vec![],
            names,
            catalog: String::new(),
        };
        let numbered: Vec<_> = objects.into_iter().enumerate().map(|(i, object)| (i + 1, object)).collect();
        pdf.update(&numbered);
        pdf
    }

    /// A file that is not updated any more.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, xref: 0, size: 0, fields: vec![], names: String::new(), catalog: String::new() }
    }

    /// Appends objects, a table and a trailer. Returns the offsets of the objects.
    pub fn update(&mut self, objects: &[(usize, Vec<u8>)]) -> Vec<usize> {
        let offsets = self.body(objects);
        let entries: Vec<_> = objects.iter().zip(&offsets).map(|((number, _), offset)| (*number, *offset)).collect();
        self.close(&entries, "");
        offsets
    }

    /// Appends objects only. Returns their offsets.
    pub fn body(&mut self, objects: &[(usize, Vec<u8>)]) -> Vec<usize> {
        let mut offsets = vec![];
        for (number, object) in objects {
            offsets.push(self.bytes.len());
            self.bytes.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
            self.bytes.extend_from_slice(object);
            self.bytes.extend_from_slice(b"\nendobj\n");
        }
        offsets
    }

    /// Appends a table with these entries (offset 0: freed), and a trailer with `more`.
    pub fn close(&mut self, entries: &[(usize, usize)], more: &str) {
        let first = self.size == 0;
        self.size = self.size.max(entries.iter().map(|(number, _)| number + 1).max().unwrap_or(0));
        let previous = if first { String::new() } else { format!("/Prev {}", self.xref) };
        self.xref = self.bytes.len();
        self.bytes.extend_from_slice(b"xref\n");
        if first {
            self.bytes.extend_from_slice(b"0 1\n0000000000 65535 f \n");
        }
        for (number, offset) in entries {
            let line = match offset {
                0 => format!("{number} 1\n0000000000 00001 f \n"),
                _ => format!("{number} 1\n{offset:010} 00000 n \n"),
            };
            self.bytes.extend_from_slice(line.as_bytes());
        }
        let trailer =
            format!("trailer\n<</Size {}/Root 1 0 R{previous}{more}>>\nstartxref\n{}\n%%EOF\n", self.size, self.xref);
        self.bytes.extend_from_slice(trailer.as_bytes());
    }

    /// The same with a cross-reference stream, which has further entries: number, object stream.
    pub fn update_with_stream(&mut self, objects: &[(usize, Vec<u8>)], packed: &[(usize, usize)]) {
        let places = self.body(objects);
        let numbers = objects.iter().map(|(number, _)| *number);
        let mut entries: Vec<_> = numbers.zip(places).map(|(number, place)| (number, 1, place)).collect();
        entries.extend(packed.iter().map(|(number, container)| (*number, 2, *container)));
        let number = entries.iter().map(|(number, ..)| number + 1).max().unwrap().max(self.size);
        self.size = number + 1;
        let previous = std::mem::replace(&mut self.xref, self.bytes.len());
        entries.push((number, 1, self.xref));
        let index: Vec<_> = entries.iter().map(|(number, ..)| format!("{number} 1")).collect();
        let row = |(_, kind, place): &(usize, u8, usize)| {
            [&[*kind][..], &u32::try_from(*place).unwrap().to_be_bytes(), &[0, 0]].concat()
        };
        let rows: Vec<u8> = entries.iter().flat_map(row).collect();
        let index = index.join(" ");
        let more = format!("/Type/XRef/Size {}/Root 1 0 R/Prev {previous}/W[1 4 2]/Index[{index}]", self.size);
        self.body(&[(number, stream(&more, &rows))]);
        self.bytes.extend_from_slice(format!("startxref\n{}\n%%EOF\n", self.xref).as_bytes());
    }

    /// First number that is free.
    pub fn free(&self) -> usize {
        self.size
    }

    pub fn catalog_object(&self) -> Vec<u8> {
        let form = match self.fields.is_empty() {
            true => String::new(),
            false => format!("/AcroForm<</SigFlags 3/Fields[{}]>>", self.list()),
        };
        format!("<</Type/Catalog/Pages 2 0 R{}{form}{}>>", self.names, self.catalog).into_bytes()
    }

    /// The page with more annotations, and more of anything.
    pub fn page_object(&self, annotations: &str, more: &str) -> Vec<u8> {
        format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R/Annots[{}{annotations}]{more}>>",
            self.list()
        )
        .into_bytes()
    }

    fn list(&self) -> String {
        let fields: Vec<_> = self.fields.iter().map(|number| format!("{number} 0 R")).collect();
        fields.join(" ")
    }

    /// An update with a signature field whose value waits for its CMS object. Returns what must be signed.
    pub fn prepare(&mut self) -> Prepared {
        self.prepare_with(vec![])
    }

    /// The same with more objects in the update, or others in the place of its own.
    pub fn prepare_with(&mut self, others: Vec<(usize, Vec<u8>)>) -> Prepared {
        self.prepare_as("/Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached", "", others)
    }

    /// The same with these first entries of the signature, more of its field, and more objects in the update.
    pub fn prepare_as(&mut self, kind: &str, more: &str, others: Vec<(usize, Vec<u8>)>) -> Prepared {
        let value = others.iter().map(|(number, _)| number + 1).max().unwrap_or(0).max(self.size);
        self.prepare_at(value, kind, more, others)
    }

    /// The same with this object in the place of its field, whose number is the second that is free.
    pub fn prepare_replacing(&mut self, kind: &str, field: (usize, Vec<u8>)) -> Prepared {
        self.prepare_at(self.size, kind, "", vec![field])
    }

    fn prepare_at(&mut self, value: usize, kind: &str, more: &str, others: Vec<(usize, Vec<u8>)>) -> Prepared {
        let widget = value + 1;
        self.fields.push(widget);
        let head = format!("<<{kind}/ByteRange[0 0000000000 0000000000 0000000000]/Contents<");
        let signature = [head.as_bytes(), &vec![b'0'; 2 * ROOM], b">>>"].concat();
        let field = format!(
            "<</Type/Annot/Subtype/Widget/FT/Sig/T(sig-{widget})/V {value} 0 R/P 3 0 R/F 132/Rect[0 0 0 0]{more}>>"
        );
        let mut objects = vec![
            (1, self.catalog_object()),
            (3, self.page_object("", "")),
            (value, signature),
            (widget, field.into_bytes()),
        ];
        objects.retain(|(number, _)| others.iter().all(|(other, _)| other != number));
        objects.extend(others);
        let offsets = self.update(&objects);
        let place = objects.iter().position(|(number, _)| *number == value).unwrap();
        let start = offsets[place] + format!("{value} 0 obj\n").len() + head.len();
        let (first, second) = (start - 1, start + 2 * ROOM + 1);
        let range = format!("[0 {first:010} {second:010} {:010}]", self.bytes.len() - second);
        let place = start - b"/Contents<".len() - range.len();
        self.bytes[place..place + range.len()].copy_from_slice(range.as_bytes());
        let covered = [&self.bytes[..first], &self.bytes[second..]].concat();
        Prepared { digest: sha256(&[&covered]), covered, contents: start }
    }

    /// Puts the CMS object in its place.
    pub fn complete(&mut self, prepared: &Prepared, cms: &[u8]) {
        let digits = hex::encode(cms);
        self.bytes[prepared.contents..prepared.contents + digits.len()].copy_from_slice(digits.as_bytes());
    }

    /// Signs as it is now.
    pub fn sign(&mut self, signer: &Signer) -> Hash32 {
        let prepared = self.prepare();
        self.complete(&prepared, &signer.cms_of(&prepared));
        prepared.digest
    }
}

/// A revision that waits for its CMS object.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// SHA-256 over the byte range.
    pub digest: Hash32,
    /// The bytes of the range.
    pub covered: Vec<u8>,
    contents: usize,
}

pub fn stream(more: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("<<{more}/Length {}>>\nstream\n", bytes.len()).as_bytes(), bytes, b"\nendstream"].concat()
}

/// A key with its X.509 certificate by the demonstration CA, all the same on every run.
#[derive(Debug)]
pub struct Signer {
    key: SealKey,
    pub certificate: Vec<u8>,
    pub issuer: Vec<u8>,
}

impl Signer {
    /// Valid between two times (milliseconds).
    pub fn new(n: u8, name: &str, not_before_ms: u64, not_after_ms: u64) -> Self {
        let (from, to) = (i64::try_from(not_before_ms).unwrap(), i64::try_from(not_after_ms).unwrap());
        Self::with_key(p256_key(n), n, name, (from, to))
    }

    /// The same with an SM2 key.
    pub fn sm2(n: u8, name: &str, not_before_ms: u64, not_after_ms: u64) -> Self {
        let (from, to) = (i64::try_from(not_before_ms).unwrap(), i64::try_from(not_after_ms).unwrap());
        Self::with_key(crate::sm2::key(n), n, name, (from, to))
    }

    fn with_key(key: SealKey, n: u8, name: &str, (from, to): (i64, i64)) -> Self {
        let ca = CertificateAuthority::create(p256_key(0xca), 1_600_000_000_000, 4_000_000_000_000, [1; 16]).unwrap();
        let request = LeafRequest {
            subject: Subject::Person { name, organisation: None },
            public_key_der: &key.public_key_der().unwrap(),
            not_before_ms: from,
            not_after_ms: to,
            serial: [n; 16],
        };
        Self { certificate: ca.issue(&request).unwrap(), issuer: ca.certificate_der().to_vec(), key }
    }

    /// A detached CMS object over a revision.
    pub fn cms_of(&self, prepared: &Prepared) -> Vec<u8> {
        self.cms(&Hash32(self.key.algorithm().hash().digest(&[&prepared.covered])))
    }

    /// The same with another content type, and that of the whole object.
    pub fn cms_as(&self, prepared: &Prepared, data: ObjectIdentifier, signed_data: ObjectIdentifier) -> Vec<u8> {
        let digest = self.key.algorithm().hash().digest(&[&prepared.covered]);
        let usual = self.cms_of(prepared);
        let model = ContentInfo::from_der(&usual).unwrap().content.decode_as::<SignedData>().unwrap();
        let signer = &model.signer_infos.0.as_slice()[0];
        let new = NewSignedData {
            content_type: data,
            content: None,
            digest: &digest,
            digest_algorithm: signer.digest_alg.clone(),
            signature_algorithm: signer.signature_algorithm.clone(),
            certificate: &self.certificate,
            issuers: std::slice::from_ref(&self.issuer),
            with_certificates: true,
        };
        let made = new.assemble(&self.key.sign(&new.to_be_signed().unwrap()).unwrap()).unwrap();
        ContentInfo { content_type: signed_data, ..ContentInfo::from_der(&made).unwrap() }.to_der().unwrap()
    }

    /// A detached CMS object over a digest.
    pub fn cms(&self, digest: &Hash32) -> Vec<u8> {
        let chain = std::slice::from_ref(&self.issuer);
        qz_document::cms::sign(&digest.0, &self.key, &self.certificate, chain).unwrap()
    }
}

fn p256_key(n: u8) -> SealKey {
    use p256::pkcs8::EncodePrivateKey;
    let key = p256::ecdsa::SigningKey::from_slice(&[n; 32]).unwrap();
    SealKey::from_pkcs8_der(key.to_pkcs8_der().unwrap().as_bytes()).unwrap()
}
