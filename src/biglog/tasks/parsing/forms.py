"""The distinct normal forms of a log, in tokens, and what was seen under their mask tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.masking import normal_forms, values
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.tokens import MASKED, VALUE_MARKS, Token, read_tokens

MOST_CONTENTS = 16
"""Contents of a form that are looked at for the values under its masks."""

SAMPLE_CHARACTERS = 8_000
"""Characters of a form's sample from which on no more contents are kept."""

MOST_CHARACTERS = 4_000
"""Characters of a content that its form is made of; what follows is not looked at."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Forms:
    """The forms of a log.

    Attributes:
        texts: Normal forms, shape (forms,).
        lines: How many lines have each, shape (forms,).
        tokens: Tokens of each.
        raw: For each token of each form, how often which text stood there, in `MOST_CONTENTS` contents.
        of_line: The form of each line, shape (lines,).
        rules: A user's rules.
    """

    texts: list[str]
    lines: Numbers
    tokens: list[list[Token]]
    raw: list[list[Counter[str]]]
    of_line: Numbers
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def of(cls, contents: pl.Series) -> Forms:
        """Reads a log.

        Args:
            contents: Contents, dtype String, shape (lines,).
        """
        census = FormCensus()
        of_line = census.add(contents)
        return census.forms(of_line)

    @cached_property
    def words(self) -> list[list[str]]:
        """Texts of the tokens of each form; `MASKED` where the user's masks cover one."""
        rows = [[token.text for token in row] for row in self.tokens]
        if self.rules.mask:
            return [
                [MASKED if self.rules.masks(seen) else text for text, seen in zip(row, raw, strict=True)]
                for row, raw in zip(rows, self.raw, strict=True)
            ]
        return rows

    def part(self, numbers: Sequence[int]) -> Forms:
        """Returns some of the forms, numbered anew."""
        chosen = [int(number) for number in numbers]
        return Forms(
            [self.texts[number] for number in chosen],
            self.lines[chosen],
            [self.tokens[number] for number in chosen],
            [self.raw[number] for number in chosen],
            np.zeros(0, dtype=np.int64),
            self.rules,
        )

    @cached_property
    def frequency(self) -> Counter[str]:
        """In how many forms a token's text occurs."""
        return Counter(text for row in self.words for text in set(row))


@dataclass
class FormCensus:
    """Counts the forms of a log as its lines come in.

    What it knows depends on the lines and their order alone, not on how they are cut into batches.

    Attributes:
        texts: Normal forms, in order of first appearance.
        lines: How many lines have each.
        rules: A user's rules.
        samples: The first `MOST_CONTENTS` distinct contents of each, as many as `SAMPLE_CHARACTERS` hold.
    """

    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    samples: list[list[str]] = field(default_factory=list)
    _number: dict[str, int] = field(default_factory=dict)
    _tokens: list[list[Token]] = field(default_factory=list)
    _raw: list[list[Counter[str]]] = field(default_factory=list)
    _grown: set[int] = field(default_factory=set)

    def add(self, contents: pl.Series) -> Numbers:
        """Counts lines.

        Args:
            contents: Contents, dtype String, shape (lines,); null is read as empty.

        Returns:
            The number of each line's form, shape (lines,).
        """
        contents = contents.fill_null("").str.slice(0, MOST_CHARACTERS)
        table = pl.DataFrame({"content": contents, "form": normal_forms(contents)})
        counted = table.group_by("form", maintain_order=True).agg(pl.len())
        numbers = [self._known(form) for form in counted["form"].to_list()]
        for number, count in zip(numbers, counted["len"].to_list(), strict=True):
            self.lines[number] += count
        counted = counted.select("form", number=pl.Series(numbers, dtype=pl.Int64))
        table = table.join(counted, on="form", how="left", maintain_order="left")
        self._sample(table.select("number", "content"))
        return table["number"].to_numpy()

    @classmethod
    def of_counted(
        cls, texts: list[str], lines: list[int], samples: list[list[str]], rules: Rules
    ) -> FormCensus:
        """Makes a census of what was counted before; arguments are its attributes."""
        number = {text: place for place, text in enumerate(texts)}
        tokens = [read_tokens(text) for text in texts]
        raw: list[list[Counter[str]]] = [[] for _ in texts]
        return cls(texts, lines, rules, samples, number, tokens, raw, set(range(len(texts))))

    def part(self, numbers: Sequence[int]) -> FormCensus:
        """Returns a census of some of the forms, numbered anew."""
        self.forms()
        return FormCensus(
            [self.texts[number] for number in numbers],
            [self.lines[number] for number in numbers],
            self.rules,
            [self.samples[number] for number in numbers],
            {self.texts[number]: place for place, number in enumerate(numbers)},
            [self._tokens[number] for number in numbers],
            [self._raw[number] for number in numbers],
        )

    def _known(self, form: str) -> int:
        number = self._number.setdefault(form, len(self.texts))
        if number == len(self.texts):
            self.texts.append(form)
            self.lines.append(0)
            self.samples.append([])
        return number

    def _sample(self, table: pl.DataFrame) -> None:
        wanting = pl.Series([_has_room(sample) for sample in self.samples], dtype=pl.Boolean)
        wanted = table.filter(wanting.gather(table["number"]))
        distinct = wanted.unique(maintain_order=True)
        for number, found in distinct.group_by("number", maintain_order=True).agg("content").iter_rows():
            sample = self.samples[number]
            for content in found:
                if content not in sample and _has_room(sample):
                    sample.append(content)
                    self._grown.add(number)

    def forms(self, of_line: Numbers | None = None) -> Forms:
        """Returns what was counted so far.

        Args:
            of_line: Form of each line, for those who need it.
        """
        for number in range(len(self._tokens), len(self.texts)):
            self._tokens.append(read_tokens(self.texts[number]))
            self._raw.append([])
        self._read_samples(sorted(self._grown))
        self._grown.clear()
        lines = np.array(self.lines, dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return Forms(
            list(self.texts),
            lines,
            list(self._tokens),
            list(self._raw),
            none if of_line is None else of_line,
            self.rules,
        )

    def _read_samples(self, numbers: Sequence[int]) -> None:
        """Counts the texts under the tokens of the forms whose samples have grown."""
        owners = [number for number in numbers for _ in self.samples[number]]
        contents = pl.Series([c for n in numbers for c in self.samples[n]], dtype=pl.String)
        for number in numbers:
            self._raw[number] = [Counter[str]() for _ in self._tokens[number]]
        under = values(contents).group_by("row", maintain_order=True).agg("value")
        by_row = dict(zip(under["row"].to_list(), under["value"].to_list(), strict=True))
        for row, number in enumerate(owners):
            masked = iter(by_row.get(row, ()))
            for token, counter in zip(self._tokens[number], self._raw[number], strict=True):
                counter["".join(_unmarked(token.text, masked))] += 1


def _has_room(sample: Sequence[str]) -> bool:
    return len(sample) < MOST_CONTENTS and sum(map(len, sample)) < SAMPLE_CHARACTERS


def _unmarked(text: str, masked: Iterator[str]) -> list[str]:
    return [next(masked, "") if character in VALUE_MARKS else character for character in text]
