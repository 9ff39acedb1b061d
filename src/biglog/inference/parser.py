"""The parser as a user has it: what was learnt, what the user knows, and logs to parse with both."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from biglog._version import __version__
from biglog.checkpoints.finding import fetch_files, resolve
from biglog.data.kept_files import write_whole
from biglog.errors import InputError
from biglog.logs.masking import spans
from biglog.tasks.parsing.forms import MOST_CHARACTERS
from biglog.tasks.parsing.head import HEAD_FILES, load_head
from biglog.tasks.parsing.library import TemplateLibrary, check_labels
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.state import STATE, state_of, stream_of
from biglog.tasks.parsing.stream import MAX_FORMS, ParseStream
from biglog.tasks.parsing.template import WILDCARD, Template, fold, has_text

KNOWLEDGE: Final = "biglog-parser-knowledge/1"

_PIECE = re.compile(r"<\*>|\s+|\w+|[^\w\s]")
_WORD = re.compile(r"[^\W\d_]")


class LogParser:
    """Turns logs into events: a template and typed parameters for each line.

    Lines are contents, without the header that `biglog.read_logs` takes off. Nothing has to be set for a log:
    what is constant in it is told from what is not by what was learnt on others (see
    `biglog.tasks.parsing.columns`). What a user knows goes before: templates, labelled lines, tokens that are
    never values or always.

    Example:
        >>> parser = LogParser.from_pretrained()
        >>> parser.parse(["user ann logged in", "user bob logged in"])["template"].to_list()
        ['user <*> logged in', 'user <*> logged in']

    Args:
        head: What was learnt.
        name: Of the checkpoint.
    """

    def __init__(self, head: ZeroShotParser, name: str = "") -> None:
        self.name = name
        self._head = head
        self._templates: list[str] = []
        self._keep: list[str] = []
        self._mask: list[str] = []

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path | None = None, *, revision: str | None = None) -> Self:
        """Loads a parser.

        Args:
            name_or_path: A checkpoint's folder, a Hub id, or the name of an embedded checkpoint; None is the
                embedded default.
            revision: Branch, tag or commit of a Hub repository.

        Raises:
            CheckpointError: The checkpoint is missing or damaged, has no parser, or one of another version.
        """
        source, name = resolve(name_or_path)
        folder = Path(source)
        if not folder.is_dir():
            problem, remedy = "this checkpoint has no parser", "Leave the model out to use the embedded one"
            folder = fetch_files(source, HEAD_FILES, revision, missing=problem, remedy=remedy)
        return cls(load_head(folder), name)

    # -- what the user knows --

    @property
    def templates(self) -> list[str]:
        """The templates that are asked first, in the order in which they are tried."""
        return TemplateLibrary(self._templates).templates

    def add_templates(self, templates: Iterable[str]) -> Self:
        """Adds templates that are asked before anything else.

        Args:
            templates: Texts with `<*>` for values; one without any is a constant line.

        Raises:
            InputError: A template is empty, or `<*>` alone.
        """
        templates = _texts(templates, "template")
        for number, template in enumerate(templates, start=1):
            if not has_text(template):
                remedy = "Write the constant words of the line"
                raise InputError(f"template {number}: {template!r} has no constant text", remedy=remedy)
        self._templates += map(fold, templates)
        return self

    def fit(self, contents: Iterable[str], templates: Iterable[str]) -> Self:
        """Learns from labelled lines: their templates are asked first, and teach how the rest is parsed.

        What they teach is learnt of each log anew when it is parsed, in a second or two.

        Args:
            contents: Contents, shape (labels,).
            templates: Template of each, shape (labels,).

        Raises:
            InputError: A template does not fit its content or has no constant text, or a content has two.
        """
        contents, templates = _texts(contents, "content"), _texts(templates, "template")
        check_labels(contents, templates)
        return self.add_templates(templates)

    def keep(self, *tokens: str) -> Self:
        """Makes tokens constant wherever they stand: `GET`, `root`.

        Raises:
            InputError: One is hidden by the masks (a number, a path): write a template that has it.
        """
        Rules.of(tokens)
        self._keep += tokens
        return self

    def mask(self, *patterns: str) -> Self:
        """Makes tokens values wherever they stand.

        Args:
            patterns: Regular expressions of whole tokens, such as ``eth[0-9]+``.

        Raises:
            InputError: One is no regular expression.
        """
        Rules.of((), patterns)
        self._mask += patterns
        return self

    def merge(self, *contents: str) -> str:
        """Makes lines one event: what they have in common is constant.

        Args:
            contents: Two or more lines.

        Returns:
            The template that was added.

        Raises:
            InputError: They are fewer than two, or have no word in common.
        """
        if len(set(contents)) < 2:
            raise InputError("one event is made of two lines or more", remedy="Give lines that differ")
        template = _generalised(contents[0])
        for content in contents[1:]:
            template = _common(template, _generalised(content))
        if not _WORD.search(template.replace(WILDCARD, "")) or any(
            Template(template).spans(content) is None for content in contents
        ):
            raise InputError(
                f"these lines have no words in common: {contents[0]!r}, {contents[1]!r}",
                remedy="Write their template yourself (add_templates)",
            )
        self.add_templates([template])
        return template

    def split(self, *contents: str) -> list[str]:
        """Makes lines an event each: what tells them apart is constant.

        Args:
            contents: Two or more lines.

        Returns:
            The templates that were added, in the lines' order.

        Raises:
            InputError: They are fewer than two, or nothing tells two of them apart.
        """
        if len(set(map(fold, contents))) < max(2, len(contents)):
            raise InputError("these are no two or more lines that differ", remedy="Give lines that differ")
        templates = [_apart(content, [c for c in contents if c != content]) for content in contents]
        if len(set(templates)) < len(templates):
            raise InputError(
                "two of these lines differ in nothing but values", remedy="Write templates yourself"
            )
        self.add_templates(templates)
        return templates

    def save_knowledge(self, path: str | Path) -> None:
        """Writes what the user told this parser, as JSON.

        Raises:
            OutputError: It cannot be written.
        """
        told = {
            "schema": KNOWLEDGE,
            "version": __version__,
            "templates": self._templates,
            "keep": self._keep,
            "mask": self._mask,
        }
        _write(Path(path), json.dumps(told, indent=2, ensure_ascii=False))

    def load_knowledge(self, path: str | Path) -> Self:
        """Adds what `save_knowledge` wrote.

        Raises:
            InputError: The file cannot be read, or is of another version.
        """
        told = read_json(Path(path), KNOWLEDGE)
        for name in ("templates", "keep", "mask"):
            words = told.get(name)
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                remedy = "It is a list of texts"
                raise InputError(f"{name} is missing or no list of texts", where=path, remedy=remedy)
        try:
            Rules.of(told["keep"], told["mask"])
            return self.add_templates(told["templates"]).keep(*told["keep"]).mask(*told["mask"])
        except InputError as error:
            raise InputError(error.problem, where=path, remedy=error.remedy) from error

    # -- logs --

    def stream(self, *, max_forms: int = MAX_FORMS) -> ParseStream:
        """Begins a log that comes in batches, in bounded memory.

        Args:
            max_forms: Normal forms that are remembered.
        """
        return ParseStream(
            self._head, TemplateLibrary(self._templates), Rules.of(self._keep, self._mask), max_forms
        )

    def resume(self, path: str | Path) -> ParseStream:
        """Goes on with a log whose state `save_state` wrote; what this parser was told is added.

        Raises:
            InputError: The file cannot be read, is damaged, or is of another version.
        """
        told = read_json(Path(path), STATE)
        try:
            stream = stream_of(told, self._head)
        except InputError as error:
            raise InputError(error.problem, where=path, remedy=error.remedy) from error
        stream.learn(TemplateLibrary([*stream.library.templates, *self._templates]))
        stream.obey(Rules.of([*stream.rules.keep, *self._keep], [*stream.rules.mask, *self._mask]))
        return stream

    def parse(self, lines: Iterable[str] | pl.Series) -> pl.DataFrame:
        """Parses a log.

        Args:
            lines: Contents, shape (lines,); null is read as empty.

        Returns:
            Polars, a row a line: `line_id` from 0, `event_id`, `template`, and `parameters`, a list of
            `value`, `start`, `end` (characters of the content) and `kind`. With its parameters for `<*>` a
            line's template is the line, to the letter: `Template(template).format(values)`.
        """
        return self.stream().parse_whole(as_series(lines))

    def events(self, lines: Iterable[str] | pl.Series) -> pl.DataFrame:
        """Returns the events of a log, most frequent first; columns as of `ParseStream.events`."""
        stream = self.stream()
        stream.parse_whole(as_series(lines))
        return stream.events()

    def propose(self, lines: Iterable[str] | pl.Series, n: int = 32) -> pl.DataFrame:
        """Says which lines of a log are worth a label.

        Args:
            lines: Contents, shape (lines,).
            n: How many.

        Returns:
            Columns `line_id`, `content` (of a very long line its beginning) and `template`, which is the
            parser's own idea of the label, empty where it has none; the most worthy first.
        """
        contents = as_series(lines)
        stream = self.stream()
        stream.parse_whole(contents)
        first = contents.to_frame("content").with_row_index("line_id")
        first = first.cast({"line_id": pl.Int64})
        first = first.with_columns(pl.col("content").str.slice(0, MOST_CHARACTERS))
        first = first.unique("content", keep="first", maintain_order=True)
        schema = {"content": pl.String, "template": pl.String}
        proposed = pl.DataFrame(stream.proposals(n), schema=schema, orient="row")
        found = proposed.join(first, on="content", how="left", maintain_order="left")
        return found.select("line_id", "content", "template")


def save_state(stream: ParseStream, path: str | Path, place: Mapping[str, int] | None = None) -> None:
    """Writes what a stream has seen, as JSON.

    Args:
        stream: The stream.
        path: The file.
        place: How far a followed file has been read.

    Raises:
        OutputError: It cannot be written.
    """
    told = {"version": __version__, **state_of(stream), "followed": dict(place or {})}
    _write(Path(path), json.dumps(told, ensure_ascii=False))


def followed(path: str | Path) -> dict[str, int]:
    """Reads the place that `save_state` was given; empty where it was given none.

    Raises:
        InputError: The file cannot be read, or is of another version.
    """
    place = read_json(Path(path), STATE).get("followed", {})
    names = {"inode", "offset", "lines"}
    if not isinstance(place, dict) or any(
        name not in names or not isinstance(value, int) for name, value in place.items()
    ):
        remedy = "Take an older copy, or begin anew"
        raise InputError("followed is no place in a file", where=path, remedy=remedy)
    return place


def as_series(lines: Iterable[str] | pl.Series) -> pl.Series:
    """Returns contents as a series.

    Raises:
        InputError: They are one text, or no texts.
    """
    if isinstance(lines, str):
        raise InputError("one text is no list of lines", remedy="Give [line], or read_logs for a file")
    if isinstance(lines, pl.Series):
        found = lines
    else:
        try:
            found = pl.Series("content", list(lines), dtype=pl.String)
        except (TypeError, UnicodeEncodeError) as error:
            problem = f"a line is no text: {str(error).splitlines()[0]}"
            raise InputError(problem, remedy="Give a list of str") from error
    if found.dtype not in (pl.String, pl.Null):
        raise InputError(f"lines of type {found.dtype} are no texts", remedy="Give a series of type String")
    return found.cast(pl.String).fill_null("")


def _texts(given: Iterable[str], what: str) -> list[str]:
    """Returns texts as a list.

    Raises:
        InputError: They are one text, or no texts.
    """
    if isinstance(given, str):
        raise InputError(f"one text is no list of {what}s", remedy=f"Give [{what}]")
    found = list(given)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            problem = f"{what} {number} is no text but of type {type(text).__name__}"
            raise InputError(problem, remedy="Give a list of str")
    return found


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda to: to.write_text(text + "\n", encoding="utf-8"))


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """Reads a JSON file of a schema.

    Raises:
        InputError: It cannot be read, or is of another schema.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or error})"
        raise InputError(problem, where=path, remedy="Check the path") from error
    except ValueError as error:
        raise InputError(f"it is no JSON: {error}", where=path, remedy="Write it again") from error
    found = told.get("schema") if isinstance(told, dict) else None
    if found != schema:
        remedy = "Write it with this version of BigLog, or read it with its own"
        raise InputError(f"its schema is {found!r}, not {schema!r}", where=path, remedy=remedy)
    return dict(told)


def _generalised(content: str) -> str:
    """A content with `<*>` for what the masks call a value."""
    parts, at = [], 0
    for span in spans(content):
        parts.append(content[at : span.start])
        at = span.end
    return fold(WILDCARD.join([*parts, content[at:]]))


def _common(one: str, other: str) -> str:
    """What two templates have in common, `<*>` for what they have not."""
    first, second = _PIECE.findall(one), _PIECE.findall(other)
    parts: list[str] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for what, start, end, _, _ in matcher.get_opcodes():
        pieces = first[start:end] if what == "equal" else [WILDCARD]
        parts += pieces if parts[-1:] != [WILDCARD] or pieces[:1] != [WILDCARD] else pieces[1:]
    return "".join(parts)


def _apart(content: str, others: Sequence[str]) -> str:
    """The template of a content with, as constants, what no other one has in that place."""
    common = _generalised(content)
    for other in others:
        common = _common(common, _generalised(other))
    places = Template(common).spans(content)
    masked = [(span.start, span.end) for span in spans(content)]
    rivals = [Template(common).spans(other) for other in others]
    if places is None or any(rival is None for rival in rivals):
        return _generalised(content)
    text = [content[start:end] for start, end in places]
    told = [
        {other[s[n][0] : s[n][1]] for other, s in zip(others, rivals, strict=True) if s}
        for n in range(len(places))
    ]
    distinct = [n for n, value in enumerate(text) if value not in told[n]]
    words = [n for n in distinct if places[n] not in masked] or distinct
    constant = {places[n] for n in words[:1]}
    parts, at = [], 0
    for place in places:
        parts.append(
            content[at : place[0]] + (content[place[0] : place[1]] if place in constant else WILDCARD)
        )
        at = place[1]
    return fold("".join(parts) + content[at:])
