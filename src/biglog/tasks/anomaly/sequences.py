"""What learnt models of sequences share: forms as points, pieces of groups, training, batches, state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import get_cosine_schedule_with_warmup

from biglog.errors import InputError
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats, Groups, Ints

WORST_BITS: Final = 32.0
"""What a line of a known form costs at most: beyond it a model has nothing to tell."""

LENGTH_STEP: Final = 8
"""Padded lengths are multiples of this many lines."""

BATCH_LINES: Final = 512
"""Padded lines of a batch that is scored."""

_LARGEST_GRADIENT = 1.0
_WARM_UP = 20


class FormSpace(nn.Module):
    """Forms as points of a small space, once as what is read and once as what is foretold.

    Both are projections of the embedding, so that a new wording lies near its old one. Encoders crowd their
    embeddings into a cone: the mean of the known forms is taken off, and what is left put on one scale.

    Args:
        known: Known forms.
        width: Width of an embedding.
        size: Width of a point.
        identities: Learn an embedding for each known form in place of the encoder's; unknown forms have none
            and lie at the origin.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, known: int, width: int, size: int, *, identities: bool = False) -> None:
        super().__init__()
        self.known = known
        self.identities = nn.Embedding(known, width) if identities else None
        self.read = nn.Linear(width, size)
        self.foretold = nn.Linear(width, size)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(1))

    def put_on_scale(self, vectors: NDArray[np.float32]) -> None:
        """Learns centre and scale of the known forms.

        Args:
            vectors: Embeddings of all forms, the known ones first, shape (forms, width).
        """
        known = torch.from_numpy(vectors[: self.known])
        self.centre.copy_(known.mean(dim=0))
        # Without any spread (one known form) everything stays at the origin, whatever the scale.
        self.scale.copy_((known - self.centre).square().mean().sqrt().clamp(min=1e-6))

    def vectors(self, vectors: NDArray[np.float32]) -> Tensor:
        """Returns what is projected, shape (forms, width).

        Args:
            vectors: As in `put_on_scale`.
        """
        if self.identities is None:
            return (torch.from_numpy(vectors) - self.centre) / self.scale
        unknown = len(vectors) - self.known
        return functional.pad(self.identities.weight, (0, 0, 0, unknown))


class Pieces(NamedTuple):
    """Runs of lines that groups are cut into.

    Attributes:
        starts: Where each piece begins in the codes of its groups, shape (pieces,).
        sizes: Its lines, shape (pieces,).
        owners: Its group, ascending, shape (pieces,).
    """

    starts: Ints
    sizes: Ints
    owners: Ints


def cut(groups: Groups, longest: int) -> Pieces:
    """Cuts groups into pieces of `longest` lines, the last of each group shorter.

    Args:
        groups: The groups.
        longest: Lines of a piece.
    """
    counts = -(-groups.sizes // longest)
    owners = np.repeat(np.arange(len(groups)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = groups.offsets[:-1][owners] + within * longest
    return Pieces(starts, np.minimum(longest, groups.offsets[1:][owners] - starts), owners)


def padded(codes: Ints, starts: Ints, sizes: Ints, length: int) -> tuple[Tensor, Tensor]:
    """Lays pieces side by side.

    Args:
        codes: Codes of lines, shape (lines,).
        starts: Where each piece begins, shape (pieces,).
        sizes: Its lines, shape (pieces,).
        length: Places of a row.

    Returns:
        int64 codes, shape (pieces, length), a piece's last line repeated where it has ended; and whether
        there is a line, bool, same shape.
    """
    places = np.arange(length)
    present = places < sizes[:, None]
    lines = starts[:, None] + np.minimum(places, sizes[:, None] - 1)
    return torch.from_numpy(codes[lines].astype(np.int64)), torch.from_numpy(present)


def fixed_batches(sizes: Ints, longest: int) -> Iterator[tuple[Ints, int, int]]:
    """Deals sequences to batches whose shape a sequence's own length alone decides.

    The rounding of a matrix product depends on the shapes multiplied, not on the neighbours: so a sequence
    has the same score whatever it is scored with.

    Args:
        sizes: Lines of each sequence, shape (sequences,).
        longest: No row is padded beyond it.

    Yields:
        Rows of the batch (the first repeated until it is full), its length, and how many of the rows count.
    """
    lengths = np.minimum(longest, -(-sizes // LENGTH_STEP) * LENGTH_STEP)
    order = np.argsort(lengths, kind="stable")
    for length in np.unique(lengths).tolist():
        first, last = np.searchsorted(lengths, [length, length + 1], sorter=order)
        size = max(1, BATCH_LINES // length)
        for start in range(first, last, size):
            rows = order[start : min(start + size, last)]
            filled = np.concatenate([rows, np.full(size - len(rows), rows[0])])
            yield filled, length, len(rows)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws from a seed, and leaves the random numbers of everybody else as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train(
    network: nn.Module,
    loss: Callable[[Ints], Tensor],
    shares: Floats,
    *,
    batch_size: int,
    steps: int,
    learning_rate: float,
    seed: int,
    done: Callable[[int], bool] = lambda step: False,
) -> None:
    """Trains a network for a fixed number of steps at most, so that the cost does not grow with the log.

    Rows are drawn by their shares and not weighed: weights make steps of very different length, and to bound
    the length takes what is frequent for rarer than it is.

    Args:
        network: Put into evaluation mode afterwards.
        loss: Mean loss of some rows.
        shares: How often each row is drawn beside the others, shape (rows,).
        batch_size: Rows of a step.
        steps: Steps of Adam; the learning rate rises during the first twentieth and then falls to 0.
        learning_rate: The highest.
        seed: Of the draws.
        done: Told after each step how many there were, says whether they are enough.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, learning_rate)
    schedule = get_cosine_schedule_with_warmup(optimizer, steps // _WARM_UP, steps)
    draw, ends = np.random.default_rng(seed), np.cumsum(shares)
    for step in range(1, steps + 1):
        network.train()
        # One draw from each equal part of the rows, which varies less than as many from the whole.
        places = (np.arange(batch_size) + draw.random(batch_size)) / batch_size * ends[-1]
        rows = np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)
        optimizer.zero_grad()
        loss(rows).backward()
        nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        network.eval()
        if done(step):
            break


def damped(counts: Ints | Floats) -> Floats:
    """Returns the square root of how often rows came, as shares to draw them by.

    What normal groups do rarely is normal too, and drawn by the number itself it would hardly be seen.
    """
    shares: Floats = np.sqrt(counts)
    return shares


def normal_groups(view: View, labels: Labels | None) -> View:
    """Returns the groups that are normal: all of them, or those with label 0.

    Raises:
        InputError: None is.
    """
    if labels is None:
        return view
    rows = np.flatnonzero(np.asarray(labels) == 0)
    if not len(rows):
        raise InputError("none of the groups is normal", remedy="Give groups with label 0 among them")
    return view.take(rows)


def worst_scores(view: View, worst: float) -> Floats:
    """What a line of each unknown form scores: worse than any known one, and the worse the odder it is.

    Args:
        view: Knows how far each form is from the known ones.
        worst: The worst that a known one can score.

    Returns:
        Shape (forms,); what known forms have means nothing.
    """
    return worst + 1.0 + view.distances


def settings(method: Any) -> dict[str, Any]:
    """Returns what the constructor of a method (a dataclass) was given."""
    return {setting.name: getattr(method, setting.name) for setting in fields(method) if setting.init}


def state_of(method: Any, network: nn.Module, **config: Any) -> State:
    """Returns a method's settings, what else its network's shape needs, and its weights.

    Args:
        method: A dataclass.
        network: The fitted network.
        **config: As JSON has it.
    """
    weights = {name: weight.detach().numpy().copy() for name, weight in network.state_dict().items()}
    return State({"settings": settings(method)} | config, weights)


def fill(network: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Gives a network its weights back, and puts it into evaluation mode.

    Raises:
        ValueError: They are not those of such a network.
    """
    weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    network.eval()


def fitted(network: Any) -> Any:
    """Returns the network of a fitted method.

    Raises:
        InputError: It is None.
    """
    if network is None:
        raise InputError("the method is not fitted", remedy="Call fit before score and state")
    return network
