"""What a probe asks of an embedder, and cosines between what it gives, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from biglog.errors import InputError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Vectors: TypeAlias = Any
"""Floats, or a `scipy.sparse` matrix, which has no types."""
Embed: TypeAlias = Callable[[list[str]], Vectors]
"""Texts, n of them, to vectors: float32 of shape (n, d), or a SciPy sparse matrix of that shape."""


@dataclass(frozen=True)
class Unfitted:
    """An embedder that first has to see texts without labels, as TF-IDF does.

    Attributes:
        fit: Texts to embedder.
    """

    fit: Callable[[list[str]], Embed]


def fitted(embed: Embed | Unfitted, texts: Sequence[str]) -> Embed:
    """Fits an embedder to unlabelled texts where it needs that."""
    return embed.fit(list(texts)) if isinstance(embed, Unfitted) else embed


def embedded(embed: Embed, texts: Sequence[str]) -> Vectors:
    """Embeds texts, each distinct one once.

    Args:
        embed: An embedder, fitted.
        texts: Shape (n,).

    Returns:
        Vectors of shape (n, d), in order.

    Raises:
        InputError: The embedder gives another number of rows, or values that are not finite.
    """
    distinct = list(dict.fromkeys(texts))
    found = embed(distinct)
    vectors: Vectors = found.tocsr() if sparse.issparse(found) else np.asarray(found, np.float32)
    values = vectors.data if sparse.issparse(vectors) else vectors
    if vectors.shape[0] != len(distinct) or not np.isfinite(values).all():
        problem = f"the embedder gave shape {vectors.shape} for {len(distinct)} texts, or values not finite"
        raise InputError(problem, remedy="An embedder takes n texts and gives n vectors")
    if len(distinct) == len(texts):
        return vectors
    place = {text: row for row, text in enumerate(distinct)}
    return vectors[np.fromiter((place[text] for text in texts), np.int64, len(texts))]


def unit(vectors: Vectors) -> Vectors:
    """Scales rows to length one; a row of zeros stays one."""
    if sparse.issparse(vectors):
        lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def compact(vectors: Vectors) -> Vectors:
    """Leaves out columns of a sparse matrix that are zero in every row: a linear head gives them nothing."""
    if not sparse.issparse(vectors):
        return vectors
    return sparse.csr_matrix(vectors[:, np.unique(vectors.indices)])


class Space:
    """Vectors that cosines are taken between, each less the centre of its group.

    A sparse matrix less a centre would be dense, so that centres of sparse vectors enter the products only:
    (x - m)(y - n) = xy - xn - my + mn.

    Args:
        vectors: Shape (n, d).
        groups: The group of each vector, from 0, shape (n,); needed with `centres` only.
        centres: What is taken off the vectors of each group, shape (groups, d); None takes nothing off.
    """

    def __init__(
        self, vectors: Vectors, groups: Indices | None = None, centres: NDArray[np.float64] | None = None
    ) -> None:
        self._groups, self._centres = groups, None
        if groups is not None and centres is not None:
            if sparse.issparse(vectors):
                self._centres = centres
                self._onto = np.asarray(vectors @ centres.T)
                self._between = centres @ centres.T
            else:
                vectors = (vectors - centres[groups]).astype(np.float32)
        self._vectors = vectors
        self._lengths = np.sqrt(np.maximum(self._squares(), 0.0))

    def cosines(self, left: Indices, right: Indices) -> NDArray[np.float64]:
        """Returns cosines between rows, shape (left, right); those with a vector of length zero are 0."""
        products = self._vectors[left] @ self._vectors[right].T
        found = products.toarray() if sparse.issparse(products) else products
        found = np.asarray(found, np.float64)
        if self._centres is not None and self._groups is not None:
            ours, theirs = self._groups[left], self._groups[right]
            found -= self._onto[left][:, theirs] + self._onto[right][:, ours].T
            found += self._between[ours][:, theirs]
        lengths = np.outer(self._lengths[left], self._lengths[right])
        return np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-12)

    def _squares(self) -> NDArray[np.float64]:
        vectors = self._vectors
        if not sparse.issparse(vectors):
            return np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        squares = np.asarray(vectors.multiply(vectors).sum(axis=1), np.float64).ravel()
        if self._centres is None or self._groups is None:
            return squares
        own = self._onto[np.arange(len(squares)), self._groups]
        return squares - 2 * own + self._between[self._groups, self._groups]
