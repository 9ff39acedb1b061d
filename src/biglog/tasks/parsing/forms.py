"""The distinct normal forms of a log, in tokens, and what was seen under their mask tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.masking import normal_forms, values
from biglog.tasks.parsing.tokens import VALUE_MARKS, Token, read_tokens

MOST_CONTENTS = 16
"""Contents of a form that are looked at for the values under its masks."""


@dataclass(frozen=True)
class Forms:
    """The forms of a log.

    Attributes:
        texts: Normal forms, shape (forms,).
        lines: How many lines have each, shape (forms,).
        tokens: Tokens of each.
        raw: For each token of each form, how often which text stood there, in `MOST_CONTENTS` contents.
        of_line: The form of each line, shape (lines,).
    """

    texts: list[str]
    lines: NDArray[np.int64]
    tokens: list[list[Token]]
    raw: list[list[Counter[str]]]
    of_line: NDArray[np.int64]

    @classmethod
    def of(cls, contents: pl.Series) -> Forms:
        """Reads a log.

        Args:
            contents: Contents, dtype String, shape (lines,).
        """
        contents = contents.fill_null("")
        table = pl.DataFrame({"content": contents, "form": normal_forms(contents)})
        first = table.group_by("form", maintain_order=True).agg(lines=pl.len()).with_row_index("number")
        of_line = table.join(first, on="form", how="left", maintain_order="left")["number"]
        texts = first["form"].to_list()
        tokens = [read_tokens(text) for text in texts]
        distinct = table.unique(["content"], keep="first", maintain_order=True)
        sample = distinct.filter(pl.int_range(pl.len()).over("form") < MOST_CONTENTS)
        return cls(
            texts,
            first["lines"].to_numpy().astype(np.int64),
            tokens,
            _raw(sample.join(first, on="form", how="left", maintain_order="left"), tokens),
            of_line.to_numpy().astype(np.int64),
        )

    @cached_property
    def words(self) -> list[list[str]]:
        """Texts of the tokens of each form."""
        return [[token.text for token in row] for row in self.tokens]

    @cached_property
    def frequency(self) -> Counter[str]:
        """In how many forms a token's text occurs."""
        return Counter(text for row in self.words for text in set(row))


def _raw(sample: pl.DataFrame, tokens: list[list[Token]]) -> list[list[Counter[str]]]:
    """Counts the texts under the tokens of a sample of contents: columns content and number (of the form)."""
    counted = [[Counter[str]() for _ in row] for row in tokens]
    under = values(sample["content"]).group_by("row", maintain_order=True).agg("value")
    by_row = dict(zip(under["row"].to_list(), under["value"].to_list(), strict=True))
    for row, number in enumerate(sample["number"].to_list()):
        masked = iter(by_row.get(row, ()))
        for token, counter in zip(tokens[number], counted[number], strict=True):
            counter["".join(_unmarked(token.text, masked))] += 1
    return counted


def _unmarked(text: str, masked: Iterator[str]) -> list[str]:
    return [next(masked, "") if character in VALUE_MARKS else character for character in text]
