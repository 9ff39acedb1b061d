"""Tables as examples: texts and labels of any type that a head can take, by its columns' types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.tasks.groups import Groups
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import flags_of
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.examples import Examples, Spans, distinct, plain, single
from biglog.training.adaptation.tables import Table

WORD_CLASSES: Final = ("constant", "parameter")
"""Classes of words, where templates say which they are."""


def read_examples(table: Table, arguments: AdaptArguments, classes: Sequence[str] = ()) -> Examples:
    """Turns a table into examples.

    Args:
        table: As `read_tables` returns it; it has rows.
        arguments: Name the head.
        classes: What labels may be, in order; none takes those that there are.

    Raises:
        InputError: A column is of another type than the head needs, a label is none of the classes, or there
            are fewer than two.
    """
    if arguments.head == "mlm":
        return plain(_forms(table))
    if arguments.head == "token":
        return _tokens(table, classes)
    named = _names(table.rows["label"], table.source)
    known = _classes(named, classes, table.source)
    groups = _windows(table) if arguments.head == "window" else single(_forms(table))
    if arguments.head == "window" and int(groups.sizes.max()) > arguments.max_window_lines:
        raise InputError(
            f"a window has {int(groups.sizes.max())} lines, and max_window_lines is "
            f"{arguments.max_window_lines}",
            where=table.source,
            remedy="Raise max_window_lines, or cut the windows",
        )
    return distinct(groups, [known[name] for name in named], tuple(known))


def examples_of_texts(texts: pl.Series, head: str, classes: tuple[str, ...]) -> Examples:
    """Turns lines or windows without labels into examples.

    Args:
        texts: Contents, or of head `window` lists of contents.
        head: `sequence` or `window`.
        classes: What answers mean.
    """
    column = "contents" if head == "window" else "content"
    table = Table(texts.alias("text").to_frame(), column, "the lines given", "")
    groups = _windows(table) if head == "window" else single(_forms(table))
    return distinct(groups, [0] * len(texts), classes)


def _forms(table: Table) -> pl.Series:
    """Normal forms of lines."""
    texts = table.rows["text"]
    if texts.dtype != pl.String:
        raise InputError(f"column {table.text} holds {texts.dtype}, and lines are texts", where=table.source)
    return texts if table.text == "normal_form" else normal_forms(texts)


def _names(labels: pl.Series, source: str) -> list[str]:
    if labels.dtype.is_nested() or labels.dtype.is_float():
        raise InputError(f"labels are {labels.dtype}, and not names or integers", where=source)
    return labels.cast(pl.String).to_list()


def _classes(named: Sequence[str], given: Sequence[str], source: str) -> dict[str, int]:
    """The number of each class; labels that none has are told."""
    found = sorted(set(named))
    unknown = [name for name in found if name not in given] if given else []
    if unknown:
        shown = ", ".join(map(repr, unknown[:5]))
        remedy = f"The head knows {', '.join(map(repr, given))}"
        raise InputError(f"label {shown} is unknown to the head", where=source, remedy=remedy)
    classes = list(given or found)
    if len(classes) < 2:
        raise InputError(f"all rows have the label {classes[0]!r}", where=source, remedy="Give two classes")
    return {name: number for number, name in enumerate(classes)}


def _windows(table: Table) -> Groups:
    texts = _lists(table.rows["text"], table)
    column = "contents" if table.text not in ("normal_forms",) else "normal_forms"
    return Groups.of(texts.alias(column).to_frame())


def _lists(column: pl.Series, table: Table) -> pl.Series:
    """A column of lists of texts; in a CSV file they are JSON."""
    if column.dtype == pl.String:
        try:
            column = pl.Series([json.loads(text) for text in column], dtype=pl.List(pl.String))
        except (ValueError, TypeError) as error:
            problem = f"column {table.text} holds texts that are no JSON lists"
            raise InputError(problem, where=table.source) from error
    if not isinstance(column.dtype, pl.List):
        raise InputError(f"column {table.text} holds {column.dtype}, and not lists", where=table.source)
    return column


# -- words --


def _tokens(table: Table, classes: Sequence[str]) -> Examples:
    labels = table.rows["label"]
    if table.text != "words" and labels.dtype == pl.String and not _is_json(labels):
        return _templates(table, classes)
    texts, told = _lists(table.rows["text"], table), _lists(labels, table)
    for row, (words, answers) in enumerate(zip(texts, told, strict=True), 1):
        if len(words) != len(answers) or not len(words):
            problem = f"{len(words)} words have {len(answers)} labels"
            raise InputError(problem, where=table.source, line=row, remedy="Give one label a word")
    known = _classes(_names(told.explode(), table.source), classes, table.source)
    joined = pl.Series([" ".join(words) for words in texts], dtype=pl.String)
    rows = [tuple(known[name] for name in answers.cast(pl.String)) for answers in told]
    groups = single(joined)
    first = {form: row for row, form in reversed(list(enumerate(joined.to_list())))}
    spans = [_word_spans(texts[first[form]].to_list()) for form in groups.forms]
    return distinct(groups, rows, tuple(known), spans)


def _is_json(labels: pl.Series) -> bool:
    return bool(labels.str.starts_with("[").all()) and bool(labels.str.ends_with("]").all())


def _word_spans(words: Sequence[str]) -> Spans:
    found, at = [], 0
    for word in words:
        found.append((at, at + len(word)))
        at += len(word) + 1
    return found


def _templates(table: Table, classes: Sequence[str]) -> Examples:
    """Words of contents, by the templates of these: parameters stand under `<*>`."""
    contents = table.rows["text"]
    if contents.dtype != pl.String:
        raise InputError(f"column {table.text} holds {contents.dtype}, and not texts", where=table.source)
    known = _classes(WORD_CLASSES, classes or WORD_CLASSES, table.source)
    forms = Forms.of(contents)
    _, first = np.unique(forms.of_line, return_index=True)
    templates = table.rows["label"].gather(first).to_list()
    flags = flags_of(forms, contents.gather(first).to_list(), templates)
    names = {False: known[WORD_CLASSES[0]], True: known[WORD_CLASSES[1]]}
    labels: list[tuple[int, ...]] = []
    words: list[Spans] = []
    for tokens, values in zip(forms.tokens, flags, strict=True):
        told = [] if values is None else list(zip(tokens, values, strict=True))
        kept = [(token, value) for token, value in told if token.end > token.start]
        words.append([(token.start, token.end) for token, _ in kept])
        labels.append(tuple(names[value] for _, value in kept))
    rows = [form for form in forms.of_line.tolist() if labels[form]]
    if not rows:
        raise InputError("no template fits its content", where=table.source, remedy="Check both columns")
    groups = single(pl.Series(forms.texts, dtype=pl.String).gather(rows))
    place = {text: number for number, text in enumerate(forms.texts)}
    spans = [words[place[text]] for text in groups.forms]
    return distinct(groups, [labels[form] for form in rows], tuple(known), spans)
