"""A detector: known forms, a method, its calibration, and the groups that it goes on learning from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.tasks.anomaly.calibration import Calibration
from biglog.tasks.anomaly.classifiers import CLASSIFIERS, ClassifierMethod, two_classes
from biglog.tasks.anomaly.features import PORTABLE
from biglog.tasks.anomaly.known import Encode, KnownForms
from biglog.tasks.anomaly.matching import Matching
from biglog.tasks.anomaly.methods import SUPERVISED, make_method
from biglog.tasks.anomaly.proposing import UNLABELLED, spread
from biglog.tasks.anomaly.view import Labels, Method, View
from biglog.tasks.groups import Floats, Groups

HELD_OUT: Final = 0.2
"""Share of the normal groups, the last ones, that the threshold is calibrated on."""

CALIBRATION_PARTS: Final = 10
"""Parts of these, each scored by what was fitted on all before it."""

MOST_KEPT: Final = 50_000
"""Distinct groups that a detector keeps to learn on from."""

AUTO: Final = "auto"

EVEN_ODDS: Final = 0.5
"""Threshold of a supervised method without a budget."""


@dataclass(frozen=True)
class Settings:
    """How a detector is made.

    Attributes:
        method: One of `biglog.tasks.anomaly.methods.METHODS`, or "auto": `invariants` where normal groups
            mostly have sets of events that came before, else `novelty`.
        features: Names of blocks of features; None is the method's default.
        false_alarm_budget: Share of normal groups that may be alarmed; None is 1 % for unsupervised methods,
            and a probability of one half for supervised ones.
        match_threshold: Likeness from which on a new form is read as the nearest known one; above 1 never.
        seed: Of what is drawn.
    """

    method: str = AUTO
    features: tuple[str, ...] | None = None
    false_alarm_budget: float | None = None
    match_threshold: float = 0.3
    seed: int = 0

    @property
    def supervised(self) -> bool:
        """Whether labels are needed."""
        return self.method in SUPERVISED

    @property
    def matching(self) -> Matching:
        """When a new form is another wording of a known one."""
        return Matching(threshold=self.match_threshold)

    @property
    def budget(self) -> float:
        """The false-alarm budget, or what stands for it."""
        return 0.01 if self.false_alarm_budget is None else self.false_alarm_budget


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a detector says of groups.

    Attributes:
        raw: Scores of the method, shape (groups,).
        scores: Scores in [0, 1], higher is more anomalous, shape (groups,).
        is_anomaly: Whether each is above the threshold, shape (groups,).
        confidence: How sure that is, 0 to 1, shape (groups,).
        threshold: The threshold of `scores`.
        distinct: The groups, equal ones once.
        view: Those as the detector saw them.
        place: For each group its row in `distinct` and `view`, shape (groups,).
    """

    raw: Floats
    scores: Floats
    is_anomaly: NDArray[np.bool_]
    confidence: Floats
    threshold: float
    distinct: Groups
    view: View
    place: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Detector:
    """A fitted detector.

    Attributes:
        settings: How it was made.
        known: The forms that it knows.
        method: The method, fitted.
        calibration: Of its scores; None where a supervised method has no budget.
        kept: The groups that it was fitted on, equal ones once, the latest last.
        times: How often each of them came, shape (kept,).
        labels: Their labels, 0 or 1, shape (kept,).
        accepted: Identities of groups that were said to be normal and that the method alone would still
            alarm.
    """

    settings: Settings
    known: KnownForms
    method: Method
    calibration: Calibration | None
    kept: Groups
    times: NDArray[np.int64]
    labels: NDArray[np.int8]
    accepted: frozenset[str] = frozenset()

    @classmethod
    def fit(
        cls, settings: Settings, groups: Groups, encode: Encode, labels: Labels | None = None
    ) -> Detector:
        """Fits a detector.

        Args:
            settings: How it is made.
            groups: Groups in order of time.
            encode: Embeds normal forms.
            labels: 0 for normal and 1 for anomalous groups. Without them all groups are taken for normal;
                an unsupervised method learns from the normal ones alone. A supervised one also takes -1, for
                groups that nobody has labelled: they count as the labelled group that is nearest.

        Raises:
            InputError: Labels are missing, of one class, or not one a group; or there is no normal group.
        """
        if settings.supervised and labels is not None and (np.asarray(labels) == UNLABELLED).any():
            labels = _spread(labels, groups, encode, settings)
        truth = checked(labels, len(groups), settings.supervised)
        if not settings.supervised and truth.any():
            groups, truth = groups.take(np.flatnonzero(truth == 0)), truth[truth == 0]
        settings = _resolved(settings, groups, encode, truth)
        known = KnownForms.of(groups, encode, settings.matching)
        method = _fitted(settings, known.view(groups, encode), truth)
        calibration = _calibrated(settings, groups, encode, truth)
        return cls(settings, known, method, calibration, *_compressed(groups, truth))

    def updated(self, groups: Groups, encode: Encode, labels: Labels | None = None) -> Detector:
        """Learns on: groups come to those that are known; the threshold stays.

        Methods whose scores have another scale whenever they are fitted get their threshold anew, from the
        groups that were known before.

        Args:
            groups: Further groups, later than those before.
            encode: Embeds normal forms.
            labels: 0 and 1 as of `fit`; without them all are normal.

        Raises:
            InputError: Labels are not one a group, or not 0 and 1.
        """
        truth = _told(labels, len(groups))
        current = self._taken_back(groups.identities().filter(pl.Series(truth == 1)))
        if not self.settings.supervised:
            keep = truth == 0
            if not keep.any():
                return current
            groups, truth = groups.take(np.flatnonzero(keep)), truth[keep]
        more, times, told = _compressed(groups, truth)
        learnt = current._joined_with(more, times, told, encode)
        normal = more.take(np.flatnonzero(told == 0)) if (told == 0).any() else None
        return learnt if normal is None else learnt._accepting(normal, encode)

    def _taken_back(self, odd: pl.Series) -> Detector:
        """Forgets normal groups that turned out to be none; what they taught goes when it is fitted next."""
        stays = ~(self.kept.identities().is_in(odd.implode()).to_numpy() & (self.labels == 0))
        rows = np.flatnonzero(stays)
        accepted = self.accepted - set(odd.to_list())
        if not len(odd) or not len(rows):
            return replace(self, accepted=accepted)
        kept = self.kept.take(rows)
        return replace(self, accepted=accepted, kept=kept, times=self.times[rows], labels=self.labels[rows])

    def _joined_with(
        self, more: Groups, times: NDArray[np.int64], told: NDArray[np.int8], encode: Encode
    ) -> Detector:
        joined, all_times, all_labels = _joined(
            (self.kept, self.times, self.labels), (more, times, told), MOST_KEPT
        )
        known = self.known.grown(joined, all_times, encode)
        # New groups first: the threshold is calibrated on what comes last, which was known before.
        order = np.roll(np.arange(len(joined)), len(joined) - len(self.kept))
        rows = np.repeat(order, np.minimum(all_times[order], _MOST_REPEATED))
        truth = all_labels[rows].astype(np.int64)
        # Exactly what was accepted is known now: a form is not read as another any more.
        method = _fitted(self.settings, known.view(joined, encode).take(rows), truth)
        calibration = self.calibration
        if self.settings.method in _SCALED_ANEW:
            calibration = _calibrated(self.settings, joined.take(rows), encode, truth)
        return replace(
            self,
            known=known,
            method=method,
            calibration=calibration,
            kept=joined,
            times=all_times,
            labels=all_labels,
        )

    def _accepting(self, groups: Groups, encode: Encode) -> Detector:
        """Remembers normal groups that the method alarms all the same: a user said so."""
        alarmed = self.verdicts(groups, encode)
        ids = alarmed.distinct.identities().gather(alarmed.place).filter(pl.Series(alarmed.is_anomaly))
        return replace(self, accepted=self.accepted | set(ids.to_list()))

    def moved(self, groups: Groups, encode: Encode) -> Detector:
        """Takes what was learnt from labels to another system, of which there are lines without labels.

        The forms that are known, and how rare they are, become those of the other system.

        Args:
            groups: Groups of the other system.
            encode: Embeds normal forms.

        Raises:
            InputError: The method is none that learnt from labels, or its features are of one system's
                events.
        """
        portable = isinstance(self.method, ClassifierMethod) and set(self.method.features) <= set(PORTABLE)
        if not portable:
            raise InputError(
                f"{self.settings.method} with features {self.settings.features} stays with its system",
                remedy=f"Fit one of {', '.join(CLASSIFIERS)} with features among {', '.join(PORTABLE)}",
            )
        known = KnownForms.of(groups, encode, self.settings.matching)
        return replace(self, known=known)

    def verdicts(self, groups: Groups, encode: Encode) -> Verdicts:
        """Judges groups.

        Args:
            groups: The groups.
            encode: Embeds normal forms.
        """
        distinct, place, _ = groups.distinct()
        view = self.known.view(distinct, encode)
        raw = np.asarray(self.method.score(view), dtype=np.float64)
        if self.accepted:
            told = distinct.identities().is_in(sorted(self.accepted)).to_numpy()
            raw[told] = 0.0 if self.calibration is None else self.calibration.normal[0]
        if self.calibration is None:
            scores, threshold = raw, EVEN_ODDS
            alarm, sure = raw > EVEN_ODDS, np.maximum(raw, 1.0 - raw)
        else:
            scores, threshold = self.calibration.scores(raw), self.calibration.threshold
            alarm, sure = raw > self.calibration.raw_threshold, self.calibration.confidence(raw)
        return Verdicts(
            raw[place], scores[place], alarm[place], sure[place], float(threshold), distinct, view, place
        )


_MOST_REPEATED: Final = 100
"""Beyond so many equal groups more of them say nothing new to a method that is fitted again."""


_SCALED_ANEW: Final = frozenset({"pca", "lof", "isolation_forest", "one_class_svm"})


def _told(labels: Labels | None, groups: int) -> NDArray[np.int64]:
    """Labels of groups to learn on from, which may all be of one class."""
    if labels is None:
        return np.zeros(groups, dtype=np.int64)
    truth = np.asarray(labels).astype(np.int64)
    if truth.shape != (groups,) or not np.isin(truth, (0, 1)).all():
        raise InputError(
            f"{truth.size} labels for {groups} groups, or labels that are not 0 and 1",
            remedy="Give one label a group: 0 is normal, 1 is anomalous",
        )
    return truth


def checked(labels: Labels | None, groups: int, supervised: bool) -> NDArray[np.int64]:
    """Checks labels; without them all groups are normal.

    Args:
        labels: As a caller gave them.
        groups: How many there should be.
        supervised: Whether both classes must be there.

    Raises:
        InputError: They are not one a group, not 0 and 1, or not of the classes that are needed.
    """
    if supervised:
        return two_classes(labels, groups).astype(np.int64)
    truth = _told(labels, groups)
    if truth.all():
        raise InputError(
            f"all {groups} groups are labelled anomalous", remedy="Give normal groups: they are learnt from"
        )
    return truth


def _spread(labels: Labels, groups: Groups, encode: Encode, settings: Settings) -> Labels:
    told = np.asarray(labels)
    if told.shape != (len(groups),):
        return told
    two_classes(told[told != UNLABELLED], int((told != UNLABELLED).sum()))
    return spread(KnownForms.of(groups, encode, settings.matching).view(groups, encode), told)


def _fitted(settings: Settings, view: View, truth: Labels) -> Method:
    method = make_method(settings.method, settings.features, settings.seed)
    return method.fit(view, truth if settings.supervised else None)


def _resolved(settings: Settings, groups: Groups, encode: Encode, truth: NDArray[np.int64]) -> Settings:
    """Chooses a method by normal groups alone: do sets of events come again?"""
    if settings.method != AUTO:
        return settings
    sets = _calibrated(replace(settings, method="event_set"), groups, encode, truth)
    assert sets is not None  # unsupervised methods are calibrated
    return replace(settings, method="novelty" if sets.raw_threshold > 0 else "invariants")


def _calibrated(
    settings: Settings, groups: Groups, encode: Encode, truth: NDArray[np.int64]
) -> Calibration | None:
    """Scores the last normal groups, part by part, each by a method fitted on all that came before it.

    So a new kind of normal group counts once: whoever is alarmed by it accepts it, and it is known from then
    on. Methods that are slow to fit are fitted once.
    """
    if settings.supervised and settings.false_alarm_budget is None:
        return None
    cut = max(1, int(len(groups) * (1.0 - HELD_OUT)))
    slow = settings.supervised or make_method(settings.method, settings.features).ordered
    parts = np.array_split(np.arange(cut, len(groups)), 1 if slow else CALIBRATION_PARTS)
    scores = []
    for after in (part[truth[part] == 0] for part in parts):
        before = np.arange(after[0]) if len(after) else after
        if not len(after) or (settings.supervised and len(np.unique(truth[before])) < 2):
            continue
        known = KnownForms.of(groups.take(before), encode, settings.matching)
        method = _fitted(settings, known.view(groups.take(before), encode), truth[before])
        scores.append(method.score(known.view(groups.take(after), encode)))
    if not scores:
        known = KnownForms.of(groups, encode, settings.matching)
        method = _fitted(settings, known.view(groups, encode), truth)
        normal = groups.take(np.flatnonzero(truth == 0))
        scores.append(method.score(known.view(normal, encode)))
    return Calibration.of(np.concatenate(scores), settings.budget)


def _compressed(
    groups: Groups, truth: NDArray[np.int64]
) -> tuple[Groups, NDArray[np.int64], NDArray[np.int8]]:
    """Equal groups once, with how often each came; one that has both labels has that of its last."""
    distinct, place, times = groups.distinct()
    labels = np.zeros(len(distinct), dtype=np.int8)
    labels[place] = truth
    return distinct, np.asarray(times, dtype=np.int64), labels


_Kept = tuple[Groups, NDArray[np.int64], NDArray[np.int8]]


def _joined(old: _Kept, new: _Kept, most: int) -> _Kept:
    """Kept groups and further ones; equal ones are one, the oldest leave first."""
    both = concatenated([old[0], new[0]])
    times, labels = np.concatenate([old[1], new[1]]), np.concatenate([old[2], new[2]])
    distinct, place, _ = both.distinct()
    summed = np.bincount(place, times, minlength=len(distinct)).astype(np.int64)
    told = np.zeros(len(distinct), dtype=np.int8)
    told[place] = labels
    last = np.arange(max(0, len(distinct) - most), len(distinct))
    return distinct.take(last), summed[last], told[last]


def concatenated(parts: Sequence[Groups]) -> Groups:
    """Puts groups one after the other.

    Args:
        parts: One at least.
    """
    forms = pl.concat([part.forms.rename("form") for part in parts]).unique(maintain_order=True)
    table = forms.to_frame().with_row_index("code")
    codes = []
    for part in parts:
        own = part.forms.rename("form").to_frame()
        mapped = own.join(table, on="form", how="left", maintain_order="left")["code"].to_numpy()
        codes.append(mapped.astype(np.int32)[part.codes])
    offsets = np.cumsum(np.concatenate([[0], *(part.sizes for part in parts)]))
    ids = pl.concat([part.ids.rename("group_id") for part in parts])
    return Groups(forms, np.concatenate(codes), offsets, ids)
