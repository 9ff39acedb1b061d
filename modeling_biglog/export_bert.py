"""Our models as plain BERT, for software that knows BERT and not BigLog. It stays here: not part of the
payload."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import torch
from transformers import BertConfig, BertForMaskedLM, BertModel
from transformers.models.bert.modeling_bert import BertPooler

from .modeling_biglog import BigLogModelWithTokenHead, BigLogPreTrainedModel

Bert = TypeVar("Bert", BertModel, BertForMaskedLM)


def as_bert(model: BigLogPreTrainedModel) -> BertModel | BertForMaskedLM:
    """Turns one of our models into the library's BERT, with equal states (and token logits).

    What it returns has no config field, class or weight of ours, and `save_pretrained` writes a folder typed
    `bert`. BERT's pooler is a fixed identity there, so that no loader makes one up at random: its output is
    the hyperbolic tangent of the `[CLS]` state. It is *not* the line embedding, which is the mean over the
    attended tokens.

    Args:
        model: Any of ours. A masked-token head is kept; line-order, line, token and window heads are left
            out.

    Returns:
        A `BertForMaskedLM` for `BigLogForMaskedLM` and `BigLogForPreTraining`, otherwise a `BertModel`: a
        copy in evaluation mode, of the dtype and on the device of `model`.
    """
    config = _bert_config(model)
    if isinstance(model, BigLogModelWithTokenHead):
        masked_lm = BertForMaskedLM(config)
        # It has no pooler of its own, but what it saves is also read into BertModel, which wants one.
        masked_lm.bert.pooler = BertPooler(config)
        return _with_weights(masked_lm, model, "bert.pooler.dense")
    return _with_weights(BertModel(config), getattr(model, "bert", model), "pooler.dense")


def _bert_config(model: BigLogPreTrainedModel) -> BertConfig:
    kept = {field.name for field in dataclasses.fields(BertConfig)} - {
        "architectures",
        "transformers_version",
    }
    return BertConfig(**{name: value for name, value in model.config.to_dict().items() if name in kept})


def _with_weights(bert: Bert, source: torch.nn.Module, pooler: str) -> Bert:
    weights = {name: value for name, value in source.state_dict().items() if "cls.line_order." not in name}
    like = next(source.parameters())
    weights[f"{pooler}.weight"] = torch.eye(bert.config.hidden_size)
    weights[f"{pooler}.bias"] = torch.zeros(bert.config.hidden_size)
    torch.nn.Module.to(bert, device=like.device, dtype=like.dtype)
    bert.load_state_dict(weights)
    return bert.eval()
