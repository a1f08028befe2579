"""The code tables of HJ 212 that a fire station meets: factors with their units, commands, answers, systems.

Pure data beside `gateway.protocols.hj212_packet`; read by the driver for texts and by whoever shows a packet. Follows
HJ 212-2017 appendix B and its tables of codes; the codes of HJ/T 212-2005 stand beside them.

A packet carries no units, and no code means %LEL: what a device sends is said by its profile. The units here are the
standard's, in UCUM; `sure` is false where its table is at odds with what devices send.
"""

from __future__ import annotations

from typing import NamedTuple


class FactorCode(NamedTuple):
    """A factor: names, unit (empty: none, or the table gives none), code of the edition of 2005."""

    title: str
    title_en: str
    unit: str = ""
    old: str = ""
    sure: bool = True


FACTORS = {
    "a00000": FactorCode("废气流量", "flue gas flow", "m3/s", "B02"),
    "a01001": FactorCode("温度", "temperature", "Cel"),
    "a01002": FactorCode("湿度", "humidity", "%"),
    "a01006": FactorCode("气压", "air pressure", "kPa"),
    "a01007": FactorCode("风速", "wind speed", "m/s"),
    "a01008": FactorCode("风向", "wind direction", "deg"),
    "a01011": FactorCode("烟气流速", "flue gas speed", "m/s", "S02"),
    "a01012": FactorCode("烟气温度", "flue gas temperature", "Cel", "S03"),
    "a01013": FactorCode("烟气压力", "flue gas pressure", "kPa", "S08"),
    "a01014": FactorCode("烟气湿度", "flue gas moisture", "%", "S05"),
    "a05002": FactorCode("甲烷", "methane", "ng/m3", sure=False),
    "a19001": FactorCode("氧气含量", "oxygen", "%", "S01"),
    "a21001": FactorCode("氨气", "ammonia", "", "10", sure=False),
    "a21002": FactorCode("氮氧化物", "nitrogen oxides", "mg/m3", "03"),
    "a21003": FactorCode("一氧化氮", "nitrogen monoxide", "mg/m3"),
    "a21004": FactorCode("二氧化氮", "nitrogen dioxide", "mg/m3"),
    "a21005": FactorCode("一氧化碳", "carbon monoxide", "mg/m3", "04"),
    "a21022": FactorCode("氯气", "chlorine", "mg/m3", "11"),
    "a21024": FactorCode("氯化氢", "hydrogen chloride", "mg/m3", "08"),
    "a21026": FactorCode("二氧化硫", "sulphur dioxide", "mg/m3", "02"),
    "a21028": FactorCode("硫化氢", "hydrogen sulphide", "mg/m3", "05"),
    "a24087": FactorCode("碳氢化合物", "hydrocarbons", "mg/m3", "25"),
    "a24088": FactorCode("非甲烷总烃", "non-methane hydrocarbons", "mg/m3"),
    "a25002": FactorCode("苯", "benzene", "mg/m3"),
    "a25003": FactorCode("甲苯", "toluene", "mg/m3", "17"),
    "a25005": FactorCode("二甲苯", "xylene", "mg/m3", "18"),
    "a34001": FactorCode("总悬浮颗粒物", "total suspended particles", "ug/m3", sure=False),
    "a34002": FactorCode("可吸入颗粒物(PM10)", "PM10", "ug/m3", sure=False),
    "a34004": FactorCode("细微颗粒物(PM2.5)", "PM2.5", "ug/m3", sure=False),
    "a34013": FactorCode("烟尘", "smoke dust", "mg/m3", "01"),
    "LA": FactorCode("A声级", "sound level A", "dB"),
    "Leq": FactorCode("等效声级", "equivalent sound level", "dB"),
    "w00000": FactorCode("污水流量", "waste water flow", "L/s", "B01", sure=False),
    "w01001": FactorCode("pH值", "pH", "[pH]", "001"),
    "w01009": FactorCode("溶解氧", "dissolved oxygen", "mg/L"),
    "w01010": FactorCode("水温", "water temperature", "Cel"),
    "w01018": FactorCode("化学需氧量", "chemical oxygen demand", "mg/L", "011"),
    "w21003": FactorCode("氨氮", "ammonia nitrogen", "mg/L", "060"),
    "w21011": FactorCode("总磷", "total phosphorus", "mg/L", "101"),
    "i12001": FactorCode("仪表运行状态", "instrument state"),
    "i12002": FactorCode("仪表通信状态", "instrument link"),
    "i12003": FactorCode("仪表报警", "instrument alarm"),
    "i22001": FactorCode("数采仪状态", "logger state"),
    "i22003": FactorCode("数采仪与中心通信", "link to the centre"),
    "i32001": FactorCode("门禁状态", "door"),
}

_OLD = {factor.old: code for code, factor in FACTORS.items() if factor.old}

# CN → Chinese, English.
COMMANDS = {
    "1000": ("设置超时时间及重发次数", "set time-out and retries"),
    "1001": ("设置超限报警时间", "set alarm delay (2005)"),
    "1011": ("提取现场机时间", "read clock"),
    "1012": ("设置现场机时间", "set clock"),
    "1013": ("现场机时间校准请求", "device asks for the time"),
    "1021": ("提取污染物报警门限值", "read limits (2005)"),
    "1022": ("设置污染物报警门限值", "set limits (2005)"),
    "1031": ("提取上位机地址", "read report address (2005)"),
    "1032": ("设置上位机地址", "set report address (2005)"),
    "1041": ("提取数据上报时间", "read report time (2005)"),
    "1042": ("设置数据上报时间", "set report time (2005)"),
    "1061": ("提取实时数据间隔", "read real-time interval"),
    "1062": ("设置实时数据间隔", "set real-time interval"),
    "1063": ("提取分钟数据间隔", "read minute interval"),
    "1064": ("设置分钟数据间隔", "set minute interval"),
    "1072": ("设置现场机密码", "set password"),
    "2011": ("实时数据", "real-time data"),
    "2012": ("停止察看实时数据", "stop real-time data"),
    "2021": ("设备运行状态数据", "plant state"),
    "2022": ("停止察看设备运行状态", "stop plant state"),
    "2031": ("日数据", "day data"),
    "2041": ("设备运行时间日历史数据", "running time of a day"),
    "2051": ("分钟数据", "minute data"),
    "2061": ("小时数据", "hour data"),
    "2071": ("报警记录", "alarm records (2005)"),
    "2072": ("报警事件", "alarm event (2005)"),
    "2081": ("数采仪开机时间", "start of the logger"),
    "3011": ("零点校准量程校准", "calibrate"),
    "3012": ("即时采样", "sample now"),
    "3013": ("启动清洗", "flush"),
    "3014": ("比对采样", "compare (2005: set sampling period)"),
    "3015": ("超标留样", "keep a sample"),
    "3016": ("设置采样时间周期", "set sampling period"),
    "3017": ("提取采样时间周期", "read sampling period"),
    "3018": ("提取出样时间", "read analysis time"),
    "3019": ("提取设备唯一标识", "device id"),
    "3020": ("现场机信息", "site information"),
    "3021": ("设置现场机参数", "set parameter"),
    "9011": ("请求应答", "answer to a request"),
    "9012": ("执行结果", "result"),
    "9013": ("通知应答", "answer to a notice"),
    "9014": ("数据应答", "answer to data"),
    "9015": ("心跳", "heartbeat (2025)"),
    "9021": ("登录", "login (vendors)"),
    "9022": ("登录应答", "answer to a login (vendors)"),
}

REQUEST_ANSWERS = {  # QnRtn of 9011
    "1": "ready",
    "2": "refused",
    "3": "wrong password",
    "4": "wrong MN",
    "5": "wrong ST",
    "6": "wrong Flag",
    "7": "wrong QN",
    "8": "wrong CN",
    "9": "wrong CRC",
    "100": "unknown error",
}
RESULTS = {  # ExeRtn of 9012
    "1": "done",
    "2": "failed",
    "3": "conditions not met",
    "4": "timed out",
    "5": "busy",
    "6": "system fault",
    "100": "no data",
}
DATA_FLAGS = {  # section 6.6: what a device says of its own value
    "N": "normal",
    "F": "stopped",
    "M": "maintenance",
    "S": "entered by hand",
    "D": "instrument fault",
    "C": "calibrating",
    "T": "above the measuring range",
    "B": "no link to the instrument",
}


def factor(code: str) -> FactorCode | None:
    """Return what a code of either edition means, None for a vendor's own."""
    return FACTORS.get(code) or FACTORS.get(_OLD.get(code, ""))
