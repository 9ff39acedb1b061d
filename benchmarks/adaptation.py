"""Frozen training, each normal form computed once, beside the ordinary loop: speed, and the same answers.

Lines of BGL with their alert labels, and windows of 20 of them, split in order of time. Both loops take the
same rows in the same order with the same batches, seed, schedule and optimizer. The ordinary one is the
library's Trainer with the encoder frozen, every row of every batch computed; it is timed on a sample (the
first rows), the cached one on the sample, where the answers of both are compared, and on all rows.

Example: python benchmarks/adaptation.py --data ../shared/data
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import arguments, sha256, write

from biglog.evaluation.anomaly import sets
from biglog.training.adapt import AdaptArguments, Examples, Table, find_base, fit, read_examples

SOURCE = "anomaly/bgl/BGL_100k.log.gz"
CUT = 60_000
WINDOW = 20
SETTINGS: dict[str, tuple[str, int, int]] = {
    "lines, batches of 32": ("sequence", 32, 1),
    "lines, batches of 8": ("sequence", 8, 1),
    "lines, a step an epoch": ("sequence", 32, 0),
    "windows of 20, batches of 32": ("window", 32, 1),
    "windows of 20, a step an epoch": ("window", 32, 0),
}
"""Head, batch size, and batches a step (0: all of them)."""


def tables(data: Path) -> dict[str, pl.DataFrame]:
    """Rows that are learnt from, by head: texts and labels in order of time."""
    labelled = sets.labelled_lines(data, "BGL")
    forms = labelled.forms.head(CUT).alias("text")
    alert = pl.Series("label", (labelled.alerts[:CUT] != "-").astype(int)).cast(pl.String)
    lines = pl.DataFrame([forms, alert])
    size = pl.int_range(pl.len()) // WINDOW
    windows = lines.group_by(size.alias("at"), maintain_order=True).agg("text", pl.col("label").max())
    return {"sequence": lines, "window": windows.drop("at")}


def examples_of(rows: pl.DataFrame, told: AdaptArguments) -> Examples:
    """Rows as examples."""
    column = "normal_forms" if told.head == "window" else "normal_form"
    return read_examples(Table(rows, column, "BGL", ""), told, ("0", "1"))


def compared(rows: pl.DataFrame, sample: int, told: AdaptArguments, repeats: int) -> dict[str, Any]:
    """Times both loops, and compares what they answer."""
    base = find_base(None, told.head)
    few, every = examples_of(rows.head(sample), told), examples_of(rows, told)
    first = replace(few, rows=few.rows[:64])
    fit(base, first, None, replace(told, cached=False))  # what the library imports when it is first used
    ordinary = fit(base, few, None, replace(told, cached=False))
    alike = fit(base, few, None, told)
    runs = sorted(_seconds(base, every, told) for _ in range(repeats))
    answers = [np.concatenate(one.answers(every)) for one in (ordinary, alike)]
    rate = every.lines * told.epochs / runs[len(runs) // 2]
    plain = ordinary.lines / ordinary.seconds
    return {
        "rows": len(rows),
        "lines": every.lines,
        "normal_forms": len(every.groups.forms),
        "distinct_examples": len(every),
        "sample_rows": len(few.rows),
        "batch_size": told.batch_size,
        "batches_a_step": told.gradient_accumulation_steps,
        "epochs": told.epochs,
        "steps": {"ordinary": ordinary.learnt.steps, "cached": alike.learnt.steps},
        "ordinary": plain,
        "cached_on_the_sample": alike.lines / alike.seconds,
        "cached": rate,
        "ratio_on_the_sample": alike.lines / alike.seconds / plain,
        "ratio": rate / plain,
        "largest_difference_of_logits": float(np.abs(answers[0] - answers[1]).max()),
        "same_classes": float((answers[0].argmax(1) == answers[1].argmax(1)).mean()),
    }


def _seconds(base: Any, examples: Examples, told: AdaptArguments) -> float:
    return fit(base, examples, None, told).seconds


def main() -> int:
    """Runs the comparison, prints a line a setting and writes the result."""
    parser = arguments(__doc__, "adaptation_speed.json")
    parser.add_argument("--sample", type=int, default=4000, help="lines for the ordinary loop")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the cached loop, of which the median")
    options = parser.parse_args()
    rows, found = tables(options.data), {}
    with tempfile.TemporaryDirectory() as folder:
        plain = AdaptArguments(mode="frozen", save_steps=0, output_path=folder, dropout=0.0, use_cpu=True)
        for name, (head, batch, gathered) in SETTINGS.items():
            some = rows[head].head(options.limit or len(rows[head]))
            sample = options.sample // (WINDOW if head == "window" else 1)
            told = replace(plain, head=head, batch_size=batch, gradient_accumulation_steps=gathered or 10**6)
            found[name] = compared(some, sample, told, options.repeats)
            print(name, {k: v if isinstance(v, dict) else float(f"{v:.4g}") for k, v in found[name].items()})
    result = {
        "schema": "biglog-benchmark-adaptation/1",
        "data": {SOURCE: sha256(options.data / SOURCE)},
        "model": "biglog-mini",
        "torch_threads": torch.get_num_threads(),
        "seed": 0,
        "unit": "lines per wall second of training, as often as they are learnt from; what is computed once "
        "included; reading and masking the log are not in either",
        "protocol": f"the first {CUT:,} lines in order of time, alert or not",
        "settings": found,
    }
    write(options.out, result)
    for name, row in found.items():
        print(
            f"{name}: cached / ordinary = {row['ratio']:.0f} (on the sample {row['ratio_on_the_sample']:.0f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
