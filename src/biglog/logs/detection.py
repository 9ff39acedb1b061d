"""Which layout a log has: the choice on its first lines, and a user's own choice."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.formats.header import PLAIN, Format, Layout, layout_from_notation
from biglog.logs.formats.layouts import BARE, LAYOUTS
from biglog.logs.formats.patterns import is_pattern, layout_from_pattern
from biglog.logs.framing import unread

SAMPLE_LINES: Final = 1000
_SAMPLE_CHARACTERS: Final = 4096
# Less than this share of lines with a header is chance, not a layout (stack traces can be most of a log).
_ENOUGH: Final = 0.1
# Layouts this close to the best count as equal, and the more specific one wins.
_TIE: Final = 0.005
# A timestamp alone says less about a log: it has to read a twentieth more of the lines to win.
_BARE_HANDICAP: Final = 0.05

# Less than this share of unread lines, or fewer of them, is no other format.
_UNREAD: Final = 0.02
_UNREAD_LINES: Final = 5
_MOST: Final = 0.5
_MOST_FORMATS: Final = 4
_VAGUE: Final = BARE | {"csv", "tsv", "logfmt"}
# How lines begin that go on with the one before: indented, a closing bracket, a trace.
CONTINUATION: Final = r"^(?:\s|[)\]}]|at |Caused by: |Traceback |\.\.\. |[\w.$]+(?:Exception|Error)\b)"


@dataclass(frozen=True)
class Choice:
    """A format for a source.

    Attributes:
        format: What reads its records.
        confidence: Share of the looked at lines that it and the others can read, 0..1.
        others: What reads the lines that it cannot, one after the other.
    """

    format: Format
    confidence: float
    others: tuple[Format, ...] = ()

    @property
    def formats(self) -> tuple[Format, ...]:
        """All of them, in the order in which they are tried."""
        return (self.format, *self.others)

    @property
    def name(self) -> str:
        """Their names, joined by `+`."""
        return "+".join(form.name for form in self.formats)


def choose(lines: pl.Series, previous: Choice | None = None) -> Choice:
    """Recognise a layout on lines of a log.

    Args:
        lines: The first lines of a source, all of them and in order; a thousand of them, evenly spread, are
            looked at.
        previous: What was chosen for the source before it, in a folder or an archive: where that fits every
            line but stack traces, nothing else is tried. Files that lie together are mostly of one format.

    Returns:
        The most specific of the layouts that read most lines, or `plain` if none reads a tenth of them (or a
        tenth of those that are no stack traces). Where it leaves a considerable part that other layouts read,
        these too.
    """
    sample = _sample(lines)
    kept = None if previous is None else _keep(previous, sample, lines)
    if kept is not None:
        return kept
    first, share = _best(sample, lines)
    if share < _ENOUGH:
        # A failure that repeats can fill a log with its stack trace.
        first, margin_share = _best(_margin(sample), lines)
        share = share if margin_share < _ENOUGH else max(share, first.match(sample))
        if margin_share < _ENOUGH:
            return Choice(PLAIN, 1.0 - share)
    if share > 1 - _UNREAD:
        return Choice(first, share)
    # Lines between the read ones may be of another format, or of none: stack traces, lists, blank lines.
    written = int((lines.str.strip_chars() != "").sum())
    left, others = unread(first, lines), list[Format]()
    while len(others) < _MOST_FORMATS - 1 and _considerable(len(left), written):
        found = _next(left, written)
        if found is None:
            break
        others.append(found)
        left = unread(found, left)
    return Choice(first, 1 - len(left) / max(1, written), tuple(others))


def chosen(form: Format, lines: pl.Series) -> Choice:
    """A format that the caller chose, adapted to the first lines of a source."""
    return Choice(form.learn(lines.head(SAMPLE_LINES)), 1.0)


def _best(sample: pl.Series, lines: pl.Series) -> tuple[Format, float]:
    """What reads a log best.

    Args:
        sample: Some of its lines.
        lines: Its first lines.

    Returns:
        The most specific of the formats that read most of the sample, adapted to the lines, and its share; or
        `plain` and 0.
    """
    shares: dict[str, float] = {}
    scores: dict[str, float] = {}
    for row in LAYOUTS.values():
        share = 0.0 if row is PLAIN else row.match(sample)
        if share:
            shares[row.name] = share
            scores[row.name] = share - _BARE_HANDICAP * (row.name in BARE)
            if scores[row.name] >= 1 - _TIE:
                # Less specific ones can at best tie.
                break
    while scores:
        best = max(scores.values())
        name = next(name for name, score in scores.items() if score >= best - _TIE)
        try:
            return LAYOUTS[name].learn(lines.head(SAMPLE_LINES)), shares[name]
        except InputError:
            # What looked like a table is none.
            del scores[name]
    return PLAIN, 0.0


def _keep(previous: Choice, sample: pl.Series, lines: pl.Series) -> Choice | None:
    """The layout of the source before, if it is telling and fits here too."""
    row = LAYOUTS.get(previous.format.name, PLAIN)
    margin = _margin(sample)
    if row is PLAIN or row.name in _VAGUE or previous.others or margin.is_empty():
        return None
    if row.match(margin) < 1 - _TIE:
        return None
    return Choice(row.learn(lines.head(SAMPLE_LINES)), row.match(sample))


def _margin(lines: pl.Series) -> pl.Series:
    """Lines that do not go on with the one before."""
    return lines.filter(~lines.str.contains(CONTINUATION))


def _considerable(part: int, whole: int) -> bool:
    return part >= max(_UNREAD_LINES, _UNREAD * whole)


def _next(left: pl.Series, whole: int) -> Format | None:
    """What reads a considerable part of the lines that are left, if they are a format's.

    Messages go on in lines that happen to look like something: only formats that tell a time, or name their
    fields, are taken at their word, and the vague ones only where they read most of what is left.
    """
    margin = _margin(left)
    found, share = _best(_sample(margin), left)
    timed = not isinstance(found, Layout) or found.timestamp is not None
    enough = _MOST if found.name in _VAGUE else _ENOUGH
    if found is PLAIN or not timed or share < enough or not _considerable(int(share * len(margin)), whole):
        return None
    return found


def named(text: str) -> Format:
    """The format of a name, of a notation in Loghub's style, or of a regex with named groups.

    Raises:
        InputError: No such name (the nearest ones are suggested), or a notation or regex that makes no sense.
    """
    if is_pattern(text):
        return layout_from_pattern(text)
    if "<" in text:
        return layout_from_notation(text)
    by_lower = {name.lower(): row for name, row in LAYOUTS.items()}
    found = by_lower.get(text.strip().lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(text.lower(), by_lower, n=3, cutoff=0.5)
    names = ", ".join(by_lower[name].name for name in near) if near else ", ".join(DOMAINS)
    raise InputError(
        f"unknown layout {text!r}", remedy=f"Known are for instance {names}; or write '<Time> <Content>'"
    )


def _sample(lines: pl.Series) -> pl.Series:
    step = max(1, len(lines) // SAMPLE_LINES)
    spread = lines.gather_every(step).str.head(_SAMPLE_CHARACTERS)
    return spread.filter(spread.str.strip_chars() != "")
