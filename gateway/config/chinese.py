"""In Chinese what rules, drivers and profiles say in English when they refuse a configuration.

Beside `problems`: those parts sit above it or know no language, so that a reason comes as one English sentence. Each
is known here by its form; what stands in it (numbers, names, expressions) is carried over. A sentence that nobody has
put here stays English rather than being lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

_FORMS: tuple[tuple[str, str], ...] = (
    # rules.check
    (r"(\S+) s is not what class (\w+) allows", r"\1 秒超出 \2 类报警允许的范围"),
    (r"write 0s to (\S+)s \(.*?(GB [\d.]+|EN [\d.-]+|UL \d+)?[^()]*\)", r"请写 0s 至 \1s \2"),
    (r"(\S+) s is not a delay a rule can keep", r"\1 秒不能用作延时"),
    (r"write 0s to 7d", r"请写 0s 至 7d"),
    (r"(.+) would raise and clear at once", r"\1 会同时报警和恢复"),
    (r"put clear on the other side of when", r"请让 clear 与 when 的范围分开"),
    (r"can never be true", r"永远不会成立"),
    (r"can never be true: the alarm would never return to normal", r"永远不会成立：报警将无法恢复"),
    (r"is always true", r"始终成立"),
    (r"the point can be (.+); correct the limit", r"测点的取值为 \1；请改正限值"),
    (r"(\S+) lies outside what the point can be", r"\1 超出测点的取值范围"),
    (r"write (\S+) to (\S+)", r"请写 \1 至 \2"),
    (r"reads no value", r"没有使用任何数值"),
    (r"compare value with a limit", r"请将 value 与限值比较"),
    (r"is true at none of the values tried", r"对试过的任何数值都不成立"),
    (r"is true at all of the values tried", r"对试过的所有数值都成立"),
    (r"correct the limits", r"请改正限值"),
    (
        r'"(.*)" is not a duration; write a number with ms, s, m, h, d: "5s"',
        r'“\1”不是时长；请写数字加 ms、s、m、h、d，例如 "5s"',
    ),
    # rules.matching and rules.compile
    (r"the rule names no points", r"规则没有指定测点"),
    (r'write points = "device\.point"', r'请写 points = "设备.测点"'),
    (r'"(.+)" matches no point', r"“\1”没有匹配到任何测点"),
    (r"selectors are (.+)", r"可用的选择方式：\1"),
    (r'did you mean "(.+)"\?', r"是否应为“\1”？"),
    (r"known: none", r"没有可用的名称"),
    (r"known: (.+)", r"可用：\1"),
    (r"another rule has this id", r"已有规则使用此编号"),
    (r"give each rule its own", r"请为每条规则取不同编号"),
    (r"is a name of the gateway's own rules", r"是网关自身规则的名称"),
    (r"choose another", r"请改用其他名称"),
    (r"switches alarms off without a reason", r"关闭报警但没有说明原因"),
    (r"its points differ in unit: (.+)", r"所选测点单位不同：\1"),
    (r"write one rule per unit", r"请为每种单位各写一条规则"),
    (r"its points carry text only", r"所选测点只有文本"),
    (r"name points that have a value", r"请选择有数值的测点"),
    (r'device "(.+)" has no point', r"设备“\1”没有测点"),
    (r"add one to its profile", r"请在型号档案中添加"),
    (r"keys of kind (\S+): (.+)", r"规则类型 \1 的键：\2"),
    (r"(\S+) s never fills up with a reading every (\S+) s", r"窗口 \1 秒太短：每 \2 秒才有一个读数"),
    (r"write (\S+)", r"请写 \1"),
    (r"window must be between 1s and 7d", r"window 应为 1s 至 7d"),
    # rules.language
    (r"(.+) \(character (\d+)\)", r"\1（第 \2 个字符）"),
    (r"not a condition \(.*\)", r"不是有效的条件"),
    (
        r"write comparisons such as `value > 10`, joined by and, or, not",
        r"请写比较式，如 `value > 10`，用 and、or、not 连接",
    ),
    (r"the condition is too long", r"条件过长"),
    (r"keep it below (\d+) characters", r"请控制在 \1 个字符以内"),
    (r"nested too deeply", r"嵌套过深"),
    (r"split the rule in two", r"请拆成两条规则"),
    (r".+ is no condition", r"不是条件"),
    (r"not a comparison", r"不是比较"),
    (r"use < <= > >= == !=", r"请使用 < <= > >= == !="),
    (r'label "(.+)" has no order', r"标签“\1”不能比较大小"),
    (r"use == or !=", r"请使用 == 或 !="),
    (r'unknown label "(.+)"', r"未知的标签“\1”"),
    (r"write a number, or one with a unit", r"请写数字，或带单位的数字"),
    (r'"(.+)" is compared with no name', r"“\1”没有与测点数值比较"),
    (r"compare a name with a quantity", r"请与测点数值比较"),
    (r'wrong unit "(.+)": (\w+) is in "(.*)"', r"单位“\1”不符：\2 的单位是“\3”"),
    (r'write it in "(.+)"', r"请改用单位“\1”"),
    (r"leave the unit out", r"请去掉单位"),
    (r'unknown name "(.+)"', r"未知的名称“\1”"),
    (r".+ has no place here", r"此处不能这样写"),
    (r"use numbers, names and \+ - \* /", r"请使用数字、名称和 + - * /"),
    (r"the result is no number", r"计算结果不是数字"),
    (r"(.+) is no number", r"\1 不是数字"),
    (r"write a number", r"请写数字"),
    (r"the number is too large", r"数字过大"),
    (r"write a number a device can send", r"请写设备可能发送的数字"),
    (r"do not divide by zero", r"不能除以零"),
    # profiles, drivers, dialects, channels
    (r"correct or remove it", r"请改正或删除"),
    (r'unknown point "(.+)"', r"没有测点“\1”"),
    (r'"(.*)" is no address; write a number, (.+) or (.+)', r"“\1”不是地址；请写数字、\2 或 \3"),
    (r'"(.*)" is no time zone; write it as (.+)', r"“\1”不是时区；请写成 \2"),
    (
        r'"(.*)" is no place; write (.+) \(system/address/loop/point\)',
        r"“\1”不是部位；请写成 \2（系统/地址/回路/点位）",
    ),
    (r'"(.*)" is no place; write (.+) \(system/address/component\)', r"“\1”不是部位；请写成 \2（系统/地址/部件）"),
    (r"(\S+) is no address; it has 6 bytes, so at most (\d+)", r"\1 不是地址；地址为 6 字节，最大 \2"),
    (r"type (\d+) is no request; known: (.+)", r"类型 \1 不是查询；可用：\2"),
    (r"decode needs one of analog, bit and command", r"decode 应有 analog、bit、command 之一"),
    (r"no address, like (\S+)", r"没有 address，\1 也没有：无法区分"),
    (r"address (\d+), that of (\S+)", r"address \1 与 \2 相同"),
    (r'"(.*)" is no hexadecimal number', r"“\1”不是十六进制数"),
    (r'"(.*)" is no number', r"“\1”不是数字"),
    (r'"(.*)": hexadecimal characters only', r"“\1”只能含十六进制字符"),
    (r'"(.*)": the ten characters of the station, or its eight digits', r"“\1”应为站址的 10 个字符或 8 位数字"),
    (r'"(.*)": four characters', r"“\1”应为 4 个字符"),
    (r"needs a password", r"需要 password"),
    (
        r"(\S+): the standard has no analog type for its unit, only for (.+)",
        r"\1：标准没有该单位的模拟量类型，只有 \2",
    ),
    (r'"(.+)" has it already \(without one a point has its own\)', r"“\1”已使用此地址（不写则自动分配）"),
    (r"profile '(.+)' does not exist; did you mean \"(.+)\"\?", r"没有型号档案“\1”；是否应为“\2”？"),
    (r"profile '(.+)' does not exist", r"没有型号档案“\1”"),
    (r"profile (\S+): no point '(.+)'; did you mean \"(.+)\"\?", r"型号档案 \1 没有测点“\2”；是否应为“\3”？"),
    (r"profile (\S+): no point '(.+)'", r"型号档案 \1 没有测点“\2”"),
    (r"(points\.\S+): (.+)", r"\1：\2"),
    (r"a name has lower-case letters, digits and _ only", r"名称只能含小写字母、数字和 _"),
    (r"a (\w+) needs a unit .*", r'\1 需要单位（UCUM；纯数字写 unit = "1"）'),
    (r"a state needs labels, e\.g\. (.+)", r"state 需要 labels，例如 \1"),
    (r"only a state has labels or invert", r"只有 state 可以有 labels 或 invert"),
    (r"(\w+) must be \[low, high\]", r"\1 应为 [低, 高]"),
    (r"(?:Object|object) contains unknown field `(\w+)`(.*)", r"未知的键 \1"),
    (r"(?:Object|object) missing required field `(\w+)`(.*)", r"缺少键 \1"),
    (r"Invalid enum value '?(.+?)'?( - at .*)?", r"“\1”不是允许的值"),
    (r"point '?([^':]+)'?: (.+)", r"测点 \1：\2"),
    (r"silence must be above 0s", r"silence 应大于 0s"),
    (r"it has no \[\[point\]\]", r"没有 [[point]]"),
    (r"point '(.+)' stands there twice", r"测点“\1”写了两次"),
    (r"Expected `(\S+)`, got `(\S+)`(.*)", r"应为 \1，实为 \2"),
    (r"it has no points: give some under \[device\.points\]", r"没有测点：请在 [device.points] 下添加"),
    (r'topic "(.*)": write (.+), as in (.+)', r"主题“\1”：请写成 \3 的形式"),
    (r"topic '(.*)': wildcards are whole levels.*", r"主题“\1”：通配符须占整级，# 只能在末尾"),
    (r"no topic filter: (.+); fix: .*", r"不是有效的主题：\1；+ 和 # 须占整级"),
    (r"poll = (\S+) s; it must be above 0 s", r"poll = \1 秒；应大于 0"),
    (r"on and off must differ", r"on 与 off 不能相同"),
    (r"refresh, retry and timeout must be above 0s", r"refresh、retry、timeout 应大于 0s"),
    (r"(.+) can be read by others; run: (.+)", r"\1 可被其他用户读取；请运行：\2"),
    (r"(.+) is a folder, not a file", r"\1 是文件夹，不是文件"),
    (r"point of device \"(.+)\"", r"设备“\1”的测点"),
    (r"(\w+) \((.+)\)", r"\1（\2）"),
    (r"at least (\S+)", r"不小于 \1"),
    # the TOML parser
    (r"Expected '=' after a key in a key/value pair", r"键后面应为“=”"),
    (r"Unterminated string", r"引号没有闭合"),
    (r"Invalid value", r"无效的值"),
    (r"Invalid statement", r"无法理解的语句"),
    (r"Unclosed array", r"方括号没有闭合"),
    (r"Unclosed inline table", r"花括号没有闭合"),
    (r"Illegal character (.+)", r"非法字符 \1"),
    (r"Cannot overwrite a value", r"同一个键写了两次"),
    (r"Cannot declare (.+) twice", r"表 \1 写了两次"),
    (r"Expected newline or end of document after a statement", r"语句后面应换行"),
    (r"nested too deep", r"嵌套过深"),
)


@cache
def _known() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the forms compiled: not before something is wrong with a configuration."""
    return tuple((re.compile(form), text) for form, text in _FORMS)


def chinese(text: str) -> str:
    """Return a sentence in Chinese; one of no known form as it is."""
    for form, words in _known():
        found = form.fullmatch(text)
        if found is not None:
            return _filled(words, [_inside(part) for part in found.groups()])
    return text


def _filled(words: str, inner: Sequence[str]) -> str:
    return re.sub(r"\\(\d)", lambda number: inner[int(number[1]) - 1], words).strip()


def _inside(part: str | None) -> str:
    """Return what stands in a sentence: another sentence, or a name that stays."""
    return "" if part is None else chinese(part)
