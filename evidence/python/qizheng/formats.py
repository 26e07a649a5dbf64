"""The byte formats of SPEC §3–§10 as shapes."""

import re

from .cbor import U32, Malformed, array, boolean, bstr, choice, members, one_of, text, uint

KIB = 1024
MAX_BUNDLE, MAX_SUBMISSION, MAX_BODY, MAX_RECORD = 16 * KIB * KIB, 24 * KIB, 16 * KIB, 28 * KIB
MAX_HEADER, MAX_COMMIT, MAX_SET, MAX_HEAD = 512, 32 * KIB, 16 * KIB, 256
MAX_ORGANISATION, MAX_CARD, MAX_GENESIS_BODY, MAX_GENESIS = 16 * KIB, 20 * KIB, KIB * KIB, KIB * KIB + 64 * KIB
bytes32 = bstr(32)
subject = bytes32
ROLES = {1: "platform", 2: "notary", 3: "court", 4: "arbitration", 5: "attestor", 6: "observer"}


def organisation_id(value):
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text(value)):
        raise Malformed(f"{value!r} is no organisation id")
    return value


def commitment_name(value):
    if not re.fullmatch(r"[a-z0-9_.]{1,64}", text(value)):
        raise Malformed(f"{value!r} is no name of a commitment")
    return value


public_key = members((0, "algorithm", one_of({1, 2, 3})), (1, "bytes", bstr()))

# §9
validator_card = members(
    (0, "consensus_key", bytes32), (1, "network_key", bytes32), (2, "power", uint()),
    (3, "consensus_address", text), (4, "mempool_address", text), (5, "rpc_url", text),
)
organisation = members(
    (1, "id", organisation_id), (2, "name_zh", text), (3, "name_en", text), (4, "roles", array(one_of(ROLES))),
    (5, "office_key", bytes32), (6, "relay_key", bytes32), (7, "witness_key", bytes32), (8, "tls_ca", bstr()),
    (9, "validator?", validator_card), tag="qz/organisation/v1",
)
card = members(
    (1, "organisation", bstr()), (2, "signatures", array(members((0, "purpose", text), (1, "signature", bstr())))),
    tag="qz/card/v1",
)
params = members(
    (1, "protocol", uint(U32)), (2, "window", uint()), (3, "max_block_bytes", uint(U32)),
    (4, "max_block_records", uint(U32)), (5, "quorum", uint(U32)), (6, "foreign_attestor", boolean), tag="qz/params/v1",
)
genesis_body = members(
    (1, "name", text), (2, "time", uint()), (3, "cards", array(card)), (4, "params", params),
    tag="qz/genesis-body/v1",
)
genesis = members(
    (1, "body", bstr()),
    (2, "signatures", array(members((0, "organisation", organisation_id), (1, "signature", bstr())))),
    tag="qz/genesis/v1",
)

# §5, §6
header = members(
    (1, "chain_id", bytes32), (2, "height", uint()), (3, "epoch", uint()), (4, "time", uint()),
    (5, "previous", bytes32), (6, "record_count", uint(U32)), (7, "records_root", bytes32),
    (8, "state_root", bytes32), (9, "history_size", uint()), (10, "history_root", bytes32),
    (11, "validators_hash", bytes32), (12, "next_validators_hash", bytes32), (13, "params_hash", bytes32),
    (14, "proposer", bytes32), tag="qz/header/v1",
)
validator = members((0, "organisation", organisation_id), (1, "key", bytes32), (2, "power", uint()))
validator_set = members((1, "validators", array(validator)), tag="qz/validator-set/v1")
commit = members(
    (1, "height", uint()), (2, "round", uint(U32)), (3, "block_id", bytes32),
    (4, "signatures", array(members((0, "address", bytes32), (1, "signature", bstr())))),
    tag="qz/commit-certificate/v1",
)

# §3
slot = members((0, "kind", one_of({1, 2})), (1, "subject", subject), (2, "role", uint(255)), (3, "group", uint(255)))
rule = members((0, "group", uint(255)), (1, "required", uint(255)))
change = choice({
    1: ("put organisation", [("card", bstr())]),
    2: ("remove", [("id", organisation_id)]),
    3: ("set validators", [("validators", array(validator))]),
    4: ("set parameters", [("params", bstr())]),
    5: ("upgrade", [("version", uint(U32)), ("height", uint())]),
})
_contract = members((0, "contract", subject))
_seal = members((0, "seal", subject))


def _kind(name, *fields):
    return (name, [("fields", fields[0] if fields and callable(fields[0]) else members(*fields))])


payload = choice({
    1: _kind("contract.opened", (0, "initiator", subject), (1, "slots", array(slot)), (2, "rules", array(rule)),
             (3, "amends?", subject)),
    2: _kind("contract.version_fixed", (0, "contract", subject), (1, "version", uint(U32))),
    3: _kind("contract.signed", (0, "contract", subject), (1, "slot", uint(255)), (2, "version", bytes32),
             (3, "seal?", subject)),
    4: _kind("contract.declined", (0, "contract", subject), (1, "slot", uint(255))),
    5: _kind("contract.completed", _contract),
    6: _kind("contract.amended", (0, "contract", subject), (1, "amendment", subject)),
    7: _kind("contract.fulfilment", (0, "contract", subject), (1, "obligation", uint(65_535)),
             (2, "step", one_of({1, 2, 3, 4}))),
    8: _kind("contract.terminated", _contract),
    9: _kind("contract.voided", _contract),
    10: _kind("contract.disputed", (0, "contract", subject), (1, "forum", organisation_id)),
    11: _kind("contract.ruled", (0, "contract", subject), (1, "form", one_of({1, 2, 3, 4})),
              (2, "effect", one_of({1, 2, 3, 4}))),
    12: _kind("contract.archived", _contract),
    20: _kind("seal.made", (0, "owner", subject), (1, "kind", one_of({1, 2, 3, 4, 5, 6}))),
    21: _kind("seal.authorised", (0, "seal", subject), (1, "key", subject), (2, "count?", uint(U32)),
              (3, "until?", uint())),
    22: _kind("seal.revoked", (0, "seal", subject), (1, "key", subject)),
    23: _kind("seal.suspended", _seal),
    24: _kind("seal.resumed", _seal),
    25: _kind("seal.destroyed", _seal),
    30: _kind("key.registered", (0, "key", public_key), (1, "attestor", organisation_id)),
    31: _kind("key.rotated", (0, "subject", subject), (1, "key", public_key)),
    32: _kind("key.revoked", (0, "subject", subject)),
    40: _kind("evidence.deposited", (0, "about?", subject)),
    41: _kind("notarisation.registered", (0, "subject", subject)),
    42: _kind("retrieval.made", (0, "contracts", array(subject))),
    43: _kind("audit.anchored", (0, "organisation", organisation_id), (1, "size", uint()), (2, "root", bytes32)),
    50: _kind("governance.changed", (0, "change", change)),
})
body = members(
    (1, "chain_id", bytes32), (2, "id", bstr(16)), (3, "expiry", uint()), (4, "payload", payload),
    (5, "commitments", array(members((0, "name", commitment_name), (1, "hash", bytes32)), 32)),
    (6, "references", array(bytes32, 8)), (7, "time", uint()), tag="qz/body/v1",
)
submission = members(
    (1, "body", bstr()), (2, "actors", array(members((0, "subject", subject), (1, "signature", bstr())), 32)),
    (3, "relay", organisation_id), (4, "relay_key", bytes32), (5, "signature", bstr(64)), tag="qz/submission/v1",
)

# §4
record = members(
    (1, "submission", bstr()), (2, "height", uint()), (3, "index", uint(U32)), (4, "keys", array(public_key)),
    (5, "links", array(members((0, "subject", subject), (1, "sequence", uint()), (2, "previous", bytes32)))),
    tag="qz/record/v1",
)

# §7
TYPES = {1, 2, 3, 4, 5, 6, 7}
STATUSES = {1: "active", 2: "suspended", 3: "destroyed", 4: "revoked", 10: "opened", 11: "signing", 12: "signed",
            13: "completed", 14: "declined", 15: "terminated", 16: "voided", 17: "disputed", 20: "recorded"}
subject_head = members(
    (1, "type", one_of(TYPES)), (2, "status", one_of(STATUSES)), (3, "records", uint()), (4, "last", bytes32),
    (5, "digest", bytes32), tag="qz/subject-head/v1",
)
state_proof = members(
    (0, "subject", subject), (1, "head?", bstr()), (2, "other?", members((0, "key", bytes32), (1, "value", bytes32))),
    (3, "siblings", array(bytes32)),
)

# §10
hand_over = members((0, "header", bstr()), (1, "commit", bstr()), (2, "next", bstr()), (3, "path", array(bytes32)))
opening = members((0, "name", text), (1, "salt", bytes32), (2, "value", bstr()))
entry = members(
    (0, "record", bstr()), (1, "records_path", array(bytes32)), (2, "header", bstr()),
    (3, "history_path", array(bytes32)), (4, "openings", array(opening)),
)
bundle = members(
    (1, "genesis", bstr()), (2, "hand_overs", array(hand_over)), (3, "head", bstr()), (4, "commit", bstr()),
    (5, "entries", array(entry, 4096)), (6, "states", array(state_proof)),
    (7, "certificates", array(members((0, "entry", uint(U32)), (1, "chain", array(bstr(), least=1))))),
    (8, "checkpoint?", bstr()), (9, "anchors", array(bstr(), 8)), tag="qz/proof/v1",
)

# §10a, §10b
MAX_ANCHOR, MAX_FORMER = 64 * KIB, KIB * KIB
checkpoint = members((1, "note", bstr()), (2, "path", array(bytes32)), (3, "former", array(bstr(), 64)), tag="qz/checkpoint/v1")
anchor = members(
    (1, "kind", one_of({1})), (2, "token", bstr()), (3, "certificates", array(bstr(), 8)),
    (4, "revocations", array(bstr(), 8)), (5, "ocsp?", array(bstr(), 8, least=1)), tag="qz/anchor/v1",
)
former = members(
    (1, "header", bstr()), (2, "history_path", array(bytes32)), (3, "note", bstr()), (4, "path", array(bytes32)),
    (5, "anchors", array(bstr(), 8, least=1)), tag="qz/former/v1",
)
