"""Values as they stand in log lines, drawn at random: what a model must learn to look past.

The kinds are those of logs at large: numbers and other masked values, words, identifiers, class names, host
names, paths of packages, lists, nothing at all. Names are made of words that are given and of random letters,
never of strings of any log: a value that were copied from a tested log would make its score mean nothing.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from biglog.logs.masking import MASK_TOKENS

WILDCARD = "<*>"
"""Where a value stands in a template."""

_MASKED = (*MASK_TOKENS, "[NUM]", "[NUM]", "0", "2xx", "4xx", "5xx", "-[NUM]", "[NUM]%", "[FILE][FILE]")
_TOP_LEVEL = (
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "de",
    "fr",
    "jp",
    "nl",
    "it",
    "uk",
    "cn",
    "ru",
    "br",
    "io",
    "local",
    "lan",
)
_WORD = re.compile(r"[A-Za-z]{3,14}")
_LETTERS = list(string.ascii_lowercase)


def words_of(texts: Sequence[str]) -> list[str]:
    """Returns the distinct words of texts, sorted."""
    return sorted({word for text in texts for word in _WORD.findall(text)})


@dataclass(frozen=True)
class Values:
    """Draws values.

    Attributes:
        words: Words to make names of.
    """

    words: Sequence[str]
    _kinds: tuple[tuple[float, Callable[[Values, np.random.Generator], str]], ...] = field(
        default_factory=lambda: _KINDS, repr=False
    )

    @property
    def shares(self) -> np.ndarray:
        """How likely each kind of value is, shape (kinds,)."""
        weights = np.array([weight for weight, _ in self._kinds])
        return weights / weights.sum()

    def draw(self, kind: int, rng: np.random.Generator) -> str:
        """Returns a value of a kind."""
        return self._kinds[kind][1](self, rng)

    def word(self, rng: np.random.Generator) -> str:
        """Returns a word, or as often as not quite letters that are none."""
        if rng.random() < 0.6:
            return self.words[int(rng.integers(len(self.words)))]
        return "".join(rng.choice(_LETTERS, size=int(rng.integers(2, 9))))

    def joined(self, rng: np.random.Generator, separator: str, least: int, most: int) -> str:
        """Returns so many words in one name."""
        return separator.join(self.word(rng) for _ in range(int(rng.integers(least, most + 1))))


def _masked(values: Values, rng: np.random.Generator) -> str:
    return _MASKED[int(rng.integers(len(_MASKED)))]


def _class_name(values: Values, rng: np.random.Generator) -> str:
    return "".join(values.word(rng).capitalize() for _ in range(int(rng.integers(2, 4))))


def _label(values: Values, rng: np.random.Generator) -> str:
    parts = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
    return "-".join(values.word(rng).lower() if rng.random() < 0.6 else "[NUM]" for _ in range(parts))


def _host(values: Values, rng: np.random.Generator) -> str:
    labels = [_label(values, rng) for _ in range(int(rng.integers(1, 4)))]
    return ".".join([*labels, _TOP_LEVEL[int(rng.integers(len(_TOP_LEVEL)))]])


def _package(values: Values, rng: np.random.Generator) -> str:
    return f"{values.joined(rng, '.', 2, 4).lower()}/.{values.joined(rng, '.', 1, 3)}"


def _fields(values: Values, rng: np.random.Generator) -> str:
    pairs = (f"{values.word(rng).lower()}={_item(values, rng)}" for _ in range(int(rng.integers(1, 5))))
    return "{" + " ".join(pairs) + "}"


def _items(values: Values, rng: np.random.Generator) -> str:
    return "[" + ", ".join(_item(values, rng) for _ in range(int(rng.integers(0, 4)))) + "]"


def _item(values: Values, rng: np.random.Generator) -> str:
    return values.word(rng) if rng.random() < 0.5 else _masked(values, rng)


# Shares are guesses at what parameters are; they were not fitted to anything.
_KINDS: tuple[tuple[float, Callable[[Values, np.random.Generator], str]], ...] = (
    (0.40, _masked),
    (0.13, Values.word),
    (0.05, lambda values, rng: values.joined(rng, "_", 2, 3)),
    (0.06, lambda values, rng: values.joined(rng, ".", 2, 4)),
    (0.06, _class_name),
    (0.04, lambda values, rng: values.word(rng) + "[NUM]"),
    (0.05, lambda values, rng: values.joined(rng, " ", 2, 3)),
    (0.03, lambda values, rng: values.word(rng) + ":[NUM]"),
    (0.03, lambda values, rng: values.joined(rng, "-", 2, 2)),
    (0.03, lambda values, rng: ""),
    (0.05, _host),
    (0.02, _package),
    (0.03, _fields),
    (0.02, _items),
)
