"""The labelled lines that probes are made of: events, alerts and levels of the sixteen domains' samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from biglog.data.archives.catalog import DomainFiles, find_files
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
    frames, sums, versions = [], dict[str, str](), dict[str, str]()
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


def read_levels(folder: Path, domains: Iterable[str] = tuple(DOMAINS), *, whole: bool = True) -> Labelled:
    """Reads levels, one row a normal form.

    Args:
        folder: The data.
        domains: Which; one whose lines have no level, or levels of one class only, gives no rows.
        whole: Whether to read the domains' other logs too; else only the samples of 2,000 lines, some of
            which have one or two severe forms.

    Returns:
        Columns domain, content (the first of its form), normal_form, is_severe (of most of the form's lines),
        lines (how many it has).

    Raises:
        InputError: No domain has levels of both classes, or a log cannot be read.
    """
    frames, sums = [], dict[str, str]()
    for name in domains:
        files = find_files(name, folder)
        sources = [str(path) for path in files.samples] + (list(files.logs) if whole else [])
        forms = by_form(_levels(files, sources))
        if forms["is_severe"].n_unique() == 2:
            frames.append(forms.select(pl.lit(name).alias("domain"), pl.all()))
            paths = dict.fromkeys(source.partition("::")[0] for source in sources)
            sums |= {files.relative(path): checksum(Path(path)) for path in paths}
    if not frames:
        raise InputError("no log has levels of both classes", where=folder)
    return Labelled(pl.concat(frames), sums, {})


def _levels(files: DomainFiles, sources: list[str]) -> pl.DataFrame:
    """Distinct contents and levels of logs, with how often each occurs."""
    schema = {"content": pl.String, "is_severe": pl.Boolean, "lines": pl.UInt32}
    counted = [pl.DataFrame(schema=schema)]
    # Logs of other machines may be laid out in another way than Loghub's.
    kinds = {source: files.kind(source) for source in sources}
    other = [source for source, kind in kinds.items() if kind is not None and kind.origin != "Loghub"]
    for layout, read in ((files.domain, [one for one in sources if one not in other]), (None, other)):
        for batch in read_logs(read, layout=layout) if read else ():
            known = batch.frame.filter("has_header").select("content", severity("level")).drop_nulls()
            groups = known.group_by("content", "is_severe", maintain_order=True)
            counted.append(groups.agg(pl.len().alias("lines")))
    return pl.concat(counted)


def severity(column: str) -> pl.Expr:
    """Whether a level is severe, as `is_severe`; null where it is no level."""
    level = pl.col(column).str.to_uppercase().replace(dict(LEVELS))
    severe = pl.when(level.is_in(SEVERE)).then(True).when(level.is_in(MILD)).then(False)
    return severe.otherwise(None).alias("is_severe")


def by_form(lines: pl.DataFrame) -> pl.DataFrame:
    """One row a normal form, of content, is_severe and lines; most lines decide, half is severe."""
    lines = lines.with_columns(normal_forms(lines["content"]).alias("normal_form"))
    return (
        lines.group_by("normal_form", maintain_order=True)
        .agg(
            pl.first("content"),
            (pl.col("lines").filter("is_severe").sum() * 2 >= pl.sum("lines")).alias("is_severe"),
            pl.sum("lines"),
        )
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
