"""What a user gives the parser in files: templates, and labelled lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from biglog.errors import InputError
from biglog.tasks.parsing.template import WILDCARD, Template, has_text

_TEMPLATE_NAMES = ("template", "EventTemplate")
_CONTENT_NAMES = ("content", "Content")


def read_templates(path: Path) -> list[str]:
    """Reads templates: a text file with one a line, or a CSV or JSON lines file with a column `template`.

    Raises:
        InputError: The file cannot be read, has no such column, or a line of it has no constant text.
    """
    found = []
    for line, row in _rows(path):
        text = row if isinstance(row, str) else _field(row, _TEMPLATE_NAMES, path, line)
        if not text.strip() and isinstance(row, str):
            continue
        if not has_text(text):
            raise _without_text(text, path, line)
        found.append(text)
    if not found:
        raise InputError("there is no template in it", where=path, remedy="Write one a line")
    return found


def read_labels(path: Path) -> tuple[list[str], list[str]]:
    """Reads labelled lines: a CSV or JSON lines file with columns `content` and `template`.

    Returns:
        Contents and templates. Rows without a template are left out: they are not labelled yet.

    Raises:
        InputError: The file cannot be read, lacks a column, or a template does not fit its content.
    """
    contents, templates = [], []
    for line, row in _rows(path):
        if isinstance(row, str):
            raise InputError(
                "labels are rows of content and template", where=path, remedy="Give a .csv or .jsonl file"
            )
        content, template = _field(row, _CONTENT_NAMES, path, line), _field(row, _TEMPLATE_NAMES, path, line)
        if not template.strip():
            continue
        if not has_text(template):
            raise _without_text(template, path, line)
        if Template(template).spans(content) is None:
            remedy = f"Write the content with {WILDCARD} for each value"
            raise InputError(f"{template!r} does not fit {content!r}", where=path, line=line, remedy=remedy)
        contents.append(content)
        templates.append(template)
    return contents, templates


def _without_text(template: str, path: Path, line: int) -> InputError:
    remedy = "Write the constant words of the line"
    return InputError(f"{template!r} has no constant text", where=path, line=line, remedy=remedy)


def _rows(path: Path) -> Iterator[tuple[int, str | dict[str, object]]]:
    """The rows of a file with their line numbers: a mapping each, or a text."""
    try:
        # Not as text: line ends inside of quotes stay as they are.
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or error})"
        raise InputError(problem, where=path, remedy="Check the path") from error
    except UnicodeDecodeError as error:
        raise InputError("it is no UTF-8 text", where=path, remedy="Save it as UTF-8") from error
    if path.suffix == ".csv":
        yield from _csv_rows(text, path)
        return
    # Line feeds alone: `splitlines` divides at characters that a content may have.
    for number, line in enumerate(text.split("\n"), start=1):
        if path.suffix not in (".jsonl", ".ndjson"):
            yield number, line.removesuffix("\r")
        elif line.strip():
            yield number, _object(line, path, number)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    limit = csv.field_size_limit(len(text) + 1)
    try:
        for row in reader:
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise InputError(
            f"this is no CSV: {error}", where=path, line=reader.line_num, remedy="Write it again"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _object(line: str, path: Path, number: int) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"this is no JSON: {error}", where=path, line=number, remedy="One object a line"
        ) from error
    if not isinstance(found, dict):
        raise InputError("this is no JSON object", where=path, line=number, remedy="One object a line")
    return found


def _field(row: dict[str, object], names: tuple[str, ...], path: Path, line: int) -> str:
    for name in names:
        if isinstance(row.get(name), str):
            return str(row[name])
    remedy = f"Its columns are content and template; here: {', '.join(map(str, row)) or 'none'}"
    raise InputError(f"there is no text under {names[0]!r}", where=path, line=line, remedy=remedy)
