"""The normal forms that a detector knows, and new wordings of them, which are read as what they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.matching import READ_ANEW, Matching, candidates
from biglog.tasks.anomaly.reading import read_as
from biglog.tasks.anomaly.view import View
from biglog.tasks.groups import Floats, Groups

Vectors = NDArray[np.float32]
Encode = Callable[[pl.Series], Vectors]
"""Normal forms to their embeddings, float32, shape (n, hidden)."""


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Returns vectors of length 1; those without length stay as they are.

    Args:
        vectors: Shape (n, hidden).
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


@dataclass(frozen=True, eq=False)
class KnownForms:
    """Forms of groups that were normal, in order of first appearance.

    Attributes:
        forms: Normal forms, dtype String, shape (known,).
        vectors: Their embeddings, of length 1, shape (known, hidden).
        groups_with: How many groups have each of them, shape (known,).
        fitted: How many groups there were.
        matching: When a new form is read as the nearest known one.
    """

    forms: pl.Series
    vectors: Vectors
    groups_with: NDArray[np.int64]
    fitted: int
    matching: Matching = READ_ANEW

    @classmethod
    def of(cls, groups: Groups, encode: Encode, matching: Matching = READ_ANEW) -> KnownForms:
        """Takes the forms that groups have.

        Args:
            groups: The groups.
            encode: Embeds forms.
            matching: See the class.
        """
        used, forms = _used(groups)
        with_form = _groups_with(groups, np.ones(len(groups), dtype=np.int64))[used]
        return cls(forms, unit(encode(forms)), with_form, len(groups), matching)

    def __len__(self) -> int:
        return len(self.forms)

    @cached_property
    def severities(self) -> Floats:
        """Severity of each known form's words, shape (known,)."""
        return word_severity(self.forms)[0]

    def grown(self, groups: Groups, times: NDArray[np.int64], encode: Encode) -> KnownForms:
        """Returns these forms and, behind them, those that others have.

        Args:
            groups: All groups that are known from now on.
            times: How often each of them came, shape (groups,).
            encode: Embeds forms.
        """
        used, forms = _used(groups)
        new = forms.filter(~forms.is_in(self.forms.implode()))
        vectors = np.concatenate([self.vectors, unit(encode(new))]) if len(new) else self.vectors
        every = pl.concat([self.forms, new])
        with_form = pl.DataFrame({"form": forms, "groups": _groups_with(groups, times)[used]})
        counted = (
            every.rename("form").to_frame().join(with_form, on="form", how="left", maintain_order="left")
        )
        found = counted["groups"].fill_null(0).to_numpy()
        return KnownForms(every, vectors, found, int(times.sum()), self.matching)

    def view(self, groups: Groups, encode: Encode) -> View:
        """Shows groups in known forms, new wordings read as what they were.

        A new form is another wording of a known one, of the few nearest, if `matching` finds them alike, if
        both or neither of them speak of trouble, and if, in the group at hand, the known one is not there: a
        new version of a message replaces the old one, and does not stand beside it. Of several that could be
        the same, the likeliest is. A known form that most groups have, and this one lacks, is looked for the
        more (`biglog.tasks.anomaly.reading`).

        Args:
            groups: The groups.
            encode: Embeds the forms that are not known.
        """
        places, new = self._places(groups.forms)
        forms = pl.concat([self.forms, new])
        recoded = groups.recoded(forms, places)
        known = len(self)
        if not len(new):
            zeros = np.zeros(known)
            return View(recoded, known, self.vectors, zeros, self.groups_with, self.fitted, self.severities)
        vectors = unit(encode(new))
        found = candidates(new, vectors, self.forms, self.vectors)
        distances = np.concatenate([np.zeros(known), np.maximum(0.0, 1.0 - found.cosine[:, 0])])
        share = np.asarray((self.groups_with + 0.5) / (self.fitted + 1.0), dtype=np.float64)
        read = read_as(recoded, known, found, share, self.matching)
        every = np.concatenate([self.vectors, vectors])
        severities = np.concatenate([self.severities, word_severity(new)[0]])
        return View(read, known, every, distances, self.groups_with, self.fitted, severities)

    def _places(self, forms: pl.Series) -> tuple[NDArray[np.int64], pl.Series]:
        """The index of each form in the known ones and, behind them, the new ones; and those."""
        table = pl.DataFrame({"form": self.forms}).with_row_index("place")
        found = forms.rename("form").to_frame().join(table, on="form", how="left", maintain_order="left")
        missing = found["place"].is_null()
        new = found["form"].filter(missing)
        places = found["place"].cast(pl.Int64).fill_null(-1).to_numpy().copy()
        places[missing.to_numpy()] = len(self) + np.arange(len(new))
        return places, new


def _used(groups: Groups) -> tuple[NDArray[np.intp], pl.Series]:
    """The codes and the texts of the forms that a line has."""
    used = np.flatnonzero(np.bincount(groups.codes, minlength=len(groups.forms)))
    return used, groups.forms.gather(used).rename("form")


def _groups_with(groups: Groups, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many groups have each form, shape (forms,)."""
    counts = groups.counts
    owners = np.repeat(times, np.diff(counts.indptr))
    return np.bincount(counts.indices, owners, minlength=len(groups.forms)).astype(np.int64)
