"""Times of SL 651-2014: BCD digits YYMMDDHHmm[SS] of the station's clock ↔ ns since 1970 on that clock.

Pure, beside `gateway.protocols.sl651_body`; no zone is known here. Keeps house section 10: whether a time is plausible
is judged behind (`gateway.pipeline.validate`); here only one that no calendar has is refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from gateway.model.time import DAY, SECOND

_CENTURY = "20"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the station's clock; its zone is not known here

NO_TIME = 946_684_800 * SECOND  # 2000-01-01: stands in a body when no time is known; no station's report has it


def local_time(digits: str) -> int:
    """Return ns since 1970 of `YYMMDDHHmm` or with `SS`, 0 for letters among the digits or an impossible date."""
    if not digits.isdecimal() or not digits.isascii() or len(digits) not in (10, 12):
        return 0
    day, clock = _day(digits[:6]), int(digits[6:].ljust(6, "0"))
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    if not day or hour > 23 or minute > 59 or second > 59:
        return 0
    return day + (hour * 3600 + minute * 60 + second) * SECOND


@lru_cache(maxsize=64)  # most reports are of today
def _day(digits: str) -> int:
    try:
        moment = datetime(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))  # noqa: DTZ001 - as above
    except ValueError:
        return 0
    return (moment - _EPOCH).days * DAY


@lru_cache(maxsize=64)  # answers of one second have one time
def digits_of(time: int, *, seconds: bool) -> str:
    """Return the digits of a time.

    Raises:
        ValueError: not between 2000 and 2099.
    """
    moment = _EPOCH + timedelta(seconds=time // SECOND)
    if not moment.year // 100 == int(_CENTURY):
        raise ValueError(f"{moment} has no two-digit year of this century")
    return moment.strftime("%y%m%d%H%M%S" if seconds else "%y%m%d%H%M")
