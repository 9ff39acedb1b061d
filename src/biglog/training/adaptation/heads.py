"""The model that is adapted: a checkpoint's encoder with the head that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from biglog.checkpoints.finding import diagnosis, resolve
from biglog.checkpoints.quiet import quiet
from biglog.errors import CheckpointError, InputError
from biglog.training.adaptation.arguments import AdaptArguments
from modeling_biglog import (
    BigLogConfig,
    BigLogForMaskedLM,
    BigLogForSequenceClassification,
    BigLogForTokenClassification,
    BigLogForWindowClassification,
    BigLogModel,
)

CLASSES: Final[Mapping[str, type[PreTrainedModel]]] = {
    "sequence": BigLogForSequenceClassification,
    "token": BigLogForTokenClassification,
    "window": BigLogForWindowClassification,
    "mlm": BigLogForMaskedLM,
}
"""Model class of each head."""

AUTO_CLASSES: Final = {
    "sequence": "AutoModelForSequenceClassification",
    "token": "AutoModelForTokenClassification",
    "window": "AutoModelForSequenceClassification",
    "mlm": "AutoModelForMaskedLM",
}
"""What loads a whole model of each head."""

ADAPTER_FILE: Final = "adapter_config.json"


@dataclass(frozen=True)
class Base:
    """A checkpoint that is adapted.

    Attributes:
        source: What the library loads: a folder or a Hub id.
        name: What records call it.
        config: Of the checkpoint.
        tokenizer: The encoder's.
        classes: Labels of a head of the asked kind that the checkpoint brings; none for none.
    """

    source: str
    name: str
    config: BigLogConfig
    tokenizer: PreTrainedTokenizerFast
    classes: tuple[str, ...]


def find_base(model: str | None, head: str) -> Base:
    """Reads what a checkpoint is, without its weights.

    Args:
        model: Folder, Hub id or embedded name; none is the embedded default.
        head: One of `CLASSES`.

    Raises:
        CheckpointError: It is missing, damaged, of another type, or an adapter.
    """
    if model is not None and (Path(model).expanduser() / ADAPTER_FILE).is_file():
        problem = "this is an adapter, and not a model that can be adapted"
        raise CheckpointError(problem, where=model, remedy="Give its base model, or merge it first")
    source, name = resolve(model)
    with quiet():
        try:
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            if config.model_type not in ("biglog", "bert"):
                problem = f"a checkpoint of type {config.model_type!r} is not a log encoder"
                raise CheckpointError(
                    problem, where=name, remedy="Give a BigLog checkpoint, or one of BERT's"
                )
            if not isinstance(config, BigLogConfig):
                config = BigLogConfig.from_pretrained(source)
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        except CheckpointError:
            raise
        except Exception as error:  # each library raises its own for a damaged file
            raise diagnosis(error, name) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CheckpointError("its tokenizer is not a fast one (no tokenizer.json)", where=name)
    return Base(source, name, config, tokenizer, _brought(config, head))


def _brought(config: BigLogConfig, head: str) -> tuple[str, ...]:
    """Labels of the head that a checkpoint has, if it is one of this kind."""
    labels: Any = config.id2label or {}
    if head == "mlm" or CLASSES[head].__name__ not in (config.architectures or []):
        return ()
    return tuple(labels[number] for number in sorted(labels))


def head_classes(base: Base, arguments: AdaptArguments) -> tuple[str, ...]:
    """Returns the labels that the head must know; none where the data decide.

    Raises:
        InputError: Labels are given, and the checkpoint brings a head with others.
    """
    if base.classes and arguments.classes and set(base.classes) != set(arguments.classes):
        raise InputError(
            f"classes {', '.join(arguments.classes)} are not those of the head that the model brings",
            where=base.name,
            remedy=f"It knows {', '.join(base.classes)}; give an encoder without a head to learn others",
        )
    return base.classes or arguments.classes


def build_model(base: Base, arguments: AdaptArguments, classes: tuple[str, ...]) -> Any:
    """Loads encoder and head; a head that the checkpoint does not bring starts at random.

    Args:
        base: The checkpoint.
        arguments: Of the run.
        classes: Labels, in order; none for head mlm.

    Raises:
        CheckpointError: The weights cannot be loaded, or are not all there.
    """
    kind: Any = CLASSES[arguments.head]
    fields = _fields(base, arguments, classes)
    with quiet():
        try:
            if arguments.head == "mlm" or base.classes:
                return _whole(kind, base, fields)
            encoder = _whole(BigLogModel, base, fields)
            # The config is the class's own copy: the head's weights depend on the seed alone.
            config = BigLogConfig.from_pretrained(base.source, **fields)
            model: Any = kind(config)
            model.bert.load_state_dict(encoder.state_dict())
        except CheckpointError:
            raise
        except Exception as error:  # each library raises its own for a damaged file
            raise diagnosis(error, base.name) from error
    return model


def _whole(kind: Any, base: Base, fields: dict[str, Any]) -> Any:
    loaded = kind.from_pretrained(base.source, output_loading_info=True, dtype=torch.float32, **fields)
    missing = sorted(loaded[1]["missing_keys"])
    if missing:
        problem = f"its weights lack {len(missing)} of the model's, {missing[0]} for one"
        raise CheckpointError(problem, where=base.name, remedy="Give a whole checkpoint")
    return loaded[0]


def _fields(base: Base, arguments: AdaptArguments, classes: tuple[str, ...]) -> dict[str, Any]:
    """What the config of the adapted model has that the checkpoint's has not."""
    fields: dict[str, Any] = {"freeze_encoder": arguments.mode == "frozen"}
    if arguments.dropout is not None:
        fields |= {
            "hidden_dropout_prob": arguments.dropout,
            "attention_probs_dropout_prob": arguments.dropout,
        }
    if classes and not base.classes:
        fields |= {
            "num_labels": len(classes),
            "id2label": dict(enumerate(classes)),
            "label2id": {name: number for number, name in enumerate(classes)},
            "problem_type": "single_label_classification" if arguments.head != "token" else None,
        }
    if arguments.head == "window" and not base.classes:
        layers, lines = arguments.window_layers, arguments.max_window_lines
        fields |= {"window_layers": layers, "max_window_lines": lines}
    return fields
