"""The summary on a terminal, in a pipe, without colours, without Unicode; log text stays text."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from biglog.terminal import bar, print_summary


def printed(analysis, width=80, **options) -> str:
    out = io.StringIO()
    limits = {key: options.pop(key) for key in ("max_events", "max_odd") if key in options}
    print_summary(analysis, Console(file=out, width=width, **options), **limits)
    return out.getvalue()


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "analysis",
    [
        samples.bgl(),
        samples.hostile(),
        samples.many(),
        samples.analysis_of(samples.plain_records(["a", "b"])),
    ],
)
def test_fits_the_width(analysis, width):
    assert max(cell_len(line) for line in printed(analysis, width).splitlines()) <= width


def test_says_what_is_in_it_and_what_is_odd():
    said = flat(printed(samples.bgl(notes=("1 line was damaged",)), 120))
    assert said.startswith("4 odd lines in 11 BGL_2k.log: 11 lines (")
    assert "64 % are marked as errors or worse (7 FATAL)" in said
    assert "Note: 1 line was damaged" in said
    assert "4 36 % FATAL 2005-06-11 19:48 data TLB error interrupt (burst)" in said
    assert "1 1.00 line 11 2005-06-14 10:31:49 FATAL KERNEL program interrupt: trap instruction" in said
    assert "rare: 1 of 11 lines; far from every common line" in said


def test_limits_are_kept_and_said():
    said = printed(samples.bgl(), max_events=2, max_odd=1)
    assert "the 2 commonest" in said
    assert "3 more in the report" in said
    assert said.count("rare: ") == 1
    assert "CE sym" not in said


@pytest.mark.parametrize("colour", [None, "truecolor"])
def test_log_text_is_neither_markup_nor_control(colour):
    said = printed(samples.hostile(), 200, color_system=colour, force_terminal=colour is not None)
    plain = re.sub(r"\x1b\[[\d;]*m", "", said)
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]", plain
    )
    assert "[bold red]markup[/bold red] [/]" in flat(plain)
    assert r"\x1b[31;1mred\x1b[0m \x1b]0;owned\x07" in flat(plain)
    assert r"admin\u202egnp.exe" in plain


def test_mask_tokens_and_levels_are_coloured_on_a_terminal_only():
    on_terminal = printed(samples.bgl(), color_system="standard", force_terminal=True, no_color=False)
    assert "\x1b[36m[NUM]\x1b[0m" in on_terminal
    assert "\x1b[1;35mFATAL\x1b[0m" in on_terminal
    assert "\x1b" not in printed(samples.bgl())


def run(environment: dict[str, str]) -> str:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import report_samples as samples\n"
        "from rich.console import Console\n"
        "from biglog.terminal import print_summary\n"
        "print_summary(samples.hostile(), Console())\n"
        "print_summary(samples.bgl(), Console())\n"
    )
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, check=True, env={**kept, **environment})
    assert done.stderr == b""
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


def test_in_a_pipe_it_is_plain_text():
    said = run({"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"})
    assert "\x1b" not in said
    assert "█" in said


def test_without_unicode_nothing_is_lost():
    said = run({"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert said.isascii()
    assert "@" in said
    assert "data TLB error interrupt" in said


def test_no_color_keeps_the_words():
    coloured = {"color_system": "standard", "force_terminal": True}
    bare = printed(samples.bgl(), no_color=True, **coloured)
    assert not re.search(r"\x1b\[[\d;]*3\dm", bare)
    assert re.sub(r"\x1b\[[\d;]*m", "", bare) == printed(samples.bgl())


@pytest.mark.parametrize(
    ("analysis", "there", "absent"),
    [
        (samples.analysis_of([], odd=0), "There are no lines", "Events"),
        (samples.bgl(odd=0), "Nothing odd in 11 lines", "Odd lines"),
        (samples.analysis_of(samples.plain_records(["a b", "c d"])), "without timestamps", "Over time"),
        (samples.analysis_of(samples.openssh_records()), "Their headers carry no levels", "Level "),
        (samples.analysis_of(samples.bgl_records()[:1]), "One line, and it is odd", "burst"),
    ],
)
def test_what_is_lacking_is_left_out(analysis, there, absent):
    said = printed(analysis)
    assert there in said
    assert absent not in said


def test_a_ten_megabyte_line_takes_three_rows():
    said = printed(samples.with_line("word " * 2_097_152))
    assert len(said.splitlines()) < 30
    assert "…" in said


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=300), st.integers(1, 120))
def test_bar_shows_all_that_is_not_zero(counts, columns):
    drawn = bar(counts, columns)
    assert len(drawn) == min(columns, len(counts))
    assert drawn.strip() != "" if any(counts) else drawn.strip() == ""
    if any(counts):
        assert "█" in drawn
