"""Probe B, alerts: are alerts of a wording never seen told from other lines, and alerts from a few examples?

Lines of BGL_2k with their alert column. What is split is templates: a line of a template in training says
all about the template's other lines, so that a split of lines would only measure a table of templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from biglog.errors import InputError
from biglog.evaluation.probes.vectors import Embed, Indices, Space, Unfitted, compact, embedded, fitted, unit

SEEDS: Final = tuple(range(20))
FOLDS: Final = 5
SHOTS: Final = 10

Flags = NDArray[np.bool_]


def unseen_alerts(
    embed: Embed | Unfitted,
    lines: pl.DataFrame,
    *,
    column: str = "content",
    seeds: Sequence[int] = SEEDS,
    folds: int = FOLDS,
) -> dict[str, Any]:
    """Learns alerts on the templates of all folds but one, and asks for the lines of that one, in turn.

    The head is scikit-learn's logistic regression (C = 1) on unit vectors, lines of both classes weighted
    alike. A seed's scores are of all lines, each by the head that has not seen its template.

    Args:
        embed: Embedder; one that has to be fitted is fitted to all lines, without labels.
        lines: As `biglog.evaluation.probes.labelled.read_alerts` returns them.
        column: What the embedder reads, content or normal_form.
        seeds: One deal of templates to folds a seed, the same for every embedder.
        folds: Folds.

    Returns:
        F1 at probability 1/2 and average precision, each with `mean`, `sd` and `values` by seed.
    """
    # Lines with one text and one template are one row with a weight: the same optimum, sooner.
    rows = lines.group_by("event", column, "is_alert", maintain_order=True).agg(pl.len().alias("lines"))
    texts = rows[column].to_list()
    vectors = compact(unit(embedded(fitted(embed, lines[column].to_list()), texts)))
    alert, count = rows["is_alert"].to_numpy(), rows["lines"].to_numpy().astype(np.float64)
    f1, precision = [], []
    for seed in seeds:
        fold, score = deal(rows, seed, folds), np.empty(len(rows))
        for one in range(folds):
            known = fold != one
            weight = _balanced(alert[known], count[known])
            head = LogisticRegression(C=1.0, max_iter=2000).fit(vectors[known], alert[known], weight)
            score[~known] = head.decision_function(vectors[~known])
        f1.append(float(f1_score(alert, score > 0, sample_weight=count)))
        precision.append(float(average_precision_score(alert, score, sample_weight=count)))
    return {"f1": spread(f1), "average_precision": spread(precision)}


def deal(lines: pl.DataFrame, seed: int, folds: int = FOLDS) -> Indices:
    """Deals templates to folds, alert templates and others each evenly.

    Args:
        lines: Columns event and is_alert; an event with any alert is an alert template.
        seed: Decides the deal.
        folds: Folds.

    Returns:
        The fold of each line, shape (n,); lines of one event are in one fold.

    Raises:
        InputError: There are fewer alert templates, or others, than folds.
    """
    generator = np.random.default_rng(seed)
    kinds = lines.group_by("event").agg(pl.any("is_alert")).sort("event")
    some = int(kinds["is_alert"].sum())
    if min(some, len(kinds) - some) < max(2, folds):
        problem = f"{some} alert templates and {len(kinds) - some} others for {folds} folds"
        raise InputError(problem, remedy="Each fold needs one of each")
    fold = np.empty(int(kinds["event"].max()) + 1, np.int64)  # type: ignore[arg-type]
    for alert in (False, True):
        events = generator.permutation(kinds.filter(is_alert=alert)["event"].to_numpy())
        fold[events] = np.arange(len(events)) % folds
    return fold[lines["event"].to_numpy()]


def few_shot_alerts(
    embed: Embed | Unfitted,
    lines: pl.DataFrame,
    *,
    column: str = "content",
    seeds: Sequence[int] = SEEDS,
    shots: int = SHOTS,
    unseen: bool = False,
) -> dict[str, Any]:
    """Tells alerts by the nearest of a few alerts against the nearest of a few other lines.

    The score of a line is its largest cosine with a known alert less that with a known other line; above 0
    it is called an alert. Nothing is fitted: plain logistic regression on so few lines measures its prior.

    Args:
        embed: Embedder, as in :func:`unseen_alerts`.
        lines: As there.
        column: As there.
        seeds: One draw a seed.
        shots: Known alerts, and known other lines.
        unseen: Whether lines are asked for by folds of templates, as there, with known lines of the other
            folds; else known lines are drawn from all lines.

    Returns:
        As :func:`unseen_alerts`, and `balanced_f1`, with the other lines weighted down to as many as alerts.
    """
    texts = lines[column].to_list()
    space = Space(embedded(fitted(embed, texts), texts))
    alert = lines["is_alert"].to_numpy()
    values: dict[str, list[float]] = {"f1": [], "balanced_f1": [], "average_precision": []}
    for seed in seeds:
        fold = deal(lines, seed) if unseen else np.zeros(len(alert), np.int64)
        score = np.full(len(alert), np.nan)
        for one in np.unique(fold):
            positive, negative = draw(alert, (fold != one) | (not unseen), seed, shots)
            asked = np.setdiff1d(np.flatnonzero(fold == one), np.concatenate([positive, negative]))
            likeness = (space.cosines(asked, known).max(axis=1) for known in (positive, negative))
            score[asked] = np.subtract(*likeness)
        asked = np.flatnonzero(~np.isnan(score))
        truth, said, weight = alert[asked], score[asked] > 0, _balanced(alert[asked], np.ones(len(asked)))
        values["f1"].append(float(f1_score(truth, said)))
        values["balanced_f1"].append(float(f1_score(truth, said, sample_weight=weight)))
        values["average_precision"].append(float(average_precision_score(truth, score[asked])))
    return {name: spread(one) for name, one in values.items()}


def _balanced(alert: Flags, count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by which both classes weigh alike, with mean 1 a line."""
    share = np.where(alert, count[alert].sum(), count[~alert].sum()) / count.sum()
    return count / (2 * share)


def draw(alert: Flags, allowed: Flags, seed: int, shots: int) -> tuple[Indices, Indices]:
    """Draws so many alerts and so many other lines of those allowed, as rows."""
    generator = np.random.default_rng(seed)
    kinds = (np.flatnonzero(alert & allowed), np.flatnonzero(~alert & allowed))
    positive, negative = (generator.permutation(rows)[:shots] for rows in kinds)
    return positive, negative


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (0 of one value) and the values themselves."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": deviation, "values": list(values)}
