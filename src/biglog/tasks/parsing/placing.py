"""Where a new form of a stream belongs until the log is parsed again: an event that fits it, or its likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.merging import is_worded
from biglog.tasks.parsing.template import Template

NEIGHBOURS: Final = 64
"""Older forms that a new one is seen among."""


def like(forms: Forms, new: Sequence[int], has_event: Sequence[bool]) -> list[int]:
    """Returns older forms that share most tokens with new ones of their length.

    Args:
        forms: Of the log.
        new: Which of them are new.
        has_event: Whether each form has an event.
    """
    lengths = np.array([len(row) for row in forms.tokens])
    found: set[int] = set()
    for length in set(lengths[list(new)].tolist()):
        old = np.flatnonzero((lengths == length) & np.array(has_event))
        table = np.array([[hash(word) for word in forms.words[form]] for form in old], dtype=np.int64)
        for form in (form for form in new if lengths[form] == length and len(old)):
            shared = (table == np.array([hash(word) for word in forms.words[form]])).sum(axis=1)
            best = np.argsort(-shared, kind="stable")[:NEIGHBOURS]
            found.update(old[best[shared[best] > 0]].tolist())
    return sorted(found)


@dataclass(frozen=True)
class Placed:
    """An event's template, as new forms are tried on it.

    Attributes:
        template: The template.
        longest: Its longest constant text, or all of it where it has no two words: then it must be the whole.
        whole: Whether it has to be the whole.
    """

    template: Template
    longest: str
    whole: bool

    @classmethod
    def of(cls, text: str) -> Placed:
        """Prepares a template."""
        template = Template(text)
        whole = not is_worded(text) or len(template.parts) == 1
        longest = text if whole else max((part.strip() for part in template.parts), key=len)
        return cls(template, longest, whole)

    def fits(self, content: str) -> bool:
        """Whether a content, folded, is surely of the event: each of its values is one word."""
        if self.longest not in content or self.whole:
            return self.longest == content
        found = self.template.spans(content)
        return found is not None and all(
            end > start and not any(map(str.isspace, content[start:end])) for start, end in found
        )


@lru_cache(1 << 14)
def placed(text: str) -> Placed:
    """Returns `Placed.of` a template, remembered."""
    return Placed.of(text)
