"""Results as entries of `.eval_results/*.yaml`, which a Hub shows on a model's page, and back.

An entry has one value, the metric that ranks, and notes. The notes hold what makes rows comparable and the
other figures, as `name=value` parted by semicolons, percent-encoded where a value has one of these signs, so
that entries come back exactly. Checksums of the data are not among them: they stay in the JSON that an entry
links to. Source of the format: https://github.com/huggingface/hub-docs/blob/main/eval_results.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from biglog.errors import InputError
from biglog.evaluation.leaderboard.checks import check_shown
from biglog.evaluation.results import SCHEMA, Figure, ModelResults, TaskResult, parse_results

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

FOLDER: Final = ".eval_results"
FILE: Final = f"{FOLDER}/biglog.yaml"

_SAFE: Final = " /.,:+-_<>()[]'\"!?*&@#|$^~"
_NEEDED: Final = ("schema", "metric", "task_version", "split", "protocol", "ground_truth", "figures")


def to_entries(results: ModelResults, dataset_id: str, url: str) -> list[EvalResultEntry]:
    """Returns an entry for each result.

    Args:
        results: Of a model.
        dataset_id: Repository on the Hub that holds the data, `<owner>/<name>`.
        url: Where the result file lies.
    """
    from huggingface_hub import EvalResultEntry

    return [
        EvalResultEntry(
            dataset_id=dataset_id,
            task_id=row.task,
            value=row.metrics[row.main_metric].mean,
            date=results.date or None,
            source_url=url,
            source_name="BigLog",
            notes=_notes(results, row),
        )
        for row in results.results
    ]


def from_entries(entries: Sequence[EvalResultEntry], name: str, where: str) -> ModelResults:
    """Returns the results that entries of ours hold; those of other makers are passed over.

    Args:
        entries: As `huggingface_hub.parse_eval_result_entries` returns them.
        name: What the model is called.
        where: Where they are from, for messages.

    Raises:
        InputError: Notes say something that no result may; the message names the field.
    """
    told = [(entry, _said(entry.notes or "")) for entry in entries]
    ours = [(entry, said) for entry, said in told if "schema" in said]
    about = ours[0][1] if ours else {}
    read = {
        "schema": about.get("schema", SCHEMA),
        "name": name,
        "kind": about.get("kind", "encoder"),
        "parameters": _number(about["parameters"], where) if about.get("parameters") else None,
        "source": name,
        "date": str(ours[0][0].date or "") if ours else "",
        "results": [_row(entry, said, where) for entry, said in ours],
    }
    return check_shown(parse_results(read, where), where)


def _notes(results: ModelResults, row: TaskResult) -> str:
    figures = ",".join(f"{name}:{one.mean!r}:{one.sd!r}:{one.runs}" for name, one in row.metrics.items())
    told = {
        "schema": SCHEMA,
        "metric": row.main_metric,
        "task_version": row.task_version,
        "split": row.split,
        "protocol": row.protocol,
        "ground_truth": row.ground_truth_version,
        "exposure": row.exposure,
        "seeds": ",".join(map(str, row.seeds)),
        "lines": row.lines,
        "wall_seconds": row.wall_seconds,
        "kind": results.kind,
        "parameters": "" if results.parameters is None else results.parameters,
        "figures": figures,
    }
    return "; ".join(f"{name}={quote(str(value), safe=_SAFE)}" for name, value in told.items())


def _said(notes: str) -> dict[str, str]:
    """What notes say, by name; of notes in another notation nothing that has a schema."""
    pairs = (part.partition("=") for part in notes.split(";"))
    return {name.strip(): unquote(value) for name, equals, value in pairs if equals}


def _row(entry: EvalResultEntry, said: Mapping[str, str], where: str) -> dict[str, Any]:
    lacking = [name for name in _NEEDED if name not in said]
    if lacking:
        raise InputError(f"the notes of {entry.task_id} lack {lacking[0]!r}", where=where, remedy=_REMEDY)
    figures = dict(_figure(one, where) for one in said["figures"].split(","))
    told = figures.get(said["metric"], {}).get("mean")
    if told != entry.value:
        problem = f"the value of {entry.task_id} is {entry.value!r}, and its notes say {told!r}"
        raise InputError(problem, where=where, remedy=_REMEDY)
    seeds = [one for one in said.get("seeds", "0").split(",") if one]
    return {
        "task": entry.task_id,
        "task_version": _number(said["task_version"], where),
        "split": said["split"],
        "protocol": said["protocol"],
        "ground_truth_version": said["ground_truth"],
        "data": {},
        "metrics": figures,
        "main_metric": said["metric"],
        "seeds": [_number(one, where) for one in seeds],
        "exposure": said.get("exposure", "none"),
        "lines": _number(said.get("lines", "0"), where),
        "wall_seconds": _number(said.get("wall_seconds", "0"), where),
    }


def _figure(told: str, where: str) -> tuple[str, dict[str, float]]:
    name, _, rest = told.partition(":")
    parts = rest.split(":")
    if len(parts) != len(Figure.__dataclass_fields__):
        problem = f"figures has {told!r}, and not such as 'f1:0.9:0.01:3'"
        raise InputError(problem, where=where, remedy=_REMEDY)
    return name, dict(zip(Figure.__dataclass_fields__, (_number(one, where) for one in parts), strict=True))


def _number(text: str, where: str) -> float | int:
    try:
        return int(text) if text.strip().lstrip("+-").isdigit() else float(text)
    except ValueError as error:
        raise InputError(f"{text!r} in the notes is no number", where=where, remedy=_REMEDY) from error


_REMEDY: Final = "Publish the results again by `biglog publish`"
