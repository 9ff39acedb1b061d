"""The distinct normal forms of a log, in tokens, and what was seen under their mask tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.known_forms import KnownForms
from biglog.logs.masking import normal_forms, values
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.tokens import CUT, MASKED, VALUE_MARKS, Token, read_tokens

MOST_CONTENTS = 16
"""Contents of a form that are looked at for the values under its masks."""

SAMPLE_CHARACTERS = 8_000
"""Characters of a form's sample from which on no more contents are kept."""

MOST_CHARACTERS = 4_000
"""Characters of a content that its form is made of; for what follows stands `CUT`."""

MOST_TOKENS = 300
"""Tokens of a form before `CUT`: every one is judged, and a line can have very many."""

LANE_LINES = 5_000
"""Lines of a batch from which on it pays to look for forms that are known already."""

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
class Samples:
    """The first contents of each form: `MOST_CONTENTS` distinct ones, or as many as `SAMPLE_CHARACTERS` hold.

    Attributes:
        contents: Of each form.
        grown: Forms of which contents came since this was emptied.
    """

    contents: list[list[str]] = field(default_factory=list)
    grown: set[int] = field(default_factory=set)

    def add(self, contents: pl.Series, numbers: pl.Series, forms: Sequence[str]) -> None:
        """Takes lines.

        Args:
            contents: Contents, dtype String, shape (lines,).
            numbers: The form of each, dtype Int64, shape (lines,).
            forms: The forms so far.
        """
        self.contents += [[] for _ in range(len(forms) - len(self.contents))]
        # Contents of a form that is a content itself have no values: one says all.
        wanting = pl.Series(
            [
                _has_room(sample) and sample[:1] != [form]
                for sample, form in zip(self.contents, forms, strict=True)
            ],
            dtype=pl.Boolean,
        )
        table = pl.DataFrame({"number": numbers, "content": contents})
        distinct = table.filter(wanting.gather(numbers)).unique(maintain_order=True)
        for number, found in distinct.group_by("number", maintain_order=True).agg("content").iter_rows():
            sample = self.contents[number]
            for content in found:
                if content not in sample and _has_room(sample) and sample[:1] != [forms[number]]:
                    sample.append(content)
                    self.grown.add(number)


@dataclass
class FormCensus:
    """Counts the forms of a log as its lines come in.

    What it knows depends on the lines and their order alone, not on how they are cut into batches.

    Attributes:
        texts: Normal forms, in order of first appearance.
        lines: How many lines have each.
        rules: A user's rules.
    """

    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    _samples: Samples = field(default_factory=Samples)
    _number: dict[str, int] = field(default_factory=dict)
    _tokens: list[list[Token]] = field(default_factory=list)
    _raw: list[list[Counter[str]]] = field(default_factory=list)
    _lane: KnownForms = field(default_factory=KnownForms)

    @property
    def samples(self) -> list[list[str]]:
        """Contents of each form (see `Samples`)."""
        return self._samples.contents

    def add(self, contents: pl.Series) -> Numbers:
        """Counts lines.

        Args:
            contents: Contents, dtype String, shape (lines,); null is read as empty.

        Returns:
            The number of each line's form, shape (lines,).
        """
        contents = contents.fill_null("")
        long: list[int] = []
        if (contents.str.len_bytes() > MOST_CHARACTERS).any():
            long = (contents.str.len_chars() > MOST_CHARACTERS).arg_true().to_list()
            contents = contents.str.slice(0, MOST_CHARACTERS)
        codes, texts = self._coded(contents)
        for row in long:
            texts.append(texts[codes[row]] + CUT)
            codes[row] = len(texts) - 1
        counts = np.bincount(codes, minlength=len(texts))
        numbers = np.array(
            [self._known(_bounded(text)) if count else -1 for text, count in zip(texts, counts, strict=True)],
            dtype=np.int64,
        )
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            self.lines[number] += count
        of_line = numbers[codes]
        self._samples.add(contents, pl.Series(of_line), self.texts)
        return of_line

    def _coded(self, contents: pl.Series) -> tuple[Numbers, list[str]]:
        """The normal forms of some lines, in order of first appearance, and which of them each line has."""
        if len(contents) >= 2 * LANE_LINES and not self._lane.lines:
            # The first lines teach what the others are found by.
            first, texts = self._coded(contents[:LANE_LINES])
            rest, others = self._coded(contents[LANE_LINES:])
            number = {text: code for code, text in enumerate(texts)}
            codes = np.array([number.setdefault(text, len(number)) for text in others], dtype=np.int64)
            return np.concatenate([first, codes[rest]]), list(number)
        if len(contents) >= LANE_LINES:
            coded, texts = self._lane.numbers(contents)
            return coded.to_numpy().astype(np.int64), list(texts)
        numbers: dict[str, int] = {}
        found = [numbers.setdefault(form, len(numbers)) for form in normal_forms(contents).to_list()]
        return np.array(found, dtype=np.int64), list(numbers)

    @classmethod
    def of_counted(
        cls, texts: list[str], lines: list[int], samples: list[list[str]], rules: Rules
    ) -> FormCensus:
        """Makes a census of what was counted before; arguments are its attributes."""
        number = {text: place for place, text in enumerate(texts)}
        tokens = [read_tokens(text) for text in texts]
        raw: list[list[Counter[str]]] = [[] for _ in texts]
        return cls(texts, lines, rules, Samples(samples, set(range(len(texts)))), number, tokens, raw)

    def part(self, numbers: Sequence[int]) -> FormCensus:
        """Returns a census of some of the forms, numbered anew."""
        self.forms()
        return FormCensus(
            [self.texts[number] for number in numbers],
            [self.lines[number] for number in numbers],
            self.rules,
            Samples([self.samples[number] for number in numbers]),
            {self.texts[number]: place for place, number in enumerate(numbers)},
            [self._tokens[number] for number in numbers],
            [self._raw[number] for number in numbers],
        )

    def _known(self, form: str) -> int:
        number = self._number.setdefault(form, len(self.texts))
        if number == len(self.texts):
            self.texts.append(form)
            self.lines.append(0)
        return number

    def forms(self, of_line: Numbers | None = None) -> Forms:
        """Returns what was counted so far.

        Args:
            of_line: Form of each line, for those who need it.
        """
        for number in range(len(self._tokens), len(self.texts)):
            self._tokens.append(read_tokens(self.texts[number]))
            self._raw.append([])
        self._read_samples(sorted(self._samples.grown))
        self._samples.grown.clear()
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
            size = len(self.samples[number])
            self._raw[number] = [
                Counter[str]() if _hides(token) else Counter({token.text: size})
                for token in self._tokens[number]
            ]
        under = values(contents).group_by("row", maintain_order=True).agg("value")
        by_row = dict(zip(under["row"].to_list(), under["value"].to_list(), strict=True))
        for row, number in enumerate(owners):
            masked = iter(by_row.get(row, ()))
            for token, counter in zip(self._tokens[number], self._raw[number], strict=True):
                if _hides(token):
                    counter["".join(_unmarked(token.text, masked))] += 1


def _bounded(form: str) -> str:
    """A form with no more than `MOST_TOKENS` tokens; `CUT` stands for others, and for one that was cut."""
    if len(form) <= MOST_TOKENS:
        return form
    tokens = read_tokens(form)
    if tokens[-1].text == CUT:
        tokens = tokens[:-1]
    elif len(tokens) <= MOST_TOKENS:
        return form
    last = tokens[min(MOST_TOKENS, len(tokens) - 1)].start if tokens else 0
    return form[:last] + CUT


def _has_room(sample: Sequence[str]) -> bool:
    return len(sample) < MOST_CONTENTS and sum(map(len, sample)) < SAMPLE_CHARACTERS


def _hides(token: Token) -> bool:
    """Whether values are under a token."""
    return not VALUE_MARKS.isdisjoint(token.text)


def _unmarked(text: str, masked: Iterator[str]) -> list[str]:
    return [next(masked, "") if character in VALUE_MARKS else character for character in text]
