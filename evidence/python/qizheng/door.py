"""Every kind of file that a person may hold: bundle, contract PDF with its bundle, signing certificate."""

from . import pdf
from .crypto import sha256
from .verify import TITLES, File, Trust, Verification


def check(file, genesis, proof=None, as_of_ms=0, max_age_ms=None, witness_policy=None, tsa_roots=b""):
    """The report, as it is printed."""
    trust = Trust(genesis, as_of_ms, max_age_ms, witness_policy, tsa_roots)
    if not file.startswith(b"%PDF-"):
        if proof is None:
            return report(Verification(file, trust).run())
        return report(Verification(proof, trust, File(sha256(file), _no_pdf)).run())
    try:
        found = pdf.signatures(file)
        attached = pdf.proofs(file) if proof is None else []
    except Exception as error:  # whatever the PDF library says about foreign bytes
        return unreadable(f"the PDF cannot be read: {error}")
    if proof is not None:
        since = lambda version: [(s.digest, sha256(s.certificate)) for s in pdf.signed_since(file, version, found)]
        run = Verification(proof, trust, File(sha256(file), since)).run()
    elif len(attached) != 1:
        return unreadable("the PDF does not carry one proof")
    else:
        run = Verification(attached[0], trust).run()
    if run.failed is None:
        broken = [s for s in found if s.error]
        if broken and not run.final:
            run.fail(9, f"a PDF signature does not hold: {broken[0].error}")
        elif proof is None and not pdf.covered(file, found):
            run.fail(9, "no PDF signature covers the whole certificate")
        elif proof is None and not _deposited(run, sha256([s for s in found if not s.is_timestamp][-1].certificate)):
            run.fail(9, "the certificate is not signed by an issuer that a platform put on the ledger")
    return report(run)


def _no_pdf(version):
    raise ValueError("a final file that is no PDF")


def _deposited(run, digest):
    return any(e.kind == "evidence.deposited" and 1 in e.relay_roles and e.disclosed("certificate.sha256") == digest
               for e in run.entries)


def report(run):
    steps = [{"n": n, "title": TITLES[n - 1], "status": status, "detail": detail} for n, status, detail in run.steps]
    number, reason = run.failed or (None, None)
    result = {"verdict": run.verdict, "step": number, "reason": reason, "steps": steps, "not_checked": run.not_checked}
    if hasattr(run, "finalised_by"):
        result["finalised_by"] = run.finalised_by
        result["head"] = {"height": run.head.height, "time_ms": run.head.time, "block_id": sha256(run.bundle.head).hex()}
    if run.failed is None:
        result["records"] = [{"kind": e.kind, "height": e.record.height, "index": e.record.index, "hash": e.hash.hex(),
                              "time_ms": e.header.time, "disclosed": [o.name for o in e.raw.openings]} for e in run.entries]
    return result


def unreadable(why):
    return {"verdict": "INVALID", "step": 1, "reason": why, "steps": [], "not_checked": []}
