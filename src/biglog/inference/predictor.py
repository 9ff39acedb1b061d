"""FailurePredictor: the risk that a component fails within a horizon, and the lines that speak for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from biglog.errors import CheckpointError, InputError, OutputError
from biglog.inference.encoder import LogEncoder
from biglog.inference.on_encoder import PROBE, OnEncoder, named_encoder, saved_folder
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.anomaly.saving import read_files, write_files
from biglog.tasks.anomaly.view import State
from biglog.tasks.failure.alerts import split_by_time, threshold_of
from biglog.tasks.failure.causes import components, precursors, reasons
from biglog.tasks.failure.clock import SECOND
from biglog.tasks.failure.histories import Histories, histories, labels_of
from biglog.tasks.failure.moments import latest, moments, read_failures, read_lines
from biglog.tasks.failure.predictors import Predictor
from biglog.tasks.groups import FORMS_COLUMN, Floats

SCHEMA: Final = "biglog-predictor/1"
FILES: Final = ("predictor_config.json", "predictor.safetensors", "predictor.skops")

MAX_CAUSES: Final = 200
"""Events and components that are saved with a predictor, those that say most."""

_TIME: Final = pl.Datetime("us", "UTC")


@dataclass
class _Fitted:
    """What was learnt; frames as the methods of the class return them."""

    predictor: Predictor
    threshold: float
    base_risk: float
    history_seconds: float | None
    horizon_seconds: float | None
    failures: pl.DataFrame
    events: pl.DataFrame
    components: pl.DataFrame


class FailurePredictor(OnEncoder, ClassifierMixin, BaseEstimator):
    """Predicts whether a component fails within a horizon.

    A history is either given as such, by a table with the columns of the table of failures (`group_id`,
    `time`, `normal_forms`, `is_failure`, and perhaps `times`, `history_seconds`, `horizon_seconds`,
    `seconds_to_failure`, `maintenance`); or as lines (`time`, `content` or `normal_form`, perhaps
    `component`)
    beside a list of failures (`time`, perhaps `component`), of which histories are made on a grid of time.
    Moments before maintenance, where many components fail within a minute, are not learnt from.

    Example:
        >>> predictor = FailurePredictor(encoder).fit(lines, failures)  # doctest: +SKIP
        >>> predictor.predict(lines)  # doctest: +SKIP

    Args:
        encoder: Of lines; None is the embedded biglog-mini.
        method: One of `biglog.tasks.failure.predictors.METHODS`.
        features: Blocks of `biglog.tasks.failure.features.BLOCKS`; None takes the method's own.
        history_seconds: Seconds that a history of lines reaches back.
        horizon_seconds: How far the prediction reaches, of lines.
        grid_seconds: Seconds between moments; None is a sixth of the horizon.
        false_alarms_per_day: Budget that the threshold keeps on validation data, of all components together;
            None chooses it by Matthews' correlation there.
        seed: Of what is drawn.

    Attributes:
        classes_: False and True.
    """

    classes_: NDArray[np.bool_]

    def __init__(
        self,
        encoder: LogEncoder | None = None,
        method: str = "reduced",
        features: Sequence[str] | None = None,
        *,
        history_seconds: float = 86_400.0,
        horizon_seconds: float = 3_600.0,
        grid_seconds: float | None = None,
        false_alarms_per_day: float | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.method = method
        self.features = features
        self.history_seconds = history_seconds
        self.horizon_seconds = horizon_seconds
        self.grid_seconds = grid_seconds
        self.false_alarms_per_day = false_alarms_per_day
        self.seed = seed

    # -- learning --

    def fit(
        self,
        history: pl.DataFrame,
        failures: pl.DataFrame | Sequence[bool] | None = None,
        *,
        lines: pl.DataFrame | None = None,
        validation: pl.DataFrame | None = None,
    ) -> Self:
        """Learns from histories before failures and others.

        The threshold is chosen on histories that are not learnt from: `validation`, or else those from the
        last quarter of the failures on.

        Args:
            history: A table of histories, or lines.
            failures: Of lines, the list of failures. Of histories, labels, shape (histories,), in place of
                the column is_failure; or a list of failures (`group_id`, `time`), which tells how long ago
                the last one was.
            lines: Columns line_id and timestamp, for the times of a table's lines.
            validation: A table of histories to choose the threshold by.

        Raises:
            InputError: Labels are fewer or more than histories or of one class, a time is missing, a history
                has no lines or a line later than its moment, or failures are too few to choose a threshold.
        """
        table, known = self._table(history, failures)
        learnt = _without_maintenance(table)
        if validation is None:
            first, second = split_by_time(learnt)
            learnt, kept = learnt[first], learnt[second]
        else:
            kept = _without_maintenance(validation)
            labels_of(kept, None, len(kept))
        seen = histories(learnt, encode=self._encode, lines=lines, failures=known)
        labels = labels_of(learnt, None, len(seen))
        predictor = Predictor(self.method, self.features, self.seed).fit(seen, labels)
        judged = histories(kept, encode=self._encode, lines=lines, failures=known)
        risks = predictor.predict_proba(judged)[:, 1]
        threshold = threshold_of(kept, risks, self.false_alarms_per_day)
        self.classes_ = predictor.classes_
        self._state = _Fitted(
            predictor,
            threshold,
            float(np.median(predictor.predict_proba(seen)[:, 1])),
            _seconds(learnt, "history_seconds"),
            _seconds(learnt, "horizon_seconds"),
            known,
            precursors(seen, learnt).head(MAX_CAUSES),
            components(seen, learnt).head(MAX_CAUSES),
        )
        return self

    def _table(
        self, history: pl.DataFrame, failures: pl.DataFrame | Sequence[bool] | None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The table of histories, and the failures that are known."""
        if FORMS_COLUMN in history.columns:
            labels = None if isinstance(failures, pl.DataFrame) else failures
            told = labels_of(history, labels, len(history))
            table = history.with_columns(is_failure=pl.Series(told.astype(np.bool_)))
            known = read_failures(failures) if isinstance(failures, pl.DataFrame) else _told_by(table)
            return table, known.select("group_id", "time")
        if not isinstance(failures, pl.DataFrame):
            raise InputError("lines need a list of failures", remedy="Give a table with a column time")
        listed, read = read_failures(failures), read_lines(history)
        _check_components(read, listed)
        table = moments(
            read,
            listed,
            history_seconds=self.history_seconds,
            horizon_seconds=self.horizon_seconds,
            grid_seconds=self.grid_seconds,
        )
        return table, listed.select("group_id", "time")

    # -- judging --

    def predict_proba(self, now: pl.DataFrame, failures: pl.DataFrame | None = None) -> Floats:
        """Returns the probability of no failure and of one, shape (histories, 2).

        Classes weigh the same where they were learnt, so it says how much a history looks like those before
        failures; `threshold` says from where on that is an alert.

        Args:
            now: A table of histories; or lines, of which each component's history up to the last line of all
                is taken, as in `risks`.
            failures: Failures that are known now (`time`, `component`), beside those of `fit`.
        """
        state = self._fitted()
        return state.predictor.predict_proba(self._seen(self._now(now), failures))

    def predict(self, now: pl.DataFrame, failures: pl.DataFrame | None = None) -> NDArray[np.bool_]:
        """Returns whether each history is an alert, shape (histories,)."""
        return self.predict_proba(now, failures)[:, 1] >= self._fitted().threshold

    def score(self, now: pl.DataFrame, labels: Sequence[bool] | None = None) -> float:
        """Returns Matthews' correlation of alerts and failures.

        Args:
            now: A table of histories.
            labels: Whether a failure followed; None takes the column is_failure.
        """
        from biglog.metrics.detection import confusion

        alerts = self.predict(now)
        return confusion(labels_of(now, labels, len(alerts)), alerts).mcc

    def risks(
        self, now: pl.DataFrame, failures: pl.DataFrame | None = None, *, at: datetime | None = None
    ) -> pl.DataFrame:
        """Tells the risk of each component or history.

        Args:
            now: As of `predict_proba`.
            failures: As of `predict_proba`.
            at: The moment, where lines are given; None is the time of the last one.

        Returns:
            One row a history, in their order: `group_id`, `time`, `lines`, `risk`, `threshold`, `is_alert`.
        """
        state = self._fitted()
        seen = self._seen(self._now(now, at), failures)
        risk = state.predictor.predict_proba(seen)[:, 1]
        return pl.DataFrame(
            {
                "group_id": seen.groups.ids,
                "time": pl.Series(seen.moments).cast(_TIME),
                "lines": seen.groups.sizes,
                "risk": risk,
                "threshold": np.full(len(risk), state.threshold),
                "is_alert": risk >= state.threshold,
            }
        )

    def reasons(
        self,
        now: pl.DataFrame,
        failures: pl.DataFrame | None = None,
        *,
        at: datetime | None = None,
        top: int = 5,
    ) -> pl.DataFrame:
        """Tells which events a risk hangs on: by how much it falls where all their lines are left out.

        Args:
            now: As of `predict_proba`.
            failures: As of `predict_proba`.
            at: As of `risks`.
            top: The most events of a history.

        Returns:
            Rows by history, those that raise the risk most first: `history` (its number), `group_id`,
            `normal_form`, `lines`, `risk_change` (risk with less risk without), `last_seconds` (age of the
            youngest line).
        """
        state = self._fitted()
        seen = self._seen(self._now(now, at), failures)
        return reasons(seen, lambda some: state.predictor.predict_proba(some)[:, 1], state.base_risk, top)

    def causes(self, top: int = 20) -> dict[str, pl.DataFrame]:
        """Tells what preceded the failures of the training, contrasted with normal time.

        Args:
            top: The most rows of each.

        Returns:
            `events` as of `biglog.tasks.failure.causes.precursors`, and `components` as of
            `biglog.tasks.failure.causes.components`.
        """
        state = self._fitted()
        return {"events": state.events.head(top), "components": state.components.head(top)}

    @property
    def threshold(self) -> float:
        """A risk that reaches it is an alert."""
        return self._fitted().threshold

    # -- files --

    def save_pretrained(self, folder: str | Path) -> None:
        """Saves the predictor: JSON, safetensors, skops; no pickle. The encoder is named, not copied.

        Raises:
            OutputError: It cannot be written.
        """
        state, target = self._fitted(), Path(folder)
        inner = state.predictor.state()
        config = {
            "schema": SCHEMA,
            "masking_version": MASKING_VERSION,
            "encoder": self._encoder().name,
            "settings": {name: _plain(value) for name, value in self._settings().items()},
            "predictor": inner.config,
            "threshold": state.threshold,
            "base_risk": state.base_risk,
            "history_seconds": state.history_seconds,
            "horizon_seconds": state.horizon_seconds,
            "known_failures": state.failures["group_id"].to_list(),
            "events": state.events.to_dict(as_series=False),
            "components": state.components.to_dict(as_series=False),
        }
        arrays = {f"predictor.{name}": array for name, array in inner.arrays.items()}
        arrays |= {PROBE: self._probe(), "known_failures": state.failures["time"].to_numpy()}
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"the predictor cannot be written ({error.strerror or error})"
            raise OutputError(problem, where=target, remedy="Check folder and space") from error
        write_files(target, config, arrays, inner.estimators, FILES)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, encoder: LogEncoder | None = None, *, revision: str | None = None
    ) -> Self:
        """Loads a predictor.

        Args:
            name_or_path: A folder, or a Hub id.
            encoder: Of lines; None is the one that the predictor names.
            revision: Branch, tag or commit of a Hub repository.

        Raises:
            CheckpointError: It is missing or damaged, or the encoder is another one than it was saved with.
        """
        place = saved_folder(name_or_path, FILES, "predictor", revision)
        config, arrays, estimators = read_files(place, FILES, SCHEMA)
        own = named_encoder(config, arrays, encoder, place)
        try:
            loaded = cls(own, **config["settings"])
            loaded._state = _unpacked(config, arrays, estimators)
        except (KeyError, ValueError, TypeError) as error:
            problem, remedy = f"the predictor cannot be loaded: {error!r}", "Fetch or save it again"
            raise CheckpointError(problem, where=place, remedy=remedy) from error
        loaded.classes_ = loaded._state.predictor.classes_
        return loaded

    # -- inside --

    def _now(self, now: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
        if FORMS_COLUMN in now.columns:
            return now
        seconds = self._fitted().history_seconds or self.history_seconds
        return latest(read_lines(now), history_seconds=seconds, now=at)

    def _seen(self, table: pl.DataFrame, failures: pl.DataFrame | None) -> Histories:
        known = self._fitted().failures
        if failures is not None:
            known = pl.concat([known, read_failures(failures).select("group_id", "time")])
        return histories(table, encode=self._encode, failures=known)

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_params(deep=False).items() if name != "encoder"}

    def _fitted(self) -> _Fitted:
        if not hasattr(self, "_state"):
            raise InputError("this predictor is not fitted", remedy="Call fit first, or from_pretrained")
        return self._state


def _unpacked(config: dict[str, Any], arrays: dict[str, NDArray[Any]], estimators: dict[str, Any]) -> _Fitted:
    own = {n.removeprefix("predictor."): a for n, a in arrays.items() if n.startswith("predictor.")}
    times = pl.Series(arrays["known_failures"], dtype=pl.Int64)
    names = pl.Series(config["known_failures"], dtype=pl.String)
    return _Fitted(
        Predictor.from_state(State(config["predictor"], own, estimators)),
        float(config["threshold"]),
        float(config["base_risk"]),
        config["history_seconds"],
        config["horizon_seconds"],
        pl.DataFrame({"group_id": names, "time": times}),
        pl.DataFrame(config["events"]),
        pl.DataFrame(config["components"]),
    )


def _without_maintenance(table: pl.DataFrame) -> pl.DataFrame:
    if "maintenance" not in table.columns:
        return table
    return table.filter(~pl.col("maintenance").fill_null(False))


def _told_by(table: pl.DataFrame) -> pl.DataFrame:
    """The failures that a table of histories tells of."""
    if "seconds_to_failure" not in table.columns:
        return pl.DataFrame(schema={"group_id": pl.String, "time": pl.Int64})
    told = table.filter(pl.col("is_failure") & pl.col("seconds_to_failure").is_not_null())
    time = pl.col("time").cast(_TIME).to_physical()
    ahead = (pl.col("seconds_to_failure") * SECOND).round().cast(pl.Int64)
    return told.select(pl.col("group_id").cast(pl.String), time=time + ahead).unique(maintain_order=True)


def _check_components(lines: pl.DataFrame, failures: pl.DataFrame) -> None:
    if not failures["group_id"].is_in(lines["group_id"].unique().implode()).any():
        raise InputError(
            f"no line is of a component that failed ({failures['group_id'][0]}, ...)",
            remedy=f"Components of the lines: {', '.join(lines['group_id'].unique().sort().head(5))}",
        )


def _seconds(table: pl.DataFrame, column: str) -> float | None:
    """The one number of seconds that all histories have, if they have one."""
    if column not in table.columns or table[column].n_unique() != 1:
        return None
    value = table[column][0]
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
