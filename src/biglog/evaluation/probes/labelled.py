"""The labelled lines that probes are made of: events, alerts and levels of the sixteen domains' samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from biglog.data.archives.catalog import find_files
from biglog.data.tables.ground_truth import read_ground_truth
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.formats.header import LEVELS
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs

VERSIONS: Final = ("loghub-2.0", "logparser-corrected")
"""Versions of the ground truth, the first that a domain has is taken."""

SEVERE: Final = ("WARNING", "ERROR", "CRITICAL", "FATAL", "ALERT", "EMERGENCY")
MILD: Final = ("TRACE", "DEBUG", "INFO", "NOTICE")
"""Levels as the reader of logs spells them: from a warning up is severe, up to a notice is not. Any other
word is no level, and its line is left out."""


@dataclass(frozen=True)
class Labelled:
    """Labelled lines and where they came from.

    Attributes:
        lines: One row a line; the columns are those that the function which read them names.
        files: SHA-256 of each file that was read, by its path relative to the data folder.
        versions: Version of the ground truth by domain, where there is one.
    """

    lines: pl.DataFrame
    files: dict[str, str]
    versions: dict[str, str]


def read_events(folder: Path, domains: Sequence[str] = tuple(DOMAINS)) -> Labelled:
    """Reads the lines of the 2k samples with their events.

    Args:
        folder: The data, as `biglog.data.archives.catalog.find_files` takes them.
        domains: Which.

    Returns:
        Columns domain, content, normal_form, event (from 0, counted through all domains).

    Raises:
        InputError: A domain has no ground truth there, or it cannot be read.
    """
    frames, sums, versions = [], {}, {}
    for name in domains:
        files = find_files(name, folder)
        version = next((one for one in VERSIONS if one in files.ground_truth), None)
        if version is None:
            remedy = f"Needed is one of the versions {', '.join(VERSIONS)}"
            raise InputError(f"no ground truth of {name}", where=folder, remedy=remedy)
        path = files.ground_truth[version]
        table = pl.concat(read_ground_truth(path, version))
        frames.append(table.select(pl.lit(name).alias("domain"), "content", "normal_form", "event_id"))
        sums[files.relative(path)], versions[name] = checksum(path), version
    event = (pl.struct("domain", "event_id").rank("dense") - 1).cast(pl.Int64).alias("event")
    return Labelled(pl.concat(frames).with_columns(event).drop("event_id"), sums, versions)


def read_alerts(folder: Path, domain: str = "BGL") -> Labelled:
    """Reads a 2k sample whose lines say whether they are alerts, with their events.

    Args:
        folder: The data.
        domain: One with line labels and alerts in its sample; that is BGL alone.

    Returns:
        Columns domain, content, normal_form, event, is_alert.

    Raises:
        InputError: As `read_events`; or the sample has not the lines of its ground truth.
    """
    events, sample = read_events(folder, [domain]), _sample(folder, domain)
    if len(sample.lines) != len(events.lines):
        raise InputError(f"the sample of {domain} has not the lines of its ground truth", where=folder)
    normal = DOMAINS[domain].normal_label
    alert = (sample.lines["label"] != normal).alias("is_alert")
    return Labelled(events.lines.with_columns(alert), events.files | sample.files, events.versions)


def read_levels(folder: Path, domains: Iterable[str] = tuple(DOMAINS)) -> Labelled:
    """Reads levels of the 2k samples, one row a normal form.

    Args:
        folder: The data.
        domains: Which; one whose lines have no level, or levels of one class only, gives no rows.

    Returns:
        Columns domain, content (the first of its form), normal_form, is_severe (of most of the form's lines),
        lines (how many it has).
    """
    frames, sums = [], {}
    for name in domains:
        sample = _sample(folder, name)
        forms = by_form(sample.lines.with_columns(severity("level")).drop_nulls("is_severe"))
        if forms["is_severe"].n_unique() == 2:
            frames.append(forms.select(pl.lit(name).alias("domain"), pl.all()))
            sums |= sample.files
    if not frames:
        raise InputError("no sample has levels of both classes", where=folder)
    return Labelled(pl.concat(frames), sums, {})


def severity(column: str) -> pl.Expr:
    """Whether a level is severe, as `is_severe`; null where it is no level."""
    level = pl.col(column).str.to_uppercase().replace(dict(LEVELS))
    severe = pl.when(level.is_in(SEVERE)).then(True).when(level.is_in(MILD)).then(False)
    return severe.otherwise(None).alias("is_severe")


def by_form(lines: pl.DataFrame) -> pl.DataFrame:
    """One row a normal form, of lines with content and is_severe; most lines decide, half is severe."""
    lines = lines.with_columns(normal_forms(lines["content"]).alias("normal_form"))
    return (
        lines.group_by("normal_form", maintain_order=True)
        .agg(pl.first("content"), pl.col("is_severe").mean() >= 0.5, pl.len().alias("lines"))
        .select("content", "normal_form", "is_severe", "lines")
    )


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sample(folder: Path, name: str) -> Labelled:
    files = find_files(name, folder)
    if not files.samples:
        raise InputError(f"no sample {name}_2k.log", where=folder)
    path = files.samples[0]
    frames = [batch.frame.select("content", "level", "label") for batch in read_logs(path, layout=name)]
    return Labelled(pl.concat(frames), {files.relative(path): checksum(path)}, {})
