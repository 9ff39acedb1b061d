"""Log calls of Java: slf4j, log4j, java.util.logging, commons-logging, JBoss logging, Flogger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from biglog.data.statements.calls import (
    Argument,
    Call,
    Found,
    Part,
    argument,
    braces,
    has_conversion,
    printf,
    unescape,
)
from biglog.data.statements.levels import level_in, normal_level
from biglog.data.statements.trees import chain_of, children_of, line_of, matches, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

HINT: Final = re.compile(rb"log\w*(?:\(\))?\s*\.\s*\w", re.IGNORECASE)
"""A file without this has no log call."""

_QUERY: Final = """
((method_invocation object: (_) @object name: (identifier) @name arguments: (argument_list) @arguments) @call
 (#any-of? @name
  "trace" "debug" "info" "warn" "warning" "error" "fatal" "severe" "config" "fine" "finer" "finest"
  "critical" "notice" "tracef" "debugf" "infof" "warnf" "errorf" "fatalf"
  "tracev" "debugv" "infov" "warnv" "errorv" "fatalv" "log" "logf" "logv" "logp" "logrb"))
(field_declaration declarator: (variable_declarator name: (identifier) @constant value: (_) @value)) @field
"""
_LOGGER: Final = re.compile(
    r"(?:\w*_)?(?:log|logger|LOG|LOGGER)(?:_\w+|\d)?|\w*[a-z](?:Log|Logger|LOG|LOGGER)\d?"
)
_METHOD: Final = re.compile(
    r"(?P<level>trace|debug|info|warn|warning|error|fatal|severe|config|fine|finer|finest|critical|notice)"
    r"(?P<style>f|v)?"
)
_FLUENT: Final = re.compile(r"at(?:Trace|Debug|Info|Warn|Warning|Error|Severe|Config|Fine|Finer|Finest)")
_FORMATS: Final = ("format", "formatted", "printf")
_MOST_ARGUMENTS: Final = 24


def java_calls(data: bytes, module: str) -> Found:
    """Finds the log calls of a Java file.

    Args:
        data: The file, in UTF-8.
        module: Dotted path of the file, the component where the file names no package.

    Returns:
        The calls in order of their lines.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    found, root = matches(data, "java", _QUERY)
    package = re.search(rb"^\s*package\s+([\w.]+)\s*;", data, re.MULTILINE)
    name = module.rpartition(".")[2]
    component = f"{package[1].decode()}.{name}" if package else module
    constants = {
        text_of(match["constant"]): match["value"]
        for match in found
        if "constant" in match and "final" in text_of(match["field"])
    }
    reader = _Reader(constants)
    calls = [reader.call(match, component) for match in found if "call" in match]
    return Found([call for call in calls if call is not None], root.has_error)


class _Reader:
    """Reads calls; knows the constants of the file."""

    def __init__(self, constants: dict[str, Node]) -> None:
        self._constants = constants

    def call(self, match: dict[str, Node], component: str) -> Call | None:
        """The log call that a match is, if it is one."""
        method, target = text_of(match["name"]), match["object"]
        arguments = list(children_of(match["arguments"]))
        if not arguments or len(arguments) > _MOST_ARGUMENTS:
            return None
        level, raw, style = self._level(method, target, arguments)
        if not raw or not arguments:
            return None
        message, rest = arguments[0], arguments[1:]
        if _is_aside(message, rest):
            message, rest = rest[0], rest[1:]
        parts = self._filled(message, rest, style)
        return Call(tuple(parts), level, raw, component, line_of(match["call"]))

    def _level(self, method: str, target: Node, arguments: list[Node]) -> tuple[str | None, str, str]:
        """Level, level as written (empty: no log call), style of format; takes a level out of `arguments`."""
        names = [_name(node) for node in chain_of(target)]
        if method == "log" and (fluent := next((name for name in names if _FLUENT.fullmatch(name)), None)):
            return normal_level(fluent.removeprefix("at")), fluent, ""
        if not _LOGGER.fullmatch(names[0]):
            return None, "", ""
        if (found := _METHOD.fullmatch(method)) is not None:
            return normal_level(found["level"]), method, found["style"] or ""
        if method in ("log", "logf", "logv", "logp", "logrb") and len(arguments) > 1:
            raw = _name(arguments.pop(0))
            if method in ("logp", "logrb"):
                del arguments[:2]
            level = level_in(raw) or (normal_level(raw), raw)
            return (
                normal_level(level[1]),
                raw,
                method.removeprefix("log").removeprefix("p").removeprefix("rb"),
            )
        return None, "", ""

    def _filled(self, message: Node, rest: list[Node], style: str) -> list[Part]:
        parts = self.parts(message)
        holes: list[Part] = [argument(text_of(node)) for node in rest]
        filled: list[Part] = []
        # What was put together by `+` may have holes in each of its pieces.
        for part in parts:
            if isinstance(part, Argument):
                filled.append(part)
            elif style == "f" or (style != "v" and "{" not in part and holes and has_conversion(part)):
                filled += printf(part, holes)
            elif "{" in part:
                filled += braces(part.replace("''", "'"), holes)
                holes = holes[part.count("{}") :]
            else:
                filled.append(part)
        return filled

    def parts(self, node: Node, depth: int = 0) -> list[Part]:
        """The text and the holes of an expression that makes a string."""
        kind = node.type
        if kind == "string_literal":
            return [_literal(node)]
        if kind == "binary_expression" and text_of(node.child_by_field_name("operator")) == "+":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is not None and right is not None and depth < 200:
                return self.parts(left, depth + 1) + self.parts(right, depth + 1)
        if kind in ("parenthesized_expression", "lambda_expression"):
            inner = node.child_by_field_name("body") if kind == "lambda_expression" else None
            inner = inner or next(children_of(node), None)
            if inner is not None and inner.type != "block":
                return self.parts(inner, depth + 1)
        if kind in ("character_literal", "decimal_integer_literal"):
            return [unescape(text_of(node).strip("'"))]
        if kind == "method_invocation":
            return self._formatted(node, depth)
        if kind == "identifier" and text_of(node) in self._constants and depth < 200:
            value = self._constants[text_of(node)]
            if value.type in ("string_literal", "binary_expression"):
                return self.parts(value, 200 if value.type == "string_literal" else 190)
        return [argument(text_of(node))]

    def _formatted(self, node: Node, depth: int) -> list[Part]:
        """The text of `String.format(…)`, `"…".formatted(…)` and `MessageFormat.format(…)`."""
        name, target = text_of(node.child_by_field_name("name")), node.child_by_field_name("object")
        arguments = list(children_of(node.child_by_field_name("arguments")))
        if name == "formatted" and target is not None:
            arguments.insert(0, target)
        if name in _FORMATS and arguments:
            if text_of(target) == "Locale" or "Locale" in text_of(arguments[0]):
                arguments = arguments[1:]
            holes: list[Part] = [argument(text_of(one)) for one in arguments[1:]]
            text = self.parts(arguments[0], depth + 1) if arguments else []
            if text and not any(isinstance(part, Argument) for part in text):
                whole = "".join(map(str, text))
                return (braces if text_of(target) == "MessageFormat" else printf)(whole, holes)
        return [argument(text_of(node))]


def _is_aside(message: Node, rest: list[Node]) -> bool:
    """Whether the first argument is a marker or an exception, and the message the second."""
    if not rest or message.type in (
        "string_literal",
        "binary_expression",
        "method_invocation",
        "lambda_expression",
    ):
        return False
    return rest[0].type in ("string_literal", "binary_expression")


def _name(node: Node) -> str:
    """The last name of an expression: of a call its method, of a member its field."""
    if node.type in ("method_invocation", "field_access"):
        inner = node.child_by_field_name("name") or node.child_by_field_name("field")
        return text_of(inner)
    return text_of(node)


def _literal(node: Node) -> str:
    text = text_of(node)
    inside = text[3:-3] if text.startswith('"""') else text[1:-1]
    return unescape(inside)
