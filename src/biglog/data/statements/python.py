"""Log calls of Python: logging, loguru, structlog and warnings, read from the syntax tree."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from biglog.data.statements.calls import Argument, Call, Found, Part, argument, braces, has_braces, printf
from biglog.data.statements.levels import normal_level

HINT: Final = re.compile(
    rb"\.(?:trace|debug|info|success|notice|warning|warn|error|exception|critical|fatal|log|msg|warn_explicit)\s*\("
    rb"|\bwarn\s*\("
)
"""A file without this has no log call."""

_METHODS: Final = frozenset(
    (
        "trace",
        "debug",
        "info",
        "success",
        "notice",
        "warning",
        "warn",
        "error",
        "exception",
        "critical",
        "fatal",
    )
)
_METHODS_WITH_LEVEL: Final = frozenset(("log", "msg"))
_LOGGER: Final = re.compile(
    r"(?:^|_)(?:logging|loggers?|log|lgr|logg|loguru|structlog|_?LOG(?:GER)?)$|[a-z](?:Log|Logger)$",
    re.IGNORECASE,
)
_LEVEL_NUMBERS: Final = {5: "trace", 10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
_MESSAGES: Final = ("msg", "message", "event")
_OF_LOGGING: Final = frozenset((*_MESSAGES, "exc_info", "stack_info", "stacklevel", "extra", "level"))
_WRAPPERS: Final = frozenset(
    (
        "_", "_LE", "_LI", "_LW", "cleandoc", "dedent", "fill", "gettext", "gettext_lazy", "lazy_gettext",
        "lstrip", "red", "rstrip", "str", "strip", "style", "ugettext", "yellow",
    )
)  # fmt: skip
_DEEPEST: Final = 4


def python_calls(data: bytes, module: str) -> Found:
    """Finds the log calls of a Python file.

    Args:
        data: The file; its encoding is what it declares, else UTF-8.
        module: Dotted name of the module, the component of loggers without a name of their own.

    Returns:
        The calls in order of their lines.

    Raises:
        SyntaxError: It is no Python of this version.
        ValueError: It has bytes that no source may have.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes of other people's code
        tree = ast.parse(data)
    reader = _Reader(module, tree)
    calls = (reader.call(node, scopes) for node, scopes in reader.nodes)
    return Found(sorted((call for call in calls if call is not None), key=lambda call: call.line))


_Scopes = tuple[ast.AST, ...]


class _Reader:
    """Reads calls; knows what names of the function and of the module were assigned once.

    Attributes:
        nodes: Every call, with the module and the functions it is in.
    """

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.nodes: list[tuple[ast.Call, _Scopes]] = []
        self._module = module
        self._loguru = self._structlog = False
        self._warn_names: set[str] = set()
        self._loggers: dict[str, str | None] = {}
        self._values: dict[ast.AST, dict[str, list[ast.expr]]] = {}
        self._scopes: _Scopes = ()
        self._walk(tree)

    def _walk(self, tree: ast.Module) -> None:
        """Goes through the whole tree once."""
        waiting: list[tuple[ast.AST, _Scopes]] = [(tree, (tree,))]
        while waiting:
            node, scopes = waiting.pop()
            if isinstance(node, ast.Call):
                self.nodes.append((node, scopes))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                scopes = (*scopes, node)
            else:
                self._look_at(node)
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, list):
                    waiting += [(one, scopes) for one in value if isinstance(one, ast.AST)]
                elif isinstance(value, ast.AST) and value._fields:
                    waiting.append((value, scopes))

    def _look_at(self, node: ast.AST) -> None:
        """Takes note of imports and of variables that hold loggers."""
        if isinstance(node, ast.Import):
            self._imported(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            self._imported([node.module])
            if node.module == "loguru":
                self._loggers |= {alias.asname or alias.name: None for alias in node.names}
            if node.module == "warnings":
                self._warn_names |= {
                    alias.asname or alias.name for alias in node.names if alias.name == "warn"
                }
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = _last_name(node.value.func)
            if name in ("getLogger", "get_logger", "getChild"):
                first = node.value.args[0] if node.value.args else None
                literal = first.value if isinstance(first, ast.Constant) else None
                for target in node.targets:
                    self._loggers[_last_name(target)] = literal if isinstance(literal, str) else None

    def _imported(self, names: Iterator[str] | list[str]) -> None:
        for name in names:
            self._loguru |= name.partition(".")[0] == "loguru"
            self._structlog |= name.partition(".")[0] == "structlog"

    def call(self, node: ast.Call, scopes: _Scopes) -> Call | None:
        """The log call that a call is, if it is one.

        Args:
            node: The call.
            scopes: The module and the functions it is in, outermost first.
        """
        self._scopes = scopes
        method = _last_name(node.func)
        if isinstance(node.func, ast.Name) and method in self._warn_names:
            return self._warning(node, method)
        if not isinstance(node.func, ast.Attribute):
            return None
        receiver = _receiver(node.func.value)
        if method in ("warn", "warn_explicit") and receiver == "warnings":
            return self._warning(node, method)
        if not (_LOGGER.search(receiver) or receiver in self._loggers):
            return None
        arguments, level = list(node.args), normal_level(method)
        if method == "exception":
            level = "error"
        if method in _METHODS_WITH_LEVEL and len(arguments) > 1:
            method, level = _level_argument(arguments.pop(0))
        elif method not in _METHODS:
            return None
        message = arguments.pop(0) if arguments else _keyword(node, _MESSAGES)
        if message is None:
            return None
        parts = self._filled(message, arguments, node)
        component = self._loggers.get(receiver) or self._module
        return Call(tuple(parts), level, method, component, node.lineno)

    def _warning(self, node: ast.Call, method: str) -> Call | None:
        message = node.args[0] if node.args else _keyword(node, ("message",))
        if message is None:
            return None
        category = node.args[1] if len(node.args) > 1 else _keyword(node, ("category",))
        if isinstance(message, ast.Call) and message.args and _last_name(message.func).endswith("Warning"):
            category, message = message.func, message.args[0]
        raw = _last_name(category) if category is not None else ""
        return Call(tuple(self._parts(message)), "warning", raw or method, self._module, node.lineno)

    def _filled(self, message: ast.expr, arguments: list[ast.expr], node: ast.Call) -> list[Part]:
        """The message with the call's own arguments in its holes, and the pairs of a structured call."""
        holes: list[Part] = [argument(ast.unparse(one)) for one in arguments]
        keywords = {word.arg: word.value for word in node.keywords if word.arg}
        if isinstance(message, ast.Name):
            message = self._value(message) or message
        text = message.value if isinstance(message, ast.Constant) else None
        if not isinstance(text, str):
            return self._parts(message)
        if self._loguru and (holes or keywords) and has_braces(text):
            named: dict[str, Part] = {key: argument(ast.unparse(value)) for key, value in keywords.items()}
            return braces(text, holes, named=named)
        parts: list[Part] = [text]
        if len(arguments) == 1 and isinstance(arguments[0], ast.Dict):
            parts = printf(text, holes, named=_named(arguments[0]))
        elif holes:
            parts = printf(text, holes)
        if self._structlog:
            for key, value in keywords.items():
                if key not in _OF_LOGGING:
                    parts += [f" {key}=", argument(ast.unparse(value))]
        return parts

    def _parts(self, node: ast.expr, depth: int = 0) -> list[Part]:
        """The text and the holes of an expression that makes a string."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            return [part for value in node.values for part in self._parts(value, depth)]
        if isinstance(node, ast.FormattedValue):
            return [argument(ast.unparse(node.value))]
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        if isinstance(node, ast.Call):
            return self._call_parts(node, depth)
        if isinstance(node, ast.Name) and depth < _DEEPEST:
            value = self._value(node)
            if value is not None:
                return self._parts(value, depth + 1)
        return [argument(ast.unparse(node))]

    def _operation(self, node: ast.BinOp, depth: int) -> list[Part]:
        if isinstance(node.op, ast.Add):
            return self._parts(node.left, depth) + self._parts(node.right, depth)
        left = self._parts(node.left, depth)
        if isinstance(node.op, ast.Mod) and not any(isinstance(part, Argument) for part in left):
            text, right = "".join(map(str, left)), node.right
            if isinstance(right, ast.Dict):
                return printf(text, [], named=_named(right))
            values = right.elts if isinstance(right, ast.Tuple) else [right]
            return printf(text, [argument(ast.unparse(value)) for value in values])
        return [argument(ast.unparse(node))]

    def _call_parts(self, node: ast.Call, depth: int) -> list[Part]:
        name = _last_name(node.func)
        if name == "format" and isinstance(node.func, ast.Attribute):
            text = self._parts(node.func.value, depth)
            if not any(isinstance(part, Argument) for part in text):
                holes: list[Part] = [argument(ast.unparse(one)) for one in node.args]
                named: dict[str, Part] = {
                    word.arg: argument(ast.unparse(word.value)) for word in node.keywords if word.arg
                }
                return braces("".join(map(str, text)), holes, named=named)
        if name in _WRAPPERS and len(node.args) == 1 and not node.keywords:
            return self._parts(node.args[0], depth)
        if name in _WRAPPERS and isinstance(node.func, ast.Attribute) and not node.args:
            return self._parts(node.func.value, depth)
        return [argument(ast.unparse(node))]

    def _value(self, name: ast.Name) -> ast.expr | None:
        """What a name stands for, where it was assigned once, a string that can be read."""
        for scope in reversed(self._scopes):
            if scope not in self._values:
                self._values[scope] = _assigned(scope)
            if name.id in self._values[scope]:
                values = self._values[scope][name.id]
                single = len(values) == 1 and isinstance(
                    values[0], ast.Constant | ast.JoinedStr | ast.BinOp | ast.Call
                )
                return values[0] if single else None
        return None


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """The values that names are given in a function or module, inner functions left out."""
    found: dict[str, list[ast.expr]] = {}
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        # A caller may give any value.
        found = {one.arg: [one.annotation or ast.Constant(None)] * 2 for one in _arguments(scope.args)}
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    found.setdefault(inner.id, []).extend((inner, inner))
        waiting += ast.iter_child_nodes(node)
    return found


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [one for one in (arguments.vararg, arguments.kwarg) if one is not None]


def _named(node: ast.Dict) -> dict[str, Part]:
    return {
        str(key.value): argument(ast.unparse(value))
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }


def _keyword(node: ast.Call, names: tuple[str, ...]) -> ast.expr | None:
    return next((word.value for word in node.keywords if word.arg in names), None)


def _level_argument(node: ast.expr) -> tuple[str, str | None]:
    """The level that `log(level, …)` is called with, as written and normalised."""
    if isinstance(node, ast.Constant):
        value = node.value
        level = _LEVEL_NUMBERS.get(value) if isinstance(value, int) else normal_level(str(value))
        return str(value), level
    name = _last_name(node)
    return name or "log", normal_level(name)


def _last_name(node: ast.expr | ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _receiver(node: ast.expr) -> str:
    """The name of what a method is called on; of a call such as `logger.bind()`, what that was called on."""
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        if name in ("getLogger", "get_logger"):
            return "logger"
        return _receiver(node.func.value) if isinstance(node.func, ast.Attribute) else name
    return _last_name(node)
