"""The error tree: an exception names the *kind* of failure, never what to do about it.

The supervisor and the retry policy own the reaction. Blame decides the class: a
`ConfigError` is the operator's to fix, a `ProtocolViolation` is the peer's, an
`IllegalTransition` is ours.

    GatewayError
     ├─ ConfigError            a file of ours is wrong
     ├─ DriverError
     │   ├─ LinkDown           the wire, socket or adapter is gone
     │   ├─ ProtocolViolation  the peer's bytes are wrong
     │   └─ DriverFatal        this driver cannot go on
     ├─ StoreError
     │   ├─ StoreFull
     │   ├─ StoreCorrupt
     │   ├─ StoreLocked
     │   ├─ StoreReadOnly
     │   ├─ StoreTooNew
     │   └─ PartialWrite       some rows were accepted, some refused
     ├─ DeliveryError          a notice could not be handed over
     └─ IllegalTransition      a bug of ours
"""

from __future__ import annotations


class GatewayError(Exception):
    """Root of everything firegrid raises on purpose."""


class ConfigError(GatewayError):
    """The configuration is wrong: every problem is listed at once, exit code 2."""


class DriverError(GatewayError):
    """Something on the way from a device to us failed."""


class LinkDown(DriverError):  # noqa: N818 - the name says the state, as in house language
    """The link is gone: back off and retry; its points turn BAD; a fault alarm within 100 s.

    Example scenarios: USB adapter pulled, broker gone, TCP peer reset, ping unanswered.
    """


class ProtocolViolation(DriverError):  # noqa: N818 - as above
    """Their bytes are wrong: count it, drop that frame, keep the link and the good frames beside it."""


class DriverFatal(DriverError):  # noqa: N818 - as above
    """This driver cannot go on; the house does. Fault alarm."""


class StoreError(GatewayError):
    """The store did not do what it was asked."""


class StoreFull(StoreError):  # noqa: N818 - as above
    """No space left, or the byte budget is used up."""


class StoreCorrupt(StoreError):  # noqa: N818 - as above
    """The file is not what we wrote: set aside, salvage, start afresh."""


class StoreLocked(StoreError):  # noqa: N818 - as above
    """Another daemon writes this store: a mistake of whoever started the second one, never of the file."""


class StoreReadOnly(StoreError):  # noqa: N818 - as above
    """The file, its folder or the file system cannot be written."""


class StoreTooNew(StoreError):  # noqa: N818 - as above
    """A newer firegrid wrote the file: leave it as it is."""


class PartialWrite(StoreError):  # noqa: N818 - as above
    """A far end took some rows and refused others."""

    def __init__(self, message: str, *, accepted: int, rejected: int) -> None:
        super().__init__(message)
        self.accepted = accepted
        self.rejected = rejected


class DeliveryError(GatewayError):
    """A notice could not be handed over. The channel says whether another try can help.

    `uncertain`: it may have left all the same, so another try is marked 重发.
    """

    def __init__(self, reason: str, *, retryable: bool, uncertain: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.uncertain = uncertain


class IllegalTransition(GatewayError):  # noqa: N818 - as above
    """A state machine was asked for a move its table does not have: nothing changed, a bug of ours."""
