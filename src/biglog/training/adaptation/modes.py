"""Modes of adaptation side by side: quality, parameters and time, over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from biglog.logs.masking import MASK_TOKENS
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.examples import Examples, distinct
from biglog.training.adaptation.fitting import fit
from biglog.training.adaptation.heads import Base
from biglog.training.adaptation.reading import read_examples
from biglog.training.adaptation.tables import Table

METRICS: Final = ("macro_f1", "balanced_accuracy", "average_precision")
MAIN: Final = "macro_f1"

_LINEAR: Final = ("query", "key", "value", "intermediate.dense", "output.dense")

SETTINGS: Final[Mapping[str, AdaptArguments]] = {
    "frozen": AdaptArguments(mode="frozen"),
    "lora": AdaptArguments(mode="lora", rank=5, target_modules=_LINEAR),
    "full": AdaptArguments(mode="full"),
}
"""Chosen before anything was tested: default rates, and of LoRA the rank with which adapters on all linear
layers are just below 1 % of biglog-mini."""

EPOCHS: Final[Mapping[str, float]] = {"sequence": 30, "token": 8, "window": 30}
"""By head, for every mode alike; chosen before, too."""


@dataclass(frozen=True)
class Trial:
    """One split to learn and to test.

    Attributes:
        base: The encoder.
        learnt: Its table.
        tested: Its tables.
    """

    base: Base
    learnt: Table
    tested: list[Table]


def compare_modes(
    head: str,
    trials: Callable[[int], Iterable[Trial]],
    seeds: Sequence[int],
    output_path: str,
    *,
    settings: Mapping[str, AdaptArguments] = SETTINGS,
    epochs: float | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Adapts by every mode, and puts the figures beside each other.

    Args:
        head: Kind of head.
        trials: Splits of a seed.
        seeds: Of heads, adapters, orders and splits.
        output_path: Folder for what the Trainer needs; nothing stays there.
        settings: Arguments by mode.
        epochs: In place of `EPOCHS`.
        say: Is told what was done.

    Returns:
        By mode: `metrics` (mean over seeds, sd, values), `parameters`, `seconds` (mean of a training), and
        `points_below_full` of `MAIN`; and of the rule that names the most frequent class `majority`.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in settings}
    for seed in seeds:
        for name in settings:
            given = replace(settings[name], head=head, seed=seed, output_path=output_path)
            told = replace(given, epochs=epochs or EPOCHS[head], **_SHARED)
            rows[name].append(_seed(trials(seed), told))
            say(f"{head}, seed {seed}, {name}: {MAIN} {rows[name][-1][MAIN]:.4f}")
    found = {name: _summed(parts) for name, parts in rows.items()}
    best = found["full"]["metrics"][MAIN]["mean"]
    for row in found.values():
        row["points_below_full"] = 100 * (best - row["metrics"][MAIN]["mean"])
    majority = statistics.fmean(part["majority"] for part in rows["full"])
    return {"modes": found, "majority": {MAIN: majority}}


_SHARED: Final[dict[str, Any]] = {
    "distinct": True,
    "class_weights": ("balanced",),
    "save_steps": 0,
    "use_cpu": True,
    "logging_steps": 10_000,
}


def _seed(trials: Iterable[Trial], told: AdaptArguments) -> dict[str, Any]:
    scores: list[dict[str, Any]] = []
    seconds, counts = [], {}
    for trial in trials:
        train = _examples(trial.learnt, told)
        fitted = fit(trial.base, train, None, told)
        seconds.append(fitted.seconds)
        counts = fitted.parameters
        scores += [fitted.scored(_examples(table, told, train.classes)) for table in trial.tested]
    means = {
        name: statistics.fmean(score[name] for score in scores)
        for name in METRICS
        if all(name in score for score in scores)
    }
    majority = statistics.fmean(score["majority"][MAIN] for score in scores)
    return means | {"majority": majority, "seconds": statistics.fmean(seconds), "parameters": counts}


def _examples(table: Table, told: AdaptArguments, classes: tuple[str, ...] = ()) -> Examples:
    examples = read_examples(table, told, classes)
    return examples if examples.words is None else _unmasked(examples)


def _unmasked(examples: Examples) -> Examples:
    """Leaves out words under masks."""
    assert examples.words is not None
    forms = examples.groups.forms.to_list()
    free = [
        np.array([all(token not in form[a:b] for token in MASK_TOKENS) for a, b in spans], dtype=bool)
        for form, spans in zip(forms, examples.words, strict=True)
    ]
    words = [
        [span for span, is_free in zip(spans, flags, strict=True) if is_free]
        for spans, flags in zip(examples.words, free, strict=True)
    ]
    codes = [int(examples.codes(number)[0]) for number in range(len(examples))]
    kept = [number for number, code in enumerate(codes) if free[code].any()]
    labels = [tuple(examples.labels[number][free[codes[number]]].tolist()) for number in kept]
    return distinct(examples.groups.take(np.array(kept)), labels, examples.classes, words)


def _summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    metrics = {}
    for name in (name for name in METRICS if all(name in part for part in parts)):
        values = [part[name] for part in parts]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        metrics[name] = {"mean": statistics.fmean(values), "sd": spread, "values": values}
    return {
        "metrics": metrics,
        "parameters": parts[0]["parameters"],
        "seconds": statistics.fmean(part["seconds"] for part in parts),
    }
