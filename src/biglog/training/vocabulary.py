"""Another vocabulary for a model that has learnt one: what it knows of words goes along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from biglog.errors import CheckpointError
from biglog.tokenizer import CONTINUATION
from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining

ROLES = ("pad", "unk", "cls", "sep", "mask")

WORDS_FOR_MASKS = {
    "[NUM]": "number",
    "[TIMESTAMP]": "time",
    "[IP]": "address",
    "[CODE]": "code",
    "[FILE]": "file",
}
"""What a mask token stands for, in a word that a general vocabulary knows."""


def checkpoint_tokenizer(folder: str) -> PreTrainedTokenizerBase:
    """Returns the tokenizer of any BERT-like checkpoint, with whatever vocabulary.

    Args:
        folder: The checkpoint.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # each library raises its own for a damaged file
        raise CheckpointError(f"its tokenizer cannot be read: {error}", where=folder) from error


def swap_vocabulary(
    model: BigLogForMaskedLM | BigLogForPreTraining,
    known: PreTrainedTokenizerBase,
    wanted: PreTrainedTokenizerFast,
) -> None:
    """Gives a model the vocabulary of another tokenizer, in place.

    A token of both vocabularies keeps its embedding and its bias in the masked-token head. Any other gets the
    mean over the pieces that the model's own tokenizer cuts its text into (Gee et al. 2022, "Fast Vocabulary
    Transfer for Language Model Compression"); a mask token those of the word for what it hides.

    Args:
        model: Has rows for the vocabulary of `known`; afterwards, for that of `wanted`.
        known: The tokenizer that the model was trained with.
        wanted: The tokenizer to train with from now on.
    """
    pieces = list(old_pieces(known, wanted))
    before: Any = model.get_input_embeddings()
    rows, bias = before.weight.detach().clone(), model.cls.predictions.bias.detach().clone()
    model.resize_token_embeddings(len(wanted), mean_resizing=False)
    after: Any = model.get_input_embeddings()
    with torch.no_grad():
        after.weight.copy_(_means(rows, pieces))
        model.cls.predictions.bias.copy_(_means(bias[:, None], pieces)[:, 0])
    model.config.pad_token_id = after.padding_idx = wanted.pad_token_id


def old_pieces(known: PreTrainedTokenizerBase, wanted: PreTrainedTokenizerFast) -> Iterator[list[int]]:
    """Yields, for each id of the wanted vocabulary, the ids of the known one that its embedding is made of.

    Args:
        known: The tokenizer that the embeddings were trained with.
        wanted: The tokenizer that needs embeddings.
    """
    vocabulary = known.get_vocab()
    everything = sorted(vocabulary.values())
    roles = {getattr(wanted, f"{role}_token"): getattr(known, f"{role}_token_id") for role in ROLES}
    for token in wanted.convert_ids_to_tokens(list(range(len(wanted)))):
        shared = roles.get(token)
        shared = vocabulary.get(token) if shared is None else shared
        if shared is not None:
            yield [shared]
            continue
        text = WORDS_FOR_MASKS.get(token, token.removeprefix(CONTINUATION) or token)
        ids = [i for i in _ids(known, text) if i != known.unk_token_id]
        # Of what the known vocabulary has no letters for, it knows only that it is a token.
        yield ids or everything


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    encoding: Any = tokenizer(text, add_special_tokens=False)
    return list(encoding["input_ids"])


def _means(rows: Tensor, pieces: list[list[int]]) -> Tensor:
    """Means of some rows each, shape (pieces, width)."""
    offsets = torch.tensor([0, *(len(ids) for ids in pieces[:-1])]).cumsum(0)
    flat = torch.tensor([i for ids in pieces for i in ids])
    return functional.embedding_bag(flat, rows.float(), offsets, mode="mean").to(rows.dtype)
