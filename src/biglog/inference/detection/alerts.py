"""Alerts: groups that are anomalies, and the lines and reasons that say why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from biglog.inference.detector import AnomalyDetector
from biglog.inference.explain import Explanation, explain
from biglog.logs.timestamps import UTC_MICROSECONDS
from biglog.tasks.anomaly.leave_out import LineReason
from biglog.tasks.groups import Groups

MOST_LINES: Final = 10_000
"""Lines of an alert up to which their normal forms are kept; longer ones cannot be accepted by their id."""

SHOWN_LINES: Final = 20
"""Lines of an alert that are told, those first that say most."""

_SHOWN_REASONS = 4
_LINE: Final = pl.Struct({"line_number": pl.Int64(), "line": pl.String(), "why": pl.String()})

ROWS: Final = pl.Schema(
    {
        "group_id": pl.String(),
        "alert_id": pl.String(),
        "source": pl.String(),
        "first_line": pl.Int64(),
        "last_line": pl.Int64(),
        "start": UTC_MICROSECONDS,
        "end": UTC_MICROSECONDS,
        "lines": pl.Int64(),
        "anomaly_score": pl.Float64(),
        "threshold": pl.Float64(),
        "confidence": pl.Float64(),
        "reasons": pl.List(pl.String()),
        "shown_lines": pl.List(_LINE),
    }
)
"""Columns of a table of alerts. `shown_lines` are those that say most, of each normal form the first one."""


@dataclass(frozen=True)
class AlertLine:
    """A line of an alert, or beside it.

    Attributes:
        line_number: Its number in its source.
        line: Its text.
        why: What speaks against it, in words.
        is_odd: Whether it is one of those that say why; else it is there for context.
        header: Characters before its content, where they are known.
    """

    line_number: int
    line: str
    why: str = ""
    is_odd: bool = False
    header: int = 0


@dataclass(frozen=True)
class Alert:
    """A group that is an anomaly.

    Attributes:
        group_id: Its identifier.
        alert_id: The same for groups with equal normal forms.
        source: Source of its first line.
        first_line: Number of its first line.
        last_line: Number of its last line.
        start: Its earliest time.
        end: Its latest time.
        lines: How many lines it has.
        anomaly_score: 0 to 1, higher is odder.
        threshold: A score above it is an anomaly.
        confidence: How sure that is.
        reasons: Why, in sentences, the weightiest first.
        shown: Its lines that say most, those first.
        context: Lines around the first of them, in order; empty where they are not known.
        normal: Normal forms of the most similar group that was learnt from.
        alike: How many groups have this alert's id, itself included.
        forms: Normal forms of its lines in order; of too many lines none.
    """

    group_id: str
    alert_id: str
    source: str
    first_line: int
    last_line: int
    start: datetime | None
    end: datetime | None
    lines: int
    anomaly_score: float
    threshold: float
    confidence: float
    reasons: tuple[str, ...] = ()
    shown: tuple[AlertLine, ...] = ()
    context: tuple[AlertLine, ...] = ()
    normal: tuple[str, ...] = ()
    alike: int = 1
    forms: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """Returns it as a row of `ROWS`."""
        told = {name: getattr(self, name) for name in ROWS.names() if name not in ("reasons", "shown_lines")}
        lines = [{"line_number": e.line_number, "line": e.line, "why": e.why} for e in self.shown]
        return told | {"reasons": list(self.reasons), "shown_lines": lines}


def rows_of(alerts: Iterable[Alert]) -> pl.DataFrame:
    """Returns alerts as a table of `ROWS`."""
    return pl.DataFrame([alert.row() for alert in alerts], schema=ROWS)


@dataclass(frozen=True)
class Told:
    """What an explanation says, for all groups with the same alert id.

    Attributes:
        reasons: Why, in sentences, the weightiest first.
        places: Of its lines that say most: position in the group, normal form, and what speaks against it.
        normal: Normal forms of the most similar group that was learnt from.
    """

    reasons: tuple[str, ...]
    places: tuple[tuple[int, str, str], ...]
    normal: tuple[str, ...]


def told_of(detector: AnomalyDetector, groups: Groups) -> list[Told]:
    """Explains groups.

    Args:
        detector: Fitted.
        groups: The groups.

    Returns:
        One a group, in order.
    """
    return [_told(each) for each in explain(detector, groups, range(len(groups)), examples=1)]


def _told(explained: Explanation) -> Told:
    reasons = tuple(_sentence(reason.text) for reason in explained.reasons[:_SHOWN_REASONS])
    telling = [
        line for rank, line in enumerate(explained.lines) if rank == 0 or line.is_new or line.weight > 0
    ]
    places = tuple((line.position, line.form, _why(line, explained.raw)) for line in telling[:SHOWN_LINES])
    normal = explained.examples[0].excerpt if explained.examples else ()
    return Told(reasons or (_AS_A_WHOLE,), places, normal)


def _why(line: LineReason, raw: float) -> str:
    parts = []
    if line.is_new:
        near = f"; the nearest is \u201c{_short(line.nearest_form)}\u201d" if line.nearest_form else ""
        parts.append(f"new, at a distance of {max(0.0, 1.0 - line.cosine):.2f}{near}")
    elif line.cosine < 1.0:
        parts.append(f"another wording of \u201c{_short(line.nearest_form or '')}\u201d")
    if line.trouble_word:
        parts.append(f"says \u201c{line.trouble_word}\u201d")
    if line.lines > 1:
        parts.append(f"{line.lines:,} lines like it")
    if raw > 0 and line.weight >= 0.01 * raw:
        parts.append(f"without it the score falls by {min(1.0, line.weight / raw):.0%}")
    return ", ".join(parts)


_AS_A_WHOLE = "More unlike normal groups as a whole than by any line of it"


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
