//! PDF objects as values (ISO 32000-1 §7.3). A stream keeps the place of its data in the file.

use std::ops::Range;

/// Number and generation of an indirect object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) number: u32,
    pub(crate) generation: u16,
}

/// A dictionary in the order of the file. The reader refuses a key that stands twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dictionary(pub(crate) Vec<(Vec<u8>, Value)>);

/// Any object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Name(Vec<u8>),
    String(Vec<u8>),
    Array(Vec<Value>),
    Dictionary(Dictionary),
    /// Dictionary and place of the raw data in the file.
    Stream(Dictionary, Range<usize>),
    Reference(Id),
}

impl Dictionary {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value))
    }

    /// The entry as a name.
    pub(crate) fn name(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(key).and_then(Value::as_name)
    }
}

impl Value {
    pub(crate) fn as_name(&self) -> Option<&[u8]> {
        match self {
            Value::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_usize(&self) -> Option<usize> {
        self.as_integer().and_then(|number| usize::try_from(number).ok())
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_string(&self) -> Option<&[u8]> {
        match self {
            Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(members) => Some(members),
            _ => None,
        }
    }

    /// The dictionary of a dictionary or stream.
    pub(crate) fn as_dictionary(&self) -> Option<&Dictionary> {
        match self {
            Value::Dictionary(dictionary) | Value::Stream(dictionary, _) => Some(dictionary),
            _ => None,
        }
    }

    pub(crate) fn as_reference(&self) -> Option<Id> {
        match self {
            Value::Reference(id) => Some(*id),
            _ => None,
        }
    }

    /// A text string (PDFDocEncoding, UTF-16 or UTF-8) as Rust text; bytes that are none are replaced.
    pub(crate) fn as_text(&self) -> Option<String> {
        let bytes = self.as_string()?;
        let object = lopdf::Object::String(bytes.to_vec(), lopdf::StringFormat::Literal);
        Some(lopdf::decode_text_string(&object).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned()))
    }
}
