"""The pictures of the studies, each from a result alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from biglog.evaluation.anomaly.systems import OURS
from biglog.evaluation.charts import Block, Column, Mark, Panel, Series, curves, heat, scores
from biglog.evaluation.studies.few_shot import ALL, ALONE, COUNTS, DRAWN, FIRST, METRICS, PROPOSED, WANTED
from biglog.evaluation.studies.transfer import METRIC, TRIVIAL
from biglog.evaluation.studies.zero_shot import ROWS

Result = Mapping[str, Any]

_MAJORITY: Final = "most frequent class"
_LEAST_PARSING: Final = 0.8
_NAMES: Final = {TRIVIAL: "first word, word count"}
_SHORT: Final = {PROPOSED: "proposed", ALONE: "these alone", DRAWN: "drawn", FIRST: "first lines"}
_PROBES: Final = {
    "1-shot novel keys": "Event of a new form\nshare right, 1 shot",
    "unseen alerts, AP": "Alerts of unseen wording\naverage precision",
    "severity, AUC": "Severity from statements\narea under the ROC curve",
}


def transfer(result: Result) -> str:
    """Draws ours as sources by targets, and the means of all systems by target."""
    targets = list(result["domains"])
    ours = result["systems"][OURS]["matrix"]
    matrix = {s: {t: row[t][METRIC] for t in targets if t in row} for s, row in ours.items()}
    means = {
        _NAMES.get(name, name): {target: row["by_target"][target][METRIC] for target in targets}
        for name, row in result["systems"].items()
    }
    bar, lost = result["bar"], len(targets) - len(result["wins"][METRIC][TRIVIAL])
    notes = (
        "Same event or not: learnt in one domain (rows), asked in another (columns). F1 of pairs.",
        f"{OURS} is above TF-IDF of words and MiniLM-L6 in {bar['found']} of {bar['of']} targets; "
        f"a rule that learns nothing (last row) is as good or better in {lost}.",
    )
    blocks = (Block(f"{OURS}, source", matrix), Block("mean over sources", means, mark_best=True, own=OURS))
    return heat(blocks, targets, title="Domain transfer", notes=notes)


def few_shot(result: Result) -> str:
    """Draws quality as share of that with all labels, against the number of labels."""
    panels = [
        _labels(f"Parsing, {metric}", [FIRST, PROPOSED], result["parsing"]["share"], metric)
        for metric in METRICS
    ]
    panels += [
        _labels(f"Detection, {case}", [PROPOSED, ALONE, DRAWN], told["share"])
        for case, told in result["detection"]["sets"].items()
    ]
    return curves(panels, title="Few labels: share of the quality with all of them", columns=2)


def _labels(title: str, ways: Sequence[str], shares: Result, metric: str | None = None) -> Panel:
    drawn = []
    for way in ways:
        row = shares[way]
        y = [float(row[str(n)] if metric is None else row[str(n)][metric]) for n in COUNTS]
        drawn.append(Series(_SHORT[way], [float(n) for n in COUNTS], y))
    return Panel(
        title,
        f"share of the quality with {ALL} labels; dashed: {WANTED:g}",
        tuple(drawn),
        x_unit="labels",
        x_labels={float(n): str(n) for n in COUNTS},
        x_log=True,
        dots=True,
        goal=WANTED,
        y_low=0.0 if metric is None else _LEAST_PARSING,
    )


def online(result: Result) -> str:
    """Draws F1 against the share of the log that the detector was fitted on."""
    panels = []
    for case, told in result["online"]["cases"].items():
        shares = sorted(told["shares"], key=float)
        x = [float(share) for share in shares]
        series = tuple(
            Series(name, x, [told["shares"][share][name]["f1"]["mean"] for share in shares])
            for name in told["shares"][shares[0]]
        )
        labels = {place: f"{100 * place:g}" for place in x if place not in (0.05, 0.5)}
        unit = "F1 on the last 20 %"
        panels.append(Panel(case, unit, series, "fitted on, % of the log", labels, x_log=True, dots=True))
    return curves(panels, title="Online learning: how little of the past is enough", columns=3)


def data_size(result: Result) -> str:
    """Draws probes against the distinct normal forms that were trained on."""
    return _sized(result, "training_forms", "distinct training lines, thousands", "Training data", 1e3)


def model_size(result: Result) -> str:
    """Draws probes, and speed on lines never seen before, against the parameters."""
    return _sized(result, "parameters", "parameters, millions", "Size of the encoder", 1e6, speed=True)


def _sized(result: Result, fact: str, unit: str, title: str, scale: float, *, speed: bool = False) -> str:
    rows = sorted(result["variants"].values(), key=lambda row: float(row["facts"][fact]))
    x = [row["facts"][fact] / scale for row in rows]
    labels = {place: f"{place:.2g}" if place < 10 else f"{place:.0f}" for place in x}
    panels = []
    for name, words in _PROBES.items():
        head, _, measured = words.partition("\n")
        y = [row["probes"][name]["mean"] for row in rows if name in row["probes"]]
        if len(y) == len(x):
            low = min(0.95, *y) - 0.05
            panels.append(
                Panel(head, measured, (Series(name, x, y),), unit, labels, x_log=True, dots=True, y_low=low)
            )
    if speed:
        y = [row["facts"]["cold_lines_per_cpu_second"] for row in rows]
        told = "lines a CPU second, none known"
        panels.append(Panel("Speed", told, (Series("speed", x, y),), unit, labels, x_log=True, dots=True))
    return curves(panels, title=title, columns=2 if speed else 3)


def tokenizer(result: Result) -> str:
    """Draws bytes a token of contents by domain, ours with the domain left out, beside the authors' words."""
    systems = {
        "BigLog": result["samples"]["BigLog"]["content"]["domains"],
        "BigLog, domain left out": result["left_out"]["content"]["domains"],
        "authors' vocabulary": result["samples"]["authors"]["content"]["domains"],
    }
    domains = sorted(systems["BigLog"])
    rows = {
        name: {domain: row[domain]["bytes_per_token"] for domain in domains} for name, row in systems.items()
    }
    most = max(value for row in rows.values() for value in row.values())
    notes = (
        "Bytes a token of message contents: more is shorter.",
        f"Words of the vocabularies: {_sizes(result['vocabulary'])}.",
    )
    blocks = (Block("vocabulary", rows, mark_best=True, own="BigLog"),)
    return heat(blocks, domains, title="Tokenizers", notes=notes, most=most)


def _sizes(vocabulary: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in vocabulary.items())


def adaptation(result: Result) -> str:
    """Draws ways to adapt, a column a task, beside the most frequent class."""
    metric, columns = result["main_metric"], []
    for name, task in result["tasks"].items():
        marks = {}
        for mode, row in task["modes"].items():
            mean, sd = row["metrics"][metric]["mean"], row["metrics"][metric]["sd"]
            marks[mode] = Mark(mean, mean - sd, mean + sd) if sd else Mark(mean)
        marks[_MAJORITY] = Mark(task["majority"][metric])
        what, told = name.partition(" of ")[0], metric.replace("_", " ")
        columns.append(Column(f"{task['head']}, {told}\n{what}", marks))
    modes = dict.fromkeys(mode for task in result["tasks"].values() for mode in task["modes"])
    return scores(columns, [*modes, _MAJORITY], own="frozen", title="Ways to adapt an encoder")


def zero_shot(result: Result) -> str:
    """Draws all tasks side by side."""
    columns = [
        Column(one["title"], {name: Mark(value) for name, value in one["scores"].items()})
        for one in result["measures"]
    ]
    return scores(columns, list(ROWS), own=OURS, title="Tasks in systems of which no label was seen")
