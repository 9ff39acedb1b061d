"""Severity carried across domains: is a warning known in a system whose levels were never seen?

A linear head learns levels on some domains, or on log statements of source code, and is tested on a domain
that it has no label of. Every normal form counts once, so that a frequent line decides no more than a rare
one; alert lines count as often as they occur.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from biglog.errors import InputError
from biglog.evaluation.probes.labelled import by_form, severity
from biglog.evaluation.probes.vectors import Embed, Unfitted, compact, embedded, fitted, unit

DRAWS: Final = 1000
NEAR: Final = 0.75
PLACE: Final = "[NUM]"
"""What stands for an argument of a log statement: the mask token that is most frequent in logs."""

PROJECTS: Final = "other projects"
"""Domain and set of the log statements of projects that nothing was learnt from."""

Areas: TypeAlias = dict[str, NDArray[np.float64]]
"""By set the AUC, and that of bootstrap draws behind it."""

_CELLS = 8_000_000
"""Likenesses that are held at once."""

_ALERTS = " alert lines"
_SCORES = ("set", "domain", "normal_form", "is_severe", "weight", "score")


def severity_sets(levels: pl.DataFrame, alerts: pl.DataFrame | None = None) -> pl.DataFrame:
    """Puts together what is tested.

    Args:
        levels: As `biglog.evaluation.probes.labelled.read_levels` returns them.
        alerts: As `read_alerts` there returns them; tested as a set of its own, and never trained on.

    Returns:
        One row a set and normal form, sorted: set, domain, normal_form, is_severe, weight, is_taught (whether
        other sets may learn from it).
    """
    rows = levels.select(
        pl.col("domain").alias("set"),
        "domain",
        "normal_form",
        "is_severe",
        pl.lit(1.0).alias("weight"),
        pl.lit(True).alias("is_taught"),
    )
    if alerts is not None:
        forms = alerts.group_by("domain", "normal_form").agg(
            (pl.col("is_alert").mean() >= 0.5).alias("is_severe"), pl.len().cast(pl.Float64).alias("weight")
        )
        name = (pl.col("domain") + _ALERTS).alias("set")
        rows = pl.concat([rows, forms.with_columns(name, is_taught=pl.lit(False)).select(rows.columns)])
    return rows.sort("set", "normal_form")


def severity_across_domains(
    embed: Embed | Unfitted, sets: pl.DataFrame, *, tested: Sequence[str] | None = None
) -> pl.DataFrame:
    """Leaves each domain out once: learns on the others' levels, scores its forms.

    Args:
        embed: Reads normal forms; one that has to be fitted is fitted to those of all sets, without labels.
        sets: As :func:`severity_sets` returns them.
        tested: Domains that are left out in turn; None takes all.

    Returns:
        Columns set, domain, normal_form, is_severe, weight, score; higher is more severe.

    Raises:
        InputError: The other domains have one class only.
    """
    vectors = _vectors(embed, sets["normal_form"].to_list())
    severe, taught = sets["is_severe"].to_numpy(), sets["is_taught"].to_numpy()
    domains = sets["domain"].to_numpy()
    found = []
    for name in sets["domain"].unique(maintain_order=True).to_list() if tested is None else tested:
        asked, known = domains == name, taught & (domains != name)
        if not asked.any():
            continue
        head = _head(vectors[known], severe[known], domains[known])
        score = head.decision_function(vectors[asked])
        found.append(sets.filter(pl.Series(asked)).with_columns(score=score).select(_SCORES))
    return pl.concat(found) if found else sets.head(0).with_columns(score=pl.lit(0.0)).select(_SCORES)


def severity_from_statements(
    embed: Embed | Unfitted,
    statements: pl.DataFrame,
    sets: pl.DataFrame,
    *,
    tested: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Learns the levels of log statements in source code, scores the forms of logs: no label of any log.

    Args:
        embed: Reads normal forms; one that has to be fitted is fitted to all statements and forms.
        statements: As :func:`statement_forms` returns them.
        sets: As :func:`severity_sets` returns them.
        tested: Domains to score; None takes all.

    Returns:
        As :func:`severity_across_domains`.
    """
    texts = statements["normal_form"].to_list()
    vectors = _vectors(embed, texts + sets["normal_form"].to_list())
    severe = statements["is_severe"].to_numpy()
    head = _head(vectors[: len(texts)], severe, np.zeros(len(texts)))
    scored = sets.with_columns(score=head.decision_function(vectors[len(texts) :])).select(_SCORES)
    return scored if tested is None else scored.filter(pl.col("domain").is_in(tested))


def project_set(statements: pl.DataFrame, taught: pl.DataFrame) -> pl.DataFrame:
    """Returns statements of other projects as a set that is tested, none like one that is learnt from.

    Args:
        statements: Columns template and level.
        taught: As :func:`statement_forms` returns them.

    Returns:
        As :func:`severity_sets`.
    """
    forms = statement_forms(statements, taught["normal_form"].to_list())
    return forms.select(
        pl.lit(PROJECTS).alias("set"),
        pl.lit(PROJECTS).alias("domain"),
        "normal_form",
        "is_severe",
        pl.lit(1.0).alias("weight"),
        pl.lit(False).alias("is_taught"),
    ).sort("normal_form")


def statement_forms(
    statements: pl.DataFrame, tested: Sequence[str], *, most: int | None = None, near: float = NEAR
) -> pl.DataFrame:
    """Makes labelled normal forms of log statements, none like a tested one.

    Args:
        statements: Columns template (arguments as `<*>`) and level; levels that are none are left out.
        tested: Normal forms that will be asked for.
        most: Forms to keep, drawn with a fixed seed; None keeps all.
        near: A statement is dropped if the cosine of its letters' 3- and 4-grams with those of a tested form
            is above this.

    Returns:
        Columns normal_form, is_severe, lines; one row a form.
    """
    texts = statements.select(
        pl.col("template").str.replace_all("<*>", PLACE, literal=True), severity("level")
    )
    texts = texts.rename({"template": "content"}).drop_nulls().with_columns(lines=pl.lit(1))
    forms = by_form(texts).drop("content")
    forms = forms.filter(pl.col("normal_form").str.contains("[A-Za-z]{3}"))
    forms = forms.filter(~pl.Series(likeness(forms["normal_form"].to_list(), tested) > near))
    if most is not None and len(forms) > most:
        forms = forms.sample(most, seed=0).sort("normal_form")
    return forms


def likeness(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    """Largest cosine of each text's letter 3- and 4-grams with those of any of the others, shape (texts,)."""
    found = np.zeros(len(texts))
    if not len(texts) or not len(others):
        return found
    vectorizer = HashingVectorizer(
        analyzer="char", ngram_range=(3, 4), n_features=2**20, alternate_sign=False, lowercase=True
    )
    ours, theirs = (vectorizer.transform([_letters(text) for text in side]) for side in (texts, others))
    rows = max(1, _CELLS // len(others))
    for start in range(0, len(texts), rows):
        products = ours[start : start + rows] @ theirs.T
        found[start : start + rows] = products.max(axis=1).toarray().ravel()
    return found


def auc(scores: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> Areas:
    """Area under the ROC curve of each set, and of bootstrap draws of its forms.

    Forms are drawn with replacement, severe and mild ones apart, the same ones for every embedder: equal
    columns of two results are paired.

    Args:
        scores: As the functions above return them; sets with one class only are left out.
        draws: Bootstrap draws.
        seed: Decides them.

    Returns:
        By set an array of shape (1 + draws,), the first of which is that of the forms themselves.
    """
    found = {}
    for (name,), part in scores.sort("set", "normal_form").group_by("set", maintain_order=True):
        severe = part["is_severe"].to_numpy()
        score, weight = part["score"].to_numpy(), part["weight"].to_numpy()
        if severe.all() or not severe.any():
            continue
        high, low = score[severe][:, None], score[~severe][None, :]
        wins = (high > low) + 0.5 * (high == low)
        generator = np.random.default_rng(seed)
        positive, negative = (_resampled(weight[side], draws, generator) for side in (severe, ~severe))
        total = positive.sum(axis=1) * negative.sum(axis=1)
        found[str(name)] = ((positive @ wins) * negative).sum(axis=1) / total
    return found


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """The value itself and its 95 % bootstrap interval, of an array as :func:`auc` gives them."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def compare(ours: Areas, theirs: Areas) -> dict[str, dict[str, float] | None]:
    """Differences of two results of :func:`auc`, by set, and of their means over the sets that both have."""
    between = {name: ours[name] - theirs[name] for name in ours if name in theirs}
    return {name: interval(area) for name, area in between.items()} | {"mean": mean(between)}


def mean(areas: Areas) -> dict[str, float] | None:
    """Mean over the sets of levels with interval, or None; sets of alert lines are of a domain again."""
    levels = [area for name, area in areas.items() if not name.endswith(_ALERTS)]
    return interval(np.mean(levels, axis=0)) if levels else None


def summary(areas: Areas) -> dict[str, Any]:
    """AUC with interval by set (`sets`), and of their mean (`mean`)."""
    return {"sets": {name: interval(area) for name, area in areas.items()}, "mean": mean(areas)}


def _vectors(embed: Embed | Unfitted, texts: list[str]) -> Any:
    return compact(unit(embedded(fitted(embed, texts), texts)))


def _head(vectors: Any, severe: NDArray[np.bool_], domains: NDArray[Any]) -> LogisticRegression:
    """Fits the head; each class of each domain has the same weight, and the mean weight is 1."""
    if severe.all() or not severe.any():
        raise InputError("what severity is learnt from is all severe, or all mild")
    groups, counts = np.unique(
        [f"{domain}/{one}" for domain, one in zip(domains, severe, strict=True)],
        return_inverse=True,
        return_counts=True,
    )[1:]
    weight = 1 / counts[groups]
    return LogisticRegression(C=1.0, max_iter=2000).fit(vectors, severe, sample_weight=weight / weight.mean())


def _resampled(
    weight: NDArray[np.float64], draws: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Weights of the forms and of draws of them, shape (1 + draws, forms)."""
    times = generator.multinomial(len(weight), np.full(len(weight), 1 / len(weight)), draws)
    return np.vstack([np.ones(len(weight)), times]) * weight


def _letters(text: str) -> str:
    return re.sub(r"[^A-Za-z]+", " ", re.sub(r"\[[A-Z]+\]", " ", text))
