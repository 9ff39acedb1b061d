"""Figures on reading logs: formats, speed of headers, distinct normal forms, log statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from biglog.evaluation.figures.markdown import Result, joined, table

_READERS: Final = {
    "frame": "everything in one frame",
    "batches": "batch by batch",
    "recognised": "layout recognised too",
    "normal forms": "normal forms too",
}
_PEER: Final = "logparser3"


def coverage(result: Result) -> str:
    """Says how much of every log is read, and read rightly, domain by domain."""
    rows = [_covered(name, domain) for name, domain in result["domains"].items()]
    head = ("domain", "files", "lines", "with header", "continuations", "other", "contents equal")
    told = (
        "Lines without header go on with a record (stack traces, indented) or are something else; *contents "
        "equal*: those of the samples that equal Loghub's own."
    )
    return f"{formats(result)} {told}\n\n{table(head, rows)}"


def formats(result: Result) -> str:
    """Says the same in a paragraph."""
    total, samples = result["summary"], result["formats"].values()
    timed = sum(row["with_timestamp"] for row in samples)
    headed = sum(row["records_with_header"] for row in samples)
    right = total["files"] - total["files_with_other_counts"]
    return (
        f"**Any format**: {total['lines']:,} lines of {len(result['domains'])} systems, as many rows as "
        f"lines counted on the bytes in {right} of {total['files']} files; "
        f"{total['sample_lines_equal']:,} of "
        f"{total['sample_lines']:,} contents equal Loghub's own. Of {len(samples)} samples of other formats "
        f"{timed:,} of {headed:,} records have a timestamp."
    )


def _covered(name: str, domain: Any) -> tuple[str, ...]:
    files, sample = domain["files"].values(), domain["sample"]
    lines, headed, continued = (
        sum(file[key] for file in files) for key in ("lines", "with_header", "continuations")
    )
    counts = (len(files), lines, headed, continued, lines - headed - continued)
    return (name, *(f"{n:,}" for n in counts), f"{sample['equal']:,} of {sample['lines']:,}")


def headers(result: Result) -> str:
    """Compares readers of headers with logparser3's, reader by reader."""
    rows = [row for name, log in result["logs"].items() for row in _readers(name, log["readers"])]
    head = ("log, reader", "lines/s", f"times {_PEER}", "by CPU time", "peak memory")
    return f"{_headers_told(result)}; {_streams(result)}.\n\n{table(head, rows)}"


def headers_in_short(result: Result) -> str:
    """Compares the reader of batches with logparser3's, one row a log."""
    rows = []
    for name, log in result["logs"].items():
        peer, ours, forms = (log["readers"].get(key) for key in (_PEER, "batches", "normal forms"))
        rows.append(
            (
                name,
                f"{peer['lines_per_second']['median']:,.0f}",
                f"**{ours['lines_per_second']['median']:,.0f}**",
                _range(ours["times_logparser3"]),
                "" if forms is None else f"{forms['times_logparser3']['median']:.1f} ×",
                f"{log['stream']['peak_rss_mb']:.0f} MB" if "stream" in log else "",
            )
        )
    head = ("log", f"{_PEER}, lines/s", "BigLog", "times", "with normal forms", "peak as a stream")
    return f"{_headers_told(result)}.\n\n{table(head, rows)}"


def _headers_told(result: Result) -> str:
    return (
        f"**Headers parsed**, lines per second of one process, in alternation with {_PEER}'s loader "
        f"(`log_to_dataframe`), medians of {result['rounds']} rounds"
    )


def _streams(result: Result) -> str:
    found = [
        f"{log['stream']['bytes'] / 1e9:.1f} GB of {name} as a stream peak at "
        f"{log['stream']['peak_rss_mb']:.0f} MB"
        for name, log in result["logs"].items()
        if "stream" in log
    ]
    return "; ".join(found) or "no stream was measured"


def _readers(log: str, readers: Any) -> Iterator[tuple[str, ...]]:
    for reader, row in readers.items():
        times = (
            ("", "")
            if reader == _PEER
            else (_range(row["times_logparser3"]), f"{row['cpu_times_logparser3']['median']:.1f} ×")
        )
        speed = f"{row['lines_per_second']['median']:,.0f}"
        yield (f"{log}, {_READERS.get(reader, reader)}", speed, *times, f"{row['peak_rss_mb']:,.0f} MB")


def _range(ratio: Any) -> str:
    return f"{ratio['median']:.1f} × ({ratio['min']:.1f} to {ratio['max']:.1f})"


def deduplication(result: Result) -> str:
    """Says what distinct normal forms cost, and what they would at a hundred million lines."""
    one, two, near = result["exact"]["1_processes"], result["exact"]["2_processes"], result["near"]
    hundred = result["per_100_million_lines"]
    cases = "; ".join(
        f"{row['normal_forms']:,} forms if they grow as in {row['domain']} ({case}): "
        f"{row['exact_state_megabytes']:,.0f} MB exactly, {row['near_megabytes']:,.0f} MB and "
        f"{row['near_minutes']:,.0f} min for near duplicates"
        for case, row in hundred["cases"].items()
    )
    return (
        f"**Distinct normal forms** of {one['lines']:,} lines: {one['normal_forms']:,}, in "
        f"{one['seconds']:.0f} s with one process and {two['seconds']:.0f} s with two, peaks of "
        f"{one['peak_megabytes']} and {two['peak_megabytes']} MB. Near duplicates (similarity "
        f"{near['threshold']}, {near['num_perm']} permutations): {near['forms_per_second']:,} texts/s, "
        f"{near['bytes_per_form']:,} bytes each. Reckoned from that, 100 million lines take "
        f"{hundred['exact_minutes']:.0f} min of one process, and hold {cases}."
    )


def statements(result: Result) -> str:
    """Says what log statements were found in source code: by language, by licence, and what was left out."""
    languages = joined([f"{rows:,} of {name}" for name, rows in result["language"].items()])
    told = (
        f"**Log statements** of source code: {result['rows']:,} in {len(result['project']):,} projects, "
        f"{result['templates']:,} distinct templates out of {result['calls']:,} log calls; {languages}. "
        f"{len(result['excluded_projects'])} projects are left out by name, as models are tested on their "
        f"logs.{_near(result['near'])} Levels: "
        + joined([f"{name} {rows:,}" for name, rows in result["level"].items()])
        + "."
    )
    licences: dict[str, set[str]] = {}
    for source in result["sources"]:
        if source["rows"]:
            licences.setdefault(source["licence"] or "unknown", set()).add(source["project"])
    rows = [
        (name, f"{count:,}", f"{len(licences.get(name, ())):,}") for name, count in result["licence"].items()
    ]
    return f"{told}\n\n{table(('licence', 'statements', 'projects'), rows)}"


def _near(near: Any) -> str:
    if near is None:
        return ""
    left = (
        "" if near["largest_left"] is None else f"; the nearest that is left has {near['largest_left']:.3f}"
    )
    return (
        f" Of {near['rows']:,} statements {near['equal']:,} equal and {near['near']:,} are near (cosine of "
        f"letters' 3- and 4-grams above {near['threshold']}) to one of {near['forms']:,} forms of tested "
        f"logs, and are dropped{left}."
    )
