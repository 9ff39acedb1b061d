"""Measures one model on tasks, and keeps what it did after each of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import modeling_biglog
from biglog.errors import InputError
from biglog.evaluation.measuring.registry import MEASURES
from biglog.evaluation.results import ModelResults, TaskResult, read_results, write_results
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task, check_data

_CODE: Final = (
    "evaluation/measuring",
    "evaluation/anomaly",
    "evaluation/failure",
    "evaluation/probes",
    "tasks",
    "metrics",
    "logs",
)
_FILES: Final = ("evaluation/parsing.py", "evaluation/baselines.py", "inference/encoder.py", "tokenizer.py")
"""Where the code lies that figures depend on, below the package."""


@dataclass(frozen=True)
class Run:
    """How tasks are run.

    Attributes:
        folder: The data.
        seeds: Of all tasks; empty leaves each its own.
        out: File that keeps the results; None keeps none.
        again: Whether to measure again what is there.
        say: Is told what was done.
        progress: Is told how many tasks of how many are done.
    """

    folder: Path
    seeds: Sequence[int] = ()
    out: Path | None = None
    again: bool = False
    say: Callable[[str], None] = lambda text: None
    progress: Callable[[int, int], None] | None = None


def evaluate(subject: Subject, tasks: Sequence[Task], run: Run) -> ModelResults:
    """Measures a model; tasks that it does not take are left out, those that are there are not run again.

    Args:
        subject: The model.
        tasks: The tasks.
        run: How.

    Returns:
        All that is known of the model: what `run.out` held of the same weights, and what was measured.

    Raises:
        InputError: No task is one that it takes, the data are missing or others, or `run.out` is of another
            model, of another version or damaged.
    """
    mine = [task for task in tasks if subject.takes_task(task)]
    if not mine:
        raise InputError(
            f"{subject.name} takes none of these tasks", remedy="`biglog evaluate --list` says who takes what"
        )
    results, code = begun(subject, run.out), code_checksum()
    left = [task for task in mine if run.again or not _is_there(task, subject, run, results, code)]
    check_data(left, run.folder)
    for number, task in enumerate(mine, start=1):
        if task in left:
            row = measure(task, subject, run, code)
            others = [one for one in results.results if one.task != task.id]
            results = replace(results, results=tuple(sorted([*others, row], key=lambda one: one.task))).here()
            if run.out is not None:
                write_results(run.out, results)
            run.say(told(subject.name, row))
        else:
            run.say(f"{subject.name}, {task.id}: is there")
        if run.progress is not None:
            run.progress(number, len(mine))
    return results


def begun(subject: Subject, out: Path | None) -> ModelResults:
    """Returns what is known of a model: what a file holds, if it is of the same weights; else nothing.

    Args:
        subject: The model.
        out: The file; None, or one that is not there, holds nothing.

    Raises:
        InputError: The file is of another model, of another version, or damaged.
    """
    empty = ModelResults(
        subject.name,
        subject.kind,
        (),
        source=subject.source,
        revision=subject.revision,
        parameters=subject.parameters,
        url=subject.url,
    )
    if out is None or not out.is_file():
        return empty
    found = read_results(out)
    if found.name != subject.name:
        problem = f"name is {found.name!r}, and {subject.name!r} is measured"
        raise InputError(problem, where=out, remedy="Name another file to write")
    return replace(empty, results=found.results) if found.revision == subject.revision else empty


def measure(task: Task, subject: Subject, run: Run, code: str) -> TaskResult:
    """Measures a model on one task, from an empty cache.

    Args:
        task: The task.
        subject: The model.
        run: How.
        code: Checksum of the code, which is kept with the result.
    """
    seeds = subject.seeds_of(task, run.seeds or task.seeds)
    subject.forget()
    started = time.perf_counter()
    measured = MEASURES[task.measure](task, run.folder, subject, seeds)
    seconds = round(time.perf_counter() - started, 2) if subject.timed else 0.0
    return TaskResult(
        task=task.id,
        task_version=task.version,
        split=task.split,
        protocol=task.protocol,
        ground_truth_version=task.ground_truth_version,
        data=dict(task.files),
        metrics=measured.figures(task.metrics),
        main_metric=task.main_metric,
        seeds=seeds,
        exposure=subject.exposure(task),
        lines=measured.lines,
        wall_seconds=seconds,
        details=measured.details | {"code": code},
    )


def told(name: str, row: TaskResult) -> str:
    """Says in a line what a model did on a task."""
    main = row.metrics[row.main_metric]
    figure = f"{row.main_metric} {main.mean:.4f} (sd {main.sd:.4f} over {main.runs})"
    speed = row.lines_per_second
    timed = "" if speed is None else f", {row.wall_seconds:.1f} s, {speed:,.0f} lines/s"
    return f"{name}, {row.task}: {figure}{timed}"


def code_checksum() -> str:
    """Returns the checksum of the code that figures depend on."""
    package = Path(__file__).parents[1]
    paths = [path for folder in _CODE for path in sorted((package / folder).rglob("*.py"))]
    paths += [package / name for name in _FILES]
    paths += sorted(Path(modeling_biglog.__file__).parent.glob("*.py"))
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _is_there(task: Task, subject: Subject, run: Run, results: ModelResults, code: str) -> bool:
    seeds = subject.seeds_of(task, run.seeds or task.seeds)
    return any(
        (row.task, row.task_version, row.seeds, row.details.get("code"))
        == (task.id, task.version, seeds, code)
        for row in results.results
    )
