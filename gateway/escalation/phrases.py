"""What the house says of itself, in the language of who reads it.

The parts that find a fault know no language: they say both ("链路中断 link down: …") or, deep down, English alone. The
record keeps that as it was said; `wording`, the page and the command line ask here for one language. Each phrase is
known by its form (what drivers say word for word: `pairs`), and what stands in it (names, numbers, ports) is carried
over; one that nobody has put here stays as it is rather than being lost. House rule 7: every reason that a person sees
has words. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from gateway.escalation.pairs import parted

_BOTH: Final = (  # Chinese and English, said one after the other
    ("链路中断", "link down"),
    ("链路恢复", "link up"),
    ("疑似重发", "maybe sent again"),
    ("存储故障", "store fault"),
    ("存储恢复", "store is back"),
    ("输入过多，已丢弃", "more came in than can be judged, dropped"),
    ("输入恢复", "keeping up again, dropped in all"),
    ("存储已重建，旧文件另存", "the store was begun anew, the one before is kept beside it"),
    (r"记录链在第 (\d+) 条断裂", r"the record's chain is broken at row (\d+): what follows proves nothing"),
    ("记录链完整", "the record's chain holds"),
)
_FORMED: Final = (  # both, with a figure in between: form, Chinese, English
    (r"主循环停顿 (\S+) s the loop stood still", r"主循环停顿 \1 秒", r"the loop stood still for \1 s"),
    (r"时钟偏差 clock is wrong by (\S+) s", r"时钟偏差 \1 秒", r"clock is wrong by \1 s"),
    (r"(部件|系统)类型(\d+) (component|system) type \d+", r"\1类型\2", r"\3 type \2"),
    (
        r"数据长度不符 type (\d+): (\d+) bytes fit no object",
        r"类型 \1 数据长度不符：\2 字节",
        r"type \1: \2 bytes fit no object",
    ),
    (r"缺少数据包 packets (.+?) of (\d+) missing", r"缺少数据包 \1/\2", r"packets \1 of \2 missing"),
    (r"已送至 sent up to commit (\d+)", r"已送至第 \1 次提交", r"sent up to commit \1"),
    (r"图片 picture, (\d+) bytes", r"图片 \1 字节", r"picture, \1 bytes"),
    (
        r"监控中心时钟相差 the centre's clock is off by (\S+) s; 未采用 not taken over",
        r"监控中心时钟相差 \1 秒，未采用",
        r"the centre's clock is off by \1 s; not taken over",
    ),
    (
        r"查岗 duty check of the monitoring centre: 请在 (\d+) 分钟内确认 acknowledge within \d+ min",
        r"监控中心查岗：请在 \1 分钟内确认",
        r"duty check of the monitoring centre: acknowledge within \1 min",
    ),
)
_ENGLISH: Final = (  # what is said in English alone
    (r"no next step for alarms", "以下报警没有下一步："),
    (r"every alarm has a next step again", "每个报警都有下一步"),
    (r"rule kind (\S+) failed", r"规则类型 \1 出错"),
    (r"rule kind (\S+) works again", r"规则类型 \1 恢复"),
    (r"an input was refused", "有输入无法处理"),
    (r"broker refuses subscription", "消息服务器拒绝订阅"),
    (r"broker (\S+) refuses (\S+): allow it to this user in acl_file", r"消息服务器 \1 拒绝 \2：请在 acl_file 中授权"),
    (r"subscription granted or no longer needed", "订阅已恢复或不再需要"),
    (r"refused the connection", "拒绝连接"),
    (r"ended the session", "结束了会话"),
    (r"closed the link", "断开了连接"),
    (r"does not answer pings", "不回应心跳"),
    (r"is silent for (\S+) s", r"已 \1 秒无数据"),
    (r"did not answer within (\S+) s", r"\1 秒内未应答"),
    (r"(?:\[Errno (?:101|113)\] )Connect call failed \([^)]*\)", "网络不通"),
    (r"(?:\[Errno \d+\] )?Connect call failed \([^)]*\)", "无法连接，对方未开机或未运行"),
    (r"(\S+) and (\S+) both speak as (\S+)", r"\1 和 \2 两处都以 \3 的地址通信"),
    (r"(?:\[Errno \d+\] )?Connection refused", "连接被拒绝"),
    (r"(?:\[Errno \d+\] )?No such file or directory(?:: '[^']*')?", "不存在"),
    (r"(?:\[Errno \d+\] )?Permission denied(?:: '[^']*')?", "没有权限"),
    (r"(?:\[Errno \d+\] )?Input/output error", "输入输出错误"),
    (r"(?:\[Errno \d+\] )?No space left on device", "磁盘已满"),
    (r"(?:\[Errno \d+\] )?Read-only file system", "文件系统只读"),
    (r"database or disk is full", "磁盘已满"),
    (r"disk I/O error", "磁盘读写错误"),
    (r"attempt to write a readonly database", "存储只读"),
    (r"no such port", "端口不存在"),
    (r"modem does not answer", "短信模块无应答"),
    (r"open, but no device has answered for (\d+) s", r"已打开，但 \1 秒内没有设备应答"),
    (r"hung up", "已断开"),
    (r"the snapshot could not be read", "快照无法读取"),
    (r"windows start afresh", "统计窗口重新开始"),
    (r"NOT_AUTHORIZED", "未授权"),
    (r"BAD_USER_NAME_OR_PASSWORD", "用户名或密码错误"),
    (r"SERVER_UNAVAILABLE", "服务器不可用"),
    (r"SERVER_BUSY", "服务器繁忙"),
    (r"SERVER_SHUTTING_DOWN", "服务器正在关闭"),
    (r"SESSION_TAKEN_OVER", "会话被他处接管"),
    (r"KEEP_ALIVE_TIMEOUT", "心跳超时"),
    (r"UNSUPPORTED_PROTOCOL_VERSION", "协议版本不受支持"),
)
_WORDS: Final = (  # what the operating system says, in English that is not for programmers alone
    (r"(?:\[Errno (?:101|113)\] )Connect call failed \([^)]*\)", "there is no way to it in the network"),
    (r"(?:\[Errno \d+\] )?Connect call failed \([^)]*\)", "cannot be reached, it is off or does not run"),
    (r"\[Errno \d+\] (?=[A-Z])", ""),
)
_CODE: Final = re.compile(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b")  # names of reason codes (MQTT 5.0 section 2.4)


def _compiled(forms: Sequence[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(form), said) for form, said in forms]


def _plain(form: str) -> str:
    return form.replace(r"(\d+)", r"\1")


_TO: Final = {
    True: _compiled(
        [*((f"{zh} {en}", _plain(zh)) for zh, en in _BOTH), *((form, zh) for form, zh, _ in _FORMED), *_ENGLISH]
    ),
    False: _compiled(
        [*((f"{zh} {en}", _plain(en)) for zh, en in _BOTH), *((form, en) for form, _, en in _FORMED), *_WORDS]
    ),
}


@lru_cache(maxsize=1024)  # in a flood the same few texts come again and again
def spoken(text: str, *, chinese: bool) -> str:
    """Return what the house says of itself in one language; what a device says stays as it came."""
    for form, said in _TO[chinese]:
        text = form.sub(said, text)
    text = parted(text, chinese=chinese)
    return text if chinese else _CODE.sub(lambda code: code[0].lower().replace("_", " "), text)
