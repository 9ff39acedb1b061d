"""Why a method calls a group odd, in short sentences with numbers: what it compared, and where it crossed.

One function a kind of method; each reads what the method itself would save (`Method.state`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from biglog.tasks.anomaly.detector import Detector
from biglog.tasks.anomaly.examples import NormalExample, NormalGroups
from biglog.tasks.anomaly.features import Column, Features, Matrix
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.anomaly.leave_out import RankedLines
from biglog.tasks.anomaly.view import State, View

MOST_REASONS: Final = 5
"""Reasons that are told of a group."""

MOST_BACKGROUND: Final = 20_000
"""Normal groups that a group's features are compared with, the latest ones."""

_SHOWN: Final = 100


@dataclass(frozen=True)
class Reason:
    """One step on the way to a score.

    Attributes:
        text: It in words.
        name: What was looked at: a normal form, a pair of them, or a column of features.
        value: What the group has.
        limit: What it was compared with: a threshold, or the least and the most of normal groups.
        weight: How much it says, larger is more; comparable within one explanation only.
    """

    text: str
    name: str
    value: float
    limit: tuple[float, ...]
    weight: float


@dataclass(frozen=True, eq=False)
class Case:
    """A group whose score is to be explained.

    Attributes:
        view: That group alone, as the detector sees it.
        lines: Its forms, ranked.
        nearest: The most similar normal group; None where there is none.
    """

    view: View
    lines: RankedLines
    nearest: NormalExample | None


@dataclass(frozen=True, eq=False)
class Background:
    """What groups are compared with.

    Attributes:
        detector: Fitted.
        encode: Embeds normal forms.
    """

    detector: Detector
    encode: Encode
    state: State = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", self.detector.method.state())

    @cached_property
    def normal(self) -> NormalGroups:
        """The normal groups that the detector keeps."""
        return NormalGroups(self.detector, self.encode)

    @cached_property
    def features(self) -> Features:
        """The features that the method sees."""
        return Features.from_state(State(self.state.config["features"], self.state.arrays))

    @cached_property
    def columns(self) -> list[Column]:
        """Their columns."""
        return self.features.columns(self.detector.known.forms)

    @cached_property
    def rows(self) -> Matrix:
        """Features of normal groups, shape (groups, columns); no groups where none are kept."""
        view = self.normal.view
        if view is None:
            return np.zeros((0, len(self.columns)), dtype=np.float32)
        return self.features.transform(view.take(np.arange(len(view))[-MOST_BACKGROUND:]))


def reasons(background: Background, case: Case) -> tuple[Reason, ...]:
    """Tells why a group has its score, the weightiest reason first.

    Args:
        background: What it is compared with.
        case: The group.

    Returns:
        At most `MOST_REASONS`; none where the method has nothing to say against the group.
    """
    tell = _RULES.get(background.detector.settings.method)
    if tell is None:
        tell = _by_features if "features" in background.state.config else _by_lines
    found = sorted(tell(background, case), key=lambda reason: -reason.weight)
    return tuple(found[:MOST_REASONS])


# -- rules --


def _new_events(background: Background, case: Case) -> list[Reason]:
    """Which forms are unknown, and how far they are from the known ones."""
    return [
        Reason(
            f"{_lines(line.lines)} of the unknown form {_quoted(line.form)}, at a distance of "
            f"{1.0 - line.cosine:.2f} from the nearest known one, {_quoted(line.nearest_form or '')}",
            line.form,
            1.0 - line.cosine,
            (0.0,),
            1.0 - line.cosine,
        )
        for line in case.lines.lines
        if line.is_new
    ]


def _event_set(background: Background, case: Case) -> list[Reason]:
    """Which events are there or not, against the nearest known set."""
    nearest = case.nearest
    if nearest is None or not (nearest.added or nearest.missing):
        return []
    share = 1.0 / max(1, len(nearest.added) + len(nearest.missing))
    whole = f"in the nearest known set of events ({nearest.similarity:.0%} alike)"
    added = [
        Reason(
            f"{_quoted(change.form)} is here ({_lines(change.lines)}) and not {whole}",
            change.form,
            change.lines,
            (0.0,),
            share,
        )
        for change in nearest.added
    ]
    missing = [
        Reason(
            f"{_quoted(change.form)} is not here, and is {whole}",
            change.form,
            0.0,
            (float(change.normal_lines),),
            share,
        )
        for change in nearest.missing
    ]
    return added + missing


def _count_range(background: Background, case: Case) -> list[Reason]:
    """Which counts are out of range, and by how much."""
    least, most = background.state.arrays["least"], background.state.arrays["most"]
    counts = case.view.counts[0].toarray().ravel()
    forms = case.view.groups.forms
    found = _new_events(background, case)
    over = np.maximum(np.log1p(counts) - np.log1p(most), 0.0)
    under = np.maximum(np.log1p(least) - np.log1p(counts), 0.0)
    for code in np.flatnonzero(over + under > 1e-9).tolist():
        bounds = (float(least[code]), float(most[code]))
        there = f"{_lines(int(counts[code]))} of {_quoted(forms[code])}"
        text = f"{there}, where normal groups have {_range(bounds)}"
        found.append(Reason(text, forms[code], float(counts[code]), bounds, float(over[code] + under[code])))
    return found


def _invariants(background: Background, case: Case) -> list[Reason]:
    """Which events are new to the set, and which pairs do not come equally often as they always do."""
    counts = case.view.counts[0].toarray().ravel()
    forms = case.view.groups.forms
    pairs = background.state.arrays["pairs"]
    one, other = counts[pairs[:, 0]], counts[pairs[:, 1]]
    found = _event_set(background, case)
    broken = np.flatnonzero((one > 0) & (other > 0) & (one != other))
    for place in broken.tolist():
        first, second = (forms[int(code)] for code in pairs[place])
        text = (
            f"{_lines(int(one[place]))} of {_quoted(first)} but {int(other[place]):,} of {_quoted(second)}, "
            "which come equally often in normal groups"
        )
        told = Reason(text, first, float(one[place]), (float(other[place]),), 1.0 / len(broken))
        found.append(told)
    return found


_RULES: Final[dict[str, Callable[[Background, Case], list[Reason]]]] = {
    "new_event": _new_events,
    "event_set": _event_set,
    "count_range": _count_range,
    "invariants": _invariants,
}


# -- methods over features --


def _by_features(background: Background, case: Case) -> list[Reason]:
    estimator = background.state.estimators["estimator"]
    row = background.features.transform(case.view)[0]
    if not background.detector.settings.supervised:
        return _outside(background, row) or _by_lines(background, case)
    if hasattr(estimator, "coef_"):
        return _coefficients(background, row, estimator)
    if hasattr(estimator, "tree_"):
        return _path(background, row, estimator)
    return _without_parts(background, row, estimator) or _by_lines(background, case)


def _outside(background: Background, row: Matrix) -> list[Reason]:
    """Which columns lie outside of what normal groups had; where none does, how the nearest one differs."""
    rows = background.rows
    if not len(rows):
        return []
    least, most = rows.min(axis=0), rows.max(axis=0)
    beyond = np.maximum(np.maximum(row - most, least - row), 0.0)
    nearest = rows[int(((rows - row) ** 2).sum(axis=1).argmin())]
    found = _embedding_reason(background, row, rows)
    for place in _named(background, beyond > 1e-4):
        bounds = _original(background, np.stack([row, least, most]), place)
        text = f"{_told(background, place, bounds[0])}, where normal groups have {_range(bounds[1:])}"
        found.append(_reason(background, place, text, bounds, float(beyond[place])))
    if found:
        return found
    for place in _named(background, np.abs(row - nearest) > 1e-4):
        bounds = _original(background, np.stack([row, nearest]), place)
        text = f"{_told(background, place, bounds[0])}; the nearest normal group has {_number(bounds[1])}"
        found.append(_reason(background, place, text, bounds, float(abs(row[place] - nearest[place]))))
    return found


def _embedding_reason(background: Background, row: Matrix, rows: Matrix) -> list[Reason]:
    """How far the mean embedding is from those of normal groups, which lie how far from each other."""
    block = np.array([column.block == "embeddings" for column in background.columns])
    if not block.any():
        return []
    own = np.linalg.norm(rows[:, block] - row[block], axis=1).min()
    spread = float(np.linalg.norm(rows[:, block], axis=1).max())
    if own <= 1e-4:
        return []
    text = (
        f"its mean embedding is {own:.2f} from that of the nearest normal group "
        f"(all of those lie within {spread:.2f} of their centre)"
    )
    return [Reason(text, "embeddings", float(own), (spread,), float(own))]


def _coefficients(background: Background, row: Matrix, estimator: Any) -> list[Reason]:
    """What each column adds to the log-odds of an anomaly, against the mean of the groups learnt from."""
    added = estimator.coef_[0] * row
    found = []
    block = np.array([column.block == "embeddings" for column in background.columns])
    if added[block].sum() > 1e-6:
        total = float(added[block].sum())
        found.append(
            Reason(f"its mean embedding adds {total:.2f} to the log-odds", "embeddings", total, (0.0,), total)
        )
    for place in _named(background, added > 1e-6):
        values = _original(background, np.stack([row, np.zeros_like(row)]), place)
        text = (
            f"{_told(background, place, values[0])} (typically {_number(values[1])}) "
            f"adds {added[place]:.2f} to the log-odds"
        )
        found.append(_reason(background, place, text, values, float(added[place])))
    return found


def _path(background: Background, row: Matrix, estimator: Any) -> list[Reason]:
    """The thresholds that the tree compared, from its root on."""
    tree = estimator.tree_
    found: list[Reason] = []
    node = 0
    share = tree.value[:, 0, 1] / np.maximum(tree.value[:, 0].sum(axis=1), 1e-12)
    while tree.children_left[node] >= 0:
        place, threshold = int(tree.feature[node]), float(tree.threshold[node])
        limits = np.zeros_like(row)
        limits[place] = threshold
        values = _original(background, np.stack([row, limits]), place)
        left = row[place] <= threshold
        child = int((tree.children_left if left else tree.children_right)[node])
        crossed = "at most" if left else "above"
        text = (
            f"step {len(found) + 1}: {_told(background, place, values[0])}, {crossed} "
            f"{_number(values[1])}: {share[child]:.0%} anomalous"
        )
        found.append(_reason(background, place, text, values, 1.0 / (len(found) + 1)))
        node = child
    return found


def _without_parts(background: Background, row: Matrix, estimator: Any) -> list[Reason]:
    """How the probability falls if a column (of embeddings: all of them) had its mean."""
    blocks = [column.block for column in background.columns]
    parts = [[place] for place in _named(background, np.abs(row) > 1e-6)]
    embedded = [place for place, block in enumerate(blocks) if block == "embeddings"]
    parts += [embedded] if embedded else []
    if not parts:
        return []
    changed = np.repeat(row[None], len(parts) + 1, axis=0)
    for number, part in enumerate(parts):
        changed[number, part] = 0.0
    scores = estimator.predict_proba(changed)[:, 1]
    found = []
    for score, part in zip(scores[:-1], parts, strict=True):
        drop = float(scores[-1] - score)
        if drop <= 1e-6:
            continue
        falls = f"the probability falls from {scores[-1]:.2f} to {score:.2f}"
        if part is embedded:
            found.append(
                Reason(f"with a typical embedding {falls}", "embeddings", drop, (float(score),), drop)
            )
            continue
        values = _original(background, np.stack([row, np.zeros_like(row)]), part[0])
        text = f"{_told(background, part[0], values[0])}; with {_number(values[1])}, as is typical, {falls}"
        found.append(_reason(background, part[0], text, values, drop))
    return found


# -- every other method --


def _by_lines(background: Background, case: Case) -> list[Reason]:
    """How the score falls without the lines that matter most."""
    raw = case.lines.raw
    return [
        Reason(
            f"without its {_lines(line.lines)} of {_quoted(line.form)} the score falls from {raw:.4g} to "
            f"{raw - line.weight:.4g}",
            line.form,
            raw,
            (raw - line.weight,),
            line.weight,
        )
        for line in case.lines.lines
        if line.weight > 0
    ]


# -- in words --


def _named(background: Background, wanted: NDArray[np.bool_]) -> list[int]:
    """Places of the wanted columns that have a name of their own."""
    own = np.array([column.block != "embeddings" for column in background.columns])
    places: list[int] = np.flatnonzero(wanted & own).tolist()
    return places


def _original(background: Background, rows: Matrix, place: int) -> tuple[float, ...]:
    """A column of rows as it was before scaling; counts as lines."""
    values = background.features.original(rows)[:, place].astype(np.float64)
    if background.columns[place].block == "counts":
        values = np.expm1(values)
    return tuple(np.round(values, 6).tolist())


def _reason(background: Background, place: int, text: str, values: Sequence[float], weight: float) -> Reason:
    return Reason(text, background.columns[place].name, values[0], tuple(values[1:]), weight)


def _told(background: Background, place: int, value: float) -> str:
    """A column's value in words: `3 lines of ...`, or `worst word severity: 0.90`."""
    column = background.columns[place]
    if column.block != "counts":
        return f"{column.name}: {_number(value)}"
    plain = column.name in ("all rarer events", "unknown forms")
    return f"{_lines(round(value))} of {column.name if plain else _quoted(column.name)}"


def _range(bounds: Sequence[float]) -> str:
    low, high = (_number(bound) for bound in bounds[:2])
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{round(value):,}" if abs(value - round(value)) < 1e-3 else f"{value:.2f}"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines" if count else "no lines"


def _quoted(form: str) -> str:
    return f"\u201c{form if len(form) <= _SHOWN else form[: _SHOWN - 1] + chr(0x2026)}\u201d"
