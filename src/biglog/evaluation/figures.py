"""The README's figures, from the results that commands wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from biglog.errors import InputError


def figures(results: Path) -> str:
    """Returns the figures as Markdown.

    Args:
        results: The folder of result files.

    Raises:
        InputError: A result is missing or cannot be read.
    """
    return "\n\n".join(write(_read(results / name)) for name, write in _SECTIONS.items())


def _read(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"this result cannot be read: {error}", where=path, remedy="Run `make bench`"
        ) from error
    return read


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pretraining(record: dict[str, Any]) -> str:
    training, data, model = record["training"], record["data"], record["model"]
    average = record["evaluation"]["average_over_domains"]
    names = {
        "model": record["name"],
        "unigram": "masked unigram",
        "random_initialisation": "the same, untrained",
    }
    rows = [
        (names[name], f"{average[name]['accuracy']:.3f}", f"{average[name]['bits_per_byte']:.3f}")
        for name in names
    ]
    told = (
        f"**{record['name']}** ({model['num_hidden_layers']} layers, {model['hidden_size']} wide, "
        f"{model['megabytes']:.1f} MB) was trained from scratch for {training['cpu_seconds'] / 60:.0f} CPU "
        f"minutes on {data['train_normal_forms']:,} distinct normal forms of {len(data['domains'])} domains. "
        f"On held-out normal forms of the same domains, mean over domains:"
    )
    return told + "\n\n" + _table(("masked tokens", "accuracy", "bits per byte"), rows)


def _analyzing(result: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{log['lines']:,}",
            f"{log['normal_forms']:,}",
            f"{log['wall_seconds']:.1f} s",
            f"{log['peak_rss_mb']:,.0f} MB",
        )
        for name, log in result["logs"].items()
    ]
    split = ", ".join(f"{name} {value:.1f}" for name, value in result["logs"]["BGL"]["seconds"].items())
    told = (
        f"**`biglog analyze FILE --report --json`**, whole processes on {result['hardware']['cores']} cores, "
        f"start-up included; of BGL's seconds: {split}."
    )
    head = ("log", "lines", "normal forms", "time", "peak memory")
    return told + "\n\n" + _table(head, rows)


def _embedding(result: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{row['lines']:,}",
            f"{100 * row['unique_share']:.2f} %",
            f"{row['ours_mini']:,.0f}",
            f"{row['ratio_mini']:,.0f} ×",
            f"{row['ratio_mini_contents']:,.0f} ×",
            f"{row['ratio_base']:,.0f} ×" if "ratio_base" in row else "",
            f"{row['ratio_minilm']:,.0f} ×",
            f"{row['ratio_drain3']:.1f} ×",
        )
        for name, row in result["domains"].items()
    ]
    told = (
        "**Line embeddings**, lines per second with an empty cache, masking included, on "
        f"{result['torch_threads']} threads; and how many times that is of the ordinary way (every line, "
        "batches of 32 in file order, longest padding) with the same weights on raw lines and on contents "
        "without header, of the same on raw lines at the paper's size (12 layers, 768 wide, random weights; "
        "long logs with at most 100 normal forms), of MiniLM-L6, and of Drain3's parsing."
    )
    peers = ("ordinary", "on contents", "paper's size", "MiniLM-L6", "Drain3")
    head = ("domain", "lines", "unique", "lines/s", *peers)
    return told + "\n\n" + _table(head, rows)


def _ranking(result: dict[str, Any]) -> str:
    parts = []
    for name, log in result["logs"].items():
        rows = [
            (rule, *(f"{row[metric]:.3f}" for metric in _METRICS.values()))
            for rule, row in log["scores"].items()
        ]
        told = (
            f"**What the unlabelled ranking finds** on {name} ({log['alerts']:,} alerts in "
            f"{log['lines']:,} lines, {log['alert_events']} of {log['events']} events), "
            "beside trivial rules on the same events:"
        )
        parts.append(told + "\n\n" + _table(("score", *_METRICS), rows))
    return "\n\n".join(parts)


_METRICS = {
    "AUC, lines": "line_auc",
    "average precision, lines": "line_average_precision",
    "AUC, events": "event_auc",
    "average precision, events": "event_average_precision",
}

_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "benchmark_analyze.json": _analyzing,
    "benchmark_embeddings.json": _embedding,
    "odd_lines.json": _ranking,
    "pretrain_biglog-mini.json": _pretraining,
}
