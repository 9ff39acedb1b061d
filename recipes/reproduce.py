"""Measures every committed 2k-scale result anew from scratch, and says which figures differ.

Example: python recipes/reproduce.py
         python recipes/reproduce.py --model biglog-mini-left-out=runs/last

Weights that are not in the checkout are named by --model; a row whose model is not there is said to be not
run. The exit code is 1 if a figure differs by more than the tolerance.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from biglog.data.run_facts import write_json
from biglog.errors import BigLogError
from biglog.evaluated_models import model_subject
from biglog.evaluation.reproducing import TOLERANCE, reproduce, told
from biglog.evaluation.subjects import Subject


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BIGLOG_DATA", "../shared/data")))
    parser.add_argument("--committed", type=Path, default=Path("results/leaderboard"))
    parser.add_argument("--scratch", type=Path, default=Path("runs/reproduction"))
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER of weights")
    parser.add_argument("--peers", type=Path, default=Path("runs/peers/templates.json"))
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--go-on", action="store_true", help="keep what a killed run has left in --scratch")
    parser.add_argument("--out", type=Path, default=Path("results/reproduction.json"))
    given = parser.parse_args()
    places = dict(one.split("=", 1) for one in given.model)

    def subject(name: str) -> Subject:
        return model_subject(places.get(name, name), called=name, peers=given.peers)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    options = {"tolerance": given.tolerance, "go_on": given.go_on}
    try:
        result = reproduce(given.committed, given.data, given.scratch, subject, say=say, **options)
        write_json(given.out, result)
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(told(result))
    return 1 if result["differing"] else 0


if __name__ == "__main__":
    sys.exit(main())
