"""Terms of log text: where a word, an identifier or a value begins, told from token ids and their offsets.

A term is what a reader takes as one thing: `connection`, `dfs.block_id`, `java.io.IOException`,
`DataNode$Receiver`, `core.[NUM]`, `[NUM]ms`, `[NUM] KB`. A masked-language model that sees all but one piece
of such a thing guesses the piece from the others and needs nothing else of the line.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from biglog.logs.masking import MASK_TOKENS
from biglog.tokenizer import CONTINUATION, SPECIAL_TOKENS

JOINERS: Final = frozenset("._-/\\:@#$+~%'")
"""Punctuation that holds an identifier together where text stands on both sides of it; all other separates,
and so does this where a blank follows, as it ends a sentence then."""

LEADING: Final = frozenset("._-/\\@#$+~%")
"""Of these, what belongs to the text after it with none before: `/dev`, `$HOME`, `--flag`, `_id`."""

TRAILING: Final = frozenset("_/\\$+%")
"""Of these, what belongs to the text before it with none after: `lib/`, `C++`, `[NUM]%`."""

UNITS: Final = (
    frozenset(("b", "byte", "bytes", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "bit", "bits", "kbps"))
    | {"mbps", "hz", "khz", "mhz", "ghz", "%", "percent", "ns", "us", "ms", "s", "sec", "secs", "second"}
    | {"seconds", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "day", "days"}
)
"""Belong to a mask token one blank before them, where the vocabulary has them as one token."""

LONGEST_JOINT: Final = 3
"""Joiners in a row that still hold text together (`://`); longer runs are rulers."""

LONGEST_TERM: Final = 16
"""Tokens; what is longer is cut, because hiding half a line at once leaves nothing to guess from."""

_SEPARATOR, _WORD, _JOINER = 0, 1, 2

Flags = NDArray[np.bool_]


class TermRules:
    """Finds the terms of tokenized text.

    Args:
        tokenizer: Of the text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        vocabulary = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        plain = [token.removeprefix(CONTINUATION) or token for token in vocabulary]
        self._kind = np.array([_kind(token) for token in plain], dtype=np.int8)
        self._leading = np.array([token in LEADING for token in plain])
        self._trailing = np.array([token in TRAILING for token in plain])
        self._unit = np.array([token.lower() in UNITS for token in vocabulary])
        self._mask = np.array([token in MASK_TOKENS for token in vocabulary])
        self._length = np.array([len(token) for token in vocabulary])

    def starts(
        self, ids: NDArray[np.int64], offsets: NDArray[np.int64], line: NDArray[np.int64] | None = None
    ) -> Flags:
        """Returns where terms begin.

        Args:
            ids: Token ids of one or more lines end to end, shape (tokens,).
            offsets: Where each token begins and ends in its line, in characters, shape (tokens, 2).
            line: Which line each token is of, ascending, shape (tokens,); None where all are of one.

        Returns:
            Whether each token begins a term, shape (tokens,); the first token of a line always does.
        """
        if not len(ids):
            return np.zeros(0, dtype=bool)
        gap = self._gaps(ids, offsets, line)
        kind, abuts = self._kind[ids], gap == 0
        word = kind == _WORD
        joined = _after(word) & word & abuts
        joined |= self._joints(ids, abuts)
        ends_word = ~np.append((abuts & word)[1:], False)
        joined |= (gap == 1) & _after(self._mask[ids]) & self._unit[ids] & ends_word
        joined |= abuts & _after(self._mask[ids]) & self._unit[ids]
        return _cut(~joined)

    def _gaps(
        self, ids: NDArray[np.int64], offsets: NDArray[np.int64], line: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Characters between each token and the one before it; -1 at the start of a line."""
        # A mask token is put in by a normalizer, which leaves only its end where it was.
        begin = np.where(self._mask[ids], offsets[:, 1] - self._length[ids], offsets[:, 0])
        gap = np.full(len(ids), -1)
        gap[1:] = begin[1:] - offsets[:-1, 1]
        if line is not None:
            gap[1:][line[1:] != line[:-1]] = -1
        return gap

    def _joints(self, ids: NDArray[np.int64], abuts: Flags) -> Flags:
        """Where a token is held to the one before it by punctuation, or is itself what holds."""
        kind = self._kind[ids]
        joiner, word = kind == _JOINER, kind == _WORD
        begins = joiner & ~(abuts & _after(joiner))
        joined = joiner & ~begins
        run = np.cumsum(begins) - 1  # which run of joiners a token is in, or follows
        if not begins.any():
            return joined
        first = np.flatnonzero(begins)
        length = np.bincount(run[joiner], minlength=len(first))
        last = first + length - 1
        follows = np.minimum(last + 1, len(ids) - 1)
        short = length <= LONGEST_JOINT
        left = abuts[first] & _after(word)[first] & short
        right = (last + 1 < len(ids)) & abuts[follows] & word[follows] & short
        joined[first[left & (right | self._trailing[ids[last]])]] = True
        joined[follows[right & (left | self._leading[ids[last]])]] = True
        return joined


def _kind(token: str) -> int:
    if token in SPECIAL_TOKENS:
        return _SEPARATOR
    if token in MASK_TOKENS or token.isalnum():
        return _WORD
    return _JOINER if token in JOINERS else _SEPARATOR


def _after(flags: Flags) -> Flags:
    """Whether the token before each has a property."""
    return np.append(False, flags[:-1])


def _cut(starts: Flags) -> Flags:
    """Cuts terms of more than `LONGEST_TERM` tokens."""
    at = np.arange(len(starts))
    place = at - np.maximum.accumulate(np.where(starts, at, 0))
    return starts | (place % LONGEST_TERM == 0)
