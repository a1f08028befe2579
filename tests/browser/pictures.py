"""Writes the pictures of the documentation: `python -m tests.browser.pictures [FOLDER]` (default `docs/img`).

By hand, after the page has changed: pictures differ from one machine's fonts to the next, so no test compares them.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path

from tests.browser.chromium import DESKTOP, PHONE, Browser, browser
from tests.browser.rig import Names, Rig, living, until

IMAGES = Path(__file__).parents[2] / "docs" / "img"
BREATH = 1.2  # s for a stream to open and a chart to be drawn


def main() -> None:
    """Write them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, living(Path(name), Names()) as rig:
        fire(rig)
        for size, form in ((DESKTOP, "desktop"), (PHONE, "phone")):
            for dark in (False, True):
                with browser(rig.address, size, dark=dark) as window:
                    window.open("/who?back=/")
                    window.press('button[value="wang"]')
                    shade = f"{form}-dark" if dark else form
                    for view, path in (("overview", "/"), ("alarms", "/alarms"), ("turnout", "/turnout")):
                        shoot(window, folder, f"{view}-{shade}", path)
                    if not dark:
                        shoot(window, folder, f"devices-{shade}", "/links")
                        shoot(window, folder, f"history-{shade}", "/point/kitchen.ch4")
        with browser(rig.address, PHONE) as window:
            window.open("/language?to=en&back=/alarms")
            shoot(window, folder, "alarms-phone-en", "/alarms")
            rig.clear()
            shoot(window, folder, "calm-phone-en", "/")
            rig.daemon.kill()
            until(lambda: window.there("#stale"))
            window.picture(folder / "stale-phone.png")


def fire(rig: Rig) -> None:
    """Let things happen, so that there is something to see: an hour with a leak and a silence, then a fire."""
    begin = time.time() - 3_590
    for minute in range(0, 3_580, 10):
        if not 1_100 < minute < 1_400:
            leak = 16 * math.exp(-(((minute - 2_500) / 260) ** 2))
            value = round(1.6 + 0.8 * math.sin(minute / 240) + 0.2 * math.sin(minute / 31) + leak, 2)
            rig.publish("kitchen", ch4=value, time=begin + minute)
    rig.publish("tank", level=1.12)
    rig.publish("oven", temperature=88.4)
    time.sleep(2 * BREATH)


def shoot(window: Browser, folder: Path, name: str, path: str) -> None:
    """Open a view and write what is seen."""
    window.open(path)
    time.sleep(BREATH)
    window.picture(folder / f"{name}.png")


if __name__ == "__main__":
    main()
