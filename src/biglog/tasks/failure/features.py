"""What a predictor reads of a history: blocks of named columns, in any combination.

All of a block depends on the lines of a history and their ages alone. What depends on a form is computed once
a form; a block is then a product of two tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from biglog.errors import InputError
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.known import unit
from biglog.tasks.failure.histories import Histories
from biglog.tasks.groups import Floats
from biglog.tasks.views import WORD

MAX_FORMS: Final = 1000
"""Normal forms that have a column of their own: those that most histories of the training have."""

WARNING: Final = 0.3
"""From which severity of its words on (`biglog.tasks.anomaly.evidence`) a line is a warning."""

ERROR: Final = 0.6
HALF_LIFE_SHARE: Final = 0.1
"""Share of a history after which a line weighs half as much in the block `recent`."""

LATE_SHARE: Final = 0.1
HOUR: Final = 3600.0
NEVER: Final = 3650 * 24 * HOUR
"""Seconds since a failure that nobody knows of."""


class Features:
    """Turns histories into columns.

    Args:
        blocks: Names of `BLOCKS`, in the order of their columns.
    """

    def __init__(self, blocks: Sequence[str]) -> None:
        unknown = [block for block in blocks if block not in BLOCKS]
        if unknown or not blocks:
            raise InputError(
                f"there is no block of features {unknown[0]!r}" if unknown else "no features are asked for",
                remedy=f"Choose of {', '.join(BLOCKS)}",
            )
        self.blocks = tuple(blocks)
        self.forms: list[str] = []
        self.vectors: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.words: list[str] = []

    def fit(self, histories: Histories) -> Self:
        """Learns which forms and words there are.

        Args:
            histories: Those of the training.

        Raises:
            InputError: A block needs embeddings, and the histories have none.
        """
        if set(self.blocks) & EMBEDDED and not histories.vectors.shape[1]:
            raise InputError(
                f"{', '.join(sorted(set(self.blocks) & EMBEDDED))} need embeddings of lines",
                remedy="Give an encoder, or other features",
            )
        held = np.asarray((histories.counts > 0).sum(axis=0)).ravel()
        used = np.flatnonzero(held)
        kept = np.sort(used[np.argsort(-held[used], kind="stable")][:MAX_FORMS])
        self.forms = histories.groups.forms.gather(kept).to_list()
        self.vectors = histories.vectors[kept]
        if "text" in self.blocks:
            reader = CountVectorizer(token_pattern=WORD, lowercase=False)
            self.words = sorted(reader.fit(histories.groups.forms.gather(used).to_list()).vocabulary_)
        return self

    def transform(self, histories: Histories) -> Any:
        """Returns the columns, float64, shape (histories, columns); sparse where a block of words is.

        What never happened is taken to have happened as long ago as the history reaches back; of a failure,
        ten years ago.
        """
        parts = [BLOCKS[block](self, histories)[1] for block in self.blocks]
        if any(sparse.issparse(part) for part in parts):
            return sparse.hstack([sparse.csr_matrix(part) for part in parts]).tocsr()
        return np.hstack(parts)

    def names(self, histories: Histories) -> list[str]:
        """Returns the name of each column, as `block:what`."""
        told = [(block, BLOCKS[block](self, histories.take(np.arange(1)))[0]) for block in self.blocks]
        return [f"{block}:{name}" for block, names in told for name in names]

    def known(self, histories: Histories) -> NDArray[np.int64]:
        """Place of each form of the histories among the known forms, -1 for others, shape (forms,)."""
        places = {form: place for place, form in enumerate(self.forms)}
        return np.array([places.get(form, -1) for form in histories.groups.forms], dtype=np.int64)


Block = Callable[[Features, Histories], tuple[list[str], Any]]
"""Gives the names of its columns and the columns."""


def _counts(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Log-scaled counts of lines of each known form, and of all others together."""
    known = features.known(histories)
    columns = np.where(known < 0, len(features.forms), known)
    width = len(features.forms) + 1
    table = sparse.csr_matrix(
        (np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=(len(columns), width)
    )
    return [*features.forms, "other forms"], np.log1p((histories.counts @ table).toarray())


def _presence(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Whether a history has a line of each known form."""
    names, counts = _counts(features, histories)
    return names, (counts > 0).astype(np.float64)


def _pooled(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Mean embedding of the lines."""
    return _mean(histories, histories.counts.astype(np.float64))


def _distinct(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Mean embedding of the forms, each weighing the logarithm of its lines: frequent ones hide none."""
    return _mean(histories, histories.counts.astype(np.float64).log1p())


def _summed(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Sum of the embeddings (of length 1) of the forms, weighed as in `distinct`: it grows with the lines."""
    sums = histories.counts.astype(np.float64).log1p() @ unit(histories.vectors).astype(np.float64)
    return [str(column) for column in range(sums.shape[1])], sums


def _recent(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Mean embedding of the lines; the weight halves with every tenth of the history that a line is older."""
    spans = np.repeat(histories.spans, histories.groups.sizes)
    return _mean(histories, histories.weighted(np.exp2(-histories.ages / (HALF_LIFE_SHARE * spans))))


def _mean(histories: Histories, weights: Any) -> tuple[list[str], Any]:
    total = np.maximum(np.asarray(weights.sum(axis=1)), 1e-12)
    means = (weights @ histories.vectors.astype(np.float64)) / total
    return [str(column) for column in range(means.shape[1])], means


def _severity(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Lines whose words speak of trouble: how many, of how many forms, how bad, how late."""
    severity = word_severity(histories.groups.forms)[0]
    late = histories.ages <= np.repeat(LATE_SHARE * histories.spans, histories.groups.sizes)
    lines, forms = histories.counts, histories.counts > 0
    columns = [
        lines @ (severity >= WARNING),
        lines @ (severity >= ERROR),
        forms @ (severity >= WARNING).astype(np.int64),
        histories.weighted(late.astype(np.float64)) @ (severity >= WARNING),
    ]
    worst = np.asarray(forms.multiply(severity).max(axis=1).todense()).ravel()
    share = columns[0] / histories.groups.sizes
    names = ["warnings", "errors", "forms of warnings", "late warnings", "worst", "share of warnings"]
    return names, np.column_stack([*(np.log1p(column) for column in columns), worst, share])


def _timing(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """How many lines when, and how long ago the last line, warning and failure were (log seconds)."""
    sizes = histories.groups.sizes
    hour = _added(histories, histories.ages <= HOUR)
    late = _added(histories, histories.ages <= np.repeat(LATE_SHARE * histories.spans, sizes))
    youngest = np.minimum.reduceat(histories.ages, histories.groups.offsets[:-1])
    oldest = np.maximum.reduceat(histories.ages, histories.groups.offsets[:-1])
    columns = {
        "lines": np.log1p(sizes),
        "lines of the last hour": np.log1p(hour),
        "share of the last hour": hour / sizes,
        "lines of the last tenth": np.log1p(late),
        "share of the last tenth": late / sizes,
        "since the last line": np.log1p(youngest),
        "since the first line": np.log1p(oldest),
        "since the last warning": np.log1p(np.fmin(_since_warning(histories), histories.spans)),
    }
    return list(columns), np.column_stack(list(columns.values()))


def _since_failure(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Time since the last known failure of the component (log seconds)."""
    return ["seconds"], np.log1p(np.fmin(histories.since_failure, NEVER))[:, None]


def _warnings(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Lines that are warnings: their number alone."""
    return ["lines"], _severity(features, histories)[1][:, :1]


def _new(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """How far the lines are from all forms that are known."""
    known = features.known(histories)
    distances = _distances(histories.vectors, known, features.vectors)
    of_lines = distances[histories.groups.codes]
    unknown = (known < 0)[histories.groups.codes]
    columns = {
        "lines of other forms": np.log1p(_added(histories, unknown)),
        "farthest": np.maximum.reduceat(of_lines, histories.groups.offsets[:-1]),
        "mean distance": _added(histories, of_lines) / histories.groups.sizes,
    }
    return list(columns), np.column_stack(list(columns.values()))


def _last(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Which known form the last line has."""
    codes = features.known(histories)[histories.groups.codes[histories.groups.offsets[1:] - 1]]
    columns = np.zeros((len(histories), len(features.forms) + 1))
    columns[np.arange(len(codes)), np.where(codes < 0, len(features.forms), codes)] = 1.0
    return [*features.forms, "other forms"], columns


def _text(features: Features, histories: Histories) -> tuple[list[str], Any]:
    """Log-scaled counts of the words of all lines, sparse; `tfidf` weighs them."""
    reader = CountVectorizer(token_pattern=WORD, lowercase=False, vocabulary=features.words)
    words = reader.transform(histories.groups.forms.to_list())
    return features.words, (histories.counts @ words).astype(np.float64).log1p().tocsr()


def _added(histories: Histories, values: NDArray[Any]) -> Floats:
    """Sum of a value a line, by history."""
    added: Floats = np.add.reduceat(values.astype(np.float64), histories.groups.offsets[:-1])
    return added


def _since_warning(histories: Histories) -> Floats:
    """Seconds since the last warning, infinite without one."""
    severity = word_severity(histories.groups.forms)[0]
    ages = np.where((severity >= WARNING)[histories.groups.codes], histories.ages, np.inf)
    youngest: Floats = np.minimum.reduceat(ages, histories.groups.offsets[:-1])
    return youngest


def _distances(vectors: NDArray[np.float32], known: NDArray[np.int64], others: NDArray[np.float32]) -> Floats:
    """Cosine distance of each form to the nearest known one, 0 for known ones, shape (forms,)."""
    distances = np.zeros(len(vectors))
    new = np.flatnonzero(known < 0)
    if len(new) and len(others):
        cosines = unit(vectors[new]) @ unit(others).T
        distances[new] = np.maximum(0.0, 1.0 - cosines.max(axis=1))
    return distances


BLOCKS: Final[dict[str, Block]] = {
    "counts": _counts,
    "presence": _presence,
    "pooled": _pooled,
    "distinct": _distinct,
    "summed": _summed,
    "recent": _recent,
    "severity": _severity,
    "timing": _timing,
    "since_failure": _since_failure,
    "warnings": _warnings,
    "new": _new,
    "last": _last,
    "text": _text,
}
"""Blocks of columns by name."""

EMBEDDED: Final = frozenset({"pooled", "distinct", "summed", "recent", "new"})
"""Blocks that need embeddings."""
