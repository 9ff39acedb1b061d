import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biglog.metrics.language import HIDDEN, Bigram, Unigram, bits_per_byte, language_score, macro_average


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


def chain(ids, vocabulary):
    return Bigram.fit(np.array(ids[:-1]), np.array(ids[1:]), np.ones(len(ids) - 1), vocabulary)


class TestBigram:
    """Worked examples over the text 0 1 2 0 1 3: pairs 01 twice, 12, 20 and 13 once each."""

    model = chain([0, 1, 2, 0, 1, 3], 4)
    # How often each token follows another, once more than it does: 0 1 (of 20), 1 2 (of 01 01), 2, 3.
    unigram = np.array([2, 3, 2, 2]) / 9

    def test_without_neighbours_it_is_the_frequency(self):
        assert self.model.predict(HIDDEN, HIDDEN) == pytest.approx(self.unigram)

    def test_the_left_neighbour_is_interpolated_with_the_frequency(self):
        # After 0 came 1 twice: N = 2, T = 1. After 1 came 2 and 3: N = 2, T = 2. After 3 came nothing.
        assert self.model.predict(0, HIDDEN) == pytest.approx((np.array([0, 2, 0, 0]) + self.unigram) / 3)
        assert self.model.predict(1, HIDDEN) == pytest.approx((np.array([0, 0, 1, 1]) + 2 * self.unigram) / 4)
        assert self.model.predict(3, HIDDEN) == pytest.approx(self.unigram)

    def test_the_right_neighbour_weighs_each_candidate_by_how_often_it_stands_before(self):
        # P(0 | a): after 2 it came once (N = 1, T = 1); elsewhere by interpolation alone.
        before_0 = np.array(
            [self.unigram[0] / 3, self.unigram[0] / 2, (1 + self.unigram[0]) / 2, self.unigram[0]]
        )
        expected = before_0 * self.unigram
        assert self.model.predict(HIDDEN, 0) == pytest.approx(expected / expected.sum())
        both = before_0 * (np.array([0, 0, 1, 1]) + 2 * self.unigram) / 4
        assert self.model.predict(1, 0) == pytest.approx(both / both.sum())
        assert self.model.predict(1, 0).argmax() == 2

    def test_score(self):
        left, right = np.array([1, 1, HIDDEN]), np.array([0, 0, HIDDEN])
        score = self.model.score(np.array([2, 3, 1]), left, right, np.array([1, 1, 2]))
        assert score.accuracy == pytest.approx(2 / 3)
        found = self.model.predict(1, 0)
        expected = -(np.log(found[2]) + np.log(found[3]) + np.log(3 / 9))
        assert score.loss == pytest.approx(expected / 3)
        assert score.bits_per_byte == pytest.approx(expected / np.log(2) / 4)

    def test_pairs_count_by_weight(self):
        pairs = np.array([0, 0]), np.array([1, 2])
        found = Bigram.fit(*pairs, np.array([3.0, 1.0]), 3).predict(0, HIDDEN)
        assert found == pytest.approx((np.array([0, 3, 1]) + 2 * np.array([1, 4, 2]) / 7) / 6)


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=60),
    st.integers(HIDDEN, 6),
    st.integers(HIDDEN, 6),
)
def test_a_bigram_gives_every_token_some_probability_and_all_of_them_one(text, left, right):
    found = chain(text, 7).predict(left, right)
    assert found.sum() == pytest.approx(1)
    assert (found > 0).all()


def test_on_a_chain_the_bigram_beats_the_unigram():
    rng = np.random.default_rng(0)
    steps = rng.choice([1, 2], size=4000, p=[0.9, 0.1])
    text = np.cumsum(steps) % 11
    train, test = text[:3000], text[3000:]
    targets, sizes = test[1:-1], np.ones(len(test) - 2, dtype=int)
    bigram = chain(train, 11).score(targets, test[:-2], test[2:], sizes)
    unigram = Unigram.fit(np.bincount(train, minlength=11)).score(targets, sizes)
    assert bigram.accuracy > 0.8 > unigram.accuracy + 0.5
    assert bigram.loss < unigram.loss / 3
