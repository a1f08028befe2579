"""A walk test from the page: begun with a phone in the hand, ticked off as devices alarm, told on every view, ended."""

from __future__ import annotations

from pathlib import Path

from gateway.pipeline.supervisor import Health
from gateway.web import routes
from gateway.web.render import Topic
from tests.page_house import HOSTILE, Lived, live
from tests.patience import until

SIGN = "巡检测试进行中"


async def begin(lived: Lived, **more: str) -> int:
    await lived.caller.post("/who", who="li")
    answer = await lived.caller.post(
        "/act?back=/walktest", given={"do": "walktest:0", "cell": "jc", "minutes": "20", **more}
    )
    return answer.status


def test_a_device_ticks_off_on_the_page_and_the_report_stays(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        tests = lived.house.state.book.walktests
        assert SIGN not in (await lived.caller.get("/")).text
        assert await begin(lived, siren="yes") == 200
        test = tests.running
        assert test is not None
        assert (test.who, test.cells, test.siren) == ("li", ("jc",), True)
        assert 1190e9 < test.until - test.began <= 1200e9
        for path in ("/", "/alarms", "/links"):
            assert SIGN in (await lived.caller.get(path)).text, "a sign on every view"
        waiting = (await lived.caller.get("/walktest")).text
        assert "0/1" in waiting
        assert "待测" in waiting
        await lived.burning()
        done = (await lived.caller.get("/walktest")).text
        assert "1/1" in done
        assert "已报警" in done
        assert HOSTILE not in done
        assert await begin(lived) == 409, "one at a time"
        await lived.caller.post("/act?back=/walktest", do="end_walktest:0")
        await until(lambda: tests.running is None)
        report = (await lived.caller.get("/walktest")).text
        assert "已报警" in report
        assert 'value="walktest:0"' in report
        assert SIGN not in report

    live(tmp_path, body)


def test_what_no_form_of_ours_sends_begins_nothing(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        for more in ({"cell": "elsewhere"}, {"cell": ""}, {"minutes": "x"}, {"minutes": "-1"}, {"minutes": "9" * 9}):
            assert await begin(lived, **more) == 400, more
        assert await begin(lived, minutes="0") == 409, "without an end"
        assert lived.house.state.book.walktests.latest is None
        assert await begin(lived, minutes="999999") == 200
        test = lived.house.state.book.walktests.running
        assert test is not None
        assert test.until - test.began <= routes.LONGEST_WALK * 60e9

    live(tmp_path, body)


def test_the_box_stands_with_the_devices_and_not_in_the_cells(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        renderer, ids = lived.page.desk.renderer, lived.house.ids
        number = ids["gateway.disk_free"]
        assert f'data-f="v-{number}"' not in (await lived.caller.get("/")).text
        assert f'data-f="v-{number}"' in (await lived.caller.get("/links")).text
        assert f"v-{number}" in renderer.fragments(Topic("links", "", "zh", entitled=False))
        assert f"v-{number}" not in renderer.fragments(Topic("overview", "", "zh", entitled=False))

    live(tmp_path, body)


def test_a_point_is_called_by_its_title_in_the_language_asked_for(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        lived.caller.cookies["language"] = "en"
        english = (await lived.caller.get("/links")).text
        lived.caller.cookies["language"] = "zh"
        chinese = (await lived.caller.get("/links")).text
        assert "网关占用内存" in chinese
        assert "memory of the gateway" in english

    live(tmp_path, body)


def test_why_a_link_is_down_is_said_in_the_language_asked_for(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        down = Health(name="meters", reason="10.0.0.9:502: [Errno 111] Connect call failed ('10.0.0.9', 502)")
        object.__setattr__(lived.page.desk.facts, "links", lambda: [down])
        for language, words in (("en", "cannot be reached"), ("zh", "无法连接，对方未开机或未运行")):
            lived.caller.cookies["language"] = language
            text = (await lived.caller.get("/links")).text
            assert words in text
            assert "Errno" not in text

    live(tmp_path, body)
