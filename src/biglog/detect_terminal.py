"""Alerts on a terminal: for each the line that says why, its number, score, threshold, and the reasons.

Log text reaches Rich only as `Text` that went through `visible` or was split into pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from biglog.inference.detection.alerts import Alert, AlertLine
from biglog.inference.detection.files import Detection
from biglog.terminal import bar
from biglog.wording import moment, percent, plural, shorten, text_pieces, visible

SHOWN_LINES: Final = 3
"""Lines of an alert that are shown."""

_SHOWN_REASONS: Final = 2
_CHARACTERS: Final = 400
_ASCII: Final = str.maketrans({"–": "-", "…": "...", "→": ">", "“": '"', "”": '"'})
_STYLES: Final = {"escape": "red", "cut": "dim italic"}


def print_detection(done: Detection, top: int, console: Console) -> None:
    """Prints what was judged, how alerts lie over time, and the alerts, the highest score first.

    Args:
        done: What was found.
        top: How many distinct alerts at most.
        console: Where to print.
    """
    with _encodable(console):
        _print_detection(done, top, console)


def _print_detection(done: Detection, top: int, console: Console) -> None:
    console.print(Text(headline(done), "bold"))
    console.print(Text(f"{_sources(done)}: {lede(done)}"))
    for note in done.notes:
        console.print(Text.assemble(("Note: ", "yellow"), note))
    _print_course(done, console)
    many = len(done.report.sources) > 1
    for rank, alert in enumerate(done.alerts[:top], start=1):
        console.print()
        _print_alert(alert, console, f"{rank:>2}  ", many)
    if len(done.alerts) > top:
        more = plural(len(done.alerts) - top, "more different alert")
        console.print(Text(f"\nand {more} (--top, --report, --out)", "dim"))


@contextmanager
def _encodable(console: Console) -> Iterator[None]:
    """What the console's encoding lacks is escaped, not fatal."""
    encoding = console.encoding
    if encoding.startswith("utf"):
        yield
        return
    with console.capture() as caught:
        yield
    text = caught.get().translate(_ASCII)
    console.file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def headline(done: Detection) -> str:
    """Returns the finding in one line."""
    groups = f"{done.groups:,} {done.grouping}"
    if not len(done.rows):
        return f"No alert in {groups}"
    different = f", {len(done.alerts):,} different" if len(done.alerts) < len(done.rows) else ""
    return f"{plural(len(done.rows), 'alert')}{different}, in {groups}"


def lede(done: Detection) -> str:
    """Returns in a few sentences what was judged by what."""
    learnt = (
        f"Learnt from {plural(done.fitted, 'group')} ({plural(done.fitted_lines, 'line')}). "
        if done.fitted
        else ""
    )
    return (
        f"{plural(done.lines, 'line')} judged. {learnt}Method {done.method}, at most {percent(done.budget)} "
        f"of normal groups may alarm; threshold {score(done.threshold)}."
    )


def score(value: float) -> str:
    """Returns a score with three decimals: those of alerts lie close together, near 1."""
    return f"{value:.3f}"


def print_alert(alert: Alert, console: Console) -> None:
    """Prints one alert.

    Args:
        alert: The alert.
        console: Where to print.
    """
    with _encodable(console):
        _print_alert(alert, console, "", False)


def _print_alert(alert: Alert, console: Console, rank: str, with_source: bool) -> None:
    head = Text(rank)
    head.append(score(alert.anomaly_score), "bold red")
    head.append(f" > {score(alert.threshold)}  ", "dim")
    source = f"{shorten(visible(alert.source), 60)}, " if with_source else ""
    head.append(f"{source}{_place(alert)}")
    head.append(f"  {moment(alert.start)}  " if alert.start else "  ", "dim")
    head.append(visible(alert.alert_id), "cyan")
    if alert.alike > 1:
        head.append(f"  {alert.alike:,} times", "yellow")
    console.print(head)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", style="dim", no_wrap=True, min_width=6)
    grid.add_column(overflow="fold")
    for line in alert.shown[:SHOWN_LINES]:
        grid.add_row(f"{line.line_number:,}", _log_text(line))
        if line.why:
            grid.add_row("", Text(_plain(line.why), "italic dim"))
    for reason in alert.reasons[:_SHOWN_REASONS]:
        grid.add_row("→", Text(_plain(reason)))
    console.print(Padding(grid, (0, 0, 0, 4)))


def _place(alert: Alert) -> str:
    if alert.first_line == alert.last_line:
        return f"line {alert.first_line:,}"
    name = f"{shorten(visible(alert.group_id), 40)}: " if not alert.group_id.isdigit() else ""
    return f"{name}lines {alert.first_line:,}–{alert.last_line:,}"


def _plain(text: str) -> str:
    return visible(shorten(text, _CHARACTERS))


def _log_text(line: AlertLine) -> Text:
    pieces = text_pieces(line.line.rstrip("\r\n")[line.header :], _CHARACTERS)
    return Text.assemble(
        *((piece.text.replace("\t", "    "), _STYLES.get(piece.kind, "bold")) for piece in pieces)
    )


def _sources(done: Detection) -> str:
    names = [visible(source.name) for source in done.report.sources]
    more = f" and {plural(len(names) - 1, 'more source')}" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def _print_course(done: Detection, console: Console) -> None:
    """One line of columns, alerts over the order of the log."""
    if not len(done.rows) or done.groups < 2:
        return
    columns = min(console.width, done.groups)
    place = pl.int_range(pl.len()) * columns // pl.len()
    counted = done.scores.group_by(place.alias("column"), maintain_order=True)
    counts = counted.agg(pl.col("is_anomaly").sum())["is_anomaly"].to_list()
    blocks = " .:-=+*#@" if console.options.ascii_only else " ▁▂▃▄▅▆▇█"
    console.print()
    console.print(Text("Alerts over the log", "bold") + Text(f"  up to {max(counts):,} per column", "dim"))
    console.print(Text(bar(counts, columns, blocks), "red", no_wrap=True, overflow="crop"))
