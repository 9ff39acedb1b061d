"""Judges of columns, learnt from logs whose templates are known.

Two questions are learnt. *Does a column divide?* A labelled log is partitioned as the parser will, with the
right answer in place of a judge: a column divides rightly if no event has two values in it. *Is a token a
value?* It is if the template has `<*>` there, of events as the right partition leaves them.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from biglog.logs.masking import values
from biglog.tasks.parsing.columns import Floats, codes, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.library import pattern
from biglog.tasks.parsing.partition import Judge, Node, by_length, divided, varied
from biglog.tasks.parsing.tokens import PUNCTUATION, STATUS, VALUE_MARKS, Token

_BLANK = re.compile(r"(?:\s|\x1b\[[0-9;]*[A-Za-z])*")


@dataclass
class Lessons:
    """What one labelled log teaches, a row a column.

    Attributes:
        dividing: Features of columns with several values.
        divides: Whether each of them divides rightly.
        standing: Features of columns with one value.
        is_value: Whether each of them is a value.
    """

    dividing: list[list[float]] = field(default_factory=list)
    divides: list[bool] = field(default_factory=list)
    standing: list[list[float]] = field(default_factory=list)
    is_value: list[bool] = field(default_factory=list)

    def dividing_alone(self) -> Lessons:
        """Returns what is taught of dividing: a made log does not know what annotators call a value."""
        return Lessons(self.dividing, self.divides)


def lessons(contents: pl.Series, templates: Sequence[str], lexicon: Lexicon, seed: int = 0) -> Lessons:
    """Partitions a labelled log rightly and notes what is learnt on the way.

    Args:
        contents: Contents, dtype String, shape (lines,).
        templates: Template of each line.
        lexicon: Of log statements.
        seed: Of several columns that divide rightly it decides by which the log is divided.
    """
    forms, rng, found = Forms.of(contents), np.random.default_rng(seed), Lessons()
    _, first = np.unique(forms.of_line, return_index=True)
    events = [templates[line] for line in first.tolist()]
    labels = _labels(forms, contents.gather(first), events)
    nodes = [node for node in by_length(forms) if forms.tokens[node[0]]]
    while nodes:
        node = nodes.pop()
        table = codes(forms, node)
        right = []
        for column in varied(table):
            divides = _divides(node, table[:, column].tolist(), events)
            found.dividing.append(features(forms, lexicon, node, table, column))
            found.divides.append(divides)
            right += [column] if divides else []
        if right:
            nodes += divided(node, table[:, right[int(rng.integers(len(right)))]].tolist())
        else:
            _standing(forms, lexicon, node, events, labels, found)
    return found


def _divides(node: Node, column: Sequence[int], events: Sequence[str]) -> bool:
    values_of: dict[str, int] = {}
    return all(
        values_of.setdefault(events[form], value) == value for form, value in zip(node, column, strict=True)
    )


def _standing(
    forms: Forms,
    lexicon: Lexicon,
    node: Node,
    events: Sequence[str],
    labels: Sequence[list[bool] | None],
    found: Lessons,
) -> None:
    groups: dict[str, Node] = defaultdict(list)
    for form in node:
        groups[events[form]].append(form)
    for group in groups.values():
        table = codes(forms, group)
        several = set(varied(table))
        told = [row for form in group if (row := labels[form]) is not None]
        for column, text in enumerate(forms.words[group[0]]):
            if told and column not in several and text not in PUNCTUATION:
                found.standing.append(features(forms, lexicon, group, table, column))
                found.is_value.append(sum(row[column] for row in told) * 2 > len(told))


def _labels(forms: Forms, contents: pl.Series, templates: Sequence[str]) -> list[list[bool] | None]:
    """Whether each token of each form is a value, by the template of one content of it; None if it fails."""
    under = values(contents).group_by("row", maintain_order=True).agg("value")
    masked = dict(zip(under["row"].to_list(), under["value"].to_list(), strict=True))
    found: list[list[bool] | None] = []
    for row, (content, template) in enumerate(zip(contents.to_list(), templates, strict=True)):
        spans = value_spans(template, content)
        places = locate(forms.tokens[row], masked.get(row, ()), content)
        if spans is None or places is None:
            found.append(None)
        else:
            found.append([_covered(place, spans) for place in places])
    return found


def _covered(place: tuple[int, int], spans: Sequence[tuple[int, int]]) -> bool:
    start, end = place
    if start == end:
        return (start, end) in spans
    inside = sum(max(0, min(end, last) - max(start, first)) for first, last in spans)
    return inside * 2 > end - start


def value_spans(template: str, content: str) -> list[tuple[int, int]] | None:
    """Finds what stands in a content for each `<*>` of its template; None if they don't match."""
    match = re.fullmatch(pattern(template, "(.*?)"), content)
    return None if match is None else [match.span(group + 1) for group in range(len(match.groups()))]


def locate(tokens: Sequence[Token], masked: Sequence[str], content: str) -> list[tuple[int, int]] | None:
    """Finds where the tokens of a normal form stand in its content.

    Args:
        tokens: Of the normal form.
        masked: The values under its mask tokens, in order.
        content: The content.

    Returns:
        First and last offset of each token; None where the content is no content of this form.
    """
    under, at, found = iter(masked), 0, []
    for token in tokens:
        size = sum(len(next(under, "")) if c in VALUE_MARKS else 3 if c == STATUS else 1 for c in token.text)
        blank = _BLANK.match(content, at) if token.text else None
        at = blank.end() if blank else at
        found.append((at, at + size))
        at += size
    return found if at <= len(content) else None


@dataclass(frozen=True)
class Judges:
    """What was learnt.

    Attributes:
        divides: Says of columns of several values whether they divide events from events.
        is_value: Says of columns of one value whether they are values.
    """

    divides: Judge
    is_value: Judge


def learn(taught: Sequence[tuple[Lessons, float]], *, seed: int = 0, models: int = 4) -> Judges:
    """Learns from the lessons of several logs.

    Every log counts with the square root of how many rows it has, times its weight.

    Args:
        taught: Lessons with their weights.
        seed: Of the models.
        models: How many are averaged.
    """
    dividing = [(one.dividing, one.divides, weight) for one, weight in taught]
    standing = [(one.standing, one.is_value, weight) for one, weight in taught]
    return Judges(_learn(dividing, seed, models), _learn(standing, seed, models))


def _learn(
    rows: Sequence[tuple[list[list[float]], list[bool], float]], seed: int, models: int
) -> Callable[[list[list[float]]], Floats]:
    used = [(x, y, weight / math.sqrt(len(x))) for x, y, weight in rows if x]
    table = np.concatenate([np.array(x) for x, _, _ in used])
    truth = np.concatenate([np.array(y) for _, y, _ in used])
    weight = np.concatenate([np.full(len(x), w) for x, _, w in used])
    fitted = [
        HistGradientBoostingClassifier(
            max_iter=150,
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=10,
            l2_regularization=1.0,
            max_features=0.4,
            random_state=seed * 100 + number,
        ).fit(table, truth, sample_weight=weight / weight.mean())
        for number in range(models)
    ]

    def judge(asked: list[list[float]]) -> Floats:
        given = np.array(asked)
        return np.mean([model.predict_proba(given)[:, 1] for model in fitted], axis=0)

    return judge
