"""Small labelled tables of real lines, and runs on them by the tiny checkpoint."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
from checkpoints import TINY

from biglog.logs.record import read_logs
from biglog.training.adapt import AdaptArguments, Examples, Table, find_base, fit, read_examples

LOGS = Path(__file__).parent / "data" / "loghub"
KINDS = {
    "hadoop": ("HDFS", "Hadoop", "Spark"),
    "hpc": ("BGL", "HPC", "Thunderbird"),
    "unix": ("Linux", "OpenSSH", "Mac"),
}

QUICK = {"model": str(TINY), "use_cpu": True, "save_steps": 0, "dropout": 0.0, "threads": 1}
"""Arguments of every run here: the tiny checkpoint, and nothing drawn but the order."""


@cache
def lines() -> pl.DataFrame:
    """Real lines of nine systems, in turn, labelled by their kind; some come several times."""
    frames = []
    for kind, domains in KINDS.items():
        logs = [str(LOGS / f"{domain}.log") for domain in domains]
        frame = read_logs(logs).read().select("content").with_row_index("at")
        frames.append(frame.with_columns(label=pl.lit(kind)))
    mixed = pl.concat(frames).sort("at", "label").drop("at")
    return pl.concat([mixed, mixed.head(30), mixed.head(9)])


def windows() -> pl.DataFrame:
    """Windows of one to four of these lines; those with a line of the kind hpc are odd."""
    parts, at = [], 0
    table = lines()
    while at < len(table):
        part = table.slice(at, 1 + len(parts) % 4)
        at += len(part)
        parts.append((part["content"].to_list(), "odd" if "hpc" in part["label"] else "plain"))
    return pl.DataFrame(parts, schema=["contents", "label"], orient="row")


def words() -> pl.DataFrame:
    """The words of these lines; those with a digit are parameters."""
    parts = [content.split() for content in lines()["content"]]
    told = [["parameter" if any(map(str.isdigit, word)) else "constant" for word in part] for part in parts]
    return pl.DataFrame({"words": parts, "label": told})


TABLES = {"sequence": lines, "window": windows, "token": words}


def examples_of(table: pl.DataFrame, arguments: AdaptArguments, classes=()) -> Examples:
    """A table as examples."""
    text = next(name for name in ("content", "contents", "words") if name in table.columns)
    rows = table.rename({text: "text"})
    return read_examples(Table(rows, text, "a table", ""), arguments, classes)


def fitted(table: pl.DataFrame, held: pl.DataFrame | None = None, **given: object):
    """Adapts the tiny checkpoint to a table."""
    arguments = AdaptArguments.from_mapping(QUICK | given)
    train = examples_of(table, arguments)
    kept = None if held is None else examples_of(held, arguments, train.classes)
    return fit(find_base(str(arguments.model), arguments.head), train, kept, arguments)
