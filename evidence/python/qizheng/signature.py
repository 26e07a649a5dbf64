"""Signatures of X.509, CMS and OCSP: the algorithms of SPEC step 11."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from . import crypto

HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
# Kind and hash function; None: that of the CMS signer.
ALGORITHMS = {
    "sha256_ecdsa": ("ec", "sha256"), "sha384_ecdsa": ("ec", "sha384"), "sha512_ecdsa": ("ec", "sha512"),
    "sha256_rsa": ("rsa", "sha256"), "sha384_rsa": ("rsa", "sha384"), "sha512_rsa": ("rsa", "sha512"),
    "rsassa_pkcs1v15": ("rsa", None), "1.2.840.10045.2.1": ("ec", None),
}


def verify(key, algorithm, digest, signature, message):
    """Raises unless the signature holds. `digest` is that of a CMS signer, else None."""
    name = algorithm["algorithm"].native
    if name == "ed25519":
        raw = key.public_bytes_raw() if isinstance(key, ed25519.Ed25519PublicKey) else b""
        if not crypto.ed25519(raw, message, signature):
            raise InvalidSignature
        return
    kind, named = ("pss", algorithm.hash_algo) if name == "rsassa_pss" else ALGORITHMS[name]
    if digest is not None and named not in (None, digest):
        raise ValueError("two different hash functions")
    hash_ = HASHES[named or digest]()
    if kind == "ec" and isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
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
