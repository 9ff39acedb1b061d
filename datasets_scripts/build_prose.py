"""Collects technical English from Python packages: sentences of documentation, messages of exceptions.

Example: python datasets_scripts/build_prose.py .venv --out runs/prose.parquet

A general teacher says what they mean; `biglog pretrain --teacher_texts runs/prose.parquet` learns that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl

from biglog.data.prose import MOST_OF_A_PROJECT, read_prose
from biglog.errors import BigLogError, OutputError


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("sources", nargs="+", type=Path, help="folders, archives, environments")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--most", type=int, default=MOST_OF_A_PROJECT, help="sentences of a project and kind")
    options = parser.parse_args()
    try:
        table = read_prose(options.sources, options.most)
        temporary = options.out.with_name(f".{options.out.name}.tmp")
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            table.write_parquet(temporary)
            temporary.replace(options.out)
        except OSError as error:
            raise OutputError(f"it cannot be written: {error.strerror}", where=options.out) from error
    except BigLogError as error:
        print(f"build_prose: {error}", file=sys.stderr)
        return 2
    kinds = table.group_by("kind").agg(pl.len().alias("n")).sort("kind")
    told = ", ".join(f"{count:,} of {kind}" for kind, count in kinds.iter_rows())
    print(f"{len(table):,} sentences ({told}) of {table['project'].n_unique()} projects -> {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
