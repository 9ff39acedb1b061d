"""Rules that make templates of different annotators comparable: options, off unless asked for, and named.

Ground truths disagree on what is one variable: `<*>.<*>` or `<*>`, `blk_<*>` or `<*>`, `true` or `<*>`. Khan
et al., "Guidelines for Assessing the Accuracy of Log Message Template Identification Techniques" (ICSE 2022)
name rules that settle it. Both sides of a comparison must be corrected, and a score must say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

VARIABLE: Final = "<*>"

_PATH_EDGES: Final = re.compile(r"([\s,!;:=|\"'\[\](){}])")
_TOKEN_EDGES: Final = re.compile(r"([\s,!;:=|\"'\[\](){}.+@#$%&-])")
_PATH: Final = re.compile(r"(?:/[^/]+)+")
_MIXED: Final = re.compile(r"[^\s/]*<\*>[^\s/]*")
_SEPARATED: Final = re.compile(r"<\*>(?:\.<\*>)+")
_TOUCHING: Final = re.compile(r"(?:<\*>){2,}")


def _by_token(edges: re.Pattern[str], is_variable: Callable[[str], bool]) -> Callable[[str], str]:
    def rule(template: str) -> str:
        return "".join(VARIABLE if is_variable(part) else part for part in edges.split(template))

    return rule


RULES: Final[dict[str, Callable[[str], str]]] = {
    "double-space": lambda template: re.sub(r"\s+", " ", template.strip()),
    "path": _by_token(_PATH_EDGES, lambda token: _PATH.fullmatch(token) is not None),
    "boolean": _by_token(_TOKEN_EDGES, lambda token: token.lower() in ("true", "false")),
    "user-string": _by_token(_TOKEN_EDGES, lambda token: token.lower() in ("null", "root", "admin")),
    "digits": _by_token(_TOKEN_EDGES, lambda token: token.isascii() and token.isdigit()),
    "word-with-variable": _by_token(_TOKEN_EDGES, lambda token: _MIXED.fullmatch(token) is not None),
    "variables-with-dots": lambda template: _SEPARATED.sub(VARIABLE, template),
    "consecutive-variables": lambda template: _TOUCHING.sub(VARIABLE, template),
}
"""Each rule by its name, in the order in which they are applied."""


def correct(template: str, rules: Sequence[str] = tuple(RULES)) -> str:
    """Applies rules to a template.

    Args:
        template: Variables as `<*>`.
        rules: Names of rules; they are applied in the order of `RULES`, until nothing changes.

    Raises:
        ValueError: There is no such rule.
    """
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise ValueError(f"no rule is called {unknown[0]}: {', '.join(RULES)}")
    wanted = [rule for name, rule in RULES.items() if name in rules]
    while True:
        corrected = template
        for rule in wanted:
            corrected = rule(corrected)
        if corrected == template:
            return template
        template = corrected
