"""The order of lines in pretraining: what is learnt from, and how well it is told on lines further on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import Ids, Segments
from biglog.data.corpus import Corpus
from biglog.data.line_windows import (
    IN_ORDER,
    SWAPPED,
    LineWindows,
    Transitions,
    WindowLayout,
    rows_at,
    swapped,
    windows_of,
)
from biglog.data.sequences import LineSequence, fingerprint, read_sequences
from biglog.data.sources import Source, find_sources, left_out_sources
from biglog.training.arguments import PretrainArguments
from biglog.training.held_out import BATCH_LINES, LEFT_OUT
from modeling_biglog import BigLogForPreTraining

HELD_OUT_TENTH = 0.1
"""The last lines of each source, whose order is not trained on but evaluated."""


@dataclass(frozen=True)
class OrderScore:
    """How well the order of a domain's windows is told.

    Attributes:
        windows: Windows, evenly spread over the held-out lines; each is shown in both orders.
        accuracy: Share of these that the model tells right.
        transitions: Share that the trivial rule tells right: the order that training saw more often where the
            halves meet, a guess (0.5) where it saw both alike or neither.
        unseen_windows: Windows of which training saw neither order; the rule can only guess.
        unseen_accuracy: Share of these that the model tells right; None where there are none.
    """

    windows: int
    accuracy: float
    transitions: float
    unseen_windows: int
    unseen_accuracy: float | None


OrderScores = dict[str, OrderScore]


@dataclass(frozen=True)
class _Domain:
    """Windows of a domain: tokens in the order of the log and swapped, and what transitions say."""

    ids: list[tuple[Ids, Ids]]
    agreement: NDArray[np.float64]
    unseen: NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOutOrder:
    """Windows of lines that come after those trained on.

    Attributes:
        domains: Windows by domain.
        pad: Id of the padding token.
    """

    domains: dict[str, _Domain]
    pad: int

    def score(self, model: BigLogForPreTraining) -> OrderScores:
        """Scores a model on each domain; the model's mode is restored afterwards."""
        was_training = model.training
        model.eval()
        scores = {name: self._score(model, domain) for name, domain in self.domains.items()}
        model.train(was_training)
        return scores

    @torch.no_grad()
    def _score(self, model: BigLogForPreTraining, domain: _Domain) -> OrderScore:
        right = np.zeros(2 * len(domain.ids))
        windows = [ids for pair in domain.ids for ids in pair]
        labels = np.tile([IN_ORDER, SWAPPED], len(domain.ids))
        for places, batch in self._batches(windows):
            logits = model.cls.line_order(
                model.bert(**{name: value.to(model.device) for name, value in batch.items()}).pooler_output
            )
            right[places] = logits.argmax(-1).cpu().numpy() == labels[places]
        per_window = right.reshape(-1, 2).mean(1)
        unseen = int(domain.unseen.sum())
        return OrderScore(
            windows=len(domain.ids),
            accuracy=float(per_window.mean()),
            transitions=float(domain.agreement.mean()),
            unseen_windows=unseen,
            unseen_accuracy=float(per_window[domain.unseen].mean()) if unseen else None,
        )

    def _batches(self, windows: list[Ids]) -> Iterator[tuple[NDArray[np.int64], dict[str, torch.Tensor]]]:
        order = np.argsort([len(ids) for ids in windows], kind="stable")
        for start in range(0, len(order), BATCH_LINES):
            places = order[start : start + BATCH_LINES]
            chosen = [torch.from_numpy(windows[place]) for place in places]
            ids = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=self.pad)
            lengths = torch.tensor([len(one) for one in chosen])
            mask = torch.arange(ids.shape[1]) < lengths[:, None]
            yield places, {"input_ids": ids, "attention_mask": mask.long()}


@dataclass(frozen=True)
class LineOrder:
    """What line order is learnt from and evaluated on.

    Attributes:
        windows: To learn from.
        held_out: To evaluate on.
        fingerprint: Digest of the lines' order: the same for the same logs.
    """

    windows: LineWindows
    held_out: HeldOutOrder
    fingerprint: str

    @classmethod
    def prepare(
        cls,
        arguments: PretrainArguments,
        corpus: Corpus,
        segments: Segments,
        tokenizer: PreTrainedTokenizerFast,
    ) -> LineOrder:
        """Reads the sources once more, in order.

        The windows of domains that are left out are evaluated on, too, under their prefix.

        Raises:
            InputError: A source cannot be read, or nothing has an order.
        """
        kept, gone = _sources(arguments)
        layout = _layout(arguments, segments)
        sequences = read_sequences(kept, corpus.train)
        earlier, later = (
            zip(*(s.cut(HELD_OUT_TENTH) for s in sequences), strict=True) if sequences else ((), ())
        )
        transitions = Transitions(earlier)
        domains = _held_out(later, layout, transitions, arguments.eval_lines)
        if gone and len(corpus.left_out):
            apart = Segments(
                corpus.left_out["normal_form"].to_list(), tokenizer, arguments.max_position_embeddings
            )
            unknown = _held_out(
                read_sequences(gone, corpus.left_out),
                _layout(arguments, apart),
                Transitions([]),
                arguments.eval_lines,
            )
            domains |= {LEFT_OUT + name: domain for name, domain in unknown.items()}
        windows = LineWindows(
            earlier, layout, temperature=arguments.temperature, count_power=arguments.count_power
        )
        return cls(windows, HeldOutOrder(domains, tokenizer.pad_token_id), fingerprint(sequences))

    def record(self, model: BigLogForPreTraining) -> dict[str, Any]:
        """Returns what a run's record says about line order."""
        scores = self.held_out.score(model)
        record: dict[str, Any] = {
            "window_lines": self.windows.layout.window_lines,
            "distinct_windows": self.windows.by_domain,
            "fingerprint": self.fingerprint,
            "domains": {name: asdict(score) for name, score in scores.items()},
        }
        for key, mean in average_orders(scores).items():
            record[f"average_over_{key}domains"] = mean
        return record


def average_orders(scores: OrderScores) -> dict[str, dict[str, float]]:
    """Averages over domains: those that are trained on (key ``""``), and those left out (``"left_out_"``).

    Returns:
        accuracy, transitions and, if any domain has it, unseen_accuracy, for each kind that has a domain.
    """
    kinds = {"": [s for n, s in scores.items() if not n.startswith(LEFT_OUT)]}
    kinds["left_out_"] = [s for n, s in scores.items() if n.startswith(LEFT_OUT)]
    means: dict[str, dict[str, float]] = {}
    for key, part in kinds.items():
        if part:
            unseen = [s.unseen_accuracy for s in part if s.unseen_accuracy is not None]
            means[key] = {
                "accuracy": float(np.mean([s.accuracy for s in part])),
                "transitions": float(np.mean([s.transitions for s in part])),
            } | ({"unseen_accuracy": float(np.mean(unseen))} if unseen else {})
    return means


def _sources(arguments: PretrainArguments) -> tuple[list[Source], list[Source]]:
    """Sources to read in order: of domains that are trained on, and of those left out."""
    root = Path(arguments.data_root)
    everything = find_sources(arguments.train_data, root)
    gone = left_out_sources(arguments.leave_out, root, everything)[1] if arguments.leave_out else []
    return find_sources(arguments.window_data, root) if arguments.window_data else everything, gone


def _layout(arguments: PretrainArguments, segments: Segments) -> WindowLayout:
    longest = arguments.max_position_embeddings
    if arguments.row_length:
        longest = min(longest, arguments.row_length)
    return WindowLayout(segments, arguments.window_lines, longest)


def _held_out(
    sequences: Sequence[LineSequence], layout: WindowLayout, transitions: Transitions, most: int
) -> dict[str, _Domain]:
    """Takes at most so many windows of each domain, evenly spread over its lines."""
    domains: dict[str, _Domain] = {}
    for name in sorted({sequence.domain for sequence in sequences}):
        rows = np.concatenate(
            [rows_at(s, windows_of(s, layout), layout) for s in sequences if s.domain == name]
        )
        if len(rows):
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))]
            pairs = [(layout.ids(one)[0], layout.ids(swapped(one))[0]) for one in rows]
            domains[name] = _Domain(pairs, *transitions.agreement(rows))
    return domains
