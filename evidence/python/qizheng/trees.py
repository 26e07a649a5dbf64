"""Merkle paths: records of a block (SPEC §4), history of headers (§5), state (§7)."""

from .crypto import blake3, sha256

EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def record_hash(record):
    return blake3(b"\x00", record)


def records_root(leaf, index, count, path):
    """The root that a path leads to, or None if index or length of the path are impossible."""
    if index >= count:
        return None
    depth = max(1, (count - 1).bit_length())
    if len(path) != depth:
        return None
    node = leaf
    for level, sibling in enumerate(path):
        pair = (sibling, node) if index >> level & 1 else (node, sibling)
        node = blake3(b"\x01", *pair)
    return node


def history_root(header, index, size, path):
    """RFC 9162 §2.1.3.2 for the header at `index` of `size`."""
    if index >= size:
        return None
    fn, sn = index, size - 1
    node = sha256(b"\x00", header)
    for sibling in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            node = sha256(b"\x01", sibling, node)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            node = sha256(b"\x01", node, sibling)
        fn >>= 1
        sn >>= 1
    return node if sn == 0 else None


def _bit(key, position):
    return key[position // 8] >> (7 - position % 8) & 1


def state_root(proof):
    """The root that a state proof leads to, or None if it proves nothing."""
    depth = len(proof.siblings)
    if depth > 256:
        return None
    if proof.head is not None:
        if proof.other is not None:
            return None
        node = blake3(b"JMT::LeafNode", proof.subject, blake3(proof.head))
    elif proof.other is not None:
        key = proof.other.key
        if key == proof.subject or any(_bit(key, i) != _bit(proof.subject, i) for i in range(depth)):
            return None
        node = blake3(b"JMT::LeafNode", key, proof.other.value)
    else:
        node = EMPTY
    for level, sibling in enumerate(proof.siblings):
        pair = (sibling, node) if _bit(proof.subject, depth - 1 - level) else (node, sibling)
        node = blake3(b"JMT::IntrnalNode", *pair)
    return node
