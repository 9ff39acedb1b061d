"""Rows as examples: equal ones once, so that each is computed once and counts as often as it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.tasks.groups import Floats, Groups, Ints
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import flags_of
from biglog.training.adaptation.arguments import AdaptArguments
from biglog.training.adaptation.tables import Table

WORD_CLASSES: Final = ("constant", "parameter")
"""Classes of words, where templates say which they are."""

Spans = list[tuple[int, int]]
"""First offset and offset behind the last character of each word of a normal form."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Distinct examples, and the rows that they stand for.

    Attributes:
        groups: Lines of each example; a line by itself is a group of one. Its forms are distinct.
        labels: Labels of each example, as numbers: one, or of words one each; none for lines that have none.
        rows: Example of each row, in the order of the table, shape (rows,).
        classes: What the numbers mean.
        words: Words of each form, where words have labels.
    """

    groups: Groups
    labels: list[NDArray[np.int64]]
    rows: Ints
    classes: tuple[str, ...]
    words: list[Spans] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def counts(self) -> Ints:
        """Rows of each example, shape (examples,)."""
        return np.bincount(self.rows, minlength=len(self))

    @property
    def lines(self) -> int:
        """Lines of all rows."""
        return int(self.groups.sizes[self.rows].sum())

    def codes(self, example: int) -> NDArray[np.int32]:
        """Form of each line of an example."""
        return self.groups.sequence(example)

    def once(self) -> Examples:
        """Returns them with one row each."""
        return replace(self, rows=np.arange(len(self)))

    def class_counts(self, weights: Floats | None = None) -> Floats:
        """How many labels of the rows are of each class, shape (classes,).

        Args:
            weights: Of each example, in place of how many rows it has.
        """
        found = np.zeros(len(self.classes))
        for labels, weight in zip(self.labels, self.counts if weights is None else weights, strict=True):
            np.add.at(found, labels, weight)
        return found


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
        return _plain(_forms(table))
    if arguments.head == "token":
        return _tokens(table, classes)
    named = _names(table.rows["label"], table.source)
    known = _classes(named, classes, table.source)
    groups = _windows(table) if arguments.head == "window" else _single(_forms(table))
    if arguments.head == "window" and int(groups.sizes.max()) > arguments.max_window_lines:
        raise InputError(
            f"a window has {int(groups.sizes.max())} lines, and max_window_lines is "
            f"{arguments.max_window_lines}",
            where=table.source,
            remedy="Raise max_window_lines, or cut the windows",
        )
    return _distinct(groups, [known[name] for name in named], tuple(known))


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


def _single(forms: pl.Series) -> Groups:
    """Lines as groups of one."""
    distinct = forms.unique(maintain_order=True)
    codes = forms.to_frame("form").join(
        distinct.to_frame("form").with_row_index("code"), on="form", how="left", maintain_order="left"
    )["code"]
    ids = pl.int_range(len(forms), eager=True).cast(pl.String)
    return Groups(distinct, codes.to_numpy().astype(np.int32), np.arange(len(forms) + 1), ids)


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


def _plain(forms: pl.Series) -> Examples:
    """Lines without labels, each form once."""
    groups = _single(forms)
    first = _single(groups.forms)
    return Examples(first, [np.zeros(0, np.int64)] * len(first), np.arange(len(first)), ())


def _distinct(
    groups: Groups,
    labels: Sequence[int] | Sequence[tuple[int, ...]],
    classes: tuple[str, ...],
    words: list[Spans] | None = None,
) -> Examples:
    """Equal groups with equal labels once."""
    _, place, _ = groups.distinct()
    numbers: dict[int | tuple[int, ...], int] = {}
    told = np.array([numbers.setdefault(label, len(numbers)) for label in labels])
    _, first, rows = np.unique(place * len(numbers) + told, return_index=True, return_inverse=True)
    # In the order in which they first come, whatever they are.
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    kept = first[order]
    answers = [np.atleast_1d(np.array(labels[row], dtype=np.int64)) for row in kept.tolist()]
    return Examples(groups.take(kept), answers, rank[rows.reshape(-1)], classes, words)


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
    groups = _single(joined)
    first = {form: row for row, form in reversed(list(enumerate(joined.to_list())))}
    spans = [_word_spans(texts[first[form]].to_list()) for form in groups.forms]
    return _distinct(groups, rows, tuple(known), spans)


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
    groups = _single(pl.Series(forms.texts, dtype=pl.String).gather(rows))
    place = {text: number for number, text in enumerate(forms.texts)}
    spans = [words[place[text]] for text in groups.forms]
    return _distinct(groups, [labels[form] for form in rows], tuple(known), spans)


def weights_of(examples: Examples, arguments: AdaptArguments) -> tuple[Floats, Floats]:
    """Weights by which losses count.

    Args:
        examples: What is learnt from.
        arguments: Say how rows and classes are weighed.

    Returns:
        Weight of each example, shape (examples,), and of each class, shape (classes,). Over all labels of all
        rows their product is 1 in the mean.

    Raises:
        InputError: A class weight is for no class, or no positive number.
    """
    size = np.array([len(labels) for labels in examples.labels], dtype=np.float64)
    weight = np.ones(len(examples))
    if arguments.distinct:
        weight = examples.counts.astype(np.float64) ** arguments.count_power
        weight *= size.sum() / (weight * size).sum()
    seen = examples.class_counts(weight if arguments.distinct else None)
    of_class = _class_weights(arguments.class_weights, examples.classes, seen)
    return weight, of_class * seen.sum() / max((of_class * seen).sum(), 1e-9)


def _class_weights(given: Sequence[str], classes: Sequence[str], seen: Floats) -> Floats:
    if tuple(given) == ("balanced",):
        return np.where(seen > 0, seen.sum() / np.maximum(seen, 1e-9) / max((seen > 0).sum(), 1), 0.0)
    weights: Mapping[str, float] = dict(map(_weight, given))
    for name in weights:
        if name not in classes:
            remedy = f"Classes are {', '.join(classes)}"
            raise InputError(f"class_weights names {name!r}, which is no class", remedy=remedy)
    return np.array([weights.get(name, 1.0) for name in classes])


def _weight(given: str) -> tuple[str, float]:
    name, _, text = given.rpartition("=")
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not name or not 0 < weight < float("inf"):
        remedy = "Write `balanced`, or CLASS=WEIGHT with a positive number"
        raise InputError(f"class_weights cannot be {given!r}", remedy=remedy)
    return name, weight


def examples_of_texts(texts: pl.Series, head: str, classes: tuple[str, ...]) -> Examples:
    """Turns lines or windows without labels into examples.

    Args:
        texts: Contents, or of head `window` lists of contents.
        head: `sequence` or `window`.
        classes: What answers mean.
    """
    column = "contents" if head == "window" else "content"
    table = Table(texts.alias("text").to_frame(), column, "the lines given", "")
    groups = _windows(table) if head == "window" else _single(_forms(table))
    return _distinct(groups, [0] * len(texts), classes)
