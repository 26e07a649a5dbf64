//! Validation data in a PDF (document security store, ETSI EN 319 142-1 §5.4.2): the certificates and
//! revocation data with which a signature can be judged years later, PAdES B-LT. With a timestamp over them
//! ([`crate::sign::prepare_timestamp`]) it is B-LTA, renewed by doing both again before that timestamp's
//! authority expires. Fetching is the caller's.

use lopdf::{Dictionary, Object, ObjectId, Stream};
use sha1::{Digest, Sha1};

use crate::inspect::{Pdf, PdfError};
use crate::update::{Update, UpdateError};

/// Why validation data could not be added.
#[derive(Debug, thiserror::Error)]
pub enum LtvError {
    /// The PDF is refused.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The PDF cannot be extended.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

/// Certificates and revocation data, DER.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationData {
    /// X.509 certificates.
    pub certificates: Vec<Vec<u8>>,
    /// Revocation lists (RFC 5280).
    pub revocation_lists: Vec<Vec<u8>>,
    /// OCSP responses (RFC 6960).
    pub ocsp_responses: Vec<Vec<u8>>,
}

impl ValidationData {
    /// Adds what `other` has and this has not.
    pub fn extend(&mut self, other: Self) {
        let add = |own: &mut Vec<Vec<u8>>, new: Vec<Vec<u8>>| {
            for one in new {
                if !own.contains(&one) {
                    own.push(one);
                }
            }
        };
        add(&mut self.certificates, other.certificates);
        add(&mut self.revocation_lists, other.revocation_lists);
        add(&mut self.ocsp_responses, other.ocsp_responses);
    }
}

/// What belongs to one signature.
#[derive(Debug, Clone)]
pub struct ForSignature<'a> {
    /// Its `/Contents` as it stands in the file, padding included.
    pub contents: &'a [u8],
    /// Its data.
    pub data: ValidationData,
}

/// The three kinds: key in the store, key in an entry of `/VRI`.
const KINDS: [(&str, &str); 3] = [("Certs", "Cert"), ("CRLs", "CRL"), ("OCSPs", "OCSP")];

/// Appends a revision with the validation data of these signatures. What the file has already stays; the
/// same bytes are not stored twice.
///
/// # Errors
/// When the file is refused or its store is not one.
pub fn add(pdf: &[u8], signatures: &[ForSignature<'_>]) -> Result<Vec<u8>, LtvError> {
    let inspected = Pdf::open(pdf)?;
    let mut update = Update::new(pdf, &inspected.document)?;
    let root = update.root()?;
    let mut catalog = update.get_dictionary(root)?;
    let store_id = match catalog.get(b"DSS") {
        Ok(Object::Reference(id)) => *id,
        _ => update.reserve()?,
    };
    let mut store = Store::read(&update, &catalog)?;
    for signature in signatures {
        let mut entry = Dictionary::new();
        let data = &signature.data;
        for ((kind, key), values) in
            KINDS.into_iter().zip([&data.certificates, &data.revocation_lists, &data.ocsp_responses])
        {
            let mut numbers = Vec::new();
            for value in values {
                numbers.push(Object::Reference(store.put(&mut update, kind, value)?));
            }
            if !numbers.is_empty() {
                entry.set(key, numbers);
            }
        }
        // The name is that of the signature: SHA-1 of its contents, in upper case. An entry that exists stays
        // as it is, since validators take a changed one for tampering; what is new counts in the store.
        let name = hex::encode_upper(Sha1::digest(signature.contents));
        if !store.entries.has(name.as_bytes()) {
            let entry = update.add(entry)?;
            store.entries.set(name, entry);
        }
    }
    update.set(store_id, Object::Dictionary(store.dictionary()));
    catalog.set("DSS", store_id);
    update.set(root, Object::Dictionary(catalog));
    Ok(update.write()?.bytes)
}

/// What the file has already.
struct Store {
    /// Per kind: number and bytes.
    streams: [Vec<(ObjectId, Option<Vec<u8>>)>; 3],
    entries: Dictionary,
}

impl Store {
    fn read(update: &Update<'_>, catalog: &Dictionary) -> Result<Self, UpdateError> {
        let mut store = Self { streams: Default::default(), entries: Dictionary::new() };
        let Some(dss) = update.sub_dictionary(catalog, "DSS")? else { return Ok(store) };
        for ((kind, _), streams) in KINDS.into_iter().zip(&mut store.streams) {
            let listed = match dss.get(kind.as_bytes()) {
                Ok(Object::Reference(id)) => update.get(*id)?,
                Ok(other) => other.clone(),
                Err(_) => continue,
            };
            for stream in listed.as_array().map_err(|_| UpdateError::WrongType("/DSS"))? {
                let id = stream.as_reference().map_err(|_| UpdateError::WrongType("/DSS"))?;
                let bytes = match update.get(id)? {
                    Object::Stream(stream) if !stream.dict.has(b"Filter") => Some(stream.content),
                    Object::Stream(stream) => stream.decompressed_content().ok(),
                    _ => return Err(UpdateError::WrongType("/DSS")),
                };
                streams.push((id, bytes));
            }
        }
        if let Some(entries) = update.sub_dictionary(&dss, "VRI")? {
            store.entries = entries;
        }
        Ok(store)
    }

    fn put(&mut self, update: &mut Update<'_>, kind: &str, bytes: &[u8]) -> Result<ObjectId, UpdateError> {
        let place = KINDS.iter().position(|(known, _)| *known == kind).unwrap_or_default();
        if let Some((id, _)) = self.streams[place].iter().find(|(_, known)| known.as_deref() == Some(bytes)) {
            return Ok(*id);
        }
        let mut stream = Stream::new(Dictionary::new(), bytes.to_vec());
        // Smaller when it can be; otherwise it stays as it is.
        let _ = stream.compress();
        let id = update.add(stream)?;
        self.streams[place].push((id, Some(bytes.to_vec())));
        Ok(id)
    }

    fn dictionary(&self) -> Dictionary {
        let mut dss = Dictionary::new();
        dss.set("Type", Object::Name(b"DSS".to_vec()));
        for ((kind, _), streams) in KINDS.into_iter().zip(&self.streams) {
            if !streams.is_empty() {
                dss.set(kind, streams.iter().map(|(id, _)| Object::Reference(*id)).collect::<Vec<_>>());
            }
        }
        dss.set("VRI", self.entries.clone());
        dss
    }
}
