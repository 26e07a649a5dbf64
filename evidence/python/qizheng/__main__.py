"""Command line: `python3 -m qizheng FILE --genesis GENESIS [--proof PROOF]`, and `--help`.

Prints the verdict as JSON. Exit codes: 0 VALID, or VALID-UNANCHORED when not both a witness policy and a TSA root were given; 3
VALID-UNANCHORED although both were; 1 INVALID; 2 could not be carried out.
"""

import argparse
import json
import sys
import time

from .checkpoint import Policy
from .door import check
from .ledger import Refused
from .timestamp import read_roots


def main():
    parser = argparse.ArgumentParser(prog="qizheng", description="Verify evidence offline 离线校验存证.")
    parser.add_argument("file", help="signing certificate, proof bundle, or a contract with --proof")
    parser.add_argument("--genesis", required=True, help="the consortium's genesis file, from a source that you trust")
    parser.add_argument("--proof", help="the proof bundle of a contract file")
    parser.add_argument("--witness-policy", help="which outside witnesses are trusted: a C2SP tlog-policy file")
    parser.add_argument("--tsa-root", help="roots of timestamp authorities that are trusted: a PEM file")
    parser.add_argument("--as-of", type=int, help="time of verification, milliseconds since 1970 (default: now)")
    parser.add_argument("--max-age", type=int, help="greatest age of the state, seconds")
    options = parser.parse_args()
    try:
        read = lambda path: None if path is None else open(path, "rb").read()
        file, genesis, proof = read(options.file), read(options.genesis), read(options.proof)
        policy, roots = read(options.witness_policy), read(options.tsa_root)
        if policy is not None:
            Policy(policy)
        if roots is not None:
            read_roots(roots)
    except (OSError, ValueError, Refused) as error:
        print(f"qizheng: {error}", file=sys.stderr)
        return 2
    as_of = int(time.time() * 1000) if options.as_of is None else options.as_of
    max_age = None if options.max_age is None else options.max_age * 1000
    report = check(file, genesis, proof, as_of, max_age, policy, roots or b"")
    print(json.dumps(report, ensure_ascii=False, indent=2))
    if report["verdict"] == "VALID-UNANCHORED" and policy is not None and roots is not None:
        return 3
    return 1 if report["verdict"] == "INVALID" else 0


if __name__ == "__main__":
    sys.exit(main())
