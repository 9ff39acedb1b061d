"""Results of models on tasks: one JSON a model, which is all that a leaderboard, a card or a plot reads.

A result says what it was measured on and how: task with version, split, protocol, version of the truth,
checksums of the data, seeds, hardware, versions. Rows that differ in one of the first five are not compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from biglog.data.run_facts import git_state, hardware, read_json, versions, write_json
from biglog.errors import InputError

SCHEMA: Final = "biglog.result/1"

KINDS: Final = ("encoder", "baseline", "system")
"""What a model is: a pretrained encoder, a rule or classical method, or a whole system (a parser, say)."""

EXPOSURES: Final = ("none", "left_out", "seen", "test")
"""What a model's pretraining saw of the task's domains: it has seen no logs, they were left out, it saw other
lines of theirs, or lines of the test itself (`test`: no figure to compare with others)."""


class Metric(NamedTuple):
    """What a figure may be.

    Attributes:
        low: Least value.
        high: Greatest value.
        higher_is_better: Whether the greatest is the best.
        words: What it is, in words.
    """

    low: float
    high: float
    higher_is_better: bool
    words: str


def _share(words: str) -> Metric:
    return Metric(0.0, 1.0, True, words)


METRICS: Final[Mapping[str, Metric]] = {
    "accuracy": _share("share of right answers"),
    "balanced_accuracy": _share("mean recall of the classes"),
    "macro_f1": _share("mean F1 of the classes"),
    "f1": _share("F1"),
    "f1_distinct": _share("F1, each pair of sequence and label once"),
    "precision": _share("precision"),
    "recall": _share("recall"),
    "average_precision": _share("area under the precision-recall curve"),
    "auroc": _share("area under the ROC curve"),
    "mcc": Metric(-1.0, 1.0, True, "Matthews correlation coefficient"),
    "recall_at_lead_time": _share("failures alerted at least the stated time before"),
    "false_alarms_per_day": Metric(0.0, math.inf, False, "false alarms a day"),
    "GA": _share("grouping accuracy"),
    "PA": _share("parsing accuracy"),
    "FGA": _share("F1 of grouping"),
    "FTA": _share("F1 of templates"),
    "bits_per_byte": Metric(0.0, 64.0, False, "bits a byte of masked text"),
}
"""Names that a result may use."""


@dataclass(frozen=True)
class Figure:
    """A metric over runs.

    Attributes:
        mean: Over runs.
        sd: Standard deviation over runs, 0 for one.
        runs: How many.
    """

    mean: float
    sd: float = 0.0
    runs: int = 1


@dataclass(frozen=True)
class TaskResult:
    """What a model does on one task.

    Attributes:
        task: Identifier of the task, such as `anomaly/bgl-windows-20`.
        task_version: Of its file of metadata.
        split: Which part is tested.
        protocol: What is learnt from, and how.
        ground_truth_version: Of the labels.
        data: SHA-256 of each file, by its path in the data folder.
        metrics: Figures by name, of `METRICS`.
        main_metric: The one that ranks.
        seeds: Of the runs.
        exposure: One of `EXPOSURES`.
        lines: Lines that were tested.
        wall_seconds: Time that the runs took, in seconds.
        details: More figures, by any names (a domain's, say); not ranked.
    """

    task: str
    task_version: int
    split: str
    protocol: str
    ground_truth_version: str
    data: dict[str, str]
    metrics: dict[str, Figure]
    main_metric: str
    seeds: list[int] = field(default_factory=lambda: [0])
    exposure: str = "none"
    lines: int = 0
    wall_seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def comparable(self) -> tuple[str, int, str, str, str]:
        """What rows must have in common to be ranked together."""
        return (self.task, self.task_version, self.split, self.protocol, self.ground_truth_version)

    @property
    def lines_per_second(self) -> float | None:
        """Lines tested a second of wall time, over all runs; None where it was not timed."""
        timed = self.lines > 0 and self.wall_seconds > 0
        return self.lines * len(self.seeds) / self.wall_seconds if timed else None


@dataclass(frozen=True)
class ModelResults:
    """All that is known of one model.

    Attributes:
        name: What the leaderboard calls it.
        kind: One of `KINDS`.
        results: A row a task.
        source: Hub id, folder or package that it is loaded from.
        revision: Commit or checksum of the weights.
        parameters: How many; None where it has none to count.
        url: Where to read more.
        date: Day of the run, ISO 8601.
        hardware: What it ran on.
        versions: Of the packages that computed it.
        git: State of the checkout.
    """

    name: str
    kind: str
    results: tuple[TaskResult, ...]
    source: str = ""
    revision: str = ""
    parameters: int | None = None
    url: str = ""
    date: str = ""
    hardware: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] | None = None

    def here(self) -> Self:
        """Returns it as computed here and today: with hardware, versions and state of the checkout."""
        told = {"date": date.today().isoformat(), "hardware": hardware(), "versions": versions()}
        return type(self)(**(vars(self) | told | {"git": git_state()}))

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {"schema": SCHEMA} | asdict(self) | {"results": [asdict(row) for row in self.results]}


def write_results(path: Path, results: ModelResults) -> None:
    """Writes a model's results, under another name first.

    Args:
        path: The JSON file.
        results: What is written; checked as it is when it is read.

    Raises:
        InputError: A field is wrong.
        OutputError: It cannot be written.
    """
    told = results.to_dict()
    parse_results(told, path)
    write_json(path, told)


def read_results(path: Path) -> ModelResults:
    """Reads a model's results.

    Args:
        path: The JSON file.

    Raises:
        InputError: It cannot be read, is of another version, or a field is missing, unknown or out of range;
            the message names the field.
    """
    return parse_results(read_json(path), path)


def read_all(folder: Path) -> list[ModelResults]:
    """Reads all models' results of a folder, in order of the files' names; other JSON is left out.

    Args:
        folder: Has one `.json` a model; one that is not there has none.

    Raises:
        InputError: As of `read_results`.
    """
    found = [(path, read_json(path)) for path in sorted(folder.glob("*.json"))]
    return [
        parse_results(told, path)
        for path, told in found
        if str(told.get("schema")).startswith(SCHEMA.partition("/")[0])
    ]


def parse_results(told: Mapping[str, Any], where: Path | str | None = None) -> ModelResults:
    """Checks what a JSON file of results says.

    Args:
        told: The JSON object.
        where: Where it is from, for messages.

    Raises:
        InputError: As of `read_results`.
    """
    said = dict(told)
    schema = said.pop("schema", None)
    if schema != SCHEMA:
        raise InputError(
            f"schema is {schema!r}, and this version reads {SCHEMA!r}",
            where=where,
            remedy="Evaluate the model again by `biglog evaluate`",
        )
    check = _Check(where)
    check.known(said, ModelResults, "")
    check.one_of(said.get("kind"), KINDS, "kind")
    check.text(said.get("name"), "name")
    rows = said.get("results")
    if not isinstance(rows, list):
        raise check.wrong("results", "is no list")
    said["results"] = tuple(_row(row, f"results[{at}]", check) for at, row in enumerate(rows))
    keys = [row.comparable for row in said["results"]]
    for at, key in enumerate(keys):
        if key in keys[:at]:
            raise check.wrong(f"results[{at}]", f"repeats the task {key[0]!r}")
    if said.get("parameters") is not None:
        check.count(said["parameters"], "parameters")
    for name in ("source", "revision", "url", "date"):
        check.kind_of(said.get(name, ""), str, "text", name)
    for name in ("hardware", "versions"):
        check.kind_of(said.get(name, {}), dict, "object", name)
    return ModelResults(**said)


_TASK: Final = re.compile(r"[a-z]+/[a-z0-9]+(?:-[a-z0-9]+)*")


def _row(told: Any, field_name: str, check: _Check) -> TaskResult:
    if not isinstance(told, dict):
        raise check.wrong(field_name, "is no object")
    check.known(told, TaskResult, field_name + ".")
    for name in ("task", "split", "protocol", "ground_truth_version"):
        check.text(told[name], f"{field_name}.{name}")
    if not _TASK.fullmatch(told["task"]):
        raise check.wrong(
            f"{field_name}.task", f"is {told['task']!r}, and not such as 'anomaly/bgl-windows-20'"
        )
    check.count(told["task_version"], f"{field_name}.task_version")
    check.count(told.get("lines", 0), f"{field_name}.lines")
    check.number(told.get("wall_seconds", 0.0), f"{field_name}.wall_seconds")
    check.kind_of(told["data"], dict, "object of checksums", f"{field_name}.data")
    check.kind_of(told.get("details", {}), dict, "object", f"{field_name}.details")
    seeds = check.kind_of(told.get("seeds", [0]), list, "list of integers", f"{field_name}.seeds")
    for at, seed in enumerate(seeds):
        check.count(seed, f"{field_name}.seeds[{at}]")
    check.one_of(told.get("exposure", "none"), EXPOSURES, f"{field_name}.exposure")
    metrics = told["metrics"]
    if not isinstance(metrics, dict) or not metrics:
        raise check.wrong(f"{field_name}.metrics", "has no metric")
    if told["main_metric"] not in metrics:
        raise check.wrong(f"{field_name}.main_metric", f"is {told['main_metric']!r}, which is not in metrics")
    figures = {
        name: _figure(name, one, f"{field_name}.metrics.{name}", check) for name, one in metrics.items()
    }
    return TaskResult(**(told | {"metrics": figures}))


def _figure(name: str, told: Any, field_name: str, check: _Check) -> Figure:
    check.one_of(name, tuple(METRICS), field_name)
    if not isinstance(told, dict):
        raise check.wrong(field_name, "is no object with mean, sd and runs")
    check.known(told, Figure, field_name + ".")
    for part, value in told.items():
        check.number(value, f"{field_name}.{part}")
    low, high, _, _ = METRICS[name]
    if not low <= told["mean"] <= high:
        raise check.wrong(f"{field_name}.mean", f"is {told['mean']:g}, out of {low:g} to {high:g}")
    if told.get("sd", 0.0) < 0 or told.get("runs", 1) < 1:
        raise check.wrong(field_name, "has a negative deviation, or no run")
    return Figure(**told)


@dataclass(frozen=True)
class _Check:
    """Says which field is wrong."""

    where: Path | str | None

    def wrong(self, field_name: str, problem: str) -> InputError:
        return InputError(f"{field_name} {problem}", where=self.where, remedy="Correct the field")

    def known(self, told: Mapping[str, Any], kind: Any, prefix: str) -> None:
        fields = kind.__dataclass_fields__
        for name in told:
            if name not in fields:
                raise self.wrong(prefix + name, f"is no field; those are {', '.join(fields)}")
        for name, one in fields.items():
            if one.default is _MISSING and one.default_factory is _MISSING and name not in told:
                raise self.wrong(prefix + name, "is missing")

    def one_of(self, value: Any, allowed: tuple[str, ...], field_name: str) -> None:
        if value not in allowed:
            raise self.wrong(field_name, f"is {value!r}, and none of {', '.join(allowed)}")

    def count(self, value: Any, field_name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(field_name, f"is {value!r}, and no count")

    def number(self, value: Any, field_name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.wrong(field_name, f"is {value!r}, and no number")

    def kind_of(self, value: Any, kind: type, words: str, field_name: str) -> Any:
        if not isinstance(value, kind):
            raise self.wrong(field_name, f"is {value!r}, and no {words}")
        return value

    def text(self, value: Any, field_name: str) -> None:
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(field_name, f"is {value!r}, and no text")


_MISSING: Final = Figure.__dataclass_fields__["mean"].default
