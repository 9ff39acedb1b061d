"""WindowClassifier: attention over the lines of a group, taught by labels; and encoders adapted with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from biglog.errors import InputError
from biglog.tasks.anomaly.classifiers import two_classes
from biglog.tasks.anomaly.sequences import (
    cut,
    damped,
    fill,
    fitted,
    fixed_batches,
    padded,
    seeded,
    state_of,
    train,
)
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats, Groups, Ints
from biglog.tokenizer import without_masks
from modeling_biglog import BigLogConfig, BigLogForWindowClassification

LEARNING_RATES: Final = {"lora": 1e-3, "full": 1e-4}
"""Of `adapt_window_classifier`, by adaptation."""

HELD_OUT: Final = 0.1
"""Share of the groups, the last ones, that say when to stop."""

_Embed = Callable[[Tensor], Tensor]
"""Codes of distinct forms, shape (forms,), to their embeddings, shape (forms, hidden)."""

_CHECKS = 20
_MOST_CHARACTERS = 32_768
_FORMS_AT_ONCE = 64


class _Teaching(NamedTuple):
    """How a classifier is taught."""

    steps: int
    patience: int
    batch_size: int
    learning_rate: float
    seed: int


class _Examples(NamedTuple):
    """Distinct groups, the label of each, and its share."""

    groups: Groups
    labels: Tensor
    shares: Floats


@dataclass(eq=False)
class WindowClassifier:
    """The head of `BigLogForWindowClassification`, taught on embeddings of lines.

    The encoder stays as it is, so that each form is embedded once; `adapt_window_classifier` adapts it, too.
    Embeddings are of length 1 here, so that the head sees places of lines from the start; it belongs to such
    embeddings, and not to those that the encoder gives. The score is the probability of the anomalous class,
    both classes taken for equally frequent. A group longer than `max_window_lines` is cut, and is as odd as
    its oddest piece.

    Args:
        adaptation: "frozen".
        max_window_lines: Lines of a piece.
        layers: Attention layers over the lines.
        heads: Their attention heads, or fewer where they do not divide the width.
        dropout: In training.
        steps: Steps of training, at most.
        patience: The loss on the last tenth of the groups is looked at twenty times; after so many without
            a better one training stops. The best weights are kept.
        batch_size: Groups of a step, as many of each class.
        learning_rate: The highest.
        seed: Of weights, dropout and order.

    Raises:
        InputError: `adaptation` is another one.
    """

    adaptation: str = "frozen"
    max_window_lines: int = 512
    layers: int = 1
    heads: int = 4
    dropout: float = 0.1
    steps: int = 500
    patience: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-3
    seed: int = 0
    _model: BigLogForWindowClassification | None = field(default=None, init=False, repr=False)

    supervised: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.adaptation != "frozen":
            raise InputError(
                f"a detector cannot be adapted {self.adaptation!r}: it has embeddings and no tokens",
                remedy="Call adapt_window_classifier with an encoder, or take 'frozen'",
            )

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns from labelled groups, in order of time.

        Raises:
            InputError: There are no labels, not one a group, or they are of one class.
        """
        truth = two_classes(labels, len(view))
        teaching = _Teaching(self.steps, self.patience, self.batch_size, self.learning_rate, self.seed)
        with seeded(self.seed):
            model = self._make(view.vectors.shape[1])
            _teach(model, model, _lookup(view.vectors), view.groups, truth, teaching)
        self._model = model
        return self

    def score(self, view: View) -> Floats:
        """Probability of being anomalous, shape (groups,)."""
        return _probabilities(fitted(self._model), _lookup(view.vectors), view.groups)

    def state(self) -> State:
        """Returns what is to be saved."""
        model: BigLogForWindowClassification = fitted(self._model)
        return state_of(self, model.classifier, width=model.config.hidden_size)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls(**state.config["settings"])
        model = method._make(state.config["width"])
        fill(model.classifier, state.arrays)
        method._model = model.eval()
        return method

    def _make(self, width: int) -> BigLogForWindowClassification:
        """The whole model, so that the head starts as it does there, with next to nothing for an encoder."""
        config = BigLogConfig(
            vocab_size=1,
            hidden_size=width,
            num_hidden_layers=0,
            num_attention_heads=math.gcd(self.heads, width),
            intermediate_size=4 * width,
            max_position_embeddings=1,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            window_layers=self.layers,
            max_window_lines=self.max_window_lines,
            freeze_encoder=True,
        )
        return BigLogForWindowClassification(config)


def adapt_window_classifier(
    model: BigLogForWindowClassification,
    tokenizer: PreTrainedTokenizerFast,
    forms: pl.Series,
    groups: Groups,
    labels: Labels,
    adaptation: str = "lora",
    *,
    rank: int = 8,
    steps: int = 300,
    patience: int = 8,
    batch_size: int = 8,
    learning_rate: float | None = None,
    seed: int = 0,
) -> tuple[nn.Module, float]:
    """Adapts the encoder together with the head; each distinct form of a batch is encoded once.

    Args:
        model: Encoder and head; changed in place.
        tokenizer: The encoder's.
        forms: Normal form of each of the groups' codes, shape (forms,).
        groups: In order of time.
        labels: 0 for normal and 1 for anomalous groups, shape (groups,).
        adaptation: "lora": low-rank adapters in the encoder (Hu et al., "LoRA: Low-Rank Adaptation of Large
            Language Models", ICLR 2022), the head whole; "full": everything.
        rank: Of the adapters.
        steps: As of `WindowClassifier`.
        patience: As of `WindowClassifier`.
        batch_size: As of `WindowClassifier`.
        learning_rate: The highest; None takes that of `LEARNING_RATES`.
        seed: Of adapters, dropout and order.

    Returns:
        The `peft.PeftModel`, or for "full" the model itself, in evaluation mode; and which share of its
        parameters was trained.

    Raises:
        InputError: `adaptation` is another one, or the labels are not one a group, or of one class.
    """
    if adaptation not in LEARNING_RATES:
        raise InputError(
            f"adaptation cannot be {adaptation!r}",
            remedy="Give 'lora' or 'full', or fit a WindowClassifier for 'frozen'",
        )
    truth = two_classes(labels, len(groups))
    rate = LEARNING_RATES[adaptation] if learning_rate is None else learning_rate
    model.config.freeze_encoder = False
    model.requires_grad_(True)
    with seeded(seed):
        adapted = _with_adapters(model, rank) if adaptation == "lora" else model
        embed = _TokenReader(model, tokenizer, forms)
        _teach(adapted, model, embed, groups, truth, _Teaching(steps, patience, batch_size, rate, seed))
    trained = sum(weight.numel() for weight in _trained(adapted))
    return adapted, trained / sum(weight.numel() for weight in adapted.parameters())


def window_probabilities(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, forms: pl.Series, groups: Groups
) -> Floats:
    """Scores groups by an adapted model.

    Args:
        model: As `adapt_window_classifier` returns it.
        tokenizer: The encoder's.
        forms: Normal form of each of the groups' codes, shape (forms,).
        groups: The groups.

    Returns:
        Probability of being anomalous, shape (groups,).
    """
    unwrapped: Any = getattr(model, "get_base_model", None)
    base: Any = model if unwrapped is None else unwrapped()
    read = _TokenReader(base, tokenizer, forms)
    with torch.inference_mode():
        parts = [read(codes) for codes in torch.arange(len(forms)).split(_FORMS_AT_ONCE)]
    table = torch.cat(parts)
    return _probabilities(base, lambda codes: functional.embedding(codes, table), groups)


def _with_adapters(model: BigLogForWindowClassification, rank: int) -> nn.Module:
    from peft import LoraConfig, TaskType, get_peft_model

    return get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=rank))


class _TokenReader:
    """Encodes forms by their codes, with gradients where there are any."""

    def __init__(
        self, model: BigLogForWindowClassification, tokenizer: PreTrainedTokenizerFast, forms: pl.Series
    ) -> None:
        self._encoder: Any = model.bert
        self._pad = int(model.config.pad_token_id or 0)
        reader = without_masks(tokenizer)
        reader.enable_truncation(min(model.config.max_position_embeddings, tokenizer.model_max_length))
        reader.no_padding()
        texts = [form[:_MOST_CHARACTERS] for form in forms]
        self._tokens = [torch.tensor(read.ids) for read in reader.encode_batch(texts)]

    def __call__(self, codes: Tensor) -> Tensor:
        tokens = [self._tokens[code] for code in codes.tolist()]
        mask = [torch.ones_like(line) for line in tokens]
        embedded: Tensor = self._encoder(
            pad_sequence(tokens, batch_first=True, padding_value=self._pad),
            attention_mask=pad_sequence(mask, batch_first=True),
        ).pooler_output
        return embedded


def _lookup(vectors: NDArray[np.float32]) -> _Embed:
    table = torch.from_numpy(vectors)
    return lambda codes: functional.embedding(codes, table)


def _margins(model: BigLogForWindowClassification, embed: _Embed, codes: Tensor, present: Tensor) -> Tensor:
    """How much more anomalous than normal windows look: the difference of their logits, shape (windows,)."""
    distinct, places = torch.unique(codes, return_inverse=True)
    lines = functional.embedding(places, embed(distinct))
    logits = model(line_embeddings=lines, line_mask=present.long()).logits
    difference: Tensor = logits[:, 1] - logits[:, 0]
    return difference


def _piece_margins(
    model: BigLogForWindowClassification, embed: _Embed, groups: Groups
) -> tuple[Floats, Ints]:
    """Margins of the pieces of groups, and the first piece of each group."""
    longest = model.config.max_window_lines
    pieces = cut(groups, longest)
    found = np.empty(len(pieces.sizes))
    with torch.inference_mode():
        for batch, length, count in fixed_batches(pieces.sizes, longest):
            laid = padded(groups.codes, pieces.starts[batch], pieces.sizes[batch], length)
            found[batch[:count]] = _margins(model, embed, *laid)[:count].numpy()
    return found, np.searchsorted(pieces.owners, np.arange(len(groups)))


def _group_margins(model: BigLogForWindowClassification, embed: _Embed, groups: Groups) -> Floats:
    found, firsts = _piece_margins(model, embed, groups)
    return np.maximum.reduceat(found, firsts)


def _probabilities(model: BigLogForWindowClassification, embed: _Embed, groups: Groups) -> Floats:
    distinct, place, _ = groups.distinct()
    found: Floats = expit(_group_margins(model, embed, distinct))[place]
    return found


def _teach(
    trained: nn.Module,
    model: BigLogForWindowClassification,
    embed: _Embed,
    groups: Groups,
    truth: Labels,
    teaching: _Teaching,
) -> None:
    """Trains until the loss on held-out groups gets no better, and keeps the weights that had the best."""
    learnt, held = _held_out(truth)
    examples = _examples(groups.take(learnt), truth[learnt])
    best = _Best(trained, teaching.patience)

    def loss(rows: Ints) -> Tensor:
        laid = _oddest(trained, model, embed, examples.groups.take(rows))
        return _loss(_margins(model, embed, *laid), examples.labels[rows])

    checks = _examples(groups.take(held), truth[held]) if len(held) else None

    def done(step: int) -> bool:
        if checks is None or step % max(1, teaching.steps // _CHECKS):
            return False
        margins = torch.from_numpy(_group_margins(model, embed, checks.groups))
        return best.told(float(_loss(margins, checks.labels, torch.from_numpy(checks.shares))))

    train(
        trained,
        loss,
        examples.shares,
        batch_size=teaching.batch_size,
        steps=teaching.steps,
        learning_rate=teaching.learning_rate,
        seed=teaching.seed,
        done=done,
    )
    best.restore()


class _Best:
    """Remembers the weights of a model that had the least loss."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self._weights, self._patience = _trained(model), patience
        self._kept: list[Tensor] | None = None
        self._least, self._waited = math.inf, 0

    def told(self, loss: float) -> bool:
        """Takes a loss, and says whether too many were no better."""
        self._waited += 1
        if loss < self._least:
            self._least, self._waited = loss, 0
            self._kept = [weight.detach().clone() for weight in self._weights]
        return self._waited >= self._patience

    def restore(self) -> None:
        """Gives the model the best weights back, if there was any loss."""
        with torch.no_grad():
            for weight, before in zip(self._weights, self._kept or self._weights, strict=True):
                weight.copy_(before)


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _oddest(
    trained: nn.Module, model: BigLogForWindowClassification, embed: _Embed, groups: Groups
) -> tuple[Tensor, Tensor]:
    """Lays out the piece of each group that looks oddest: of a maximum, it alone has a gradient."""
    pieces = cut(groups, model.config.max_window_lines)
    chosen = np.searchsorted(pieces.owners, np.arange(len(groups)))
    many = np.flatnonzero(np.bincount(pieces.owners) > 1)
    if len(many):
        trained.eval()
        margins, firsts = _piece_margins(model, embed, groups.take(many))
        trained.train()
        ends = np.append(firsts[1:], len(margins))
        for group, first, end in zip(many, firsts, ends, strict=True):
            chosen[group] += int(margins[first:end].argmax())
    sizes = pieces.sizes[chosen]
    return padded(groups.codes, pieces.starts[chosen], sizes, int(sizes.max()))


def _held_out(truth: Labels) -> tuple[Ints, Ints]:
    """Rows to learn from, and the last tenth to check with.

    Anomalies come in bursts. Where less than half a tenth of a class lies in the last tenth of the groups, or
    all of it but that, the two or three that do would weigh as much as all the others; then it is the last
    tenth of each class. Nothing is held out where a class has too few groups for it.
    """
    rows = np.arange(len(truth))
    held = rows >= len(rows) - int(len(rows) * HELD_OUT)
    shares = np.array([held[truth == label].mean() for label in (0, 1)])
    if (shares < HELD_OUT / 2).any() or (shares > 0.5).any():
        held[:] = False
        tails = [part[len(part) - int(len(part) * HELD_OUT) :] for part in _classes(truth)]
        if all(len(tail) for tail in tails):
            held[np.concatenate(tails)] = True
    return rows[~held], rows[held]


def _classes(truth: Labels) -> list[Ints]:
    return [np.flatnonzero(truth == label) for label in (0, 1)]


def _examples(groups: Groups, truth: Labels) -> _Examples:
    """Equal groups with equal labels once, both classes with the same share in all."""
    _, place, _ = groups.distinct()
    _, first, counts = np.unique(place * 2 + truth, return_index=True, return_counts=True)
    labels, shares = truth[first], damped(counts)
    shares = shares / np.bincount(labels, shares, minlength=2)[labels]
    return _Examples(groups.take(first), torch.from_numpy(labels).double(), shares)


def _loss(margins: Tensor, labels: Tensor, shares: Tensor | None = None) -> Tensor:
    """Cross-entropy of the two classes, a mean by shares."""
    losses = functional.binary_cross_entropy_with_logits(margins.double(), labels, reduction="none")
    return losses.mean() if shares is None else (losses * shares).sum() / shares.sum()
