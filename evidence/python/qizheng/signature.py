"""Signatures of X.509, CMS and OCSP: the algorithms of SPEC step 11."""

from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from . import crypto

# asn1crypto knows no SM3: it gives the identifier.
SM3 = "1.2.156.10197.1.401"
SM2_CURVE = "1.2.156.10197.1.301"
HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512, SM3: hashes.SM3}
# Kind and hash function; None: that of the CMS signer.
ALGORITHMS = {
    "sha256_ecdsa": ("ec", "sha256"), "sha384_ecdsa": ("ec", "sha384"), "sha512_ecdsa": ("ec", "sha512"),
    "sha256_rsa": ("rsa", "sha256"), "sha384_rsa": ("rsa", "sha384"), "sha512_rsa": ("rsa", "sha512"),
    "rsassa_pkcs1v15": ("rsa", None), "1.2.840.10045.2.1": ("ec", None), "1.2.156.10197.1.501": ("sm2", SM3),
}
# Names of SM2's signatures that leave the hash function to the CMS signer.
SM2_NAMES = {"1.2.156.10197.1.301.1", SM2_CURVE, "1.2.840.10045.2.1"}


def digest(algorithm, data):
    """By a name of asn1crypto's; refused if it is none of SPEC step 11."""
    if algorithm not in HASHES:
        raise ValueError("an unknown digest")
    state = hashes.Hash(HASHES[algorithm]())
    state.update(data)
    return state.finalize()


def key_of(certificate):
    """The public key of a certificate (`cryptography`'s), as asn1crypto shows it."""
    return _asn1(certificate).public_key


def _asn1(certificate):
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def issued(certificate, issuer):
    """Did this issuer sign this certificate? Says nothing of the issuer's right to."""
    own = _asn1(certificate)
    if own.issuer.dump() != _asn1(issuer).subject.dump():
        return False
    if own["tbs_certificate"]["signature"].dump() != own["signature_algorithm"].dump():
        return False
    return holds(issuer, own["signature_algorithm"], own["signature_value"].native, own["tbs_certificate"].dump())


def holds(certificate, algorithm, signature, message):
    """Does a signature by this certificate's key hold that is not a CMS signer's?"""
    try:
        verify(key_of(certificate), algorithm, None, signature, message)
    except (InvalidSignature, ValueError, TypeError, KeyError):
        return False
    return True


def verify(key, algorithm, digest, signature, message):
    """Raises unless the signature holds. `digest` is that of a CMS signer, else None."""
    name = algorithm["algorithm"].native
    kind, named = ALGORITHMS.get(name, (None, None))
    if digest == SM3 and name in SM2_NAMES:
        kind, named = "sm2", SM3
    elif name == "rsassa_pss":
        kind, named = "pss", algorithm.hash_algo
    elif name == "ed25519":
        kind, named = "ed25519", digest or "sha512"
    if kind is None:
        raise ValueError("an unknown algorithm")
    if digest is not None and named not in (None, digest):
        raise ValueError("two different hash functions")
    hash_ = named or digest
    if (hash_ == SM3) != (kind == "sm2"):
        raise ValueError("SM3 without SM2")
    if kind == "sm2":
        parameters = key["algorithm"]["parameters"]
        if key.algorithm != "ec" or parameters.name != "named" or parameters.chosen.dotted != SM2_CURVE:
            raise ValueError("SM2 by a key on another curve")
        # Behind the octet that counts unused bits.
        if not crypto.sm2(key["public_key"].contents[1:], message, signature):
            raise InvalidSignature
        return
    try:
        loaded = load_der_public_key(key.dump())
    except UnsupportedAlgorithm as problem:
        raise ValueError(str(problem)) from problem
    _verify_by(loaded, kind, algorithm, hash_, signature, message)


def _verify_by(key, kind, algorithm, named, signature, message):
    hash_ = HASHES[named]()
    if kind == "ed25519":
        raw = key.public_bytes_raw() if isinstance(key, ed25519.Ed25519PublicKey) else b""
        if not crypto.ed25519(raw, message, signature):
            raise InvalidSignature
    elif kind == "ec" and isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
        key.verify(signature, message, ec.ECDSA(hash_))
    elif kind in ("rsa", "pss") and isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192:
        key.verify(signature, message, padding.PKCS1v15() if kind == "rsa" else _pss(algorithm["parameters"], named, hash_), hash_)
    else:
        raise ValueError("an unknown kind of key")


def _pss(parameters, named, hash_):
    mask = parameters["mask_gen_algorithm"]
    if mask["algorithm"].native != "mgf1" or mask["parameters"]["algorithm"].native != named:
        raise ValueError("unknown PSS parameters")
    if parameters["trailer_field"].native not in ("trailer_field_bc", 1):
        raise ValueError("unknown PSS parameters")
    return padding.PSS(padding.MGF1(hash_), parameters["salt_length"].native)
