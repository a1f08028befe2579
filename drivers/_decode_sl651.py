"""SL 651-2014 frames without knowing the station: fields as they stand, and what identifiers and bits mean.

Pure; beside `drivers._decode_frames`, which hands the frames over. Keeps house section 12. Level bases and limits are a
station's own matter: with its profile `drivers._decode_device` tells readings.
"""

from __future__ import annotations

from drivers._decode_said import Said, fields_of, message, plain, time_of
from gateway.model.time import HOUR
from gateway.protocols.sl651 import Frame, Function
from gateway.protocols.sl651_body import read
from gateway.protocols.sl651_elements import ELEMENTS, PARAMETERS, STATE, STATE_BITS, name_of
from gateway.protocols.sl651_message import Element, Parameter

_CHINA = 8 * HOUR  # ns that stations are east of UTC: what they mean by a time


def said_of(one: Frame) -> Said:
    """Return a frame with what its body says."""
    body = read(one)
    head = {key: value for key, value in fields_of(one).items() if key not in ("raw", "body")}
    said = message("sl651", "frame", **head, serial=body.serial, sent=_local(body.sent))
    said["elements"] = [_element(each) for each in body.elements]
    if body.parameters:
        said["parameters"] = [_parameter(each, one.function) for each in body.parameters]
    if body.text:
        said["text"] = plain(body.text.decode("gb18030", "replace").strip())
    if body.picture:
        said["picture"] = f"{len(body.picture)} bytes"
    if body.rest:
        said["rest"] = body.rest.hex()
    said["body"] = one.body.hex()
    return {**said, "problems": plain(body.problems)} if body.problems else said


def _element(one: Element) -> Said:
    """Return an element with its unit; of a series the time of each value, of the state what its bits say."""
    said = {"element": name_of(one.code), **fields_of(one), "observed": _local(one.observed)}
    row = ELEMENTS.get(one.code)
    if row is not None:
        said |= {"name": f"{row.chinese} {row.english}", "unit": "" if row.unit == "1" else row.unit}
    if one.step and one.observed:
        said["times"] = [_local(one.observed + place * one.step) for place in range(len(one.values))]
    if one.code == STATE and one.values:
        word = int(one.values[0])
        said["state"] = {name: labels[word >> bit & 1] for bit, (name, *labels) in enumerate(STATE_BITS)}
    return said


def _parameter(one: Parameter, function: int) -> Said:
    """Return a parameter of the station; in function 3A it is an element asked for."""
    named = name_of(one.code) if function == Function.ASK_ELEMENTS else PARAMETERS.get(one.code, "")
    return {**fields_of(one), "name": named}


def _local(time: int) -> str | None:
    """Return a time on the station's own clock."""
    return time_of(time - _CHINA) if time else None
