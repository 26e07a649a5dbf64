"""Runs the verifier over a manifest of vectors: `python3 -m qizheng.vectors manifest.json`.

Prints one JSON object: name of the vector → verdict, step, reason.
"""

import json
import sys
from pathlib import Path

from .door import check


def main(manifest):
    folder = Path(manifest).parent
    outcomes = {}
    for vector in json.loads(Path(manifest).read_text()):
        read = lambda name: None if name is None else (folder / name).read_bytes()
        report = check(
            read(vector["file"]), read(vector["genesis"]), read(vector["proof"]), vector["as_of_ms"], vector["max_age_ms"],
            read(vector["witness_policy"]), read(vector["tsa_roots"]) or b"",
        )
        outcomes[vector["name"]] = {key: report[key] for key in ("verdict", "step", "reason")}
    print(json.dumps(outcomes, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
