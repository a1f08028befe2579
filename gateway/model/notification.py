"""Notices: one message to one contact by one channel, with the reason it exists and how far it got (house section 9).

A notice found in `sending` at start is sent again, marked 重发: the first byte may or may not have left. So is one
whose channel cannot say whether it left.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.model.point import AlarmClass


class NotifyReason(StrEnum):
    """Why somebody is told. The first three ask for an answer, the rest inform."""

    RAISED = "raised"  # the first step of a chain
    ESCALATED = "escalated"  # a later step
    REPEATED = "repeated"  # the policy starts over
    TAKEN_OVER = "taken_over"  # follow-up: X has it
    SHELVED = "shelved"  # follow-up: X keeps it from calling until …
    OUT_OF_SERVICE = "out_of_service"  # follow-up: X keeps it from calling until further notice
    ALL_CLEAR = "all_clear"  # follow-up: it ended
    FALSE_ALARM = "false_alarm"  # follow-up: a person closed it as false
    OPEN_CODES = "open_codes"  # answer to a reply that named no or a wrong code
    CONFIRMED = "confirmed"  # answer to a reply that acknowledged
    SOUND = "sound"  # a sounder is to be on
    SILENCE = "silence"  # … and off


class DeliveryState(StrEnum):
    """How far a notice got."""

    PLANNED = "planned"
    SENDING = "sending"  # committed before the first byte leaves
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED_FOR_NOW = "failed_for_now"
    FAILED_FOR_GOOD = "failed_for_good"
    SUPERSEDED = "superseded"

    @property
    def open(self) -> bool:
        """Whether the dispatcher still has work with it."""
        return self in (DeliveryState.PLANNED, DeliveryState.SENDING, DeliveryState.FAILED_FOR_NOW)


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one method. Times are ns on the station axis, 0 = not yet.

    `recorded` is False when it left before its transition could be committed (未存档). `repeat` marks a second sending
    of what may have arrived (重发), `uncertain` a try that failed and may have arrived. `reference` is what the channel
    gave back (modem message references).
    """

    id: int
    alarm: int
    alarm_class: AlarmClass
    contact: str
    channel: str
    address: str
    reason: NotifyReason
    text: str
    state: DeliveryState = DeliveryState.PLANNED
    step: int = 0
    round: int = 0
    planned_at: int = 0
    sending_at: int = 0
    sent_at: int = 0
    done_at: int = 0
    retry_at: int = 0
    attempts: int = 0
    repeat: bool = False
    recorded: bool = True
    failure: str = ""
    uncertain: bool = False
    reference: tuple[int, ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel says of a notice: put on the intake, journalled like a reading.

    `uncertain`: it failed as far as the channel knows, and may have arrived.
    """

    notice: int
    state: DeliveryState
    at: int
    failure: str = ""
    reference: tuple[int, ...] = ()
    uncertain: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a person sent back: number and text as received; `at` is the arrival.

    `sent` is when the network took it over, ns since 1970 by its clock; 0 where it does not say.
    """

    channel: str
    number: str
    text: str
    at: int
    token: str = ""  # what the channel needs to delete it after the commit
    sent: int = 0


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """A channel is known to work or known to be down: a step whose channels are all down is skipped at once."""

    channel: str
    up: bool
    at: int
    reason: str = ""
