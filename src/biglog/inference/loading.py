"""Checkpoints from anywhere (embedded, folder, cache, Hub), with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from biglog.checkpoints.finding import diagnosis, resolve
from biglog.checkpoints.quiet import quiet
from biglog.errors import CheckpointError
from modeling_biglog import BigLogModel

MODEL_TYPES = ("biglog", "bert")
"""Config types that load into the encoder; the second is how the authors publish theirs."""


def load_checkpoint(
    name_or_path: str | Path | None = None, *, revision: str | None = None
) -> tuple[BigLogModel, PreTrainedTokenizerBase, str]:
    """Loads an encoder and its tokenizer.

    Args:
        name_or_path: A folder, a Hub id, or the name of an embedded checkpoint; None is the embedded default.
        revision: Branch, tag or commit of a Hub repository.

    Returns:
        The encoder in eval mode, its tokenizer, and its name for reports.

    Raises:
        CheckpointError: It is missing, damaged, or neither of our type nor of BERT's.
    """
    source, name = resolve(name_or_path)
    # Nobody is asked on a terminal whether to run a stranger's code: our classes need none.
    version: dict[str, Any] = {"trust_remote_code": False}
    if revision is not None:
        version["revision"] = revision
    with quiet():
        try:
            config = AutoConfig.from_pretrained(source, **version)
            if config.model_type not in MODEL_TYPES:
                raise CheckpointError(
                    f"a checkpoint of type {config.model_type!r} is not a log encoder",
                    where=name,
                    remedy="Give a BigLog checkpoint, or one of BERT's type",
                )
            loaded: Any = BigLogModel.from_pretrained(source, output_loading_info=True, **version)
            _refuse_missing(loaded[1]["missing_keys"], name)
            tokenizer = AutoTokenizer.from_pretrained(source, **version)
        except CheckpointError:
            raise
        except Exception as error:  # each library raises its own for a damaged file
            raise diagnosis(error, name) from error
    return loaded[0].eval(), tokenizer, name


def _refuse_missing(keys: Iterable[str], name: str) -> None:
    """The library fills what a checkpoint lacks at random: embeddings that mean nothing."""
    missing = sorted(keys)
    if missing:
        raise CheckpointError(
            f"its weights lack {len(missing)} of the encoder's, {missing[0]} for one",
            where=name,
            remedy="Give the checkpoint of an encoder of ours or of BERT's type",
        )
