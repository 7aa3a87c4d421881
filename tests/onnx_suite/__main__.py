"""`PYTHONPATH=tests python -m onnx_suite [--every] [--only NAME] [--write]`: run, and print."""

from __future__ import annotations

import argparse
from pathlib import Path

from onnx_suite.table import refusals, run_all, table

MUST_PASS = Path(__file__).with_name("must_pass.txt")


def main() -> int:
    """The table, the refusals, the faults; 1 if there are faults."""
    parser = argparse.ArgumentParser(prog="python -m onnx_suite", description=__doc__)
    parser.add_argument("--every", action="store_true", help="at every opset from 13 to 25")
    parser.add_argument("--only", default="", help="part of a test's name, or an operator")
    parser.add_argument("--write", action="store_true", help="renew must_pass.txt")
    chosen = parser.parse_args()
    results = run_all(every=chosen.every, only=chosen.only)
    print(table(results))
    print("\nnamed errors:", refusals(results) or "none", sep="\n")
    print("\nfaults:", *(results.faults() or ["none"]), sep="\n")
    if chosen.write:
        MUST_PASS.write_text("\n".join(sorted(results.passed())) + "\n")
    return 1 if results.faults() else 0


raise SystemExit(main())
