"""The model that pretraining starts from."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from biglog.errors import CheckpointError
from biglog.training.arguments import PretrainArguments
from biglog.training.vocabulary import checkpoint_tokenizer, swap_vocabulary
from modeling_biglog import BigLogConfig, BigLogForMaskedLM, BigLogForPreTraining


def initial_model(
    arguments: PretrainArguments, tokenizer: PreTrainedTokenizerFast
) -> BigLogForMaskedLM | BigLogForPreTraining:
    """Returns the model that training starts from: at random, or a given checkpoint.

    It has a head for line order where that is learnt.

    Raises:
        CheckpointError: The checkpoint cannot be read, or its vocabulary is not the tokenizer's.
    """
    kind = BigLogForPreTraining if arguments.line_order_weight else BigLogForMaskedLM
    if arguments.initial_checkpoint is None:
        return kind(
            BigLogConfig(
                vocab_size=len(tokenizer),
                hidden_size=arguments.hidden_size,
                num_hidden_layers=arguments.num_hidden_layers,
                num_attention_heads=arguments.num_attention_heads,
                intermediate_size=arguments.intermediate_size,
                max_position_embeddings=arguments.max_position_embeddings,
                hidden_dropout_prob=arguments.dropout,
                attention_probs_dropout_prob=arguments.dropout,
                pad_token_id=tokenizer.pad_token_id,
                **_head_fields(arguments),
            )
        )
    model = _checkpoint(arguments.initial_checkpoint, kind, arguments)
    if arguments.swap_vocabulary:
        swap_vocabulary(model, checkpoint_tokenizer(arguments.initial_checkpoint), tokenizer)
    if model.config.vocab_size != len(tokenizer):
        raise CheckpointError(
            f"the checkpoint embeds {model.config.vocab_size} tokens, the tokenizer has {len(tokenizer)}",
            where=arguments.initial_checkpoint,
            remedy="Give the checkpoint's own tokenizer, or add --swap_vocabulary",
        )
    if model.config.max_position_embeddings < arguments.max_position_embeddings:
        raise CheckpointError(
            f"the checkpoint has {model.config.max_position_embeddings} positions, "
            f"max_position_embeddings asks for {arguments.max_position_embeddings}",
            where=arguments.initial_checkpoint,
        )
    return model


def _checkpoint(
    folder: str, kind: type[BigLogForMaskedLM | BigLogForPreTraining], arguments: PretrainArguments
) -> BigLogForMaskedLM | BigLogForPreTraining:
    """Loads a checkpoint; a head that it lacks starts at random, an encoder must be there."""
    fields: dict[str, Any] = _head_fields(arguments) | {
        "hidden_dropout_prob": arguments.dropout,
        "attention_probs_dropout_prob": arguments.dropout,
    }
    try:
        loaded: Any = kind.from_pretrained(folder, output_loading_info=True, **fields)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=folder) from error
    missing = sorted(name for name in loaded[1]["missing_keys"] if name.startswith("bert."))
    if missing:
        raise CheckpointError(
            f"its weights lack {len(missing)} of the encoder's, {missing[0]} for one", where=folder
        )
    return loaded[0]


def _head_fields(arguments: PretrainArguments) -> dict[str, Any]:
    """Fields of the config that line order needs; none without it."""
    return {"line_order_weight": arguments.line_order_weight} if arguments.line_order_weight else {}
