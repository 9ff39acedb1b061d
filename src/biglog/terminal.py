"""An analysis on a terminal: the finding, a bar of lines over time, the commonest events and the odd lines.

Log text reaches Rich only as `Text` that went through `visible` or was split into pieces: never as
markup, never with a control character.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from biglog.inference.analysis import Analysis, Event, OddLine
from biglog.timeline import resample
from biglog.wording import (
    SEVERITIES,
    Piece,
    headline,
    lede,
    line_pieces,
    percent,
    plural,
    score,
    severity_rank,
    shorten,
    source_words,
    template_pieces,
    text_pieces,
    visible,
)

_STYLES = {"token": "cyan", "value": "cyan", "escape": "red", "header": "dim", "cut": "dim italic", "": ""}
_LEVEL_STYLES = dict(zip(SEVERITIES, ("", "dim", "", "yellow", "red", "bold magenta"), strict=True))
_BLOCKS, _ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_LINES_SHOWN = 3


def print_summary(analysis: Analysis, console: Console, max_events: int = 12, max_odd: int = 10) -> None:
    """Print what is in a log and what is odd in it.

    Fits the console's width from 60 columns up. Without colours or Unicode, nothing is lost.

    Args:
        analysis: What to print.
        console: Where to print.
        max_events: Events shown; the commonest. How many there are more is said.
        max_odd: Odd lines shown; the oddest.
    """
    say = _Speaker(console)
    say(Text(headline(analysis), "bold"))
    say(Text(f"{source_words(analysis)}: {' '.join(lede(analysis))}"))
    if analysis.baseline:
        say(Text(f"Compared with the baseline {visible(analysis.baseline)}."))
    for note in analysis.notes:
        say(Text.assemble(("Note: ", "yellow"), *_parts(text_pieces(note, 600))))
    _print_timeline(analysis, say)
    _print_events(analysis, say, max_events)
    _print_odd(analysis, say, max_odd)


class _Speaker:
    """Prints on a console whose encoding may lack characters: those are escaped, not fatal."""

    def __init__(self, console: Console) -> None:
        self.console, self.ascii = console, console.options.ascii_only
        self.width = console.width

    def __call__(self, *items: Text | Table | Padding) -> None:
        for item in items or (Text(),):
            self.console.print(self.encodable(item) if isinstance(item, Text) else item, soft_wrap=False)

    def encodable(self, text: Text) -> Text:
        encoding = self.console.encoding
        if not self.ascii and encoding.startswith("utf"):
            return text
        parts = [
            (part.plain.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding), part.style)
            for part in _runs(text)
        ]
        return Text.assemble(*parts, style=text.style, overflow=text.overflow, no_wrap=text.no_wrap)


_ASCII = str.maketrans({"–": "-", "…": "...", "×": "x"})


def _runs(text: Text) -> list[Text]:
    cuts = sorted({0, len(text), *(edge for span in text.spans for edge in (span.start, span.end))})
    runs = []
    for part in text.divide(cuts[1:-1]):
        style = part.spans[0].style if part.spans else ""
        runs.append(Text(part.plain, style))
    return runs


def _parts(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    return [(piece.text.replace("\t", "    "), _STYLES[piece.kind]) for piece in pieces]


def _text(pieces: Sequence[Piece]) -> Text:
    return Text.assemble(*_parts(pieces))


def _level(name: str | None) -> Text:
    return Text(shorten(visible(name or ""), 10), _LEVEL_STYLES[SEVERITIES[severity_rank(name)]])


def _title(say: _Speaker, name: str, rest: str = "") -> None:
    say(Text(), Text.assemble((name, "bold"), (rest, "dim")))


def bar(counts: Sequence[int], columns: int, blocks: str = _BLOCKS) -> str:
    """Return counts as one line of block characters; what is not zero is never blank.

    Args:
        counts: Numbers, not negative.
        columns: Most characters to use.
        blocks: Characters by height, the first for zero.
    """
    shown = resample(counts, columns)
    tallest, top = max(shown, default=0), len(blocks) - 1
    return "".join(blocks[min(top, -(-count * top // tallest))] if count else blocks[0] for count in shown)


def _print_timeline(analysis: Analysis, say: _Speaker) -> None:
    if not (analysis.bins and analysis.start and analysis.end) or analysis.start == analysis.end:
        return
    counts = [sum(column) for column in zip(*analysis.levels.values(), strict=True)]
    columns = min(say.width, len(counts) if len(counts) >= say.width // 2 else say.width)
    stretch = max(1, columns // max(len(counts), 1))
    drawn = bar(
        [count for count in counts for _ in range(stretch)], columns, _ASCII_BLOCKS if say.ascii else _BLOCKS
    )
    # Times far from all others lie outside the bins, and would mislabel the ends of the bar.
    first, last = analysis.bins[0], analysis.bins[-1] + timedelta(seconds=analysis.bin_seconds or 0)
    reached = (max(first, analysis.start), min(last, analysis.end))
    same_day = reached[0].date() == reached[1].date()
    ends = [f"{when:%H:%M:%S}" if same_day else f"{when:%Y-%m-%d %H:%M}" for when in reached]
    _title(say, "Over time", f"  up to {plural(max(resample(counts, columns)), 'line')} per column")
    say(Text(drawn, no_wrap=True, overflow="crop"))
    say(Text(ends[0] + ends[1].rjust(max(len(drawn) - len(ends[0]), len(ends[1]) + 1)), "dim"))


def _print_events(analysis: Analysis, say: _Speaker, most: int) -> None:
    if not analysis.events:
        return
    shown = analysis.events[:most]
    _title(
        say,
        "Events",
        f"  {len(analysis.events):,}"
        + (f", the {len(shown)} commonest" if most < len(analysis.events) else ""),
    )
    levels, times = any(event.level for event in shown), any(event.first_seen for event in shown)
    same_day = bool(analysis.start and analysis.end and analysis.start.date() == analysis.end.date())
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column("Lines", justify="right", no_wrap=True, overflow="crop")
    table.add_column("Share", justify="right", no_wrap=True, overflow="crop")
    if levels:
        table.add_column("Level", no_wrap=True, overflow="crop")
    if times:
        table.add_column("First seen", no_wrap=True, overflow="crop")
    table.add_column("Template", overflow="fold", ratio=1)
    room = max(say.width - (22 + 10 * levels + 18 * times), 20)
    for event in shown:
        cells = [Text(f"{event.count:,}", "bold"), Text(percent(event.share))]
        cells += [_level(event.level)] if levels else []
        cells += [Text(_first_seen(event, same_day), "dim")] if times else []
        table.add_row(*(say.encodable(cell) for cell in (*cells, _template(event, room))))
    say(table)


def _first_seen(event: Event, same_day: bool) -> str:
    if event.first_seen is None:
        return ""
    return event.first_seen.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")


def _template(event: Event, room: int) -> Text:
    text = _text(template_pieces(event.template, 2000))
    text.truncate(room * _LINES_SHOWN, overflow="ellipsis")
    for chip, there in (("new", event.is_new), ("burst", event.burst)):
        if there:
            text.append(f" ({chip})", "green" if chip == "new" else "yellow")
    return text


def _print_odd(analysis: Analysis, say: _Speaker, most: int) -> None:
    shown = analysis.odd_lines[:most]
    if not shown:
        return
    more = len(analysis.odd_lines) - len(shown)
    _title(say, "Odd lines", "  the oddest first" + (f"; {more:,} more in the report" if more else ""))
    for odd in shown:
        _print_one(odd, say, many=len(analysis.sources) > 1)


def _print_one(odd: OddLine, say: _Speaker, many: bool) -> None:
    place = f"line {odd.line_number:,}"
    if many:
        place = f"{shorten(visible(odd.source), 60)}, {place}"
    when = f"  {odd.timestamp:%Y-%m-%d %H:%M:%S}" if odd.timestamp else ""
    head = Text.assemble(
        (f"{odd.rank:>2}  ", "dim"), (score(odd.anomaly_score), "bold"), f"  {place}", (when, "dim"), "  "
    )
    head.append_text(_level(odd.level))
    if odd.component:
        head.append(
            f" {shorten(visible(odd.component), 30)}" if odd.level else shorten(visible(odd.component), 30),
            "dim",
        )
    say(head)
    content = [piece for piece in line_pieces(odd) if piece.kind != "header"] or line_pieces(odd)
    text = _text(content)
    text.truncate(max(say.width - 5, 20) * _LINES_SHOWN, overflow="ellipsis")
    why = Text.assemble(*_parts(text_pieces("; ".join(odd.reasons), 400)), style="italic")
    say(*(Padding(say.encodable(part), (0, 0, 0, 4), expand=False) for part in (text, why)), Text())
