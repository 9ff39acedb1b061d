"""Figures on failure prediction, beside trivial rules and what a user would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, joined, table

OURS: Final = "BigLog"
_SIGN: Final = 0.005
"""A smaller difference is called none."""


def failure(result: Result) -> str:
    """Writes all tables that a result has, each with what it says of ours."""
    parts = [_told(result)]
    for name, write in {"HPC": _hpc, "BGL": _bgl, "Hadoop": _hadoop, "OpenStack": _openstack}.items():
        if name in result:
            parts += write(result[name])
    return "\n\n".join(parts)


def failure_in_short(result: Result) -> str:
    """Writes what ours gains over the best other system, part by part."""
    lines = [_told(result)]
    for horizon, told in result.get("HPC", {}).get("horizons", {}).items():
        where = f"HPC, {_horizon(horizon)}"
        lines.append(f"- {where}: {_gain(told['systems'], ('average_precision',), 'average precision')}")
    for share, systems in result.get("Hadoop", {}).get("prefixes", {}).items():
        where = f"Hadoop, first {float(share):.0%} of each log"
        lines.append(f"- {where}: {_gain(systems, ('containers', 'macro_f1'), 'macro-F1 of containers')}")
    for name, told in result.get("OpenStack", {}).items():
        lines.append(f"- OpenStack {name}: {_gain(told['systems'], ('macro_f1',), 'macro-F1')}")
    return "\n".join([lines[0], "", *lines[1:]])


def _told(result: Result) -> str:
    seeds = joined([str(seed) for seed in result["seeds"]])
    return (
        "**Failure prediction**, with encoders that left the domain out of their training, "
        f"seeds {seeds} (mean \u00b1 standard deviation where a seed matters; "
        "`python recipes/failures.py`)."
    )


def _hpc(told: Result) -> list[str]:
    bounds = told["protocol"]["bounds"]
    parts = [
        "HPC, a node becomes `unavailable` (lines of the 24 hours before; training to "
        f"{bounds[0][:10]}, validation to {bounds[1][:10]}, test after; setting and threshold chosen on "
        "validation data; maintenance left out). AP: average precision. Recall is of incidents, at the lead "
        "time of the column. Distinct: each pair of lines and label once."
    ]
    for horizon, found in told["horizons"].items():
        rows, systems = found["rows"], found["systems"]
        leads = list(next(iter(systems.values()))["means"]["incident_recall"])
        head = ["system", "MCC", "AP", "AUROC", "false alarms a day", *(f"recall {_lead(s)}" for s in leads)]
        cells = [
            [
                name,
                *(_cell(one["means"][metric]) for metric in ("mcc", "average_precision", "auroc")),
                _cell(one["means"]["false_alarms_per_day"], 2),
                *(_cell(one["means"]["incident_recall"][lead], 2) for lead in leads),
                _cell(one["means"]["distinct"]["mcc"]),
                _cell(one["means"]["distinct"]["average_precision"]),
                _cell(one["means"]["budgets"]["1"]["incident_recall"]["0"], 2),
            ]
            for name, one in systems.items()
        ]
        head += ["distinct MCC", "distinct AP", "recall at 1 false alarm a day"]
        counts = joined([f"{rows[s]['failures']} of {rows[s]['histories']:,} ({s})" for s in rows])
        parts += [
            f"Horizon {_horizon(horizon)}: {counts} histories precede a failure, "
            f"{rows['test']['incidents']} incidents in the test.",
            table(head, cells),
            _gain(systems, ("average_precision",), "average precision"),
        ]
    return parts


def _bgl(told: Result) -> list[str]:
    rows = told["rows"]
    text = (
        f"BGL, an alert within ten minutes of a window without one: {told['episodes_in_all']} episodes of "
        f"alerts in all; {rows['train']['failures']} histories of the training and "
        f"{rows['test']['failures']} of {rows['test']['histories']} of the test precede one, none of the "
        "validation. Too few to rank systems by; a threshold is just above all risks of the validation."
    )
    names = ("episodes_foretold", "episodes", "false_alarms", "average_precision", "auroc")
    cells = [[name, *(_cell(one["means"][n], 2) for n in names)] for name, one in told["systems"].items()]
    return [text, table(["system", "episodes foretold", "of", "false alarms", "AP", "AUROC"], cells)]


def _hadoop(told: Result) -> list[str]:
    faults = joined([f"{count} {name.lower()}" for name, count in told["rows"]["faults"].items()])
    shares = list(told["prefixes"])
    head = ["system"]
    for what in ("macro-F1", "binary F1", "macro-F1 of applications"):
        head += [f"{what}, {float(share):.0%}" for share in shares]
    paths = (("containers", "macro_f1"), ("containers", "binary_f1"), ("applications", "macro_f1"))
    cells = [
        [
            name,
            *(_cell(_at(told["prefixes"][share][name]["means"], path)) for path in paths for share in shares),
        ]
        for name in told["prefixes"][shares[0]]
    ]
    text = (
        f"Hadoop, the fault of an application from the first part of each container's log: "
        f"{told['rows']['containers']} containers of {told['rows']['applications']} applications ({faults}), "
        f"{told['folds']} folds of applications, none of which is split. An application has the class of "
        "the highest mean probability over its containers. Binary: any fault."
    )
    gains = [
        f"First {float(s):.0%}: {_gain(told['prefixes'][s], ('containers', 'macro_f1'), 'macro-F1')}"
        for s in shares
    ]
    return [text, table(head, cells), "\n".join(f"- {gain}" for gain in gains)]


def _openstack(told: Result) -> list[str]:
    parts = [
        "OpenStack, the kind of failure from counts of events (published fault injections, 5 stratified "
        "folds). Unseen: experiments whose counts no experiment of the training has."
    ]
    head, names = ["system"], list(told)
    for name in names:
        head += [f"{name} accuracy", f"{name} macro-F1", f"{name} macro-F1, unseen"]
    paths = (("accuracy",), ("macro_f1",), ("unseen", "macro_f1"))
    cells = [
        [
            system,
            *(_cell(_at(told[name]["systems"][system]["means"], path)) for name in names for path in paths),
        ]
        for system in told[names[0]]["systems"]
    ]
    gains = [f"- {name}: {_gain(told[name]['systems'], ('macro_f1',), 'macro-F1')}" for name in names]
    return [*parts, table(head, cells), "\n".join(gains)]


def _gain(systems: dict[str, Any], path: Sequence[str], metric: str) -> str:
    """Says what the best of ours has over the best of the others; a null gain is called one."""
    values = {name: _at(one["means"], path)["mean"] for name, one in systems.items()}
    ours = {name: value for name, value in values.items() if name.startswith(OURS)}
    others = {name: value for name, value in values.items() if name not in ours}
    best, other = max(ours, key=lambda name: ours[name]), max(others, key=lambda name: others[name])
    gain = ours[best] - others[other]
    verdict = "no gain" if gain <= _SIGN else f"a gain of {gain:.3f}"
    return f"{metric} {ours[best]:.3f} ({best}) beside {others[other]:.3f} ({other}): {verdict}."


def _at(means: dict[str, Any], path: Sequence[str]) -> dict[str, float]:
    for name in path:
        means = means[name]
    return means


def _cell(value: dict[str, float], digits: int = 3) -> str:
    spread = f" \u00b1 {value['sd']:.{digits}f}" if round(value["sd"], digits) else ""
    return f"{value['mean']:.{digits}f}{spread}"


def _horizon(seconds: str) -> str:
    return f"{float(seconds) / 3600:g} h"


def _lead(seconds: str) -> str:
    value = float(seconds)
    if value < 60:
        return "0"
    return f"{value / 3600:g} h" if value >= 3600 else f"{value / 60:g} min"
