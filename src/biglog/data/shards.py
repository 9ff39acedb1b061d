"""A corpus on disk, for logs whose normal forms do not fit into memory: Parquet shards by domain.

``train``, ``held_out`` and ``left_out`` each hold ``<domain>/<part>.parquet`` with columns normal_form and
count; ``corpus.json`` says what they are made of, what was excluded and that it is not there. Forms are cut
into parts by a hash, part by part is divided, and rows stand in the order of another hash: every shard is a
random sample of its domain, and a second writing gives the same shards.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.corpus import (
    Corpus,
    divide,
    exclusion_record,
    nothing_left,
    shared_forms,
    source_record,
)
from biglog.data.sources import Source, excluded_sources, find_sources, left_out_sources
from biglog.data.tallies import COUNTS, Tally
from biglog.errors import InputError, OutputError
from biglog.logs.masking import MASKING_VERSION

SCHEMA: Final = "biglog-corpus/1"
RECORD: Final = "corpus.json"
SPLITS: Final = ("train", "held_out", "left_out")
PARTITIONS: Final = 16
STATE_FORMS: Final = 1 << 20
"""Distinct forms that are held while counting: about 200 MB."""

ROW_GROUP: Final = 1 << 14
_AGAIN: Final = "Write the shards again"


def write_shards(
    sources: Iterable[str],
    folder: str | Path,
    *,
    data_root: str | Path = ".",
    exclude: Iterable[str] = (),
    leave_out: Iterable[str] = (),
    held_out_share: float = 0.1,
    partitions: int = PARTITIONS,
    state_forms: int = STATE_FORMS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Writes the corpus that `build_corpus` would build, in bounded memory.

    Args:
        sources: See `build_corpus`, as are the next three and ``held_out_share``.
        folder: Where the shards go; it must not be there yet, and is there only when it is whole.
        data_root: Folder that the entries are relative to.
        exclude: What must stay unseen.
        leave_out: Domains that are kept from training.
        held_out_share: Share of the forms that is kept from training.
        partitions: Parts of each domain; the memory is that of the largest part of all sources.
        state_forms: Distinct forms that are held at most while a source is counted.
        progress: Called with how many of how many sources and parts are done.

    Returns:
        What ``corpus.json`` says.

    Raises:
        InputError: A source cannot be read, a name is unknown, or nothing is left to train on.
        OutputError: The folder is in use, or cannot be written.
    """
    root, target = Path(data_root), Path(folder)
    everything = find_sources(sources, root)
    if not everything:
        raise InputError("no sources", remedy="Give train_data_path")
    kept, gone = left_out_sources(leave_out, root, everything)
    unseen = excluded_sources(exclude, root, everything)
    if target.exists():
        raise OutputError("this is there already", where=target, remedy="Choose another folder")
    tell = progress or (lambda done, total: None)
    total = len(kept) + len(unseen) + len(gone) + partitions
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=target, remedy="Check folder and space") from error
    try:
        spilled: list[_Spilled] = []
        for source in [*kept, *unseen, *gone]:
            spilled.append(_spill(source, work / f"counts-{len(spilled)}", partitions, state_forms))
            tell(len(spilled), total)
        cut = (len(kept), len(kept) + len(unseen))
        writing = _Writing(work, spilled[: cut[0]], spilled[cut[0] : cut[1]], spilled[cut[1] :])
        for number in range(partitions):
            writing.write(number, held_out_share)
            tell(len(spilled) + number + 1, total)
        record = writing.record(root) | {"held_out_share": held_out_share, "partitions": partitions}
        for one in spilled:
            shutil.rmtree(one.folder)
        (work / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        work.chmod(0o755)  # a temporary folder is its maker's alone
        work.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=target, remedy="Check folder and space") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return record


@dataclass
class _Spilled:
    """A source counted onto disk, cut into parts by a hash of the form."""

    source: Source
    folder: Path
    lines: int = 0
    forms: int = 0
    dropped: int = 0
    remaining: int = 0

    def read(self, number: int) -> pl.DataFrame:
        """The counts of one part."""
        parts = [pl.read_parquet(path) for path in sorted(self.folder.glob(f"{number:05}-*.parquet"))]
        rows = pl.concat([pl.DataFrame(schema=COUNTS), *parts])
        return rows.group_by("normal_form").agg(pl.col("count").sum()).sort("normal_form")


def _spill(source: Source, folder: Path, partitions: int, state_forms: int) -> _Spilled:
    folder.mkdir()
    spilled, tally, written = _Spilled(source, folder), Tally(), 0
    for forms in source.normal_forms():
        tally.add(forms)
        if tally.held > state_forms and len(tally.counts()) > state_forms // 2:
            _write_parts(tally.counts(), folder, written, partitions)
            tally, written = Tally(), written + 1
    _write_parts(tally.counts(), folder, written, partitions)
    return spilled


def _write_parts(counts: pl.DataFrame, folder: Path, written: int, partitions: int) -> None:
    cut = _hashes(counts["normal_form"], b"") % partitions
    for (number,), part in counts.group_by(cut.alias("cut"), maintain_order=True):
        part.select(COUNTS.names()).write_parquet(folder / f"{int(str(number)):05}-{written:06}.parquet")


def _hashes(forms: pl.Series, salt: bytes) -> pl.Series:
    """CRC-32 of each form: the same on every machine."""
    start = zlib.crc32(salt)
    return forms.map_elements(lambda form: zlib.crc32(form.encode(), start), return_dtype=pl.UInt32)


@dataclass
class _Writing:
    """Divides part by part and writes the shards."""

    work: Path
    kept: Sequence[_Spilled]
    unseen: Sequence[_Spilled]
    left: Sequence[_Spilled]
    shards: dict[str, dict[str, list[dict[str, Any]]]] = field(
        default_factory=lambda: {split: {} for split in SPLITS}
    )
    lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self._found = 0

    def write(self, number: int, held_out_share: float) -> None:
        read, unseen, left = (
            [(one.source, one.read(number)) for one in group] for group in (self.kept, self.unseen, self.left)
        )
        for one, (_, counts) in zip(
            [*self.kept, *self.unseen, *self.left], [*read, *unseen, *left], strict=True
        ):
            one.lines, one.forms = one.lines + int(counts["count"].sum()), one.forms + len(counts)
        parts = divide(read, unseen, left, held_out_share)
        self._found += parts.found_forms
        written: list[Path] = []
        for split, frame in zip(SPLITS, (parts.train, parts.held_out, parts.left_out), strict=True):
            for (domain,), rows in frame.group_by("domain", maintain_order=True):
                written.append(self._write_shard(split, str(domain), number, rows))
        # What counts is what can be read back.
        train = pl.concat(
            [parts.train.clear().select(COUNTS.names())]
            + [pl.read_parquet(path) for path in written if path.parent.parent.name == "train"]
        )
        for one, (_, counts), dropped in zip(
            [*self.unseen, *self.left], [*unseen, *left], parts.dropped, strict=True
        ):
            one.dropped += dropped
            one.remaining += shared_forms(train, counts)

    def _write_shard(self, split: str, domain: str, number: int, rows: pl.DataFrame) -> Path:
        path = self.work / split / domain / f"{number:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        order = rows.with_columns(_hashes(rows["normal_form"], b"order").alias("order"))
        shard = order.sort("order", "normal_form").select(COUNTS.names())
        self._digest.update(f"{split}/{domain}/{number}\n".encode() + shard.write_csv().encode())
        shard.write_parquet(path, row_group_size=ROW_GROUP)
        file = path.relative_to(self.work).as_posix()
        self.shards[split].setdefault(domain, []).append({"file": file, "rows": len(shard)})
        key = (split, domain)
        self.lines[key] = self.lines.get(key, 0) + int(shard["count"].sum())
        return path

    def record(self, root: Path) -> dict[str, Any]:
        rows = {
            split: {domain: sum(file["rows"] for file in files) for domain, files in sorted(domains.items())}
            for split, domains in self.shards.items()
        }
        if not rows["train"]:
            kept = [one.source for one in self.kept]
            excluded = bool(self.unseen or self.left)
            raise nothing_left(root, kept, self._found, sum(rows["held_out"].values()), excluded)
        names = sorted(rows["train"].keys() | rows["held_out"].keys())
        exclusions = [
            exclusion_record(
                source_record(one.source, one.lines, one.forms),
                one.source.file,
                one.dropped,
                one.remaining,
                reason,
            )
            for group, reason in ((self.unseen, "excluded"), (self.left, "left_out"))
            for one in group
        ]
        return {
            "schema": SCHEMA,
            "masking_version": MASKING_VERSION,
            "sources": [asdict(source_record(one.source, one.lines, one.forms)) for one in self.kept],
            "exclusions": [asdict(one) for one in exclusions],
            "domains": [
                {
                    "domain": name,
                    "forms": rows["train"].get(name, 0),
                    "lines": self.lines.get(("train", name), 0),
                    "held_out": rows["held_out"].get(name, 0),
                }
                for name in names
            ],
            "left_out": [
                {"domain": name, "forms": forms, "lines": self.lines["left_out", name]}
                for name, forms in rows["left_out"].items()
            ],
            "train_normal_forms": sum(rows["train"].values()),
            "held_out_normal_forms": sum(rows["held_out"].values()),
            "fingerprint": self._digest.hexdigest(),
            "shards": self.shards,
        }


@dataclass(frozen=True)
class Shards:
    """A corpus on disk, checked.

    Attributes:
        folder: Where it is.
        record: What ``corpus.json`` says.
    """

    folder: Path
    record: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Shards:
        """Reads what there is and checks that it is whole.

        Raises:
            InputError: There are none, one is missing or damaged, or they are of another masking version.
        """
        place = Path(folder)
        try:
            record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"there are no shards of a corpus here ({error})", where=place, remedy=_AGAIN
            ) from error
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise InputError(f"this is no record of {SCHEMA}", where=place / RECORD, remedy=_AGAIN)
        if record["masking_version"] != MASKING_VERSION:
            version = record["masking_version"]
            problem = f"the normal forms are of masking version {version}, this is {MASKING_VERSION}"
            raise InputError(problem, where=place, remedy=_AGAIN)
        for domains in record["shards"].values():
            for file in (one for files in domains.values() for one in files):
                _check(place / file["file"], file["rows"])
        return cls(place, record)

    def files(self, split: str = "train") -> dict[str, list[tuple[Path, int]]]:
        """The shards of each domain, sorted, and the rows of each."""
        found: dict[str, list[dict[str, Any]]] = self.record["shards"][split]
        return {
            domain: [(self.folder / file["file"], int(file["rows"])) for file in found[domain]]
            for domain in sorted(found)
        }

    def sample(self, split: str, rows: int) -> pl.DataFrame:
        """The first rows of each domain, a random sample as shards are; columns as in a `Corpus`, sorted.

        Args:
            split: One of `SPLITS`.
            rows: Most rows of a domain.
        """
        frames = []
        for domain, files in self.files(split).items():
            missing = rows
            for path, size in files:
                if missing > 0:
                    part = pl.scan_parquet(path).head(missing).collect()
                    frames.append(part.select(pl.lit(domain).alias("domain"), *COUNTS.names()))
                    missing -= size
        empty = pl.DataFrame(schema={"domain": pl.String(), **COUNTS})
        return pl.concat([empty, *frames]).sort("domain", "normal_form")


def _check(path: Path, rows: int) -> None:
    try:
        found = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"this shard is missing, damaged or cut short ({error})", where=path, remedy=_AGAIN
        ) from error
    if found != rows:
        raise InputError(f"this shard has {found} rows, not {rows}", where=path, remedy=_AGAIN)


@dataclass(frozen=True)
class ShardedCorpus(Corpus):
    """A corpus on disk of which a sample is in memory: enough to train a tokenizer, to fit baselines and to
    evaluate.

    Attributes:
        shards: All of it.
    """

    shards: Shards = field(kw_only=True)

    @classmethod
    def sampled(
        cls, folder: str | Path, *, train_forms: int = 1 << 18, other_forms: int = 1 << 14
    ) -> ShardedCorpus:
        """Opens shards and takes a sample.

        Args:
            folder: Where they are.
            train_forms: About how many forms of all domains to take of the training lines.
            other_forms: Most forms of a domain to take of those held out and left out.

        Raises:
            InputError: As `Shards.open`.
        """
        shards = Shards.open(folder)
        total = max(1, int(shards.record["train_normal_forms"]))
        share = min(1.0, train_forms / total)
        frames = []
        for domain, files in shards.files().items():
            wanted = max(1, round(share * sum(rows for _, rows in files)))
            frames.append(shards.sample("train", wanted).filter(pl.col("domain") == domain))
        others = (shards.sample(split, other_forms) for split in ("held_out", "left_out"))
        held_out, left_out = others
        return cls(pl.concat(frames), held_out, (), (), left_out, shards=shards)

    @property
    def forms(self) -> int:
        """Distinct normal forms to train on, in memory or not."""
        return int(self.shards.record["train_normal_forms"])

    @property
    def fingerprint(self) -> str:
        """That of the shards."""
        return str(self.shards.record["fingerprint"])

    def record(self) -> dict[str, object]:
        """Returns what a run's record says about its data."""
        return {name: value for name, value in self.shards.record.items() if name != "shards"} | {
            "sampled_normal_forms": len(self.train)
        }
