"""Attention in single precision while the rest is in half: for processors.

Their kernel of bfloat16 attention takes several times as long as that of float32 to go backward over lines of
a few tokens: more than the matrix products gain (torch 2.13, AVX-512).
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME: Final = "sdpa_float32"


def attend_in_float32(model: PreTrainedModel) -> None:
    """Has a model attend in float32, whatever autocast says of the rest.

    Args:
        model: Is changed; with float32 states it computes what `sdpa` does.
    """
    ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.set_attn_implementation(NAME)


def _attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    with torch.autocast(query.device.type, enabled=False):
        states = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask=mask, **options
        )[0]
    return states.to(query.dtype), None
