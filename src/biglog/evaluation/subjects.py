"""Who is measured: an encoder, a set of encoders that each left some domains out, a rule, or a parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import words
from biglog.evaluation.failure.systems import Setting
from biglog.evaluation.parsing import Parser, Truths
from biglog.evaluation.probes.vectors import Embed, Floats, Unfitted
from biglog.evaluation.tasks.reading import KINDS, Task
from biglog.tasks.anomaly.detector import Settings

Encode = Callable[[pl.Series], Floats]
"""Normal forms, dtype String, shape (n,), to float32 vectors, shape (n, d)."""

ENCODERS_TAKE: Final = frozenset(KINDS) - {"parsing"}
"""Kinds of tasks that take vectors of lines."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Ways to embed lines.

    Attributes:
        contents: Reads contents.
        forms: Reads normal forms; may have to be fitted, as TF-IDF does.
        encode: Reads normal forms, and is not fitted.
    """

    contents: Embed | Unfitted
    forms: Embed | Unfitted
    encode: Encode


@dataclass(frozen=True)
class Lesson:
    """What a parser may be taught by.

    Attributes:
        task: The task.
        folder: The data.
        truths: Contents and templates of each domain.
    """

    task: Task
    folder: Path
    truths: Truths


Parsers = Callable[[Lesson, int], Mapping[str, Parser]]
"""A lesson and a seed to the parser of each domain, which has not seen that domain's templates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One row of a leaderboard.

    Attributes:
        name: What it is called.
        kind: One of `biglog.evaluation.results.KINDS`.
        takes: Kinds of tasks it takes.
        source: Hub id, folder or package.
        revision: Checksum or commit of its weights; version of a package.
        parameters: How many, None where there are none.
        url: Where to read more.
        readers: How it reads lines of a domain, by seed; None where it is a rule or a parser.
        detector: Of a rule: method and settings; None leaves a task's.
        judge: Of a rule that learns nothing: labelled groups to their scores.
        predictor: Of a failure baseline: method and blocks of features; None leaves a task's.
        parsers: Of a parser.
        drawn: Kinds of tasks in which its seed makes a difference.
        exposure: What its pretraining saw of a task, one of `biglog.evaluation.results.EXPOSURES`.
        timed: Whether it works here and now; what was made elsewhere before has no speed.
        forget: Empties its caches, so that each task is timed from the beginning.
    """

    name: str
    kind: str
    takes: frozenset[str]
    source: str = ""
    revision: str = ""
    parameters: int | None = None
    url: str = ""
    readers: Callable[[str, int], Reader] | None = None
    detector: Settings | None = None
    judge: Callable[[Labelled], dict[str, Any]] | None = None
    predictor: Setting | None = None
    parsers: Parsers | None = None
    drawn: frozenset[str] = frozenset()
    exposure: Callable[[Task], str] = lambda task: "none"
    timed: bool = True
    forget: Callable[[], None] = lambda: None

    def encode(self, domain: str, seed: int) -> Encode:
        """How it embeds normal forms of a domain; a rule that asks how far they are apart reads words."""
        return words if self.readers is None else self.readers(domain, seed).encode

    def by_reader(
        self, domains: Sequence[str], seeds: Sequence[int]
    ) -> dict[tuple[Reader, tuple[str, ...]], list[int]]:
        """Puts together what one reader reads.

        Args:
            domains: Of a task.
            seeds: Of its runs.

        Returns:
            By reader and domains the seeds; over all of them each domain is read once with each seed.
        """
        assert self.readers is not None
        found: dict[tuple[Reader, tuple[str, ...]], list[int]] = {}
        for seed in seeds:
            mine: dict[Reader, list[str]] = {}
            for domain in domains:
                mine.setdefault(self.readers(domain, seed), []).append(domain)
            for reader, names in mine.items():
                found.setdefault((reader, tuple(names)), []).append(seed)
        return found

    def takes_task(self, task: Task) -> bool:
        """Whether it takes a task; a baseline takes those whose file names it."""
        return task.kind in self.takes and (self.kind == "encoder" or self.name in task.baselines)

    def seeds_of(self, task: Task, seeds: Sequence[int]) -> list[int]:
        """The seeds that make a difference: all where something is drawn, else the first."""
        return list(seeds) if task.drawn or task.kind in self.drawn else list(seeds[:1])
