"""Scores anomaly detection on labelled logs, with trivial rules and baselines in the same run.

Example: python recipes/anomalies.py --models runs/last --seeds 0 1 2

Systems are embedded by models that left them out (`recipes/leave_domains_out.py` trains these). Parts
that are run alone replace those of the result that is there.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import cache
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.anomaly.running import PARTS, evaluate_anomaly
from biglog.evaluation.anomaly.systems import Embedders
from biglog.evaluation.figures.page import read_result
from biglog.inference.encoder import LogEncoder
from biglog.tasks.anomaly.known import Encode
from biglog.training.folds import folds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    data = Path(os.environ.get("BIGLOG_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--models", type=Path, required=True, help="folder of foldF-seedS/foldF-seedS")
    parser.add_argument("--statements", type=Path, default=data / "statements" / "statements.csv.gz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="keeps vectors of MiniLM")
    parser.add_argument("--out", type=Path, default=Path("results/anomaly.json"))
    given = parser.parse_args()

    @cache
    def ours(domain: str, seed: int) -> Encode:
        fold = next(number for number, left_out in enumerate(folds()) if domain in left_out)
        name = f"fold{fold}-seed{seed}"
        return LogEncoder.from_pretrained(given.models / name / name).encode_normal_forms

    try:
        embedders = Embedders(ours, given.cache)
        before, run = read_result(given.out) or {}, {"hardware": hardware(), "versions": versions()}
        run |= {"git": git_state()}
        evaluate_anomaly(
            given.data,
            given.statements,
            embedders,
            given.seeds,
            _say,
            given.parts,
            keep=lambda made: write_json(given.out, before | made | run),
        )
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
