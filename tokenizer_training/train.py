"""Trains a WordPiece tokenizer on the contents of logs, with the masks inside its tokenizer.json.

Example: python tokenizer_training/train.py ../shared/data/loghub_2k/*/*_2k.log --out runs/tokenizer
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl

from biglog.errors import BigLogError, OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.tokenizer import train_tokenizer


def train(sources: list[str], out: Path, vocab_size: int) -> str:
    """Trains on the distinct normal forms of the sources, and says how long lines come out."""
    forms = pl.concat([normal_forms(batch.frame["content"]).unique() for batch in read_logs(sources)])
    distinct = forms.unique().sort().to_list()
    tokenizer = train_tokenizer(distinct, vocab_size=vocab_size)
    try:
        tokenizer.save_pretrained(out)
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror}", where=out) from error
    tokens = sum(len(ids) for ids in tokenizer(distinct)["input_ids"]) / len(distinct)
    return (
        f"{len(tokenizer):,} tokens from {len(distinct):,} normal forms, {tokens:.1f} tokens a line -> {out}"
    )


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("sources", nargs="+", help="logs: paths or glob patterns")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--vocab-size", type=int, default=8000, help="most tokens")
    options = parser.parse_args()
    try:
        print(train(options.sources, options.out, options.vocab_size))
    except BigLogError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
