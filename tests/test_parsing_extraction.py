"""Parameters: whatever a line holds, its template with its parameters in is the line, to the letter."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog import LogParser
from biglog.tasks.parsing import extraction
from biglog.tasks.parsing.extraction import KINDS, PARAMETERS, extract, kinds_of
from biglog.tasks.parsing.forms import MOST_TOKENS
from biglog.tasks.parsing.template import Template


@pytest.fixture(scope="module")
def parser() -> LogParser:
    return LogParser.from_pretrained()


def reproduced(contents: list[str | None], parsed: pl.DataFrame) -> None:
    """Checks that every line is what its template and its parameters say."""
    assert len(parsed) == len(contents)
    assert parsed["parameters"].dtype == PARAMETERS
    for content, row in zip(contents, parsed.to_dicts(), strict=True):
        text, at = content or "", 0
        values = [parameter["value"] for parameter in row["parameters"]]
        assert Template(row["template"]).format(values) == text
        for parameter in row["parameters"]:
            assert at <= parameter["start"] <= parameter["end"] <= len(text)
            assert text[parameter["start"] : parameter["end"]] == parameter["value"]
            assert parameter["kind"] in KINDS
            at = parameter["end"]


WORDS = (
    "user",
    "lost",
    "größe",
    "10.0.0.1",
    "17",
    "0",
    "5ms",
    "404",
    "a=b",
    "(x)",
    "n-7",
    "é9",
    "/var/log/x.log",
)
ODD = (
    "<*>",
    "{}",
    "[NUM]",
    "[IP]",
    "<",
    "*>",
    "\x1b[31m",
    "\x1b",
    "\ue001",
    "\ue0fe",
    "\x00",
    "😀",
    "0x1F",
    "-",
    ":",
)
BLANKS = (" ", "  ", "\t", "\n", " \r\n", "\u2003", "")
pieces = st.lists(st.sampled_from((*WORDS, *WORDS, *ODD, *BLANKS)), max_size=12)
spelled = st.builds(str.join, st.sampled_from((" ", "", "  ")), pieces)
lines = st.lists(st.none() | spelled | st.text(max_size=20), max_size=12)


@settings(max_examples=150)
@given(lines)
@example([None, "", " ", "\t", "a"])
@example(["user <*> in", "user <*> in", "user ann in"])
@example(["é7é", "é8é ", " é7é"])
@example(["\x1b[31mport 80\x1b[0m  up ", "port 81 up"])
def test_a_line_is_its_template_with_its_parameters(parser: LogParser, contents: list[str | None]) -> None:
    reproduced(contents, parser.parse(pl.Series(contents, dtype=pl.String)))


@settings(max_examples=60)
@given(lines, st.lists(spelled, max_size=3))
def test_so_it_is_with_templates_of_a_user(
    parser: LogParser, contents: list[str | None], templates: list[str]
) -> None:
    known = [template for template in templates if template.replace("<*>", "").strip()]
    told = LogParser(parser._head).add_templates([*known, "user <*><*> lost", "<*> 17 <*>"])
    stream = told.stream()
    reproduced(contents, stream.parse(pl.Series(contents, dtype=pl.String)))


templates = st.sampled_from(
    [
        "<*>",
        "a<*>",
        "<*>a",
        "a <*> b",
        "<*><*>",
        "a<*><*>b",
        "<*> <*>",
        "a",
        "",
        "é <*>",
        "<*>aa<*>a",
        "a  <*>",
        "<<*>>",
    ]
)
contents_of_few = st.lists(st.text(alphabet="ab é<*>\t", max_size=8), min_size=1, max_size=8)


@settings(max_examples=200)
@given(templates, contents_of_few, st.booleans())
def test_columns_and_lines_find_the_same(template: str, contents: list[str], shifted: bool) -> None:
    def run(few: int) -> tuple[list[str], list[object], list[int]]:
        asked: list[int] = []

        def otherwise(row: int, content: str) -> list[tuple[int, int]]:
            asked.append(row)
            return [(0, len(content))]

        events = np.zeros(len(contents), dtype=np.int64)
        offsets = np.arange(len(contents), dtype=np.int64) - 1 if shifted else None
        kinds = [[-1] * template.count("<*>")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(extraction, "FEW", few)
            series = pl.Series(contents, dtype=pl.String)
            texts, found = extract(series, events, [Template(template)], kinds, otherwise, offsets)
        return texts.to_list(), found.to_list(), sorted(asked)

    assert run(1) == run(10**9)


def test_whole_logs_are_alike_in_columns_and_line_by_line(
    parser: LogParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [f"user u{n % 7} logged in from 10.0.0.{n} port {n * 13}" for n in range(90)]
    contents += ["user  ü logged in from x port 7", "closed", "", "user <*> logged in from y port 8"]
    found = []
    for few in (1, 10**9):
        monkeypatch.setattr(extraction, "FEW", few)
        found.append(parser.parse(contents))
        reproduced(list(contents), found[-1])
    assert found[0].equals(found[1])


def test_spans_are_shifted_and_null_where_the_line_lacks_the_content() -> None:
    contents = pl.Series(["at 7", "at 8"])
    _, found = extract(
        contents,
        np.zeros(2, dtype=np.int64),
        [Template("at <*>")],
        [[0]],
        lambda row, content: [],
        np.array([10, -1]),
    )
    assert found.to_list() == [
        [{"value": "7", "start": 13, "end": 14, "kind": "number"}],
        [{"value": "8", "start": None, "end": None, "kind": "number"}],
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("17", "number"),
        ("0", "number"),
        ("5ms", "number"),
        ("2024-05-01 10:00:01", "timestamp"),
        ("10.0.0.1", "ip"),
        ("0xdeadbeef", "code"),
        ("/var/log/syslog", "file"),
        ("ann", "text"),
        ("node-17", "text"),
        ("", "text"),
    ],
)
def test_the_kind_of_a_value_is_that_of_the_mask_over_all_of_it(value: str, kind: str) -> None:
    assert KINDS[int(kinds_of(pl.Series([value]))[0])] == kind


def test_values_of_one_place_have_one_kind(parser: LogParser) -> None:
    lines = [
        f"sync of user {name} took {7 * n} ms" for n, name in enumerate(["ann", "bob", "eve", "kim"] * 9)
    ]
    kinds = [tuple(each["kind"] for each in row) for row in parser.parse(lines)["parameters"].to_list()]
    assert set(kinds) == {("text", "number")}


def test_a_value_that_its_template_does_not_fit_is_looked_at_alone() -> None:
    contents = pl.Series(["at 7", "going down"])
    _, found = extract(
        contents,
        np.zeros(2, dtype=np.int64),
        [Template("at <*>")],
        [[0]],
        lambda row, content: [(6, 10)],
    )
    assert [row[0]["kind"] for row in found.to_list()] == ["number", "text"]


def test_a_line_of_many_tokens_is_cut_and_still_whole(parser: LogParser) -> None:
    contents = [" ".join(f"w{n % 23}" if n % 3 else str(n * k) for n in range(10_000)) for k in (1, 2, 3)]
    contents += ["x" * 1_000_000, "a.b-" * 250_000, "short 7"]
    parsed = parser.parse(contents)
    reproduced(list(contents), parsed)
    assert parsed["event_id"].n_unique() < len(contents)
    assert max(parsed["parameters"].list.len()) <= MOST_TOKENS + 1, "what is not looked at is one value"
