"""A real Chromium, driven by selenium: desktop or phone, with everything it asks the network for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.patience import PATIENCE

DESKTOP, PHONE = (1280, 800), (390, 844)
AXE = Path(__file__).parent / "axe.min.js"
FAULTS = """
const done = arguments[0];
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']}).then((found) => done(
  found.violations.map((one) => [one.impact, one.id, one.nodes.map((node) => node.html + node.failureSummary).join()])
));
"""


class Browser:
    """One window."""

    def __init__(self, driver: Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, path: str) -> None:
        """Go to a page of the station."""
        self.driver.get(self.address + path)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str = "body") -> str:
        """Return what can be read at a place."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def there(self, selector: str) -> bool:
        """Whether something is there and can be seen."""
        return bool(self.run("return !!document.querySelector(arguments[0])?.checkVisibility()", selector))

    def press(self, selector: str) -> None:
        """Press a button as a finger does."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def asked(self) -> set[str]:
        """Return the hosts that were asked for anything since the last call."""
        hosts = set()
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            said = json.loads(entry["message"])["message"]
            if said["method"] == "Network.requestWillBeSent":
                url = urlsplit(said["params"]["request"]["url"])
                hosts.add(url.netloc or url.scheme)
        return hosts

    def faults(self) -> list[str]:
        """Return what axe-core finds of impact serious or critical on this page."""
        if not self.run("return !!window.axe"):
            self.run(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(FAULTS)
        return [f"{rule}: {where}" for impact, rule, where in found if impact in ("serious", "critical")]

    def small_targets(self) -> list[str]:
        """Return what can be pressed and is smaller than 44 CSS px in height or width."""
        found: list[str] = self.run(
            "return Array.from(document.querySelectorAll('a, button, input')).filter((one) => one.checkVisibility())"
            ".map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])"
            ".filter(([, box]) => box.width && (box.height < 43.5 || box.width < 43.5))"
            ".map(([html, box]) => html + ` ${box.width}x${box.height}`)"
        )
        return found

    def picture(self, path: Path) -> None:
        """Write what is seen to a file."""
        self.driver.save_screenshot(str(path))


@contextmanager
def browser(address: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Iterator[Browser]:
    """Open a window; closed at the end."""
    program, steering = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or steering is None:
        pytest.fail("chromium is not installed: make test installs it")
    options = ChromeOptions()
    options.binary_location = program
    flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             f"--window-size={size[0]},{size[1]}"]  # fmt: skip
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options=options, service=Service(steering))
    try:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 2 if size == PHONE else 1,
                   "mobile": size == PHONE}  # fmt: skip
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size == PHONE})
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.set_script_timeout(PATIENCE)
        yield Browser(driver, address)
    finally:
        driver.quit()
