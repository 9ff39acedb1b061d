"""Where the lines of a corpus come from: raw logs, tables of lines, datasets. Each is counted by normal form.

An entry of a list of sources is written ``[NAME=]PATTERN[:SPLIT][#FIRST-[LAST]]``. What it names is found
relative to a data root; what is to stay out of training can also be named through the catalog of domains
(`excluded_sources`, `left_out_sources`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from glob import has_magic
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.archives.catalog import find_files
from biglog.data.dataset_source import PREFIX, DatasetSplit
from biglog.data.deduplication import count_batches
from biglog.data.schema import SPLITS
from biglog.data.tables.built import RECORD, find_domain
from biglog.data.tables.parquet import read_batches
from biglog.data.tallies import Tally
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import MASKING_VERSION, normal_forms
from biglog.logs.record import RecordBatch, read_logs
from biglog.logs.sources.compression import Feed
from biglog.logs.sources.expand import expand, open_logs

SAMPLES: Final = "loghub-2k"
"""Name of the sixteen samples of 2,000 lines that parsing is evaluated on; ``loghub-2k:BGL`` is one."""

NORMAL_FORM: Final = "normal_form"
_TABLE: Final = ".parquet"
_SPEC = re.compile(
    r"(?:(?P<name>[\w.-]+)=)?(?P<pattern>.+?)"
    r"(?::(?P<split>train|validation|test))?(?:#(?P<first>\d+)-(?P<last>\d*))?"
)


@dataclass(frozen=True)
class SourceSpec:
    """One entry of a list of sources, written ``[NAME=]PATTERN[:SPLIT][#FIRST-[LAST]]``.

    Attributes:
        name: The domain of a source, or the name of an exclusion; None takes each file's name up to its first
            ``_`` or ``.``, of a table the domain's folder, of a dataset its configuration.
        pattern: Path or glob, relative to the data root: a log; a ``.zip``, which stands for the ``*.log``
            files in it; a ``.parquet`` file of a table of lines; or a folder of these, as
            ``biglog datasets build`` writes it (the domain's, or ``lines`` in it). ``hub:REPOSITORY:CONFIG``
            is a dataset, on a Hub or in a local folder, that has such tables.
        first: First line (1-based) that is meant.
        last: Last line that is meant; None for the end.
        split: Split of a folder of shards or of a dataset; None is ``train`` in a list of sources, and all
            splits in a list of exclusions.
    """

    name: str | None
    pattern: str
    first: int = 1
    last: int | None = None
    split: str | None = None

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
        return cls(match["name"], match["pattern"], first, last, match["split"])

    def name_of(self, file: Path) -> str:
        """Returns the name that goes with one of the files."""
        if self.name is None and file.suffix == _TABLE and file.parent.name == "lines":
            return file.absolute().parent.parent.name
        return self.name or re.split(r"[_.]", file.name)[0]

    def files(self, root: Path, splits: Sequence[str] = SPLITS) -> list[Path]:
        """Returns the files that are meant, sorted.

        Args:
            root: The data root.
            splits: Splits that are meant where the entry names a folder of shards, but no split.

        Raises:
            InputError: There is none.
        """
        path = root / self.pattern
        plain = next((i for i, part in enumerate(path.parts) if has_magic(part)), len(path.parts))
        fixed, pattern = Path(*path.parts[:plain]), "/".join(path.parts[plain:])
        found = sorted(fixed.glob(pattern)) if pattern else [fixed]
        wanted = [self.split] if self.split else splits
        files = [file for one in found for file in ([one] if one.is_file() else _shards(one, wanted))]
        if not files:
            raise InputError("no such file", where=path, remedy=_remedy(self.pattern))
        return files


@dataclass(frozen=True)
class Source:
    """Lines that are counted: of a log, or of a table of lines.

    Attributes:
        name: The domain, or the name of what stays out.
        file: What records call it: the path relative to the data root, with the range of lines.
        path: Where it is.
        first: First line (1-based) that counts.
        last: Last line that counts; None for the end.
        dataset: The split of a dataset that it is instead of a file, or None.
    """

    name: str
    file: str
    path: Path
    first: int = 1
    last: int | None = None
    dataset: DatasetSplit | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the file as it is on disk; of a dataset, of what identifies its files."""
        if self.dataset is not None:
            return self.dataset.sha256
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def bytes(self) -> int:
        """Size on disk; of a dataset on a Hub 0, as only one column of it is fetched."""
        return self.dataset.bytes if self.dataset is not None else self.path.stat().st_size

    @property
    def is_table(self) -> bool:
        """Whether its normal forms are read, not made."""
        return self.dataset is not None or self.path.suffix == _TABLE

    def count(self) -> pl.DataFrame:
        """Counts its distinct normal forms, in bounded memory.

        Returns:
            Columns normal_form (String) and count (UInt32), sorted by normal form; blank lines have the empty
            one.

        Raises:
            InputError: It cannot be read, or has not the columns of a table of lines.
        """
        if self.dataset is None and self.path.suffix != _TABLE:
            return count_normal_forms(self.path, self.first, self.last)
        return _count_forms(self.normal_forms())

    def normal_forms(self) -> Iterator[pl.Series]:
        """Yields the normal forms of its lines, batch by batch; those of blank lines are empty or missing.

        Raises:
            InputError: As `count`.
        """
        if self.dataset is not None:
            yield from _rows(self.dataset.normal_forms(), self.first, self.last)
        elif self.path.suffix == _TABLE:
            yield from _rows(_table_forms(self.path), self.first, self.last)
        else:
            for batch in _records(self.path, self.first, self.last):
                yield normal_forms(batch.frame["content"])

    def whole(self) -> Source:
        """Returns the source without its range of lines."""
        return replace(self, file=self.file.partition("#")[0], first=1, last=None)

    def split(self, name: str) -> list[Source]:
        """Returns what a split of the table that this is part of consists of."""
        if self.dataset is not None:
            if name not in self.dataset.splits:
                return []
            other = replace(self.dataset, split=name)
            return [replace(self, file=other.name, path=Path(other.name), dataset=other, first=1, last=None)]
        files = sorted(self.path.parent.glob(f"{name}-*{_TABLE}"))
        folder = self.file.rpartition("/")[0]
        named = {file: f"{folder}/{file.name}" if folder else file.name for file in files}
        return [Source(self.name, label, file) for file, label in named.items()]


def find_sources(entries: Iterable[str], root: Path, *, splits: Sequence[str] = ("train",)) -> list[Source]:
    """Finds what a list of entries names.

    Args:
        entries: As `SourceSpec` describes them.
        root: Folder that they are relative to.
        splits: Splits that an entry means which names a folder of shards or a dataset, but no split.

    Raises:
        InputError: A file is missing, or a table is of another masking version.
    """
    found: list[Source] = []
    for entry in entries:
        spec = SourceSpec.parse(entry)
        if spec.pattern.startswith(PREFIX):
            found += _dataset_sources(spec, root, splits)
            continue
        lines = "" if spec.first == 1 and spec.last is None else f"#{spec.first}-{spec.last or ''}"
        for file in spec.files(root, splits):
            if file.suffix == _TABLE:
                _check_masking(file)
            found.append(
                Source(spec.name_of(file), relative(file, root) + lines, file, spec.first, spec.last)
            )
    return found


def excluded_sources(entries: Iterable[str], root: Path, sources: Sequence[Source]) -> list[Source]:
    """Finds what is excluded: entries as in a list of sources, or names.

    The names are ``loghub-2k`` (the samples of all domains that lie in the data root) and ``loghub-2k:BGL``
    (one of them), ``validation`` and ``test`` (these splits of every table among the sources) and
    ``BGL:test`` (that of one domain).

    Args:
        entries: What is excluded.
        root: The data root.
        sources: The sources of the corpus.

    Raises:
        InputError: There is nothing of that name, or a file is missing.
    """
    found: list[Source] = []
    for entry in entries:
        spec = SourceSpec.parse(entry)
        # A file that has such a name comes first; `./test` is never a name.
        if spec.name is None and not (root / spec.pattern).exists():
            if spec.pattern.partition(":")[0] == SAMPLES:
                found += _samples(spec.pattern.partition(":")[2], root)
                continue
            if spec.pattern in SPLITS or _is_split_of(spec, sources):
                found += _splits_of(spec, sources)
                continue
        files = find_sources([entry], root, splits=SPLITS)
        found += files if spec.name else [replace(one, name=_with_split(one)) for one in files]
    return found


def left_out_sources(
    domains: Iterable[str], root: Path, sources: Sequence[Source]
) -> tuple[list[Source], list[Source]]:
    """Tells the sources of domains that are left out from those that stay.

    A domain is left out with all that there is of it: its sources (whole, whatever their range or split),
    and what the catalog finds of it in the data root, samples included.

    Args:
        domains: Names, in any case.
        root: The data root.
        sources: The sources of the corpus.

    Returns:
        The sources that stay, and what is left out; the latter bear the domain's name.

    Raises:
        InputError: A domain is unknown, or there is nothing of it.
    """
    known = {name.lower(): name for name in [*DOMAINS, *(source.name for source in sources)]}
    out: list[Source] = []
    gone: set[str] = set()
    for given in dict.fromkeys(domains):
        name = known.get(given.strip().lower())
        if name is None:
            raise InputError(f"unknown domain {given!r} in leave_out", remedy=_nearest(given, known))
        gone.add(name)
        mine = [source for source in sources if source.name == name]
        everything = {
            one.file: one
            for source in mine
            for one in ([source.whole(), *_all_splits(source)] if source.is_table else [source.whole()])
        }
        for path in _catalogued(name, root):
            everything.setdefault(relative(path, root), Source(name, relative(path, root), path))
        if not everything:
            raise InputError(
                f"there is nothing of {name} to leave out", where=root, remedy="Check data_root, or drop it"
            )
        out += everything.values()
    return [source for source in sources if source.name not in gone], out


def count_normal_forms(file: Path, first: int = 1, last: int | None = None) -> pl.DataFrame:
    """Counts the distinct normal forms of a log's contents, or of a table of lines.

    Args:
        file: A log, plain or compressed; a ``.zip``, which stands for the ``*.log`` files in it; or a
            ``.parquet`` file.
        first: First line (1-based) to count; the lines of a ``.zip`` are numbered through, its logs sorted by
            name.
        last: Last line to count; None for the end.

    Returns:
        Columns normal_form (String) and count (UInt32), sorted by normal form; blank lines have the empty
        one.

    Raises:
        InputError: The file cannot be read, or the table has no normal forms.
    """
    if file.suffix == _TABLE:
        return _count_forms(_rows(_table_forms(file), first, last))
    counts = count_batches(_records(file, first, last))
    return counts.select(NORMAL_FORM, pl.col("count").cast(pl.UInt32))


def relative(file: Path, root: Path) -> str:
    """Returns how records name a file: relative to the data root, and never by a private path."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def _records(file: Path, first: int, last: int | None) -> Iterator[RecordBatch]:
    """The records of a log that stand in a range of lines."""
    wanted = pl.col("line_number") >= first
    if last is not None:
        wanted &= pl.col("line_number") <= last
    for batch in read_logs(_JoinedLogs(file) if file.suffix == ".zip" else file):
        yield replace(batch, frame=batch.frame.filter(wanted))


def _rows(batches: Iterable[pl.Series], first: int, last: int | None) -> Iterator[pl.Series]:
    """The rows of a table in a range."""
    at = 0
    for forms in batches:
        begin = max(0, first - 1 - at)
        end = len(forms) if last is None else min(len(forms), last - at)
        yield forms.slice(begin, max(0, end - begin))
        at += len(forms)


def _count_forms(batches: Iterable[pl.Series]) -> pl.DataFrame:
    tally = Tally()
    for forms in batches:
        tally.add(forms)
    return tally.counts()


def _table_forms(file: Path) -> Iterator[pl.Series]:
    try:
        names = pq.read_schema(file).names
        if NORMAL_FORM not in names:
            raise InputError(
                f"the table has no column {NORMAL_FORM!r}, only {', '.join(names)}",
                where=file,
                remedy="Give a table of lines as `biglog datasets build` writes it, or the raw log",
            )
        for frame in read_batches([file], [NORMAL_FORM]):
            yield frame[NORMAL_FORM]
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"this table is damaged or cut short ({error})", where=file, remedy="Build or fetch it again"
        ) from error


def _shards(folder: Path, splits: Iterable[str]) -> list[Path]:
    """The shards of a table of lines, given its folder or its domain's."""
    if not folder.is_dir():
        return []
    lines = folder / "lines" if (folder / RECORD).is_file() else folder
    if (lines.parent / RECORD).is_file() and lines.name == "lines":
        find_domain(lines.parent)  # says which shard is missing or damaged
    return [file for split in splits for file in sorted(lines.glob(f"{split}-*{_TABLE}"))]


def _check_masking(file: Path) -> None:
    """A table's record says which version of the masks made its normal forms."""
    if not (file.parent.parent / RECORD).is_file():
        return
    version = find_domain(file.parent.parent).record.get("masking_version")
    if version != MASKING_VERSION:
        raise InputError(
            f"its normal forms are of masking version {version}, this is {MASKING_VERSION}",
            where=file,
            remedy="Build the domain again",
        )


def _dataset_sources(spec: SourceSpec, root: Path, splits: Sequence[str]) -> list[Source]:
    found = []
    for split in [spec.split] if spec.split else splits:
        dataset = DatasetSplit.find(spec.pattern, split, root)
        if split in dataset.splits or spec.split:
            name = spec.name or dataset.config or dataset.repository.rpartition("/")[2]
            found.append(Source(name, dataset.name, Path(dataset.name), spec.first, spec.last, dataset))
    return found


def _samples(domain: str, root: Path) -> list[Source]:
    """The 2k samples in the data root: of one domain, or of all that have one."""
    known = {name.lower(): name for name in DOMAINS}
    if domain and domain.lower() not in known:
        raise InputError(f"unknown domain {domain!r} in exclude", remedy=_nearest(domain, known))
    found = []
    for name in [known[domain.lower()]] if domain else DOMAINS:
        try:
            paths = find_files(name, root).samples
        except InputError:
            paths = ()
        found += [Source(f"{SAMPLES}:{name}", relative(path, root), path) for path in paths]
    if not found:
        raise InputError(
            f"no 2k sample{f' of {known[domain.lower()]}' if domain else ''} is there",
            where=root,
            remedy="Check data_root: loghub-2k means <domain>_2k.log",
        )
    return found


def _is_split_of(spec: SourceSpec, sources: Sequence[Source]) -> bool:
    return spec.split is not None and spec.pattern in {source.name for source in sources}


def _splits_of(spec: SourceSpec, sources: Sequence[Source]) -> list[Source]:
    split = spec.split or spec.pattern
    tables = [source for source in sources if source.is_table]
    if spec.split:
        tables = [source for source in tables if source.name == spec.pattern]
    found = {one.file: replace(one, name=f"{one.name}:{split}") for t in tables for one in t.split(split)}
    if not found:
        raise InputError(
            f"no source{f' of {spec.pattern}' if spec.split else ''} is a table with a split {split!r}",
            remedy="Name the file of the split, as [NAME=]PATTERN[#FIRST-[LAST]]",
        )
    return list(found.values())


def _with_split(source: Source) -> str:
    """``BGL:test`` for a shard of a test split."""
    split = source.dataset.split if source.dataset else source.path.name.partition("-")[0]
    return f"{source.name}:{split}" if source.is_table and split in SPLITS else source.name


def _all_splits(source: Source) -> list[Source]:
    return [one for split in SPLITS for one in source.split(split)]


def _catalogued(name: str, root: Path) -> list[Path]:
    """What the catalog finds of a domain; the logs in an archive are the archive."""
    if name not in DOMAINS:
        return []
    try:
        files = find_files(name, root)
    except InputError:
        return []
    return list(dict.fromkeys([*(Path(log.partition("::")[0]) for log in files.logs), *files.samples]))


def _nearest(given: str, known: dict[str, str]) -> str:
    close = get_close_matches(given.lower(), known, n=1, cutoff=0.5)
    return f"Did you mean {known[close[0]]!r}?" if close else f"Known are {', '.join(known.values())}"


def _remedy(pattern: str) -> str:
    names = [SAMPLES, *(f"{SAMPLES}:{name}" for name in DOMAINS)]
    close = get_close_matches(pattern, names, n=1, cutoff=0.7)
    return f"Did you mean {close[0]!r}?" if close else "Check the pattern and data_root"


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
