"""The kill harness at length: a thousand SIGKILLs by several seeds, fifty broker kills (`make soak`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.test_kill import SEED, kill_again_and_again
from tests.faults.test_links import kill_the_broker

KILLS = int(os.environ.get("FIREGRID_SOAK_KILLS", "1000"))
ROUNDS = 4
BROKER_KILLS = 50

pytestmark = pytest.mark.soak


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_nothing_is_lost_by_a_thousand_kills(tmp_path: Path, number: int) -> None:
    kill_again_and_again(tmp_path, -(-KILLS // ROUNDS), SEED + 1 + number)


@pytest.mark.timeout(600)
def test_nothing_is_lost_by_fifty_broker_kills(tmp_path: Path) -> None:
    kill_the_broker(tmp_path, BROKER_KILLS)
