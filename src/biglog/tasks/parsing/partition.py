"""Forms to events, from the top: forms of equal length are divided by the column that surely tells events
apart, and what it leaves is divided again, until what still differs are values.

So did IPLoM (Makanju, Zincir-Heywood and Milios, "Clustering Event Logs Using Iterative Partitioning", KDD
2009) with rules; here a judge says of a column how likely it is that no event has two values in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from biglog.tasks.parsing.columns import Codes, Floats, codes, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.tokens import PUNCTUATION

Judge = Callable[[list[list[float]]], Floats]
"""Probabilities of columns, by their features: shape (columns, features) to shape (columns,)."""

SURE = 0.5
"""Probability above which a column divides a node, and above which a token is a value."""

Node = list[int]


def by_length(forms: Forms) -> list[Node]:
    """Returns the forms of each number of tokens."""
    nodes: dict[int, Node] = defaultdict(list)
    for form, tokens in enumerate(forms.tokens):
        nodes[len(tokens)].append(form)
    return [nodes[length] for length in sorted(nodes)]


def varied(table: Codes) -> list[int]:
    """Returns the columns that have more than one value."""
    return np.flatnonzero((table != table[0]).any(axis=0)).tolist() if table.size else []


def divided(node: Node, column: Iterable[int]) -> list[Node]:
    """Divides a node by the values of one column."""
    parts: dict[int, Node] = defaultdict(list)
    for form, value in zip(node, column, strict=True):
        parts[value].append(form)
    return list(parts.values())


def partition(forms: Forms, lexicon: Lexicon, divides: Judge) -> list[Node]:
    """Divides the forms of a log into events.

    All nodes of a round are judged together: a judge costs less for many columns than for one at a time.

    Args:
        forms: Of the log.
        lexicon: Of log statements.
        divides: Says of columns how likely they divide events from events, and no event.

    Returns:
        The forms of each event.
    """
    found: list[Node] = []
    open_nodes = by_length(forms)
    while open_nodes:
        asked = []
        for node in open_nodes:
            table = codes(forms, node)
            columns = varied(table)
            if columns:
                asked.append((node, table, columns))
            else:
                found.append(node)
        rows = [features(forms, lexicon, node, table, c) for node, table, columns in asked for c in columns]
        chances, at = divides(rows) if rows else np.zeros(0), 0
        open_nodes = []
        for node, table, columns in asked:
            own = chances[at : at + len(columns)]
            at += len(columns)
            best = int(own.argmax())
            if own[best] > SURE:
                open_nodes += divided(node, table[:, columns[best]].tolist())
            else:
                found.append(node)
    return found


def variables(forms: Forms, lexicon: Lexicon, events: Sequence[Node], is_value: Judge) -> list[list[bool]]:
    """Says of each token of each event whether it is a value.

    Args:
        forms: Of the log.
        lexicon: Of log statements.
        events: As `partition` returns them.
        is_value: Says of columns of one value how likely it is no constant.

    Returns:
        For each event one entry a column. A column with several values is a value; punctuation never is.
    """
    found, asked, rows = [], [], []
    for event, node in enumerate(events):
        table = codes(forms, node)
        flags = [False] * len(forms.tokens[node[0]])
        several = set(varied(table))
        for column, text in enumerate(forms.words[node[0]]):
            flags[column] = column in several
            if column not in several and text not in PUNCTUATION:
                asked.append((event, column))
                rows.append(features(forms, lexicon, node, table, column))
        found.append(flags)
    for (event, column), chance in zip(asked, is_value(rows) if rows else (), strict=True):
        found[event][column] = bool(chance > SURE)
    return found
