"""Which lines make a group odd: it is scored again without each of its normal forms in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.tasks.anomaly.detector import Detector, Verdicts
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.known import Encode, unit
from biglog.tasks.anomaly.matching import nearest_known
from biglog.tasks.groups import Floats, Groups, Ints

MOST_FORMS: Final = 200
"""Distinct forms of a group that are left out in turn, at most; of more, those with the most evidence."""

MOST_POSITIONS: Final = 200
"""Lines of a group up to which, where order matters, single lines are left out too."""

LEVELS: Final = 10
"""Drops are told apart in so many steps of how far a group is above normal ones. Where several lines are
each reason enough, none of them alone takes much away; then what is left of the drops is no evidence."""

_MOST_LINES: Final = 1 << 24
_BATCH_LINES: Final = 1 << 20


@dataclass(frozen=True)
class LineReason:
    """A normal form of a group, and what it has to do with the group's score.

    Attributes:
        position: Place of a line of it in the group, from 0: the first, or, where order matters, the one
            whose leaving alone lowers the score most.
        form: The normal form.
        lines: How many lines of the group have it.
        weight: By how much the method's score falls when they are left out; below 0 it rises.
        is_new: Whether the detector takes it for an unknown form.
        nearest_form: Of a form that the detector was not fitted on, the nearest of those it was.
        cosine: How near that is; 1 for forms that it was fitted on.
        severity: How much trouble its words tell, 0 to 1.
        trouble_word: The word that does, or "".
    """

    position: int
    form: str
    lines: int
    weight: float
    is_new: bool
    nearest_form: str | None
    cosine: float
    severity: float
    trouble_word: str

    @property
    def evidence(self) -> float:
        """How odd the form is by itself, whatever the method: distance, more where it tells of trouble."""
        return max(0.0, 1.0 - self.cosine) * self.is_new * (0.5 + self.severity)


@dataclass(frozen=True)
class RankedLines:
    """The forms of a group, the one that makes it most odd first.

    Attributes:
        lines: Those that were left out in turn, ranked.
        forms: Distinct forms of the group.
        raw: The method's score of the whole group.
    """

    lines: tuple[LineReason, ...]
    forms: int
    raw: float

    @property
    def considered(self) -> int:
        """How many forms were left out in turn; fewer than `forms` in groups of many forms or lines."""
        return len(self.lines)


def rank_lines(
    detector: Detector, groups: Groups, encode: Encode, most_forms: int = MOST_FORMS
) -> list[RankedLines]:
    """Ranks the forms of groups by how much the method's score falls without them.

    A group that would be empty falls to the score of the median of the normal groups that the detector was
    calibrated on (0 by most methods). Falls are told apart in `LEVELS` steps; in
    a step, forms are ranked by their own evidence (distance to known forms, times 0.5 and their severity),
    then by how few groups that were learnt from have them, then by place.

    Args:
        detector: Fitted.
        groups: The groups.
        encode: Embeds normal forms.
        most_forms: See `MOST_FORMS`. Of groups of more than 80,000 lines fewer are left out in turn, so that
            no group asks for more than 16 million lines to be scored.

    Returns:
        One a group, in order.
    """
    told = detector.verdicts(_compact(groups), encode)
    cases = _Cases(detector, told, encode)
    chosen = [cases.chosen(row, most_forms) for row in range(len(told.distinct))]
    without = _without_forms(detector, told.distinct, chosen, encode)
    alone = _without_lines(detector, told.distinct, chosen, encode) if detector.method.ordered else {}
    raw = np.empty(len(told.distinct))
    raw[told.place] = told.raw
    ranked = [cases.ranked(row, raw[row], chosen[row], without[row], alone) for row in range(len(chosen))]
    return [ranked[place] for place in told.place.tolist()]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Forms of a group that are left out in turn: codes, first places, lines; and how many there are."""

    codes: Ints
    first: Ints
    lines: Ints
    seen: Ints
    forms: int


class _Cases:
    """What is known of every form, and how the forms of a group are put in order."""

    def __init__(self, detector: Detector, told: Verdicts, encode: Encode) -> None:
        self._told, self._detector = told, detector
        forms = told.distinct.forms.rename("form")
        self._texts = forms.to_list()
        self._severity, self._words = word_severity(forms)
        self._nearest, self._cosine = _nearest(detector, forms, encode)
        calibration = detector.calibration
        self._normal = 0.0 if calibration is None else float(np.median(calibration.normal))

    def chosen(self, row: int, most: int) -> _Chosen:
        distinct, view = self._told.distinct, self._told.view
        codes, first, lines = np.unique(distinct.sequence(row), return_index=True, return_counts=True)
        seen = view.groups.sequence(row)[first]
        limit = max(1, min(most, _MOST_LINES // int(distinct.sizes[row])))
        kept = np.arange(len(codes))
        if len(codes) > limit:
            evidence = view.distances[seen] * (0.5 + self._severity[codes])
            kept = np.sort(np.lexsort((first, self._common(seen), -evidence))[:limit])
        return _Chosen(codes[kept], first[kept], lines[kept], seen[kept], len(codes))

    def _common(self, seen: Ints) -> Ints:
        """In how many groups that were learnt from forms are, by their codes in the view."""
        known = self._detector.known.groups_with
        return np.where(seen < len(known), known[np.minimum(seen, len(known) - 1)], 0)

    def ranked(
        self, row: int, raw: float, chosen: _Chosen, without: Floats, alone: dict[tuple[int, int], Floats]
    ) -> RankedLines:
        """Puts the forms of a group in order."""
        above = raw - self._normal
        drops = np.where(np.isnan(without), above, raw - without)
        scale = above if above > 0 else max(float(np.abs(drops).max()), 1e-12)
        # Rounded twice: what batches change in the last digits must not change the order.
        steps = np.round(np.round(drops / scale * LEVELS, 5))
        view = self._told.view
        evidence = view.distances[chosen.seen] * (0.5 + self._severity[chosen.codes])
        order = np.lexsort((chosen.first, self._common(chosen.seen), -np.round(evidence, 6), -steps))
        lines = tuple(self._reason(row, chosen, place, float(drops[place]), alone) for place in order)
        return RankedLines(lines, chosen.forms, float(raw))

    def _reason(
        self, row: int, chosen: _Chosen, place: int, drop: float, alone: dict[tuple[int, int], Floats]
    ) -> LineReason:
        code = int(chosen.codes[place])
        position = int(chosen.first[place])
        if (row, code) in alone:
            at = np.flatnonzero(self._told.distinct.sequence(row) == code)
            position = int(at[np.argmin(np.round(alone[row, code], 5))])
        nearest = int(self._nearest[code])
        return LineReason(
            position,
            self._texts[code],
            int(chosen.lines[place]),
            drop,
            bool(chosen.seen[place] >= self._told.view.known),
            None if nearest < 0 else self._detector.known.forms[nearest],
            float(self._cosine[code]),
            float(self._severity[code]),
            self._words[code],
        )


def _compact(groups: Groups) -> Groups:
    """The same groups with no forms but their own: the others need not be embedded."""
    used, codes = np.unique(groups.codes, return_inverse=True)
    if len(used) == len(groups.forms):
        return groups
    return Groups(groups.forms.gather(used), codes.reshape(-1).astype(np.int32), groups.offsets, groups.ids)


def _nearest(detector: Detector, forms: pl.Series, encode: Encode) -> tuple[Ints, Floats]:
    """The nearest known form of each form that is not one itself, else -1; and its cosine, else 1."""
    index, cosine = np.full(len(forms), -1), np.ones(len(forms))
    new = np.flatnonzero(~forms.is_in(detector.known.forms.implode()).to_numpy())
    if len(new):
        found, near = nearest_known(unit(encode(forms.gather(new))), detector.known.vectors)
        index[new], cosine[new] = found, np.minimum(near, 1.0)
    return index, cosine


def _without_forms(detector: Detector, groups: Groups, chosen: list[_Chosen], encode: Encode) -> list[Floats]:
    """Scores of each group without each of its chosen forms; NaN where nothing would be left."""

    def variants() -> Iterator[NDArray[np.int32]]:
        for row, one in enumerate(chosen):
            sequence = groups.sequence(row)
            for code in one.codes:
                yield sequence[sequence != code]

    scores = _scores(detector, groups, variants(), encode)
    return np.split(scores, np.cumsum([len(one.codes) for one in chosen])[:-1])


def _without_lines(
    detector: Detector, groups: Groups, chosen: list[_Chosen], encode: Encode
) -> dict[tuple[int, int], Floats]:
    """Scores of groups without single lines, by group and form, where a group is not too long."""
    places = {
        (row, int(code)): np.flatnonzero(groups.sequence(row) == code)
        for row, one in enumerate(chosen)
        if 1 < groups.sizes[row] <= MOST_POSITIONS
        for code in one.codes
    }
    variants = (np.delete(groups.sequence(row), at) for (row, _), found in places.items() for at in found)
    scores = _scores(detector, groups, variants, encode)
    parts = np.split(scores, np.cumsum([len(found) for found in places.values()])[:-1]) if places else []
    return dict(zip(places, parts, strict=True))


def _scores(
    detector: Detector, groups: Groups, variants: Iterable[NDArray[np.int32]], encode: Encode
) -> Floats:
    """Scores sequences of codes of a group's forms, in batches of bounded size; NaN for empty ones."""
    found: list[Floats] = []
    batch: list[NDArray[np.int32]] = []
    lines = 0
    for variant in variants:
        batch.append(variant)
        lines += len(variant)
        if lines >= _BATCH_LINES:
            found.append(_batch_scores(detector, groups, batch, encode))
            batch, lines = [], 0
    found.append(_batch_scores(detector, groups, batch, encode))
    return np.concatenate(found)


def _batch_scores(
    detector: Detector, groups: Groups, batch: list[NDArray[np.int32]], encode: Encode
) -> Floats:
    sizes = np.array([len(variant) for variant in batch], dtype=np.int64)
    scores = np.full(len(batch), np.nan)
    there = sizes > 0
    if there.any():
        offsets = np.concatenate([[0], np.cumsum(sizes[there])])
        ids = pl.Series(map(str, range(int(there.sum()))), dtype=pl.String)
        scored = _compact(Groups(groups.forms, np.concatenate(batch), offsets, ids))
        scores[there] = detector.verdicts(scored, encode).raw
    return scores
