"""Scores failure prediction: ours beside trivial rules and what a user would take.

Example: python recipes/failures.py --encoders runs/last --seeds 0 1 2

An encoder of a domain is the one of the fold that left the domain out of its training
(`python recipes/leave_domains_out.py` trains them).
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import cache
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.failure.running import PARTS, evaluate_failure
from biglog.evaluation.figures.failure import failure
from biglog.inference.encoder import LogEncoder
from biglog.tasks.failure.histories import Encode
from biglog.training.folds import folds


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BIGLOG_DATA", "../shared/data")))
    parser.add_argument("--encoders", type=Path, default=Path("runs/last"), help="has foldF-seedS in it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, help="others are kept")
    parser.add_argument("--out", type=Path, default=Path("results/failure.json"))
    given = parser.parse_args()

    @cache
    def encoder(domain: str, seed: int) -> Encode:
        fold = next(number for number, names in enumerate(folds()) if domain in names)
        name = f"fold{fold}-seed{seed}"
        return LogEncoder.from_pretrained(given.encoders / name / name).encode_normal_forms

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        result = evaluate_failure(given.data, encoder, given.seeds, given.parts, say)
        before = read_json(given.out) if given.out.exists() and set(given.parts) != set(PARTS) else {}
        result["checksums"] = before.get("checksums", {}) | result["checksums"]
        result = before | result | {"hardware": hardware(), "versions": versions(), "git": git_state()}
        write_json(given.out, result)
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(failure(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
