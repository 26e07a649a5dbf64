"""Hashes and signatures (SPEC §2)."""

import hashlib

import blake3 as _blake3
import gmalg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, ES256, WEBAUTHN = 1, 2, 3

# Field and group order of edwards25519, and the y coordinates of its eight small-order points: they are
# refused as keys and as R, in canonical or other encoding, whatever the sign bit says.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
assert (D * pow(Y8, 4, P) + 2 * Y8 * Y8 - 1) % P == 0, "doubling a point with this y gives y = 0"
SMALL_ORDER_Y = {0, 1, P - 1, Y8, P - Y8}


# Field and group order of SM2's curve (GB/T 32918.5), and the identifier where none is agreed (GM/T 0009).
SM2_P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
SM2_N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
SM2_IDENTIFIER = b"1234567812345678"


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def blake3(*parts):
    return _blake3.blake3(b"".join(parts)).digest()


def _small_order(point):
    y = int.from_bytes(point, "little") & (2**255 - 1)
    return y % P in SMALL_ORDER_Y


def ed25519(key, message, signature):
    """Strict: canonical S, neither key nor R of small order, cofactorless equation (OpenSSL's)."""
    if len(key) != 32 or len(signature) != 64:
        return False
    if int.from_bytes(signature[32:], "little") >= L or _small_order(key) or _small_order(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def es256(key, message, signature):
    """ECDSA P-256 with SHA-256; key compressed (33 bytes), signature r‖s (64 bytes)."""
    if len(key) != 33 or len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def sm2(point, message, signature):
    """GB/T 32918.2 with SM3; the key in full (04 ‖ x ‖ y), the signature DER."""
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    if len(point) != 65 or point[0] != 4 or x >= SM2_P or y >= SM2_P:
        return False
    try:
        r, s = utils.decode_dss_signature(signature)
    except ValueError:
        return False
    if not (0 < r < SM2_N and 0 < s < SM2_N):
        return False
    key = gmalg.SM2(uid=SM2_IDENTIFIER, pk=point)
    return key.verify_pk(point) and key.verify(message, r.to_bytes(32, "big"), s.to_bytes(32, "big"))


def verify(public_key, message, signature):
    """By the algorithm of a `{algorithm, bytes}` key; WebAuthn is refused in protocol version 1."""
    if public_key.algorithm == ED25519:
        return ed25519(public_key.bytes, message, signature)
    if public_key.algorithm == ES256:
        return es256(public_key.bytes, message, signature)
    return False
