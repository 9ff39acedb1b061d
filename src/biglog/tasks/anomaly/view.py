"""What a detector is given: groups in the forms that it knows, and what to keep of it when it is saved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.groups import Floats, Groups

Labels = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class View:
    """Groups as a detector sees them.

    The forms that it was fitted on come first and keep their codes; forms that it does not know follow.
    Forms that were read as known ones (another wording of them) have the code of those.

    Attributes:
        groups: The groups.
        known: How many of the forms are known.
        vectors: Embedding of each form, of length 1, float32, shape (forms, hidden).
        distances: Cosine distance of each form to the nearest known one, 0 for known ones, shape (forms,).
        groups_with: How many groups that were learnt from have each known form, shape (known,).
        fitted: How many groups that were; 0 where it does not matter.
        severities: Severity of each form's words, shape (forms,); None works it out where it is asked for.
    """

    groups: Groups
    known: int
    vectors: NDArray[np.float32]
    distances: Floats
    groups_with: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    fitted: int = 0
    severities: Floats | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def counts(self) -> csr_matrix:
        """Lines of each group and known form, int64, shape (groups, known)."""
        return self.groups.counts[:, : self.known]

    @cached_property
    def unknown_lines(self) -> NDArray[np.int64]:
        """Lines of unknown forms in each group, shape (groups,)."""
        return np.add.reduceat((self.groups.codes >= self.known).astype(np.int64), self.groups.offsets[:-1])

    @cached_property
    def farthest(self) -> Floats:
        """Distance of the line of each group that is farthest from all known forms, shape (groups,)."""
        return np.maximum.reduceat(self.distances[self.groups.codes], self.groups.offsets[:-1])

    @cached_property
    def severity(self) -> Floats:
        """Severity of each form's words (`biglog.tasks.anomaly.evidence`), shape (forms,)."""
        return word_severity(self.groups.forms)[0] if self.severities is None else self.severities

    @cached_property
    def mean_vectors(self) -> NDArray[np.float32]:
        """Mean of the embeddings of each group's lines, shape (groups, hidden)."""
        summed = self.groups.counts.astype(np.float32) @ self.vectors
        means: NDArray[np.float32] = summed / self.groups.sizes[:, None].astype(np.float32)
        return means

    def take(self, rows: NDArray[np.integer]) -> View:
        """Returns some of the groups."""
        return replace(self, groups=self.groups.take(rows))


@dataclass
class State:
    """What is saved of a fitted method: nothing that needs pickle.

    Attributes:
        config: Values that JSON has.
        arrays: Arrays, for a safetensors file.
        estimators: Fitted estimators of scikit-learn, for skops.
    """

    config: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    estimators: dict[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """A way to detect anomalies: settings are given to its constructor, `fit` returns it fitted."""

    supervised: ClassVar[bool]
    """Whether it learns from labels."""
    ordered: ClassVar[bool]
    """Whether the order of lines in a group matters; else groups with equal counts have equal scores."""

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns from groups; all normal, or, with labels, 0 for normal and 1 for anomalous ones."""
        ...

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,); higher is more anomalous."""
        ...

    def state(self) -> State:
        """Returns what is to be saved."""
        ...

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        ...
