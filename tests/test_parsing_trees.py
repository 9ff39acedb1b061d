"""Forests as plain arrays answer as scikit-learn's do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from biglog.tasks.parsing.trees import Forest

FEATURES = 6


def fitted(seed: int, rows: int = 400, trees: int = 12) -> ExtraTreesClassifier:
    rng = np.random.default_rng(seed)
    # Few different values: many rows stand exactly where a tree divides.
    table = np.round(rng.normal(size=(rows, FEATURES)), 1).astype(np.float32)
    truth = table[:, 0] + table[:, 1] * table[:, 2] + 0.3 * rng.normal(size=rows) > 0
    weight = rng.uniform(0.1, 3.0, size=rows)
    model = ExtraTreesClassifier(trees, min_samples_leaf=2, max_features=0.5, random_state=seed)
    return model.fit(table, truth, sample_weight=weight)


def at_thresholds(model: ExtraTreesClassifier) -> np.ndarray:
    """Rows whose values are thresholds of the trees, and the float32 just below and above them."""
    rng = np.random.default_rng(0)
    trees = [estimator.tree_ for estimator in model.estimators_]
    near = np.concatenate([tree.threshold[tree.children_left >= 0] for tree in trees]).astype(np.float32)
    near = np.concatenate([near, np.nextafter(near, np.float32(-9)), np.nextafter(near, np.float32(9))])
    return rng.choice(near, size=(3_000, FEATURES))


@pytest.mark.parametrize("seed", range(5))
def test_a_forest_answers_as_the_classifier(seed: int) -> None:
    model = fitted(seed)
    forest, rng = Forest.of(model), np.random.default_rng(seed + 100)
    for table in (
        rng.normal(size=(500, FEATURES)).astype(np.float32),
        np.round(rng.normal(size=(500, FEATURES)), 1).astype(np.float32),
        at_thresholds(model),
        np.full((1, FEATURES), 1e30, dtype=np.float32),
    ):
        assert forest(table) == pytest.approx(model.predict_proba(table)[:, 1], abs=1e-6)


def test_lists_are_rounded_as_the_classifier_rounds_them() -> None:
    model = fitted(3)
    rows = np.random.default_rng(1).normal(size=(50, FEATURES)).tolist()
    assert Forest.of(model)(rows) == pytest.approx(model.predict_proba(rows)[:, 1], abs=1e-6)


def test_several_forests_together_are_the_average_over_all_trees() -> None:
    models = [fitted(seed, trees=trees) for seed, trees in ((0, 3), (1, 7), (2, 1))]
    forests = [Forest.of(model) for model in models]
    table = np.random.default_rng(5).normal(size=(200, FEATURES)).astype(np.float32)
    expected = sum(len(forest.roots) * forest(table) for forest in forests) / 11
    assert Forest.together(forests)(table) == pytest.approx(expected, abs=1e-6)
    assert Forest.together(forests[:1])(table) == pytest.approx(forests[0](table), abs=1e-12)


def test_no_rows_have_no_answers() -> None:
    assert Forest.of(fitted(0, trees=2))([]).shape == (0,)


def test_a_tree_that_is_a_leaf_has_one_answer() -> None:
    model = ExtraTreesClassifier(3, min_samples_leaf=50, random_state=0)
    model.fit(np.zeros((40, FEATURES)), [True, False] * 20)
    assert Forest.of(model)(np.ones((4, FEATURES))).tolist() == [0.5] * 4


def test_arrays_are_the_whole_forest() -> None:
    forest = Forest.of(fitted(1))
    back = Forest.from_arrays({name: array.copy() for name, array in forest.arrays().items()})
    table = np.random.default_rng(2).normal(size=(100, FEATURES)).astype(np.float32)
    assert np.array_equal(back(table), forest(table))
    with pytest.raises(KeyError, match="child"):
        Forest.from_arrays({name: array for name, array in forest.arrays().items() if name != "child"})
    assert replace(back, value=1 - back.value)(table) == pytest.approx(1 - forest(table))
