"""Which values occur in a column, without what `np.unique` brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.distinct import distinct

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("kind", ["int32", "int64"])
@settings(max_examples=50)
@given(values=st.lists(st.integers(-3, 3) | st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_every_value_once_ascending_and_of_its_own_type(kind: str, values: list[int]) -> None:
    found = distinct(np.array(values, dtype=kind))
    assert found.tolist() == sorted(set(values))
    assert found.dtype == kind


def test_nobody_imports_numpy_ma_by_asking_numpy() -> None:
    """`np.unique` does, unless it returns indices too."""
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in ("gateway", "rules", "drivers")
        for path in (ROOT / package).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "np.unique(" in line and "return_" not in line
    ]
    assert lines == []
