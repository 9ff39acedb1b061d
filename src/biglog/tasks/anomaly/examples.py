"""Normal groups that are most like a group, and how it differs from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.tasks.anomaly.detector import Detector
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.anomaly.view import View
from biglog.tasks.groups import Floats

EXCERPT_LINES: Final = 20
"""Lines of an example that are shown."""


@dataclass(frozen=True)
class EventChange:
    """An event that two groups have unequally often.

    Attributes:
        form: Its normal form.
        lines: How many lines of it the group has.
        normal_lines: How many the normal example has.
    """

    form: str
    lines: int
    normal_lines: int


@dataclass(frozen=True)
class NormalExample:
    """A group that was learnt from as normal.

    Attributes:
        similarity: Jaccard's, of the sets of events: what both have of all that one of them has.
        times: How often the example came.
        lines: How many lines it has.
        excerpt: Normal forms of its first `EXCERPT_LINES` lines.
        added: Events that the group has and the example lacks.
        missing: Events that the example has and the group lacks.
        counts: Events that both have, unequally often.
    """

    similarity: float
    times: int
    lines: int
    excerpt: tuple[str, ...]
    added: tuple[EventChange, ...]
    missing: tuple[EventChange, ...]
    counts: tuple[EventChange, ...]


class NormalGroups:
    """The normal groups that a detector keeps.

    Args:
        detector: Fitted.
        encode: Embeds normal forms.
    """

    def __init__(self, detector: Detector, encode: Encode) -> None:
        rows = np.flatnonzero(detector.labels == 0)
        kept = detector.kept.take(rows) if len(rows) else None
        self._times = detector.times[rows]
        # A detector that was carried over to another system knows forms of that one, and keeps groups of its
        # own: those are no examples.
        used = np.unique(np.zeros(0, dtype=np.int32) if kept is None else kept.codes)
        forms = detector.kept.forms.gather(used)
        self.view: View | None = None
        if kept is not None and forms.is_in(detector.known.forms.implode()).all():
            self.view = detector.known.view(kept.recoded(forms, _places(len(kept.forms), used)), encode)

    @cached_property
    def _present(self) -> csr_matrix:
        assert self.view is not None
        return _ones(self.view.counts)

    @cached_property
    def _directions(self) -> csr_matrix:
        assert self.view is not None
        return _directions(self.view.counts)

    def nearest(self, view: View, row: int, most: int = 1) -> tuple[NormalExample, ...]:
        """Finds the normal groups whose sets of events are most like that of a group.

        Of equally like ones that with the most similar counts (cosine of their logarithms) comes first.

        Args:
            view: Groups as the detector sees them.
            row: One of them.
            most: How many examples at most.

        Returns:
            The nearest first; none where the detector keeps no normal groups of its system.
        """
        if self.view is None:
            return ()
        counts = view.counts[row]
        new = len(np.unique(view.groups.sequence(row)[view.groups.sequence(row) >= view.known]))
        both = np.asarray((_ones(counts) @ self._present.T).todense()).ravel()
        union = counts.nnz + new + np.asarray(self._present.sum(axis=1)).ravel() - both
        similarity: Floats = both / np.maximum(union, 1.0)
        cosine = np.asarray((_directions(counts) @ self._directions.T).todense()).ravel()
        order = np.lexsort((np.arange(len(cosine)), -np.round(cosine, 6), -similarity))[:most]
        return tuple(self._example(view, row, int(place), float(similarity[place])) for place in order)

    def _example(self, view: View, row: int, place: int, similarity: float) -> NormalExample:
        assert self.view is not None
        forms, width = view.groups.forms, len(view.groups.forms)
        here = np.bincount(view.groups.sequence(row), minlength=width)
        sequence = self.view.groups.sequence(place)
        there = np.bincount(sequence, minlength=width)
        changes = [
            EventChange(forms[int(code)], int(here[code]), int(there[code]))
            for code in np.flatnonzero(here != there)
        ]
        return NormalExample(
            similarity,
            int(self._times[place]),
            len(sequence),
            tuple(forms.gather(sequence[:EXCERPT_LINES]).to_list()),
            tuple(change for change in changes if not change.normal_lines),
            tuple(change for change in changes if not change.lines),
            tuple(change for change in changes if change.lines and change.normal_lines),
        )


def _places(forms: int, used: NDArray[np.integer]) -> NDArray[np.int64]:
    places = np.zeros(forms, dtype=np.int64)
    places[used] = np.arange(len(used))
    return places


def _ones(counts: csr_matrix) -> csr_matrix:
    return csr_matrix((np.ones(counts.nnz), counts.indices, counts.indptr), counts.shape)


def _directions(counts: csr_matrix) -> csr_matrix:
    """Logarithms of counts, each row of length 1."""
    logs = csr_matrix((np.log1p(counts.data), counts.indices, counts.indptr), counts.shape)
    lengths = np.sqrt(np.asarray(logs.multiply(logs).sum(axis=1)).ravel())
    scaled: csr_matrix = logs.multiply(1.0 / np.maximum(lengths, 1e-12)[:, None]).tocsr()
    return scaled
