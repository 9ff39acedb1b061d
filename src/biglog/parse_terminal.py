"""The events of a log on a terminal."""

from __future__ import annotations

import re

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from biglog.inference.parse_files import ParsedFiles
from biglog.wording import plural, visible

SHOWN_CHARACTERS = 300
"""Characters of a template that are shown."""

_WILDCARD = re.compile(r"<\*>")


def print_events(done: ParsedFiles, events: pl.DataFrame, top: int, console: Console) -> None:
    """Prints one line an event, most frequent first, and what was parsed.

    Args:
        done: What was parsed.
        events: The events to show.
        top: How many at most.
        console: Where to print.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column("Lines", justify="right", no_wrap=True)
    table.add_column("Share", justify="right", no_wrap=True)
    table.add_column("Event", no_wrap=True)
    table.add_column("Template", overflow="fold")
    for event, template, lines in events.select("event_id", "template", "lines").head(top).iter_rows():
        share = lines / max(1, done.lines_so_far)
        table.add_row(f"{lines:,}", f"{share:.1%}", Text(event, "dim"), _shown(template))
    console.print(table)
    if len(events) > top:
        console.print(Text(f"and {plural(len(events) - top, 'more event')} (--top)", "dim"))
    console.print()
    forms = plural(done.normal_forms, "normal form")
    lines = plural(done.lines, "line")
    if done.lines_so_far > done.lines:
        lines += f" ({done.lines_so_far:,} with those of earlier runs)"
    console.print(Text(f"{lines}, {forms}, {plural(len(done.events), 'event')}"))


def _shown(template: str) -> Text:
    short = template if len(template) <= SHOWN_CHARACTERS else template[: SHOWN_CHARACTERS - 1] + "\u2026"
    text = Text(visible(short) or "(blank line)")
    text.highlight_regex(_WILDCARD, "cyan")
    return text
