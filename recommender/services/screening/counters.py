"""Counts in time windows, kept in Django's cache, all that a request needs in one round trip."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.core.cache import caches

log = logging.getLogger(__name__)

AWAY_S = 10.0  # after the cache has failed, it is not asked for so long
MOST_DEFERRED = 10_000  # counts that wait for the next request; more than a process can be asked for in a moment
TAKEN_ALONG = 100  # of those with one request
MOST_THINGS = 5000  # told apart under one key where the cache itself cannot count different things

_away_until = 0.0
_deferred: "deque[Count]" = deque(maxlen=MOST_DEFERRED)


@dataclass(frozen=True, slots=True)
class Count:
    rule: str
    key: str
    """Whom or what it is counted for."""
    seconds: int
    """Of a window."""
    by: int = 1
    """0 only reads; less than 0 takes back."""
    of: str = ""
    """Different things are counted, and this is one of them."""


@dataclass(frozen=True, slots=True)
class Window:
    """How much was counted in this window and the one before it."""

    now: int
    before: int
    elapsed: float
    """Share of this window that has passed: 0 to 1."""
    seconds: int

    @property
    def sliding(self) -> float:
        """About how much was counted in the last `seconds`, as if the window before was filled evenly."""
        return self.now + self.before * (1 - self.elapsed)

    def wait_s(self, limit: int) -> int:
        """Whole seconds until `sliding` is down to `limit` if nothing more is counted; at least 1."""
        if self.now <= limit:  # the window before has to slide out of sight
            share = 1 - (limit - self.now) / max(self.before, 1)
            return max(1, round((share - self.elapsed) * self.seconds + 0.5))
        return max(1, round((1 - self.elapsed + 1 - limit / self.now) * self.seconds + 0.5))


def count(counts: Sequence[Count]) -> list[Window | None]:
    """Count and read, with what was deferred. None each where the cache does not answer or holds something else."""
    global _away_until
    nothing: list[Window | None] = [None] * len(counts)
    if not counts or time.monotonic() < _away_until:
        return nothing
    waiting = _taken()
    moment = time.time()
    wanted = [_place(one, moment) for one in (*waiting, *counts)]
    cache = caches["default"]
    try:
        many = getattr(cache, "count_many", None)
        found = many(wanted) if many else [_count_one(cache, *each) for each in wanted]
    except Exception as error:  # whatever a cache raises, the request goes on
        _away_until = time.monotonic() + AWAY_S
        log.warning("The cache does not count, so no limit holds for %g s: %s", AWAY_S, error)
        return nothing
    return [
        each and Window(max(each[0], 0), max(each[1], 0), moment / one.seconds % 1, one.seconds)
        for one, each in zip(counts, found[len(waiting) :], strict=True)
    ]


def defer(count: Count) -> None:
    """Count with the next request instead of in a round trip of its own."""
    _deferred.append(count)


def forget() -> None:
    """For tests: what is deferred, and that the cache was away."""
    global _away_until
    _away_until = 0.0
    _deferred.clear()


def _taken() -> list[Count]:
    taken: list[Count] = []
    with suppress(IndexError):
        while len(taken) < TAKEN_ALONG:
            taken.append(_deferred.popleft())
    return taken


def _place(one: Count, moment: float) -> tuple[str, str, int, str, int]:
    """(key, key of the window before, by, one of what, seconds to keep), as a cache takes them.

    Keys are hashed: an id may hold anything, and whoever reads the cache learns no addresses.
    """
    window = int(moment // one.seconds)
    name = blake2b(one.key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    of = blake2b(one.of.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() if one.of else ""
    stem = f"guard:{one.rule}:{name}"
    return f"{stem}:{window}", f"{stem}:{window - 1}", one.by, of, 2 * one.seconds + 60


def _count_one(cache: Any, key: str, before: str, by: int, of: str, keep_s: int) -> tuple[int, int] | None:
    """The same with what every cache of Django can do."""
    try:
        if of:
            seen = cache.get(key, frozenset())
            if of not in seen and len(seen) < MOST_THINGS:
                seen |= {of}
                cache.set(key, seen, keep_s)
            return len(seen), len(cache.get(before, ()))
        if by:
            cache.add(key, 0, keep_s)
        now = cache.incr(key, by) if by else cache.get(key, 0)
        return int(now), int(cache.get(before, 0))
    except (TypeError, ValueError):  # something else lies there
        return None
