"""A detector's folder: how its groups are made, and the alerts that a user can still accept as normal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from biglog.data.kept_files import write_whole
from biglog.errors import CheckpointError, InputError
from biglog.inference.detection.alerts import MOST_LINES, Alert
from biglog.inference.detection.groups import Grouping
from biglog.inference.detector import AnomalyDetector
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.groups import Groups

ALERTS: Final = "alerts.json"
GROUPING: Final = "grouping.json"

MOST_REMEMBERED: Final = 1_000
"""Distinct alerts that a detector's folder remembers, the latest."""

_ALERTS_SCHEMA: Final = "biglog-alerts/1"
_GROUPING_SCHEMA: Final = "biglog-grouping/1"


def save_grouping(folder: Path, grouping: Grouping) -> None:
    """Writes how the groups of a detector are made.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps({"schema": _GROUPING_SCHEMA, **grouping.to_dict()}, indent=1) + "\n"
    write_whole(folder / GROUPING, lambda to: to.write_text(text, encoding="utf-8"))


def saved_grouping(folder: Path) -> dict[str, Any]:
    """Reads how the groups of a detector are made, as `Grouping.of` takes it; nothing if it does not say.

    Raises:
        CheckpointError: The file is damaged, or of another version.
    """
    path = folder / GROUPING
    if not path.is_file():
        return {}
    try:
        told = dict(json.loads(path.read_text(encoding="utf-8")))
        if told.pop("schema") != _GROUPING_SCHEMA or not told.keys() <= Grouping().to_dict().keys():
            raise ValueError("another version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"it cannot be read: {error!r}", where=path, remedy="Fit the detector again, or say the groups"
        ) from error
    return told


@dataclass(frozen=True)
class Remembered:
    """What is kept of an alert, so that it can be accepted.

    Attributes:
        group_id: Of the latest group that raised it.
        forms: Normal forms of its lines in order; none of an alert of too many lines.
        anomaly_score: Its score.
        seen: How many groups raised it.
    """

    group_id: str
    forms: tuple[str, ...]
    anomaly_score: float
    seen: int


def remember(folder: Path, alerts: Iterable[Alert]) -> None:
    """Adds alerts to those that a detector's folder remembers; of too many the oldest leave.

    Args:
        folder: The detector's folder.
        alerts: The alerts, the latest last.

    Raises:
        CheckpointError: What is remembered there is damaged.
        OutputError: It cannot be written.
    """
    known = remembered(folder)
    for alert in alerts:
        before = known.pop(alert.alert_id, None)
        seen = alert.alike + (before.seen if before else 0)
        known[alert.alert_id] = Remembered(alert.group_id, alert.forms, alert.anomaly_score, seen)
    _write(folder, dict(list(known.items())[-MOST_REMEMBERED:]))


def remembered(folder: Path) -> dict[str, Remembered]:
    """Reads the alerts that a detector's folder remembers, by their ids, the latest last.

    Raises:
        CheckpointError: The file is damaged, or of another version.
    """
    path = folder / ALERTS
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if (told["schema"], told["masking_version"]) != (_ALERTS_SCHEMA, MASKING_VERSION):
            raise ValueError("another version")
        return {alert["alert_id"]: _restored(alert, told["forms"]) for alert in told["alerts"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"these alerts cannot be read: {error}", where=path, remedy="Remove it; detect writes it anew"
        ) from error


def accept(detector: AnomalyDetector, folder: Path, ids: Sequence[str]) -> list[Remembered]:
    """Has a detector learn that alerts were no anomalies, and saves it.

    Args:
        detector: What was loaded from the folder.
        folder: The detector's folder.
        ids: `alert_id` of alerts that it remembers, or their beginnings, if they are of one alone.

    Returns:
        What was accepted.

    Raises:
        InputError: An alert is not remembered, or too long.
        OutputError: The detector cannot be written.
    """
    known = remembered(folder)
    chosen = {_matching(given, known, folder): None for given in ids}
    groups = [known[alert_id].forms for alert_id in chosen]
    detector.partial_fit(Groups.of_forms(groups, [known[alert_id].group_id for alert_id in chosen]))
    detector.save_pretrained(folder)
    accepted = [known.pop(alert_id) for alert_id in chosen]
    _write(folder, known)
    return accepted


def _matching(given: str, known: Mapping[str, Remembered], folder: Path) -> str:
    found = [alert_id for alert_id in known if given and alert_id.startswith(given)]
    if len(found) != 1:
        latest = ", ".join(list(known)[-3:][::-1]) or "none"
        problem = f"{len(found)} alerts begin with {given!r}" if found else f"there is no alert {given!r}"
        remedy = (
            f"Run detect with this --model first; it remembers {len(known):,} alerts, the latest: {latest}"
        )
        raise InputError(problem, where=folder / ALERTS, remedy=remedy)
    if not known[found[0]].forms:
        raise InputError(
            f"the alert {found[0]} has more than {MOST_LINES:,} lines, which are not remembered",
            where=folder / ALERTS,
            remedy="Fit the detector again, with this log among the normal ones",
        )
    return found[0]


def _write(folder: Path, known: Mapping[str, Remembered]) -> None:
    forms: dict[str, int] = {}
    alerts = [
        {
            "alert_id": alert_id,
            "group_id": alert.group_id,
            "anomaly_score": alert.anomaly_score,
            "seen": alert.seen,
            "codes": [forms.setdefault(form, len(forms)) for form in alert.forms],
        }
        for alert_id, alert in known.items()
    ]
    told = {
        "schema": _ALERTS_SCHEMA,
        "masking_version": MASKING_VERSION,
        "forms": list(forms),
        "alerts": alerts,
    }
    text = json.dumps(told, ensure_ascii=False) + "\n"
    write_whole(folder / ALERTS, lambda to: to.write_text(text, encoding="utf-8"))


def _restored(alert: Mapping[str, Any], forms: Sequence[str]) -> Remembered:
    texts = tuple(forms[code] for code in alert["codes"])
    return Remembered(str(alert["group_id"]), texts, float(alert["anomaly_score"]), int(alert["seen"]))
