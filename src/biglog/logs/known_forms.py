"""Normal forms of a stream whose lines differ in values only: what was masked once is recognized.

The masks cost the same for every distinct content. :class:`KnownForms` gives the normal forms that
:func:`biglog.logs.masking.normal_forms` gives, and learns from the contents that it had to mask: a regular
expression of their form where that is certain (:mod:`biglog.logs.form_patterns`), and contents that come
again. Which expressions are tried on a content is told by how it begins or ends.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.form_patterns import SKIPPED, recognize
from biglog.logs.masking import normal_forms

# How many characters of their opening, or else of their end, tell which patterns are tried on contents.
_OPENING_LENGTHS, _CLOSING_LENGTH = (16, 4), 6
# Polars keeps few compiled patterns: compiling one costs as much as Python's matching of this many lines.
_FEWEST_LINES = 100
# A form is learnt from when it was masked this often; again, from another content, at four times as often.
_OFTEN = 16
# All is forgotten when so many forms were met for each that may be learnt.
_FORMS_MET = 20
# Patterns that are tried on a content at most, and contents that are remembered for each form.
_MOST_TRIED, _CONTENTS_PER_FORM = 12, 10
# Patterns that Python tries on a content at most: a pattern that fails costs it a fifth of what masking does.
_MOST_TRIED_SINGLY = 4
_MOST_COMPILED = 5_000

_Numbers = NDArray[np.int64]


class _Shelf:
    """Patterns of forms, by a key that their contents have in common."""

    def __init__(self) -> None:
        self._patterns: list[str] = []
        self._column = pl.Series(dtype=pl.String)
        self._forms: list[int] = []
        self._by_key: dict[str, list[int]] = {}
        self._table: tuple[pl.DataFrame, _Numbers] | None = None

    def add(self, key: str, pattern: str, form: int) -> None:
        """Adds a pattern; those of a key that were added first are tried first."""
        self._by_key.setdefault(key, []).append(len(self._patterns))
        self._patterns.append(pattern)
        self._forms.append(form)
        self._table = None

    def recognize(self, contents: pl.Series, keys: pl.Series, forms: _Numbers) -> None:
        """Writes the forms of contents that match a pattern.

        Args:
            contents: Contents, dtype String, shape (n,).
            keys: The contents' keys, dtype String, shape (n,).
            forms: Numbers of forms, shape (n,); those below 0 are not known yet.
        """
        if not self._patterns:
            return
        table, candidates = self._arranged()
        rows = np.flatnonzero(forms < 0)
        joined = keys.gather(rows).to_frame("key").join(table, on="key", how="left", maintain_order="left")
        places = joined["place"].fill_null(-1).to_numpy()
        # Contents with one key side by side, and so those with one pattern: it is compiled once.
        order = np.argsort(places, kind="stable")[np.count_nonzero(places < 0) :]
        rows, places = rows[order], places[order]
        for turn in range(candidates.shape[1]):
            tried = candidates[places, turn]
            lines = np.bincount(tried + 1, minlength=len(self._patterns) + 1)[tried + 1]
            few = (lines < _FEWEST_LINES) & (tried >= 0)
            self._match_singly(contents, rows[few], candidates[places[few], turn:], forms)
            many = (lines >= _FEWEST_LINES) & (tried >= 0)
            rows, places, tried = rows[many], places[many], tried[many]
            if not len(rows):
                return
            matched = self._match(contents.gather(rows), tried)
            forms[rows[matched]] = np.array(self._forms)[tried[matched]]
            rows, places = rows[~matched], places[~matched]

    def _match(self, contents: pl.Series, tried: _Numbers) -> NDArray[np.bool_]:
        frame = pl.DataFrame({"content": contents, "pattern": self._column.gather(tried)})
        return frame.select(pl.col("content").str.contains(pl.col("pattern"))).to_series().to_numpy()

    def _match_singly(self, contents: pl.Series, rows: _Numbers, tried: _Numbers, forms: _Numbers) -> None:
        """Writes the forms of contents that match one of the patterns tried, shape (rows, t); -1: none."""
        numbers = tried[:, :_MOST_TRIED_SINGLY].tolist()
        for row, content, patterns in zip(
            rows.tolist(), contents.gather(rows).to_list(), numbers, strict=True
        ):
            for pattern in patterns:
                if pattern >= 0 and _compiled(self._patterns[pattern]).fullmatch(content):
                    forms[row] = self._forms[pattern]
                    break

    def _arranged(self) -> tuple[pl.DataFrame, _Numbers]:
        """Returns each key's place, and for each place the patterns to try, shape (places, t); -1: none."""
        if self._table is None:
            lists = [numbers[:_MOST_TRIED] for numbers in self._by_key.values()]
            candidates = np.full((len(lists) + 1, max(map(len, lists))), -1)
            for place, numbers in enumerate(lists):
                candidates[place, : len(numbers)] = numbers
            # Small numbers sort faster.
            places = pl.Series(range(len(lists)), dtype=pl.Int16 if len(lists) < 2**15 else pl.Int32)
            self._table = pl.DataFrame({"key": list(self._by_key), "place": places}), candidates
            self._column = pl.Series([rf"^(?-u:{pattern})\z" for pattern in self._patterns])
        return self._table


@lru_cache(_MOST_COMPILED)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _Contents:
    """Contents that came more than once, with the numbers of their forms; when full it starts anew.

    Attributes:
        most: How many it holds.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: dict[str, int] = {}
        self._table: pl.DataFrame | None = None

    def add(self, contents: pl.Series, forms: _Numbers) -> None:
        """Adds contents, dtype String, shape (n,), and their forms' numbers, shape (n,)."""
        if len(self._known) + len(contents) > self.most:
            self._known.clear()
        self._known.update(zip(contents.to_list()[: self.most], forms.tolist(), strict=False))
        self._table = None

    def recognize(self, contents: pl.Series, forms: _Numbers) -> None:
        """Writes the forms of contents that are remembered; arguments as of :meth:`_Shelf.recognize`."""
        if not self._known:
            return
        if self._table is None:
            self._table = pl.DataFrame({"content": list(self._known), "form": list(self._known.values())})
        rows = np.flatnonzero(forms < 0)
        found = contents.gather(rows).to_frame("content")
        known = found.join(self._table, on="content", how="left", maintain_order="left")["form"]
        forms[rows] = known.fill_null(-1).to_numpy()


class KnownForms:
    """Computes normal forms, and learns from those that it had to mask.

    What it gives does not depend on what it has learnt, nor on how a stream is cut into batches: only its
    speed does. Not for several threads at a time.

    Attributes:
        max_forms: How many patterns it learns at most.
        fast_lines: How many lines were recognized by now.
        lines: How many lines there were by now; of contents that repeat in a batch, one is counted.
    """

    def __init__(self, max_forms: int = 2_000) -> None:
        self.max_forms = max_forms
        self.fast_lines = 0
        self.lines = 0
        self._forget()

    def _forget(self) -> None:
        self._forms: list[str] = []
        self._numbers: dict[str, int] = {}
        self._by_opening = {length: _Shelf() for length in _OPENING_LENGTHS}
        self._by_closing = _Shelf()
        self._contents = _Contents(_CONTENTS_PER_FORM * self.max_forms)
        self._patterns: set[str] = set()
        self._masked: Counter[str] = Counter()
        self._lessons: Counter[str] = Counter()

    def normal_forms(self, contents: pl.Series) -> pl.Series:
        """Returns what :func:`biglog.logs.masking.normal_forms` returns.

        Args:
            contents: Contents, dtype String, shape (n,); null is read as the empty content.

        Returns:
            The normal forms, dtype String, shape (n,), in the same order.
        """
        numbers, forms = self.numbers(contents)
        return pl.Series("normal_form", forms, dtype=pl.String).gather(numbers)

    def numbers(self, contents: pl.Series) -> tuple[pl.Series, list[str]]:
        """Returns each line's normal form as a number, which costs less than the text.

        Args:
            contents: Contents, dtype String, shape (n,); null is read as the empty content.

        Returns:
            The numbers, dtype UInt32, shape (n,), and the distinct forms that they count, in order of
            appearance.
        """
        contents = contents.fill_null("").rename("content")
        if contents.n_unique() >= 0.5 * len(contents):
            return self._distinct_numbers(contents)
        distinct = contents.unique(maintain_order=True)
        numbers, forms = self._distinct_numbers(distinct)
        table = pl.DataFrame({"content": distinct, "form": numbers})
        joined = contents.to_frame().join(table, on="content", how="left", maintain_order="left")
        return joined["form"], forms

    def _distinct_numbers(self, contents: pl.Series) -> tuple[pl.Series, list[str]]:
        numbers = np.full(len(contents), -1)
        # Contents that came to the letter cost a hash.
        self._contents.recognize(contents, numbers)
        openings = contents.str.strip_chars_start(SKIPPED)
        for length, shelf in self._by_opening.items():
            shelf.recognize(contents, openings.str.head(length), numbers)
        self._by_closing.recognize(contents, contents.str.tail(_CLOSING_LENGTH), numbers)
        rows = np.flatnonzero(numbers < 0)
        self.lines += len(contents)
        self.fast_lines += len(contents) - len(rows)
        forms = self._forms
        if len(rows):
            masked = pl.DataFrame({"content": contents.gather(rows)})
            masked = masked.with_columns(form=normal_forms(masked["content"]))
            forms, numbers[rows] = self._numbered(masked["form"])
            self._learn(masked)
        return _by_appearance(numbers, forms)

    def _numbered(self, masked: pl.Series) -> tuple[list[str], _Numbers]:
        """Numbers forms: those that patterns know as they do, the others behind them."""
        distinct = masked.unique()
        forms, numbers = self._forms.copy(), []
        for form in distinct.to_list():
            numbers.append(self._numbers.get(form, len(forms)))
            if numbers[-1] == len(forms):
                forms.append(form)
        table = pl.DataFrame({"form": distinct, "number": pl.Series(numbers, dtype=pl.Int64)})
        joined = masked.to_frame("form").join(table, on="form", how="left", maintain_order="left")
        return forms, joined["number"].to_numpy()

    def _learn(self, masked: pl.DataFrame) -> None:
        """Learns from masked contents, columns content and form."""
        again = masked.group_by("content").agg(pl.len(), pl.col("form").first()).filter(pl.col("len") > 1)
        if len(again):
            self._contents.add(again["content"], np.array([self._number(form) for form in again["form"]]))
        counts = masked.group_by("form").agg(pl.len(), pl.col("content").first())
        for form, count, content in counts.sort("len", "form", descending=[True, False]).rows():
            self._masked[form] += count
            if self._masked[form] >= _OFTEN * 4 ** self._lessons[form]:
                self._lessons[form] += 1
                self._learn_pattern(content, form)
        # A stream may go on for ever, and change.
        if max(len(self._masked), len(self._forms)) > _FORMS_MET * self.max_forms:
            self._forget()

    def _learn_pattern(self, content: str, form: str) -> None:
        known = recognize(content) if len(self._patterns) < self.max_forms else None
        if known is None or known.fixed or known.pattern in self._patterns:
            return
        shelf, key = self._by_closing, known.closing[-_CLOSING_LENGTH:]
        least = _CLOSING_LENGTH
        for length in reversed(_OPENING_LENGTHS):
            if len(known.opening) >= length:
                shelf, key, least = self._by_opening[length], known.opening[:length], length
        if len(key) == least:
            self._patterns.add(known.pattern)
            shelf.add(key, known.pattern, self._number(form))

    def _number(self, form: str) -> int:
        number = self._numbers.setdefault(form, len(self._forms))
        if number == len(self._forms):
            self._forms.append(form)
        return number


def _by_appearance(numbers: _Numbers, forms: list[str]) -> tuple[pl.Series, list[str]]:
    """Numbers forms anew in order of appearance, and leaves out those that do not appear."""
    first = np.full(len(forms), len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(numbers))]
    new = np.empty(len(forms), dtype=np.uint32)
    new[order] = np.arange(len(order), dtype=np.uint32)
    return pl.Series("form", new[numbers]), [forms[number] for number in order]
