"""Committed results measured anew from scratch, and which of their figures differ."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from biglog.data.run_facts import git_state, hardware, versions
from biglog.errors import BigLogError, InputError
from biglog.evaluation.evaluate import Run, begun, evaluate
from biglog.evaluation.results import METRICS, ModelResults, TaskResult, read_all
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task, all_tasks

SCHEMA: Final = "biglog.reproduction/1"

TOLERANCE: Final = 0.005
"""How far a figure may be from the committed one: half a point, or half a percent of what exceeds 1. Matrix
products round by the processor, so no other machine is promised the last bit."""

EXACT: Final = 1e-9

SPREAD: Final = 0.005
"""Deviation over seeds from which on a figure is said to be wide: half a point."""


@dataclass(frozen=True)
class Compared:
    """A figure beside the committed one.

    Attributes:
        model: Name of the model.
        task: Id of the task.
        metric: Name of the metric.
        committed: Mean of the committed result.
        found: Mean as measured anew.
        sd: Deviation over seeds, as measured anew.
        runs: How many there were.
        state: `equal` (to 1e-9), `near` (within the tolerance) or `differs`.
    """

    model: str
    task: str
    metric: str
    committed: float
    found: float
    sd: float
    runs: int
    state: str

    @property
    def difference(self) -> float:
        """What was found less what was committed."""
        return self.found - self.committed


def reproduce(
    committed: Path,
    folder: Path,
    scratch: Path,
    subject_of: Callable[[str], Subject],
    *,
    tolerance: float = TOLERANCE,
    go_on: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measures all small tasks of all committed results anew.

    Args:
        committed: Folder of results, one JSON a model.
        folder: The data.
        scratch: Where results are written; what is there is deleted first.
        subject_of: Makes a model, by the name that its results have.
        tolerance: How far a figure may be off.
        go_on: Whether to keep what a killed run has left in `scratch`.
        say: Is told what was done.

    Returns:
        `figures` (as of `Compared`), `differing`, `not_run` (by model why), `stale` (rows of tasks of another
        version or that are gone), `wide` (main figures with a large deviation over seeds), `task_seconds` (of
        all tasks, kept ones too), `wall_seconds` (of this run) and facts.

    Raises:
        InputError: There are no committed results, one is damaged, or data are missing or others.
    """
    before = read_all(committed)
    if not before:
        raise InputError("no results here", where=committed, remedy="`biglog evaluate --out` writes them")
    if not go_on:
        shutil.rmtree(scratch, ignore_errors=True)
    started = time.perf_counter()
    figures: list[Compared] = []
    wide: list[dict[str, Any]] = []
    task_seconds = 0.0
    not_run: dict[str, str] = {}
    stale = [f"{model.name}, {row.task}" for model in before for row in model.results if _task(row) is None]
    for model in before:
        try:
            subject = subject_of(model.name)
        except BigLogError as error:
            not_run[model.name] = str(error)
            say(f"{model.name}: not run. {error}")
            continue
        found = _measured(subject, model, folder, scratch, say)
        for row in found.results:
            old = next(one for one in model.results if one.task == row.task)
            figures += compare(model.name, old, row, tolerance)
            wide += _wide(model.name, row)
            task_seconds += row.wall_seconds
    differing = [one for one in figures if one.state == "differs"]
    return {
        "schema": SCHEMA,
        "tolerance": tolerance,
        "wall_seconds": round(time.perf_counter() - started, 1),
        "task_seconds": round(task_seconds, 1),
        "models": [model.name for model in before],
        "states": {
            state: sum(one.state == state for one in figures) for state in ("equal", "near", "differs")
        },
        "differing": [asdict(one) for one in differing],
        "not_run": not_run,
        "stale": stale,
        "spread": {"limit": SPREAD, "rows_over_seeds": _over_seeds(figures), "wide": wide},
        "figures": [asdict(one) for one in figures],
        "hardware": hardware(),
        "versions": versions(),
        "git": git_state(),
    }


def compare(model: str, old: TaskResult, new: TaskResult, tolerance: float = TOLERANCE) -> list[Compared]:
    """Compares the figures of two results of one task.

    Args:
        model: Name of the model.
        old: As committed.
        new: As measured anew.
        tolerance: Largest difference that is none, of a figure up to 1; of a larger one this share of it.

    Returns:
        One row for each metric that both have.
    """
    rows = []
    for name in METRICS:
        if name in old.metrics and name in new.metrics:
            was, now = old.metrics[name].mean, new.metrics[name].mean
            difference, scale = abs(now - was), max(1.0, abs(was))
            near = "near" if difference <= tolerance * scale else "differs"
            state = "equal" if difference <= EXACT * scale else near
            figure = new.metrics[name]
            rows.append(Compared(model, new.task, name, was, now, figure.sd, figure.runs, state))
    return rows


def _task(row: TaskResult) -> Task | None:
    task = all_tasks().get(row.task)
    return task if task is not None and task.version == row.task_version else None


def _measured(
    subject: Subject, model: ModelResults, folder: Path, scratch: Path, say: Callable[[str], None]
) -> ModelResults:
    """Measures what is committed, each task with the seeds of its row."""
    scratch.mkdir(parents=True, exist_ok=True)
    out = scratch / f"{model.name}.json"
    found = begun(subject, out)
    for row in model.results:
        task = _task(row)
        if task is not None and task.scale == "small" and subject.takes_task(task):
            found = evaluate(subject, [task], Run(folder, row.seeds, out, say=say))
    return found


def _over_seeds(figures: Sequence[Compared]) -> int:
    return len({(one.model, one.task) for one in figures if one.runs > 1})


def _wide(model: str, row: TaskResult) -> list[dict[str, Any]]:
    """The main figure, where it varies more over seeds than half a point."""
    main = row.metrics[row.main_metric]
    if main.runs < 2 or main.sd <= SPREAD:
        return []
    return [{"model": model, "task": row.task, "metric": row.main_metric, "sd": main.sd, "runs": main.runs}]


def told(result: dict[str, Any]) -> str:
    """Says in lines what differs, what was not run, and what varies over seeds."""
    lines = [f"{'model':26} {'task':34} {'metric':18} {'committed':>10} {'found':>10} {'off by':>9}"]
    for one in result["differing"]:
        off = one["found"] - one["committed"]
        figures = f"{one['committed']:10.4f} {one['found']:10.4f} {off:+9.4f}"
        lines.append(f"{one['model']:26} {one['task']:34} {one['metric']:18} {figures}")
    if not result["differing"]:
        lines = []
    lines += [f"not run: {name}: {reason}" for name, reason in result["not_run"].items()]
    lines += [f"of another version, measure it again: {row}" for row in result["stale"]]
    spread, states = result["spread"], result["states"]
    lines += [
        f"varies over seeds: {one['model']}, {one['task']}: {one['metric']} sd {one['sd']:.4f}"
        for one in spread["wide"]
    ]
    lines.append(
        f"{len(result['models'])} models, {sum(states.values())} figures: {states['equal']} equal, "
        f"{states['near']} within {result['tolerance']:g}, {states['differs']} differ; "
        f"{spread['rows_over_seeds']} rows over seeds, {len(spread['wide'])} vary by more than "
        f"{spread['limit']:g}; {result['task_seconds'] / 60:.1f} minutes of tasks, "
        f"{result['wall_seconds'] / 60:.1f} in this run"
    )
    return "\n".join(lines)
