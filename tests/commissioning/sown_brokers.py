"""Faults of brokers, certificates, secrets, sinks and people, for `firegrid doctor` to find."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import real_mosquitto
from tests.commissioning import faulty
from tests.commissioning.faulty import BROKER, MODEM, Field
from tests.commissioning.sown import Faults, Patch
from tests.ports import free_port

FAULTS = Faults()
fault = FAULTS.fault


CERTIFICATES = Path(__file__).parent.parent / "cases" / "certificates"


@fault("broker", en="nothing listens there", zh="没有代理在监听", mend="systemctl status mosquitto")
def broker_not_running(at: Field, _: Patch) -> Path:
    return at.write(BROKER.format(port=free_port(), more=""))


@fault("broker", en="user name or password is wrong", zh="用户名或密码不对", mend="password_file")
def broker_password_wrong(at: Field, _: Patch) -> Path:
    broker = at.stack.enter_context(real_mosquitto.running_shipped(at.folder))
    secret = at.folder / "secret"
    secret.write_text("guessed\n", encoding="utf-8")
    secret.chmod(0o600)
    return at.write(BROKER.format(port=broker.port, more='username = "firegrid"\npassword_file = "secret"'))


@fault(
    "broker",
    en="1000 were kept, the rest silently dropped",
    zh="被悄悄丢弃",
    mend="max_queued_messages 200000",
    probe=True,
)
def broker_queue_limited(at: Field, _: Patch) -> Path:
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, "allow_anonymous true\n"))
    return at.write(BROKER.format(port=broker.port, more=""))


@fault("broker", en="keeps no QoS 0 message", zh="不保留 QoS 0 消息", mend="queue_qos0_messages true", probe=True)
def broker_keeps_no_qos0(at: Field, _: Patch) -> Path:
    own = real_mosquitto.OPEN.replace("queue_qos0_messages true", "")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, own))
    return at.write(BROKER.format(port=broker.port, more=""))


@fault("daemon", en="life-safety topic sent at QoS 0", zh="以 QoS 0 发送", mend="retain: true")
def smoke_detector_without_qos_and_retain(at: Field, _: Patch) -> Path:
    link = {"name": "broker", "up": True, "reason": "", "findings": {"qos0 zigbee2mqtt/smoke-1": "…"}}
    at.stack.enter_context(faulty.daemon(at.folder / "station.db.sock", {"links": [link]}))
    return at.write(BROKER.format(port=1, more=""))


@fault("configuration", en="can be read by others", zh="可被其他用户读取", mend="chmod 600")
def secret_readable_by_all(at: Field, _: Patch) -> Path:
    secret = at.folder / "secret"
    secret.write_text("word\n", encoding="utf-8")
    secret.chmod(0o644)
    return at.write(BROKER.format(port=1, more='username = "firegrid"\npassword_file = "secret"'))


@fault("certificate", en="the certificate expired on 2021-01-01", zh="证书已于 2021-01-01 过期", mend="new certificate")
def certificate_expired(at: Field, _: Patch) -> Path:
    shutil.copy(CERTIFICATES / "expired.pem", at.folder)
    return at.write(BROKER.format(port=1, more='tls = true\ncafile = "expired.pem"'))


@fault("certificate", en="is not valid before 2090-01-01", zh="2090-01-01 起才有效", mend="check the clock")
def certificate_of_the_future(at: Field, _: Patch) -> Path:
    shutil.copy(CERTIFICATES / "early.pem", at.folder)
    return at.write(BROKER.format(port=1, more='tls = true\ncafile = "early.pem"'))


def _sink(at: Field, status: int) -> Path:
    url = at.stack.enter_context(faulty.web_server(status))
    secret = at.folder / "token"
    secret.write_text("old\n", encoding="utf-8")
    secret.chmod(0o600)
    sink = f'[[sink]]\nid = "graphs"\nkind = "influx"\nurl = "{url}"\nbucket = "fire"\ntoken_file = "token"\n'
    return at.write(BROKER.format(port=1, more=""), sink)


@fault("sink", en="the token is not accepted (401", zh="令牌不被接受（401", mend="token_file")
def sink_token_wrong(at: Field, _: Patch) -> Path:
    return _sink(at, 401)


@fault("sink", en="there is no bucket 'fire'", zh="没有 bucket", mend="create it")
def sink_bucket_missing(at: Field, _: Patch) -> Path:
    return _sink(at, 404)


def centre(port: int, **more: str) -> str:
    """Return the table of a sink towards a broker."""
    keys = "".join(f'{key} = "{value}"\n' for key, value in more.items())
    return f'[[sink]]\nid = "centre"\nkind = "mqtt_uplink"\nhost = "127.0.0.1"\nport = {port}\n{keys}'


@fault(
    "sink", en="centre: user name or password is wrong", zh="用户名或密码不对", mend="check username and password_file"
)
def uplink_user_wrong(at: Field, _: Patch) -> Path:
    closed = real_mosquitto.OPEN.replace("allow_anonymous true", "allow_anonymous false")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, closed))
    return at.write(BROKER.format(port=1, more=""), centre(broker.port))


@fault(
    "sink", en="centre: we may not publish there (0x87)", zh="不允许发布", mend="let this user publish to firegrid/t1/#"
)
def uplink_topic_not_allowed(at: Field, _: Patch) -> Path:
    rights = at.folder / "acl"
    rights.write_text("topic readwrite elsewhere/#\n", encoding="utf-8")
    broker = at.stack.enter_context(real_mosquitto.running(at.folder, f"{real_mosquitto.OPEN}acl_file {rights}\n"))
    return at.write(BROKER.format(port=1, more=""), centre(broker.port))


@fault("configuration", en="has no phone, but policy", zh="没有电话，但预案", mend="add the phone")
def contact_without_phone(at: Field, _: Patch) -> Path:
    people = '[[contact]]\nid = "wang"\ncell = "a"\nrole = "captain"\n'
    steps = '[{ after = "0s", notify = ["role:captain@cell", "role:squad@cell"], by = ["sms"] }]'
    policy = f'[[policy]]\nid = "turn-out"\nsteps = {steps}\n'
    return at.write(BROKER.format(port=1, more=""), MODEM.format(port="/dev/null"), people, policy)
