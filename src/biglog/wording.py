"""How findings are put: the words, figures and escapes that the report and the terminal share.

Log lines are hostile input. Whatever a reader sees of them went through `visible` or a `*_pieces` function,
which leave no character that could move the cursor, reverse the reading direction or vanish.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from biglog.inference.analysis import Analysis, Burst, OddLine

SCORE_NOTE = (
    "A score ranks the lines of one log: higher is odder. It grows with a line's distance to the nearest "
    "common lines as the encoder sees them, with how rare it is, with how severe it is, and with its absence "
    "from the baseline if one was given. It is no probability, and scores of different logs do not compare."
)

MASK_TOKEN = re.compile(r"<\*>|\[(?:NUM|TIMESTAMP|IP|CODE|FILE)\]")

# The names of syslog, log4j, java.util.logging, BGL and Android (single letters); others have rank 0.
SEVERITIES = ("none", "debug", "info", "warning", "error", "fatal")
_RANKS = {
    1: "trace debug verbose fine finer finest v d t",
    2: "info information informational notice config i n",
    3: "warn warning w",
    4: "err error e severe failure fail exception",
    5: "fatal crit critical alert emerg emergency panic f a c",
}
_RANK_OF = {name: rank for rank, names in _RANKS.items() for name in names.split()}

# Controls, bidirectional and zero-width marks, lone surrogates, private use, line and paragraph separators.
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_PLAIN_TEXT = re.compile(r"[\x20-\x7e]*\Z")


def severity_rank(level: str | None) -> int:
    """Return 0 (unknown) to 5 (fatal) for a level as a log spells it; an index into `SEVERITIES`."""
    return _RANK_OF.get((level or "").strip().lower(), 0)


def escaped(char: str) -> str:
    r"""Return a character as Python would escape it: `\x1b`, `\u202e`, `\U000e0001`."""
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_invisible(char: str) -> bool:
    """Whether a character must be shown by its escape: controls, format marks, surrogates, odd line ends."""
    return unicodedata.category(char) in _INVISIBLE


def visible(text: str) -> str:
    """Return text with every character that cannot be seen, or that changes how others are seen, escaped."""
    if _PLAIN_TEXT.match(text):
        return text
    return "".join(escaped(char) if is_invisible(char) else char for char in text)


def clip(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text; what was cut is said by its length."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … (cut here; the whole is {len(text):,} characters)"


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of a name, the last an ellipsis if it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 line`, `2,000 lines`; irregular plurals are given."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def percent(share: float) -> str:
    """Return a share (0 to 1) as a percentage that is never a wrong 0 % or 100 %."""
    if share <= 0 or share >= 1:
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "< 0.1 %"
    if share > 0.999:
        return "> 99.9 %"
    return f"{share * 100:.1f} %" if share < 0.1 or share > 0.99 else f"{share * 100:.0f} %"


def size(count: int) -> str:
    """Return a number of bytes in decimal units."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a duration by its two leading units: `4 h 9 min`, `12 days`, `0.8 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 and seconds < 10 else f"{seconds:.0f} s"
    for unit, length, lower, part in (("day", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= length:
            whole = int(seconds // length)
            rest = int(seconds % length // part) if whole < 10 else 0
            name = plural(whole, "day") if unit == "day" else f"{whole:,} {unit}"
            return f"{name} {rest} {lower}" if rest else name
    raise AssertionError("unreachable: a minute or more has a unit")


def moment(when: datetime | None) -> str:
    """Return a time to the second, or an empty text."""
    return "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S")


def score(value: float) -> str:
    """Return a score with two decimals; a dash where it is not a finite number."""
    return f"{value:.2f}" if abs(value) < float("inf") else "–"


def headline(analysis: Analysis) -> str:
    """Return the finding in one line."""
    if not analysis.lines:
        return "There are no lines"
    if not analysis.odd_lines:
        return f"Nothing odd in {plural(analysis.lines, 'line')}"
    odd = plural(len(analysis.odd_lines), "odd line")
    return f"{odd} in {analysis.lines:,}" if analysis.lines > 1 else "One line, and it is odd"


def lede(analysis: Analysis) -> list[str]:
    """Return what the log is, in a few sentences of plain text."""
    return [s for s in (_extent(analysis), _variety(analysis), _levels(analysis), _bursts(analysis)) if s]


def source_words(analysis: Analysis) -> str:
    """Return the name of the source, or the first with how many more."""
    names = [visible(source.name) for source in analysis.sources]
    if not names:
        return "No source"
    return names[0] if len(names) == 1 else f"{names[0]} and {plural(len(names) - 1, 'more source')}"


def _extent(analysis: Analysis) -> str:
    what = f"{plural(analysis.lines, 'line')} ({size(analysis.bytes)})"
    if analysis.start is None or analysis.end is None:
        return f"{what}, without timestamps: everything is in the order of the file."
    seconds = (analysis.end - analysis.start).total_seconds()
    if not seconds:
        return f"{what}, all from {moment(analysis.start)}."
    if analysis.start.date() == analysis.end.date():
        return f"{what} over {duration(seconds)}, from {moment(analysis.start)} to {analysis.end:%H:%M:%S}."
    return f"{what} over {duration(seconds)}, from {moment(analysis.start)} to {moment(analysis.end)}."


def _variety(analysis: Analysis) -> str:
    events = len(analysis.events)
    if not events:
        return ""
    new = sum(event.is_new is True for event in analysis.events)
    novelty = f"; {new:,} of them the baseline does not have" if new else ""
    if analysis.lines == 1:
        return ""
    said = f"They say {events:,} different things (events)" if events > 1 else "All say the same (one event)"
    top = sum(event.share for event in analysis.events[:3])
    commonest = f"; the three most common make up {percent(min(top, 1.0))} of the lines" if events > 6 else ""
    return f"{said}{commonest}{novelty}."


def _levels(analysis: Analysis) -> str:
    severe = {
        level: count
        for level, count in analysis.level_counts.items()
        if severity_rank(level) >= severity_rank("error") and count
    }
    named = any(level for level, count in analysis.level_counts.items() if count)
    if not named:
        return "Their headers carry no levels." if analysis.lines > 1 else ""
    if not severe:
        return "No line is marked as an error or worse."
    ranked = sorted(severe.items(), key=lambda item: (-severity_rank(item[0]), -item[1]))
    listed = join_words([f"{count:,} {visible(level)}" for level, count in ranked])
    share = percent(sum(severe.values()) / max(analysis.lines, 1))
    return f"{share} are marked as errors or worse ({listed})."


def _bursts(analysis: Analysis) -> str:
    bursts = [event for event in analysis.events if event.burst]
    if not bursts:
        return ""
    return f"{plural(len(bursts), 'event')} came in a burst."


def join_words(words: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def burst_words(burst: Burst) -> str:
    """Return a burst as a sentence."""
    seconds = (burst.end - burst.start).total_seconds()
    within = f" within {duration(seconds)}" if seconds else " at once"
    lines = plural(burst.count, "line")
    usual = f"at the pace of the rest of the log, {burst.expected:.1f}"
    return f"{lines}{within} from {moment(burst.start)}; {usual}"


def alike_words(odd: OddLine) -> str:
    """Return how many lines are like an odd line, itself included."""
    return "the only line like it" if odd.count <= 1 else f"{odd.count:,} lines like it"


class Piece(NamedTuple):
    """A stretch of text and its kind: `""`, `token` (mask), `value` (masked), `header`, `escape` or `cut`."""

    text: str
    kind: str
    title: str = ""


def template_pieces(template: str, limit: int = 2000) -> list[Piece]:
    """Split a template into text and mask tokens; long ones are cut, with their length said."""
    pieces: list[Piece] = []
    position, shown = 0, template[:limit]
    for match in MASK_TOKEN.finditer(shown):
        pieces += _escapes(shown[position : match.start()], "")
        pieces.append(Piece(match.group(), "token"))
        position = match.end()
    return pieces + _escapes(shown[position:], "") + _cut(template, limit)


def text_pieces(text: str, limit: int = 2000) -> list[Piece]:
    """Split a text into what is shown as it stands and what is escaped; long ones are cut."""
    return _escapes(text[:limit], "") + _cut(text, limit)


def line_pieces(odd: OddLine, limit: int = 2000) -> list[Piece]:
    """Split an odd line into its header, its masked values and the rest of its content.

    The header is what stands before the content in the raw line; where the content does not stand there as
    it is (bytes were replaced), the content is shown alone.
    """
    line, message = odd.line.rstrip("\r\n"), odd.content.rstrip("\r\n")
    at = line.rfind(message) if message else len(line)
    pieces = _escapes(line[: min(max(at, 0), limit)], "header")
    position, content = 0, message[: max(limit - max(at, 0), 0)]
    for start, end, token in sorted(odd.spans):
        if not position <= start < end <= len(content):
            continue
        pieces += _escapes(content[position:start], "")
        pieces += [piece._replace(title=token) for piece in _escapes(content[start:end], "value")]
        position = end
    return pieces + _escapes(content[position:], "") + _cut(line if at >= 0 else message, limit)


def _cut(text: str, limit: int) -> list[Piece]:
    if len(text) <= limit:
        return []
    return [Piece(f" … cut here; the whole is {len(text):,} characters", "cut")]


def _escapes(text: str, kind: str) -> list[Piece]:
    """Split off the invisible characters, so that an escape is not mistaken for text of the line."""
    if not text:
        return []
    if _PLAIN_TEXT.match(text):
        return [Piece(text, kind)]
    pieces: list[Piece] = []
    for char in text:
        hidden = is_invisible(char) and char != "\t"
        this = Piece(escaped(char) if hidden else char, "escape" if hidden else kind)
        if pieces and pieces[-1].kind == this.kind:
            pieces[-1] = Piece(pieces[-1].text + this.text, this.kind)
        else:
            pieces.append(this)
    return pieces
