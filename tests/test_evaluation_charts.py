"""Pictures as SVG: well-formed, the same bytes for the same figures, readable on light and dark."""

from __future__ import annotations

import math
import os
import re
import shutil
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright

from biglog.errors import InputError
from biglog.evaluation import charts
from biglog.evaluation.charts import MOST_POINTS, Column, Mark, Panel, Series, curves, scores, ticks

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SVG = "{http://www.w3.org/2000/svg}"

STEPS = list(range(100, 12_000, 100))
PANELS = [
    Panel(
        "Masked tokens",
        "loss, nats a token",
        (
            Series("training", STEPS, [8 / math.sqrt(step / 100) for step in STEPS]),
            Series("held out", STEPS, [9 / math.sqrt(step / 100) for step in STEPS]),
            Series("left out", STEPS, [10 / math.sqrt(step / 100) for step in STEPS]),
        ),
    ),
    Panel("Held-out accuracy", "share", (Series("held out", [500, 11_500], [0.1, 0.7]),)),
    Panel("Held-out text", "bits per byte", (Series("held out", [500, 11_500], [2.0, 0.9]),)),
    Panel("Identity", "nats", (Series("one", [11_500], [0.0]),)),
]
SYSTEMS = ["biglog-mini", "exact lookup", "masked word TF-IDF + SVD", "hashed character n-grams"]
COLUMNS = [
    Column("Events\n1-shot", {name: Mark(0.9 + i / 40, 0.88, 1.02) for i, name in enumerate(SYSTEMS)}),
    Column("New alerts\nav. precision", {name: Mark(1.0) for name in SYSTEMS}),
    Column("Severity\nby statements", {"biglog-mini": Mark(0.5, 0.4, 0.6)}),
    *(Column(f"More\nnumber {i}", {name: Mark(0.0) for name in SYSTEMS}) for i in range(4)),
]
PICTURES = {
    "curves": curves(PANELS, title="Training of <biglog> & co"),
    "scores": scores(COLUMNS, SYSTEMS, own="biglog-mini", title="Scores"),
}


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    found = [line.get("points", "").split() for line in ET.fromstring(svg).iter(f"{SVG}polyline")]
    return [[(float(x), float(y)) for x, y in zip(p[::2], p[1::2], strict=True)] for p in found]


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_pictures_are_well_formed_and_the_same_every_time() -> None:
    assert ET.fromstring(PICTURES["curves"]).get("aria-label") == "Training of <biglog> & co"
    assert curves(PANELS, title="Training of <biglog> & co") == PICTURES["curves"]
    assert scores(COLUMNS, SYSTEMS, own="biglog-mini", title="Scores") == PICTURES["scores"]
    for svg in PICTURES.values():
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")  # asks for nothing
        assert len(svg.encode()) < 20_000


def test_curves_keep_their_points_in_order_and_place() -> None:
    drawn = polylines(curves([Panel("a", "b", (Series("c", [0, 50, 100], [1, 0, 2]),))], title="t"))
    ((first, second, third),) = drawn
    assert first[0] < second[0] < third[0]
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.2)
    assert third[1] < first[1] < second[1]  # downwards on the page
    assert second[1] - first[1] == pytest.approx(first[1] - third[1], abs=0.2)


def test_long_curves_are_thinned_to_means_of_neighbours() -> None:
    values = [float(i % 2) for i in range(10 * MOST_POINTS)]
    (points,) = polylines(curves([Panel("a", "b", (Series("c", range(len(values)), values),))], title="t"))
    assert len(points) == MOST_POINTS
    assert len({y for _, y in points}) == 1  # every ten neighbours have the same mean


def test_what_is_no_number_is_left_out_and_nothing_is_an_error() -> None:
    broken = Series("b", [1, 2, 3], [1.0, math.nan, math.inf])
    assert [len(line) for line in polylines(curves([Panel("a", "u", (broken,))], title="t"))] == [1]
    empty = Panel("a", "u", (Series("b", [1], [math.nan]), Series("c", [], [])))
    assert "Held-out accuracy" in curves([empty, PANELS[1]], title="t")
    with pytest.raises(InputError, match="no point"):
        curves([empty], title="t")
    with pytest.raises(InputError, match="no score"):
        scores([Column("a", {"x": Mark(1.0)})], ["y"], own="y", title="t")


def test_the_largest_score_of_each_column_is_bold_and_ours_stands_out() -> None:
    svg = ET.fromstring(PICTURES["scores"])
    texts = {text.text: text.get("class") for text in svg.iter(f"{SVG}text")}
    assert texts["0.975"] == "end strong"
    assert texts["0.900"] == "end"
    assert texts["biglog-mini"] == "strong"
    assert len([one for one in svg.iter(f"{SVG}circle") if one.get("class") == "mine"]) == len(COLUMNS)


@given(
    low=st.floats(-1e3, 1e3, allow_nan=False),
    span=st.one_of(st.just(0.0), st.floats(1e-3, 1e6)),
    most=st.integers(1, 9),
)
@example(low=5e-324, span=0.0, most=2)
def test_ticks_enclose_their_range_evenly_and_are_few(low: float, span: float, most: int) -> None:
    high = low + span
    found = ticks(low, high, most)
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    gaps = [b - a for a, b in pairwise(found)]
    assert max(gaps) - min(gaps) <= slack
    assert 1 <= len(gaps) <= most + 2


@pytest.mark.parametrize("palette", [charts._LIGHT, charts._DARK])
def test_colours_stand_out_on_light_and_on_dark(palette: dict[str, str]) -> None:
    for name in ("ink", "dim"):
        assert contrast(palette[name], palette["paper"]) >= 4.5
        assert contrast(palette[name], palette["own"]) >= 4.5
    for i in range(4):
        assert contrast(palette[f"s{i}"], palette["paper"]) >= 3


@pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="needs Debian's chromium")
def test_words_stay_in_the_frame_and_off_each_other() -> None:
    boxes_of = """() => [...document.querySelectorAll("text")].map((t) => {
      const b = t.getBoundingClientRect(); return [t.textContent, b.left, b.top, b.right, b.bottom]; })"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        for svg in PICTURES.values():
            page.set_content(f'<body style="margin:0">{svg}</body>')
            height = float(re.search(r'height="([\d.]+)"', svg)[1])  # type: ignore[index]
            boxes = page.evaluate(boxes_of)
            assert len(boxes) > 20
            for words, left, top, right, bottom in boxes:
                assert left >= 0, words
                assert top >= 0, words
                assert right <= charts.WIDTH, words
                assert bottom <= height, words
            for i, (words, left, top, right, bottom) in enumerate(boxes):
                for others, left2, top2, right2, bottom2 in boxes[i + 1 :]:
                    apart = right <= left2 or right2 <= left or bottom <= top2 + 2 or bottom2 <= top + 2
                    assert apart, (words, others)
        browser.close()
