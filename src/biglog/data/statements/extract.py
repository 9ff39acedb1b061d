"""From source code to rows: each file through the extractor of its language, what is no message left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from biglog.data.schema import SCHEMAS
from biglog.data.statements import c, go, java, javascript, python
from biglog.data.statements.calls import HOLE, Call, Found
from biglog.data.statements.exclusion import is_of_tested
from biglog.data.statements.sources import Metadata, Project, SourceTree
from biglog.logs.sources.archives import Skipped

LONGEST: Final = 400
"""Characters of the longest template that is kept: longer ones are usage texts."""

MOST_HOLES: Final = 16
"""Holes of a template that is kept."""


@dataclass(frozen=True)
class Language:
    """How the files of a language are read.

    Attributes:
        name: What the table calls it.
        hint: What a file with log calls has somewhere.
        read: The extractor: bytes and dotted path in, calls out.
    """

    name: str
    hint: re.Pattern[bytes]
    read: Callable[[bytes, str], Found]


def _cpp(data: bytes, module: str) -> Found:
    return c.c_calls(data, module, "cpp")


def _typescript(data: bytes, module: str) -> Found:
    return javascript.javascript_calls(data, module, "typescript")


def _tsx(data: bytes, module: str) -> Found:
    return javascript.javascript_calls(data, module, "tsx")


_PYTHON: Final = Language("python", python.HINT, python.python_calls)
_CPP: Final = Language("c++", c.HINT, _cpp)
_JAVASCRIPT: Final = Language("javascript", javascript.HINT, javascript.javascript_calls)
LANGUAGES: Final[Mapping[str, Language]] = {
    ".py": _PYTHON,
    ".java": Language("java", java.HINT, java.java_calls),
    ".c": Language("c", c.HINT, c.c_calls),
    # A header may be of either: the grammar of C++ reads both.
    **dict.fromkeys((".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx", ".inl"), _CPP),
    ".go": Language("go", go.HINT, go.go_calls),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), _JAVASCRIPT),
    **dict.fromkeys((".ts", ".mts", ".cts"), Language("typescript", javascript.HINT, _typescript)),
    ".tsx": Language("typescript", javascript.HINT, _tsx),
}
"""The language of a file by the end of its name."""

# What tests and examples log is made up, and what is bundled is another project's, under another licence.
_ASIDE: Final = re.compile(
    r"(?:^|.*/)(?:tests?|testing|testdata|testsuite|unit_?tests?|__tests__|__mocks__|mocks?|specs?|fixtures|vendor"
    r"|_vendor(?:ed)?|[\w.-]*examples?|samples?|demos?|_?static|third[-_]?party|3rd[-_]?party|node_modules|externals?|contrib_?libs?|bower_components"
    r"|[\w.-]+[-_]tests?|tests?_[\w.-]+)/.*"
    r"|(?:.*/)?(?:test_[^/]*|[^/]*_(?:unit)?tests?\.\w+|conftest\.py|[^/]*Tests?\.\w+|[^/]*TestCase\.\w+"
    r"|[^/]*[Bb]undle[^/]*\.[cm]?js|[^/]*\.(?:test|spec|min|d)\.[a-z]+|[^/]*_pb2(?:_grpc)?\.py|[^/]*\.pb(?:\.gw)?\.\w+)",
)
_LONGEST_LINE: Final = 20_000


@dataclass
class TreeReport:
    """What was read of one source.

    Attributes:
        source: Its name.
        project: Whose it is.
        version: Its version.
        licence: Its licence.
        files: Files of a known language that were read.
        aside: Files left out as tests, examples, bundled code of others, or written by a program.
        undecodable: Files that are no UTF-8 and were read as Latin-1.
        unparsable: Files that could not be parsed at all.
        damaged: Files of which some part could not be parsed.
        calls: Log calls found.
        of_tested: Calls left out as the names of their files say that they are about a tested system.
        no_message: Calls left out as they have no words, too many holes, or a text too long to be a message.
        rows: Distinct statements.
        excluded: The pattern or the licence that leaves the project out, if there is one.
        languages: Distinct statements by language.
    """

    source: str
    project: str = ""
    version: str | None = None
    licence: str | None = None
    files: int = 0
    aside: int = 0
    undecodable: int = 0
    unparsable: int = 0
    damaged: int = 0
    calls: int = 0
    of_tested: int = 0
    no_message: int = 0
    rows: int = 0
    excluded: str | None = None
    languages: dict[str, int] = field(default_factory=dict)


def extract(tree: SourceTree) -> tuple[pl.DataFrame, TreeReport]:
    """Reads the log statements of one project.

    Args:
        tree: Its files.

    Returns:
        Rows of the table `statements`, in its order, and what was read. Whatever cannot be decoded or parsed
        is counted and left out.

    Raises:
        InputError: The source cannot be read, or the extra `statements` is needed and not installed.
    """
    report, metadata = TreeReport(tree.name), Metadata(tree)
    skipped: list[Skipped] = []
    found: list[tuple[str, str, Call]] = []
    first_folders = set()
    for path, data in tree.files(lambda path: _is_source(path) or Metadata.wants(path), skipped):
        first_folders.add(path.partition("/")[0])
        if data is None:
            report.aside += PurePosixPath(path).suffix in LANGUAGES
        elif Metadata.wants(path):
            metadata.read(path, data)
        else:
            language, calls = _read(path, data, report)
            found += [(path, language, call) for call in calls]
    project = metadata.project()
    report.project, report.version, report.licence = project.name or "", project.version, project.licence
    # An archive has all its files in one folder that is not part of their names.
    inside = len(first_folders) == 1 and tree.path.is_file()
    rows = _rows(found, project, root=f"{first_folders.pop()}/" if inside else "")
    report.calls = len(found)
    rows = rows.filter(~pl.Series([is_of_tested(path) for path in rows["path"]], dtype=pl.Boolean))
    report.of_tested = len(found) - len(rows)
    kept = rows.filter(_is_message(rows["template"], rows["parameters"]))
    report.no_message = len(rows) - len(kept)
    merged = merge(kept)
    report.rows = len(merged)
    report.languages = dict(sorted(Counter(merged["language"].to_list()).items()))
    return merged, report


def merge(rows: pl.DataFrame) -> pl.DataFrame:
    """Makes one row of those of a project whose level and template are the same but for case, digits, spaces.

    Args:
        rows: Rows of the table `statements`.

    Returns:
        The first of each by path and line, with counts added up, in the order of the table.
    """
    shape = rows["template"].str.to_lowercase().str.replace_all(r"[\d\s]+", "").alias("shape")
    ordered = rows.with_columns(shape).sort("project", "path", "line_number", "template", maintain_order=True)
    first = ordered.group_by("project", "level", "shape", maintain_order=True)
    columns = SCHEMAS["statements"].names
    others = [pl.col(name).first() for name in columns if name not in ("project", "level", "count")]
    merged = first.agg(*others, pl.col("count").sum())
    return merged.select(columns).sort("project", "path", "line_number", "template", maintain_order=True)


def _is_source(path: str) -> bool:
    return PurePosixPath(path).suffix in LANGUAGES and _ASIDE.fullmatch(path) is None


def _read(path: str, data: bytes, report: TreeReport) -> tuple[str, list[Call]]:
    """The language of a file, and its calls; what went wrong is counted."""
    language = LANGUAGES[PurePosixPath(path).suffix]
    if not data or max(map(len, data.split(b"\n"))) > _LONGEST_LINE:
        report.aside += 1
        return language.name, []
    report.files += 1
    if not language.hint.search(data):
        return language.name, []
    if language is not _PYTHON and not _is_utf8(data):
        report.undecodable += 1
        data = data.decode("latin-1").encode()
    try:
        found = language.read(data, _module(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        report.unparsable += 1
        return language.name, []
    report.damaged += found.damaged
    return language.name, found.calls


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _module(path: str) -> str:
    """The dotted name of a file, folders that only hold sources left out."""
    stem = re.sub(r"^(?:[^/]+-\d[^/]*/|package/)?(?:src/main/java/|src/|lib/)?", "", path)
    return stem.rpartition(".")[0].replace("/", ".").removesuffix(".__init__")


def _rows(found: list[tuple[str, str, Call]], project: Project, root: str) -> pl.DataFrame:
    columns = {
        "template": [call.template for _, _, call in found],
        "level": [call.level for _, _, call in found],
        "raw_level": [call.raw_level for _, _, call in found],
        "component": [call.component for _, _, call in found],
        "parameters": [call.parameters for _, _, call in found],
        "language": [language for _, language, _ in found],
        "path": [path.removeprefix(root) for path, _, _ in found],
        "line_number": [call.line for _, _, call in found],
    }
    kinds: dict[str, pl.DataType] = dict.fromkeys(columns, pl.String())
    kinds |= {"parameters": pl.List(pl.String()), "line_number": pl.Int64()}
    return pl.DataFrame(columns, schema=kinds).with_columns(
        project=pl.lit(project.name, dtype=pl.String),
        version=pl.lit(project.version, dtype=pl.String),
        licence=pl.lit(project.licence, dtype=pl.String),
        count=pl.lit(1, dtype=pl.Int64),
    )


def _is_message(templates: pl.Series, parameters: pl.Series) -> pl.Series:
    """Which templates say something in words.

    A word has three letters at least; a third of what is written are letters; neither the text nor the number
    of holes is that of a table or a usage text.
    """
    text = templates.str.replace_all(HOLE, " ", literal=True)
    spoken = text.str.contains(r"\p{L}{3}")
    dense = 3 * text.str.count_matches(r"\p{L}") >= text.str.count_matches(r"\S")
    short = (templates.str.len_chars() <= LONGEST) & (parameters.list.len() <= MOST_HOLES)
    # One word of very many letters is an encoded value.
    return spoken & dense & short & ~text.str.contains(r"\p{L}{40}")
