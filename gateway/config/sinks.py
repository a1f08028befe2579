"""The table `[[sink]]`: where copies of what is stored go. One reader, `Sheet` in, model object out.

Beside `sections`. A sink that cannot be used is left out and told; nothing else depends on it (house section 7).
"""

from __future__ import annotations

from gateway.config import options
from gateway.config.sections import Names
from gateway.config.sheet import NAME, Sheet
from gateway.model.station import SinkSpec


def read_sink(sheet: Sheet, names: Names) -> SinkSpec | None:
    """Read a `[[sink]]`; its other keys are those of its kind."""
    sink_id, kind = sheet.name(pattern=NAME), sheet.text("kind", example='"influx"', required=True)
    schema = names.schema(sheet, "kind", "sink", kind) if kind else None
    own = options.check(sheet, schema, names.folder)
    return None if sheet.broken else SinkSpec(id=sink_id, kind=kind, options=own)
