"""Code tables of GB/T 26875.3-2011 as data: systems, components, analog quantities and bits, in Chinese and English.

Pure, beside `gateway.protocols.gb26875_units`; keeps house rule 2. Codes that are not listed are reserved (to 127) or
the maker's own (from 128).
"""

from __future__ import annotations

from typing import NamedTuple


class Name(NamedTuple):
    """What a code means."""

    zh: str
    en: str

    def __str__(self) -> str:
        """Both, as events carry it."""
        return f"{self.zh} {self.en}"


class Quantity(NamedTuple):
    """An analog type: value = raw * `step` in `unit` (UCUM), `low` to `high` after scaling."""

    zh: str
    en: str
    unit: str
    step: float
    low: float
    high: float


# Table 4
SYSTEMS = {
    0: Name("通用", "general"),
    1: Name("火灾报警系统", "fire alarm system"),
    10: Name("消防联动控制器", "linkage controller"),
    11: Name("消火栓系统", "hydrant system"),
    12: Name("自动喷水灭火系统", "sprinkler system"),
    13: Name("气体灭火系统", "gas extinguishing system"),
    14: Name("水喷雾灭火系统(泵启动方式)", "water spray system (pump start)"),
    15: Name("水喷雾灭火系统(压力容器启动方式)", "water spray system (pressure vessel start)"),
    16: Name("泡沫灭火系统", "foam system"),
    17: Name("干粉灭火系统", "dry powder system"),
    18: Name("防烟排烟系统", "smoke control system"),
    19: Name("防火门及卷帘系统", "fire doors and shutters"),
    20: Name("消防电梯", "fire lift"),
    21: Name("消防应急广播", "emergency broadcast"),
    22: Name("消防应急照明和疏散指示系统", "emergency lighting and exit signs"),
    23: Name("消防电源", "fire power supply"),
    24: Name("消防电话", "fire telephone"),
}

# Table 5
COMPONENTS = {
    0: Name("通用", "general"),
    1: Name("火灾报警控制器", "fire alarm control panel"),
    10: Name("可燃气体探测器", "combustible gas detector"),
    11: Name("点型可燃气体探测器", "point combustible gas detector"),
    12: Name("独立式可燃气体探测器", "stand-alone combustible gas detector"),
    13: Name("线型可燃气体探测器", "line combustible gas detector"),
    16: Name("电气火灾监控报警器", "electrical fire monitor"),
    17: Name("剩余电流式电气火灾监控探测器", "residual current detector"),
    18: Name("测温式电气火灾监控探测器", "electrical temperature detector"),
    21: Name("探测回路", "detection loop"),
    22: Name("火灾显示盘", "repeater display"),
    23: Name("手动火灾报警按钮", "manual call point"),
    24: Name("消火栓按钮", "hydrant button"),
    25: Name("火灾探测器", "fire detector"),
    30: Name("感温火灾探测器", "heat detector"),
    31: Name("点型感温火灾探测器", "point heat detector"),
    32: Name("点型感温火灾探测器(S型)", "point heat detector (S)"),
    33: Name("点型感温火灾探测器(R型)", "point heat detector (R)"),
    34: Name("线型感温火灾探测器", "line heat detector"),
    35: Name("线型感温火灾探测器(S型)", "line heat detector (S)"),
    36: Name("线型感温火灾探测器(R型)", "line heat detector (R)"),
    37: Name("光纤感温火灾探测器", "fibre heat detector"),
    40: Name("感烟火灾探测器", "smoke detector"),
    41: Name("点型离子感烟火灾探测器", "point ionisation smoke detector"),
    42: Name("点型光电感烟火灾探测器", "point optical smoke detector"),
    43: Name("线型光束感烟火灾探测器", "beam smoke detector"),
    44: Name("吸气式感烟火灾探测器", "aspirating smoke detector"),
    50: Name("复合式火灾探测器", "combined detector"),
    51: Name("复合式感烟感温火灾探测器", "smoke and heat detector"),
    52: Name("复合式感光感温火灾探测器", "flame and heat detector"),
    53: Name("复合式感光感烟火灾探测器", "flame and smoke detector"),
    61: Name("紫外火焰探测器", "ultraviolet flame detector"),
    62: Name("红外火焰探测器", "infrared flame detector"),
    69: Name("感光火灾探测器", "flame detector"),
    74: Name("气体探测器", "gas detector"),
    78: Name("图像摄像方式火灾探测器", "video image detector"),
    79: Name("感声火灾探测器", "acoustic detector"),
    81: Name("气体灭火控制器", "gas extinguishing controller"),
    82: Name("消防电气控制装置", "electrical control device"),
    83: Name("消防控制室图形显示装置", "control room graphic display"),
    84: Name("模块", "module"),
    85: Name("输入模块", "input module"),
    86: Name("输出模块", "output module"),
    87: Name("输入/输出模块", "input/output module"),
    88: Name("中继模块", "relay module"),
    91: Name("消防水泵", "fire pump"),
    92: Name("消防水箱", "fire water tank"),
    95: Name("喷淋泵", "sprinkler pump"),
    96: Name("水流指示器", "flow indicator"),
    97: Name("信号阀", "signal valve"),
    98: Name("报警阀", "alarm valve"),
    99: Name("压力开关", "pressure switch"),
    101: Name("阀驱动装置", "valve actuator"),
    102: Name("防火门", "fire door"),
    103: Name("防火阀", "fire damper"),
    104: Name("通风空调", "ventilation"),
    105: Name("泡沫液泵", "foam pump"),
    106: Name("管网电磁阀", "pipe solenoid valve"),
    111: Name("防烟排烟风机", "smoke fan"),
    113: Name("排烟防火阀", "smoke exhaust damper"),
    114: Name("常闭送风口", "normally closed air inlet"),
    115: Name("排烟口", "exhaust port"),
    116: Name("电控挡烟垂壁", "electric smoke curtain"),
    117: Name("防火卷帘控制器", "shutter controller"),
    118: Name("防火门监控器", "fire door monitor"),
    121: Name("警报装置", "alarm sounder"),
}

# Table 6. Steps as the tables of the standard print them; 13 to 127 reserved.
QUANTITIES = {
    1: Quantity("事件计数", "event count", "1", 1.0, 0.0, 32_000.0),
    2: Quantity("高度", "height", "m", 0.01, 0.0, 320.0),
    3: Quantity("温度", "temperature", "Cel", 0.1, -273.0, 3_200.0),
    4: Quantity("压力", "pressure", "MPa", 0.1, 0.0, 3_200.0),
    5: Quantity("压力", "pressure", "kPa", 0.1, 0.0, 3_200.0),
    6: Quantity("气体浓度", "gas concentration", "%[LEL]", 0.1, 0.0, 100.0),
    7: Quantity("时间", "time", "s", 1.0, 0.0, 32_000.0),
    8: Quantity("电压", "voltage", "V", 0.1, 0.0, 3_200.0),
    9: Quantity("电流", "current", "A", 0.1, 0.0, 3_200.0),
    10: Quantity("流量", "flow", "L/s", 0.1, 0.0, 3_200.0),
    11: Quantity("风量", "air volume", "m3/min", 0.1, 0.0, 3_200.0),
    12: Quantity("风速", "wind speed", "m/s", 1.0, 0.0, 20.0),
}

# Bits of system status (type 1); bit 0 is "normal", its absence formally "test".
SYSTEM_BITS = {
    1: Name("火警", "fire"),
    2: Name("故障", "fault"),
    3: Name("屏蔽", "disabled"),
    4: Name("监管", "supervisory"),
    5: Name("启动", "started"),
    6: Name("反馈", "feedback"),
    7: Name("延时", "delay"),
    8: Name("主电故障", "mains fault"),
    9: Name("备电故障", "backup power fault"),
    10: Name("总线故障", "bus fault"),
    11: Name("手动状态", "manual mode"),
    12: Name("配置改变", "configuration changed"),
    13: Name("复位", "reset"),
}

# Bits of component status (type 2).
COMPONENT_BITS = {**{bit: SYSTEM_BITS[bit] for bit in range(1, 8)}, 8: Name("电源故障", "power fault")}

# Bits of the transmission device's status (type 21).
DEVICE_BITS = {
    1: Name("火警", "fire"),
    2: Name("故障", "fault"),
    3: Name("主电故障", "mains fault"),
    4: Name("备电故障", "backup power fault"),
    5: Name("与监控中心通信信道故障", "fault of the link to the centre"),
    6: Name("监测连接线路故障", "fault of a monitored line"),
}

# Bits of operations (types 4 and 24); bit 5 differs.
OPERATION_BITS = {
    0: Name("复位", "reset"),
    1: Name("消音", "silence"),
    2: Name("手动报警", "manual alarm"),
    3: Name("警情消除", "alarm cleared"),
    4: Name("自检", "self test"),
    5: Name("确认", "confirmed"),
    6: Name("测试", "test"),
}
DEVICE_OPERATION_BITS = {**OPERATION_BITS, 5: Name("查岗应答", "duty answer")}
