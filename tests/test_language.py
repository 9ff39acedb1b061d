import numpy as np
import pytest

from biglog.metrics.language import Unigram, bits_per_byte, language_score, macro_average


def test_a_uniform_guess_over_256_bytes_costs_eight_bits_per_byte():
    log_likelihood = np.full(10, np.log(1 / 256))
    assert bits_per_byte(log_likelihood, np.ones(10, dtype=int)) == pytest.approx(8.0)


def test_the_same_cost_over_longer_tokens_is_fewer_bits_per_byte():
    log_likelihood = np.log([0.5, 0.25])
    assert bits_per_byte(log_likelihood, np.array([2, 4])) == pytest.approx((1 + 2) / 6)


def test_score_of_known_predictions():
    score = language_score(np.log([0.5, 0.1]), np.array([True, False]), np.array([1, 1]))
    assert score.tokens == 2
    assert score.accuracy == 0.5
    assert score.loss == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)


def test_unigram_predicts_the_most_frequent_token_and_knows_unseen_ones():
    baseline = Unigram.fit(np.array([0.0, 7.0, 2.0]))
    assert np.exp(baseline.log_probability).sum() == pytest.approx(1.0)
    score = baseline.score(np.array([1, 1, 2, 0]), np.ones(4, dtype=int))
    assert score.accuracy == 0.5
    assert score.loss == pytest.approx(-(2 * np.log(8 / 12) + np.log(3 / 12) + np.log(1 / 12)) / 4)


def test_domains_weigh_the_same_whatever_their_size():
    large = language_score(np.log(np.full(1000, 0.9)), np.ones(1000, dtype=bool), np.ones(1000, dtype=int))
    small = language_score(np.log(np.full(10, 0.1)), np.zeros(10, dtype=bool), np.ones(10, dtype=int))
    average = macro_average({"large": large, "small": small})
    assert average.accuracy == 0.5
    assert average.tokens == 1010


def test_nothing_to_score_is_an_error_and_so_are_unequal_lengths():
    empty = np.array([])
    with pytest.raises(ValueError, match="no masked token"):
        language_score(empty, empty.astype(bool), empty.astype(int))
    with pytest.raises(ValueError, match="differ in length"):
        language_score(np.zeros(2), np.zeros(2, dtype=bool), np.ones(3, dtype=int))
