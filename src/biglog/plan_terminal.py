"""A plan of a pretraining run, printed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_plan(plan: dict[str, Any], console: Console) -> None:
    """Prints what a run would do.

    Args:
        plan: What `biglog.training.plan.plan_run` returns.
        console: Where to.
    """
    console.print(_domains(plan))
    if plan["left_out"]:
        console.print(_rows(plan["left_out"], "Left out", ("domain", "lines", "forms")))
    if plan["exclusions"]:
        columns = ("name", "file", "lines", "normal_forms", "dropped", "remaining")
        console.print(_rows(plan["exclusions"], "Kept from training", columns))
    training = plan["training"]
    drawn = training.get("tokens_at_most") or training.get("tokens_about")
    console.print(
        f"{_number(training['steps'])} steps of {training['rows_per_step']:,} rows; "
        f"{_number(drawn)} tokens drawn; time unknown",
        highlight=False,
    )
    for warning in plan["warnings"]:
        console.print(f"warning: {warning}", highlight=False, markup=False)


def _domains(plan: dict[str, Any]) -> Table:
    columns = ("domain", "lines", "forms", "held_out", "tokens", "share", "draws_per_form")
    table = _rows(plan["domains"], "Corpus", columns)
    totals = plan["totals"]
    table.add_section()
    table.add_row(
        "all", *(_number(totals[name]) for name in ("lines", "forms", "held_out", "tokens")), "", ""
    )
    return table


def _rows(rows: list[dict[str, Any]], title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, box=None, title_justify="left", header_style="bold")
    for name in columns:
        text = name in ("domain", "name", "file")
        table.add_column(name.replace("_", " "), justify="left" if text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(f"{row[name]:.1%}" if name == "share" else _number(row[name]) for name in columns))
    return table


def _number(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
