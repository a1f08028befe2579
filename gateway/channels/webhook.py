"""Channel `webhook`: each notice as a signed JSON document, POSTed to one address.

Beside the dispatcher; retries are the outbox's, this file only says which failures are worth one (house section 11).
Signature: `X-Firegrid-Signature: sha256=<hex HMAC-SHA256 (RFC 2104) of "<X-Firegrid-Timestamp>.<body>">` under the
secret of a file of its own. The receiver refuses old time stamps and knows repeats by `X-Firegrid-Notice`, which stays
the same for every try of a notice. `docs/` says the fields of the document: they are those of `document`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.clock import SECOND
from gateway.config.options import read
from gateway.config.quantities import Seconds
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.contact import ChannelKind
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, Receipt
from gateway.model.ports import ChannelSetup
from gateway.transport import http

ADDRESSED = ChannelKind.PLACE
TRY_AGAIN = frozenset({408, 425, 429})  # RFC 9110, RFC 8470, RFC 6585; and every 5xx


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[channel]]` with `kind = "webhook"`.

    `secret_file`: at least 16 bytes, readable by the gateway's user alone; blanks and line ends around it do not count.
    `ca_file`: certificates to trust in place of the system's. `timeout` in seconds, over the whole exchange.
    """

    url: str
    secret_file: str
    ca_file: str | None = None
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        """Refuse an address that cannot be called."""
        http.check(self.url, self.timeout)


OPTIONS = Options
_LEAST_SECRET = 16


def create(setup: ChannelSetup) -> Webhook:
    """Build the channel; its secret is read at each sending. Raises ConfigError: unknown or wrong keys."""
    return Webhook(setup, read(setup.spec, Options))


class Webhook:
    """Calls one address."""

    def __init__(self, setup: ChannelSetup, options: Options) -> None:
        self._id = setup.spec.id
        self._station = setup.station
        self._clock = setup.clock
        self._report = setup.report
        self._options = options

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Say that it can be tried: whether the far end answers is known by sending only."""
        self._report.alive()
        tell(ChannelState(channel=self._id, up=True, at=self._clock.mono()))
        await asyncio.Event().wait()

    async def send(self, notice: Notification) -> Receipt:
        """POST one notice; SENT when the far end answers 2xx. Raises DeliveryError."""
        options = self._options
        try:
            secret = read_secret(Path(options.secret_file))
            body = msgspec.json.encode(document(notice, self._station))
            stamp = str(self._clock.wall() // SECOND)
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "firegrid",
                "X-Firegrid-Notice": f"{self._station}/{notice.id}".encode().decode("latin-1"),
                "X-Firegrid-Timestamp": stamp,
                "X-Firegrid-Signature": sign(secret, stamp, body),
            }
            answer = await http.post(
                options.url, body, headers, clock=self._clock, deadline=options.timeout, cafile=options.ca_file
            )
        except LinkDown as error:
            uncertain = isinstance(error, http.NoAnswer)
            raise DeliveryError(str(error), retryable=True, uncertain=uncertain) from error
        except (ConfigError, http.Untrusted) as error:
            raise DeliveryError(str(error), retryable=False) from error
        _judge(answer.status)
        return Receipt(notice=notice.id, state=DeliveryState.SENT, at=self._clock.mono())

    def accepted(self, token: str) -> None:
        """Nothing comes back by this way."""


def sign(secret: bytes, stamp: str, body: bytes) -> str:
    """Return the value of the signature header."""
    return "sha256=" + hmac.new(secret, stamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def document(notice: Notification, station: str) -> dict[str, object]:
    """Return what is sent: whom and what, which try; `repeat` marks one that may have arrived before a crash."""
    return {
        "station": station,
        "notice": notice.id,
        "alarm": notice.alarm,
        "class": notice.alarm_class.word,
        "reason": notice.reason,
        "contact": notice.contact,
        "text": notice.text,
        "step": notice.step,
        "round": notice.round,
        "attempt": notice.attempts,
        "repeat": notice.repeat,
        "recorded": notice.recorded,
    }


def read_secret(path: Path) -> bytes:
    """Return the secret. Raises ConfigError: absent, too short, or readable by others."""
    try:
        secret = path.read_bytes().strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; run: chmod 600 {path}")
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(f"{path}: a secret has at least {_LEAST_SECRET} bytes")
    return secret


def _judge(status: int) -> None:
    """Raise for everything but 2xx: what the far end will not take next time either is not tried again."""
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryError(f"HTTP {status}: redirects are not followed; write the final address", retryable=False)
    raise DeliveryError(f"HTTP {status}", retryable=status >= 500 or status in TRY_AGAIN)
