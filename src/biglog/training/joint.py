"""The model that is trained where more than tokens are learnt: the encoder, its token head, and heads that
stay behind.

Identity, severity and the teacher's meaning are learnt on the line embedding, the masked mean that every user
of a checkpoint gets: what they need is in the encoder, so a checkpoint has BERT's weights and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from modeling_biglog import BigLogConfig, BigLogForMaskedLM, BigLogForPreTraining
from modeling_biglog.functional_biglog import Items
from modeling_biglog.modeling_biglog import BigLogForPreTrainingOutput

LOSSES = ("identity", "severity", "teacher")


class JointModel(BigLogForPreTraining):
    """Masked tokens and line order, as its base; identity, severity and teacher on pairs of lines.

    The losses of pairs are means over their batch. They are added to the loss of tokens with their weights,
    so that several micro-batches or processes count their mean (`set_share`).

    Args:
        config: Of the encoder; `joint_weights`, `joint_temperature` and `joint_teacher_width` are read from
            it.
    """

    _auto_class = None  # type: ignore[assignment]  # only the run itself loads it

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.severity = nn.Linear(config.hidden_size, 1)
        self.teacher = nn.Linear(config.hidden_size, getattr(config, "joint_teacher_width", 0) or 1)
        self.share = 1.0
        self.parts: dict[str, float] = {}
        self.tokens_reach_encoder = True
        self.post_init()

    def set_share(self, micro_batches: int) -> None:
        """Says by how many micro-batches, of all processes, an optimizer step is made up."""
        self.share = 1.0 / micro_batches

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        line_order_labels: Tensor | None = None,
        pairs: dict[str, Any] | None = None,
        num_items_in_batch: Items = None,
    ) -> BigLogForPreTrainingOutput:
        """Computes the loss of rows, and adds those of pairs.

        Args:
            input_ids: As in `BigLogForPreTraining`, and so are the others.
            attention_mask: Likewise.
            position_ids: Likewise.
            labels: Likewise.
            line_order_labels: Likewise.
            pairs: A batch of `Objectives.batch`.
            num_items_in_batch: Labelled tokens of the optimizer step.

        Returns:
            As `BigLogForPreTraining`.
        """
        output = cast(
            BigLogForPreTrainingOutput,
            super().forward(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                labels=labels,
                line_order_labels=line_order_labels,
                num_items_in_batch=num_items_in_batch,
            ),
        )
        if pairs is not None and output.loss is not None:
            losses = self.pair_losses(pairs)
            self.parts = {name: float(loss.detach()) for name, loss in losses.items()}
            if line_order_labels is None:  # else it is mixed with that of the order
                share = 1.0 if num_items_in_batch is None else self.share
                self.parts["tokens"] = float(output.loss.detach()) / share
            tokens = cast(dict[str, float], self.config.joint_weights)["tokens"]
            output.loss = tokens * output.loss + self.share * self.weighted(losses)
        return output

    def _encode(self, *given: Any, **named: Any) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Token states of rows, without gradients once tokens are the head's alone to learn."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tokens_reach_encoder):
            return super()._encode(*given, **named)

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """Adds losses of pairs up with their weights."""
        weights = cast(dict[str, float], self.config.joint_weights)
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    def pair_losses(
        self, pairs: dict[str, Any], pool: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Computes the losses of a batch of pairs.

        Args:
            pairs: A batch of `Objectives.batch`.
            pool: Line embeddings of ids and mask, (lines, hidden); by default those of the encoder.

        Returns:
            A scalar by name, of those that have a weight.
        """
        weights = cast(dict[str, float], self.config.joint_weights)
        chunks = list(zip(pairs["input_ids"], pairs["attention_mask"], strict=True))
        pooled = self._pooled(chunks) if pool is None else [pool(ids, mask) for ids, mask in chunks]
        lines = functional.normalize(torch.cat(pooled)[pairs["place"]].float(), dim=-1)
        both = 2 * len(pairs["severe"])
        losses: dict[str, Tensor] = {}
        if weights["identity"]:
            losses["identity"] = info_nce(lines[:both], pairs["alike"], float(self.config.joint_temperature))
        if weights["severity"]:
            losses["severity"] = self._severity_loss(lines[:both], pairs["severe"])
        if weights["teacher"] and len(pairs.get("taught", ())):
            guessed = self.teacher(lines[pairs["taught"]])
            losses["teacher"] = 1 - functional.cosine_similarity(guessed, pairs["teacher"]).mean()
        return losses

    def _pooled(self, chunks: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """Line embeddings of chunks. Words are looked up once: each look-up costs a gradient of all words."""
        words = self.bert.embeddings.word_embeddings(torch.cat([ids.flatten() for ids, _ in chunks]))
        parts = words.split([ids.numel() for ids, _ in chunks])
        return [
            cast(
                Tensor, self.bert(inputs_embeds=part.view(*mask.shape, -1), attention_mask=mask).pooler_output
            )
            for part, (_, mask) in zip(parts, chunks, strict=True)
        ]

    def _severity_loss(self, lines: Tensor, severe: Tensor) -> Tensor:
        both = severe.repeat(2)
        known = both >= 0
        # Without any level in the batch the loss is 0, and still has a gradient for every process to share.
        guessed = self.severity(lines)[:, 0][known]
        total = functional.binary_cross_entropy_with_logits(guessed, both[known], reduction="sum")
        return total / known.sum().clamp(min=1)


def info_nce(lines: Tensor, alike: Tensor, temperature: float) -> Tensor:
    """Contrasts pairs with each other (InfoNCE, symmetric).

    Args:
        lines: (2 pairs, hidden), of length 1: all firsts, then all seconds.
        alike: (pairs, pairs), true where a second is no negative of a first.
        temperature: Of the softmax.

    Returns:
        A scalar: the mean of both directions.
    """
    count = len(lines) // 2
    # In half precision a cosine near 1 is known to 0.4 %, which the temperature makes 6 %.
    with torch.autocast(lines.device.type, enabled=False):
        likeness = lines[:count] @ lines[count:].T / temperature
    likeness = likeness.masked_fill(alike, float("-inf"))
    target = torch.arange(count, device=lines.device)
    forth, back = functional.cross_entropy(likeness, target), functional.cross_entropy(likeness.T, target)
    return (forth + back) / 2


def joint_model(
    start: BigLogForMaskedLM | BigLogForPreTraining,
    *,
    weights: dict[str, float],
    temperature: float,
    teacher_width: int | None,
) -> JointModel:
    """Returns a model with the weights of another, and heads that begin at random.

    Args:
        start: Where training starts.
        weights: Of each of `LOSSES`, and of ``tokens``.
        temperature: Of the contrast.
        teacher_width: Width of the teacher's embeddings; None without a teacher.
    """
    config = BigLogConfig.from_dict(start.config.to_dict())
    config.joint_weights, config.joint_temperature = weights, temperature
    config.joint_teacher_width = teacher_width
    model = JointModel(config)
    model.load_state_dict(start.state_dict(), strict=False)
    return model


def without_joint_heads(model: JointModel, kind: type[BigLogForMaskedLM | BigLogForPreTraining]) -> Any:
    """Returns what a checkpoint holds: the encoder and the heads of a class of ours, in evaluation mode."""
    fields = {k: v for k, v in model.config.to_dict().items() if not k.startswith("joint_")}
    bare = kind(BigLogConfig.from_dict(fields))
    wanted = bare.state_dict().keys()
    bare.load_state_dict({name: value for name, value in model.state_dict().items() if name in wanted})
    return bare.eval()
