"""Batches for pretraining: rows of packed lines, and masked-language modelling on them.

Every random draw is a function of a seed and of the row's own number. Batches therefore come out the same
after an interruption, with any number of loader workers and with any number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from biglog.data.terms import TermRules
from biglog.errors import InputError
from biglog.tokenizer import CONTINUATION, RESERVED_TOKENS, SPECIAL_TOKENS, without_masks, word_starts

IGNORED = -100
"""Label of a token that the loss passes over."""

MASKINGS = ("pieces", "words", "terms")
"""What may be hidden at a time."""

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CHUNK_LINES = 1 << 14


class Row(TypedDict):
    """One row of a batch before masking.

    Attributes:
        segments: Token ids of each line (or window of lines) in it.
        draw: The number that its draws depend on.
        terms: For each of them, which tokens begin a term; where terms are hidden.
        orders: For each of them, the label of its line order, `IGNORED` for a single line; where line order
            is learnt.
    """

    segments: list[Ids]
    draw: int
    terms: NotRequired[list[Flags]]
    orders: NotRequired[list[int]]


class Segments:
    """Tokenized normal forms, each cut into windows that fit the model; nothing is dropped.

    Args:
        lines: The normal forms.
        tokenizer: Reads them.
        max_length: Most tokens of a window, [CLS] and [SEP] included; None takes the tokenizer's.
        terms: Also find where terms begin (see `biglog.data.terms`).

    Attributes:
        line: Which line each window comes from, shape (windows,).
        cut_lines: Number of lines that needed more than one window.
    """

    def __init__(
        self,
        lines: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int | None = None,
        *,
        terms: bool = False,
    ) -> None:
        self._limit = (max_length or tokenizer.model_max_length) - 2
        self._ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
        backend, rules = without_masks(tokenizer), TermRules(tokenizer) if terms else None
        parts = [
            self._tokenize(backend, rules, lines[at : at + _CHUNK_LINES], at)
            for at in range(0, len(lines), _CHUNK_LINES)
        ]
        ids, starts, sizes, origin = zip(*parts, strict=True) if parts else ((), (), (), ())
        self._ids = np.concatenate([*ids, np.zeros(0, dtype=np.int32)])
        self._starts = np.concatenate([*starts, np.zeros(0, dtype=bool)]) if terms else None
        self._bounds = np.cumsum(np.concatenate([[0], *sizes]).astype(np.int64))
        self.line = np.concatenate([*origin, np.zeros(0, dtype=np.int64)])
        self.cut_lines = int((np.bincount(self.line) > 1).sum()) if len(self.line) else 0

    def _tokenize(
        self, backend: Tokenizer, rules: TermRules | None, lines: Sequence[str], at: int
    ) -> tuple[NDArray[np.int32], Flags, Ids, Ids]:
        """Returns ids and starts of terms of some lines' windows, the windows' lengths and their lines."""
        encode = backend.encode_batch_fast if rules is None else backend.encode_batch
        encodings = encode(list(lines), add_special_tokens=False)
        counts = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
        inner = np.array([i for encoding in encodings for i in encoding.ids], dtype=np.int64)
        line = np.repeat(np.arange(len(lines)), counts)
        place = np.arange(len(inner)) - np.repeat(np.cumsum(counts) - counts, counts)
        begins = place % self._limit == 0  # of a window
        starts = np.ones(len(inner), dtype=bool)
        if rules is not None and len(inner):
            offsets = np.array([pair for encoding in encodings for pair in encoding.offsets], dtype=np.int64)
            starts = rules.starts(inner, offsets, line) | begins
        # [CLS] goes in before each window, [SEP] after it, and each is a term of its own.
        first = np.flatnonzero(begins)
        after = np.append(first[1:], len(inner)) if len(first) else first
        where = np.stack([first, after], axis=1).ravel()
        ids = np.insert(inner, where, np.tile(self._ends, len(first))).astype(np.int32)
        return ids, np.insert(starts, where, True), after - first + 2, line[first] + at

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, index: int) -> Ids:
        return self._ids[slice(*self._bounds[index : index + 2])].astype(np.int64)

    def terms(self, index: int) -> Flags | None:
        """Returns which tokens of a window begin a term, shape (tokens,); None if terms were not asked
        for."""
        return None if self._starts is None else self._starts[slice(*self._bounds[index : index + 2])]

    @property
    def lengths(self) -> Ids:
        """Tokens of each window, its [CLS] and [SEP] included, shape (windows,)."""
        return np.diff(self._bounds)


class PackedRows(Dataset[Row]):
    """A dataset of rows, each filled with lines drawn at random (with replacement) until the next would not
    fit.

    Args:
        segments: The lines.
        weights: How likely each window is to be drawn, shape (windows,).
        rows: Number of rows.
        row_length: Most tokens in a row; 0 puts one line in each row.
        seed: Of the draws.

    Raises:
        InputError: There is no line, or a row cannot hold the longest one.
    """

    def __init__(
        self, segments: Segments, weights: NDArray[np.float64], *, rows: int, row_length: int, seed: int
    ) -> None:
        if not len(segments):
            raise InputError("no line to draw training rows from")
        longest = int(segments.lengths.max())
        if 0 < row_length < longest:
            raise InputError(
                f"a line has {longest} tokens, a row holds {row_length}", remedy="Raise row_length"
            )
        self._segments, self._rows, self._row_length, self._seed = segments, rows, row_length, seed
        self._cumulative = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < self._rows:
            raise IndexError(index)
        rng = np.random.default_rng([self._seed, index])
        row = Row(segments=[], draw=index)
        terms: list[Flags] = []
        room = self._row_length
        while True:
            drawn = min(
                int(np.searchsorted(self._cumulative, rng.random(), side="right")), len(self._segments) - 1
            )
            segment, starts = self._segments[drawn], self._segments.terms(drawn)
            if row["segments"] and len(segment) > room:
                return row
            row["segments"].append(segment)
            if starts is not None:
                terms.append(starts)
                row["terms"] = terms
            room -= len(segment)
            if self._row_length == 0:
                return row


@dataclass(frozen=True)
class MaskedLanguageCollator:
    """Makes a batch of rows and hides tokens for the model to predict.

    Of the tokens chosen for prediction 80 % become [MASK], 10 % a random word, 10 % stay (Devlin et al.
    2019). Mask tokens such as [NUM] are words of log text and may be chosen; special tokens never are, and
    neither is ever put in as a random word.

    Attributes:
        tokenizer: Of the rows.
        mlm_probability: Share of the tokens to choose.
        masking: What is chosen, and goes one of the three ways, at a time: ``pieces`` (tokens), ``words``, or
            ``terms`` (see `biglog.data.terms`), which the rows must have. Each is chosen with the same
            probability, so the expected share of tokens is the same.
        seed: Of the draws, together with each row's number.
        line_order: Rows have `orders`, which become `line_order_labels`.
    """

    tokenizer: PreTrainedTokenizerFast
    mlm_probability: float = 0.15
    masking: str = "pieces"
    seed: int = 0
    line_order: bool = False

    def __post_init__(self) -> None:
        if self.masking not in MASKINGS:
            raise InputError(f"no masking is called {self.masking!r}", remedy=f"Use {', '.join(MASKINGS)}")
        vocabulary = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        special = np.array([token in SPECIAL_TOKENS for token in vocabulary])
        words = [i for i, token in enumerate(vocabulary) if _is_word(token)]
        if not words:
            raise InputError("the vocabulary holds no whole word to draw replacements from")
        # Frozen, as a collator is a value; these are only tables of its tokenizer.
        object.__setattr__(self, "_special", special)
        object.__setattr__(self, "_words", np.array(words, dtype=np.int64))
        object.__setattr__(self, "_starts", np.array(word_starts(self.tokenizer)))

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Returns a batch.

        Returns:
            input_ids and labels, int64, (rows, length); and, if any row holds several lines, position_ids
            (rows, length), which restart with each line, and a boolean attention_mask (rows, 1, length,
            length), true within a line; otherwise an attention_mask (rows, length). With `line_order` also
            line_order_labels (rows, length): a window's label stands at its first token.
        """
        masked = [self.mask_row(row) for row in rows]
        length = max(len(ids) for ids, _ in masked)
        input_ids = np.full((len(rows), length), self.tokenizer.pad_token_id, dtype=np.int64)
        labels = np.full((len(rows), length), IGNORED, dtype=np.int64)
        for i, (ids, targets) in enumerate(masked):
            input_ids[i, : len(ids)], labels[i, : len(ids)] = ids, targets
        batch = {"input_ids": torch.from_numpy(input_ids), "labels": torch.from_numpy(labels)}
        if self.line_order:
            batch["line_order_labels"] = _order_labels(rows, length)
        return batch | block_diagonal([[len(segment) for segment in row["segments"]] for row in rows])

    def mask_row(self, row: Row) -> tuple[Ids, Ids]:
        """Returns a row's token ids after masking, and its labels, both of shape (length,)."""
        rng = np.random.default_rng([self.seed, row["draw"]])
        original: Ids = np.concatenate(row["segments"])
        ids = original.copy()
        tables: dict[str, NDArray[np.bool_]] = self.__dict__
        candidates = ~tables["_special"][original]
        # Draws are made per unit, the token, word or term, and spread over its tokens.
        unit = np.arange(len(ids))
        if self.masking != "pieces":
            terms = self.masking == "terms"
            unit = np.cumsum(np.concatenate(row["terms"]) if terms else tables["_starts"][original])
        units = int(unit[-1]) + 1
        chosen = (rng.random(units) < self.mlm_probability)[unit] & candidates
        way = rng.random(units)[unit]
        replace = chosen & (way >= 0.8) & (way < 0.9)
        ids[chosen & (way < 0.8)] = self.tokenizer.mask_token_id
        ids[replace] = rng.choice(self.__dict__["_words"], size=len(ids))[replace]
        return ids, np.where(chosen, original, IGNORED)


def block_diagonal(lengths: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Returns what keeps the lines of a packed row apart.

    BERT's classes have no path without padding: restarting position_ids alone lets lines read each other. A
    boolean mask over pairs of tokens is exact.

    Args:
        lengths: For each row, the tokens of each line in it.

    Returns:
        attention_mask, and position_ids if a row holds several lines; see `MaskedLanguageCollator.__call__`.
    """
    totals = [sum(row) for row in lengths]
    longest = max(totals)
    if all(len(row) == 1 for row in lengths):
        return {"attention_mask": (torch.arange(longest) < torch.tensor(totals)[:, None]).long()}
    # Padding is one more block: a row of the mask without any true entry would be a softmax over nothing,
    # that is NaN.
    padded = [[*row, longest - total] for row, total in zip(lengths, totals, strict=True)]
    segment = torch.stack(
        [torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in padded]
    )
    positions = [np.concatenate([np.arange(n) for n in row[:-1]] + [np.zeros(row[-1])]) for row in padded]
    return {
        "attention_mask": (segment[:, None, :, None] == segment[:, None, None, :]),
        "position_ids": torch.from_numpy(np.stack(positions).astype(np.int64)),
    }


def _order_labels(rows: Sequence[Row], length: int) -> torch.Tensor:
    labels = np.full((len(rows), length), IGNORED, dtype=np.int64)
    for i, row in enumerate(rows):
        sizes = [len(segment) for segment in row["segments"]]
        labels[i, np.cumsum([0, *sizes[:-1]])] = row.get("orders", IGNORED)
    return torch.from_numpy(labels)


def _is_word(token: str) -> bool:
    plain = token not in RESERVED_TOKENS and not token.startswith(CONTINUATION)
    return plain and token.isalpha() and len(token) > 1
