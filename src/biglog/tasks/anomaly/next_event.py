"""NextEvent: the next line foretold from those before it; a line that was not to be expected is odd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from biglog.errors import InputError
from biglog.tasks.anomaly.sequences import (
    WORST_BITS,
    FormSpace,
    damped,
    fill,
    fitted,
    fixed_batches,
    normal_groups,
    seeded,
    state_of,
    train,
    worst_scores,
)
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats, Groups, Ints

SCORES: Final = ("top_k", "likelihood")

_BEGIN, _END = -1, -2
_BLOCK = 1 << 16


class _Network(nn.Module):
    """An LSTM over the last lines, whose state is compared with every form that may come next."""

    def __init__(self, known: int, width: int, size: int, *, identities: bool) -> None:
        super().__init__()
        self.known = known
        self.space = FormSpace(known, width, size, identities=identities)
        self.begin = nn.Parameter(torch.randn(1, size) * 0.1)
        self.end = nn.Parameter(torch.randn(1, size) * 0.1)
        self.memory = nn.LSTM(size, size, batch_first=True)

    def tables(self, vectors: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """What is read, the beginning first and then each form; what is foretold, the end last."""
        points = self.space.vectors(vectors)
        # Known and unknown forms apart: how a known one is rounded must not depend on how many are unknown.
        read = [self.space.read(part) for part in points.split([self.known, len(points) - self.known])]
        foretold = self.space.foretold(points[: self.known])
        return torch.cat([self.begin, *read]), torch.cat([foretold, self.end])

    def forward(self, read: Tensor, foretold: Tensor, histories: Tensor) -> Tensor:
        """Returns logits, shape (rows, known + 1), for codes of the last lines, shape (rows, history)."""
        states, _ = self.memory(functional.embedding(histories + 1, read))
        return states[:, -1] @ foretold.T


@dataclass(eq=False)
class NextEvent:
    """Foretells each line, and the end of the group, from the lines before it.

    DeepLog (Du et al., "DeepLog: Anomaly Detection and Diagnosis from System Logs through Deep Learning",
    CCS 2017) with two differences: lines are read by their embeddings, and so are the forms that may come
    next, so that the model does not have to learn anew what the encoder knows; and a group has an end. An
    LSTM is trained and run once for each distinct history, not once for each line.

    A group is as odd as the oddest of its lines and its end. A line of an unknown form is odder than any of a
    known form, and the more so the farther it is from all known ones.

    Args:
        score_by: What a line's score is. "top_k": the rank of what came among all that could have come,
            1 for the likeliest, so that a threshold of k is DeepLog's rule. "likelihood": how unlikely it
            was, in bits, at most `WORST_BITS`.
        history: Lines that are looked back at, in the group.
        ends: Whether the end of a group is foretold. Of windows cut by time or count the end says nothing.
        identities: Learn an embedding for each form, and leave the encoder's: DeepLog as it was.
        size: Width of the LSTM.
        steps: Steps of training.
        batch_size: Distinct histories of a step.
        learning_rate: The highest.
        seed: Of weights and order.

    Raises:
        InputError: A setting is out of range.
    """

    score_by: str = "likelihood"
    history: int = 10
    ends: bool = True
    identities: bool = False
    size: int = 64
    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 5e-3
    seed: int = 0
    _network: _Network | None = field(default=None, init=False, repr=False)

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.score_by not in SCORES:
            raise InputError(
                f"score_by cannot be {self.score_by!r}", remedy=f"Give one of {', '.join(SCORES)}"
            )
        if self.history < 1:
            raise InputError(f"history is {self.history}", remedy="Look back at one line at least")

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns what follows what in normal groups.

        Raises:
            InputError: None is normal, or none of the lines has a known form.
        """
        view = normal_groups(view, labels)
        rows, counts = self._lessons(view)
        histories, events = _tensors(rows, view.known)
        with seeded(self.seed):
            network = self._make(view.known, view.vectors.shape[1])
            network.space.put_on_scale(view.vectors)

            def loss(batch: Ints) -> Tensor:
                logits = network(*network.tables(view.vectors), histories[batch])
                return functional.cross_entropy(logits, events[batch])

            train(
                network,
                loss,
                damped(counts),
                batch_size=self.batch_size,
                steps=self.steps,
                learning_rate=self.learning_rate,
                seed=self.seed,
            )
        self._network = network
        return self

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,): ranks or bits; higher is more anomalous."""
        groups, place, _ = view.groups.distinct()
        scores = self._scores(replace(view, groups=groups))
        starts = groups.offsets[:-1] + self.ends * np.arange(len(groups))
        worst: Floats = np.maximum.reduceat(scores, starts)[place]
        return worst

    def line_scores(self, view: View) -> Floats:
        """Scores lines, shape (lines,); the ends of the groups are not among them."""
        return self._scores(view)[_is_line(view.groups, self.ends)]

    def state(self) -> State:
        """Returns what is to be saved."""
        network = fitted(self._network)
        return state_of(self, network, known=network.known, width=len(network.space.centre))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls(**state.config["settings"])
        method._network = method._make(state.config["known"], state.config["width"])
        fill(method._network, state.arrays)
        return method

    def _make(self, known: int, width: int) -> _Network:
        return _Network(known, width, self.size, identities=self.identities)

    def _lessons(self, view: View) -> tuple[NDArray[np.int32], Floats]:
        """Distinct histories with what came next, shape (rows, history + 1), and how often each was seen."""
        groups, _, copies = view.groups.distinct()
        found, weights = [], []
        for rows, owners in _steps(groups, self.history, self.ends):
            learnable = rows[:, -1] < view.known
            distinct, inverse = np.unique(rows[learnable], axis=0, return_inverse=True)
            found.append(distinct)
            weights.append(np.bincount(inverse, copies[owners[learnable]], minlength=len(distinct)))
        rows, inverse = np.unique(np.concatenate(found), axis=0, return_inverse=True)
        if not (rows[:, -1] != _END).any():
            raise InputError("no line has a known form", remedy="Fit on groups whose forms are known")
        return rows, np.bincount(inverse, np.concatenate(weights)).astype(np.float64)

    def _scores(self, view: View) -> Floats:
        """Scores of all lines and, each after its group's last line, of the ends."""
        network: _Network = fitted(self._network)
        unknown = worst_scores(view, network.known + 1 if self.score_by == "top_k" else WORST_BITS)
        scores = []
        with torch.inference_mode():
            tables = network.tables(view.vectors)
            for rows, _ in _steps(view.groups, self.history, self.ends):
                distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
                found = np.empty(len(distinct))
                known = distinct[:, -1] < view.known
                found[known] = self._foretell(network, tables, distinct[known])
                found[~known] = unknown[distinct[~known, -1]]
                scores.append(found[inverse])
        return np.concatenate(scores)

    def _foretell(self, network: _Network, tables: tuple[Tensor, Tensor], rows: NDArray[np.int32]) -> Floats:
        """Scores of events that are known, given what came before each."""
        found = np.empty(len(rows))
        histories, events = _tensors(rows, network.known)
        for batch, _, count in fixed_batches(np.full(len(rows), self.history), self.history):
            logits = network(*tables, histories[batch])
            came = logits.gather(1, events[batch][:, None])
            if self.score_by == "top_k":
                scores = 1 + (logits > came).sum(dim=1)
            else:
                bits = (logits.double().logsumexp(dim=1) - came[:, 0].double()) / np.log(2.0)
                scores = bits.clamp(min=0.0, max=WORST_BITS)
            found[batch[:count]] = scores[:count].numpy()
        return found


def _tensors(rows: NDArray[np.int32], known: int) -> tuple[Tensor, Tensor]:
    """Codes of the last lines, and the place of what came next among the foretold."""
    codes = torch.from_numpy(rows.astype(np.int64))
    return codes[:, :-1], codes[:, -1].where(codes[:, -1] != _END, known)


def _is_line(groups: Groups, ends: bool) -> NDArray[np.bool_]:
    """Which of the lines and ends are lines."""
    places = groups.offsets[1:] + np.arange(len(groups)) * ends
    is_line = np.ones(len(groups.codes) + ends * len(groups), dtype=bool)
    if ends:
        is_line[places] = False
    return is_line


def _steps(groups: Groups, history: int, ends: bool) -> Iterator[tuple[NDArray[np.int32], Ints]]:
    """Yields, for blocks of lines and ends, the codes of the last lines and of what came; and the group."""
    sizes = groups.sizes + ends
    owners = np.repeat(np.arange(len(groups)), sizes)
    lines = np.arange(len(owners)) - ends * owners
    last = len(groups.codes) - 1
    for start in range(0, len(owners), _BLOCK):
        owner, line = owners[start : start + _BLOCK], lines[start : start + _BLOCK]
        before = line[:, None] - np.arange(history, 0, -1)
        inside = before >= groups.offsets[owner][:, None]
        codes = np.where(inside, groups.codes[np.maximum(before, 0)], _BEGIN)
        is_end = line >= groups.offsets[owner + 1]
        came = np.where(is_end, _END, groups.codes[np.minimum(line, last)])
        yield np.column_stack([codes, came]).astype(np.int32), owner
