"""How a stranger adds a model: one JSON file, described from what checks it, so that it cannot drift."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, Final

from biglog.evaluation.figures.markdown import joined, table
from biglog.evaluation.results import (
    EXPOSURES,
    KINDS,
    METRICS,
    SCHEMA,
    Figure,
    ModelResults,
    TaskResult,
)

FOLDER: Final = "results/leaderboard"

_MODEL: Final = ("name", "kind", "results", "source", "revision", "parameters", "url", "date")


def template() -> str:
    """Returns a result of a made-up model, which passes the check, to be filled in."""
    row = TaskResult(
        task="anomaly/my-task",
        task_version=1,
        split="test",
        protocol="one-class",
        ground_truth_version="1",
        data={"path/of/the/file.log": "its SHA-256"},
        metrics={"average_precision": Figure(0.5, 0.01, 3), "f1": Figure(0.5, 0.01, 3)},
        main_metric="average_precision",
        seeds=[0, 1, 2],
        exposure="none",
        lines=1000,
        wall_seconds=12.5,
    )
    told = ModelResults("My model", "encoder", (row,), source="owner/name", url="https://example.org")
    return json.dumps(told.to_dict() | {"parameters": 1000000, "date": "2026-01-31"}, indent=1) + "\n"


def section() -> str:
    """Returns the part of the leaderboard that says how to add a model, as Markdown."""
    least = json.loads(template())
    return "\n".join(
        [
            "## Add a model",
            "",
            f"A model is one JSON file in `{FOLDER}/`, and no code. `biglog evaluate` writes it for encoders "
            "that it can load; for anything else, write it by hand:",
            "",
            "```",
            "biglog leaderboard --template > mine.json     # a file to fill in",
            "biglog leaderboard --check mine.json          # names the field that is wrong",
            f"biglog leaderboard {FOLDER} mine.json --html leaderboard.html",
            "```",
            "",
            "Copy task, version, split, protocol, ground-truth version and checksums from a row that it is "
            "to be compared with: a row that differs in one of the first five stands in a table of its own, "
            "and one measured on files with other checksums is not ranked. Then propose the file as a change "
            "to this repository, or keep it in a model repository on the Hub (`biglog publish mine.json "
            "owner/name --dataset owner/logs`), from where `biglog leaderboard --from-hub owner/name` reads "
            "it.",
            "",
            "<details><summary>The file to fill in</summary>",
            "",
            "```json",
            json.dumps(least, indent=1),
            "```",
            "",
            "</details>",
            "",
            "<details><summary>Fields</summary>",
            "",
            _fields(),
            "",
            "</details>",
            "",
            "<details><summary>Metrics</summary>",
            "",
            _metrics(),
            "",
            "</details>",
            "",
        ]
    )


def _fields() -> str:
    rows = [("`schema`", "yes", f"`{SCHEMA}`")]
    rows += [_field(name, ModelResults, "") for name in _MODEL]
    rows += [_field(name, TaskResult, "results[].") for name in TaskResult.__dataclass_fields__]
    rows += [_field(name, Figure, "results[].metrics.*.") for name in Figure.__dataclass_fields__]
    return table(("field", "needed", "what it is"), rows, texts=3)


def _field(name: str, kind: Any, prefix: str) -> tuple[str, str, str]:
    words = _documented(kind.__doc__ or "")[name]
    choices: Mapping[str, tuple[str, ...]] = {"kind": KINDS, "exposure": EXPOSURES}
    if name in choices:
        words = f"One of {joined([f'`{one}`' for one in choices[name]])}."
    if name == "metrics":
        words = "Figures by name, of the metrics below."
    needed = "no" if _optional(kind.__dataclass_fields__[name]) else "yes"
    return f"`{prefix}{name}`", needed, words


def _optional(field: Any) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _documented(text: str) -> dict[str, str]:
    """What a docstring says of each attribute."""
    listed = text.partition("Attributes:")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}


def _metrics() -> str:
    rows = [
        (
            f"`{name}`",
            metric.words,
            f"{metric.low:g} to {metric.high:g}",
            "higher" if metric.higher_is_better else "lower",
        )
        for name, metric in METRICS.items()
    ]
    return table(("metric", "what it is", "range", "better"), rows, texts=4)
