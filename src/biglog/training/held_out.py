"""Evaluation during and after pretraining: masked tokens of held-out lines, domain by domain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import IGNORED, MaskedLanguageCollator, Row, Segments
from biglog.metrics.language import (
    HIDDEN,
    Bigram,
    LanguageScore,
    Unigram,
    language_score,
    macro_average,
)
from biglog.tokenizer import SPECIAL_TOKENS, piece_bytes
from modeling_biglog import BigLogForMaskedLM, BigLogForPreTraining

SEED = 20230619
"""Evaluation hides the same tokens in every run, whatever the run's own seed."""

DRAWS = 4
"""Times that each held-out line is masked anew: small domains would have too few masked tokens otherwise."""

BATCH_LINES = 64
_APART = "left_out_"

LEFT_OUT = "left_out/"
"""Stands before the names of domains that are kept from training; they are averaged apart."""

Scores = dict[str, LanguageScore]
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class HeldOut:
    """Held-out lines, and what a model must beat on them.

    Attributes:
        tokenizer: Of the lines.
        rows: By domain, one line a row, each line `DRAWS` times.
        unigram: Predicts from the token frequencies of the training lines.
        mlm_probability: Share of the tokens to hide.
        bigram: Predicts from the neighbours of a token, as they stand side by side in the training lines.
    """

    tokenizer: PreTrainedTokenizerFast
    rows: dict[str, list[Row]]
    unigram: Unigram
    mlm_probability: float
    bigram: Bigram | None = None

    @classmethod
    def build(
        cls,
        lines: pl.DataFrame,
        tokenizer: PreTrainedTokenizerFast,
        unigram: Unigram,
        *,
        mlm_probability: float,
        lines_per_domain: int,
        max_length: int,
        bigram: Bigram | None = None,
    ) -> HeldOut:
        """Tokenizes held-out lines; the same lines give the same rows.

        Args:
            lines: Columns domain and normal_form.
            tokenizer: Reads them.
            unigram: The baseline.
            mlm_probability: Share of the tokens to hide.
            lines_per_domain: Most lines to take from a domain.
            max_length: Longer lines are cut into windows of so many tokens.
            bigram: The baseline that knows the neighbours; None for none.
        """
        rows: dict[str, list[Row]] = {}
        ordered = lines.sort("domain", "normal_form")
        for (domain,), part in ordered.group_by("domain", maintain_order=True):
            # Every k-th of the sorted lines: neighbours in the alphabet are near-duplicates.
            chosen = part["normal_form"].gather_every(max(1, math.ceil(len(part) / lines_per_domain)))
            segments = Segments(chosen.to_list(), tokenizer, max_length)
            draws = range(DRAWS * len(segments))
            rows[str(domain)] = [Row(segments=[segments[draw // DRAWS]], draw=draw) for draw in draws]
        return cls(tokenizer, rows, unigram, mlm_probability, bigram)

    def score(self, model: BigLogForMaskedLM | BigLogForPreTraining) -> Scores:
        """Scores a model on each domain that has a masked token; the model's mode is restored afterwards."""
        sizes = np.array(piece_bytes(self.tokenizer))
        was_training = model.training
        model.eval()
        scores: Scores = {}
        for domain in self.rows:
            parts = [_score_batch(model, batch) for batch in self._batches(domain)]
            targets, likelihood, correct = (np.concatenate(part) for part in zip(*parts, strict=True))
            if len(targets):
                scores[domain] = language_score(likelihood, correct, sizes[targets])
        model.train(was_training)
        return scores

    def score_unigram(self) -> Scores:
        """Scores the baseline on the same masked tokens."""
        sizes = np.array(piece_bytes(self.tokenizer))
        scores: Scores = {}
        for domain in self.rows:
            labels = np.concatenate([batch["labels"].numpy().ravel() for batch in self._batches(domain)])
            targets = labels[labels != IGNORED]
            if len(targets):
                scores[domain] = self.unigram.score(targets, sizes[targets])
        return scores

    def score_bigram(self) -> Scores:
        """Scores the baseline that knows the neighbours, on the same masked tokens; nothing without one.

        It reads what the model reads: a neighbour that is masked too is unknown to it.
        """
        sizes, mask = np.array(piece_bytes(self.tokenizer)), self.tokenizer.mask_token_id
        scores: Scores = {}
        for domain in self.rows if self.bigram is not None else ():
            parts = []
            for batch in self._batches(domain):
                labels, ids = batch["labels"].numpy(), batch["input_ids"].numpy()
                seen = np.where(ids == mask, HIDDEN, ids)
                row, place = np.nonzero(labels != IGNORED)
                # [CLS] and [SEP] are never masked, so a masked token has both neighbours.
                parts.append((labels[row, place], seen[row, place - 1], seen[row, place + 1]))
            targets, left, right = (np.concatenate(part) for part in zip(*parts, strict=True))
            if len(targets) and self.bigram is not None:
                scores[domain] = self.bigram.score(targets, left, right, sizes[targets])
        return scores

    def record(self, **columns: Scores) -> dict[str, Any]:
        """Returns scores as a record holds them: for each domain and on average, one entry per column."""
        first = next(iter(columns.values()))
        domains = {
            domain: {"lines": len(self.rows[domain]) // DRAWS}
            | {name: asdict(scores[domain]) for name, scores in columns.items()}
            for domain in first
        }
        means = {name: averages(scores) for name, scores in columns.items()}
        known, apart = ({n: asdict(m[key]) for n, m in means.items() if key in m} for key in ("", _APART))
        record = {"domains": domains, "average_over_domains": known}
        return record | ({"average_over_left_out_domains": apart} if apart else {})

    def _batches(self, domain: str) -> Iterator[Batch]:
        collator = MaskedLanguageCollator(self.tokenizer, self.mlm_probability, seed=SEED)
        rows = sorted(self.rows[domain], key=lambda row: len(row["segments"][0]))
        for start in range(0, len(rows), BATCH_LINES):
            yield collator(rows[start : start + BATCH_LINES])


def mark_left_out(lines: pl.DataFrame) -> pl.DataFrame:
    """Puts `LEFT_OUT` before the domains of lines."""
    return lines.with_columns((pl.lit(LEFT_OUT) + pl.col("domain")).alias("domain"))


def averages(scores: Scores) -> Scores:
    """Averages over domains: those that are trained on (key ``""``), and those left out (``"left_out_"``).

    Args:
        scores: By domain; there is no average over no domain.
    """
    apart = {domain: score for domain, score in scores.items() if domain.startswith(LEFT_OUT)}
    known = {domain: score for domain, score in scores.items() if domain not in apart}
    return {key: macro_average(part) for key, part in (("", known), (_APART, apart)) if part}


def fit_unigram(tokenizer: PreTrainedTokenizerFast, segments: Segments, weights: np.ndarray) -> Unigram:
    """Counts tokens as training draws them, in as many draws as there are windows; special tokens have none.

    Args:
        tokenizer: Of the lines.
        segments: The training lines.
        weights: How likely each of them is drawn, shape (segments,).
    """
    counts = np.zeros(len(tokenizer))
    for i, weight in enumerate(weights / weights.sum() * len(segments)):
        np.add.at(counts, segments[i], weight)
    counts[tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))] = 0
    return Unigram.fit(counts)


def fit_bigram(tokenizer: PreTrainedTokenizerFast, segments: Segments, weights: np.ndarray) -> Bigram:
    """Counts neighbours as training draws them, in as many draws as there are windows.

    Args:
        tokenizer: Of the lines.
        segments: The training lines.
        weights: How likely each of them is drawn, shape (segments,).
    """
    windows = [segments[i] for i in range(len(segments))]
    ids, sizes = np.concatenate(windows), np.array([len(window) for window in windows])
    drawn = np.repeat(weights / weights.sum() * len(windows), sizes)
    inside = np.ones(len(ids) - 1, dtype=bool)
    inside[np.cumsum(sizes)[:-1] - 1] = False  # a window's end and the next one's beginning
    return Bigram.fit(ids[:-1][inside], ids[1:][inside], drawn[:-1][inside], len(tokenizer))


@torch.no_grad()
def _score_batch(
    model: BigLogForMaskedLM | BigLogForPreTraining, batch: Batch
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns true ids of the masked tokens, their log-likelihoods, and whether the best guess was right."""
    batch = {name: value.to(model.device) for name, value in batch.items()}
    labels = batch.pop("labels")
    masked = labels != IGNORED
    states = model.bert(**batch).last_hidden_state[masked]
    log_probabilities = model.cls.predictions(states).float().log_softmax(-1)
    targets = labels[masked]
    likelihood = log_probabilities.gather(1, targets[:, None]).squeeze(1)
    correct = log_probabilities.argmax(-1) == targets
    return targets.cpu().numpy(), likelihood.double().cpu().numpy(), correct.cpu().numpy()
