"""What a linear head reads of a line: embedding and n-grams beside each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from biglog.errors import InputError
from biglog.tasks.views import DenseAndSparse

FORMS = ["session opened for user root", "session closed for user root", "disk [FILE] is full", "up [NUM] ms"]


def letters(texts):
    """An embedding: how often each letter occurs."""
    return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)


def test_the_embedding_comes_first_and_every_view_has_the_length_of_its_weight():
    view = DenseAndSparse(letters, dense=0.5, words=2.0, characters=3.0).fit(FORMS)
    found = view.transform(FORMS).toarray()
    dense = found[:, :26]
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), 0.5, rtol=1e-5)
    np.testing.assert_allclose(dense, 0.5 * letters(FORMS) / np.linalg.norm(letters(FORMS), axis=1)[:, None])
    np.testing.assert_allclose((found[:, 26:] ** 2).sum(axis=1), 2.0**2 + 3.0**2, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(FORMS), min_size=1, max_size=6))
def test_a_line_reads_the_same_whatever_stands_beside_it(lines):
    view = DenseAndSparse(letters).fit(FORMS)
    together = view.transform(lines).toarray()
    apart = np.vstack([view.transform([line]).toarray() for line in lines])
    np.testing.assert_allclose(together, apart, atol=1e-6)


@pytest.mark.parametrize("weights", [{"words": 0.0}, {"characters": 0.0}, {"dense": 0.0}])
def test_a_view_of_no_weight_is_left_out(weights):
    whole = DenseAndSparse(letters).fit(FORMS).transform(FORMS).shape[1]
    part = DenseAndSparse(letters, **weights).fit(FORMS).transform(FORMS)
    assert 0 < part.shape[1] < whole


def test_words_that_were_never_seen_leave_their_part_empty():
    view = DenseAndSparse(letters, characters=0.0).fit(FORMS)
    assert view.transform(["zzz"]).toarray()[0, 26:].sum() == 0


@pytest.mark.parametrize("weights", [{"words": -1.0}, {"dense": 0.0, "words": 0.0, "characters": 0.0}])
def test_weights_that_make_no_view_are_refused(weights):
    with pytest.raises(InputError, match="weights of views"):
        DenseAndSparse(letters, **weights).fit(FORMS)


def test_it_is_a_transformer_of_scikit_learn():
    head = make_pipeline(DenseAndSparse(letters, words=2.0), LogisticRegression(C=100))
    again = clone(head).fit(FORMS, [0, 0, 1, 0])
    assert again.predict(FORMS).tolist() == [0, 0, 1, 0]
    assert again[0].get_params()["words"] == 2.0
