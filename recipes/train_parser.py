"""Teaches the parser that goes with a checkpoint, by the annotated samples of all 16 domains.

Example: python recipes/train_parser.py --out src/biglog/checkpoints/biglog-mini \\
    --statements ../shared/data/statements/statements.csv.gz runs/statements

No published figure is of this parser: recipes/evaluation.py scores such as have not seen the domain.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from biglog.data.run_facts import git_state
from biglog.errors import BigLogError
from biglog.evaluation.parsing import GROUND_TRUTHS, read_truth, statements_apart
from biglog.logs.domains import DOMAINS
from biglog.tasks.parsing.head import save_head
from biglog.tasks.parsing.schooling import School


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BIGLOG_DATA", "../shared/data")))
    parser.add_argument("--statements", type=Path, nargs="+", required=True, help="tables of log statements")
    parser.add_argument("--truth", default="loghub-2.0", choices=list(GROUND_TRUTHS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="keeps what is near to what")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint's folder")
    given = parser.parse_args()
    started = time.process_time()
    try:
        read = {domain: read_truth(domain, given.data, GROUND_TRUTHS[given.truth]) for domain in DOMAINS}
        statements, near = statements_apart(given.data, list(DOMAINS), given.statements, given.cache)
        truths = {domain: (contents, templates) for domain, (_, contents, templates) in read.items()}
        record = {
            "taught_by": {domain: version for domain, (version, _, _) in read.items()},
            "statements": asdict(near),
            "seed": given.seed,
            "git": git_state(),
        }
        head = School(truths, statements, given.seed).parser()
        save_head(head, given.out, record | {"cpu_seconds": round(time.process_time() - started)})
    except BigLogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
