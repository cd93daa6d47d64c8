"""A headless Chromium that the tests look at pages with."""

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.support.programs import program
from tests.support.waiting import PATIENCE

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
).split()


class Browser:
    """One window, which shows one page after the other."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def show(self, url: str, *, scripts: bool = True, **view: Any) -> None:
        """Load a page into a view; what was said and requested before is forgotten."""
        self.messages()
        self.requests()
        self.view(**view)
        self._command("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self._driver.get(url)

    def view(
        self,
        *,
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        media: Literal["", "print"] = "",
    ) -> None:
        """Show the page on a screen of another width or in other colors, or as on paper."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def run(self, script: str) -> Any:
        """What a script returns, which stands outside of the page's policy."""
        return self._driver.execute_script(script)

    def wait_for(self, script: str) -> Any:
        """What the promise that a script returns resolves to."""
        return self._driver.execute_async_script(f"(async () => {{ {script} }})().then(arguments[0])")

    def click(self, selector: str, index: int = 0) -> None:
        """Click an element as a mouse does."""
        self._driver.find_elements(By.CSS_SELECTOR, selector)[index].click()

    def grant_clipboard(self) -> None:
        """Let pages read and write the clipboard."""
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self._command("Browser.grantPermissions", {"permissions": permissions})

    def messages(self) -> list[str]:
        """What the page has put on the console since the last time."""
        return [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requests(self) -> list[str]:
        """What was requested since the last time, besides the parts of the browser's own start page."""
        entries = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in entries]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("chrome:")]

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self._command("Page.printToPDF", {"printBackground": True})["data"])

    def picture(self, *, height: int | None = None) -> bytes:
        """The page as PNG, as far down as that; all of it by default."""
        size = self.run("return [document.body.parentElement.clientWidth, document.body.parentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": height or size[1], "scale": 1}
        shown = self._command("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(shown["data"])

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        ActionChains(self._driver).send_keys(*keys).perform()

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(name, parameters)


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in a folder; a test that has none is skipped."""
    chromedriver = program("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With its path given, Selenium does not look for a driver to download.
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    driver.set_script_timeout(PATIENCE)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
