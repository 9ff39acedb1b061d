"""Log calls of C and C++: syslog, macros and functions of the printf family, glog-style streams, spdlog."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from biglog.data.statements.calls import (
    Call,
    Found,
    Part,
    argument,
    braces,
    has_braces,
    has_conversion,
    printf,
    unescape,
)
from biglog.data.statements.levels import level_in, normal_level, words
from biglog.data.statements.trees import children_of, line_of, matches, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

HINT: Final = re.compile(rb"log|warn|err|debug|dbg|info|notice|trace|fatal|crit", re.IGNORECASE)
"""A file without this has no log call."""

_QUERY: Final = """
(call_expression
  function: [(identifier) (field_expression)] @function
  arguments: (argument_list [(string_literal) (concatenated_string)])) @call
"""
_QUERY_CPP: Final = """
(call_expression
  function: [(identifier) (field_expression) (qualified_identifier)] @function
  arguments: (argument_list [(string_literal) (concatenated_string) (call_expression)])) @call
(binary_expression left: (_) operator: "<<" right: (_)) @stream
"""
_LOG_WORDS: Final = frozenset(
    (
        "log", "logger", "logging", "syslog", "vlog", "slog", "elog", "logf", "logx", "logmsg", "trace",
        "zlog", "spdlog", "printlog", "journal", "msg",
    )
)  # fmt: skip
# Calls that set, raise or return an error say what failed, but log nothing.
_NO_LOG: Final = frozenset(
    (
        "set", "get", "throw", "raise", "make", "create", "return", "parse", "format", "new", "add", "str",
        "push", "string", "expect", "assert", "check", "test", "is", "has", "py", "lua", "append", "reply",
        "respond", "send", "param", "invalid", "init", "register", "catalog", "dialog", "login", "logout",
        "status", "report", "render", "type", "value", "runtime", "syntax",
    )
)  # fmt: skip
_STREAMS: Final = re.compile(
    r"(?:[A-Z]*(?:V|D|P|S|DV)?LOG(?:GING)?(?:_IF|_EVERY_N|_FIRST_N|_EVERY_T|_EVERY_N_SEC|_AND_FATAL)?"
    r"|[A-Z]+_(?:V|D)?LOG(?:_IF)?|BOOST_LOG_TRIVIAL"
    r"|[A-Z_]*LOG(?:GER)?_(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)"
    r"|q(?:Debug|Info|Warning|Critical|Fatal)|log(?:Debug|Info|Warning|Error))"
)
# A level that is given as an argument; not a member such as `options.info_log`.
_CONSTANT: Final = re.compile(r"(?:\w+::)*(?:[A-Z][A-Z0-9_ |]{0,60}|k?[A-Z][a-z]+|k[A-Z]\w+)|(?:\w+::)+\w+")
_THROWS: Final = re.compile(
    r"(?:CV|AT|SkASSERT)_?E(?:rror|RROR)_?|IOError|OSError|[A-Za-z]*[a-z](?:Error|Warning)"
)
_ENDINGS: Final = frozenset(
    ("endl", "std::endl", "dendl", "flush", "std::flush", "hex", "std::hex", "dec", "std::dec")
)
_SENTENCE: Final = re.compile(r"[A-Za-z]{2,}.*[\s:=].*|.*[\s:=].*[A-Za-z]{2,}", re.DOTALL)
_FIRST_TEXTS: Final = 6
_REPORTS: Final = ("errmsg", "errmsg_internal")


def c_calls(data: bytes, module: str, grammar: str = "c") -> Found:
    """Finds the log calls of a C or C++ file.

    Args:
        data: The file, in UTF-8.
        module: Path of the file with dots; its last name is the component, unless the file names one.
        grammar: `c` or `cpp`.

    Returns:
        The calls in order of their lines.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    found, root = matches(data, grammar, _QUERY_CPP if grammar == "cpp" else _QUERY)
    named = re.search(rb"VLOG_DEFINE_THIS_MODULE\((\w+)\)|define\s+LOG_(?:MODULE|TAG)\s+\"?(\w+)", data)
    component = (named[1] or named[2]).decode() if named else module.rpartition(".")[2]
    calls, seen = [], set()
    for match in found:
        node = match.get("call") or match["stream"]
        if node.id in seen:
            continue
        seen.add(node.id)
        call = _call(node, match["function"], component) if "call" in match else _stream(node, component)
        if call is not None:
            calls.append(call)
    return Found(sorted(calls, key=lambda call: call.line), root.has_error)


def _call(node: Node, function: Node, component: str) -> Call | None:
    name = text_of(function)
    arguments = list(children_of(node.child_by_field_name("arguments")))
    at = next((i for i, one in enumerate(arguments[:_FIRST_TEXTS]) if _is_text(one)), None)
    if at is None:
        return None
    level = _reported(node) if name in _REPORTS else _level(name, arguments[:at])
    if level is None:
        return None
    # A tag or the name of a facility may stand before the message.
    later = next((i for i in range(at + 1, min(len(arguments), at + 3)) if _is_text(arguments[i])), None)
    text = _literal(arguments[at])
    if later is not None and not _SENTENCE.match(text) and not has_conversion(text) and not has_braces(text):
        at, text = later, _literal(arguments[later])
    holes: list[Part] = [argument(text_of(one)) for one in arguments[at + 1 :]]
    parts = braces(text, holes) if has_braces(text) and not has_conversion(text) else printf(text, holes)
    return Call(tuple(parts), level[0], level[1], component, line_of(node))


def _reported(node: Node) -> tuple[str | None, str] | None:
    """The level of PostgreSQL's `ereport(ERROR, (errmsg("…")))`, of which a call is the inner one."""
    outer = node.parent
    while outer is not None and not outer.type.endswith("statement"):
        if outer.type == "call_expression" and text_of(outer.child_by_field_name("function")) == "ereport":
            first = next(children_of(outer.child_by_field_name("arguments")), None)
            return level_in(text_of(first))
        outer = outer.parent
    return None


def _level(name: str, before: list[Node]) -> tuple[str | None, str] | None:
    """Level, and level as written, by the function or by what stands before the text; None: no log call."""
    said = [word.lower() for word in words(name)]
    is_log = any(word in _LOG_WORDS for word in said)
    if _NO_LOG.intersection(said) and not is_log:
        return None
    for node in before if is_log else ():
        constant = text_of(node)
        if _CONSTANT.fullmatch(constant) and (found := level_in(constant)):
            return found[0], constant
    last = re.split(r"::|->|\.", name)[-1]
    found = level_in(last)
    if found is None or (not is_log and _THROWS.fullmatch(last)):
        return None
    # Without a word for logging only names that are nothing but a level, or end with it, are taken.
    ends = said[-1] == found[1].lower() or (
        len(said) > 1 and said[-2] == found[1].lower() and len(said[-1]) < 3
    )
    if not is_log and not ends:
        return None
    return found[0], last


def _stream(node: Node, component: str) -> Call | None:
    """`LOG(ERROR) << "…" << value`, the outermost `<<` of it."""
    parent = node.parent
    if parent is not None and text_of(parent.child_by_field_name("operator")) == "<<":
        return None
    pieces: list[Node] = []
    current = node
    while current.type == "binary_expression" and text_of(current.child_by_field_name("operator")) == "<<":
        left, right = current.child_by_field_name("left"), current.child_by_field_name("right")
        if left is None or right is None:
            return None
        pieces.append(right)
        current = left
    if current.type != "call_expression":
        return None
    found = _stream_level(current)
    if found is None:
        return None
    parts: list[Part] = []
    for piece in reversed(pieces):
        if _is_text(piece):
            parts.append(_literal(piece))
        elif text_of(piece) not in _ENDINGS:
            parts.append(argument(text_of(piece)))
    return Call(tuple(parts), found[0], found[1], component, line_of(node))


def _stream_level(call: Node) -> tuple[str | None, str] | None:
    name = text_of(call.child_by_field_name("function"))
    if not _STREAMS.fullmatch(name):
        return None
    arguments = list(children_of(call.child_by_field_name("arguments")))
    written = text_of(arguments[0]) if arguments else name
    if "VLOG" in name:
        return "debug", name
    found = level_in(written) or level_in(name)
    return (found[0], written) if found else (normal_level(written), written)


def _is_text(node: Node) -> bool:
    return node.type in ("string_literal", "concatenated_string", "raw_string_literal")


def _literal(node: Node) -> str:
    """The text of a literal, or of literals side by side; macros such as PRIu64 end a conversion."""
    if node.type == "concatenated_string":
        text = ""
        for child in node.named_children:
            if _is_text(child):
                text += _literal(child)
            elif child.type == "identifier":
                text += _macro(text, text_of(child))
        return text
    source = text_of(node)
    if node.type == "raw_string_literal":
        return source[source.find("(") + 1 : source.rfind(")")]
    inside = source[source.find('"') + 1 : source.rfind('"')]
    return unescape(inside)


def _macro(text: str, name: str) -> str:
    """What a macro between literals stands for: the end of a conversion, or a whole one."""
    if re.search(r"%[-+ #0-9.*]*$", text):
        return "d"
    return "" if level_in(name) or name.endswith(("PREFIX", "HEAD", "EOL", "NL", "LF")) else f"%({name})s"
