"""A parser taught by annotated logs of other systems, and by logs made of log statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import polars as pl

from biglog.data.made_logs import made_logs
from biglog.tasks.parsing.learning import Lessons, learn, lessons
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.parser import ZeroShotParser

LEAST: Final = 2
"""How often statements must have something for the lexicon to remember it."""

MADE_LOGS: Final = 40
MADE_WEIGHT: Final = 0.5
"""What a made log counts beside an annotated one."""


class School:
    """Lessons of annotated logs, from which parsers are made that have had some of them or all.

    Args:
        truths: Contents, dtype String, and templates of each system.
        statements: Columns project and template.
        seed: Of everything that is drawn.
    """

    def __init__(
        self,
        truths: Mapping[str, tuple[pl.Series, Sequence[str]]],
        statements: pl.DataFrame,
        seed: int = 0,
    ) -> None:
        self._seed = seed
        self._lexicon = Lexicon.of(statements["template"].unique().sort(), LEAST)
        self._told = {
            system: lessons(contents, templates, self._lexicon, seed)
            for system, (contents, templates) in truths.items()
        }
        self._made = [
            lessons(pl.Series(log.contents, dtype=pl.String), log.templates, self._lexicon, seed)
            for log in made_logs(statements, MADE_LOGS)
        ]

    def parser(self, without: Collection[str] = ()) -> ZeroShotParser:
        """Makes a parser.

        Args:
            without: Systems of which it learns nothing.
        """
        taught: list[tuple[Lessons, float]] = [
            (one, 1.0) for system, one in self._told.items() if system not in without
        ]
        taught += [(one.dividing_alone(), MADE_WEIGHT) for one in self._made]
        return ZeroShotParser(self._lexicon, learn(taught, seed=self._seed))
