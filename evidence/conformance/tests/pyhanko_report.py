"""What pyHanko says of the signatures of PDFs: one JSON object on standard output, by file name.

Usage: pyhanko_report.py FOLDER. Trust is not judged: intact (digest), valid (signature), coverage, modification
level of the difference analysis, and whether the certification permits what came later.
"""

import json
import logging
import pathlib
import sys

logging.disable(logging.CRITICAL)

from pyhanko.pdf_utils.reader import PdfFileReader  # noqa: E402
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp  # noqa: E402
from pyhanko_certvalidator import ValidationContext  # noqa: E402


def examine(path):
    with path.open("rb") as handle:
        reader = PdfFileReader(handle, strict=True)
        if reader.encrypted:
            return {"error": "encrypted"}
        found = []
        for signature in reader.embedded_signatures:
            row = {"field": signature.field_name}
            found.append(row)
            try:
                context = ValidationContext(allow_fetching=False, revocation_mode="soft-fail")
                if signature.sig_object_type == "/DocTimeStamp":
                    status = validate_pdf_timestamp(signature, context)
                    row["kind"] = "timestamp"
                else:
                    status = validate_pdf_signature(signature, context)
                    row["kind"] = "signature"
                row["intact"] = bool(status.intact)
                row["valid"] = bool(status.valid)
                row["coverage"] = status.coverage.name if status.coverage else None
                level = status.modification_level
                row["level"] = level.name if level is not None else None
                docmdp = getattr(status, "docmdp_ok", None)
                row["docmdp_ok"] = docmdp if docmdp is None else bool(docmdp)
            except Exception as error:  # noqa: BLE001 - whatever pyHanko says is what is reported
                row["error"] = f"{type(error).__name__}: {error}"[:200]
        return {"signatures": found}


def main():
    report = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.pdf")):
        try:
            report[path.name] = examine(path)
        except Exception as error:  # noqa: BLE001
            report[path.name] = {"error": f"{type(error).__name__}: {error}"[:200]}
    json.dump(report, sys.stdout, indent=1)


main()
