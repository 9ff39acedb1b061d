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


_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {"pretrain_biglog-mini.json": _pretraining}
