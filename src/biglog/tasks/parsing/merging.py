"""Templates that are one event, though their forms are not equally long.

Partition compares forms token by token. What it cannot see: lists of any length, a part that is not always
written, and a value that now and then is spelled with more tokens than it mostly is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

from biglog.tasks.parsing.library import pattern
from biglog.tasks.parsing.template import WILDCARD, fold
from biglog.tasks.parsing.tokens import TOKEN

LONG_LIST = 4
"""Values side by side from which on a list of varying length is written as one value."""

FEWEST_WORDS = 2
"""Words that a template must have to take in another."""

_SIDE_BY_SIDE = re.compile(r"<\*>(?:\s*[,;/|]?\s*<\*>)+")
_UNIT = r"[kKMGTP]i?[Bb]|[Bb]|bytes?|[mun]?s|secs?|seconds?|mins?|minutes?|hours?|%"
_ASIDE = re.compile(rf"\s*\(<\*>\s*(?:<\*>|{_UNIT})?\)")
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_worded(template: str) -> bool:
    """Whether a template has words enough that a content which fits it is no accident."""
    return len(_WORD.findall(template)) >= FEWEST_WORDS


def merge_lists(templates: Sequence[str], lines: Sequence[int]) -> list[str]:
    """Makes templates one that differ only in how many values stand side by side.

    A quantity in parentheses, `(<*> KB)`, counts as no text: it says again what stands before it.

    Args:
        templates: Of each form.
        lines: How many lines each has.

    Returns:
        For each the template that most lines of its kind have; where long lists vary, `<*>` for the list.
    """
    kinds = [_SIDE_BY_SIDE.sub(WILDCARD, _ASIDE.sub("", template)) for template in templates]
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, template, count in zip(kinds, templates, lines, strict=True):
        counted[kind][template] += int(count)
    chosen = {kind: _chosen(each) for kind, each in counted.items()}
    return [chosen[kind] for kind in kinds]


def _chosen(counted: Counter[str]) -> str:
    best = min(counted, key=lambda template: (-counted[template], template))
    lengths = {template.count(WILDCARD) for template in counted}
    longest = max(
        (run.group().count(WILDCARD) for template in counted for run in _SIDE_BY_SIDE.finditer(template)),
        default=0,
    )
    return _SIDE_BY_SIDE.sub(WILDCARD, best) if len(lengths) > 1 and longest >= LONG_LIST else best


def take_in(
    templates: Sequence[str],
    lines: Sequence[int],
    examples: Sequence[str],
    keep: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """Finds templates whose contents are instances of a more frequent one.

    Args:
        templates: Of each form.
        lines: How many lines each has.
        examples: A content of each.
        keep: Tokens that are no values: a template with one of them is not taken in.

    Returns:
        For each template that another takes in, the other.
    """
    total: Counter[str] = Counter()
    example: dict[str, str] = {}
    for template, count, content in zip(templates, lines, examples, strict=True):
        if keep.isdisjoint(TOKEN.findall(template)):
            total[template] += int(count)
            example.setdefault(template, content)
    names = sorted(total, key=lambda template: (-total[template], template))
    contents = [fold(example[name]) for name in names]
    found: dict[str, str] = {}
    for place, name in enumerate(names):
        if WILDCARD in name and name not in found and is_worded(name):
            longest = max((part.strip() for part in name.split(WILDCARD)), key=len)
            near = [n for n in range(place + 1, len(names)) if longest in contents[n]]
            if near:
                _take_in(name, [names[n] for n in near], [contents[n] for n in near], total, found)
    return found


def _take_in(
    name: str, others: Sequence[str], contents: list[str], total: Mapping[str, int], found: dict[str, str]
) -> None:
    # A value is one word: one of several could be anything.
    fits = pl.Series(contents, dtype=pl.String).str.contains(pattern(name, r"\S+?")).to_list()
    for other, fit in zip(others, fits, strict=True):
        if fit and total[other] < total[name]:
            found.setdefault(other, name)
