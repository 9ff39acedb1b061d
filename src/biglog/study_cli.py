"""`biglog study`: what a choice is worth, measured and drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from biglog.errors import InputError

EXAMPLE = "Example: biglog study transfer --models runs/last --seeds 0 1 2"
SETTINGS = {"allow_extra_args": True}
"""Seeds may stand one after the other: `--seeds 0 1 2`."""

_ALL = "all"


def study(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A study (see --list), or `all` to draw what was measured.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="Tell which studies there are.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the data. Default: BIGLOG_DATA.")] = None,
    models: Annotated[
        Path, typer.Option(help="Folder of encoders that left folds out: foldF-seedS/foldF-seedS.")
    ] = Path("runs/folds"),
    seeds: Annotated[list[int] | None, typer.Option(help="Seeds of encoders and draws. Default: 0.")] = None,
    statements: Annotated[
        list[Path] | None, typer.Option(help="Tables of log statements that parsers learn from.")
    ] = None,
    plans: Annotated[Path, typer.Option(help="Folder of the plans of studies that train.")] = Path(
        "recipes/configs/studies"
    ),
    runs: Annotated[Path, typer.Option(help="Folder of their runs.")] = Path("runs/studies"),
    cache: Annotated[Path, typer.Option(help="Keeps vectors and comparisons.")] = Path("runs/cache"),
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    pictures: Annotated[Path, typer.Option(help="Folder of pictures.")] = Path("docs/studies"),
    draw: Annotated[
        bool, typer.Option("--draw", help="Measure nothing: draw the result that is there.")
    ] = False,
) -> None:
    """Run a study, write its result and draw its picture."""
    from biglog.evaluation.ablation import Plan, read_plan
    from biglog.evaluation.studies.registry import STUDIES, Workplace, run_study, study_of
    from biglog.evaluation.studies.sizes import Train
    from biglog.study_runs import fold_embedders, trained_variants
    from biglog.training.folds import folds

    if listed:
        for one, told in STUDIES.items():
            typer.echo(f"{one:12} {told.asks}")
        return
    if not name:
        raise InputError("no study is named", remedy=f"Choose of {', '.join(STUDIES)}, or all")
    root = data or Path(os.environ.get("BIGLOG_DATA", "../shared/data"))

    def train(plan: Plan, which: str) -> Train:
        return trained_variants(plan, plans / plan.base, runs)

    at = Workplace(
        data=root,
        results=results,
        seeds=_numbers(seeds, context.args),
        folds=folds(),
        embedders=lambda: fold_embedders(models, cache),
        statements=statements or [root / "statements" / "statements.csv.gz"],
        cache=cache,
        plan=lambda which: read_plan(plans / f"{which}.yaml"),
        train=train,
        say=lambda text: typer.echo(text, err=True),
    )
    if name != _ALL:
        study_of(name)
        run_study(name, at, pictures, draw_only=draw)
        typer.echo(pictures / f"{name}.svg")
        return
    for one, told in STUDIES.items():
        if (results / told.source).is_file():
            run_study(one, at, pictures, draw_only=True)
            typer.echo(pictures / f"{one}.svg")


def _numbers(seeds: list[int] | None, more: list[str]) -> list[int]:
    if more and not seeds:
        raise InputError(f"what is {more[0]!r}?", remedy="Name one study; seeds stand behind --seeds")
    try:
        return [*(seeds or [0]), *(int(one) for one in more)]
    except ValueError as error:
        raise InputError(f"--seeds is {' '.join(more)!r}, and no integers", remedy="0 1 2") from error
