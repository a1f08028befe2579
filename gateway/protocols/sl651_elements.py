"""The element table of SL 651-2014 (annex C): identifier, ASCII name, unit (UCUM), digits, names. Data only.

Read by the codec (`gateway.protocols.sl651_body`, `sl651_ascii`), the driver and `decode`; pure (house rule 2). A HEX
frame carries its own width and decimals; those of the table serve encoders and texts, never a decoder. FFxx and 76 to
EF are the makers' own: they have no row and are kept raw.
"""

from __future__ import annotations

import re

import msgspec

from gateway.model.time import MINUTE

TIME, STATION, TEXT, PICTURE, FLOW_BATCH, STEP, STATE = 0xF0, 0xF1, 0xF2, 0xF3, 0xFD, 0x04, 0x45
RAIN_SERIES = 0xF4  # 12 bytes, 0.1 mm in 5 minutes each
LEVEL_SERIES = range(0xF5, 0xFD)  # 24 bytes, 0.01 m each, above the station's level base
SERIES_LENGTH = 12
SERIES_STEP = 5 * MINUTE

CLASSES = {
    "P": "rain",
    "H": "river",
    "K": "reservoir",
    "Z": "sluice",
    "D": "pump",
    "T": "tide",
    "M": "soil moisture",
    "G": "groundwater",
    "Q": "water quality",
    "I": "intake",
    "O": "outlet",
}


class ElementKind(msgspec.Struct, frozen=True):
    """A row of the table. `digits`, `decimals`: N(D,d) of the standard; `unit` is UCUM, empty for none."""

    code: int
    name: str
    unit: str
    digits: int
    decimals: int
    english: str
    chinese: str

    @property
    def width(self) -> int:
        """Bytes of packed BCD that the digits take."""
        return (self.digits + 1) // 2


_NTH = "一二三四五六七八"
_SINGLE = """
01 AC m2 8 2 cross-section area|断面面积
02 AI Cel 3 1 air temperature|瞬时气温
03 C Cel 3 1 water temperature|瞬时水温
05 DT h 4 2 length of period|时段长
06 ED mm 5 1 evaporation of the day|日蒸发量
07 EJ mm 5 1 evaporation until now|当前蒸发
08 FL hPa 5 0 air pressure|气压
09 GH m 5 2 gate opening|闸门开启高度
0A GN 1 3 0 gate number|闸门编号
0B GS 1 1 0 kind of conveyance|输水设备类别
0C GT 1 3 0 open gates|闸门开启孔数
0D GTP Cel 3 1 ground temperature|地温
0E H m 6 2 groundwater depth|地下水埋深
0F HW m 5 2 wave height|波浪高度
10 M10 % 4 1 soil moisture at 10 cm|10厘米土壤含水量
11 M20 % 4 1 soil moisture at 20 cm|20厘米土壤含水量
12 M30 % 4 1 soil moisture at 30 cm|30厘米土壤含水量
13 M40 % 4 1 soil moisture at 40 cm|40厘米土壤含水量
14 M50 % 4 1 soil moisture at 50 cm|50厘米土壤含水量
15 M60 % 4 1 soil moisture at 60 cm|60厘米土壤含水量
16 M80 % 4 1 soil moisture at 80 cm|80厘米土壤含水量
17 M100 % 4 1 soil moisture at 100 cm|100厘米土壤含水量
18 MST % 4 1 humidity|湿度
19 NS 1 2 0 running pumps|开机台数
1A P1 mm 5 1 rain in 1 h|1小时降水量
1B P2 mm 5 1 rain in 2 h|2小时降水量
1C P3 mm 5 1 rain in 3 h|3小时降水量
1D P6 mm 5 1 rain in 6 h|6小时降水量
1E P12 mm 5 1 rain in 12 h|12小时降水量
1F PD mm 5 1 rain of the day|日降水量
20 PJ mm 5 1 rain since the day began|当前降水量
21 PN01 mm 5 1 rain in 1 min|1分钟降水量
22 PN05 mm 5 1 rain in 5 min|5分钟降水量
23 PN10 mm 5 1 rain in 10 min|10分钟降水量
24 PN30 mm 5 1 rain in 30 min|30分钟降水量
25 PR mm 5 1 rain of the storm|暴雨量
26 PT mm 6 1 accumulated rain|降水量累计值
27 Q m3/s 9 3 flow|瞬时流量
30 QA m3/s 9 3 total outflow|总出库流量
31 QZ m3/s 9 3 flow of a conveyance|输水设备流量
32 SW 10*7.kg 11 3 sediment discharge|输沙量
33 UC 1 2 0 wind direction|风向
34 UE 1 2 0 wind force|风力
35 US m/s 4 1 wind speed|风速
36 VA m/s 5 3 mean velocity|断面平均流速
37 VJ m/s 5 3 current velocity|当前瞬时流速
38 VT V 4 2 supply voltage|电源电压
39 Z m 7 3 water level|瞬时河道水位
3A ZB m 7 3 level below the sluice|库(闸、站)下水位
3B ZU m 7 3 level above the sluice|库(闸、站)上水位
44 SQ kg/m3 9 3 sediment content|含沙量
45 ZT 1 8 0 state and alarms|遥测站状态及报警信息
46 PH [pH] 4 2 pH|pH值
47 DO mg/L 4 2 dissolved oxygen|溶解氧
48 COND uS/cm 5 0 conductivity|电导率
49 TURB [NTU] 3 0 turbidity|浊度
4A CODMN mg/L 4 1 permanganate index|高锰酸盐指数
4B REDOX mV 5 1 redox potential|氧化还原电位
4C NH4N mg/L 6 2 ammonia nitrogen|氨氮
4D TP mg/L 5 3 total phosphorus|总磷
4E TN mg/L 5 2 total nitrogen|总氮
4F TOC mg/L 4 2 total organic carbon|总有机碳
50 CU mg/L 7 4 copper|铜
51 ZN mg/L 6 4 zinc|锌
52 SE mg/L 7 5 selenium|硒
53 AS mg/L 7 5 arsenic|砷
54 THG mg/L 7 5 total mercury|总汞
55 CD mg/L 7 5 cadmium|镉
56 PB mg/L 7 5 lead|铅
57 CHLA mg/L 4 2 chlorophyll a|叶绿素a
70 VTA V 4 1 voltage of phase A|交流A相电压
71 VTB V 4 1 voltage of phase B|交流B相电压
72 VTC V 4 1 voltage of phase C|交流C相电压
73 VIA A 4 1 current of phase A|交流A相电流
74 VIB A 4 1 current of phase B|交流B相电流
75 VIC A 4 1 current of phase C|交流C相电流
F4 DRP mm 2 1 rain of each 5 min of an hour|1小时内每5分钟时段雨量
"""
_EIGHTFOLD = """
28 Q m3/s 9 3 flow of intake|取(排)水口流量
3C Z m 7 3 level of intake|取(排)水口水位
58 WP kPa 5 2 water pressure|水压
60 SYL m3 11 3 water left of meter|剩余水量,水表
68 SBL m3 10 2 water of the hour of meter|每小时水量,水表
F5 DRZ m 4 2 relative level each 5 min of an hour,|1小时内5分钟间隔相对水位
"""


def _rows() -> list[ElementKind]:
    rows = []
    for line in _SINGLE.strip().splitlines():
        code, name, unit, digits, decimals, titles = line.split(maxsplit=5)
        english, _, chinese = titles.partition("|")
        rows.append(ElementKind(int(code, 16), name, unit, int(digits), int(decimals), english, chinese))
    for line in _EIGHTFOLD.strip().splitlines():
        code, name, unit, digits, decimals, titles = line.split(maxsplit=5)
        english, _, chinese = titles.partition("|")
        rows += [
            ElementKind(
                int(code, 16) + number,
                f"{name}{number + 1}",
                unit,
                int(digits),
                int(decimals),
                f"{english} {number + 1}",
                f"{chinese}{_NTH[number]}",
            )
            for number in range(8)
        ]
    return rows


ELEMENTS: dict[int, ElementKind] = {row.code: row for row in _rows()}
CODES: dict[str, int] = {row.name: row.code for row in ELEMENTS.values()}

# Bits of the state word (element 45, table 58): name, label of 0, label of 1. What has no row is reserved.
STATE_BITS = (
    ("mains", "normal", "lost"),
    ("battery", "normal", "low"),
    ("level", "normal", "over_limit"),
    ("flow", "normal", "over_limit"),
    ("quality", "normal", "over_limit"),
    ("flow_meter", "normal", "fault"),
    ("level_meter", "normal", "fault"),
    ("cabinet", "open", "closed"),
    ("memory", "normal", "fault"),
    ("ic_card", "off", "valid"),
    ("pump", "running", "stopped"),
    ("quota", "normal", "exceeded"),
)

# What is the matter when a bit is set; door, card and pump have states and no troubles.
STATE_TROUBLES = {
    0: "交流电停电 mains lost",
    1: "蓄电池电压低 battery low",
    2: "水位超限 level over limit",
    3: "流量超限 flow over limit",
    4: "水质超限 quality over limit",
    5: "流量仪表故障 flow meter fault",
    6: "水位仪表故障 level meter fault",
    8: "存储器异常 memory fault",
    11: "水量超限 quota exceeded",
    **{bit: f"保留位 reserved bit {bit}" for bit in range(12, 32)},
}

# Identifiers in functions 40 to 43, 47 to 49 are parameters (tables 34 and 35).
PARAMETERS = {
    0x01: "中心站地址 centre addresses",
    0x02: "遥测站地址 station address",
    0x03: "密码 password",
    0x0C: "工作方式 working mode",
    0x0D: "采集要素 element mask",
    0x0F: "设备识别码 identity of the device",
    0x20: "定时报时间间隔 interval of timed reports, h",
    0x21: "加报时间间隔 interval of extra reports, min",
    0x22: "降水量日起始时间 hour at which the day begins",
    0x23: "采样间隔 sampling interval, s",
    0x24: "水位数据存储间隔 interval of stored levels, min",
    0x25: "雨量计分辨力 rain gauge resolution",
    0x26: "水位计分辨力 level gauge resolution",
    0x27: "雨量加报阈值 rain threshold",
    0x40: "加报水位以上加报阈值 extra-report step above the limit",
    0x41: "加报水位以下加报阈值 extra-report step below the limit",
    0x97: "清空存储数据 clear the storage",
    0x98: "恢复出厂设置 factory settings",
    **{0x04 + number: f"信道{number + 1} channel {number + 1}" for number in range(8)},
    **{0x28 + number: f"水位基值{number + 1} level base {number + 1}" for number in range(8)},
    **{0x30 + number: f"水位修正基值{number + 1} level correction {number + 1}" for number in range(8)},
    **{0x38 + number: f"加报水位{number + 1} alarm level {number + 1}" for number in range(8)},
}

_HEX_CODE = re.compile(r"(?:0X)?(?:FF)?[0-9A-F]{2}")


def code_of(word: str) -> int:
    """Return the code of an element by its ASCII name (`Z`) or its identifier in hex (`7A`, `FF92`).

    `AC`, `CD` and `ED` are names; the makers' identifiers that look like them are `0xAC`, `0xCD`, `0xED`.

    Raises:
        ValueError: no such name, and no identifier either.
    """
    upper = word.strip().upper()
    if upper in CODES:
        return CODES[upper]
    if not _HEX_CODE.fullmatch(upper):
        raise ValueError(f"element {word!r}: a name of SL 651 (Z, PJ, VT …) or an identifier (7A, FF92)")
    return int(upper, 16)


def name_of(code: int) -> str:
    """Return the ASCII name of an element, or its identifier in hex where the table has none: as `code_of` reads it."""
    row = ELEMENTS.get(code)
    if row is not None:
        return row.name
    word = f"{code:02X}"
    return f"0x{word}" if word in CODES else word
