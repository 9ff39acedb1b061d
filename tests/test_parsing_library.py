"""Known templates: what fits, which of several is meant, and labels that cannot be."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.library import TemplateLibrary, check_labels
from biglog.tasks.parsing.template import Template, fold, fold_all


def match(templates: list[str], contents: list[str | None]) -> list[str | None]:
    return TemplateLibrary(templates).match(pl.Series(contents, dtype=pl.String)).to_list()


def test_the_most_constant_template_is_meant() -> None:
    library = ["user <*> <*>", "user <*> logged in", "<*> logged in"]
    contents = ["user ann logged in", "user ann left", "root logged in", "nothing"]
    assert match(library, contents) == ["user <*> logged in", "user <*> <*>", "<*> logged in", None]


def test_blanks_count_as_one_and_nothing_is_a_value() -> None:
    assert match(["lost <*> of  <*>"], [" lost a\tof b ", "lost  of ", None]) == [
        "lost <*> of <*>",
        "lost <*> of <*>",
        None,
    ]


def test_a_constant_line_and_one_that_fits_everything() -> None:
    assert match(["shut down", "<*>"], ["shut down", "shut down now", ""]) == ["shut down", "<*>", "<*>"]
    assert match([], ["a"]) == [None]


texts = st.text(alphabet="ab .+*?()|[]{}^$#&~-\\/\"'<>=:,%!@é\n", max_size=12)


@given(texts, texts, st.text(max_size=8))
def test_a_template_fits_its_instances(before: str, after: str, value: str) -> None:
    template, content = before + "<*>" + after, before + value + after
    assume("<*>" not in before + after)
    # Of blanks that stand in for one and an empty value's two, nobody knows which are which.
    assume(value.strip() or fold(f"{before}x{after}") == f"{before}x{after}")
    assert match([template], [content]) == [fold(template)]


pieces = st.lists(
    st.sampled_from(
        ["a", "b", " ", "  ", "\t", "\x1b[0m", "\x1b", "<*>", "=", "word", "[NUM]", "17", "é", "\n"]
    ),
    max_size=8,
).map("".join)


@given(st.lists(pieces, max_size=6), st.lists(pieces, min_size=1, max_size=6))
def test_four_ways_to_find_a_template_agree(templates: list[str], contents: list[str]) -> None:
    library, series = TemplateLibrary(templates), pl.Series(contents, dtype=pl.String)
    found = library.match(series).to_list()
    forms = Forms.of(series)
    assert library.match_forms(series, forms.of_line, forms.texts).to_list() == found
    assert fold_all(series).to_list() == [fold(content) for content in contents]
    for content, template in zip(contents, found, strict=True):
        fitting = [each for each in library.templates if Template(each).spans(content) is not None]
        assert template == (fitting[0] if fitting else None)


def test_a_word_that_a_mask_hides_is_still_found() -> None:
    templates = ["seen in may 17 of <*>", "code is deadbeef now <*>", "in /usr/lib/x is all <*>"]
    contents = pl.Series(["seen in may 17 of x", "code is deadbeef now x", "in /usr/lib/x is all x"])
    forms = Forms.of(contents)
    library = TemplateLibrary(templates)
    assert library.match_forms(contents, forms.of_line, forms.texts).to_list() == templates


def test_labels_are_checked() -> None:
    check_labels(["user ann in", "user bob in"], ["user <*> in", "user <*> in"])
    with pytest.raises(InputError, match=r"label 2: the template 'user <.>' does not fit 'x'"):
        check_labels(["user ann", "x"], ["user <*>", "user <*>"])
    with pytest.raises(InputError, match="has two templates"):
        check_labels(["user ann", "user ann"], ["user <*>", "<*> ann"])
    with pytest.raises(InputError, match="1 contents and 0 templates"):
        check_labels(["a"], [])
