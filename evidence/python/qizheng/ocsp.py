"""OCSP answers about an authority's certificates (SPEC §10b and step 11; RFC 6960)."""

import hashlib

from asn1crypto import ocsp, x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPResponseStatus, load_der_ocsp_response
from cryptography.x509.oid import ExtendedKeyUsageOID

from .ledger import require
from .signature import digest, holds, issued

KNOWN_CRITICAL = {"2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.32"}
MAX_PARTS = 16


def read(der):
    """A basic response; refused if the bytes are none."""
    # The strict reader first; asn1crypto shows what it does not.
    require(load_der_ocsp_response(der).response_status == OCSPResponseStatus.SUCCESSFUL, "an OCSP response without answer")
    outer = ocsp.OCSPResponse.load(der, strict=True)["response_bytes"]
    require(outer["response_type"].native == "basic_ocsp_response", "an OCSP response of another type")
    basic = outer["response"].parsed
    data = basic["tbs_response_data"]
    require(data["version"].native == "v1", "an OCSP response of another version")
    require(len(data["responses"]) <= MAX_PARTS and len(basic["certs"] or []) <= MAX_PARTS, "an OCSP response of too many parts")
    return basic


def _key_bits(certificate):
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))["tbs_certificate"][
        "subject_public_key_info"]["public_key"].contents[1:]


def _ms(time):
    return time.native.timestamp() * 1000


def _critical(extensions):
    return any(extension["critical"].native for extension in extensions or [])


def _is_delegate(certificate, issuer, at_ms):
    """Certified by the issuer for answers, not to be asked about itself, and valid."""
    try:
        if not issued(certificate, issuer):
            return False
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    try:
        may_sign = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        may_sign = True
    odd = any(e.critical and e.oid.dotted_string not in KNOWN_CRITICAL for e in certificate.extensions)
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes and may_sign and not odd and begin * 1000 <= at_ms <= end * 1000


def _authorised(basic, issuer, further):
    """Is it signed by the issuer, or by somebody whom the issuer certified for that?"""
    data = basic["tbs_response_data"]
    if _critical(data["response_extensions"]):
        return False
    inside = [x509.load_der_x509_certificate(c.dump()) for c in basic["certs"] or []]
    at_ms = _ms(data["produced_at"])
    signers = [issuer] + [c for c in inside + further if _is_delegate(c, issuer, at_ms)]
    responder = data["responder_id"]
    for signer in signers:
        if responder.name == "by_name":
            named = responder.chosen.untag().dump() == signer.subject.public_bytes()
        else:
            named = responder.chosen.native == hashlib.sha1(_key_bits(signer)).digest()
        if named and holds(signer, basic["signature_algorithm"], basic["signature"].native, data.dump()):
            return True
    return False


def _hash(algorithm, data):
    # What names a certificate here needs no more than SHA-1 gives.
    return hashlib.sha1(data).digest() if algorithm == "sha1" else digest(algorithm, data)


def _about(single, certificate, issuer):
    named = single["cert_id"]
    algorithm = named["hash_algorithm"]["algorithm"].native
    try:
        name, key = _hash(algorithm, issuer.subject.public_bytes()), _hash(algorithm, _key_bits(issuer))
    except ValueError:
        return False
    return (named["serial_number"].native == certificate.serial_number
            and named["issuer_name_hash"].native == name and named["issuer_key_hash"].native == key)


def not_revoked(certificate, issuer, answers, further, gen_time_ms, check_revoked):
    """Did an answer count? `check_revoked(time in ms, reason or None)` refuses what reaches back."""
    counted = False
    for basic in answers:
        if not _authorised(basic, issuer, further):
            continue
        for single in basic["tbs_response_data"]["responses"]:
            following = single["next_update"].native
            begin = _ms(single["this_update"])
            if following is None:
                covers = gen_time_ms <= begin
            else:
                covers = begin <= following.timestamp() * 1000 and gen_time_ms <= following.timestamp() * 1000
            status = single["cert_status"]
            if not covers or not _about(single, certificate, issuer) or _critical(single["single_extensions"]) or status.name == "unknown":
                continue
            counted = True
            if status.name == "revoked":
                check_revoked(_ms(status.chosen["revocation_time"]), status.chosen["revocation_reason"].native)
    return counted
