"""What the proof needs of a PDF: its signatures, attached proofs and earlier revisions (SPEC §10, §11 step 9)."""

import hashlib
import io
import logging
import re
from collections import namedtuple

import pypdf
from asn1crypto import cms

from . import signature, timestamp
from .crypto import sha256
from .updates import ERRORS, only_signed_since

# Content types of GB/T 35275, whose objects are otherwise those of PKCS #7.
GM_DATA, GM_SIGNED_DATA = "1.2.156.10197.6.1.4.2.1", "1.2.156.10197.6.1.4.2.2"

logging.getLogger("pypdf").setLevel(logging.CRITICAL)

# Digest over the ByteRange, signer's certificate (DER), where the range ends, is it a document timestamp, error or None.
Signature = namedtuple("Signature", "digest certificate end is_timestamp error")


def version_end(data, digest):
    """Where the prefix with this SHA-256 ends, within 1024 bytes behind one of the first 256 `%%EOF`; or None."""
    for mark in list(re.finditer(rb"%%EOF", data))[:256]:
        prefix = hashlib.sha256(data[: mark.end()])
        for end in range(mark.end(), min(len(data) - 1, mark.end() + 1024) + 1):
            if prefix.digest() == digest:
                return end
            prefix.update(data[end : end + 1])
    return None


def signed_since(data, version, found):
    """The signatures behind the version with this SHA-256; raises ValueError if something else stands there."""
    end = version_end(data, version)
    if end is None:
        raise ValueError("the file did not begin as the fixed version")
    behind = [s for s in found if s.end > end]
    for signature in behind:
        if signature.error:
            raise ValueError(f"a PDF signature does not hold: {signature.error}")
    parties = [s for s in behind if not s.is_timestamp]
    if parties:
        try:
            only_signed_since(data, end, parties[-1].end, _reader(data[:end]))
        except ERRORS as error:
            raise ValueError(f"something else than signing stands behind the fixed version: {error}") from None
    return parties


def _reader(data):
    return pypdf.PdfReader(io.BytesIO(data), strict=False)


def proofs(data):
    """The attachments whose names end in .qzproof."""
    return [item.content for item in _reader(data).attachment_list if item.name.endswith(".qzproof")]


def signatures(data):
    """The signatures of the form fields, in the order of their ranges."""
    form = _reader(data).trailer["/Root"].get_object().get("/AcroForm")
    found, seen = [], set()
    pending = [(field, 0) for field in form.get_object().get("/Fields", [])] if form is not None else []
    while pending:
        field, depth = pending.pop(0)
        key = getattr(field, "idnum", None) or id(field)
        if len(seen) >= 10_000 or depth > 32 or key in seen:
            raise ValueError("the form is too large, nested too deep, or contains a field twice")
        seen.add(key)
        field = field.get_object()
        pending += [(kid, depth + 1) for kid in field.get("/Kids", [])]
        if field.get("/FT") == "/Sig" and "/V" in field:
            found.append(_signature(data, field["/V"].get_object()))
    return sorted(found, key=lambda one: one.end)


def covered(data, found):
    """Does the last of these that is no document timestamp cover the file, but for later updates after SPEC §11a?"""
    ends = [one.end for one in found if not one.is_timestamp]
    if not ends or ends[-1] == len(data):
        return bool(ends)
    try:
        only_signed_since(data, ends[-1], ends[-1], _reader(data[: ends[-1]]))
    except ERRORS:
        return False
    return True


def _signature(data, value):
    a, b, c, d = (int(n) for n in value["/ByteRange"])
    contents = bytes(value["/Contents"].original_bytes)
    if a != 0 or not 0 < b < c - 1 or d < 0 or c + d > len(data):
        raise ValueError("an impossible ByteRange")
    signed = data[a : a + b] + data[c : c + d]
    gap = data[b:c]
    error, certificate = None, b""
    if not (gap[:1] == b"<" and gap[-1:] == b">" and gap[1:-1].lower() == contents.hex().encode()):
        raise ValueError("the gap holds more than the signature")
    if not data[c : c + d].rstrip(b"\t\n\f\r ").endswith(b"%%EOF"):
        raise ValueError("a ByteRange that does not end with a revision")
    is_timestamp = value.get("/SubFilter") == "/ETSI.RFC3161"
    try:
        if is_timestamp:
            timestamp.check_token(contents, signed)
        else:
            certificate = check_cms(contents, signed)
    except Exception as problem:
        error = str(problem) or "no CMS signature"
    return Signature(sha256(signed), certificate, c + d, is_timestamp, error)


def check_cms(contents, signed):
    """The signer's certificate (DER) of a detached CMS signature that holds over these bytes."""
    info = cms.ContentInfo.load(contents)  # stops at the DER's end: the rest is padding
    content = info["content"]
    if info["content_type"].native == GM_SIGNED_DATA:
        content = content.parse(cms.SignedData)
    kind = content["encap_content_info"]["content_type"].native
    if kind not in ("data", GM_DATA):
        raise ValueError("a signature over something that is no data")
    (signer,) = content["signer_infos"]
    algorithm = signer["digest_algorithm"]["algorithm"].native
    digest = signature.digest(algorithm, signed)
    attributes = {a["type"].native: a["values"] for a in signer["signed_attrs"]}
    if attributes["message_digest"][0].native != digest or attributes["content_type"][0].native != kind:
        raise ValueError("the signed digest is another one")
    message = b"\x31" + signer["signed_attrs"].dump()[1:]
    serial = signer["sid"].chosen["serial_number"].native
    issuer = signer["sid"].chosen["issuer"].dump()
    for choice in content["certificates"]:
        if choice.chosen.serial_number == serial and choice.chosen.issuer.dump() == issuer:
            der = choice.chosen.dump()
            break
    else:
        raise ValueError("the signer's certificate is missing")
    signature.verify(choice.chosen.public_key, signer["signature_algorithm"], algorithm, signer["signature"].native, message)
    return der
