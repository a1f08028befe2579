"""What an SL 651 report says besides readings: texts, pictures, parameters, tests, what nobody knows → events. Pure.

Beside `drivers._sl651_talk`. Keeps house section 6: nothing that a station says is dropped silently; a flood warning of
a station that is not in the configuration is an alarm "not registered".
"""

from __future__ import annotations

from drivers._sl651_device import READINGS, Installed, element_text, printable
from gateway.model.batch import Event, EventCode
from gateway.model.ports import Decoded
from gateway.protocols.sl651 import Frame, Function
from gateway.protocols.sl651_elements import PARAMETERS, STATE
from gateway.protocols.sl651_message import Body, Element, Parameter
from gateway.protocols.sl651_packets import Report

PICTURE_KEPT = 256 * 1024  # bytes of a picture that go into the record
LONGEST_TEXT = 400
_LEVEL_OVER = 1 << 2
_REST_SHOWN = 64
_KNOWN = frozenset(Function)
# What is behind the station's address is told in words, or is a secret.
_TOLD = frozenset((Function.VERSION, Function.COUNTERS, Function.PASSWORD))
_PASSWORD = 0x03  # parameter


def report_events(station: Installed, report: Report, body: Body, unread: list[Element], into: Decoded) -> None:
    """Append the events of a report of a configured station."""
    frame = report.frame
    raw = frame.body if report.total else frame.raw
    said: list[str] = []
    code = EventCode.INFO
    if frame.function == Function.TEST:
        code = EventCode.TEST
        said.append("测试报 test report")
    elif frame.function == Function.EXTRA and body.elements:
        said.append(f"加报 extra report: {element_text(body.elements[0])}")
    elif frame.function not in _KNOWN:
        into.problems.append("unknown_function")
        said.append(f"功能码 function {frame.function:02X}")
    if body.picture:
        raw = body.picture[:PICTURE_KEPT]
        said.append(f"图片 picture, {len(body.picture)} bytes")
    said += _answers(frame.function, body)
    if report.missing:
        into.problems.append("packets_missing")
        numbers = ", ".join(map(str, report.missing[:16]))
        said.append(f"缺少数据包 packets {numbers} of {report.total} missing")
        raw += b"" if body.picture else report.apart
    if frame.function not in READINGS:
        unread = [element for element in body.elements if element.code not in station.ignored]
    said += map(element_text, unread)
    if body.rest and frame.function not in _TOLD:
        said.append(f"未解析 unread {body.rest[:_REST_SHOWN].hex()}")
    if said:
        station.tell("; ".join(said)[:LONGEST_TEXT], raw, into, sent=body.sent, code=code)


def stranger_event(frame: Frame, body: Body, point: int, number: str = "") -> Event:
    """Return the event of a station that no configuration knows; the raw frame is kept in it."""
    over = any(
        element.code == STATE and element.values and int(element.values[0]) & _LEVEL_OVER for element in body.elements
    )
    text = ", ".join(map(element_text, body.elements)) or body.text.decode("gb18030", "replace").strip()
    what = f"测站 station {number or frame.station}, 功能码 function {frame.function:02X}"
    code = EventCode.FLOOD if over and frame.function != Function.TEST else EventCode.INFO
    if code is EventCode.FLOOD:  # this goes to people's telephones
        what = f"水位超限 level over limit, {what}"
    return Event(
        point,
        number or frame.station,
        code,
        printable(f"{what}: {text}" if text else what)[:LONGEST_TEXT],
        0,  # its zone is not known
        frame.raw,
        registered=False,
    )


def _answers(function: int, body: Body) -> list[str]:
    """Return in words what the answers to questions say, and manual entries."""
    said = []
    if body.text:
        said.append(f"人工置数 manual entry: {body.text.decode('gb18030', 'replace').strip()}")
    if body.parameters:
        said.append(", ".join(_parameter(function, each) for each in body.parameters))
    if function == Function.VERSION and body.rest:
        counted = body.rest[0] == len(body.rest) - 1
        said.append(f"软件版本 software {body.rest[counted:].decode('gb18030', 'replace')}")
    elif function == Function.COUNTERS and body.rest:
        counts = [int.from_bytes(body.rest[at : at + 2], "big") for at in range(0, len(body.rest), 2)]
        said.append(f"事件计数 event counters {' '.join(map(str, counts))}")
    return said


def _parameter(function: int, one: Parameter) -> str:
    """Return a parameter in words; a password stays a secret."""
    secret = function == Function.PASSWORD or one.code == _PASSWORD
    return f"{PARAMETERS.get(one.code, '参数 parameter')} ({one.code:02X}) = {'***' if secret else one.data.hex()}"
