"""Small models, built from a seed, and batches of token ids for them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from modeling_biglog import (
    BigLogConfig,
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForTokenClassification,
    BigLogForWindowClassification,
    BigLogModel,
)

HEADS = (
    BigLogForMaskedLM,
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForTokenClassification,
    BigLogForWindowClassification,
)
MODELS = (BigLogModel, *HEADS)
VOCABULARY = 64
Model = TypeVar("Model", bound=PreTrainedModel)


def config(**fields: Any) -> BigLogConfig:
    """Two layers of width 32 over 64 tokens, without dropout unless asked for."""
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_window_lines": 16,
        "window_layers": 1,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return BigLogConfig(**shape | fields)


def build(cls: type[Model], seed: int = 0, **fields: Any) -> Model:
    """A model in evaluation mode with weights large enough that every part of it matters."""
    torch.manual_seed(seed)
    return cls(config(initializer_range=0.2, **fields)).eval()


def lines(rows: int = 6, longest: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Right-padded token ids of lines of 2 to `longest` tokens, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (rows,), generator=generator)
    lengths[0] = longest
    mask = (torch.arange(longest) < lengths[:, None]).long()
    ids = torch.randint(1, VOCABULARY, (rows, longest), generator=generator)
    return {"input_ids": ids * mask, "attention_mask": mask}


def windows(batch: int = 3, longest: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """Windows of 1 to `longest` such lines, padded with empty ones."""
    flat = lines(batch * longest, seed=seed)
    counts = torch.arange(batch) % longest + 1
    there = (torch.arange(longest) < counts[:, None]).long()
    shaped = {name: value.view(batch, longest, -1) * there[..., None] for name, value in flat.items()}
    return shaped | {"line_mask": there}


def inputs_for(model: PreTrainedModel) -> dict[str, Tensor]:
    """Inputs that the class of `model` takes."""
    return windows() if isinstance(model, BigLogForWindowClassification) else lines()


def labels_for(model: PreTrainedModel, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Labels for them; every third token is labelled where tokens are."""
    ids = inputs["input_ids"]
    rows = torch.arange(len(ids)) % 2
    tokens = torch.where((ids > 0) & (ids % 3 == 0), ids, -100)
    if isinstance(model, BigLogForMaskedLM):
        return {"labels": tokens}
    if isinstance(model, BigLogForPreTraining):
        return {"labels": tokens, "line_order_labels": rows}
    if isinstance(model, BigLogForTokenClassification):
        return {"labels": torch.where(tokens > 0, tokens % 2, -100)}
    return {"labels": rows}
