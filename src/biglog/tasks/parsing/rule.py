"""Normal forms to events, by a simple rule.

Masks alone leave words that are values too: user names, component names, states. The rule: normal forms with
equally many words belong to one event when they are alike in all words but one, and at least `MIN_VALUES`
different words stand there; that word is then variable, written ``<*>``, and the rule is applied again to
what results. So a choice between few words (``available``, ``unavailable``) stays two events, and a name that
keeps changing does not. A lone 0, which the masks leave alone, is one of the numbers that stand in its place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from biglog.tasks.parsing.template import WILDCARD

ZERO = re.compile(r"(?<![A-Za-z0-9_])0(?![A-Za-z0-9_])")
"""A lone 0, which the masks leave as it is."""

MIN_VALUES = 5
"""From so many different words on, the place they stand in is variable."""

MAX_WORDS = 60
"""Longer forms are left as they are: comparing all pairs of places in them costs more than it tells."""

_ROUNDS = 4
_CONSTANT = re.compile(r"(?<!\[)\b[^\W\d_]{2,}")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Grouping:
    """Events of a set of normal forms.

    Attributes:
        templates: Template of each event: words, typed mask tokens and ``<*>``.
        event_of: For each normal form, the index of its event.
    """

    templates: list[str]
    event_of: list[int]


def group_forms(forms: Iterable[str]) -> Grouping:
    """Groups normal forms to events.

    Args:
        forms: Distinct normal forms.

    Returns:
        The events, numbered in order of their first normal form.
    """
    words = _with_zeros_as_numbers([tuple(form.split(" ")) for form in forms])
    for _ in range(_ROUNDS):
        merged = _merge_once(words)
        if merged == words:
            break
        words = merged
    numbers: dict[Words, int] = {}
    event_of = [numbers.setdefault(each, len(numbers)) for each in words]
    return Grouping([" ".join(each) for each in numbers], event_of)


def _with_zeros_as_numbers(words: list[Words]) -> list[Words]:
    """Writes a lone 0 as a number where another form has a number in that place and is alike otherwise."""
    alike: dict[Words, list[Words]] = defaultdict(list)
    for form in dict.fromkeys(words):
        alike[tuple(ZERO.sub("[NUM]", word) for word in form)].append(form)
    merged: dict[Words, Words] = {}
    for general, forms in alike.items():
        if len(forms) > 1:
            places = zip(general, zip(*forms, strict=True), strict=True)
            template = tuple(word if len(set(each)) > 1 else each[0] for word, each in places)
            merged |= dict.fromkeys(forms, template)
    return [merged.get(form, form) for form in words]


def _merge_once(words: list[Words]) -> list[Words]:
    """Makes, in every form, that place variable where most other forms differ from it in it alone."""
    alike: dict[tuple[int, Words], set[str]] = defaultdict(set)
    distinct = [form for form in dict.fromkeys(words) if 1 < len(form) <= MAX_WORDS]
    for form in distinct:
        for place, word in enumerate(form):
            alike[place, form[:place] + form[place + 1 :]].add(word)
    merged: dict[Words, Words] = {}
    for form in distinct:
        best = max(range(len(form)), key=lambda place: len(alike[place, form[:place] + form[place + 1 :]]))
        rest = form[:best] + form[best + 1 :]
        values = alike[best, rest] - {WILDCARD}
        if len(values) >= MIN_VALUES and any(map(_CONSTANT.search, rest)):
            merged[form] = (*form[:best], WILDCARD, *form[best + 1 :])
    return [merged.get(form, form) for form in words]
