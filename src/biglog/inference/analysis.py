"""What an analysis of a log holds: its events, its odd lines, and the counts behind both.

All times are UTC. A log may lack timestamps (`bins` empty, `bin_seconds` None), levels or components.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Source:
    """One file that was read.

    Attributes:
        name: Path as given, or a name such as `stdin`.
        lines: Lines read.
        bytes: Bytes read, before decompression.
        layout: Name of the header layout that was recognised.
        confidence: Share of the sampled lines which that layout fits, 0 to 1.
        without_header: Lines that do not carry the header.
        damaged: Lines holding bytes that could not be decoded.
        first_damaged: Their first line numbers, 1-based.
    """

    name: str
    lines: int
    bytes: int
    layout: str
    confidence: float
    without_header: int
    damaged: int
    first_damaged: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """What stands under one variable position of a template.

    Attributes:
        position: 0-based position among the template's variable positions.
        token: The typed mask token, such as `[IP]`.
        distinct: Number of different values.
        top: The most frequent values with their counts, descending.
    """

    position: int
    token: str
    distinct: int
    top: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Burst:
    """A stretch of time with more lines of an event than the pace of the rest of the log would give.

    Attributes:
        start: Start of the stretch.
        end: End of the stretch.
        count: Lines of the event in it.
        expected: Lines of the event that the pace of the rest of the log would give.
    """

    start: datetime
    end: datetime
    count: int
    expected: float


@dataclass(frozen=True)
class Event:
    """All lines that share a template.

    Attributes:
        event_id: Identity of the template.
        template: The text with its values masked.
        count: Lines of this event.
        share: `count` over all lines, 0 to 1.
        normal_forms: Distinct normal forms grouped in the event.
        level: Most frequent level of its lines, None where the headers have none.
        component: Most frequent component of its lines, None where the headers have none.
        severity: 0 (harmless) to 1 (fatal).
        first_seen: Time of its first line.
        last_seen: Time of its last line.
        first_line: 1-based number of its first line in `first_source`.
        first_source: Name of the source holding its first line.
        timeline: Lines per bin; as many as `Analysis.bins`.
        burst: Its strongest burst, if it has one.
        parameters: One entry for each variable position.
        example: Content of one line of the event.
        anomaly_score: Higher is more anomalous.
        is_new: Whether the baseline lacks the event; None without a baseline.
    """

    event_id: str
    template: str
    count: int
    share: float
    normal_forms: int
    level: str | None
    component: str | None
    severity: float
    first_seen: datetime | None
    last_seen: datetime | None
    first_line: int
    first_source: str
    timeline: tuple[int, ...]
    burst: Burst | None
    parameters: tuple[Parameter, ...]
    example: str
    anomaly_score: float
    is_new: bool | None


@dataclass(frozen=True)
class ContextLine:
    """A neighbour of an odd line, as it stands in the source.

    Attributes:
        line_number: 1-based.
        line: Raw text.
    """

    line_number: int
    line: str


@dataclass(frozen=True)
class OddLine:
    """A line worth a look, and why.

    Attributes:
        rank: 1 for the oddest.
        source: Name of the source it stands in.
        line_number: 1-based number in that source.
        line: Raw text.
        content: The message after the header.
        event_id: The event it belongs to.
        anomaly_score: Higher is more anomalous.
        reasons: Why it is here, in words, the weightiest first.
        count: How many lines are like it, itself included.
        timestamp: Time of the line, if its header has one.
        level: Level of the line, if its header has one.
        component: Component of the line, if its header has one.
        spans: `(start, end, mask token)` of each masked value in `content`, in characters.
        before: Lines before it, oldest first.
        after: Lines after it.
    """

    rank: int
    source: str
    line_number: int
    line: str
    content: str
    event_id: str
    anomaly_score: float
    reasons: tuple[str, ...]
    count: int
    timestamp: datetime | None
    level: str | None
    component: str | None
    spans: tuple[tuple[int, int, str], ...]
    before: tuple[ContextLine, ...]
    after: tuple[ContextLine, ...]


@dataclass(frozen=True)
class Analysis:
    """What is in a log, and what is odd in it.

    Attributes:
        version: Version of the package.
        model: Name of the checkpoint whose embeddings were used.
        masking_version: Version of the masks that made the normal forms.
        sources: The files read.
        lines: Lines in all sources; a record of several lines counts as one.
        bytes: Bytes in all sources.
        normal_forms: Distinct normal forms.
        start: First timestamp.
        end: Last timestamp.
        bin_seconds: Width of a bin, None without timestamps.
        bins: Start of each bin; every `Event.timeline` has as many entries.
        levels: Lines per bin for each level (`""` where the header has none); in sum, the lines per bin.
        level_counts: Lines of each level, with or without a timestamp.
        events: By count, descending.
        odd_lines: By rank.
        baseline: Name of the log compared with, if there was one.
        notes: What a reader has to know about the input, in words.
        seconds: Time spent on start, read, mask, encode, score and report.
    """

    version: str
    model: str
    masking_version: str
    sources: tuple[Source, ...]
    lines: int
    bytes: int
    normal_forms: int
    start: datetime | None
    end: datetime | None
    bin_seconds: float | None
    bins: tuple[datetime, ...]
    levels: dict[str, tuple[int, ...]]
    level_counts: dict[str, int]
    events: tuple[Event, ...]
    odd_lines: tuple[OddLine, ...]
    baseline: str | None
    notes: tuple[str, ...]
    seconds: dict[str, float]
