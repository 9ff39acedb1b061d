"""LogEncoder: line embeddings, every normal form computed once.

Two lines with the same normal form have the same embedding by construction, so only distinct normal forms
reach the model and everything around it is a join. The result is exactly that of encoding every line by
itself, bit for bit: the rounding of a matrix product depends on the shapes multiplied, not on the neighbours,
so a line is computed in a batch of one fixed shape, which its own token count alone decides. A larger shape,
for many lines, is used where it has been found to round alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from biglog.errors import CheckpointError
from biglog.inference.loading import load_checkpoint
from biglog.logs import masking
from biglog.tokenizer import without_masks
from modeling_biglog import BigLogModel

Embeddings = NDArray[np.float32]

LENGTH_STEP = 8
"""Padded lengths are multiples of this many tokens."""

SMALL_BATCH_TOKENS = 256
"""Padded tokens of the small fixed shape, which a few lines are computed in."""

MAX_FORM_CHARACTERS = 32_768
"""A longer normal form is cut before it is tokenized: its first 150 tokens lie far before."""


class LogEncoder:
    """A frozen encoder of log lines: masked-mean embeddings, cached by normal form.

    Args:
        model: The encoder; its pooled output is the masked mean of its last hidden states.
        tokenizer: Its tokenizer, a fast one.
        name: What the checkpoint is called in reports.
        cache_size: Normal forms remembered between calls, at ``4 * hidden_size`` bytes and a text each.
        token_budget: Padded tokens of a large batch.
    """

    def __init__(
        self,
        model: BigLogModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "biglog",
        cache_size: int = 100_000,
        token_budget: int = 2048,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.token_budget = token_budget
        self._max_length = _max_length(model, tokenizer)
        self._reader = _reader_of_normal_forms(tokenizer, self._max_length, name)
        self._cache = _Cache(cache_size)
        self._alike: dict[int, bool] = {}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        *,
        cache_size: int = 100_000,
        token_budget: int = 2048,
        revision: str | None = None,
    ) -> LogEncoder:
        """Loads an encoder.

        Args:
            name_or_path: A folder, a Hub id, or an embedded checkpoint's name; None is the embedded default.
            cache_size: See the class.
            token_budget: See the class.
            revision: Branch, tag or commit of a Hub repository.

        Raises:
            CheckpointError: It is missing, damaged, or not an encoder of ours or of BERT's type.
        """
        model, tokenizer, name = load_checkpoint(name_or_path, revision=revision)
        return cls(model, tokenizer, name=name, cache_size=cache_size, token_budget=token_budget)

    @property
    def hidden_size(self) -> int:
        """Width of an embedding."""
        return int(self.model.config.hidden_size)

    def forget(self) -> None:
        """Empties the cache."""
        self._cache.clear()

    def encode(self, lines: Sequence[str] | pl.Series) -> Embeddings:
        """Embeds lines.

        Args:
            lines: Contents (lines without header; :func:`biglog.read_logs` separates the two), shape (n,).

        Returns:
            float32, shape (n, hidden_size): for each line the mean of the last hidden states over its tokens.
        """
        contents = lines if isinstance(lines, pl.Series) else pl.Series(lines, dtype=pl.String)
        return self.encode_normal_forms(masking.normal_forms(contents))

    def encode_normal_forms(self, forms: pl.Series | Sequence[str]) -> Embeddings:
        """Embeds normal forms, each distinct one once, and those seen before from the cache.

        Args:
            forms: Normal forms, shape (n,).

        Returns:
            float32, shape (n, hidden_size).
        """
        column = forms if isinstance(forms, pl.Series) else pl.Series(forms, dtype=pl.String)
        codes, distinct = _dictionary(column)
        # The only step that moves a vector for every line; it copies rows at the speed of memory.
        return np.take(self._encode_distinct(distinct.to_list()), codes, axis=0)

    def _encode_distinct(self, texts: list[str]) -> Embeddings:
        vectors = np.empty((len(texts), self.hidden_size), dtype=np.float32)
        missing = [i for i, text in enumerate(texts) if not self._cache.read(text, vectors[i])]
        for rows, computed in self._compute([texts[i] for i in missing]):
            for row, vector in zip(rows, computed, strict=True):
                vectors[missing[row]] = vector
                self._cache.write(texts[missing[row]], vector)
        return vectors

    def _compute(self, texts: list[str]) -> Iterator[tuple[list[int], Embeddings]]:
        """Yields, for batches of like length, the indices of their texts and the embeddings."""
        encodings = self._reader.encode_batch([text[:MAX_FORM_CHARACTERS] for text in texts])
        ids = [encoding.ids for encoding in encodings]
        padded = [_padded_length(len(tokens), self._max_length) for tokens in ids]
        order = sorted(range(len(texts)), key=padded.__getitem__)
        for length, group in groupby(order, key=padded.__getitem__):
            rows = list(group)
            while rows:
                many = max(1, self.token_budget // length)
                size = many if len(rows) >= many and self._rounds_alike(length, many) else _few(length)
                batch, rows = rows[:size], rows[size:]
                yield batch, self._forward([ids[row] for row in batch], size, length)

    def _rounds_alike(self, length: int, many: int) -> bool:
        """Whether a large batch gives to the bit what small ones give: mostly so, but nobody promises it."""
        known = self._alike.get(length)
        if known is None:
            few, draw = _few(length), np.random.default_rng(length)
            low, high = len(masking.MASK_TOKENS) + 1, int(self.model.config.vocab_size)
            lines = draw.integers(min(low, high - 1), high, (many, length)).tolist()
            large = self._forward(lines, many, length)
            ends = (slice(0, few), slice(many - few, many))  # the last rows may take another path
            known = all(np.array_equal(self._forward(lines[end], few, length), large[end]) for end in ends)
            self._alike[length] = known
        return known

    def _forward(self, ids: list[list[int]], size: int, length: int) -> Embeddings:
        """Runs one batch of the fixed shape (size, length); rows without a line are filled up and dropped."""
        tokens = torch.full((size, length), int(self.model.config.pad_token_id or 0), dtype=torch.long)
        mask = torch.zeros((size, length), dtype=torch.long)
        mask[:, 0] = 1  # a row without any token has no attention to normalise
        for row, line in enumerate(ids):
            tokens[row, : len(line)] = torch.tensor(line)
            mask[row, : len(line)] = 1
        with torch.inference_mode():
            pooled = self.model(input_ids=tokens, attention_mask=mask).pooler_output
        return pooled[: len(ids)].float().numpy()


def _padded_length(tokens: int, longest: int) -> int:
    return min(longest, -(-max(tokens, 1) // LENGTH_STEP) * LENGTH_STEP)


def _few(length: int) -> int:
    return max(1, SMALL_BATCH_TOKENS // length)


def _max_length(model: BigLogModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens both take; tokenizers without a length of their own say some astronomic number."""
    return min(int(model.config.max_position_embeddings), int(tokenizer.model_max_length))


def _reader_of_normal_forms(tokenizer: PreTrainedTokenizerBase, max_length: int, name: str) -> Tokenizer:
    """Copies the tokenizer without its masks: a normal form must not be masked a second time."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CheckpointError("its tokenizer is not a fast one (no tokenizer.json)", where=name)
    reader = without_masks(tokenizer)
    reader.enable_truncation(max_length)
    reader.no_padding()
    return reader


def _dictionary(texts: pl.Series) -> tuple[NDArray[Any], pl.Series]:
    """Splits a column into codes and distinct values, in order of first appearance."""
    frame = texts.to_frame("form")
    distinct = frame.unique(maintain_order=True)
    coded = frame.join(distinct.with_row_index("code"), on="form", how="left", maintain_order="left")
    return coded["code"].to_numpy(), distinct["form"]


class _Cache:
    """Embeddings by normal form, the oldest entries leaving first; a view of a row is never handed out."""

    def __init__(self, size: int) -> None:
        self._vectors: dict[str, Embeddings] = {}
        self._size = max(0, size)

    def __len__(self) -> int:
        return len(self._vectors)

    def clear(self) -> None:
        """Forgets all of them."""
        self._vectors.clear()

    def read(self, text: str, into: Embeddings) -> bool:
        """Copies the embedding of a text into a row; says whether there was one."""
        vector = self._vectors.get(text)
        if vector is None:
            return False
        into[:] = vector
        return True

    def write(self, text: str, vector: Embeddings) -> None:
        """Remembers an embedding; texts beyond the tokenizer's reach are not worth their memory."""
        if self._size == 0 or len(text) > MAX_FORM_CHARACTERS:
            return
        while len(self._vectors) >= self._size:
            del self._vectors[next(iter(self._vectors))]
        self._vectors[text] = vector.copy()
