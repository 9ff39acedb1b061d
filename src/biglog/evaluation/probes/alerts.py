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

from biglog.evaluation.probes.vectors import Embed, Indices, Space, Unfitted, embedded, fitted, unit

SEEDS: Final = tuple(range(20))
TEST_SHARE: Final = 0.5
SHOTS: Final = 10

Flags = NDArray[np.bool_]


def classifier() -> LogisticRegression:
    """The linear head of every probe: scikit-learn's logistic regression, classes weighted alike."""
    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)


def unseen_alerts(
    embed: Embed | Unfitted,
    lines: pl.DataFrame,
    *,
    column: str = "content",
    seeds: Sequence[int] = SEEDS,
    test_share: float = TEST_SHARE,
) -> dict[str, Any]:
    """Learns alerts on some templates with logistic regression on unit vectors, tests on the other templates.

    Args:
        embed: Embedder; one that has to be fitted is fitted to all lines, without labels.
        lines: As `biglog.evaluation.probes.labelled.read_alerts` returns them.
        column: What the embedder reads, content or normal_form.
        seeds: One split a seed, the same for every embedder.
        test_share: Share of the alert templates, and of the others, that is tested.

    Returns:
        F1 at probability 1/2 and average precision, each with `mean`, `sd` and `values` by seed.
    """
    vectors = unit(embedded(fitted(embed, lines[column].to_list()), lines[column].to_list()))
    alert = lines["is_alert"].to_numpy()
    f1, precision = [], []
    for seed in seeds:
        test = split(lines, seed, test_share)
        head = classifier().fit(vectors[~test], alert[~test])
        score = head.predict_proba(vectors[test])[:, 1]
        f1.append(float(f1_score(alert[test], score > 0.5)))
        precision.append(float(average_precision_score(alert[test], score)))
    return {"f1": spread(f1), "average_precision": spread(precision)}


def split(lines: pl.DataFrame, seed: int, test_share: float = TEST_SHARE) -> Flags:
    """Draws templates to test, so that alert templates are on both sides.

    Args:
        lines: Columns event and is_alert; an event with any alert is an alert template.
        seed: Decides the draw.
        test_share: See :func:`unseen_alerts`.

    Returns:
        Which lines are tested, shape (n,).
    """
    generator = np.random.default_rng(seed)
    kinds = lines.group_by("event").agg(pl.any("is_alert")).sort("event")
    tested: list[int] = []
    for (_,), events in kinds.group_by("is_alert", maintain_order=True):
        shuffled = generator.permutation(events["event"].to_numpy())
        tested += shuffled[: round(test_share * len(shuffled))].tolist()
    return lines["event"].is_in(tested).to_numpy()


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
        unseen: Whether known lines are drawn from the training templates of :func:`split` and the others
            tested, instead of from all lines.

    Returns:
        As :func:`unseen_alerts`.
    """
    texts = lines[column].to_list()
    space = Space(embedded(fitted(embed, texts), texts))
    alert = lines["is_alert"].to_numpy()
    f1, precision = [], []
    for seed in seeds:
        test = split(lines, seed) if unseen else np.ones(len(alert), bool)
        positive, negative = draw(alert, ~test if unseen else test, seed, shots)
        asked = np.setdiff1d(np.flatnonzero(test), np.concatenate([positive, negative]))
        score = space.cosines(asked, positive).max(axis=1) - space.cosines(asked, negative).max(axis=1)
        f1.append(float(f1_score(alert[asked], score > 0)))
        precision.append(float(average_precision_score(alert[asked], score)))
    return {"f1": spread(f1), "average_precision": spread(precision)}


def draw(alert: Flags, allowed: Flags, seed: int, shots: int) -> tuple[Indices, Indices]:
    """Draws so many alerts and so many other lines of those allowed, as rows."""
    generator = np.random.default_rng(seed)
    kinds = (np.flatnonzero(alert & allowed), np.flatnonzero(~alert & allowed))
    positive, negative = (generator.permutation(rows)[:shots] for rows in kinds)
    return positive, negative


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation and the values themselves."""
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)), "values": list(values)}
