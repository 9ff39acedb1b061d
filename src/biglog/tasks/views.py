"""What a linear head reads of a line: its embedding, and beside it the line's own words and characters.

An embedding puts lines side by side that mean the same in other words; it is wide enough for meaning, not for
every name. Sparse n-grams know exactly which words a line has, and nothing of what they mean. Beside each
other a linear head takes from each what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from biglog.errors import InputError

Encode = Callable[[list[str]], NDArray[np.float32]]

WORD = r"\[[A-Z]+\]|[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]"
"""A mask token, a word, a number, or a sign."""


class DenseAndSparse(TransformerMixin, BaseEstimator):
    """The line embedding beside TF-IDF of words and of characters, each of length one times its weight.

    Fitted to lines without labels: it learns which n-grams there are, and how rare they are. Equal weights
    are a start, not tuned: where lines are told apart by their level, characters cost a little.

    Args:
        encode: Embeds normal forms, n texts to shape (n, hidden): `LogEncoder.encode_normal_forms`.
        dense: Weight of the embedding; 0 leaves it out, and so do the others.
        words: Weight of TF-IDF of words.
        characters: Weight of TF-IDF of character 3- to 5-grams.
    """

    def __init__(
        self, encode: Encode, *, dense: float = 1.0, words: float = 1.0, characters: float = 1.0
    ) -> None:
        self.encode = encode
        self.dense = dense
        self.words = words
        self.characters = characters

    def fit(self, forms: Sequence[str], labels: object = None) -> Self:
        """Learns the n-grams of normal forms.

        Args:
            forms: Normal forms, shape (n,).
            labels: Not used.

        Raises:
            InputError: All weights are 0, or one is negative.
        """
        weights = (self.dense, self.words, self.characters)
        if min(weights) < 0 or not any(weights):
            raise InputError(f"weights of views are {weights}", remedy="Give some above 0, and none below")
        self._vectorizers: list[tuple[float, Any]] = []
        if self.words:
            words = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True)
            self._vectorizers.append((self.words, words.fit(forms)))
        if self.characters:
            grams = TfidfVectorizer(analyzer="char", ngram_range=(3, 5), sublinear_tf=True)
            self._vectorizers.append((self.characters, grams.fit(forms)))
        return self

    def transform(self, forms: Sequence[str]) -> Any:
        """Returns what a head reads, a sparse matrix of shape (n, hidden + n-grams), float32.

        Args:
            forms: Normal forms, shape (n,).
        """
        texts = list(forms)
        parts = [weight * vectorizer.transform(texts) for weight, vectorizer in self._vectorizers]
        if self.dense:
            parts.insert(0, self.dense * sparse.csr_matrix(normalize(self.encode(texts))))
        return sparse.hstack(parts).tocsr().astype(np.float32)
