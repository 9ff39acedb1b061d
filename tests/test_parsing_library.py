"""Known templates: what fits, which of several is meant, and labels that cannot be."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.tasks.parsing.library import TemplateLibrary, pattern


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
    assert match([template], [content]) == [" ".join(template.split())]
    assert re.fullmatch(pattern(template), content)


def test_labels_are_checked() -> None:
    learnt = TemplateLibrary.learnt(["user ann in", "user bob in"], ["user <*> in", "user <*> in"])
    assert learnt.templates == ["user <*> in"]
    with pytest.raises(InputError, match=r"label 2: the template 'user <.>' does not fit 'x'"):
        TemplateLibrary.learnt(["user ann", "x"], ["user <*>", "user <*>"])
    with pytest.raises(InputError, match="has two templates"):
        TemplateLibrary.learnt(["user ann", "user ann"], ["user <*>", "<*> ann"])
    with pytest.raises(InputError, match="1 contents and 0 templates"):
        TemplateLibrary.learnt(["a"], [])
