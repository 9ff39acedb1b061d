"""One adaptation in memory: from examples to a model that answers others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import set_seed

from biglog.errors import InputError
from biglog.training.adaptation.adapters import probe, with_adapters
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.cache import Cache
from biglog.training.adaptation.cached import Learnt, train_cached
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.heads import Base, build_model
from biglog.training.adaptation.language import language_score, segments_of, train_language
from biglog.training.adaptation.losses import WeighedModel, parameter_counts
from biglog.training.adaptation.ordinary import RowCollator, train_ordinary
from biglog.training.adaptation.scoring import Logits, answers, scored
from biglog.training.adaptation.tokens import FormTokens
from biglog.training.adaptation.weighing import weights_of

Progress = Callable[[int, int], None] | None


@dataclass
class Fitted:
    """An adapted model, and what was done to it.

    Attributes:
        model: With its head, and with adapters where the mode has them.
        base: The checkpoint under it.
        arguments: Of the run.
        classes: What its answers mean.
        learnt: Steps, epochs, curve.
        parameters: As `parameter_counts` counts them.
        seconds: Wall time of training, what is computed once included.
        lines: Lines that were learnt from, as often as they were.
        probe: What the base says of a few lines.
        before: How well head mlm did before; None for other heads.
    """

    model: Any
    base: Base
    arguments: AdaptArguments
    classes: tuple[str, ...]
    learnt: Learnt
    parameters: dict[str, float | int]
    seconds: float
    lines: float
    probe: NDArray[np.float64]
    before: dict[str, Any] | None = None

    def answers(self, examples: Examples) -> Logits:
        """Answers examples of the same head."""
        return answers(
            self.model, self.arguments.head, _tokens(self.base, examples, self.arguments), examples
        )

    def scored(self, examples: Examples) -> dict[str, Any]:
        """Scores it on examples; see `biglog.training.adaptation.scoring.scored`, and `language_score`."""
        if self.arguments.head != "mlm":
            return scored(self.answers(examples), examples)
        tokenizer = self.base.tokenizer
        lines = segments_of(examples.groups.forms.to_list(), tokenizer, self.model)
        return language_score(self.model, lines, tokenizer, self.arguments)


def fit(
    base: Base,
    train: Examples,
    held: Examples | None,
    arguments: AdaptArguments,
    last: Path | None = None,
    progress: Progress = None,
) -> Fitted:
    """Adapts a checkpoint to examples.

    Args:
        base: The checkpoint.
        train: What is learnt from.
        held: What decides when to stop; None for nothing.
        arguments: Of the run.
        last: Checkpoint of an interrupted run to go on from.
        progress: Called with how many steps of how many; of frozen, cached training alone.

    Raises:
        InputError: An argument does not fit the examples, or training diverges.
        CheckpointError: The base cannot be loaded.
    """
    examples = train.once() if arguments.distinct else train
    # Before the model: its head starts by the seed alone.
    set_seed(arguments.seed)
    model: Any = build_model(base, arguments, train.classes)
    told = probe(model, base.tokenizer)
    if arguments.uses_adapters:
        model = with_adapters(model, arguments)
    counts = parameter_counts(model)
    before = None
    began = time.perf_counter()
    if arguments.head == "mlm":
        learnt, before = _language(model, base, examples, held, arguments, last)
    elif arguments.is_cached:
        learnt = _cached(model, base, examples, _weights(train, arguments), held, arguments, progress)
    else:
        learnt = _ordinary(model, base, examples, _weights(train, arguments), held, arguments, last)
    seconds = time.perf_counter() - began
    lines = examples.lines * learnt.epochs
    model.eval()
    return Fitted(model, base, arguments, train.classes, learnt, counts, seconds, lines, told, before)


_Weights = tuple[NDArray[np.float64], torch.Tensor]


def _weights(train: Examples, arguments: AdaptArguments) -> _Weights:
    rows, classes = weights_of(train, arguments)
    return rows, torch.from_numpy(classes).float()


def _tokens(base: Base, examples: Examples, arguments: AdaptArguments) -> FormTokens:
    spare = arguments.prompt_tokens if arguments.mode == "prompt" else 0
    forms = examples.groups.forms.to_list()
    longest = min(base.config.max_position_embeddings, base.tokenizer.model_max_length)
    if spare > longest - 3:
        raise InputError(f"prompt_tokens {spare} leave no room for a line of {longest} tokens")
    return FormTokens(forms, base.tokenizer, base.config, words=examples.words, spare=spare)


def _device(arguments: AdaptArguments) -> str:
    return "cuda" if torch.cuda.is_available() and not arguments.use_cpu else "cpu"


def _cached(
    model: Any,
    base: Base,
    examples: Examples,
    weights: _Weights,
    held: Examples | None,
    arguments: AdaptArguments,
    progress: Progress,
) -> Learnt:
    """Computes on an accelerator what the encoder says, and learns on the CPU: a head is small."""
    model.to(_device(arguments))
    of_rows, of_classes = weights
    head = arguments.head
    cache = Cache(model, head, _tokens(base, examples, arguments), examples, of_rows, of_classes)
    kept = None
    if held is not None:
        ones = np.ones(len(held))
        kept = Cache(model, head, _tokens(base, held, arguments), held, ones, of_classes), held
    model.to("cpu")
    return train_cached(model, cache, examples, kept, arguments, progress)


def _ordinary(
    model: Any,
    base: Base,
    examples: Examples,
    weights: _Weights,
    held: Examples | None,
    arguments: AdaptArguments,
    last: Path | None,
) -> Learnt:
    of_rows, of_classes = weights
    tokens = _tokens(base, examples, arguments)
    # Frozen and not cached is there to be compared with: it does as everybody does.
    once = arguments.mode != "frozen"
    collator = RowCollator(tokens, examples, arguments.head, of_rows, once=once)
    kept = None if held is None else (_tokens(base, held, arguments), held)
    trained = WeighedModel(model, arguments.head, of_classes)
    learnt = train_ordinary(trained, examples, collator, kept, arguments, last)
    return learnt


def _language(
    model: Any,
    base: Base,
    examples: Examples,
    held: Examples | None,
    arguments: AdaptArguments,
    last: Path | None,
) -> tuple[Learnt, dict[str, Any] | None]:
    tokenizer = base.tokenizer
    lines = segments_of(examples.groups.forms.to_list(), tokenizer, model)
    kept = None if held is None else segments_of(held.groups.forms.to_list(), tokenizer, model)
    before = None if kept is None else language_score(model, kept, tokenizer, arguments)
    return train_language(model, lines, kept, tokenizer, arguments, last), before
