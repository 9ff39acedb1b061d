"""The tables of the probes cell by cell, so that drawing, summing up and admitting share one reading."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

PROTOCOLS: Final = {"raw": "contents", "centred": "normal forms, centred"}
COLUMNS: Final = {"content": "contents", "normal_form": "normal forms"}
TAUGHT: Final = {
    "domains": "from other domains' levels",
    "statements": "from log statements",
    "projects": "from log statements, on those of other projects",
}

_EVENTS: Final = {
    "per_domain_accuracy": "per domain",
    "per_domain_novel": "novel keys",
    "pooled_accuracy": "pooled",
    "pooled_novel": "novel keys, pooled",
}
_OF_DOMAIN: Final = {"accuracy": "", "novel": ", novel keys"}
_OVER_DOMAINS: Final = "per_domain_"
_ALERT_LINES: Final = " alert lines"
_ALERTS: Final = {
    ("unseen", "f1"): "unseen templates, F1",
    ("unseen", "average_precision"): "unseen templates, AP",
    ("few-shot", "balanced_f1"): "few-shot, balanced F1",
    ("few-shot", "average_precision"): "few-shot, AP",
    ("few-shot, unseen", "average_precision"): "few-shot, unseen templates, AP",
}


@dataclass(frozen=True)
class Score:
    """A mean, and the ends of its spread: one standard deviation, or a bootstrap interval of 95 %."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Cell:
    """One measure of one probe, for all systems that have it.

    Attributes:
        probe: `events`, `alerts` or `severity`.
        table: What was read, or learnt from.
        measure: What was measured.
        scores: By system, those of ours first.
        is_summary: Whether it is a figure over domains, not of one.
    """

    probe: str
    table: str
    measure: str
    scores: dict[str, Score]
    is_summary: bool = True


@dataclass(frozen=True)
class Beaten:
    """A cell in which a baseline is above ours.

    Attributes:
        cell: The cell.
        ours: Our score.
        above: The baselines above it, best first.
    """

    cell: Cell
    ours: float
    above: dict[str, float]


def cells(result: dict[str, Any]) -> list[Cell]:
    """Returns every figure of a result in which at least one system has a score.

    Means over domains are over the domains that all systems have.

    Args:
        result: As `biglog.evaluation.probes.running.run_probes` returns it.
    """
    readers = {"events": _events, "alerts": _alerts, "severity": _severity}
    found = [cell for probe, read in readers.items() if probe in result for cell in read(result[probe])]
    return [cell for cell in found if cell.scores]


def ours_of(result: dict[str, Any]) -> list[str]:
    """Returns the names of the systems that are no baselines."""
    return [name for name, about in result["systems"].items() if not about["is_baseline"]]


def beaten(result: dict[str, Any], name: str) -> list[Beaten]:
    """Returns every cell in which a baseline is above a system of ours, exactly, whatever rounding shows.

    Args:
        result: As for :func:`cells`.
        name: The system.
    """
    baselines = {other for other, about in result["systems"].items() if about["is_baseline"]}
    found = []
    for cell in cells(result):
        if name not in cell.scores:
            continue
        ours = cell.scores[name].value
        rivals = {other: score.value for other, score in cell.scores.items() if other in baselines}
        above = {other: value for other, value in rivals.items() if value > ours}
        if above:
            ordered = dict(sorted(above.items(), key=lambda row: (-row[1], row[0])))
            found.append(Beaten(cell, ours, ordered))
    return found


def _events(events: dict[str, Any]) -> Iterator[Cell]:
    for protocol, systems in events["scores"].items():
        table = PROTOCOLS[protocol]
        for shot in _shots(systems):
            for key, title in _EVENTS.items():
                given = {name: _deviating(row[shot].get(key), "seed_sd") for name, row in systems.items()}
                if key.startswith(_OVER_DOMAINS):
                    kind = key.removeprefix(_OVER_DOMAINS)
                    parts = {name: _values(row[shot]["domains"], kind) for name, row in systems.items()}
                    given = _comparable(given, parts)
                yield Cell("events", table, f"{shot}-shot {title}", _known(given))
            for key, title in _OF_DOMAIN.items():
                for domain in events["templates"]:
                    rows = {name: row[shot]["domains"].get(domain) or {} for name, row in systems.items()}
                    given = {name: _single(row.get(key)) for name, row in rows.items()}
                    yield Cell("events", table, f"{shot}-shot {domain}{title}", _known(given), False)


def _alerts(alerts: dict[str, Any]) -> Iterator[Cell]:
    for column, systems in alerts["scores"].items():
        for (way, metric), title in _ALERTS.items():
            given = {name: _deviating(row[way].get(metric), "sd") for name, row in systems.items()}
            yield Cell("alerts", COLUMNS[column], title, _known(given))


def _severity(severity: dict[str, Any]) -> Iterator[Cell]:
    for mode, found in severity["modes"].items():
        means = {name: _between(row["mean"]) for name, row in found["scores"].items()}
        parts = {name: _values(row["sets"], "value") for name, row in found["scores"].items()}
        levels = {name: _levels(row) for name, row in parts.items()}
        means = _comparable(means, levels)
        if mode == "projects":
            yield Cell("severity", TAUGHT[mode], "AUC", _known(means))
            continue
        yield Cell("severity", TAUGHT[mode], "mean AUC over domains", _known(means))
        for one in severity["sets"]:
            given = {name: _between(row["sets"].get(one)) for name, row in found["scores"].items()}
            yield Cell("severity", TAUGHT[mode], f"AUC on {one}", _known(given), False)


def _comparable(
    means: dict[str, Score | None], parts: dict[str, dict[str, float]]
) -> dict[str, Score | None]:
    """Means over domains, taken anew over those that all systems have where not all have the same.

    A checkpoint is asked only for the domains that were left out of its training. Where these are not all, a
    mean over fewer domains would stand beside means over more.
    """
    some = [set(row) for row in parts.values() if row]
    shared = set.intersection(*some) if some else set()
    if not shared or all(row == shared for row in some):
        return means
    taken = {name: [row[one] for one in sorted(shared)] for name, row in parts.items() if row}
    return {name: Score(math.fsum(row) / len(row)) for name, row in taken.items()}


def _values(rows: dict[str, Any], key: str) -> dict[str, float]:
    return {name: row[key] for name, row in rows.items() if row.get(key) is not None}


def _levels(values: dict[str, float]) -> dict[str, float]:
    """Without the sets of alert lines, which are of a domain again."""
    return {name: value for name, value in values.items() if not name.endswith(_ALERT_LINES)}


def _shots(systems: dict[str, Any]) -> list[str]:
    return list(next(iter(systems.values()))) if systems else []


def _known(scores: dict[str, Score | None]) -> dict[str, Score]:
    return {name: score for name, score in scores.items() if score is not None}


def _deviating(score: dict[str, Any] | None, spread: str) -> Score | None:
    if score is None or score["mean"] is None:
        return None
    value, width = score["mean"], score.get(spread)
    return Score(value) if width is None else Score(value, value - width, value + width)


def _single(value: float | None) -> Score | None:
    return None if value is None else Score(value)


def _between(score: dict[str, float] | None) -> Score | None:
    return None if score is None else Score(score["value"], score["low"], score["high"])
