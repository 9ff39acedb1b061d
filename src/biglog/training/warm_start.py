"""The start of training on pairs: token embeddings alone, as if a line were the bag of its tokens.

An embedding has to be learnt for each of thousands of tokens, most of them rare, and a step of the whole
model is many times as dear as one of the embeddings. So these come first, in large batches that see every
statement several times; the layers begin as if they were not there, and learn what context adds. Static
embeddings are distilled in this way too (Model2Vec, https://github.com/MinishLab/model2vec).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from biglog.training.joint import JointModel
from biglog.training.objectives import Objectives
from modeling_biglog.functional_biglog import masked_mean

RESIDUAL_STD = 0.002
"""Standard deviation of what layers add at first: nearly nothing, but not the same for all."""

WARMUP = 0.05
LEARNING_RATE = 3e-3
_DRAWS = 1_000_003
"""Added to the seed of pairs, so that the start draws others than the training after it."""


def warm_start(model: JointModel, objectives: Objectives, *, steps: int, pairs: int) -> None:
    """Trains embeddings, last normalisation and heads for pairs of a model, and quiets its layers.

    Without what its layers add, a model is its embeddings, normalised: all normalisations but the last are
    left as they begin, so that several after one another are as one.

    Args:
        model: Is changed.
        objectives: Draws the pairs.
        steps: How many.
        pairs: Of a batch.
    """
    layers = cast(Any, model.bert.encoder).layer
    for layer in layers:
        for block in (layer.attention.output, layer.output):
            nn.init.normal_(block.dense.weight, std=RESIDUAL_STD)
            nn.init.zeros_(block.dense.bias)
    embeddings, last = cast(Any, model.bert.embeddings), layers[-1].output.LayerNorm

    def pooled(ids: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(last(embeddings(input_ids=ids)), mask)

    learnt = [p for name, p in embeddings.named_parameters() if "LayerNorm" not in name]
    learnt += [*last.parameters(), *model.severity.parameters(), *model.teacher.parameters()]
    optimizer = torch.optim.AdamW(learnt, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    drawn = replace(objectives, pairs=pairs, seed=objectives.seed + _DRAWS)
    was_training = model.training
    model.train()
    for step in range(steps):
        rate = LEARNING_RATE * min(1.0, (step + 1) / (WARMUP * steps)) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        model.weighted(model.pair_losses(drawn.batch(step), pooled)).backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
    model.zero_grad()
    model.train(was_training)
