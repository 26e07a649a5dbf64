"""Updates behind the fixed version of a contract (SPEC §11a), rules 1 and 2; `additions` has the others.

The bytes of an update are read here, strictly; of the file before it, pypdf gives the objects.
"""

import re
from collections import namedtuple

from pypdf.generic import (ArrayObject, BooleanObject, ByteStringObject, DictionaryObject, FloatObject, IndirectObject,
                           NameObject, NullObject, NumberObject, StreamObject, TextStringObject)

WHITE, DELIMITERS = b"\0\t\n\f\r ", b"()<>[]{}/%"
NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)\Z")
ESCAPES = {110: b"\n", 114: b"\r", 116: b"\t", 98: b"\b", 102: b"\f"}
Name = namedtuple("Name", "text")
Ref = namedtuple("Ref", "number generation")
# Of a stream only the dictionary matters here.
Stream = namedtuple("Stream", "dictionary")
# In the place of the cross-reference stream of an update.
SECTION = Stream({"Type": Name("XRef"), "Length": 0})
# Entries of a trailer that belong to the file's own structure.
STRUCTURE = {"Size", "Prev", "ID", "Type", "W", "Index", "Filter", "DecodeParms", "Length"}
MAX_UPDATES, MAX_DEPTH = 512, 64


class NotAllowed(Exception):
    """The update is malformed, or does something else."""


def need(condition, why):
    if not condition:
        raise NotAllowed(why)


class Lexer:
    def __init__(self, data, at):
        self.data, self.at = data, at

    def white(self):
        while self.at < len(self.data) and self.data[self.at] in WHITE:
            self.at += 1

    def regular(self):
        start = self.at
        while self.at < len(self.data) and self.data[self.at] not in WHITE and self.data[self.at] not in DELIMITERS:
            self.at += 1
        return self.data[start:self.at]

    def word(self):
        self.white()
        return self.regular()

    def expect(self, word):
        need(self.word() == word, f"{word.decode()} expected at {self.at}")

    def unsigned(self):
        word = self.word()
        need(word.isdigit() and len(word) <= 10, f"a number expected at {self.at}")
        return int(word)

    def value(self, depth=0):
        need(depth <= MAX_DEPTH, "nested too deep")
        self.white()
        two = self.data[self.at:self.at + 2]
        if two[:1] == b"/":
            return Name(self.name())
        if two[:1] == b"(":
            return self.literal()
        if two[:1] == b"[":
            self.at += 1
            members = []
            while not self.closes(b"]"):
                members.append(self.value(depth + 1))
            return members
        if two == b"<<":
            return self.dictionary(depth)
        if two[:1] == b"<":
            end = self.data.find(b">", self.at)
            digits = self.data[self.at + 1:end].translate(None, WHITE)
            need(end > 0 and re.fullmatch(rb"[0-9A-Fa-f]*", digits), "no hexadecimal string")
            self.at = end + 1
            return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        return self.scalar()

    def closes(self, mark):
        self.white()
        found = self.data.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def dictionary(self, depth):
        self.at += 2
        found = {}
        while not self.closes(b">>"):
            need(self.data[self.at:self.at + 1] == b"/", "no key in a dictionary")
            key = self.name()
            need(key not in found, "a key twice in a dictionary")
            found[key] = self.value(depth + 1)
        return found

    def name(self):
        self.at += 1
        return _text(re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes.fromhex(m[1].decode()), self.regular()))

    def literal(self):
        self.at += 1
        found, depth = bytearray(), 1
        while True:
            need(self.at < len(self.data), "a string without end")
            byte = self.data[self.at]
            self.at += 1
            if byte == 0x5C:
                octal = re.compile(rb"[0-7]{1,3}").match(self.data, self.at)
                following = self.data[self.at] if self.at < len(self.data) else 0
                if octal:
                    self.at = octal.end()
                    found.append(int(octal[0], 8) & 255)
                    continue
                self.at += 2 if self.data[self.at:self.at + 2] == b"\r\n" else 1
                found += b"" if following in b"\r\n" else ESCAPES.get(following, bytes([following]))
                continue
            depth += (byte == 0x28) - (byte == 0x29)
            if not depth:
                return bytes(found)
            if byte == 13:
                self.at += self.data[self.at:self.at + 1] == b"\n"
                byte = 10
            found.append(byte)

    def scalar(self):
        word = self.regular()
        if word in (b"true", b"false", b"null"):
            return {b"true": True, b"false": False, b"null": None}[word]
        need(NUMBER.match(word), f"no object at {self.at}")
        if word.isdigit():
            reference = re.compile(rb"[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>\[\]{}/%])").match(self.data, self.at)
            if reference:
                self.at = reference.end()
                return Ref(int(word), int(reference[1]))
        return float(word) if b"." in word else int(word)

    def object(self):
        """`N G obj … endobj`: number, generation, value."""
        number, generation = self.unsigned(), self.unsigned()
        self.expect(b"obj")
        value = self.value()
        if self.word() == b"stream":
            need(isinstance(value, dict) and type(value.get("Length")) is int, "a stream without a length of its own")
            need(self.data[self.at:self.at + 1] == b"\n" or self.data[self.at:self.at + 2] == b"\r\n", "no line end behind stream")
            self.at = self.data.index(b"\n", self.at) + 1
            data = self.data[self.at:self.at + value["Length"]]
            self.at += value["Length"]
            self.expect(b"endstream")
            self.expect(b"endobj")
            return number, generation, Stream(value), data
        need(self.data[:self.at].endswith(b"endobj"), f"endobj expected at {self.at}")
        return number, generation, value, b""


def _text(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _plain(value):
    """An object of pypdf in the types of this module."""
    if isinstance(value, IndirectObject):
        return Ref(value.idnum, value.generation)
    if isinstance(value, NameObject):
        return Name(str(value)[1:])
    if value is None or isinstance(value, NullObject):
        return None
    if isinstance(value, BooleanObject):
        return value.value
    if isinstance(value, (TextStringObject, ByteStringObject)):
        return bytes(value.original_bytes)
    if isinstance(value, StreamObject):
        return Stream({str(k)[1:]: _plain(v) for k, v in value.items()})
    if isinstance(value, DictionaryObject):
        return {str(k)[1:]: _plain(v) for k, v in value.items()}
    if isinstance(value, ArrayObject):
        return [_plain(v) for v in value]
    if isinstance(value, NumberObject):
        return int(value)
    if isinstance(value, FloatObject):
        return float(value)
    return value


def references(value):
    work = [value]
    while work:
        one = work.pop()
        if isinstance(one, Ref):
            yield one
        elif isinstance(one, Stream):
            work.append(one.dictionary)
        elif isinstance(one, dict):
            work += one.values()
        elif isinstance(one, list):
            work += one


class Before:
    """The objects of the file before an update; later updates are laid over it."""

    def __init__(self, reader):
        self.reader = reader
        self.generations = {n: g for g, table in reader.xref.items() for n in table}
        self.generations |= dict.fromkeys(reader.xref_objStm, 0)
        self.over = {}
        self.pages = [Ref(p.indirect_reference.idnum, p.indirect_reference.generation) for p in reader.pages]

    def get(self, ref):
        if ref not in self.over:
            used = self.generations.get(ref.number) == ref.generation
            self.over[ref] = _plain(self.reader.get_object(IndirectObject(*ref, self.reader))) if used else None
        return self.over[ref]

    def resolve(self, value):
        for _ in range(MAX_DEPTH):
            if not isinstance(value, Ref):
                return value
            value = self.get(value)
        raise NotAllowed("references without end")


def only_signed_since(data, version, signed, reader):
    """Do only updates after SPEC §11a stand behind byte `version`? Those up to byte `signed` may sign. `reader` has
    read `data[:version]`."""
    from .additions import judge

    before = Before(reader)
    section = re.compile(rb"startxref[\0\t\n\f\r ]+(\d+)[\0\t\n\f\r ]+%%EOF").match(data, data.rfind(b"startxref", 0, version))
    need(section and section.end() <= version, "the version does not end with startxref")
    section, at, has_signed = int(section[1]), version, False
    trailer = _trailer(data, section)
    for _ in range(MAX_UPDATES):
        objects, trailer_after, section_after, end = _read(data, at)
        need(trailer_after.get("Prev") == section, "/Prev does not lead to the section before")
        update = (before, objects, trailer, trailer_after)
        has_signed |= judge(update, data, end, end <= signed, has_signed)
        before.over.update(objects)
        before.generations.update(objects.keys())
        need(type(trailer_after["Size"]) is int and max(before.generations) < trailer_after["Size"], "/Size is too small")
        trailer, section, at = trailer_after, section_after, end
        if not data[at:].strip(WHITE):
            need(len(data) == signed or at > signed and data[at:] in (b"", b"\n", b"\r", b"\r\n"), "bytes at the end")
            return
    raise NotAllowed("too many updates")


# Whatever a malformed update makes of the reading.
ERRORS = (NotAllowed, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


def _trailer(data, at):
    lexer = Lexer(data, at)
    if data.startswith(b"xref", at):
        lexer.at = data.index(b"trailer", at) + 7
        return lexer.value()
    return lexer.object()[2].dictionary


def _read(data, at):
    """An update that begins at `at`: its objects, trailer, place of its section, and where it ends."""
    lexer, objects, places = Lexer(data, at), {}, {}
    while True:
        lexer.white()
        start = lexer.at
        if data.startswith(b"xref", start):
            entries, trailer = _table(lexer)
            break
        number, generation, value, content = lexer.object()
        need(number not in places, "an object twice in one update")
        places[number] = (start, generation)
        if isinstance(value, Stream) and value.dictionary.get("Type") == Name("XRef"):
            trailer = value.dictionary
            entries = _stream(trailer, content)
            entries.setdefault(number, places[number])
            objects[Ref(number, generation)] = SECTION
            break
        objects[Ref(number, generation)] = value
    need(entries == places, "the section does not name exactly the objects of the update")
    need(not {"Encrypt", "XRefStm"} & trailer.keys(), "an encrypted or hybrid file")
    lexer.expect(b"startxref")
    need(lexer.unsigned() == start, "startxref leads elsewhere")
    lexer.white()
    need(data.startswith(b"%%EOF", lexer.at), "%%EOF expected")
    return objects, trailer, start, lexer.at + 5


def _table(lexer):
    lexer.expect(b"xref")
    entries = {}
    while (word := lexer.word()) != b"trailer":
        need(word.isdigit(), "no object number")
        first, count = int(word), lexer.unsigned()
        for number in range(first, first + count):
            place, generation, kind = lexer.unsigned(), lexer.unsigned(), lexer.word()
            need(number not in entries, "an object twice in a section")
            if (number, kind) == (0, b"f"):
                continue
            need(kind == b"n", "a freed object")
            entries[number] = (place, generation)
    trailer = lexer.value()
    need(isinstance(trailer, dict), "a trailer is no dictionary")
    return entries, trailer


def _stream(trailer, content):
    # Its data are read as they stand, or inflated.
    if trailer.get("Filter") == Name("FlateDecode") and "DecodeParms" not in trailer:
        import zlib

        content = zlib.decompress(content)
    else:
        need(trailer.get("Filter") is None, "a section with another filter")
    widths = trailer["W"]
    need(len(widths) == 3 and all(type(w) is int and 0 <= w <= 8 for w in widths), "no valid /W")
    index = trailer.get("Index", [0, trailer["Size"]])
    entries, at = {}, 0
    for first, count in zip(index[::2], index[1::2], strict=True):
        for number in range(first, first + count):
            fields = []
            for width in widths:
                need(at + width <= len(content), "a section too short")
                fields.append(int.from_bytes(content[at:at + width], "big"))
                at += width
            kind = fields[0] if widths[0] else 1
            need(number not in entries, "an object twice in a section")
            if (number, kind) == (0, 0):
                continue
            need(kind == 1, "a freed or packed object")
            entries[number] = (fields[1], fields[2])
    return entries
