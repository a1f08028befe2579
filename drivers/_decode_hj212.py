"""HJ 212 packets without knowing the device: fields as they stand, and what codes mean.

Pure; beside `drivers._decode_frames`, which hands the packets over. Keeps house section 12. A packet carries no units:
those told are the standard's, where devices follow it.
"""

from __future__ import annotations

from drivers._decode_said import Said, error, fields_of, message, time_of
from gateway.protocols import hj212_codes as codes
from gateway.protocols import hj212_packet
from gateway.protocols.hj212 import Frame

_CHINA = 8 * 3600  # s that devices are east of UTC: what they mean by a time
_TIMES = ("DataTime", "AlarmTime", "SystemTime", "BeginTime")


def said_of(one: Frame) -> Said:
    """Return a packet with its factors, or why it cannot be read."""
    packet = hj212_packet.parse(one.segment)
    if isinstance(packet, hj212_packet.Fault):
        return error(packet.value, raw=one.raw)
    data = hj212_packet.data_of(packet.cp)
    head = {key: value for key, value in fields_of(packet).items() if key != "cp"}
    said = message("hj212", "packet", **head, check=one.check, fields=data.fields)
    said["command"] = " ".join(codes.COMMANDS.get(packet.cn, ()))
    time = next((data.fields[name] for name in _TIMES if name in data.fields), packet.qn)
    said["time"] = time_of(hj212_packet.time_of(time, _CHINA) or 0)
    for name, known in (("QnRtn", codes.REQUEST_ANSWERS), ("ExeRtn", codes.RESULTS)):
        if name in data.fields:
            said["result"] = known.get(data.fields[name], "")
    return {**said, "factors": [_factor(each) for each in data.factors]}


def _factor(one: hj212_packet.Factor) -> Said:
    said = fields_of(one)
    known = codes.factor(one.code)
    if known is not None:
        said["name"] = f"{known.title} {known.title_en}"
        if known.sure and known.unit:
            said["unit"] = known.unit
    flag = codes.DATA_FLAGS.get(one.values.get("Flag", "").upper())
    return said if flag is None else {**said, "flag": flag}
