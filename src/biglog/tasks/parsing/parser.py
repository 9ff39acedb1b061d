"""A parser: contents to templates, in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import Judges
from biglog.tasks.parsing.lexicon import Lexicon
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
