"""The card of a dataset repository, from the builds' own records: no number in it is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from biglog.data.archives.published import ARCHIVES, CITATION, LICENCE, NOTICE, REPOSITORY_URL
from biglog.data.schema import SCHEMAS
from biglog.data.tables.built import BuiltDomain, BuiltSplit, BuiltTable, config_name
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS, Domain

TEMPLATE: Final = "dataset_card.md.j2"
TITLE: Final = "Loghub as tables"
STATEMENTS: Final = "statements"
STATEMENTS_TITLE: Final = "Log statements of source code"
STATEMENTS_NOTICE: Final = """
The table of statements holds messages of log calls, each with a few names, from the sources of software
projects. Each row names its project, version, file and line, and the licence of the project (column
`licence`, as SPDX calls it), whose terms, the notice of its authors included, go with it.
"""
_DEFAULT: Final = "HDFS"
_SIZES: Final = (
    "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B"
)  # fmt: skip
_MOST_LABELS: Final = 12
_EXCEPTIONS: Final = {
    "without_header": "Without the layout's header",
    "bad_timestamps": "With a header whose timestamp is no point in time",
    "damaged": "With bytes that are no text",
    "control_lines": "With control characters",
    "split_lines": "Over the bound of length, in pieces",
    "truncated": "Compressed data that end early",
}


def render_dataset_card(domains: Sequence[BuiltDomain], repo_id: str = "<owner>/loghub") -> str:
    """Returns the card of a repository that holds these domains, YAML metadata included.

    Args:
        domains: What was built.
        repo_id: Where it will be, for the example.

    Raises:
        InputError: A build's record lacks something that the card says.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters |= {"count": "{:,}".format, "percent": "{:.1%}".format, "cell": _cell}
    logs, statements = part_domains(domains)
    try:
        records = [domain.record for domain in logs]
        return environment.get_template(TEMPLATE).render(
            title=TITLE if logs else STATEMENTS_TITLE,
            repo_id=repo_id,
            metadata=card_metadata(domains),
            default=_default([config_name(d.name, t.name) for d, t in _tables(domains)]),
            configs=[config_name(d.name, t.name) for d, t in _tables(domains)],
            lines=sum(record["rows"] for record in records),
            columns={name: _columns(name) for name in SCHEMAS},
            domains=[_domain(domain) for domain in logs],
            statements=_statements(statements) if statements else None,
            others=sorted(
                {source["origin"] for record in records for source in record["sources"]} - {"Loghub"}
            ),
            versions=sorted({(record["code_version"], record["masking_version"]) for record in records}),
            papers=_papers(logs),
            repository_url=REPOSITORY_URL,
            licence=LICENCE,
            notice=notice(domains),
            citation=CITATION.strip(),
        )
    except InputError:
        raise
    except Exception as error:  # a missing key is a KeyError here and an UndefinedError there
        raise InputError(
            f"the build's record lacks what the card says: {error!r}", remedy="Build the domains again"
        ) from error


def part_domains(domains: Sequence[BuiltDomain]) -> tuple[list[BuiltDomain], BuiltDomain | None]:
    """Returns the domains of logs, and what holds the table of statements, if that was built.

    Args:
        domains: What was built.
    """
    logs = [domain for domain in domains if domain.name != STATEMENTS]
    return logs, next((domain for domain in domains if domain.name == STATEMENTS), None)


def notice(domains: Sequence[BuiltDomain]) -> str:
    """Returns the notice that goes with every copy: that of the logs' owners, that of the statements.

    Args:
        domains: What was built.
    """
    logs, statements = part_domains(domains)
    texts = [NOTICE.strip()] if logs else []
    return "\n\n".join([*texts, STATEMENTS_NOTICE.strip()] if statements else texts)


def card_metadata(domains: Sequence[BuiltDomain]) -> str:
    """Returns the YAML block of the card: what the Hub shows, and what `load_dataset` reads.

    The Hub derives Croissant metadata from it and from the Parquet, so there is no such file of ours.

    Args:
        domains: What was built.
    """
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    tables = _tables(domains)
    names = [config_name(domain.name, table.name) for domain, table in tables]
    logs, _ = part_domains(domains)
    data = DatasetCardData(
        pretty_name=TITLE if logs else STATEMENTS_TITLE,
        license="other",
        license_name="loghub" if logs else "by-project",
        license_link="LICENSE",
        language="en",
        annotations_creators=["found", "expert-generated"],
        language_creators="machine-generated",
        source_datasets=["original"],
        size_categories=_size(sum(table.rows for _, table in tables)),
        task_categories=["feature-extraction", "text-classification", "token-classification", "fill-mask"],
        tags=["logs", "log-analysis", "log-parsing", "anomaly-detection", "failure-prediction", "aiops"],
    )
    default = _default(names)
    data["configs"] = [
        {
            "config_name": name,
            **({"default": True} if name == default else {}),
            "data_files": [
                {"split": split.name, "path": f"data/{domain.name}/{table.name}/{split.name}-*.parquet"}
                for split in table.splits
                if split.rows
            ],
        }
        for name, (domain, table) in zip(names, tables, strict=True)
    ]
    infos = {name: _info(name, table) for name, (_, table) in zip(names, tables, strict=True)}
    DatasetInfosDict(infos).to_dataset_card_data(data)
    return data.to_yaml()


def _tables(domains: Sequence[BuiltDomain]) -> list[tuple[BuiltDomain, BuiltTable]]:
    """Every table that `datasets` can load: it knows none without rows."""
    return [(domain, table) for domain in domains for table in domain.tables if table.rows]


def _default(names: Sequence[str]) -> str:
    return _DEFAULT if _DEFAULT in names else names[0]


def _info(name: str, table: BuiltTable) -> Any:
    """Sizes of a table, which `load_dataset` compares what it has read with.

    Columns are in the Parquet: here they would be two thirds of the block, which every call reads anew.
    """
    from datasets import DatasetInfo, SplitDict
    from datasets.splits import SplitInfo

    splits = SplitDict()
    for split in table.splits:
        if split.rows:
            splits.add(SplitInfo(split.name, split.uncompressed_bytes, split.rows))
    return DatasetInfo(
        splits=splits,
        config_name=name,
        download_size=sum(split.bytes for split in table.splits if split.rows),
        dataset_size=sum(split.uncompressed_bytes for split in table.splits if split.rows),
    )


def _size(rows: int) -> str:
    """Returns the Hub's category for a number of rows."""
    return _SIZES[min(max(0, len(str(rows)) - 3), len(_SIZES) - 1)]


def _statements(built: BuiltDomain) -> dict[str, Any]:
    """What the card says of the table of statements."""
    record = built.record
    return {
        "record": record,
        "splits": record["splits"],
        "near": record["near"],
        "projects": len(record["counts"]["project"]),
        **{name: _counts(record["counts"][name]) for name in ("language", "level", "licence")},
        "named": _counts(record["counts"]["project"]),
    }


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _columns(table: str) -> str:
    return ", ".join(f"`{field.name}` {field.type}" for field in SCHEMAS[table])


def _domain(domain: BuiltDomain) -> dict[str, Any]:
    """What the card says of a domain."""
    row, record = DOMAINS[domain.name], domain.record
    lines = record["tables"].get("lines", {"splits": {}, "leakage": {}})
    spans = [split for split in lines["splits"].values() if split["start"]] or [{"start": None, "end": None}]
    return {
        "name": domain.name,
        "archive": ARCHIVES[domain.name],
        "record": record,
        "start": _time(spans[0]["start"]),
        "end": _time(spans[-1]["end"]),
        "labels": {"line": "by line", "session": f"by {row.session_key}"}.get(row.labels or "", ""),
        "foreign": sum(s["lines"] for s in record["sources"] if s["origin"] != "Loghub"),
        "labelled": sum(split["labelled"] for split in lines["splits"].values()),
        "label_counts": _label_counts(domain),
        "session_key": row.session_key or "",
        "sessions": row.session_column or row.session_pattern or row.session_path,
        "other_tables": ", ".join(f"{t.name} {t.rows:,}" for t in domain.tables if t.name != "lines"),
        "splits": [_split(record, table, split) for table in domain.tables for split in table.splits],
        "protocol": _protocol(record["tables"].get("failures")),
        "traps": [*record["quirks"], *_time_traps(row), *_found_traps(record)],
        "leakage": _overlaps(record),
        "sample": lines["leakage"].get("sample_2k", []),
        "files": _files(record),
    }


def _split(record: dict[str, Any], table: BuiltTable, split: BuiltSplit) -> dict[str, Any]:
    told = record["tables"][table.name]["splits"][split.name]
    positives = told.get("anomalies", told.get("failures"))
    labelled = told.get("labelled", split.rows)
    return {
        "table": table.name,
        "name": split.name,
        "rows": split.rows,
        "shards": len(split.shards) if split.rows else 0,
        "megabytes": split.bytes / 1e6 if split.rows else 0.0,
        "positives": f"{positives:,}" if positives is not None and labelled else "",
        "start": _time(told.get("start")),
        "end": _time(told.get("end")),
    }


def _label_counts(domain: BuiltDomain) -> str:
    """How often each label occurs, in a sentence: of lines, or of sessions where these carry them."""
    carried = domain.record["labels"]["carried_by"]
    wanted = {"line": "lines", "session": "windows"}.get(carried)
    table = next((table for table in domain.tables if table.name == wanted and table.rows), None)
    if table is None:
        return ""
    counted = pl.scan_parquet(list(table.shards)).group_by("label").len().collect()
    told = counted.drop_nulls().sort("len", "label", descending=[True, False])
    named = [f"`{label}` {count:,}" for label, count in told.head(_MOST_LABELS).iter_rows()]
    more = f", and {len(told) - len(named)} more" if len(told) > len(named) else ""
    of = f"Here, of {table.rows:,} {table.name}" if carried == "line" else f"Here, of {table.rows:,} groups"
    return f"{of}: {', '.join(named)}{more}." if named else ""


def _protocol(table: dict[str, Any] | None) -> str:
    """How histories and labels of failures were made."""
    if table is None:
        return ""
    told, parts = table["protocol"], table["splits"]
    counts = "; ".join(
        f"{name}: {_number(part['incidents'], 'incident')}, {part['maintenance']:,} rows of maintenance"
        for name, part in parts.items()
    )
    return f"{_prefixes(told) if 'prefixes' in told else _grid(told)} {counts}."


def _prefixes(told: dict[str, Any]) -> str:
    shares = ", ".join(f"{share:.0%}" for share in told["prefixes"])
    return f"The first {shares} of each log; labels are of the whole (`{told['normal_label']}`: no failure)."


def _grid(told: dict[str, Any]) -> str:
    of = f"each `{told['group_column']}` that logs" if told["group_column"] else "the system as a whole"
    reach = " or ".join(f"{seconds:,.0f} s" for seconds in told["horizons_seconds"])
    alerts = ", histories with an alert left out" if told["without_alerts"] else ""
    bounds = [bound[:10] for bound in told["bounds"] or ()]
    cuts = (
        f"at {' and '.join(bounds)}" if bounds else f"{'/'.join(map(str, told['tenths']))} in order of time"
    )
    return (
        f"A prediction is asked for every {told['grid_seconds']:,.0f} s for {of}, from the"
        f" {told['history_seconds']:,.0f} s before, for the next {reach}{alerts}. Splits are cut {cuts}."
    )


def _overlaps(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What later splits share with earlier ones, table by table."""
    return [
        {**overlap, "table": name}
        for name, table in record["tables"].items()
        for overlap in table.get("leakage", {}).get("overlaps", [])
        if overlap["second_rows"]
    ]


def _time_traps(row: Domain) -> list[str]:
    """What was taken for granted to make points in time of timestamps."""
    found = []
    if row.year_origin:
        found.append(
            f"Timestamps have no year. That of Loghub's first line is {row.year} ({row.year_origin})."
        )
    if row.zone == "UTC":
        return [*found, "Loghub does not tell the time zone: timestamps are read as UTC."]
    return [*found, f"Timestamps are read in the zone {row.zone}."]


def _found_traps(record: dict[str, Any]) -> list[str]:
    """What the build came upon, in sentences."""
    found = [f"{record['note'][:1].upper()}{record['note'][1:]}."] if record["note"] else []
    for one, others in record["overlapping_sources"].items():
        found.append(f"`{one}` holds lines of {', '.join(f'`{other}`' for other in others)} too.")
    if unused := record["unused_sources"]:
        found.append(
            f"Left out, as the archive holds their lines: {', '.join(f'`{name}`' for name in unused)}."
        )
    back = [
        source["clock"] for source in record["sources"] if source["clock"]["lines_before_an_earlier_line"]
    ]
    if back:
        lines = sum(clock["lines_before_an_earlier_line"] for clock in back)
        step = max(clock["largest_step_back_seconds"] for clock in back)
        found.append(
            f"The clock goes back in {_number(len(back), 'file')}: {_number(lines, 'line')} stood behind one"
            f" that is later, by up to {_seconds(step)}. The table is in order of time."
        )
    for kind in _EXCEPTIONS:
        having = [source for source in record["sources"] if kind in source["exceptions"]]
        if having:
            found.append(_exception(kind, having))
    return found


def _exception(kind: str, sources: Sequence[dict[str, Any]]) -> str:
    count = sum(source["exceptions"][kind]["count"] for source in sources)
    first = sources[0]["exceptions"][kind].get("first_lines") or []
    where = f"`{sources[0]['name']}`" if len(sources) == 1 else _number(len(sources), "file")
    lines = f" (the first: {', '.join(map(str, first))})" if first and len(sources) == 1 else ""
    what = where if kind == "truncated" else f"{_number(count, 'line')} in {where}"
    return f"{_EXCEPTIONS[kind]}: {what}{lines}."


def _seconds(span: float) -> str:
    return f"{span:,.0f} s" if span >= 10 else f"{span:.3g} s"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _files(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file on disk that the build read: of an archive's members, the archive with the lines of all."""
    rows: dict[str, dict[str, Any]] = {
        name: {"name": name, "origin": "", "lines": 0, "layouts": set(), "sha256": sha256}
        for name, sha256 in record["files"].items()
    }
    for source in record["sources"]:
        row = rows[source["name"].partition("::")[0]]
        row["lines"] += source["lines"]
        row["origin"] = source["origin"] or ""
        row["layouts"].add(source["layout"])
    return [
        {
            **row,
            "lines": f"{row['lines']:,}" if row["lines"] else "",
            "layout": ", ".join(sorted(row["layouts"])),
        }
        for row in rows.values()
    ]


def _papers(domains: Sequence[BuiltDomain]) -> dict[str, list[str]]:
    """The works that logs come from, each with its domains."""
    papers: dict[str, list[str]] = {}
    for domain in domains:
        if paper := ARCHIVES[domain.name].paper:
            papers.setdefault(paper, []).append(domain.name)
    return papers


def _time(text: str | None) -> str:
    return "" if text is None else re.sub(r"\.\d+|\+00:00", "", text).replace("T", " ")


def _cell(text: object) -> str:
    """Returns a text as it can stand in a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
