"""What speaks for an event being odd, as numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.inference.encoder import LogEncoder
from biglog.inference.events import Counts, Events
from biglog.tasks.anomaly import evidence as anomaly

MAX_ENCODED = 4_000
"""Events compared by their embeddings; in a log with more, the most common and the most suspicious."""

# From here on a piece of evidence is worth a word.
_TELLING = {"new": 0.5, "severity": 0.3, "rarity": 0.3, "isolation": 0.6, "burst": 0.2}


@dataclass(frozen=True)
class Evidence:
    """Evidence for every event, shape (n_events,).

    Attributes:
        pieces: Each piece by its name, 0 to 1.
        scores: The anomaly score they add up to.
        distance: Cosine distance to the nearest common event, NaN where it was not compared.
        neighbour: Index of that event, -1 where there is none.
        encoded: How many events were compared by their embeddings.
    """

    pieces: dict[str, anomaly.Floats]
    scores: anomaly.Floats
    distance: anomaly.Floats
    neighbour: NDArray[np.intp]
    encoded: int


def weigh(events: Events, encoder: LogEncoder) -> Evidence:
    """Collects and adds up the evidence for each event.

    Args:
        events: The events of a log.
        encoder: What embeds one normal form of each.
    """
    present = events.counts > 0
    rare = np.where(present, anomaly.rarity(events.counts), 0.0)
    pieces = {"severity": events.severities, "rarity": rare, "burst": _bursts(events)}
    if events.has_baseline:
        pieces["new"] = (present & (events.known == 0)).astype(float)
    reference = events.known if events.has_baseline else events.counts
    common = anomaly.is_common(reference, events.severities) & (reference > 0)
    chosen = _chosen(common, reference, anomaly.combine(pieces))
    vectors = encoder.encode_normal_forms(pl.Series([events.forms[i] for i in chosen], dtype=pl.String))
    # "." tells nobody what an event is unlike to, unless there is nothing else.
    candidates = (common & events.worded)[chosen]
    near, index = anomaly.nearest(vectors, np.flatnonzero(candidates if candidates.any() else common[chosen]))
    distance, neighbour = np.full(len(events), np.nan), np.full(len(events), -1, dtype=np.intp)
    distance[chosen] = near
    neighbour[chosen[index >= 0]] = chosen[index[index >= 0]]
    pieces["isolation"] = anomaly.isolation(np.where(present, distance, np.nan))
    return Evidence(pieces, anomaly.combine(pieces), distance, neighbour, len(chosen))


def reasons(events: Events, evidence: Evidence, index: int) -> tuple[str, ...]:
    """Says in words why an event is odd, the weightiest reason first."""
    weights = {name: anomaly.WEIGHTS[name] * values[index] for name, values in evidence.pieces.items()}
    told = sorted(weights, key=lambda name: -weights[name])
    telling = [name for name in told if evidence.pieces[name][index] >= _TELLING[name]] or told[:1]
    return tuple(_in_words(name, events, evidence, index) for name in telling)


def _chosen(common: NDArray[np.bool_], reference: Counts, suspicion: anomaly.Floats) -> NDArray[np.intp]:
    """The events to embed: all, or the most common half and the most suspicious half of what time allows."""
    if len(common) <= MAX_ENCODED:
        return np.arange(len(common))
    by_count = np.argsort(np.where(common, -reference, 1), kind="stable")[: MAX_ENCODED // 2]
    by_suspicion = np.argsort(-suspicion, kind="stable")[: MAX_ENCODED // 2]
    return np.union1d(by_count, by_suspicion)


def _bursts(events: Events) -> anomaly.Floats:
    """How far an event's strongest burst is above the pace of the log: 10 times gives 0.5, 100 times 1."""
    strength = np.zeros(len(events))
    for index in range(len(events)):
        burst = events.burst(index) if events.counts[index] else None
        if burst is not None:
            strength[index] = min(1.0, np.log10(burst.count / burst.expected) / 2)
    return strength


def _in_words(name: str, events: Events, evidence: Evidence, index: int) -> str:
    count, total = int(events.counts[index]), int(events.counts.sum())
    if name == "new":
        return "not in the baseline"
    if name == "severity":
        level, word = events.levels[index], events.words[index]
        graded = level is not None and anomaly.LEVEL_SEVERITY.get(level, 0.0) >= _TELLING["severity"]
        said = f"says \u201c{word}\u201d" if word else ""
        return ", ".join(part for part in (f"level {level}" if graded else "", said) if part) or "severe"
    if name == "rarity":
        return f"seen once in {total:,} lines" if count == 1 else f"seen {count:,} times in {total:,} lines"
    if name == "isolation":
        other = int(evidence.neighbour[index])
        template = events.templates[other]
        shown = template if len(template) <= 70 else template[:69] + "\u2026"
        distance = f"cosine distance {evidence.distance[index]:.2f}"
        return f"unlike the common events; the nearest is \u201c{shown}\u201d ({distance})"
    burst = events.burst(index)
    if burst is None:
        return "comes at an uneven rate"
    span = _duration((burst.end - burst.start).total_seconds())
    return f"{burst.count:,} of its {count:,} lines within {span} from {burst.start:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
