"""Technical English that is at hand: sentences of documentation, and what programs say of what is wrong.

A general teacher knows what such sentences mean; what it says of them can be learnt without any label. Python
packages carry them in docstrings and in messages of exceptions, and every machine has some packages.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from biglog.data.statements.exclusion import excluded_by, is_of_tested
from biglog.data.statements.sources import Metadata, SourceTree, source_trees
from biglog.errors import InputError
from biglog.logs.masking import MASK_TOKENS, normal_forms

MOST_OF_A_PROJECT = 3_000
"""Sentences of one project; some have a hundred times as many as others."""

WORDS = (4, 30)
"""Words of a sentence."""

_KINDS = ("a number", "a date and time", "an ip address", "a hexadecimal code", "a file path")
MASK_NAMES = dict(zip(MASK_TOKENS, _KINDS, strict=True))
"""What a general encoder reads in place of a mask token."""

COLUMNS = ("text", "kind", "project", "licence")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_CODE = re.compile(r">>>|::|``|[{}<>|=*\\]|^\s*[-#.:@]|https?:")
_HOLE = re.compile(r"%(?:\([^)]*\))?[-+ #0-9.*]*[a-zA-Z]|\{[^{}]*\}")
_VALUE = "[NUM]"
_LETTERS = re.compile(r"[A-Za-z]{2,}")


def readable(text: str) -> str:
    """Returns a normal form as a general encoder can read it: mask tokens become words."""
    for token, name in MASK_NAMES.items():
        text = text.replace(token, name)
    return text if text.strip() else "nothing"


def read_prose(sources: Sequence[str | Path | SourceTree], most: int = MOST_OF_A_PROJECT) -> pl.DataFrame:
    """Reads sentences out of Python sources.

    Args:
        sources: Folders, archives or environments, as for log statements.
        most: Sentences to keep of a project and kind, every k-th where there are more.

    Returns:
        Columns text (a normal form), kind (`documentation` or `error`), project, licence; one row a text.
        Nothing of a tested system is among them.

    Raises:
        InputError: A source cannot be read, or holds no sentence.
    """
    parts = [_of_tree(tree, most) for tree in source_trees(sources)]
    rows = pl.concat([part for part in parts if len(part)]) if any(map(len, parts)) else None
    if rows is None:
        raise InputError("no sentence in these sources", remedy="Give Python packages, or an environment")
    masked = rows.with_columns(normal_forms(rows["text"]).alias("text"))
    return masked.unique("text", keep="first", maintain_order=True).sort("project", "kind", "text")


def read_texts(path: str | Path) -> list[str]:
    """Reads the texts of a table of prose.

    Args:
        path: A Parquet file with a column `text`.

    Raises:
        InputError: It cannot be read, or has no such column.
    """
    try:
        return pl.read_parquet(path, columns=["text"])["text"].drop_nulls().unique().sort().to_list()
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = f"this table of texts cannot be read: {str(error).splitlines()[0]}"
        remedy = "Write one with datasets_scripts/build_prose.py"
        raise InputError(problem, where=path, remedy=remedy) from error


def _of_tree(tree: SourceTree, most: int) -> pl.DataFrame:
    metadata, found = Metadata(tree), list[tuple[str, str]]()

    def wanted(path: str) -> bool:
        return Metadata.wants(path) or (path.endswith(".py") and not is_of_tested(path))

    for path, data in tree.files(wanted, []):
        if data is None:
            continue
        if Metadata.wants(path):
            metadata.read(path, data)
        else:
            found += sentences(data)
    project = metadata.project()
    rows = pl.DataFrame(found, schema={"text": pl.String, "kind": pl.String}, orient="row").unique(
        maintain_order=True
    )
    if not len(rows) or project.name is None or excluded_by(project.name):
        return rows.head(0).with_columns(project=pl.lit(None, pl.String), licence=pl.lit(None, pl.String))
    kept = [part.gather_every(max(1, -(-len(part) // most))) for part in rows.partition_by("kind")]
    return pl.concat(kept).with_columns(
        project=pl.lit(project.name, pl.String), licence=pl.lit(project.licence, pl.String)
    )


def sentences(data: bytes) -> list[tuple[str, str]]:
    """Returns the sentences of a Python file, each with its kind.

    Args:
        data: The file; one that cannot be parsed has none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found += [(text, "documentation") for text in _of_docstring(ast.get_docstring(node))]
        elif isinstance(node, ast.Raise):
            found += [(text, "error") for text in _of_exception(node)]
    return found


def _of_docstring(docstring: str | None) -> Iterator[str]:
    for paragraph in (docstring or "").split("\n\n"):
        for sentence in _SENTENCE.split(" ".join(paragraph.split())):
            if _reads(sentence) and not _CODE.search(sentence):
                yield sentence


def _of_exception(node: ast.Raise) -> Iterator[str]:
    if isinstance(node.exc, ast.Call) and node.exc.args:
        text = " ".join(_text(node.exc.args[0]).split())
        if _reads(text):
            yield text


def _text(node: ast.expr) -> str:
    """The text of an expression, with a number in place of every value."""
    if isinstance(node, ast.Constant):
        return _HOLE.sub(_VALUE, node.value) if isinstance(node.value, str) else _VALUE
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _text(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _text(node.func.value)
    return _VALUE


def _reads(text: str) -> bool:
    return text.isascii() and WORDS[0] <= len(_LETTERS.findall(text)) <= WORDS[1] and len(text) < 300
