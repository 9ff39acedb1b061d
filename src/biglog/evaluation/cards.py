"""Model cards, rendered from a run's record and the results on it: no number in them is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from biglog.errors import InputError
from biglog.evaluation import card_parts as parts
from biglog.evaluation.card_board import board_picture, board_table, eval_results
from biglog.evaluation.card_cost import cost_words
from biglog.evaluation.charts import curves
from biglog.evaluation.figures.learning import PICTURE, probes_picture, who
from biglog.evaluation.figures.markdown import Result
from biglog.evaluation.figures.parsing import parsing_for_card
from biglog.evaluation.figures.speed import cold_in_short
from biglog.evaluation.leaderboard.collecting import Entry
from biglog.evaluation.probes.rendering import render_probes

TEMPLATE: Final = "model_card.md.j2"
CURVES: Final = "curves.svg"
TASKS: Final = "tasks.svg"
CURVE_POINTS: Final = 8


def render_model_card(
    record: Result,
    probes: Result | None = None,
    cold: Result | None = None,
    left_out: Result | None = None,
    *,
    parser: Result | None = None,
    parsing: Result | None = None,
    board: Sequence[Entry] = (),
    pictures: str = "",
) -> str:
    """Returns the card of a pretrained checkpoint, YAML metadata included.

    Args:
        record: What :func:`biglog.training.pretrain.pretrain` returned or wrote. One from before objectives,
            statements, bigrams or left-out domains were recorded says nothing of them.
        probes: Result of the probes; None leaves them out, and so does one without the checkpoint's name.
        cold: Result of `benchmarks/cold_embeddings.py`; None leaves speed out.
        left_out: Result of `recipes/left_out.py`; None leaves masked tokens of unseen domains out.
        parser: What the checkpoint's parser was taught by (`parser_config.json`); None: it has none.
        parsing: Result of `recipes/evaluation.py parsing`, for a checkpoint with a parser.
        board: Results of this model and of others on tasks (`biglog.evaluation.leaderboard.collect`).
        pictures: Where the pictures are, relative to the card: empty for beside it, else with a slash at the
            end.

    Raises:
        InputError: The record lacks something that the card says.
    """
    try:
        said = _said(record, probes, cold, left_out, pictures) | _on_tasks(record["name"], board)
        told = "" if parser is None or parsing is None else parsing_for_card(parser, parsing)
        return _environment().get_template(TEMPLATE).render(said | {"parsing": told})
    except (LookupError, TypeError, AttributeError, ValueError, UndefinedError) as error:
        raise InputError(
            f"the record lacks what the card says: {error}", where=record.get("name"), remedy="Train again"
        ) from error


def card_pictures(
    record: Result, probes: Result | None = None, board: Sequence[Entry] = ()
) -> dict[str, str]:
    """Returns the pictures that the card refers to, SVG by file name.

    Args:
        record: As for :func:`render_model_card`.
        probes: Likewise.
        board: Likewise.

    Raises:
        InputError: The record lacks what is drawn.
    """
    try:
        found = {CURVES: curves(parts.panels(record), title=f"Training of {record['name']}")}
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(f"the record lacks what is drawn: {error}", remedy="Train again") from error
    if probes is not None and record["name"] in probes["systems"]:
        found[PICTURE] = probes_picture(probes, record["name"])
    if drawn := board_picture(record["name"], board):
        found[TASKS] = drawn
    return found


def read_record(path: Path) -> Result:
    """Reads the record of a run.

    Raises:
        InputError: It cannot be read.
    """
    try:
        record: Result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"this record cannot be read: {error}", where=path) from error
    return record


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )


def _said(
    record: Result, probes: Result | None, cold: Result | None, left_out: Result | None, pictures: str
) -> dict[str, Any]:
    """Everything that the template puts in its place."""
    name = record["name"]
    probed = probes is not None and name in probes["systems"]
    timed = cold is not None and name in cold["contenders"]
    away = left_out if left_out is not None and left_out["name"] == name else None
    start = record["arguments"]["initial_checkpoint"]
    return {
        "r": record,
        "cost": cost_words(record),
        "pictures": pictures,
        "limits": list(parts.limits(record, probes, away)),
        "beaten": parts.beaten_table(record, probes),
        "probes": render_probes(probes) if probes is not None and probed else "",
        "who": who(probes, name) if probes is not None and probed else "",
        "cold": cold_in_short(cold) if cold is not None and timed else "",
        "has_bigram": "bigram" in record["evaluation"]["average_over_domains"],
        "language": parts.language_table(record),
        "away": "" if away is None else parts.left_out_table(away),
        "curve": _spread(record["evaluations"]),
        "domains": parts.domains_table(record),
        "left_out": parts.left_out(record),
        "exclusions": parts.exclusions_table(record),
        "statements": parts.statements(record),
        "teacher": parts.teacher(record),
        "objectives": parts.objectives_table(record),
        "start": "from scratch" if start is None else f"from the weights of `{start}`",
        "sources": parts.sources_table(record),
    }


def _on_tasks(name: str, board: Sequence[Entry]) -> dict[str, str]:
    """Results on tasks, in the metadata and in the text."""
    metadata = _metadata(name, eval_results(name, board)).to_yaml()
    return {
        "metadata": metadata,
        "board": board_table(name, board),
        "board_picture": TASKS if board_picture(name, board) else "",
    }


def _metadata(name: str, results: list[EvalResult]) -> ModelCardData:
    return ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="feature-extraction",
        language="en",
        tags=[
            "biglog",
            "logs",
            "log-analysis",
            "anomaly-detection",
            "bert",
            "fill-mask",
            "sentence-transformers",
            "feature-extraction",
        ],
        model_name=name,
        eval_results=results or None,
    )


def _spread(points: list[Result]) -> list[Result]:
    """Picks a few points from first to last."""
    if len(points) <= CURVE_POINTS:
        return points
    step = (len(points) - 1) / (CURVE_POINTS - 1)
    return [points[round(i * step)] for i in range(CURVE_POINTS)]
