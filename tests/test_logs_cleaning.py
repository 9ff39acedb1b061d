"""Control characters in tables: visible, and nothing else is touched."""

from __future__ import annotations

import re

import polars as pl
import pytest
from data_path import LINES
from hypothesis import given
from hypothesis import strategies as st

from biglog.logs.cleaning import clean
from biglog.logs.record import read_logs


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[1;31mERROR\x1b[0m disk\tfull", "ERROR disk\tfull"),
        ("\x1b]0;a title\x07prompt\x1b[2K\x1b[?25l", "prompt"),
        ("a\x00b\x07c\x7f", "a␀b␇c␡"),
        ("half an escape \x1b", "half an escape ␛"),
        ("progress 1%\rprogress 2%\r", "progress 1%␍progress 2%"),
        ("Traceback\r\n  File x\r\n", "Traceback\n  File x\n"),
        ("caf\ufffd\ufffd \x85\x9f", "caf\ufffd \ufffd"),
        ("Zoë ☃ 𝄞", "Zoë ☃ 𝄞"),
        (None, None),
    ],
)
def test_controls_become_visible(text, cleaned):
    assert clean(pl.Series([text], dtype=pl.String)).to_list() == [cleaned]


@given(
    st.lists(
        st.none() | st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b[m\x00\r\n\x9b")), max_size=6
    )
)
def test_cleaned_texts_have_no_controls_and_clean_ones_are_untouched(texts):
    before = pl.Series("line", texts, dtype=pl.String)
    cleaned = clean(before)
    assert before.to_list() == texts
    assert (cleaned.name, len(cleaned)) == ("line", len(texts))
    for text, new in zip(texts, cleaned, strict=True):
        assert new is None or not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", new)
        if text is not None and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]", text):
            assert new == text
    assert clean(cleaned).to_list() == cleaned.to_list()


def test_real_lines_are_clean_already():
    for path in LINES.glob("*.log"):
        lines = read_logs(path).read()["line"]
        assert clean(lines).equals(lines), path.name
