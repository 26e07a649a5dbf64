//! Reads objects from bytes (ISO 32000-1 §7.2, §7.3), strictly: what two readers could read differently is an
//! error. Depth and the number of values are bounded, so that no input takes long or much memory.

use std::cell::Cell;
use std::ops::Range;

use super::value::{Dictionary, Id, Value};

/// Deepest nesting of arrays and dictionaries.
const MAX_NESTING: usize = 64;

/// Why bytes are no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// How many values may still be read from one file.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub(crate) fn new(values: usize) -> Self {
        Self(Cell::new(values))
    }

    /// Takes `count`; false when there are not so many left.
    pub(crate) fn take(&self, count: usize) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(count));
        left >= count
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// White space (ISO 32000-1 table 1).
pub(crate) fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_regular(byte: u8) -> bool {
    !is_white(byte) && !is_delimiter(byte)
}

/// Keys of a dictionary with the places of their values.
pub(crate) type Places = Vec<(Vec<u8>, Range<usize>)>;

/// A reading position.
pub(crate) struct Lexer<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    budget: &'a Budget,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize, budget: &'a Budget) -> Self {
        Self { bytes, at, budget }
    }

    pub(crate) fn error<T>(&self, what: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// White space and comments.
    pub(crate) fn skip_white(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.at += 1;
                }
            } else if is_white(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// Skips white space and this word, if it stands there.
    pub(crate) fn accept(&mut self, word: &[u8]) -> bool {
        self.skip_white();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let ends = rest.get(word.len()).is_none_or(|byte| !is_regular(*byte));
        if rest.starts_with(word) && ends {
            self.at += word.len();
            return true;
        }
        false
    }

    pub(crate) fn expect(&mut self, word: &[u8], what: &'static str) -> Result<(), SyntaxError> {
        if self.accept(word) { Ok(()) } else { self.error(what) }
    }

    /// A non-negative integer.
    pub(crate) fn unsigned(&mut self, what: &'static str) -> Result<usize, SyntaxError> {
        self.skip_white();
        let digits = self.regular();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return self.error(what);
        }
        text.parse().or_else(|_| self.error(what))
    }

    /// The following regular characters.
    pub(crate) fn regular(&mut self) -> &'a [u8] {
        // An offset of the file may lie behind its end.
        let start = self.at.min(self.bytes.len());
        while self.peek().is_some_and(is_regular) {
            self.at += 1;
        }
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// One object other than a stream.
    pub(crate) fn value(&mut self) -> Result<Value, SyntaxError> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_NESTING {
            return self.error("nested too deep");
        }
        if !self.budget.take(1) {
            return self.error("too many objects");
        }
        self.skip_white();
        match self.peek() {
            None => self.error("the file ends within an object"),
            Some(b'/') => Ok(Value::Name(self.name()?)),
            Some(b'(') => Ok(Value::String(self.literal()?)),
            Some(b'[') => {
                self.at += 1;
                let mut members = vec![];
                loop {
                    self.skip_white();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        return Ok(Value::Array(members));
                    }
                    members.push(self.nested(depth + 1)?);
                }
            }
            Some(b'<') if self.bytes.get(self.at + 1) == Some(&b'<') => {
                let mut found = vec![];
                self.entries(depth, |name, value, _| found.push((name, value)))?;
                Ok(Value::Dictionary(Dictionary(found)))
            }
            Some(b'<') => Ok(Value::String(self.hexadecimal()?)),
            Some(byte) if byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.') => self.number(),
            Some(_) => match self.regular() {
                b"true" => Ok(Value::Bool(true)),
                b"false" => Ok(Value::Bool(false)),
                b"null" => Ok(Value::Null),
                _ => self.error("no object"),
            },
        }
    }

    /// The entries of a dictionary, each with the place of its value.
    fn entries(
        &mut self, depth: usize, mut found: impl FnMut(Vec<u8>, Value, Range<usize>),
    ) -> Result<(), SyntaxError> {
        self.at += 2;
        let mut keys = std::collections::HashSet::new();
        loop {
            self.skip_white();
            match self.peek() {
                Some(b'/') => {
                    let name = self.name()?;
                    if !keys.insert(name.clone()) {
                        return self.error("a key stands twice in a dictionary");
                    }
                    self.skip_white();
                    let start = self.at;
                    let value = self.nested(depth + 1)?;
                    found(name, value, start..self.at);
                }
                Some(b'>') if self.bytes.get(self.at + 1) == Some(&b'>') => {
                    self.at += 2;
                    return Ok(());
                }
                _ => return self.error("no key in a dictionary"),
            }
        }
    }

    /// The places of the values of the dictionary that begins here.
    pub(crate) fn places(&mut self) -> Result<Places, SyntaxError> {
        self.skip_white();
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(b"<<") {
            return self.error("no dictionary");
        }
        let mut places = vec![];
        self.entries(0, |name, _, place| places.push((name, place)))?;
        Ok(places)
    }

    fn name(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.at += 1;
        let raw = self.regular();
        let mut name = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((byte, after)) = rest.split_first() {
            let digits = (after.first().and_then(nibble), after.get(1).and_then(nibble));
            match (byte, digits) {
                (b'#', (Some(high), Some(low))) => {
                    name.push(high << 4 | low);
                    rest = &after[2..];
                }
                _ => {
                    name.push(*byte);
                    rest = after;
                }
            }
        }
        Ok(name)
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let raw = self.regular();
        let text = std::str::from_utf8(raw).unwrap_or_default();
        if raw.iter().all(u8::is_ascii_digit)
            && raw.len() <= 10
            && let Some(id) = self.reference(text)
        {
            return Ok(Value::Reference(id));
        }
        let plain = raw.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'));
        match (plain, text.parse::<i64>(), text.parse::<f64>()) {
            (true, Ok(integer), _) => Ok(Value::Integer(integer)),
            (true, _, Ok(real)) => Ok(Value::Real(real)),
            _ => {
                self.at = start;
                self.error("no number")
            }
        }
    }

    /// `number` was read; is it followed by a generation and `R`?
    fn reference(&mut self, number: &str) -> Option<Id> {
        let start = self.at;
        let found = self.unsigned("").ok().and_then(|generation| {
            let id = Id { number: number.parse().ok()?, generation: u16::try_from(generation).ok()? };
            self.skip_white();
            (self.regular() == b"R").then_some(id)
        });
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn literal(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.at += 1;
        let mut found = vec![];
        let mut open = 1;
        loop {
            let Some(byte) = self.peek() else { return self.error("the file ends within a string") };
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(found);
                    }
                }
                b'\\' => {
                    self.escape(&mut found);
                    continue;
                }
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.at += 1;
                    }
                    found.push(b'\n');
                    continue;
                }
                _ => {}
            }
            found.push(byte);
        }
    }

    fn escape(&mut self, found: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => found.push(b'\n'),
            b'r' => found.push(b'\r'),
            b't' => found.push(b'\t'),
            b'b' => found.push(8),
            b'f' => found.push(12),
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            b'\n' => {}
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                found.push(code.to_le_bytes()[0]);
            }
            other => found.push(other),
        }
    }

    fn hexadecimal(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.at += 1;
        let mut digits = vec![];
        loop {
            let Some(byte) = self.peek() else { return self.error("the file ends within a string") };
            self.at += 1;
            match nibble(&byte) {
                Some(digit) => digits.push(digit),
                None if byte == b'>' => break,
                None if is_white(byte) => {}
                None => return self.error("a hexadecimal string has another character"),
            }
        }
        if digits.len() % 2 == 1 {
            digits.push(0);
        }
        Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
    }
}

fn nibble(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// An indirect object with its place.
#[derive(Clone, Debug)]
pub(crate) struct Indirect {
    pub(crate) id: Id,
    pub(crate) value: Value,
    /// Behind `endobj`.
    pub(crate) end: usize,
}

/// Reads `n g obj … endobj` at `at`; `length` tells the value of an indirect `/Length`.
pub(crate) fn indirect(
    bytes: &[u8], at: usize, budget: &Budget, length: &dyn Fn(Id) -> Option<usize>,
) -> Result<Indirect, SyntaxError> {
    let mut lexer = Lexer::new(bytes, at, budget);
    let number = lexer.unsigned("no object number")?;
    let generation = lexer.unsigned("no generation number")?;
    let (Ok(number), Ok(generation)) = (u32::try_from(number), u16::try_from(generation)) else {
        return lexer.error("an object number is too large");
    };
    lexer.expect(b"obj", "no object")?;
    let mut value = lexer.value()?;
    if lexer.accept(b"stream") {
        let Value::Dictionary(dictionary) = value else { return lexer.error("a stream without a dictionary") };
        match (lexer.peek(), bytes.get(lexer.at + 1)) {
            (Some(b'\r'), Some(b'\n')) => lexer.at += 2,
            (Some(b'\n'), _) => lexer.at += 1,
            _ => return lexer.error("no line end behind a stream keyword"),
        }
        let size = match dictionary.get(b"Length") {
            Some(Value::Reference(id)) => length(*id),
            Some(direct) => direct.as_usize(),
            None => None,
        };
        let Some(end) = size.and_then(|size| lexer.at.checked_add(size)).filter(|end| *end <= bytes.len()) else {
            return lexer.error("a stream has no valid length");
        };
        let data = lexer.at..end;
        lexer.at = end;
        while lexer.peek().is_some_and(|byte| byte == b'\r' || byte == b'\n') {
            lexer.at += 1;
        }
        if !bytes[lexer.at..].starts_with(b"endstream") {
            return lexer.error("the length of a stream is wrong");
        }
        lexer.at += b"endstream".len();
        value = Value::Stream(dictionary, data);
    }
    lexer.expect(b"endobj", "no end of an object")?;
    Ok(Indirect { id: Id { number, generation }, value, end: lexer.at })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &[u8]) -> Result<Value, &'static str> {
        let budget = Budget::new(1000);
        Lexer::new(text, 0, &budget).value().map_err(|error| error.what)
    }

    #[test]
    fn values() {
        let check = |text: &[u8], expected: Value| assert_eq!(read(text), Ok(expected), "{text:?}");
        check(b" 12 ", Value::Integer(12));
        check(b"-.5", Value::Real(-0.5));
        check(b"12 0 R", Value::Reference(Id { number: 12, generation: 0 }));
        check(b"/A#42c", Value::Name(b"ABc".to_vec()));
        check(b"(a\\(b(c)\\051\\n)", Value::String(b"a(b(c))\n".to_vec()));
        check(b"<41 4>", Value::String(b"A@".to_vec()));
        check(b"[1 2 0 R%x\n3]", read(b"[1 2 0 R 3]").unwrap());
        check(b"<</A 1/B[<<>>]>>", read(b"<< /A 1 /B [ << >> ] >>").unwrap());
        check(b"[1 2 3]", Value::Array(vec![Value::Integer(1), Value::Integer(2), Value::Integer(3)]));
    }

    #[test]
    fn refusals() {
        for bad in [&b"<</A 1/A 2>>"[..], b"(a", b"<4", b"[1", b"nul", b"1x", b"<</A>>", b"", b"--", b"<zz>"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert_eq!(read(&b"[".repeat(100)), Err("nested too deep"));
        let budget = Budget::new(10);
        assert!(Lexer::new(&b"0 ".repeat(100), 0, &budget).value().is_ok());
        assert_eq!(read(&[&b"["[..], &b"1 ".repeat(2000), b"]"].concat()), Err("too many objects"));
    }

    #[test]
    fn indirect_objects() {
        let read = |text: &[u8]| {
            let budget = Budget::new(1000);
            indirect(text, 0, &budget, &|_| Some(3)).map_err(|error| error.what)
        };
        let found = read(b"7 0 obj\n<</Length 3>>\nstream\nabc\nendstream\nendobj\n").unwrap();
        assert_eq!((found.id.number, found.end), (7, 49));
        assert!(matches!(found.value, Value::Stream(_, data) if data == (29..32)));
        assert!(read(b"7 0 obj <</Length 1 0 R>> stream\r\nabcendstream endobj").is_ok());
        assert!(read(b"7 0 obj <</Length 2>> stream\nabc\nendstream endobj").is_err());
        assert!(read(b"7 0 obj <</Length 99>> stream\nabc\nendstream endobj").is_err());
        assert!(read(b"7 0 obj 5").is_err());
    }
}
