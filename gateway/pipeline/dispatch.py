"""Hands notices to channels after their commit, and brings what the channels say back to the intake as receipts.

Last part of the flow. Each notice arrives here in `sending`, already durable; what becomes of it is decided by the
escalation from its receipt, never here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gateway.clock import Clock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.moment import Input
from gateway.model.notification import DeliveryState, Notification, Receipt, Reply
from gateway.model.ports import Channel

FAIL_POINTS = ("before_send", "after_send")


class Dispatcher:
    """Runs one task per notice on its way; `put` takes receipts (the intake)."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        put: Callable[[Input], None],
        clock: Clock,
        *,
        send_timeout: float,
        faults: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._channels = channels
        self._put = put
        self._clock = clock
        self._send_timeout = send_timeout
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, notice: Notification) -> None:
        """Start handing one notice over."""
        task = asyncio.create_task(self._send(notice), name=f"notice-{notice.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def accepted(self, reply: Reply) -> None:
        """Tell a channel that a reply is committed."""
        channel = self._channels.get(reply.channel)
        if channel is not None and reply.token:
            channel.accepted(reply.token)

    async def _send(self, notice: Notification) -> None:
        try:
            channel = self._channels[notice.channel]
            self._faults("before_send")
            async with self._clock.timeout(self._send_timeout):
                receipt = await channel.send(notice)
            self._faults("after_send")
        except KeyError:
            receipt = self._failure(notice, f"no channel {notice.channel}", retryable=False)
        except DeliveryError as error:
            receipt = self._failure(notice, error.reason, retryable=error.retryable, uncertain=error.uncertain)
        except LinkDown as error:
            receipt = self._failure(notice, str(error), retryable=True)
        except TimeoutError:
            receipt = self._failure(notice, "no answer from the channel in time", retryable=True, uncertain=True)
        except Exception as error:  # noqa: BLE001 - a channel's bug must not cost the notice
            receipt = self._failure(notice, f"{type(error).__name__}: {error}", retryable=True, uncertain=True)
        self._put(receipt)

    def _failure(self, notice: Notification, reason: str, *, retryable: bool, uncertain: bool = False) -> Receipt:
        state = DeliveryState.FAILED_FOR_NOW if retryable else DeliveryState.FAILED_FOR_GOOD
        return Receipt(notice=notice.id, state=state, at=self._clock.mono(), failure=reason, uncertain=uncertain)

    async def close(self) -> None:
        """Cancel what is still on its way: found in `sending` at the next start, it is sent again marked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
