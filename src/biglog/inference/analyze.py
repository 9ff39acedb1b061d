"""The main job: what is in a log, and what is odd in it.

Read and count (:mod:`biglog.inference.census`), group normal forms to events (:mod:`biglog.tasks.parsing`),
embed one normal form of each event, weigh the evidence (:mod:`biglog.tasks.anomaly.evidence`), and say it in
words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from biglog._version import __version__
from biglog.checkpoints import checkpoint_path
from biglog.inference.analysis import Analysis, OddLine, Source
from biglog.inference.census import Census, First
from biglog.inference.encoder import LogEncoder
from biglog.inference.events import Events
from biglog.inference.evidence import Evidence, reasons, weigh
from biglog.logs import masking
from biglog.logs.record import LogReader, ReadReport, SourceReport, read_logs
from biglog.logs.sources.expand import SourceLike
from biglog.tasks.parsing.head import CONFIG, load_head

ODD_SCORE = 0.5
"""From this score on a line counts as odd."""

NEARBY_LINES = 20
"""Odd lines this close to an odder one are counted with it."""

Progress = Callable[[int, int], None]


def analyze(
    sources: SourceLike | Iterable[SourceLike],
    *,
    encoder: LogEncoder | str | Path | None = None,
    baseline: SourceLike | Iterable[SourceLike] | None = None,
    layout: str | None = None,
    year: int | None = None,
    max_odd: int = 20,
    progress: Progress | None = None,
) -> Analysis:
    """Analyzes a log.

    Args:
        sources: What :func:`biglog.read_logs` takes: a path, a glob pattern, ``-``, a file, or several.
        encoder: The encoder, or a checkpoint to load: a folder, a Hub id; None is the embedded one.
        baseline: A log of normal operation: events that it lacks are new, and distances are measured to it.
        layout: Header layout, by name or in notation; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        max_odd: The most odd lines to report, one for each event.
        progress: Called with the lines and bytes read so far.

    Returns:
        What is in the log; every line is counted in exactly one event.

    Raises:
        InputError: A source cannot be read.
        CheckpointError: The checkpoint cannot be loaded.
    """
    clock = _Clock()
    reader = read_logs(
        sources, layout=layout, year=year
    )  # what cannot be read shows before anything is loaded
    normal = None if baseline is None else read_logs(baseline, layout=layout, year=year)
    parser = load_head(_parser_folder(encoder))
    if not isinstance(encoder, LogEncoder):
        encoder = LogEncoder.from_pretrained(encoder)
    clock.lap("start")
    census, report = _count(reader, progress)
    known = None if normal is None else _count(normal, None, with_values=False)[0]
    clock.lap("read")
    clock.move("read", "mask", census.mask_seconds + (known.mask_seconds if known else 0.0))
    events = Events(census, known, parser)
    clock.lap("score")
    evidence = weigh(events, encoder)
    clock.lap("encode")
    found = [events.event(i, evidence.scores[i]) for i in events.order]
    odd = _odd_lines(events, evidence, max_odd)
    clock.lap("score")
    spans = [each for each in found if each.first_seen is not None]
    return Analysis(
        version=__version__,
        model=encoder.name,
        masking_version=masking.MASKING_VERSION,
        sources=tuple(_source(row) for row in report.sources),
        lines=census.lines,
        bytes=report.bytes,
        normal_forms=len(census.forms),
        start=min((each.first_seen for each in spans if each.first_seen), default=None),
        end=max((each.last_seen for each in spans if each.last_seen), default=None),
        bin_seconds=events.timeline.seconds if events.timeline.starts else None,
        bins=tuple(datetime.fromtimestamp(start, UTC) for start in events.timeline.starts),
        levels=events.lines_by_level(),
        level_counts=events.level_counts(),
        events=tuple(found),
        odd_lines=tuple(odd),
        baseline=None if baseline is None else _name(baseline),
        notes=tuple(_notes(report, census, events, evidence)),
        seconds=clock.seconds | {"report": 0.0},
    )


def _parser_folder(encoder: LogEncoder | str | Path | None) -> Path:
    """Where the parser is: with the encoder, or where that has none, the embedded one."""
    if isinstance(encoder, str | Path) and (Path(encoder) / CONFIG).is_file():
        return Path(encoder)
    return checkpoint_path()


class _Clock:
    """Adds up the wall time between laps, by the name of what was done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(("start", "read", "mask", "encode", "score"), 0.0)
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now

    def move(self, source: str, target: str, seconds: float) -> None:
        self.seconds[source] -= seconds
        self.seconds[target] += seconds


def _count(
    reader: LogReader, progress: Progress | None, *, with_values: bool = True
) -> tuple[Census, ReadReport]:
    census = Census(with_values=with_values)
    for batch in reader:
        census.add(batch)
        if progress is not None:
            progress(reader.report.lines, reader.report.bytes)
    return census, reader.report


def _odd_lines(events: Events, evidence: Evidence, most: int) -> list[OddLine]:
    """The oddest events, each by the first line of its worst normal form.

    What goes wrong writes many odd lines at once: those that stand close to an odder one are counted with it,
    so that one incident does not fill the list.
    """
    leaders: list[tuple[int, First, int]] = []
    for index in np.argsort(-evidence.scores, kind="stable").tolist():
        first = events.firsts[index]
        if evidence.scores[index] < ODD_SCORE:
            break
        if first is None or not first.line.strip():
            continue
        for at, (leader, place, followers) in enumerate(leaders):
            if place.source == first.source and abs(place.line_number - first.line_number) <= NEARBY_LINES:
                leaders[at] = (leader, place, followers + 1)
                break
        else:
            leaders.append((index, first, 0))
    chosen = enumerate(leaders[:most], start=1)
    return [_odd_line(rank, events, evidence, *leader) for rank, leader in chosen]


def _odd_line(
    rank: int, events: Events, evidence: Evidence, index: int, first: First, followers: int
) -> OddLine:
    why = reasons(events, evidence, index)
    if followers:
        more = "1 more odd event starts" if followers == 1 else f"{followers:,} more odd events start"
        why = (*why, f"{more} within {NEARBY_LINES} lines of it")
    return OddLine(
        rank=rank,
        source=first.source,
        line_number=first.line_number,
        line=first.line,
        content=first.content,
        event_id=events.ids[index],
        anomaly_score=float(evidence.scores[index]),
        reasons=why,
        count=int(events.counts[index]),
        timestamp=first.timestamp,
        level=events.levels[index],
        component=first.component,
        spans=tuple((span.start, span.end, span.token) for span in masking.spans(first.content)),
        before=tuple(first.before),
        after=tuple(first.after),
    )


def _source(row: SourceReport) -> Source:
    return Source(
        name=row.name,
        lines=row.lines,
        bytes=row.bytes,
        layout=row.layout,
        confidence=row.confidence,
        without_header=row.without_header,
        damaged=row.damaged,
        first_damaged=row.first_damaged,
    )


def _name(sources: SourceLike | Iterable[SourceLike]) -> str:
    if isinstance(sources, str | Path):
        return str(sources)
    if isinstance(sources, Iterable):
        return ", ".join(str(source) for source in sources)
    return "a stream"


def _notes(report: ReadReport, census: Census, events: Events, evidence: Evidence) -> list[str]:
    """What a reader has to know about the input before trusting the counts."""
    notes = [note for row in report.sources for note in _source_notes(row)]
    if events.by_rule:
        notes.append(f"{len(census.forms):,} normal forms are too many to parse: events are made by a rule.")
    if events.timeline.outside:
        outside = f"{events.timeline.outside:,} lines have times far from all others"
        notes.append(f"{outside}; the timeline shows them at its edges.")
    if census.folded_forms:
        late = f"{census.folded_forms:,} lines came after {len(census.forms):,} distinct normal forms"
        notes.append(f"{late} and were grouped coarsely.")
    if census.folded_values:
        notes.append("Some parameters have so many values that the counts of rare ones are lower bounds.")
    if evidence.encoded < len(events):
        share = f"{evidence.encoded:,} of {len(events):,} events"
        notes.append(f"{share}, the most common and the most suspicious, were compared by their embeddings.")
    return notes


def _source_notes(row: SourceReport) -> list[str]:
    notes = []
    if row.damaged:
        first = ", ".join(map(str, row.first_damaged))
        more = ", …" if row.damaged > len(row.first_damaged) else ""
        notes.append(f"{row.name}: {row.damaged:,} lines hold bytes that are no text (lines {first}{more}).")
    if row.truncated:
        notes.append(f"{row.name}: the compressed data end early; {row.lines:,} lines could be read.")
    if row.control_lines:
        notes.append(f"{row.name}: {row.control_lines:,} lines hold control characters.")
    if row.split_lines:
        notes.append(f"{row.name}: {row.split_lines:,} very long lines were read in pieces.")
    if row.bad_timestamps:
        notes.append(f"{row.name}: {row.bad_timestamps:,} timestamps are no points in time.")
    return notes
