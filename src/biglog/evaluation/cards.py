"""Model cards, rendered from the record of a run: no number in them is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from biglog.errors import InputError

TEMPLATE = "model_card.md.j2"
CURVE_POINTS = 8


def render_model_card(record: dict[str, Any]) -> str:
    """Returns the card of a pretrained checkpoint, YAML metadata included.

    Args:
        record: What :func:`biglog.training.pretrain.pretrain` returned or wrote.

    Raises:
        InputError: The record lacks something that the card says.
    """
    folder = Path(__file__).parents[1] / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    metadata = ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="feature-extraction",
        language="en",
        tags=["biglog", "logs", "log-analysis", "anomaly-detection", "bert", "fill-mask"],
        model_name=record["name"],
    )
    try:
        return environment.get_template(TEMPLATE).render(
            metadata=metadata.to_yaml(),
            r=record,
            curve=_spread(record["evaluations"]),
            sources=_sources(record),
        )
    except Exception as error:  # a missing key is a KeyError here and an UndefinedError there
        raise InputError(f"the record lacks what the card says: {error}", remedy="Train again") from error


def read_record(path: Path) -> dict[str, Any]:
    """Reads the record of a run.

    Raises:
        InputError: It cannot be read.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"this record cannot be read: {error}", where=path) from error
    return record


def _spread(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Picks a few points from first to last."""
    if len(points) <= CURVE_POINTS:
        return points
    step = (len(points) - 1) / (CURVE_POINTS - 1)
    return [points[round(i * step)] for i in range(CURVE_POINTS)]


def _sources(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Files by domain, each with lines and checksum."""
    return sorted(record["data"]["sources"], key=lambda source: (source["domain"], source["file"]))
