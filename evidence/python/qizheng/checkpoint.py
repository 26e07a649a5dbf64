"""Checkpoints, their cosignatures and witness policies (SPEC §10a; C2SP signed-note, tlog-checkpoint,
tlog-cosignature, tlog-policy)."""

import base64
import binascii
import unicodedata
from collections import namedtuple

from .crypto import ed25519, sha256
from .ledger import require

LOG, COSIGNER = 1, 4
Key = namedtuple("Key", "name id type public")
Line = namedtuple("Line", "name id signature")
Note = namedtuple("Note", "body origin size root lines")


def _base64(text, what):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = None
    require(data is not None and base64.b64encode(data).decode() == text, f"{what} is not base64")
    return data


def _check_name(name):
    odd = any(c == "+" or c.isspace() or unicodedata.category(c) in ("Cc", "Zs", "Zl", "Zp") for c in name)
    require(name and len(name.encode()) <= 255 and not odd, "a key name is not one")


def parse_note(data):
    """The one note that these bytes are."""
    require(len(data) <= 65_536, "the note is too large")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    head, separator, tail = text.partition("\n\n")
    lines = head.split("\n")
    require(separator and len(lines) == 3 and tail.endswith("\n"), "no note of a checkpoint")
    origin, size, root = lines
    require(size.isascii() and size.isdigit() and str(int(size)) == size, "the size is no number")
    signatures = tail[:-1].split("\n")
    require(1 <= len(signatures) <= 256, "no signature lines, or too many")
    found = []
    for line in signatures:
        parts = line.split(" ")
        require(len(parts) == 3 and parts[0] == "\u2014", "a line is no signature")
        _check_name(parts[1])
        blob = _base64(parts[2], "a signature")
        require(len(blob) > 4, "a signature is too short")
        found.append(Line(parts[1], blob[:4], blob[4:]))
    require(len({(line.name, line.id) for line in found}) == len(found), "a key signs twice")
    root = _base64(root, "the root")
    require(len(root) == 32, "the root is no hash")
    return Note(head + "\n", origin, int(size), root, found)


def key(name, type_, public):
    return Key(name, sha256(name.encode(), b"\n", bytes([type_]), public)[:4], type_, public)


def member_keys(origin, organisation, public):
    return [key(origin, LOG, public), key(f"{origin}/{organisation}", COSIGNER, public)]


def parse_vkey(text):
    """`<name>+<id>+<base64>`."""
    parts = text.split("+", 2)
    require(len(parts) == 3, "no verifier key")
    _check_name(parts[0])
    data = _base64(parts[2], "a verifier key")
    require(len(data) == 33, "a verifier key of another length")
    parsed = key(parts[0], data[0], data[1:])
    require(parts[1] == parsed.id.hex(), "a verifier key with another id")
    return parsed


def _message(line, known, body):
    """What the line signs, its signature, and its time in seconds or None."""
    if known.type == LOG:
        return body.encode(), line.signature, None
    seconds = int.from_bytes(line.signature[:8], "big")
    return f"cosignature/v1\ntime {seconds}\n{body}".encode(), line.signature[8:], seconds


def check(note, header, path, origin, known, as_of_ms):
    """The keys of `known` that signed; refused if the note is not the header's, or a known line is broken."""
    leaf, height = header
    require(note.origin == origin, "a checkpoint of another ledger")
    require(note.size == height + 1, "a checkpoint of another size")
    require(len(path) == height.bit_count(), "the path of the checkpoint has another length")
    node = sha256(b"\x00", leaf)
    for sibling in path:
        node = sha256(b"\x01", sibling, node)
    require(node == note.root, "the checkpoint has another root")
    signed = set()
    for line in note.lines:
        for one in known:
            if (one.name, one.id) != (line.name, line.id):
                continue
            message, signature, seconds = _message(line, one, note.body)
            require(ed25519(one.public, message, signature), f"the line of {line.name} does not hold")
            require(seconds is None or seconds < 2**63 and seconds * 1000 <= as_of_ms + 300_000,
                    f"the line of {line.name} is from the future")
            signed.add(one)
    return signed


def folded_history(path):
    """The history root of a header that the path of its checkpoint shows."""
    if not path:
        return sha256()
    node = path[0]
    for sibling in path[1:]:
        node = sha256(b"\x01", sibling, node)
    return node


class Policy:
    """Which witnesses, and how many of them."""

    def __init__(self, data):
        require(len(data) <= 65_536, "the witness policy is too large")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = None
        require(text is not None, "the witness policy is no text")
        self.nodes, self.keys, used, quorum = {}, {}, set(), []
        for line in text.split("\n"):
            words = line.replace("\t", " ").split(" ")
            words = [word for word in words if word]
            if not words or words[0].startswith("#"):
                continue
            kind, *rest = words
            if kind == "log" and len(rest) in (1, 2):
                parse_vkey(rest[0])
            elif kind == "witness" and len(rest) in (2, 3):
                parsed = parse_vkey(rest[1])
                require(parsed.type == COSIGNER, "a witness' key of another type")
                require(all(parsed.public != other.public for other in self.keys.values()), "a witness' key twice")
                self._name(rest[0], parsed)
                self.keys[rest[0]] = parsed
            elif kind == "group" and len(rest) >= 3:
                name, required, *of = rest
                require(all(one in self.nodes and one not in used for one in of) and len(set(of)) == len(of),
                        "a group of unknown members")
                used.update(of)
                count = {"all": len(of), "any": 1}.get(required)
                if count is None:
                    require(required.isascii() and required.isdigit() and 1 <= int(required) <= len(of), "a group of none")
                    count = int(required)
                self._name(name, (count, of))
            elif kind == "quorum" and len(rest) == 1:
                quorum.append(rest[0])
            else:
                require(False, f"the witness policy has a line that means nothing: {line}")
        require(len(quorum) == 1 and quorum[0] in self.nodes, "the witness policy has no quorum")
        self.quorum = quorum[0]

    def _name(self, name, node):
        require(name != "none" and name not in self.nodes and len(self.nodes) < 128, f"the name {name} twice")
        self.nodes[name] = node

    def met_by(self, signed):
        def met(name):
            node = self.nodes[name]
            return node in signed if isinstance(node, Key) else sum(met(one) for one in node[1]) >= node[0]

        return met(self.quorum)
