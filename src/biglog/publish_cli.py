"""`biglog publish`: one verb for models, adapters, fitted things, tables, results and Spaces."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from biglog.console import AsJson, print_json

EXAMPLE = "Example: biglog publish ./runs/mini/biglog-mini owner/biglog --dry-run"


def publish(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="What was saved: a checkpoint (or an embedded name), an adapter, detector, predictor or "
            "parser, built tables, a result file or a folder of them, or a leaderboard's folder.",
        ),
    ],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub.")],
    kind: Annotated[
        str | None,
        typer.Option(
            help="model, adapter, detector, predictor, parser, dataset, results or space. Default: told from "
            "what the folder holds."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Id on the Hub of the model that an adapter, detector or predictor stands on, in place of "
            "the folder that it names.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME", help="Dataset on the Hub that results beside a model were measured on."
        ),
    ] = None,
    bert: Annotated[
        bool, typer.Option("--bert", help="The sibling typed `bert`, which loads without BigLog installed.")
    ] = False,
    hide_paths: Annotated[
        bool, typer.Option("--hide-paths", help="Keep only the last part of paths of this machine.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as a private one.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to write; default main.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag to put on the commit.")] = None,
    message: Annotated[str | None, typer.Option(help="First line of the commit message.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and list everything, send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish what was trained, fitted, built or measured to a Hub (token: HF_TOKEN or `hf auth login`)."""
    from biglog.hub import Target
    from biglog.publishing import publish as run
    from biglog.publishing.sending import Options

    result = run(
        what,
        Target(repo_id, private=private, revision=revision, tag=tag),
        kind,
        Options(bert, base, dataset, hide_paths, message, dry_run),
    )
    if as_json:
        print_json(asdict(result))
        return
    for file in result.files:
        typer.echo(f"{file.size:>12,}  {file.path}")
    for name in result.left_out:
        typer.echo(f"{'stays here':>12}  {name}")
    if result.kind in ("detector", "predictor"):
        typer.echo("It holds normal forms of the logs that it was fitted on.", err=True)
    state = "would be published to" if dry_run else "published to" if result.changed else "unchanged at"
    typer.echo(f"{len(result.files)} files ({result.kind}) {state} {result.url}")
