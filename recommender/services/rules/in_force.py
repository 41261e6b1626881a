"""The rules that are in force now, compiled, in each process; and what makes a rule one that can be."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from recommender.models import Item, Rule
from recommender.services import filtering
from recommender.services.errors import InvalidInput

log = logging.getLogger(__name__)

RULES_FOR_S = 2.0  # seconds that a process goes by what it read; where staff save, it reads again at once
MOST_RULES = 200  # in force at a time, those of the highest priority; each looks at every candidate
MOST_FACTOR = 100.0  # of a boost; its inverse is the least of a burial
MOST_LIMIT = 100  # items that a limit may leave
MOST_PRIORITY = 1000
YEARS = (2000, 2999)  # of a schedule; beyond, some time zone has no such date
_Action = Rule.Action


@dataclass(frozen=True)
class Acting:
    """One rule, ready to be applied."""

    rule_id: int
    """0 for one that is not saved yet."""
    name: str
    action: str
    condition: filtering.Condition
    matches: Callable[[Item], bool]
    amount: float
    """Boost, bury: factor of the score. Limit: items of a list."""
    position: int
    """Pin: from 1."""
    shelf: str
    priority: int
    starts_at: datetime | None
    ends_at: datetime | None

    def stands(self, shelf: str, now: datetime) -> bool:
        """Whether it is about this shelf at this time."""
        return (
            (not self.shelf or self.shelf == shelf)
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )


_read: tuple[float, tuple[Acting, ...]] | None = None  # when (monotonic seconds), and what is enabled
_reading = threading.Lock()
_told: set[tuple[int, str]] = set()  # broken rules that were logged: id and what is wrong


def acting(shelf: str, now: datetime | None = None) -> Sequence[Acting]:
    """The rules in force on this shelf, those of higher priority first; read at most every RULES_FOR_S.

    `now` is for tests and previews. Where the database does not answer, what was read last stands.
    """
    enabled = _enabled()
    if not enabled:
        return ()
    now = now or timezone.now()
    return [rule for rule in enabled if rule.stands(shelf, now)]


def _enabled() -> tuple[Acting, ...]:
    global _read
    known = _read
    if known is not None and monotonic() - known[0] < RULES_FOR_S:
        return known[1]
    # While one thread reads, the others go by what is known; those that know nothing wait for it.
    if not _reading.acquire(blocking=known is None):
        return known[1] if known else ()
    try:
        if _read is not known and _read is not None:  # read by the thread that was waited for
            return _read[1]
        try:
            found = _query()
        except DatabaseError:
            log.exception("The rules cannot be read; those that were read last stand.")
            found = known[1] if known else ()
        _read = (monotonic(), found)
        return found
    finally:
        _reading.release()


def _query() -> tuple[Acting, ...]:
    unended = Q(ends_at=None) | Q(ends_at__gt=timezone.now())
    rows = Rule.objects.filter(unended, enabled=True).order_by("-priority", "id")[:MOST_RULES]
    return tuple(rule for row in rows if (rule := _compiled_or_told(row)) is not None)


def _compiled_or_told(row: Rule) -> Acting | None:
    """None for a broken rule, which is said in the log once: one rule must not take a page down."""
    try:
        return compiled(row)
    except InvalidInput as error:
        if (key := (row.pk, error.detail)) not in _told:
            if len(_told) > MOST_RULES:
                _told.clear()
            _told.add(key)
            log.warning("Rule %r is skipped, it is broken: %s", row.name, error.detail)
        return None


def compiled(row: Rule) -> Acting:
    """Whether it is saved, enabled, in its time or not. Raises InvalidInput for what `problems` finds."""
    if found := problems(row):
        raise InvalidInput(" ".join(found.values()))
    condition = filtering.parse(row.condition)
    return Acting(
        rule_id=row.pk or 0,
        name=row.name,
        action=row.action,
        condition=condition,
        matches=condition.matches,
        amount=1.0 if row.amount is None else row.amount,
        position=row.position or 0,
        shelf=row.shelf,
        priority=row.priority,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )


def problems(row: Rule) -> dict[str, str]:
    """By field, what keeps the rule from acting; empty for a good one."""
    found: dict[str, str] = {}
    try:
        filtering.parse(row.condition)
    except InvalidInput as error:
        found["condition"] = error.detail
    if row.action not in _Action.values:
        found["action"] = f"There is no action {row.action!r}."
    if row.action == _Action.PIN and not row.position:
        found["position"] = "A pin needs a place, from 1."
    if row.action == _Action.BOOST and not (row.amount and 1 < row.amount <= MOST_FACTOR):
        found["amount"] = f"A boost needs a factor above 1, at most {MOST_FACTOR:g}."
    if row.action == _Action.BURY and not (row.amount and 1 / MOST_FACTOR <= row.amount < 1):
        found["amount"] = f"A burial needs a factor from {1 / MOST_FACTOR:g} to below 1; exclude shows none at all."
    if row.action == _Action.LIMIT and not (row.amount and row.amount in range(1, MOST_LIMIT + 1)):
        found["amount"] = f"A limit needs how many items of a list may match: a whole number from 1 to {MOST_LIMIT}."
    if not -MOST_PRIORITY <= row.priority <= MOST_PRIORITY:
        found["priority"] = f"Give a number from {-MOST_PRIORITY} to {MOST_PRIORITY}."
    for name in ("starts_at", "ends_at"):
        at = getattr(row, name)
        if at is not None and not YEARS[0] <= at.year <= YEARS[1]:
            found[name] = f"Give a date from {YEARS[0]} to {YEARS[1]}, or none."
    if row.starts_at and row.ends_at and row.starts_at >= row.ends_at:
        found["ends_at"] = "It must end after it starts."
    return found


def state(row: Rule, now: datetime | None = None) -> str:
    """on, scheduled, ended, off or broken."""
    now = now or timezone.now()
    if problems(row):
        return "broken"
    if not row.enabled:
        return "off"
    if row.ends_at is not None and row.ends_at <= now:
        return "ended"
    return "scheduled" if row.starts_at is not None and row.starts_at > now else "on"


def read_again() -> None:
    """What staff saved just now holds from the next request of this process on."""
    global _read
    _read = None


def forget() -> None:
    read_again()
    _told.clear()
