"""What was shown to whom, written down beside the requests: buffered in the process, flushed by a thread of its own.

No request waits for it or fails by it. A process that is killed takes what it had not written along, EVERY_S seconds at
most. Where the database stays away, the oldest that wait are dropped and counted.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from multiprocessing.util import Finalize
from typing import Any, Protocol

from django.db import DatabaseError, DataError, connection
from django.db.models import Q
from django.utils import timezone

from recommender.conf import conf
from recommender.models import Answer, Control, Experiment

log = logging.getLogger(__name__)

EVERY_S = 1.0  # between two writes
MOST = 20_000  # answers that wait to be written; about 20 MB
AT_ONCE = 500  # rows of one statement
PRUNED = 5_000  # rows deleted at once
MAX_SHELF = Answer._meta.get_field("shelf").max_length or 32
MAX_TIER = Answer._meta.get_field("tier").max_length or 12


class Entry(Protocol):
    @property
    def item(self) -> Any: ...


class Shown(Protocol):
    """A shelf as serving makes it."""

    @property
    def name(self) -> str: ...
    @property
    def tier(self) -> str: ...
    @property
    def run_id(self) -> int | None: ...
    @property
    def rec_id(self) -> uuid.UUID: ...
    @property
    def entries(self) -> Sequence[Entry]: ...


_waiting: deque[Answer] = deque()
_dropped = 0
_lock = threading.Lock()
_writes = threading.Lock()
_timer: threading.Timer | None = None
_at_end: Finalize | None = None


def start() -> None:
    """Write every second from now on, as web processes do. Elsewhere `flush` writes."""
    global _at_end
    if _at_end is None:
        # Unlike atexit's, also called where a process ends that multiprocessing forked, as the web server's workers.
        _at_end = Finalize(None, flush, exitpriority=10)


def note(
    shelf: Shown,
    visitor_id: str | None,
    variant_id: int | None = None,
    chances: Mapping[str, float] | None = None,
    explored: int | None = None,
) -> None:
    """Keep what a shelf showed; never raises, never waits.

    `chances`: of each item that could have stood at place `explored` (from 1), by which one was drawn. Nothing is kept
    of an empty shelf, nor where the settings say so and no experiment needs it. Who asked for privacy stays nameless.
    """
    try:
        if shelf.entries and (variant_id is not None or conf().served.log_answers):
            _keep(shelf, visitor_id, variant_id, chances, explored)
    except Exception:
        log.exception("An answer could not be noted.")


def _keep(
    shelf: Shown,
    visitor_id: str | None,
    variant_id: int | None,
    chances: Mapping[str, float] | None,
    explored: int | None,
) -> None:
    global _timer, _dropped
    row = Answer(
        rec_id=shelf.rec_id,
        visitor_id=visitor_id or "",
        at=timezone.now(),
        run_id=shelf.run_id,
        tier=shelf.tier[:MAX_TIER],
        shelf=shelf.name[:MAX_SHELF],
        variant_id=variant_id,
        items=[entry.item.pk for entry in shelf.entries],
        explored=explored,
        chances={item_id: float(chance) for item_id, chance in (chances or {}).items()},
    )
    with _lock:
        if len(_waiting) >= MOST:
            _waiting.popleft()
            _dropped += 1
        _waiting.append(row)
        if _at_end and _timer is None:
            _timer = threading.Timer(EVERY_S, _tick)
            _timer.daemon = True
            _timer.start()


def flush() -> int:
    """Write what waits; returns the rows. Where the database is away, it waits on."""
    done = 0
    with _writes:
        while batch := _taken():
            try:
                _unname(batch)
                Answer.objects.bulk_create(batch, ignore_conflicts=True)
            except DataError as error:  # trying it again would not help
                log.warning("%d answers cannot be stored and are dropped: %s", len(batch), error)
                _drop(len(batch))
            except DatabaseError as error:
                log.warning("Answers could not be written; it is tried again: %s", error)
                _put_back(batch)
                break
            done += len(batch)
    return done


def state() -> tuple[int, int]:
    """How many answers wait in this process, and how many it dropped."""
    return len(_waiting), _dropped


def prune(now: datetime | None = None) -> int:
    """Delete what is older than the settings keep, save what a running experiment still needs; returns the rows."""
    before = (now or timezone.now()) - timedelta(days=conf().served.keep_days)
    old = Answer.objects.filter(at__lt=before).filter(
        Q(variant=None) | ~Q(variant__experiment__status=Experiment.Status.RUNNING)
    )
    deleted = 0
    while ids := list(old.order_by("at").values_list("pk", flat=True)[:PRUNED]):
        deleted += Answer.objects.filter(pk__in=ids).delete()[0]
    return deleted


def forget() -> None:
    """Start anew, as forked processes and tests do: nothing waits or was dropped; nothing is written by itself."""
    global _timer, _at_end, _dropped
    with _lock:
        _waiting.clear()
        _dropped = 0
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
        log.exception("The answers could not be written.")
    finally:
        connection.close()  # this thread ends here
        with _lock:
            _timer = None


def _unname(rows: list[Answer]) -> None:
    """Who is in private mode or wants nothing personal is not written down; one query."""
    private = Q(private_since__isnull=False) | Q(personalised=False)
    nameless = set(
        Control.objects.filter(private, pk__in={row.visitor_id for row in rows} - {""}).values_list("pk", flat=True)
    )
    for row in rows:
        if row.visitor_id in nameless:
            row.visitor_id = ""


def _taken() -> list[Answer]:
    with _lock:
        return [_waiting.popleft() for _ in range(min(AT_ONCE, len(_waiting)))]


def _drop(count: int) -> None:
    global _dropped
    with _lock:
        _dropped += count


def _put_back(rows: list[Answer]) -> None:
    global _dropped
    with _lock:
        room = max(0, MOST - len(_waiting))
        kept = rows[len(rows) - room :] if room < len(rows) else rows
        _dropped += len(rows) - len(kept)
        _waiting.extendleft(reversed(kept))
