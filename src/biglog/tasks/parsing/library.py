"""Templates that somebody has written down: they are asked first, and always answer the same.

A content is an instance of a template if it is the template's text with anything for each `<*>`; runs of
blanks count as one. Of several that fit, the one with most constant characters is meant, then the first in
the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.tasks.parsing.forms import Numbers
from biglog.tasks.parsing.template import WILDCARD, Template, fold, fold_all
from biglog.tasks.parsing.tokens import CUT

_STEADY = re.compile(r"(?<=[ ])[a-z]{4,}(?=[ ])")
_MAYBE_MASKED = re.compile(r"[a-f]+")


class TemplateLibrary:
    """Known templates.

    Args:
        templates: Texts with `<*>` for values. One without any is a constant line; one that is `<*>` and
            nothing else fits every line.

    Attributes:
        templates: Those that are different but for blanks, in the order in which they are tried.
    """

    def __init__(self, templates: Iterable[str] = ()) -> None:
        known = {fold(template) for template in templates}
        self.templates: list[str] = sorted(known, key=lambda text: (-_constant(text), text))

    def match(self, contents: pl.Series) -> pl.Series:
        """Finds the template of each content.

        Args:
            contents: Contents, dtype String, shape (lines,).

        Returns:
            Templates, null where none fits, dtype String, shape (lines,).
        """
        contents = contents.fill_null("")
        distinct = contents.unique(maintain_order=True)
        every = np.zeros(len(distinct), dtype=np.int64)
        found = pl.DataFrame({"content": distinct, "template": self.match_forms(distinct, every, None)})
        table = contents.to_frame("content")
        return table.join(found, on="content", how="left", maintain_order="left")["template"]

    def match_forms(self, contents: pl.Series, of_line: Numbers, forms: Sequence[str] | None) -> pl.Series:
        """As `match`, faster where normal forms are known: a template is tried on those that have its words.

        Args:
            contents: Contents, dtype String without null, shape (lines,).
            of_line: The normal form of each, shape (lines,); 0 where none is known.
            forms: The normal forms; None where none is known.
        """
        folded = fold_all(contents)
        irregular = (folded != contents).to_numpy()
        found = pl.repeat(None, len(contents), dtype=pl.String, eager=True)
        for template in reversed(self.templates):
            form = pattern(template)
            rows = np.flatnonzero(_possible(template, forms)[of_line])
            fits = folded.gather(rows).str.contains(form).to_numpy()
            # An empty value stands between two blanks, or behind the last.
            left = np.flatnonzero(~fits & irregular[rows])
            fits[left] = contents.gather(rows[left]).str.contains(form).to_numpy()
            if fits.any():
                found = found.scatter(rows[fits], template)
        return found.alias("template")


def _possible(template: str, forms: Sequence[str] | None) -> NDArray[np.bool_]:
    """Which normal forms can have contents of a template."""
    if forms is None:
        return np.ones(1, dtype=np.bool_)
    texts = pl.Series([f" {form} " for form in forms], dtype=pl.String)
    possible = np.ones(len(forms), dtype=np.bool_)
    for word in _steady(template):
        possible &= texts.str.contains(f" {word} ", literal=True).to_numpy()
    # A word can stand in what was cut off.
    return possible | texts.str.ends_with(f"{CUT} ").to_numpy()


def check_labels(contents: Sequence[str], templates: Sequence[str]) -> None:
    """Checks labelled lines.

    Args:
        contents: Contents.
        templates: Template of each.

    Raises:
        InputError: There are not equally many, a template does not fit its content, or one content has two
            templates.
    """
    if len(contents) != len(templates):
        raise InputError(
            f"{len(contents)} contents and {len(templates)} templates", remedy="Give one template for each"
        )
    told: dict[str, str] = {}
    for number, (content, template) in enumerate(zip(contents, templates, strict=True), start=1):
        if Template(template).spans(content) is None:
            raise InputError(
                f"label {number}: the template {template!r} does not fit {content!r}",
                remedy=f"Write the content with {WILDCARD} for each value",
            )
        if told.setdefault(content, template) != template:
            raise InputError(
                f"label {number}: {content!r} has two templates, {told[content]!r} and {template!r}",
                remedy="Leave one of them out",
            )


def pattern(template: str, value: str = ".*?") -> str:
    """Returns the regular expression of a template's contents as `fold_all` leaves them.

    Args:
        template: The template.
        value: What stands for `<*>`.
    """
    parts = [_ESCAPED.sub(r"\\\g<0>", part) for part in fold(template).split(WILDCARD)]
    return rf"(?s)^{value.join(parts)}$"


# Punctuation that both dialects let be escaped; other characters stand for themselves.
_ESCAPED = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")


def _constant(template: str) -> int:
    return len(template.replace(WILDCARD, ""))


def _steady(template: str) -> list[str]:
    """Words of a template that stand alone in it and that no mask hides: every form of it has them."""
    words = dict.fromkeys(_STEADY.findall(template))
    return [word for word in words if not _MAYBE_MASKED.fullmatch(word)][:4]
