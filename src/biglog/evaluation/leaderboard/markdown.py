"""The leaderboard as Markdown."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from biglog.data.kept_files import write_whole
from biglog.evaluation.figures.markdown import table as grid
from biglog.evaluation.leaderboard import words as say
from biglog.evaluation.leaderboard.collecting import Entry
from biglog.evaluation.leaderboard.joining import section
from biglog.evaluation.leaderboard.picture import picture
from biglog.evaluation.leaderboard.ranking import Row, Table, tables

HEAD: Final = "<!-- Written by `biglog leaderboard`; every figure is from a result file. -->"
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]#])")


def write_markdown(entries: Sequence[Entry], path: Path, titles: Mapping[str, str] | None = None) -> None:
    """Writes the leaderboard, and its picture beside it, called as it is.

    Args:
        entries: Results of models.
        path: Where to write; its folder is there. An existing file is replaced.
        titles: As of `render_markdown`.

    Raises:
        InputError: Two models have the same name.
        OutputError: It cannot be written; nothing half-written stays behind.
    """
    beside = path.with_suffix(".svg")
    drawn = picture(tables(entries))
    text = render_markdown(entries, path.parent, titles, picture_name=beside.name if drawn else "")
    if drawn:
        write_whole(beside, lambda to: to.write_text(drawn, encoding="utf-8"))
    write_whole(path, lambda to: to.write_text(text, encoding="utf-8"))


def render_markdown(
    entries: Sequence[Entry],
    folder: Path,
    titles: Mapping[str, str] | None = None,
    *,
    joining: bool = True,
    picture_name: str = "",
) -> str:
    """Returns the leaderboard.

    Args:
        entries: Results of models.
        folder: Where the text will lie: links to result files are relative to it.
        titles: What tasks are called, by their identifiers, for those that are known.
        joining: Whether it says how to add a model.
        picture_name: File of the picture, relative to the text; empty leaves it out.

    Raises:
        InputError: Two models have the same name.
    """
    found = tables(entries)
    parts = [HEAD, "", f"# {say.TITLE}", "", say.lede(found), ""]
    parts += [f"- {line}" for line in say.READING]
    parts += ["", "## Overview", ""]
    parts += [f"![Models and baselines on tasks]({picture_name})", ""] if picture_name else []
    parts += [_overview(found, titles or {}), ""]
    for family, some in groupby(found, key=lambda one: one.family):
        parts += [f"## {family.capitalize()}", ""]
        for one in some:
            parts += [_table(one, folder, titles or {}), ""]
    return "\n".join([*parts, section()] if joining else parts)


def link_of(entry: Entry, folder: Path) -> str:
    """Returns the address of a result, relative to a folder if it is a file.

    Args:
        entry: The result.
        folder: Where the text that links lies.
    """
    if entry.path is None:
        return entry.url
    return Path(os.path.relpath(entry.path, folder.resolve())).as_posix()


def _overview(found: list[Table], titles: Mapping[str, str]) -> str:
    """A row a table: who is the best, and the best baseline beside it."""
    rows = []
    for table in found:
        ranked = [row for row in table.rows if row.rank]
        first = [row for row in ranked if row.rank == 1]
        trivial = next((row for row in ranked if row.is_baseline), None)
        rows.append(
            (
                f"[{_plain(titles.get(table.task, table.task))}](#{table.slug})",
                say.metric_words(table.main_metric) + " " + say.arrow(table.main_metric),
                ", ".join(_plain(row.model.name) for row in first),
                say.cell(first[0], table.main_metric) if first else "",
                "" if trivial is None else _plain(trivial.model.name),
                "" if trivial is None else say.cell(trivial, table.main_metric),
            )
        )
    head = ("task", "metric", "first", "figure", "best baseline", "figure")
    return grid(head, rows, texts=3)


def _table(table: Table, folder: Path, titles: Mapping[str, str]) -> str:
    _, version, split, protocol, truth = table.key
    head = [
        "rank",
        "model",
        *(f"{say.metric_words(name)} {say.arrow(name)}" for name in table.metrics),
        "pretraining",
        "lines/s",
        "result",
    ]
    rows = [_row(table, row, folder) for row in table.rows]
    split, protocol, truth = map(_plain, (split, protocol, truth))
    told = [
        f"- Task: `{table.task}`, version {version}",
        f"- Split: {split}",
        f"- Protocol: {protocol}",
        f"- Ground truth: {truth}",
    ]
    notes = [f"- {_plain(row.model.name)}: {say.level_words(row)}." for row in table.rows if not row.rank]
    lines = [f'<a id="{table.slug}"></a>', "", f"### {_plain(titles.get(table.task, table.task))}", ""]
    lines += [*told, "", grid(head, rows, texts=2)]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _row(table: Table, row: Row, folder: Path) -> tuple[str, ...]:
    name = _plain(row.model.name)
    named = f"[{name}]({row.model.url})" if row.model.url else name
    cells = []
    for metric in table.metrics:
        text = say.cell(row, metric)
        cells.append(f"**{text}**" if say.is_best(table, row, metric) else text)
    return (
        say.rank_words(row),
        f"{named} *(baseline)*" if row.is_baseline else named,
        *cells,
        say.EXPOSURE_WORDS[row.result.exposure],
        say.speed(row),
        f"[JSON]({link_of(row.entry, folder)})",
    )


def _plain(text: str) -> str:
    """Text that Markdown takes as it stands."""
    words = html.escape(" ".join(text.split()), quote=False)
    return _SPECIAL.sub(r"\\\1", words)
