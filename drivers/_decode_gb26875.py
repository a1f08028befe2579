"""GB/T 26875.3 frames without knowing the device: fields as they stand, and what codes, bits and values mean.

Pure; beside `drivers._decode_frames`, which hands the frames over. Keeps house section 12. Keys of places and points
are a device's own matter: with its profile `drivers._decode_device` tells those.
"""

from __future__ import annotations

from drivers._decode_said import Said, fields_of, message, plain, time_of
from gateway.model.time import HOUR, SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols import gb26875_tables as tables
from gateway.protocols.gb26875 import Frame
from gateway.protocols.gb26875_units import decode_unit, text_of, time_ns

_EAST = 8 * HOUR // SECOND  # s that China is east of UTC: what devices mean by a time
_NORMAL = {0: tables.Name("正常", "normal")}
_BITS = {
    o.SystemStatus: _NORMAL | tables.SYSTEM_BITS,
    o.ComponentStatus: _NORMAL | tables.COMPONENT_BITS,
    o.DeviceStatus: _NORMAL | tables.DEVICE_BITS,
    o.Operation: tables.OPERATION_BITS,
    o.DeviceOperation: tables.DEVICE_OPERATION_BITS,
}


def said_of(one: Frame) -> Said:
    """Return a frame with the objects of its unit."""
    said = message("gb26875", "frame", **{key: value for key, value in fields_of(one).items() if key != "unit"})
    said["sent"] = time_of(time_ns(one.sent, _EAST))
    unit = decode_unit(one.unit)
    if unit is not None:
        said["unit"] = {**fields_of(unit), "objects": [_object(each) for each in unit.objects]}
    elif one.unit:
        said["unit"] = one.unit.hex()
    return said


def _object(thing: o.Object) -> Said:
    """Return the fields of an object, its times and texts as people write them, and what its codes mean."""
    said = fields_of(thing)
    for name in said:
        raw = getattr(thing, name)
        if isinstance(raw, bytes):
            said[name] = plain(text_of(raw)) if name in ("description", "text") else time_of(time_ns(raw, _EAST))
    for name, known in (("system", tables.SYSTEMS), ("component", tables.COMPONENTS)):
        if said.get(name) in known:
            said[f"{name}_name"] = str(known[said[name]])
    if type(thing) in _BITS:
        word = said["status"] if "status" in said else said["flags"]
        said["bits"] = [str(name) for bit, name in _BITS[type(thing)].items() if word >> bit & 1]
    quantity = tables.QUANTITIES.get(thing.quantity) if isinstance(thing, o.Analog) else None
    if quantity is not None:
        measured = round(said["value"] * quantity.step, 2)
        said |= {"quantity_name": f"{quantity.zh} {quantity.en}", "measured": measured, "unit": quantity.unit}
    return said
