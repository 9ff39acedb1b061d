"""Values out of contents, column by column: where each parameter of each line stands.

Most lines of an event are instances of its template to the letter. Those are done together, literal by
literal, in Polars; what is left (other blanks, letters beyond ASCII, a list of another length) goes line by
line through `Template`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.masking import normal_forms
from biglog.tasks.parsing.template import IRREGULAR, Spans, Template, of_spans

KINDS: Final = ("number", "timestamp", "ip", "code", "file", "text")
"""Kinds of parameters: those of the mask tokens, and what is none of them."""

PARAMETERS: Final = pl.List(
    pl.Struct({"value": pl.String, "start": pl.Int32, "end": pl.Int32, "kind": pl.Enum(KINDS)})
)
"""A line's parameters, in order: value, its span in the line (characters), and kind."""

FEW: Final = 64
"""Lines of an event from which on it pays to do them in columns."""

Ints = NDArray[np.int64]
_KIND_OF = {f"[{kind.upper()}]": number for number, kind in enumerate(("num", *KINDS[1:-1]))}
_TEXT = KINDS.index("text")


@dataclass
class _Found:
    """Where values stand, collected event by event.

    Attributes:
        rows: The line of each value.
        starts: Its first offset.
        ends: The offset behind its last character.
        kinds: Its kind, -1 where it has to be looked at.
        templates: Of the lines that are no instances of their event's template to the letter.
    """

    rows: list[Ints] = field(default_factory=list)
    starts: list[Ints] = field(default_factory=list)
    ends: list[Ints] = field(default_factory=list)
    kinds: list[Ints] = field(default_factory=list)
    templates: dict[int, str] = field(default_factory=dict)

    def add(self, rows: Ints, starts: Ints, ends: Ints, kinds: Sequence[int]) -> None:
        """Takes the values of some lines: starts and ends of shape (lines, values)."""
        self.rows.append(np.repeat(rows, starts.shape[1]))
        self.starts.append(starts.ravel())
        self.ends.append(ends.ravel())
        self.kinds.append(np.tile(np.array(kinds, dtype=np.int64), len(rows)))

    def add_line(self, row: int, template: str, spans: Spans, kinds: Sequence[int]) -> None:
        """Takes one line."""
        self.templates[row] = template
        known = len(kinds) == len(spans)
        table = np.array(spans, dtype=np.int64).reshape(-1, 2)
        self.add(
            np.array([row]),
            table[:, 0].reshape(1, -1),
            table[:, 1].reshape(1, -1),
            kinds if known else [-1] * len(spans),
        )


def extract(
    contents: pl.Series,
    events: Ints,
    templates: Sequence[Template],
    kinds: Sequence[Sequence[int]],
    otherwise: Callable[[int, str], Spans],
    offsets: Ints | None = None,
) -> tuple[pl.Series, pl.Series]:
    """Finds the parameters of lines.

    Args:
        contents: Contents, dtype String without null, shape (lines,).
        events: The event of each line, shape (lines,).
        templates: Of each event.
        kinds: Of each event's parameters, as `kinds_of` returns them.
        otherwise: Asked with a line's position and content where its event's template does not fit it, for
            spans.
        offsets: Added to the spans of each line, shape (lines,); where one is negative, spans are null.

    Returns:
        The template of each line, such that putting its parameters in gives its content, and the parameters,
        of type `PARAMETERS`; both of shape (lines,).
    """
    found = _Found()
    order = np.argsort(events, kind="stable")
    edges = np.flatnonzero(np.diff(events[order], prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rows = order[first:last]
        event = int(events[rows[0]])
        left = (
            _in_columns(contents, rows, templates[event], kinds[event], found) if len(rows) >= FEW else rows
        )
        for row in left.tolist():
            _one(row, contents[row], templates[event], kinds[event], otherwise, found)
    texts = pl.Series([template.text for template in templates], dtype=pl.String).gather(events)
    if found.templates:
        places = np.array(list(found.templates), dtype=np.int64)
        texts = texts.scatter(places, pl.Series(list(found.templates.values()), dtype=pl.String))
    return texts.alias("template"), _assembled(contents, found, offsets)


def _in_columns(
    contents: pl.Series, rows: Ints, template: Template, kinds: Sequence[int], found: _Found
) -> Ints:
    """Does the lines that are instances to the letter; returns the others."""
    own = contents.gather(rows)
    size = own.str.len_bytes()
    parts = template.parts
    if len(parts) == 1:
        return rows[(own != parts[0]).to_numpy()]
    fitting = (size == own.str.len_chars()) & ~own.str.contains(IRREGULAR)
    fitting &= own.str.starts_with(parts[0]) & own.str.ends_with(parts[-1])
    rest = own.str.slice(len(parts[0]))
    at = np.full(len(rows), len(parts[0]), dtype=np.int64)
    fits, starts, ends = fitting.to_numpy().copy(), [], []
    for part in parts[1:-1]:
        place = rest.str.find(part, literal=True)
        fits &= place.is_not_null().to_numpy()
        place = place.fill_null(0).cast(pl.Int64)
        starts.append(at)
        ends.append(at + place.to_numpy())
        at = ends[-1] + len(part)
        rest = pl.select(rest.str.slice(place + len(part))).to_series()
    starts.append(at)
    ends.append(size.to_numpy().astype(np.int64) - len(parts[-1]))
    fits &= ends[-1] >= at
    found.add(rows[fits], np.stack(starts, axis=1)[fits], np.stack(ends, axis=1)[fits], kinds)
    return rows[~fits]


def _one(
    row: int,
    content: str,
    template: Template,
    kinds: Sequence[int],
    otherwise: Callable[[int, str], Spans],
    found: _Found,
) -> None:
    spans = template.spans(content)
    if spans is None:
        spans, kinds = otherwise(row, content), ()
    text, spans = of_spans(content, spans)
    found.add_line(row, text, spans, kinds)


def _assembled(contents: pl.Series, found: _Found, offsets: Ints | None) -> pl.Series:
    """The lists of parameters, from values collected in any order."""
    none = np.zeros(0, dtype=np.int64)
    rows = np.concatenate([none, *found.rows])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.concatenate([none, *found.starts])[order]
    ends = np.concatenate([none, *found.ends])[order]
    kinds = np.concatenate([none, *found.kinds])[order]
    table = pl.DataFrame({"content": contents.gather(rows), "start": starts, "size": ends - starts})
    values = table.select(pl.col("content").str.slice("start", "size"))["content"]
    unknown = np.flatnonzero(kinds < 0)
    if len(unknown):
        kinds[unknown] = kinds_of(values.gather(unknown))
    shift = pl.Series(np.zeros(len(rows), dtype=np.int64) if offsets is None else offsets[rows])
    shift = shift.set(shift < 0, None)
    flat = pl.DataFrame(
        {
            "value": values,
            "start": (shift + starts).cast(pl.Int32),
            "end": (shift + ends).cast(pl.Int32),
            "kind": pl.Series(KINDS, dtype=pl.Enum(KINDS)).gather(kinds),
        }
    ).to_struct()
    counts = np.bincount(rows, minlength=len(contents))
    return _lists(flat, counts)


def _lists(flat: pl.Series, counts: Ints) -> pl.Series:
    """Cuts a series into lists of given lengths, without looking at what is in it."""
    import pyarrow as pa

    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    lists = pa.LargeListArray.from_arrays(offsets, flat.to_arrow())
    return pl.Series("parameters", lists, dtype=PARAMETERS)


def kinds_of(values: pl.Series) -> Ints:
    """Says of which kind values are, as numbers of `KINDS`: by the mask that covers a value whole.

    Args:
        values: Texts, dtype String, shape (values,).
    """
    forms = normal_forms(values)
    kinds = forms.replace_strict(_KIND_OF, default=_TEXT, return_dtype=pl.Int64)
    # A lone 0 is left by the masks; as a value it is a number.
    return np.where((forms == "0").to_numpy(), KINDS.index("number"), kinds.to_numpy())
