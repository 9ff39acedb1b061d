"""What is recognized has the normal form that the masks give; lines that differ in values are recognized."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.logs import form_patterns, known_forms
from biglog.logs.domains import DOMAINS
from biglog.logs.form_patterns import recognize
from biglog.logs.known_forms import KnownForms
from biglog.logs.masking import MASK_TOKENS, normal_form, normal_forms

HDFS = (
    "BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.7.2:50010 is added to blk_712 size 67108864",
    "Receiving block blk_5792489080791696128 src: /10.251.30.6:33145 dest: /10.251.30.6:50010",
    "10.251.30.85:50010:Got exception while serving blk_-2918118818249673980 to /10.251.90.64:",
    "Deleting block blk_1781953582842324563 file /mnt/hadoop/dfs/data/current/subdir5/blk_178195358",
    "BLOCK* NameSystem.allocateBlock: /user/root/_task_200811092030_0001_m_000590_0/part-00590. blk_-17274",
    "PacketResponder 1 for block blk_38865049064139660 terminating",
)
BGL = (
    "generating core.2275",
    "iar 003a90fc dear 00b360e8",
    "iar 00106210 dear 0244c1dc",
    "63543 double-hummer alignment exceptions",
    "CE sym 2, at 0x0b85eee0, mask 0x05",
    "ciod: Error reading prefix after LOAD_MESSAGE on CioStream socket to 172.16.96.116:42213: severed",
    "ciod: generated 64 core files for program /bgl/apps/swl-prep/ibm-swl/functional/sppm_chkpt/run/sppm",
    "idoproxydb hit ASSERT condition: ASSERT expression=0 Source file=idotransportmgr.cpp line=1043",
    "node U01 slot J14 at 12:30:01.5 took 2.5ms (99% of 12kB), id b9000564-fe1a-409b-b8cc-1e88b294cd1d seen",
)

# Pieces that stand beside values, or are values, and that the rows of the table could join.
WORDS = r"""
0 1 5 12 404 2005 00 007 12345678 0x1f 0x0 deadbeef 0024410C 0244c1dc 1234567b a1b2c3 face 20051109
10.251.73.220 1.5 1.2.3 v1.2 2005-11-09 2005.11.09 12:30:01 12:30 9:05:01.25 1,234 1,2 -5 +7 5% 12ms 3kB/s
blk_123 blk_-5 blk_ core. node- x1 eth0 dn228 an14 4_5 12T 20081109T203045 00:1b:63:84:45:e6 ::1 fe80::1
b9000564-fe1a-409b-b8cc-1e88b294cd1d /var/log /var/log/a.log /a/5/b /5/b/7 /p/2005/11/09 8M_5 a.log x.c:12
May Dec March mon Sun, AM PM UTC Z GET status: status= status code: code statusCode= HTTP/1.1 s kB/s ms e5
http:// hdfs://h:9000/x C:\ C:\a\b.dll ~ /10.0.0.1 /x /dev a dead the Error é ２
. , : ; - _ + @ % $ = # ( ) [ ] { } < > | * ! & ^ ? / // \ ' " `
"""
BLANKS = (*[" "] * 4, "  ", "\t", "\x1b[0m", '" ', "status code ", ": ")
PIECES = (*WORDS.split(), *MASK_TOKENS, *BLANKS)
contents = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
spaced = st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join)


def digits(rng: random.Random) -> str:
    return "".join(rng.choices("0123456789", k=rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))))


def varied(content: str, rng: random.Random) -> str:
    """Other digits, mostly as many; other hexadecimal digits in what looks like a hexadecimal number."""
    content = re.sub(
        r"(?<![0-9A-Za-z_])(0x|)[0-9a-fA-F]{5,}(?![0-9A-Za-z_])",
        lambda m: m[1] + "".join(rng.choices("0123456789abcdefABCDEF", k=len(m[0]) - len(m[1]))),
        content,
    )
    same = rng.random() < 0.6
    return re.sub(
        "[0-9]+",
        lambda m: "".join(rng.choices("0123456789", k=len(m[0]))) if same else digits(rng),
        content,
    )


def by_masks(lines: list[str]) -> list[str]:
    return normal_forms(pl.Series(lines, dtype=pl.String)).to_list()


def many(lines: tuple[str, ...], copies: int, seed: int = 0) -> pl.Series:
    """Copies of lines with other digits, as many in each number and none a 0 at its start."""
    rng = random.Random(seed)

    def other(match: re.Match[str]) -> str:
        return match[0][0] + "".join(rng.choices("0123456789", k=len(match[0]) - 1))

    return pl.Series([re.sub("[0-9]+", other, line) for _ in range(copies) for line in lines])


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learns from every line, and tries a pattern on a single one."""
    monkeypatch.setattr(known_forms, "_OFTEN", 1)
    monkeypatch.setattr(known_forms, "_FEWEST_LINES", 1)


@settings(max_examples=600, deadline=None)
@given(st.one_of(contents, spaced), st.integers(0, 2**32))
@example("Dec 5", 0)
@example("x=0024410C", 0)
@example('" 200 ', 0)
def test_what_a_pattern_matches_has_its_form(content: str, seed: int) -> None:
    known = recognize(content)
    if known is None:
        return
    assert known.form == normal_form(content)
    assert re.fullmatch(known.pattern, content)
    rng = random.Random(seed)
    for line in (varied(content, rng) for _ in range(40)):
        if re.fullmatch(known.pattern, line):
            assert normal_form(line) == known.form, line


@settings(max_examples=300, deadline=None)
@given(st.one_of(contents, spaced), st.data())
def test_whatever_matches_a_pattern_has_its_form(content: str, data: st.DataObject) -> None:
    known = recognize(content)
    if known is not None:
        line = data.draw(st.from_regex(re.compile(known.pattern, re.ASCII), fullmatch=True))
        assert normal_form(line) == known.form


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(contents, spaced), max_size=12), st.integers(0, 2**32))
def test_normal_forms_are_the_masks_own(lines: list[str], seed: int) -> None:
    rng = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_forms, "_OFTEN", 1)
        patch.setattr(known_forms, "_FEWEST_LINES", 1 if seed % 2 else 200)
        known = KnownForms()
        for _ in range(3):
            assert known.normal_forms(pl.Series(lines, dtype=pl.String)).to_list() == by_masks(lines)
            lines = [varied(line, rng) for line in lines for _ in range(2)]


@pytest.mark.parametrize(
    "content",
    [
        "May 5 x",
        '"GET /x" 404 5',
        "status: 404",
        "at 12:30:01 PM",
        "a 2005-11-09",
        "a 1,234",
        "a 1.2.3",
        "a 12.log",
        "to http://h:80/5",
        "é 12",
        "a\t12",
        "beef-12",
        "12:30:5",
        "a ::12",
        "/a/2005/11/09",
        "x a1/=/var/log 5",
        "3rd5 12th",
        "blk_12_x",
        "dead12",
        "x.db:11:22:33:44:55:66",
        "a /deadbeef01",
        "see 5%/x",
    ],
)
def test_what_other_values_could_change_is_not_recognized(content: str) -> None:
    assert recognize(content) is None


@pytest.mark.parametrize("content", [*HDFS, *BGL])
def test_real_contents_are_recognized(content: str) -> None:
    known = recognize(content)
    assert known is not None
    assert known.form == normal_form(content)
    assert not known.fixed


def test_a_mask_token_in_a_content_is_text() -> None:
    known = recognize("a [NUM] of 12")
    assert known is not None
    assert re.fullmatch(known.pattern, "a [NUM] of 345")
    assert not re.fullmatch(known.pattern, "a 7 of 345")


def test_the_classes_tell_numbers_from_hexadecimal_words() -> None:
    pattern = form_patterns._hex_words(8)
    assert re.fullmatch(pattern, "0244c1dc")
    assert re.fullmatch(pattern, "0244110c")
    for value in ("02441100", "0244110C", "0244110b", "0244110B"):
        assert normal_form(value) == "[NUM]"
        assert not re.fullmatch(pattern, value)


@pytest.mark.parametrize("lines", [HDFS, BGL], ids=["hdfs", "bgl"])
def test_lines_that_differ_in_values_are_recognized(lines: tuple[str, ...]) -> None:
    known = KnownForms()
    for seed in range(3):
        batch = many(lines, 400, seed)
        assert known.normal_forms(batch).equals(normal_forms(batch))
        if seed == 0:
            assert known.fast_lines == 0
    assert known.fast_lines > 0.95 * 800 * len(lines)
    assert known.lines == 1200 * len(lines)


def test_contents_that_come_again_are_recognized() -> None:
    known = KnownForms()
    # Nothing is learnt from two dates but that they are the same.
    batch = pl.Series(["since 2005-11-09", "since 2005-11-10", "x", "y", "since 2005-11-09"])
    for _ in range(2):
        assert known.normal_forms(batch).equals(normal_forms(batch))
    assert known.fast_lines == 2


@pytest.mark.parametrize("cuts", [(), (1,), (700, 701), (10, 900, 2000)])
def test_cuts_do_not_matter(cuts: tuple[int, ...]) -> None:
    lines = many(HDFS + BGL, 200)
    known = KnownForms(max_forms=8)
    edges = [0, *cuts, len(lines)]
    got = [known.normal_forms(lines[a:b]) for a, b in pairwise(edges)]
    assert pl.concat(got).equals(normal_forms(lines))


@pytest.mark.usefixtures("eager")
def test_numbers_count_the_forms_as_they_appear() -> None:
    known = KnownForms()
    for lines in (["b 12", None, "a 2", "b 34"], ["c", "a 17", "b 5", "a 17"], ["c"] * 5 + ["b 6"], []):
        numbers, forms = known.numbers(pl.Series(lines, dtype=pl.String))
        expected = by_masks(lines)
        assert numbers.dtype == pl.UInt32
        assert forms == list(dict.fromkeys(expected))
        assert [forms[number] for number in numbers] == expected


@pytest.mark.usefixtures("eager")
def test_no_more_is_learnt_than_it_may_hold() -> None:
    known = KnownForms(max_forms=3)
    for start in range(0, 200, 10):
        lines = [f"form {chr(97 + (start + k) % 26)}x{'y' * start} {k + 10}" for k in range(10)] * 2
        assert known.normal_forms(pl.Series(lines)).to_list() == by_masks(lines)
        assert len(known._patterns) <= 3
        assert len(known._forms) <= 20 * 3 + 10


@needs_data
@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_real_lines_with_other_values(domain: str) -> None:
    path = DATA / "loghub_2k" / domain / f"{domain}_2k.log_structured.csv"
    lines = pl.read_csv(path, infer_schema=False)["Content"].fill_null("")
    known = KnownForms()
    assert known.normal_forms(lines).equals(normal_forms(lines))
    rng = random.Random(0)
    for _ in range(5):
        batch = pl.Series([varied(line, rng) for line in lines], dtype=pl.String)
        assert known.normal_forms(batch).equals(normal_forms(batch))
    assert known.fast_lines > 0
