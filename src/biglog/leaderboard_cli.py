"""`biglog leaderboard`: result files in, Markdown, a page and a Space out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biglog.console import AsJson, print_json
from biglog.errors import InputError

if TYPE_CHECKING:
    from biglog.evaluation.leaderboard import Entry

EXAMPLE = (
    "Example: biglog leaderboard results/leaderboard --out model_cards/LEADERBOARD.md --space leaderboard/"
)


def leaderboard(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE...", help="Result files, or folders that hold them."),
    ] = None,
    from_hub: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="A model repository with .eval_results; datasets/OWNER/NAME for one of result files. "
            "Repeatable.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write it as Markdown.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page that needs nothing else.")] = None,
    space: Annotated[
        Path | None, typer.Option(help="Write a folder that is a static Space of a Hub.")
    ] = None,
    check: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Only check a result file. Repeatable.")
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Print a result file to fill in, and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rank the results of models, table by table: only rows of one task and protocol are compared."""
    from biglog.evaluation import leaderboard as board

    if template:
        from biglog.evaluation.leaderboard.joining import template as form

        typer.echo(form(), nl=False)
        return
    for file in check or ():
        entry = board.read_entry(file)
        typer.echo(f"{file}: {entry.results.name}, {len(entry.results.results)} results, no fault found")
    if check and not sources and not from_hub:
        return
    entries = board.collect(sources or ())
    if from_hub:
        from biglog.publishing.fetching import fetch_entries

        entries += [one for repo_id in from_hub for one in fetch_entries(repo_id)]
    if not entries:
        raise InputError("there is nothing to rank", remedy="Name a result file, a folder, or --from-hub")
    _write(entries, out, html, space, as_json)


def _write(
    entries: list[Entry], out: Path | None, html: Path | None, space: Path | None, as_json: bool
) -> None:
    from biglog import leaderboard_page as page
    from biglog.evaluation import leaderboard as board
    from biglog.evaluation.leaderboard.describing import titles

    told = titles()
    written = []
    if out is not None:
        board.write_markdown(entries, out, told)
        written.append(out)
    if html is not None:
        page.write_page(entries, html, told)
        written.append(html)
    if space is not None:
        page.write_space(entries, space, told)
        written.append(space)
    if as_json:
        print_json(page.board(entries, Path.cwd()))
    elif written:
        typer.echo("\n".join(map(str, written)))
    else:
        typer.echo(board.render_markdown(entries, Path.cwd(), told, joining=False), nl=False)
