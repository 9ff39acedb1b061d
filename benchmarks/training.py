"""Training, packed beside the authors' way: real tokens a second for the same model, lines and steps.

The authors train on one line a row, padded to 150 tokens, with a head that predicts every token and dropout
of 0.1. Ours packs lines into rows with an exact block-diagonal mask, predicts masked tokens only and has no
dropout. Every contender trains biglog-mini's sizes with the library's own Trainer on the same lines, about as
many real tokens an optimizer step, and takes its turn in every round; ratios are taken within a round.
Padding is no token; the gain of each part by itself stands beside the whole.

Example: python benchmarks/training.py --data ../shared/data
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import arguments, sha256, write
from torch.nn import functional

from biglog.checkpoints import checkpoint_path
from biglog.training.arguments import PretrainArguments
from biglog.training.initial import initial_model
from biglog.training.prepared import Prepared, prepare
from biglog.training.pretrain import build_trainer
from biglog.training.record import Clock
from biglog.training.run_folder import RunFolder

LONGEST = 150
BAR = 5.0
OURS, AUTHORS, AUTHORS_FITTED = "packed, 256", "authors, padded to 150", "authors, padded to the longest"
Collator = Callable[[list[Any]], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        row_length: Tokens of a packed row; 0 puts one line in each.
        rows: Rows a batch.
        batches: Batches an optimizer step.
        steps: Optimizer steps a round.
        sparse: Predict masked tokens only.
        dropout: Of hidden states and attention.
        padded: Pad rows to this many tokens; 0 pads to the longest of a batch.
    """

    row_length: int
    rows: int
    batches: int
    steps: int
    sparse: bool = True
    dropout: float = 0.0
    padded: int = 0


WAYS = {
    # 96 lines of 22 tokens are about as many tokens as 8 packed rows of 256; 16 rows a device is base.yaml's.
    AUTHORS: Way(0, 16, 6, 4, sparse=False, dropout=0.1, padded=LONGEST),
    AUTHORS_FITTED: Way(0, 16, 6, 6, sparse=False, dropout=0.1),
    "padded to the longest, masked tokens only": Way(0, 16, 6, 10, dropout=0.1),
    "padded to the longest, masked tokens only, no dropout": Way(0, 16, 6, 12),
    "packed, every token": Way(256, 8, 1, 12, sparse=False, dropout=0.1),
    "packed, dropout": Way(256, 8, 1, 24, dropout=0.1),
    "packed, 192": Way(192, 11, 1, 30),
    OURS: Way(256, 8, 1, 30),
    "packed, 512": Way(512, 4, 1, 30),
}


def padded_to(length: int, collate: Collator, pad: int) -> Collator:
    """Returns a collator of one line a row that pads each to the same length."""

    def collator(rows: list[Any]) -> dict[str, torch.Tensor]:
        batch = collate(rows)
        room = (0, length - batch["input_ids"].shape[1])
        fill = {"input_ids": pad, "labels": -100, "attention_mask": 0}
        return {name: functional.pad(batch[name], room, value=value) for name, value in fill.items()}

    return collator


def train(way: Way, base: PretrainArguments, prepared: Prepared) -> float:
    """Trains for the steps of a round and returns real tokens per CPU second."""
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(
            base,
            output_path=folder,
            row_length=way.row_length,
            batch_size=way.rows,
            gradient_accumulation_steps=way.batches,
            max_steps=way.steps,
            dropout=way.dropout,
        )
        model = initial_model(settings, prepared.tokenizer)
        model.config.sparse_prediction = way.sparse
        clock = Clock()
        trainer = build_trainer(settings, prepared, model, RunFolder(Path(folder)), clock)
        trainer.args.save_strategy = "no"
        if way.padded:
            collate: Any = trainer.data_collator
            trainer.data_collator = padded_to(way.padded, collate, prepared.tokenizer.pad_token_id)
        start = time.process_time()
        trainer.train()
        return clock.tokens / (time.process_time() - start)


def main() -> int:
    """Runs the comparison, prints a line a way and writes the result."""
    parser = arguments(__doc__, "training_efficiency.json")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS), help="which")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logs = sorted(options.data.glob("loghub_2k/*/*_2k.log"))
    # Masked tokens alone: what other objectives of a recipe cost is another question.
    base = PretrainArguments(
        data_root=str(options.data),
        train_data=("loghub_2k/*/*_2k.log",),
        tokenizer=str(checkpoint_path()),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        learning_rate=2e-3,
        adam_beta2=0.98,
        threads=1,
        use_cpu=True,
        logging_steps=10_000,
    )
    prepared = prepare(base)
    ways = {name: WAYS[name] for name in options.ways}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name in list(ways) if number % 2 else list(ways)[::-1]:
            figure = train(ways[name], base, prepared)
            if number:  # the first round warms up
                rates[name].append(figure)
        print(number, {name: round(rate[-1]) for name, rate in rates.items() if rate}, flush=True)
    table = figures(rates)
    result = {
        "schema": "biglog-benchmark-training/1",
        "torch_threads": torch.get_num_threads(),
        "niceness": os.nice(0),
        "load_average": os.getloadavg()[0],
        "seed": base.seed,
        "unit": "real (non-padding) tokens per CPU second of one core, optimizer included",
        "data": {log.name: sha256(log) for log in logs},
        "tokens_per_line": float(prepared.segments.lengths.mean()),
        "vocab_size": len(prepared.tokenizer),
        "bar": BAR,
        "ways": {name: dataclasses.asdict(way) | table[name] for name, way in ways.items()},
    }
    write(options.out, result)
    return 0


def figures(rates: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Returns a row for each way: the median of its rates, and of the ratios to both of the authors'."""
    table: dict[str, dict[str, Any]] = {}
    for name, rate in rates.items():
        row: dict[str, Any] = {
            "tokens_per_cpu_second": statistics.median(rate),
            "rounds": rate,
        }
        for column, peer in (("times_padded_to_150", AUTHORS), ("times_padded_to_longest", AUTHORS_FITTED)):
            if peer in rates:
                ratios = [mine / theirs for mine, theirs in zip(rate, rates[peer], strict=True)]
                row[column], row[f"{column}_least"] = statistics.median(ratios), min(ratios)
        table[name] = row
        shown = " ".join(f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, float))
        print(f"{name}: {shown}")
    return table


if __name__ == "__main__":
    sys.exit(main())
