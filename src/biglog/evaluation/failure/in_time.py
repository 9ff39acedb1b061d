"""Failures that follow: HPC's nodes within an hour and a day, and BGL's alerts within ten minutes.

Nothing is chosen on test data: of a system's settings the one of the highest average precision on validation
data is taken, and the threshold that tells alerts is the one of the best correlation there. Failures of
maintenance are neither learnt, nor scored, nor counted as false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.archives.catalog import find_files
from biglog.data.tables.failures import Protocol, describe, protocol_of
from biglog.evaluation.failure.systems import IN_TIME, TRIVIAL, Encoders, Say, System, means
from biglog.metrics.detection import auroc, average_precision, detection_score
from biglog.metrics.prediction import alarms_per_day, at_budget, incident_recall, prediction_score
from biglog.tasks.failure.alerts import best_threshold, moments_of
from biglog.tasks.failure.clock import SECOND
from biglog.tasks.failure.histories import Encode, Histories, histories
from biglog.tasks.failure.moments import read_failures
from biglog.tasks.failure.predictors import Predictor
from biglog.tasks.groups import Floats

BUDGETS: Final = (0.1, 1.0)
"""False alarms a day, of all components together, that a second and a third threshold keep to."""

LEAD_TIMES: Final = {3_600: (0.0, 60.0, 600.0, 1_800.0), 86_400: (0.0, 600.0, 3_600.0, 21_600.0)}
"""Lead times at which recall is told, by horizon."""

EPISODE_SECONDS: Final = 600
_SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Histories of a split.

    Attributes:
        table: Their table.
        seen: Histories, with the embeddings of one encoder.
    """

    table: pl.DataFrame
    seen: Histories

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether a failure followed, shape (histories,)."""
        return self.table["is_failure"].to_numpy()


def read_table(folder: Path, table: str, split: str = "*") -> pl.DataFrame:
    """Reads a built table of a domain."""
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob(f"{table}/{split}-*.parquet"))])


def evaluate_hpc(
    built: Path, folder: Path, encoders: Encoders, seeds: Sequence[int], say: Say
) -> dict[str, Any]:
    """Scores all systems on both horizons.

    Args:
        built: Folder of the built domain, with the tables of lines and failures.
        folder: The raw data.
        encoders: See the type.
        seeds: Of encoders and methods.
        say: Is told what was done.

    Returns:
        `protocol`, and by horizon `rows` and `systems`.
    """
    protocol, known, lines, horizons = read_hpc(built, folder)
    found: dict[str, Any] = {"protocol": describe(protocol), "horizons": {}}
    for horizon, mine in horizons.items():
        incidents = incidents_of(known, protocol.group_pattern, mine["test"])
        scored = {}
        for system in IN_TIME:
            told = _system(system, mine, lines, known, encoders, seeds, horizon, incidents)
            scored[system.name], mean = told, told["means"]
            say(
                f"HPC {horizon:g} s, {system.name}: MCC {mean['mcc']['mean']:.3f}, "
                f"AP {mean['average_precision']['mean']:.3f}, AUROC {mean['auroc']['mean']:.3f}"
            )
        found["horizons"][f"{horizon:g}"] = {"rows": _rows(mine), "systems": scored}
    return found


def read_hpc(
    built: Path, folder: Path
) -> tuple[Protocol, pl.DataFrame, pl.DataFrame, dict[float, dict[str, pl.DataFrame]]]:
    """Reads HPC's histories, those of maintenance left out.

    Args:
        built: Folder of the built domain.
        folder: The raw data.

    Returns:
        The protocol; all failures that are known; times of lines; and histories by horizon and split.
    """
    files = find_files("HPC", folder)
    protocol = protocol_of(files)
    assert protocol is not None
    changes = pl.read_csv(files.failures[0]).filter(pl.col("state") == "unavailable")
    known = read_failures(changes.select("component", time="unix_time"))
    lines = read_table(built, "lines").select("line_id", "timestamp")
    tables = {split: read_table(built, "failures", split) for split in _SPLITS}
    horizons = {
        horizon: {
            split: table.filter(pl.col("horizon_seconds") == horizon, ~pl.col("maintenance"))
            for split, table in tables.items()
        }
        for horizon in protocol.horizons_seconds
    }
    return protocol, known, lines, horizons


def _rows(tables: dict[str, pl.DataFrame]) -> dict[str, Any]:
    return {
        split: {
            "histories": len(table),
            "failures": int(table["is_failure"].sum()),
            "distinct": table.select("normal_forms", "is_failure").n_unique(),
            "incidents": len(_failed(table)),
        }
        for split, table in tables.items()
    }


def _failed(table: pl.DataFrame) -> pl.DataFrame:
    """The failures that histories precede: group_id and time (microseconds)."""
    ahead = (pl.col("seconds_to_failure") * SECOND).round().cast(pl.Int64)
    time = pl.col("time").to_physical() + ahead
    return table.filter("is_failure").select("group_id", time=time).unique().sort("time", "group_id")


def incidents_of(
    known: pl.DataFrame, pattern: str, test: pl.DataFrame
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Failures of the time of the test, maintenance left out."""
    begin = test["start"].to_physical().min()
    mine = known.filter(
        ~pl.col("maintenance"), pl.col("group_id").str.contains(pattern), pl.col("time") >= begin
    )
    return mine["group_id"].to_numpy(), mine["time"].to_numpy() / SECOND


def _system(
    system: System,
    tables: dict[str, pl.DataFrame],
    lines: pl.DataFrame,
    known: pl.DataFrame,
    encoders: Encoders,
    seeds: Sequence[int],
    horizon: float,
    incidents: tuple[NDArray[Any], NDArray[np.float64]],
) -> dict[str, Any]:
    """Chooses a setting with the first seed, and scores it with all."""
    runs: list[dict[str, Any]] = []
    chosen, tried = system.settings[0], {}
    for seed in seeds if system.drawn else seeds[:1]:
        splits = read_splits(tables, lines, known, encoders("HPC", seed))
        if not runs and len(system.settings) > 1:
            tried = {setting: _validated(setting, splits, seed) for setting in system.settings}
            chosen = max(system.settings, key=lambda setting: tried[setting])
        predictor = Predictor(*chosen, seed=seed).fit(splits["train"].seen, splits["train"].labels)
        runs.append(run_predictor(predictor, splits["validation"], splits["test"], horizon, incidents))
    return {
        "method": chosen[0],
        "features": list(Predictor(*chosen).features),
        "validation_average_precision": {_told(s): value for s, value in tried.items()},
        "means": means(runs),
        "runs": runs,
    }


def _told(setting: tuple[str, tuple[str, ...] | None]) -> str:
    return f"{setting[0]}: {', '.join(setting[1] or ())}"


def read_splits(
    tables: dict[str, pl.DataFrame], lines: pl.DataFrame, known: pl.DataFrame, encode: Encode
) -> dict[str, Split]:
    """Makes histories of the tables of all splits."""
    failures = known.select("group_id", "time")
    return {
        split: Split(table, histories(table, encode=encode, lines=lines, failures=failures))
        for split, table in tables.items()
    }


def _validated(setting: tuple[str, tuple[str, ...] | None], splits: dict[str, Split], seed: int) -> float:
    """Average precision on validation data."""
    predictor = Predictor(*setting, seed=seed).fit(splits["train"].seen, splits["train"].labels)
    kept = splits["validation"]
    return average_precision(kept.labels, predictor.predict_proba(kept.seen)[:, 1])


def run_predictor(
    predictor: Predictor,
    validation: Split,
    test: Split,
    horizon: float,
    incidents: tuple[NDArray[Any], NDArray[np.float64]],
) -> dict[str, Any]:
    """Scores a fitted predictor on test data."""
    kept, risks = (predictor.predict_proba(split.seen)[:, 1] for split in (validation, test))
    threshold = best_threshold(validation.labels, kept)
    moments = moments_of(test.table)
    leads = LEAD_TIMES[round(horizon)]
    score = prediction_score(risks, risks >= threshold, moments, horizon, incidents=incidents)
    found = score.as_dict(leads)
    found["distinct"] = _distinct(test, risks, threshold)
    found["budgets"] = {}
    for budget in BUDGETS:
        alarms = risks >= at_budget(kept, moments_of(validation.table), budget)
        recall = incident_recall(moments, alarms, horizon, incidents)
        rate = alarms_per_day(moments, alarms)
        found["budgets"][f"{budget:g}"] = {
            "incident_recall": recall.as_dict(leads)["incident_recall"],
            "false_alarms_per_day": rate.false_alarms_per_day,
        }
    return found


def _distinct(test: Split, risks: Floats, threshold: float) -> dict[str, Any]:
    """The scores with each pair of sequence and label counted once."""
    sequences = test.seen.groups.distinct()[1]
    score = detection_score(test.labels, risks, risks >= threshold, sequences).distinct
    assert score is not None
    return score.as_dict()


def evaluate_bgl(built: Path, encoders: Encoders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores what can be scored of BGL's 42 hours.

    There are a few episodes of alerts, and no alert follows a history of the validation: so the threshold is
    just above all risks there, and nothing is chosen.

    Args:
        built: Folder of the built domain.
        encoders: See the type.
        seeds: Of encoders and methods.
        say: Is told what was done.
    """
    lines = read_table(built, "lines").select("line_id", "timestamp", "is_anomaly")
    tables = {split: read_table(built, "failures", split) for split in _SPLITS}
    alerts = lines.filter("is_anomaly")["timestamp"].to_physical().sort()
    episodes = 1 + int((alerts.diff() > EPISODE_SECONDS * SECOND).sum())
    systems = (*TRIVIAL, *IN_TIME[4:])
    found: dict[str, Any] = {"episodes_in_all": episodes, "rows": _rows(tables), "systems": {}}
    none_known = pl.DataFrame(schema={"group_id": pl.String, "time": pl.Int64})
    for system in systems:
        runs = []
        method, blocks = system.settings[0]
        for seed in seeds if system.drawn else seeds[:1]:
            splits = read_splits(tables, lines, none_known, encoders("BGL", seed))
            predictor = Predictor(method, blocks, seed).fit(splits["train"].seen, splits["train"].labels)
            runs.append(_episodes(predictor, splits["validation"], splits["test"]))
        found["systems"][system.name] = {"means": means(runs), "runs": runs}
        say(f"BGL, {system.name}: {runs[0]}")
    return found


def _episodes(predictor: Predictor, validation: Split, test: Split) -> dict[str, Any]:
    """Episodes of the test that an alert preceded."""
    kept, risks = (predictor.predict_proba(split.seen)[:, 1] for split in (validation, test))
    alarms = risks > kept.max()
    failed = _failed(test.table)["time"]
    number = (failed.diff().fill_null(0) > EPISODE_SECONDS * SECOND).cum_sum()
    times = test.table["time"].to_physical().to_numpy()
    ahead = test.table["seconds_to_failure"].fill_null(np.nan).to_numpy()
    of = dict(zip(failed, number, strict=True))
    foretold = {
        of[int(time + round(seconds * SECOND))]
        for time, seconds in zip(times[alarms & test.labels], ahead[alarms & test.labels], strict=True)
    }
    return {
        "average_precision": average_precision(test.labels, risks),
        "auroc": auroc(test.labels, risks),
        "episodes": number.n_unique(),
        "episodes_foretold": len(foretold),
        "false_alarms": int((alarms & ~test.labels).sum()),
    }
