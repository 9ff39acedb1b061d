"""Why groups are anomalies: their lines ranked, what they lack, normal groups like them, and reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.inference.detector import AnomalyDetector
from biglog.tasks.anomaly.detector import Detector, Verdicts
from biglog.tasks.anomaly.examples import EventChange, NormalExample
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.anomaly.leave_out import MOST_FORMS, LineReason, RankedLines, rank_lines
from biglog.tasks.anomaly.methods import RULES
from biglog.tasks.anomaly.reasons import Background, Case, Reason, reasons
from biglog.tasks.groups import Groups

EXAMPLES: Final = 3
"""Normal groups that are shown beside a group."""

ALIKE: Final = 0.5
"""Share of events in common from which on a group is said to lack what a normal one has."""


@dataclass(frozen=True)
class Explanation:
    """Why a group has its score.

    Attributes:
        group_id: Of the group.
        alert_id: The same for groups with equal normal forms.
        group_lines: Lines of the group.
        anomaly_score: Its score in [0, 1].
        threshold: Groups above it are anomalies.
        is_anomaly: Whether it is one.
        method: The method that scored it.
        raw: The method's own score, which the weights of lines are parts of.
        lines: Its normal forms, the one that makes it most odd first.
        forms: Distinct normal forms of the group.
        considered: How many of them were left out in turn; the others are not in `lines`.
        missing: Events that the nearest normal group has and this one lacks; told of rules, and where both
            have at least half of their events in common.
        examples: The most similar normal groups, the nearest first.
        reasons: What the method compared, and where it crossed, in sentences; the weightiest first.
    """

    group_id: str
    alert_id: str
    group_lines: int
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    method: str
    raw: float
    lines: tuple[LineReason, ...]
    forms: int
    considered: int
    missing: tuple[EventChange, ...]
    examples: tuple[NormalExample, ...]
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return dataclasses.asdict(self)


def explain(
    detector: AnomalyDetector,
    groups: Any,
    rows: Sequence[int] | NDArray[np.integer] | None = None,
    *,
    examples: int = EXAMPLES,
    most_forms: int = MOST_FORMS,
) -> list[Explanation]:
    """Explains groups.

    Lines are ranked by how much the method's score falls without them (`rank_lines`).

    Args:
        detector: Fitted.
        groups: As `AnomalyDetector.detect` takes them.
        rows: Which groups; None is those that are anomalies.
        examples: How many normal groups are shown beside each.
        most_forms: How many distinct forms of a group are left out in turn, at most.

    Returns:
        One a row, in order; groups with equal sequences share the work.

    Raises:
        InputError: The detector is not fitted, or there is no such row.
    """
    taken = Groups.of(groups)
    told = detector.verdicts(taken)
    wanted = np.flatnonzero(told.is_anomaly) if rows is None else _checked(rows, len(taken))
    if not len(wanted):
        return []
    parts = _Parts(detector, told, wanted, examples, most_forms)
    return [parts.explanation(int(row), taken.ids[int(row)]) for row in wanted]


class _Parts:
    """What groups with equal sequences share."""

    def __init__(
        self,
        detector: AnomalyDetector,
        told: Verdicts,
        wanted: NDArray[np.integer],
        examples: int,
        most_forms: int,
    ) -> None:
        fitted, encode = detector.detector_, _encode_with(detector)
        self._told, self._method = told, fitted.settings.method
        distinct = np.unique(told.place[wanted])
        chosen = told.distinct.take(distinct)
        ranked = rank_lines(fitted, chosen, encode, most_forms)
        found = _shared(fitted, encode, told, distinct, ranked, examples)
        self._shared = dict(zip(distinct.tolist(), found, strict=True))
        self._alert_ids = dict(zip(distinct.tolist(), chosen.identities().to_list(), strict=True))

    def explanation(self, row: int, group_id: str) -> Explanation:
        told = self._told
        place = int(told.place[row])
        ranked, examples, why = self._shared[place]
        return Explanation(
            group_id,
            self._alert_ids[place],
            int(told.distinct.sizes[place]),
            float(told.scores[row]),
            told.threshold,
            bool(told.is_anomaly[row]),
            self._method,
            float(told.raw[row]),
            ranked.lines,
            ranked.forms,
            ranked.considered,
            self._missing(examples),
            examples,
            why,
        )

    def _missing(self, examples: tuple[NormalExample, ...]) -> tuple[EventChange, ...]:
        """What a rule misses; of other methods only what a group lacks that is like the normal one."""
        if not examples or (self._method not in RULES and examples[0].similarity < ALIKE):
            return ()
        return examples[0].missing


def _shared(
    fitted: Detector,
    encode: Encode,
    told: Verdicts,
    distinct: NDArray[np.integer],
    ranked: Sequence[RankedLines],
    most: int,
) -> list[tuple[RankedLines, tuple[NormalExample, ...], tuple[Reason, ...]]]:
    background = Background(fitted, encode)
    found = []
    for row, lines in zip(distinct.tolist(), ranked, strict=True):
        view = told.view.take(np.array([row]))
        nearest = background.normal.nearest(view, 0, max(1, most))
        case = Case(view, lines, nearest[0] if nearest else None)
        found.append((lines, nearest[:most], reasons(background, case)))
    return found


def _encode_with(detector: AnomalyDetector) -> Encode:
    assert detector.encoder is not None  # it has judged the groups
    return detector.encoder.encode_normal_forms


def _checked(rows: Sequence[int] | NDArray[np.integer], groups: int) -> NDArray[np.int64]:
    wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
    outside = wanted[(wanted < 0) | (wanted >= groups)]
    if len(outside):
        raise InputError(
            f"there is no group number {int(outside[0])}", remedy=f"There are {groups}, counted from 0"
        )
    return wanted
