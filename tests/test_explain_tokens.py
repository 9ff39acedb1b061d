"""Weights of words, and pictures of attention."""

import sys
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
import tiny
from checkpoints import tiny_encoder
from data_path import LINES
from explained_groups import CALM, ODD
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.inference.attention import attention_picture, line_weights, token_attention, window_picture
from biglog.inference.token_weights import METHODS, blank_distance, most_telling, token_weights
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from modeling_biglog import BigLogForWindowClassification

KNOWN = CALM[0]
REAL = [line for path in sorted(LINES.glob("*.log")) for line in read_logs(path).read()["content"].to_list()]


def distance(content, known):
    one, other = tiny_encoder().encode([content])[0], tiny_encoder().encode_normal_forms([known])[0]
    return 1.0 - float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("content", REAL)
def test_offsets_are_into_the_content(content):
    weights = token_weights(tiny_encoder(), content, KNOWN)
    assert [content[word.start : word.end] for word in weights] == [word.text for word in weights]
    ends = [0, *(word.end for word in weights)]
    assert all(start >= end for start, end in zip((word.start for word in weights), ends, strict=False))
    assert all(word.text.strip() == word.text for word in weights)


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_text_has_offsets_or_no_words(content):
    for word in token_weights(tiny_encoder(), content, KNOWN):
        assert content[word.start : word.end] == word.text
        assert np.isfinite(word.weight)


def test_a_masked_value_is_a_word():
    words = [word.text for word in token_weights(tiny_encoder(), ODD, KNOWN)]
    assert words[:3] == ["ciod:", "failed", "to"]
    assert words[-1] == "172.16.96.116:33569"
    dated = token_weights(tiny_encoder(), "at 2005-06-03 15:42:50 it ended", KNOWN)
    assert [word.text for word in dated] == ["at", "2005-06-03 15:42:50", "it", "ended"]


def test_occlusion_is_the_distance_without_the_word():
    weights = token_weights(tiny_encoder(), "generating core dump", KNOWN)
    for word, rest in zip(weights, ("core dump", "generating dump", "generating core"), strict=True):
        fall = distance("generating core dump", KNOWN) - distance(rest, KNOWN)
        assert word.weight == pytest.approx(fall, abs=1e-5)


def test_a_word_too_many_is_the_one_that_tells():
    known = "instruction cache parity error corrected"
    weights = token_weights(tiny_encoder(), f"{known} panic", known)
    assert max(weights, key=lambda word: word.weight).text == "panic"
    assert "panic" in [word.text for word in most_telling(weights)]


@pytest.mark.parametrize("content", [ODD, CALM[3], REAL[0], REAL[-1]])
def test_integrated_gradients_add_up(content):
    pytest.importorskip("captum")
    weights = token_weights(tiny_encoder(), content, KNOWN, "integrated_gradients")
    change = distance(content, KNOWN) - blank_distance(tiny_encoder(), content, KNOWN)
    assert sum(word.weight for word in weights) == pytest.approx(change, abs=2e-3)
    assert all(parameter.grad is None for parameter in tiny_encoder().model.parameters())


def test_of_many_known_embeddings_the_nearest_counts():
    known = list(CALM)
    vectors = tiny_encoder().encode(known)
    near = token_weights(tiny_encoder(), CALM[2], vectors)
    form = normal_forms(pl.Series([CALM[2]]))[0]
    alone = token_weights(tiny_encoder(), CALM[2], form)
    assert [word.weight for word in near] == pytest.approx([word.weight for word in alone], abs=1e-6)


@pytest.mark.parametrize("content", ["", "   "])
def test_a_blank_line_has_no_words(content):
    assert [token_weights(tiny_encoder(), content, KNOWN, method) for method in METHODS] == [[], []]


def test_without_captum_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(InputError, match=r"pip install 'biglog\[explain\]'"):
        token_weights(tiny_encoder(), ODD, KNOWN, "integrated_gradients")


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="no method 'shap'"):
        token_weights(tiny_encoder(), ODD, KNOWN, "shap")
    with pytest.raises(InputError, match="whose width is"):
        token_weights(tiny_encoder(), ODD, np.ones((2, 3)))


def test_attention_is_drawn():
    before = tiny_encoder().encode([ODD]).copy()
    tokens, weights = token_attention(tiny_encoder(), ODD)
    assert weights.shape == (len(tokens), len(tokens))
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(tokens)), abs=1e-5)
    drawn = ElementTree.fromstring(attention_picture(tiny_encoder(), ODD))
    cells = [cell for cell in drawn.iter("{http://www.w3.org/2000/svg}rect") if cell.get("fill-opacity")]
    assert len(cells) == len(tokens) ** 2
    tiny_encoder().forget()
    assert np.array_equal(tiny_encoder().encode([ODD]), before)


def test_hostile_lines_are_drawn():
    for content in ("<script>&'\"\x1b[31m\u202e", "a " * 500, ""):
        drawn = attention_picture(tiny_encoder(), content)
        assert ElementTree.fromstring(drawn) is not None
        assert "<script>" not in drawn
        assert "\x1b" not in drawn


def test_lines_of_a_window_are_drawn():
    model = tiny.build(BigLogForWindowClassification)
    weights = line_weights(model, np.random.default_rng(0).normal(size=(5, 32)))
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    drawn = ElementTree.fromstring(window_picture(weights, list(CALM)))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert set(CALM) <= set(texts)
    with pytest.raises(InputError, match="a window of 0 lines"):
        line_weights(model, np.zeros((0, 32)))
    with pytest.raises(InputError, match="5 weights for 1 lines"):
        window_picture(weights, ["one"])
