"""Templates that parsers of another environment wrote, as systems that are scored beside ours.

logparser3 pins packages that do not go with ours, so its parsers run elsewhere (`make peers`, that is
`benchmarks/peer_parsers.py`) and leave a file: by ground truth, parser and domain the template of each line,
and of which contents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from biglog.errors import InputError

SCHEMA: Final = "biglog-peer-templates/1"
REMEDY: Final = "`make peers` writes it anew"


def describe(contents: Sequence[str]) -> dict[str, Any]:
    """Says which contents were parsed: how many `lines`, and a checksum `sha256` of them all."""
    digest = hashlib.sha256(json.dumps(list(contents)).encode())
    return {"lines": len(contents), "sha256": digest.hexdigest()}


def read_peer_templates(path: Path, ground_truth: str) -> dict[str, dict[str, list[str]]]:
    """Reads what the parsers wrote for one ground truth.

    Args:
        path: The file of `make peers`.
        ground_truth: Its name.

    Returns:
        By parser and domain the template of each line.

    Raises:
        InputError: The file is missing, of another schema or incomplete.
    """
    return _templates(path, ground_truth, _truth(path, ground_truth))


def peer_settings(path: Path) -> dict[str, Any]:
    """Reads what the parsers were run with: `settings`, `masks` and `peer_versions`.

    Raises:
        InputError: The file cannot be used.
    """
    found = _file(path)
    return {name: found.get(name) for name in ("settings", "masks", "peer_versions")}


def peer_parsers(
    path: Path, ground_truth: str, contents: Mapping[str, pl.Series]
) -> dict[str, dict[str, Callable[[pl.Series], pl.Series]]]:
    """Makes systems of what the parsers wrote.

    Args:
        path: The file of `make peers`.
        ground_truth: Its name.
        contents: Of each domain that is scored.

    Returns:
        By parser and domain what gives the domain's contents their templates.

    Raises:
        InputError: The file cannot be used, or has other contents of one of the domains or none.
    """
    truth = _truth(path, ground_truth)
    templates = _templates(path, ground_truth, truth)
    for domain, lines in contents.items():
        if domain not in truth["contents"]:
            raise _wrong(path, f"no templates of {domain} for ground truth {ground_truth}")
        if truth["contents"][domain] != describe(lines.to_list()):
            raise _wrong(path, f"templates of {domain} are of other contents")
    return {
        parser: {domain: partial(_given, pl.Series(made[domain], dtype=pl.String)) for domain in contents}
        for parser, made in templates.items()
    }


def _given(templates: pl.Series, contents: pl.Series) -> pl.Series:
    if len(contents) != len(templates):
        raise ValueError(f"{len(contents)} contents for {len(templates)} templates")
    return templates


def _truth(path: Path, name: str) -> dict[str, Any]:
    """The part of the file that is about one ground truth."""
    truth = _field(path, _file(path), "ground_truths")
    if name not in truth:
        raise _wrong(path, f"ground_truths has no {name!r}")
    return _field(path, truth, name)


def _file(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("templates of logparser3 cannot be read", where=path, remedy=REMEDY) from error
    except ValueError as error:
        raise InputError("is not JSON", where=path, remedy=REMEDY) from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise _wrong(path, f"schema is {schema!r}, not {SCHEMA!r}")
    return dict(found)


def _templates(path: Path, ground_truth: str, truth: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    described = _field(path, truth, "contents")
    lengths = {domain: _field(path, described, domain).get("lines") for domain in described}
    parsers = _field(path, truth, "parsers")
    made = {
        parser: _field(path, _field(path, parsers, parser, ground_truth), "templates", parser)
        for parser in parsers
    }
    for parser, domains in made.items():
        for domain, lines in lengths.items():
            _check(path, f"{ground_truth}, {parser}, {domain}", domains.get(domain), lines)
    return {parser: {domain: domains[domain] for domain in lengths} for parser, domains in made.items()}


def _check(path: Path, place: str, templates: Any, lines: Any) -> None:
    if templates is None:
        raise _wrong(path, f"templates are missing: {place}")
    if not isinstance(templates, list) or not all(isinstance(template, str) for template in templates):
        raise _wrong(path, f"templates are no list of texts: {place}")
    if len(templates) != lines:
        raise _wrong(path, f"{len(templates)} templates for {lines} lines: {place}")


def _field(path: Path, fields: Mapping[str, Any], name: str, place: str = "") -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise _wrong(path, f"field {name!r} is missing or no object" + (f": {place}" if place else ""))
    return value


def _wrong(path: Path, problem: str) -> InputError:
    return InputError(problem, where=path, remedy=REMEDY)
