"""Trains a WordPiece tokenizer on the contents of logs, with the masks inside its tokenizer.json.

A source is a log or a table of lines, as in a pretraining recipe: [DOMAIN=]PATTERN[:SPLIT][#FIRST-LAST].

Example: python tokenizer_training/train.py ../shared/data/loghub_2k/*/*_2k.log --out runs/tokenizer
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from biglog.data.sources import find_sources
from biglog.errors import BigLogError, InputError, OutputError
from biglog.evaluation.tokenizers import lengths_table, raw_lengths
from biglog.tokenizer import RESERVED_TOKENS, piece_bytes, train_tokenizer


def train(sources: list[str], out: Path, vocab_size: int) -> str:
    """Trains on the distinct normal forms of the sources, and says how long their lines come out."""
    named = [(source.name, source.count()) for source in find_sources(sources, Path())]
    counts = pl.concat([count.select(pl.lit(name).alias("domain"), pl.all()) for name, count in named])
    forms = counts.filter(pl.col("normal_form") != "").with_columns(pl.col("count").cast(pl.Int64))
    forms = forms.group_by("domain", "normal_form").agg(pl.col("count").sum())
    tokenizer = train_tokenizer(forms["normal_form"].unique().sort().to_list(), vocab_size=vocab_size)
    if max(piece_bytes(tokenizer)[len(RESERVED_TOKENS) :]) == 1:
        raise InputError("too few lines to learn a piece of a word from", remedy="Give more or longer logs")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out, prefix=".") as folder:
            tokenizer.save_pretrained(folder)
            for file in Path(folder).iterdir():
                file.replace(out / file.name)
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror}", where=out) from error
    return f"{lengths_table(raw_lengths(tokenizer, forms))}\n\n{len(tokenizer):,} tokens -> {out}"


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("sources", nargs="+", help="logs or tables of lines: paths or glob patterns")
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
