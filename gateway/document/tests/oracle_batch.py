"""pyHanko's verdict on many files at once: reads `NAME<tab>BEFORE.pdf<tab>AFTER.pdf` lines, prints one line a
file: `NAME<tab>ok` or `NAME<tab>why not`. The signature in the field `qz-corpus` must be valid and trusted, and no
signature that was there before may have become worse.

    python oracle_batch.py CA.pem < list
"""

import logging
import sys

from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

logging.disable(logging.CRITICAL)
ROOTS = list(load_certs_from_pemder([sys.argv[1]]))


def verdicts(path):
    """Field name to (intact, valid, trusted, change allowed)."""
    found = {}
    with open(path, "rb") as file:
        reader = PdfFileReader(file, strict=False)
        for signature in reader.embedded_regular_signatures:
            context = ValidationContext(trust_roots=ROOTS, allow_fetching=False)
            try:
                status = validate_pdf_signature(signature, context)
                verdict = (status.intact, status.valid, status.trusted, bool(status.docmdp_ok))
            except Exception as error:  # somebody else's signature may be of any kind
                verdict = (type(error).__name__,)
            found[signature.field_name] = verdict
    return found


def judge(before, after):
    found = verdicts(after)
    own = found.pop("qz-corpus", None)
    if own != (True, True, True, True):
        return f"our signature: {own}"
    try:
        earlier = verdicts(before)
    except Exception:  # not a file that pyHanko reads, as it was
        earlier = {}
    for field, verdict in earlier.items():
        if found.get(field) != verdict:
            return f"{field} was {verdict}, is {found.get(field)}"
    return "ok"


for line in sys.stdin:
    name, before, after = line.rstrip("\n").split("\t")
    try:
        verdict = judge(before, after)
    except Exception as error:
        verdict = f"{type(error).__name__}: {error}".replace("\n", " ")
    print(f"{name}\t{verdict}", flush=True)
