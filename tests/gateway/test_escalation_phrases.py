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
        (
            "点型光电感烟火灾探测器 point optical smoke detector 火警 fire",
            "点型光电感烟火灾探测器 火警",
            "point optical smoke detector fire",
        ),
        (
            "点型感温火灾探测器(S型) point heat detector (S) 故障 fault",
            "点型感温火灾探测器(S型) 故障",
            "point heat detector (S) fault",
        ),
        (
            "部件类型130 component type 130 火警 fire (数据不完整 cut short)",
            "部件类型130 火警 (数据不完整)",
            "component type 130 fire (cut short)",
        ),
        (
            "火灾报警系统 fire alarm system 复位 reset, 操作员 operator 3",
            "火灾报警系统 复位, 操作员 3",
            "fire alarm system reset, operator 3",
        ),
        (
            "水位超限 level over limit, 测站 station 0012345678, 功能码 function 33",
            "水位超限, 测站 0012345678, 功能码 33",
            "level over limit, station 0012345678, function 33",
        ),
        (
            "查岗 duty check of the monitoring centre: 请在 5 分钟内确认 acknowledge within 5 min",
            "监控中心查岗：请在 5 分钟内确认",
            "duty check of the monitoring centre: acknowledge within 5 min",
        ),
        ("主循环停顿 2.5 s the loop stood still", "主循环停顿 2.5 秒", "the loop stood still for 2.5 s"),
        (
            "已送至 sent up to commit 12, 没有积压 nothing waits",
            "已送至第 12 次提交, 没有积压",
            "sent up to commit 12, nothing waits",
        ),
    ],
)
def test_one_language_at_a_time(said: str, zh: str, en: str) -> None:
    assert spoken(said, chinese=True) == zh
    assert spoken(said, chinese=False) == en
    assert not HAN.search(en)


def test_what_a_device_says_between_our_words_stays() -> None:
    said = "3号楼 lobby 东侧 感烟火灾探测器 smoke detector 火警 fire"
    assert spoken(said, chinese=True) == "3号楼 lobby 东侧 感烟火灾探测器 火警"
    assert spoken(said, chinese=False) == "3号楼 lobby 东侧 smoke detector fire"
    assert spoken("火警 fireplace", chinese=True) == "火警 fireplace"


@given(text=st.text("三层感烟探测器火警 3/17-ab:，", max_size=40), chinese=st.booleans())
def test_what_a_device_says_stays_as_it_came(text: str, *, chinese: bool) -> None:
    assert spoken(text, chinese=chinese) == text
