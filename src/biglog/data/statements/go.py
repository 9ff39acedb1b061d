"""Log calls of Go: log, klog, glog, zap, logrus, slog, logr, hclog, zerolog, go-kit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from biglog.data.statements.calls import Argument, Call, Found, Part, argument, pairs, printf, unescape
from biglog.data.statements.levels import normal_level
from biglog.data.statements.trees import chain_of, children_of, line_of, matches, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

HINT: Final = re.compile(
    rb"\.(?:Trace|Debug|Info|Notice|Warn|Error|Critical|Fatal|DPanic|Panic|Print|Exit|Msg|Log)\w*\([^)]"
)
"""A file without this has no log call."""

_QUERY: Final = """
((call_expression
  function: (selector_expression operand: (_) @object field: (field_identifier) @name)
  arguments: (argument_list (_)) @arguments) @call
 (#match? @name "^(Trace|Debug|Info|Notice|Warn|Error|Critical|Fatal|DPanic|Panic|Print|Exit|Msg|Log$)"))
"""
_LOGGER: Final = re.compile(
    r"^(?:log|logger|lg|lgr|klog|glog|plog|slog|clog|logrus|zaplog|sugar|sugared|logging|tflog|ctxlog|hclog|logr"
    r"|L|S|G|(?:get|with|from)?(?:context)?log(?:ger)?(?:from)?(?:context)?|[a-zA-Z]+(?:Log|Logger|Sugar)|log[A-Z]\w*)$",
)
_METHOD: Final = re.compile(
    r"(?P<level>Trace|Debug|Info|Notice|Warn|Warning|Error|Critical|Fatal|DPanic|Panic|Print|Exit)"
    r"(?:Depth)?(?P<style>f|ln|w|S|Context|Ctx|Contextf|Attrs|X|C)?(?:Depth)?"
)
_ZEROLOG: Final = re.compile(r"Trace|Debug|Info|Warn|Error|Fatal|Panic")
_KEY: Final = re.compile(r"[\w.\-/]{1,40}")
_FIELD: Final = re.compile(r"(?:zap|slog|log|field|tag|attribute|zapcore|logfields|logger)\.[A-Z]\w*")


def go_calls(data: bytes, module: str) -> Found:
    """Finds the log calls of a Go file.

    Args:
        data: The file, in UTF-8.
        module: Dotted path of the file; its folder is the component, as Go has one package a folder.

    Returns:
        The calls in order of their lines.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    found, root = matches(data, "go", _QUERY)
    package = re.search(rb"^package\s+(\w+)", data, re.MULTILINE)
    component = module.rpartition(".")[0] or (package[1].decode() if package else module)
    calls = [_call(match, component) for match in found]
    return Found([call for call in calls if call is not None], root.has_error)


def _call(match: dict[str, Node], component: str) -> Call | None:
    name, target = text_of(match["name"]), match["object"]
    arguments = list(children_of(match["arguments"]))
    line = line_of(match["call"])
    if name in ("Msg", "Msgf", "Send"):
        return _zerolog(name, target, arguments, component, line)
    if name == "Log":
        return _go_kit(target, arguments, component, line)
    method = _METHOD.fullmatch(name)
    if method is None or not arguments or not _is_logger(target):
        return None
    level, style = normal_level(method["level"]), method["style"] or ""
    if method["level"] in ("Print", "Exit"):
        level = "critical" if method["level"] == "Exit" else None
    if "C" in style and arguments:
        arguments = arguments[1:]
    if not arguments:
        return None
    parts = _message(arguments, style)
    return Call(tuple(parts), level, name, component, line)


def _message(arguments: list[Node], style: str) -> list[Part]:
    """The message of a call: a format, a message with pairs, or things to print."""
    if "f" in style:
        return _format(arguments)
    # logr and klog have the error before the message.
    at = (
        1
        if len(arguments) > 1 and not _is_text(arguments[0]) and _is_text(arguments[1]) and style != "ln"
        else 0
    )
    message, rest = _parts(arguments[at]), arguments[at + 1 :]
    if style in ("w", "S", "Context", "Attrs") or (rest and _are_fields(rest)):
        error = [("err", text_of(arguments[0]))] if at else []
        return message + pairs([*error, *_fields(rest)])
    if at and style != "ln" and not rest:
        return [*message, " ", argument(text_of(arguments[0]))]
    for node in rest:
        message += [" ", *_parts(node)]
    return message


def _format(arguments: list[Node]) -> list[Part]:
    text, holes = _parts(arguments[0]), [argument(text_of(node)) for node in arguments[1:]]
    filled: list[Part] = []
    for part in text:
        if isinstance(part, Argument):
            filled.append(part)
            continue
        done = printf(part, holes)
        holes = holes[sum(isinstance(one, Argument) for one in done) :]
        filled += done
    return filled


def _parts(node: Node, depth: int = 0) -> list[Part]:
    if node.type == "interpreted_string_literal":
        return [unescape(text_of(node)[1:-1])]
    if node.type == "raw_string_literal":
        return [text_of(node)[1:-1]]
    if node.type == "binary_expression" and depth < 100:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None and text_of(node.child_by_field_name("operator")) == "+":
            return _parts(left, depth + 1) + _parts(right, depth + 1)
    if node.type == "call_expression":
        inner = list(children_of(node.child_by_field_name("arguments")))
        if text_of(node.child_by_field_name("function")) in ("fmt.Sprintf", "fmt.Errorf") and inner:
            return _format(inner)
    return [argument(text_of(node))]


def _is_text(node: Node) -> bool:
    return any(not isinstance(part, Argument) for part in _parts(node))


def _are_fields(nodes: list[Node]) -> bool:
    """Whether all further arguments are fields of a structured logger, or keys that values follow."""
    if all(node.type == "composite_literal" or _FIELD.match(text_of(node)) for node in nodes):
        return True
    keys = [_parts(node)[0] for node in nodes[::2]]
    return len(nodes) % 2 == 0 and all(isinstance(key, str) and _KEY.fullmatch(key) for key in keys)


def _fields(nodes: list[Node]) -> list[tuple[str | None, str]]:
    """Keys and values of a structured call."""
    found: list[tuple[str | None, str]] = []
    waiting = list(nodes)
    while waiting:
        node = waiting.pop(0)
        if node.type == "composite_literal":
            found += _map_fields(node)
        elif node.type == "call_expression" and _FIELD.match(text_of(node)):
            found.append(_field(node))
        elif waiting and isinstance(key := _parts(node)[0], str):
            found.append((key, text_of(waiting.pop(0))))
        elif waiting:
            found.append((text_of(node).rpartition(".")[2], text_of(waiting.pop(0))))
        else:
            found.append((None, text_of(node)))
    return found


def _map_fields(node: Node) -> list[tuple[str | None, str]]:
    """Keys and values of a map such as `Fields{"key": value}`."""
    found: list[tuple[str | None, str]] = []
    for element in children_of(node.child_by_field_name("body")):
        sides = list(children_of(element))
        if element.type == "keyed_element" and len(sides) == 2:
            found.append((text_of(sides[0]).strip('"`'), text_of(sides[1])))
    return found


def _field(node: Node) -> tuple[str | None, str]:
    inner = list(children_of(node.child_by_field_name("arguments")))
    key = _parts(inner[0])[0] if len(inner) > 1 else None
    if isinstance(key, str):
        return key, text_of(inner[1])
    return "error" if text_of(node.child_by_field_name("function")).endswith(
        ("Error", "Err")
    ) else None, text_of(inner[-1] if inner else node)


def _is_logger(target: Node) -> bool:
    return any(_LOGGER.match(_name(node)) for node in chain_of(target))


def _name(node: Node) -> str:
    if node.type == "selector_expression":
        return text_of(node.child_by_field_name("field"))
    return text_of(node) if node.type == "identifier" else ""


def _zerolog(name: str, target: Node, arguments: list[Node], component: str, line: int) -> Call | None:
    """`log.Info().Str("key", value).Msg("…")`."""
    keys: list[tuple[str | None, str]] = []
    for node in chain_of(target):
        if node.type != "call_expression":
            continue
        method = _name(node.child_by_field_name("function") or node)
        inner = list(children_of(node.child_by_field_name("arguments")))
        if _ZEROLOG.fullmatch(method) and not inner:
            parts = _format(arguments) if name == "Msgf" else _parts(arguments[0]) if arguments else []
            return Call(tuple(parts + pairs(reversed(keys))), normal_level(method), method, component, line)
        if method == "Err":
            keys.append(("error", text_of(inner[0]) if inner else ""))
        elif len(inner) == 2 and isinstance(key := _parts(inner[0])[0], str):
            keys.append((key, text_of(inner[1])))
    return None


def _go_kit(target: Node, arguments: list[Node], component: str, line: int) -> Call | None:
    """`level.Info(logger).Log("msg", "…", "key", value)`."""
    method = next(
        (name for node in chain_of(target) if (name := _name(node)) in ("Debug", "Info", "Warn", "Error")),
        None,
    )
    fields = [(_parts(key)[0], value) for key, value in zip(arguments[::2], arguments[1::2], strict=False)]
    message = next((value for key, value in fields if key in ("msg", "message")), None)
    if method is None or message is None:
        return None
    rest = [(key, text_of(value)) for key, value in fields if isinstance(key, str) and value is not message]
    return Call(tuple(_parts(message) + pairs(rest)), normal_level(method), method, component, line)
