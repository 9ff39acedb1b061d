"""Parsers: contents to templates, in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import Judges
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.partition import partition, variables
from biglog.tasks.parsing.templates import merge_lists, write


@dataclass(frozen=True)
class ZeroShotParser:
    """Parses logs by what was learnt on others.

    Attributes:
        lexicon: Of log statements.
        judges: Of columns.
    """

    lexicon: Lexicon
    judges: Judges

    def templates(self, contents: pl.Series) -> pl.Series:
        """Writes the template of each line.

        Args:
            contents: Contents of one log, dtype String, shape (lines,).

        Returns:
            Templates with `<*>` for values, dtype String, shape (lines,); one template is one event.
        """
        forms = Forms.of(contents)
        events = partition(forms, self.lexicon, self.judges.divides)
        flags = variables(forms, self.lexicon, events, self.judges.is_value)
        written = [""] * len(forms.texts)
        for event, row in zip(events, flags, strict=True):
            for form in event:
                written[form] = write(forms, form, row)
        merged = pl.Series("template", merge_lists(written, forms.lines.tolist()), dtype=pl.String)
        return merged.gather(forms.of_line)

    def propose(self, contents: pl.Series, count: int) -> list[int]:
        """Says which lines are worth a label: one of each of the most frequent events.

        Args:
            contents: Contents of one log, dtype String, shape (lines,).
            count: How many.

        Returns:
            Positions of lines, the most frequent event's first; fewer where there are fewer events.
        """
        events = pl.DataFrame({"template": self.templates(contents)}).with_row_index("line")
        first = events.group_by("template", maintain_order=True).agg(pl.len(), pl.first("line"))
        return first.sort("len", descending=True, maintain_order=True)["line"].head(count).to_list()


@dataclass(frozen=True)
class LabelledParser:
    """Parses a log of which some templates are known: those are asked first, the rest is as without labels.

    Attributes:
        library: The known templates.
        rest: What parses lines that none of them fits.
    """

    library: TemplateLibrary
    rest: ZeroShotParser

    def templates(self, contents: pl.Series) -> pl.Series:
        """As `ZeroShotParser.templates`."""
        known = self.library.match(contents)
        # Lines that are known still say of the others' columns what is constant there.
        return pl.select(pl.coalesce(known, self.rest.templates(contents))).to_series().alias("template")


def first_distinct(contents: pl.Series, count: int) -> list[int]:
    """Returns the positions of the first lines that differ from those before them, at most `count`."""
    _, first = np.unique(contents.fill_null("").to_numpy(), return_index=True)
    return np.sort(first)[:count].tolist()
