"""What reading found in each source, on a terminal: its format, how sure that is, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from biglog.data.tabulate import Tabulated
from biglog.logs.merging import ClockOrder
from biglog.logs.record import SourceReport
from biglog.wording import plural, visible

_SOURCES_SHOWN = 40


def print_read(done: Tabulated, out: Path | None, console: Console) -> None:
    """Print one line a source, what was wrong with it below, and what was written.

    Args:
        done: What was read.
        out: What was written, or None.
        console: Where to print; fits from 80 columns up.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    for name in ("Lines", "Records"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Format", overflow="fold")
    table.add_column("Sure", justify="right", no_wrap=True)
    table.add_column("Source", overflow="fold")
    for source in done.sources[:_SOURCES_SHOWN]:
        table.add_row(
            f"{source.lines:,}",
            f"{source.records:,}",
            Text(visible(_format(source)), "bold"),
            f"{source.confidence:.0%}",
            Text.assemble(visible(source.name), *((f"\n{note}", "yellow") for note in _notes(source))),
        )
    console.print(table)
    if len(done.sources) > _SOURCES_SHOWN:
        console.print(Text(f"and {plural(len(done.sources) - _SOURCES_SHOWN, 'more source')}", "dim"))
    for name, reason in done.skipped[:_SOURCES_SHOWN]:
        console.print(Text.assemble(("Skipped: ", "yellow"), visible(name), f" ({reason})"))
    for clock in done.merged.clocks if done.merged else ():
        if clock.inversions:
            console.print(Text.assemble(("Clock: ", "yellow"), _clock(clock)))
    console.print()
    lines = sum(source.lines for source in done.sources)
    written = f", {plural(done.rows, 'row')} in {out}" if out is not None else ""
    console.print(Text(f"{plural(lines, 'line')} of {plural(len(done.sources), 'source')}{written}"))


def _format(source: SourceReport) -> str:
    return source.layout if source.encoding in ("", "utf-8") else f"{source.layout} ({source.encoding})"


def _notes(source: SourceReport) -> Iterator[str]:
    """What was wrong with a source, each with its first lines where they are known."""
    if 0 < source.without_header < source.lines:
        yield f"{plural(source.without_header, 'line')} without header"
    if len(source.layouts.keys() - {"plain"}) > 1:
        parts = sorted(source.layouts.items(), key=lambda item: -item[1])
        yield "records by format: " + ", ".join(f"{name} {count:,}" for name, count in parts)
    if source.bad_timestamps:
        yield f"{plural(source.bad_timestamps, 'timestamp')} that {_are(source.bad_timestamps)} no time"
    if source.damaged:
        yield f"{plural(source.damaged, 'line')} with bytes that are no text{_first(source.first_damaged)}"
    if source.control_lines:
        yield f"{plural(source.control_lines, 'line')} with control characters"
    if source.split_lines:
        yield f"{plural(source.split_lines, 'line')} over the length bound{_first(source.first_split)}"
    if source.truncated:
        yield "the compressed data end early or are damaged: what follows is missing"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _first(numbers: tuple[int, ...]) -> str:
    return f", first at {', '.join(f'{number:,}' for number in numbers)}" if numbers else ""


def _clock(clock: ClockOrder) -> str:
    return (
        f"{visible(clock.source)}: {plural(clock.inversions, 'line')} out of order, at worst by "
        f"{clock.largest_step_back:,.0f} s{_first(clock.first_inverted)}"
    )
