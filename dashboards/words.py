"""What the dashboards say, Chinese and English; what the live page says already is taken from there.

Below `dashboards.questions`. The four titles are the four one-screens of the people who watch a district.
"""

from __future__ import annotations

from typing import Final

from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.sinks._lines import STATES as STATE_NUMBERS
from gateway.sinks._lines import SUPPRESSIONS as SUPPRESSION_NUMBERS
from gateway.web import words as page

LANGUAGES: Final = page.LANGUAGES

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "overview": ("一屏统览：现在怎样", "Overview: what is the state of everything"),
    "events": ("一屏知晓：发生了什么", "Awareness: what happened"),
    "handling": ("一屏跟踪：处置得怎样", "Tracking: how are people handling it"),
    "health": ("一屏监测：设备是否可靠", "Signs of safety: how healthy are gateway, links, batteries"),
    "station": ("站", "Station"),
    "device": ("设备", "Device"),
    "point": ("测点", "Point"),
    "cell": ("网格", "Cell"),
    "class": ("类别", "Class"),
    "severity": ("级别", "Severity"),
    "rule": ("规则", "Rule"),
    "key": ("位置", "Place"),
    "state": ("状态", "State"),
    "suppression": ("屏蔽", "Suppressed"),
    "value": ("值", "Value"),
    "unit": ("单位", "Unit"),
    "quality": ("质量", "Quality"),
    "text": ("内容", "Text"),
    "code": ("事件", "Event"),
    "cause": ("原因", "Cause"),
    "who": ("操作人", "Who"),
    "from": ("之前", "From"),
    "to": ("之后", "To"),
    "time": ("时间", "Time"),
    "count": ("次数", "Count"),
    "waited": ("等待时间", "Waited"),
    "open_alarms": ("未结束的报警", "Open alarms"),
    "open_now": ("当前报警", "Open alarms by class"),
    "no_alarm": ("没有未结束的报警", "no open alarm"),
    "stations": ("在线站点", "Stations that send"),
    "stations_help": ("最近 10 分钟内有数据的站点", "Stations of which something came in the last ten minutes."),
    "without": ("无有效读数的测点", "Points without a good value"),
    "latest": ("各测点最新值", "Last value of every point"),
    "latest_help": (
        "两天内的最新读数。“无效”的读数没有值，不能当作正常。",
        "The newest of two days. A bad reading has no value: it is not normal.",
    ),
    "transitions": ("报警变化", "Moves of alarms"),
    "events_by_code": ("设备事件", "Events of devices"),
    "alarm_states": ("报警状态变化", "Alarms over time"),
    "readings": ("读数", "Readings"),
    "event_list": ("事件明细", "What devices said"),
    "transition_list": ("报警明细", "Moves of alarms, one by one"),
    "unanswered": ("待确认的报警", "Alarms to acknowledge"),
    "unanswered_long": ("未确认的时间", "Time without an answer"),
    "unanswered_help": (
        "所选时间段内，每个报警处于“报警，待确认”状态的时间。",
        "How long each alarm stood unanswered within the chosen time.",
    ),
    "longest": ("最长未确认", "Longest without an answer"),
    "answer_time": ("从报警到确认", "From the alarm to its acknowledgement"),
    "answer_help": (
        "在确认之前已自行恢复的报警不计入。",
        "Alarms that returned to normal by themselves before the answer are left out.",
    ),
    "acts": ("人员操作", "What people did"),
    "act_list": ("操作明细", "What people did, one by one"),
    "notices": ("通知进展", "Notices by channel and how far they got"),
    "alarm_to_send": ("从报警到发出通知（99%）", "From the alarm to its first notice (99 %)"),
    "gateway_up": ("网关在线", "The gateway sends"),
    "states": ("网关状态", "State of the gateway"),
    "batteries": ("设备电池", "Batteries of devices"),
    "faults": ("故障与监管", "Faults and supervisory alarms"),
    "bad_points": ("读数质量", "Readings by quality"),
    "shares": ("磁盘、内存、电池、存储卡", "Disk, memory, battery, card"),
    "bytes": ("占用", "Sizes"),
    "kept": ("原始读数保留天数", "Days of readings kept"),
    "wear": ("每日写入量", "Written a day"),
    "temperature": ("处理器温度", "Processor temperature"),
    "delays": ("停顿与时间误差", "Delays and clock error"),
    "times": ("运行与后备时间", "Running times"),
    "numbers": ("负载与启动次数", "Load and starts"),
    "signal": ("信号强度", "Modem signal"),
    "links": ("链路", "Links"),
    "rates": ("每秒读数", "Readings per second"),
    "commit": ("提交耗时（99%）", "Commit time (99 %)"),
    "arrival": ("从到达到存档（99%）", "From arrival to the disk (99 %)"),
    "queues": ("排队", "Queues"),
    "backlog": ("上行积压", "Age of what sinks have not sent"),
    "waiting": ("待处理", "waiting"),
    "good": ("良好", "good"),
    "uncertain": ("存疑", "uncertain"),
    "bad": ("无效", "bad"),
    "live": ("在线", "sends"),
    "dead": ("离线", "silent"),
    "up": ("正常", "up"),
    "down": ("中断", "down"),
    "folder": ("微型消防站", "firegrid"),
}
TEXTS: Final = {
    language: {key: pair[place] for key, pair in _TEXTS.items()} for place, language in enumerate(LANGUAGES)
}
LABELS_ZH: Final = {
    "normal": "正常",
    "warning": "警告",
    "urgent": "紧急",
    "low": "偏低",
    "no": "否",
    "yes": "是",
    "home": "本地网络",
    "roaming": "漫游",
    "missing": "缺失",
    "ready": "就绪",
    "locked": "锁定",
    "lost": "中断",
    "present": "正常",
}

Mapping = dict[str, object]
_COLOURS = {"normal": "green", "unack": "red", "acked": "orange", "rtn_unack": "yellow", "latched_unack": "red"}
_CLASS_COLOURS = ("red", "purple", "blue", "orange", "yellow", "text")
CLASS_COLOURS: Final = dict(zip(page.CLASSES["en"], _CLASS_COLOURS, strict=True))


def states(language: str) -> list[Mapping]:
    """Return what the numbers of an alarm's state mean."""
    options = {
        str(number): {
            "text": page.STATES[language][state],
            "color": _COLOURS.get(state.value, "orange"),
            "index": place,
        }
        for place, (state, number) in enumerate(STATE_NUMBERS.items())
    }
    return [{"type": "value", "options": options}]


def suppressions(language: str) -> list[Mapping]:
    """Return what the numbers of an alarm's suppression mean."""
    options = {
        str(number): {
            "text": page.SUPPRESSIONS[language][one] or "–",
            "color": "blue" if number else "text",
            "index": place,
        }
        for place, (one, number) in enumerate(SUPPRESSION_NUMBERS.items())
    }
    return [{"type": "value", "options": options}]


def classes(language: str) -> list[Mapping]:
    """Return what the words of a class mean."""
    options = {
        kind.word: {"text": word, "color": CLASS_COLOURS[kind], "index": place}
        for place, (kind, word) in enumerate(page.CLASSES[language].items())
    }
    return [{"type": "value", "options": options}]


def qualities(language: str) -> list[Mapping]:
    """Return what a quality means: the level is in its upper bits."""
    found: list[Mapping] = []
    for level, colour in zip(Level, ("green", "yellow", "red"), strict=True):
        first = level << LEVEL_SHIFT
        last = ((level + 1) << LEVEL_SHIFT) - 1 if level is not Level.BAD else 255
        result = {"text": page.LEVELS[language][level], "color": colour, "index": int(level)}
        found.append({"type": "range", "options": {"from": first, "to": last, "result": result}})
    return found


def label(language: str, word: str) -> str:
    """Return the word for a label of a state of the gateway."""
    return LABELS_ZH[word] if language == "zh" else word
