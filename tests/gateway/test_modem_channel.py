"""The SMS channel: notices become receipts, replies reach the intake and stay in the modem until they are committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.simulated.modem import SimulatedModem
from gateway.channels.sms_modem import OPTIONS, SmsModem, create, dialled
from gateway.clock import HOUR, SECOND, Clock, SystemClock
from gateway.errors import ConfigError, DeliveryError
from gateway.model.contact import ChannelSpec
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason, Receipt, Reply
from gateway.model.point import AlarmClass
from gateway.model.ports import ChannelSetup
from gateway.protocols.smspdu import StatusReport
from gateway.testing import FakeClock
from tests.patience import until

NUMBER = "+8613800138000"


class Notes:
    """Memory and report of the house, as far as a channel uses them."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.kept.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.kept[key] = value

    def count(self, what: str, number: int = 1) -> None:
        """Count."""
        self.counts[what] += number

    def alive(self, what: str = "") -> None:
        """A channel says its health by its state."""

    def finding(self, key: str, text: str) -> None:
        """Keep a remark."""
        self.kept[f"finding {key}"] = text


def notice(
    number: int, *, text: str = "1号楼烟感报警", address: str = "138 0013 8000", **changes: object
) -> Notification:
    """A notice to somebody."""
    fields = {"alarm_class": AlarmClass.FIRE, "reason": NotifyReason.RAISED, **changes}
    return Notification(id=number, alarm=1, contact="li-wei", channel="sms", address=address, text=text, **fields)  # type: ignore[arg-type]


async def setup_write(_device: str, _point: str, _value: float) -> None:
    """No outputs here."""


def make(path: str, clock: Clock, notes: Notes, **options: object) -> SmsModem:
    """The channel as the house makes it."""
    spec = ChannelSpec(id="sms", kind="sms_modem", options={"port": path, **options})
    channel = create(ChannelSetup(spec=spec, clock=clock, memory=notes, report=notes, write=setup_write))
    assert isinstance(channel, SmsModem)
    return channel


@asynccontextmanager
async def running(
    notes: Notes, told: list[Input], *, prepare: Callable[[SimulatedModem], None] = lambda _: None, **options: object
) -> AsyncIterator[tuple[SmsModem, SimulatedModem]]:
    """A channel and its modem, both at work."""
    clock = SystemClock()
    modem = SimulatedModem(clock)
    prepare(modem)
    channel = make(str(modem.path), clock, notes, **options)
    tasks = [asyncio.create_task(modem.run()), asyncio.create_task(channel.run(told.append))]
    try:
        yield channel, modem
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def receipts(told: list[Input]) -> list[tuple[int, DeliveryState]]:
    return [(each.notice, each.state) for each in told if isinstance(each, Receipt)]


def test_a_notice_is_sent_and_its_receipt_comes_when_all_parts_arrived() -> None:
    async def scene() -> None:
        told: list[Input] = []
        async with running(Notes(), told) as (channel, modem):
            receipt = await channel.send(notice(7, text="火警，" * 60))
            assert (receipt.notice, receipt.state, len(receipt.reference)) == (7, DeliveryState.SENT, 3)
            await until(lambda: receipts(told))
            assert receipts(told) == [(7, DeliveryState.DELIVERED)]
            assert (modem.sent[0].number, modem.sent[0].text) == ("13800138000", "火警，" * 60)
            states = [each for each in told if isinstance(each, ChannelState)]
            assert [(each.channel, each.up, each.reason) for each in states] == [("sms", True, "")]
        assert not next(each for each in reversed(told) if isinstance(each, ChannelState)).up

    asyncio.run(scene())


def test_a_report_of_failure_says_so_and_a_refusal_is_an_error() -> None:
    async def scene() -> None:
        told: list[Input] = []
        async with running(Notes(), told) as (channel, modem):
            modem.network.report_status = 0x46
            await channel.send(notice(8))
            await until(lambda: receipts(told))
            assert receipts(told) == [(8, DeliveryState.FAILED_FOR_GOOD)]
            modem.faults.refuse.append(331)
            with pytest.raises(DeliveryError) as refused:
                await channel.send(notice(9))
            assert refused.value.retryable

    asyncio.run(scene())


def test_no_report_is_asked_for_where_the_operator_sends_none() -> None:
    async def scene() -> None:
        told: list[Input] = []
        async with running(Notes(), told, report=False) as (channel, modem):
            await channel.send(notice(7))
            assert not modem.network.parts[0].message.report
            assert receipts(told) == []

    asyncio.run(scene())


def test_a_reply_reaches_the_intake_and_is_freed_after_its_commit() -> None:
    async def scene() -> None:
        told: list[Input] = []
        async with running(Notes(), told) as (channel, modem):
            modem.receive(NUMBER, "１")
            await until(lambda: any(isinstance(each, Reply) for each in told))
            (reply,) = [each for each in told if isinstance(each, Reply)]
            assert (reply.channel, reply.number, reply.text) == ("sms", NUMBER, "１")
            assert abs(reply.sent - SystemClock().wall()) < 60 * SECOND  # the network's time, whatever its zone
            await channel.send(notice(1))
            assert modem.network.stored["ME"]
            channel.accepted(reply.token)
            await until(lambda: not modem.network.stored["ME"])

    asyncio.run(scene())


def test_higher_classes_and_questions_go_first() -> None:
    async def scene() -> None:
        told: list[Input] = []

        def slow(modem: SimulatedModem) -> None:
            modem.seconds_per_sms = 0.02

        async with running(Notes(), told, prepare=slow) as (channel, modem):
            waiting = [
                notice(1, text="maintenance", alarm_class=AlarmClass.MAINTENANCE),
                notice(2, text="fire: taken over", reason=NotifyReason.TAKEN_OVER),
                notice(3, text="gas", alarm_class=AlarmClass.GAS),
                notice(4, text="fire again", reason=NotifyReason.REPEATED),
                notice(5, text="fire"),
            ]
            await asyncio.gather(*(channel.send(each) for each in waiting))
            assert [m.text for m in modem.sent] == ["fire again", "fire", "fire: taken over", "gas", "maintenance"]
            assert receipts(told)

    asyncio.run(scene())


def bare(notes: Notes, told: list[Input], clock: FakeClock) -> SmsModem:
    """A channel without a modem, which hears reports by hand."""
    channel = make("/dev/null", clock, notes)
    channel._tell = told.append  # noqa: SLF001 - its run would open the port
    return channel


def test_reports_are_matched_by_reference_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        told: list[Input] = []
        notes = Notes()
        clock = FakeClock()
        channel = bare(notes, told, clock)
        references = iter([[1, 2], [1], [3], [4]])

        async def sent(*_: object, **__: object) -> list[int]:
            return next(references)

        monkeypatch.setattr(channel._session, "send", sent)  # noqa: SLF001 - the references are the test's
        await channel.send(notice(10, address="13800138000"))
        await channel.send(notice(11, address="+8613900139000"))
        channel.reported(StatusReport(1, "13900139000", status=0))
        channel.reported(StatusReport(2, "+8613800138000", status=0x30))  # the centre still tries
        channel.reported(StatusReport(2, "+8613800138000", status=0))
        assert receipts(told) == [(11, DeliveryState.DELIVERED)]
        channel.reported(StatusReport(1, "+8613800138000", status=0))
        assert receipts(told)[-1] == (10, DeliveryState.DELIVERED)
        channel.reported(StatusReport(3, "+8613800138000", status=0))  # overtakes the end of its message
        assert notes.counts["report_unmatched"] == 1
        await channel.send(notice(12, address="13800138000"))
        assert receipts(told)[-1] == (12, DeliveryState.DELIVERED)
        await channel.send(notice(13, address="13800138000"))
        await clock.advance(49 * 3600)
        channel.reported(StatusReport(4, "+8613800138000", status=0))
        assert receipts(told)[-1] == (12, DeliveryState.DELIVERED)
        assert clock.mono() > 49 * HOUR

    asyncio.run(scene())


def test_a_refused_pin_is_remembered_over_a_restart_and_a_new_one_is_tried() -> None:
    def locked(modem: SimulatedModem) -> None:
        modem.faults.sim = "SIM PIN"

    async def scene() -> None:
        notes = Notes()
        for pin, tries in (("9999", 1), ("9999", 0), ("1234", 1)):
            told: list[Input] = []
            async with running(notes, told, prepare=locked, pin=pin) as (_, modem):
                await until(lambda: told)  # noqa: B023 - awaited here
                assert sum(each.startswith("AT+CPIN=") for each in modem.commands) == tries
        (kept,) = notes.kept.values()
        salt, _, fingerprint = kept.partition("$")
        assert (len(salt), len(fingerprint)) == (32, 128)  # ten thousand PINs: salted, and slow to try
        assert "9999" not in kept

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("138 0013 8000", "13800138000"),
        ("+86-138-0013-8000", "+8613800138000"),
        ("＋８６１３８００１３８０００", "+8613800138000"),
        ("(0713) 8888 8888", "071388888888"),
        ("10086", "10086"),
        ("无", ""),
    ],
)
def test_numbers_as_people_write_them(address: str, number: str) -> None:
    assert dialled(address) == number


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match="baud"):
        make("/dev/ttyUSB2", FakeClock(), Notes(), baud=9600)
    assert OPTIONS(port="x").baudrate == 115200
