"""Scores a task on annotated data, with baselines in the same run. So far: log parsing.

Example: python recipes/evaluation.py parsing --seeds 0 1 2 \\
    --statements ../shared/data/statements/statements.csv.gz runs/statements

A domain is parsed by what the domains of other folds teach. Drain3 comes with `pip install 'biglog[bench]'`;
what the parsers of logparser3 wrote is taken from the file that `make peers` makes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.figures.parsing import parsing
from biglog.evaluation.parsing import GROUND_TRUTHS, evaluate_parsing
from biglog.training.folds import folds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task", choices=["parsing"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BIGLOG_DATA", "../shared/data")))
    parser.add_argument("--statements", type=Path, nargs="+", required=True, help="tables of log statements")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--truths", nargs="+", default=list(GROUND_TRUTHS), choices=list(GROUND_TRUTHS))
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="keeps what is near to what")
    parser.add_argument("--peers", type=Path, default=Path("runs/peers/templates.json"))
    parser.add_argument("--out", type=Path, default=Path("results/parsing.json"))
    given = parser.parse_args()
    try:
        truths, seeds, tables = given.truths, given.seeds, given.statements
        result = evaluate_parsing(
            given.data, tables, folds(), seeds, truths, say=_say, cache=given.cache, peers=given.peers
        )
        write_json(given.out, result | {"hardware": hardware(), "versions": versions(), "git": git_state()})
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(parsing(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
