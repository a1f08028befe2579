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
from tests.browser.rig import Names, Rig, living
from tests.patience import wait

IMAGES = Path(__file__).parents[2] / "docs" / "img"
PICTURES = (
    ("overview-desktop", "/", DESKTOP, False),
    ("turnout-desktop-dark", "/turnout", DESKTOP, True),
    ("alarms-phone", "/alarms", PHONE, False),
    ("turnout-phone-dark", "/turnout", PHONE, True),
    ("history-phone", "/point/kitchen.ch4", PHONE, False),
)
BREATH = 1.2  # s for a stream to open and a chart to be drawn


def main() -> None:
    """Write them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as station, living(Path(station), Names()) as rig:
        fire(rig)
        for name, path, size, dark in PICTURES:
            with browser(rig.address, size, dark=dark) as window:
                window.open("/who?back=/")
                window.press('button[value="wang"]')
                wait(lambda: window.there(".summary"))
                shoot(window, folder, name, path)
        with browser(rig.address, PHONE) as window:
            window.open("/who?back=/walktest")
            window.press('button[value="wang"]')
            wait(lambda: window.there('button[value="walktest:0"]'))
            window.press('button[value="walktest:0"]')
            wait(lambda: window.there('button[value="end_walktest:0"]'))
            rig.publish("kitchen", ch4=30.0)
            shoot(window, folder, "walktest-phone", "/walktest")
        with browser(rig.address, PHONE) as window:
            window.open("/language?to=en&back=/alarms")
            time.sleep(BREATH)
            rig.daemon.kill()
            wait(lambda: window.there("#stale"))
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
