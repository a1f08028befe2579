"""Polls of panels and of us, and what is answered when: at once, after the commit, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from drivers._conversation import Said
from drivers._panel_device import dialects
from drivers.panel_serial import PanelTalk, create
from drivers.simulated.panel import SimulatedPanel
from gateway.errors import LinkDown
from gateway.model.batch import Batch, EventCode
from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panels import fs5101w, gst_crt, jb3208, jbf193k, ld128e
from gateway.transport.serial import PtyPair, open_pty
from tests.drivers.panel_bench import EVENTS, codes, device, setup, talk
from tests.patience import until


def test_a_poll_of_the_panel_is_answered_at_once_and_an_event_after_the_commit() -> None:
    conversation, far = talk("jb3208"), SimulatedPanel("jb3208", address=2)
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (said.at_once, said.after) == (jb3208.encode(2, jb3208.POLL), b"")
    assert said.decoded.heard == [EVENTS]
    far.tell(jb3208.encode(2, jb3208.FIRE, [jb3208.Item(2, 3, 4)]))
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (said.at_once, said.late, said.limit) == (b"", b"", 0.5)
    assert far.idle() == said.frame  # told again
    far.hear(said.after)
    assert far.told == type(far.told)()


def test_a_poll_with_a_limit_of_100_ms_is_answered_in_the_same_call() -> None:
    conversation, far = talk("fs5101w"), SimulatedPanel("fs5101w", address=3)
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert said.at_once == fs5101w.encode(3, fs5101w.POLL, b"\x00")
    far.tell(fs5101w.encode(3, fs5101w.EVENT, fs5101w.event_data(0xC3, 5, "0/1/2/3")))
    (said,) = conversation.hear(far.idle(), 0, 0)
    assert (codes([said]), said.at_once, said.after) == ([("0/1/2/3", EventCode.FIRE)], b"", b"")


def test_listening_never_sends_a_byte() -> None:
    for name in dialects():
        conversation = talk(name, keys={"mode": "listen"})
        assert conversation.due() == NEVER
        assert conversation.tick(0, 0) == []
        for said in conversation.hear(SimulatedPanel(name).idle(), 0, 0):
            assert said.at_once + said.after + said.late == b""
    (said,) = talk("jb3208", keys={"mode": "listen"}).hear(jb3208.encode(2, jb3208.FIRE, [jb3208.Item(2, 3, 4)]), 0, 0)
    assert said.after == b""


def test_a_panel_that_only_answers_is_polled_every_200_ms() -> None:
    conversation, far = talk("ld128e"), SimulatedPanel("ld128e")
    far.tell(ld128e.encode(ld128e.FIRE, "3/2"))
    heard: list[Said] = []
    for turn in range(5):
        now = turn * 200 * MILLISECOND
        assert conversation.due() <= now
        (poll,) = conversation.tick(now, 0)
        assert poll.at_once == b"\x20"
        assert conversation.due() == now + 200 * MILLISECOND
        heard += conversation.hear(far.hear(poll.at_once), now, 0)
    assert codes(heard) == [("3/2", EventCode.FIRE)]
    assert [bool(one.decoded.heard) for one in heard] == [False, True, True, True, True]


def test_a_new_poll_begins_a_new_answer() -> None:
    conversation = talk("ld128e")
    conversation.tick(0, 0)
    conversation.hear(b"\x01\x03", 0, 0)
    *cut, poll = conversation.tick(200 * MILLISECOND, 0)
    assert (cut[0].decoded.problems, poll.at_once) == (["cut"], b"\x20")
    assert codes(conversation.hear(b"\x01\x05\x06", 200 * MILLISECOND, 0)) == [("5/6", EventCode.FIRE)]


def test_a_panel_that_talks_by_itself_is_polled_only_on_demand() -> None:
    assert talk("jbf193k").due() == NEVER
    conversation, far = talk("jbf193k", keys={"mode": "poll"}), SimulatedPanel("jbf193k")
    far.told.append(jbf193k.encode(jbf193k.FIRE, "1/2/3"))
    (poll,) = conversation.tick(0, 0)
    assert poll.at_once == jbf193k.POLL
    assert codes(conversation.hear(far.hear(poll.at_once), 0, 0)) == [("1/2/3", EventCode.FIRE)]
    assert talk("gst5000", keys={"mode": "poll"}).due() == NEVER  # nobody knows how


def test_how_often_a_panel_is_polled_is_a_setting() -> None:
    conversation = talk("ld128e", keys={"period": 1.0})
    conversation.tick(0, 0)
    assert conversation.due() == SECOND


# -- a panel that is called by its address

PERIOD, LATER = 500 * MILLISECOND, 90 * MILLISECOND
ADDRESS, ASK, TAKEN = bytes.fromhex("0100"), bytes.fromhex("000f"), bytes.fromhex("001f")  # ninth bit, byte
FIRE = gst_crt.encode(gst_crt.FIRE, "001004", 3)


def called(**keys: object) -> tuple[PanelTalk, SimulatedPanel]:
    far = SimulatedPanel("gst_crt", address=0, polled=True)
    return talk("gst_crt", keys={"mode": "poll", **keys}), far


def ask(conversation: PanelTalk, far: SimulatedPanel, now: int) -> list[Said]:
    """Poll up to the panel's frame; return what is said to it."""
    (poll,) = conversation.tick(now, 0)
    assert poll.at_once == ADDRESS
    (question,) = conversation.hear(far.hear(poll.at_once[1:]), now, 0)
    assert question.at_once == ASK
    return conversation.hear(far.hear(question.at_once[1:]), now + LATER, 0)


def test_a_panel_called_by_its_address_is_thanked_when_its_event_is_stored() -> None:
    conversation, far = called()
    far.tell(FIRE)
    (said,) = ask(conversation, far, 0)
    assert (said.frame, codes([said]), said.device) == (FIRE, [("001004", EventCode.FIRE)], "it")
    assert (said.at_once, said.after, said.late, said.limit) == (b"", TAKEN, b"", 0.5)
    assert conversation.due() == LATER + PERIOD  # not before it is stored, or was too late
    far.hear(said.after[1:])
    (idle,) = ask(conversation, far, LATER + PERIOD)
    assert (idle.decoded.heard, idle.decoded.events, idle.at_once, idle.after) == ([EVENTS], [], TAKEN, b"")
    far.hear(idle.at_once[1:])
    assert far.answered == 2


def test_what_is_not_thanked_for_in_time_is_told_again_and_is_a_repeat() -> None:
    conversation, far = called()
    far.tell(FIRE)
    (first,) = ask(conversation, far, 0)
    (again,) = ask(conversation, far, LATER + PERIOD)
    assert (first.frame[:1], again.frame) == (b"\x0d", b"\xfd" + FIRE[1:])
    assert (again.digest, again.after) == (first.digest, TAKEN)


def test_a_spoilt_frame_is_not_thanked_for() -> None:
    conversation, far = called()
    far.tell(FIRE)
    far.fault.flip = 30
    assert [(said.at_once, said.after) for said in ask(conversation, far, 0)] == [(b"", b"")]
    far.fault.flip = None
    (again,) = ask_after_miss(conversation, far, PERIOD)
    assert codes([again]) == [("001004", EventCode.FIRE)]


def ask_after_miss(conversation: PanelTalk, far: SimulatedPanel, now: int) -> list[Said]:
    """Poll where the last poll came to nothing."""
    missed, poll = conversation.tick(now, 0)
    assert (missed.decoded.problems, missed.device) == (["no_answer"], "it")
    (question,) = conversation.hear(far.hear(poll.at_once[1:]), now, 0)
    return conversation.hear(far.hear(question.at_once[1:]), now, 0)


def test_without_its_echo_a_panel_is_not_asked_and_each_poll_is_missed() -> None:
    conversation, far = called()
    far.fault.silent = True
    (poll,) = conversation.tick(0, 0)
    assert far.hear(poll.at_once[1:]) == b""
    for turn in range(1, 4):
        missed, poll = conversation.tick(turn * PERIOD, 0)
        assert (missed.decoded.problems, poll.at_once) == (["no_answer"], ADDRESS)
    assert [said.at_once for said in conversation.hear(b"\x55", 3 * PERIOD, 0)] == [b""]
    noise, question = conversation.hear(b"\x55\x00", 3 * PERIOD, 0)
    assert (noise.decoded.problems, question.at_once) == (["noise"], ASK)


def test_what_comes_unasked_is_heard_and_not_answered() -> None:
    conversation, _ = called()
    (said,) = conversation.hear(FIRE, 0, 0)
    assert (codes([said]), said.at_once, said.after) == ([("001004", EventCode.FIRE)], b"", b"")


def test_the_address_is_a_setting() -> None:
    conversation, far = called(address=7)
    far.address = 7
    (poll,) = conversation.tick(0, 0)
    assert poll.at_once == bytes.fromhex("0107")
    (question,) = conversation.hear(far.hear(b"\x07"), 0, 0)
    assert question.at_once == ASK


@pytest.mark.parametrize("mode", ["auto", "listen"])
def test_a_panel_that_a_display_polls_is_only_listened_to(mode: str) -> None:
    conversation = talk("gst_crt", keys={"mode": mode})
    assert conversation.due() == NEVER
    (said, *_) = conversation.hear(b"\x00" + FIRE, 0, 0)[1:]
    assert (codes([said]), said.at_once, said.after) == ([("001004", EventCode.FIRE)], b"", b"")


async def _live(pair: PtyPair, far: SimulatedPanel) -> None:
    """Be the panel at the other end, until the line goes."""
    with suppress(LinkDown):
        while True:
            pair.port.write(far.hear(await pair.port.read()))


def test_over_a_line_a_fire_is_kept_by_the_panel_until_it_is_stored(tmp_path: Path) -> None:
    async def main() -> None:
        pair, far = open_pty(tmp_path / "line"), SimulatedPanel("gst_crt", address=0, polled=True)
        far.tell(FIRE)
        keys = {"port": str(tmp_path / "line"), "baudrate": 2400, "parity": "S", "mode": "poll", "period": 0.1}
        made, notes = setup(device("gst_crt"), **keys)
        batches: list[Batch] = []
        panel = asyncio.ensure_future(_live(pair, far))
        running = asyncio.ensure_future(create(made).run(batches.append))
        await until(lambda: notes.counts["it late"] and notes.counts["it repeat"])
        assert list(far.told) == [FIRE]
        (fire,) = (batch for batch in batches if batch.events)
        assert [event.raw for event in fire.events] == [FIRE]
        fire.ack()
        await until(lambda: not far.told)
        thanked = far.answered
        await until(lambda: far.answered > thanked + 1)  # and goes on being asked
        assert sum(len(batch.events) for batch in batches) == 1
        pair.unplug()
        with pytest.raises(LinkDown):
            await running
        await panel
        pair.close()

    asyncio.run(main())
