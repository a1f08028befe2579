"""A fresh connection to the disk for a house that lives: to the store it lives in, or to a new one.

Between ledger and store. A file that is damaged or of another house is set aside (house section 7), one that was only
slow never is; an attempt that was given up while it hung must never do that to the file that a later one has come back
to.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from gateway.errors import StoreCorrupt, StoreError
from gateway.model.station import StoreSpec
from gateway.pipeline.found import Past, unanswered
from gateway.pipeline.opening import Enrolment, Faults, Opened
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.numbers import keep_points
from gateway.store.salvage import Salvaged, adopt, begin_anew, salvage, take_up

log = logging.getLogger(__name__)


class Reopener:
    """Begins attempts to open a fresh connection to the disk; loop thread only, an attempt itself blocks.

    It is called with the newest commit that is surely on the disk and the newest that may be. A file that is damaged,
    that ends elsewhere, or whose points have other ids is not the one this house lives in: it is set aside, and a new
    one begun with the points' ids as they are in RAM; its `last().seq` is 0.

    A file that could not be read whole at start is read first: `tell` takes its unacknowledged alarms and what plug-ins
    remember, in the loop, and only the next attempt touches it, when the house has them. It may end anywhere: this life
    is appended to it. `begun` is called, in the loop, where it is set aside after all: no commit of this life tells so.
    """

    def __init__(
        self,
        spec: StoreSpec,
        opened: Opened,
        wanted: Enrolment,
        ids: Mapping[str, int],
        faults: Faults,
        *,
        tell: Callable[[Past], None],
        begun: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._lock = opened.lock
        self._unread = opened.unread
        self._unseen = opened.unread
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._begun = begun
        self._wanted = wanted
        self._ids = dict(ids)
        self._faults = faults
        self._turn = threading.Lock()  # one attempt at a time touches the file: a second one would hang as well
        self._newest = 0

    def __call__(self, least: int, most: int) -> Callable[[], Store]:
        """Begin an attempt; every one before it is given up: what still hangs of it fails when it wakes.

        The attempt returns the store; any StoreError when the disk cannot be written, or when it was given up.
        """
        self._newest += 1
        return partial(self._attempt, self._newest, least, most)

    def _attempt(self, number: int, least: int, most: int) -> Store:
        self._faults("before_open")
        with self._turn:
            self._check(number)
            return self._opened(number, least, most)

    def _check(self, number: int) -> None:
        if number != self._newest:
            raise StoreError("this attempt to open the store was given up: a later one has taken over")

    def _opened(self, number: int, least: int, most: int) -> Store:
        path = Path(self._spec.path)
        self._lock = self._lock or Lock(path)
        take_up(path)
        if self._unseen:
            self._look(path)
        try:
            store = self._open(path)
            if self._unseen:
                store.close()
                raise StoreError(f"{path} opens, but could not be read just now: it is left alone before that")
            if self._is_ours(store, least, most):
                self._unread = False
                return store
            log.warning("%s is not the store this house lives in; it is set aside", path)
            store.close()
        except StoreCorrupt:
            log.exception("the store on the disk is damaged; it is set aside")
        self._check(number)
        begin_anew(path, self._taken_over(path), self._lock)
        if self._unread:
            self._loop.call_soon_threadsafe(self._begun)
        self._unread = self._unseen = False
        store = self._open(path)
        self._is_ours(store, 0, 0)
        return store

    def _look(self, path: Path) -> None:
        """Read what could not be read at start; StoreError when the house is to take it over first."""
        if not path.exists():
            self._unseen = False
        elif (past := unanswered(path)) is not None:
            self._unseen = False
            if not self._fits(past.points):  # another store will be begun: places of sinks are none in that one
                past = past._replace(memory={})
            self._loop.call_soon_threadsafe(partial(self._tell, past))
            raise StoreError(f"{path} can be read after all: {len(past.alarms)} alarms are taken over before all else")

    def _fits(self, points: Mapping[str, int]) -> bool:
        return all(points.get(name, number) == number for name, number in self._ids.items())

    def _taken_over(self, path: Path) -> Salvaged:
        """Return what stands in a file of ours, for a power cut before this house has written its own."""
        salvaged = salvage(path)
        points = salvaged.points | self._ids
        if not self._fits(salvaged.points) or len(set(points.values())) < len(points):
            return Salvaged(points=self._ids)
        return replace(salvaged, points=points, seq=0)

    def _open(self, path: Path) -> Store:
        return Store.open(path, lock=self._lock, spec=self._spec, faults=self._faults)

    def _is_ours(self, store: Store, least: int, most: int) -> bool:
        """Whether it can be gone on with; brings points and configuration up to date."""
        wanted, seq = self._wanted, store.last().seq
        try:
            known = store.points()
            if seq == 0 and not known:
                adopt(store, Salvaged(points=self._ids))
            elif seq and not (self._unread or least <= seq <= most):
                return False
            if store.point_ids(wanted.names, wanted.renames) != self._ids:
                return False
            last = store.last_good_configuration()
            if last is None or last[0] != wanted.digest:
                store.save_configuration(wanted.digest, wanted.blob)
            with suppress(OSError):  # it is of use only where the store cannot be read
                keep_points(store.path, store.points())
        except BaseException:
            store.close()
            raise
        return True
