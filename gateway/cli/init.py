"""`firegrid init`: a few questions, then a first `station.toml` with its spreadsheets.

Before the flow: nothing runs yet. Every question has a default and a check; what is written has passed `check` in a
folder beside the target, appears in one go and never in place of something. Asks on a terminal, or takes one answer a
line from standard input; every question is an option, too. Exit codes: 0 written, 1 given up, 3 refused.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.app import DEFAULT_STORE, problems_of, read
from gateway.cli.first import CONTACTS, FILES, STATION, Answers, files
from gateway.cli.main import FAILED, GOOD, REFUSED
from gateway.config import people, spreadsheet

PORTS = ("/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*")  # the first names survive a swap of adapters
SYSTEM = Path("/etc/firegrid")
MODES = 0o640  # names and phone numbers are for the station's own user and group
NONE = "-"  # the answer that means "none"
LONGEST = 40  # characters of a name: it shares 67 with the rest of a message's first part

Check = Callable[[str], tuple[str, str]]
"""What is wrong with an answer, Chinese and English; two empty texts when nothing is."""
GOOD_ANSWER = ("", "")


class Question(NamedTuple):
    """One question: the option of that name, what is asked, the default and the check."""

    key: str
    zh: str
    en: str
    default: str
    check: Check


class GivenUpError(Exception):
    """An answer was wrong and nobody is there to be asked again, or the terminal was closed."""


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `init` takes."""
    own.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    own.add_argument("--yes", action="store_true", help="ask nothing: the defaults, and what other options say")
    own.add_argument("--language", help="zh or en")
    own.add_argument("--name", help="name of the station")
    own.add_argument("--cell", help="its grid cell, e.g. jc/3")
    own.add_argument("--port", help=f"serial port of the sensors; {NONE} for none")
    own.add_argument("--broker", help=f"MQTT broker, HOST or HOST:PORT; {NONE} for none")
    own.add_argument("--modem", help=f"serial port of the SMS modem; {NONE} for none")
    own.add_argument("--contact", help="name of the first person to tell")
    own.add_argument("--phone", help="that person's phone")


def run(options: argparse.Namespace) -> int:
    """Ask, check, write."""
    folder: Path = options.folder
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        print(
            f"firegrid init: {folder / there[0]} 已存在，不会覆盖 is there already and stays as it is", file=sys.stderr
        )
        return REFUSED
    try:
        answers = _ask(options, folder)
    except GivenUpError as error:
        print(f"firegrid init: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\n未写入任何文件 nothing was written", file=sys.stderr)
        return FAILED
    zh = answers.language == "zh"
    wrong = _write(folder, answers)
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return REFUSED
    path = folder / STATION
    print(f"已写入 {path}、{'、'.join(FILES[:2])}" if zh else f"written: {path}, {', '.join(FILES[:2])}")
    if not answers.modem:
        print("没有短信模块：报警只显示在屏幕上" if zh else "no modem: alarms are shown on the screen only")
    todo = "接着：在文件中填写设备，然后运行" if zh else "next: enter the devices there, then run"
    print(f"{todo}\n  firegrid check -c {path}\n  firegrid doctor -c {path}\n  firegrid run -c {path}")
    return GOOD


def _ask(options: argparse.Namespace, folder: Path) -> Answers:
    given: dict[str, str] = {}
    for question in _questions(given):
        given[question.key] = _answer(question, options, given.get("language", "zh"))
    system = folder.absolute() == SYSTEM
    return Answers(**given, store=DEFAULT_STORE if system else Path(DEFAULT_STORE).name)


def _questions(given: dict[str, str]) -> Iterator[Question]:
    """Yield the questions; what was given before decides defaults and checks of the later ones."""
    language = "zh" if os.environ.get("LANG", "zh").startswith(("zh", "C", "POSIX")) else "en"
    yield Question("language", "语言 language (zh, en)", "", language, good_language)
    zh = given["language"] == "zh"
    yield Question("name", "站名", "name of the station", "微型消防站" if zh else "Micro fire station", good_name)
    yield Question("cell", "所在网格，例如 jc/3", "its grid cell, e.g. jc/3", "jc", good_cell)
    found = ports()
    modems = [port for port in found if _modem_like(port)]
    sensors = [port for port in found if port not in modems]
    seen = "、".join(found) if zh else ", ".join(found)
    text = (
        f"传感器串口（找到：{seen or '无'}；{NONE} 表示没有）",
        f"serial port of the sensors (found: {seen or 'none'}; {NONE} for none)",
    )
    yield Question("port", *text, sensors[0] if sensors else NONE, good_port)
    broker = f"MQTT 代理（主机或 主机:端口；{NONE} 表示没有）", f"MQTT broker (HOST or HOST:PORT; {NONE} for none)"
    yield Question("broker", *broker, "127.0.0.1", lambda host: good_broker(host, needed=not given["port"]))
    modem = f"短信模块串口（{NONE} 表示没有）", f"serial port of the SMS modem ({NONE} for none)"
    yield Question("modem", *modem, modems[0] if modems else NONE, lambda port: good_modem(port, given["port"]))
    yield Question(
        "contact", "第一位联系人的姓名", "name of the first person to tell", "值班员" if zh else "Duty", good_name
    )
    phone = ("电话", "phone") if given["modem"] else (f"电话（{NONE} 表示暂缺）", f"phone ({NONE}: later)")
    yield Question("phone", *phone, NONE, lambda number: good_phone(number, needed=bool(given["modem"])))


def _answer(question: Question, options: argparse.Namespace, language: str) -> str:
    """Return a good answer, "" for none; asks again only where somebody sits at a terminal."""
    option: str | None = getattr(options, question.key)
    asked = option is None and not options.yes
    while True:
        given = (_line(question, language) if asked else option) or question.default
        given = given.strip()
        wrong = question.check(given)
        if wrong == GOOD_ANSWER:
            return "" if given == NONE else given
        complaint = wrong[0 if language == "zh" else 1]
        if not (asked and sys.stdin.isatty()):
            raise GivenUpError(f"--{question.key} {given}: {complaint}")
        print(f"  {complaint}")


def _line(question: Question, language: str) -> str:
    """Return one line of standard input; its end means the default, at a terminal it means giving up."""
    text = question.zh if language == "zh" or not question.en else question.en
    print(f"{text} [{question.default}]: ", end="", flush=True)
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        print()
    elif not line:
        raise KeyboardInterrupt
    return line.strip()


def ports() -> list[str]:
    """Return the serial ports that are there, each once, by the name that lasts."""
    found: dict[Path, str] = {}
    for pattern in PORTS:
        for path in sorted(Path("/").glob(pattern.removeprefix("/"))):
            found.setdefault(path.resolve(), str(path))
    return list(found.values())


def _modem_like(port: str) -> bool:
    return any(word in port.lower() for word in ("modem", "quectel", "simtech", "simcom", "huawei", "ttyacm"))


# -- checks


def good_language(given: str) -> tuple[str, str]:
    """One of the two languages."""
    return GOOD_ANSWER if given in ("zh", "en") else ("请写 zh 或 en write zh or en",) * 2


def good_name(given: str) -> tuple[str, str]:
    """Printable and short enough for a message."""
    if given == NONE or not given.isprintable():
        return "请写名称", "write a name"
    if given.startswith("'"):  # a spreadsheet takes it for the mark of a text
        return "名称不能以 ' 开头", "a name does not begin with '"
    if len(given) > LONGEST:
        return f"最多 {LONGEST} 个字", f"at most {LONGEST} characters"
    return GOOD_ANSWER


def good_cell(given: str) -> tuple[str, str]:
    """Path of cells, each a name of the configuration."""
    parts = given.split("/")
    good = given != NONE and all(part and part.replace("-", "").replace("_", "").isalnum() for part in parts)
    return (
        GOOD_ANSWER
        if good
        else ("请用文字、数字、- 和 _，以 / 分级", "use letters, digits, - and _, with / between the levels")
    )


def good_port(given: str) -> tuple[str, str]:
    """A serial port that is there now, or none."""
    if given == NONE:
        return GOOD_ANSWER
    with contextlib.suppress(OSError, ValueError):
        if stat.S_ISCHR(Path(given).stat().st_mode):
            return GOOD_ANSWER
    return f"没有这个串口；{NONE} 表示以后再填", f"there is no such serial port; {NONE}: enter it later"


def good_modem(given: str, sensors: str) -> tuple[str, str]:
    """Likewise, and not that of the sensors."""
    if given == sensors:
        return "该串口已用于传感器", "the sensors have this port already"
    return good_port(given)


def good_broker(given: str, *, needed: bool) -> tuple[str, str]:
    """HOST or HOST:PORT; none only beside a serial port."""
    if given == NONE:
        return ("至少需要一个串口或一个代理", "a serial port or a broker is needed") if needed else GOOD_ANSWER
    host, colon, port = given.partition(":")
    named = host and all(char.isalnum() or char in ".-" for char in host) and not host.startswith("-")
    numbered = not colon or (port.isascii() and port.isdigit() and not port.startswith("0") and int(port) < 1 << 16)
    return (
        GOOD_ANSWER
        if named and numbered
        else ("请写主机名或地址，例如 127.0.0.1:1883", "write a host, e.g. 127.0.0.1:1883")
    )


def good_phone(given: str, *, needed: bool) -> tuple[str, str]:
    """Read it as the contact's row will be read."""
    if given == NONE:
        return ("短信需要电话号码", "an SMS needs a phone number") if needed else GOOD_ANSWER
    rows = spreadsheet.read(f"id,name,phone\nfirst,x,{given}\n".encode(), file=CONTACTS, form=people.CONTACTS)
    people.read_contacts([rows], people.Grid())
    return next(
        ((f"{one.reason('zh')}；{one.fix('zh')}", f"{one.reason()}; {one.fix()}") for one in rows.problems), GOOD_ANSWER
    )


# -- writing


def _write(folder: Path, answers: Answers) -> list[str]:
    """Write all files or none; returns what stood against it, in words."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix=".firegrid-init-", dir=folder) as beside:
        draft = Path(beside)
        for name, text in files(answers).items():
            (draft / name).write_text(text, encoding="utf-8")
            (draft / name).chmod(MODES)
        wrong = [problem.text(answers.language) for problem in problems_of(read(draft / STATION)) if not problem.note]
        if wrong:
            return wrong
        try:
            for name in FILES:
                os.link(draft / name, folder / name)  # refuses where something is
                made.append(folder / name)
        except BaseException as error:
            for path in made:
                path.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                return [f"{error.filename2} 已存在 is there already"]
            raise
    return []
