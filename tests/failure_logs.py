"""Lines of a few nodes, made of real HPC contents, and their failures: one content comes before each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from data_path import LINES

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
OMEN = " ".join((LINES / "HPC.log").read_text().splitlines()[1].split(" ")[6:])
"""A state change that this log has before failures."""

USUAL = ("running", "ambient=32", "boot (command 2169)", "configured out")


def lines_and_failures(days: int = 40, nodes: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A line an hour and node; every node fails each fifth day at noon, and says so 55 minutes before."""
    lines, failures = [], []
    for node in range(nodes):
        for hour in range(24 * days):
            time = BEGIN + timedelta(hours=hour, seconds=node + 1)
            lines.append((f"node-{node}", time, USUAL[(hour * 7 + node) % len(USUAL)]))
            if hour % 24 == 11 and (hour // 24 + node) % 5 == 4:
                lines.append((f"node-{node}", time + timedelta(minutes=5), OMEN))
                failures.append((f"node-{node}", time + timedelta(minutes=60)))
    table = pl.DataFrame(lines, schema=["component", "time", "content"], orient="row").sort("time")
    return table, pl.DataFrame(failures, schema=["component", "time"], orient="row")
