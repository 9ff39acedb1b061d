"""Adaptation: an encoder and a head learn a task (`frozen | lora | full`, and more) from a table.

A line is what its normal form is, so with a frozen encoder each form is computed once, and a head learns from
a million lines in seconds. `adapt` does a whole run, `fit` one in memory, `load_adapted` reads the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from transformers import PreTrainedTokenizerFast

from biglog.errors import CheckpointError, InputError
from biglog.training.adaptation.adapters import Adapted, is_adapter, load_adapter
from biglog.training.adaptation.arguments import HEADS, MODES, AdaptArguments
from biglog.training.adaptation.examples import Examples
from biglog.training.adaptation.fitting import Fitted, fit
from biglog.training.adaptation.heads import CLASSES, Base, build_model, find_base
from biglog.training.adaptation.reading import examples_of_texts, read_examples
from biglog.training.adaptation.running import RECORD, adapt
from biglog.training.adaptation.scoring import answers
from biglog.training.adaptation.tables import Table, read_tables
from biglog.training.adaptation.tokens import FormTokens

__all__ = [
    "CLASSES",
    "HEADS",
    "MODES",
    "RECORD",
    "AdaptArguments",
    "Adapted",
    "Base",
    "Examples",
    "Fitted",
    "Table",
    "adapt",
    "classify",
    "find_base",
    "fit",
    "load_adapted",
    "read_examples",
    "read_tables",
]


def load_adapted(folder: str | Path, base: str | None = None) -> Adapted:
    """Loads what `adapt` wrote, whole model or adapter.

    Args:
        folder: The folder.
        base: Of an adapter: where its base model is now; None for where it was.

    Raises:
        CheckpointError: It is not there or damaged, or an adapter belongs to another base model.
    """
    path = Path(folder)
    if not path.is_dir():
        raise CheckpointError("there is no such folder", where=path, remedy="Make it by `biglog adapt`")
    if is_adapter(path):
        return load_adapter(path, base)
    for head, kind in CLASSES.items():
        found = find_base(str(path), head)
        if kind.__name__ in (found.config.architectures or []):
            # Whatever it was trained by, it is whole now.
            model = build_model(found, AdaptArguments(head=head, mode="full"), found.classes)
            return Adapted(model.eval(), found.tokenizer, head, found.classes)
    raise CheckpointError(
        "it has no head that can be adapted", where=path, remedy="Make it by `biglog adapt`"
    )


def classify(adapted: Adapted, texts: pl.Series | list[Any]) -> pl.DataFrame:
    """Says the class of lines or windows.

    Args:
        adapted: Of head `sequence` or `window`.
        texts: Contents of lines; of windows lists of them.

    Returns:
        Columns `label`, and `probability` of it, one row a line or window.

    Raises:
        InputError: The head is another one.
    """
    if adapted.head not in ("sequence", "window"):
        raise InputError(f"a head of kind {adapted.head} has no class a line", remedy="Ask its model itself")
    examples = examples_of_texts(pl.Series(texts), adapted.head, adapted.classes)
    tokenizer: PreTrainedTokenizerFast = adapted.tokenizer
    forms, config = examples.groups.forms.to_list(), adapted.model.config
    tokens = FormTokens(forms, tokenizer, config, spare=adapted.spare)
    logits = np.concatenate(answers(adapted.model, adapted.head, tokens, examples)).astype(np.float64)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    best = chances.argmax(axis=1)
    label = pl.Series([adapted.classes[number] for number in best])
    table = pl.DataFrame({"label": label, "probability": chances.max(axis=1)})
    return table[examples.rows]
