"""RFC 3161 time-stamp tokens over checkpoints (SPEC §10b and step 11)."""

from collections import namedtuple

from asn1crypto import cms, core, crl as asn1_crl, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from . import ocsp
from .crypto import sha256
from .ledger import require
from .signature import digest, holds, issued, key_of, verify

KEEP = {"unspecified", "affiliation_changed", "superseded", "cessation_of_operation"}
CRL_REASON = x509.CRLReason.oid
BEFORE_MS, AFTER_MS, FUTURE_MS = 300_000, 3_600_000, 300_000
# genTime in milliseconds; the path to a given root or None; certificates of the path without revocation data.
Token = namedtuple("Token", "gen_time_ms path unchecked")


def read_roots(data):
    """PEM, several allowed, or one DER."""
    if not data:
        return []
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def check(anchor, message, block_ms, roots, as_of_ms):
    """A token that holds over the message; refused otherwise."""
    try:
        return _check(anchor, message, block_ms, roots, as_of_ms)
    except (ValueError, TypeError, KeyError, InvalidSignature, x509.ExtensionNotFound) as error:
        require(False, f"a timestamp does not hold: {error or type(error).__name__}")


def _check(anchor, message, block_ms, roots, as_of_ms):
    info = cms.ContentInfo.load(anchor.token, strict=True)
    pool = [x509.load_der_x509_certificate(c.chosen.dump()) for c in info["content"]["certificates"] or []]
    pool += [x509.load_der_x509_certificate(der) for der in anchor.certificates]
    lists = [x509.load_der_x509_crl(der) for der in anchor.revocations]
    answers = [ocsp.read(der) for der in anchor.ocsp or []]
    signer, tst, gen_time_ms = _token(info, pool)
    imprint = tst["message_imprint"]
    require(imprint["hash_algorithm"]["algorithm"].native == "sha256"
            and imprint["hashed_message"].native == sha256(message), "a timestamp over something else")
    require(block_ms - BEFORE_MS <= gen_time_ms <= block_ms + AFTER_MS, "a timestamp too far from its block's time")
    require(gen_time_ms <= as_of_ms + FUTURE_MS, "a timestamp from the future")
    path = _path(signer, pool, roots)
    unchecked = []
    if path is not None:
        for certificate in path:
            require(_valid(certificate, gen_time_ms), "an authority's certificate was not valid at the timestamp")
        for certificate, issuer in zip(path, path[1:]):
            check_revoked = _revoked(gen_time_ms)
            listed = _not_revoked(certificate, issuer, lists, gen_time_ms, check_revoked)
            answered = ocsp.not_revoked(certificate, issuer, answers, pool, gen_time_ms, check_revoked)
            if not listed and not answered:
                unchecked.append(certificate.subject.rfc4514_string())
    return Token(gen_time_ms, path, unchecked)


def check_token(token, covered):
    """A document timestamp (SPEC §11 step 9): its token, padded with zeros, holds over these bytes. Raises otherwise."""
    info = cms.ContentInfo.load(token)  # stops at the DER's end
    if set(token[len(info.dump()):]) - {0}:
        raise ValueError("more than zeros behind a token")
    pool = [x509.load_der_x509_certificate(c.chosen.dump()) for c in info["content"]["certificates"] or []]
    _, tst, _ = _token(info, pool)
    imprint = tst["message_imprint"]
    algorithm = imprint["hash_algorithm"]["algorithm"].native
    require(imprint["hashed_message"].native == digest(algorithm, covered), "a timestamp over something else")


def _token(info, pool):
    """The signer's certificate, the TSTInfo and its time of a token that holds."""
    require(info["content_type"].native == "signed_data", "the token is not signed")
    content = info["content"]
    encapsulated = content["encap_content_info"]
    require(encapsulated["content_type"].native == "tst_info", "the token is no timestamp")
    require(len(content["signer_infos"]) == 1, "the token has not one signer")
    octets = encapsulated["content"].contents
    signer = _signer(content["signer_infos"][0], pool, octets)
    tst = tsp.TSTInfo.load(octets, strict=True)
    require(tst["version"].native == "v1", "a timestamp of another version")
    extensions = tst["extensions"]
    require(isinstance(extensions, core.Void) or not any(e["critical"].native for e in extensions), "an unknown extension")
    return signer, tst, tst["gen_time"].native.timestamp() * 1000


def _once(attributes, name):
    values = [a["values"] for a in attributes if a["type"].native == name]
    require(len(values) == 1 and len(values[0]) == 1, f"the attribute {name} does not stand there once")
    return values[0][0]


def _signer(info, pool, octets):
    """The signer's certificate; refused unless its signature holds over the attributes, and those over the content."""
    require(info["sid"].name == "issuer_and_serial_number", "the signer is not named by issuer and serial number")
    sid = info["sid"].chosen
    named = [c for c in pool if c.serial_number == sid["serial_number"].native and c.issuer.public_bytes() == sid["issuer"].dump()]
    require(named, "the signer's certificate is missing")
    certificate = named[0]
    der = certificate.public_bytes(Encoding.DER)
    algorithm = info["digest_algorithm"]["algorithm"].native
    attributes = info["signed_attrs"]
    require(_once(attributes, "content_type").native == "tst_info", "the attributes are of other content")
    require(_once(attributes, "message_digest").native == digest(algorithm, octets), "another message digest")
    first = _once(attributes, "signing_certificate_v2")["certs"][0]
    by = first["hash_algorithm"]["algorithm"].native
    require(first["cert_hash"].native == digest(by, der), "another signer's certificate")
    message = b"\x31" + attributes.dump()[1:]
    verify(key_of(certificate), info["signature_algorithm"], algorithm, info["signature"].native, message)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    require(usage.critical and [o.dotted_string for o in usage.value] == ["1.3.6.1.5.5.7.3.8"], "not certified for timestamps")
    try:
        key_usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        require(key_usage.digital_signature or key_usage.content_commitment, "a key that may not sign")
    except x509.ExtensionNotFound:
        pass
    return certificate


def _valid(certificate, at_ms):
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return begin * 1000 <= at_ms <= end * 1000


def _issued(certificate, issuer):
    try:
        if not issued(certificate, issuer):
            return False
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return basic.ca and usage.key_cert_sign


def _path(certificate, pool, roots, between=4):
    """From the certificate to a given root, or None."""
    for root in roots:
        if _issued(certificate, root):
            return [certificate, root]
    if between:
        for issuer in pool:
            if issuer != certificate and _issued(certificate, issuer):
                rest = _path(issuer, pool, roots, between - 1)
                if rest:
                    return [certificate, *rest]
    return None


def _revoked(gen_time_ms):
    def check(at_ms, reason):
        require(reason in KEEP and at_ms > gen_time_ms, "an authority's certificate was revoked")
    return check


def _signed_by(crl, issuer):
    own = asn1_crl.CertificateList.load(crl.public_bytes(Encoding.DER))
    return own["tbs_cert_list"]["signature"].dump() == own["signature_algorithm"].dump() and holds(
        issuer, own["signature_algorithm"], own["signature"].native, own["tbs_cert_list"].dump())


def _not_revoked(certificate, issuer, lists, gen_time_ms, check_revoked):
    """Did a list count? Refused if one revokes the certificate in a way that reaches back."""
    counted = False
    for crl in lists:
        if crl.issuer != certificate.issuer or not _signed_by(crl, issuer):
            continue
        following = crl.next_update_utc
        if any(e.critical for e in crl.extensions) or following is None or following.timestamp() * 1000 < gen_time_ms:
            continue
        counted = True
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is not None:
            # Without a reason the key may have been stolen (RFC 3161 §4).
            reasons = [e.value.reason.name for e in entry.extensions if e.oid == CRL_REASON]
            check_revoked(entry.revocation_date_utc.timestamp() * 1000, reasons[0] if reasons else None)
    return counted


def relied_on(token, at_ms):
    """Does it lead to a given root, all of its path unexpired at this time?"""
    return token.path is not None and all(c.not_valid_after_utc.timestamp() * 1000 >= at_ms for c in token.path)
