"""Time limits for the sources of an answer.

A thread cannot be stopped from outside, so what may be late has to run in another one that is not waited for. That
costs two changes of thread, which a busy process feels, so only sources that were late lately pay for it: much too late
once, or a little too often, for on a busy machine anything may have to wait for its turn. Everything else runs in the
request's own thread, and its time is taken. Nothing asked here may touch the database: its
connections belong to threads.
"""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import TypeVar

from recommender.conf import ServingSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

WATCHED_S = 30.0  # seconds after it was late that a source runs beside the request
MUCH = 5  # times the time that a source may take
OFTEN = 0.05  # of the answers of a source
PATIENCE = 3.0  # answers, of those beyond OFTEN, that may be late
STUCK = 4  # answers of a source that may be outstanding; it is not asked again before one of them comes

_late_until: dict[str, float] = {}  # by source, monotonic seconds
_late: dict[str, float] = {}  # by source: answers that were late, beyond OFTEN
_outstanding: dict[str, int] = {}
_beside: ThreadPoolExecutor | None = None


class Budget:
    """What is left of the time for one answer."""

    def __init__(self, settings: ServingSettings) -> None:
        self.source_s = settings.source_ms / 1000
        self.ends = time.monotonic() + settings.deadline_ms / 1000

    def ask(self, name: str, source: Callable[[], T]) -> T | None:
        """The source's answer; None where it fails, is late, or no time is left to ask it."""
        begun = time.monotonic()
        if begun >= self.ends:
            return None
        try:
            if begun < _late_until.get(name, 0.0):
                return self._ask_beside(name, source, min(self.source_s, self.ends - begun))
            answer = source()
        except Exception:
            log.exception("%s failed; the answer goes without it.", name)
            return None
        took = time.monotonic() - begun
        if took > self.source_s:
            late = _late[name] = _late.get(name, 0.0) + 1
            if late >= PATIENCE or took > MUCH * self.source_s:
                _watch(name)
        elif _late.get(name):
            _late[name] = max(0.0, _late[name] - OFTEN)
        return answer

    def all(self, sources: Iterable[tuple[str, Callable[[], T]]]) -> dict[str, T]:
        """The answers by name, without those that are missing."""
        asked = ((name, self.ask(name, source)) for name, source in sources)
        return {name: answer for name, answer in asked if answer is not None}

    def _ask_beside(self, name: str, source: Callable[[], T], within_s: float) -> T | None:
        global _beside
        if _outstanding.get(name, 0) >= STUCK:
            return None
        if _beside is None:
            _beside = ThreadPoolExecutor(4 * STUCK, thread_name_prefix="source")
        _outstanding[name] = _outstanding.get(name, 0) + 1
        asked = _beside.submit(source)
        asked.add_done_callback(lambda done: _outstanding.update({name: _outstanding[name] - 1}))
        try:
            return asked.result(within_s)
        except Late:
            _watch(name)
            return None


def _watch(name: str) -> None:
    _late_until[name] = time.monotonic() + WATCHED_S
    _late.pop(name, None)
    log.warning("%s is late; for %g s it is not waited for longer than it may take.", name, WATCHED_S)


def forget() -> None:
    """Start anew (for tests)."""
    _late_until.clear()
    _late.clear()
    _outstanding.clear()
