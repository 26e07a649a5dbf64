"""Who the consortium is: genesis document (SPEC §9), validator sets and finality (§5, §6)."""

import unicodedata

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import formats
from .cbor import Members, decode
from .crypto import blake3, ed25519, sha256

import cbor2


class Refused(Exception):
    """A step of the verification failed; the text says why."""


def require(condition, why):
    if not condition:
        raise Refused(why)


def keys_of(organisation):
    """Its keys with their purposes, in the order in which they sign the card."""
    keys = [("office", organisation.office_key), ("relay", organisation.relay_key), ("witness", organisation.witness_key)]
    if organisation.validator:
        keys += [("consensus", organisation.validator.consensus_key), ("network", organisation.validator.network_key)]
    return keys


def read_card(card):
    """The organisation of a card whose signatures hold."""
    organisation = decode(card.organisation, formats.organisation, formats.MAX_ORGANISATION)
    for name in (organisation.name_zh, organisation.name_en):
        require(1 <= len(name.encode()) <= 128 and not any(unicodedata.category(c) == "Cc" for c in name),
                "a name is empty, too long or has control characters")
    require(len(organisation.tls_ca) <= 8192, "the TLS authority is too large")
    if organisation.validator:
        v = organisation.validator
        require(all(len(a.encode()) <= 256 for a in (v.consensus_address, v.mempool_address, v.rpc_url)),
                "an address is too long")
    require(organisation.roles and organisation.roles == sorted(set(organisation.roles)), "roles are not ascending")
    message = b"qz/card/v1" + sha256(card.organisation)
    keys = keys_of(organisation)
    require([s.purpose for s in card.signatures] == [p for p, _ in keys], "the card is not signed by each of its keys")
    for (purpose, key), signature in zip(keys, card.signatures):
        require(ed25519(key, message, signature.signature), f"{organisation.id}: {purpose} did not sign the card")
    if organisation.validator:
        require(1 <= organisation.validator.power <= 1_000_000, f"{organisation.id}: power is out of range")
    return organisation


def read_genesis(data):
    """Chain id, organisations and validator set of a genesis document, every signature verified."""
    document = decode(data, formats.genesis, formats.MAX_GENESIS)
    body = decode(document.body, formats.genesis_body, formats.MAX_GENESIS_BODY)
    chain_id = sha256(b"qz/chain-id/v1", document.body)
    organisations = [read_card(card) for card in body.cards]
    ids = [o.id for o in organisations]
    require(1 <= len(ids) <= 63 and ids == sorted(set(ids)), "organisations are not ascending, or too many")
    keys = [key for o in organisations for _, key in keys_of(o)]
    require(len(keys) == len(set(keys)), "a key stands twice")
    authorities = [key for key in map(_tls_key, organisations) if key is not None]
    require(len(authorities) == len(set(authorities)), "two TLS authorities have one key")
    require(body.params.protocol == 1, "unknown protocol version")
    p = body.params
    require(16 <= p.window <= 1_000_000 and 65_536 <= p.max_block_bytes <= 2_097_152
            and 1 <= p.max_block_records <= 65_536 and 1 <= p.quorum <= min(len(ids), 32), "a parameter is out of range")
    require([s.organisation for s in document.signatures] == ids, "not signed by each organisation")
    message = b"qz/genesis-signature/v1" + chain_id
    for organisation, signature in zip(organisations, document.signatures):
        require(ed25519(organisation.office_key, message, signature.signature), f"{organisation.id} did not sign")
    validators = [
        Members({"organisation": o.id, "key": o.validator.consensus_key, "power": o.validator.power})
        for o in organisations
        if o.validator
    ]
    validators.sort(key=lambda v: blake3(v.key))
    first = ValidatorSet(validators, _encode_set(validators))
    require(first.well_formed, "no valid set of validators")
    return chain_id, {o.id: o for o in organisations}, first, body


def _tls_key(organisation):
    try:
        certificate = x509.load_der_x509_certificate(organisation.tls_ca)
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:
        return None  # no certificate


def _encode_set(validators):
    rows = [{0: v.organisation, 1: v.key, 2: v.power} for v in validators]
    return cbor2.dumps({0: "qz/validator-set/v1", 1: rows}, canonical=True)


class ValidatorSet:
    """Who votes in an epoch."""

    def __init__(self, validators, encoded):
        addresses = [blake3(v.key) for v in validators]
        self.well_formed = (1 <= len(validators) <= 128 and addresses == sorted(set(addresses))
                            and all(1 <= v.power <= 1_000_000 for v in validators))
        self.by_address = dict(zip(addresses, validators))
        self.hash = sha256(b"qz/validators/v1", encoded)

    @classmethod
    def read(cls, data):
        return cls(decode(data, formats.validator_set, formats.MAX_SET).validators, data)

    def finalises(self, chain_id, header, header_bytes, commit):
        """Who signed; refused unless more than two thirds of the power did (§6)."""
        block_id = sha256(header_bytes)
        require(commit.height == header.height, "the commit is for another height")
        require(commit.block_id == block_id, "the commit is for another block")
        addresses = [s.address for s in commit.signatures]
        require(addresses == sorted(set(addresses)), "signers are not ascending")
        signed = []
        for signature in commit.signatures:
            validator = self.by_address.get(signature.address)
            require(validator is not None, "a signer is not in the set")
            message = b"".join((
                b"qz/vote/v1", chain_id, b"\x02", commit.height.to_bytes(8, "big"),
                commit.round.to_bytes(8, "big", signed=True), b"\x01", block_id, signature.address,
            ))
            require(ed25519(validator.key, message, signature.signature), f"{validator.organisation}'s vote does not hold")
            signed.append(validator)
        total = sum(v.power for v in self.by_address.values())
        require(3 * sum(v.power for v in signed) > 2 * total, "not more than two thirds of the power signed")
        return [v.organisation for v in signed]
