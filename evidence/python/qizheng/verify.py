"""The verification of a bundle, step by step (SPEC §11). Each step raises `Refused` or returns."""

from collections import namedtuple

from cryptography import x509

from . import checkpoint, formats, timestamp
from .cbor import Malformed, decode
from .crypto import sha256, verify
from .ledger import Refused, ValidatorSet, keys_of, read_card, read_genesis, require
from .trees import history_root, record_hash, records_root, state_root

FUTURE_MS = 5 * 60 * 1000
TITLES = ("strict decoding", "genesis and chain id", "validator set hand-overs", "finality signatures", "block history",
          "inclusion in the block", "signatures in the records", "state", "disclosures and files",
          "checkpoint and outside witnesses", "third-party timestamps")

# What comes from outside the bundle; times in milliseconds, max_age_ms may be None.
Trust = namedtuple("Trust", "genesis as_of_ms max_age_ms witness_policy tsa_roots", defaults=(None, None, b""))
# A file, and a function from the fixed version's digest to its PDF signatures behind that [(ByteRange digest,
# certificate digest)], which raises ValueError if it did not begin so or something else stands behind.
File = namedtuple("File", "sha256 signed_since")


class Entry:
    """A record of the bundle with all that is decoded of it."""

    def __init__(self, raw):
        self.raw = raw
        self.record = decode(raw.record, formats.record, formats.MAX_RECORD)
        self.hash = record_hash(raw.record)
        self.submission = decode(self.record.submission, formats.submission, formats.MAX_SUBMISSION)
        self.body = decode(self.submission.body, formats.body, formats.MAX_BODY)
        names = [c.name for c in self.body.commitments]
        if names != sorted(set(names)):
            raise Malformed("commitments are not ascending")
        self.header = decode(raw.header, formats.header, formats.MAX_HEADER)
        self.kind, self.fields = self.body.payload.name, self.body.payload.fields
        self.place = (self.record.height, self.record.index)

    def disclosed(self, name):
        return next((o.value for o in self.raw.openings if o.name == name), None)


class Verification:
    """One run; `steps` collects (number, status, detail)."""

    def __init__(self, data, trust, file=None):
        self.data, self.trust, self.file = data, trust, file
        self.steps, self.not_checked = [], []
        self.failed, self.final = None, False

    def run(self):
        steps = (self.decoding, self.genesis, self.hand_overs, self.finality, self.history, self.inclusion,
                 self.signatures, self.states, self.disclosures, self.checkpoint, self.timestamps)
        for number, step in enumerate(steps, 1):
            try:
                outcome = step() or ("pass", "")
            except (Refused, Malformed) as error:
                self.failed = (number, str(error))
                outcome = ("fail", str(error))
            self.steps.append((number, *outcome))
            if self.failed:
                break
        return self

    @property
    def verdict(self):
        if self.failed:
            return "INVALID"
        return "VALID" if all(status == "pass" for n, status, _ in self.steps if n >= 10) else "VALID-UNANCHORED"

    def fail(self, number, why):
        """A check outside the bundle failed (the PDF around it)."""
        self.failed = (number, why)
        self.steps = [s if s[0] != number else (number, "fail", why) for s in self.steps]

    # 1
    def decoding(self):
        bundle = self.bundle = decode(self.data, formats.bundle, formats.MAX_BUNDLE)
        require(bundle.entries or bundle.states, "neither record nor state")
        self.head = decode(bundle.head, formats.header, formats.MAX_HEADER)
        self.commit = decode(bundle.commit, formats.commit, formats.MAX_COMMIT)
        self.entries = [Entry(raw) for raw in bundle.entries]
        places = [entry.place for entry in self.entries]
        require(places == sorted(set(places)), "records are not ascending")
        self.hand = [
            (raw, decode(raw.header, formats.header, formats.MAX_HEADER),
             decode(raw.commit, formats.commit, formats.MAX_COMMIT), ValidatorSet.read(raw.next))
            for raw in bundle.hand_overs
        ]
        self.anchors = [_anchor(raw) for raw in bundle.anchors]
        self.check = self.former = None
        if bundle.checkpoint is not None:
            self.check = decode(bundle.checkpoint, formats.checkpoint)
            self.former = [Former(raw) for raw in self.check.former]
        self.heads = [None if s.head is None else decode(s.head, formats.subject_head, formats.MAX_HEAD)
                      for s in bundle.states]

    # 2
    def genesis(self):
        self.chain_id, self.organisations, self.validators, _ = read_genesis(self.trust.genesis)
        require(self.bundle.genesis == self.trust.genesis, "another genesis document than the pinned one")
        headers = [self.head] + [h for _, h, _, _ in self.hand] + [e.header for e in self.entries]
        require(all(h.chain_id == self.chain_id for h in headers), "a header of another ledger")
        require(all(e.body.chain_id == self.chain_id for e in self.entries), "a record of another ledger")

    def in_history(self, header, raw, path):
        """Is this header the head, or under the head's history root?"""
        if header.height == self.head.height:
            return raw == self.bundle.head and not path
        root = history_root(raw, header.height, self.head.history_size, path)
        return root is not None and root == self.head.history_root

    # 3
    def hand_overs(self):
        below = -1
        for epoch, (raw, header, commit, following) in enumerate(self.hand):
            require(below < header.height < self.head.height, "hand-overs do not ascend")
            below = header.height
            require(header.epoch == epoch, f"hand-over of epoch {epoch} is missing")
            require(header.validators_hash == self.validators.hash, "a hand-over by another set")
            require(following.well_formed, "a hand-over to a set that cannot be")
            require(header.next_validators_hash == following.hash, "a hand-over to another set")
            require(header.validators_hash != header.next_validators_hash, "a hand-over without a change")
            self.validators.finalises(self.chain_id, header, raw.header, commit)
            require(self.in_history(header, raw.header, raw.path), "a hand-over outside the head's history")
            self.validators = following
        require(self.head.epoch == len(self.hand), "the head's epoch is another one")
        require(self.head.validators_hash == self.validators.hash, "the head's validator set is another one")

    # 4
    def finality(self):
        self.finalised_by = self.validators.finalises(self.chain_id, self.head, self.bundle.head, self.commit)

    # 5
    def history(self):
        require(self.head.history_size == self.head.height, "the head's history has another size")
        for entry in self.entries:
            require(self.in_history(entry.header, entry.raw.header, entry.raw.history_path),
                    f"block {entry.header.height} is not in the head's history")

    # 6
    def inclusion(self):
        for entry in self.entries:
            root = records_root(entry.hash, entry.record.index, entry.header.record_count, entry.raw.records_path)
            require(root is not None and root == entry.header.records_root, f"record {entry.place} is not in its block")

    # 7
    def signatures(self):
        relays = {o.id: o.relay_key for o in self.organisations.values()}
        self.cards = list(self.organisations.values())
        self.roles = {o.id: o.roles for o in self.organisations.values()}
        for entry in self.entries:
            record, submission, body_digest = entry.record, entry.submission, sha256(b"qz/body/v1", entry.submission.body)
            require(record.height == entry.header.height, "a record of another height")
            require(relays.get(submission.relay) == submission.relay_key, f"{submission.relay} has another relay key")
            unsigned = _without_signature(submission)
            relay = type(submission)({"algorithm": 1, "bytes": submission.relay_key})
            require(verify(relay, b"qz/relay/v1" + sha256(unsigned), submission.signature), "the relay did not sign")
            require(len(record.keys) == len(submission.actors), "not one key per actor")
            for key, actor in zip(record.keys, submission.actors):
                require(verify(key, b"qz/actor/v1" + body_digest, actor.signature), f"{entry.place}: an actor did not sign")
            if entry.kind == "governance.changed":
                self._govern(entry.fields.change, relays)
            entry.relay_roles = self.roles.get(submission.relay, [])
        self._certificates()

    def _govern(self, change, relays):
        if change.name == "put organisation":
            organisation = read_card(decode(change.card, formats.card, formats.MAX_CARD))
            self.cards.append(organisation)
            relays[organisation.id], self.roles[organisation.id] = organisation.relay_key, organisation.roles
        elif change.name == "remove":
            relays.pop(change.id, None)
            self.roles.pop(change.id, None)

    def _certificates(self):
        for shown in self.bundle.certificates:
            require(shown.entry < len(self.entries), "an X.509 certificate of no record")
            digest = sha256(shown.chain[0])
            require(self.entries[shown.entry].disclosed("certificate.sha256") == digest, "an X.509 certificate that its record does not name")
            try:
                certificate, *_ = [x509.load_der_x509_certificate(der) for der in shown.chain]
                begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            except Exception as error:
                raise Refused(f"an X.509 certificate cannot be read: {error}") from error
            for user in self._uses(self.entries[shown.entry]):
                require(begin.timestamp() * 1000 <= user.header.time <= end.timestamp() * 1000,
                        "an X.509 certificate was not valid when it was used")

    def _uses(self, named):
        """The signatures by the certificate that this record names."""
        if named.kind == "contract.signed":
            return [named] if named.fields.seal is None else []
        return [e for e in self.entries if e.kind == "contract.signed" and named.kind == "seal.made"
                and e.fields.seal == self.created(named)]

    def created(self, entry):
        """The subject that this record created, if it creates one."""
        return sha256(b"qz/subject/v1", self.chain_id, sha256(b"qz/body/v1", entry.submission.body))

    # 8
    def states(self):
        trust, head = self.trust, self.head
        require(head.time <= trust.as_of_ms + FUTURE_MS, "the head is in the future")
        if trust.max_age_ms is not None:
            require(head.time + trust.max_age_ms >= trust.as_of_ms, "the state is older than demanded")
        shown = {}  # subject -> [(sequence, previous, hash)]
        for entry in self.entries:
            for link in entry.record.links:
                shown.setdefault(link.subject, []).append((link.sequence, link.previous, entry.hash))
        for links in shown.values():
            for (a, _, hash_a), (b, previous, _) in zip([(-1, None, bytes(32)), *links], links):
                require(a < b, "two records with one sequence, or out of order")
                require(b != a + 1 or previous == hash_a, "a link to another record")
        proven = set()
        for proof, state in zip(self.bundle.states, self.heads):
            require(proof.subject not in proven, "two states of one subject")
            proven.add(proof.subject)
            require(state_root(proof) == head.state_root, "a state proof does not lead to the head's state root")
            links = shown.get(proof.subject, [])
            require(state is not None or not links, "a subject that is said not to exist has records")
            for sequence, _, hash_ in links:
                require(sequence < state.records, "a record beyond the number that the state gives")
                require(sequence + 1 != state.records or hash_ == state.last, "the last record is another one")
            if state is not None and [s for s, _, _ in links] != list(range(state.records)):
                self.not_checked.append(f"not every record of {proof.subject.hex()} is shown")
        lacking = [s.hex() for s in shown if s not in proven]
        require(trust.max_age_ms is None or not lacking, f"no state proof of {lacking}")
        self.not_checked += [f"no state proof of {s}" for s in lacking]
        if not self.bundle.states:
            return "not checked", "the bundle has no state proof"

    # 9
    def disclosures(self):
        for entry in self.entries:
            committed = {c.name: c.hash for c in entry.body.commitments}
            names = [o.name for o in entry.raw.openings]
            require(len(names) == len(set(names)), "a disclosure twice")
            for o in entry.raw.openings:
                name = o.name.encode()
                require(len(name) <= 255, "a name too long")
                hash_ = sha256(b"qz/commit/v1", o.salt, bytes([len(name)]), name, o.value)
                require(committed.get(o.name) == hash_, f"{o.name} is not what was committed")
                _check_value(o)
        if self.file is not None:
            self._given_file(self.file)

    def _given_file(self, file):
        matches = [e for e in self.entries for o in e.raw.openings
                   if o.name.endswith(".sha256") and o.value == file.sha256]
        require(matches, "the file is none that the records name")
        for entry in matches:
            if entry.kind == "contract.completed":
                self._final_file(entry, file)

    def _final_file(self, completed, file):
        contract = completed.fields.contract
        mine = [(link.sequence, e) for e in self.entries for link in e.record.links
                if link.subject == contract and e.place <= completed.place]
        require([s for s, _ in mine] == list(range(len(mine))), "records before the completion are not shown")
        seals = {self.created(e): e.disclosed("certificate.sha256") for e in self.entries if e.kind == "seal.made"}
        pairs = []
        for _, e in mine:
            if e.kind == "contract.signed":
                digest, seal = e.disclosed("to_be_signed.sha256"), e.fields.seal
                certificate = e.disclosed("certificate.sha256") if seal is None else seals.get(seal)
                require(digest is not None and certificate is not None, "a signature's digests are not disclosed")
                pairs.append((digest, certificate))
        versions = [e for _, e in mine if e.kind == "contract.version_fixed"]
        version = versions[-1].disclosed("document.sha256") if versions else None
        require(version is not None, "the fixed version is not disclosed")
        try:
            signatures = file.signed_since(version)
        except ValueError as error:
            raise Refused(str(error)) from None
        require(pairs and sorted(signatures) == sorted(pairs), "the file's signatures are not the recorded ones")
        self.final = True
        self.not_checked.append("what the pictures of seals and signatures show, and signatures within the fixed version")

    # 10
    def checkpoint(self):
        if self.check is None:
            return "not checked", "no checkpoint"
        origin = f"qizheng/{self.chain_id.hex()}"
        known = {key for card in self.cards for key in checkpoint.member_keys(origin, card.id, card.witness_key)}
        policy = None
        if self.trust.witness_policy is not None:
            policy = checkpoint.Policy(self.trust.witness_policy)
            known |= set(policy.keys.values())
        self.note = checkpoint.parse_note(self.check.note)
        holds = lambda note, raw, header, path: checkpoint.check(
            note, (raw, header.height), path, origin, known, self.trust.as_of_ms)
        signed = holds(self.note, self.bundle.head, self.head, self.check.path)
        require(checkpoint.folded_history(self.check.path) == self.head.history_root, "the path shows another history")
        below = -1
        for former, later in zip(self.former, [*(f.header for f in self.former[1:]), self.head]):
            require(below < former.header.height < self.head.height, "former evidence does not ascend")
            below = former.header.height
            root = history_root(former.raw.header, former.header.height, later.history_size, former.raw.history_path)
            require(root is not None and root == later.history_root, "former evidence of another history")
            former.note = checkpoint.parse_note(former.raw.note)
            holds(former.note, former.raw.header, former.header, former.raw.path)
            require(checkpoint.folded_history(former.raw.path) == former.header.history_root, "a former path shows another history")
        if policy is None:
            return "not checked", "no witness policy given"
        if not policy.met_by(signed):
            return "not checked", "not as many witnesses as the policy wants"
        own = {key for card in self.cards for _, key in keys_of(card)}
        if not any(key in signed and key.public not in own for key in policy.keys.values()):
            return "not checked", "no witness outside the consortium"

    # 11
    def timestamps(self):
        if not self.bundle.anchors:
            return "not checked", "no timestamp"
        require(self.check is not None, "timestamps without a checkpoint")
        try:
            roots = timestamp.read_roots(self.trust.tsa_roots)
        except ValueError as error:
            raise Refused(f"the roots of timestamp authorities cannot be read: {error}") from None
        evidence = [(f.note, f.header, f.anchors) for f in self.former] + [(self.note, self.head, self.anchors)]
        tokens = []
        for count, (note, header, anchors) in enumerate(evidence):
            message = note.body.encode()
            if count:
                message += b"qz/renewal/v1" + b"".join(sha256(raw) for raw in self.check.former[:count])
            tokens.append([timestamp.check(a, message, header.time, roots, self.trust.as_of_ms) for a in anchors])
        relied, at = [], self.trust.as_of_ms
        for found in reversed(tokens):
            good = [token.gen_time_ms for token in found if timestamp.relied_on(token, at)]
            relied.append(bool(good))
            if not good:
                break
            at = min(good)
        if not relied[0]:
            return "not checked", "no timestamp of an authority that is relied on"
        return "pass", f"existed at the latest at {int(at)} ms"


class Former:
    """Evidence under a former head."""

    def __init__(self, raw):
        self.raw = decode(raw, formats.former, formats.MAX_FORMER)
        self.header = decode(self.raw.header, formats.header, formats.MAX_HEADER)
        self.anchors = [_anchor(one) for one in self.raw.anchors]
        self.note = None


def _anchor(raw):
    return decode(raw, formats.anchor, formats.MAX_ANCHOR)


def _check_value(opening):
    if opening.name.endswith(".sha256"):
        require(len(opening.value) == 32, f"{opening.name} is no digest")
        return
    try:
        opening.value.decode()
    except UnicodeDecodeError:
        raise Refused(f"{opening.name} is no text") from None


def _without_signature(s):
    import cbor2

    actors = [{0: a.subject, 1: a.signature} for a in s.actors]
    return cbor2.dumps({0: "qz/submission/v1", 1: s.body, 2: actors, 3: s.relay, 4: s.relay_key}, canonical=True)
