"""Distinct normal forms of any number of lines, exact and near, with their counts kept.

Counting is out of core: a source is read in batches, its forms are counted in a table of bounded size, and
what grows beyond it goes to disk, cut by a hash of the form, so that each cut can be added up alone. Sources
are counted, and cuts are added up, wherever an executor runs them: in this process, in others, on other
machines that share the folder.

Near duplicates are found by MinHash over character n-grams with locality-sensitive hashing (Broder 1997;
Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3; `datasketch` implements both), and each
candidate is verified by its exact Jaccard similarity, so that no two forms merge by chance.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from biglog.data.executors import Executor, LocalExecutor
from biglog.errors import InputError, OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import RecordBatch, read_logs

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE_FORMS: Final = 1 << 20
"""Distinct forms that a task holds before it writes them down: about 200 MB."""

PARTITIONS: Final = 16
NGRAM: Final = 4
NUM_PERM: Final = 128
_CHUNK_FORMS: Final = 20_000
_LEAST_WAITING: Final = 1 << 17
_LEAST_MASKED: Final = 1 << 15
_SEED: Final = 1
_RECALL: Final = 0.99
_MEMBERS: Final = 100

FORMS_SCHEMA: Final = pl.Schema(
    {
        "normal_form": pl.String(),
        "count": pl.UInt64(),
        "source": pl.String(),
        "line_number": pl.Int64(),
    }
)
"""Columns of counted forms: where a form first occurs (in the order of the sources) and how often it does."""


@dataclass(frozen=True)
class FormCount:
    """What counting found.

    Attributes:
        lines: Lines read.
        normal_forms: Distinct normal forms among them.
        path: The Parquet file that holds them.
        kept: Normal forms that stand for themselves, where near duplicates were merged; else None.
    """

    lines: int
    normal_forms: int
    path: Path
    kept: int | None = None


@dataclass(frozen=True)
class _Task:
    """Sources to count one after the other, and where their parts go."""

    number: int
    sources: tuple[str, ...]
    layout: str | None
    folder: Path
    state_forms: int
    partitions: int


def count_forms(
    sources: Sequence[str | Path],
    out: Path,
    *,
    layout: str | None = None,
    executor: Executor | None = None,
    state_forms: int = STATE_FORMS,
    partitions: int = PARTITIONS,
    progress: Callable[[int, int], None] | None = None,
) -> FormCount:
    """Counts the distinct normal forms of logs and writes them as Parquet.

    The file is the same whatever the executor and the bounds.

    Args:
        sources: Logs, as `read_logs` takes them: one task each, members of an archive a hundred at a time.
        out: The Parquet file, columns as in `FORMS_SCHEMA`, sorted by normal form within each of the
            partitions.
        layout: Layout of all of them; None recognises each one's own.
        executor: What runs the tasks; None runs them in this process.
        state_forms: Distinct forms that a task holds in memory at most.
        partitions: Cuts of the result, added up one at a time: memory is bounded by the largest.
        progress: Called with how many of how many tasks are done.

    Raises:
        InputError: A source cannot be read.
        OutputError: The result cannot be written.
    """
    executor = executor or LocalExecutor(1)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
    staged = folder / "forms.parquet"
    tasks = [
        _Task(number, together, layout, folder, state_forms, partitions)
        for number, together in enumerate(_together(sources))
    ]
    try:
        lines = 0
        for done, counted in enumerate(executor.map(_count_sources, tasks), start=1):
            lines += counted
            if progress is not None:
                progress(done, len(tasks))
        parts = list(executor.map(partial(_add_up, folder), range(partitions)))
        pl.scan_parquet(parts).sink_parquet(staged, compression="zstd", maintain_order=True)
        forms = int(pl.scan_parquet(staged).select(pl.len()).collect().item())
        staged.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=out, remedy="Check folder and space") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return FormCount(lines, forms, out)


def count_batches(batches: Iterable[RecordBatch]) -> pl.DataFrame:
    """Counts the distinct normal forms of records that are at hand.

    Args:
        batches: Records, as `read_logs` yields them.

    Returns:
        Columns as in `FORMS_SCHEMA`, sorted by normal form; blank lines have the empty one.
    """
    state = _State()
    for batch in batches:
        state.add(batch)
    return state.forms().sort("normal_form")


class _State:
    """Forms counted so far; adding up waits until it pays, so that its cost does not grow with the state."""

    def __init__(self) -> None:
        self.lines = 0
        self._lines: list[pl.DataFrame] = []
        self._unmasked = 0
        self._parts = [pl.DataFrame(schema=FORMS_SCHEMA)]
        self._waiting = 0

    def add(self, batch: RecordBatch) -> int:
        """Counts a batch; returns how many forms are held at most."""
        self.lines += len(batch.frame)
        self._lines.append(batch.frame.select("content", pl.lit(batch.source).alias("source"), "line_number"))
        self._unmasked += len(batch.frame)
        # Masking a few lines takes as long as masking thousands.
        if self._unmasked >= _LEAST_MASKED:
            self._mask()
        if self._waiting > max(_LEAST_WAITING, len(self._parts[0])):
            self._add_up()
        return len(self._parts[0]) + self._waiting + self._unmasked

    def forms(self) -> pl.DataFrame:
        """What is counted so far, in the order of first occurrence."""
        self._mask()
        self._add_up()
        return self._parts[0]

    def _mask(self) -> None:
        if not self._lines:
            return
        rows = pl.concat(self._lines)
        forms = rows.select(
            normal_forms(rows["content"]).alias("normal_form"),
            pl.lit(1, pl.UInt64).alias("count"),
            "source",
            "line_number",
        )
        self._parts.append(_sum_up(forms))
        self._waiting += len(self._parts[-1])
        self._lines, self._unmasked = [], 0

    def _add_up(self) -> None:
        # Earlier rows come first, so that the first place of a form stays the first.
        self._parts = [_sum_up(pl.concat(self._parts))]
        self._waiting = 0


def _sum_up(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("normal_form", maintain_order=True).agg(
        pl.col("count").sum(), pl.col("source", "line_number").first()
    )


def _together(sources: Sequence[str | Path]) -> Iterator[tuple[str, ...]]:
    """Sources by task: an archive can have thousands of members of a few lines."""
    for _, members in groupby(map(str, sources), key=lambda name: name.partition("::")[:2]):
        names = list(members)
        size = _MEMBERS if "::" in names[0] else 1
        yield from (tuple(names[at : at + size]) for at in range(0, len(names), size))


def _count_sources(task: _Task) -> int:
    """Counts a task's sources into parts on disk; returns their lines."""
    state, lines, written = _State(), 0, 0
    for batch in read_logs(list(task.sources), layout=task.layout):
        if state.add(batch) > task.state_forms and len(state.forms()) > task.state_forms // 2:
            _write_parts(state.forms(), task, written)
            lines, written, state = lines + state.lines, written + 1, _State()
    _write_parts(state.forms(), task, written)
    return lines + state.lines


def _write_parts(state: pl.DataFrame, task: _Task, written: int) -> None:
    """Writes a state cut by a hash that is the same on every machine (CRC-32 of the form)."""
    cut = state["normal_form"].map_elements(
        lambda form: zlib.crc32(form.encode()) % task.partitions, return_dtype=pl.UInt32
    )
    for (number,), part in state.group_by(cut.alias("cut"), maintain_order=True):
        name = f"{int(str(number)):05}-{task.number:06}-{written:06}.parquet"
        part.select(FORMS_SCHEMA.names()).write_parquet(task.folder / name, compression="zstd")


def _add_up(folder: Path, number: int) -> Path:
    """Adds up one cut of all tasks; the files' names are in the order of the sources."""
    parts = sorted(folder.glob(f"{number:05}-*.parquet"))
    rows = pl.concat([pl.DataFrame(schema=FORMS_SCHEMA), *(pl.read_parquet(part) for part in parts)])
    out = folder / f"sum-{number:05}.parquet"
    _sum_up(rows).sort("normal_form").write_parquet(out, compression="zstd")
    return out


def merge_near(
    forms: pl.DataFrame,
    *,
    threshold: float = 0.9,
    ngram: int = NGRAM,
    num_perm: int = NUM_PERM,
    executor: Executor | None = None,
) -> pl.DataFrame:
    """Names for every normal form the one that stands for it: itself, or a more frequent one nearly equal.

    Forms are taken from the most to the least frequent; each joins the most similar of the forms kept so far
    whose Jaccard similarity of character n-grams is at least the threshold, or is kept. Two kept forms are
    therefore less similar than the threshold, but for what locality-sensitive hashing misses (a pair in a
    hundred just above it).

    Args:
        forms: Columns normal_form (distinct) and count, shape (n, 2 or more).
        threshold: Least Jaccard similarity, 0..1.
        ngram: Characters of an n-gram; a shorter form is one n-gram.
        num_perm: Permutations of a MinHash; its memory is 4 bytes each.
        executor: What computes the MinHashes; None does it in this process.

    Returns:
        The given rows and columns in their order, with representative (String) and similarity (Float64, 1 for
        a form that stands for itself).

    Raises:
        InputError: The threshold or a size makes no sense, or `datasketch` is not installed.
    """
    check_near(threshold, ngram, num_perm)
    order = forms.select(pl.int_range(pl.len()).alias("row"), "normal_form", "count").sort(
        ["count", "normal_form"], descending=[True, False]
    )
    texts = order["normal_form"].to_list()
    chosen = _choose(texts, _signatures(texts, ngram, num_perm, executor), threshold, ngram, num_perm)
    found = order.with_columns(
        representative=pl.Series([texts[at] for at, _ in chosen], dtype=pl.String),
        similarity=pl.Series([similarity for _, similarity in chosen], dtype=pl.Float64),
    ).sort("row")
    return forms.with_columns(found["representative"], found["similarity"])


def mark_near(path: Path, *, threshold: float, executor: Executor | None = None) -> int:
    """Adds to a file of counted forms which form stands for each (see `merge_near`).

    Args:
        path: What `count_forms` wrote; it is replaced.
        threshold: Least Jaccard similarity, 0..1.
        executor: What computes the MinHashes; None does it in this process.

    Returns:
        How many forms stand for themselves.

    Raises:
        InputError: The threshold makes no sense, or `datasketch` is not installed.
        OutputError: The file cannot be written.
    """
    merged = merge_near(pl.read_parquet(path), threshold=threshold, executor=executor)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        merged.write_parquet(temporary, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=path, remedy="Check folder and space") from error
    finally:
        temporary.unlink(missing_ok=True)
    return int((merged["representative"] == merged["normal_form"]).sum())


def kept_forms(merged: pl.DataFrame) -> pl.DataFrame:
    """The forms that stand for themselves, with the counts of all that they stand for.

    Args:
        merged: What `merge_near` returns.

    Returns:
        Columns normal_form, count (the sum) and merged (how many other forms joined), in the given order.
    """
    sums = merged.group_by("representative", maintain_order=True).agg(
        pl.col("count").sum(), (pl.len() - 1).alias("merged")
    )
    kept = merged.filter(pl.col("representative") == pl.col("normal_form")).select("normal_form")
    return kept.join(
        sums, left_on="normal_form", right_on="representative", how="left", maintain_order="left"
    )


def check_near(threshold: float, ngram: int = NGRAM, num_perm: int = NUM_PERM) -> None:
    """Checks what `merge_near` needs, before long work begins.

    Raises:
        InputError: The threshold or a size makes no sense, or `datasketch` is not installed.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"a similarity of {threshold} makes no sense", remedy="Give a threshold in (0, 1]")
    if ngram < 1 or num_perm < 2:
        raise InputError("an n-gram has at least 1 character, a MinHash at least 2 permutations")
    try:
        import datasketch  # noqa: F401
    except ImportError as error:
        raise InputError(
            "near duplicates need the package datasketch", remedy="pip install 'biglog[dedup]'"
        ) from error


def _signatures(
    texts: list[str], ngram: int, num_perm: int, executor: Executor | None
) -> list[NDArray[np.uint32]]:
    """MinHash values of every text, each of shape (num_perm,)."""
    chunks = [texts[at : at + _CHUNK_FORMS] for at in range(0, len(texts), _CHUNK_FORMS)]
    run = executor or LocalExecutor(1)
    done = run.map(partial(_minhashes, ngram=ngram, num_perm=num_perm), chunks)
    return [signature for chunk in done for signature in chunk]


def _minhashes(texts: list[str], *, ngram: int, num_perm: int) -> NDArray[np.uint32]:
    from datasketch import MinHash

    hashes = MinHash.generator(
        (_shingles(text, ngram) for text in texts), num_perm=num_perm, seed=_SEED, hashfunc=_hash
    )
    values = [minhash.hashvalues for minhash in hashes]
    return np.asarray(values, dtype=np.uint32).reshape(len(texts), num_perm)


def _hash(data: bytes) -> int:
    return zlib.crc32(data)


def _shingles(text: str, ngram: int) -> set[bytes]:
    return {text[at : at + ngram].encode() for at in range(max(1, len(text) - ngram + 1))}


def _choose(
    texts: list[str], signatures: list[NDArray[np.uint32]], threshold: float, ngram: int, num_perm: int
) -> list[tuple[int, float]]:
    """For each text the position of the one that stands for it, and their similarity."""
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=num_perm, params=_bands(threshold, num_perm))
    as_minhash = _minhash_factory(num_perm)
    chosen: list[tuple[int, float]] = []
    for at, (text, values) in enumerate(zip(texts, signatures, strict=True)):
        minhash, own = as_minhash(values), _shingles(text, ngram)
        similar = [(_jaccard(own, _shingles(texts[k], ngram)), -k) for k in index.query(minhash)]
        similarity, place = max(similar, default=(0.0, 0))
        if similarity >= threshold:
            chosen.append((-place, similarity))
        else:
            index.insert(at, minhash, check_duplication=False)
            chosen.append((at, 1.0))
    return chosen


def _bands(threshold: float, num_perm: int) -> tuple[int, int]:
    """Bands and rows of the index: the longest bands that miss at most a pair in a hundred at the threshold.

    A pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s ** r) ** b. A candidate
    too many is verified and costs time; a pair missed is lost.
    """
    for rows in range(num_perm // 2, 1, -1):
        bands = num_perm // rows
        if 1 - (1 - threshold**rows) ** bands >= _RECALL:
            return bands, rows
    return num_perm, 1


def _minhash_factory(num_perm: int) -> Callable[[NDArray[np.uint32]], Any]:
    from datasketch import MinHash

    # The permutations are drawn once: drawing them anew for every form takes longer than all the rest.
    model = MinHash(num_perm=num_perm, seed=_SEED, hashfunc=_hash)

    def make(values: NDArray[np.uint32]) -> Any:
        minhash = model.copy()
        minhash.hashvalues = values.astype(model.hashvalues.dtype)
        return minhash

    return make


def _jaccard(one: set[bytes], other: set[bytes]) -> float:
    return len(one & other) / len(one | other)
