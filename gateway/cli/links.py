"""What `firegrid doctor` hears from the running daemon: how it is, why a link is down, what was not read.

Beside `examined`. A broker's refusal is a code of MQTT 5.0 (section 2.4) or of the operating system; people get what it
means and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.cli.examined import Finding, Level
from gateway.escalation.phrases import spoken
from gateway.model.station import Station
from gateway.transport import unix


class Cause(NamedTuple):
    """Why a broker does not let us in: Chinese and English, and how to mend it."""

    zh: str
    en: str
    mend_zh: str
    mend_en: str


_LOGIN = (
    "检查该链路的 username 与 password_file，以及代理的用户（mosquitto_passwd）和 acl_file",
    "check username and password_file of the source, and the broker's users (mosquitto_passwd) and acl_file",
)
_RUNNING = ("检查代理是否运行：systemctl status mosquitto", "is it running? systemctl status mosquitto")
_CAUSES: dict[str, Cause] = {
    "NOT_AUTHORIZED": Cause("用户名或密码不对，或未提供", "user name or password is wrong or missing", *_LOGIN),
    "BAD_USER_NAME_OR_PASSWORD": Cause("用户名或密码不对", "user name or password is wrong", *_LOGIN),
    "BANNED": Cause("此客户端被禁止", "this client is banned", *_LOGIN),
    "CLIENT_IDENTIFIER_NOT_VALID": Cause(
        "client_id 不被接受", "it does not accept the client_id", "改用另一 client_id", "use another client_id"
    ),
    "SERVER_UNAVAILABLE": Cause("代理暂不可用", "the broker is not available", *_RUNNING),
    "SERVER_BUSY": Cause("代理过忙", "the broker is busy", *_RUNNING),
    "Errno 113": Cause("网络不通", "there is no way to it", "检查网线与 host", "check the network and host"),
    "Name or service": Cause("主机名无法解析", "the host name is not known", "检查 host", "check host"),
    "certificate has expired": Cause(
        "证书已过期", "its certificate has expired", "在代理上换新证书", "put a new certificate in place at the broker"
    ),
    "CERTIFICATE_VERIFY_FAILED": Cause(
        "证书无法验证", "its certificate cannot be verified", "检查 cafile 与 host", "check cafile and host"
    ),
}
_MODEM = "检查模块电源、USB 线和 port", "check the module's power, its USB cable and port"
_CARD = "插好 SIM 卡后重启模块", "put a SIM in and restart the module"
_CAUSES |= {
    "SIM PIN refused": Cause(
        "PIN 不对，未再尝试", "the PIN is wrong and was not tried again", "改正通道的 pin", "correct pin of the channel"
    ),
    "SIM: SIM PIN": Cause("SIM 卡要求 PIN", "the SIM asks for its PIN", "在通道中写 pin", "write pin in the channel"),
    "SIM: SIM PUK": Cause(
        "SIM 卡已被锁死", "the SIM is locked for good", "用运营商的 PUK 解锁", "unlock it with the operator's PUK"
    ),
    "SIM: ": Cause("没有可用的 SIM 卡", "there is no SIM that works", *_CARD),
    "not registered": Cause(
        "没有注册到网络",
        "it is not registered in a network",
        "检查天线、信号、欠费与卡是否开通",
        "check antenna, signal, the account and whether the SIM is active",
    ),
    "no service centre": Cause(
        "没有短信中心号码",
        "there is no service centre number",
        "在通道中写 service_centre（问运营商）",
        "write service_centre in the channel (ask the operator)",
    ),
    "no answer to AT": Cause("模块没有应答", "the module does not answer", *_MODEM),
}
_UNREAD = {
    "not_json": ("不是 JSON", "not JSON"),
    "empty": ("空消息", "empty"),
    "too_deep": ("嵌套过深", "nested too deep"),
    "too_large": ("超过该来源的 payload_limit，请调大", "larger than `payload_limit` of the source: raise it"),
    "no_value": ("没有配置中的字段", "none of the configured fields is in it"),
    "unknown_field": ("没有已知的字段", "no known field is in it"),
    "unknown_device": ("不是已配置的设备", "of no configured device"),
    "bad_time": ("时间无法识别", "its time cannot be read"),
    "renamed_or_removed": ("设备在网桥中已改名或删除", "the bridge renamed or removed it: correct its topic"),
    "unknown_availability": ("在线状态无法识别", "its availability cannot be read"),
}


_ORDINARY = frozenset({"repeat", "replaced"})  # counted of devices that are well: an answer came late, they called anew
_TELLING = 10  # devices of a link, those with the most first


# Brokers name themselves in their errors ("broker 10.0.0.7:1883"); whatever else is called may be any device.
_NOBODY: dict[bool, Cause] = {
    True: Cause("该地址没有代理在监听", "nothing listens there", *_RUNNING),
    False: Cause(
        "该地址无应答",
        "nothing listens there",
        "检查设备是否通电、联网，并核对 host 与 port",
        "is the device switched on and in the network? Compare host and port with its own settings",
    ),
}


def unreachable(name: str, error: str) -> Finding:
    """Return why a link is down; an error that nobody knows stands as it is."""
    for code, cause in {**_CAUSES, "Errno 111": _NOBODY["broker" in error]}.items():
        if code in error:
            zh, en = f"{name}：{cause.zh}（{error}）", f"{name}: {cause.en} ({error})"
            return Finding("broker", Level.BAD, zh, en, cause.mend_zh, cause.mend_en)
    mend = "检查接线、电源与配置", "check wiring, power and configuration"
    return Finding("broker", Level.BAD, f"{name}：{error}", f"{name}: {error}", *mend)


def deaf(name: str, line: str, *, garbage: bool) -> Finding:
    """Return what is wrong with a bus on which no device at all is understood. `line`: its settings, as 9600 8N1."""
    zh, en = (f"{line} 下", f" at {line}") if line else ("", "")
    if garbage:
        return Finding(
            "bus",
            Level.BAD,
            f"{name}：{zh}只收到乱码",
            f"{name}: only garbage comes{en}",
            "改正 baudrate、parity、stopbits，与设备一致（常见 4800、9600 8N1）",
            "make baudrate, parity and stopbits those of the devices (often 4800 or 9600 8N1)",
        )
    return Finding(
        "bus",
        Level.BAD,
        f"{name}：{zh}没有任何设备应答",
        f"{name}: no device answers{en}",
        "检查设备电源，对调 A/B 线，核对 baudrate",
        "check the devices' power, swap A and B, compare baudrate",
    )


def daemon(station: Station) -> Iterator[Finding]:
    """Yield what the running daemon says of itself: its links, their findings, its store."""
    path = Path(station.socket or f"{station.store.path}.sock")
    try:
        status = unix.ask(path, {"do": "status"})
    except (OSError, ValueError):
        text = "守护进程没有运行", "the daemon is not running"
        yield Finding("daemon", Level.REMARK, *text, "运行：firegrid run", "run: firegrid run")
        return
    yield Finding("daemon", Level.GOOD, "守护进程正在运行", "the daemon is running")
    if status.get("volatile"):
        text = (
            "存储故障：正在内存中运行，通知注明未存档",
            "store fault: running in RAM, notices say they are not recorded",
        )
        yield Finding("daemon", Level.BAD, *text, "检查磁盘空间和介质（dmesg）", "check space and medium (dmesg)")
    for key, zh, en in (
        ("refused", "被拒绝的输入", "inputs were refused"),
        ("dropped", "磁盘故障期间丢弃的读数", "readings were dropped while the disk was dead"),
        ("overflowed", "来不及判断而丢弃的读数", "readings came faster than they could be judged and were dropped"),
        ("unrecorded", "已应答但未存档的消息", "messages were accepted and not recorded"),
    ):
        if number := status.get(key):
            mend = "查看 firegrid events 和日志", "see firegrid events and the journal"
            yield Finding("daemon", Level.REMARK, f"{number} 条{zh}", f"{number} {en}", *mend)
    yield from _links(status.get("links", ()))


def _links(known: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the findings of the daemon's links, as its `status` tells them."""
    for link in known:
        name = str(link["name"])
        if not link["up"]:
            down = unreachable(name, str(link["reason"]))
            yield down._replace(area="daemon", zh=f"链路中断 {down.zh}", en=f"link down: {down.en}")
        counted = link.get("counters", {})
        if not (counted.get("answered") or counted.get("refused")) and (counted.get("broken") or counted.get("silent")):
            yield deaf(name, "", garbage=bool(counted.get("broken")))
        for key, text in link["findings"].items():
            what, _, topic = key.partition(" ")
            tell = {"unread": _unread, "qos0": _unkept, "twice": _twice}.get(what) if topic else None
            if key == "position":  # of a sink: information as long as its far end takes what is sent
                yield _remark(name, text)._replace(level=Level.GOOD if link["up"] else Level.REMARK)
            else:
                yield tell(name, topic, text) if tell else _remark(name, text)
        yield from _counted(name, counted)


def _remark(name: str, text: str) -> Finding:
    zh, en = spoken(text, chinese=True), spoken(text, chinese=False)
    return Finding("daemon", Level.REMARK, f"{name}：{zh}", f"{name}: {en}")


def _counted(name: str, counters: Mapping[str, int]) -> Iterator[Finding]:
    """Yield what was counted of each device that calls or is called, as `drivers._conversation` names it."""
    found: dict[str, dict[str, int]] = {}
    for what, number in counters.items():
        device, _, reason = what.partition(" ")
        if reason and reason not in _ORDINARY:
            found.setdefault(device, {})[reason] = number
    ranked = sorted(found, key=lambda device: -sum(found[device].values()))
    for device in ranked[:_TELLING]:
        most = sorted(found[device].items(), key=lambda one: -one[1])
        told = ", ".join(f"{reason} {number}" for reason, number in most)
        stranger = device == "unknown"
        yield Finding(
            "daemon",
            Level.REMARK,
            f"{name}：{'未登记的设备' if stranger else device} 计数：{told}",
            f"{name}: counted of {'devices nobody registered' if stranger else device}: {told}",
            "含义见该协议的文档（Counters）",
            "what they mean: Counters in the protocol's page of docs",
        )
    if len(ranked) > _TELLING:
        rest = len(ranked) - _TELLING
        yield Finding(
            "daemon",
            Level.REMARK,
            f"{name}：另有 {rest} 台设备有计数，见页面 /links",
            f"{name}: counted of {rest} more devices, see /links of the page",
        )


def _unkept(name: str, topic: str, _: str) -> Finding:
    """Read the finding of `drivers._mqtt_lane` about a life-safety topic that comes without QoS."""
    return Finding(
        "daemon",
        Level.BAD,
        f"{name}：{topic} 关系生命安全，却以 QoS 0 发送：代理或链路中断时会丢失",
        f"{name}: {topic} is a life-safety topic sent at QoS 0: lost if the broker or a link fails at that moment",
        "在 Zigbee2MQTT 的 configuration.yaml 该设备下写 qos: 1 和 retain: true",
        "in Zigbee2MQTT's configuration.yaml put `qos: 1` and `retain: true` under this device",
    )


def _twice(name: str, device: str, text: str) -> Finding:
    """Read the finding of `drivers._conversation_listening` about two peers that say they are one device."""
    one, _, other = text.removesuffix(f" both speak as {device}").partition(" and ")
    return Finding(
        "daemon",
        Level.REMARK,
        f"{name}：{one} 和 {other} 两处都以 {device} 的地址通信",
        f"{name}: {one} and {other} both speak as {device}",
        "两台设备地址相同：改正其中一台的地址；若是同一台设备，请断开它的另一个连接",
        "two devices have one address: correct that of one; if they are one device, close its other connection",
    )


def _unread(name: str, key: str, text: str) -> Finding:
    """Read a finding of `drivers._mqtt_unread`."""
    device, reason = key.split(" ", 1)
    count, _, sample = text.partition(" ")
    zh, en = _UNREAD.get(reason, (reason, reason))
    return Finding(
        "daemon",
        Level.REMARK,
        f"{name}：{device} 有 {count} 条消息无法理解（{zh}），最近一条：{sample}",
        f"{name}: {count} message{'' if count == '1' else 's'} of {device} not understood ({en}), the last: {sample}",
        "对照设备的实际报文检查 decode 与 topic：firegrid decode",
        "compare decode and topic of the device with what it sends: firegrid decode",
    )
