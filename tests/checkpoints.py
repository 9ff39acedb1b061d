"""Checkpoints for tests that need trained weights and their tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from biglog.inference.encoder import LogEncoder

TINY = Path(__file__).parent / "tiny-biglog"
"""A real checkpoint, trained by our own recipe on a few real lines."""


@cache
def tiny_encoder() -> LogEncoder:
    return LogEncoder.from_pretrained(TINY)


def fresh_encoder(**options: int) -> LogEncoder:
    """The same weights with an empty cache."""
    tiny = tiny_encoder()
    return LogEncoder(tiny.model, tiny.tokenizer, name=tiny.name, **options)
