"""Templates that somebody has written down: they are asked first, and always answer the same.

A content is an instance of a template if it is the template's text with anything for each `<*>`; runs of
blanks count as one. Of several that fit, the one with most constant characters is meant, then the first in
the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl

from biglog.errors import InputError
from biglog.tasks.parsing.rule import WILDCARD

_BLANKS = re.compile(r"\s+")


class TemplateLibrary:
    """Known templates.

    Args:
        templates: Texts with `<*>` for values. One without any is a constant line; one that is `<*>` and
            nothing else fits every line.

    Attributes:
        templates: Those that are different but for blanks, in the order in which they are tried.
    """

    def __init__(self, templates: Iterable[str]) -> None:
        known = {_BLANKS.sub(" ", template).strip() for template in templates}
        self.templates: list[str] = sorted(known, key=lambda text: (-_constant(text), text))

    @classmethod
    def learnt(cls, contents: Sequence[str], templates: Sequence[str]) -> TemplateLibrary:
        """Takes labelled lines.

        Args:
            contents: Contents.
            templates: Template of each.

        Raises:
            InputError: A template does not fit its content, or one content has two templates.
        """
        if len(contents) != len(templates):
            raise InputError(f"{len(contents)} contents and {len(templates)} templates")
        told: dict[str, str] = {}
        for number, (content, template) in enumerate(zip(contents, templates, strict=True), start=1):
            if re.fullmatch(pattern(template), content) is None:
                raise InputError(
                    f"label {number}: the template {template!r} does not fit {content!r}",
                    remedy=f"Write the content with {WILDCARD} for each value",
                )
            if told.setdefault(content, template) != template:
                raise InputError(
                    f"label {number}: {content!r} has two templates, {told[content]!r} and {template!r}",
                    remedy="Leave one of them out",
                )
        return cls(templates)

    def match(self, contents: pl.Series) -> pl.Series:
        """Finds the template of each content.

        Args:
            contents: Contents, dtype String, shape (lines,).

        Returns:
            Templates, null where none fits, dtype String, shape (lines,).
        """
        distinct = pl.DataFrame({"content": contents.fill_null("")}).unique(maintain_order=True)
        chosen = pl.lit(None, dtype=pl.String)
        for template in reversed(self.templates):
            fits = pl.col("content").str.contains(pattern(template))
            chosen = pl.when(fits).then(pl.lit(template)).otherwise(chosen)
        found = distinct.with_columns(chosen.alias("template"))
        table = pl.DataFrame({"content": contents.fill_null("")})
        return table.join(found, on="content", how="left", maintain_order="left")["template"]


def pattern(template: str, value: str = ".*?") -> str:
    """Returns the regular expression of a template's contents, for Polars and for Python.

    Args:
        template: The template.
        value: What stands for `<*>`.
    """
    parts = [_literal(part) for part in _BLANKS.sub(" ", template.strip()).split(WILDCARD)]
    return r"(?s)^\s*" + value.join(parts) + r"\s*$"


def _literal(text: str) -> str:
    return r"\s+".join(_ESCAPED.sub(r"\\\g<0>", part) for part in text.split(" "))


# Punctuation that both dialects let be escaped; other characters stand for themselves.
_ESCAPED = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")


def _constant(template: str) -> int:
    return len(template.replace(WILDCARD, ""))
