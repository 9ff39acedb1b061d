"""Judges of columns, learnt from logs whose templates are known.

Two questions are learnt. *Does a column divide?* A labelled log is partitioned as the parser will, with the
right answer in place of a judge: a column divides rightly if no event has two values in it. *Is a token a
value?* It is if the template has `<*>` there, of events as the right partition leaves them.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from biglog.logs.masking import values
from biglog.tasks.parsing.columns import Floats, Node, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.partition import Judge, Known, by_length, standing
from biglog.tasks.parsing.template import Template
from biglog.tasks.parsing.tokens import STATUS, VALUE_MARKS, Token
from biglog.tasks.parsing.trees import Forest

TREES = 150
"""Trees of a judge."""

TAUGHT_TREES = 60
"""Trees of a judge that labels teach."""

TAUGHT_SHARE = 0.3
"""What its answer counts beside that of the judge that other logs taught."""

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
    forms = Forms.of(contents)
    _, first = np.unique(forms.of_line, return_index=True)
    return lessons_of(
        forms, contents.gather(first), [templates[line] for line in first.tolist()], lexicon, seed
    )


def lessons_of(
    forms: Forms, examples: pl.Series, events: Sequence[str], lexicon: Lexicon, seed: int = 0
) -> Lessons:
    """As `lessons`, of forms.

    Args:
        forms: Of the log.
        examples: A content of each, dtype String, shape (forms,).
        events: Template of each.
        lexicon: Of log statements.
        seed: As of `lessons`.
    """
    rng, found = np.random.default_rng(seed), Lessons()
    labels = _labels(forms, examples, events)
    nodes = [node for node in by_length(forms) if node.codes.shape[1]]
    while nodes:
        node = nodes.pop()
        right = []
        for column in node.varied:
            divides = _divides(node, column, events)
            found.dividing.append(features(forms, lexicon, node, column))
            found.divides.append(divides)
            right += [column] if divides else []
        if right:
            parts = node.divided(right[int(rng.integers(len(right)))])
            nodes += [Node.of(forms, part) for part in parts]
        else:
            _standing(forms, lexicon, node, events, labels, found)
    return found


def _divides(node: Node, column: int, events: Sequence[str]) -> bool:
    values_of: dict[str, int] = {}
    values = node.codes[:, column].tolist()
    return all(
        values_of.setdefault(events[form], value) == value
        for form, value in zip(node.forms, values, strict=True)
    )


def _standing(
    forms: Forms,
    lexicon: Lexicon,
    node: Node,
    events: Sequence[str],
    labels: Sequence[list[bool] | None],
    found: Lessons,
) -> None:
    groups: dict[str, list[int]] = defaultdict(list)
    for form in node.forms:
        groups[events[form]].append(form)
    for members in groups.values():
        group = Node.of(forms, members)
        told = [row for form in members if (row := labels[form]) is not None]
        for column in standing(forms, group) if told else ():
            found.standing.append(features(forms, lexicon, group, column))
            found.is_value.append(sum(row[column] for row in told) * 2 > len(told))


def flags_of(forms: Forms, examples: Sequence[str], known: Known) -> list[list[bool] | None]:
    """Says of each token of each form whether it is a value, by the form's known template.

    Args:
        forms: Of the log.
        examples: A content of each.
        known: Template of each, None where none is known.

    Returns:
        For each form whose template is known and fits its example one flag a token, else None.
    """
    told = {form: template for form, template in enumerate(known) if template is not None}
    contents = pl.Series([examples[form] for form in told], dtype=pl.String)
    labels = dict(zip(told, _labels(forms.part(list(told)), contents, list(told.values())), strict=True))
    return [labels.get(form) for form in range(len(known))]


def _labels(forms: Forms, contents: pl.Series, templates: Sequence[str]) -> list[list[bool] | None]:
    """Whether each token of each form is a value, by the template of one content of it; None if it fails."""
    under = values(contents).group_by("row", maintain_order=True).agg("value")
    masked = dict(zip(under["row"].to_list(), under["value"].to_list(), strict=True))
    found: list[list[bool] | None] = []
    for row, (content, template) in enumerate(zip(contents.to_list(), templates, strict=True)):
        spans = Template(template).spans(content)
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


@dataclass(frozen=True)
class Blend:
    """Two judges, of which the second was taught by the very log.

    Attributes:
        learnt: The first.
        taught: The second.
    """

    learnt: Judge
    taught: Judge

    def __call__(self, asked: list[list[float]]) -> Floats:
        """Averages their answers by `TAUGHT_SHARE`."""
        return (1.0 - TAUGHT_SHARE) * self.learnt(asked) + TAUGHT_SHARE * self.taught(asked)


def learn(taught: Sequence[tuple[Lessons, float]], *, seed: int = 0, trees: int = TREES) -> Judges:
    """Learns from the lessons of several logs.

    Every log counts with the square root of how many rows it has, times its weight. Extremely randomised
    trees (Geurts, Ernst and Wehenkel, Machine Learning 2006) hold better on systems that they were not taught
    by than boosted ones, which are surer of what they saw.

    Args:
        taught: Lessons with their weights.
        seed: Of the trees.
        trees: How many are averaged.
    """
    dividing = [(one.dividing, one.divides, weight) for one, weight in taught]
    standing = [(one.standing, one.is_value, weight) for one, weight in taught]
    return Judges(_learn(dividing, seed, trees, 4), _learn(standing, seed, trees, 4))


def teach(judges: Judges, lesson: Lessons, *, seed: int = 0) -> Judges:
    """Teaches judges by labels of the log that they will judge.

    Args:
        judges: As learnt on other logs.
        lesson: Of the log's labelled lines.
        seed: Of the trees.

    Returns:
        Judges that ask both what was learnt and what was taught; where a lesson has one answer only, what was
        learnt alone.
    """
    sides = (
        (judges.divides, lesson.dividing, lesson.divides),
        (judges.is_value, lesson.standing, lesson.is_value),
    )
    return Judges(
        *(
            Blend(judge, _learn([(rows, answers, 1.0)], seed, TAUGHT_TREES, 2))
            if len(set(answers)) > 1
            else judge
            for judge, rows, answers in sides
        )
    )


def _learn(
    rows: Sequence[tuple[list[list[float]], list[bool], float]], seed: int, trees: int, leaf: int
) -> Forest:
    # Here, since a parser that only parses does without it.
    from sklearn.ensemble import ExtraTreesClassifier

    used = [(x, y, weight / math.sqrt(len(x))) for x, y, weight in rows if x]
    table = np.concatenate([np.array(x, dtype=np.float32) for x, _, _ in used])
    truth = np.concatenate([np.array(y) for _, y, _ in used])
    weight = np.concatenate([np.full(len(x), w) for x, _, w in used])
    fitted = ExtraTreesClassifier(trees, min_samples_leaf=leaf, max_features=0.3, random_state=seed)
    return Forest.of(fitted.fit(table, truth, sample_weight=weight / weight.mean()))
