"""The live page in a real Chromium, on a desktop and on a phone: what a person at the station sees and does.

Everything between is real: broker, daemon, browser. Names are hostile throughout: whoever can name a device must not be
able to write into the page.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from selenium.common.exceptions import WebDriverException

from gateway.model.alarm import AlarmState, OperatorAct
from gateway.store.read import Reader
from tests.browser.chromium import DESKTOP, PHONE, Browser, browser
from tests.browser.rig import HOSTILE, Names, Rig, living
from tests.patience import limit, wait

APPEARS_WITHIN = limit(0.5)  # s from the reading to the eye
STALE_WITHIN = limit(5.0)  # s from the death of the daemon
WATCH = """
window.seen = 0;
new MutationObserver(() => {
  if (!window.seen && document.querySelector('.alarm.open')) window.seen = performance.timeOrigin + performance.now();
}).observe(document.body, {subtree: true, childList: true});
"""
VIEWS = ("/", "/alarms", "/turnout", "/links", "/walktest", "/point/oven.temperature", "/who")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Return a station in which everything that people name is an attack."""
    names = Names(station=HOSTILE, device=HOSTILE, contact=HOSTILE, title=HOSTILE)
    with living(tmp_path_factory.mktemp("page"), names) as rig:
        rig.calm()
        yield rig


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def window(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Return a window on the station, once on a desktop and once on a phone."""
    with browser(rig.address, request.param) as window:
        rig.clear()
        yield window


def test_an_alarm_is_seen_at_once_and_acknowledged_there(rig: Rig, window: Browser) -> None:
    rig.clear()
    window.open("/who?back=/alarms")
    window.press('button[value="wang"]')
    wait(lambda: window.there(".empty"))
    wait(lambda: window.run("return performance.now()") > 1_500)  # the stream is open and calm
    window.run(WATCH)

    at = time.time()
    rig.publish("oven", temperature=88)
    wait(lambda: window.run("return window.seen") > 0)
    took = window.run("return window.seen") / 1_000 - at
    assert took <= APPEARS_WITHIN, f"seen {took:.3f} s after the reading"
    assert HOSTILE in window.text(".alarm h3")

    press_until(window, 'button[value^="ack:"]', lambda: not window.there(".alarm.open"))
    with Reader(rig.folder / "station.db") as reader:
        (alarm,) = [entry.body for entry in reader.alarms()]
        assert (alarm.state, alarm.acknowledged_by) == (AlarmState.ACKED, "wang")
        acts = [entry.body for entry in reader.record(("act",), OperatorAct)]
        assert (acts[-1].who, acts[-1].via) == ("wang", "page")

    rig.publish("oven", temperature=22)
    wait(lambda: window.there('button[value^="reset:"]'))
    press_until(window, 'button[value^="reset:"]', lambda: window.there(".empty"))


def press_until(window: Browser, button: str, done: Callable[[], bool]) -> None:
    """Press until it has an effect: what has just moved cannot be pressed, and what has done its work is gone."""

    def pressed() -> bool:
        time.sleep(0.5)
        if window.there(button) and not done():
            with suppress(WebDriverException):  # it went between two looks
                window.press(button)
        with suppress(TimeoutError):
            wait(done, 5.0)
        return done()

    wait(pressed)


def test_names_stay_text_and_nothing_is_asked_of_others(rig: Rig, window: Browser) -> None:
    rig.publish("oven", temperature=88)
    window.open("/alarms")
    wait(lambda: window.there(".alarm"))
    details = window.run("return document.querySelector('a[href^=\"/alarm/\"]').getAttribute('href')")
    window.asked()
    for view in (*VIEWS, details):
        window.open(view)
        wait(lambda: window.run("return document.readyState") == "complete")
        assert HOSTILE in window.text("body"), view
        assert not window.run("return document.querySelectorAll('img').length"), view
        assert "pwned" not in window.driver.title.replace(HOSTILE, ""), view
    assert window.asked() <= {rig.address.removeprefix("http://"), "data"}
    errors = [entry["message"] for entry in window.driver.get_log("browser")]  # type: ignore[no-untyped-call]
    assert not errors, "also what the content security policy had to stop"


def test_everybody_can_use_it(rig: Rig, window: Browser) -> None:
    rig.publish("oven", temperature=88)
    language = "en" if window.run("return innerWidth") == PHONE[0] else "zh"  # English words are the longer ones
    for view in VIEWS:
        window.open(f"/language?to={language}&back={view}")
        assert window.faults() == [], view
        assert window.small_targets() == [], view
        wide = window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{view} is wider than the window"
    window.open("/language?to=zh&back=/")


def test_a_chart_shows_what_was_read(rig: Rig, window: Browser) -> None:
    rig.publish("oven", temperature=31)
    window.open("/point/oven.temperature")
    wait(lambda: int(window.run("return document.getElementById('chart').dataset.rows ?? 0")) > 1)
    assert window.there("#plot canvas")
    for span in ("day", "year"):
        window.run("delete document.getElementById('chart').dataset.rows")
        window.press(f'button[data-span="{span}"]')
        wait(lambda: int(window.run("return document.getElementById('chart').dataset.rows ?? 0")) >= 1)


def test_a_page_that_is_no_longer_live_says_so(rig: Rig) -> None:
    """Comes last: the daemon is killed."""
    with browser(rig.address, PHONE) as window:
        window.open("/language?to=zh&back=/")
        rig.calm()
        wait(lambda: "24.5" in window.text("main"))
        wait(lambda: not window.there("#stale"))
        rig.daemon.signal(signal.SIGKILL)
        took = wait(lambda: window.there("#stale"))
        assert took <= STALE_WITHIN, f"{took:.2f} s"
        assert "停止更新" in window.text("#stale")
