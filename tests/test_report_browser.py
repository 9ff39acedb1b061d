"""The report in a browser: asks for nothing, runs nothing of the log, fits, contrasts, sorts, filters."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_samples as samples
from playwright.sync_api import Browser, Page, expect, sync_playwright

from biglog.inference.analysis import Analysis
from biglog.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("needs Debian's chromium (apt-get install chromium)", allow_module_level=True)

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

ANALYSES = {
    "bgl": samples.bgl(notes=("1 line held bytes that could not be decoded",)),
    "openssh": samples.analysis_of(samples.openssh_records()),
    "plain": samples.analysis_of(
        samples.plain_records(["Invalid user webmaster", "x" * 5000, "data TLB error"])
    ),
    "one": samples.analysis_of(samples.bgl_records()[:1], odd=1),
    "none-odd": samples.bgl(odd=0),
    "hostile": samples.hostile(),
    "many": samples.many(180),
}

PLOTLY = re.compile(r'<script type="text/plain" id="plotly">[^<]*</script>')

# WCAG 2 contrast of each element's text against the nearest opaque background; returns those below 4.5.
CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const failing = [];
  let seen = 0;
  for (const e of document.querySelectorAll("main *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest("svg, .sr, :disabled")) continue;
    seen += 1;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) failing.push(`${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 40)}`);
  }
  return { seen, failing };
}"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each report by its name, and as `<name>-table` without plotly.js, which takes a second to start."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {}
    for name, analysis in ANALYSES.items():
        paths[name], paths[f"{name}-table"] = folder / f"{name}.html", folder / f"{name}-table.html"
        write_report(analysis, paths[name])
        html = paths[name].read_text(encoding="utf-8")
        paths[f"{name}-table"].write_text(PLOTLY.sub("", html), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM or "/usr/bin/chromium", args=FLAGS)
        yield launched
        launched.close()


class Visit:
    """A page in a context of its own, with what went wrong and what was asked for."""

    def __init__(
        self, browser: Browser, path: Path, width: int = 1280, scheme: str = "light", **options
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", **options
        )
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        if self.page.query_selector("#plotly, #plot.drawn") and options.get("java_script_enabled", True):
            self.page.wait_for_selector("#plot.drawn svg.main-svg")
        self.own = path.as_uri()

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()


@pytest.fixture
def visit(browser: Browser, reports: dict[str, Path]):
    return lambda name, *args, **options: Visit(browser, reports[name], *args, **options)


def templates(page: Page) -> list[str]:
    return page.locator("#event-table tr.row .c-template code").all_inner_texts()


WIDE = """() => [...document.querySelectorAll("main *")].filter(
  (e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .sr, svg, #plot")
).map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)"""


WITHOUT_PLOTLY = [f"{name}-table" for name in ("openssh", "one", "none-odd", "many")]


@pytest.mark.parametrize("name", ["bgl", "plain", "hostile", *WITHOUT_PLOTLY])
def test_asks_for_nothing_complains_of_nothing_and_fits(visit, name):
    with visit(name) as v:
        for part in v.page.query_selector_all("summary, button.open")[:40]:
            part.click()
        for width in (1280, 400):
            v.page.set_viewport_size({"width": width, "height": 900})
            assert v.page.evaluate("document.documentElement.scrollWidth") <= width
            assert v.page.evaluate(WIDE) == []
        assert v.complaints == []
        assert [url for url in v.requests if not url.startswith(("data:", "blob:"))] == [v.own]
        assert v.page.evaluate("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("name", ["bgl-table", "hostile-table"])
def test_contrast_is_enough(visit, name):
    with visit(name) as v:
        for part in v.page.query_selector_all("summary, button.open"):
            part.click()
        for scheme, paper in (("light", "rgb(252, 252, 250)"), ("dark", "rgb(18, 20, 24)")):
            v.page.emulate_media(color_scheme=scheme)
            assert v.page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
            found = v.page.evaluate(CONTRAST)
            assert found["seen"] > 80
            assert found["failing"] == []


def test_timeline_is_drawn_in_the_colours_of_the_scheme_and_follows_the_width(visit):
    with visit("bgl") as v:
        bars = v.page.locator("#plot .bars path")
        assert bars.count() >= 5
        assert v.page.locator("#plot .static").count() == 0
        expect(bars.first).to_have_css("fill", "rgb(125, 25, 80)")
        v.page.emulate_media(color_scheme="dark")
        expect(bars.first).to_have_css("fill", "rgb(255, 196, 223)")
        drawing = v.page.locator("#plot .main-svg").first
        assert drawing.bounding_box()["width"] > 1000
        v.page.set_viewport_size({"width": 400, "height": 900})
        expect(drawing).to_have_css("width", "368px")
        assert v.complaints == []


def test_a_mark_in_the_timeline_leads_to_its_line(visit):
    with visit("bgl") as v:
        v.page.locator("#plot .scatterlayer .trace").first.locator("path.point").nth(1).hover(force=True)
        expect(v.page.locator("#plot .hoverlayer")).to_contain_text("odd line 2, score")
        v.page.mouse.down()
        v.page.mouse.up()
        expect(v.page.locator("#odd-2")).to_be_in_viewport()
        assert v.page.url.endswith("#odd-2")


def test_without_timestamps_there_is_no_plot_and_that_is_said(visit):
    with visit("plain") as v:
        assert v.page.locator("#plot").count() == 0
        assert "no timestamps" in v.page.locator("#timeline").inner_text()
        assert "Level" not in v.page.locator("#event-table thead").inner_text()


def test_hostile_lines_are_inert(visit):
    with visit("hostile") as v:
        v.page.locator("summary").first.click()
        v.page.locator("button.open").first.click()
        v.page.locator("#plot .main-svg").first.hover()
        assert v.page.evaluate("window.owned") is None
        assert v.page.title().startswith("8 odd lines in 8 · ")
        assert v.page.locator("main img, main link, main script, main iframe").count() == 0
        assert v.page.locator("details[open]").count() == 1
        assert samples.HOSTILE[0] in v.page.locator("ol.odds").inner_text()


def test_a_script_that_got_through_would_not_run(visit):
    add = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned = 1'}))"
    with visit("plain") as v:
        v.page.evaluate(add)
        assert v.page.evaluate("window.owned") is None
        assert "Content Security Policy" in v.complaints[0]


def test_context_opens_around_its_line(visit):
    with visit("bgl-table") as v:
        odd = v.page.locator("#odd-1")
        assert not odd.locator(".context").is_visible()
        odd.locator("summary").focus()
        v.page.keyboard.press("Enter")
        numbers = odd.locator(".context .number").all_inner_texts()
        assert numbers == ["9", "10", "11"]
        assert odd.locator(".context .this code").inner_text() == samples.BGL[10]


def test_sorting_by_keyboard(visit):
    with visit("bgl-table") as v:
        head = v.page.locator("th:has([data-key=template])")
        assert v.page.locator("th.c-count").get_attribute("aria-sort") == "descending"
        head.locator("button").focus()
        v.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert v.page.locator("th.c-count").get_attribute("aria-sort") == "none"
        assert templates(v.page) == sorted(templates(v.page), key=str.lower)
        v.page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        assert templates(v.page) == sorted(templates(v.page), key=str.lower, reverse=True)


@pytest.mark.parametrize(
    ("key", "of"),
    [
        ("count", lambda e: e.count),
        ("score", lambda e: e.anomaly_score),
        ("first", lambda e: e.first_seen),
        ("last", lambda e: e.last_seen),
    ],
)
def test_sorting_by_number_and_time(visit, key, of):
    analysis: Analysis = ANALYSES["bgl"]
    with visit("bgl-table") as v:
        button = v.page.locator(f"[data-key={key}]")
        button.click()
        if v.page.locator(f"th:has([data-key={key}])").get_attribute("aria-sort") == "descending":
            button.click()
        byid = {f"event-{i}": event for i, event in enumerate(analysis.events, 1)}
        shown = [byid[body.get_attribute("id")] for body in v.page.locator("#event-table > tbody").all()]
        assert [of(event) for event in shown] == sorted(of(event) for event in shown)


def test_filter_and_level(visit):
    with visit("bgl-table") as v:
        v.page.fill("#filter", "ERROR tlb")
        assert templates(v.page) == ["data TLB error interrupt"]
        assert v.page.locator("#status").inner_text() == "1 of 6 events"
        v.page.fill("#filter", "no such words")
        assert v.page.locator("#no-match").is_visible()
        v.page.fill("#filter", "")
        v.page.select_option("#level-filter", "INFO")
        assert v.page.locator("tr.row .level").all_inner_texts() == ["INFO"] * 3


def test_pages_reach_every_event(visit):
    with visit("many-table") as v:
        seen: set[str] = set()
        for _ in range(4):
            seen |= set(templates(v.page))
            v.page.click("#next", force=True)
        assert len(seen) == 186
        assert v.page.locator("#next").is_disabled()
        assert v.page.locator("#status").inner_text() == "151–186 of 186 events"
        v.page.click("#all")
        assert len(templates(v.page)) == 186
        v.page.fill("#filter", "unit-zz")
        assert v.page.locator("#pager").is_hidden()


def test_a_link_to_an_event_finds_it_on_its_page_and_through_a_filter(visit):
    with visit("many-table") as v:
        v.page.fill("#filter", "no such words")
        v.page.evaluate("location.hash = '#event-170'")
        expect(v.page.locator("#event-170 .detail")).to_be_visible()
        assert v.page.locator("#page").inner_text() == "Page 4 of 4"
        assert v.page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"


def test_details_of_an_event_show_its_parameters(visit):
    with visit("bgl-table") as v:
        row = v.page.locator("#event-table > tbody", has_text="double-hummer")
        button = row.locator("button.open")
        button.focus()
        v.page.keyboard.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        assert "63543" in row.locator(".parameters").inner_text()
        v.page.keyboard.press("Enter")
        assert not row.locator(".detail").is_visible()


def test_without_scripts_everything_is_there(visit):
    with visit("many-table", java_script_enabled=False) as v:
        assert v.page.locator("tr.row:visible").count() == 186
        assert v.page.locator("tr.detail:visible").count() == 186
        assert v.page.locator("#plot .static").is_visible()
        assert v.page.locator("#filter").is_hidden()


def test_on_paper_it_is_light_and_unfolded(visit):
    with visit("bgl-table", 1280, "dark") as v:
        v.page.emulate_media(media="print")
        v.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert v.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert v.page.locator("details:not([open])").count() == 0
        assert v.page.locator("#filter").is_hidden()
