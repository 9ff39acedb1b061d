"""What every language's log calls have in common: a message with holes, a level, a component, a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

HOLE: Final = "<*>"
"""What stands for an argument in a template."""

LONGEST_NAME: Final = 80
"""Characters that are kept of an argument's name."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A hole of a message.

    Attributes:
        name: The argument as the source has it.
    """

    name: str


Part = str | Argument


@dataclass(frozen=True, slots=True)
class Call:
    """A log call.

    Attributes:
        parts: The message: literal text and arguments, in order.
        level: Normalised level, or None where the call does not say.
        raw_level: The level as the call has it.
        component: Logger, class or module, if it can be known.
        line: Line of the call in its file, from 1.
    """

    parts: tuple[Part, ...]
    level: str | None
    raw_level: str
    component: str | None
    line: int

    @property
    def template(self) -> str:
        """The message with `<*>` for each argument; whitespace is single blanks."""
        text = "".join(HOLE if isinstance(part, Argument) else part.replace(HOLE, "*") for part in self.parts)
        return " ".join(_UNPRINTABLE.sub(" ", text).split())

    @property
    def parameters(self) -> list[str]:
        """What the arguments are called, one for each `<*>`."""
        return [part.name for part in self.parts if isinstance(part, Argument)]


@dataclass(slots=True)
class Found:
    """What was found in one file.

    Attributes:
        calls: Its log calls in order.
        damaged: Whether parts of the file could not be parsed.
    """

    calls: list[Call] = field(default_factory=list)
    damaged: bool = False


def argument(source: str) -> Argument:
    """Returns a hole named after a piece of source, on one line and of bounded length.

    Args:
        source: The expression.
    """
    return Argument(" ".join(source.split())[:LONGEST_NAME])


def printf(text: str, arguments: Sequence[Part], *, named: Mapping[str, Part] | None = None) -> list[Part]:
    """Fills a format of C's `printf` family, as C, Python, Java, Go and JavaScript have it.

    Args:
        text: The format.
        arguments: What goes into its holes, in order; literal text is put in as it is.
        named: What goes into `%(name)s`.

    Returns:
        The message. A hole whose argument is missing is named after its conversion.
    """
    parts: list[Part] = []
    at = taken = 0
    for match in _CONVERSION.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        kind = match["kind"]
        if kind == "%":
            parts.append("%")
        elif kind == "n" and match[0] == "%n":
            parts.append(" ")
        elif kind == "m" and match[0] == "%m":
            parts.append(Argument("errno"))
        elif match["key"] is not None:
            parts.append((named or {}).get(match["key"], Argument(match["key"])))
        else:
            taken += match[0].count("*")
            which = int(match["position"]) - 1 if match["position"] else taken
            taken += 0 if match["position"] else 1
            parts.append(arguments[which] if which < len(arguments) else Argument(match[0]))
    return [*parts, text[at:]]


def braces(text: str, arguments: Sequence[Part], *, named: Mapping[str, Part] | None = None) -> list[Part]:
    """Fills a format with braces: `{}`, `{0}`, `{name:>8}`, as slf4j, `str.format` and fmt have it.

    Args:
        text: The format.
        arguments: What goes into its holes; literal text is put in as it is.
        named: What goes into holes that have a name.
    """
    parts: list[Part] = []
    at = taken = 0
    for match in _BRACES.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match[0] in ("{{", "}}"):
            parts.append(match[0][0])
            continue
        key = match["key"].strip()
        name = re.split(r"[.\[,]", key)[0]
        if not name or name.isdecimal():
            which = int(name) if name else taken
            taken += not name
            parts.append(arguments[which] if which < len(arguments) else Argument(match[0]))
        else:
            parts.append((named or {}).get(name, Argument(key)))
    return [*parts, text[at:]]


def has_conversion(text: str) -> bool:
    """Whether a text has a hole of `printf`.

    Args:
        text: The format.
    """
    return any(match["kind"] != "%" for match in _CONVERSION.finditer(text))


def has_braces(text: str) -> bool:
    """Whether a text has a hole in braces.

    Args:
        text: The format.
    """
    return any(match[0] not in ("{{", "}}") for match in _BRACES.finditer(text))


def pairs(arguments: Iterable[tuple[str | None, str]]) -> list[Part]:
    """Returns ` key=<*>` for each pair of a structured call, as console and text writers show them.

    Args:
        arguments: Keys, with the source of the value; without a key the value follows by itself.
    """
    parts: list[Part] = []
    for key, value in arguments:
        parts += [" " if key is None else f" {key}=", argument(value)]
    return parts


def unescape(text: str) -> str:
    r"""Returns what a string literal of C, Java, Go or JavaScript stands for, its quotes left out.

    Args:
        text: The literal's inside, with `\n`, `\x41`, `\u0041`, `\101` and the like.
    """
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code = match["hex"] or match["braced"] or match["h4"] or match["h8"]
    if code or match["octal"]:
        number = int(code, 16) if code else int(match["octal"], 8)
        # Halves of a pair mean nothing alone.
        return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
    return _SIMPLE.get(match["simple"], match["simple"])


_UNPRINTABLE: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f\ufffd\ufeff]")
_CONVERSION: Final = re.compile(
    r"%(?:\((?P<key>[^()]*)\)|(?P<position>[1-9]\d?)\$)?[-+ #0,']*(?:\*|\d+)?(?:\.(?:\*|\d+)?)?"
    r"(?:hh|h|ll|l|q|L|j|z|Z|t|I64|I32|I)?(?P<kind>[diouxXeEfFgGaAcCsSpnmqvVTtUbBOjr%])"
)
_BRACES: Final = re.compile(
    r"\{\{|\}\}|\{(?P<key>[A-Za-z0-9_. ,\[\]'\"-]{0,60})(?:![rsa])?(?::(?:[^{}]|\{[^{}]*\})*)?\}"
)
_ESCAPE: Final = re.compile(
    r"\\(?:x(?P<hex>[0-9A-Fa-f]{2})|u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|u+(?P<h4>[0-9A-Fa-f]{4})"
    r"|U(?P<h8>[0-9A-Fa-f]{8})|(?P<octal>[0-7]{1,3})|(?P<simple>\r?\n|.))",
    re.DOTALL,
)
_SIMPLE: Final = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b",
    "\n": "", "\r\n": "",
}  # fmt: skip
