"""`biglog adapt`: an encoder and a head learn a task from a table."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from biglog.console import print_json, tasks_bar

EXAMPLE = "Example: biglog adapt lines.csv --head sequence --mode lora --label severity --out severity"

_USAGE = f"""Usage: biglog adapt TABLE [--head HEAD] [--mode MODE] [--label COLUMN] [--out FOLDER] [--json]
                    [--NAME VALUE]...
       biglog adapt --config FILE [--NAME VALUE]... [--json]

{EXAMPLE}
"""

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every argument of a run is an option, so that they are not listed a second time here."""


def adapt(context: typer.Context) -> None:
    """Adapt an encoder to a task or a domain: a table, a YAML file, or flags (--help lists them)."""
    from biglog.training.adapt import AdaptArguments

    words = list(context.args)
    if not words or "--help" in words:
        typer.echo(_USAGE)
        typer.echo(inspect.getdoc(AdaptArguments))
        return
    as_json = "--json" in words
    rest = [word for word in words if word != "--json"]
    if rest and not rest[0].startswith("--"):
        rest.insert(0, "--data")
    arguments = AdaptArguments.from_command_line(rest)
    from biglog.training.adapt import adapt as run

    with tasks_bar() as progress:
        record = run(arguments, progress if arguments.is_cached else None)
    if as_json:
        print_json(record)
    else:
        for line in told(record, Path(arguments.output_path)):
            typer.echo(line)


def told(record: dict[str, Any], folder: Path) -> list[str]:
    """Says what a run did, in a few lines.

    Args:
        record: The run's.
        folder: Where its result is.
    """
    counts, training = record["parameters"], record["training"]
    source = record["data"]["learnt_from"]
    kept = "" if training["best_epoch"] is None else f", epoch {training['best_epoch']:g} kept"
    lines = [
        f"{record['head']}, {record['mode']}: {counts['trained']:,} of {counts['total']:,} parameters learnt "
        f"({counts['share']:.2%}; outside of the head {counts['share_encoder']:.2%})",
        f"learnt from {source['rows']:,} rows, {source['distinct_examples']:,} distinct: "
        f"{training['steps']:,} steps{kept}, {training['wall_seconds']:.1f} s, "
        f"{training['lines_per_second']:,.0f} lines/s",
    ]
    scores = record["held_out"]
    if scores is not None:
        before = record["before"] or scores.get("majority", {})
        beside = "before" if record["before"] else "most frequent class"
        names = [name for name in ("accuracy", "balanced_accuracy", "macro_f1") if name in scores]
        said = [
            f"{name.replace('_', ' ')} {scores[name]:.3f} ({beside} {before[name]:.3f})" for name in names
        ]
        lines.append(f"held out, {scores['labels']:,} labels: {', '.join(said)}")
    return [*lines, f"-> {folder} (card README.md, record adaptation.json)"]
