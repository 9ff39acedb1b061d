"""Several logs in one order of time, and how far each log's own clock is in order.

`merge` is for frames in memory. `merge_batches` is for logs of any size that are nearly in order: it holds
back a bounded number of rows of each, and what comes later than that is passed on and reported. Where nothing
comes later, both give the same rows in the same order.

A row stands at its timestamp. A row without one (or without a header, where there is a column `has_header`)
goes on with the row before it and stays right behind that row. Rows before a log's first timestamp stand at
that one. Rows at the same time come in the order of the logs, and those of one log as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final, NamedTuple

import polars as pl

from biglog.errors import InputError
from biglog.logs.grouping import timestamps
from biglog.logs.record import RecordBatch

LOOK_AHEAD: Final = 10_000
# A report names this many lines and gaps of a log; counts are complete.
_NAMED: Final = 5
# Before all times: where a log has no timestamp at all.
_NEVER: Final = -(2**63)
_KEY, _HEAD = "merge key", "begins a block"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Gap(NamedTuple):
    """A step forward in time.

    Attributes:
        line_number: The line behind the gap.
        seconds: How much later it is than the latest line before it.
    """

    line_number: int
    seconds: float


@dataclass
class ClockOrder:
    """How far one log is in order of time; it grows with `add`, and does not depend on how the log was cut.

    Lines are those with a header and a timestamp of their own.

    Attributes:
        source: Name of the log.
        lines: Lines with a timestamp.
        inversions: Lines that are earlier than the latest line before them.
        largest_step_back: Seconds that the worst of them is earlier than the latest line before it.
        first_inverted: Numbers of the first of them.
        steps_back: Lines that are earlier than the line right before them: one where a clock was set back,
            or where an older log was appended, however many inversions follow.
        earliest: Earliest time, or None.
        latest: Latest time, or None.
        gaps: The widest steps forward past the latest line before, widest first.
    """

    source: str = ""
    lines: int = 0
    inversions: int = 0
    largest_step_back: float = 0.0
    first_inverted: tuple[int, ...] = ()
    steps_back: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    _rows: int = field(default=0, repr=False)
    _last_time: int | None = field(default=None, repr=False)

    def add(self, frame: pl.DataFrame) -> None:
        """Counts the next rows of the log.

        Args:
            frame: Rows in order with a column `timestamp`; `line_number` names them, or else their position.
        """
        numbers = pl.int_range(self._rows + 1, self._rows + len(frame) + 1, eager=True)
        if "line_number" in frame.columns:
            numbers = frame["line_number"]
        self._rows += len(frame)
        times = _own_times(frame)
        known = pl.DataFrame({"number": numbers, "time": times}).filter(times.is_not_null())
        if len(known):
            before = pl.col("time").cum_max().shift(1)
            if self.latest is not None:
                before = pl.max_horizontal(before, pl.lit((self.latest - _EPOCH) // _MICROSECOND))
            self._count(known.with_columns(step=pl.col("time") - before))

    def _count(self, known: pl.DataFrame) -> None:
        """Takes in lines by `number`, `time` and `step` past the latest line before, all in microseconds."""
        before = known["time"].shift(1, fill_value=self._last_time)
        self.steps_back += int((known["time"] < before).sum())
        self._last_time = int(known["time"][-1])
        inverted = known.filter(pl.col("step") < 0)
        self.lines += len(known)
        self.inversions += len(inverted)
        self.largest_step_back = max(self.largest_step_back, *(inverted["step"] / -1e6).top_k(1), 0.0)
        self.first_inverted = (*self.first_inverted, *inverted["number"].head(_NAMED))[:_NAMED]
        forward = known.filter(pl.col("step") > 0).sort("step", descending=True, maintain_order=True)
        gaps = [Gap(number, step / 1e6) for number, _, step in forward.head(_NAMED).iter_rows()]
        self.gaps = tuple(sorted((*self.gaps, *gaps), key=lambda gap: -gap.seconds)[:_NAMED])
        ends = known.select(pl.min("time"), later=pl.max("time")).row(0)
        times = [_EPOCH + at * _MICROSECOND for at in ends]
        self.earliest = min(filter(None, (self.earliest, *times)))
        self.latest = max(filter(None, (self.latest, *times)))


def clock_order(frame: pl.DataFrame, source: str = "") -> ClockOrder:
    """How far a log in memory is in order of time.

    Args:
        frame: All rows of one log in order, with a column `timestamp`.
        source: Its name.
    """
    order = ClockOrder(source)
    order.add(frame)
    return order


def merge(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merges logs in memory into one order of time.

    Args:
        frames: One a log, rows in order, with the same columns, `timestamp` among them.

    Returns:
        All rows of all frames, in the order the module's docstring describes.

    Raises:
        InputError: There is no frame, columns differ, or there is no `timestamp`.
    """
    _check_columns(frames)
    times = [_own_times(frame).forward_fill().backward_fill().fill_null(_NEVER) for frame in frames]
    keys = pl.concat(times).to_frame(_KEY).with_row_index()
    return pl.concat(frames)[keys.sort(_KEY, maintain_order=True)["index"]]


@dataclass
class MergeReport:
    """What `merge_batches` has read so far, one entry a log, in order.

    Attributes:
        clocks: Order of each log's clock.
        late: Records of each log that came later than the look-ahead could put right. They stand right behind
            what had been passed on of their log by then.
        first_late: Line numbers of each log's first late records.
    """

    clocks: list[ClockOrder] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    first_late: list[tuple[int, ...]] = field(default_factory=list)


class MergedBatches:
    """Iterable of frames in order of time, made by `merge_batches`; each iteration resets `report`.

    Attributes:
        report: What has been read so far.
    """

    def __init__(self, logs: Sequence[Iterable[RecordBatch]], look_ahead: int) -> None:
        self.report = MergeReport()
        self._logs, self._look_ahead = logs, look_ahead

    def __iter__(self) -> Iterator[pl.DataFrame]:
        self.report = MergeReport()
        queues = [_Queue(log, self._look_ahead) for log in self._logs]
        while True:
            for queue in queues:
                queue.fill()
            self._note([queue.sorter for queue in queues])
            waiting = [queue for queue in queues if queue.rows is not None]
            if not waiting:
                return
            # The first log to run dry: what it says next could come before whatever is behind its last row.
            last, dry = min((queue.last_key, at) for at, queue in enumerate(waiting))
            parts = [queue.take(last, inclusive=at <= dry) for at, queue in enumerate(waiting)]
            yield pl.concat(parts).sort(_KEY, maintain_order=True).drop(_KEY)

    def _note(self, sorters: list[_Sorter]) -> None:
        self.report.clocks = [sorter.clock for sorter in sorters]
        self.report.late = [sorter.late for sorter in sorters]
        self.report.first_late = [sorter.first_late for sorter in sorters]


def merge_batches(logs: Sequence[Iterable[RecordBatch]], *, look_ahead: int = LOOK_AHEAD) -> MergedBatches:
    """Merges logs of any size into one order of time, in bounded memory.

    Of each log, `look_ahead` rows and a batch are held. A record further from its place than that cannot be
    put right: it is passed on where it is, and reported.

    Args:
        logs: One iterable of batches a log, such as `read_logs` gives for a file; they are read side by side.
        look_ahead: Rows of each log that are held back to be put in order.

    Returns:
        An iterable of frames with a `report`: columns are `source`, then those of the batches. How the logs
        are cut into batches changes how the rows are cut into frames, and nothing else.

    Raises:
        InputError: `look_ahead` is negative; while iterating, what the logs raise.
    """
    if look_ahead < 0:
        raise InputError("look_ahead is negative", remedy="Give 0 or more")
    return MergedBatches(logs, look_ahead)


class _Queue:
    """The rows of one log that are in order and wait for the other logs."""

    def __init__(self, log: Iterable[RecordBatch], look_ahead: int) -> None:
        self.sorter = _Sorter(look_ahead)
        self.rows: pl.DataFrame | None = None
        self._batches: Iterator[RecordBatch] | None = iter(log)

    @property
    def last_key(self) -> float:
        """No row to come stands before this time; infinite if none is to come."""
        if self.rows is None or self._batches is None:
            return float("inf")
        return int(self.rows[_KEY][-1])

    def fill(self) -> None:
        """Reads on until a row waits, or the log has ended."""
        while self.rows is None and self._batches is not None:
            batch = next(self._batches, None)
            if batch is None:
                self._batches = None
                ready = self.sorter.finish()
            else:
                ready = self.sorter.push(batch.frame.select(pl.lit(batch.source).alias("source"), pl.all()))
            self.rows = ready if len(ready) else None

    def take(self, last: float, *, inclusive: bool) -> pl.DataFrame:
        """Removes the rows before a time; those at that time only if `inclusive`."""
        assert self.rows is not None
        count = len(self.rows)
        if last < float("inf"):
            count = int(self.rows[_KEY].search_sorted(int(last), "right" if inclusive else "left"))
        taken, rest = self.rows.head(count), self.rows.slice(count)
        self.rows = rest if len(rest) else None
        return taken


class _Sorter:
    """Puts the rows of one log in order with a bounded look-ahead.

    A row with a time and those that go on with it are a block. Blocks are held in order of time; while more
    rows are held than the look-ahead, the earliest block is passed on. Its key is its time, or that of the
    block passed on before it if that was later: keys never fall. Nothing here depends on the batches.
    """

    def __init__(self, look_ahead: int) -> None:
        self.clock = ClockOrder()
        self.late = 0
        self.first_late: tuple[int, ...] = ()
        self._look_ahead = look_ahead
        # Rows in order of time, with their time as key; before the first timestamp, as they came.
        self._held: pl.DataFrame | None = None
        self._begun = False
        # Where in them the latest block begins; None if it was passed on, and its rows to come follow it.
        self._open: int | None = None
        self._last_time = _NEVER
        self._last_key = _NEVER

    def push(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Takes in the next rows; returns those that are ready, with their key."""
        if len(frame):
            self.clock.source = str(frame["source"][0])
        self.clock.add(frame)
        if self._begun:
            return self._advance(self._keyed(frame))
        self._held = frame if self._held is None else pl.concat([self._held, frame])
        times = _own_times(self._held)
        known = times.is_not_null().arg_true().head(1).to_list()
        if not known and len(times) <= self._look_ahead:
            return frame.clear()
        return self._begin(times[known[0]] if known and known[0] <= self._look_ahead else _NEVER)

    def finish(self) -> pl.DataFrame:
        """The rows that are left, with their key."""
        if self._held is None:
            return pl.DataFrame()
        self._look_ahead = -1
        return self._advance(self._held.clear()) if self._begun else self._begin(_NEVER)

    def _begin(self, time: int) -> pl.DataFrame:
        """The rows before the first timestamp are the first block, at a given time."""
        assert self._held is not None
        self._begun, self._last_time = True, time
        frame = self._keyed(self._held)
        self._held = frame.clear()
        first = pl.int_range(pl.len()) == 0
        return self._advance(frame.with_columns(pl.col(_HEAD) | first))

    def _keyed(self, frame: pl.DataFrame) -> pl.DataFrame:
        times = _own_times(frame)
        keys = pl.concat([pl.Series([self._last_time], dtype=pl.Int64), times.alias("")]).forward_fill()
        self._last_time = int(keys[-1])
        return frame.with_columns(keys.slice(1).alias(_KEY), times.is_not_null().alias(_HEAD))

    def _advance(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Holds new rows, and passes on what is too much."""
        assert self._held is not None
        followers = frame.clear()
        if self._open is None:
            heads = frame[_HEAD].arg_true().head(1).to_list() or [len(frame)]
            followers, frame = frame.head(heads[0]), frame.slice(heads[0])
            followers = followers.with_columns(pl.lit(self._last_key, dtype=pl.Int64).alias(_KEY))
        if frame.is_empty() and self._look_ahead >= 0:
            return followers.drop(_HEAD)
        rows = pl.concat([self._held, frame])
        in_order = rows[_KEY].is_sorted() and (rows.is_empty() or rows[_KEY][0] >= self._last_key)
        ready = self._pass_on(rows) if in_order else self._reorder(rows, len(self._held))
        self._last_key = int(ready[_KEY][-1]) if len(ready) else self._last_key
        return pl.concat([followers, ready]).drop(_HEAD)

    def _pass_on(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What `_reorder` does, for rows that are in order already."""
        heads = rows[_HEAD].arg_true()
        surplus = len(rows) - self._look_ahead
        count = 0 if surplus <= 0 else next(iter(heads.filter(heads >= surplus).head(1)), len(rows))
        self._held = rows.slice(count)
        self._open = int(heads[-1]) - count if count < len(rows) else None
        return rows.head(count)

    def _reorder(self, rows: pl.DataFrame, held: int) -> pl.DataFrame:
        """Goes through the rows one by one; the first `held` of them are in order."""
        times, heads = rows[_KEY].to_list(), rows[_HEAD].to_list()
        heap: list[tuple[int, int]] = []
        blocks: dict[int, list[int]] = {}
        ready: list[int] = []
        keys: list[int] = []
        block: int | None = None
        last = self._last_key
        for at, head in enumerate(heads):
            block = at if head else self._open if at == held else block
            if block is None:
                ready.append(at)
                keys.append(last)
            elif head:
                blocks[at] = [at]
                heappush(heap, (times[at], at))
            else:
                blocks[block].append(at)
            while heap and at + 1 - len(ready) > self._look_ahead:
                time, first = heappop(heap)
                if time < last:
                    self._note_late(int(rows["line_number"][first]))
                last = max(time, last)
                block = None if first == block else block
                ready += blocks[first]
                keys += [last] * len(blocks.pop(first))
        return self._settle(rows, [blocks[first] for _, first in sorted(heap)], block, ready, keys)

    def _settle(
        self,
        rows: pl.DataFrame,
        blocks: list[list[int]],
        block: int | None,
        ready: list[int],
        keys: list[int],
    ) -> pl.DataFrame:
        """Keeps blocks, in order, and returns the rows that are ready with their keys."""
        assert self._held is not None
        order = [at for rows_of_block in blocks for at in rows_of_block]
        self._held = rows[order] if order else rows.clear()
        self._open = None if block is None else order.index(block)
        return rows[ready].with_columns(pl.Series(_KEY, keys, dtype=pl.Int64)) if ready else rows.clear()

    def _note_late(self, line_number: int) -> None:
        self.late += 1
        self.first_late = (*self.first_late, line_number)[:_NAMED]


def _own_times(frame: pl.DataFrame) -> pl.Series:
    """Int64 microseconds; null where a row goes on with the row before it."""
    times = timestamps(frame)
    if "has_header" not in frame.columns:
        return times
    return times.set(~frame["has_header"].fill_null(False), None)


def _check_columns(frames: Sequence[pl.DataFrame]) -> None:
    if not frames:
        raise InputError("there is nothing to merge", remedy="Give at least one frame")
    for at, frame in enumerate(frames):
        if frame.schema != frames[0].schema:
            odd = sorted(set(frame.schema.items()) ^ set(frames[0].schema.items()), key=str)
            names = ", ".join(dict.fromkeys(name for name, _ in odd)) or "their order"
            raise InputError(
                f"frames 1 and {at + 1} differ in columns: {names}", remedy="Select the same columns of all"
            )
