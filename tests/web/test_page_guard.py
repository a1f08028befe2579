"""What the page refuses: foreign names, foreign forms, foreign bytes; and what browsers are told to refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.alarm import AlarmState
from gateway.model.batch import make_batch
from tests.page_house import HOSTILE, Caller, Lived, live
from tests.patience import until


def test_only_our_own_names_are_answered(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST", "192.0.2.7:8080"):
            assert (await lived.caller.get("/", host=host)).status == 200, host
        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "", "127.0.0.1.evil.example:80"):
            assert (await lived.caller.get("/", host=host)).status == 421, host

    live(tmp_path, body)


def test_browsers_are_told_to_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        for path in ("/", "/alarms", "/who", "/static/page.js", "/nix"):
            headers = (await lived.caller.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'self'")
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        answer = await lived.caller.get("/")
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        fresh = await Caller(lived.page).get("/")
        assert "HttpOnly" in fresh.headers["set-cookie"]
        assert "SameSite=strict" in fresh.headers["set-cookie"]

    live(tmp_path, body)


def test_names_stay_text_on_every_page(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        house = lived.house
        house.intake.put(make_batch("broker", house.clock.mono(), [(house.ids["oven.draught"], 0, 3.0, 0)]))
        await until(lambda: house.state.latest.value[house.ids["oven.draught"]] == 3.0)
        for path in ("/", "/point/oven.draught"):
            text = (await lived.caller.get(path)).text
            assert "3 &lt;b&gt;Pa&lt;/b&gt;" in text
        await lived.caller.post("/who", who="li")
        views = ("/", "/alarms", "/turnout", "/links", "/walktest", "/point/oven.temperature", "/who")
        for path in (*views, f"/alarm/{lived.fire}"):
            answer = await lived.caller.get(path)
            assert answer.status == 200
            assert HOSTILE not in answer.text, path
            assert "<script>alert" not in answer.text, path
            assert "&lt;script&gt;" in answer.text, path

    live(tmp_path, body)


def test_an_act_needs_the_token_of_its_session(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        await lived.caller.post("/who", who="li")
        act = {"do": f"ack:{lived.fire}"}
        assert (await lived.caller.post("/act", given=act, token=False)).status == 403
        assert (await lived.caller.post("/act", given=act, token=False, csrf="0" * 64)).status == 403
        other = Caller(lived.page)
        await other.post("/who", who="chen")
        stolen = {**act, "csrf": lived.page.desk.keeper.token(lived.page.desk.keeper.begin())}
        assert (await other.post("/act", given=stolen, token=False)).status == 403
        assert lived.house.state.book.by_id(lived.fire).state is AlarmState.UNACK  # type: ignore[union-attr]
        forged = dict(lived.caller.cookies)
        forged["firegrid"] = forged["firegrid"][:-1] + ("0" if forged["firegrid"][-1] != "0" else "1")
        assert (await Caller(lived.page, forged).post("/act", given=act, token=False)).status == 403

    live(tmp_path, body)


def test_who_acts_is_recorded_and_refusals_are_said(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        fire = lived.fire
        nobody = await lived.caller.post("/act", do=f"ack:{fire}")
        assert nobody.text == '{"go":"/who?back=/alarms"}'
        assert (await lived.caller.post("/who", who="nobody")).status == 400
        await lived.caller.post("/who", who="li")
        latched = await lived.caller.post("/act", do=f"reset:{fire}")
        assert latched.status == 409
        assert "尚未确认" in latched.text
        done = await lived.caller.post("/act", do=f"ack:{fire}")
        assert done.text == '{"said":"已执行","good":true}'
        alarm = lived.house.state.book.by_id(fire)
        assert alarm is not None
        assert (alarm.state, alarm.acknowledged_by) == (AlarmState.ACKED, "li")
        assert (await lived.caller.post("/act", do=f"shelve:{fire}", minutes="30")).status == 409
        assert (await lived.caller.post("/act", do=f"shelve:{fire}", minutes="30", reason="焊接")).status == 200
        alarm = lived.house.state.book.by_id(fire)
        assert alarm is not None
        assert alarm.shelved_by == "li"

    live(tmp_path, body)


@pytest.mark.parametrize("do", ["", "ack", "ack:", "ack:-1", "ack:x", "drop:1", "ack:" + "9" * 40, "disable:1"])
def test_what_no_page_of_ours_sends_is_refused(tmp_path: Path, do: str) -> None:
    async def body(lived: Lived) -> None:
        await lived.caller.post("/who", who="li")
        assert (await lived.caller.post("/act", do=do)).status == 400

    live(tmp_path, body)


def test_hostile_addresses_and_bodies_are_answered(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        for path in ("/alarm/x", "/alarm/-1", "/point/nix", "/history/nix", "/history/oven.temperature?span=aeon",
                     "/nix", "/part_state", "/static/../page.py", "/static/nix", "/overview/x/y", "/stream?view=nix",
                     "/alarm/" + "9" * 5_000, "/point/%00"):  # fmt: skip
            assert (await lived.caller.get(path)).status == 404, path
        assert (await lived.caller.get("/alarm/77")).status == 200  # it has ended
        for given in ("//evil.example", "https://evil.example", "/\\evil.example", "/x%0d%0aset-cookie: a=b"):
            answer = await lived.caller.get(f"/language?to=en&back={given}")
            assert answer.headers["location"] == "/", given
        assert (await lived.caller.call("POST", "/act", b"\xff" * 100, {"host": "localhost"})).status == 400
        assert (await lived.caller.call("POST", "/act", b"a" * 9_000, {"host": "localhost"})).status == 413
        assert (await lived.caller.call("DELETE", "/", b"", {"host": "localhost"})).status == 405

    live(tmp_path, body)


def test_numbers_are_masked_on_loopback(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        await lived.caller.post("/who", who="li")
        answer = await lived.caller.get("/turnout")
        assert "•••••••8000" in answer.text
        assert "13800138000" not in answer.text

    live(tmp_path, body)
