"""Sink `influx`: InfluxDB 1.8, 2 and 3 and VictoriaMetrics by `/api/v2/write`; older InfluxDB 1 by `/write`.

Runs in a process of its own (`gateway.uplink`). This file says what an answer means; what is sent again, and when, is
decided above. A point that the server refuses is found by halving and set aside with the server's words, the others of
its batch are kept (PartialWrite); before anything is set aside, a line of our own must be taken, so that a wrong bucket
is never mistaken for wrong points. Layout: `gateway.sinks._lines`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from gateway.clock import MINUTE
from gateway.config.options import read
from gateway.config.quantities import Seconds
from gateway.errors import DeliveryError, LinkDown
from gateway.model.portion import Aside, Portion
from gateway.model.ports import SinkSetup
from gateway.sinks._lines import Lines, tagged
from gateway.transport import http
from gateway.transport.mqtt_options import read_password

if TYPE_CHECKING:
    from gateway.transport.influx import Answer, InfluxServer

NAMED = 32  # refused points of one portion that are looked for one by one; the rest is only counted, where it can be
_TAKEN = 204
_BAD_POINTS = (400, 422)
_TOO_LARGE = 413
_BUSY = (408, 425, 429)
_DROPPED = re.compile(r"dropped=(\d+)")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[sink]]` with `kind = "influx"`.

    `bucket`: of InfluxDB 1 the database, or database/retention policy. `token_file`, or `user` and `password_file` for
    InfluxDB 1: readable by the gateway's user alone. `api = "v1"` for InfluxDB before 1.8. `timeout` in seconds.
    """

    url: str
    bucket: str = ""
    org: str = ""
    token_file: str = ""
    user: str = ""
    password_file: str = ""
    api: Literal["v2", "v1"] = "v2"
    timeout: Seconds = 10.0
    gzip: bool = True
    ca_file: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be called."""
        http.check(self.url, self.timeout)
        if bool(self.user) != bool(self.password_file) or (self.user and self.token_file):
            raise ValueError("write token_file, or user and password_file")
        if self.api == "v1" and not self.bucket:
            raise ValueError('api = "v1" needs a bucket: the name of the database')


OPTIONS = Options


def create(setup: SinkSetup) -> Influx:
    """Build the sink. Raises ConfigError: wrong keys, or a secret that others may read."""
    from gateway.transport.influx import InfluxServer  # noqa: PLC0415 - the daemon, which reads OPTIONS, has no use for it

    options = read(setup.spec, Options)
    server = InfluxServer(
        options.url,
        token=_token(options),
        deadline=options.timeout,
        zipped=options.gzip,
        cafile=options.ca_file,
        clock=setup.clock,
    )
    return Influx(setup, options, server)


class _Batch(NamedTuple):
    lines: Sequence[str]
    why: str


class Influx:
    """Writes to one server."""

    def __init__(self, setup: SinkSetup, options: Options, server: InfluxServer) -> None:
        self._lines = Lines(setup.station, setup.points, setup.facts)
        self._clock = setup.clock
        self._marker = f"firegrid_gateway{tagged({'station': setup.station, 'instance': setup.instance})} up=1i"
        self._marked_at = -MINUTE
        self._path, self._query = "/api/v2/write", {"bucket": options.bucket, "org": options.org, "precision": "ns"}
        if options.api == "v1":
            database, _, policy = options.bucket.partition("/")
            self._path, self._query = "/write", {"db": database, "rp": policy, "precision": "ns"}
        self._query = {key: value for key, value in self._query.items() if value}
        self._server = server

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Write a portion, see `Sink`."""
        lines = self._lines.of(portion)
        now = self._clock.mono()
        if now - self._marked_at >= MINUTE:
            lines.append(self._marker)
            self._marked_at = now
        answer = await self._write(lines)
        if answer is None:
            return []
        return await self._sift(_Batch(lines, answer))

    async def close(self) -> None:
        """Close the connection."""
        self._server.close()

    async def _write(self, lines: Sequence[str]) -> str | None:
        """Send lines; None when they were taken, else why some of them are not wanted."""
        answer = await self._server.post(self._path, self._query, "\n".join(lines).encode())
        if answer.status == _TAKEN:
            return None
        if answer.status == _TOO_LARGE:
            return "413 the batch is too large"
        if answer.status in _BAD_POINTS:
            return f"{answer.status} {answer.words}"
        raise self._failure(answer)

    def _failure(self, answer: Answer) -> LinkDown | DeliveryError:
        """Return what an answer means that is about no point: try again soon, or a person has to mend something."""
        where = f"{self._server.url}{self._path}"
        told = f"{where}: {answer.status} {answer.words}".rstrip()
        if answer.status in (401, 403):
            fix = "check token_file (or user and password_file), and that it may write to the bucket"
        elif answer.status == 404:
            fix = f"check url, org and bucket ({self._query.get('bucket') or self._query.get('db', '')!r})"
        elif 300 <= answer.status < 400:
            fix = f"it points to {answer.fields.get('location', 'elsewhere')!r}: write the final address as url"
        elif 200 <= answer.status < 300:
            fix = "a write is answered by 204: this is another program, or a portal that wants a login"
        elif 400 <= answer.status < 500 and answer.status not in _BUSY:
            fix = "check that url is a server that speaks InfluxDB's API"
        else:
            return LinkDown(told)
        return DeliveryError(f"{told}; {fix}", retryable=False)

    async def _sift(self, batch: _Batch) -> list[Aside]:
        """Find the lines that are refused; all the others are at the server then."""
        refused: list[Aside] = []
        waiting = [batch]
        proven = False
        while waiting:
            lines, why = waiting.pop()
            proven = proven or await self._proven(why)
            dropped = _DROPPED.search(why)
            if len(lines) == 1:
                refused.append(Aside(lines[0], why))
            elif len(refused) >= NAMED and dropped:  # a partial write: what is good in it is kept already
                refused += [Aside("(one of many)", why)] * min(int(dropped[1]), len(lines))
            else:
                middle = len(lines) // 2
                for part in (lines[middle:], lines[:middle]):
                    answer = await self._write(part)
                    if answer is not None:
                        waiting.append(_Batch(part, answer))
        return refused

    async def _proven(self, why: str) -> bool:
        """Make sure that the server takes anything at all. Raises DeliveryError with its words when it does not."""
        answer = await self._write([self._marker])
        if answer is not None:
            fix = "nothing is taken, not even a line of our own: check url, org, bucket and api"
            raise DeliveryError(f"{self._server.url}{self._path}: {why}; {fix}", retryable=False)
        return True


def _token(options: Options) -> str:
    """Return what stands behind `Authorization: Token`; of InfluxDB 1 that is user:password."""
    if options.token_file:
        return read_password(Path(options.token_file)).decode()
    if options.user:
        return f"{options.user}:{read_password(Path(options.password_file)).decode()}"
    return ""
