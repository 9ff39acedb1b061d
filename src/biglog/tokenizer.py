"""The tokenizer: WordPiece over normal forms, with the masks inside ``tokenizer.json``.

Raw content and its normal form get the same ids by construction: the masks are the tokenizer's first
normalizer, they leave their own tokens alone, and every special token is looked for in *normalized* text, so
nothing is cut out of a line before the masks have read the whole of it.

What repeats itself is folded: of one to four words that come more than `MAX_REPEATS` times in a row, as in
lists of nodes, so many are read. Without that such lists fill the model's length, and what stands behind
them is cut.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from biglog.errors import CheckpointError, InputError
from biglog.logs.masking import MASK_TOKENS, MASKING_VERSION, normalizer

MODEL_MAX_LENGTH = 150
PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
RESERVED_TOKENS = (PAD, *MASK_TOKENS, UNK, CLS, SEP, MASK)
"""All tokens with a fixed id, in the order of their ids: the published vocabulary has the mask tokens at 1-5
too."""

CONTINUATION = "##"
MAX_WORD_CHARACTERS = 32
"""Longer runs are cut: WordPiece is quadratic in a word, and turns a word over its limit into one [UNK]."""

MAX_REPEATS = 16
"""Words that repeat themselves more often in a row are read so many times."""

# A camelCase boundary: `dataNode` -> `data Node`, `HTTPServer` -> `HTTP Server`.
_CAMEL_BOUNDARY = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
# One to four words before so many copies of themselves. A word ends at a blank or the line's end alike, as
# normal forms lack the outer blanks of their contents.
_REPEATED = rf"(?<![^ ])([^ ]++(?: [^ ]++){{0,3}}) (?=\1(?: \1){{{MAX_REPEATS - 1}}}(?![^ ]))"
# Letters and digits apart, every other character by itself: `dfs.block_id` is dfs . block _ id.
_WORDS = rf"[A-Za-z]{{1,{MAX_WORD_CHARACTERS}}}|[0-9]{{1,{MAX_WORD_CHARACTERS}}}|[^A-Za-z0-9]"


def train_tokenizer(
    lines: Iterable[str],
    *,
    vocab_size: int = 8000,
    min_frequency: int = 2,
    lowercase: bool = True,
    model_max_length: int = MODEL_MAX_LENGTH,
) -> PreTrainedTokenizerFast:
    """Trains a WordPiece tokenizer; the same lines give the same tokenizer, in whatever order they come.

    Args:
        lines: Contents or normal forms (both give the same result). A line counts as often as it comes.
        vocab_size: Upper bound on the number of tokens, reserved tokens and single characters included.
        min_frequency: A pair of pieces must be seen this often to be merged.
        lowercase: Fold case, after camelCase words have been separated.
        model_max_length: Length in tokens at which ``truncation=True`` cuts.

    Returns:
        A tokenizer with the ids of `RESERVED_TOKENS` at 0..9.

    Raises:
        InputError: There are no lines, or ``vocab_size`` has no room for the characters.
    """
    smallest = len(RESERVED_TOKENS) + len(_alphabet(lowercase))
    if vocab_size < smallest:
        raise InputError(
            f"a vocabulary of {vocab_size} has no room for the {smallest} reserved tokens and characters",
            remedy=f"Give a vocab_size of {smallest} or more",
        )
    backend = _pipeline(models.WordPiece(unk_token=UNK), lowercase)
    counter = _Counted(lines)
    backend.train_from_iterator(
        counter,
        trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            # The trainer numbers continuation characters in hash order, which would make ties between merges
            # fall differently in each process; as "special tokens" they have fixed ids.
            special_tokens=[*RESERVED_TOKENS, *_alphabet(lowercase)],
            limit_alphabet=0,
            continuing_subword_prefix=CONTINUATION,
            show_progress=False,
        ),
    )
    if not counter.lines:
        raise InputError("no line to train a tokenizer on", remedy="Check the sources and the exclusions")
    return from_vocabulary(backend.get_vocab(), lowercase=lowercase, model_max_length=model_max_length)


def from_vocabulary(
    vocabulary: dict[str, int], *, lowercase: bool = True, model_max_length: int = MODEL_MAX_LENGTH
) -> PreTrainedTokenizerFast:
    """Builds the tokenizer of a given WordPiece vocabulary.

    Args:
        vocabulary: Token to id; holds all `RESERVED_TOKENS`.
        lowercase: Fold case, after camelCase words have been separated.
        model_max_length: Length in tokens at which ``truncation=True`` cuts.
    """
    model = models.WordPiece(vocabulary, unk_token=UNK, max_input_chars_per_word=MAX_WORD_CHARACTERS)
    backend = _pipeline(model, lowercase)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary[CLS]), (SEP, vocabulary[SEP])],
    )
    # `normalized=True`: matched after the masks. The mask tokens are words of the language, not special: a
    # special-tokens mask leaves them to be predicted, and decoding keeps them.
    backend.add_tokens([AddedToken(t, normalized=True, special=t in SPECIAL_TOKENS) for t in RESERVED_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **{f"{role}_token": _special(f"[{role.upper()}]") for role in ("pad", "unk", "cls", "sep", "mask")},
    )


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """Loads a tokenizer of ours from a folder.

    Raises:
        CheckpointError: The folder holds no readable ``tokenizer.json``, or one without the mask tokens.
    """
    folder = Path(path)
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError("no tokenizer.json in this folder", where=folder)
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
        raise CheckpointError(f"the tokenizer cannot be read: {error}", where=folder) from error
    missing = [token for token in RESERVED_TOKENS if token not in tokenizer.get_vocab()]
    if missing:
        raise CheckpointError(f"the vocabulary lacks {' '.join(missing)}", where=folder)
    return tokenizer


def without_masks(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """Returns a copy of a tokenizer's backend for normal forms: the same, less the masks it begins with.

    Masking is most of what tokenizing costs, and what is masked must not be masked again. A tokenizer that
    masks nothing, as the authors' does, comes back as it is.

    Raises:
        CheckpointError: The tokenizer masks by another table than this version of the library.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    steps = _steps(state["normalizer"])
    for spelling in (normalizer(), normalizer(plain=True)):
        masks = _steps(json.loads(spelling.__getstate__()))
        if steps[: len(masks)] == masks:
            state["normalizer"] = {"type": "Sequence", "normalizers": steps[len(masks) :]}
            return Tokenizer.from_str(json.dumps(state))
    if steps and steps[0]["type"] == "Replace":
        raise CheckpointError(
            f"the tokenizer masks values by another table than this version of BigLog ({MASKING_VERSION})",
            where=tokenizer.name_or_path or None,
            remedy="Use the version of BigLog that made the checkpoint, or train it again",
        )
    return Tokenizer.from_str(json.dumps(state))


def piece_bytes(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Returns the UTF-8 bytes of text that each token id stands for, without its continuation mark."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return [len(token.removeprefix(CONTINUATION).encode()) for token in tokens]


def word_starts(tokenizer: PreTrainedTokenizerFast) -> list[bool]:
    """Returns, for each token id, whether the token begins a word (special tokens count as words)."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return [not (token.startswith(CONTINUATION) and len(token) > len(CONTINUATION)) for token in tokens]


def _steps(state: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Flattens nested sequences of normalizers, as the library itself does now and then."""
    if state is None:
        return []
    if state["type"] != "Sequence":
        return [state]
    return [step for part in state["normalizers"] for step in _steps(part)]


class _Counted:
    """Passes lines on and counts them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._source, self.lines = lines, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._source:
            self.lines += 1
            yield line


def _pipeline(model: models.WordPiece, lowercase: bool) -> Tokenizer:
    backend = Tokenizer(model)
    steps = [
        normalizer(),
        normalizers.Replace(Regex(_REPEATED), ""),
        normalizers.Replace(Regex(_CAMEL_BOUNDARY), " "),
        normalizers.BertNormalizer(lowercase=lowercase, strip_accents=True),
    ]
    if lowercase:
        # The reserved tokens keep their case: they are looked for in, and shown as, normalized text.
        steps += [normalizers.Replace(token.lower(), token) for token in RESERVED_TOKENS]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")]
    )
    backend.decoder = decoders.WordPiece(prefix=CONTINUATION, cleanup=False)
    return backend


def _alphabet(lowercase: bool) -> list[str]:
    """Every printable ASCII character, and the continuations of those that can stand inside a word."""
    letters = string.ascii_lowercase if lowercase else string.ascii_letters
    words = string.digits + letters
    characters = sorted(set(words) | set(string.punctuation))
    return characters + [CONTINUATION + character for character in words]


def _special(token: str) -> AddedToken:
    return AddedToken(token, normalized=True, special=True)
