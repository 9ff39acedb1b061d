"""Normal forms as tokens, each form read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from biglog.tokenizer import without_masks
from biglog.training.adaptation.examples import Spans
from modeling_biglog import BigLogConfig

MOST_CHARACTERS: Final = 32_768
"""A longer normal form is cut before it is tokenized: its first 150 tokens lie far before."""

_LENGTH_STEP: Final = 8
_TOKENS_AT_ONCE: Final = 8192
_CHUNK: Final = 1 << 14


class FormTokens:
    """Tokens of normal forms, as the encoder reads them.

    Args:
        forms: Normal forms.
        tokenizer: The encoder's.
        config: Its config.
        words: Words of each form, where they have labels.
        spare: Tokens to leave free, for prompts.

    Attributes:
        ids: Token ids of each form.
        firsts: For each form and word its first token, -1 where it was cut off; empty without words.
    """

    def __init__(
        self,
        forms: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        config: BigLogConfig,
        *,
        words: Sequence[Spans] | None = None,
        spare: int = 0,
    ) -> None:
        reader = without_masks(tokenizer)
        reader.enable_truncation(min(config.max_position_embeddings, tokenizer.model_max_length) - spare)
        reader.no_padding()
        self._pad = int(config.pad_token_id or 0)
        self.ids: list[NDArray[np.int32]] = []
        self.firsts: list[NDArray[np.int64]] = []
        for at in range(0, len(forms), _CHUNK):
            texts = [form[:MOST_CHARACTERS] for form in forms[at : at + _CHUNK]]
            encodings = reader.encode_batch(texts)
            self.ids += [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
            if words is not None:
                told = zip(encodings, words[at : at + _CHUNK], strict=True)
                self.firsts += [_first_pieces(encoding.offsets, spans) for encoding, spans in told]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, forms: Sequence[int]) -> dict[str, Tensor]:
        """Lays out forms side by side.

        Returns:
            input_ids and attention_mask, shape (forms, tokens).
        """
        rows = [torch.from_numpy(self.ids[form].astype(np.int64)) for form in forms]
        ones = [torch.ones_like(row) for row in rows]
        return {
            "input_ids": pad_sequence(rows, batch_first=True, padding_value=self._pad),
            "attention_mask": pad_sequence(ones, batch_first=True),
        }

    def batches(self) -> Iterator[list[int]]:
        """Yields all forms in batches of like length."""
        lengths = [-(-len(row) // _LENGTH_STEP) for row in self.ids]
        for length, group in groupby(
            sorted(range(len(lengths)), key=lengths.__getitem__), lengths.__getitem__
        ):
            members = list(group)
            size = max(1, _TOKENS_AT_ONCE // max(1, length * _LENGTH_STEP))
            yield from (members[at : at + size] for at in range(0, len(members), size))

    def word_labels(self, form: int, labels: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Spreads labels of words over tokens: each stands at its word's first one, -100 elsewhere."""
        found = np.full(length, -100, dtype=np.int64)
        firsts = self.firsts[form]
        found[firsts[firsts >= 0]] = labels[firsts >= 0]
        return found


def _first_pieces(offsets: Sequence[tuple[int, int]], spans: Spans) -> NDArray[np.int64]:
    """The first token of each word; of words that share one, such as a mask token, the first has it."""
    found = np.full(len(spans), -1, dtype=np.int64)
    token = 0
    for word, (start, end) in enumerate(spans):
        while token < len(offsets) and (offsets[token][1] <= start or offsets[token][0] == offsets[token][1]):
            token += 1
        if token < len(offsets) and start <= offsets[token][0] < end:
            found[word] = token
            token += 1
    return found
