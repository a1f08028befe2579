"""What hypothesis may send in GB/T 26875.3: objects of every type, units and frames of them."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Frame
from gateway.protocols.gb26875_units import LIMITS, Unit, encode_unit

BYTE = st.integers(0, 255)
WORD = st.integers(0, 0xFFFF)
PLACE = st.integers(0, 0xFFFFFFFF)
TAG = st.binary(min_size=6, max_size=6)
DESCRIPTION = st.binary(min_size=31, max_size=31)
TEXT = st.binary(max_size=255)


def _of(kind: Callable[..., o.Object], *fields: st.SearchStrategy[object]) -> st.SearchStrategy[o.Object]:
    return st.builds(kind, *fields)


_SYSTEM = _of(o.ReadSystem, BYTE, BYTE)
_COMPONENT = _of(o.ReadComponent, BYTE, BYTE, PLACE)
_DEVICE = _of(o.ReadDevice, BYTE)
PAYLOADS: dict[int, st.SearchStrategy[o.Object]] = {
    1: _of(o.SystemStatus, BYTE, BYTE, WORD, TAG),
    2: _of(o.ComponentStatus, BYTE, BYTE, BYTE, PLACE, WORD, DESCRIPTION, TAG),
    3: _of(o.Analog, BYTE, BYTE, BYTE, PLACE, BYTE, st.integers(-32768, 32767), TAG),
    4: _of(o.Operation, BYTE, BYTE, BYTE, BYTE, TAG),
    5: _of(o.SystemVersion, BYTE, BYTE, BYTE, BYTE),
    6: _of(o.SystemConfig, BYTE, BYTE, TEXT),
    7: _of(o.ComponentConfig, BYTE, BYTE, BYTE, PLACE, DESCRIPTION),
    8: _of(o.SystemTime, BYTE, BYTE, TAG),
    21: _of(o.DeviceStatus, BYTE, TAG),
    24: _of(o.DeviceOperation, BYTE, BYTE, TAG),
    25: _of(o.DeviceVersion, BYTE, BYTE),
    26: _of(o.DeviceConfig, TEXT),
    28: _of(o.DeviceTime, TAG),
    **dict.fromkeys((61, 65, 66, 68), _SYSTEM),
    **dict.fromkeys((62, 63, 67), _COMPONENT),
    64: _of(o.ReadOperations, BYTE, BYTE, BYTE, TAG),
    **dict.fromkeys((81, 85, 86, 88, 89), _DEVICE),
    84: _of(o.ReadDeviceOperations, BYTE, TAG),
    90: _of(o.SetTime, TAG),
    91: _of(o.DutyCheck, BYTE),
}


@st.composite
def units(draw: st.DrawFn) -> Unit:
    """Draw a unit of any type, with as many objects as the standard allows (at most 5, to be quick)."""
    code = draw(st.sampled_from(sorted(PAYLOADS)))
    objects = draw(st.lists(PAYLOADS[code], min_size=1, max_size=min(5, LIMITS[code])))
    return Unit(code, len(objects), tuple(objects))


def frames_of() -> st.SearchStrategy[Frame]:
    """Draw a frame with any head, and a unit of the standard or any bytes."""
    address = st.integers(0, (1 << 48) - 1)
    unit = st.one_of(st.binary(max_size=60), units().map(lambda made: encode_unit(made.type, made.objects)))
    return st.builds(
        Frame,
        serial=WORD,
        command=BYTE,
        source=address,
        destination=address,
        unit=unit,
        main=BYTE,
        user=BYTE,
        sent=TAG,
    )
