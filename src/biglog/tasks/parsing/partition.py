"""Forms to events, from the top: forms of equal length are divided by the column that surely tells events
apart, and what it leaves is divided again, until what still differs are values.

So did IPLoM (Makanju, Zincir-Heywood and Milios, "Clustering Event Logs Using Iterative Partitioning", KDD
2009) with rules; here a judge says of a column how likely it is that no event has two values in it. Where
templates of some forms are known, no known event is divided, two of them never stay together, and a word that
is constant in one divides the forms that have another there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from biglog.tasks.parsing.columns import Floats, Node, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.tokens import ANY_MARK, CUT, PUNCTUATION

Judge = Callable[[list[list[float]]], Floats]
"""Probabilities of columns, by their features: shape (columns, features) to shape (columns,)."""

Known = Sequence[str | None]
"""The known template of each form, None where there is none."""

Flags = Sequence[Sequence[bool] | None]
"""Whether each token of each form is a value by its known template, None where that does not say."""

DIVIDES = 0.4
"""Probability above which a column divides a node."""

IS_VALUE = 0.5
"""Probability above which a token is a value."""

RECURRING = 3.0
"""Lines a value from which on it is no accident that a word comes again."""

_WORD = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True)
class Event:
    """Forms that are one event.

    Attributes:
        forms: Their numbers.
        is_value: Whether each token is a value, shape (columns,).
        doubt: How likely something of it is wrong, from 0 to 1, as far as the judges know.
    """

    forms: tuple[int, ...]
    is_value: list[bool]
    doubt: float


def by_length(forms: Forms) -> list[Node]:
    """Returns the forms of each number of tokens."""
    nodes: dict[int, list[int]] = defaultdict(list)
    for form, tokens in enumerate(forms.tokens):
        nodes[len(tokens)].append(form)
    return [Node.of(forms, nodes[length]) for length in sorted(nodes)]


def partition(
    forms: Forms,
    lexicon: Lexicon,
    divides: Judge,
    known: Known | None = None,
    flags: Flags | None = None,
) -> list[tuple[Node, float]]:
    """Divides the forms of a log into events.

    All nodes of a round are judged together: a judge costs less for many columns than for one at a time.

    Args:
        forms: Of the log.
        lexicon: Of log statements.
        divides: Says of columns how likely they divide events from events, and no event.
        known: Templates that are known.
        flags: What they say of tokens.

    Returns:
        The forms of each event, and how likely one of its columns should have divided it after all.
    """
    found: list[tuple[Node, float]] = []
    open_nodes = by_length(forms)
    while open_nodes:
        rows = [features(forms, lexicon, node, column) for node in open_nodes for column in node.varied]
        chances, at = divides(rows) if rows else np.zeros(0), 0
        divided: list[Node] = []
        for node in open_nodes:
            own = chances[at : at + len(node.varied)]
            at += len(node.varied)
            parts = _parted(forms, node, own, known, flags)
            if parts:
                divided += [Node.of(forms, part) for part in parts]
            else:
                found.append((node, float(own.max(initial=0.0))))
        open_nodes = divided
    return found


def _parted(
    forms: Forms, node: Node, chances: Floats, known: Known | None, flags: Flags | None
) -> list[list[int]]:
    """The parts of a node; none where it is an event."""
    keep = forms.rules.keep
    for column in node.varied if keep else ():
        texts = [forms.words[form][column] for form in node.forms]
        others = {
            code for code, text in zip(node.codes[:, column].tolist(), texts, strict=True) if text not in keep
        }
        if forms.rules.kept(texts):
            return node.divided(column, others)
    if flags is not None and (parts := _by_constants(node, chances, flags)):
        return parts
    dividing = _dividing(forms, node, chances, known)
    return [] if dividing is None else node.divided(dividing)


def _by_constants(node: Node, chances: Floats, flags: Flags) -> list[list[int]]:
    """The parts of a node by what known templates have for constant: that each alone, the rest together."""
    constant: dict[int, set[int]] = defaultdict(set)
    for row, form in zip(node.codes.tolist(), node.forms, strict=True):
        told = flags[form]
        for place, column in enumerate(node.varied if told is not None else ()):
            if told is not None and not told[column]:
                constant[place].add(row[column])
    if not constant:
        return []
    best = max(constant, key=lambda place: float(chances[place]))
    column = node.varied[best]
    return node.divided(column, set(node.codes[:, column].tolist()) - constant[best])


def _dividing(forms: Forms, node: Node, chances: Floats, known: Known | None) -> int | None:
    """Which column divides a node, if one does."""
    if not node.varied:
        return None
    if known is not None:
        allowed, parting = _by_known(node, [known[form] for form in node.forms])
        if (allowed & parting).any():
            return node.varied[int(np.where(allowed & parting, chances, -1.0).argmax())]
        chances = np.where(allowed, chances, 0.0)
    best = int(chances.argmax())
    return node.varied[best] if chances[best] > DIVIDES else _wordless(forms, node, chances)


def _by_known(node: Node, templates: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Of each varied column, whether it divides no known event, and whether it parts two of them."""
    allowed, parting = [], []
    for column in node.varied:
        values: dict[str, set[int]] = defaultdict(set)
        for template, value in zip(templates, node.codes[:, column].tolist(), strict=True):
            if template is not None:
                values[template].add(value)
        whole = all(len(each) == 1 for each in values.values())
        allowed.append(whole)
        parting.append(whole and len({min(each) for each in values.values()}) > 1)
    return np.array(allowed), np.array(parting)


def _wordless(forms: Forms, node: Node, chances: Floats) -> int | None:
    """An event without any constant word says nothing: words that come again and again divide it."""
    several = set(node.varied)
    first = forms.words[node.forms[0]]
    if any(column not in several and _is_word(text) for column, text in enumerate(first)):
        return None
    lines = node.lines
    for place in np.argsort(-chances, kind="stable").tolist():
        column = node.varied[place]
        values = {forms.words[form][column] for form in node.forms}
        if chances[place] > 0 and lines >= RECURRING * len(values) and all(map(_is_word, values)):
            return column
    return None


def _is_word(text: str) -> bool:
    return _WORD.search("".join(character for character in text if character not in ANY_MARK)) is not None


def events_of(
    forms: Forms,
    lexicon: Lexicon,
    divides: Judge,
    is_value: Judge,
    known: Known | None = None,
    flags: Flags | None = None,
) -> list[Event]:
    """Divides the forms of a log into events and says of each token of each whether it is a value.

    Args:
        forms: Of the log.
        lexicon: Of log statements.
        divides: As of `partition`.
        is_value: Says of columns of one value how likely it is no constant.
        known: Templates that are known.
        flags: What they say of tokens.

    Returns:
        The events. A column with several values is a value; punctuation never is, if it has one.
    """
    parts = partition(forms, lexicon, divides, known, flags)
    asked = [(node, column) for node, _ in parts for column in standing(forms, node)]
    rows = [features(forms, lexicon, node, column) for node, column in asked]
    chances = iter((is_value(rows) if rows else np.zeros(0)).tolist())
    found = []
    for node, doubt in parts:
        is_one = [False] * len(forms.words[node.forms[0]])
        sure = 1.0 - doubt
        for column in node.varied:
            is_one[column] = True
        for column in standing(forms, node):
            chance = next(chances)
            is_one[column] = chance > IS_VALUE
            sure *= max(chance, 1.0 - chance)
        found.append(Event(node.forms, is_one, 1.0 - sure))
    return found


def standing(forms: Forms, node: Node) -> list[int]:
    """The columns of one value of which it is asked whether they are values."""
    several = set(node.varied)
    first = forms.words[node.forms[0]]
    never = PUNCTUATION | {CUT} | forms.rules.keep
    return [c for c, text in enumerate(first) if c not in several and text not in never]
