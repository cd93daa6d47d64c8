import contextlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import axe_core_python  # type: ignore[import-untyped]
import pytest
from selenium.webdriver.common.keys import Keys

from proxy.callers.record import Record
from proxy.callers.render.assets import POLICY
from tests.callers.render.browser import Browser, browser
from tests.callers.render.sample_page import forty, hostile, many, page, read, usual
from tests.callers.render.screenshots import take
from tests.callers.sample import beats
from tests.support.waiting import until

AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
WIDTHS = [1280, 375]
SCHEMES: dict[Literal["light", "dark"], range] = {"light": range(255, 256), "dark": range(64)}
"""How bright the background is."""

A4 = 718
"""Pixels that a browser has on that paper, between its usual margins."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The URLs of a page on usual callers, one on hostile ones, and one on forty."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"usual": page(folder, usual()), "hostile": page(folder, hostile()), "forty": forty(folder)}
    return {name: saved(folder / f"{name}.html", html) for name, html in made.items()}


@pytest.fixture(scope="module")
def forty_page(pages: dict[str, str]) -> str:
    return pages["forty"]


def saved(path: Path, html: str) -> str:
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


def source(url: str) -> str:
    return Path(url.removeprefix("file://")).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_renders_with_the_newest_end_of_the_chart_in_view(
    chromium: Browser, pages: dict[str, str], width: int
) -> None:
    chromium.show(pages["usual"], width=width)
    assert chromium.run("return document.compatMode") == "CSS1Compat"
    assert chromium.run("return document.querySelector('.answer').innerText") == "Not yet"
    assert chromium.run("return document.querySelectorAll('td.s span').length") == 4
    assert chromium.run("return document.querySelector('.chart').clientWidth") >= 700
    assert chromium.run("return document.querySelector('.chart').clientHeight") > 150
    assert chromium.run("return document.querySelector('.chart .bar').getBoundingClientRect().height") > 1
    box = chromium.run("return document.querySelector('circle.last').getBoundingClientRect()")
    assert 0 < box["left"] < box["right"] < width


def test_forty_callers_take_a_few_screens_of_which_the_first_has_verdict_figures_and_burn_down(
    chromium: Browser, forty_page: str
) -> None:
    chromium.show(forty_page)
    assert chromium.run("return document.documentElement.scrollHeight") < 4 * 900
    bottom = "return document.querySelector('{}').getBoundingClientRect().bottom"
    assert [chromium.run(bottom.format(part)) < 900 for part in (".verdict", ".figures", ".chart")] == [True] * 3


def test_state_and_next_step_are_visible_on_a_phone(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page, width=375)
    for part in ("s", "x", "o"):
        boxes = chromium.run(
            f"return [...document.querySelectorAll('td.{part}')].map(cell => cell.getBoundingClientRect())"
            ".map(box => [box.left, box.right, box.height])"
        )
        assert len(boxes) == 40
        assert all(0 <= left < right <= 375 and height > 10 for left, right, height in boxes)


@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_the_browser_parses_the_page_as_strictly_as_xml(chromium: Browser, pages: dict[str, str], name: str) -> None:
    chromium.show(pages[name], scripts=False)
    strict = [[element.tag, dict(element.items())] for element in read(source(pages[name])).iter()]
    found = chromium.run(
        "return [...document.querySelectorAll('*')].map(element => [element.localName,"
        " Object.fromEntries([...element.attributes].map(one => [one.name, one.value]))])"
    )
    assert found == strict


@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_the_page_requests_nothing_and_logs_nothing(chromium: Browser, pages: dict[str, str], name: str) -> None:
    with served(source(pages[name])) as (url, asked):
        chromium.show(url)
        requested, said = chromium.requests(), chromium.messages()
    assert requested == [url]
    assert asked == ["/page"]
    assert said == []


@contextlib.contextmanager
def served(html: str) -> Iterator[tuple[str, list[str]]]:
    """Serves a page on loopback as the admin listener does: its URL, and the paths that were asked for."""
    content, asked = html.encode(), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/page", asked
        server.shutdown()


OPEN = "document.querySelectorAll('details').forEach(details => { details.open = true; })"
CUT = "[...document.querySelectorAll('.scroll, pre')].filter(box => box.scrollWidth > box.clientWidth)"


@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_the_page_is_never_wider_than_the_window_and_not_cut_off_on_paper(
    chromium: Browser, pages: dict[str, str], name: str
) -> None:
    chromium.show(pages[name], width=A4, scheme="dark", media="print")
    assert chromium.run(f"return {CUT}.map(box => [box.className, box.scrollWidth])") == []
    assert chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    chromium.run(OPEN)
    for width in WIDTHS:
        chromium.view(width=width)
        assert chromium.run("return window.innerWidth") == width
        assert chromium.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert chromium.run(f"return {CUT}.length") > 0  # on a phone, the boxes are scrolled
    assert chromium.run("return document.title") == "Not yet: who still calls the withdrawn API"


CONTRASTS = """
const channels = color => color.match(/[\\d.]+/g).map(Number);
const luminance = color => channels(color).slice(0, 3).map(value => value / 255)
  .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const behind = element => {
  const color = getComputedStyle(element).backgroundColor;
  return channels(color)[3] === 0 ? behind(element.parentElement) : color;
};
const own = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
return [...document.body.querySelectorAll('*')]
  .filter(element => own(element) && element.getClientRects().length && !['title', 'desc'].includes(element.localName))
  .map(element => {
    const style = getComputedStyle(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [low, high] = [luminance(color), luminance(behind(element))].sort((a, b) => a - b);
    return [element.localName + '.' + element.getAttribute('class'), (high + 0.05) / (low + 0.05)];
  });
"""


@pytest.mark.parametrize(
    ("records", "verdict"), [(usual(), "Not yet"), (beats(50), "Safe to remove"), (beats(5), "Cannot tell")]
)
def test_every_text_has_enough_contrast_in_the_light_and_in_the_dark(
    chromium: Browser, tmp_path: Path, records: list[Record], verdict: str
) -> None:
    chromium.show(saved(tmp_path / "page.html", page(tmp_path, records)))
    assert chromium.run("return document.querySelector('.answer').innerText") == verdict
    chromium.run(OPEN)
    wanted = {"p.answer", "text.label", "text.last", "summary.null"}
    if verdict == "Not yet":
        wanted |= {"span.null", "p.warning", "code.null"}
    for scheme, brightness in SCHEMES.items():
        chromium.view(scheme=scheme)
        background = re.findall(r"\d+", chromium.run("return getComputedStyle(document.body).backgroundColor"))
        assert all(int(channel) in brightness for channel in background)
        contrasts = chromium.run(CONTRASTS)
        assert wanted <= {name for name, _ in contrasts}
        assert [(name, contrast) for name, contrast in contrasts if contrast < 4.5] == []  # WCAG 2.2, 1.4.3: level AA


# --- the table


NAMES = "return [...document.querySelectorAll('.callers > tbody:not([hidden]) > tr > th')].map(name => name.innerText)"
STATUS = "return document.querySelector('[role=status]').innerText"


def names(chromium: Browser) -> list[str]:
    shown: list[str] = chromium.run(NAMES)
    return shown


def test_without_script_the_table_is_plain_and_complete(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page, scripts=False)
    assert len(names(chromium)) == 40
    assert not chromium.run("return document.querySelector('.controls').checkVisibility()")
    assert chromium.run("return document.querySelectorAll('.callers thead button').length") == 0
    chromium.click(".callers summary")
    assert chromium.run("return document.querySelector('.panel pre').checkVisibility()")


def test_text_filters_rows_as_it_is_typed(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page)
    chromium.click(".controls input")
    for typed, found in (
        ("nightly-1", ["nightly-17", "nightly-12"]),
        ("NIGHTLY-1 data-platform", ["nightly-17"]),
        ("report-13/1.13", ["report-13"]),  # an agent, in the details
        ("nobody", []),
    ):
        chromium.press(*typed)
        assert names(chromium) == found
        assert chromium.run(STATUS) == f"{len(found)} of 40"
        chromium.press(*[Keys.BACKSPACE] * len(typed))
        assert len(names(chromium)) == 40


def test_owner_and_state_filter_together(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page)
    choices = "return [...document.querySelectorAll('select')].map(one => [...one.options].map(each => each.text))"
    owners, states = chromium.run(choices)
    assert owners == ["all", "without an owner", "data-platform", "finance", "mobile", "team-build", "team-release"]
    assert states == ["all", "active (16)", "quiet (4)", "retired (20)"]
    chromium.click("option[value='-']")
    assert names(chromium) == ["build-00", "build-30", "report-18", "nightly-12", "sync-24", "deploy-36", "deploy-06"]
    chromium.click("option[value='active']")
    assert names(chromium) == ["build-00", "build-30"]


def test_a_click_on_a_title_sorts_and_the_next_one_reverses(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page)
    titles = chromium.run("return [...document.querySelectorAll('.callers > thead th')].map(one => one.innerText)")
    sorts = chromium.run("return [...document.querySelectorAll('.callers > thead button')].map(one => one.innerText)")
    assert set(titles) - set(sorts) == {"trend"}
    for title, first, reverse in (
        ("caller", ["build-00", "build-05"], ["sync-39", "sync-34"]),
        ("calls", ["build-00", "build-20"], ["nightly-37", "sync-19"]),
        ("last seen", ["sync-09", "sync-29"], ["build-00", "build-20"]),
        ("state", ["build-00", "build-20"], ["sync-39", "sync-19"]),
    ):
        chromium.click(".callers > thead button", sorts.index(title))
        assert names(chromium)[:2] == first
        order = "return document.querySelectorAll('.callers > thead [aria-sort]')[0].ariaSort"
        before = chromium.run(order)
        chromium.click(".callers > thead button", sorts.index(title))
        assert {before, chromium.run(order)} == {"ascending", "descending"}
        assert names(chromium)[:2] == reverse


def test_everything_works_by_keyboard(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page)
    chromium.run("document.querySelector('.controls input').focus()")
    chromium.press(*"build-20", Keys.TAB, Keys.TAB)
    assert chromium.run("return document.activeElement.localName") == "select"
    chromium.press(Keys.TAB, Keys.ENTER)  # the first title
    assert chromium.run("return document.activeElement.closest('th').ariaSort") == "ascending"
    chromium.run("document.querySelector('tbody:not([hidden]) summary').focus()")
    chromium.press(Keys.ENTER)
    assert chromium.run("return document.querySelector('tbody:not([hidden]) details').open")
    chromium.press(Keys.TAB)
    assert chromium.run("return document.activeElement.href") == "https://acme.example/release"


@pytest.mark.parametrize("clipboard", ["", "Object.defineProperty(navigator, 'clipboard', { value: undefined });"])
def test_one_click_copies_the_new_call(chromium: Browser, pages: dict[str, str], clipboard: str) -> None:
    chromium.grant_clipboard()
    with served(source(pages["usual"])) as (url, _):
        chromium.show(url)
        chromium.wait_for("await navigator.clipboard.writeText('before')")
        chromium.click(".callers summary")
        chromium.run(f"window.clipboard = navigator.clipboard; {clipboard}")
        chromium.click(".panel pre + button")
        # The browser's process takes it when it has time.
        until(lambda: chromium.wait_for("return window.clipboard.readText()") != "before")
        copied = chromium.wait_for("return window.clipboard.readText()")
        assert copied == chromium.run("return document.querySelector('pre').textContent")
        assert copied.startswith("curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs")
        until(lambda: chromium.run("return document.querySelector('.panel pre + button').innerText") == "Copied")


def test_a_click_on_a_row_opens_it_and_one_on_a_link_does_not(chromium: Browser, forty_page: str) -> None:
    chromium.show(forty_page)
    chromium.run("document.addEventListener('click', event => { if (event.target.href) event.preventDefault(); })")
    opened = "return document.querySelectorAll('.callers details[open]').length"
    chromium.click(".callers td.k a")
    assert chromium.run(opened) == 0
    chromium.click(".callers td.x")
    assert chromium.run(opened) == 1
    chromium.click(".callers td.x")
    assert chromium.run(opened) == 0


def test_hundreds_of_callers_are_filtered_and_shown_in_part(chromium: Browser, tmp_path: Path) -> None:
    chromium.show(saved(tmp_path / "page.html", many(tmp_path, 600)))
    assert chromium.run(STATUS) == "600 of 600, the first 50 are shown"
    assert len(names(chromium)) == 50
    chromium.click(".controls input")
    chromium.press(*"caller-0012")
    assert sorted(names(chromium)) == [f"caller-0012{digit}" for digit in range(10)]
    assert chromium.run(STATUS) == "10 of 600"
    chromium.press(Keys.BACKSPACE)
    assert chromium.run(STATUS) == "100 of 600, the first 50 are shown"
    chromium.click(".controls button")
    assert len(names(chromium)) == 100


# Each page once, with both widths and both schemes between them, and one with the colors: axe takes a second.
@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("usual", 1280, "dark"), ("hostile", 375, "light"), ("forty", 375, "dark")]
)
def test_axe_finds_no_violation_and_names_refer_to_ids_that_are_unique(
    chromium: Browser, pages: dict[str, str], name: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    chromium.show(pages[name], width=width, scheme=scheme)
    ids = chromium.run("return [...document.querySelectorAll('[id]')].map(element => element.id)")
    named = chromium.run(
        "return [...document.querySelectorAll('[aria-labelledby]')]"
        ".flatMap(element => element.getAttribute('aria-labelledby').split(' '))"
    )
    assert len(set(ids)) == len(ids)
    assert set(named) <= set(ids)
    chromium.run(
        "document.querySelectorAll('.callers > tbody:nth-of-type(n+10)').forEach(row => row.remove())"
    )  # alike
    chromium.run(OPEN)
    chromium.run(AXE)
    contrast = str(name == "forty").lower()
    options = f"{{resultTypes: ['violations'], rules: {{'color-contrast': {{enabled: {contrast}}}}}}}"
    found = chromium.wait_for(f"return (await axe.run({options})).violations")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_the_page_can_be_printed_and_screenshots_can_be_looked_at(
    chromium: Browser, forty_page: str, tmp_path: Path
) -> None:
    """In the folder that the variable ``SCREENSHOTS`` names, else in a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path / "screenshots"))
    height = None if "SCREENSHOTS" in os.environ else 900
    assert all(size > 10_000 for size in take(chromium, forty_page, folder, height).values())
    pdf = (folder / "print.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1
