"""What a build says about itself, `build.json`: nothing in it depends on when or where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from biglog._version import __version__
from biglog.data.archives.catalog import DomainFiles
from biglog.data.tables.runs import SourceRecord
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import MASKING_VERSION


def domain_record(
    files: DomainFiles,
    sources: Sequence[dict[str, Any]],
    hashes: Mapping[str, str],
    tables: Mapping[str, Any],
    missing: Mapping[str, str],
) -> dict[str, Any]:
    """Returns the record of a build.

    Args:
        files: What was found of the domain.
        sources: What `source_record` says of each source.
        hashes: SHA-256 of every input file by its relative name.
        tables: What was written, by table.
        missing: Why tables that were asked for are not there.
    """
    domain = DOMAINS[files.domain]
    from_sample = not files.logs
    return {
        "domain": domain.name,
        "code_version": __version__,
        "masking_version": MASKING_VERSION,
        "lines": sum(source["lines"] for source in sources),
        "rows": sum(source["rows"] for source in sources),
        "from_sample": from_sample,
        "note": "built from the 2k sample: its lines are evaluation data too" if from_sample else None,
        "labels": {
            "carried_by": domain.labels,
            "rule": domain.label_rule,
            "normal_label": domain.normal_label,
            "files": [files.relative(name) for name in files.labels],
        },
        "quirks": list(domain.quirks),
        "overlapping_sources": {
            files.relative(log): [files.relative(other) for other in others]
            for log, others in files.overlapping.items()
        },
        "unused_sources": [files.relative(name) for name in files.unused],
        "files": dict(hashes),
        "sources": list(sources),
        "tables": dict(tables),
        "missing_tables": dict(missing),
    }


def source_record(record: SourceRecord, files: DomainFiles, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Returns what was read from one source, with all exceptions.

    Args:
        record: The reader's account.
        files: What was found of the domain.
        hashes: SHA-256 of every input file by its relative name; of a member of an archive, the archive's.
    """
    report = record.report
    kind = files.kind(report.name)
    return {
        "name": record.name,
        "origin": "Loghub" if kind is None else kind.origin,
        "sha256": hashes[files.relative(report.name.partition("::")[0])],
        "lines": report.lines,
        "rows": record.rows,
        "bytes": report.bytes,
        "layout": report.layout,
        "layouts": dict(sorted(report.layouts.items())),
        "start": record.start.isoformat() if record.start else None,
        "end": record.end.isoformat() if record.end else None,
        "exceptions": _exceptions(record),
        "clock": {
            "lines_before_an_earlier_line": record.backwards,
            "first_lines": record.first_backwards,
            "largest_step_back_seconds": record.largest_step_back_seconds,
        },
    }


def _exceptions(record: SourceRecord) -> dict[str, Any]:
    """Counts and first line numbers of what is not as it should be; what does not occur is left out."""
    report = record.report
    counted = {
        "without_header": (report.without_header, record.first_without_header),
        "bad_timestamps": (report.bad_timestamps, record.first_bad_timestamps),
        "damaged": (report.damaged, list(report.first_damaged)),
        "control_lines": (report.control_lines, None),
        "split_lines": (report.split_lines, list(report.first_split)),
        "truncated": (int(report.truncated), None),
    }
    return {
        name: {"count": count} | ({"first_lines": first} if first is not None else {})
        for name, (count, first) in counted.items()
        if count
    }
