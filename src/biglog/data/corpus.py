"""The pretraining corpus: distinct normal forms with their counts, by domain, with exclusions that are
proved.

A corpus is read from any number of logs. What must not be trained on is named (an *exclusion*: a file, or a
range of its lines), and every normal form that occurs there leaves the corpus wherever else it occurs.
Held-out lines are chosen by a hash of the normal form, so that a held-out line shares its normal form with no
training line of any domain, in any run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from glob import has_magic
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.deduplication import count_batches
from biglog.errors import InputError
from biglog.logs.record import read_logs
from biglog.logs.sources.compression import Feed
from biglog.logs.sources.expand import expand, open_logs

_SPEC = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<pattern>.+?)(?:#(?P<first>\d+)-(?P<last>\d*))?")


@dataclass(frozen=True)
class SourceSpec:
    """One entry of a list of sources, written ``[NAME=]PATTERN[#FIRST-[LAST]]``.

    Attributes:
        name: The domain of a source, or the name of an exclusion; None takes each file's name up to its first
            ``_`` or ``.``.
        pattern: Path or glob, relative to the data root. A ``.zip`` stands for the ``*.log`` files in it.
        first: First line (1-based) that is meant.
        last: Last line that is meant; None for the end.
    """

    name: str | None
    pattern: str
    first: int = 1
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> SourceSpec:
        """Reads an entry.

        Raises:
            InputError: The range is empty, or the entry is.
        """
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise InputError("an empty source", remedy="Write it as [DOMAIN=]PATTERN[#FIRST-[LAST]]")
        first, last = int(match["first"] or 1), int(match["last"]) if match["last"] else None
        if first < 1 or (last is not None and last < first):
            raise InputError(f"the source {text!r} has an empty range of lines", remedy="Lines count from 1")
        return cls(match["name"], match["pattern"], first, last)

    def name_of(self, file: Path) -> str:
        """Returns the name that goes with one of the files."""
        return self.name or re.split(r"[_.]", file.name)[0]

    def files(self, root: Path) -> list[Path]:
        """Returns the files that are meant, sorted.

        Raises:
            InputError: There is none.
        """
        path = root / self.pattern
        plain = next((i for i, part in enumerate(path.parts) if has_magic(part)), len(path.parts))
        fixed, pattern = Path(*path.parts[:plain]), "/".join(path.parts[plain:])
        found = [file for file in (sorted(fixed.glob(pattern)) if pattern else [fixed]) if file.is_file()]
        if not found:
            raise InputError("no such file", where=path, remedy="Check the pattern and data_root")
        return found


@dataclass(frozen=True)
class SourceRecord:
    """What was read from one file.

    Attributes:
        file: Path relative to the data root.
        domain: Its domain.
        sha256: Of the file as it is on disk.
        bytes: Size on disk.
        lines: Lines that were read.
        normal_forms: Distinct normal forms among them.
    """

    file: str
    domain: str
    sha256: str
    bytes: int
    lines: int
    normal_forms: int


@dataclass(frozen=True)
class ExclusionRecord:
    """What was left out, and the proof.

    Attributes:
        name: Name of the split.
        file: Path relative to the data root, with the range of lines.
        sha256: Of the file as it is on disk.
        lines: Lines of the split.
        normal_forms: Distinct normal forms of the split.
        dropped: Normal forms that the sources held and that left the corpus because of it.
        remaining: Normal forms of the split counted again in the finished training lines: 0, or building
            fails.
    """

    name: str
    file: str
    sha256: str
    lines: int
    normal_forms: int
    dropped: int
    remaining: int


@dataclass(frozen=True)
class Corpus:
    """Distinct normal forms, split into training and held-out lines.

    Attributes:
        train: Columns domain, normal_form, count; sorted by domain and normal form.
        held_out: Likewise; shares no normal form with ``train``.
        sources: One record a file.
        exclusions: One record an exclusion.
    """

    train: pl.DataFrame
    held_out: pl.DataFrame
    sources: tuple[SourceRecord, ...]
    exclusions: tuple[ExclusionRecord, ...]

    @property
    def fingerprint(self) -> str:
        """A digest of the training and held-out normal forms: equal if and only if they are."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            digest.update(part.write_csv().encode())
        return digest.hexdigest()

    def record(self) -> dict[str, object]:
        """Returns what a run's record says about its data."""
        counts = self.train.group_by("domain").agg(forms=pl.len(), lines=pl.col("count").sum())
        held = self.held_out.group_by("domain").agg(held_out=pl.len())
        domains = counts.join(held, on="domain", how="full", coalesce=True).fill_null(0).sort("domain")
        return {
            "sources": [asdict(source) for source in self.sources],
            "exclusions": [asdict(exclusion) for exclusion in self.exclusions],
            "domains": domains.to_dicts(),
            "train_normal_forms": len(self.train),
            "held_out_normal_forms": len(self.held_out),
            "fingerprint": self.fingerprint,
        }


def build_corpus(
    sources: Iterable[str],
    *,
    data_root: str | Path = ".",
    exclude: Iterable[str] = (),
    held_out_share: float = 0.1,
) -> Corpus:
    """Reads logs into a corpus.

    Args:
        sources: Entries as `SourceSpec` describes them; the name is the domain.
        data_root: Folder that the entries are relative to.
        exclude: Entries likewise; the name is that of the split which must stay unseen.
        held_out_share: Share of the distinct normal forms of each domain that is kept from training.

    Raises:
        InputError: A file is missing or unreadable, or nothing is left to train on.
    """
    root = Path(data_root)
    tables: list[pl.DataFrame] = []
    records: list[SourceRecord] = []
    for file, spec in _files(sources, root):
        counts = count_normal_forms(file, first=spec.first, last=spec.last)
        records.append(_source_record(file, spec, root, counts))
        tables.append(counts.select(pl.lit(spec.name_of(file)).alias("domain"), "normal_form", "count"))
    if not tables:
        raise InputError("no sources", remedy="Give train_data_path")
    forms = (
        pl.concat(tables)
        .group_by("domain", "normal_form")
        .agg(pl.col("count").sum())
        .sort("domain", "normal_form")
    )
    splits = [
        (spec, file, count_normal_forms(file, spec.first, spec.last)) for file, spec in _files(exclude, root)
    ]
    kept = forms.filter(pl.col("normal_form") != "")
    for _, _, split in splits:
        kept = kept.join(split, on="normal_form", how="anti", maintain_order="left")
    held = kept["normal_form"].map_elements(
        lambda form: is_held_out(form, held_out_share), return_dtype=pl.Boolean
    )
    train = kept.filter(~held)
    if not len(train):
        raise InputError(
            "no line is left to train on", where=root, remedy="Give more sources or fewer exclusions"
        )
    exclusions = tuple(
        _exclusion_record(spec, file, root, split, forms, train) for spec, file, split in splits
    )
    return Corpus(train, kept.filter(held), tuple(records), exclusions)


def count_normal_forms(file: Path, first: int = 1, last: int | None = None) -> pl.DataFrame:
    """Counts the distinct normal forms of a log's contents.

    Args:
        file: A log, plain or compressed, or a ``.zip``, which stands for the ``*.log`` files in it.
        first: First line (1-based) to count; the lines of a ``.zip`` are numbered through, its logs sorted by
            name.
        last: Last line to count; None for the end.

    Returns:
        Columns normal_form (String) and count (UInt32), sorted by normal form; blank lines have the empty
        one.
    """
    wanted = pl.col("line_number") >= first
    if last is not None:
        wanted &= pl.col("line_number") <= last
    logs = read_logs(_JoinedLogs(file) if file.suffix == ".zip" else file)
    counts = count_batches(replace(batch, frame=batch.frame.filter(wanted)) for batch in logs)
    return counts.select("normal_form", pl.col("count").cast(pl.UInt32))


def is_held_out(normal_form: str, share: float) -> bool:
    """Returns whether a normal form is held out: always the same for a form, and monotone in ``share``."""
    digest = hashlib.blake2b(normal_form.encode(), digest_size=8, person=b"held-out").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def sampling_weights(
    forms: pl.DataFrame, *, temperature: float = 0.5, count_power: float = 0.0
) -> NDArray[np.float64]:
    """Returns how likely training is to draw each normal form.

    A domain with n distinct normal forms is drawn with probability proportional to n ** temperature: 1 draws
    every form alike, 0 every domain alike (exponential smoothing, as multilingual pretraining does for its
    languages).

    Args:
        forms: Columns domain, normal_form, count.
        temperature: See above, between 0 and 1.
        count_power: Within a domain, a form seen c times is drawn proportionally to c ** count_power.

    Returns:
        Probabilities, shape (forms,), summing to 1.
    """
    weighted = forms.select(
        (pl.col("count").cast(pl.Float64) ** count_power).alias("weight"),
        pl.len().over("domain").cast(pl.Float64).alias("size"),
        "domain",
    ).select(pl.col("weight") / pl.col("weight").sum().over("domain") * pl.col("size") ** temperature)
    weights = weighted.to_series().to_numpy()
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def _files(entries: Iterable[str], root: Path) -> Iterator[tuple[Path, SourceSpec]]:
    for entry in entries:
        spec = SourceSpec.parse(entry)
        for file in spec.files(root):
            yield file, spec


class _JoinedLogs(BytesIO):
    """The logs of a zip, one after the other as one: lines are numbered through and read by one layout."""

    def __init__(self, archive: Path) -> None:
        super().__init__()
        self.name = str(archive)
        self._feed = Feed(self._blocks())

    def read(self, size: int | None = -1) -> bytes:
        return b"".join(self._feed) if size is None or size < 0 else self._feed.read(size)

    def seekable(self) -> bool:
        return False

    def _blocks(self) -> Iterator[bytes]:
        for log in open_logs(expand(f"{self.name}::*.log")):
            block = b""
            for block in log.blocks():
                yield block
            # A log that ends without a line end must not run into the next.
            if block and not block.endswith(b"\n"):
                yield b"\n"


def _source_record(file: Path, spec: SourceSpec, root: Path, counts: pl.DataFrame) -> SourceRecord:
    return SourceRecord(
        file=_relative(file, root),
        domain=spec.name_of(file),
        sha256=_sha256(file),
        bytes=file.stat().st_size,
        lines=int(counts["count"].sum()),
        normal_forms=len(counts),
    )


def _exclusion_record(
    spec: SourceSpec, file: Path, root: Path, split: pl.DataFrame, before: pl.DataFrame, train: pl.DataFrame
) -> ExclusionRecord:
    remaining = len(train.join(split, on="normal_form", how="semi"))
    if remaining:
        raise AssertionError(
            f"{remaining} normal forms of {spec.name_of(file)} are left in the training lines"
        )
    lines = "" if spec.first == 1 and spec.last is None else f"#{spec.first}-{spec.last or ''}"
    return ExclusionRecord(
        name=spec.name_of(file),
        file=_relative(file, root) + lines,
        sha256=_sha256(file),
        lines=int(split["count"].sum()),
        normal_forms=len(split),
        dropped=before.join(split, on="normal_form", how="semi")["normal_form"].n_unique(),
        remaining=remaining,
    )


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
