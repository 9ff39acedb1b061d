"""Statements that are nearly forms of a tested domain: found by their letters, and dropped.

Two texts are compared by their letters alone (lower case; anything else is a blank): as vectors of how often
each run of three and of four characters occurs, by the cosine between them. Few of all pairs can be close:
with the grams in order of how rare they are, the last ones of a text, whose part of its length is less than
the threshold, cannot make a pair alone. Pairs are looked for by the first ones; what these leave possible is
computed in full. Nothing is approximated (Bayardo, Ma and Srikant, "Scaling up all pairs similarity search",
WWW 2007, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError

THRESHOLD: Final = 0.75
"""Cosine above which a statement is too near."""

GRAMS: Final = (3, 4)
"""Characters of a gram."""

_CODES: Final = 32
"""Codes of a character: blank, 26 letters, and five for those of other alphabets."""
_SLACK: Final = 0.1
"""By how much the part of a text's length that is left out of the search is below the cosine looked for."""
_PAIRS: Final = 4_000_000
_EPSILON: Final = 1e-9


@dataclass(frozen=True)
class NearReport:
    """What was dropped, and the proof that nothing is left.

    Attributes:
        threshold: Cosine above which rows were dropped.
        forms: Distinct forms (by their letters) that rows were compared with.
        rows: Rows that were compared.
        equal: Rows dropped whose letters equal those of a form.
        near: Rows dropped whose cosine with a form is above the threshold.
        kept: Rows that are left.
        largest_left: Largest cosine of a row that is left with any form, computed anew from what is left;
            below `threshold - 0.02` none is looked for, and None says that there is no larger one.
    """

    threshold: float
    forms: int
    rows: int
    equal: int
    near: int
    kept: int
    largest_left: float | None


def drop_near(
    statements: pl.DataFrame, forms: Sequence[str] | pl.Series, threshold: float = THRESHOLD
) -> tuple[pl.DataFrame, NearReport]:
    """Drops statements whose letters equal, or nearly equal, those of a form.

    Args:
        statements: Has a column `template`.
        forms: Templates, normal forms or lines of what a model will be tested on.
        threshold: Cosine of 3- and 4-grams above which a statement is dropped, 0.5..1.

    Returns:
        The statements that are left, in their order, and the account.

    Raises:
        InputError: The threshold is out of bounds.
    """
    if not 0.5 <= threshold <= 1:
        raise InputError(f"a threshold of {threshold} is not sensible", remedy="Give 0.5 to 1")
    own, theirs = (
        letters(statements["template"]),
        letters(pl.Series("form", forms, dtype=pl.String)).unique().sort(),
    )
    theirs = theirs.filter(theirs != "")
    equal = own.is_in(theirs.implode()) & (own != "")
    closest = nearest(own, theirs, threshold)
    drop = equal | pl.Series(closest > threshold + _EPSILON)
    kept = statements.filter(~drop)
    left = nearest(letters(kept["template"]), theirs, threshold - 0.02)
    largest = float(left.max()) if len(left) and left.max() > 0 else None
    count = int(equal.sum())
    return kept, NearReport(
        threshold, len(theirs), len(statements), count, int(drop.sum()) - count, len(kept), largest
    )


def letters(texts: pl.Series) -> pl.Series:
    """Returns the letters of texts, in lower case, with one blank for whatever stands between them.

    Args:
        texts: Templates or normal forms; `<*>` and mask tokens such as `[NUM]` are no letters.
    """
    bare = texts.str.replace_all(r"<\*>|\[(?:NUM|TIMESTAMP|IP|CODE|FILE)\]", " ")
    return bare.str.to_lowercase().str.replace_all(r"[^\p{L}]+", " ").str.strip_chars()


def nearest(texts: pl.Series, forms: pl.Series, least: float) -> NDArray[np.float64]:
    """Computes for each text the largest cosine with any form.

    Args:
        texts: Letters, shape (texts,).
        forms: Letters of the forms, shape (forms,).
        least: Cosines that are not above it need not be found.

    Returns:
        The largest cosine of each text, shape (texts,); 0 where none is above `least`.
    """
    result = np.zeros(len(texts))
    distinct = pl.DataFrame({"text": texts}).with_row_index("row").group_by("text").agg("row").sort("text")
    if not len(distinct) or not len(forms):
        return result
    grams, order = _grams(pl.concat([forms.rename("text"), distinct["text"]]))
    found = _Search(grams, len(forms), order, least).run(len(distinct))
    rows = distinct["row"].list.explode().to_numpy()
    result[rows] = np.repeat(found, distinct["row"].list.len().to_numpy())
    return result


@dataclass(frozen=True)
class _Grams:
    """Grams of texts, sorted by text and, within it, rarest first.

    Attributes:
        text: Number of the text, shape (grams,).
        gram: Rank of the gram by how rare it is, shape (grams,).
        weight: Its part of the text's unit vector, shape (grams,).
    """

    text: NDArray[np.int64]
    gram: NDArray[np.int64]
    weight: NDArray[np.float64]

    def of(self, first: int, last: int) -> slice:
        """Where the grams of texts first..last-1 stand."""
        return slice(*np.searchsorted(self.text, (first, last)).tolist())


def _grams(texts: pl.Series) -> tuple[_Grams, int]:
    """The weighted grams of texts, and how many different ones there are."""
    codes, owner = _codes(texts)
    keys = []
    for size in GRAMS:
        count = max(0, len(codes) - size + 1)
        value = np.zeros(count, dtype=np.int64)
        for at in range(size):
            value = value * _CODES + codes[at : at + count]
        inside = owner[:count] == owner[size - 1 : size - 1 + count]
        # Grams of three come before those of four.
        value += _CODES**3 if size == GRAMS[1] else 0
        keys.append(owner[:count][inside] << 32 | value[inside])
    key, counts = np.unique(np.concatenate(keys), return_counts=True)
    text, gram = key >> 32, key & 0xFFFFFFFF
    _, gram, spread = np.unique(gram, return_inverse=True, return_counts=True)
    rank = np.empty(len(spread), dtype=np.int64)
    rank[np.argsort(spread, kind="stable")] = np.arange(len(spread))
    gram = rank[gram]
    place = np.lexsort((gram, text))
    text, gram, weight = text[place], gram[place], counts[place].astype(np.float64)
    length = np.sqrt(np.bincount(text, weights=weight**2, minlength=len(texts)))
    return _Grams(text, gram, weight / length[text]), len(spread)


def _codes(texts: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes of all characters of texts, one after the other, and the number of the text each is of."""
    points = np.frombuffer("".join(texts.to_list()).encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    plain = (points >= ord("a")) & (points <= ord("z"))
    codes = np.where(plain, points - ord("a") + 1, np.where(points == ord(" "), 0, 27 + points % 5))
    owner = np.repeat(np.arange(len(texts)), texts.str.len_chars().to_numpy())
    return codes, owner


class _Search:
    """Looks for forms that are close to texts.

    Args:
        grams: Grams of the forms, and after them of the texts.
        forms: How many of them are forms.
        different: How many different grams there are.
        least: Cosines above it are found.
    """

    def __init__(self, grams: _Grams, forms: int, different: int, least: float) -> None:
        self._all, self._forms, self._least = grams, forms, least
        mine = grams.of(0, forms)
        place = np.argsort(grams.gram[mine], kind="stable")
        self._form, self._weight = grams.text[mine][place], grams.weight[mine][place]
        self._start = np.searchsorted(grams.gram[mine][place], np.arange(different + 1))
        # To look up the weight of a gram in a form.
        self._different = different
        self._keys, self._key_weight = grams.text[mine] * different + grams.gram[mine], grams.weight[mine]

    def run(self, texts: int) -> NDArray[np.float64]:
        """The largest cosine of each text; 0 where none is above `least`."""
        best = np.zeros(texts)
        inside = self._all.of(self._forms, self._forms + texts)
        text = self._all.text[inside] - self._forms
        gram, weight = self._all.gram[inside], self._all.weight[inside]
        head, tail = _heads(text, weight, texts, (self._least - _SLACK) ** 2)
        fan = np.where(head, self._start[gram + 1] - self._start[gram], 0)
        # Whole texts at a time, as many as make a bounded number of pairs.
        upto = np.cumsum(np.bincount(text, weights=fan, minlength=texts))
        ends = np.searchsorted(text, np.arange(texts + 1))
        first = 0
        while first < texts:
            base = upto[first - 1] if first else 0.0
            last = max(first + 1, int(np.searchsorted(upto, base + _PAIRS, side="right")))
            last = min(last, first + max(1, _PAIRS // self._forms))
            part = slice(int(ends[first]), int(ends[last]))
            pairs = self._possible(text[part], gram[part], weight[part], fan[part], tail)
            self._settle(pairs, (ends, gram, weight), best)
            first = last
        return best

    def _possible(
        self,
        text: NDArray[np.int64],
        gram: NDArray[np.int64],
        weight: NDArray[np.float64],
        fan: NDArray[np.int64],
        tail: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Pairs (text * forms + form) that may be above `least`."""
        steps = np.arange(int(fan.sum())) - np.repeat(np.cumsum(fan) - fan, fan)
        at = np.repeat(self._start[gram], fan) + steps
        base = int(text[0]) if len(text) else 0
        key = np.repeat((text - base) * self._forms, fan) + self._form[at]
        sums = np.bincount(key, weights=np.repeat(weight, fan) * self._weight[at])
        needed = np.repeat(
            self._least - _EPSILON - tail[base : base - (-len(sums) // self._forms)], self._forms
        )
        return np.flatnonzero(sums > needed[: len(sums)]) + base * self._forms

    def _settle(
        self,
        pairs: NDArray[np.int64],
        texts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
        best: NDArray[np.float64],
    ) -> None:
        """Computes the cosines of pairs in full and keeps the largest of each text."""
        ends, gram, weight = texts
        step = max(1, _PAIRS // 64)
        for begin in range(0, len(pairs), step):
            text, form = np.divmod(pairs[begin : begin + step], self._forms)
            size = ends[text + 1] - ends[text]
            at = np.repeat(ends[text] - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
            wanted = np.repeat(form, size) * self._different + gram[at]
            place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            product = np.where(self._keys[place] == wanted, self._key_weight[place] * weight[at], 0.0)
            cosine = np.bincount(np.repeat(np.arange(len(text)), size), weights=product, minlength=len(text))
            above = cosine > self._least - _EPSILON
            np.maximum.at(best, text[above], cosine[above])


def _heads(
    text: NDArray[np.int64], weight: NDArray[np.float64], texts: int, most: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which grams are looked for (the rarest of each text), and the length of what is left, by text.

    The squared length of what is left is at most `most`.
    """
    squares = weight**2
    running = np.concatenate([np.zeros(1), np.cumsum(squares)])
    before = running[np.searchsorted(text, np.arange(texts))]
    # Squared length from a gram on to the end of its text.
    total = np.bincount(text, weights=squares, minlength=texts)
    rest = total[text] - (running[:-1] - before[text])
    head = rest > most
    left = np.bincount(text, weights=np.where(head, 0.0, squares), minlength=texts)
    return head, np.sqrt(left)
