"""What a user says of tokens: these are never values, those always are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from biglog.errors import InputError
from biglog.logs.masking import normal_form
from biglog.tasks.parsing.tokens import read_tokens


@dataclass(frozen=True)
class Rules:
    """A user's rules.

    Attributes:
        keep: Tokens that are constant wherever they stand.
        mask: Regular expressions of tokens that are values wherever they stand.
    """

    keep: frozenset[str] = field(default_factory=frozenset)
    mask: tuple[str, ...] = ()

    @classmethod
    def of(cls, keep: Iterable[str] = (), mask: Iterable[str] = ()) -> Rules:
        """Checks and takes rules.

        Args:
            keep: Tokens as they are written.
            mask: Regular expressions, in Python's dialect, of whole tokens.

        Raises:
            InputError: A token to keep is hidden by the built-in masks, or a mask is no regular expression.
        """
        for token in keep:
            if normal_form(token) != token or [each.text for each in read_tokens(token)] != [token]:
                remedy = "Write a template that has it (--templates)"
                raise InputError(
                    f"{token!r} cannot be kept: it is no token, or a value already", remedy=remedy
                )
        for pattern in mask:
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(
                    f"{pattern!r} is no regular expression: {error}",
                    remedy="Write one as Python's `re` reads it",
                ) from error
        return cls(frozenset(keep), tuple(dict.fromkeys(mask)))

    @cached_property
    def _masks(self) -> list[re.Pattern[str]]:
        # Not joined to one: flags and names of groups are a pattern's own.
        return [re.compile(pattern) for pattern in self.mask]

    def masks(self, texts: Iterable[str]) -> bool:
        """Whether a token is masked of which these texts were seen."""
        return any(mask.fullmatch(text) for text in texts for mask in self._masks)

    def kept(self, tokens: Sequence[str]) -> bool:
        """Whether one of these tokens is kept."""
        return not self.keep.isdisjoint(tokens)
