"""`biglog parse`: templates and parameters of a log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from biglog.console import AsJson, Files, check_writable, print_json, reading_bar
from biglog.errors import InputError

if TYPE_CHECKING:
    from biglog.inference.follow import Place
    from biglog.inference.parser import LogParser
    from biglog.tasks.parsing.stream import ParseStream

EXAMPLE = "Example: biglog parse app.log.gz --out parsed.parquet --templates known.txt"


def parse(
    files: Files,
    out: Annotated[
        Path | None,
        typer.Option(help="Rows to write, one a line: .parquet, .csv or .jsonl; - for JSON lines to stdout."),
    ] = None,
    templates: Annotated[
        Path | None, typer.Option(help="Templates that are asked first: text, one a line, or .csv, .jsonl.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labelled lines: .csv or .jsonl with columns content and template.")
    ] = None,
    propose: Annotated[
        int | None,
        typer.Option(min=1, help="Print so many lines that are worth a label, as CSV (see --labels)."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A token that is no value wherever it stands. Repeatable.")
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="Regex of tokens that are values wherever they stand. Repeatable."),
    ] = None,
    search: Annotated[
        list[str] | None, typer.Option(help="Show only events whose template has this. Repeatable.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="JSON file that remembers events between runs; made where there is none."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is appended to the file, as JSON lines.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="The most events to show.")] = 40,
    model: Annotated[
        str | None, typer.Option("--model", help="Checkpoint: a folder or a Hub id. Default: biglog-mini.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--layout", "--format", help="Format of all files (see `biglog read`).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell the events of a log, or, with --out, the template and typed parameters of each line."""
    from biglog.data.row_files import STANDARD_OUTPUT, check_suffix
    from biglog.inference.parser import LogParser

    check_suffix(out)
    if out != STANDARD_OUTPUT:
        check_writable(out)
    check_writable(state)
    parser = LogParser.from_pretrained(model).keep(*keep or ()).mask(*mask or ())
    _tell(parser, templates, labels)
    stream = _stream(parser, state)
    if follow:
        _follow(files, stream, state, layout, out)
    elif propose is not None:
        _propose(files, stream, propose, layout)
    else:
        _parse(files, stream, out, state, layout, search or [], top, as_json)


def _tell(parser: LogParser, templates: Path | None, labels: Path | None) -> None:
    from biglog.inference.parse_inputs import read_labels, read_templates

    if templates is not None:
        parser.add_templates(read_templates(templates))
    if labels is not None:
        parser.fit(*read_labels(labels))


def _stream(parser: LogParser, state: Path | None) -> ParseStream:
    if state is None or not state.exists():
        return parser.stream()
    return parser.resume(state)


def _save(stream: ParseStream, state: Path | None, place: Place | None = None) -> None:
    if state is not None:
        from biglog.inference.parser import save_state

        save_state(stream, state, {} if place is None else vars(place))


def _parse(
    files: list[str],
    stream: ParseStream,
    out: Path | None,
    state: Path | None,
    layout: str | None,
    search: list[str],
    top: int,
    as_json: bool,
) -> None:
    from biglog.data.row_files import STANDARD_OUTPUT
    from biglog.inference.parse_files import parse_files

    with reading_bar(files) as progress:
        done = parse_files(files, out, stream, layout=layout, progress=progress)
    _save(stream, state)
    if out == STANDARD_OUTPUT:
        return
    events = stream.search(search) if search else done.events
    if as_json:
        aliases = {old: list(new) for old, new in stream.aliases.items()}
        lines = {"lines": done.lines, "lines_so_far": done.lines_so_far}
        counts = lines | {"normal_forms": done.normal_forms, "events": len(done.events)}
        print_json(counts | {"found": events.to_dicts(), "aliases": aliases})
        return
    from biglog.parse_terminal import print_events

    print_events(done, events, top, Console())
    if out is not None:
        typer.echo(f"Rows: {out}")


def _propose(files: list[str], stream: ParseStream, count: int, layout: str | None) -> None:
    import csv

    from biglog.inference.parse_files import parse_files

    with reading_bar(files) as progress:
        parse_files(files, None, stream, layout=layout, progress=progress)
    writer = csv.writer(sys.stdout)
    writer.writerow(("content", "template"))
    writer.writerows(stream.proposals(count))


def _follow(
    files: list[str], stream: ParseStream, state: Path | None, layout: str | None, out: Path | None
) -> None:
    from biglog.data.row_files import STANDARD_OUTPUT, writing_rows
    from biglog.inference.follow import Interrupts, Place, follow
    from biglog.inference.parser import followed

    if len(files) != 1 or files[0] == "-":
        raise InputError("--follow is for one file", remedy="For a pipe leave --follow out, and use --out -")
    if out not in (None, STANDARD_OUTPUT):
        raise InputError("--follow writes to standard output", where=out, remedy="Leave --out out, and use >")
    told: set[str] = set()
    place = Place() if state is None or not state.exists() else Place(**followed(state))

    try:
        saving = Interrupts(lambda: _save(stream, state, place))
        with writing_rows(STANDARD_OUTPUT) as write, saving as interrupts:
            for frame in follow(Path(files[0]), stream, layout=layout, place=place, between=interrupts.check):
                write(frame)
                _print_aliases(stream, told)
    except KeyboardInterrupt:
        pass
    finally:
        _save(stream, state, place)


def _print_aliases(stream: ParseStream, told: set[str]) -> None:
    """Says on standard error which events have become part of others."""
    for old, new in stream.aliases.items():
        if old not in told:
            told.add(old)
            sys.stderr.write(f"event {old} is now {' or '.join(new)}\n")
