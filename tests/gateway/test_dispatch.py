"""The dispatcher: whatever becomes of a sending comes back as one receipt that says whether it may have left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.errors import DeliveryError, LinkDown
from gateway.model.moment import Input
from gateway.model.notification import DeliveryState, Notification, NotifyReason, Receipt
from gateway.model.point import AlarmClass
from gateway.model.ports import Channel
from gateway.pipeline.dispatch import Dispatcher
from gateway.testing import FakeClock

NOTICE = Notification(
    id=7,
    alarm=1,
    alarm_class=AlarmClass.FIRE,
    contact="li",
    channel="sms",
    address="1",
    reason=NotifyReason.RAISED,
    text="火警",
)


class Failing(Channel):
    """A channel that fails as told; without a failure it never answers."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Nothing to keep up."""

    def accepted(self, token: str) -> None:
        """Nothing comes back."""

    async def send(self, notice: Notification) -> Receipt:
        """Fail."""
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()
        raise AssertionError(notice)


@pytest.mark.parametrize(
    ("failure", "uncertain"),
    [
        (DeliveryError("refused", retryable=True), False),
        (DeliveryError("no answer", retryable=True, uncertain=True), True),
        (LinkDown("no port"), False),
        (RuntimeError("a bug, nobody knows how far it got"), True),
        (None, True),
    ],
)
def test_a_failure_says_whether_the_notice_may_have_left(failure: Exception | None, *, uncertain: bool) -> None:
    async def scene() -> None:
        clock = FakeClock()
        told: list[Input] = []
        dispatcher = Dispatcher({"sms": Failing(failure)}, told.append, clock, send_timeout=5.0)
        dispatcher.send(NOTICE)
        await clock.advance(5)
        (receipt,) = told
        assert isinstance(receipt, Receipt)
        assert (receipt.notice, receipt.state, receipt.uncertain) == (7, DeliveryState.FAILED_FOR_NOW, uncertain)
        await dispatcher.close()

    asyncio.run(scene())
