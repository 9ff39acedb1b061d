"""The masks: what they hide, and that the three engines which apply them agree."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.logs import masking
from biglog.logs.masking import MASK_TOKENS, MASKS, Mask, normal_form, normal_forms, normalizer, spans, values

# Contents of Loghub's 2k samples (https://github.com/logpai/loghub) and of other servers' logs.
EXAMPLES = [
    (
        "PacketResponder 1 for block blk_38865049064139660 terminating",
        "PacketResponder [NUM] for block [CODE] terminating",
    ),
    (
        "Received block blk_-5 of size 67108864 from /10.251.42.84",
        "Received block [CODE] of size [NUM] from /[IP]",
    ),
    (
        "authentication failure; logname= uid=0 rhost=218.188.2.4 ",
        "authentication failure; logname= uid=0 rhost=[IP]",
    ),
    (
        "Invalid user webmaster from 173.234.31.186 port 38926 ssh2",
        "Invalid user webmaster from [IP] port [NUM] ssh2",
    ),
    ("workerEnv.init() ok /etc/httpd/conf/workers2.properties", "workerEnv.init() ok [FILE]"),
    ("mod_jk child workerEnv in error state 6", "mod_jk child workerEnv in error state [NUM]"),
    ("generating core.3314", "generating core.[NUM]"),
    ("CE sym 2, at 0x0b85eee0, mask 0x05", "CE sym [NUM], at [CODE], mask [CODE]"),
    ("Total of 0 ddr error(s) detected", "Total of 0 ddr error(s) detected"),
    ("Container exited with a non-zero exit code 143", "Container exited with a non-zero exit code [NUM]"),
    (
        '"GET /v2/54fadb41/servers/detail HTTP/1.1" status: 200 len: 1893',
        '"GET [FILE] HTTP/[NUM]" status: 2xx len: [NUM]',
    ),
    ('"GET /a/b?x=1 HTTP/1.1" 503 12 "-"', '"GET [FILE] HTTP/[NUM]" 5xx [NUM] "-"'),
    (
        "[instance: b9000564-fe1a-409b-b8cc-1e88b294cd1d] Took 20.58 seconds",
        "[instance: [CODE]] Took [NUM] seconds",
    ),
    ("onExtend:1514038530000 14 0 4", "onExtend:[NUM] [NUM] 0 [NUM]"),
    ("attempt_1445144423722_0020_m_000000_0: took 12ms", "attempt_[NUM]_[NUM]_m_[NUM]_0: took [NUM]"),
    ("2016/9/27:20:30:31.455 WcpInitialize", "[TIMESTAMP] WcpInitialize"),
    ("since Sun Dec 04 04:47:44 2005 until 17:05:01", "since [TIMESTAMP] until [TIMESTAMP]"),
    (r"Core: C:\Windows\winsxs\amd64\cbscore.dll loaded", "Core: [FILE] loaded"),
    ("peer 00:1b:63:84:45:e6 via fe80::1 and 0:0:0:0:0:0:0:0:2181", "peer [CODE] via [IP] and [IP]:[NUM]"),
    ("see http://example.org:80/x?y=1, then file:///tmp/z", "see [FILE], then [FILE]"),
    ("\x1b[31mERROR\x1b[0m   disk\tfull", "ERROR disk full"),
    ("temperature -3.5C, node-246 up 99%", "temperature [NUM], node-[NUM] up [NUM]"),
    ("loaded 1,234,567 rows of v2.10.3", "loaded [NUM] rows of [NUM]"),
    ("and/or text/html I/O x86_64 utf8", "and/or text/html I/O x[NUM]_[NUM] utf8"),
    ("March 5 is a date, Marked 5 is not", "[TIMESTAMP] is a date, Marked [NUM] is not"),
    ("", ""),
]

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
valuelike = st.text(st.sampled_from("0123456789abcdefABCDEF:./-_ []%+,xXé\\\t\"'=~TZ@"), max_size=60)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
pieces = st.lists(
    st.sampled_from(
        [content for content, _ in EXAMPLES]
        + [
            *MASK_TOKENS,
            "[MASK]",
            "[CLS]",
            "[SEP]",
            "[UNK]",
            "[PAD]",
            " ",
            "-",
            "_",
            ":",
            "/",
            "0",
            "é",
            "２",
            "\x00",
            "\ue003",
        ]
    ),
    max_size=5,
).map("".join)
contents = st.one_of(printable, valuelike, anything, pieces)


def by_tokenizers(content: str) -> str:
    return str(normalizer().normalize_str(content)).strip(" ")


@pytest.mark.parametrize(("content", "expected"), EXAMPLES)
def test_examples(content: str, expected: str) -> None:
    assert normal_form(content) == expected


def test_a_long_column_is_masked_like_its_lines_one_by_one() -> None:
    lines = [content for content, _ in EXAMPLES] * 50 + [f"unique {n} /var/log/{n}.log" for n in range(2000)]
    assert normal_forms(pl.Series(lines)).to_list() == [normal_form(line) for line in lines]


def by_polars(lines: list[str]) -> list[str]:
    return masking._mask(pl.Series(lines, dtype=pl.String), MASKS).to_list()


def folded(text: str) -> str:
    """Terminal colours removed and blanks folded, by the table's own first two rows."""
    for mask in MASKS[:2]:
        text = re.sub(mask.pattern, mask.replacement, text)
    return text.strip(" ")


@settings(max_examples=100)
@given(st.lists(contents, max_size=30))
def test_the_three_engines_agree(lines: list[str]) -> None:
    expected = by_polars(lines)
    assert [normal_form(line) for line in lines] == expected
    assert [by_tokenizers(line) for line in lines] == expected


@settings(max_examples=500)
@given(contents.filter(lambda text: "\uf8fe" not in text))
@example("\x1b1")
def test_spans_rebuild_the_normal_form(content: str) -> None:
    # An escape before a value, and then the bracket of its token, look like a terminal's colour.
    rebuilt, at, bracket = [], 0, "\uf8fe"
    for span in spans(content):
        assert at <= span.start < span.end <= len(content), "spans are in order and do not overlap"
        assert not set("[]") & set(folded(content[span.start : span.end])), "a pattern read a mask token"
        rebuilt += [content[at : span.start], span.token.replace("[", bracket)]
        at = span.end
    rebuilt.append(content[at:])
    assert folded("".join(rebuilt)).replace(bracket, "[") == normal_form(content)


@settings(max_examples=50)
@given(st.lists(contents.filter(lambda text: not re.search("[\\[\ue000-\ue0ff]", text)), max_size=10))
def test_values_are_the_spans_in_order(lines: list[str]) -> None:
    found = values(pl.Series(lines, dtype=pl.String))
    for row, content in enumerate(lines):
        masked = [span for span in spans(content) if span.token in MASK_TOKENS]
        mine = found.filter(pl.col("row") == row)
        assert mine["token"].to_list() == [span.token for span in masked]
        assert mine["value"].to_list() == [folded(content[span.start : span.end]) for span in masked]
        assert mine["position"].to_list() == list(range(len(masked)))


def test_a_mask_token_in_the_text_is_its_own_value() -> None:
    found = values(pl.Series(["a [NUM] b 17 c [IP]"]))
    assert found["value"].to_list() == ["[NUM]", "17", "[IP]"]
    assert found["token"].to_list() == ["[NUM]", "[NUM]", "[IP]"]


def test_spans_name_the_kind_and_the_place() -> None:
    content = 'from 10.0.0.7 at 12:30:01: "GET /a/b HTTP/1.1" 503 9'
    got = [(content[s.start : s.end], s.token, s.kind) for s in spans(content)]
    assert got == [
        ("10.0.0.7", "[IP]", "ipv4"),
        ("12:30:01", "[TIMESTAMP]", "clock"),
        ("/a/b", "[FILE]", "path"),
        ("1.1", "[NUM]", "number"),
        ("503", "5xx", "http-status"),
        ("9", "[NUM]", "number"),
    ]


def test_columns_keep_their_order_and_nulls_are_empty() -> None:
    column = pl.Series(["b 1", None, "a 2", "b 1", "b 1", "b 1"])
    assert normal_forms(column).to_list() == ["b [NUM]", "", "a [NUM]", *["b [NUM]"] * 3]
    assert normal_forms(column.head(0)).to_list() == []


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: f"{mask.kind}{mask.before}")
def test_rows_keep_to_the_shared_dialect(mask: Mask) -> None:
    assert "(?" not in mask.pattern.replace("(?:", ""), (
        "no look-around, flags or named groups: Rust reads none"
    )
    assert r"\w" not in mask.pattern
    assert r"\d" not in mask.pattern
    assert r"\s" not in mask.pattern
    assert not set(mask.before + mask.after) & set(".^$*+?()[]{}|\\"), "context is literal text"
    assert mask.replacement in ("", " ", *MASK_TOKENS) or mask.kind == "http-status"


@pytest.mark.parametrize("unit", ["a.b", "-", "x-1 ", "1.2.3.4.", "/a/b", "deadbeef01"])
def test_a_long_line_is_masked_as_a_short_one_is(unit: str) -> None:
    line = "lost " + unit * (2_000 // len(unit)) + " at 10:00:00"
    assert normal_form(line) == masking._mask_one(line, MASKS) == by_polars([line])[0]
