"""One write to a server that speaks InfluxDB's HTTP API, through influxdb-client; and its answer, whatever it is.

Of `gateway.transport`, the only package that opens connections (house section 5). Imported only by the process of an
`influx` sink. Of the library its API client is used, which `InfluxDBClient` stands on, and imported alone: the model
classes, reactivex and dateutil of the rest would cost that process 13 MB. The library's retries, batching and redirects
are not used: whether something is sent again is decided by who knows the cursor.
"""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport.offload import offload
from gateway.transport.piecemeal import piecemeal

piecemeal("influxdb_client", "influxdb_client.client", "influxdb_client.domain", "influxdb_client.service")

from influxdb_client._sync.api_client import ApiClient  # noqa: E402 - the packages are made piecemeal first
from influxdb_client.configuration import Configuration  # noqa: E402 - likewise
from influxdb_client.rest import ApiException  # noqa: E402 - likewise

_WORDS = 500  # characters of an answer's body that are kept
_FAST = 1  # gzip level: the wire is the narrow place, but so is the processor


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body (shortened) and header fields (names in lower case)."""

    status: int
    words: str
    fields: Mapping[str, str]


class InfluxServer:
    """One server. `token`: as it stands behind `Authorization: Token`; `deadline` in seconds over a whole exchange."""

    def __init__(
        self, url: str, *, token: str, deadline: float, zipped: bool, cafile: str | None, clock: Clock
    ) -> None:
        self.url = url
        self._zipped = zipped
        self._deadline = deadline
        self._clock = clock
        configuration = Configuration()  # type: ignore[no-untyped-call]
        configuration.host = url.rstrip("/")
        configuration.timeout = round(deadline * 1000)  # ms, of one request
        configuration.ssl_ca_cert = cafile
        self._client = ApiClient(configuration, retries=False)  # type: ignore[no-untyped-call]
        if token:
            self._client.set_default_header("Authorization", f"Token {token}")  # type: ignore[no-untyped-call]

    async def post(self, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        """Send lines and return the answer of any status. Raises LinkDown: none came whole in time."""
        try:
            async with self._clock.timeout(self._deadline):
                return await offload(lambda: self._post(path, query, body), "influx")
        except TimeoutError as error:
            self._client.rest_client.pool_manager.clear()
            raise LinkDown(f"{self.url}: no answer within {self._deadline:g} s") from error

    def close(self) -> None:
        """Close what is open."""
        self._client.rest_client.pool_manager.clear()

    def _post(self, path: str, query: Mapping[str, str], body: bytes) -> Answer:
        fields = {"Content-Type": "text/plain; charset=utf-8", "Accept": "application/json"}
        if self._zipped:
            body, fields["Content-Encoding"] = gzip.compress(body, _FAST), "gzip"
        try:
            try:
                return self._ask(path, query, body, fields)
            except urllib3.exceptions.ProtocolError:  # a connection that was kept open and is not any more
                self._client.rest_client.pool_manager.clear()
                return self._ask(path, query, body, fields)
        except UnicodeDecodeError as error:
            raise LinkDown(f"{self.url}: an answer that is no text: is this the right address?") from error
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise LinkDown(f"{self.url}: {_reason(error)}") from error

    def _ask(self, path: str, query: Mapping[str, str], body: bytes, fields: Mapping[str, str]) -> Answer:
        try:
            _, status, answered = self._client.call_api(  # type: ignore[no-untyped-call]
                path,
                "POST",
                query_params=list(query.items()),
                header_params=dict(fields),
                body=body,
                _return_http_data_only=False,
            )
        except ApiException as error:
            if not error.status:
                raise LinkDown(f"{self.url}: {error.reason}") from error
            return Answer(int(error.status), _shortened(error.body), _lower(error.headers))
        return Answer(int(status), "", _lower(answered))


def _lower(fields: Any) -> dict[str, str]:  # noqa: ANN401 - whatever mapping the library gives
    return {str(key).lower(): str(value) for key, value in dict(fields or {}).items()}


def _shortened(body: object) -> str:
    return " ".join(str(body or "").split())[:_WORDS]


def _reason(error: Exception) -> str:
    """Return the innermost words of urllib3's nested errors."""
    inner = getattr(error, "reason", None) or error
    return " ".join(f"{type(inner).__name__}: {inner}".split())[:_WORDS]
