"""AnomalyDetector: anomalies among groups of lines, with scikit-learn's verbs, on any encoder of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from biglog.data.kept_files import write_whole
from biglog.errors import InputError
from biglog.inference.encoder import LogEncoder
from biglog.inference.on_encoder import PROBE, OnEncoder, named_encoder, saved_folder
from biglog.tasks.anomaly.detector import AUTO, Detector, Settings, Verdicts
from biglog.tasks.anomaly.known import KnownForms
from biglog.tasks.anomaly.methods import METHODS
from biglog.tasks.anomaly.proposing import propose
from biglog.tasks.anomaly.saving import ARRAYS, CONFIG, ESTIMATORS, load_detector, save_detector
from biglog.tasks.anomaly.view import Labels
from biglog.tasks.groups import Floats, Groups

SCHEMA: Final = pl.Schema(
    {
        "group_id": pl.String(),
        "alert_id": pl.String(),
        "lines": pl.Int64(),
        "anomaly_score": pl.Float64(),
        "threshold": pl.Float64(),
        "is_anomaly": pl.Boolean(),
        "confidence": pl.Float64(),
    }
)
"""Columns of what `AnomalyDetector.detect` returns."""


class AnomalyDetector(OnEncoder, OutlierMixin, BaseEstimator):
    """Detects anomalous groups of lines: sessions, or windows.

    Signs are scikit-learn's where the verbs are: `score_samples` and `decision_function` are lower for odder
    groups, `predict` says -1 for an anomaly and 1 for a normal group. `detect` says it in our words:
    `anomaly_score` in [0, 1] is higher for odder groups.

    Args:
        encoder: Of lines; None is the embedded biglog-mini.
        method: One of `biglog.tasks.anomaly.methods.METHODS`, or "auto": rules on sets and proportions of
            events where normal groups mostly have sets that came before (sessions), else novelty, which
            weighs how far lines are from all known ones with how much trouble they tell (windows).
        features: Blocks of features for methods that take them, of `biglog.tasks.anomaly.features.BLOCKS`.
        false_alarm_budget: Share of normal groups that may be alarmed, kept on the last fifth of the normal
            groups that it is fitted on; None is 0.01, and for supervised methods even odds.
        match_threshold: How alike (0 to 1) a new form must be to the nearest known one to be read as another
            wording of it; above 1 never.
        seed: Of what is drawn.

    Attributes:
        detector_: What was fitted.
    """

    detector_: Detector

    def __init__(
        self,
        encoder: LogEncoder | None = None,
        method: str = AUTO,
        *,
        features: Sequence[str] | None = None,
        false_alarm_budget: float | None = None,
        match_threshold: float = 0.3,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.method = method
        self.features = features
        self.false_alarm_budget = false_alarm_budget
        self.match_threshold = match_threshold
        self.seed = seed

    # -- learning --

    def fit(self, groups: Any, y: Labels | Sequence[int] | None = None) -> Self:
        """Learns what is normal, or, by a supervised method, what is anomalous.

        Args:
            groups: Groups in order of time: lists of contents, a table with a list column `normal_forms` or
                `contents` (such as the table of windows), or `Groups`.
            y: 0 for normal and 1 for anomalous groups, shape (groups,). Unsupervised methods leave anomalous
                ones out; without labels all are taken for normal. Supervised ones take -1 for a group
                without label, which then counts as the nearest labelled one (see `propose`).

        Raises:
            InputError: There are no groups, one has no lines, or labels are not what the method needs.
        """
        if self.method not in (*METHODS, AUTO):
            raise InputError(
                f"there is no method {self.method!r}", remedy=f"Choose of {', '.join((AUTO, *METHODS))}"
            )
        settings = Settings(
            self.method,
            None if self.features is None else tuple(self.features),
            self.false_alarm_budget,
            self.match_threshold,
            self.seed,
        )
        self.detector_ = Detector.fit(settings, Groups.of(groups), self._encode, _labels(y))
        return self

    def partial_fit(self, groups: Any, y: Labels | Sequence[int] | None = None) -> Self:
        """Learns on from further groups; the threshold stays as it is.

        Args:
            groups: As of `fit`, later than those before.
            y: As of `fit`.
        """
        if not hasattr(self, "detector_"):
            return self.fit(groups, y)
        self.detector_ = self.detector_.updated(Groups.of(groups), self._encode, _labels(y))
        return self

    def transfer(self, groups: Any) -> AnomalyDetector:
        """Returns a detector for another system, of which there are groups without labels.

        Args:
            groups: Groups of the other system; they say which lines are usual there.

        Raises:
            InputError: What was learnt is bound to the events of its own system.
        """
        moved = type(self)(**self.get_params(deep=False))
        moved.detector_ = self._fitted().moved(Groups.of(groups), self._encode)
        return moved

    def propose(self, groups: Any, count: int = 20) -> NDArray[np.int64]:
        """Chooses groups that are worth a label: those that stand for many others.

        Args:
            groups: Groups without labels, as of `fit`.
            count: How many to choose, at most.

        Returns:
            Their positions, ascending.
        """
        taken = Groups.of(groups)
        return propose(KnownForms.of(taken, self._encode).view(taken, self._encode), count, self.seed)

    # -- judging --

    def detect(self, groups: Any) -> pl.DataFrame:
        """Judges groups.

        Returns:
            One row a group, columns of `SCHEMA`. `alert_id` is the same for groups with equal normal forms;
            `confidence` is how sure the verdict is (`biglog.tasks.anomaly.calibration`).
        """
        taken = Groups.of(groups)
        told = self.verdicts(taken)
        return pl.DataFrame(
            {
                "group_id": taken.ids,
                "alert_id": told.distinct.identities().gather(told.place),
                "lines": taken.sizes,
                "anomaly_score": told.scores,
                "threshold": np.full(len(taken), told.threshold),
                "is_anomaly": told.is_anomaly,
                "confidence": told.confidence,
            },
            schema=SCHEMA,
        )

    def verdicts(self, groups: Any) -> Verdicts:
        """Judges groups, as arrays."""
        return self._fitted().verdicts(Groups.of(groups), self._encode)

    def score_samples(self, groups: Any) -> Floats:
        """Returns 1 less the anomaly score, shape (groups,): lower is odder, as scikit-learn has it."""
        return 1.0 - self.verdicts(groups).scores

    def decision_function(self, groups: Any) -> Floats:
        """Returns how far groups are on the normal side, shape (groups,): below 0 is an anomaly."""
        told = self.verdicts(groups)
        return np.where(told.is_anomaly, -1.0, 1.0) * np.abs(told.threshold - told.scores)

    def predict(self, groups: Any) -> NDArray[np.int64]:
        """Returns -1 for anomalies and 1 for normal groups, shape (groups,)."""
        return np.where(self.verdicts(groups).is_anomaly, -1, 1)

    @property
    def threshold(self) -> float:
        """Groups whose anomaly score is above it are anomalies."""
        calibration = self._fitted().calibration
        return 0.5 if calibration is None else calibration.threshold

    @property
    def chosen_method(self) -> str:
        """The method that was fitted: with "auto", the one that was chosen."""
        return self._fitted().settings.method

    # -- files --

    def save_pretrained(self, folder: str | Path) -> None:
        """Saves the detector as a Hub folder: JSON, safetensors, skops; no pickle.

        The encoder is named in it, not copied.

        Raises:
            OutputError: It cannot be written.
        """
        record = {"encoder": self._encoder().name, "hidden_size": self._encoder().hidden_size}
        save_detector(self._fitted(), Path(folder), record, {PROBE: self._probe()})
        card = _card(self._fitted(), self._encoder().name)
        write_whole(Path(folder) / "README.md", lambda to: to.write_text(card, encoding="utf-8"))

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, encoder: LogEncoder | None = None, *, revision: str | None = None
    ) -> AnomalyDetector:
        """Loads a detector.

        Args:
            name_or_path: A folder, or a Hub id.
            encoder: Of lines; None is the one that the detector names.
            revision: Branch, tag or commit of a Hub repository.

        Raises:
            CheckpointError: It is missing or damaged, or the encoder is another one than it was saved with.
        """
        folder = saved_folder(name_or_path, (CONFIG, ARRAYS, ESTIMATORS), "detector", revision)
        fitted, config, arrays = load_detector(folder)
        own = named_encoder(config, arrays, encoder, folder)
        settings = fitted.settings
        loaded = cls(
            own,
            settings.method,
            features=settings.features,
            false_alarm_budget=settings.false_alarm_budget,
            match_threshold=settings.match_threshold,
            seed=settings.seed,
        )
        loaded.detector_ = fitted
        return loaded

    def _fitted(self) -> Detector:
        if not hasattr(self, "detector_"):
            raise InputError("this detector is not fitted", remedy="Call fit first, or from_pretrained")
        return self.detector_


def _labels(y: Labels | Sequence[int] | None) -> Labels | None:
    return None if y is None else np.asarray(y)


def _card(detector: Detector, encoder: str) -> str:
    """A model card's beginning: how to load it, and what it is."""
    settings = json.dumps(
        {"method": detector.settings.method, "features": detector.settings.features}, default=str
    )
    return f"""---
library_name: biglog
tags: [log-analysis, anomaly-detection]
base_model: {encoder}
---

# A detector of anomalous groups of log lines

`biglog.AnomalyDetector.from_pretrained(...)`; {settings}. Fitted on {int(detector.times.sum()):,} groups with
{len(detector.known):,} normal forms; false-alarm budget {detector.settings.budget:.2%} of normal groups.
It names its encoder and does not hold it. No pickle: JSON, safetensors, and skops for scikit-learn's
estimators.
"""
