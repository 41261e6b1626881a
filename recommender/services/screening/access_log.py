"""Who used which door, counted by the minute: log-ins and requests of API keys.

Counted in the process, a dictionary entry each, and written every few seconds by a thread of its own, all at once: no
request waits for it. A process that is killed takes what it had not written along, EVERY_S seconds at most.
"""

import logging
import threading
from datetime import datetime, timedelta
from multiprocessing.util import Finalize

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from recommender.conf import conf
from recommender.models import Access
from recommender.services.screening.clients import kept

log = logging.getLogger(__name__)

EVERY_S = 5.0  # between two writes
MOST = 10_000  # different users of doors that wait to be written; beyond it they share the entry without a name
MOST_TARGETS = 10_000  # different things that are told apart for one of them
MAX_WHO = Access._meta.get_field("who").max_length or 150
AT_ONCE = 1000  # rows of one statement
PRUNED = 10_000  # rows deleted at once

Key = tuple[str, str, str, datetime]  # door, who, client, minute


class _Counts:
    __slots__ = ("failures", "requests", "targets")

    def __init__(self) -> None:
        self.requests = self.failures = self.targets = 0


_pending: dict[Key, _Counts] = {}
_seen: dict[Key, set[int]] = {}  # what was asked for in a minute, until it is over
_lock = threading.Lock()
_writes = threading.Lock()
_timer: threading.Timer | None = None
_at_end: Finalize | None = None


def start() -> None:
    """Write every few seconds from now on, as web processes do. Elsewhere `flush` writes."""
    global _at_end
    if _at_end is None:
        # Unlike atexit's, also called where a process ends that multiprocessing forked, as the web server's workers.
        _at_end = Finalize(None, flush, exitpriority=10)


def note(door: str, who: str, client: str, failed: bool, target: str = "") -> None:
    """Count one use of a door: by whom as given, from which address, whether it failed, and what was asked for."""
    global _timer
    who = "".join(c for c in who[:MAX_WHO] if c.isprintable() and not "\ud800" <= c <= "\udfff")
    key = (door, who, kept(client), timezone.now().replace(second=0, microsecond=0))
    with _lock:
        if key not in _pending and len(_pending) >= MOST:
            key = (door, "", "", key[3])
        counts = _pending.setdefault(key, _Counts())
        counts.requests += 1
        counts.failures += failed
        if target:
            seen = _seen.setdefault(key, set())
            if len(seen) < MOST_TARGETS:
                before = len(seen)
                seen.add(hash(target))
                counts.targets += len(seen) - before
        if _at_end and _timer is None:
            _timer = threading.Timer(EVERY_S, _tick)
            _timer.daemon = True
            _timer.start()


def flush() -> int:
    """Add what was counted to the table; returns the rows written. Where the database is away, it waits here."""
    global _pending
    with _writes:
        with _lock:
            taken, _pending = _pending, {}
            minute = timezone.now().replace(second=0, microsecond=0)
            for key in [key for key in _seen if key[3] < minute]:
                del _seen[key]
        keys = sorted(taken)  # in one order in all processes, so that no two wait in a ring
        done = 0
        try:
            for at in range(0, len(keys), AT_ONCE):
                _add([(key, taken[key]) for key in keys[at : at + AT_ONCE]])
                done = at + AT_ONCE
        except DatabaseError as error:
            log.warning("The access log could not be written; it is tried again: %s", error)
            _put_back({key: taken[key] for key in keys[done:]})
        return min(done, len(keys))


def prune(now: datetime | None = None) -> int:
    """Delete what is older than the settings keep; returns the rows."""
    before = (now or timezone.now()) - timedelta(days=conf().guarding.keep_days)
    deleted = 0
    while ids := list(
        Access.objects.filter(minute__lt=before).order_by("minute").values_list("pk", flat=True)[:PRUNED]
    ):
        deleted += Access.objects.filter(pk__in=ids).delete()[0]
    return deleted


def forget() -> None:
    """Start anew, as a forked process does and tests do: nothing was counted, and nothing is written by itself."""
    global _timer, _at_end
    with _lock:
        _pending.clear()
        _seen.clear()
        if _timer:
            _timer.cancel()
        if _at_end:
            _at_end.cancel()
        _timer = _at_end = None


def _tick() -> None:
    global _timer
    try:
        flush()
    except Exception:
        log.exception("The access log could not be written.")
    finally:
        connection.close()  # this thread ends here
        with _lock:
            _timer = None


def _add(rows: list[tuple[Key, _Counts]]) -> None:
    """One statement, which adds to what other processes counted of the same minute."""
    table = connection.ops.quote_name(Access._meta.db_table)
    adding = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in ("requests", "failures", "targets"))
    values = [
        value
        for (door, who, client, minute), counts in rows
        for value in (
            door, who, client, connection.ops.adapt_datetimefield_value(minute),
            counts.requests, counts.failures, counts.targets,
        )
    ]  # fmt: skip
    places = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(rows))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (door, who, client, minute, requests, failures, targets) VALUES {places} "  # noqa: S608
            f"ON CONFLICT (door, who, client, minute) DO UPDATE SET {adding}",
            values,
        )


def _put_back(taken: dict[Key, _Counts]) -> None:
    with _lock:
        for key, counts in taken.items():
            if key not in _pending and len(_pending) >= MOST:
                continue  # the database has been away for long
            there = _pending.setdefault(key, _Counts())
            there.requests += counts.requests
            there.failures += counts.failures
            there.targets += counts.targets
