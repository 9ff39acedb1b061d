"""Syntax trees of tree-sitter: parsing, and what every extractor asks of a node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from biglog.errors import InputError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

_GRAMMARS: Final = {
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
}


@cache
def _parser(grammar: str, query: str) -> tuple[Parser, Query]:
    module, function = _GRAMMARS[grammar]
    try:
        from tree_sitter import Language, Parser, Query

        language = Language(getattr(import_module(module), function)())
    except ImportError as error:
        raise InputError(
            f"to read {grammar} one needs {module.replace('_', '-')}, which is not installed",
            remedy="pip install 'biglog[statements]', or name Python sources alone",
        ) from error
    return Parser(language), Query(language, query)


def check_parsers() -> None:
    """Makes sure that every grammar is there.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    for grammar in _GRAMMARS:
        _parser(grammar, "(comment) @comment")


def matches(data: bytes, grammar: str, query: str) -> tuple[list[dict[str, Node]], Node]:
    """Parses a file and finds what a query asks for.

    Args:
        data: The file, in UTF-8.
        grammar: Which grammar to read it with.
        query: What to find, each capture a single node.

    Returns:
        The nodes of every match by the names of their captures, in order of the file, and the root.

    Raises:
        InputError: The extra `statements` is not installed.
    """
    from tree_sitter import QueryCursor

    parser, compiled = _parser(grammar, query)
    root = parser.parse(data).root_node
    found = [
        {name: nodes[0] for name, nodes in captures.items()}
        for _, captures in QueryCursor(compiled).matches(root)
    ]
    return found, root


def text_of(node: Node | None) -> str:
    """The source of a node, or nothing.

    Args:
        node: The node.
    """
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def line_of(node: Node) -> int:
    """The line on which a node begins, from 1.

    Args:
        node: The node.
    """
    return node.start_point[0] + 1


def children_of(node: Node | None) -> Iterator[Node]:
    """The children of a node that are no punctuation and no comments.

    Args:
        node: The node.
    """
    for child in node.named_children if node is not None else ():
        if "comment" not in child.type:
            yield child


def chain_of(node: Node, inner: tuple[str, ...] = ("object", "function", "operand")) -> Iterator[Node]:
    """A node and what it is called on: of `a.b().c()` that, `a.b()`, `a`.

    Args:
        node: Where to begin.
        inner: Fields that lead from a call, or a member, to what it is of.
    """
    current: Node | None = node
    while current is not None:
        yield current
        current = next(filter(None, (current.child_by_field_name(name) for name in inner)), None)
