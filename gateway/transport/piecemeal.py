"""A foreign package that is imported piece by piece: its `__init__` is not run, and each name of it loads on demand.

Below `gateway.transport.influx`, for packages whose `__init__` does nothing but import all that they have: of 396 model
classes a write needs none. To all who use it the package is what its authors made: `from package import Name` imports
the one module that has it, and a name that stands nowhere in the index runs the whole `__init__` after all. So another
version of the package can cost memory again, but break nothing. Keeps house rule 8: nobody pays for what is not used.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

_IMPORT = re.compile(r"^from ([\w.]+) import (\w+(?:, *\w+)*) *(?:#.*)?$", re.MULTILINE)


def piecemeal(*names: str) -> None:
    """Have packages imported so from now on, parents before children; what is imported already stays as it is.

    Raises ImportError: there is no such package.
    """
    for name in names:
        if name not in sys.modules:
            spec = importlib.util.find_spec(name)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            package = sys.modules[name] = importlib.util.module_from_spec(spec)
            package.__dict__["__getattr__"] = partial(_piece, package, spec, _index(spec))
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, package)


def _index(spec: ModuleSpec) -> dict[str, str]:
    """Return name → module of all that an `__init__` imports by name; empty where it has no source."""
    source = getattr(spec.loader, "get_source", lambda _: None)(spec.name) or ""
    return {name.strip(): module for module, names in _IMPORT.findall(source) for name in names.split(",")}


def _piece(package: ModuleType, spec: ModuleSpec, index: dict[str, str], name: str) -> object:
    """Import what one name needs (PEP 562). Raises AttributeError: the package has no such name."""
    if name in index:
        found: object = getattr(importlib.import_module(index[name]), name)
    else:
        package.__dict__.pop("__getattr__", None)
        if spec.loader is not None:
            spec.loader.exec_module(package)
        found = getattr(package, name)
    setattr(package, name, found)
    return found
