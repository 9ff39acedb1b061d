"""How well a masked language model reads log text: accuracy and bits per byte on masked tokens (numpy only).

Bits per byte divides what the masked tokens cost by the bytes of text they stand for, so that two tokenizers
of different granularity can be compared; a loss per token cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class LanguageScore:
    """Scores of one set of masked tokens.

    Attributes:
        tokens: Number of masked tokens.
        loss: Mean negative log-likelihood of a masked token, in nats.
        accuracy: Share of masked tokens whose most likely prediction is right.
        bits_per_byte: Bits that the masked tokens cost, over the bytes of text they stand for.
    """

    tokens: int
    loss: float
    accuracy: float
    bits_per_byte: float


def language_score(log_likelihood: Floats, correct: NDArray[np.bool_], token_bytes: Ints) -> LanguageScore:
    """Scores masked tokens.

    Args:
        log_likelihood: Natural logarithm of the probability given to the true token, shape (tokens,).
        correct: Whether the most likely token was the true one, shape (tokens,).
        token_bytes: Bytes of text that each true token stands for, shape (tokens,).

    Raises:
        ValueError: There are no tokens, or the shapes differ.
    """
    if not len(log_likelihood):
        raise ValueError("no masked token to score")
    if not len(log_likelihood) == len(correct) == len(token_bytes):
        raise ValueError("log_likelihood, correct and token_bytes differ in length")
    return LanguageScore(
        tokens=len(log_likelihood),
        loss=float(-np.mean(log_likelihood)),
        accuracy=float(np.mean(correct)),
        bits_per_byte=bits_per_byte(log_likelihood, token_bytes),
    )


def bits_per_byte(log_likelihood: Floats, token_bytes: Ints) -> float:
    """Returns the bits that tokens cost over the bytes of text they stand for.

    Args:
        log_likelihood: Natural logarithm of the probability given to each true token, shape (tokens,).
        token_bytes: Bytes of text that each true token stands for, shape (tokens,).
    """
    return float(-np.sum(log_likelihood) / np.log(2) / np.sum(token_bytes))


@dataclass(frozen=True)
class Unigram:
    """Predicts each masked token from token frequencies alone: what a model must beat to have learnt from
    context.

    Attributes:
        log_probability: Natural logarithm of each token's probability, shape (vocabulary,).
    """

    log_probability: Floats

    @classmethod
    def fit(cls, counts: Floats) -> Unigram:
        """Estimates probabilities from counts, each token seen once more than it was (Laplace).

        Args:
            counts: How often each token id occurs in the training text (weighted as training draws it),
                shape (vocabulary,).
        """
        smoothed = np.asarray(counts, dtype=np.float64) + 1.0
        return cls(np.log(smoothed / smoothed.sum()))

    def score(self, targets: Ints, token_bytes: Ints) -> LanguageScore:
        """Scores the baseline on masked tokens.

        Args:
            targets: True token ids, shape (tokens,).
            token_bytes: Bytes that each of them stands for, shape (tokens,).
        """
        best = int(np.argmax(self.log_probability))
        return language_score(self.log_probability[targets], targets == best, token_bytes)


def macro_average(scores: dict[str, LanguageScore]) -> LanguageScore:
    """Averages over domains, so that a domain with much text weighs no more than any other.

    Args:
        scores: Scores by domain, not empty; ``tokens`` of the average is their sum.
    """
    values = list(scores.values())
    return LanguageScore(
        tokens=sum(score.tokens for score in values),
        loss=float(np.mean([score.loss for score in values])),
        accuracy=float(np.mean([score.accuracy for score in values])),
        bits_per_byte=float(np.mean([score.bits_per_byte for score in values])),
    )
