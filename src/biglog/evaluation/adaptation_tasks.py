"""Tasks that modes of adaptation are compared on: what is learnt from and what is tested, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from biglog.evaluation.anomaly import sets
from biglog.evaluation.parsing import read_truth
from biglog.evaluation.probes.alerts import deal
from biglog.evaluation.probes.labelled import read_alerts
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import normal_forms

VERSIONS: Final = ("loghub-2.0", "logparser-corrected")
"""Versions of the ground truth of words, the first that a domain has is taken."""

FOLDS: Final = 5
FORMS_OF_A_DOMAIN: Final = 40
WINDOW_LINES: Final = 20
TRAIN_LINES, TEST_LINES = 60_000, (80_000, 100_000)


@dataclass(frozen=True)
class Part:
    """One split of a task.

    Attributes:
        left_out: A domain that the encoder must not have seen; with it go those of its fold.
        learnt: Columns text and label.
        tested: As `learnt`, by name.
    """

    left_out: str
    learnt: pl.DataFrame
    tested: dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        head: Kind of head, as `biglog.training.adapt` has them.
        text: What a column of such texts is called.
        protocol: What is learnt from and what is tested, in words.
        parts: Splits for a seed, and the domains that are left out together.
    """

    head: str
    text: str
    protocol: str
    parts: Callable[[Path, int, tuple[tuple[str, ...], ...]], Iterator[Part]]


def _alerts(folder: Path, seed: int, folds: tuple[tuple[str, ...], ...]) -> Iterator[Part]:
    lines = read_alerts(folder).lines
    fold = pl.Series(deal(lines, seed, FOLDS))
    rows = lines.select(text="normal_form", label=pl.col("is_alert").cast(pl.String))
    for one in range(FOLDS):
        yield Part("BGL", rows.filter(fold != one), {f"fold {one}": rows.filter(fold == one)})


def _words(folder: Path, seed: int, folds: tuple[tuple[str, ...], ...]) -> Iterator[Part]:
    tables = {}
    for domain in DOMAINS:
        _, contents, templates = read_truth(domain, folder, VERSIONS)
        rows = pl.DataFrame({"text": contents, "label": templates})
        once = normal_forms(contents).is_first_distinct()
        tables[domain] = rows.filter(once)
    for left_out in folds:
        others = [tables[domain] for domain in DOMAINS if domain not in left_out]
        few = [table.sample(min(len(table), FORMS_OF_A_DOMAIN), seed=seed) for table in others]
        yield Part(left_out[0], pl.concat(few), {domain: tables[domain] for domain in left_out})


def _windows(folder: Path, seed: int, folds: tuple[tuple[str, ...], ...]) -> Iterator[Part]:
    lines = sets.labelled_lines(folder, "BGL")
    parts = []
    for begin, end in ((0, TRAIN_LINES), TEST_LINES):
        labelled = lines.windows(WINDOW_LINES, begin, end)
        text = lines.forms.slice(begin, end - begin).to_frame("text").with_row_index("at")
        rows = text.group_by(pl.col("at") // WINDOW_LINES, maintain_order=True).agg("text").select("text")
        parts.append(rows.with_columns(label=pl.Series(labelled.labels).cast(pl.String)))
    yield Part("BGL", parts[0], {"last fifth": parts[1]})


TASKS: Final[Mapping[str, Task]] = {
    "alerts of unseen templates (BGL)": Task(
        "sequence",
        "normal_form",
        f"lines of BGL_2k, {FOLDS} folds of templates: learnt on four, tested on the fifth; mean over folds",
        _alerts,
    ),
    "parameter words of unseen domains (loghub_2k)": Task(
        "token",
        "content",
        f"{FORMS_OF_A_DOMAIN} normal forms of each of 12 domains, tested on all forms of the other four, in "
        "turn; words under masks, which are parameters anyway, are left out; mean over domains",
        _words,
    ),
    f"windows of {WINDOW_LINES} lines with alerts (BGL)": Task(
        "window",
        "normal_forms",
        f"the first {TRAIN_LINES:,} lines, tested on lines {TEST_LINES[0]:,} to {TEST_LINES[1]:,}",
        _windows,
    ),
}
"""Tasks by name; encoders have seen none of the tested domains."""
