"""What `firegrid demo` shows: one line per thing that happens, and on a terminal one line of readings that changes.

Words in Chinese and English; decides nothing.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TextIO

from gateway.clock import SECOND
from gateway.model.alarm import AlarmState

WORDS = {
    "zh": {
        "intro": "一个完整的模拟消防站：真实的 Modbus RTU 字节（伪终端）、{broker}（MQTT）、模拟短信模块；"
        "网关就是 firegrid run。{fire:.0f} 秒后起火。",
        "page": "实时页面 {address}",
        "keys": "按 a 或回车确认报警，按 q 结束。",
        "armed": "网关已布防（启动用时 {seconds:.1f} 秒）",
        "fire": "★ 地下配电间起火：先有烟，随后升温",
        "out": "★ 火已扑灭：烟散了，温度回落",
        "reset": "王芳复位锁存的报警",
        "acted": "李伟按键确认",
        "nothing": "没有待确认的报警",
        "sms": "短信 → {name} {number} │ {text}",
        "reply": "短信 ← {name} │ {text}",
        "on": "声光报警器 响（继电器输出已读回）",
        "off": "声光报警器 停",
        "move": "{where}：{before} → {after}",
        "by": "（{who}）",
        "frame": "原始帧 {frame}",
        "modbus": "Modbus 问 {ask} 答 {answer}",
        "mqtt": "MQTT {topic} {payload}",
        "waiting": "等待您确认：按 a 或回车（{seconds:.0f} 秒后王芳将代为回复）",
        "refused": "拒绝：{reason}",
        "over": "故事到此结束，消防站继续运行；按 q 结束。",
        "end": "结束：{alarms} 个报警，{sms} 条短信，{moves} 次状态变化。"
        "真实的站上用 firegrid alarms --history 和 notifications 查看。",
        "missing": "演示不完整：{what}",
        "died": "网关进程意外结束",
        "kinds": "读数 报警 短信 现场 链路 说明",
    },
    "en": {
        "intro": "A whole simulated fire station: real Modbus RTU bytes over a pseudo-terminal, MQTT over {broker}, a "
        "simulated SMS modem; the gateway is `firegrid run`. A fire breaks out after {fire:.0f} s.",
        "page": "live page: {address}",
        "keys": "Press a or Enter to acknowledge an alarm, q to end.",
        "armed": "the gateway is armed (starting took {seconds:.1f} s)",
        "fire": "* fire in the cellar: smoke first, then heat",
        "out": "* the fire is out: the smoke clears, the temperature falls",
        "reset": "Wang Fang resets the latched alarms",
        "acted": "Li Wei acknowledges at the keyboard",
        "nothing": "nothing waits for an answer",
        "sms": "SMS to {name} {number} | {text}",
        "reply": "SMS from {name} | {text}",
        "on": "siren on (output read back)",
        "off": "siren off",
        "move": "{where}: {before} -> {after}",
        "by": " ({who})",
        "frame": "raw frame {frame}",
        "modbus": "Modbus asked {ask} answered {answer}",
        "mqtt": "MQTT {topic} {payload}",
        "waiting": "waiting for you: press a or Enter (in {seconds:.0f} s Wang Fang answers instead)",
        "refused": "refused: {reason}",
        "over": "The story is over, the station goes on; press q to end.",
        "end": "End: {alarms} alarms, {sms} SMS, {moves} moves; "
        "on a real station `firegrid alarms --history` and `notifications` show them.",
        "missing": "the demonstration is not complete: {what}",
        "died": "the gateway's process ended",
        "kinds": "readings alarm sms field wire note",
    },
}
KINDS = ("readings", "alarm", "sms", "field", "wire", "note")
_COLOURS = {"readings": "36", "alarm": "1;31", "sms": "1;33", "field": "1;35", "wire": "90", "note": "32"}
LABELS = {"zh": {"normal": "正常", "alarm": "报警"}, "en": {}}
STATES = {
    "zh": dict(
        zip(AlarmState, ("正常", "报警未确认", "报警已确认", "已恢复未确认", "锁存未确认", "锁存已确认"), strict=True)
    ),
    "en": dict(
        zip(AlarmState, ("normal", "ALARM", "acknowledged", "returned", "latched", "latched, ack."), strict=True)
    ),
}
_CLEAR = "\r\x1b[K"


class Screen:
    """Prints lines with the seconds since `zero`, before it without; `status` stays at the bottom of a terminal.

    Args:
        language: `zh` or `en`.
        mono: the clock's monotonic ns.
        out: where to; colours and the changing line only if that is a terminal.
    """

    def __init__(self, language: str, mono: Callable[[], int], out: TextIO | None = None) -> None:
        self.words = WORDS[language]
        self.states = STATES[language]
        self.labels = LABELS[language]
        self._mono = mono
        self._out = out or sys.stdout
        self.terminal = self._out.isatty()
        self._zero: int | None = None
        self._status = ""
        shown = self.words["kinds"].split()
        width = max(_width(word) for word in shown)
        self._kinds = {kind: word + " " * (width - _width(word)) for kind, word in zip(KINDS, shown, strict=True)}

    def zero(self) -> None:
        """Count from now on."""
        self._zero = self._mono()

    @property
    def seconds(self) -> float:
        """Seconds since zero; 0 before."""
        return 0.0 if self._zero is None else (self._mono() - self._zero) / SECOND

    def say(self, kind: str, word: str, **values: object) -> None:
        """Print a line of `WORDS`."""
        self.line(kind, self.words[word].format(**values))

    def line(self, kind: str, text: str) -> None:
        """Print a line."""
        text = "".join(char if char.isprintable() else " " for char in text)
        when = " " * 7 if self._zero is None else f"{self.seconds:6.1f}s"
        head = f"{when}  {self._kinds[kind]}  "
        if self.terminal:
            head = f"{_CLEAR}\x1b[{_COLOURS[kind]}m{head}\x1b[0m"
        self._write(f"{head}{text}\n{self._bottom()}")

    def status(self, text: str) -> None:
        """Show the readings: at the bottom of a terminal, else as a line."""
        if not self.terminal:
            self.line("readings", text)
            return
        self._status = text
        self._write(_CLEAR + self._bottom())

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self.terminal and self._status:
            self._status = ""
            self._write(_CLEAR)

    def _bottom(self) -> str:
        return _cut(self._status, _columns(self._out) - 1) if self.terminal else ""

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text: str, columns: int) -> str:
    width = 0
    for place, char in enumerate(text):
        width += _width(char)
        if width > columns:
            return text[:place]
    return text


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except OSError:
        return 80
