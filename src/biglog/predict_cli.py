"""`biglog predict`: learn what precedes failures, and tell the risk of each component now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from biglog.console import AsJson, Files, print_json, reading_bar
from biglog.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from biglog.inference.predictor import FailurePredictor

EXAMPLE = (
    "Example: biglog predict fit app.log --failures failures.csv --history 24h --horizon 1h --out model/"
)
SCORE_EXAMPLE = "Example: biglog predict score today.log --model model/"

app = typer.Typer(
    name="predict",
    help="Predict failures: learn what precedes them (fit), and tell the risk of each component (score).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Layout = Annotated[
    str | None, typer.Option("--layout", "--format", help="Format of all files (see `biglog read`).")
]
Year = Annotated[int | None, typer.Option(help="Year of the first line where timestamps have none.")]


@app.command(epilog=EXAMPLE)
def fit(
    files: Files,
    failures: Annotated[
        Path,
        typer.Option(
            help="Failures: .csv, .parquet or .jsonl with columns time (ISO or Unix) and component."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    history: Annotated[str, typer.Option(help="How far back a prediction looks, such as 24h.")] = "24h",
    horizon: Annotated[str, typer.Option(help="How far it reaches, such as 1h.")] = "1h",
    grid: Annotated[
        str | None, typer.Option(help="Time between predictions. Default: a sixth of the horizon.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="What tells components apart: host, component, source; or system, for none.")
    ] = "host",
    method: Annotated[
        str, typer.Option(help="How risks are learnt: reduced, shrunk, boosting, temporal, ...")
    ] = "reduced",
    features: Annotated[
        str | None, typer.Option(help="Blocks of features, with commas. Default: the method's own.")
    ] = None,
    false_alarms_per_day: Annotated[
        float | None,
        typer.Option(
            help="Budget of false alarms a day that the threshold keeps. Default: best correlation."
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="Checkpoint of the encoder: a folder or a Hub id. Default: biglog-mini."),
    ] = None,
    layout: Layout = None,
    year: Year = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn from logs and a list of failures what precedes failures."""
    from biglog.inference.encoder import LogEncoder
    from biglog.inference.predict_files import read_failures_file, read_history, seconds
    from biglog.inference.predictor import FailurePredictor

    if out.exists() and not out.is_dir():
        raise InputError("this is a file", where=out, remedy="Name a folder")
    predictor = FailurePredictor(
        LogEncoder.from_pretrained(encoder),
        method,
        None if features is None else [name.strip() for name in features.split(",")],
        history_seconds=seconds(history),
        horizon_seconds=seconds(horizon),
        grid_seconds=None if grid is None else seconds(grid),
        false_alarms_per_day=false_alarms_per_day,
        seed=seed,
    )
    listed = read_failures_file(failures)
    with reading_bar(files) as progress:
        lines = read_history(files, by=by, layout=layout, year=year, progress=progress)
    predictor.fit(lines, listed)
    predictor.save_pretrained(out)
    causes = predictor.causes()
    told = {"model": str(out), "lines": len(lines), "threshold": predictor.threshold}
    if as_json:
        print_json(told | {name: frame.to_dicts() for name, frame in causes.items()})
        return
    _print_causes(causes, Console())
    typer.echo(f"\n{len(lines):,} lines; alerts from a risk of {predictor.threshold:.3f} on. Model: {out}")


@app.command(epilog=SCORE_EXAMPLE)
def score(
    files: Files,
    model: Annotated[Path, typer.Option(help="Folder that `biglog predict fit` wrote.")],
    failures: Annotated[
        Path | None, typer.Option(help="Failures known by now, as of fit; those of fit are known.")
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="The moment, ISO 8601 or Unix seconds. Default: that of the last line.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="What tells components apart: host, component, source; or system, for none.")
    ] = "host",
    top: Annotated[int, typer.Option(min=1, help="The most components to show.")] = 20,
    encoder: Annotated[
        str | None, typer.Option(help="Checkpoint of the encoder. Default: the one that the model names.")
    ] = None,
    layout: Layout = None,
    year: Year = None,
    as_json: AsJson = False,
) -> None:
    """Tell the risk of each component now, and the lines that speak for it."""
    from biglog.inference.encoder import LogEncoder
    from biglog.inference.predict_files import read_failures_file, read_history
    from biglog.inference.predictor import FailurePredictor
    from biglog.tasks.failure.clock import moment

    at = None if now is None else moment(now)
    own = None if encoder is None else LogEncoder.from_pretrained(encoder)
    predictor = FailurePredictor.from_pretrained(model, own)
    known = None if failures is None else read_failures_file(failures)
    with reading_bar(files) as progress:
        lines = read_history(files, by=by, layout=layout, year=year, progress=progress)
    rows = _told(predictor, lines, known, at, top)
    if as_json:
        print_json(rows)
    else:
        _print_risks(rows, Console())


def _told(
    predictor: FailurePredictor, lines: pl.DataFrame, known: pl.DataFrame | None, at: Any, top: int
) -> list[dict[str, Any]]:
    """Components by risk, each with the events that raise it."""
    import polars as pl

    risks = predictor.risks(lines, known, at=at).with_row_index("history")
    reasons = predictor.reasons(lines, known, at=at)
    rows = risks.sort("risk", "group_id", descending=[True, False]).head(top).to_dicts()
    for row in rows:
        mine = reasons.filter(pl.col("history") == row.pop("history"))
        row["reasons"] = mine.drop("history", "group_id").to_dicts()
        row["component"] = row.pop("group_id")
    return rows


def _print_risks(rows: list[dict[str, Any]], console: Console) -> None:
    from rich.text import Text

    from biglog.wording import plural, visible

    for row in rows:
        mark = Text("ALERT ", "bold red") if row["is_alert"] else Text("      ")
        head = f"{row['risk']:.3f}  {row['component']}  ({plural(row['lines'], 'line')})"
        console.print(mark + Text(head))
        for reason in row["reasons"]:
            if row["is_alert"] and reason["risk_change"] > 0:
                times = f"{reason['lines']}x" if reason["lines"] > 1 else ""
                said = f"      +{reason['risk_change']:.3f}  {visible(reason['normal_form'])} {times}"
                console.print(Text(said.rstrip(), "dim"))
    if rows:
        when = f"{rows[0]['time']:%Y-%m-%d %H:%M:%S} UTC"
        console.print(f"\nAlerts from a risk of {rows[0]['threshold']:.3f} on, at {when}")


def _print_causes(causes: dict[str, pl.DataFrame], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from biglog.wording import visible

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    for name in ("Failures", "Before failures", "Other time", "z"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Event that preceded failures", overflow="fold")
    for row in causes["events"].head(10).to_dicts():
        if row["z"] > 0:
            shares = (f"{row['share']:.1%}", f"{row['other_share']:.1%}")
            table.add_row(
                f"{row['failures']:,}", *shares, f"{row['z']:.1f}", Text(visible(row["normal_form"]))
            )
    console.print(table)
