"""Batches for pretraining: rows of packed lines, and masked-language modelling on them.

Every random draw is a function of a seed and of the row's own number. Batches therefore come out the same
after an interruption, with any number of loader workers and with any number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from biglog.errors import InputError
from biglog.tokenizer import CONTINUATION, RESERVED_TOKENS, SPECIAL_TOKENS, without_masks, word_starts

IGNORED = -100
"""Label of a token that the loss passes over."""

Ids = NDArray[np.int64]


class Row(TypedDict):
    """One row of a batch before masking: token ids of each line in it, and the number its draws depend on."""

    segments: list[Ids]
    draw: int


class Segments:
    """Tokenized normal forms, each cut into windows that fit the model; nothing is dropped.

    Attributes:
        line: Which line each window comes from, shape (windows,).
        cut_lines: Number of lines that needed more than one window.
    """

    def __init__(
        self, lines: Sequence[str], tokenizer: PreTrainedTokenizerFast, max_length: int | None = None
    ) -> None:
        limit = (max_length or tokenizer.model_max_length) - 2
        before, after = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
        encodings = without_masks(tokenizer).encode_batch_fast(list(lines), add_special_tokens=False)
        windows: list[Ids] = []
        origin: list[int] = []
        for number, encoding in enumerate(encodings):
            ids = encoding.ids
            for start in range(0, len(ids), limit):
                windows.append(np.array(before + ids[start : start + limit] + after, dtype=np.int64))
                origin.append(number)
        self._windows = windows
        self.line = np.array(origin, dtype=np.int64)
        self.cut_lines = int((np.bincount(self.line) > 1).sum()) if origin else 0

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Ids:
        return self._windows[index]

    @property
    def lengths(self) -> Ids:
        """Tokens of each window, its [CLS] and [SEP] included, shape (windows,)."""
        return np.array([len(window) for window in self._windows], dtype=np.int64)


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
        chosen: list[Ids] = []
        room = self._row_length
        while True:
            drawn = np.searchsorted(self._cumulative, rng.random(), side="right")
            segment = self._segments[min(int(drawn), len(self._segments) - 1)]
            if chosen and len(segment) > room:
                return Row(segments=chosen, draw=index)
            chosen.append(segment)
            room -= len(segment)
            if self._row_length == 0:
                return Row(segments=chosen, draw=index)


@dataclass(frozen=True)
class MaskedLanguageCollator:
    """Makes a batch of rows and hides tokens for the model to predict.

    Of the tokens chosen for prediction 80 % become [MASK], 10 % a random word, 10 % stay (Devlin et al.
    2019). Mask tokens such as [NUM] are words of log text and may be chosen; special tokens never are, and
    neither is ever put in as a random word.

    Attributes:
        tokenizer: Of the rows.
        mlm_probability: Share of the tokens to choose.
        whole_words: Choose words rather than pieces, and decide between the three ways once a word.
        seed: Of the draws, together with each row's number.
    """

    tokenizer: PreTrainedTokenizerFast
    mlm_probability: float = 0.15
    whole_words: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
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
            length), true within a line; otherwise an attention_mask (rows, length).
        """
        masked = [self.mask_row(row) for row in rows]
        length = max(len(ids) for ids, _ in masked)
        input_ids = np.full((len(rows), length), self.tokenizer.pad_token_id, dtype=np.int64)
        labels = np.full((len(rows), length), IGNORED, dtype=np.int64)
        for i, (ids, targets) in enumerate(masked):
            input_ids[i, : len(ids)], labels[i, : len(ids)] = ids, targets
        batch = {"input_ids": torch.from_numpy(input_ids), "labels": torch.from_numpy(labels)}
        return batch | block_diagonal([[len(segment) for segment in row["segments"]] for row in rows])

    def mask_row(self, row: Row) -> tuple[Ids, Ids]:
        """Returns a row's token ids after masking, and its labels, both of shape (length,)."""
        rng = np.random.default_rng([self.seed, row["draw"]])
        original: Ids = np.concatenate(row["segments"])
        ids = original.copy()
        tables: dict[str, NDArray[np.bool_]] = self.__dict__
        candidates = ~tables["_special"][original]
        # Draws are made per unit, the word or the token, and spread over its tokens.
        unit = np.cumsum(tables["_starts"][original]) if self.whole_words else np.arange(len(ids))
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


def _is_word(token: str) -> bool:
    plain = token not in RESERVED_TOKENS and not token.startswith(CONTINUATION)
    return plain and token.isalpha() and len(token) > 1
