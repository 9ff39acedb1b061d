"""Log calls of JavaScript and TypeScript: console, winston, pino, bunyan, log4js, debug."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from biglog.data.statements.calls import (
    Argument,
    Call,
    Found,
    Part,
    argument,
    has_conversion,
    printf,
    unescape,
)
from biglog.data.statements.levels import normal_level
from biglog.data.statements.trees import chain_of, children_of, line_of, matches, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

HINT: Final = re.compile(rb"console\s*\.|log\w*(?:\(\))?\s*\.|debug", re.IGNORECASE)
"""A file without this has no log call."""

_QUERY: Final = """
((call_expression
  function: (member_expression object: (_) @object property: (property_identifier) @name)
  arguments: (arguments) @arguments) @call
 (#any-of? @name
  "trace" "silly" "debug" "verbose" "http" "info" "notice" "warn" "warning" "error" "fatal" "critical" "log"))
((call_expression function: (identifier) @function arguments: (arguments) @arguments) @call
 (#match? @function "(debug|[dD]ebug\\w*|log\\w*|trace|error|warn|info)$"))
((variable_declarator name: (identifier) @variable value: (call_expression) @value)
 (#match? @value "debug|Debug"))
"""
_LOGGER: Final = re.compile(
    r"^(?:_?(?:log|logger|console|winston|pino|bunyan|logging|LOGGER|LOG)|\w+(?:Log|Logger|_log|_logger))$"
)
_METHODS: Final = frozenset(
    (
        "trace", "silly", "debug", "verbose", "http", "info", "notice", "warn", "warning", "error", "fatal",
        "critical", "log",
    )
)  # fmt: skip
_DEBUG: Final = re.compile(
    r"""(?:require\(\s*['"]debug['"]\s*\)|^(?:create)?[Dd]ebug(?:log)?)\(\s*(?P<name>['"`][^'"`]+['"`])"""
)


def javascript_calls(data: bytes, module: str, grammar: str = "javascript") -> Found:
    """Finds the log calls of a JavaScript or TypeScript file.

    Args:
        data: The file, in UTF-8.
        module: Dotted path of the file, the component of loggers without a name of their own.
        grammar: `javascript`, `typescript` or `tsx`.

    Returns:
        The calls in order of their lines.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    found, root = matches(data, grammar, _QUERY)
    debuggers = {}
    for match in found:
        if "variable" in match and (named := _DEBUG.search(text_of(match["value"]))):
            debuggers[text_of(match["variable"])] = named["name"].strip("'\"`")
    calls = [_call(match, module, debuggers) for match in found if "call" in match]
    return Found([call for call in calls if call is not None], root.has_error)


def _call(match: dict[str, Node], module: str, debuggers: dict[str, str]) -> Call | None:
    arguments, line = list(children_of(match["arguments"])), line_of(match["call"])
    if not arguments:
        return None
    if "function" in match:
        name = text_of(match["function"])
        if name not in debuggers:
            return None
        return Call(tuple(_message(arguments, console=True)), "debug", name, debuggers[name], line)
    method, target = text_of(match["name"]), match["object"]
    receiver = next((_name(node) for node in chain_of(target) if node.type != "call_expression"), "")
    if method not in _METHODS or not _LOGGER.match(receiver):
        return None
    console = receiver == "console"
    level = normal_level(method)
    if method == "log" and not console and len(arguments) > 1 and arguments[0].type == "string":
        # winston: log(level, message)
        raw = text_of(arguments.pop(0)).strip("'\"")
        level, method = normal_level(raw), raw if normal_level(raw) else method
    return Call(tuple(_message(arguments, console=console)), level, method, module, line)


def _message(arguments: list[Node], *, console: bool) -> list[Part]:
    """The message, with what follows it in its holes; the console prints what is left over."""
    at = 0
    if not console and len(arguments) > 1 and not _is_text(arguments[0]) and _is_text(arguments[1]):
        at = 1  # pino and bunyan have an object or an error first
    message, rest = _parts(arguments[at]), arguments[at + 1 :]
    holes: list[Part] = [argument(text_of(node)) for node in rest]
    if len(message) == 1 and isinstance(message[0], str) and holes and has_conversion(message[0]):
        text = printf(message[0], holes)
        holes = holes[sum(isinstance(part, Argument) for part in text) :]
        message = text
    if console:
        for node in rest[len(rest) - len(holes) :]:
            message += [" ", *_parts(node)]
    return message


def _parts(node: Node, depth: int = 0) -> list[Part]:
    if node.type == "string":
        return [unescape(text_of(node)[1:-1])]
    if node.type == "template_string":
        return _template(node)
    if node.type == "parenthesized_expression" and depth < 100:
        inner = next(children_of(node), None)
        return _parts(inner, depth + 1) if inner is not None else []
    if node.type == "binary_expression" and depth < 100:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None and text_of(node.child_by_field_name("operator")) == "+":
            return _parts(left, depth + 1) + _parts(right, depth + 1)
    if node.type == "call_expression":
        return _coloured(node, depth)
    return [argument(text_of(node))]


def _coloured(node: Node, depth: int) -> list[Part]:
    """The text of `chalk.red("…")` and `util.format("…", …)`; of any other call nothing is known."""
    function = text_of(node.child_by_field_name("function"))
    inner = list(children_of(node.child_by_field_name("arguments")))
    if function == "util.format" and inner:
        return _message(inner, console=True)
    if re.match(r"(?:chalk|colors?|kleur|pc|picocolors|c)\.", function) and len(inner) == 1 and depth < 100:
        return _parts(inner[0], depth + 1)
    return [argument(text_of(node))]


def _template(node: Node) -> list[Part]:
    parts: list[Part] = []
    for child in node.named_children:
        if child.type == "template_substitution":
            parts.append(argument(text_of(child)[2:-1]))
        else:
            parts.append(unescape(text_of(child)))
    return parts


def _is_text(node: Node) -> bool:
    return any(not isinstance(part, Argument) for part in _parts(node))


def _name(node: Node) -> str:
    if node.type == "member_expression":
        return text_of(node.child_by_field_name("property"))
    return text_of(node) if node.type == "identifier" else ""
