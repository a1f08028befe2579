"""The local control socket: also where its folder lies deeper than a socket's address reaches."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.transport import unix


async def echo(request: dict[str, Any], user: str) -> dict[str, Any]:
    return {"said": request, "user": user}


@pytest.mark.parametrize("depth", [0, 12])
def test_it_answers_however_deep_its_folder_lies(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-folder-of-the-station"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"

    async def scene() -> dict[str, Any]:
        async with unix.serve(path, echo):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            return await asyncio.to_thread(unix.ask, path, {"do": "status"})

    assert asyncio.run(scene())["said"] == {"do": "status"}
    assert not path.exists()
