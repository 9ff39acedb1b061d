"""Windows of consecutive lines whose halves may have been swapped, and rows of them for training.

A window of k lines is laid out as ``[CLS] line [SEP] line [SEP] ... line [SEP]``: what the encoder reads is
`input_ids` and `attention_mask` alone, so nothing but the [SEP]s tells lines apart. Where the lines do not
fit, the longest are cut at their ends until they do, the same in either order. Its label is 0 as it stands in
the log and 1 with its halves swapped (Lan et al. 2020, ALBERT: sentence order), which for two lines is the
pair the other way round. A window whose halves have equal normal forms has no order and is no window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from biglog.data.collators import Flags, Ids, PackedRows, Row, Segments
from biglog.data.sequences import LineSequence
from biglog.errors import InputError

_Int = TypeVar("_Int", np.int32, np.int64)

IN_ORDER, SWAPPED = 0, 1
"""The labels."""

_GAMMA, _FIRST, _SECOND = map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class WindowLayout:
    """Puts the tokens of several lines into one window.

    Args:
        segments: The lines, by the row numbers that sequences have.
        window_lines: Lines of a window.
        max_length: Most tokens of a window.

    Raises:
        InputError: The number of lines is odd, or there is no room for them.
    """

    def __init__(self, segments: Segments, window_lines: int, max_length: int) -> None:
        if window_lines < 2 or window_lines % 2:
            raise InputError(
                f"a window of {window_lines} lines has no two halves", remedy="Give an even window_lines"
            )
        self._room = max_length - 1 - window_lines
        if self._room < window_lines:
            raise InputError(
                f"{window_lines} lines do not fit into {max_length} tokens", remedy="Lower window_lines"
            )
        self.window_lines = window_lines
        self._segments = segments
        self._first = np.full(int(segments.line.max(initial=-1)) + 1, -1)
        # Of a line cut into several segments the first stands for it: later ones are overwritten by it.
        self._first[segments.line[::-1]] = np.arange(len(segments))[::-1]

    def known(self, rows: NDArray[np.int32]) -> Flags:
        """Returns whether each row number is that of a line with tokens."""
        inside = (rows >= 0) & (rows < len(self._first))
        return inside & (self._first[np.where(inside, rows, 0)] >= 0) if len(self._first) else inside

    def ids(self, rows: NDArray[np.int32]) -> tuple[Ids, Flags | None]:
        """Returns the tokens of a window, and which of them begin a term if the segments know it.

        Args:
            rows: Its lines, shape (window_lines,).
        """
        places = [int(self._first[row]) for row in rows]
        lines = [self._segments[place] for place in places]
        kept = fitting([len(line) - 2 for line in lines], self._room)
        # [CLS] is the first line's own; each line then ends in its [SEP].
        ids = [lines[0][:1]]
        terms = [self._segments.terms(place) for place in places]
        starts: list[Flags] = [np.ones(1, dtype=bool)]
        for line, begins, size in zip(lines, terms, kept, strict=True):
            ids += [line[1 : 1 + size], line[-1:]]
            if begins is not None:
                starts += [begins[1 : 1 + size], begins[-1:]]
        return np.concatenate(ids), np.concatenate(starts) if terms[0] is not None else None


class LineWindows:
    """Distinct windows of some sequences, to be drawn from.

    A domain is drawn in proportion to its number of distinct windows, in either order, to the power
    `temperature`; within it each of these in proportion to how often it occurs to the power `count_power`;
    and its orders in proportion to how often each occurs. So rare transitions are learnt like frequent ones,
    and still what comes first mostly is learnt as such.

    Args:
        sequences: The logs in order.
        layout: How windows are put together.
        temperature: See above.
        count_power: See above.

    Raises:
        InputError: There is no window.
    """

    def __init__(
        self,
        sequences: Sequence[LineSequence],
        layout: WindowLayout,
        *,
        temperature: float = 0.5,
        count_power: float = 0.0,
    ) -> None:
        self.layout = layout
        domains = sorted({sequence.domain for sequence in sequences})
        parts, weights = [], []
        for domain in domains:
            distinct = _distinct([s for s in sequences if s.domain == domain], layout)
            parts.append(distinct.rows)
            weights.append(distinct.weights(count_power, temperature))
        self._rows = np.concatenate(parts) if parts else np.zeros((0, layout.window_lines), dtype=np.int32)
        if not len(self._rows):
            raise InputError(
                f"no {layout.window_lines} consecutive lines differ in their normal forms",
                remedy="Give logs in their order as window_data, or set line_order_weight to 0",
            )
        self._cumulative = np.cumsum(np.concatenate(weights))
        self.by_domain = dict(zip(domains, map(len, parts), strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, rng: np.random.Generator) -> tuple[Ids, Flags | None, int]:
        """Returns a window's tokens, which of them begin a term, and the label of its order."""
        drawn = np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right")
        rows = self._rows[min(int(drawn), len(self) - 1)]
        order = SWAPPED if rng.random() < 0.5 else IN_ORDER
        ids, terms = self.layout.ids(swapped(rows) if order == SWAPPED else rows)
        return ids, terms, order


class MixedRows(Dataset[Row]):
    """Rows of packed lines, and among them rows of packed windows.

    Args:
        lines: The former; a row that is not one of windows is the row of that number.
        windows: Windows to fill the others with.
        share: How likely a row is one of windows.
        row_length: Most tokens in a row; 0 puts one window in each.
        seed: Of the draws, together with each row's number.
    """

    def __init__(
        self, lines: PackedRows, windows: LineWindows, *, share: float, row_length: int, seed: int
    ) -> None:
        self._lines, self._windows = lines, windows
        self._share, self._row_length, self._seed = share, row_length, seed

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng([self._seed, index, 1])
        return self._row(rng, index) if rng.random() < self._share else self._lines[index]

    def _row(self, rng: np.random.Generator, index: int) -> Row:
        row = Row(segments=[], draw=index, orders=[])
        room = self._row_length
        while True:
            ids, terms, order = self._windows.draw(rng)
            if row["segments"] and len(ids) > room:
                return row
            row["segments"].append(ids)
            row["orders"].append(order)
            if terms is not None:
                row["terms"] = [*row.get("terms", []), terms]
            room -= len(ids)
            if self._row_length == 0:
                return row


class Transitions:
    """How often each line follows each other one: the trivial rule that a model of line order must beat.

    Args:
        sequences: The logs in order.
    """

    def __init__(self, sequences: Sequence[LineSequence]) -> None:
        codes = [_pair_codes(s.rows[:-1], s.rows[1:]) for s in sequences if len(s.rows) > 1]
        self._codes, self._counts = np.unique(
            np.concatenate([*codes, np.zeros(0, dtype=np.int64)]), return_counts=True
        )

    def count(self, before: NDArray[np.int32], after: NDArray[np.int32]) -> NDArray[np.int64]:
        """Returns how often rows `after` were seen right behind rows `before`, shape as these."""
        codes = _pair_codes(before, after, keep=True)
        if not len(self._codes):
            return np.zeros(len(codes), dtype=np.int64)
        place = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return np.where(self._codes[place] == codes, self._counts[place], 0)

    def agreement(self, windows: NDArray[np.int32]) -> tuple[NDArray[np.float64], Flags]:
        """Judges windows by the pair of lines where their halves meet.

        Args:
            windows: Rows in the order of the log, shape (windows, lines).

        Returns:
            1 where the order of the log was seen more often, 0 where the other was, 0.5 where neither; and
            whether neither order was ever seen.
        """
        half = windows.shape[1] // 2
        forward = self.count(windows[:, half - 1], windows[:, half])
        backward = self.count(windows[:, -1], windows[:, 0])
        return (np.sign(forward - backward) + 1) / 2, (forward == 0) & (backward == 0)


def fitting(lengths: Sequence[int], room: int) -> list[int]:
    """Returns how many tokens of each line are kept so that all fit: the longest are cut to a common length.

    Args:
        lengths: Tokens of each line.
        room: Tokens for all of them.
    """
    if sum(lengths) <= room:
        return list(lengths)
    # The common length, found by giving each line its fair share, shortest first.
    left, share = room, 0
    for served, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - served)
        if length > share:
            break
        left -= length
    return [min(length, share) for length in lengths]


def swapped(windows: NDArray[_Int]) -> NDArray[_Int]:
    """Returns windows, shape (..., lines), with their halves swapped."""
    return np.roll(windows, windows.shape[-1] // 2, axis=-1)


def windows_of(sequence: LineSequence, layout: WindowLayout) -> NDArray[np.int64]:
    """Returns where windows begin: lines in a row that all have tokens, the halves not alike.

    Returns:
        Places in the sequence, ascending, shape (windows,).
    """
    lines, half = layout.window_lines, layout.window_lines // 2
    places = len(sequence.rows) - lines + 1
    if places <= 0:
        return np.zeros(0, dtype=np.int64)
    broken = np.cumsum(np.append(0, ~layout.known(sequence.rows)))
    whole = broken[lines:] == broken[:-lines]
    unlike = np.zeros(places, dtype=bool)
    for i in range(half):
        first = sequence.rows[i : i + places]
        unlike |= first != sequence.rows[i + half : i + half + places]
    return np.flatnonzero(whole & unlike)


def rows_at(sequence: LineSequence, places: NDArray[np.int64], layout: WindowLayout) -> NDArray[np.int32]:
    """Returns the rows of windows that begin at some places, shape (windows, lines)."""
    return sequence.rows[places[:, None] + np.arange(layout.window_lines)]


@dataclass(frozen=True)
class _Distinct:
    """Distinct windows of a domain.

    Attributes:
        rows: Their lines, shape (windows, lines).
        counts: How often each occurs, shape (windows,).
        either: The same number for windows that differ in the order of their halves alone, shape (windows,).
    """

    rows: NDArray[np.int32]
    counts: NDArray[np.int64]
    either: NDArray[np.int64]

    def weights(self, count_power: float, temperature: float) -> NDArray[np.float64]:
        """Returns how likely each is drawn, up to a factor, as `LineWindows` describes it."""
        totals = np.bincount(self.either, weights=self.counts)
        share = totals**count_power
        per_window: NDArray[np.float64] = (share / share.sum() / totals)[self.either] * self.counts
        return per_window * len(totals) ** temperature


def _distinct(sequences: Sequence[LineSequence], layout: WindowLayout) -> _Distinct:
    """Finds distinct windows by 64-bit hashes: memory holds a few numbers a line, not the windows."""
    found = [np.zeros((0, layout.window_lines), dtype=np.int32)]
    counted = [np.zeros(0, dtype=np.int64)]
    for sequence in sequences:
        places = windows_of(sequence, layout)
        _, first, counts = np.unique(
            _hashes(sequence.rows, places, range(layout.window_lines)),
            return_index=True,
            return_counts=True,
        )
        found.append(rows_at(sequence, places[first], layout))
        counted.append(counts)
    rows, places = np.concatenate(found), np.arange(sum(map(len, found)))
    flat = rows.ravel()
    hashes = _hashes(flat, places * layout.window_lines, range(layout.window_lines))
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    counts = np.bincount(which, weights=np.concatenate(counted)).astype(np.int64)
    lines = swapped(np.arange(layout.window_lines))
    other = _hashes(flat, places[first] * layout.window_lines, lines.tolist())
    _, either = np.unique(np.minimum(hashes[first], other), return_inverse=True)
    return _Distinct(rows[first], counts, either)


def _hashes(rows: NDArray[np.int32], places: NDArray[np.int64], order: Iterable[int]) -> NDArray[np.uint64]:
    """Hashes the windows that begin at some places, their lines taken in an order (the finalizer of
    SplitMix64, Steele et al. 2014, after each line)."""
    digest = np.zeros(len(places), dtype=np.uint64)
    for line in order:
        digest = (digest ^ rows[places + line].astype(np.uint64)) + _GAMMA
        digest = (digest ^ (digest >> np.uint64(30))) * _FIRST
        digest = (digest ^ (digest >> np.uint64(27))) * _SECOND
        digest ^= digest >> np.uint64(31)
    return digest


def _pair_codes(
    before: NDArray[np.int32], after: NDArray[np.int32], *, keep: bool = False
) -> NDArray[np.int64]:
    """Returns one number for each pair of rows; without `keep`, of those that have no break."""
    codes: NDArray[np.int64] = before.astype(np.int64) << 32 | after.astype(np.int64)
    return codes if keep else codes[(before >= 0) & (after >= 0)]
