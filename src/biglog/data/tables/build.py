"""Builds the tables of a domain: raw logs in, Parquet shards and a record of the build out.

Three stages: sources are read into sorted runs, in parallel; exact cuts between the splits are found on the
sort keys; shards are written, in parallel. What is written depends on the logs and the versions of the code
and its libraries alone: a second build is the same to the byte. All is made in a folder beside the target,
and moved there when it is whole; a build that was killed begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.archives.catalog import DomainFiles, find_files, session_labels
from biglog.data.executors import Executor, LocalExecutor
from biglog.data.schema import SPLITS, TABLES
from biglog.data.tables import failures, ground_truth, sessions, windows
from biglog.data.tables import lines as lines_table
from biglog.data.tables.leakage import LeakageReport, SampleFound, overlaps
from biglog.data.tables.parquet import ShardWriter, shard_name
from biglog.data.tables.record import domain_record, source_record
from biglog.data.tables.runs import ReadTask, Run, SourceItem, SourceRecord, read_sources
from biglog.errors import InputError, OutputError
from biglog.logs.domains import DOMAINS
from biglog.logs.record import read_logs
from biglog.logs.redaction import Redactor

RECORD: Final = "build.json"
TASK_BYTES: Final = 32 << 20
"""Small sources are read together until they have so many bytes on disk."""

_AT_MOST_SOURCES: Final = 64
_FEW_ROWS: Final = 1 << 18
Progress = Callable[[int], None]
"""Told how many lines more have been read."""


@dataclass(frozen=True)
class BuildReport:
    """What was built.

    Attributes:
        domain: Name of the domain.
        folder: Where its tables are.
        lines: Lines of all sources.
        rows: Rows by table and split.
        record: What `build.json` says.
    """

    domain: str
    folder: str
    lines: int
    rows: dict[str, dict[str, int]]
    record: dict[str, Any]


@dataclass
class _Work:
    """What the steps of a build share."""

    files: DomainFiles
    executor: Executor
    temporary: Path
    target: Path
    shard_bytes: int
    labels: Path | None = None


def build(
    domain: str,
    folder: str | Path | None,
    out: str | Path,
    *,
    tables: Sequence[str] = TABLES,
    executor: Executor | None = None,
    window_lines: int | None = None,
    stride_lines: int | None = None,
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
    session: bool | None = None,
    history_seconds: float | None = None,
    horizon_seconds: float | None = None,
    shard_bytes: int = 500_000_000,
    redactor: Redactor | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Builds tables of a domain.

    Args:
        domain: Name of the domain, in any case.
        folder: Where its logs are, as `find_files` takes it.
        out: Where to write: `<out>/<domain>/<table>/<split>-*.parquet` and `<out>/<domain>/build.json`. What
            an earlier build has left for the domain is replaced.
        tables: Which tables; those that the domain does not have are left out, if one of them remains.
        executor: What runs the tasks; None runs them in as many processes as there are cores.
        window_lines: Lines a window; the default is 20, or sessions where these are labelled.
        stride_lines: Lines from one window to the next; None is `window_lines`.
        window_seconds: Seconds a window.
        stride_seconds: Seconds from one window to the next; None is `window_seconds`.
        session: Whether windows are sessions; None as above.
        history_seconds: What a predictor of failures sees; None is as published for the domain.
        horizon_seconds: How far the labels of failures reach; None is as published for the domain.
        shard_bytes: A shard is about so large at most.
        redactor: Hides personal data in content, session and host before anything is written.
        progress: Told how many more lines have been read.

    Returns:
        What was built.

    Raises:
        InputError: The domain or a table is unknown, there are no logs, they cannot be read, or arguments
            contradict each other.
        OutputError: It cannot be written, or another build of the domain is at work there.
    """
    files = find_files(domain, folder)
    _check_tables(tables)
    grouping = windows.grouping_of(
        DOMAINS[files.domain],
        window_lines=window_lines,
        stride_lines=stride_lines,
        window_seconds=window_seconds,
        stride_seconds=stride_seconds,
        session=session,
    )
    protocol = failures.protocol_of(files, history_seconds=history_seconds, horizon_seconds=horizon_seconds)
    with _workplace(Path(out), files.domain) as (temporary, target), ExitStack() as own:
        executor = executor or own.enter_context(LocalExecutor())
        work = _Work(files, executor, temporary, target, shard_bytes)
        made = _build(work, tables, grouping, protocol, redactor, progress)
        text = json.dumps(made, indent=1, ensure_ascii=False)
        (target / RECORD).write_text(f"{text}\n", encoding="utf-8")
    record = json.loads(text)
    rows = {
        name: {split: part["rows"] for split, part in table["splits"].items()}
        for name, table in record["tables"].items()
    }
    return BuildReport(files.domain, str(Path(out) / files.domain), record["lines"], rows, record)


def iter_tables(
    domain: str, folder: str | Path | None, table: str, **options: Any
) -> Iterator[tuple[str, pa.Table]]:
    """Builds one table in a temporary folder, and reads it back.

    Args:
        domain: Name of the domain.
        folder: Where its logs are.
        table: Which table.
        options: As for `build`.

    Yields:
        Split and rows, a row group at a time, in order.

    Raises:
        InputError: As for `build`.
    """
    with tempfile.TemporaryDirectory() as out:
        report = build(domain, folder, out, tables=(table,), **options)
        for split in SPLITS:
            for path in sorted((Path(report.folder) / table).glob(f"{split}-*.parquet")):
                with pq.ParquetFile(path) as file:
                    for number in range(file.num_row_groups):
                        yield split, file.read_row_group(number)


def _check_tables(wanted: Sequence[str]) -> None:
    unknown = [table for table in wanted if table not in TABLES]
    if unknown or not wanted:
        problem = f"unknown table {unknown[0]!r}" if unknown else "no table"
        raise InputError(problem, remedy=f"Tables are {', '.join(TABLES)}")


@contextmanager
def _workplace(out: Path, domain: str) -> Iterator[tuple[Path, Path]]:
    """Yields a folder for temporary files and one that becomes the domain's if all goes well."""
    place = out / f".{domain}.building"
    lock = out / f".{domain}.lock"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
            temporary, target = place / "temporary", place / domain
            temporary.mkdir(parents=True)
            target.mkdir()
            try:
                yield temporary, target
                _move(target, out / domain, place)
            finally:
                shutil.rmtree(place, ignore_errors=True)
                lock.unlink(missing_ok=True)
    except BlockingIOError as error:
        raise OutputError(
            f"{domain} is being built there already", where=out, remedy="Wait for it, or give another folder"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=out, remedy="Check folder and space") from error


def _move(built: Path, target: Path, place: Path) -> None:
    if target.exists():
        target.replace(place / "before")
    built.replace(target)


def _build(
    work: _Work,
    wanted: Sequence[str],
    grouping: windows.Grouping,
    protocol: failures.Protocol | None,
    redactor: Redactor | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Builds the wanted tables; lines are needed for windows and failures too."""
    made: dict[str, Any] = {}
    missing: dict[str, str] = {}
    records: list[SourceRecord] = []
    items = _items(work.files)
    if set(wanted) & {"lines", "windows", "failures"} and items:
        work.labels = _write_labels(work)
        records, runs = _read(work, items, redactor, progress)
        if sum(run.rows for run in runs) < _FEW_ROWS:
            # To start a process would take longer.
            work.executor = LocalExecutor(1)
        made["lines"], shards = _lines(work, runs)
        if "windows" in wanted:
            made["windows"] = _windows(work, grouping, shards, made["lines"])
        if "failures" in wanted and protocol is not None:
            made["failures"] = _failures(work, protocol, shards)
        if "lines" not in wanted:
            shutil.rmtree(work.target / "lines")
            del made["lines"]
    if "templates" in wanted:
        made["templates"] = _templates(work)
    for table in wanted:
        if not made.get(table):
            missing[table] = _WHY[table]
    made = {table: made[table] for table in TABLES if made.get(table)}
    if not made:
        raise InputError(
            f"{work.files.domain} has no table of {wanted[0]}: {_WHY[wanted[0]]}",
            where=work.files.root,
            remedy="Ask for another table, or give a folder that has more of it",
        )
    hashes = dict(zip(*_inputs(work), strict=True))
    sources = [source_record(record, work.files, hashes) for record in records]
    return domain_record(work.files, sources, hashes, made, missing)


_OWN_SPLITS: Final = (
    "Splits are this table's own: lines of its test rows may be in the training split of the table of lines."
)
_WHY: Final = {
    "lines": "there are no logs",
    "windows": "there are no logs",
    "templates": "there is no ground truth",
    "failures": "there are no failures with lines before them",
}


# -- reading --


def _items(files: DomainFiles) -> list[SourceItem]:
    """The logs to read; where there are none, the sample."""
    items: list[SourceItem] = []
    for log in files.logs or [str(path) for path in files.samples]:
        kind = files.kind(log)
        labelled = kind is None or kind.origin == "Loghub"
        items.append(SourceItem(len(items), log, files.relative(log), files.year(log), labelled))
    return items


def _write_labels(work: _Work) -> Path | None:
    if DOMAINS[work.files.domain].labels != "session":
        return None
    labels = session_labels(work.files)
    if labels.is_empty():
        return None
    path = work.temporary / "labels.parquet"
    labels.write_parquet(path)
    return path


def _read(
    work: _Work, items: Sequence[SourceItem], redactor: Redactor | None, progress: Progress | None
) -> tuple[list[SourceRecord], list[Run]]:
    folder = work.temporary / "runs"
    folder.mkdir()
    todo = [
        ReadTask(number, work.files.domain, tuple(part), folder, work.labels, redactor)
        for number, part in enumerate(_packed(items))
    ]
    records: list[SourceRecord] = []
    runs: list[Run] = []
    for result in work.executor.map(read_sources, todo):
        records += result.sources
        runs += result.runs
        if progress is not None:
            progress(sum(record.report.lines for record in result.sources))
    if not runs:
        raise InputError("the logs have no line", where=work.files.root, remedy="Fetch them again")
    return records, runs


def _packed(items: Sequence[SourceItem]) -> Iterator[list[SourceItem]]:
    """Sources in the order given, small ones together."""
    part: list[SourceItem] = []
    size = 0
    for item in items:
        path, _, member = item.path.partition("::")
        # What a member of an archive has is not known before it is opened: a file of ordinary size.
        own = TASK_BYTES // _AT_MOST_SOURCES if member else Path(path).stat().st_size
        if part and (size + own > TASK_BYTES or len(part) == _AT_MOST_SOURCES):
            yield part
            part, size = [], 0
        part.append(item)
        size += own
    if part:
        yield part


def _inputs(work: _Work) -> tuple[list[str], list[str]]:
    """Every file on disk that the build is made of, and its hash."""
    files = work.files
    named = [
        *(files.logs or files.samples), *files.samples, *files.labels, *files.failures,
        *ground_truth.ground_truth_files(files).values(),
    ]  # fmt: skip
    paths = sorted({str(name).partition("::")[0] for name in named})
    return [files.relative(path) for path in paths], list(work.executor.map(_sha256, paths))


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy="Check the file") from error


# -- writing --


def _lines(work: _Work, runs: Sequence[Run]) -> tuple[dict[str, Any], dict[str, list[Path]]]:
    folder, prints = work.target / "lines", work.temporary / "lines"
    folder.mkdir()
    plan = lines_table.plan_lines(runs, shard_bytes=work.shard_bytes)
    sample = _write_sample(work)
    results = list(
        work.executor.map(lines_table.write_lines, lines_table.shard_tasks(plan, folder, prints, sample))
    )
    shutil.rmtree(work.temporary / "runs")
    shards = {
        split: [folder / result.name for result in results if result.split == split] for split in SPLITS
    }
    files = {split: [prints / path.name for path in paths] for split, paths in shards.items()}
    found = () if sample is None else _found(results, len(pl.read_parquet(sample)))
    leakage = LeakageReport(overlaps(files, lines_table.KINDS), found)
    parts = {split: [result for result in results if result.split == split] for split in SPLITS}
    return {
        "splits": {split: _lines_split(own) for split, own in parts.items()},
        "leakage": leakage.as_dict(),
    }, shards


def _lines_split(results: Sequence[lines_table.ShardResult]) -> dict[str, Any]:
    starts = [result.start for result in results if result.start is not None]
    ends = [result.end for result in results if result.end is not None]
    return {
        "rows": sum(result.rows for result in results),
        "shards": len(results),
        "labelled": sum(result.labelled for result in results),
        "anomalies": sum(result.anomalies for result in results),
        "start": min(starts).isoformat() if starts else None,
        "end": max(ends).isoformat() if ends else None,
    }


def _write_sample(work: _Work) -> Path | None:
    """The lines of the 2k sample, read as the logs are."""
    if not work.files.samples or not work.files.logs:
        return None
    sample = work.files.samples[0]
    rows = read_logs([sample], year=work.files.year(sample)).read().select("content", "timestamp")
    path = work.temporary / "sample.parquet"
    rows.with_row_index("sample_row").write_parquet(path)
    return path


def _found(results: Sequence[lines_table.ShardResult], lines: int) -> tuple[SampleFound, ...]:
    rows = []
    for split in SPLITS:
        own = [result for result in results if result.split == split]
        exact = set[int]().union(*(result.found for result in own))
        content = set[int]().union(*(result.found_content for result in own))
        rows.append(SampleFound(split, lines, len(exact), len(content)))
    return tuple(rows)


def _windows(
    work: _Work, grouping: windows.Grouping, shards: dict[str, list[Path]], lines: dict[str, Any]
) -> dict[str, Any]:
    folder, prints = work.target / "windows", work.temporary / "windows"
    folder.mkdir()
    if grouping.kind == "session":
        todo = _session_tasks(work, shards, folder, prints)
        results = list(work.executor.map(sessions.write_sessions, todo))
    else:
        rows = {split: part["rows"] for split, part in lines["splits"].items()}
        todo = windows.window_tasks(grouping, shards, rows, folder, prints, work.shard_bytes)
        results = list(work.executor.map(windows.write_windows, todo))
    splits = {}
    for split in SPLITS:
        own = [result for result in results if result.split == split]
        count = _finish(folder, "windows", split, [path for result in own for path in result.paths])
        counts = {
            key: sum(getattr(result, key) for result in own)
            for key in ("rows", "lines", "labelled", "anomalies")
        }
        splits[split] = {**counts, "shards": count}
    files = {split: [result.fingerprints for result in results if result.split == split] for split in SPLITS}
    leakage = LeakageReport(overlaps(files, windows.KINDS)).as_dict()
    note = {"note": _OWN_SPLITS} if grouping.kind == "session" else {}
    return {"grouping": grouping.name, **note, "splits": splits, "leakage": leakage}


def _session_tasks(
    work: _Work, shards: dict[str, list[Path]], folder: Path, prints: Path
) -> list[windows.WindowTask]:
    paths = [path for split in SPLITS for path in shards[split]]
    whole = [work.files.relative(log) for log in work.files.overlapping]
    scratch = work.temporary / "sessions"
    shard_tasks = sessions.session_tasks(DOMAINS[work.files.domain], paths, whole, scratch)
    for _ in work.executor.map(sessions.count_sessions, shard_tasks):
        pass
    buckets = sessions.index_sessions(shard_tasks)
    for _ in work.executor.map(sessions.route_lines, shard_tasks):
        pass
    return sessions.bucket_tasks(buckets, shard_tasks, work.labels, folder, prints, work.shard_bytes)


def _failures(work: _Work, protocol: failures.Protocol, shards: dict[str, list[Path]]) -> dict[str, Any]:
    folder = work.target / "failures"
    folder.mkdir()
    paths = [path for split in SPLITS for path in shards[split]]
    splits = {}
    for result in failures.write_failures(work.files, protocol, paths, folder, work.shard_bytes):
        count = _finish(folder, "failures", result.split, result.paths)
        numbers = {key: value for key, value in asdict(result).items() if key not in ("split", "paths")}
        splits[result.split] = {**numbers, "shards": count}
    return {"protocol": failures.describe(protocol), "note": _OWN_SPLITS, "splits": splits}


def _templates(work: _Work) -> dict[str, Any] | None:
    folder = work.target / "templates"
    folder.mkdir()
    paths, versions = ground_truth.write_templates(work.files, folder, work.shard_bytes)
    if not versions:
        folder.rmdir()
        return None
    count = _finish(folder, "templates", "test", paths)
    rows = sum(version.rows for version in versions)
    return {
        "splits": {"test": {"rows": rows, "shards": count}},
        "versions": [version.as_dict() for version in versions],
    }


def _finish(folder: Path, table: str, split: str, paths: Sequence[Path]) -> int:
    """Gives shards their names; a split without rows has an empty one."""
    if not paths:
        with ShardWriter(folder / shard_name(split, 0, 1), table):
            pass
    for number, path in enumerate(paths):
        path.replace(folder / shard_name(split, number, len(paths)))
    return max(1, len(paths))
