"""How well a log was parsed: groups and templates, by lines and by templates (numpy only).

A parse says of each line which template it has, and lines of one template are one group. By lines there are
grouping accuracy (GA: Zhu et al., "Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019) and
parsing accuracy (PA: Dai et al., "Logram", TSE 2020). By templates, so that a frequent one counts as much as
a rare one, there are the F1 of groups (FGA: Jiang et al., "A Large-Scale Evaluation for Log Parsing
Techniques", ISSTA 2024) and of templates (FTA: Khan et al., "Guidelines for Assessing the Accuracy of Log
Message Template Identification Techniques", ICSE 2022). The edit distance says how far off templates are.

Everything is counted on the pairs (true template, parsed template) that occur, which are few: a log of
millions of lines costs one pass over two columns of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]

_TABLE_CELLS = 50_000_000
"""So many possible pairs are counted in a table; more are sorted."""


@dataclass(frozen=True)
class Parse:
    """A parsed log.

    Attributes:
        codes: Index into `templates` of each line, shape (lines,).
        templates: Texts. Those that are equal are one template, those that no line has are none.
    """

    codes: Ints
    templates: Sequence[str]

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes)
        if codes.ndim != 1 or not np.issubdtype(codes.dtype, np.integer):
            raise ValueError("codes must be one integer a line")
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(self.templates):
            raise ValueError(f"codes must be in 0..{len(self.templates) - 1}")

    @classmethod
    def of(cls, templates: Sequence[str]) -> Parse:
        """Makes a parse of the template of every line, shape (lines,)."""
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(t, len(numbers)) for t in templates), dtype=np.int64)
        return cls(codes, list(numbers))


@dataclass(frozen=True)
class F1:
    """Precision, recall and their harmonic mean, 0 where nothing is right.

    Attributes:
        precision: Share of the parsed templates that are right.
        recall: Share of the true templates that were found.
        f1: 2 · precision · recall / (precision + recall).
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ParsingScore:
    """Scores of a parse against the truth, all in 0..1.

    Attributes:
        lines: Lines compared.
        true_templates: Templates of the truth.
        parsed_templates: Templates of the parse.
        grouping_accuracy: GA: share of lines whose group has the same lines in parse and truth.
        parsing_accuracy: PA: share of lines whose template is right to the letter.
        grouping: FGA with precision (PGA) and recall (RGA): groups with the same lines as a true one.
        template: FTA with precision (PTA) and recall (RTA): templates all of whose lines have that very
            template in the truth.
        edit_similarity: 1 less the mean over lines of the edit distance between true and parsed template,
            over the length of the longer of the two.
    """

    lines: int
    true_templates: int
    parsed_templates: int
    grouping_accuracy: float
    parsing_accuracy: float
    grouping: F1
    template: F1
    edit_similarity: float

    def as_dict(self) -> dict[str, float]:
        """Returns the figures by their usual names."""
        return {
            "GA": self.grouping_accuracy,
            "PA": self.parsing_accuracy,
            "FGA": self.grouping.f1,
            "PGA": self.grouping.precision,
            "RGA": self.grouping.recall,
            "FTA": self.template.f1,
            "PTA": self.template.precision,
            "RTA": self.template.recall,
            "NED": self.edit_similarity,
        }


def parsing_score(truth: Parse, parse: Parse) -> ParsingScore:
    """Scores a parse.

    Args:
        truth: The true templates.
        parse: What was parsed, of the same lines in the same order.

    Raises:
        ValueError: There are no lines, or not equally many.
    """
    if not len(truth.codes):
        raise ValueError("no line to score")
    if len(truth.codes) != len(parse.codes):
        raise ValueError(f"{len(truth.codes)} true lines and {len(parse.codes)} parsed ones")
    pairs = _Pairs.of(truth, parse)
    lines, trues, parsed = len(truth.codes), len(pairs.true_sizes), len(pairs.parsed_sizes)
    same_group = (pairs.counts == pairs.true_sizes[pairs.true]) & (
        pairs.counts == pairs.parsed_sizes[pairs.parsed]
    )
    distance = np.array([0.0 if a == b else _relative_distance(a, b) for a, b in pairs.texts()])
    equal = distance == 0
    pure = pairs.counts == pairs.parsed_sizes[pairs.parsed]
    return ParsingScore(
        lines=lines,
        true_templates=trues,
        parsed_templates=parsed,
        grouping_accuracy=float(pairs.counts[same_group].sum() / lines),
        parsing_accuracy=float(pairs.counts[equal].sum() / lines),
        grouping=_f1(int(same_group.sum()), parsed, trues),
        template=_f1(int((equal & pure).sum()), parsed, trues),
        edit_similarity=float(1 - (distance * pairs.counts).sum() / lines),
    )


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's distance: how many characters to insert, to delete or to replace.

    Rows are computed at once (Wagner and Fischer 1974): what an insertion costs from the left is a running
    minimum.
    """
    if len(one) < len(other):
        one, other = other, one
    letters = np.array([ord(c) for c in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    for number, letter in enumerate(one, start=1):
        kept = np.concatenate(([number], np.minimum(row[:-1] + (letters != ord(letter)), row[1:] + 1)))
        row = np.minimum.accumulate(kept - steps) + steps
    return int(row[-1])


def _relative_distance(one: str, other: str) -> float:
    return edit_distance(one, other) / max(len(one), len(other), 1)


def _f1(right: int, parsed: int, true: int) -> F1:
    return F1(right / parsed, right / true, 2 * right / (parsed + true))


@dataclass(frozen=True)
class _Pairs:
    """True and parsed templates that occur together.

    Attributes:
        true: The true template of each pair, shape (pairs,).
        parsed: The parsed one.
        counts: Lines that have both.
        true_sizes: Lines of each true template.
        parsed_sizes: Lines of each parsed template.
        true_texts: Their texts.
        parsed_texts: Their texts.
    """

    true: Ints
    parsed: Ints
    counts: Ints
    true_sizes: Ints
    parsed_sizes: Ints
    true_texts: Sequence[str]
    parsed_texts: Sequence[str]

    @classmethod
    def of(cls, truth: Parse, parse: Parse) -> _Pairs:
        width = max(1, len(parse.templates))
        keys = truth.codes.astype(np.int64) * width + parse.codes
        if len(truth.templates) * width <= _TABLE_CELLS:
            table = np.bincount(keys, minlength=1)
            found = np.flatnonzero(table)
            counts = table[found]
        else:
            found, counts = np.unique(keys, return_counts=True)
        # Templates with one text are one: only now, when there are few rows.
        one, true_texts = _distinct(found // width, truth.templates)
        other, parsed_texts = _distinct(found % width, parse.templates)
        joined, place = np.unique(one * len(parsed_texts) + other, return_inverse=True)
        summed = np.bincount(place, weights=counts).astype(np.int64)
        true, parsed = joined // len(parsed_texts), joined % len(parsed_texts)
        true_sizes = np.bincount(true, weights=summed).astype(np.int64)
        parsed_sizes = np.bincount(parsed, weights=summed).astype(np.int64)
        return cls(true, parsed, summed, true_sizes, parsed_sizes, true_texts, parsed_texts)

    def texts(self) -> list[tuple[str, str]]:
        """The two texts of each pair."""
        return [
            (self.true_texts[a], self.parsed_texts[b])
            for a, b in zip(self.true.tolist(), self.parsed.tolist(), strict=True)
        ]


def _distinct(codes: Ints, texts: Sequence[str]) -> tuple[Ints, list[str]]:
    """Numbers templates by their text: those that occur, from 0."""
    numbers: dict[str, int] = {}
    renumbered = [numbers.setdefault(texts[code], len(numbers)) for code in codes.tolist()]
    return np.array(renumbered, dtype=np.int64), list(numbers)
