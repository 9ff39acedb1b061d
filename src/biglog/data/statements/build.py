"""The table of statements: built from any sources, tested systems left out, in one file or as splits."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from biglog._version import __version__
from biglog.data.executors import Executor, LocalExecutor
from biglog.data.schema import SCHEMAS
from biglog.data.statements.exclusion import default_exclusions, excluded_by
from biglog.data.statements.extract import TreeReport, merge
from biglog.data.statements.kept import extract_once
from biglog.data.statements.licences import is_permissive
from biglog.data.statements.near import THRESHOLD, NearReport, drop_near
from biglog.data.statements.sources import SourceTree, source_trees
from biglog.data.statements.splits import split_statements
from biglog.data.tables.parquet import ShardWriter, shard_name
from biglog.errors import InputError, OutputError
from biglog.logs.masking import normal_forms

TABLE: Final = "statements"
"""Name of the table, and of its folder where it is published."""

_GROUPS: Final = ("language", "level", "licence", "project")
_FORM_COLUMNS: Final = ("normal_form", "template", "EventTemplate", "content", "Content")


@dataclass(frozen=True)
class _Task:
    tree: SourceTree
    exclude: tuple[str, ...]
    permissive: bool
    kept: Path | None


@dataclass(frozen=True)
class StatementsReport:
    """What was built.

    Attributes:
        path: The file or the folder.
        sha256: Checksum of the file; of a folder, of each of its shards by name.
        rows: Statements.
        templates: Distinct templates.
        calls: Log calls found, repeated ones included.
        counts: Rows by language, level, licence and project.
        splits: Rows of each split, and how many projects it has.
        excluded: Projects left out by name, with the pattern that did it, or by licence.
        near: What was dropped as too near to forms of tested domains, with the proof; None without forms.
        sources: What was read, source by source.
    """

    path: str
    sha256: str | Mapping[str, str]
    rows: int
    templates: int
    calls: int
    counts: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, Mapping[str, int]]
    excluded: Mapping[str, str]
    near: NearReport | None
    sources: tuple[TreeReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns what a record says."""
        return asdict(self)


def build_statements(
    sources: Sequence[str | Path | SourceTree],
    out: str | Path,
    *,
    exclude: Iterable[str] = (),
    permissive: bool = False,
    forms: Sequence[str] | pl.Series | None = None,
    threshold: float = THRESHOLD,
    kept: str | Path | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StatementsReport:
    """Builds a table of log statements.

    The same sources give the same bytes, whatever the number of processes.

    Args:
        sources: Folders, archives, environments, or trees with what is known of their projects.
        out: A `.parquet` file for one table; else a folder, to which the splits are written as
            `statements/statements/<split>-*.parquet` with `statements/build.json`, as they are published.
        exclude: Globs of further projects to leave out, beside the tested systems.
        permissive: Leave out projects whose licence is not known to be a permissive one.
        forms: Templates or normal forms of tested domains; statements near to them are dropped.
        threshold: How near, as in `drop_near`.
        kept: Folder that keeps what was read of each archive and installed package, so that a build that was
            killed, or has one source more, reads nothing twice; None keeps nothing.
        executor: Where sources are read; by default in this process.
        progress: Called with sources done, and how many there are.

    Returns:
        What was built.

    Raises:
        InputError: A source cannot be read, nothing is left, or the extra `statements` is not installed.
        OutputError: The table cannot be written.
    """
    place = None if kept is None else Path(kept).expanduser()
    tasks = [_Task(tree, tuple(exclude), permissive, place) for tree in source_trees(sources)]
    frames, reports = [pl.DataFrame(schema=_schema())], []
    for number, (frame, report) in enumerate((executor or LocalExecutor(1)).map(_extract, tasks)):
        frames.append(frame)
        reports.append(report)
        if progress is not None:
            progress(number + 1, len(tasks))
    # Parts of a project that are released apart repeat each other.
    table = merge(pl.concat(frames))
    near = None
    if forms is not None:
        table, near = drop_near(table, forms, threshold)
    if not len(table):
        raise InputError(
            "there is no log statement in these sources",
            where=tasks[0].tree.name,
            remedy="Name sources of Python, Java, C, C++, Go, JavaScript or TypeScript that log",
        )
    return _written(table, Path(out).expanduser(), reports, near)


def read_forms(path: str | Path) -> pl.Series:
    """Reads what statements are to be kept away from.

    Args:
        path: A Parquet or CSV file with a column normal_form, template, EventTemplate, content or Content
            (all of these are taken, contents with their values masked); any other file is text, one content a
            line.

    Returns:
        Distinct forms, sorted.

    Raises:
        InputError: It cannot be read.
    """
    file = Path(path).expanduser()
    try:
        if file.suffix == ".parquet":
            frame = pl.read_parquet(file)
        elif file.suffix == ".csv":
            frame = pl.read_csv(file, infer_schema=False, encoding="utf8-lossy")
        else:
            text = file.read_bytes().decode("utf-8", "replace")
            frame = pl.DataFrame({"content": text.splitlines()}, schema={"content": pl.String})
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = str(error).splitlines()[0]
        raise InputError(
            f"forms cannot be read ({problem})", where=file, remedy="Name a readable file"
        ) from error
    columns = [_form(frame[name].cast(pl.String), name) for name in _FORM_COLUMNS if name in frame.columns]
    if not columns:
        names = ", ".join(_FORM_COLUMNS)
        raise InputError("it has no column of forms", where=file, remedy=f"Name one with {names}")
    return pl.concat(columns).drop_nulls().unique().sort()


def _form(column: pl.Series, name: str) -> pl.Series:
    """The distinct forms of a column; values of contents are masked, as they are no words of the program."""
    distinct = column.drop_nulls().unique().alias("form")
    return normal_forms(distinct).alias("form") if name.lower() == "content" else distinct


def _extract(task: _Task) -> tuple[pl.DataFrame, TreeReport]:
    """Reads one source, unless its project is left out by name."""
    told = task.tree.told.name
    if told is not None and (pattern := excluded_by(told, task.exclude)):
        return pl.DataFrame(schema=_schema()), TreeReport(task.tree.name, told, excluded=pattern)
    frame, report = extract_once(task.tree, task.kept)
    report.excluded = excluded_by(report.project, task.exclude)
    if report.excluded is None and task.permissive and not is_permissive(report.licence):
        report.excluded = f"licence {report.licence or 'unknown'}"
    return (frame.clear() if report.excluded else frame), report


def _schema() -> dict[str, Any]:
    frame = pl.from_arrow(SCHEMAS[TABLE].empty_table())
    assert isinstance(frame, pl.DataFrame)
    return dict(frame.schema)


def _written(
    table: pl.DataFrame, out: Path, reports: Sequence[TreeReport], near: NearReport | None
) -> StatementsReport:
    splits = split_statements(table)
    told: dict[str, Any] = {
        "rows": len(table),
        "templates": table["template"].n_unique(),
        "calls": sum(report.calls for report in reports),
        "counts": {name: _counted(table[name]) for name in _GROUPS},
        "splits": {
            name: {"rows": len(rows), "projects": rows["project"].n_unique()} for name, rows in splits.items()
        },
        "excluded": {report.project: report.excluded for report in reports if report.excluded},
    }
    if out.suffix == ".parquet":
        with ShardWriter(out, TABLE) as writer:
            writer.write(table)
        return StatementsReport(str(out), _sha256(out), near=near, sources=tuple(reports), **told)
    with _replacing(out / TABLE) as folder:
        shards = {}
        for name, rows in splits.items():
            path = folder / TABLE / shard_name(name, 0, 1)
            with ShardWriter(path, TABLE) as writer:
                writer.write(rows)
            shards[path.name] = _sha256(path)
        record = {
            "table": TABLE,
            "code_version": __version__,
            **told,
            "sha256": shards,
            "patterns": list(default_exclusions()),
            "near": asdict(near) if near else None,
            # Where sources lay is not part of what was built.
            "sources": [{**asdict(report), "source": Path(report.source).name} for report in reports],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        (folder / "build.json").write_text(text, encoding="utf-8")
    return StatementsReport(str(out), shards, near=near, sources=tuple(reports), **told)


def _counted(column: pl.Series) -> dict[str, int]:
    counted = (
        column.fill_null("unknown")
        .value_counts(name="rows")
        .sort(["rows", column.name], descending=[True, False])
    )
    return dict(counted.iter_rows())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yields a folder that takes the place of another when all goes well."""
    place = target.with_name(f".{target.name}.building")
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        yield place
        shutil.rmtree(target, ignore_errors=True)
        place.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=target, remedy="Check folder and space") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
