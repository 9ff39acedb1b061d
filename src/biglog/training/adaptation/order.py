"""The order in which rows are learnt from: a function of seed and epoch, so that all loops agree on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from biglog.tasks.groups import Ints


def epoch_order(rows: int, seed: int, epoch: int) -> Ints:
    """Returns the order of rows in an epoch, shape (rows,)."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


class EpochOrder(Sampler[int]):
    """Draws rows in the order of an epoch.

    Args:
        rows: How many.
        seed: Of the order.

    Attributes:
        epoch: Counted from 0.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self._rows, self._seed, self.epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Goes to an epoch; the Trainer calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self._rows, self._seed, self.epoch).tolist())
