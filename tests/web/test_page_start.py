"""The page's libraries cost a small box a second: before the loop has anything to do, and never the start itself."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

import pytest

from gateway import annex
from gateway.app import open_house
from gateway.clock import SystemClock
from tests.page_house import STATION

PAGE = '[page]\nlisten = "127.0.0.1:1"\n'


@pytest.mark.parametrize("configured", [True, False])
def test_it_is_imported_before_the_house_lives_and_only_if_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, configured: bool
) -> None:
    asked = []

    def broken(name: str) -> None:
        asked.append(name)
        raise ImportError(name)

    async def main() -> None:
        path = tmp_path / "station.toml"
        path.write_text(STATION + PAGE * configured, encoding="utf-8")
        house = await open_house(path, SystemClock())
        try:
            monkeypatch.setattr(importlib, "import_module", broken)
            parts = annex.parts(house)
            assert asked == ["gateway.web.server"] * configured
            assert ("page" in parts) is configured
            if configured:  # what is broken costs the page alone: its supervisor tells it
                monkeypatch.setitem(sys.modules, "gateway.web.server", None)
                with pytest.raises(ImportError):
                    await parts["page"]()
        finally:
            await house.ledger.close()

    asyncio.run(main())
