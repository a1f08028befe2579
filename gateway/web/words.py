"""The words of the page, Chinese and English (terms as in the glossary of the documentation); decides nothing."""

from __future__ import annotations

from typing import Final

from gateway.model.alarm import AlarmState, Suppression
from gateway.model.notification import DeliveryState
from gateway.model.point import AlarmClass
from gateway.model.quality import Doubt, Level

LANGUAGES: Final = ("zh", "en")

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "overview": ("总览", "Overview"),
    "alarms": ("报警", "Alarms"),
    "turnout": ("处置", "Turn-out"),
    "links": ("设备", "Devices"),
    "other_language": ("English", "中文"),
    "live": ("实时", "live"),
    "stale": ("画面已停止更新", "This page is no longer live"),
    "stale_text": (
        "与网关的连接已中断。以下内容是旧的，不能作为判断依据。请到现场或用电话核实。",
        "The connection to the gateway is lost. What you see below is old: do not rely on it. Check on the spot.",
    ),
    "stale_since": ("最后更新", "last update"),
    "stuck": ("网关内核停止响应", "The gateway's core does not respond"),
    "no_script": (
        "浏览器未启用脚本：本页不会自动更新，请手动刷新。",
        "Scripts are off: this page does not update by itself, reload it.",
    ),
    "volatile": (
        "存储故障：报警照常发出，但未存档",
        "Store fault: alarms are still sent, but nothing is recorded",
    ),
    "untrusted": ("时间未校准：显示的是时长而不是时刻", "Clock not set: ages are shown instead of times"),
    "calm": ("一切正常", "All clear"),
    "calm_text": ("没有未结束的报警", "no open alarm"),
    "open_alarms": ("未结束的报警", "open alarms"),
    "unanswered": ("待确认", "to acknowledge"),
    "no_cell": ("未分配网格", "no cell"),
    "never": ("从未收到", "never heard"),
    "ago": ("~前", "~ ago"),
    "due": ("~后", "in ~"),
    "see_alarms": ("查看报警", "See alarms"),
    "ack": ("确认", "Acknowledge"),
    "reset": ("复位", "Reset"),
    "shelve": ("搁置", "Shelve"),
    "unshelve": ("取消搁置", "Unshelve"),
    "details": ("详情", "Details"),
    "chart": ("曲线", "Chart"),
    "reason": ("原因", "Reason"),
    "for_long": ("时长", "For"),
    "minutes": ("分钟", "minutes"),
    "code": ("码", "code"),
    "since": ("始于", "since"),
    "value": ("值", "value"),
    "acked_by": ("确认人", "acknowledged by"),
    "shelved_by": ("搁置人", "shelved by"),
    "until": ("至", "until"),
    "test": ("测试，不通知", "test, calls nobody"),
    "old": ("启动前状态", "state from before start"),
    "more": ("条未显示", "more not shown"),
    "none_open": ("没有未结束的报警", "No open alarm"),
    "who": ("操作人", "Acting as"),
    "choose_who": ("请选择操作人", "Who are you?"),
    "choose_why": (
        "确认和复位会以此人的名义记录在案。",
        "What you acknowledge or reset is recorded in this person's name.",
    ),
    "nobody": ("未选择", "nobody"),
    "told": ("已通知", "Told"),
    "answered": ("已接管", "Taken over by"),
    "nobody_answered": ("尚无人确认", "Nobody has acknowledged"),
    "next": ("下一步", "Next"),
    "next_none": ("不再通知", "nobody further is called"),
    "place_channel": ("现场", "on the spot"),
    "not_told": ("尚未通知任何人", "Nobody has been told yet"),
    "quiet": ("没有需要处置的报警", "Nothing to turn out for"),
    "up": ("正常", "up"),
    "down": ("中断", "down"),
    "tries": ("次重试", "tries"),
    "heard": ("最近收到", "last heard"),
    "silent": ("失联", "silent"),
    "gateway": ("网关", "Gateway"),
    "recording": ("存档正常", "recording"),
    "clock_good": ("时间已校准", "clock set"),
    "unrecorded": ("未存档而已应答的消息", "messages accepted, not recorded"),
    "refused_inputs": ("被拒绝的输入", "inputs refused"),
    "dropped": ("丢弃的读数", "readings dropped"),
    "waiting": ("待处理", "waiting"),
    "sources": ("接入链路与通知通道", "Links and channels"),
    "devices": ("设备", "Devices"),
    "box": ("网关主机", "The box itself"),
    "walktest": ("巡检测试", "Walk test"),
    "walking": (
        "巡检测试进行中：被测网格的报警不通知任何人",
        "A walk test is going on: the cells under test call nobody",
    ),
    "walk_begin": ("开始巡检测试", "Begin a walk test"),
    "walk_end": ("结束测试", "End the test"),
    "walk_text": (
        "所选网格的设备逐个触发，此处逐个打勾。测试期间它们不通知任何人；其他地方的报警照常。",
        "Set off the devices of a cell one by one: each ticks off here. They call nobody; alarms elsewhere are real.",
    ),
    "walk_cells": ("网格", "Cell"),
    "walk_siren": ("声光报警器照常响", "sirens sound"),
    "walk_quiet": ("不响警报，不通知", "nothing sounds, nobody is called"),
    "walk_ends": ("自动结束", "ends by itself"),
    "walk_alarmed": ("已报警", "alarmed"),
    "walk_only_heard": ("有通信，未报警", "speaks, has not alarmed"),
    "walk_heard": ("有通信", "speaks"),
    "walk_waits": ("待测", "to be tried"),
    "walk_silent": ("未响应", "did nothing"),
    "walk_time_out": ("时间到，结束于", "its time was over"),
    "walk_act": ("结束于", "ended"),
    "walk_restart": ("网关重启且时间未知，结束于", "the gateway restarted and did not know the time"),
    "history": ("历史曲线", "History"),
    "no_data": ("这段时间没有读数", "no readings in this time"),
    "hour": ("1 小时", "1 h"),
    "day": ("1 天", "1 day"),
    "week": ("1 周", "1 week"),
    "month": ("30 天", "30 days"),
    "year": ("1 年", "1 year"),
    "band": ("报警时段", "in alarm"),
    "login": ("登录", "Log in"),
    "logout": ("退出", "Log out"),
    "user": ("联系人编号", "Contact id"),
    "password": ("密码", "Password"),
    "login_failed": ("编号或密码不对", "Wrong id or password"),
    "too_many": ("尝试过多，请一分钟后再试", "Too many tries: wait a minute"),
    "setup": ("首次登录：设置密码", "First time: set a password"),
    "setup_text": (
        "一次性代码由管理员在网关上用 firegrid page-code 取得。",
        "Your administrator gets the one-time code on the box: firegrid page-code.",
    ),
    "one_time": ("一次性代码", "One-time code"),
    "short_password": ("密码至少 10 个字符", "The password needs 10 characters or more"),
    "code_failed": ("代码不对或已失效", "Wrong or used code"),
    "done": ("已执行", "Done"),
    "not_recorded": ("已执行，但未存档", "Done, but not recorded"),
    "no_answer": ("没有回应，请重试", "No answer, try again"),
    "bad_request": ("请求无效，请刷新页面", "The request is not valid: reload the page"),
    "back": ("返回", "Back"),
    "not_found": ("没有这一页", "There is no such page"),
    "ended": ("此报警已结束", "This alarm has ended"),
    "send_failed": ("无法送达网关", "The gateway was not reached"),
}
TEXTS: Final = {
    language: {key: pair[place] for key, pair in _TEXTS.items()} for place, language in enumerate(LANGUAGES)
}

CLASSES: Final = {
    "zh": dict(zip(AlarmClass, ("火警", "燃气", "水位", "监管", "故障", "维护"), strict=True)),
    "en": dict(zip(AlarmClass, ("Fire", "Gas", "Flood", "Supervisory", "Fault", "Maintenance"), strict=True)),
}
_STATES_ZH: Final = ("正常", "报警，待确认", "报警，已确认", "已恢复，待确认", "锁定，待确认", "锁定，待复位")
_DOUBTS_ZH: Final = (
    *("", "启动前状态", "超量程", "通信中断", "设备故障码", "不可信", "预热中", "非数值", "未知状态"),
    *("设备存疑", "已拒绝", "离线"),
)
STATES: Final = {
    "zh": dict(zip(AlarmState, _STATES_ZH, strict=True)),
    "en": dict(
        zip(
            AlarmState,
            (
                "normal",
                "in alarm, to acknowledge",
                "in alarm, acknowledged",
                "returned, to acknowledge",
                "latched, to acknowledge",
                "latched, to reset",
            ),
            strict=True,
        )
    ),
}
SUPPRESSIONS: Final = {
    "zh": dict(zip(Suppression, ("", "已搁置", "设计屏蔽", "已停用"), strict=True)),
    "en": dict(zip(Suppression, ("", "shelved", "suppressed by design", "out of service"), strict=True)),
}
LEVELS: Final = {
    "zh": dict(zip(Level, ("良好", "存疑", "无效"), strict=True)),
    "en": dict(zip(Level, ("good", "uncertain", "bad"), strict=True)),
}
DOUBTS: Final = {
    "zh": dict(zip(Doubt, _DOUBTS_ZH, strict=True)),
    "en": {doubt: doubt.name.lower().replace("_", " ") if doubt else "" for doubt in Doubt},
}
DELIVERIES: Final = {
    "zh": dict(
        zip(
            DeliveryState,
            ("等待发送", "正在发送", "已发出", "已送达", "已读", "失败，将重试", "失败", "已取消"),
            strict=True,
        )
    ),
    "en": dict(
        zip(
            DeliveryState,
            ("waiting", "sending", "sent", "delivered", "read", "failed, will retry", "failed", "given up"),
            strict=True,
        )
    ),
}
LABELS: Final = {
    "zh": {
        "normal": "正常",
        "alarm": "报警",
        "on": "开",
        "off": "关",
        "open": "打开",
        "closed": "关闭",
        "fault": "故障",
    },
    "en": dict[str, str](),
}
UNITS: Final = {"Cel": "℃", "%[LEL]": "%LEL", "1": "", "m3": "m³", "m3/h": "m³/h", "[ppm]": "ppm", "[degF]": "℉"}
