"""What shapes the line embedding beside masked tokens: identity, severity, and a teacher's meaning.

Every micro-batch of rows brings a batch of *pairs* (`biglog.data.pairs`), drawn as a function of the first
row's number. On their line embeddings three losses are computed, each of which can be off:

- identity: InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748), both ways: among all lines
  of the batch, the other of a pair is the nearest;
- severity: a linear head says whether a log statement was written as a warning or worse;
- teacher: a linear head gives the teacher's embedding of the line, by cosine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import MaskedLanguageCollator, Row
from biglog.data.corpus import Corpus
from biglog.data.pairs import EventPairs, Pair, StatementPairs
from biglog.data.prose import read_texts, readable
from biglog.data.statements import checksums, drop_near_once, read_statements, split_statements
from biglog.data.values import WILDCARD
from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.tokenizer import without_masks
from biglog.training.arguments import PretrainArguments
from biglog.training.distill import Teacher, Vectors, device
from biglog.training.events import grouped_events, labelled_events

SEVERE = ("warning", "error", "critical")
MILD = ("trace", "debug", "info")
STATEMENTS = "statements"
"""Domain of the statements among the training lines."""

UNKNOWN = -1.0
"""Severity of a line whose level is not known; no loss looks at it."""

LONGEST = 48
"""Tokens of a line of a pair; longer ones are cut: what an event is stands at the beginning."""

CHUNK = 16
"""Lines that are read together, sorted by length, so that little is padding."""

CHUNK_OF_ACCELERATOR = 256
"""The same on an accelerator, which pads faster than it is called."""


def plain(template: str) -> str:
    """Returns a masked template as a normal form in which every value is a number."""
    return template.replace(WILDCARD, "[NUM]")


@dataclass(frozen=True)
class Objectives:
    """What pairs are drawn from, and what is known of them.

    Attributes:
        statements: Draws filled statements; None without a table of them.
        events: Draws pairs of one event: by labels, by the rule; as many as there are kinds.
        severe: 1 for each statement written as a warning or worse, 0 for one below, `UNKNOWN` otherwise;
            shape (statements,).
        meaning: The teacher's embedding by text: of statements the template, of log lines the normal form.
        prose: Texts that nothing is known of but what the teacher says.
        prose_lines: How many of them come with a batch.
        tokenizer: Of the model.
        pairs: Pairs of a batch.
        event_share: Share of them that come from logs.
        seed: Of all draws.
        chunk: Lines that are read together.
        record: What a run's record says about them.
    """

    statements: StatementPairs | None
    events: tuple[EventPairs, ...]
    severe: np.ndarray
    meaning: dict[str, Vectors]
    prose: tuple[str, ...]
    prose_lines: int
    tokenizer: PreTrainedTokenizerFast
    pairs: int
    event_share: float
    seed: int
    chunk: int
    record: dict[str, Any]

    def __post_init__(self) -> None:
        if self.statements is None and not self.events:
            raise InputError("nothing to draw pairs from", remedy="Give --statements or --event_labels")
        object.__setattr__(self, "_backend", without_masks(self.tokenizer))

    @property
    def teacher_width(self) -> int | None:
        """Width of the teacher's embeddings; None where none is learnt from."""
        return len(next(iter(self.meaning.values()))) if self.meaning else None

    @property
    def fingerprint(self) -> str:
        """A digest of what pairs are drawn from."""
        digest = hashlib.sha256(json.dumps(self.record, sort_keys=True).encode())
        templates = [] if self.statements is None else self.statements.templates
        for text in (*templates, *self.prose):
            digest.update(text.encode())
        return digest.hexdigest()

    def draw(self, number: int) -> list[Pair]:
        """Draws the pairs of a batch: the same number gives the same pairs."""
        rng = np.random.default_rng([self.seed, 7, number])
        drawn: list[Pair] = []
        if self.events:
            wanted = self.pairs if self.statements is None else round(self.pairs * self.event_share)
            source = self.events[int(rng.integers(len(self.events)))]
            drawn += source.draw(rng, wanted)
        if self.statements is not None:
            drawn += self.statements.draw(rng, self.pairs - len(drawn))
        return drawn

    def texts(self, number: int) -> list[str]:
        """Draws the texts that come with a batch of pairs for the teacher's sake."""
        if not self.prose:
            return []
        rng = np.random.default_rng([self.seed, 11, number])
        return [self.prose[int(row)] for row in rng.integers(len(self.prose), size=self.prose_lines)]

    def batch(self, number: int) -> dict[str, Any]:
        """Returns a batch of pairs as `JointModel` reads it: all firsts, all seconds, texts for the teacher.

        Returns:
            input_ids and attention_mask, lists of tensors (lines, tokens), lines sorted by length; place, the
            row of each line among these, shape (2 pairs + texts,); alike, which lines hold the same tokens
            though they are no pair, bool (pairs, pairs); severe, float (pairs,); teacher, float
            (known, width), and taught, the lines that it is of, int (known,).
        """
        drawn, prose = self.draw(number), self.texts(number)
        texts = [pair.first for pair in drawn] + [pair.second for pair in drawn] + prose
        ids = self._tokens(texts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        parts = [order[k : k + self.chunk] for k in range(0, len(order), self.chunk)]
        chunks = [self._padded([ids[i] for i in part]) for part in parts]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        severe = [UNKNOWN if pair.statement < 0 else self.severe[pair.statement] for pair in drawn]
        return {
            "input_ids": [chunk for chunk, _ in chunks],
            "attention_mask": [mask for _, mask in chunks],
            "place": torch.from_numpy(place),
            "alike": _alike(ids[: 2 * len(drawn)], len(drawn)),
            "severe": torch.tensor(severe, dtype=torch.float32),
        } | self._taught(drawn, prose)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self.__dict__["_backend"].encode_batch_fast(list(texts), add_special_tokens=False)
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        return [[first, *encoding.ids[: LONGEST - 2], last] for encoding in encodings]

    def _padded(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id))
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        return ids, mask

    def _taught(self, drawn: Sequence[Pair], prose: Sequence[str]) -> dict[str, torch.Tensor]:
        """What the teacher said of the lines of a batch, and which lines these are."""
        if not self.meaning:
            return {}
        known: list[Vectors] = []
        taught: list[int] = []
        for side in range(2):
            for row, pair in enumerate(drawn):
                text = self._text(pair, side)
                if text in self.meaning:
                    known.append(self.meaning[text])
                    taught.append(side * len(drawn) + row)
        known += [self.meaning[text] for text in prose]
        taught += range(2 * len(drawn), 2 * len(drawn) + len(prose))
        width = len(next(iter(self.meaning.values())))
        teacher = np.stack(known) if known else np.zeros((0, width), dtype=np.float32)
        return {"teacher": torch.from_numpy(teacher), "taught": torch.tensor(taught, dtype=torch.long)}

    def _text(self, pair: Pair, side: int) -> str:
        if pair.statement >= 0 and self.statements is not None:
            return plain(self.statements.templates[pair.statement])
        return (pair.first, pair.second)[side]


def _alike(ids: Sequence[Sequence[int]], pairs: int) -> torch.Tensor:
    """Which lines are equal though they are no pair: to tell them apart is not asked."""
    number: dict[tuple[int, ...], int] = {}
    kinds = np.array([number.setdefault(tuple(row), len(number)) for row in ids])
    first, second = kinds[:pairs], kinds[pairs:]
    equal = (
        (first[:, None] == second[None, :])
        | (first[:, None] == first[None, :])
        | (second[:, None] == second[None, :])
    )
    np.fill_diagonal(equal, False)
    return torch.from_numpy(equal)


@dataclass(frozen=True)
class JointCollator:
    """Adds a batch of pairs to every batch of rows.

    Attributes:
        rows: Makes a batch of rows.
        objectives: Draws the pairs.
    """

    rows: MaskedLanguageCollator
    objectives: Objectives

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Returns a batch of rows with a batch of `pairs`."""
        return self.rows(rows) | {"pairs": self.objectives.batch(rows[0]["draw"])}


def prepare_objectives(
    arguments: PretrainArguments,
    train: pl.DataFrame,
    statements: pl.DataFrame | None,
    tokenizer: PreTrainedTokenizerFast,
    teacher: Teacher | None,
) -> Objectives:
    """Returns the objectives of a run.

    Args:
        arguments: Of the run.
        train: Training lines: columns domain and normal_form.
        statements: As `read_training_statements` returns them, or None.
        tokenizer: Of the model.
        teacher: Reads statements and training lines, or None.
    """
    pairs, severe = None, np.zeros(0, dtype=np.float32)
    texts: list[str] = []
    if statements is not None and len(statements):
        pairs = StatementPairs(statements, arguments.identity_twins)
        severe = _severity(pairs.table["level"])
        texts += [plain(template) for template in pairs.templates]
    logs = train.filter(pl.col("domain") != STATEMENTS)
    labelled = labelled_events(logs, Path(arguments.data_root), arguments.event_labels)
    grouped = grouped_events(logs) if arguments.event_groups else {}
    meaning: dict[str, Vectors] = {}
    prose: list[str] = []
    if teacher is not None and arguments.teacher_weight:
        prose = [] if arguments.teacher_texts is None else read_texts(arguments.teacher_texts)
        texts = sorted({*texts, *prose, *train["normal_form"].to_list()})
        meaning = dict(zip(texts, teacher.embed([readable(text) for text in texts]), strict=True))
    record: dict[str, Any] = {
        "statements": 0 if pairs is None else len(pairs.templates),
        "statements_with_level": int((severe != UNKNOWN).sum()),
        "labelled_events": {domain: len(events) for domain, events in labelled.items()},
        "grouped_events": {domain: len(events) for domain, events in grouped.items()},
        "projects": [] if pairs is None else sorted(pairs.table["project"].drop_nulls().unique()),
        "teacher": None if teacher is None else {"name": teacher.name, "sha256": teacher.sha256},
        "taught_texts": len(meaning),
        "prose": len(prose),
    }
    return Objectives(
        statements=pairs,
        events=tuple(EventPairs(events) for events in (labelled, grouped) if events),
        severe=severe,
        meaning=meaning,
        prose=tuple(prose),
        prose_lines=arguments.teacher_lines,
        tokenizer=tokenizer,
        pairs=arguments.identity_pairs,
        event_share=arguments.event_share,
        seed=arguments.seed,
        chunk=CHUNK if device(arguments.use_cpu) == "cpu" else CHUNK_OF_ACCELERATOR,
        record=record,
    )


def read_training_statements(
    paths: Sequence[Path], tested: pl.Series, cache: str | None = None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Reads log statements to train on: those of training projects, none near a form that is left out.

    Args:
        paths: Tables of statements; a project that is in several counts as one.
        tested: Normal forms of the domains that are left out.
        cache: Folder that keeps for other runs which are near to them; none keeps nothing.

    Returns:
        One row a statement, and what became of the others.

    Raises:
        InputError: A table cannot be read, or nothing of them is left.
    """
    table = pl.concat([read_statements(path) for path in paths])
    train = split_statements(table)["train"]
    account: dict[str, Any] = {"rows": len(table), "of_training_projects": len(train), "near_left_out": 0}
    if len(tested):
        train, near = drop_near_once(train, tested, None if cache is None else Path(cache))
        account["near_left_out"] = near.equal + near.near
    # What is constant and yet a value, such as a digit, is masked as it would be in a log.
    masked = train.with_columns(normal_forms(train["template"]).alias("template"))
    masked = masked.filter(pl.col("template") != "")
    distinct = masked.unique(["project", "template"], keep="first", maintain_order=True)
    if not len(distinct):
        raise InputError("no log statement is left to train on", where=paths[0])
    return distinct, account | {
        "distinct": len(distinct),
        "projects": _licences(distinct),
        "sha256": {name: digest for path in paths for name, digest in checksums(path).items()},
    }


def _licences(statements: pl.DataFrame) -> list[dict[str, Any]]:
    """Returns what each project gave and under which licence, as the table says it."""
    given = statements.group_by("project", "licence").agg(statements=pl.len())
    return given.sort("project", "licence", nulls_last=True).to_dicts()


def statement_lines(statements: pl.DataFrame, corpus: Corpus) -> Corpus:
    """Adds statements to the training lines of a corpus, as a domain of their own.

    Args:
        statements: As `read_training_statements` returns them.
        corpus: None of its held-out lines, nor of those that are left out, comes in this way.
    """
    forms = statements.select(
        pl.lit(STATEMENTS).alias("domain"),
        pl.col("template").str.replace_all(WILDCARD, "[NUM]", literal=True).alias("normal_form"),
    )
    counted = forms.group_by("domain", "normal_form").agg(
        pl.len().cast(corpus.train["count"].dtype).alias("count")
    )
    for known in (corpus.train, corpus.held_out, corpus.left_out):
        counted = counted.join(known, on="normal_form", how="anti")
    train = pl.concat([corpus.train, counted.select(corpus.train.columns)]).sort("domain", "normal_form")
    return replace(corpus, train=train)


def _severity(levels: pl.Series) -> np.ndarray:
    known = dict.fromkeys(SEVERE, 1.0) | dict.fromkeys(MILD, 0.0)
    values = levels.replace_strict(known, default=UNKNOWN, return_dtype=pl.Float32)
    return values.fill_null(UNKNOWN).to_numpy()
