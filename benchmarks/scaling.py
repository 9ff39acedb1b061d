"""What pretraining the base model takes: measured here, reckoned for eight accelerators and several machines.

Measured: training steps of the base model (tokens a second, operations a second, peak memory) on this
processor, or on an accelerator with --device cuda; and tokens of a line, over the samples of 16 domains. How
many distinct forms so many lines have follows from benchmarks/deduplication.py, the rest by
`biglog.training.scaling`.

Example: python benchmarks/scaling.py --data ../shared/data
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

import resource
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import ROOT, arguments, sha256, write

from biglog import normal_forms, read_logs
from biglog.checkpoints import checkpoint_path
from biglog.data.run_facts import read_json
from biglog.tokenizer import load_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.scaling import DEVICES, flops_per_token, parameters, plan
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

ROWS, MASKED, WARM = 8, 0.15, 2
LINES = 450_000_000
"""Lines that the paper pretrained on."""
UTILISATIONS = (0.2, 0.3, 0.4)
"""Of an accelerator's peak, assumed where none was at hand to measure it."""
FLEETS = (1, 8, 32)
PASSES = 40
"""Over the distinct forms."""
DOMAINS = 16


def sizes(base: PretrainArguments) -> BigLogConfig:
    """Sizes of the model of a recipe."""
    return BigLogConfig(
        vocab_size=base.vocab_size,
        hidden_size=base.hidden_size,
        num_hidden_layers=base.num_hidden_layers,
        num_attention_heads=base.num_attention_heads,
        intermediate_size=base.intermediate_size,
        max_position_embeddings=base.max_position_embeddings,
        hidden_dropout_prob=base.dropout,
        attention_probs_dropout_prob=base.dropout,
    )


def trained(base: PretrainArguments, length: int, device: str, steps: int) -> dict[str, Any]:
    """Times training steps of the base model on full rows."""
    model: Any = BigLogForMaskedLM(sizes(base))
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(7, base.vocab_size, (ROWS, length), generator=generator)
    labels = torch.where(torch.rand(ROWS, length, generator=generator) < MASKED, ids, -100)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    batch = {name: value.to(device) for name, value in batch.items()}
    seconds = []
    for _ in range(WARM + steps):
        start = time.perf_counter() if device != "cpu" else time.process_time()
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() if device != "cpu" else time.process_time()) - start)
    rate = ROWS * length / statistics.median(seconds[WARM:])
    peak = torch.cuda.max_memory_allocated() if device != "cpu" else 1024 * _peak_rss()
    flops = rate * flops_per_token(sizes(base), length, MASKED)
    return {
        "tokens_per_second": rate,
        "flops_per_second": flops,
        "peak_bytes": peak,
        "rows": ROWS,
        "length": length,
    }


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def tokens(logs: list[Path]) -> dict[str, float]:
    """Tokens of a line, and of a distinct form, special ones included: means over the logs."""
    tokenizer = load_tokenizer(checkpoint_path())
    lines, forms = [], []
    for log in logs:
        frame = pl.concat([batch.frame for batch in read_logs(log)])
        counted = normal_forms(frame["content"]).value_counts()
        texts = counted[counted.columns[0]].to_list()
        sizes = np.array([len(ids) for ids in tokenizer(texts, truncation=True, max_length=150)["input_ids"]])
        lines.append(float(np.average(sizes, weights=counted["count"].to_numpy())))
        forms.append(float(sizes.mean()))
    return {"tokens_per_line": statistics.mean(lines), "tokens_per_form": statistics.mean(forms)}


def distinct(growth: dict[str, dict[str, float]]) -> float:
    """Distinct forms of the paper's lines, an equal part of a domain, by how each domain's forms grew."""
    part = LINES / DOMAINS
    reckoned = [
        row["normal_forms"] * (part / row["lines"]) ** row["exponent"]
        for row in growth.values()
        if row["lines"] < part
    ]
    return DOMAINS * statistics.mean(reckoned)


def main() -> int:
    """Runs the measurement and writes the result."""
    parser = arguments(__doc__, "scaling.json")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = PretrainArguments.from_yaml(ROOT / "recipes" / "configs" / "pretrain" / "base.yaml")
    logs = sorted(options.data.glob("loghub_2k/*/*_2k.log"))
    found = tokens(logs)
    growth = read_json(ROOT / "results" / "deduplication.json")["growth"]
    length = base.max_position_embeddings
    config = sizes(base)
    measured = trained(base, length, options.device, options.steps)
    reckoned = distinct(growth)
    amounts = {
        "the paper's 10,000 steps of 512 rows": float(base.max_steps * 512 * length),
        "every line once": LINES * found["tokens_per_line"],
        f"every distinct form, {PASSES} times": PASSES * reckoned * found["tokens_per_form"],
    }
    plans = [
        {"amount": name, "tokens": tokens, "device": device.name, "devices": fleet, "utilisation": share}
        | plan(config, tokens, device, fleet, share, length, MASKED)
        for name, tokens in amounts.items()
        for device in DEVICES
        for fleet in FLEETS
        for share in UTILISATIONS
    ]
    result = {
        "schema": "biglog-benchmark-scaling/1",
        "data": {log.name: sha256(log) for log in logs},
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(),
        "paper_lines": LINES,
        "parameters": parameters(config),
        "flops_per_token": flops_per_token(config, length, MASKED),
        "corpus": found | {"growth": growth},
        "forms_of_paper_lines": reckoned,
        "measured": measured,
        "devices": [asdict(device) for device in DEVICES],
        "plans": plans,
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
