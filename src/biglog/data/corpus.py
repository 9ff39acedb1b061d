"""The pretraining corpus: distinct normal forms with their counts, by domain, with exclusions that are
proved.

A corpus is read from any number of logs and tables of lines. What must not be trained on is named: an
*exclusion* is a file, a range of its lines or a split, and a domain can be *left out*. Every normal form that
occurs there leaves the corpus wherever else it occurs.
Held-out lines are chosen by a hash of the normal form, so that a held-out line shares its normal form with no
training line of any domain, in any run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.form_cache import count_source
from biglog.data.sources import (
    Source,
    SourceSpec,
    count_normal_forms,
    excluded_sources,
    find_sources,
    left_out_sources,
)
from biglog.errors import InputError

__all__ = [
    "Corpus",
    "ExclusionRecord",
    "SourceRecord",
    "SourceSpec",
    "build_corpus",
    "count_normal_forms",
    "is_held_out",
    "sampling_weights",
]


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
        reason: ``excluded``: unseen in training and evaluation; ``left_out``: a domain that is kept from
            training and may be evaluated on.
    """

    name: str
    file: str
    sha256: str
    lines: int
    normal_forms: int
    dropped: int
    remaining: int
    reason: str = "excluded"


@dataclass(frozen=True)
class Corpus:
    """Distinct normal forms, split into training and held-out lines.

    Attributes:
        train: Columns domain, normal_form, count; sorted by domain and normal form.
        held_out: Likewise; shares no normal form with ``train``.
        sources: One record a file.
        exclusions: One record a file that is excluded, or of a domain that is left out.
        left_out: Normal forms of the domains that are left out, with the same columns; none of them is in
            ``train`` or ``held_out``, and none is excluded.
    """

    train: pl.DataFrame
    held_out: pl.DataFrame
    sources: tuple[SourceRecord, ...]
    exclusions: tuple[ExclusionRecord, ...]
    left_out: pl.DataFrame

    @property
    def fingerprint(self) -> str:
        """A digest of the training and held-out normal forms: equal if and only if they are."""
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            digest.update(part.write_csv().encode())
        return digest.hexdigest()

    @property
    def forms(self) -> int:
        """Distinct normal forms to train on, in memory or not."""
        return len(self.train)

    def record(self) -> dict[str, object]:
        """Returns what a run's record says about its data."""
        counts = self.train.group_by("domain").agg(forms=pl.len(), lines=pl.col("count").sum())
        held = self.held_out.group_by("domain").agg(held_out=pl.len())
        domains = counts.join(held, on="domain", how="full", coalesce=True).fill_null(0).sort("domain")
        left = self.left_out.group_by("domain").agg(forms=pl.len(), lines=pl.col("count").sum())
        return {
            "sources": [asdict(source) for source in self.sources],
            "exclusions": [asdict(exclusion) for exclusion in self.exclusions],
            "domains": domains.to_dicts(),
            "left_out": left.sort("domain").to_dicts(),
            "train_normal_forms": len(self.train),
            "held_out_normal_forms": len(self.held_out),
            "fingerprint": self.fingerprint,
        }


def build_corpus(
    sources: Iterable[str],
    *,
    data_root: str | Path = ".",
    exclude: Iterable[str] = (),
    leave_out: Iterable[str] = (),
    held_out_share: float = 0.1,
    cache_folder: str | Path | None = None,
) -> Corpus:
    """Reads logs into a corpus.

    Args:
        sources: Entries as `SourceSpec` describes them; the name is the domain.
        data_root: Folder that the entries are relative to.
        exclude: What must stay unseen, in training and in evaluation: entries likewise, whose name is that of
            the split, or names that `excluded_sources` knows, such as ``loghub-2k`` and ``test``.
        leave_out: Domains that are kept from training with every normal form that occurs in any of their
            lines, wherever else it occurs; they can be evaluated on.
        held_out_share: Share of the distinct normal forms of each domain that is kept from training.
        cache_folder: Where the counts of each file are kept for the next time; None keeps none.

    Raises:
        InputError: A file is missing or unreadable, a name is unknown, or nothing is left to train on.
        OutputError: The folder of kept counts cannot be written.
    """
    root, cache = Path(data_root), None if cache_folder is None else Path(cache_folder)
    everything = find_sources(sources, root)
    if not everything:
        raise InputError("no sources", remedy="Give train_data_path")
    kept, gone = left_out_sources(leave_out, root, everything)
    read = [(source, count_source(source, cache)) for source in kept]
    unseen = [(source, count_source(source, cache)) for source in excluded_sources(exclude, root, everything)]
    left = [(source, count_source(source, cache)) for source in gone]
    parts = divide(read, unseen, left, held_out_share)
    if not len(parts.train):
        raise nothing_left(root, kept, parts.found_forms, len(parts.held_out), bool(unseen or left))
    exclusions = [
        exclusion_record(
            source_record(source, int(counts["count"].sum()), len(counts)),
            source.file,
            dropped,
            shared_forms(parts.train, counts),
            reason,
        )
        for (source, counts), dropped, reason in zip(
            [*unseen, *left],
            parts.dropped,
            ["excluded"] * len(unseen) + ["left_out"] * len(left),
            strict=True,
        )
    ]
    return Corpus(
        parts.train,
        parts.held_out,
        tuple(source_record(source, int(counts["count"].sum()), len(counts)) for source, counts in read),
        tuple(exclusions),
        parts.left_out,
    )


@dataclass(frozen=True)
class Parts:
    """Normal forms by what becomes of them, each with the columns domain, normal_form and count, sorted.

    Attributes:
        train: Trained on.
        held_out: Kept from training by their hash.
        left_out: Of domains that are left out.
        found: Of all sources, before anything was excluded.
        dropped: How many of those each of the excluded splits, and then of the left-out files, has.
    """

    train: pl.DataFrame
    held_out: pl.DataFrame
    left_out: pl.DataFrame
    found: pl.DataFrame
    dropped: tuple[int, ...]

    @property
    def found_forms(self) -> int:
        """How many forms the sources have, those of blank lines left out."""
        return len(_without([], self.found))


Counted = Sequence[tuple[Source, pl.DataFrame]]
"""Sources, each with the columns normal_form and count."""


def divide(read: Counted, unseen: Counted, left: Counted, held_out_share: float) -> Parts:
    """Divides normal forms: what becomes of one depends on it alone, so a part of all can be divided as all.

    Args:
        read: The sources.
        unseen: What is excluded.
        left: Files of domains that are left out.
        held_out_share: Share of the forms that is kept from training.
    """
    found = _add_up(read)
    usable = _without([*unseen, *left], found)
    held = usable["normal_form"].map_elements(
        lambda form: is_held_out(form, held_out_share), return_dtype=pl.Boolean
    )
    return Parts(
        usable.filter(~held),
        usable.filter(held),
        _without(unseen, _add_up(left)),
        found,
        tuple(shared_forms(found, counts) for _, counts in [*unseen, *left]),
    )


def shared_forms(forms: pl.DataFrame, split: pl.DataFrame) -> int:
    """Returns how many distinct normal forms of some lines are in a split; blank lines have none."""
    shared = forms.filter(pl.col("normal_form") != "").join(split, on="normal_form", how="semi")
    return shared["normal_form"].n_unique()


def _add_up(read: Counted) -> pl.DataFrame:
    """Normal forms of sources by domain, their counts added up."""
    empty = pl.DataFrame(schema={"domain": pl.String, "normal_form": pl.String, "count": pl.UInt32})
    tables = [
        counts.select(pl.lit(source.name).alias("domain"), "normal_form", "count") for source, counts in read
    ]
    summed = pl.concat([empty, *tables]).group_by("domain", "normal_form").agg(pl.col("count").sum())
    return summed.sort("domain", "normal_form")


def _without(splits: Counted, forms: pl.DataFrame) -> pl.DataFrame:
    """Normal forms that are in none of the splits and not those of blank lines."""
    forms = forms.filter(pl.col("normal_form") != "")
    for _, split in splits:
        forms = forms.join(split, on="normal_form", how="anti", maintain_order="left")
    return forms


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


def nothing_left(root: Path, kept: Sequence[Source], found: int, held_out: int, excluded: bool) -> InputError:
    """Says why there is nothing to train on.

    Args:
        root: The data root.
        kept: Sources of domains that are not left out.
        found: How many normal forms they have, those of blank lines left out.
        held_out: How many of them are held out.
        excluded: Whether anything was excluded or left out.
    """
    if not kept:
        problem, remedy = "every domain of the sources is left out", "Leave out fewer domains"
    elif not found:
        problem, remedy = "the sources hold blank lines alone", "Give more sources"
    elif held_out or not excluded:
        problem, remedy = "no line is left to train on: all are held out", "Lower held_out_share"
    else:
        problem = "no line is left to train on: what is excluded holds every normal form of the sources"
        remedy = "Give more sources or fewer exclusions"
    return InputError(problem, where=root, remedy=remedy)


def source_record(source: Source, lines: int, normal_forms: int) -> SourceRecord:
    """Returns what a record says of a source.

    Args:
        source: The source.
        lines: Its lines.
        normal_forms: Distinct normal forms among them.
    """
    file = source.file.partition("#")[0]
    return SourceRecord(file, source.name, source.sha256, source.bytes, lines, normal_forms)


def exclusion_record(
    split: SourceRecord, file: str, dropped: int, remaining: int, reason: str
) -> ExclusionRecord:
    """Returns what a record says of what stays out.

    Args:
        split: What it says of it as a source.
        file: The file, with the range of lines.
        dropped: How many of its normal forms left the corpus.
        remaining: How many of them were found in the finished training lines.
        reason: See `ExclusionRecord`.
    """
    if remaining:
        raise AssertionError(f"{remaining} normal forms of {split.domain} are left in the training lines")
    counted = (split.sha256, split.lines, split.normal_forms, dropped, remaining)
    return ExclusionRecord(split.domain, file, *counted, reason)
