"""Whether every line is read, and read rightly: all 16 domains, and the samples of other formats.

For each domain: lines against line ends counted on the bytes, the share of lines with a header, what the
lines without one look like, and contents against Loghub's own column on the 2k sample. For each sample of
another format: what it was recognised as, and the share of its records with a timestamp.

Example: python benchmarks/coverage.py --data ../shared/data
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from measuring import arguments, sha256, write

from biglog.data.archives.catalog import DomainFiles, find_files
from biglog.logs.detection import CONTINUATION
from biglog.logs.domains import DOMAINS
from biglog.logs.record import read_logs
from biglog.logs.sources.expand import expand

_SHOWN = 5


def line_ends(log: str) -> int:
    """Line ends of a log (or of a member of an archive), and one for a last line without."""
    lines, last = 0, b"\n"
    for source in expand(log):
        for block in _blocks(source.name):
            lines, last = lines + block.count(b"\n"), block[-1:] or last
        lines += last != b"\n"
    return lines


def _blocks(name: str) -> Iterator[bytes]:
    archive, _, member = name.partition("::")
    if member:
        import zipfile

        with zipfile.ZipFile(archive) as packed:
            yield packed.read(member)
        return
    kind = "gzip" if name.endswith(".gz") else None
    with pa.input_stream(name, compression=kind) as stream:
        while block := stream.read(1 << 22):
            yield block


def read_file(log: str) -> dict[str, Any]:
    """Lines, headers and exceptions of one log."""
    reader = read_logs(log)
    lines = headers = continued = 0
    strange: list[dict[str, Any]] = []
    for batch in reader:
        without = batch.frame.filter(~pl.col("has_header"))
        goes_on = without["line"].str.contains(CONTINUATION) | (without["line"] == "")
        lines += int(batch.frame["line_count"].sum())
        headers += len(batch.frame) - len(without)
        continued += int(goes_on.sum())
        strange += without.filter(~goes_on).select("line_number", "line").head(_SHOWN).to_dicts()
    layouts: dict[str, int] = {}
    for source in reader.report.sources:
        for name, count in source.layouts.items():
            layouts[name] = layouts.get(name, 0) + count
    return {
        "lines": lines,
        "line_ends": line_ends(log),
        "with_header": headers,
        "continuations": continued,
        "other_without_header": lines - headers - continued,
        "first_of_them": [
            {"line_number": row["line_number"], "line": row["line"][:120]} for row in strange[:_SHOWN]
        ],
        "layouts": layouts,
    }


def equal_contents(files: DomainFiles) -> dict[str, int]:
    """Rows of the 2k sample whose content is Loghub's own, up to blanks at the ends."""
    frame = read_logs(files.samples[0]).read()
    truth = pl.read_csv(files.ground_truth["original"], infer_schema=False)["Content"].fill_null("")
    equal = frame["content"].str.strip_chars() == truth.str.strip_chars()
    return {"lines": len(truth), "equal": int(equal.sum())}


def domain_row(name: str, data: Path) -> dict[str, Any]:
    """What holds for one domain."""
    files = find_files(name, data)
    # The members of one archive are one row.
    logs = list(dict.fromkeys(_whole(log) for log in files.logs)) or [str(path) for path in files.samples]
    rows = {files.relative(log.removesuffix("::*.log")): read_file(log) for log in logs}
    return {"files": rows, "sample": equal_contents(files)}


def _whole(log: str) -> str:
    archive, inside, _ = log.partition("::")
    return f"{archive}::*.log" if inside else archive


def format_row(path: Path) -> dict[str, Any]:
    """What a sample of another format is taken for."""
    reader = read_logs(path, join=True)
    frame = reader.read()
    source = reader.report.sources[0]
    headed = frame.filter(pl.col("has_header"))
    return {
        "format": source.layout,
        "confidence": round(source.confidence, 4),
        "lines": source.lines,
        "records": source.records,
        "records_with_header": len(headed),
        "with_timestamp": int(headed["timestamp"].is_not_null().sum()),
    }


def summary(domains: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Sums over all files, and whether each bar holds."""
    rows = [row for domain in domains.values() for row in domain["files"].values()]
    samples = [domain["sample"] for domain in domains.values()]
    return {
        "files": len(rows),
        "lines": sum(row["lines"] for row in rows),
        "files_with_other_counts": sum(row["lines"] != row["line_ends"] for row in rows),
        "sample_lines": sum(sample["lines"] for sample in samples),
        "sample_lines_equal": sum(sample["equal"] for sample in samples),
    }


def main(options: argparse.Namespace) -> None:
    """Runs the benchmark."""
    domains = {name: domain_row(name, options.data) for name in DOMAINS}
    formats = {path.name: format_row(path) for path in sorted((options.data / "formats").iterdir())}
    for name, domain in domains.items():
        for file, row in domain["files"].items():
            headed = row["with_header"] / row["lines"]
            print(
                f"{name:12} {file:60} {row['lines']:>8,} {headed:8.3%} other {row['other_without_header']:,}"
            )
    for name, row in formats.items():
        print(f"{name:36} {row['format']:20} {row['with_timestamp']}/{row['records_with_header']}")
    checksums = {"MANIFEST.csv": sha256(options.data / "MANIFEST.csv")}
    total = summary(domains)
    print(total)
    write(options.out, {"checksums": checksums, "summary": total, "domains": domains, "formats": formats})


if __name__ == "__main__":
    main(arguments(__doc__, "reading_coverage.json").parse_args())
