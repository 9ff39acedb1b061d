"""Results laid out for a Hub: beside a model as `.eval_results`, or many of them as a dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from biglog.errors import InputError
from biglog.evaluation.leaderboard import Entry, collect, read_entry, render_markdown
from biglog.evaluation.leaderboard.collecting import check_names
from biglog.evaluation.leaderboard.describing import titles
from biglog.evaluation.leaderboard.eval_results import FILE, to_entries
from biglog.publishing.checks import check_no_places

RESULTS: Final = "results"
ROWS: Final = "rows.jsonl"

_CARD: Final = """---
license: apache-2.0
pretty_name: Results on log tasks
tags:
- logs
- evaluation
configs:
- config_name: default
  data_files: {rows}
---

{board}
"""


def lay_out_for_model(file: Path, folder: Path, dataset: str | None, page: str) -> None:
    """Lays out a result as a model's repository holds it.

    Args:
        file: The result file.
        folder: Where to; it is empty.
        dataset: Repository on the Hub that holds the data.
        page: Address of the model's repository.

    Raises:
        InputError: The result is wrong, or no data are named.
    """
    from huggingface_hub import eval_result_entries_to_yaml

    results = read_entry(file).results
    if dataset is None:
        raise InputError(
            "results beside a model name the dataset on the Hub that they were measured on",
            where=file,
            remedy="Give it by --dataset owner/name, or publish the folder of results as a dataset",
        )
    (folder / RESULTS).mkdir()
    check_no_places(file.parent, [file.name])
    shutil.copyfile(file, folder / RESULTS / file.name)
    entries = to_entries(results, dataset, f"{page}/blob/main/{RESULTS}/{file.name}")
    place = folder / FILE
    place.parent.mkdir()
    told = yaml.safe_dump(
        eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=4096
    )
    place.write_text(told, encoding="utf-8")


def lay_out_as_dataset(source: Path, folder: Path) -> None:
    """Lays out a folder of results as a dataset: files, their figures as rows, and the leaderboard as card.

    Args:
        source: The folder of result files.
        folder: Where to; it is empty.

    Raises:
        InputError: A result is wrong, or two models have the same name.
    """
    (folder / RESULTS).mkdir()
    for entry in collect([source]):
        assert entry.path is not None  # read from a file
        check_no_places(entry.path.parent, [entry.path.name])
        shutil.copyfile(entry.path, folder / RESULTS / entry.path.name)
    entries = collect([folder / RESULTS])
    check_names(entries)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows(entries))
    (folder / ROWS).write_text("".join(lines), encoding="utf-8")
    board = render_markdown(entries, folder, titles())
    (folder / "README.md").write_text(_CARD.format(rows=ROWS, board=board), encoding="utf-8")


def rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Returns every figure as a row of a table.

    Args:
        entries: Results of models.
    """
    return [
        {
            "model": entry.results.name,
            "kind": entry.results.kind,
            "parameters": entry.results.parameters,
            "task": row.task,
            "task_version": row.task_version,
            "split": row.split,
            "protocol": row.protocol,
            "ground_truth_version": row.ground_truth_version,
            "exposure": row.exposure,
            "metric": metric,
            "is_main": metric == row.main_metric,
            "mean": figure.mean,
            "sd": figure.sd,
            "runs": figure.runs,
            "date": entry.results.date,
        }
        for entry in entries
        for row in entry.results.results
        for metric, figure in row.metrics.items()
    ]
