"""What the house says of itself comes in one language, and no device's own words are touched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.escalation.phrases import spoken

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("said", "zh", "en"),
    [
        (
            "链路中断 link down: bus1: /dev/ttyUSB0: [Errno 2] No such file or directory: '/dev/ttyUSB0'",
            "链路中断: bus1: /dev/ttyUSB0: 不存在",
            "link down: bus1: /dev/ttyUSB0: No such file or directory: '/dev/ttyUSB0'",
        ),
        (
            "链路中断 link down: meters: 10.0.0.9:502: [Errno 111] Connect call failed ('10.0.0.9', 502)",
            "链路中断: meters: 10.0.0.9:502: 无法连接，对方未开机或未运行",
            "link down: meters: 10.0.0.9:502: cannot be reached, it is off or does not run",
        ),
        (
            "链路中断 link down: meters: 10.0.0.9:502: [Errno 113] Connect call failed ('10.0.0.9', 502)",
            "链路中断: meters: 10.0.0.9:502: 网络不通",
            "link down: meters: 10.0.0.9:502: there is no way to it in the network",
        ),
        (
            "链路中断 link down: broker: broker b:1883 refused the connection: NOT_AUTHORIZED",
            "链路中断: broker: broker b:1883 拒绝连接: 未授权",
            "link down: broker: broker b:1883 refused the connection: not authorized",
        ),
        (
            "记录链在第 7 条断裂 the record's chain is broken at row 7: what follows proves nothing",
            "记录链在第 7 条断裂",
            "the record's chain is broken at row 7: what follows proves nothing",
        ),
        ("存储故障 store fault: disk I/O error", "存储故障: 磁盘读写错误", "store fault: disk I/O error"),
        ("rule kind rate failed: ValueError", "规则类型 rate 出错: ValueError", "rule kind rate failed: ValueError"),
        ("疑似重发 maybe sent again: 3/17", "疑似重发: 3/17", "maybe sent again: 3/17"),
        ("输入恢复 keeping up again, dropped in all: 5", "输入恢复: 5", "keeping up again, dropped in all: 5"),
    ],
)
def test_one_language_at_a_time(said: str, zh: str, en: str) -> None:
    assert spoken(said, chinese=True) == zh
    assert spoken(said, chinese=False) == en
    assert not HAN.search(en)


@given(text=st.text("三层感烟探测器火警 3/17-ab:，", max_size=40), chinese=st.booleans())
def test_what_a_device_says_stays_as_it_came(text: str, *, chinese: bool) -> None:
    assert spoken(text, chinese=chinese) == text
