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


HIDDEN = -1
"""Stands for a neighbour that is masked itself: nothing is known of it."""


@dataclass(frozen=True)
class Bigram:
    """Predicts each masked token from its two neighbours: what a model must beat to have learnt more than
    which word pieces stand side by side.

    Text is taken for a Markov chain of first order: P(token | left, right) is proportional to
    P(token | left) P(right | token). How likely one token follows another is interpolated with how frequent
    it is, with the weights of Witten and Bell (1991; Jurafsky and Martin, Speech and Language Processing,
    chapter on n-grams): P(b | a) = (c(a, b) + T(a) P(b)) / (N(a) + T(a)), where N(a) is how often `a` is
    followed by anything and T(a) by how many different tokens.

    Attributes:
        probability: Of each token by its frequency, shape (vocabulary,).
        followed: N(a), shape (vocabulary,).
        followers: T(a), shape (vocabulary,).
        pairs: Ids a and b of the pairs that occur, sorted by a and then b, shape (pairs, 2).
        counts: How often each pair occurs, shape (pairs,).
        by_right: Order of the pairs by b and then a, shape (pairs,).
        rights: b of the pairs in this order, shape (pairs,).
    """

    probability: Floats
    followed: Floats
    followers: Floats
    pairs: Ints
    counts: Floats
    by_right: Ints
    rights: Ints

    @classmethod
    def fit(cls, left: Ints, right: Ints, weights: Floats, vocabulary: int) -> Bigram:
        """Counts pairs of neighbours.

        Args:
            left: Ids of tokens in the training text, shape (pairs,).
            right: Id of the token after each, shape (pairs,).
            weights: How often each pair counts, shape (pairs,).
            vocabulary: Size of the vocabulary.
        """
        keys, place = np.unique(np.asarray(left, np.int64) * vocabulary + right, return_inverse=True)
        counts = np.bincount(place, weights=weights, minlength=len(keys)).astype(np.float64)
        pairs = np.stack([keys // vocabulary, keys % vocabulary], axis=1)
        by_right = np.lexsort((pairs[:, 0], pairs[:, 1]))
        frequency = np.bincount(pairs[:, 1], weights=counts, minlength=vocabulary) + 1.0
        return cls(
            frequency / frequency.sum(),
            np.bincount(pairs[:, 0], weights=counts, minlength=vocabulary).astype(np.float64),
            np.bincount(pairs[:, 0], minlength=vocabulary).astype(np.float64),
            pairs,
            counts,
            by_right,
            pairs[by_right, 1],
        )

    def predict(self, left: int, right: int) -> Floats:
        """Returns the probability of each token between two neighbours, shape (vocabulary,).

        Args:
            left: Id of the token before, or `HIDDEN`.
            right: Id of the token after, or `HIDDEN`.
        """
        found = self.probability if left == HIDDEN else self._after(left)
        if right != HIDDEN:
            found = found * self._before(right)
        return found / found.sum()

    def _after(self, token: int) -> Floats:
        """P(b | token) for every b."""
        first, last = np.searchsorted(self.pairs[:, 0], [token, token + 1])
        # A token that nothing follows says nothing.
        weight = self.followers[token] or 1.0
        found = self.probability * weight
        found[self.pairs[first:last, 1]] += self.counts[first:last]
        return found / (self.followed[token] + weight)

    def _before(self, token: int) -> Floats:
        """P(token | a) for every a."""
        first, last = np.searchsorted(self.rights, [token, token + 1])
        these = self.by_right[first:last]
        weight = np.where(self.followers > 0, self.followers, 1.0)
        found = weight * self.probability[token]
        found[self.pairs[these, 0]] += self.counts[these]
        return found / (self.followed + weight)

    def score(self, targets: Ints, left: Ints, right: Ints, token_bytes: Ints) -> LanguageScore:
        """Scores the baseline on masked tokens.

        Args:
            targets: True token ids, shape (tokens,).
            left: Ids of the tokens before, or `HIDDEN`, shape (tokens,).
            right: Ids of the tokens after, or `HIDDEN`, shape (tokens,).
            token_bytes: Bytes that each true token stands for, shape (tokens,).
        """
        likelihood, correct = np.empty(len(targets)), np.empty(len(targets), dtype=bool)
        contexts, place = np.unique(np.stack([left, right], axis=1), axis=0, return_inverse=True)
        order = np.argsort(place.ravel(), kind="stable")
        bounds = np.searchsorted(place.ravel()[order], np.arange(len(contexts) + 1))
        for number, (before, after) in enumerate(contexts):
            these = order[bounds[number] : bounds[number + 1]]
            found = self.predict(int(before), int(after))
            likelihood[these] = np.log(found[targets[these]])
            correct[these] = targets[these] == np.argmax(found)
        return language_score(likelihood, correct, token_bytes)


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
