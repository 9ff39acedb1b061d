"""`biglog datasets`: which logs there are, getting and checking them, building and publishing tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from biglog.console import AsJson, Files, bytes_bar, check_writable, lines_bar, print_json, tasks_bar
from biglog.errors import InputError

if TYPE_CHECKING:
    from biglog.data.archives.catalog import DomainFiles
    from biglog.data.archives.download import VerifyReport
    from biglog.data.executors import Executor
    from biglog.data.statements.sources import SourceTree
    from biglog.logs.domains import Domain

app = typer.Typer(
    help="The sixteen domains of Loghub: list, show, download, verify, build tables, publish them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Names = Annotated[
    list[str], typer.Argument(metavar="DOMAIN...", help="Names of domains, such as HDFS; or all.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with archives or logs. Default: $BIGLOG_DATA, else ~/.cache/biglog/loghub."
    ),
]


@app.command("list", epilog="Example: biglog datasets list --data ./loghub")
def list_domains(data: Data = None, as_json: AsJson = False) -> None:
    """List the domains: lines, size, span, labels, session key, and what of them is here."""
    from biglog.data.archives.catalog import default_folder
    from biglog.logs.domains import DOMAINS

    folder = data or default_folder()
    rows = [_summary(row, folder) for row in DOMAINS.values()]
    if as_json:
        print_json(rows)
        return
    from biglog.datasets_terminal import print_list

    print_list(rows, str(folder), _console())


@app.command(epilog="Example: biglog datasets show HDFS")
def show(
    name: Annotated[str, typer.Argument(metavar="DOMAIN", help="Name of a domain, such as HDFS.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one domain: header, session key, meaning of its labels, licence, known traps, files here."""
    from biglog.data.archives.catalog import default_folder, domain

    row = _description(domain(name), data or default_folder())
    if as_json:
        print_json(row)
        return
    from biglog.datasets_terminal import print_domain

    print_domain(row, _console())


@app.command(epilog="Example: biglog datasets download HDFS BGL --to ./loghub")
def download(
    names: Names,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder. Default: $BIGLOG_DATA, else ~/.cache/biglog/loghub."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download archives as published, go on with broken downloads, check and record their checksums."""
    from biglog.data.archives.catalog import default_folder
    from biglog.data.archives.download import checksums
    from biglog.data.archives.download import download as run

    folder = to or default_folder()
    rows = []
    for row in _domains(names):
        with bytes_bar(row.name) as progress:
            path = run(row.name, folder, progress=progress)
        record = checksums(folder).get(path.name, {})
        rows.append({"domain": row.name, "path": str(path), "size": path.stat().st_size, **record})
        if not as_json:
            typer.echo(f"{path}  {rows[-1]['size']:,} bytes  sha256 {record.get('sha256', 'not recorded')}")
    if as_json:
        print_json(rows)


@app.command(epilog="Example: biglog datasets verify HDFS --data ./loghub --lines")
def verify(
    names: Names,
    data: Data = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Count the lines too, and compare with the published count.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hash local files anew and compare with what was recorded at download; exit 2 if one has changed."""
    from biglog.data.archives.catalog import default_folder
    from biglog.data.archives.download import verify as run

    folder, reports = data or default_folder(), []
    for row in _domains(names):
        with bytes_bar(row.name) as progress:
            reports.append(_verified(run(row.name, folder, lines=lines, progress=progress)))
    if as_json:
        print_json(reports)
    else:
        from biglog.datasets_terminal import print_verified

        print_verified(reports, _console())
    changed = [file["name"] for report in reports for file in report["files"] if file["changed"]]
    if changed:
        remedy = "Move it away and download it again" if len(changed) == 1 else "Download them again"
        raise InputError(
            "wrong checksum: not the file that was downloaded", where=", ".join(changed), remedy=remedy
        )


@app.command(epilog="Example: biglog datasets build HDFS BGL --data ./loghub --out ./tables")
def build(
    names: Names,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the tables to, one folder a domain.")],
    data: Data = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="lines, templates, windows or failures. Repeatable.")
    ] = None,
    window_lines: Annotated[int | None, typer.Option(min=1, help="Lines a window.")] = None,
    stride_lines: Annotated[
        int | None, typer.Option(min=1, help="Lines from one window to the next. Default: --window-lines.")
    ] = None,
    window_seconds: Annotated[float | None, typer.Option(help="Seconds a window.")] = None,
    stride_seconds: Annotated[
        float | None, typer.Option(help="Seconds from one window to the next. Default: --window-seconds.")
    ] = None,
    sessions: Annotated[
        bool | None, typer.Option("--sessions/--no-sessions", help="Windows are sessions, or are not.")
    ] = None,
    history_seconds: Annotated[float | None, typer.Option(help="What a predictor of failures sees.")] = None,
    horizon_seconds: Annotated[float | None, typer.Option(help="How far labels of failures reach.")] = None,
    num_proc: Annotated[
        int | None, typer.Option("--num-proc", min=1, help="Processes. Default: one a core.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Build on a Ray cluster, such as auto.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build Parquet tables: lines, templates, windows, failures, in splits, with a leakage report.

    Windows are sessions where these are labelled, else 20 lines, unless options say otherwise.
    """
    from biglog.data.archives.catalog import default_folder

    domains = _domains(names)
    from biglog.data.schema import TABLES
    from biglog.data.tables.build import build as run

    reports = []
    with _executor(num_proc, ray) as executor:
        for row in domains:
            with lines_bar(row.name, _lines_to_come(row, data or default_folder())) as progress:
                report = run(
                    row.name,
                    data,
                    out,
                    tables=table or TABLES,
                    executor=executor,
                    window_lines=window_lines,
                    stride_lines=stride_lines,
                    window_seconds=window_seconds,
                    stride_seconds=stride_seconds,
                    session=sessions,
                    history_seconds=history_seconds,
                    horizon_seconds=horizon_seconds,
                    progress=progress,
                )
            reports.append(asdict(report))
    if as_json:
        print_json(reports)
        return
    from biglog.datasets_terminal import print_built

    print_built(reports, _console())


@app.command(epilog="Example: biglog datasets deduplicate 'logs/*.gz' --out forms.parquet --near 0.9")
def deduplicate(
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="Parquet file of distinct normal forms and counts.")],
    near: Annotated[
        float | None,
        typer.Option(help="Also name the form that stands for near duplicates of this similarity, 0 to 1."),
    ] = None,
    num_proc: Annotated[
        int | None, typer.Option("--num-proc", min=1, help="Processes. Default: one a core.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Count on a Ray cluster, such as auto.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Reduce logs of any size to their distinct normal forms, with counts and where each first occurs."""
    from biglog.data.deduplication import check_near, count_forms, mark_near
    from biglog.logs.sources.expand import expand

    check_writable(out)
    if near is not None:
        check_near(near)
    sources = expand(files)
    if any(source.stream is not None for source in sources):
        raise InputError("tasks cannot share standard input", remedy="Write it to a file, and name that")
    names = [source.name for source in sources]
    with _executor(num_proc, ray) as executor, tasks_bar() as progress:
        found = count_forms(names, out, executor=executor, progress=progress)
        if near is not None:
            found = replace(found, kept=mark_near(out, threshold=near, executor=executor))
    if as_json:
        print_json(asdict(found))
        return
    kept = "" if found.kept is None else f", {found.kept:,} of them not nearly equal to a more frequent one"
    typer.echo(f"{found.lines:,} lines, {found.normal_forms:,} normal forms{kept} -> {out}")


@app.command(
    epilog="Example: biglog datasets statements .venv flask-3.0.0.tar.gz --out statements.parquet"
    " --exclude 'my-*' --drop-near templates.csv"
)
def statements(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Source code: folders, archives (zip, wheel, jar, tar), environments; or lists of packages"
            " (.csv), which are fetched.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help=".parquet file; or a folder for splits that can be published.")
    ],
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out projects of this name or glob, too. Repeatable."),
    ] = None,
    near: Annotated[
        list[Path] | None,
        typer.Option(
            "--drop-near",
            metavar="FORMS",
            help="Drop what is near to these templates (CSV, Parquet, or text by lines). Repeatable.",
        ),
    ] = None,
    permissive: Annotated[
        bool, typer.Option("--permissive", help="Leave out projects not known to be under such a licence.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", help="Where fetched packages are kept, and what was read. Default: beside --out."
        ),
    ] = None,
    num_proc: Annotated[
        int | None, typer.Option("--num-proc", min=1, help="Processes. Default: one a core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Collect the log statements of source code: template, level, component, licence, origin.

    Projects whose logs models are tested on are left out by name. Needs `pip install 'biglog[statements]'`
    for other languages than Python.
    """
    import polars as pl

    from biglog.data.executors import LocalExecutor
    from biglog.data.statements import build_statements, read_forms
    from biglog.data.statements.fetch import fetch, read_packages

    if out.suffix == ".parquet":
        check_writable(out)
    forms = pl.concat([read_forms(path) for path in near]) if near else None
    place = cache or out.parent / "sources"
    trees: list[Path | SourceTree] = []
    for source in sources:
        with tasks_bar() as progress:
            listed = source.suffix == ".csv"
            trees += fetch(read_packages(source), place, progress) if listed else [source]
    with LocalExecutor(num_proc) as executor, tasks_bar() as progress:
        report = build_statements(
            trees,
            out,
            exclude=exclude or (),
            permissive=permissive,
            forms=forms,
            kept=cache and cache / "read",
            executor=executor,
            progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
        return
    from biglog.datasets_terminal import print_statements

    print_statements(report.as_dict(), _console())


@app.command(epilog="Example: biglog datasets publish ./tables owner/loghub --dry-run")
def publish(
    build_dir: Annotated[Path, typer.Argument(metavar="DIR", help="What `biglog datasets build` wrote.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Dataset repository on the Hub.")],
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as a private one.")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to write; default main.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and list everything, send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish built tables with card, notice and citation to a Hub (token: HF_TOKEN or `hf auth login`)."""
    from biglog.dataset_repository import publish_datasets

    result = publish_datasets(build_dir, repo_id, private=private, revision=revision, dry_run=dry_run)
    if as_json:
        print_json(asdict(result))
        return
    from biglog.datasets_terminal import print_files

    print_files([asdict(file) for file in result.files], _console())
    state = "would be published to" if dry_run else "published to" if result.changed else "unchanged at"
    typer.echo(f"{len(result.files)} files {state} {result.url}")


def _domains(names: list[str]) -> list[Domain]:
    """The domains that are named, each once; `all` means every one."""
    from biglog.data.archives.catalog import domain
    from biglog.logs.domains import DOMAINS

    if any(name.lower() == "all" for name in names):
        return list(DOMAINS.values())
    return list({row.name: row for row in map(domain, names)}.values())


def _summary(row: Domain, folder: Path) -> dict[str, Any]:
    from biglog.data.archives.catalog import ARCHIVES

    archive = ARCHIVES[row.name]
    return {
        "domain": row.name,
        "lines": archive.lines,
        "raw_size": archive.raw_size,
        "raw_bytes": archive.raw_bytes,
        "span": archive.span,
        "labels": archive.labels,
        "labelled": row.labels,
        "session_key": row.session_key,
        "archive": archive.name,
        "url": archive.url,
        "local": _local(row, folder),
    }


def _description(row: Domain, folder: Path) -> dict[str, Any]:
    from biglog.data.archives.catalog import ARCHIVES, CITATION, LICENCE, NOTICE

    layout = row.layout
    return {
        **_summary(row, folder),
        "description": ARCHIVES[row.name].description,
        "notation": layout.notation,
        "timestamp_format": layout.timestamp.name if layout.timestamp else None,
        "zone": row.zone,
        "year": row.year,
        "year_origin": row.year_origin,
        "session_column": row.session_column,
        "session_pattern": row.session_pattern,
        "session_path": row.session_path,
        "label_rule": row.label_rule,
        "normal_label": row.normal_label,
        "quirks": list(row.quirks),
        "paper": ARCHIVES[row.name].paper,
        "licence": LICENCE,
        "notice": NOTICE,
        "citation": CITATION,
    }


def _lines_to_come(row: Domain, folder: Path) -> int | None:
    """How many lines a build will read, where all that is published is here; else it is not known."""
    from biglog.data.archives.catalog import ARCHIVES

    local = _local(row, folder)
    return ARCHIVES[row.name].lines if local and local["archive"] else None


def _local(row: Domain, folder: Path) -> dict[str, Any] | None:
    """What of a domain is in a folder; None where nothing is."""
    from biglog.data.archives.catalog import ARCHIVES, find_files

    try:
        found = find_files(row.name, folder)
    except InputError:
        return None
    paths = dict.fromkeys(log.partition("::")[0] for log in found.logs)
    kinds = [found.kind(log) for log in found.logs]
    overlapping = found.overlapping
    return {
        "folder": str(folder),
        "archive": any(Path(path).name == ARCHIVES[row.name].name for path in paths),
        "from_loghub": any(kind is None or kind.origin == "Loghub" for kind in kinds),
        "bytes": sum(Path(path).stat().st_size for path in paths),
        "logs": [_log(found, log, overlapping.get(log, ())) for log in found.logs],
        "samples": [found.relative(path) for path in found.samples],
        "labels": [found.relative(path) for path in found.labels],
        "ground_truth": {version: found.relative(path) for version, path in found.ground_truth.items()},
        "failures": [found.relative(path) for path in found.failures],
        "unused": [found.relative(path) for path in found.unused],
    }


def _log(found: DomainFiles, log: str, shares: tuple[str, ...]) -> dict[str, Any]:
    kind = found.kind(log)
    return {
        "name": found.relative(log),
        "origin": kind.origin if kind else "Loghub",
        "year": found.year(log),
        "shares_lines_with": [found.relative(other) for other in shares],
    }


def _verified(report: VerifyReport) -> dict[str, Any]:
    files = [{**asdict(file), "changed": file.changed} for file in report.files]
    return {**asdict(report), "files": files, "complete": report.complete, "ok": report.ok}


def _console() -> Console:
    """A pipe has no width: what is wide stays on one line there."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 160))


@contextmanager
def _executor(processes: int | None, ray: str | None) -> Iterator[Executor]:
    """Where a build's tasks run: on this machine, or on a Ray cluster."""
    if ray is None:
        from biglog.data.executors import LocalExecutor

        yield LocalExecutor(processes)
        return
    if processes is not None:
        raise InputError("--num-proc and --ray contradict each other", remedy="Give one of them")
    from biglog.deploy.distributed import RayExecutor

    with RayExecutor(ray) as executor:
        yield executor
