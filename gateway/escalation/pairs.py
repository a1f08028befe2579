"""What drivers and sinks say in Chinese and English, one after the other: pairs of words, for `phrases`.

Those parts know no reader, so that an event carries both ("感烟火灾探测器 smoke detector 火警 fire"). Only what stands
here, word for word, is parted: whatever else is between is the device's own, and stays as it came. House rule 7. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.protocols import gb26875_tables as gb26875
from gateway.protocols.sl651_elements import PARAMETERS

_SAID: Final = (
    # drivers of GB/T 26875.3, SL 651 and HJ 212
    "用户信息传输装置 transmission device",
    "正常 normal",
    "数据不完整 cut short",
    "保留状态位 reserved status bits",
    "操作员 operator",
    "操作 operation",
    "查岗无应答 no answer to the duty check",
    "未配置测点 no point takes it",
    "未知类型 unknown type",
    "系统时间 system time",
    "软件版本 software version",
    "配置 configuration",
    "水位超限 level over limit",
    "测站 station",
    "功能码 function",
    "测试报 test report",
    "加报 extra report",
    "人工置数 manual entry",
    "软件版本 software",
    "事件计数 event counters",
    "参数 parameter",
    "密码错误 wrong password",
    "未解析 unread",
    "缺测 missing",
    "数字错误 bad digits",
    "无数据 no data",
    "设施状态 plant state",
    # sinks, and what the gateway says of itself
    "配置有误，未采用 left out",
    "查岗已应答 the duty check was answered",
    "查岗超时无人应答 nobody answered the duty check in time",
    "没有积压 nothing waits",
    "有积压 something waits",
    "最早的积压 oldest waiting",
    "被拒绝 refused by the far end",
    "该测试的设备 devices to be tested",
    "已全部测试 all tested",
    "从未 never",
    "主循环正常 the loop keeps up",
)
_TABLES: Final = (
    gb26875.SYSTEMS,
    gb26875.COMPONENTS,
    gb26875.SYSTEM_BITS,
    gb26875.COMPONENT_BITS,
    gb26875.DEVICE_BITS,
    gb26875.OPERATION_BITS,
    gb26875.DEVICE_OPERATION_BITS,
)


def _pairs() -> dict[str, tuple[str, str]]:
    found = {said: _parted(said) for said in (*_SAID, *PARAMETERS.values())}
    return found | {str(name): (name.zh, name.en) for table in _TABLES for name in table.values()}


def _parted(said: str) -> tuple[str, str]:
    zh, _, en = said.partition(" ")
    return zh, en


_KNOWN: Final = _pairs()
_ANY: Final = re.compile(
    "(?:" + "|".join(re.escape(said) for said in sorted(_KNOWN, key=len, reverse=True)) + r")(?![A-Za-z])"
)


def parted(text: str, *, chinese: bool) -> str:
    """Return a text with one language of every pair."""
    return _ANY.sub(lambda found: _KNOWN[found[0]][0 if chinese else 1], text)
