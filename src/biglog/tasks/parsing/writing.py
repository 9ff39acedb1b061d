"""Templates of events: what is constant as it stands, `<*>` for what is not.

Written as ground truths of log parsing write them (loghub-2.0): a name with a value in it keeps its letters
(`node-<*>`), and so do the signs between the numbers of a time (`<*>:<*>:<*>`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.template import WILDCARD
from biglog.tasks.parsing.tokens import ANY_MARK, CUT, MARKS, MASKED, STATUS, Token

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_MONTH = re.compile(r"[A-Za-z]{3}")
_ALONE = re.compile(r"(?<![A-Za-z0-9_])[0-9]+(?![A-Za-z0-9_])")


def write(forms: Forms, form: int, flags: Sequence[bool]) -> str:
    """Writes the template of a form.

    Args:
        forms: Of the log.
        form: Which form.
        flags: Whether each of its tokens is a value.
    """
    text, parts, at = forms.texts[form], [], 0
    rows = zip(forms.tokens[form], forms.words[form], forms.raw[form], flags, strict=True)
    for token, word, counter, is_value in rows:
        parts.append(text[at : token.start])
        seen = counter.most_common(1)[0][0] if counter else token.text
        parts.append(WILDCARD if word == MASKED else _token(token, seen, is_value))
        at = token.end
    parts.append(text[at:])
    return "".join(parts)


def _token(token: Token, seen: str, is_value: bool) -> str:
    if token.text == MARKS["[TIMESTAMP]"]:
        return _time(seen) if is_value else seen
    if is_value or token.text in (STATUS, CUT):
        return WILDCARD
    return _around(token.text, seen) if token.has_mark and len(token.text) > 1 else seen


def _time(seen: str) -> str:
    """The signs between the parts of a time; a time with a month's name has none before the clock."""
    if _MONTH.search(seen):
        return ":".join(WILDCARD for _ in seen.split(":"))
    return _NUMBER.sub(WILDCARD, seen)


def _around(text: str, seen: str) -> str:
    """What is constant of a name with values in it."""
    parts = [f"({re.escape(part)})" if part not in ANY_MARK else "(.+?)" for part in _pieces(text)]
    match = re.fullmatch("".join(parts), seen, re.DOTALL)
    if match is None:
        return WILDCARD
    times = MARKS["[TIMESTAMP]"]
    return "".join(
        (_time(value) if part == times else WILDCARD) if part in ANY_MARK else _ALONE.sub(WILDCARD, part)
        for part, value in zip(_pieces(text), match.groups(), strict=True)
    )


def _pieces(text: str) -> list[str]:
    """A token in runs of letters and single marks."""
    return re.findall(f"[{''.join(sorted(ANY_MARK))}]|[^{''.join(sorted(ANY_MARK))}]+", text)
