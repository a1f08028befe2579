"""The whole path, with nothing of ours between daemon and world: Mosquitto, a pymodbus slave, a modem with real PDUs.

`firegrid run` is a process; what it did is read back by `firegrid` commands, beside it and after it.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.daemon import ROOT, Daemon
from tests.scenarios.foreign_world import World, world

LI, WANG = "13800138000", "13900139000"


def code_of(text: str) -> str:
    found = re.search(r"码(\d+)", text)
    assert found, text
    return found[1]


def gas(*, on: bool) -> bytes:
    return json.dumps({"gas": on, "gas_value": 3.5 if on else 0, "linkquality": 120}).encode()


FIRE_EVENT = '{"type": "fire", "loop": 3, "address": 17, "text": "3层走廊烟感"}'


def test_from_the_wire_to_a_person_and_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here:
            daemon = Daemon(here.config)
            try:
                await asyncio.to_thread(daemon.wait_armed)
                await here.connected()
                await _gas_alarm(here)
                await _smoke_alarm(here)
                await _panel_alarm(here)
                await _all_clear(here)
                await _evidence(here)
                await _refused(here)
            finally:
                assert await asyncio.to_thread(daemon.stop) == 0
            await _evidence(here)  # the store can be read without the daemon
            assert "no daemon answers" in (await asyncio.to_thread(_ack_alone, here.config)).stderr

    asyncio.run(main())


async def _gas_alarm(here: World) -> None:
    """A gas alarm over MQTT, told by SMS to two people, acknowledged by reply of the first, followed up to both."""
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=False))
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=True))
    code = code_of(await here.told(LI, "燃气", "回复"))
    assert code_of(await here.told(WANG, "燃气", "回复")) == code  # nobody answered within the first step
    here.modem.receive(f"+86{LI}", f"{code} 确认")
    await here.told(LI, "燃气", f"码{code}", "已确认")
    await here.told(WANG, "燃气", f"码{code}", "李伟 已接管")
    await here.become({"kitchen-gas": "acked"})


async def _smoke_alarm(here: World) -> None:
    """A smoke alarm over Modbus; the captain answers, in full-width digits, and the squad leader is told of it."""
    await here.smoke(1)
    code = code_of(await here.told(LI, "火警", "回复"))
    await here.told(WANG, "火警", "回复")
    here.modem.receive(WANG, code.translate(str.maketrans("0123456789", "０１２３４５６７８９")))
    await here.told(WANG, "火警", f"码{code}", "已确认")
    await here.told(LI, "火警", f"码{code}", "王芳 已接管")
    await here.become({"kitchen-gas": "acked", "boiler-smoke": "acked"})


async def _panel_alarm(here: World) -> None:
    """A panel's event, acknowledged at the box before the second step."""
    await here.sensors.publish("station/panel", FIRE_EVENT.encode())
    await here.told(LI, "3层走廊烟感", "3/17", "回复")
    (alarm,) = [row for row in await here.command("alarms", "--json") if row["device"] == "panel"]
    assert (alarm["key"], alarm["class"], alarm["state"]) == ("3/17", "fire", "unack")
    await here.command("ack", str(alarm["id"]), "--as", "li")
    await here.become({"kitchen-gas": "acked", "boiler-smoke": "acked", "panel": "acked"})


async def _all_clear(here: World) -> None:
    """What has gone stays latched until a person resets it; then nothing is open."""
    await here.smoke(0)
    await here.sensors.publish("zigbee2mqtt/kitchen-gas", gas(on=False))
    await here.sensors.publish("station/panel", b'{"type": "reset"}')
    await here.become(dict.fromkeys(("kitchen-gas", "boiler-smoke", "panel"), "latched_acked"))
    await here.command("reset", "1", "2", "3", "--as", "wang")
    await here.become({})


async def _evidence(here: World) -> None:
    """Every step of the way can be read back: what came, what became of it, who was told, who answered."""
    moves = await here.command("alarms", "--history", "--json")
    assert [(row["before"], row["after"], row["who"]) for row in moves if row["device"] == "boiler-smoke"] == [
        ("normal", "unack", ""),
        ("unack", "acked", "wang"),
        ("acked", "latched_acked", ""),
        ("latched_acked", "normal", "wang"),
    ]
    raised = {row["device"]: row["evidence"] for row in moves if row["after"] == "unack"}
    assert bytes.fromhex(raised["boiler-smoke"]["frame"]) == bytes.fromhex("03 03 02 00 01 00 44")
    assert bytes.fromhex(raised["kitchen-gas"]["frame"]) == gas(on=True)
    assert bytes.fromhex(raised["panel"]["frame"]).decode() == FIRE_EVENT
    notices = await here.command("notifications", "--json")
    told = {(row["alarm"], row["contact"], row["reason"], row["state"]) for row in notices}
    assert {
        (1, "li", "raised", "delivered"),
        (1, "wang", "escalated", "delivered"),
        (1, "li", "confirmed", "delivered"),
        (1, "wang", "taken_over", "delivered"),
        (2, "li", "raised", "delivered"),
        (2, "wang", "escalated", "delivered"),
        (2, "wang", "confirmed", "delivered"),
        (2, "li", "taken_over", "delivered"),
    } <= told
    assert all(row["recorded"] and not row["repeat"] for row in notices)
    at_phones = sorted(message.text for message in here.modem.sent)
    assert sorted(row["text"] for row in notices if row["channel"] == "sms") == at_phones
    (event,) = [row for row in await here.command("events", "--json") if row["code"] == "fire"]
    assert (event["device"], event["key"], event["text"]) == ("panel", "3/17", "3层走廊烟感")
    assert bytes.fromhex(event["raw"]).decode() == FIRE_EVENT
    read = await here.command("readings", "--json", "--point", "boiler-smoke.smoke")
    assert {row["value"] for row in read} == {0.0, 1.0}


async def _refused(here: World) -> None:
    """An act on nothing, or by nobody, is refused and says why."""
    await here.command("ack", "99", "--as", "li", code=3)
    await here.command("reset", "--as", "li", code=3)
    await here.command("ack", "--as", "nobody", code=3)


def _ack_alone(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "ack", "--as", "li", "-c", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done
