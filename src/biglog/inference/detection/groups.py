"""How lines become groups: what a user asked for, of whole logs at once, and of a stream line by line.

On a stream a group is open until nothing more can come to it; what is kept of it meanwhile is bounded. Groups
of a stream are those that `biglog.logs.grouping` makes of all of its lines, but for what came too late.
"""

from __future__ import annotations

import re
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, Self

import polars as pl

from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.grouping import by_count, by_session, by_time
from biglog.logs.record import SCHEMA

WINDOW_LINES: Final = 20
"""Lines of a window where nothing else is asked for."""

KEPT_FORMS: Final = 50
"""Normal forms of an open group of which the first line is kept as text."""

KEPT_CHARACTERS: Final = 1_000
"""Characters that are kept of such a line."""

MOST_LINES: Final = 1_000_000
"""A session of a stream is closed when it has so many lines; what follows is a group of the same name."""

MOST_OPEN: Final = 50_000
"""Sessions of a stream that are open at a time; beyond, the one that was silent longest is closed."""

MOST_WAITING: Final = 100_000
"""Lines before the first timestamp that wait for it where windows are by time."""

LATE_IN_A_ROW: Final = 100
"""After so many late lines in a row the clock of a stream is taken to have been set back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Escaped punctuation aside, what both Rust's and Python's expressions read alike.
_ALIKE = re.compile(r"(?:\\[^A-Za-z0-9]|[^\\$])*")
_UNLIKE = re.compile(r"\(\?[^:]|\[\[|&&|--|~~")


@dataclass(frozen=True)
class Grouping:
    """Which lines are judged together.

    Attributes:
        session: A column of records, the name of a domain whose sessions have a key, or a regular expression
            (Rust's dialect) with one group that finds the identifier in the content; None: windows.
        window_lines: Lines of a window.
        stride_lines: Lines from the beginning of one window to that of the next; None: `window_lines`.
        window_seconds: Length of a window in seconds.
        stride_seconds: Seconds from the beginning of one to that of the next; None: `window_seconds`.
        idle_lines: On a stream, a session is over when so many lines passed without one of it.
        idle_seconds: Or so many seconds, by the timestamps of the lines.
        grace_seconds: On a stream, how long after its end a window by time waits for lines that come late.
    """

    session: str | None = None
    window_lines: int | None = None
    stride_lines: int | None = None
    window_seconds: float | None = None
    stride_seconds: float | None = None
    idle_lines: int = 100_000
    idle_seconds: float = 3_600.0
    grace_seconds: float = 5.0

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Makes a grouping; without any key, windows of 20 lines.

        Args:
            given: Attributes; None is its default.

        Raises:
            InputError: More than one kind of group is asked for, a size is none, or there is no such key.
        """
        told = {name: value for name, value in given.items() if value is not None}
        kinds = [name for name in ("session", "window_lines", "window_seconds") if name in told]
        if len(kinds) > 1:
            raise InputError(f"groups are by {' or by '.join(kinds)}", remedy="Give one of them")
        for stride, window in (("stride_lines", "window_lines"), ("stride_seconds", "window_seconds")):
            if stride in told and kinds and kinds[0] != window:
                raise InputError(f"{stride} is for {window} alone", remedy=f"Leave it out, or give {window}")
        if "stride_seconds" in told and not kinds:
            raise InputError("stride_seconds is for window_seconds alone", remedy="Give window_seconds too")
        grouping = cls(**({} if kinds else {"window_lines": WINDOW_LINES}) | told)
        grouping.table(pl.DataFrame(schema={"source": pl.String(), **SCHEMA}))
        return grouping

    @property
    def words(self) -> str:
        """Says what a group is, in words."""
        if self.session is not None:
            return f"sessions by {self.session}"
        size, stride, unit = (self.window_seconds, self.stride_seconds, "seconds")
        if self.window_lines is not None:
            size, stride, unit = self.window_lines, self.stride_lines, "lines"
        every = "" if stride in (None, size) else f", one every {stride:g}"
        return f"windows of {size:g} {unit}{every}"

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Column and pattern of sessions, as `biglog.logs.grouping.by_session` takes them.

        Raises:
            InputError: There is no such column or domain, and it is no pattern.
        """
        name = self.session or ""
        domain = {known.lower(): row for known, row in DOMAINS.items()}.get(name.lower())
        if domain is not None:
            if domain.session_path is not None:
                return "source", domain.session_path
            return domain.session_column, domain.session_pattern
        columns = ["source", *SCHEMA.names()]
        if name in columns:
            return name, None
        if "(" not in name:
            near = get_close_matches(name, [*columns, *DOMAINS], n=3) or ["host", "pid", "HDFS"]
            raise InputError(
                f"there is no column and no domain {name!r}, and it is no pattern with a group",
                remedy=f"Did you mean {', '.join(near)}? Or give such as 'request=([0-9a-f]+)'",
            )
        return None, name

    def table(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Groups all rows of a frame, see `biglog.logs.grouping`.

        Args:
            frame: Records in order.

        Raises:
            InputError: The key is none, a size is none, or no row has a timestamp where windows are by time.
        """
        if self.session is not None:
            column, pattern = self.key
            return by_session(frame, column=column, pattern=pattern)
        if self.window_seconds is not None:
            return by_time(frame, window_seconds=self.window_seconds, stride_seconds=self.stride_seconds)
        size = WINDOW_LINES if self.window_lines is None else self.window_lines
        return by_count(frame, window_lines=size, stride_lines=self.stride_lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON has of it."""
        return asdict(self)


class Line(NamedTuple):
    """A line of a stream.

    Attributes:
        code: Of its normal form.
        number: Its number in its source.
        time: Microseconds since 1970, or None.
        source: Name of its source.
        text: As it stands in the log.
        keys: Identifiers of its sessions.
    """

    code: int
    number: int
    time: int | None
    source: str
    text: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class OpenGroup:
    """A group of a stream to which lines may still come.

    Attributes:
        group_id: Its identifier.
        source: Source of its first line.
        first_line: Number of its first line.
        last_line: Number of its last line.
        start: Its earliest time, microseconds since 1970, or None.
        end: Its latest time.
        seen: How many lines the stream had when the last one of it came.
        codes: Codes of its lines.
        kept: Number and text of the first line of each of its first normal forms, by code.
    """

    group_id: str
    source: str
    first_line: int
    last_line: int = 0
    start: int | None = None
    end: int | None = None
    seen: int = 0
    codes: array[int] = field(default_factory=lambda: array("i"))
    kept: dict[int, tuple[int, str]] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Adds a line."""
        self.codes.append(line.code)
        self.last_line = line.number
        if line.code not in self.kept and len(self.kept) < KEPT_FORMS:
            self.kept[line.code] = (line.number, line.text[:KEPT_CHARACTERS])
        if line.time is not None:
            self.start = line.time if self.start is None else min(self.start, line.time)
            self.end = line.time if self.end is None else max(self.end, line.time)

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON has of it."""
        told = {name: getattr(self, name) for name in self.__slots__}
        kept = [[code, *line] for code, line in self.kept.items()]
        return told | {"codes": self.codes.tolist(), "kept": kept}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Makes it of what JSON has."""
        kept = {int(code): (int(number), str(text)) for code, number, text in told["kept"]}
        return cls(**dict(told) | {"codes": array("i", told["codes"]), "kept": kept})


class OpenSessions:
    """Sessions of a stream, the one that was silent longest first.

    Args:
        grouping: When a session is over.
    """

    def __init__(self, grouping: Grouping) -> None:
        self._lines, self._seconds = grouping.idle_lines, round(grouping.idle_seconds * 1e6)
        self._open: OrderedDict[str, OpenGroup] = OrderedDict()
        self._seen = 0
        self.counts = {"lines_without_session": 0, "sessions_closed_early": 0}

    def add(self, line: Line) -> list[OpenGroup]:
        """Adds a line and returns the groups that are over."""
        self._seen += 1
        over = []
        if not line.keys:
            self.counts["lines_without_session"] += 1
        for key in line.keys:
            group = self._open.get(key)
            if group is None:
                group = self._open[key] = OpenGroup(key, line.source, line.number)
            group.add(line)
            group.seen = self._seen
            self._open.move_to_end(key)
            if len(group.codes) >= MOST_LINES:
                over.append(self._open.pop(key))
                self.counts["sessions_closed_early"] += 1
        return over + list(self._silent(line.time))

    def _silent(self, now: int | None) -> Iterator[OpenGroup]:
        while self._open:
            group = next(iter(self._open.values()))
            crowded = len(self._open) > MOST_OPEN
            old = now is not None and group.end is not None and now - group.end > self._seconds
            if not (crowded or old or self._seen - group.seen > self._lines):
                return
            self.counts["sessions_closed_early"] += crowded
            yield self._open.popitem(last=False)[1]

    def close(self) -> list[OpenGroup]:
        """Closes all groups, in the order of their first lines."""
        over = sorted(self._open.values(), key=lambda group: group.first_line)
        self._open.clear()
        return over

    def groups(self) -> Iterable[OpenGroup]:
        """All that are open."""
        return self._open.values()

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON has of it."""
        return {
            "seen": self._seen,
            "counts": self.counts,
            "open": [group.to_dict() for group in self._open.values()],
        }

    def restore(self, told: Mapping[str, Any]) -> None:
        """Takes what JSON has of it."""
        self._seen, self.counts = told["seen"], dict(told["counts"])
        groups = map(OpenGroup.from_dict, told["open"])
        self._open = OrderedDict((group.group_id, group) for group in groups)


class OpenCounts:
    """Windows of so many lines of a stream, the oldest first.

    Args:
        grouping: Their size and stride.
    """

    def __init__(self, grouping: Grouping) -> None:
        self._size = grouping.window_lines or WINDOW_LINES
        self._stride = grouping.stride_lines or self._size
        self._open: list[OpenGroup] = []
        self._seen, self._covered = 0, 0
        self.counts: dict[str, int] = {}

    def add(self, line: Line) -> list[OpenGroup]:
        """Adds a line and returns the groups that are over."""
        if self._seen % self._stride == 0:
            self._open.append(OpenGroup(str(self._seen // self._stride), line.source, line.number))
        self._seen += 1
        for group in self._open:
            group.add(line)
        if len(self._open[0].codes) < self._size:
            return []
        self._covered = self._seen
        return [self._open.pop(0)]

    def close(self) -> list[OpenGroup]:
        """Closes the window that has lines which none had before, if there is one."""
        over = self._open[:1] if self._seen > self._covered else []
        # What comes next begins a window of its own.
        self._open, self._seen = [], -(-self._seen // self._stride) * self._stride
        self._covered = self._seen
        return over

    def groups(self) -> Iterable[OpenGroup]:
        """All that are open."""
        return self._open

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON has of it."""
        opened = [group.to_dict() for group in self._open]
        return {"seen": self._seen, "covered": self._covered, "open": opened}

    def restore(self, told: Mapping[str, Any]) -> None:
        """Takes what JSON has of it."""
        self._seen, self._covered = told["seen"], told["covered"]
        self._open = [OpenGroup.from_dict(group) for group in told["open"]]


class OpenTimes:
    """Windows by time of a stream.

    A window is over when the latest timestamp is behind its end by the time of grace. Lines that come for a
    window that is over are counted as late; after many in a row the clock is set back to theirs.

    Args:
        grouping: Their length, stride and grace.
    """

    def __init__(self, grouping: Grouping) -> None:
        self._size = round((grouping.window_seconds or 0) * 1e6)
        self._stride = round((grouping.stride_seconds or grouping.window_seconds or 0) * 1e6)
        self._grace = round(grouping.grace_seconds * 1e6)
        self._open: dict[int, OpenGroup] = {}
        self._clock: int | None = None
        self._last: int | None = None
        self._late = 0
        self._waiting: list[Line] = []
        self.counts = {"late_lines": 0, "clocks_set_back": 0}

    def add(self, line: Line) -> list[OpenGroup]:
        """Adds a line and returns the groups that are over.

        Raises:
            InputError: So many lines came and none has a timestamp.
        """
        if line.time is None and self._last is None:
            self._waiting.append(line)
            if len(self._waiting) > MOST_WAITING:
                raise _no_timestamps(len(self._waiting))
            return []
        waiting, self._waiting = self._waiting, []
        self._last = line.time if line.time is not None else self._last
        over: list[OpenGroup] = []
        for each in (*waiting, line):
            over += self._add(each, self._last or 0)
        return over

    def _add(self, line: Line, time: int) -> list[OpenGroup]:
        clock = time if self._clock is None else max(self._clock, time)
        late = False
        for number in range((time - self._size) // self._stride + 1, time // self._stride + 1):
            start = number * self._stride
            if self._clock is not None and start + self._size + self._grace <= self._clock:
                late = True
                continue
            group = self._open.get(start)
            if group is None:
                group = self._open[start] = OpenGroup(window_id(start), line.source, line.number)
            group.add(line)
        self._late = self._late + 1 if late else 0
        self.counts["late_lines"] += late
        if self._late >= LATE_IN_A_ROW:
            clock, self._late = time, 0
            self.counts["clocks_set_back"] += 1
        self._clock = clock
        return [self._open.pop(start) for start in self._over(clock)]

    def _over(self, clock: int) -> list[int]:
        return sorted(start for start in self._open if start + self._size + self._grace <= clock)

    def close(self) -> list[OpenGroup]:
        """Closes all windows.

        Raises:
            InputError: There were lines, and none has a timestamp.
        """
        if self._waiting:
            raise _no_timestamps(len(self._waiting))
        over = [self._open[start] for start in sorted(self._open)]
        self._open = {}
        return over

    def groups(self) -> Iterable[OpenGroup]:
        """All that are open."""
        return self._open.values()

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON has of it."""
        return {
            "clock": self._clock,
            "last": self._last,
            "late": self._late,
            "waiting": self._waiting,
            "counts": self.counts,
            "open": [[start, group.to_dict()] for start, group in self._open.items()],
        }

    def restore(self, told: Mapping[str, Any]) -> None:
        """Takes what JSON has of it."""
        self._clock, self._last, self._late = told["clock"], told["last"], told["late"]
        self._waiting = [Line._make((*line[:-1], tuple(line[-1]))) for line in told["waiting"]]
        self.counts = dict(told["counts"])
        self._open = {start: OpenGroup.from_dict(group) for start, group in told["open"]}


OpenGroups = OpenSessions | OpenCounts | OpenTimes


def open_groups(grouping: Grouping) -> OpenGroups:
    """Returns what gathers the groups of a stream."""
    if grouping.session is not None:
        return OpenSessions(grouping)
    return OpenCounts(grouping) if grouping.window_seconds is None else OpenTimes(grouping)


def keys_of_rows(grouping: Grouping, frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """Returns the identifiers of the sessions that each row belongs to, one tuple a row."""
    found: list[tuple[str, ...]] = [()] * len(frame)
    if grouping.session is not None:
        for key, rows in grouping.table(frame).iter_rows():
            for row in rows:
                found[row] += (key,)
    return found


def key_finder(grouping: Grouping) -> Callable[[str], tuple[str, ...]] | None:
    """Returns what finds identifiers in one content, faster than a frame of it; None if only a frame can."""
    column, pattern = (None, None) if grouping.session is None else grouping.key
    if pattern is None or column is not None or not _ALIKE.fullmatch(pattern) or _UNLIKE.search(pattern):
        return None
    compiled = re.compile(pattern)
    return lambda content: tuple(dict.fromkeys(key for key in compiled.findall(content) if key))


def window_id(start: int) -> str:
    """Returns a window's beginning, microseconds since 1970, as `by_time` writes it."""
    text = (_EPOCH + timedelta(microseconds=start)).replace(tzinfo=None).isoformat()
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.removesuffix('000')}Z" if rest else f"{whole}Z"


def moment_of(time: int | None) -> datetime | None:
    """Returns microseconds since 1970 as a point in time."""
    return None if time is None else _EPOCH + timedelta(microseconds=time)


def _no_timestamps(lines: int) -> InputError:
    return InputError(
        f"none of {lines:,} lines has a timestamp", remedy="Group by count, or by session, or name the layout"
    )
