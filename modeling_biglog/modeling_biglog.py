"""The BigLog models: BERT's encoder, a line embedding that needs no learned pooler, heads with exact losses.

State-dict names are BERT's own, so a checkpoint in the authors' format (typed `bert`) loads as it is.

The loss of every head is a *sum* divided by the number of labelled items in the whole optimizer step, which
the Trainer passes as `num_items_in_batch`. So gradient accumulation and several processes change neither loss
nor gradients, however unevenly labels fall on micro-batches. Without it, a head divides by the labels it was
given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from transformers import BertModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.models.bert.modeling_bert import BertLMPredictionHead, BertOnlyMLMHead, BertPreTrainedModel
from transformers.utils.generic import ModelOutput

from .configuration_biglog import BigLogConfig
from .functional_biglog import (
    IGNORED_LABEL,
    Items,
    attended_tokens,
    classification_loss,
    cross_entropy_sum,
    masked_mean,
    mean_loss,
    pooled_at,
)

Output = TypeVar("Output", bound=ModelOutput)

# What a checkpoint may hold and a class need not have: the authors' pooler, and heads of other classes.
_POOLER, _CLASSIFIER = r"^(bert\.)?pooler\.", r"^classifier\."
_IGNORED_BY_ENCODER = [_POOLER, _CLASSIFIER, r"^cls\."]
_IGNORED_BY_MASKED_LM = [_POOLER, _CLASSIFIER, r"^cls\.(seq_relationship|line_order)\."]
_IGNORED_BY_PRETRAINING = [_POOLER, _CLASSIFIER, r"^cls\.seq_relationship\."]
_IGNORED_BY_CLASSIFIERS = [_POOLER, r"^cls\."]
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class BigLogPreTrainedModel(BertPreTrainedModel):
    """Base of the models: BERT's weight names and initialisation, and our config."""

    config: BigLogConfig
    config_class = BigLogConfig
    base_model_prefix = "bert"
    _keys_to_ignore_on_load_unexpected = _IGNORED_BY_ENCODER

    def _returned(self, output: Output, return_dict: bool | None) -> Output | tuple[Any, ...]:
        as_dict = self.config.return_dict if return_dict is None else return_dict
        return output if as_dict else output.to_tuple()


class BigLogModel(BigLogPreTrainedModel, BertModel):
    """The encoder. `pooler_output` is the line embedding: the mean of `last_hidden_state` over attended
    tokens.

    There is no learned pooler. A masked-language-model checkpoint has none to load, and one that starts at
    random would spoil whatever reads it.

    Example:
        >>> model = BigLogModel(BigLogConfig(hidden_size=64, num_hidden_layers=1,
        num_attention_heads=2)).eval() >>> model(torch.tensor([[7, 4711, 8, 0]])).pooler_output.shape  # the
        last token is padding torch.Size([1, 64])
    """

    _auto_class = "AutoModel"

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config, add_pooling_layer=False)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling | tuple[Any, ...]:
        """Encodes lines.

        Args:
            input_ids: (batch, tokens) token ids.
            attention_mask: (batch, tokens), 1 where a token is attended. Without it, every token other than
                `config.pad_token_id` is (BERT would attend to padding). A 4-D boolean mask (batch, 1, tokens,
                tokens) packs several lines into a row; then `pooler_output` is None, because a row is no
                line.
            token_type_ids: (batch, tokens), 0 or 1: the first or the second line of a pair. Default all 0.
            position_ids: (batch, tokens), default 0, 1, 2 ...
            inputs_embeds: (batch, tokens, hidden) in place of `input_ids`.
            output_attentions: Return the attention weights (needs `attn_implementation="eager"`).
            output_hidden_states: Return the states of every layer.
            return_dict: False returns a tuple.

        Returns:
            `last_hidden_state` (batch, tokens, hidden), `pooler_output` (batch, hidden), and what was asked
            for.

        Raises:
            ValueError: If not exactly one of `input_ids` and `inputs_embeds` is given.
        """
        if attention_mask is None:
            attention_mask = attended_tokens(self.config, input_ids, inputs_embeds)
        asked = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        encoded = super().forward(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **{name: value for name, value in asked.items() if value is not None},
        )
        states = encoded.last_hidden_state
        output = BaseModelOutputWithPooling(
            last_hidden_state=states,
            pooler_output=masked_mean(states, attention_mask) if attention_mask.dim() == 2 else None,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
        return self._returned(output, return_dict)


class BigLogModelWithHead(BigLogPreTrainedModel):
    """Base of the models with a head: the encoder `bert`, frozen where `config.freeze_encoder` says so."""

    # Without it the Trainer looks for **kwargs in `forward`, finds none, and withholds num_items_in_batch.
    accepts_loss_kwargs = True

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.bert = BigLogModel(config)

    def post_init(self) -> None:
        """Finishes construction: initial weights, tied weights, the frozen encoder."""
        super().post_init()
        self._freeze_encoder()

    def train(self, mode: bool = True) -> BigLogModelWithHead:
        """Sets training or evaluation mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        self._freeze_encoder()
        return self

    def _freeze_encoder(self) -> None:
        # Done again at each change of mode: loading replaces the parameters, and with them `requires_grad`.
        if self.config.freeze_encoder:
            self.bert.eval()
            self.bert.requires_grad_(False)

    def _encode(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        asked: tuple[bool | None, bool | None] = (None, None),
    ) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Token states, line embeddings (None for packed rows), and whatever else was asked for."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_encoder):
            encoded = self.bert(
                input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                position_ids=position_ids,
                inputs_embeds=inputs_embeds,
                output_attentions=asked[0],
                output_hidden_states=asked[1],
                return_dict=True,
            )
        extras = {"hidden_states": encoded.hidden_states, "attentions": encoded.attentions}
        return encoded.last_hidden_state, encoded.pooler_output, extras


class BigLogModelWithTokenHead(BigLogModelWithHead):
    """What the classes with a masked-token head share: tied weights, and prediction where it is needed."""

    _tied_weights_keys = _TIED
    _keys_to_ignore_on_load_unexpected = _IGNORED_BY_MASKED_LM
    cls: Any

    def get_output_embeddings(self) -> nn.Module:
        """The layer that has a row for each token of the vocabulary."""
        return cast(nn.Module, self.cls.predictions.decoder)

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replaces that layer with its bias; `resize_token_embeddings` calls it."""
        self.cls.predictions.decoder = new_embeddings
        self.cls.predictions.bias = new_embeddings.bias

    def _predict(self, states: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Logits, and the sum of the losses of labelled tokens if there are labels."""
        if labels is not None and self.training and self.config.sparse_prediction:
            labelled = labels.ne(IGNORED_LABEL)
            states, labels = states[labelled], labels[labelled]
        logits: Tensor = self.cls.predictions(states)
        return logits, None if labels is None else cross_entropy_sum(logits, labels)


class BigLogForMaskedLM(BigLogModelWithTokenHead):
    """The encoder with a head that guesses masked tokens; the head's weights are the token embedding's."""

    _auto_class = "AutoModelForMaskedLM"

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Items = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple[Any, ...]:
        """Guesses tokens; arguments that are not named here are `BigLogModel.forward`'s.

        Args:
            labels: (batch, tokens), the true id where a token is to be guessed, -100 elsewhere.
            num_items_in_batch: Labelled tokens of the whole optimizer step; the Trainer passes it.

        Returns:
            `loss`: mean cross-entropy, see `mean_loss`. `logits`: (batch, tokens, vocab_size); in training
            mode, with labels and `config.sparse_prediction`, (labelled tokens, vocab_size).
        """
        asked = (output_attentions, output_hidden_states)
        states, _, extras = self._encode(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, asked
        )
        logits, total = self._predict(states, labels)
        loss = None
        if labels is not None and total is not None:
            loss = mean_loss(total, labels, num_items_in_batch)
        return self._returned(MaskedLMOutput(loss=loss, logits=logits, **extras), return_dict)


@dataclass
class BigLogForPreTrainingOutput(ModelOutput):
    """What `BigLogForPreTraining` returns.

    Args:
        loss: Scalar; see `BigLogForPreTraining.forward`.
        prediction_logits: (batch, tokens, vocab_size), or sparse as in `BigLogForMaskedLM`.
        line_order_logits: (batch, num_line_orders), or (labelled windows, num_line_orders) where labels stand
            at tokens.
        hidden_states: States of every layer, if asked for.
        attentions: Attention weights of every layer, if asked for.
    """

    loss: Tensor | None = None
    prediction_logits: Tensor | None = None
    line_order_logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class BigLogPreTrainingHeads(nn.Module):
    """The two pretraining heads: `predictions` (BERT's name and layout) and `line_order` (ours)."""

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        self.line_order = nn.Linear(config.hidden_size, config.num_line_orders)


class BigLogForPreTraining(BigLogModelWithTokenHead):
    """The encoder with both pretraining heads: masked tokens, and the order of the lines of a window.

    A window is `[CLS] line [SEP] line [SEP] ...`, read as any line is, by `input_ids` and `attention_mask`
    alone. The line-order head reads the masked mean, so what it learns shapes the line embedding itself.
    """

    _auto_class = "AutoModelForPreTraining"
    _keys_to_ignore_on_load_unexpected = _IGNORED_BY_PRETRAINING

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.cls = BigLogPreTrainingHeads(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        line_order_labels: Tensor | None = None,
        num_items_in_batch: Items = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BigLogForPreTrainingOutput | tuple[Any, ...]:
        """Guesses tokens and line order; arguments that are not named here are `BigLogModel.forward`'s.

        The Trainer counts one set of labels only, `labels`. So both sums share one denominator, and the loss
        is exact under gradient accumulation and several processes:

            (sum of token losses + line_order_weight * sum of line-order losses) / number of labelled tokens

        A line-order label thus weighs as much as `config.line_order_weight` masked tokens. Without `labels`
        the loss is the mean over `line_order_labels`; the Trainer then averages over micro-batches and
        processes, which is exact where they hold equally many.

        Args:
            labels: (batch, tokens), the true id where a token is to be guessed, -100 elsewhere.
            line_order_labels: (batch,), 0 to `config.num_line_orders` - 1, or -100 where a row is no window.
                Or (batch, tokens), the label of each window at its first token and -100 elsewhere; so a
                packed row may hold several, beside lines that have none.
            num_items_in_batch: Labelled tokens of the whole optimizer step; the Trainer passes it.

        Returns:
            `loss`, `prediction_logits` (as `logits` of `BigLogForMaskedLM`), `line_order_logits` (for packed
            rows those of labelled windows, row by row, or None without labels), and what was asked for.

        Raises:
            ValueError: If `line_order_labels` of packed rows are (batch,).
        """
        asked = (output_attentions, output_hidden_states)
        states, pooled, extras = self._encode(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, asked
        )
        predictions, total = self._predict(states, labels)
        if line_order_labels is not None and line_order_labels.dim() == 2:
            attended = attention_mask
            if attended is None:
                attended = attended_tokens(self.config, input_ids, inputs_embeds)
            places = line_order_labels.ne(IGNORED_LABEL).nonzero(as_tuple=True)
            pooled, line_order_labels = pooled_at(states, attended, *places), line_order_labels[places]
        orders = None if pooled is None else self.cls.line_order(pooled)
        loss = self._loss(total, labels, orders, line_order_labels, num_items_in_batch)
        output = BigLogForPreTrainingOutput(
            loss=loss, prediction_logits=predictions, line_order_logits=orders, **extras
        )
        return self._returned(output, return_dict)

    def _loss(
        self,
        total: Tensor | None,
        labels: Tensor | None,
        orders: Tensor | None,
        line_order_labels: Tensor | None,
        items: Items,
    ) -> Tensor | None:
        if line_order_labels is not None:
            if orders is None:
                raise ValueError(
                    "line_order_labels (batch,) need one window a row, and a 4-D attention mask packs "
                    "several: give (batch, tokens)"
                )
            order_total = cross_entropy_sum(orders, line_order_labels)
            if labels is None or total is None:
                return mean_loss(order_total, line_order_labels, None)
            total = total + self.config.line_order_weight * order_total
        return None if labels is None or total is None else mean_loss(total, labels, items)


class BigLogModelWithClassifier(BigLogModelWithHead):
    """What line and token classification share: dropout and a linear layer."""

    _keys_to_ignore_on_load_unexpected = _IGNORED_BY_CLASSIFIERS

    def __init__(self, config: BigLogConfig) -> None:
        super().__init__(config)
        self.num_labels = cast(int, config.num_labels)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()


class BigLogForSequenceClassification(BigLogModelWithClassifier):
    """The encoder with a linear head on the line embedding: one answer a line."""

    _auto_class = "AutoModelForSequenceClassification"

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Items = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Any, ...]:
        """Classifies lines; arguments that are not named here are `BigLogModel.forward`'s.

        Args:
            labels: (batch,) class indices; (batch,) or (batch, 1) numbers for a regression (`num_labels` 1);
                (batch, num_labels) floats, 0 or 1, for several classes at once. -100 is left out of the loss.
            num_items_in_batch: Labels of the whole optimizer step; the Trainer passes it.

        Returns:
            `loss`: see `classification_loss` and `mean_loss`; `logits`: (batch, num_labels).

        Raises:
            ValueError: If the rows are packed (a 4-D attention mask).
        """
        asked = (output_attentions, output_hidden_states)
        _, pooled, extras = self._encode(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, asked
        )
        if pooled is None:
            raise ValueError("one answer a row needs one line a row, and a 4-D attention mask packs several")
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            loss = classification_loss(self.config, logits, labels, num_items_in_batch)
        return self._returned(SequenceClassifierOutput(loss=loss, logits=logits, **extras), return_dict)


class BigLogForTokenClassification(BigLogModelWithClassifier):
    """The encoder with a linear head on every token: parsing asks it which tokens are parameters."""

    _auto_class = "AutoModelForTokenClassification"

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Items = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput | tuple[Any, ...]:
        """Classifies tokens; arguments that are not named here are `BigLogModel.forward`'s.

        Args:
            labels: (batch, tokens) class indices, -100 where a token has none.
            num_items_in_batch: Labelled tokens of the whole optimizer step; the Trainer passes it.

        Returns:
            `loss`: mean cross-entropy, see `mean_loss`; `logits`: (batch, tokens, num_labels).
        """
        asked = (output_attentions, output_hidden_states)
        states, _, extras = self._encode(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, asked
        )
        logits = self.classifier(self.dropout(states))
        loss = None
        if labels is not None:
            loss = mean_loss(cross_entropy_sum(logits, labels), labels, num_items_in_batch)
        return self._returned(TokenClassifierOutput(loss=loss, logits=logits, **extras), return_dict)


__all__ = [
    "BigLogForMaskedLM",
    "BigLogForPreTraining",
    "BigLogForPreTrainingOutput",
    "BigLogForSequenceClassification",
    "BigLogForTokenClassification",
    "BigLogModel",
    "BigLogModelWithHead",
    "BigLogPreTrainedModel",
]
