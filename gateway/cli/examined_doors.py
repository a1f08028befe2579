"""What `firegrid doctor` finds at the doors to others: the page's port, certificates, far ends of sinks.

Beside `examined`. A server is sent an empty write and a far broker an empty message that nobody keeps, so that they
say what they think of token and user.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.cli.examined import Finding, Level
from gateway.cli.links import unreachable
from gateway.clock import SECOND, Clock
from gateway.config.options import read
from gateway.errors import ConfigError, LinkDown
from gateway.model.station import PageSpec, SinkSpec, Station
from gateway.protocols import x509
from gateway.sinks import homeassistant, influx, mqtt_uplink
from gateway.sinks.mqtt_uplink import Access
from gateway.transport.mqtt import connect
from gateway.transport.mqtt_options import read_password

SOON = timedelta(days=30)
_LISTENING = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"  # a socket's state in these files
_KEYS = ("cert_file", "certfile", "cafile", "ca_file")
_AT_BROKERS: dict[str, type[Access]] = {"mqtt_uplink": mqtt_uplink.Options, "homeassistant": homeassistant.Options}


def page(spec: PageSpec | None) -> Iterator[Finding]:
    """Yield whether the page's port is free; only meaningful while the daemon does not run."""
    if spec is None:
        return
    for table in _LISTENING:
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, *_ = row.split()
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == spec.port:
                text = (
                    f"页面端口 {spec.port} 被其他程序占用",
                    f"port {spec.port} of the page is taken by another program",
                )
                find = f"sudo ss -ltnp 'sport = :{spec.port}'"
                mend = f"查看：{find}；或改 [page] listen", f"find it: {find}; or change listen in [page]"
                yield Finding("page", Level.BAD, *text, *mend)
                return


def certificates(station: Station, clock: Clock) -> Iterator[Finding]:
    """Yield every certificate that has expired, is not valid yet, cannot be read, or ends soon."""
    named = {f"source[{source.id}]": source.options for source in station.sources}
    named |= {f"sink[{sink.id}]": sink.options for sink in station.sinks}
    if station.page is not None:
        named["page"] = {"cert_file": station.page.cert_file}
    now = datetime.fromtimestamp(clock.wall() / SECOND, tz=UTC)
    for owner, options in named.items():
        for key in _KEYS:
            if isinstance(path := options.get(key), str) and path:
                yield _certificate(f"{owner}.{key}", Path(path), now)


def _certificate(owner: str, path: Path, now: datetime) -> Finding:
    mend = f"换用新证书：{path}", f"put a new certificate in place: {path}"
    try:
        first, last = x509.validity(ssl.PEM_cert_to_DER_cert(_first_of(path.read_text(encoding="ascii"))))
    except (OSError, ValueError) as error:
        text = (
            f"{owner}：{path} 不是可读的证书（{error}）",
            f"{owner}: {path} is no certificate that can be read ({error})",
        )
        return Finding("certificate", Level.BAD, *text, *mend)
    day = last.date().isoformat()
    if now > last:
        text = f"{owner}：证书已于 {day} 过期", f"{owner}: the certificate expired on {day}"
        return Finding("certificate", Level.BAD, *text, *mend)
    if now < first:
        begin = first.date().isoformat()
        text = f"{owner}：证书 {begin} 起才有效", f"{owner}: the certificate is not valid before {begin}"
        return Finding("certificate", Level.BAD, *text, f"检查时钟；{mend[0]}", f"check the clock; {mend[1]}")
    text = f"{owner}：证书有效至 {day}", f"{owner}: the certificate is valid until {day}"
    return (
        Finding("certificate", Level.REMARK, *text, *mend)
        if last - now < SOON
        else Finding("certificate", Level.GOOD, *text)
    )


def _first_of(text: str) -> str:
    """Return the first certificate of a PEM file, which may hold a chain."""
    _, begin, rest = text.partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    if not begin or not end:
        raise ValueError("no PEM")
    return f"{begin}{body}{end}\n"


def servers(station: Station, clock: Clock) -> Iterator[Finding]:
    """Yield whether each far end of a sink takes what we send. Blocking, up to the sink's own time-out."""
    for sink in station.sinks:
        if sink.kind == "influx":
            yield asyncio.run(_server(sink, clock))
        elif sink.kind in _AT_BROKERS:
            yield asyncio.run(_centre(sink, station, clock))


async def _server(sink: SinkSpec, clock: Clock) -> Finding:
    name = f"sink {sink.id}"
    try:
        options = read(sink, influx.Options)
        status, words = await _write_nothing(options, clock)
    except (ConfigError, LinkDown) as error:
        mend = "检查 url、网络与服务是否运行", "check url, the network and whether the server runs"
        return Finding("sink", Level.BAD, f"{name}：{error}", f"{name}: {error}", *mend)
    told = f"{status} {words}".strip()
    if status in (401, 403):
        text = f"{name}：令牌不被接受（{told}）", f"{name}: the token is not accepted ({told})"
        mend = "换用可写该 bucket 的令牌：token_file", "put a token that may write to the bucket into token_file"
        return Finding("sink", Level.BAD, *text, *mend)
    if status == 404:
        text = (
            f"{name}：没有 bucket {options.bucket!r}（{told}）",
            f"{name}: there is no bucket {options.bucket!r} ({told})",
        )
        return Finding("sink", Level.BAD, *text, "建立它，或改正 bucket、org", "create it, or correct bucket and org")
    if 300 <= status < 400 or status >= 500:
        text = f"{name}：不可写（{told}）", f"{name}: cannot be written ({told})"
        return Finding("sink", Level.BAD, *text, "检查 url 与服务日志", "check url and the server's log")
    return Finding("sink", Level.GOOD, f"{name}：{options.url} 可写", f"{name}: {options.url} takes our writes")


async def _write_nothing(options: influx.Options, clock: Clock) -> tuple[int, str]:
    """Send an empty write; return status and words. Raises LinkDown, ConfigError."""
    from gateway.transport.influx import InfluxServer  # noqa: PLC0415 - the library weighs more than all the rest

    token = ""
    if options.token_file:
        token = read_password(Path(options.token_file)).decode()
    elif options.user:
        token = f"{options.user}:{read_password(Path(options.password_file)).decode()}"
    server = InfluxServer(
        options.url, token=token, deadline=options.timeout, zipped=False, cafile=options.ca_file, clock=clock
    )
    v1 = options.api == "v1"
    query = {"db": options.bucket.partition("/")[0]} if v1 else {"bucket": options.bucket, "org": options.org}
    try:
        answer = await server.post("/write" if v1 else "/api/v2/write", {k: v for k, v in query.items() if v}, b"")
    finally:
        server.close()
    return answer.status, answer.words


async def _centre(sink: SinkSpec, station: Station, clock: Clock) -> Finding:
    name = f"sink {sink.id}"
    try:
        root, code = await _publish_nothing(sink, station, clock)
    except (ConfigError, LinkDown) as error:
        return unreachable(name, str(error))._replace(area="sink")
    if code >= mqtt_uplink.REFUSED:
        text = f"{name}：不允许发布（{code:#04x}）", f"{name}: we may not publish there ({code:#04x})"
        mend = f"在该代理允许此用户发布 {root}/#", f"let this user publish to {root}/# at that broker"
        return Finding("sink", Level.BAD, *text, *mend)
    return Finding("sink", Level.GOOD, f"{name}：{root}/# 可发布", f"{name}: takes what we publish to {root}/#")


async def _publish_nothing(sink: SinkSpec, station: Station, clock: Clock) -> tuple[str, int]:
    """Publish an empty message; return the root of our topics and the PUBACK's code. Raises LinkDown, ConfigError."""
    root, options = mqtt_uplink.connection_of(read(sink, _AT_BROKERS[sink.kind]), station.id, "doctor")
    session = await connect(replace(options, will=None), clock, lambda *_: None)
    living = asyncio.create_task(session.run())
    try:
        return root, await session.publish(f"{root}/doctor", b"")
    finally:
        await session.close()
        await asyncio.gather(living, return_exceptions=True)
