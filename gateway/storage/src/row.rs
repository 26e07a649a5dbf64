//! From columns to values and back. Columns are text, signed integers and bytes; everything typed
//! (ids, hashes, statuses, JSON) is decoded here with an error that names table, key and column.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;

/// The row being decoded: where an error happened.
pub(crate) struct Row<'a> {
    pub table: &'static str,
    pub key: &'a str,
}

impl Row<'_> {
    pub fn corrupt(&self, column: &'static str, reason: impl Display) -> StorageError {
        StorageError::CorruptRow { table: self.table, key: self.key.to_owned(), column, reason: reason.to_string() }
    }

    /// An id, a status, a blob key.
    pub fn parse<T: FromStr<Err: Display>>(&self, column: &'static str, text: &str) -> Result<T, StorageError> {
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    pub fn parse_opt<T: FromStr<Err: Display>>(
        &self, column: &'static str, text: Option<&str>,
    ) -> Result<Option<T>, StorageError> {
        text.map(|text| self.parse(column, text)).transpose()
    }

    pub fn hash(&self, column: &'static str, text: &str) -> Result<[u8; 32], StorageError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|error| self.corrupt(column, error))?;
        Ok(hash)
    }

    pub fn hash_opt(&self, column: &'static str, text: Option<&str>) -> Result<Option<[u8; 32]>, StorageError> {
        text.map(|text| self.hash(column, text)).transpose()
    }

    /// An unsigned number of any width.
    pub fn number<T: TryFrom<i64>>(&self, column: &'static str, value: i64) -> Result<T, StorageError> {
        T::try_from(value).map_err(|_| self.corrupt(column, "number out of range"))
    }

    pub fn number_opt<T: TryFrom<i64>>(
        &self, column: &'static str, value: Option<i64>,
    ) -> Result<Option<T>, StorageError> {
        value.map(|value| self.number(column, value)).transpose()
    }

    pub fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T, StorageError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }
}

/// A number as the database's integer.
pub(crate) fn integer(value: u64) -> Result<i64, StorageError> {
    i64::try_from(value).map_err(|_| StorageError::OutOfRange(value))
}

pub(crate) fn integer_opt(value: Option<u64>) -> Result<Option<i64>, StorageError> {
    value.map(integer).transpose()
}

/// A value as JSON text.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("values with string keys have a JSON form")
}

pub(crate) fn hex_opt(hash: Option<&[u8; 32]>) -> Option<String> {
    hash.map(hex::encode)
}

pub(crate) fn text_opt<T: Display>(value: Option<&T>) -> Option<String> {
    value.map(T::to_string)
}
