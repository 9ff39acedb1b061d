"""The table of failures: what a predictor sees up to a moment, and whether a failure followed.

Predictions are asked for on a fixed grid of time, of each component that has logged a line since the grid
point before. So a moment is chosen by what was known then, never by what came after. Of these moments three
kinds are left out: those whose horizon reaches behind the end of the log (nobody knows what followed), those
whose horizon reaches into the next split or whose history reaches back into the one before, and, where the
protocol asks for a window without alerts, those with an alert in the history.

Three domains have failures with lines before them (`PROTOCOLS`):

- HPC: a node becomes `unavailable`. Splits by date.
- BGL: any alert of the machine.
- Hadoop: the application has a fault, told from the first 25, 50 or 75 % of a container's lines. This is the
  published protocol; how long a log will be is not known while it is written.

The failures of OpenStack's published experiments are counts of events without lines, and not in the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.archives.catalog import DomainFiles
from biglog.data.schema import SPLITS
from biglog.data.tables.parquet import RollingWriter, read_batches
from biglog.data.tables.splits import TENTHS, shares
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.grouping import gather

MAINTENANCE_COMPONENTS: Final = 5
"""A failure is part of maintenance if within its minute so many components fail."""

PREFIXES: Final = (0.25, 0.5, 0.75)
"""Shares of a log that a predictor sees, where it sees prefixes."""

_SECOND: Final = 1_000_000
_CHUNK_LINES: Final = 1 << 18
_TIME: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Protocol:
    """How failures of a domain are predicted.

    Attributes:
        grid_seconds: Predictions are asked for at multiples of so many seconds; 0 for prefixes of logs.
        history_seconds: Seconds that a predictor sees.
        horizons_seconds: How far labels reach, in seconds; one row each.
        group_column: Column of lines that names the component; None for the system as a whole.
        group_pattern: Components that can fail.
        normal_label: Label of histories that no failure follows.
        without_alerts: Whether histories with an alert are left out.
        bounds: Dates at which validation and test begin; None cuts by `tenths` of the rows.
        tenths: Tenths of the rows in training, validation and test.
    """

    grid_seconds: float = 0
    history_seconds: float = 0
    horizons_seconds: tuple[float, ...] = ()
    group_column: str | None = None
    group_pattern: str = ""
    normal_label: str = "-"
    without_alerts: bool = False
    bounds: tuple[datetime, datetime] | None = None
    tenths: tuple[int, int, int] = TENTHS


PROTOCOLS: Final = {
    "HPC": Protocol(
        grid_seconds=600,
        history_seconds=86_400,
        horizons_seconds=(3_600, 86_400),
        group_column="host",
        group_pattern="^node-",
        normal_label="available",
        bounds=(datetime(2005, 1, 1, tzinfo=UTC), datetime(2005, 7, 1, tzinfo=UTC)),
    ),
    # Of the 100,000 lines at hand the last tenth of the time has no alert.
    "BGL": Protocol(
        grid_seconds=60, history_seconds=600, horizons_seconds=(600,), without_alerts=True, tenths=(6, 2, 2)
    ),
    "Hadoop": Protocol(normal_label="Normal"),
}
"""The domains with failures."""


@dataclass
class FailureResult:
    """What was written of a split.

    Attributes:
        split: The split.
        paths: Shards under the names they have for now.
        rows: Histories.
        failures: Histories that a failure follows.
        maintenance: How many of these failures are maintenance.
        incidents: Distinct failures that follow one.
    """

    split: str
    paths: list[Path]
    rows: int = 0
    failures: int = 0
    maintenance: int = 0
    incidents: int = 0


def protocol_of(
    files: DomainFiles, *, history_seconds: float | None = None, horizon_seconds: float | None = None
) -> Protocol | None:
    """The protocol of a domain, as asked for.

    Args:
        files: What was found of the domain.
        history_seconds: Seconds that a predictor sees; None takes the protocol's.
        horizon_seconds: How far labels reach; None takes the protocol's.

    Returns:
        None if the domain has none, or its list of failures is not there.

    Raises:
        InputError: A number of seconds is not positive, or the domain's histories are not made of seconds.
    """
    protocol = PROTOCOLS.get(files.domain)
    if protocol is None or (DOMAINS[files.domain].failure_files and not files.failures):
        return None
    for name, seconds in (("history_seconds", history_seconds), ("horizon_seconds", horizon_seconds)):
        if seconds is not None and (seconds <= 0 or not protocol.grid_seconds):
            raise InputError(
                f"{name} cannot be {seconds:g} for {files.domain}",
                remedy="Give seconds above 0" if protocol.grid_seconds else f"Leave {name} out",
            )
    if history_seconds is not None:
        protocol = replace(protocol, history_seconds=history_seconds)
    return protocol if horizon_seconds is None else replace(protocol, horizons_seconds=(horizon_seconds,))


def describe(protocol: Protocol) -> dict[str, Any]:
    """Returns a protocol as `build.json` has it."""
    bounds = [bound.isoformat() for bound in protocol.bounds] if protocol.bounds else None
    grid = {**asdict(protocol), "bounds": bounds, "maintenance_components": MAINTENANCE_COMPONENTS}
    return grid if protocol.grid_seconds else {"prefixes": PREFIXES, "normal_label": protocol.normal_label}


def write_failures(
    files: DomainFiles, protocol: Protocol, shards: Sequence[Path], folder: Path, shard_bytes: int
) -> list[FailureResult]:
    """Writes the histories of a domain.

    The line numbers, times and normal forms (as codes) of the domain are in memory: 20 bytes a line.

    Args:
        files: What was found of the domain.
        protocol: What `protocol_of` says.
        shards: All shards of lines.
        folder: Where shards go, for now under names of their own.
        shard_bytes: About how large a shard may be.

    Raises:
        InputError: The list of failures is damaged.
        OutputError: They cannot be written.
    """
    if protocol.grid_seconds:
        lines, failures = _lines(shards, protocol), _failures(files, protocol, shards)
        rows = _moments(lines, failures, protocol)
    else:
        lines, rows = _prefixes(shards, protocol)
    results = []
    for split in SPLITS:
        mine = rows.filter(pl.col("split") == split).sort("time", "group_id", "horizon_seconds")
        with RollingWriter(folder, split, "failures", shard_bytes) as writer:
            for chunk in _chunks(mine):
                writer.write(_histories(lines, chunk))
        told = mine.filter("is_failure")
        incidents = told.select("group_id", "failure_time").unique()
        maintenance = int(told["maintenance"].sum())
        results.append(FailureResult(split, writer.paths, len(mine), len(told), maintenance, len(incidents)))
    return results


def _chunks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in pieces whose histories have a bounded number of lines together."""
    sizes = (rows["last"] - rows["first"]).cast(pl.Int64)
    yield from rows.with_columns((sizes.cum_sum() // _CHUNK_LINES).alias("piece")).partition_by("piece")


def _histories(lines: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table; `first` and `last` are positions in the lines."""
    positions = rows.select(pl.int_ranges("first", "last", dtype=pl.UInt32)).to_series()
    groups = pl.DataFrame({"group_id": rows["group_id"], "rows": positions})
    lists = gather(lines, groups, ("line_id", "time", "normal_form")).drop("group_id")
    seen = pl.concat([rows, lists.rename({"time": "times"})], how="horizontal")
    return seen.with_columns(
        pl.col("time").cast(_TIME),
        start=pl.col("times").list.first().cast(_TIME),
        end=pl.col("times").list.last().cast(_TIME),
        line_ids="line_id",
        normal_forms=pl.col("normal_form").cast(pl.List(pl.String)),
    )


# -- a grid of time --


def _lines(shards: Sequence[Path], protocol: Protocol) -> pl.DataFrame:
    """The lines of the components that can fail, by component, in order of time."""
    column = protocol.group_column
    wanted = ["line_id", "timestamp", "normal_form", "is_anomaly", *([column] if column else [])]
    parts = []
    for batch in read_batches(shards, wanted):
        group = pl.col(column) if column else pl.lit("system")
        rows = batch.select(
            group.alias("group_id"),
            pl.col("timestamp").to_physical().alias("time"),
            "line_id",
            pl.col("normal_form").cast(pl.Categorical),
            pl.col("is_anomaly").fill_null(False),
        )
        can_fail = pl.col("group_id").str.contains(protocol.group_pattern)
        parts.append(rows.filter(can_fail & pl.col("time").is_not_null()))
    return pl.concat(parts).sort("group_id", "time", "line_id")


def _failures(files: DomainFiles, protocol: Protocol, shards: Sequence[Path]) -> pl.DataFrame:
    """Failures by component and time: group_id, time, label, maintenance."""
    if files.failures:
        listed = pl.concat([_listed(path) for path in files.failures]).unique()
    else:
        normal = DOMAINS[files.domain].normal_label
        alerts = [
            batch.filter(pl.col("label") != normal).select(
                time=pl.col("timestamp").to_physical(), label="label"
            )
            for batch in read_batches(shards, ["timestamp", "label"])
        ]
        listed = pl.concat(alerts).drop_nulls().with_columns(group_id=pl.lit("system"))
    minute = pl.col("time") // (60 * _SECOND)
    many = pl.col("group_id").n_unique().over(minute) >= MAINTENANCE_COMPONENTS
    return listed.with_columns(maintenance=many).sort("group_id", "time", "label", maintain_order=True)


def _listed(path: Path) -> pl.DataFrame:
    try:
        changes = pl.read_csv(path, infer_schema=False)
        failed = changes.filter(pl.col("state") == "unavailable")
        time = pl.col("unix_time").cast(pl.Int64) * _SECOND
        return failed.select(time=time, label="state", group_id="component")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"it cannot be read as a list of failures ({str(error).splitlines()[0]})",
            where=path,
            remedy="Its columns are unix_time, component and state",
        ) from error


def _moments(lines: pl.DataFrame, failures: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """One row a component, grid point and horizon, with the positions of its history and what followed."""
    grid = round(protocol.grid_seconds * _SECOND)
    # The grid point at or after each line.
    asked = lines.select("group_id", time=-(-pl.col("time") // grid) * grid).unique(maintain_order=True)
    codes = pl.concat([lines["group_id"], failures["group_id"]]).unique().sort()
    history = round(protocol.history_seconds * _SECOND)
    keys, moments = _keys(lines, codes), _keys(asked, codes)
    first, last = np.searchsorted(keys, moments - history, "right"), np.searchsorted(keys, moments, "right")
    rows = asked.with_columns(
        first=pl.Series(first), last=pl.Series(last), history_seconds=pl.lit(float(protocol.history_seconds))
    )
    rows = rows.with_columns(_next(failures, moments, _keys(failures, codes)))
    if protocol.without_alerts:
        alerts = np.concatenate([[0], np.cumsum(lines["is_anomaly"].to_numpy())])
        rows = rows.filter(pl.Series(alerts[rows["last"].to_numpy()] == alerts[rows["first"].to_numpy()]))
    end = lines["time"].max()
    told = [_told(rows, horizon, protocol) for horizon in protocol.horizons_seconds]
    known = pl.concat(told).filter(pl.col("time") + pl.col("horizon_seconds") * _SECOND <= end)
    return _split(known, protocol)


def _keys(rows: pl.DataFrame, codes: pl.Series) -> NDArray[np.int64]:
    """Component and time in one number, in order of both."""
    places = pl.DataFrame({"group_id": codes}).with_row_index("code")
    code = rows.select("group_id").join(places, on="group_id", how="left", maintain_order="left")["code"]
    # 2**53 microseconds are 285 years; there is room for a thousand components.
    keys: NDArray[np.int64] = (code.cast(pl.Int64) * (1 << 53) + rows["time"]).to_numpy()
    return keys


def _next(failures: pl.DataFrame, moments: NDArray[np.int64], keys: NDArray[np.int64]) -> pl.DataFrame:
    """The first failure after each moment; if it is of another component, the gap is more than a century."""
    schema = {"label": pl.String, "maintenance": pl.Boolean, "failure_time": pl.Int64, "gap": pl.Int64}
    if failures.is_empty():
        return pl.DataFrame({name: [None] * len(moments) for name in schema}, schema=schema)
    at = np.searchsorted(keys, moments, "right")
    gap = np.append(keys, np.iinfo(np.int64).max)[at] - moments
    found = failures.select("label", "maintenance", failure_time="time")[np.minimum(at, len(keys) - 1)]
    return found.with_columns(gap=pl.Series(gap))


def _told(rows: pl.DataFrame, horizon: float, protocol: Protocol) -> pl.DataFrame:
    fails = (pl.col("gap") <= round(horizon * _SECOND)).fill_null(False)
    return rows.with_columns(
        horizon_seconds=pl.lit(float(horizon)),
        is_failure=fails,
        label=pl.when(fails).then("label").otherwise(pl.lit(protocol.normal_label)),
        seconds_to_failure=pl.when(fails).then(pl.col("gap") / _SECOND),
        failure_time=pl.when(fails).then("failure_time"),
        maintenance=fails & pl.col("maintenance").fill_null(False),
    )


def _split(rows: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """Puts rows into splits by time; those that would see or be told what is in another are left out."""
    if protocol.bounds is not None:
        validation, test = (round(bound.timestamp() * _SECOND) for bound in protocol.bounds)
    else:
        times = rows["time"].sort()
        train, second, _ = (tenths * len(times) // 10 for tenths in protocol.tenths)
        validation, test = (times[at] if len(times) else 0 for at in (train, train + second))
    begin = pl.col("time") - pl.col("history_seconds") * _SECOND
    end = pl.col("time") + pl.col("horizon_seconds") * _SECOND
    places = (end < validation, (begin >= validation) & (end < test), begin >= test)
    told = [pl.when(place).then(pl.lit(name)) for place, name in zip(places, SPLITS, strict=True)]
    return rows.with_columns(split=pl.coalesce(told)).filter(pl.col("split").is_not_null())


# -- prefixes of logs --


def _prefixes(shards: Sequence[Path], protocol: Protocol) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines by source, and one row a source and prefix; a session's sources are in one split."""
    parts = [
        batch.select(
            "source",
            "session_id",
            "line_id",
            "label",
            "is_anomaly",
            pl.col("timestamp").to_physical().alias("time"),
            pl.col("normal_form").cast(pl.Categorical),
        ).filter(pl.col("is_anomaly").is_not_null())
        for batch in read_batches(shards)
    ]
    lines = pl.concat(parts).sort("source", "line_id")
    sources = lines.with_row_index("at").group_by("source", "session_id", maintain_order=True)
    logs = sources.agg(
        pl.col("at").min().alias("first"), pl.len().alias("size"), pl.first("label", "is_anomaly")
    )
    splits = _session_splits(lines)
    rows = pl.concat([_prefix(logs, share) for share in PREFIXES]).join(splits, on="session_id")
    ends = lines["time"].gather(rows["last"] - 1)
    return lines, rows.with_columns(
        ends.alias("time"),
        ((ends - lines["time"].gather(rows["first"])) / _SECOND).alias("history_seconds"),
        group_id=pl.coalesce(pl.col("source").str.extract(r"([^/:]+/[^/:]+)\.log$"), "source"),
        horizon_seconds=pl.lit(None, dtype=pl.Float64),
        seconds_to_failure=pl.lit(None, dtype=pl.Float64),
        is_failure=pl.col("is_anomaly"),
        failure_time=pl.lit(None, dtype=pl.Int64),
        maintenance=pl.lit(False),
    ).filter(pl.col("time").is_not_null())


def _prefix(logs: pl.DataFrame, share: float) -> pl.DataFrame:
    length = (pl.col("size") * share).ceil().cast(pl.UInt32)
    return logs.with_columns(pl.col("first"), last=pl.col("first") + length)


def _session_splits(lines: pl.DataFrame) -> pl.DataFrame:
    """Sessions in order of their first lines, as windows by session are split."""
    sessions = lines.group_by("session_id").agg(pl.col("line_id").min()).sort("line_id")["session_id"]
    sizes = [end - begin for begin, end in pairwise(shares(len(sessions)))]
    named = [name for name, size in zip(SPLITS, sizes, strict=True) for _ in range(size)]
    return pl.DataFrame({"session_id": sessions, "split": named})
