"""The leaderboard's page in a browser: sorts, filters, fits, contrasts, asks for nothing, is inert."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from leaderboard_samples import HOSTILE, models, write_models
from playwright.sync_api import Browser, expect, sync_playwright
from test_report_browser import CHROMIUM, CONTRAST, FLAGS, WIDE, Visit

from biglog.evaluation.leaderboard import Entry, collect, tables
from biglog.leaderboard_page import render_page, write_page

FOUND = tables([Entry(one) for one in models()])
BGL, HDFS = (
    next(f"#{table.slug}" for table in FOUND if table.task == task)
    for task in ("anomaly/bgl-windows-20", "parsing/hdfs")
)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaderboard")
    write_page(collect([write_models(folder / "results")]), folder / "index.html")
    return folder / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM or "/usr/bin/chromium", args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(chromium: Browser, page_file: Path):
    return lambda *args, **options: Visit(chromium, page_file, *args, **options)


def names(v: Visit, board: str) -> list[str]:
    return v.page.locator(f"{board} tbody tr:visible .name").all_inner_texts()


def test_asks_for_nothing_complains_of_nothing_and_fits(visit) -> None:
    with visit() as v:
        v.page.locator("footer summary").click()
        for width in (1280, 700, 390):
            v.page.set_viewport_size({"width": width, "height": 900})
            assert v.page.evaluate("document.documentElement.scrollWidth") <= width
            assert v.page.evaluate(WIDE) == []
        assert v.complaints == []
        assert [url for url in v.requests if not url.startswith("data:")] == [v.own]
        assert v.page.evaluate("window.owned") is None
        assert v.page.locator("main img, main script").count() == 0
        assert HOSTILE in v.page.locator(BGL).inner_text().replace("\n", " ")


def test_contrast_is_enough(visit) -> None:
    for width in (1280, 390):
        with visit(width) as v:
            for scheme in ("light", "dark"):
                v.page.emulate_media(color_scheme=scheme)
                measured = v.page.evaluate(CONTRAST)
                assert measured["seen"] > 100
                assert measured["failing"] == []


def test_sorting_by_click_and_by_keyboard(visit) -> None:
    with visit() as v:
        ranked = names(v, HDFS)
        assert ranked == ["biglog-base", "biglog-mini", "drain3", "counts of events"]
        head = v.page.locator(f"{HDFS} th:has([data-key=m0])")
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert v.page.locator(f"{HDFS} th.c-rank").get_attribute("aria-sort") == "none"
        head.locator("button").focus()
        v.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert names(v, HDFS) == ranked[::-1]
        v.page.keyboard.press("Space")
        assert names(v, HDFS) == ranked
        v.page.locator(f"{HDFS} [data-key=model]").click()
        assert names(v, HDFS) == sorted(ranked)


def test_what_is_missing_goes_last_either_way(visit) -> None:
    with visit() as v:
        button = v.page.locator(f"{BGL} [data-key=m1]")
        for _ in range(2):
            button.click()
            assert names(v, BGL)[-1] == HOSTILE
        v.page.locator(f"{BGL} [data-key=rank]").click()
        assert names(v, BGL)[0] == "biglog-mini"


def test_filters_leave_what_has_all_of_it(visit) -> None:
    with visit() as v:
        total = v.page.locator("tbody tr").count()
        expect(v.page.locator("#status")).to_have_text(f"{total} of {total} rows, in 6 of 6 tables")
        v.page.select_option("[data-filter=truth]", "logparser-corrected")
        expect(v.page.locator("#status")).to_have_text(f"1 of {total} rows, in 1 of 6 tables")
        v.page.select_option("[data-filter=exposure]", "none")
        expect(v.page.locator("#no-match")).to_be_visible()
        v.page.click("#clear")
        expect(v.page.locator("#status")).to_have_text(f"{total} of {total} rows, in 6 of 6 tables")
        v.page.select_option("[data-filter=kind]", "baseline")
        shown = set(v.page.locator("tbody tr:visible .name").all_inner_texts())
        assert shown == {"counts of events", "TF-IDF + isolation forest"}
        v.page.select_option("[data-filter=protocol]", "supervised")
        v.page.select_option("[data-filter=task]", "anomaly/bgl-windows-20")
        v.page.fill("#search", "EVENTS counts")
        assert v.page.locator("tbody tr:visible .name").all_inner_texts() == ["counts of events"]
        # Ranks stay those of the whole table.
        assert v.page.locator("tbody tr:visible .c-rank").inner_text() == "2"


def test_a_link_finds_a_table_that_is_filtered_away(visit) -> None:
    with visit() as v:
        v.page.fill("#search", "no such model")
        v.page.locator(f".glance a[href='{HDFS}']").click()
        expect(v.page.locator(HDFS)).to_be_in_viewport()
        assert v.page.input_value("#search") == ""


def test_badges_marks_and_deviations_are_shown(visit) -> None:
    with visit() as v:
        rows = v.page.locator(f"{BGL} tbody tr")
        assert "domain left out" in rows.nth(0).inner_text()
        assert "0.941 ± 0.004" in rows.nth(0).inner_text()
        assert rows.nth(0).locator(".c-figure.main b").inner_text() == "0.941"
        assert "≈ 1" in rows.nth(1).inner_text()
        assert "no difference from rank 1" in (rows.nth(1).locator(".c-rank").get_attribute("title") or "")
        assert "domain seen" in rows.nth(1).inner_text()
        assert rows.nth(3).locator(".badge.base").inner_text() == "baseline"
        assert "a checksum differs" in rows.nth(4).inner_text()
        glance = v.page.locator(".glance li").first
        assert glance.locator(".dot").count() == 2
        # Fewer false alarms are better: the better one lies to the right.
        alarms = v.page.locator(".glance li", has_text="failure/bgl-in-time")
        left = [dot.evaluate("(e) => e.getBoundingClientRect().left") for dot in alarms.locator(".dot").all()]
        assert left[0] > left[1]


def test_without_scripts_every_row_is_there_in_order(visit) -> None:
    with visit(java_script_enabled=False) as v:
        assert names(v, HDFS) == ["biglog-base", "biglog-mini", "drain3", "counts of events"]
        assert v.page.locator("#filters").is_hidden()


def test_every_control_has_a_name_and_is_reached_by_tab(visit) -> None:
    with visit() as v:
        unnamed = v.page.evaluate(
            "[...document.querySelectorAll('main button, main a, main select, main input')]"
            ".filter((e) => !(e.innerText || e.getAttribute('aria-label') || e.labels?.length))"
            ".map((e) => e.outerHTML)"
        )
        assert unnamed == []
        v.page.locator("#search").focus()
        for _ in range(6):
            v.page.keyboard.press("Tab")
        assert v.page.evaluate("document.activeElement.id") == "clear"


def test_equal_results_are_equal_pages_and_an_empty_one_says_so(page_file: Path) -> None:
    entries = collect([page_file.parent / "results"])
    assert render_page(entries, page_file.parent) == render_page(entries, page_file.parent)
    assert "No result has a task yet" in render_page([], page_file.parent)
