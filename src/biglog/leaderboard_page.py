"""The leaderboard as one HTML file that needs nothing else, and as a folder that is a static Hub Space."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from biglog._version import __version__
from biglog.errors import OutputError
from biglog.evaluation.leaderboard import words
from biglog.evaluation.leaderboard.collecting import Entry
from biglog.evaluation.leaderboard.joining import FOLDER, template
from biglog.evaluation.leaderboard.markdown import link_of
from biglog.evaluation.leaderboard.ranking import Row, Table, tables
from biglog.evaluation.results import METRICS, Figure
from biglog.page import environment, policy, read, write
from biglog.repository import staged, writing

SCHEMA: Final = "biglog.leaderboard/1"
PAGE, DATA, CARD, RESULTS = "index.html", "data.json", "README.md", "results"

_FRONT_MATTER: Final = """---
title: {title}
emoji: 🪵
colorFrom: blue
colorTo: gray
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
short_description: Log parsing, anomaly detection, failure prediction
tags:
- leaderboard
- logs
- log-analysis
---

# {title}

{lede}

`index.html` is the page, `data.json` the same for programs, `results/` what both were made of:
`biglog leaderboard results --space .` writes this folder.
"""


class Span(NamedTuple):
    """A scale whose right end is the better one.

    Attributes:
        left: Value at the left end.
        right: Value at the right end.
    """

    left: float
    right: float

    def place(self, value: float) -> float:
        """Returns where a value lies, 0 to 100 percent of the width."""
        wide = self.right - self.left
        return min(100.0, max(0.0, 100 * (value - self.left) / wide)) if wide else 50.0

    def spread(self, figure: Figure) -> tuple[float, float]:
        """Returns where the deviation around a figure begins, and how wide it is."""
        ends = sorted(self.place(figure.mean + sign * figure.sd) for sign in (-1, 1))
        return ends[0], ends[1] - ends[0]


class Mark(NamedTuple):
    """A figure on a scale.

    Attributes:
        name: The model's.
        text: The figure as it is printed.
        place: Where it lies, in percent.
    """

    name: str
    text: str
    place: float


class Glance(NamedTuple):
    """A line of the overview.

    Attributes:
        model: The best that is no baseline.
        baseline: The best baseline.
        start: Where the line between both begins, in percent.
        wide: How long it is.
        ahead: Whether the model ranks above the baseline.
        places: Where every ranked row lies, in percent.
    """

    model: Mark | None
    baseline: Mark | None
    start: float
    wide: float
    ahead: bool
    places: list[float]


def write_page(entries: Sequence[Entry], path: Path, titles: Mapping[str, str] | None = None) -> None:
    """Writes the page.

    Args:
        entries: Results of models.
        path: Where to write; its folder is made. An existing file is replaced.
        titles: What tasks are called, by their identifiers, for those that are known.

    Raises:
        InputError: Two models have the same name.
        OutputError: It cannot be written; nothing half-written stays behind.
    """
    text = render_page(entries, path.parent, titles)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, text.encode())


def write_space(
    entries: Sequence[Entry], folder: Path, titles: Mapping[str, str] | None = None
) -> list[Path]:
    """Writes a folder that is a static Space: card, page, data, and a copy of each result file.

    Args:
        entries: Results of models.
        folder: Where to; it may exist if it is empty or holds an earlier such folder.
        titles: What tasks are called, by their identifiers, for those that are known.

    Returns:
        The files written.

    Raises:
        InputError: Two models have the same name.
        OutputError: The folder holds something else, or cannot be written.
    """
    target = folder.expanduser().absolute()
    _refuse_to_overwrite(target)
    with writing(target), staged(target) as stage:
        moved = _copied(entries, stage / RESULTS)
        found = tables(moved)
        card = _FRONT_MATTER.format(title=f"BigLog {words.TITLE.lower()}", lede=words.lede(found))
        (stage / CARD).write_text(card, encoding="utf-8")
        (stage / PAGE).write_text(render_page(moved, stage, titles), encoding="utf-8")
        told = json.dumps(board(moved, stage), indent=1, ensure_ascii=False)
        (stage / DATA).write_text(told + "\n", encoding="utf-8")
        return _settle(stage, target)


def render_page(entries: Sequence[Entry], folder: Path, titles: Mapping[str, str] | None = None) -> str:
    """Returns the page's HTML.

    Args:
        entries: Results of models.
        folder: Where it will lie: links to result files are relative to it.
        titles: What tasks are called, by their identifiers, for those that are known.

    Raises:
        InputError: Two models have the same name.
    """
    found = tables(entries)
    script = read("leaderboard.js")
    return (
        environment()
        .get_template("leaderboard.html.j2")
        .render(
            title=words.TITLE,
            lede=words.lede(found),
            families=[(name, list(some)) for name, some in groupby(found, key=lambda one: one.family)],
            tables=found,
            choices=choices(found),
            titles=titles or {},
            w=words,
            overview=overview,
            scale=scale,
            link=lambda row: link_of(row.entry, folder),
            form=template(),
            folder=FOLDER,
            version=__version__,
            style=Markup(f"{read('report.css')}\n{read('leaderboard.css')}"),
            script=Markup(script),
            policy=policy([script]),
        )
    )


def board(entries: Sequence[Entry], folder: Path) -> dict[str, Any]:
    """Returns the leaderboard for programs: every table with its rows, ranks and figures.

    Args:
        entries: Results of models.
        folder: Where it will lie: links to result files are relative to it.
    """
    names = ("task", "task_version", "split", "protocol", "ground_truth_version")
    return {
        "schema": SCHEMA,
        "tables": [
            dict(zip(names, table.key, strict=True))
            | {
                "main_metric": table.main_metric,
                "higher_is_better": METRICS[table.main_metric].higher_is_better,
                "rows": [_told(row, folder) for row in table.rows],
            }
            for table in tables(entries)
        ],
    }


def _told(row: Row, folder: Path) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "level_with": row.level,
        "unranked": row.unranked,
        "model": row.model.name,
        "kind": row.model.kind,
        "parameters": row.model.parameters,
        "exposure": row.result.exposure,
        "metrics": {name: vars(figure) for name, figure in row.result.metrics.items()},
        "lines_per_second": row.result.lines_per_second,
        "date": row.model.date,
        "result": link_of(row.entry, folder),
    }


def choices(found: Sequence[Table]) -> dict[str, list[str]]:
    """Returns what each filter offers."""
    rows = [row for table in found for row in table.rows]
    return {
        "task": list(dict.fromkeys(table.task for table in found)),
        "family": list(dict.fromkeys(table.family for table in found)),
        "kind": sorted({row.model.kind for row in rows}),
        "protocol": sorted({table.key[3] for table in found}),
        "truth": sorted({table.key[4] for table in found}),
        "exposure": sorted({row.result.exposure for row in rows}),
    }


def scale(table: Table) -> Span:
    """Returns a scale that all figures of the metric that ranks fit on, with round ends."""
    figures = [row.result.metrics[table.main_metric] for row in table.rows if row.rank]
    if not figures:
        return Span(0.0, 1.0)
    low = min(one.mean - one.sd for one in figures)
    high = max(one.mean + one.sd for one in figures)
    metric = METRICS[table.main_metric]
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-2)))
    low = max(metric.low, math.floor(low / step) * step)
    high = min(metric.high, math.ceil(high / step + 1e-9) * step)
    low = low if low < high else max(metric.low, high - step)
    return Span(low, high) if metric.higher_is_better else Span(high, low)


def overview(table: Table) -> Glance:
    """Returns what one line of the overview draws: the best model and the best baseline on one scale."""
    ranked = [row for row in table.rows if row.rank]
    model = next((row for row in ranked if not row.is_baseline), None)
    baseline = next((row for row in ranked if row.is_baseline), None)
    marks = [None if row is None else _mark(table, row) for row in (model, baseline)]
    places = [mark.place for mark in marks if mark is not None] or [0.0]
    ahead = model is not None and baseline is not None and (model.rank or 0) < (baseline.rank or 0)
    every = [_mark(table, row).place for row in ranked]
    return Glance(marks[0], marks[1], min(places), max(places) - min(places), ahead, every)


def _mark(table: Table, row: Row) -> Mark:
    place = scale(table).place(row.result.metrics[table.main_metric].mean)
    return Mark(row.model.name, words.cell(row, table.main_metric), place)


def _copied(entries: Sequence[Entry], folder: Path) -> list[Entry]:
    """Copies result files into a folder, each under a name of its own."""
    folder.mkdir()
    moved = []
    for entry in entries:
        if entry.path is None:
            moved.append(entry)
            continue
        place = folder / entry.path.name
        number = 2
        while place.exists():
            place = folder / f"{entry.path.stem}-{number}.json"
            number += 1
        shutil.copyfile(entry.path, place)
        moved.append(Entry(entry.results, path=place))
    return moved


def _refuse_to_overwrite(target: Path) -> None:
    with writing(target):
        held = {path.name for path in target.iterdir()} if target.exists() else set()
    if held and not {PAGE, DATA, CARD} <= held:
        raise OutputError(
            "the folder is not empty, and holds something other than a leaderboard",
            where=target,
            remedy="Give another folder",
        )


def _settle(stage: Path, target: Path) -> list[Path]:
    """Moves what was written to its place; results of an earlier leaderboard that are gone go too."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target / RESULTS, ignore_errors=True)
    (stage / RESULTS).rename(target / RESULTS)
    for name in (CARD, DATA, PAGE):
        (stage / name).replace(target / name)
    return sorted(path for path in target.rglob("*") if path.is_file())
