"""`biglog evaluate`: measure a model, or a baseline, on tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from biglog.console import AsJson, print_json, tasks_bar
from biglog.errors import InputError

EXAMPLE = "Example: biglog evaluate --model ./my-encoder --tasks anomaly,probes --data DIR --out mine.json"

_WIDE = 160
"""Characters of a line in a pipe or a file."""


SETTINGS = {"allow_extra_args": True}
"""Seeds may stand one after the other: `--seeds 0 1 2`."""


def evaluate(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint (folder or Hub id), folder of foldF-seedS checkpoints, a baseline's name, or "
            "mean-pooled:FOLDER. Default: biglog-mini."
        ),
    ] = None,
    tasks: Annotated[
        str, typer.Option(help="Tasks, with commas: ids, kinds (parsing, anomaly, failure, probes), small.")
    ] = "small",
    data: Annotated[
        Path, typer.Option(help="Folder of the data.", envvar="BIGLOG_DATA", show_envvar=True)
    ] = Path("data"),
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, with commas or blanks. Default: those of each task.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON of results; what is there is kept.")] = None,
    name: Annotated[str | None, typer.Option(help="What tables call the model.")] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Folder of other models' results. Default: that of --out.")
    ] = None,
    peers: Annotated[Path, typer.Option(help="What `make peers` wrote.")] = Path("runs/peers/templates.json"),
    again: Annotated[bool, typer.Option("--again", help="Measure again what is there.")] = False,
    list_tasks: Annotated[bool, typer.Option("--list", help="List tasks and baselines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on tasks; a run that was killed goes on with what is missing."""
    from biglog.evaluate_terminal import print_results, print_tasks, tasks_as_rows
    from biglog.evaluated_models import model_subject
    from biglog.evaluation.baselines import BASELINES
    from biglog.evaluation.evaluate import Run
    from biglog.evaluation.evaluate import evaluate as run
    from biglog.evaluation.results import read_all
    from biglog.evaluation.tasks.reading import select

    chosen = select([one for one in tasks.split(",") if one] if tasks != "all" else [])
    if list_tasks:
        every = select([])
        if as_json:
            print_json({"tasks": tasks_as_rows(every), "baselines": list(BASELINES)})
        else:
            print_tasks(every, list(BASELINES), Console())
        return
    numbers = _numbers(seeds, context.args)
    subject = model_subject(model, called=name, peers=peers)
    with tasks_bar() as progress:
        how = Run(data, numbers, out, again, lambda text: print(text, file=sys.stderr), progress)
        results = run(subject, chosen, how)
    folder = beside or (None if out is None else out.parent)
    if as_json:
        print_json(results.to_dict())
    else:
        console = Console()
        wide = console if console.is_terminal else Console(width=_WIDE)
        print_results(results, [] if folder is None else read_all(folder), wide)


def _numbers(text: str | None, more: list[str]) -> list[int]:
    if more and text is None:
        raise InputError(f"what is {more[0]!r}?", remedy="Name the model by --model, tasks by --tasks")
    told = " ".join([text or "", *more]).strip()
    try:
        return [int(one) for one in told.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"--seeds is {told!r}, and no integers", remedy="Write --seeds 0 1 2") from error
