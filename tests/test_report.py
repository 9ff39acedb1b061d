"""The report as a file: what it holds, what it never holds, how it is written, and the same as JSON."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import plotly.graph_objects
import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from biglog import wording
from biglog.errors import OutputError
from biglog.report import SCHEMA, analysis_to_dict, render_report, spark, write_report
from biglog.timeline import figure, level_order, resample, stacked_paths


def text_of(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


def without_plotly(html: str) -> str:
    return re.sub(r'<script type="text/plain" id="plotly">[^<]*</script>', "", html)


def test_says_what_is_in_it_and_what_is_odd():
    html = render_report(samples.bgl(notes=("1 line was damaged",), baseline="yesterday.log"))
    words = text_of(html)
    assert "4 odd lines in 11" in words
    assert "from 2005-06-03 15:42:50 to 2005-06-14 10:31:49" in words
    assert "64 % are marked as errors or worse (7 FATAL)" in words
    assert "1 line was damaged" in words
    assert "baseline yesterday.log" in words
    assert '<mark title="[IP]">172.16.96.116:33569</mark>' in html
    assert '<span class="token">[NUM]</span> double-hummer alignment exceptions' in html
    assert wording.SCORE_NOTE.replace("'", "&#39;") in html


def test_equal_analyses_are_equal_files():
    assert render_report(samples.bgl()) == render_report(samples.bgl())


def test_plotly_is_inside_only_where_there_is_a_timeline():
    with_times, without = (
        render_report(a).encode()
        for a in (samples.bgl(), samples.analysis_of(samples.plain_records(["a b", "c d"])))
    )
    assert 1_500_000 < len(with_times) < 2_300_000
    assert len(without) < 60_000
    assert b"plotly" not in without.split(b"<script>")[0]


def test_every_event_is_in_the_file():
    analysis = samples.many(180)
    html = render_report(analysis)
    assert len(re.findall(r'<tbody id="event-\d+"', html)) == len(analysis.events) == 186


def test_hostile_text_is_only_text():
    html = without_plotly(render_report(samples.hostile()))
    assert re.findall(r"<script[^>]*>", html) == ['<script type="application/json" id="figure">', "<script>"]
    assert html.count("</script") == 2
    assert "<img" not in html
    assert "{{ 7*7 }}" in html
    for char in (
        "\x00",
        "\x07",
        "\x1b",
        "\x08",
        "\x9b",
        "\u202e",
        "\u200b",
        "\u2066",
        "\ufeff",
        "\u2028",
        "\udc80",
    ):
        assert char not in html
    assert r'<span class="escape">\x1b</span>[31;1mred' in html
    assert r'admin<span class="escape">\u202e</span>gnp.exe' in html
    html.encode()  # a lone surrogate would raise


def test_a_ten_megabyte_line_is_cut_and_its_length_said():
    html = render_report(samples.with_line("word " * 2_097_152))
    assert len(html) < 80_000
    assert "the whole is 10,485,760 characters" in html


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        (samples.analysis_of(samples.plain_records(["one lonely line"]), odd=1), "One line, and it is odd"),
        (samples.bgl(odd=0), "Nothing odd in 11 lines"),
        (samples.analysis_of([], odd=0), "There are no lines"),
        (samples.analysis_of(samples.plain_records(["a b", "c d"])), "so there is no timeline"),
        (
            samples.analysis_of(samples.bgl_records()[:1]),
            "from 2005-06-03 15:42:50: there is no course of time",
        ),
        (samples.analysis_of(samples.openssh_records()), "Their headers carry no levels"),
    ],
)
def test_what_is_lacking_is_said(analysis, words):
    html = render_report(analysis)
    assert words in text_of(html)
    if not any(event.level for event in analysis.events):
        assert 'data-key="level"' not in html
    if not analysis.bins:
        assert 'data-key="first"' not in html
    assert ('id="plotly"' in html) == (analysis.start != analysis.end)


def test_a_report_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(samples.bgl(), path)
    assert path.read_text(encoding="utf-8") == render_report(samples.bgl())
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_report_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "report.html"
    link.symlink_to(tmp_path / "real" / "report.html")
    write_report(samples.bgl(), link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "report.html").stat().st_size > 1_000_000


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path):
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "missing" / "report.html", tmp_path / "taken"):
        with pytest.raises(OutputError, match=re.escape(str(path))):
            write_report(samples.bgl(), path)
    assert [p.name for p in tmp_path.rglob("*")] == ["taken"]


def test_no_permission_is_said(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    user = os.geteuid()
    render_report(samples.bgl())
    try:
        if user == 0:  # root may write anywhere
            os.seteuid(65534)
        with pytest.raises(OutputError, match="Permission denied"):
            write_report(samples.bgl(), folder / "report.html")
    finally:
        os.seteuid(user)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_device_is_said():
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        write_report(samples.bgl(), Path("/dev/full"))


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path):
    (tmp_path / "report.html").write_text("the report of yesterday")
    code = (
        "import resource, pathlib, sys; sys.path.insert(0, sys.argv[2])\n"
        "import report_samples as samples\n"
        "from biglog.report import write_report\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "write_report(samples.bgl(), pathlib.Path(sys.argv[1]))\n"
    )
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-c", code, str(tmp_path / "report.html"), tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "biglog.errors.OutputError" in done.stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "the report of yesterday"


def test_json_is_the_whole_analysis_in_json_types():
    analysis = samples.bgl()
    event = dataclasses.replace(analysis.events[0], anomaly_score=float("nan"), severity=float("inf"))
    analysis = dataclasses.replace(analysis, events=(event, *analysis.events[1:]))
    plain = analysis_to_dict(analysis)
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again == plain
    assert list(plain) == ["schema", *(field.name for field in dataclasses.fields(analysis))]
    assert plain["schema"] == SCHEMA == "biglog.analysis/1"
    assert again["events"][0]["anomaly_score"] is again["events"][0]["severity"] is None
    assert again["start"] == "2005-06-03T15:42:50.675872+00:00"
    assert datetime.fromisoformat(again["bins"][0]) == analysis.bins[0]
    assert again["odd_lines"][0]["line"] in samples.BGL


def test_figure_is_one_that_plotly_accepts():
    analysis = samples.bgl()
    drawn = figure(analysis)
    assert drawn is not None
    checked = plotly.graph_objects.Figure(drawn)
    assert [trace.type for trace in checked.data] == ["bar", "bar", "scatter", "scatter"]
    bars = [trace for trace in drawn["data"] if trace["type"] == "bar"]
    assert sum(sum(trace["y"]) for trace in bars) == analysis.lines
    assert [trace["name"] for trace in bars] == ["FATAL", "INFO"]  # the most severe stands on the axis
    assert drawn["data"][2]["customdata"] == [1, 2, 3, 4]
    assert drawn["data"][3]["x"] == ["2005-06-11 19:48:43.752466", "2005-06-11 19:57:07.898567", None]


def test_a_time_far_from_all_others_is_marked_at_the_edge():
    analysis = samples.bgl()
    far = dataclasses.replace(analysis.odd_lines[0], timestamp=datetime(2038, 1, 19, tzinfo=UTC))
    drawn = figure(dataclasses.replace(analysis, odd_lines=(far,)))
    assert drawn is not None
    assert drawn["data"][2]["x"] == [drawn["layout"]["xaxis"]["range"][1]]


def test_labels_of_the_figure_hold_no_tag_of_the_log():
    drawn = figure(samples.hostile())
    for trace in drawn["data"]:
        for label in (trace["name"], *trace.get("hovertext", ())):
            assert set(re.findall(r"<[^>]*>", label)) <= {"<br>"}


@given(st.lists(st.integers(0, 10**9), max_size=500), st.integers(1, 80))
def test_resampling_keeps_the_sum(counts, columns):
    shown = resample(counts, columns)
    assert sum(shown) == sum(counts)
    assert len(shown) == min(len(counts), columns)


def test_sparkline_draws_every_column_that_has_lines_and_tells_the_burst_apart():
    analysis = samples.bgl()
    event = next(event for event in analysis.events if event.burst)
    rest, burst = spark(event, analysis)
    assert rest == ""
    assert burst == "M17.5 20v-20"
    spread = dataclasses.replace(event, timeline=(1, *[0] * 22, 1000), burst=None)
    assert spark(spread, analysis) == ("M0.5 20v-2M23.5 20v-20", "")


def test_static_timeline_reaches_the_top_and_leaves_out_empty_columns():
    (fatal, _, path), (info, _, lines) = stacked_paths(samples.bgl())
    assert (fatal, info) == ("fatal", "info")
    tops = [float(y) for y in re.findall(r"M\S+ (\S+?)h", path + lines)]
    assert min(tops) == 0
    assert len(tops) == 4
    assert stacked_paths(samples.analysis_of(samples.plain_records(["a"]))) == []


def test_levels_of_one_severity_share_its_colour_in_other_strengths():
    order = level_order(["INFO", "", "SEVERE", "ERROR", "FATAL", "odd-level", "warn", "W"])
    assert [name for name, _, _ in order] == [
        "FATAL",
        "ERROR",
        "SEVERE",
        "W",
        "warn",
        "INFO",
        "",
        "odd-level",
    ]
    assert len({(severity, strength) for _, severity, strength in order}) == len(order)


@given(st.text())
def test_nothing_invisible_is_shown(text):
    shown = wording.visible(text)
    assert not any(wording.is_invisible(char) for char in shown)
    assert wording.visible(shown) == shown
    pieces = wording.text_pieces(text, limit=10**6)
    assert not any(wording.is_invisible(c) and c != "\t" for piece in pieces for c in piece.text)
    kept = "".join(c for c in text if not wording.is_invisible(c) or c == "\t")
    assert "".join(piece.text for piece in pieces if piece.kind != "escape") == kept


@pytest.mark.parametrize("record", [*samples.bgl_records(), *samples.openssh_records()])
def test_pieces_of_a_line_are_the_line(record):
    analysis = samples.analysis_of([record], odd=1)
    odd = analysis.odd_lines[0]
    pieces = wording.line_pieces(odd)
    assert "".join(piece.text for piece in pieces) == odd.line
    marked = [(piece.text, piece.title) for piece in pieces if piece.kind == "value"]
    assert marked == [(odd.content[a:b], token) for a, b, token in odd.spans]
    template = wording.template_pieces(analysis.events[0].template)
    assert [piece.text for piece in template if piece.kind == "token"] == [token for _, _, token in odd.spans]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.8, "0.8 s"),
        (59, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (14940, "4 h 9 min"),
        (86400, "1 day"),
        (90000, "1 day 1 h"),
        (18_500_000, "214 days"),
    ],
)
def test_durations(seconds, words):
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.052, "5.2 %"),
        (0.36, "36 %"),
        (0.9996, "> 99.9 %"),
        (0.995, "99.5 %"),
        (1, "100 %"),
    ],
)
def test_percentages_are_never_a_wrong_none_or_all(share, words):
    assert wording.percent(share) == words


def test_bytes_and_times():
    assert [wording.size(n) for n in (0, 999, 1000, 316_968, 2_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "317 kB",
        "2.0 GB",
    ]
    assert wording.moment(datetime(2005, 6, 3, 15, 42, 50, 675872, tzinfo=UTC)) == "2005-06-03 15:42:50"
