"""A classifier of windows and sessions: attention over the embeddings of their lines."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertEncoder

from .configuration_biglog import BigLogConfig
from .functional_biglog import Items, attended_tokens, classification_loss
from .modeling_biglog import _IGNORED_BY_CLASSIFIERS, BigLogModelWithHead


class BigLogWindowHead(nn.Module):
    """Line positions, `window_layers` BERT layers over the lines of a window, attention pooling, logits.

    It is one module, called `classifier`, so that PEFT's `SEQ_CLS` task trains and saves all of it.
    """

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__()
        self.config = copy.deepcopy(config)
        self.config.num_hidden_layers = config.window_layers
        self.config.num_attention_heads = config.window_heads or config.num_attention_heads
        dropout = config.classifier_dropout
        self.positions = nn.Embedding(config.max_window_lines, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.layers = BertEncoder(self.config)
        self.pooling = nn.Linear(config.hidden_size, 1)
        self.output = nn.Linear(config.hidden_size, cast(int, config.num_labels))

    def forward(self, line_embeddings: Tensor, line_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classifies windows of line embeddings.

        Args:
            line_embeddings: (batch, lines, hidden).
            line_mask: (batch, lines), non-zero where there is a line.

        Returns:
            Logits (batch, num_labels), line states (batch, lines, hidden), and the weight of each line in the
            pooled window (batch, lines): 0 where the mask is 0, and 1 in sum.
        """
        present = line_mask.ne(0)
        # A window without any line looks at its first place, so that it has an answer and not NaN.
        first = torch.arange(present.shape[1], device=present.device).eq(0)
        present = present | (~present.any(dim=1, keepdim=True) & first)
        states = line_embeddings.to(self.norm.weight.dtype) + self.positions.weight[: present.shape[1]]
        states = self.dropout(self.norm(states))
        attended = create_bidirectional_mask(
            config=self.config, inputs_embeds=states, attention_mask=present.long()
        )
        states = self.layers(states, attention_mask=attended).last_hidden_state
        scores = self.pooling(states).squeeze(-1).float().masked_fill(~present, float("-inf"))
        weights = scores.softmax(dim=-1).to(states.dtype)
        pooled = torch.einsum("bl,blh->bh", weights, states)
        return self.output(self.dropout(pooled)), states, weights


class BigLogForWindowClassification(BigLogModelWithHead):
    """The encoder with a head that classifies a window (or session) of lines.

    Lines come as token ids, or as embeddings computed before (`BigLogModel(...).pooler_output`). The answer
    is the same, and with `config.freeze_encoder` so is what the head learns, at a fraction of the cost: logs
    repeat their lines. To train on embeddings, set `freeze_encoder`; the encoder gets no gradients from them.

    `AutoModelForSequenceClassification` loads it too, going by the `architectures` of its config.
    """

    _auto_class = "AutoModelForSequenceClassification"
    _keys_to_ignore_on_load_unexpected = _IGNORED_BY_CLASSIFIERS

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.num_labels = cast(int, config.num_labels)
        self.classifier = BigLogWindowHead(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        line_embeddings: Tensor | None = None,
        line_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Items = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Any, ...]:
        """Classifies windows.

        Args:
            input_ids: (batch, lines, tokens) token ids.
            attention_mask: (batch, lines, tokens), 1 where a token is attended; default as in `BigLogModel`.
            line_embeddings: (batch, lines, hidden) in place of `input_ids`.
            line_mask: (batch, lines), 1 where there is a line, 0 where the window is padded. By default a
                line is there if one of its tokens is attended; of `line_embeddings`, every one is.
            inputs_embeds: (batch, lines, tokens, hidden) in place of `input_ids`.
            labels: As in `BigLogForSequenceClassification`, one a window.
            num_items_in_batch: Labels of the whole optimizer step; the Trainer passes it.
            output_attentions: Return the weight of each line in the pooled window, (batch, lines).
            output_hidden_states: Return the line states after the last layer, (batch, lines, hidden).
            return_dict: False returns a tuple.

        Returns:
            `loss`, `logits` (batch, num_labels), and, if asked for, `hidden_states` and `attentions`, one
            each.

        Raises:
            ValueError: If not exactly one kind of input is given, or if a window is too long.
        """
        given = [value for value in (input_ids, inputs_embeds, line_embeddings) if value is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of input_ids, inputs_embeds and line_embeddings")
        lines, longest = given[0].shape[1], self.config.max_window_lines
        if lines > longest:
            raise ValueError(f"a window of {lines} lines is longer than max_window_lines ({longest})")
        if line_embeddings is None:
            line_embeddings, line_mask = self._line_embeddings(
                input_ids, attention_mask, inputs_embeds, line_mask
            )
        elif line_mask is None:
            line_mask = torch.ones(line_embeddings.shape[:2], dtype=torch.long, device=line_embeddings.device)
        logits, states, weights = self.classifier(line_embeddings, line_mask)
        loss = None
        if labels is not None:
            loss = classification_loss(self.config, logits, labels, num_items_in_batch)
        output = SequenceClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=(states,) if output_hidden_states else None,
            attentions=(weights,) if output_attentions else None,
        )
        return self._returned(output, return_dict)

    def _line_embeddings(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        inputs_embeds: Tensor | None,
        line_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Encodes the lines that are there, leaves zeros in the padded places, and says which is which."""
        if attention_mask is None:
            attention_mask = attended_tokens(self.config, input_ids, inputs_embeds)
        if line_mask is None:
            line_mask = attention_mask.ne(0).any(dim=-1).long()
        present = line_mask.ne(0)
        embeddings = torch.zeros(
            *line_mask.shape, self.config.hidden_size, device=line_mask.device, dtype=self.dtype
        )
        if not present.any():
            return embeddings, line_mask
        _, pooled, _ = self._encode(
            None if input_ids is None else input_ids[present],
            attention_mask[present],
            inputs_embeds=None if inputs_embeds is None else inputs_embeds[present],
        )
        pooled = cast(Tensor, pooled)
        return embeddings.to(pooled.dtype).index_put((present,), pooled), line_mask


__all__ = ["BigLogForWindowClassification", "BigLogWindowHead"]
