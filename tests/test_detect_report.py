"""The report of `biglog detect` in a browser: asks for nothing, runs nothing of the log, fits, contrasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from checkpoints import tiny_encoder
from detect_samples import log
from playwright.sync_api import Browser, expect, sync_playwright
from test_report_browser import CHROMIUM, CONTRAST, FLAGS, PLOTLY, WIDE, Visit

from biglog import AnomalyDetector
from biglog.detect_report import MOST_POINTS, figure, render_report, write_report
from biglog.errors import OutputError
from biglog.inference.detection.files import Detection, detect_files
from biglog.inference.detection.groups import Grouping

HOSTILE = (
    "081109 {second} 1 WARN x: <script>window.owned=1</script><img src=x onerror=alert(1)> failed "
    "\x1b[31m\u202e {block}\n"
)
SESSIONS = Grouping.of(session="HDFS")


def found(path: Path, text: str, grouping: Grouping = SESSIONS) -> Detection:
    path.write_text(text)
    return detect_files(path, AnomalyDetector(tiny_encoder(), "knn"), grouping)


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Detection]:
    folder = tmp_path_factory.mktemp("logs")
    hostile = "".join(HOSTILE.format(second=f"0008{n:02}", block=f"blk_-{38_865_049 + n}") for n in (70, 72))
    plain = [f"the tube number {n} took {3 * n} ms" for n in range(60)] + [
        "kernel panic: <b>out of memory</b>"
    ]
    return {
        "sessions": found(folder / "HDFS.log", log(80, (55, 60, 70))),
        "hostile": found(folder / "<b>&.log", log(80) + hostile),
        "plain": found(folder / "plain.log", "\n".join(plain), Grouping.of(window_lines=5)),
        "calm": found(folder / "calm.log", log(40)),
    }


@pytest.fixture(scope="module")
def pages(detections, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each report by its name, and as `<name>-table` without plotly.js, which takes a second to start."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {}
    for name, done in detections.items():
        paths[name], paths[f"{name}-table"] = folder / f"{name}.html", folder / f"{name}-table.html"
        write_report(done, paths[name])
        html = paths[name].read_text(encoding="utf-8")
        paths[f"{name}-table"].write_text(PLOTLY.sub("", html), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM or "/usr/bin/chromium", args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(chromium: Browser, pages: dict[str, Path]):
    return lambda name, *args, **options: Visit(chromium, pages[name], *args, **options)


@pytest.mark.parametrize("name", ["sessions-table", "hostile", "plain", "calm-table"])
def test_asks_for_nothing_complains_of_nothing_and_fits(visit, name: str) -> None:
    with visit(name) as v:
        for part in v.page.query_selector_all("summary"):
            part.click()
        for width in (1280, 400):
            v.page.set_viewport_size({"width": width, "height": 900})
            assert v.page.evaluate("document.documentElement.scrollWidth") <= width
            assert v.page.evaluate(WIDE) == []
        assert v.complaints == []
        assert [url for url in v.requests if not url.startswith(("data:", "blob:"))] == [v.own]


def test_contrast_is_enough(visit) -> None:
    with visit("sessions-table") as v:
        v.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for scheme in ("light", "dark"):
            v.page.emulate_media(color_scheme=scheme)
            measured = v.page.evaluate(CONTRAST)
            assert measured["seen"] > 40
            assert measured["failing"] == []


def test_an_alert_is_shown_in_context(visit, detections) -> None:
    with visit("sessions-table") as v:
        alert = detections["sessions"].alerts[0]
        shown = v.page.locator("#alert-1")
        assert shown.locator(".line code").first.text_content() == alert.shown[0].line
        assert f"{alert.anomaly_score:.3f}" in shown.locator(".score").inner_text()
        assert alert.alert_id in shown.locator(".meta").inner_text()
        assert "3 times" in shown.locator(".meta").inner_text()
        context = shown.locator("details").first.locator("li")
        assert context.locator("code").all_inner_texts() == [line.line for line in alert.context]
        assert shown.locator(".context .this code").all_inner_texts() == [alert.shown[0].line]
        assert alert.reasons[0] in shown.locator(".reasons").inner_text()


def test_scores_are_drawn_and_a_mark_leads_to_its_alert(visit, detections) -> None:
    with visit("sessions") as v:
        scores, threshold, alerts = (v.page.locator("#plot .scatterlayer .trace").nth(n) for n in range(3))
        assert scores.locator("path.point").count() == detections["sessions"].groups - 3
        assert threshold.locator("path.js-line").count() == 1
        assert alerts.locator("path.point").count() == 3
        alerts.locator("path.point").nth(1).hover(force=True)
        expect(v.page.locator("#plot .hoverlayer")).to_contain_text("alert 1, score")
        v.page.mouse.down()
        v.page.mouse.up()
        expect(v.page.locator("#alert-1")).to_be_in_viewport()
        light = scores.locator("path.point").first.evaluate("(e) => getComputedStyle(e).fill")
        v.page.emulate_media(color_scheme="dark")
        expect(scores.locator("path.point").first).not_to_have_css("fill", light)


def test_hostile_lines_are_inert(visit) -> None:
    with visit("hostile-table") as v:
        v.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert v.page.evaluate("window.owned") is None
        assert v.page.locator("main script, main img, main b b").count() == 0
        text = v.page.locator("main").inner_text()
        assert "<script>window.owned=1</script>" in text
        assert "\\x1b[31m\\u202e" in text
        assert "<b>&.log" in text
        assert v.complaints == []


def test_without_times_scores_are_in_the_order_of_the_log(visit) -> None:
    with visit("plain") as v:
        assert "no timestamps" in v.page.locator("#scores figcaption").inner_text()
        assert "line of the log" in v.page.locator("#plot").inner_text()
        assert "kernel panic: <b>out of memory</b>" in v.page.locator("#alerts").inner_text()


def test_nothing_odd(visit) -> None:
    with visit("calm-table") as v:
        assert v.page.locator("h1").inner_text().startswith("No alert in 20 sessions")
        assert "No group is above the threshold" in v.page.locator("#alerts").inner_text()


def test_without_scripts_everything_is_there(visit) -> None:
    with visit("sessions", java_script_enabled=False) as v:
        assert v.page.locator("#plot .static path").is_visible()
        assert v.page.locator("#alert-1").is_visible()


def test_many_groups_are_thinned_out_and_keep_their_peaks(tmp_path: Path) -> None:
    lines = [f"the tube number {n} took {3 * n} ms" for n in range(5000)]
    lines[4000] = "kernel panic: out of memory"
    done = found(tmp_path / "many.log", "\n".join(lines), Grouping.of(window_lines=1))
    drawn = figure(done)
    assert done.groups == 2500
    assert len(drawn["data"][0]["x"]) == MOST_POINTS
    normal = done.scores.filter(~pl.col("is_anomaly"))
    assert max(drawn["data"][0]["y"]) == round(normal["anomaly_score"].max(), 4)
    assert drawn["data"][2]["x"] == [4000]


def test_equal_findings_are_equal_pages(detections) -> None:
    assert render_report(detections["calm"]) == render_report(detections["calm"])


def test_it_cannot_be_written(detections, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(detections["calm"], tmp_path / "nowhere" / "report.html")
    assert list(tmp_path.iterdir()) == []
