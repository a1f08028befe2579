"""The first files of a station: what `firegrid init` writes, with a comment at everything a person changes next.

Pure: answers in, texts out (`station.toml`, `grid.csv`, `contacts.csv`). House section 13: one TOML file a person can
read, people in spreadsheets. What is written passes `firegrid check` without a warning; the tests hold it to that.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.model.point import AlarmClass

GRID, CONTACTS, STATION = "grid.csv", "contacts.csv", "station.toml"
FILES = (GRID, CONTACTS, STATION)  # in the order of writing: the station, which names the others, comes last


class Answers(NamedTuple):
    """What was answered; "" means that there is none."""

    language: str
    name: str
    cell: str
    port: str
    broker: str
    modem: str
    contact: str
    phone: str
    store: str


def files(answers: Answers) -> dict[str, str]:
    """Return file name → text, in the order in which they are to be written."""
    return {GRID: _grid(answers), CONTACTS: _contacts(answers), STATION: _station(answers)}


def ancestry(cell: str) -> list[tuple[str, str]]:
    """Return (cell, parent) from the top down to `cell`: `jc/3` lies in `jc`."""
    parts = cell.split("/")
    paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return list(zip(paths, ["", *paths], strict=False))


def _grid(answers: Answers) -> str:
    return _csv(("cell", "name", "parent"), [(cell, "", parent) for cell, parent in ancestry(answers.cell)])


def _contacts(answers: Answers) -> str:
    row = ("first", answers.contact, answers.phone, answers.cell, "squad", answers.language)
    return _csv(("id", "name", "phone", "cell", "role", "language"), [row])


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def _station(answers: Answers) -> str:
    zh = answers.language == "zh"
    return "\n".join(line for block in _blocks(answers, zh=zh) for line in (*block, ""))


def _blocks(answers: Answers, *, zh: bool) -> Iterator[list[str]]:
    """Yield the file's blocks; each word of advice stands in the station's language only."""

    def say(chinese: str, english: str) -> str:
        return f"# {chinese if zh else english}"

    yield [
        say(
            "由 firegrid init 写成。改动后请运行 firegrid check。",
            "Written by `firegrid init`. Run `firegrid check` after changes.",
        ),
        say(
            "时长写成带单位的文字：500ms、3s、5m、2h、30d。", "Durations are text with a unit: 500ms, 3s, 5m, 2h, 30d."
        ),
    ]
    yield [
        "[station]",
        say(
            "id：短名，用于文件名和主题；name：每条通知以此落款",
            "id: short, for file names and topics; name: stands in every message",
        ),
        f"id = {_quoted(answers.cell.replace('/', '-'))}",
        f"name = {_quoted(answers.name)}",
        'timezone = "Asia/Shanghai"',
        f"language = {_quoted(answers.language)}",
    ]
    yield [
        "[store]",
        f"path = {_quoted(answers.store)}",
        say(
            "两次提交之间最长的时间，报警总是立即提交；非 SD 卡可写 1s",
            "upper bound between commits, alarms are committed at once; 1s suits anything but SD cards",
        ),
        'commit_interval = "5s"',
    ]
    yield from _sources(answers, zh=zh)
    yield [
        say(
            "网格与人员在表格中：可用电子表格打开，另存为 CSV。", "Cells and people are in spreadsheets, saved as CSV."
        ),
        "[people]",
        f'grid = "{GRID}"',
        f'contacts = "{CONTACTS}"',
    ]
    yield from _telling(answers, zh=zh)


def _sources(answers: Answers, *, zh: bool) -> Iterator[list[str]]:
    title = (
        "接入链路与设备。设备型号见 docs/profiles.md。"
        if zh
        else "Sources and devices. Types of devices: docs/profiles.md."
    )
    yield [f"# -- {title}"]
    cell = _quoted(answers.cell)
    if answers.port:
        yield [
            "[[source]]",
            'id = "bus1"',
            'driver = "modbus_rtu"',
            f"port = {_quoted(answers.port)}",
            "baudrate = 9600",
            f"cell = {cell}",
        ]
        yield _example(
            'id = "smoke-1"', 'source = "bus1"', 'profile = "renke-smoke"', "address = 1", f"cell = {cell}", zh=zh
        )
    if answers.broker:
        host, _, port = answers.broker.partition(":")
        more = [f"port = {port}"] if port else []
        login = '# username = "firegrid"', '# password_file = "mqtt.password"   # chmod 600'
        yield [
            "[[source]]",
            'id = "broker"',
            'driver = "mqtt"',
            f"host = {_quoted(host)}",
            *more,
            f"cell = {cell}",
            *login,
        ]
        own = ('topic = "zigbee2mqtt/gas-1"', 'silence = "15m"')
        yield _example(
            'id = "gas-1"', 'source = "broker"', 'profile = "zigbee2mqtt-gas"', *own, f"cell = {cell}", zh=zh
        )


def _example(*lines: str, zh: bool) -> list[str]:
    head = (
        "例：去掉行首的 # 并改成您的设备。烟感、燃气、水浸无需规则即报警。"
        if zh
        else ("An example: take the # away and make it yours. Smoke, gas and leak detectors alarm without any rule.")
    )
    return [f"# {head}", "# [[device]]", *(f"# {line}" for line in lines)]


def _telling(answers: Answers, *, zh: bool) -> Iterator[list[str]]:
    by = ["screen"]
    yield [f"# -- {'通知谁' if zh else 'Who is told'}", "[[channel]]", 'id = "screen"', 'kind = "console"']
    if answers.modem:
        by.insert(0, "sms")
        yield ["[[channel]]", 'id = "sms"', 'kind = "sms_modem"', f"port = {_quoted(answers.modem)}"]
    ways = json.dumps(by)
    hint = (
        "本网格的队员；没有人担任时逐级向上找"
        if zh
        else "who holds the role at the alarm's cell, else at the cells above it"
    )
    again = "无人确认时从头再来" if zh else "from the beginning again until somebody answers"
    yield [
        "[[policy]]",
        'id = "turn-out"',
        f'repeat = "120s"  # {again}',
        "steps = [",
        f'  {{ after = "0s", notify = ["role:squad@cell"], by = {ways} }},  # {hint}',
        f'  {{ after = "60s", notify = ["everyone"], by = {ways} }},',
        "]",
    ]
    yield [
        "[[policy]]",
        'id = "look-after"',
        'repeat = "4h"',
        f'steps = [{{ after = "0s", notify = ["role:squad@cell"], by = {ways} }}]',
    ]
    for alarm_class in AlarmClass:
        policy = "turn-out" if alarm_class.life_safety else "look-after"
        yield ["[[default_policy]]", f'class = "{alarm_class.word}"', f'policy = "{policy}"']


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a basic string of TOML for every printable text
