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
SOON_S = 0.25  # what `soon` counts may be known to other processes that much later
MOST_KNOWN = 20_000  # keys of one process
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
    of: str | frozenset[str] = ""
    """Different things are counted, and this is one of them, or some."""


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


def soon(counts: Sequence[Count]) -> list[Window | None]:
    """The same, but the cache is asked at most every SOON_S by a process for the same keys: until then, what is counted
    here is added to what it said, and goes along with the next question. Other processes know of it that much later."""
    moment = time.time()
    known = [_known.get((one.rule, one.key, int(moment // one.seconds))) for one in counts]
    if all(held is not None and 0 <= moment - held.asked_at < SOON_S for held in known):
        return [held.add(one, moment) for one, held in zip(counts, known, strict=True) if held is not None]
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    whole = [one if held is None else held.take(one) for one, held in zip(counts, known, strict=True)]
    windows = count(whole)
    for one, held, window in zip(whole, known, windows, strict=True):
        if window is not None:
            sent = set() if held is None or len(held.sent) > MOST_THINGS else held.sent
            sent |= {one.of} if isinstance(one.of, str) else one.of
            _known[one.rule, one.key, int(moment // one.seconds)] = _Known(moment, window, sent)
    return windows


def defer(count: Count) -> None:
    """Count with the next request instead of in a round trip of its own."""
    held = _known.get((count.rule, count.key, int(time.time() // count.seconds)))
    if held is not None:
        held.by += count.by
    else:
        _deferred.append(count)


class _Known:
    """What the cache said of a key, and what was counted here since."""

    __slots__ = ("asked_at", "by", "of", "sent", "window")

    def __init__(self, asked_at: float, window: Window, sent: set[str]) -> None:
        self.asked_at, self.window, self.by = asked_at, window, 0
        self.of: set[str] = set()
        self.sent = sent
        """Things that the cache knows from here."""

    def add(self, one: Count, moment: float) -> Window:
        if isinstance(one.of, str) and one.of and one.of not in self.sent:
            self.of.add(one.of)
        elif not one.of:
            self.by += one.by
        now = self.window.now + self.by + len(self.of)
        return Window(max(now, 0), self.window.before, moment / one.seconds % 1, one.seconds)

    def take(self, one: Count) -> Count:
        """All that is to be counted in the cache now."""
        of = frozenset((*self.of, one.of)) if isinstance(one.of, str) and self.of else one.of
        return Count(one.rule, one.key, one.seconds, one.by + self.by, of)


_known: dict[tuple[str, str, int], _Known] = {}  # by rule, key and window


def forget() -> None:
    """For tests: what is deferred or known, and that the cache was away."""
    global _away_until
    _away_until = 0.0
    _deferred.clear()
    _known.clear()


def _taken() -> list[Count]:
    taken: list[Count] = []
    with suppress(IndexError):
        while len(taken) < TAKEN_ALONG:
            taken.append(_deferred.popleft())
    return taken


def _place(one: Count, moment: float) -> tuple[str, str, int, tuple[str, ...], int]:
    """(key, key of the window before, by, some of what, seconds to keep), as a cache takes them.

    Keys are hashed: an id may hold anything, and whoever reads the cache learns no addresses.
    """
    window = int(moment // one.seconds)
    name = blake2b(one.key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    things = (one.of,) if isinstance(one.of, str) else one.of
    of = tuple(blake2b(it.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() for it in things if it)
    stem = f"guard:{one.rule}:{name}"
    return f"{stem}:{window}", f"{stem}:{window - 1}", one.by, of, 2 * one.seconds + 60


def _count_one(cache: Any, key: str, before: str, by: int, of: tuple[str, ...], keep_s: int) -> tuple[int, int] | None:
    """The same with what every cache of Django can do."""
    try:
        if of:
            seen = cache.get(key, frozenset())
            if not seen.issuperset(of) and len(seen) < MOST_THINGS:
                seen |= frozenset(of)
                cache.set(key, seen, keep_s)
            return len(seen), len(cache.get(before, ()))
        if by:
            cache.add(key, 0, keep_s)
        now = cache.incr(key, by) if by else cache.get(key, 0)
        return int(now), int(cache.get(before, 0))
    except (TypeError, ValueError):  # something else lies there
        return None
