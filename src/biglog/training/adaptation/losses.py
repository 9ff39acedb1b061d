"""Losses that weigh rows and classes, and the module that the ordinary loop trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from modeling_biglog.functional_biglog import IGNORED_LABEL, Items, mean_loss


def weighted_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None, class_weights: Tensor, items: Items = None
) -> Tensor:
    """Cross-entropy of labelled items, each times the weight of its row and of its class.

    The sum is divided by the number of labelled items, and not by the sum of their weights: weights are 1 in
    the mean over all rows, and so a batch of heavy rows counts more.

    Args:
        logits: (rows, ..., classes).
        labels: (rows, ...), -100 where there is none.
        weights: (rows,); None for ones.
        class_weights: (classes,).
        items: Labelled items of the whole optimizer step; None takes those given here.
    """
    flat = labels.reshape(-1)
    losses = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), flat, ignore_index=IGNORED_LABEL, reduction="none"
    )
    weighed = losses * class_weights[flat.clamp(min=0)]
    if weights is not None:
        weighed = weighed * weights.reshape(-1, 1).expand(len(weights), labels[0].numel()).reshape(-1)
    return mean_loss(weighed.sum(), labels, items)


class WeighedModel(nn.Module):
    """A model with a head, whose loss weighs rows and classes; what the Trainer trains.

    Lines that come several times in a batch may be given once, with the place of each line among them: then
    they are computed once. It is all in `forward`, so that data parallelism sees every use of a weight.

    Args:
        model: With a head, perhaps with adapters around it.
        head: One of `sequence`, `token` and `window`.
        class_weights: Weight of each class.
    """

    accepts_loss_kwargs = True

    def __init__(self, model: nn.Module, head: str, class_weights: Tensor) -> None:
        super().__init__()
        self.model, self.head = model, head
        self.register_buffer("class_weights", class_weights.float(), persistent=False)

    @property
    def config(self) -> Any:
        """The model's."""
        return self.model.config

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Returns the weights that learn: with those of the base, a checkpoint would hold some twice."""
        learns = self._learning()
        prefix = kwargs.get("prefix", "")
        whole: dict[str, Any] = super().state_dict(*args, **kwargs)
        return {name: value for name, value in whole.items() if name.removeprefix(prefix) in learns}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Takes the weights that learn; those of the base are there."""
        found = super().load_state_dict(state_dict, strict=False)
        return type(found)(sorted(self._learning() & set(found.missing_keys)), found.unexpected_keys)

    def _learning(self) -> set[str]:
        return {name for name, weight in self.named_parameters() if weight.requires_grad}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        line_index: Tensor | None = None,
        line_mask: Tensor | None = None,
        num_items_in_batch: Items = None,
    ) -> dict[str, Tensor]:
        """Answers rows.

        Args:
            input_ids: (lines, tokens), or of windows without `line_index` (rows, lines, tokens).
            attention_mask: As `input_ids`.
            labels: (rows,), or of words (rows, tokens), -100 where there is none.
            weights: (rows,).
            line_index: Which line each row is, (rows,), or of windows (rows, lines).
            line_mask: 1 where a window has a line, (rows, lines); with `line_index`.
            num_items_in_batch: As of `weighted_loss`; the Trainer passes it.
        """
        if self.head == "window" and line_index is not None:
            logits = self._windows(input_ids, attention_mask, line_index, cast(Tensor, line_mask))
        else:
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            logits = logits if line_index is None else logits[line_index]
        if labels is None:
            return {"logits": logits}
        weighing = cast(Tensor, self.class_weights)
        return {
            "loss": weighted_loss(logits, labels, weights, weighing, num_items_in_batch),
            "logits": logits,
        }

    def _windows(self, ids: Tensor, mask: Tensor, index: Tensor, present: Tensor) -> Tensor:
        lines = encoder_of(self.model)(input_ids=ids, attention_mask=mask).pooler_output
        embedded = functional.embedding(index, lines) * present.unsqueeze(-1)
        answered: Tensor = self.model(line_embeddings=embedded, line_mask=present).logits
        return answered


def unwrapped(model: nn.Module) -> Any:
    """The model of ours inside adapters, if there are any."""
    inside = getattr(model, "get_base_model", None)
    return model if inside is None else inside()


def encoder_of(model: nn.Module) -> Any:
    """The encoder of a model with a head, adapters included."""
    return unwrapped(model).bert


def parameter_counts(model: nn.Module) -> dict[str, float | int]:
    """How many parameters there are, and how many learn, of head and encoder.

    Returns:
        `total`, `trained` and `share` (trained of all); `trained_encoder` are those outside of the head
        (adapters too), and `share_encoder` how many these are of all.
    """
    named = [(name, p.numel(), p.requires_grad) for name, p in model.named_parameters()]
    total = sum(size for _, size, _ in named)
    trained = sum(size for _, size, learns in named if learns)
    encoder = sum(size for name, size, learns in named if learns and "classifier." not in name)
    shares = {"share": trained / total, "share_encoder": encoder / total}
    return {"total": total, "trained": trained, "trained_encoder": encoder} | shares


def trained_weights(model: nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that learn."""
    return [weight for weight in model.parameters() if weight.requires_grad]
