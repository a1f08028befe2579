"""Which replies were taken already: one that is read from the modem again must not answer an alarm of today.

Flow: `inbox` asks and notes here, in the same commit that lets the channel delete the reply. A reply stays in the
modem when the process dies before the deletion, or when the modem refuses it; it comes back with a new arrival, and
number, time of the network and text are all that still name it. House rule 4 (at least once, decided once).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from gateway.model.delta import Delta, Table
from gateway.model.notification import Reply

REPLIES_KEPT: Final = 512  # a modem stores 255 at most, and only replies of contacts are noted


class Seen:
    """Identities of the newest replies (durable table `reply_seen`: identity → serial number)."""

    def __init__(self) -> None:
        self.table: Table[int] = Table("reply_seen")

    def repeated(self, reply: Reply, delta: Delta) -> bool:
        """Say whether a reply was taken before, and note it; the oldest beyond `REPLIES_KEPT` is forgotten."""
        identity = _identity(reply)
        if not identity:
            return False
        if identity in self.table:
            return True
        self.table.put(delta, identity, max(self.table, default=0) + 1)
        if len(self.table) > REPLIES_KEPT:
            self.table.drop(delta, min(self.table.rows, key=self.table.rows.__getitem__))
        return False


def _identity(reply: Reply) -> str:
    """Name a reply by what stays the same when it is read again; "" when nothing does.

    Without a time of the network its place in the modem stands for it: at worst a second "1" acknowledges nothing, and
    the alarm goes on calling.
    """
    if not (reply.sent or reply.token):
        return ""
    which = (reply.number, reply.text, reply.sent or reply.token)
    return blake2b(msgspec.msgpack.encode(which), digest_size=12).hexdigest()
