"""Masked tokens of left-out domains: the records of leave_domains_out.py as one result for card and figures.

Example: python recipes/left_out.py runs/folds --name biglog-mini
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation.cards import read_record
from biglog.evaluation.left_out import gather


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("folder", type=Path, help="the output_path of leave_domains_out.py")
    parser.add_argument("--name", default="biglog-mini", help="the checkpoint of the same recipe")
    parser.add_argument("--out", type=Path, help="result file (default: results/left_out_NAME.json)")
    given = parser.parse_args()
    out = given.out or Path("results") / f"left_out_{given.name}.json"
    try:
        records = [read_record(path) for path in sorted(given.folder.glob("*/record.json"))]
        result = gather(records, given.name)
        write_json(out, result | {"hardware": hardware(), "versions": versions(), "git": git_state()})
    except BigLogError as error:
        print(f"left_out: {error}", file=sys.stderr)
        return 2
    print(f"{len(records)} models, {len(result['domains'])} domains left out -> {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
