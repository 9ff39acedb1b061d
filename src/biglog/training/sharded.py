"""Models whose weights are spread over processes (FSDP): as one again, for evaluation and for saving."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def gathered(model: Any) -> Any:
    """Returns a model with all of its weights, in every process.

    All processes must call it at the same time: each gives its share of the weights.

    Args:
        model: One of ours. The parts of a sharded one do not compute by themselves, and its state is in
            pieces.

    Returns:
        The model itself if it is whole, otherwise a whole copy of it, in the same mode and on
        the same device.
    """
    if not isinstance(model, FSDPModule):
        return model
    sharded: Any = model
    kind = type(sharded).__mro__[2]  # fully_shard puts two classes in front of a module's own
    state = {name: _whole(value) for name, value in sharded.state_dict().items()}
    copy: Any = kind(sharded.config)
    copy.load_state_dict(state)
    return copy.to(next(iter(state.values())).device).train(sharded.training)


def finite(gradients: list[Tensor]) -> bool:
    """Returns whether every number of some gradients is one, as far as they lie in this process."""
    parts = [gradient.to_local() if isinstance(gradient, DTensor) else gradient for gradient in gradients]
    return bool(torch.isfinite(torch.stack([part.sum() for part in parts]).sum()))


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
