# SPDX-License-Identifier: Apache-2.0
"""The benchmark's page in a real browser: the sample run of bench/report, light and dark, narrow and wide."""
from __future__ import annotations

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import typing

import pytest
from harness import HAWSE, WATCHDOG_S

CHROMIUM = shutil.which("chromium")
SAMPLE = HAWSE.parent / "bench" / "report" / "bench_report_sample"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not SAMPLE.exists(), reason="bench_report_sample isn't built: ninja -C build hawse_tests"),
]
WIDE, NARROW = 1400, 360


class Browser:
    """A headless Chromium with one page, spoken to in its DevTools protocol over two pipes: JSON messages that end with a zero byte."""

    def __init__(self, folder: pathlib.Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        arguments = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]  # clear of 3 and 4, which Chromium expects them to be
        pipes = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        self._process = subprocess.Popen(["bash", "-c", pipes, "bash", *map(str, arguments)], pass_fds=theirs,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (to_browser, from_browser, *theirs):
            os.close(end)
        self._left, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, typing.Any]] = []
        page = next(target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._session = ""
        self.call("Browser.close")
        self._process.wait(WATCHDOG_S)
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: typing.Any) -> dict[str, typing.Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return typing.cast("dict[str, typing.Any]", answer["result"])

    def _next(self) -> dict[str, typing.Any]:
        while b"\0" not in self._left:
            read = os.read(self._in, 1 << 20)
            assert read, "the browser has ended"
            self._left += read
        message, self._left = self._left.split(b"\0", 1)
        return typing.cast("dict[str, typing.Any]", json.loads(message))

    def show(self, url: str, width: int, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.load(url)
        # Plots are drawn when the layout is first known: two frames on, that has been.
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def load(self, url: str) -> None:
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, script: str) -> typing.Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[dict[str, typing.Any]]:
        def bad(method: str, parameters: dict[str, typing.Any]) -> bool:
            return method in ("Runtime.exceptionThrown", "Log.entryAdded") or (method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"))

        return [event for event in self.events if bad(event["method"], event["params"])]

    def requested(self) -> list[str]:
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "sample.html"
    file.write_bytes(subprocess.run([SAMPLE], capture_output=True, check=True, timeout=WATCHDOG_S).stdout)
    return file.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


VIEWS = [pytest.param(width, dark, id=f"{width}-{'dark' if dark else 'light'}") for width in (WIDE, NARROW) for dark in (False, True)]


@pytest.mark.parametrize("width, dark", VIEWS)
def test_the_page_loads_without_a_complaint_and_fetches_nothing(browser: Browser, page: str, width: int, dark: bool) -> None:
    browser.show(page, width, dark)
    assert browser.complaints() == []
    assert [url for url in browser.requested() if not url.startswith("data:")] == [page]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_plot_is_drawn_with_its_lines_and_says_in_words_what_it_shows(browser: Browser, page: str, width: int) -> None:
    browser.show(page, width)
    plots = browser.evaluate("JSON.parse(document.getElementById('plots').textContent)")
    drawn = browser.evaluate("""[...document.querySelectorAll('figure[data-plot]')].map(figure => {
        const svg = figure.querySelector('.canvas svg');
        return {plot: Number(figure.dataset.plot), label: svg?.getAttribute('aria-label'), role: svg?.getAttribute('role'),
                width: svg?.getBoundingClientRect().width,
                lines: svg?.querySelectorAll('g[aria-label=line] path').length, bars: svg?.querySelectorAll('g[aria-label=bar] rect').length,
                texts: [...(svg?.querySelectorAll('g[aria-label$="tick label"] text') ?? [])].map(text => text.textContent)}})""")
    assert sorted(d["plot"] for d in drawn) == list(range(len(plots)))
    assert {p["kind"] for p in plots} == {"distribution", "growth", "phases"}
    for d in drawn:
        plot = plots[d["plot"]]
        assert d["role"] == "img" and d["label"] == plot["description"]
        assert 200 < d["width"] <= width
        assert d["lines"] == len(plot.get("lines", []))
        assert d["bars"] == sum(len(bar["parts"]) for bar in plot.get("bars", []))
        assert len(d["texts"]) >= 3 and all(d["texts"]), f"axis of {plot['description']}: {d['texts']}"


@pytest.mark.parametrize("width", [WIDE, 768, NARROW])
def test_nothing_is_wider_than_the_window(browser: Browser, page: str, width: int) -> None:
    browser.show(page, width)
    browser.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_what_a_run_holds_never_runs_as_a_script(browser: Browser, page: str) -> None:
    browser.show(page, WIDE)
    assert not any(event["method"] == "Page.javascriptDialogOpening" for event in browser.events)
    assert browser.evaluate("document.querySelectorAll('img, body b i, article script').length") == 0
    assert "<script>alert('title')</script>" in browser.evaluate("document.querySelector('table.headline').textContent")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(browser: Browser, page: str, dark: bool) -> None:
    browser.show(page, WIDE, dark)
    worst = browser.evaluate("""(() => {
        const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
        const parts = colour => colour.match(/[0-9.]+/g).map(Number);
        const ground = element => {
          for (; element; element = element.parentElement) {
            const colour = parts(getComputedStyle(element).backgroundColor);
            if (colour[3] !== 0) return colour;
          }
          return [255, 255, 255];
        };
        let worst = [99, ''];
        for (const element of document.querySelectorAll('body *:not(script):not(svg *)')) {
          if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()) || !element.getClientRects().length) continue;
          const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
          const contrast = (a + 0.05) / (b + 0.05);
          if (contrast < worst[0]) worst = [contrast, element.outerHTML.slice(0, 200)];
        }
        return worst;
      })()""")
    assert worst[0] >= 4.5, worst


def test_the_button_switches_between_light_and_dark(browser: Browser, page: str) -> None:
    browser.show(page, WIDE)
    ground = "getComputedStyle(document.body).backgroundColor"
    press = "document.getElementById('theme').click(), document.getElementById('theme').textContent"
    system = browser.evaluate(ground)
    assert browser.evaluate(press) == "Theme: light" and browser.evaluate(ground) == system
    assert browser.evaluate(press) == "Theme: dark" and browser.evaluate(ground) != system
    assert browser.evaluate(press) == "Theme: auto" and browser.evaluate(ground) == system


def test_without_scripts_the_tables_stand_and_no_empty_plot_does(browser: Browser, page: str) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.load(page)
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        found = {selector: len(browser.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"])
                 for selector in ("table.headline tbody tr", "article table", "noscript p", ".canvas svg", ".drawn", "#theme:not([hidden])")}
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert found.pop("table.headline tbody tr") > 20 and found.pop("article table") > 15
    assert found == {"noscript p": 1, ".canvas svg": 0, ".drawn": 0, "#theme:not([hidden])": 0}
