"""Adapters: made for a head, saved with what tells their base from others, and loaded onto no other one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.checkpoints.quiet import quiet
from biglog.data.run_facts import write_json
from biglog.errors import CheckpointError
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.heads import ADAPTER_FILE, Base, build_model, find_base
from biglog.training.adaptation.losses import encoder_of, unwrapped
from biglog.training.adaptation.tokens import FormTokens

BASE_FILE: Final = "adapter_base.json"
"""Beside an adapter: its head, its base, and what the base says of a few lines."""

SCHEMA: Final = "biglog-adapter/1"

_FORMS: Final = (
    "Connection from [IP] closed",
    "generating core.[NUM]",
    "failed to open [FILE]: no such file or directory",
)
_NUMBERS: Final = 32
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Adapted:
    """A model that was adapted, loaded.

    Attributes:
        model: With its head, in evaluation mode; a `PeftModel` where it is an adapter on its base.
        tokenizer: Its encoder's.
        head: One of `HEADS`.
        classes: What its answers mean.
        spare: Tokens of a line that prompts take.
    """

    model: Any
    tokenizer: PreTrainedTokenizerFast
    head: str
    classes: tuple[str, ...]
    spare: int = 0


def with_adapters(model: Any, arguments: AdaptArguments) -> Any:
    """Puts adapters around a model; its head learns whole, and is saved with them.

    Args:
        model: With the head; changed in place.
        arguments: Of the run.

    Raises:
        CheckpointError: No layer of the model is called as `target_modules` say.
    """
    from peft import IA3Config, LoraConfig, PromptTuningConfig, TaskType, get_peft_model

    tasks = {"sequence": TaskType.SEQ_CLS, "window": TaskType.SEQ_CLS, "token": TaskType.TOKEN_CLS}
    shared: dict[str, Any] = {"task_type": tasks.get(arguments.head)}
    if arguments.head in tasks:
        # Pooling has no weights; all that a head has learnt is in `classifier`.
        shared["modules_to_save"] = ["classifier"]
    targets: dict[str, Any] = {}
    if arguments.target_modules:
        targets["target_modules"] = list(arguments.target_modules)
    config: Any
    if arguments.mode == "lora":
        alpha = arguments.lora_alpha or 2 * arguments.rank
        config = LoraConfig(r=arguments.rank, lora_alpha=alpha, **targets, **shared)
    elif arguments.mode == "ia3":
        config = IA3Config(**_feedforward(arguments), **targets, **shared)
    else:
        config = PromptTuningConfig(num_virtual_tokens=arguments.prompt_tokens, **shared)
    try:
        with quiet():
            return get_peft_model(model, config)
    except ValueError as error:
        problem = f"no adapters can be put there: {str(error).splitlines()[0]}"
        raise CheckpointError(problem, remedy="Check target_modules") from error


def _feedforward(arguments: AdaptArguments) -> dict[str, Any]:
    """IA3 scales what comes out of attention layers, and what goes into feed-forward ones."""
    if not arguments.target_modules:
        return {}
    inner = [name for name in arguments.target_modules if name.endswith("output.dense")]
    return {"feedforward_modules": inner}


def probe(model: Any, tokenizer: PreTrainedTokenizerFast) -> NDArray[np.float64]:
    """What an encoder says of a few normal forms, shape (forms, numbers): it tells it from another one.

    Args:
        model: Before it has adapters.
        tokenizer: The encoder's.
    """
    encoder = encoder_of(model)
    tokens = FormTokens(_FORMS, tokenizer, unwrapped(model).config)
    was_training, device = encoder.training, next(encoder.parameters()).device
    encoder.eval()
    with torch.no_grad():
        batches = [tokens.batch([form]) for form in range(len(_FORMS))]
        pooled = [encoder(**{k: v.to(device) for k, v in batch.items()}).pooler_output for batch in batches]
    encoder.train(was_training)
    found: NDArray[np.float64] = torch.cat(pooled)[:, :_NUMBERS].double().cpu().numpy()
    return found


def save_adapter(
    model: Any, folder: Path, base: Base, arguments: AdaptArguments, classes: tuple[str, ...], told: Any
) -> None:
    """Writes an adapter, and what it belongs to.

    Args:
        model: The `PeftModel`.
        folder: Where to; it is there.
        base: The checkpoint under it.
        arguments: Of the run.
        classes: What its answers mean.
        told: The base's `probe`, taken before it had adapters.

    Raises:
        OutputError: It cannot be written.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base.name if base.name == DEFAULT_CHECKPOINT else base.source
    model.save_pretrained(folder)
    window = {"window_layers": arguments.window_layers, "max_window_lines": arguments.max_window_lines}
    write_json(
        folder / BASE_FILE,
        {
            "schema": SCHEMA,
            "base": base.name if base.name == DEFAULT_CHECKPOINT else base.source,
            "head": arguments.head,
            "mode": arguments.mode,
            "classes": list(classes),
            "prompt_tokens": arguments.prompt_tokens if arguments.mode == "prompt" else 0,
            "window": window if arguments.head == "window" else None,
            "probe": [[float(f"{value:.6g}") for value in row] for row in np.asarray(told)],
        },
    )


def load_adapter(folder: Path, base: str | None = None) -> Adapted:
    """Loads an adapter onto its base.

    Args:
        folder: As `save_adapter` wrote it.
        base: Where the base is now; None for where it was.

    Raises:
        CheckpointError: It is damaged, its base cannot be loaded, or is another one.
    """
    from peft import PeftModel

    told = _read(folder)
    name = base or str(told["base"])
    found = find_base(None if name == DEFAULT_CHECKPOINT else name, str(told["head"]))
    window = told["window"] or {}
    arguments = AdaptArguments(head=told["head"], mode=told["mode"], **window)
    model = build_model(found, arguments, tuple(told["classes"]))
    now, then = probe(model, found.tokenizer), np.array(told["probe"])
    if now.shape != then.shape or np.abs(now - then).max() > _TOLERANCE:
        raise CheckpointError(
            f"this adapter belongs to another base model ({told['base']}), not to {found.name}",
            where=folder,
            remedy="Give the base that it was made on",
        )
    try:
        with quiet():
            adapted = PeftModel.from_pretrained(model, str(folder))
    except Exception as error:  # PEFT raises a dozen kinds for a damaged folder
        problem = f"the adapter cannot be loaded: {(str(error).splitlines() or ['?'])[0]}"
        raise CheckpointError(problem, where=folder, remedy="Fetch or save it again") from error
    return Adapted(
        adapted.eval(), found.tokenizer, told["head"], tuple(told["classes"]), told["prompt_tokens"]
    )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / ADAPTER_FILE).is_file()


def _read(folder: Path) -> dict[str, Any]:
    path = folder / BASE_FILE
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = "this adapter does not say which base model it belongs to"
        raise CheckpointError(problem, where=path, remedy="Make it by `biglog adapt`") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise CheckpointError(f"schema is not {SCHEMA!r}", where=path, remedy="Make it by `biglog adapt`")
    return told
