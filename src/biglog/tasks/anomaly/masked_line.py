"""MaskedLine: each line foretold from all others around it; lines that do not fit together are odd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from biglog.errors import InputError
from biglog.tasks.anomaly.sequences import (
    WORST_BITS,
    FormSpace,
    cut,
    damped,
    fill,
    fitted,
    fixed_batches,
    normal_groups,
    padded,
    seeded,
    state_of,
    train,
    worst_scores,
)
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats, Groups, Ints

SCORES: Final = ("mean", "max")

_BLOCK = 1 << 18
_NO_FORM = -1


class _Network(nn.Module):
    """A small transformer over the lines of a piece; a hidden line's state is compared with every form."""

    def __init__(self, known: int, width: int, method: MaskedLine) -> None:
        super().__init__()
        size = method.size
        self.known = known
        self.space = FormSpace(known, width, size, identities=method.identities)
        self.mask = nn.Parameter(torch.randn(size) * 0.1)
        self.places = nn.Parameter(torch.randn(method.max_lines, size) * 0.1)
        layer = nn.TransformerEncoderLayer(
            size, method.heads, 2 * size, method.dropout, "gelu", batch_first=True, norm_first=True
        )
        # A nested tensor would change its shape with what is in it.
        self.layers = nn.TransformerEncoder(
            layer, method.layers, norm=nn.LayerNorm(size), enable_nested_tensor=False
        )

    def tables(self, vectors: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Points of all forms as they are read, and of the known ones as they are foretold."""
        points = self.space.vectors(vectors)
        # Known and unknown forms apart: how a known one is rounded must not depend on how many are unknown.
        read = [self.space.read(part) for part in points.split([self.known, len(points) - self.known])]
        return torch.cat(read), self.space.foretold(points[: self.known])

    def forward(self, read: Tensor, codes: Tensor, present: Tensor, hidden: Tensor) -> Tensor:
        """Returns states (rows, lines, size) for codes, and flags of what is there and of what is hidden."""
        points = torch.where(hidden[..., None], self.mask, functional.embedding(codes, read))
        states: Tensor = self.layers(points + self.places[: codes.shape[1]], src_key_padding_mask=~present)
        return states


class _Questions(NamedTuple):
    """Lines that are each hidden in turn: the piece around each, its place in it, its line."""

    starts: Ints
    sizes: Ints
    places: Ints
    lines: Ints


@dataclass(eq=False)
class MaskedLine:
    """Hides each line in turn and foretells its form from all other lines of the group.

    LogBERT (Guo, Yuan, Wu, "LogBERT: Log Anomaly Detection via BERT", IJCNN 2021), its masked-line half,
    with lines read by their embeddings, and so the forms that are foretold. A line's score is how unlikely
    its form was, in bits, at most `WORST_BITS`; of an unknown form more, and the more the farther it is from
    all known ones.

    Groups longer than `max_lines` are cut, and a line is foretold from its piece. Of the lines of known forms
    in a group at most `max_questions` are hidden in turn, drawn by the seed and by how many there are: the
    mean is of those, the maximum too. Lines of unknown forms all count.

    Args:
        score_by: "mean" or "max" of the scores of a group's lines.
        identities: Learn an embedding for each form, and leave the encoder's: LogBERT as it was.
        mask_share: Share of lines that are hidden in training, at least one in a piece.
        max_lines: Lines of a piece.
        max_questions: Lines of a group that are hidden in turn, at most.
        size: Width of the transformer.
        layers: Its layers.
        heads: Its attention heads; they divide `size`.
        dropout: In training.
        steps: Steps of training.
        batch_size: Pieces of a step.
        learning_rate: The highest.
        seed: Of weights, order, hidden lines and questions.

    Raises:
        InputError: A setting is out of range.
    """

    score_by: str = "mean"
    identities: bool = False
    mask_share: float = 0.15
    max_lines: int = 128
    max_questions: int = 512
    size: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.0
    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 3e-3
    seed: int = 0
    _network: _Network | None = field(default=None, init=False, repr=False)

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.score_by not in SCORES:
            raise InputError(
                f"score_by cannot be {self.score_by!r}", remedy=f"Give one of {', '.join(SCORES)}"
            )
        if self.max_lines < 2 or self.max_questions < 1:
            raise InputError(
                f"max_lines is {self.max_lines} and max_questions {self.max_questions}",
                remedy="Give pieces of two lines at least, and one question at least",
            )

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns which lines stand together, and in which order, in normal groups.

        Raises:
            InputError: None is normal, or none of the lines has a known form.
        """
        view = normal_groups(view, labels)
        if not (view.groups.codes < view.known).any():
            raise InputError("no line has a known form", remedy="Fit on groups whose forms are known")
        groups, _, copies = view.groups.distinct()
        pieces = cut(groups, self.max_lines)
        with seeded(self.seed):
            network = _Network(view.known, view.vectors.shape[1], self)
            network.space.put_on_scale(view.vectors)

            def loss(batch: Ints) -> Tensor:
                sizes = pieces.sizes[batch]
                codes, present = padded(groups.codes, pieces.starts[batch], sizes, int(sizes.max()))
                return self._loss(network, view.vectors, codes, present)

            train(
                network,
                loss,
                damped(copies[pieces.owners]),
                batch_size=self.batch_size,
                steps=self.steps,
                learning_rate=self.learning_rate,
                seed=self.seed,
            )
        self._network = network
        return self

    def _loss(
        self, network: _Network, vectors: NDArray[np.float32], codes: Tensor, present: Tensor
    ) -> Tensor:
        """Cross-entropy of hidden lines, of known forms all, at least one in a piece that has any."""
        draw = torch.rand(codes.shape).masked_fill(~present | (codes >= network.known), 2.0)
        first = draw.min(dim=1, keepdim=True).values
        hidden = (draw <= first.clamp(min=self.mask_share)) & (draw <= 1.0)
        read, foretold = network.tables(vectors)
        states = network(read, codes, present, hidden)[hidden]
        losses = functional.cross_entropy(states @ foretold.T, codes[hidden], reduction="sum")
        return losses / hidden.sum().clamp(min=1)

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,), in bits; higher is more anomalous."""
        groups, place, _ = view.groups.distinct()
        distinct = replace(view, groups=groups)
        scores = self._line_scores(distinct)
        starts, asked = groups.offsets[:-1], ~np.isnan(scores)
        if self.score_by == "max":
            found: Floats = np.fmax.reduceat(scores, starts)[place]
            return found
        # What was asked of the lines of known forms stands for those that were not.
        unknown = distinct.unknown_lines
        is_known = groups.codes < view.known
        total = np.add.reduceat(np.where(asked & is_known, scores, 0.0), starts)
        mean = total / np.maximum(np.add.reduceat((asked & is_known).astype(np.int64), starts), 1)
        worst = np.add.reduceat(np.where(is_known, 0.0, scores), starts)
        means: Floats = ((mean * (groups.sizes - unknown) + worst) / groups.sizes)[place]
        return means

    def line_scores(self, view: View) -> Floats:
        """Scores lines in bits, shape (lines,); NaN where a line of a long group was not asked for."""
        return self._line_scores(view)

    def state(self) -> State:
        """Returns what is to be saved."""
        network = fitted(self._network)
        return state_of(self, network, known=network.known, width=len(network.space.centre))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls(**state.config["settings"])
        method._network = _Network(state.config["known"], state.config["width"], method)
        fill(method._network, state.arrays)
        return method

    def _line_scores(self, view: View) -> Floats:
        network: _Network = fitted(self._network)
        scores = np.where(
            view.groups.codes < view.known, np.nan, worst_scores(view, WORST_BITS)[view.groups.codes]
        )
        with torch.inference_mode():
            tables = network.tables(view.vectors)
            for questions in self._questions(view.groups, view.known):
                scores[questions.lines] = self._answer(network, tables, view.groups, questions)
        return scores

    def _questions(self, groups: Groups, known: int) -> Iterator[_Questions]:
        """Yields, for blocks of groups, which lines are hidden in turn."""
        pieces = cut(groups, self.max_lines)
        chosen = self._chosen(groups, known)
        for start in range(0, len(chosen), _BLOCK):
            lines = chosen[start : start + _BLOCK]
            piece = np.searchsorted(pieces.starts, lines, side="right") - 1
            yield _Questions(pieces.starts[piece], pieces.sizes[piece], lines - pieces.starts[piece], lines)

    def _chosen(self, groups: Groups, known: int) -> Ints:
        """Lines that are hidden in turn: all of known forms, or a sample of them in long groups."""
        lines = np.flatnonzero(groups.codes < known)
        firsts = np.searchsorted(lines, groups.offsets)
        keep = np.ones(len(lines), dtype=bool)
        for group in np.flatnonzero(np.diff(firsts) > self.max_questions):
            first, last = firsts[group], firsts[group + 1]
            draw = np.random.default_rng([self.seed, int(last - first)])
            keep[first:last] = False
            keep[first + draw.choice(last - first, self.max_questions, replace=False)] = True
        return lines[keep]

    def _answer(
        self, network: _Network, tables: tuple[Tensor, Tensor], groups: Groups, questions: _Questions
    ) -> Floats:
        """How unlikely each hidden line was, in bits."""
        found = np.empty(len(questions.lines))
        read, foretold = tables
        for batch, length, count in fixed_batches(questions.sizes, self.max_lines):
            starts, sizes = questions.starts[batch], questions.sizes[batch]
            codes, present = padded(groups.codes, starts, sizes, length)
            place = torch.from_numpy(questions.places[batch])
            hidden = torch.arange(length) == place[:, None]
            states = network(read, codes, present, hidden)[hidden]
            losses = functional.cross_entropy((states @ foretold.T).double(), codes[hidden], reduction="none")
            bits = (losses / np.log(2.0)).clamp(min=0.0, max=WORST_BITS)
            found[batch[:count]] = bits[:count].numpy()
        return found
