"""Tasks as their files describe them: data with checksums, split, protocol, version of the truth, metrics."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from biglog.data.archives.catalog import domain
from biglog.errors import InputError
from biglog.evaluation.probes.labelled import checksum
from biglog.evaluation.results import METRICS

SCHEMA: Final = "biglog.task/1"
KINDS: Final = ("parsing", "anomaly", "failure", "probes")
"""What is asked for; each is a word of `biglog evaluate --tasks`."""

SCALES: Final = ("small", "large")
"""Whether `make reproduce` measures it anew: it does where a task takes minutes at most, `small`."""

_ID: Final = re.compile(rf"(?:{'|'.join(KINDS)})/[a-z0-9]+(?:-[a-z0-9]+)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        id: Its name, such as `anomaly/bgl-windows-20`; its file is called so, with a hyphen for the slash.
        version: Raised with each change that makes figures differ.
        title: In a few words.
        kind: One of `KINDS`.
        dataset: What the data are called.
        files: SHA-256 of each file that is read, by its path in the data folder.
        domains: Domains of the tested lines.
        split: Which part is tested.
        protocol: What is learnt from, and how.
        ground_truth_version: Of the labels.
        metrics: Names of `biglog.evaluation.results.METRICS`.
        main_metric: The one that ranks.
        baselines: Names of baselines that take part (`biglog.evaluation.baselines`).
        seeds: Seeds of a run that names none.
        measure: What measures it, a name of `biglog.evaluation.measuring.MEASURES`.
        options: What that needs to know.
        drawn: Whether the seed draws lines or folds, so that whatever is measured has one run a seed.
        scale: One of `SCALES`.
        tested: Raw logs whose lines are tested, `path`, `path#first-last` or a pattern, by which it is told
            whether a model has seen them.
    """

    id: str
    version: int
    title: str
    kind: str
    dataset: str
    files: dict[str, str]
    domains: tuple[str, ...]
    split: str
    protocol: str
    ground_truth_version: str
    metrics: tuple[str, ...]
    main_metric: str
    baselines: tuple[str, ...]
    measure: str
    options: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    drawn: bool = False
    scale: str = "small"
    tested: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return self.id.replace("/", "-") + ".yaml"


def read_task(path: Path) -> Task:
    """Reads the file of a task.

    Args:
        path: A YAML file, with `schema` and the fields of `Task`.

    Raises:
        InputError: It cannot be read, or a field is missing, unknown or wrong; the message names the field.
    """
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = f"this task cannot be read: {str(error).splitlines()[0]}"
        raise InputError(problem, where=path) from error
    if not isinstance(told, dict):
        raise InputError("this task is no mapping of fields", where=path)
    return parse_task(told, path)


def parse_task(told: Mapping[str, Any], where: Path) -> Task:
    """Checks what the file of a task says.

    Args:
        told: Its fields.
        where: Its path; the name says the task's id.

    Raises:
        InputError: As of `read_task`.
    """
    said = dict(told)
    if (schema := said.pop("schema", None)) != SCHEMA:
        raise _wrong(where, "schema", f"is {schema!r}, and this version reads {SCHEMA!r}")
    known = {one.name: one for one in fields(Task)}
    for name in said:
        if name not in known:
            raise _wrong(where, name, f"is no field; those are {', '.join(known)}")
    for name, one in known.items():
        if one.default is MISSING and one.default_factory is MISSING and name not in said:
            raise _wrong(where, name, "is missing")
    for name, value in said.items():
        kind, words = _KINDS_OF_FIELDS[str(known[name].type)]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(where, name, f"is {value!r}, and no {words}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
    task = Task(**values)
    _check_values(task, where)
    return task


_KINDS_OF_FIELDS: Final[Mapping[str, tuple[type, str]]] = {
    "str": (str, "text"),
    "int": (int, "integer"),
    "bool": (bool, "true or false"),
    "dict[str, str]": (dict, "mapping"),
    "dict[str, Any]": (dict, "mapping"),
    "tuple[str, ...]": (list, "list"),
    "tuple[int, ...]": (list, "list"),
}


def _check_values(task: Task, where: Path) -> None:
    checks: Sequence[tuple[str, bool, str]] = (
        ("id", bool(_ID.fullmatch(task.id)), "is not such as 'anomaly/bgl-windows-20'"),
        ("id", task.file_name == where.name, f"does not go with the file's name, {task.file_name}"),
        ("kind", task.id.startswith(task.kind + "/"), f"is {task.kind!r}, and not what its id begins with"),
        ("version", task.version >= 1, "is less than 1"),
        ("scale", task.scale in SCALES, f"is {task.scale!r}, and none of {', '.join(SCALES)}"),
        ("main_metric", task.main_metric in task.metrics, f"is {task.main_metric!r}, not one of metrics"),
        ("files", bool(task.files), "names none"),
        ("seeds", bool(task.seeds), "names none"),
        ("seeds", all(type(seed) is int for seed in task.seeds), "has what is no integer"),
    )
    for name, right, problem in checks:
        if not right:
            raise _wrong(where, name, problem)
    for metric in task.metrics:
        if metric not in METRICS:
            raise _wrong(where, "metrics", f"has {metric!r}, which is none of {', '.join(METRICS)}")
    for path, sha256 in task.files.items():
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise _wrong(where, f"files.{path}", f"is {sha256!r}, and no SHA-256")
    for name in task.domains:
        domain(name)


def _wrong(where: Path, name: str, problem: str) -> InputError:
    return InputError(f"{name} {problem}", where=where, remedy="Correct the field")


@cache
def all_tasks() -> dict[str, Task]:
    """Returns the tasks that come with the package, by id, in order."""
    folder = Path(str(files("biglog.evaluation.tasks")))
    found = [read_task(path) for path in sorted(folder.glob("*.yaml"))]
    return {task.id: task for task in found}


def select(names: Sequence[str], tasks: Mapping[str, Task] | None = None) -> list[Task]:
    """Finds tasks by what a user calls them.

    Args:
        names: Ids, kinds (`parsing`), or scales (`small`); none takes all.
        tasks: Of which; None takes those of the package.

    Returns:
        The tasks, each once, in the package's order.

    Raises:
        InputError: A name is none; the message has the nearest that is.
    """
    known = all_tasks() if tasks is None else tasks
    chosen: set[str] = set()
    for name in names:
        mine = {one.id for one in known.values() if name in (one.id, one.kind, one.scale)}
        if not mine:
            every = [*known, *KINDS, *SCALES]
            near = difflib.get_close_matches(name, every, 1, 0.4)
            remedy = f"Did you mean {near[0]}? " if near else ""
            raise InputError(f"there is no task {name!r}", remedy=f"{remedy}`biglog evaluate --list` has all")
        chosen |= mine
    return [task for task in known.values() if not names or task.id in chosen]


def check_data(
    tasks: Sequence[Task], folder: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Checks that the data of tasks are those that their files name.

    Args:
        tasks: The tasks.
        folder: The data.
        progress: Is told how many files of how many are checked.

    Raises:
        InputError: The folder or a file is missing, or a file is another one.
    """
    if not folder.is_dir():
        raise InputError("no such folder of data", where=folder, remedy="Name it: --data, or BIGLOG_DATA")
    wanted = {path: (sha256, task.id) for task in tasks for path, sha256 in task.files.items()}
    for number, (path, (sha256, name)) in enumerate(wanted.items(), start=1):
        if not (folder / path).is_file():
            raise InputError(f"this file of {name} is missing", where=folder / path, remedy="Fetch the data")
        found = checksum(folder / path)
        if found != sha256:
            raise InputError(
                f"its checksum is {found}, and {name} needs {sha256}",
                where=folder / path,
                remedy="Fetch the file again, or leave the task out",
            )
        if progress is not None:
            progress(number, len(wanted))
