"""Which words of a line make it unlike another: words left out, or gradients through the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from biglog.errors import InputError
from biglog.inference.encoder import MAX_FORM_CHARACTERS, LogEncoder
from biglog.logs.masking import MASK_TOKENS

METHODS: Final = ("occlusion", "integrated_gradients")
"""Ways to weigh words."""

STEPS: Final = 64
"""Points between a blank line and the line at which gradients are taken."""

_AT_ONCE: Final = 32


@dataclass(frozen=True)
class TokenWeight:
    """A word of a content.

    Attributes:
        start: Where it begins in the content, in characters.
        end: Behind its last character.
        text: What stands there.
        weight: How much of the distance is its doing; below 0 it brings the line nearer.
    """

    start: int
    end: int
    text: str
    weight: float


def token_weights(
    encoder: LogEncoder,
    content: str,
    known: str | NDArray[np.floating],
    method: str = "occlusion",
) -> list[TokenWeight]:
    """Tells which words make a line unlike a known one.

    What is explained is the cosine distance of the line's embedding to the known one. `occlusion` weighs a
    word by how much the distance falls without it (Zeiler and Fergus, "Visualizing and Understanding
    Convolutional Networks", ECCV 2014). `integrated_gradients` adds up gradients on the way from a blank
    line, one of as many padding tokens, to this one (Sundararajan et al., "Axiomatic Attribution for Deep
    Networks", ICML 2017); the weights of all words add up to the distance less that of the blank line,
    `blank_distance`.

    Args:
        encoder: Of lines.
        content: The line without its header.
        known: The normal form to compare with; or embeddings, shape (hidden,) or (n, hidden), of which the
            nearest is taken.
        method: One of `METHODS`.

    Returns:
        One a word, in order; values that the masks hide are words. Words beyond the model's length are left
        out. ``content[start:end] == text``.

    Raises:
        InputError: The method is not known, captum is not installed, or the embeddings are of another width.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}", remedy=f"Choose of {', '.join(METHODS)}")
    line = _Line.of(encoder, content)
    if not line.words:
        return []
    distance = _Distance(encoder, _target(encoder, content, known))
    weigh = _occluded if method == "occlusion" else _integrated
    weights = weigh(distance, line)
    return [
        TokenWeight(word.start, word.end, content[word.start : word.end], float(weight))
        for word, weight in zip(line.words, weights, strict=True)
    ]


def blank_distance(encoder: LogEncoder, content: str, known: str | NDArray[np.floating]) -> float:
    """Returns the distance that integrated gradients begin with: that of a line of padding tokens.

    Args:
        encoder: Of lines.
        content: The line; the blank one has as many tokens.
        known: As `token_weights` takes it.
    """
    line = _Line.of(encoder, content)
    distance = _Distance(encoder, _target(encoder, content, known))
    with torch.no_grad():
        return float(distance(distance.embedded(line.blank(encoder)))[0])


@dataclass(frozen=True)
class _Word:
    """A word: where it stands, and its tokens."""

    start: int
    end: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Line:
    """The tokens of a content, and its words."""

    ids: tuple[int, ...]
    words: tuple[_Word, ...]

    @classmethod
    def of(cls, encoder: LogEncoder, content: str) -> _Line:
        tokenizer: Any = encoder.tokenizer
        longest = min(int(encoder.model.config.max_position_embeddings), int(tokenizer.model_max_length))
        told = tokenizer(
            content[:MAX_FORM_CHARACTERS],
            truncation=True,
            max_length=longest,
            return_offsets_mapping=True,
        )
        masks = set(tokenizer.convert_tokens_to_ids(list(MASK_TOKENS)))
        masked = [token in masks for token in told["input_ids"]]
        return cls(tuple(told["input_ids"]), _words(content, told["offset_mapping"], masked))

    def blank(self, encoder: LogEncoder) -> list[int]:
        """The ids with padding in place of words."""
        pad = int(encoder.model.config.pad_token_id or 0)
        inside = {token for word in self.words for token in word.tokens}
        return [pad if place in inside else token for place, token in enumerate(self.ids)]


def _words(content: str, offsets: Sequence[tuple[int, int]], masked: Sequence[bool]) -> tuple[_Word, ...]:
    """Tokens that nothing blank stands between are one word; those that stand nowhere belong to none.

    The tokenizer says of a masked value where its last character is: it begins behind the word before it.
    """
    words: list[_Word] = []
    for token, (start, end) in enumerate(offsets):
        if end <= start:
            continue
        last = words[-1] if words else None
        before = 0 if last is None else last.end
        if masked[token]:
            start = before + len(content[before:start]) - len(content[before:start].lstrip())
        if last is None or any(character.isspace() for character in content[before:start]):
            words.append(_Word(start, end, (token,)))
        else:
            words[-1] = _Word(last.start, max(last.end, end), (*last.tokens, token))
    return tuple(words)


def _target(encoder: LogEncoder, content: str, known: str | NDArray[np.floating]) -> Tensor:
    """The embedding to compare with, of length 1."""
    if isinstance(known, str):
        vectors = encoder.encode_normal_forms([known])
    else:
        vectors = np.atleast_2d(np.asarray(known, dtype=np.float32))
    if vectors.shape[1] != encoder.hidden_size or not len(vectors):
        raise InputError(
            f"embeddings of shape {vectors.shape} are none of {encoder.name}, whose width is "
            f"{encoder.hidden_size}",
            remedy="Give embeddings of this encoder",
        )
    rows = functional.normalize(torch.from_numpy(np.ascontiguousarray(vectors)), dim=1)
    if len(rows) == 1:
        return rows[0]
    own = torch.from_numpy(encoder.encode([content])[0])
    return rows[int((rows @ own).argmax())]


class _Distance:
    """The cosine distance of lines to one embedding, as a function of the embeddings of their tokens."""

    def __init__(self, encoder: LogEncoder, target: Tensor) -> None:
        self.encoder, self._target = encoder, target

    def embedded(self, ids: Sequence[int]) -> Tensor:
        """Embeddings of tokens, shape (1, tokens, hidden)."""
        table = self.encoder.model.get_input_embeddings()
        embedded: Tensor = table(torch.tensor([list(ids)]))
        return embedded.detach()

    def __call__(self, embedded: Tensor, mask: Tensor | None = None) -> Tensor:
        """Distances, shape (lines,), of embeddings (lines, tokens, hidden)."""
        present = torch.ones(embedded.shape[:2], dtype=torch.long) if mask is None else mask
        pooled = self.encoder.model(inputs_embeds=embedded, attention_mask=present).pooler_output
        distances: Tensor = 1.0 - functional.cosine_similarity(pooled.float(), self._target[None], dim=1)
        return distances


def _occluded(distance: _Distance, line: _Line) -> NDArray[np.float64]:
    """How much the distance falls without each word."""
    whole = distance.embedded(line.ids)
    with torch.no_grad():
        full = float(distance(whole)[0])
        found = []
        for start in range(0, len(line.words), _AT_ONCE):
            words = line.words[start : start + _AT_ONCE]
            lines = [
                whole[0, [place for place in range(len(line.ids)) if place not in word.tokens]]
                for word in words
            ]
            mask = [torch.ones(len(one), dtype=torch.long) for one in lines]
            padded = torch.nn.utils.rnn.pad_sequence(lines, batch_first=True)
            found.append(distance(padded, torch.nn.utils.rnn.pad_sequence(mask, batch_first=True)).numpy())
    falls: NDArray[np.float64] = full - np.concatenate(found).astype(np.float64)
    return falls


def _integrated(distance: _Distance, line: _Line) -> NDArray[np.float64]:
    """Integrated gradients, summed up over the tokens of each word."""
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise InputError(
            "integrated gradients need captum", remedy="Install it: pip install 'biglog[explain]'"
        ) from error
    whole, blank = distance.embedded(line.ids), distance.embedded(line.blank(distance.encoder))
    attributed = IntegratedGradients(distance).attribute(
        whole, baselines=blank, n_steps=STEPS, internal_batch_size=_AT_ONCE
    )
    by_token = attributed[0].sum(dim=1).double().numpy()
    return np.array([by_token[list(word.tokens)].sum() for word in line.words])


def most_telling(weights: Sequence[TokenWeight], share: float = 0.5) -> list[TokenWeight]:
    """Returns the words to highlight: those with at least a share of the largest weight, in order.

    Args:
        weights: Of all words.
        share: Of the largest weight.
    """
    largest = max((weight.weight for weight in weights), default=0.0)
    return [weight for weight in weights if largest > 0 and weight.weight >= share * largest]
