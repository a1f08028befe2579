"""What is wrong with a configuration: a closed set of kinds, each with its reason and its fix in two languages.

The end of the configuration's flow: `check`, `run` and the fault alarm of a station on its last good configuration
print these lines. Keeps house rule 7 (every decision has a reason from a closed enum) and section 11 (every problem at
once, each with file, line, key, reason and fix).
"""

from __future__ import annotations

from enum import Enum, unique
from string import Template

import msgspec

from gateway.config.chinese import chinese


@unique
class Kind(Enum):
    """A kind of problem: English reason, English fix, Chinese reason, Chinese fix; `$name` stands for a fact."""

    UNREADABLE = (
        "cannot read $what: $error",
        "create it or correct the path",
        "无法读取 $what：$error",
        "请创建或改正路径",
    )
    BAD_TOML = ("not TOML: $error", "correct this block", "不是有效的 TOML：$error", "请改正此段")
    NOT_UTF8 = ("not UTF-8; read as GB18030", "save it as UTF-8", "不是 UTF-8，已按 GB18030 读取", "请另存为 UTF-8")
    UNKNOWN_KEY = ("unknown key", "$hint", "未知的键", "$hint_zh")
    UNKNOWN_COLUMN = ("unknown column, ignored", "$hint", "未知的列，已忽略", "$hint_zh")
    WRONG_TYPE = ("is $given, but must be $wanted", "write $example", "为 $given，应为 $wanted", "请写 $example")
    MISSING_KEY = ("is missing", "add a line such as: $example", "缺少此键", "请添加一行，例如：$example")
    MISSING_TABLE = ("is missing", "write $example", "缺少此表", "请写 $example")
    EMPTY = ("is empty", "write $example", "为空", "请写 $example")
    OUT_OF_RANGE = ("$given is out of range", "write $wanted", "$given 超出范围", "请写 $wanted")
    REFUSED = ("$error", "correct the value", "$error", "请改正该值")
    BAD_ID = (
        '"$given" has characters that a name here cannot have',
        "use letters, digits, $allowed",
        "名称“$given”含有不允许的字符",
        "请使用文字、数字和 $allowed",
    )
    DUPLICATE = (
        '"$given" is already used in $other',
        "give one of them another name",
        "“$given”已在 $other 使用",
        "请改用另一名称",
    )
    UNKNOWN_NAME = ('no $what is called "$given"', "$hint", "没有名为“$given”的 $what", "$hint_zh")
    BAD_PLUGIN = ("$error", "install what it needs", "$error", "请安装所需软件包")
    BAD_PROFILE = ("$error", "correct the profile or its name", "$error", "请改正设备型号档案或其名称")
    OTHER_DRIVER = (
        'profile "$profile" speaks $speaks, source "$source" has driver $driver',
        'choose a profile of $driver (`firegrid profiles`), or a source with driver = "$wanted"',
        "型号档案“$profile”的协议是 $speaks，而接入链路“$source”的驱动是 $driver",
        '请改用 $driver 的型号档案（见 firegrid profiles），或改用 driver = "$wanted" 的接入链路',
    )
    NO_UNIT = (
        'profile "$profile": point "$point" has no unit',
        "add its UCUM unit to the profile",
        "型号档案“$profile”的测点“$point”没有单位",
        "请在档案中补充 UCUM 单位",
    )
    UNCONFIRMED = (
        'profile "$profile" is a template: it was never compared with the maker\'s manual or a device',
        "try the device with real smoke or gas, then keep a checked copy: firegrid profiles show $profile --toml",
        "型号档案“$profile”为模板，未与厂家说明书或实物核对",
        "请用真实烟雾或气体试验，核对后自存一份：firegrid profiles show $profile --toml",
    )
    CYCLE = (
        "is its own ancestor: $given",
        "give one of them another parent",
        "上级网格成环：$given",
        "请改正其中一个的上级",
    )
    SAME_DEVICE = (
        'says the same as device "$other"',
        "correct its address or topic, or remove it",
        "与设备“$other”的接入参数相同",
        "请改正地址或主题，或删除其一",
    )
    PAGE_OPEN = (
        "others can reach $given, but the page has no certificate",
        'add cert_file and key_file, or write listen = "127.0.0.1:8080"',
        "$given 可从外部访问，但页面没有证书",
        '请添加 cert_file 和 key_file，或写 listen = "127.0.0.1:8080"',
    )
    SAME_PORT = ("$given is already used by $other", "use another port", "$given 已被 $other 占用", "请使用另一端口")
    WIRE_OPEN = (
        "whoever reaches $given may report in any device's name, for allow names no network",
        'write the devices\' own: allow = ["192.168.1.0/24"]',
        "能连到 $given 的任何人都可冒充设备上报：allow 没有写网段",
        '请写设备所在网段：allow = ["192.168.1.0/24"]',
    )
    PORT_ABSENT = (
        "$given is not there now",
        "plug the adapter in or correct the path",
        "$given 目前不存在",
        "请接好适配器或改正路径",
    )
    SILENCE_SHORT = (
        "is asked every $poll s but counts as silent after $silence s",
        "poll more often, or raise silence",
        "每 $poll 秒轮询一次，却在 $silence 秒后判为失联",
        "请缩短 poll 或加大 silence",
    )
    SILENCE_GUESSED = (
        'how often it speaks depends on the product: by profile "$profile" it is missed only after $hours h',
        'watch it for a day and say so, e.g. silence = "15m"; switch availability on where its bridge has it',
        "上报间隔因产品而异：按型号档案“$profile”，静默 $hours 小时后才判为失联",
        '请观察一天后填写实际值，如 silence = "15m"；网桥支持时请打开 availability（在线状态）',
    )
    NO_REASON = (
        "switches alarms off without a reason",
        'add reason = "why"',
        "关闭报警但没有说明原因",
        '请添加 reason = "原因"',
    )
    BAD_TARGET = (
        '"$given" is not a target',
        "write role:ROLE@cell, role:ROLE@parent, contact:ID or everyone",
        "“$given”不是有效的通知对象",
        "请写 role:角色@cell、role:角色@parent、contact:编号 或 everyone",
    )
    NOBODY = (
        "reaches nobody",
        "name somebody who has a phone, or a siren",
        "通知不到任何人",
        "请指定有电话的联系人或警报器",
    )
    STEP_ORDER = (
        "comes before the step above it",
        "put the steps in the order of after",
        "早于上一步骤",
        "请按 after 由小到大排列",
    )
    NO_REPEAT = (
        "would leave an alarm that nobody answers without a next step",
        'write repeat = "120s", or leave the key out',
        "会使无人确认的报警不再有下一步",
        '请写 repeat = "120s"，或删去此键',
    )
    NO_PHONE = (
        'has no phone, but policy "$policy" calls this contact',
        "add the phone",
        "没有电话，但预案“$policy”要通知此人",
        "请补充电话",
    )
    BAD_PHONE = ('"$given" is not a phone number', "$advice", "“$given”不是电话号码", "$advice_zh")
    SAME_PHONE = (
        'has the same phone as contact "$other"',
        "a reply cannot tell them apart; give each an own number",
        "与联系人“$other”电话相同",
        "短信回复无法区分两人，请各填一个号码",
    )
    CONTRADICTION = (
        '$what "$given" differs from "$other" in another row of this contact',
        "make the rows agree, or use another id",
        "$what“$given”与同一联系人另一行的“$other”不一致",
        "请改为一致，或使用另一编号",
    )
    SAME_ROW = ("says the same as line $other", "remove one of them", "与第 $other 行重复", "请删除其一")
    NO_COLUMN = ("column $given is missing", "the first row must be: $wanted", "缺少列 $given", "第一行应为：$wanted")
    NO_CELL = ("has a role without a cell", "add the cell", "有角色但没有网格", "请补充网格")
    NO_DEFAULT = (
        "none: an alarm whose rule names no policy tells everybody",
        "add [[default_policy]] to say whom",
        "未配置：规则没有指定预案的报警通知所有人",
        "请添加 [[default_policy]] 指定通知对象",
    )
    PLACES_ONLY = (
        "none calls a person: only places are told",
        'add one that does, such as kind = "sms_modem", when the station has it',
        "没有能通知到个人的通道，只通知场所",
        '有短信模块后请添加，例如 kind = "sms_modem"',
    )
    CLASS_OPEN = (
        "none for $given: such an alarm tells everybody unless its rule names a policy",
        "add [[default_policy]] to say whom",
        "$given 没有默认预案：规则没有指定预案时通知所有人",
        "请添加 [[default_policy]] 指定通知对象",
    )
    SHARED_SECRET = (
        "$given can be read by others",
        "run: chmod 600 $given",
        "$given 可被其他用户读取",
        "请运行：chmod 600 $given",
    )
    NO_FOLDER = (
        "folder $given does not exist",
        "create it: mkdir -p $given",
        "文件夹 $given 不存在",
        "请创建：mkdir -p $given",
    )
    NOTHING_USABLE = ("no usable $what", "add one: $example", "没有可用的$what", "请添加：$example")
    NO_PERSON = (
        'no contact has the id "$given": it counts only for a local user of that name',
        "$hint",
        "没有编号为“$given”的联系人：只对同名的本机用户有效",
        "$hint_zh",
    )
    REPORTED = ("$reason", "$fix", "$reason", "$fix")  # found by another part: rules, escalation

    @property
    def note(self) -> bool:
        """Whether it does not refuse: `check` shows it and passes."""
        return self in _REMARKS or self in _WARNINGS

    @property
    def warning(self) -> bool:
        """Whether it passes and somebody should look at it all the same."""
        return self in _WARNINGS


_REMARKS = frozenset({Kind.CLASS_OPEN, Kind.NO_DEFAULT, Kind.PLACES_ONLY, Kind.WIRE_OPEN})
_WARNINGS = frozenset(
    {
        Kind.UNKNOWN_COLUMN,
        Kind.PORT_ABSENT,
        Kind.SAME_PHONE,
        Kind.NOT_UTF8,
        Kind.UNCONFIRMED,
        Kind.SILENCE_GUESSED,
        Kind.NO_PERSON,
    }
)


_ZH = {
    "source": "接入链路",
    "driver": "驱动",
    "dialect": "MQTT 方言",
    "device": "设备",
    "profile": "设备型号档案",
    "rule": "规则",
    "rule kind": "规则类型",
    "channel": "通知通道",
    "sink": "数据出口",
    "policy": "处置预案",
    "cell": "网格",
    "contact": "联系人",
    "contact with a phone": "有电话的联系人",
    "role": "角色",
    "level or cell": "级别或网格",
    "time zone": "时区",
    "name": "姓名",
    "phone": "电话",
    "language": "语言",
    "this file": "此文件",
    "this row": "此行",
    "no such file": "文件不存在",
    "no such file or directory": "文件不存在",
    "is a directory": "是文件夹",
    "permission denied": "没有权限",
    "true or false": "true 或 false",
    "a whole number": "整数",
    "a number": "数字",
    "text in quotes": "带引号的文字",
    "a list": "列表",
    "a table": "表",
    "a duration (ms, s, m, h, d, w, y)": "时长（ms、s、m、h、d、w、y）",
}


_SENTENCES = frozenset({"reason", "fix", "error", "what", "wanted"})  # facts that are ours, not the file's


class Place(msgspec.Struct, frozen=True):
    """Where a key stands. Line from 1; 0 when the file has no such line."""

    file: str
    line: int = 0


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, with what is needed to say it in either language."""

    file: str
    line: int
    key: str
    kind: Kind
    facts: dict[str, str] = {}

    @property
    def note(self) -> bool:
        """Whether it does not refuse."""
        return self.kind.note

    @property
    def warning(self) -> bool:
        """Whether it is a note that somebody should look at."""
        return self.kind.warning

    def reason(self, language: str = "en") -> str:
        """Say what is wrong."""
        return self._fill(2 if language == "zh" else 0)

    def fix(self, language: str = "en") -> str:
        """Say what to do."""
        return self._fill(3 if language == "zh" else 1)

    def text(self, language: str = "en") -> str:
        """Return one line: file, line, key, reason, fix."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        colon, semicolon = ("：", "；") if language == "zh" else (": ", "; ")
        key = f"{self.key}{colon}" if self.key else ""
        return f"{_one_line(f'{place}: {key}')}{self.reason(language)}{semicolon}{self.fix(language)}"

    def _fill(self, part: int) -> str:
        facts = self.facts if part < 2 else {name: _translated(name, fact) for name, fact in self.facts.items()}
        return _one_line(Template(self.kind.value[part]).safe_substitute(facts))


def suggest(given: str, alike: str) -> dict[str, str]:
    """Return the facts `hint` and `hint_zh` of a mistyped word."""
    if alike and alike != given:
        return {"hint": f'did you mean "{alike}"?', "hint_zh": f"是否应为“{alike}”？"}
    return {"hint": "correct or remove it", "hint_zh": "请改正或删除"}


def _translated(name: str, fact: str) -> str:
    return _ZH.get(fact) or (chinese(fact) if name in _SENTENCES else fact)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
