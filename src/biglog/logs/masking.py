r"""Normal forms: values become typed mask tokens, so lines that differ in values only are one to the model.

One versioned table, :data:`MASKS`, says what is masked. Three engines apply it: Polars on whole columns
(:func:`normal_forms`), ``tokenizer.json`` through :func:`normalizer` (so that plain ``AutoTokenizer`` on raw
content gives the same ids), and Python's ``re`` where positions are needed (:func:`spans`). They agree as
the patterns keep to what all three read alike: ASCII classes, greedy repetition, ordered alternation, and two
edges, ``<L>`` (no ASCII word character before) and ``<R>`` (none after), which each dialect spells its way.

The rows are applied in passes, in table order; neighbours with one replacement are one pass (an ordered
alternation). No pattern can match a square bracket, so no pass reads what an earlier one wrote. A mask token
ends a word, though, so masking a normal form again can mask more: whoever tokenizes normal forms switches the
tokenizer's own masks off.

What a mask hides, no task can see. Which values are hidden was decided by measurement, by
``benchmarks/masking_ablation.py``.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer

MASKING_VERSION = "1"
MASK_TOKENS = ("[NUM]", "[TIMESTAMP]", "[IP]", "[CODE]", "[FILE]")

_H = "[0-9a-fA-F]"
_SEGMENT = r"[A-Za-z0-9._~%+@=$-]"
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:tember)?|Oct(?:ober)?"
    "|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
_CLOCK = "[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
_EXTENSIONS = (
    "(?:bak|bin|c|cache|cat|cc|cfg|class|conf|cpp|cs|csv|dat|db|dll|exe|gif|go|gz|h|htm|html|ini|jar|java|jpg|js|json|ko"
    "|lock|log|lua|manifest|mum|php|pid|plist|png|properties|ps1|py|rb|rpm|rs|service|sh|sock|so|sql|sys|tar|temp|tmp|toml"
    "|txt|war|xml|yaml|yml|zip)"
)
_UNIT = "(?:%|[kKMGTP]i?[Bb]?(?:/s|ps)?|[Bb]|bytes?|[mun]?s|secs?|mins?|hrs?|[kMG]?Hz|[CVW])"
_HTTP_CONTEXTS = (
    ('" ', " "),
    ("status: ", ""),
    ("status=", ""),
    ("status code ", ""),
    ("status code: ", ""),
    ("statusCode=", ""),
)


@dataclass(frozen=True)
class Mask:
    """One row of the table: a kind of value and what stands in its place.

    Attributes:
        kind: Name of the kind of value, as parameters report it.
        replacement: What the normal form shows: a mask token, or for a few kinds a telling literal.
        pattern: The value, in the dialect the module's docstring describes.
        before: Literal text that must stand before the value, and stays.
        after: Literal text that must stand after the value, and stays.
    """

    kind: str
    replacement: str
    pattern: str
    before: str = ""
    after: str = ""


MASKS: tuple[Mask, ...] = (
    Mask("ansi", "", r"\x1b\[[0-9;]*[A-Za-z]"),
    Mask("whitespace", " ", r" [ \t\r\n\x0b\x0c]+|[\t\r\n\x0b\x0c][ \t\r\n\x0b\x0c]*"),
    # Dates with slashes come before paths, and paths before whatever may stand inside a path.
    Mask(
        "clf-date", "[TIMESTAMP]", rf"<L>[0-3]?[0-9]/{_MONTH}/[0-9]{{4}}(?::{_CLOCK}(?: [+-][0-9]{{4}})?)?<R>"
    ),
    Mask("slash-date", "[TIMESTAMP]", rf"<L>[0-9]{{4}}/[0-9]{{1,2}}/[0-9]{{1,2}}(?:[ T:-]{_CLOCK})?<R>"),
    Mask(
        "us-date", "[TIMESTAMP]", rf"<L>[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{2,4}}(?:,? {_CLOCK}(?: ?[AP]M)?)?<R>"
    ),
    Mask("url", "[FILE]", r"""<L>[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x20"'<>()\[\]{}|,;]+"""),
    Mask("windows-path", "[FILE]", r"""<L>[A-Za-z]:\\[^\x00-\x20"'<>|*?,;()\[\]{}]*"""),
    Mask("path", "[FILE]", rf"""<L>~?(?:/{_SEGMENT}+){{2,}}/?(?:\?[^\x00-\x20"'<>()\[\]{{}}|,;]*)?"""),
    Mask("relative-path", "[FILE]", rf"<L>[A-Za-z0-9_.-]+(?:/{_SEGMENT}+){{2,}}/?"),
    Mask("root-path", "[FILE]", rf"<L>/[A-Za-z_.]{_SEGMENT}+"),
    Mask("file-name", "[FILE]", rf"<L>[A-Za-z0-9_$.-]*[A-Za-z0-9_$-]\.{_EXTENSIONS}<R>"),
    Mask("uuid", "[CODE]", rf"<L>{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}<R>"),
    Mask("mac", "[CODE]", rf"<L>(?:{_H}{{2}}:){{5}}{_H}{{2}}<R>"),
    Mask("mac", "[CODE]", rf"<L>(?:{_H}{{2}}-){{5}}{_H}{{2}}<R>"),
    Mask("hex", "[CODE]", rf"<L>0[xX]{_H}+<R>"),
    Mask("block-id", "[CODE]", r"<L>blk_-?[0-9]+(?:_[0-9]+)?<R>"),
    Mask("ipv4", "[IP]", r"<L>(?:[0-9]{1,3}\.){3}[0-9]{1,3}<R>"),
    Mask("ipv6", "[IP]", rf"<L>(?:{_H}{{1,4}}:){{7}}{_H}{{1,4}}<R>"),
    Mask("ipv6", "[IP]", rf"<L>(?:{_H}{{1,4}}:){{1,6}}(?::{_H}{{1,4}}){{1,6}}<R>"),
    Mask("ipv6", "[IP]", rf"<L>::[0-9]{_H}{{0,3}}<R>"),
    Mask(
        "datetime",
        "[TIMESTAMP]",
        r"<L>[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T _-][0-9]{2}[:.][0-9]{2}[:.][0-9]{2}(?:[.,:][0-9]+)?)?"
        r"(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?<R>",
    ),
    Mask("date", "[TIMESTAMP]", r"<L>[0-9]{4}\.[0-9]{2}\.[0-9]{2}<R>"),
    Mask("compact", "[TIMESTAMP]", r"<L>20[0-9]{6}[T-][0-9]{2}:?[0-9]{2}:?[0-9]{2}(?:[:.,][0-9]+)?Z?<R>"),
    Mask(
        "month-day",
        "[TIMESTAMP]",
        rf"<L>{_DAY}{_MONTH} [0-9]{{1,2}}(?:,? [0-9]{{4}})?(?:,? {_CLOCK})?"
        r"(?: (?:[A-Z]{3,4} )?(?:19|20)[0-9]{2})?<R>",
    ),
    Mask("clock", "[TIMESTAMP]", r"<L>[0-2]?[0-9]:[0-5][0-9]:[0-5][0-9](?:[.,:][0-9]+)?(?: ?[AP]M)?<R>"),
    # The class of an HTTP status is what tells a failure; only the rest of it is a value.
    *(
        Mask("http-status", f"{digit}xx", f"{digit}[0-9]{{2}}<R>", before, after)
        for digit in "12345"
        for before, after in _HTTP_CONTEXTS
    ),
    # A lone 0 stays: "exit code 0" and "0 errors" mean another thing than any other number does.
    Mask("version", "[NUM]", r"<L>[vV]?[0-9]+(?:\.[0-9]+){2,}(?:[-+][0-9]+(?:\.[0-9]+)*)?<R>"),
    Mask("number", "[NUM]", rf"<L>[-+]?[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)+(?:[eE][-+]?[0-9]+)?{_UNIT}?<R>"),
    Mask("number", "[NUM]", rf"<L>[-+]?[0-9]{{1,3}}(?:,[0-9]{{3}})+{_UNIT}?<R>"),
    Mask("number", "[NUM]", rf"<L>[-+]?(?:[1-9][0-9]*|0[0-9]+){_UNIT}?<R>"),
    Mask("number", "[NUM]", rf"<L>0{_UNIT}<R>"),
    Mask("hex-word", "[CODE]", rf"<L>{_H}{{8,}}<R>"),
    *(Mask("hex-word", "[CODE]", rf"<L>[a-fA-F]{{{k}}}[0-9]{_H}{{{5 - k},7}}<R>") for k in range(6)),
    Mask("digits-in-word", "[NUM]", r"[0-9]{2,}"),
)


@dataclass(frozen=True)
class Pass:
    """Rows of the table that are applied together: an ordered alternation with one replacement.

    Attributes:
        masks: The rows, in table order.
    """

    masks: tuple[Mask, ...]

    @property
    def replacement(self) -> str:
        """What is written in place of a match, its literal context included."""
        first = self.masks[0]
        return first.before + first.replacement + first.after

    def pattern(self, left: str, right: str) -> str:
        """Returns the pass as one regular expression.

        Args:
            left: The dialect's spelling of "no ASCII word character before".
            right: The dialect's spelling of "no ASCII word character after".
        """
        first = self.masks[0]
        values = "|".join(mask.pattern for mask in self.masks)
        values = values.replace("<L>", left).replace("<R>", right)
        if len(self.masks) > 1 or first.before or first.after:
            values = f"(?:{values})"
        return first.before + values + first.after


# Half a word boundary, ASCII: Rust's regex crate has no look-around, but it has these.
_RUST = (r"(?-u:\b{start-half})", r"(?-u:\b{end-half})")
_LOOKAROUND = ("(?<![A-Za-z0-9_])", "(?![A-Za-z0-9_])")


def passes(masks: tuple[Mask, ...] = MASKS) -> list[Pass]:
    """Groups neighbouring rows with the same replacement and context into passes.

    Args:
        masks: The table, or a variant of it.
    """
    grouped = groupby(masks, key=lambda mask: (mask.replacement, mask.before, mask.after))
    return [Pass(tuple(rows)) for _, rows in grouped]


# Below this, compiling the patterns for a column costs more than Python's loop.
_FEW_LINES, _FEW_BYTES = 100, 100_000
# Python's loop backtracks: on a long word with dots or dashes it takes the square of the length.
_LONG_BYTES = 1_000
# Below this many lines another thread costs more than it saves.
_PIECE_LINES = 4_000


def normal_forms(contents: pl.Series, masks: tuple[Mask, ...] = MASKS) -> pl.Series:
    """Masks a column.

    Args:
        contents: Contents, dtype String, shape (n,); null is read as the empty content.
        masks: The table; a variant of it serves ablations.

    Returns:
        The normal forms, dtype String, shape (n,), in the same order.
    """
    contents = contents.fill_null("")
    sizes = contents.str.len_bytes() if len(contents) < _FEW_LINES else None
    if sizes is not None and sizes.sum() < _FEW_BYTES and (sizes < _LONG_BYTES).all():
        forms = [_mask_one(content, masks) for content in contents]
        return pl.Series("normal_form", forms, dtype=pl.String)
    distinct = contents.unique(maintain_order=True)
    if len(distinct) < 0.5 * len(contents):
        # Logs repeat themselves to the letter; a hash costs less than a pass.
        masked = pl.DataFrame({"content": distinct, "normal_form": _mask(distinct, masks)})
        joined = contents.to_frame("content").join(masked, on="content", how="left", maintain_order="left")
        return joined["normal_form"]
    return _mask(contents, masks).alias("normal_form")


def normal_form(content: str) -> str:
    """Masks one content; equal to :func:`normal_forms` on a column of one."""
    return str(normal_forms(pl.Series([content], dtype=pl.String))[0])


def _mask_one(text: str, masks: tuple[Mask, ...]) -> str:
    for step, pattern in _compiled(masks):
        text = pattern.sub(step.replacement, text)
    return text.strip(" ")


def _mask(texts: pl.Series, masks: tuple[Mask, ...]) -> pl.Series:
    """Masks a column in as many pieces as there are threads; Polars itself does one after the other."""
    pieces = min(pl.thread_pool_size(), 1 + len(texts) // _PIECE_LINES)
    if pieces == 1:
        return _mask_piece(texts, masks)
    size = -(-len(texts) // pieces)
    with ThreadPoolExecutor(pieces) as pool:
        parts = pool.map(
            lambda start: _mask_piece(texts.slice(start, size), masks), range(0, len(texts), size)
        )
        return pl.concat(parts)


def _mask_piece(texts: pl.Series, masks: tuple[Mask, ...]) -> pl.Series:
    """Applies the passes; those with literal context only to the lines that one search finds."""
    for contextual, steps in groupby(passes(masks), key=lambda step: bool(step.masks[0].before)):
        patterns = [(step.pattern(*_RUST), step.replacement) for step in steps]
        if contextual:
            found = texts.str.contains("|".join(pattern for pattern, _ in patterns)).arg_true()
            if len(found):  # thirty patterns are compiled even for no line
                texts = texts.scatter(found, _replace_in_turn(texts.gather(found), patterns))
        else:
            texts = _replace_in_turn(texts, patterns)
    return texts.str.strip_chars(" ")


def _replace_in_turn(texts: pl.Series, patterns: list[tuple[str, str]]) -> pl.Series:
    for pattern, replacement in patterns:
        texts = texts.str.replace_all(pattern, replacement)
    return texts


def normalizer(masks: tuple[Mask, ...] = MASKS, *, plain: bool = False) -> Normalizer:
    """Returns the same masks as a normalizer for ``tokenizer.json`` (Oniguruma's dialect).

    The normal form's outer blanks are not stripped: no pre-tokenizer of ours makes a token of them.

    Args:
        masks: The table, or a variant of it.
        plain: One step a pass, spelt as in the table: what older tokenizers hold. It does the same at half
            the speed.
    """
    from tokenizers import Regex
    from tokenizers.normalizers import Replace, Sequence

    steps = [(step.pattern(*_LOOKAROUND), step.replacement) for step in passes(masks)]
    return Sequence([Replace(Regex(p), r) for p, r in (steps if plain else _quick_steps(masks))])


def _quick_steps(masks: tuple[Mask, ...]) -> list[tuple[str, str]]:
    """Spells the passes so that Oniguruma, which backtracks, has the least to try.

    An edge that all rows of a pass begin with is looked at once. The classes of HTTP status, thirty passes
    that differ in a digit and a context, become one, which writes what follows the digit.
    """
    steps: list[tuple[str, str]] = []
    for http, group in groupby(passes(masks), key=lambda step: step.masks[0].kind == "http-status"):
        if http:
            steps.append((_status(tuple(step.masks[0] for step in group)), "xx"))
        else:
            steps += [(_factored(step), step.replacement) for step in group]
    return steps


def _factored(step: Pass) -> str:
    left, right = _LOOKAROUND
    if len(step.masks) == 1 or not all(mask.pattern.startswith("<L>") for mask in step.masks):
        return step.pattern(left, right)
    rows = "|".join(mask.pattern.removeprefix("<L>") for mask in step.masks)
    return f"{left}(?:{rows})".replace("<L>", left).replace("<R>", right)


def _status(rows: tuple[Mask, ...]) -> str:
    digits = "".join(dict.fromkeys(row.replacement[0] for row in rows))
    contexts = dict.fromkeys((row.before, row.after) for row in rows)
    edges = "|".join(
        f"(?<={before}...)" + (f"(?={after})" if after else _LOOKAROUND[1]) for before, after in contexts
    )
    return f"(?<=[{digits}])[0-9]{{2}}(?:{edges})"


@dataclass(frozen=True)
class Span:
    """A masked value in its content.

    Attributes:
        start: Offset of its first character in the content.
        end: Offset behind its last character.
        token: What the normal form shows in its place.
        kind: Kind of value, as in the table.
    """

    start: int
    end: int
    token: str
    kind: str


def spans(content: str, masks: tuple[Mask, ...] = MASKS) -> list[Span]:
    """Finds the masked values of one content, in order of appearance.

    Replacing each span by its token, removing terminal colours and folding blanks gives the normal form.
    """
    text, origins = content, list(range(len(content) + 1))
    found: list[Span] = []
    for step, pattern in _compiled(masks):
        pieces: list[str] = []
        kept: list[int] = []
        at = 0
        for match in pattern.finditer(text):
            first, mask = match.start(), step.masks[int((match.lastgroup or "m0")[1:])]
            start, end = match.span(match.lastgroup or 0)
            if mask.replacement.strip():
                found.append(Span(origins[start], origins[end - 1] + 1, mask.replacement, mask.kind))
            pieces += text[at:first], step.replacement
            kept += origins[at:first]
            kept += [origins[min(first + i, match.end() - 1)] for i in range(len(step.replacement))]
            at = match.end()
        text, origins = "".join(pieces) + text[at:], kept + origins[at:]
    return sorted(found, key=lambda span: span.start)


@cache
def _compiled(masks: tuple[Mask, ...]) -> list[tuple[Pass, re.Pattern[str]]]:
    """Compiles the passes for Python, each row a named group, so that a match tells its kind."""
    compiled = []
    for step in passes(masks):
        left, right = _LOOKAROUND
        rows = "|".join(f"(?P<m{i}>{mask.pattern})" for i, mask in enumerate(step.masks))
        rows = rows.replace("<L>", left).replace("<R>", right)
        pattern = f"{step.masks[0].before}(?:{rows}){step.masks[0].after}"
        compiled.append((step, re.compile(pattern)))
    return compiled


_MARKERS = "\ue000-\ue0ff"  # private use: one stands for each pass while values are collected


def values(contents: pl.Series) -> pl.DataFrame:
    """Collects the values under the mask tokens of a column, without positions but columnar.

    Args:
        contents: Contents, dtype String, shape (n,).

    Returns:
        One row a value, in order: ``row`` (index into contents), ``position`` (which mask token of the normal
        form, from 0), ``token`` and ``value``. A mask token that a content spells out is its own value.
    """
    frame = pl.DataFrame(
        {"text": contents.fill_null("").str.replace_all(f"[{_MARKERS}]", "\ufffd")}
    ).with_row_index("row")
    collected: list[pl.DataFrame] = []
    tokens: dict[str, str] = {}
    for number, step in enumerate(passes()):
        pattern = step.pattern(*_RUST)
        if step.replacement not in MASK_TOKENS:
            frame = frame.with_columns(pl.col("text").str.replace_all(pattern, step.replacement))
            continue
        marker = chr(0xE000 + number)
        tokens[marker] = step.replacement
        matches = frame.select("row", value=pl.col("text").str.extract_all(pattern)).explode(
            "value", empty_as_null=False
        )
        collected.append(matches.with_columns(marker=pl.lit(marker)))
        frame = frame.with_columns(pl.col("text").str.replace_all(pattern, marker))
    return _in_order(frame, pl.concat(collected), tokens)


def _in_order(frame: pl.DataFrame, collected: pl.DataFrame, tokens: dict[str, str]) -> pl.DataFrame:
    """Puts the values of all passes into the order of their markers in the masked text."""
    literal = "|".join(re.escape(token) for token in MASK_TOKENS)
    order = frame.select("row", marker=pl.col("text").str.extract_all(f"[{_MARKERS}]|{literal}"))
    order = order.explode("marker", empty_as_null=False)
    nth = pl.int_range(pl.len()).over("row", "marker").alias("nth")
    order = order.with_columns(nth, position=pl.int_range(pl.len()).over("row"))
    joined = order.join(
        collected.with_columns(nth), on=["row", "marker", "nth"], how="left", maintain_order="left"
    )
    token = pl.col("marker").replace(tokens)
    return joined.select("row", "position", token=token, value=pl.col("value").fill_null(pl.col("marker")))
