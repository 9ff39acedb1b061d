"""Texts in other words: what a change may do and what it may not, on made texts and on real templates."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import example, given
from hypothesis import strategies as st

from biglog.data import rewording
from biglog.data.rewording import SYNONYMS, reword, reword_share
from biglog.data.statements import read_forms
from biglog.errors import InputError
from biglog.logs.masking import MASK_TOKENS, normal_form, normal_forms
from biglog.tasks.anomaly.evidence import word_severity

TOKEN = re.compile(r"<\*>|\[[A-Z]+\]")
STATEMENTS = Path(__file__).parent / "data" / "statements.csv"
SCRIPT = Path(__file__).parents[1] / "datasets_scripts" / "build_rewordings.py"


def wordings(text: str, seeds: int = 400) -> set[str]:
    return {reword(text, np.random.default_rng(seed)) for seed in range(seeds)}


def is_trouble(texts: list[str]) -> list[bool]:
    return (word_severity(pl.Series(texts, dtype=pl.String))[0] > 0).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Received block [CODE] of size [NUM] from [IP]",
            {
                "Got block [CODE] of size [NUM] from [IP]",
                "Received chunk [CODE] of length [NUM] from [IP]",
                "Received block id=[CODE] of size [NUM] from [IP]",
                "Received block [CODE] of size [NUM]",
                "Received block [CODE] of size [NUM] from [IP] successfully",
                "Info: Received block [CODE] of size [NUM] from [IP]",
            },
        ),
        (
            "Deleting block blk_<*> file /<*>/blk_<*>",
            {
                "Removing block blk_<*> file /<*>/blk_<*>",
                "Erasing the block blk_<*> file /<*>/blk_<*>",
                "Deleting block blk_<*> file /<*>/blk_<*> (id=<*>)",
            },
        ),
        (
            "BLOCK* NameSystem.delete: blk_<*> is added to invalidSet of <*>:<*>",
            {
                "BLOCK* NameSystem.delete: blk_<*> is appended to invalidSet of <*>:<*>",
                "BLOCK* NameSystem.delete: blk_<*> added to invalidSet of <*>:<*>",
                "BLOCK* NameSystem.delete: blk_<*> is now added to invalidSet of <*>:<*>",
            },
        ),
        (
            "[IP] Got exception while serving [CODE] to [IP]:",
            {
                "[IP] Got error while serving [CODE] to [IP]:",
                "Got exception while serving [CODE] to [IP]:",
                "[IP] Obtained exception when serving [CODE] to [IP]:",
            },
        ),
        (
            "instruction cache parity error corrected",
            {"instruction cache parity error fixed", "note: instruction cache parity failure corrected"},
        ),
        (
            "ciod: failed to read message prefix on control stream (CioStream socket to [IP]:[NUM]",
            {
                "ciod: could not read message prefix on control stream (CioStream socket to [IP]:[NUM]",
                "ciod: was unable to read msg prefix on control stream (CioStream socket to [IP]:[NUM]",
            },
        ),
        (
            "Lustre mount FAILED : bglio[NUM] : point [FILE]",
            {
                "Lustre mount FAILED : bglio[NUM] : point file=[FILE]",
                "Lustre mount FAILED : bglio[NUM] : point",
            },
        ),
        (
            "An error was found",
            {"A fault was found", "Error was found", "An error found", "An error was discovered"},
        ),
    ],
)
def test_examples(text: str, expected: set[str]) -> None:
    found = wordings(text)
    assert not expected - found
    assert text not in found


@pytest.mark.parametrize(
    ("text", "never"),
    [
        # The only word of trouble stays one, and what is no trouble does not become it.
        ("Login failed", r"unsuccessful|successfully|[Ii]nfo:"),
        ("block detected, not evicted", "not (found|noticed)$"),
        ("Interface is going down", "successfully|Info"),
        # A part of an identifier, a verb with its particle, a mask token.
        ("job_error.delete(file) error-rate start.sh", r"fault|remove|begin"),
        ("shut x, turned off block: ended up [FILE] [CODE]", "(finished|stopped) up|folder|location"),
        ("camelCased Block: nameNode", "chunk"),
    ],
)
def test_what_does_not_become_of_a_text(text: str, never: str) -> None:
    assert not [each for each in wordings(text) if re.search(never, each)]


@pytest.mark.parametrize(
    ("word", "synonym"),
    [
        ("receive", "get"),
        ("receives", "gets"),
        ("received", "got"),
        ("receiving", "getting"),
        ("starting", "beginning"),
        ("transferred", "moved"),
        ("sends", "dispatches"),
        ("denied", "refused"),
        ("refused", "denied"),
        ("verifies", "checks"),
        ("stopped", "halted"),
        ("freeing", "releasing"),
        ("configuring", "setting up"),
        ("resumes", "continues"),
        ("replies", "answers"),
        ("connections", "links"),
        ("directories", "folders"),
        ("addresses", "addrs"),
        ("exceptions", "errors"),
        ("failed to", "could not"),
        ("failed", "unsuccessful"),
    ],
)
def test_words_keep_their_endings(word: str, synonym: str) -> None:
    assert synonym in SYNONYMS[word]


def test_the_table() -> None:
    rows = [
        row
        for table in (rewording._VERBS, rewording._NOUNS, rewording._OTHERS)
        for row in re.split(r"\n| \| ", table)
    ]
    assert len([row for row in rows if row]) >= 90
    for word, synonyms in SYNONYMS.items():
        assert 1 <= len(set(synonyms)) == len(synonyms) <= 3
        assert word not in synonyms
        for text in (word, *synonyms):
            assert re.fullmatch(r"[a-z]+([ -][a-z]+)*", text)
            assert normal_form(text) == text
    # Nouns and adjectives as often as verbs; and "begun" would be right for "started" in half of the places.
    assert not {"process", "complete", "close"} & set(SYNONYMS)
    assert not {"began", "begun"} & set(SYNONYMS["started"])


tokens = st.sampled_from(["<*>", *MASK_TOKENS, "blk_<*>", "[NUM]:[NUM]", "/[IP]"])
TROUBLE = """
error errors failed failure fatal timeout time out of memory cannot not found could unable to core dump
exception faults invalid no 0 without zero other reset error=0 Failed: errors: unknown IOException retry"""
trouble = st.sampled_from(TROUBLE.split())
known = st.sampled_from(
    [*SYNONYMS, "the", "The", "a", "an", "is", "to be", "BLOCK", "Started", "NOT", "on", "of", "..."]
)
sentences = st.lists(st.one_of(tokens, trouble, known), min_size=1, max_size=10).map(" ".join)
texts = st.one_of(
    sentences, st.text(min_size=1, max_size=30), st.text("ae [NUM]<*>'(.", min_size=1, max_size=20)
)
seeds = st.integers(0, 2**32)


@given(texts, seeds)
@example(" ", 0)
@example("\n", 1)
@example("no errors", 2)
@example("the", 3)
@example("[NUM]", 4)
@example("0 other errors", 5)
def test_laws(text: str, seed: int) -> None:
    found = reword(text, np.random.default_rng(seed))
    assert found != text
    assert found.strip()
    assert found == reword(text, np.random.default_rng(seed))
    # Two changes at most: two tokens less, or two of the legal ones more.
    before, after = Counter(TOKEN.findall(text)), Counter(TOKEN.findall(found))
    assert (before - after).total() <= 2
    assert (after - before).total() <= 2
    assert set(after - before) <= {"<*>", *MASK_TOKENS}
    assert ("<*>" in before) >= ("<*>" in after)


@given(st.lists(texts, min_size=1, max_size=20), seeds)
def test_trouble_stays_and_comes_from_nowhere(forms: list[str], seed: int) -> None:
    generator = np.random.default_rng(seed)
    found = [reword(text, generator) for text in forms]
    assert is_trouble(found) == is_trouble(forms) == [rewording._is_trouble(text) for text in forms]


def test_nothing_cannot_be_reworded() -> None:
    with pytest.raises(ValueError, match="an empty text"):
        reword("", np.random.default_rng(0))


@given(st.lists(texts | st.just(""), max_size=12), st.floats(0, 1), st.floats(0, 1), seeds, st.randoms())
def test_shares(forms: list[str], one: float, other: float, seed: int, random) -> None:
    small, large = (reword_share(forms, share, seed) for share in sorted((one, other)))
    distinct = set(forms) - {""}
    assert len(large) == round(max(one, other) * len(distinct))
    assert small.items() <= large.items()
    assert set(large) <= distinct
    assert not set(large.values()) & set(forms)
    assert len(set(large.values())) == len(large)
    # Neither the order of forms nor how often they are given matters.
    again = random.sample(forms, len(forms)) + forms[:2]
    assert reword_share(again, max(one, other), seed) == large


def test_forms_that_have_every_wording_already() -> None:
    forms = sorted(wordings("error", 2000) | {"error"})
    found = reword_share(forms, 1.0, 0)
    assert len(set(found.values()) | set(forms)) == 2 * len(forms)


def test_seeds_choose() -> None:
    forms = [f"Started service number{n}" for n in "abcdefghijklmnop"]
    chosen = [frozenset(reword_share(forms, 0.5, seed)) for seed in range(5)]
    assert len(set(chosen)) == 5
    assert reword_share(forms, 0, 0) == {}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(InputError, match="Give a share from 0 to 1"):
        reword_share(["a"], share, 0)


def real_forms() -> list[str]:
    contents = [line for path in sorted(LINES.glob("*.log")) for line in path.read_text().splitlines()]
    forms = normal_forms(pl.Series(contents, dtype=pl.String)).to_list()
    return sorted({*contents, *forms, *read_forms(STATEMENTS)} - {""})


def check(forms: list[str], seed: int) -> None:
    found = reword_share(forms, 1.0, seed)
    assert is_trouble(list(found)) == is_trouble(list(found.values()))
    for text, said in found.items():
        # What is written of a text outside of its tokens is about as long, and most of it is still there.
        kept = Counter(re.findall(r"\S+", said)) & Counter(re.findall(r"\S+", text))
        assert kept.total() >= len(text.split()) - 8
        assert abs(len(said) - len(text)) < 60
        assert normal_form(said) == said or normal_form(text) != text


@pytest.mark.parametrize("seed", range(3))
def test_real_lines_normal_forms_and_statements(seed: int) -> None:
    check(real_forms(), seed)


@needs_data
def test_the_templates_of_all_domains() -> None:
    paths = sorted(DATA.glob("loghub_2k/*/*_templates.csv"))
    forms = sorted(set().union(*(read_forms(path) for path in paths)))
    assert len(forms) > 1000
    check(forms, 0)
    # Nearly all are changed in more than what is put before or after them.
    found = reword_share(forms, 1.0, 0)
    inside = [text not in said for text, said in found.items()]
    assert np.mean(inside) > 0.5


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script(tmp_path: Path) -> None:
    forms = read_forms(STATEMENTS).to_list()
    done = run(STATEMENTS, "--share", 0.5, "--seed", 3, "--out", tmp_path / "half.csv")
    assert done.returncode == 0, done.stderr
    expected = reword_share(forms, 0.5, 3)
    assert done.stdout == f"{len(expected)} of {len(forms)} forms in {tmp_path / 'half.csv'}\n"
    table = pl.read_csv(tmp_path / "half.csv")
    assert dict(zip(table["form"], table["reworded"], strict=True)) == expected
    assert run(LINES / "HDFS.log", "--out", tmp_path / "all.jsonl").returncode == 0
    rows = [json.loads(row) for row in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {row["form"] for row in rows} == set(read_forms(LINES / "HDFS.log"))


def test_the_script_says_what_is_wrong(tmp_path: Path) -> None:
    done = run(STATEMENTS, "--share", 3, "--out", tmp_path / "all.csv")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert done.stderr == "biglog: a share of 3 cannot be reworded. Give a share from 0 to 1\n"
