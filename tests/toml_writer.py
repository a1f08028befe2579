"""Writes values as TOML 1.0.0, for tests that make documents."""

from __future__ import annotations

import json


def inline(value: object) -> str:
    """Write a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{text(key)} = {inline(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ",\n ".join(map(inline, value)) + "]"
    return text(value) if isinstance(value, str) else str(value).lower()


def text(value: str) -> str:
    """Write a basic string; JSON's escapes are TOML's but for DEL and surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
