"""The record of a build of statements: counts, what was left out and why, checksums."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from biglog._version import __version__
from biglog.data.statements.build import StatementsReport
from biglog.data.statements.fetch import checksum
from biglog.errors import OutputError

RECORD_SCHEMA: Final = "biglog-statements/1"

_COUNTS: Final = (
    "files",
    "aside",
    "undecodable",
    "unparsable",
    "damaged",
    "calls",
    "of_tested",
    "no_message",
    "rows",
)
_PARSERS: Final = (
    "tree-sitter",
    *(f"tree-sitter-{name}" for name in ("c", "cpp", "go", "java", "javascript")),
)


def write_record(
    path: str | Path, report: StatementsReport, lists: Sequence[Path] = (), forms: Sequence[Path] = ()
) -> None:
    """Writes what was built as JSON, by way of a temporary file.

    Args:
        path: The file.
        report: What was built.
        lists: Lists of packages that were fetched.
        forms: Files of forms that statements were kept away from.

    Raises:
        OutputError: It cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_record(report, lists, forms), indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot be written ({error.strerror})", where=target) from error


def _record(report: StatementsReport, lists: Sequence[Path], forms: Sequence[Path]) -> dict[str, Any]:
    return {
        "schema": RECORD_SCHEMA,
        "versions": {"biglog": __version__, "python": platform.python_version(), **_parser_versions()},
        "rows": report.rows,
        "templates": report.templates,
        "calls": report.calls,
        "sha256": report.sha256,
        **report.counts,
        "splits": report.splits,
        "excluded_projects": report.excluded,
        "near": asdict(report.near) if report.near else None,
        "read": {name: sum(getattr(one, name) for one in report.sources) for name in _COUNTS},
        "lists": {one.name: checksum(one) for one in lists},
        "forms": {f"{one.parent.name}/{one.name}": checksum(one) for one in forms},
        "sources": [
            {**asdict(one), "source": Path(one.source).name}
            for one in report.sources
            if one.rows or one.excluded
        ],
    }


def _parser_versions() -> dict[str, str]:
    found = {}
    for name in _PARSERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
