"""The arithmetic of the models: pooling, the default attention mask, and losses that add up.

The loss of every head is a *sum* divided by the number of labelled items in the whole optimizer step, which
the Trainer passes as `num_items_in_batch`. So gradient accumulation and several processes change neither loss
nor gradients, however unevenly labels fall on micro-batches. Without it, a head divides by the labels it was
given.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .configuration_biglog import BigLogConfig

IGNORED_LABEL = -100
"""Label of tokens, lines or windows that no loss looks at (PyTorch's and the Trainer's convention)."""

Items = Tensor | int | None
"""What the Trainer passes as `num_items_in_batch`."""


def masked_mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Averages token states over the attended tokens, `[CLS]` and `[SEP]` included.

    Args:
        states: (batch, tokens, hidden).
        attention_mask: (batch, tokens), non-zero where a token counts.

    Returns:
        (batch, hidden), in the dtype of `states`; zeros where nothing is attended. It is summed in float32,
        because bfloat16 loses whole tokens when it adds up 150 of them.
    """
    weights = attention_mask.ne(0).to(torch.float32).unsqueeze(-1)
    total = (states.to(torch.float32) * weights).sum(dim=1)
    return (total / weights.sum(dim=1).clamp(min=1)).to(states.dtype)


def pooled_at(states: Tensor, attention_mask: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    """Averages token states over what some tokens attend: over their own line, where lines are packed.

    Args:
        states: (batch, tokens, hidden).
        attention_mask: (batch, tokens), or (batch, 1, tokens, tokens) for packed rows.
        rows: (places,), in which row each of these tokens is.
        tokens: (places,), at which place in it.

    Returns:
        (places, hidden), as `masked_mean` has it.
    """
    attended = attention_mask[rows, 0, tokens] if attention_mask.dim() == 4 else attention_mask[rows]
    return masked_mean(states[rows], attended)


def attended_tokens(config: BigLogConfig, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
    """The attention mask to use where none is given: every token that is not padding.

    Args:
        config: Names the padding token.
        input_ids: (..., tokens), or None.
        inputs_embeds: (..., tokens, hidden), looked at without `input_ids`: padding can't be told from it.

    Returns:
        (..., tokens), int64.

    Raises:
        ValueError: If both are None.
    """
    if input_ids is not None:
        pad = config.pad_token_id
        return torch.ones_like(input_ids) if pad is None else input_ids.ne(pad).long()
    if inputs_embeds is None:
        raise ValueError("give input_ids or inputs_embeds")
    return torch.ones(inputs_embeds.shape[:-1], dtype=torch.long, device=inputs_embeds.device)


def mean_loss(total: Tensor, labels: Tensor, num_items_in_batch: Items) -> Tensor:
    """Divides a sum of losses by the labelled items of the optimizer step, or else by those of this call.

    Args:
        total: The sum.
        labels: Labels of this call, -100 where there is none.
        num_items_in_batch: Labelled items of the step, or None.

    Returns:
        The mean; 0, not NaN, where a step has no labels at all.
    """
    items = labels.ne(IGNORED_LABEL).sum() if num_items_in_batch is None else num_items_in_batch
    return total / torch.as_tensor(items, device=total.device).clamp(min=1)


def cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum of the cross-entropies of labelled items, in float32.

    Args:
        logits: (..., classes).
        labels: (...), class indices, -100 where there is none.

    Returns:
        A scalar.
    """
    flat = logits.reshape(-1, logits.shape[-1]).float()
    return functional.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED_LABEL, reduction="sum")


def classification_loss(config: BigLogConfig, logits: Tensor, labels: Tensor, items: Items) -> Tensor:
    """Loss of one label (or number, or set of labels) a row.

    Args:
        config: Its `problem_type` chooses the loss. Where it is None it is set as BERT's heads set it, from
            `num_labels` and the dtype of the labels; pipelines read it to choose between softmax and sigmoid.
        logits: (batch, num_labels).
        labels: (batch,) class indices or numbers, or (batch, num_labels) floats for several classes at once.
        items: Labels of the whole optimizer step, or None.

    Returns:
        A scalar.
    """
    if config.problem_type is None:
        single = labels.dtype in (torch.long, torch.int)
        if config.num_labels == 1:
            config.problem_type = "regression"
        else:
            config.problem_type = "single_label_classification" if single else "multi_label_classification"
    if config.problem_type == "single_label_classification":
        return mean_loss(cross_entropy_sum(logits, labels), labels, items)
    kept = labels.reshape(-1).ne(IGNORED_LABEL)
    answers, targets = logits.reshape(-1).float()[kept], labels.reshape(-1).float()[kept]
    if config.problem_type == "regression":
        return mean_loss(functional.mse_loss(answers, targets, reduction="sum"), labels, items)
    total = functional.binary_cross_entropy_with_logits(answers, targets, reduction="sum")
    return mean_loss(total, labels, items)
