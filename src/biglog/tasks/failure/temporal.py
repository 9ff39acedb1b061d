"""A model of time: a history in buckets, each the mean embedding of its lines and their number, for a GRU.

Buckets are equal shares of a history's time, the last one ends at the moment. Embeddings are reduced to their
principal components over the lines of the training. Few failures are known where any are, so the net is
small and learns for a few epochs.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from biglog.errors import InputError
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.view import State
from biglog.tasks.failure.histories import Histories
from biglog.tasks.groups import Floats, Ints

BUCKETS: Final = 24
COMPONENTS: Final = 16
"""Principal components of the embeddings."""

WIDTH: Final = 24
EPOCHS: Final = 15
BATCH: Final = 256
OTHERS_PER_RARE: Final = 50
"""Of a frequent class an epoch draws at most so many histories for each of the rarest class."""

POOL: Final = 3
"""Times as many frequent histories as an epoch draws are kept in memory to draw from."""

_CHUNK: Final = 8192


class _Net(nn.Module):
    """A GRU over buckets; its last state, and the mean and the maximum of all, are told apart by a layer."""

    def __init__(self, columns: int, classes: int) -> None:
        super().__init__()
        self.read = nn.Linear(columns, WIDTH)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.tell = nn.Linear(3 * WIDTH, classes)

    def forward(self, buckets: Tensor) -> Tensor:
        states, last = self.gru(torch.tanh(self.read(self.drop(buckets))))
        pooled = torch.cat([last[0], states.mean(dim=1), states.amax(dim=1)], dim=1)
        logits: Tensor = self.tell(self.drop(pooled))
        return logits


class Temporal:
    """The temporal model; see the module.

    Args:
        seed: Of weights and of what is drawn.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._net: _Net | None = None
        self._centre: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._axes: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def fit(self, histories: Histories, labels: Ints) -> Self:
        """Learns from histories.

        Args:
            histories: Those of the training.
            labels: Classes as numbers from 0, shape (histories,).

        Raises:
            InputError: The histories have no embeddings.
        """
        if not histories.vectors.shape[1]:
            raise InputError("the temporal model needs embeddings of lines", remedy="Give an encoder")
        self._learn_axes(histories)
        classes = int(labels.max()) + 1
        draw = np.random.default_rng(self.seed)
        sizes = np.bincount(labels, minlength=classes)
        kept = min(int(sizes[sizes > 0].min()) * OTHERS_PER_RARE, int(sizes.max()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._net = _Net(self._axes.shape[1] + 2, classes)
            self._train(histories, labels, np.maximum(np.minimum(sizes, kept), 1), draw)
        return self

    def _train(self, histories: Histories, labels: Ints, sizes: Ints, draw: np.random.Generator) -> None:
        """Runs the epochs; each draws anew from classes that are far more frequent than the rarest."""
        assert self._net is not None
        net = self._net.train()
        rows = [np.flatnonzero(labels == label) for label in range(len(sizes))]
        weights = torch.tensor(sizes.sum() / (len(sizes) * sizes), dtype=torch.float32)
        loss_of = nn.CrossEntropyLoss(weights)
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        pool = np.concatenate([draw.permutation(m)[: POOL * n] for m, n in zip(rows, sizes, strict=True)])
        pooled, told = self._buckets(histories.take(pool)), labels[pool]
        rows = [np.flatnonzero(told == label) for label in range(len(sizes))]
        for _ in range(EPOCHS):
            drawn = [draw.permutation(mine)[:size] for mine, size in zip(rows, sizes, strict=True)]
            order = draw.permutation(np.concatenate(drawn))
            buckets, targets = pooled[order], torch.from_numpy(told[order].astype(np.int64))
            for begin in range(0, len(order), BATCH):
                part = slice(begin, begin + BATCH)
                optimizer.zero_grad()
                loss_of(net(buckets[part]), targets[part]).backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
            schedule.step()
        net.eval()

    def predict_proba(self, histories: Histories) -> Floats:
        """Returns the probability of each class, shape (histories, classes)."""
        assert self._net is not None
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(histories), _CHUNK):
                rows = np.arange(begin, min(begin + _CHUNK, len(histories)))
                parts.append(self._net(self._buckets(histories.take(rows))).softmax(dim=1).double().numpy())
        return np.concatenate(parts)

    def _learn_axes(self, histories: Histories) -> None:
        """Principal axes of the embeddings, forms weighing as the logarithm of their lines."""
        counts = np.bincount(histories.groups.codes, minlength=len(histories.groups.forms))
        weights = np.log1p(counts) / np.log1p(counts).sum()
        vectors = histories.vectors.astype(np.float64)
        centre = weights @ vectors
        _, sizes, axes = np.linalg.svd(np.sqrt(weights)[:, None] * (vectors - centre), full_matrices=False)
        kept = min(COMPONENTS, int((sizes > 1e-9).sum())) or 1
        # Each component as wide as one line on average: then zero is a bucket without lines.
        self._centre = centre.astype(np.float32)
        self._axes = (axes[:kept] / np.maximum(sizes[:kept, None], 1e-9)).T.astype(np.float32)

    def _buckets(self, histories: Histories) -> Tensor:
        """Mean embedding, and log counts of lines and warnings, shape (histories, BUCKETS, columns)."""
        spans = np.repeat(histories.spans, histories.groups.sizes)
        place = np.clip((BUCKETS * (1 - histories.ages / spans)).astype(np.int64), 0, BUCKETS - 1)
        row = histories.groups.owners * BUCKETS + place
        shape = (len(histories) * BUCKETS, len(histories.groups.forms))
        lines = sparse.csr_matrix((np.ones(len(row)), (row, histories.groups.codes)), shape=shape)
        projected = (histories.vectors - self._centre) @ self._axes
        severity = word_severity(histories.groups.forms)[0]
        total = np.asarray(lines.sum(axis=1))
        table = np.hstack(
            [
                lines @ projected / np.maximum(total, 1),
                np.log1p(total),
                np.log1p(lines @ (severity >= 0.3).astype(np.float64))[:, None],
            ]
        )
        return torch.from_numpy(table.astype(np.float32)).view(len(histories), BUCKETS, -1)

    # -- saving --

    def state(self) -> State:
        """Returns what is to be saved."""
        assert self._net is not None
        weights = {f"net.{name}": value.numpy() for name, value in self._net.state_dict().items()}
        return State({}, {"centre": self._centre, "axes": self._axes, **weights})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted model of what was saved."""
        made = cls(state.config["seed"])
        made._centre, made._axes = state.arrays["centre"], state.arrays["axes"]
        net = _Net(made._axes.shape[1] + 2, len(state.config["classes"]))
        weights = {
            name.removeprefix("net."): torch.from_numpy(value.copy())
            for name, value in state.arrays.items()
            if name.startswith("net.")
        }
        net.load_state_dict(weights)
        made._net = net.eval()
        return made
