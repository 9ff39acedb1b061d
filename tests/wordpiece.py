"""A WordPiece tokenizer with the mask tokens where the authors' vocabulary has them, for tests of models."""

from __future__ import annotations

import string

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

MASK_TOKENS = ("[NUM]", "[TIMESTAMP]", "[IP]", "[CODE]", "[FILE]")
SPECIAL = ("[PAD]", *MASK_TOKENS, "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece(size: int, *, model_max_length: int | None = 150) -> PreTrainedTokenizerFast:
    """Characters and their continuations, filled up to `size` with unused entries.

    Args:
        size: Rows of the vocabulary.
        model_max_length: What the tokenizer says about itself; the authors' says nothing.

    Returns:
        A tokenizer that writes `[CLS] ... [SEP]`.
    """
    pieces = [*SPECIAL, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    pieces += [f"[unused{number}]" for number in range(size - len(pieces))]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    tokenizer.add_special_tokens(list(SPECIAL))
    stated = {} if model_max_length is None else {"model_max_length": model_max_length}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        **stated,
    )
