"""The configuration of the BigLog models: BERT's, with the paper's defaults and fields of our own heads."""

import os
from dataclasses import field
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import BertConfig

AUTO_MAP = {
    "AutoConfig": "configuration_biglog.BigLogConfig",
    "AutoModel": "modeling_biglog.BigLogModel",
    "AutoModelForMaskedLM": "modeling_biglog.BigLogForMaskedLM",
    "AutoModelForPreTraining": "modeling_biglog.BigLogForPreTraining",
    "AutoModelForSequenceClassification": "modeling_biglog.BigLogForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_biglog.BigLogForTokenClassification",
}
"""Where each Auto class finds its code in a checkpoint folder or Hub repo; every saved config carries it
whole.

Where a window classifier is saved, it takes the place of `AutoModelForSequenceClassification`: a repo holds
one kind of classifier, and this one classifies sequences of lines.
"""


@strict
class BigLogConfig(BertConfig):
    """Shape and behaviour of a BigLog model.

    The defaults are BERT-base as BigLog's authors trained it (IWQoS 2023): a vocabulary of 30,522 and lines
    of up to 150 tokens. A field of `BertConfig` that is not named here means what it means there.
    `from_pretrained` (of this class and of the models) also reads a config typed `bert`, and refuses any
    other type.

    Args:
        vocab_size (`int`, default 30522): Rows of the token embedding, and of the masked-token head.
        hidden_size (`int`, default 768): Width of token states, line embeddings and window states.
        num_hidden_layers (`int`, default 12): Layers of the encoder.
        num_attention_heads (`int`, default 12): Attention heads per layer; divides `hidden_size`.
        intermediate_size (`int`, default 3072): Width of the feed-forward part of each layer.
        max_position_embeddings (`int`, default 150): Longest line in tokens, `[CLS]` and `[SEP]` included.
        pad_token_id (`int | None`, default 0): Without an `attention_mask`, tokens with this id are left out.
        num_line_orders (`int`, default 2): Classes of the line-order head of `BigLogForPreTraining`. With
            two, 0 says that the second half of a window's lines follows the first in the log, 1 that they
            were swapped.
        line_order_weight (`float`, default 1.0): How many masked tokens one line-order label counts for in
            the loss of `BigLogForPreTraining`; 0 trains on masked tokens alone.
        sparse_prediction (`bool`, default True): In training mode with `labels`, the masked-token head
            computes logits of labelled tokens only, (labelled tokens, vocab_size). It saves about 85 % of the
            head's work and changes neither loss nor gradients. In evaluation mode, or without labels, logits
            are always (batch, tokens, vocab_size).
        freeze_encoder (`bool`, default False): Every model with a head keeps its encoder fixed: in evaluation
            mode (no dropout), without gradients, and with `requires_grad` off. Only the head learns.
        window_layers (`int`, default 2): Attention layers over the lines of a window; 0 leaves only the
            pooling.
        window_heads (`int | None`, default None): Attention heads of these; None takes `num_attention_heads`.
        max_window_lines (`int`, default 512): Learned line positions, so the longest window in lines.
        architectures (`list[str]`): Name of the saved class; `AutoModelForSequenceClassification` goes by it.

    Raises:
        ValueError: If a size is out of range, or the checkpoint is of another model type.

    Example:
        >>> config = BigLogConfig(vocab_size=8000, hidden_size=256, num_attention_heads=4)
        >>> config.max_position_embeddings
        150
    """

    model_type = "biglog"
    _auto_class = "AutoConfig"
    # The Trainer gathers every output but these; states of every token of an evaluation set fit in no memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["hidden_states", "attentions"]

    # No `from __future__ import annotations` here: the strict dataclass checks values against these types.
    max_position_embeddings: int = 150
    use_cache: bool = False
    architectures: list[str] | None = field(default_factory=list)

    num_line_orders: int = 2
    line_order_weight: float | int = 1.0
    sparse_prediction: bool = True
    freeze_encoder: bool = False
    window_layers: int = 2
    window_heads: int | None = None
    max_window_lines: int = 512

    def __post_init__(self, **kwargs: Any) -> None:
        """Reads `"architectures": null` as none: `AutoModelForSequenceClassification` iterates over them."""
        self.architectures = self.architectures or []
        super().__post_init__(**kwargs)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Writes `config.json` with a whole `auto_map`, and the code beside it.

        Args:
            save_directory: The folder, made if it isn't there.
            push_to_hub: Push it, too.
            **kwargs: The library's own, such as `repo_id`.
        """
        window = {"AutoModelForSequenceClassification": "window_biglog.BigLogForWindowClassification"}
        has_window = "BigLogForWindowClassification" in (self.architectures or [])
        self.auto_map = AUTO_MAP | (window if has_window else {})
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def validate_heads(self) -> None:
        """Checks our own fields; the strict dataclass calls it after construction and before saving.

        Raises:
            ValueError: If one of them is out of range.
        """
        if self.is_decoder or self.add_cross_attention:
            raise ValueError("BigLog models are encoders: is_decoder and add_cross_attention must be False")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads ({self.num_attention_heads}) must divide "
                f"hidden_size ({self.hidden_size})"
            )
        if self.num_line_orders < 2:
            raise ValueError(f"num_line_orders must be at least 2, got {self.num_line_orders}")
        if self.window_layers < 0 or self.max_window_lines < 1:
            raise ValueError(
                "window_layers must be at least 0 and max_window_lines at least 1, got "
                f"{self.window_layers} and {self.max_window_lines}"
            )
        heads = self.window_heads or self.num_attention_heads
        if self.window_layers and self.hidden_size % heads:
            raise ValueError(f"window_heads ({heads}) must divide hidden_size ({self.hidden_size})")

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reads a config file; one typed `bert` (the authors' published format) is taken as ours.

        Args:
            pretrained_model_name_or_path: Folder, Hub id or config file.
            **kwargs: The library's own, such as `revision` or `cache_dir`.

        Returns:
            The fields, and the keyword arguments that were not used.

        Raises:
            ValueError: If the checkpoint is of a type other than `biglog` and `bert`.
            OSError: If there is no config, or it is no JSON.
        """
        fields, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if not fields:
            # The library would go on with the defaults: a BERT-base, filled with whatever weights there are.
            raise OSError(f"{pretrained_model_name_or_path} has no config.json")
        model_type = fields.get("model_type", cls.model_type)
        if model_type == "bert":
            # Its architectures name BERT's classes, which our Auto classes don't know.
            fields = {**fields, "model_type": cls.model_type, "architectures": []}
        elif model_type != cls.model_type:
            raise ValueError(
                f"{pretrained_model_name_or_path} holds a model of type {model_type!r}; "
                f"BigLog reads checkpoints of type {cls.model_type!r} and 'bert'"
            )
        return fields, unused


__all__ = ["AUTO_MAP", "BigLogConfig"]
