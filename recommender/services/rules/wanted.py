"""Items that pins and boosts bring into a list although no source of candidates named them."""

import logging
import threading
from collections.abc import Sequence
from itertools import zip_longest
from time import monotonic

from django.db import DatabaseError, connection
from django.db.models import Q

from recommender.models import Item, Rule
from recommender.services.rules.in_force import Acting

log = logging.getLogger(__name__)

WANTED_FOR_S = 15.0  # seconds that a process keeps what a rule named
BUSY = 0.01  # share of the time that may go into asking: a slow answer is kept for longer
SLOW_S = 0.05  # a question that took longer is asked again beside the requests, not in one of them
EACH = 50  # items that are kept of one condition, the newest
OF_PIN = 5  # of these, for a pin: it shows one, and this many may be sold out or shut out
MOST_KEPT = 400  # conditions that a process remembers the items of

_kept: dict[str, tuple[float, float, list[str]]] = {}  # by condition: until when, how long it took (seconds), and what
_asking = threading.Lock()


def candidates(acting: Sequence[Acting], limit: int) -> list[str]:
    """Up to `limit` ids of active items in stock that these pins and boosts match: pins first, then each boost in
    turn, the newest of each first. Read from the database when needed, and remembered for WANTED_FOR_S."""
    pins = [_items(rule)[:OF_PIN] for rule in acting if rule.action == Rule.Action.PIN]
    boosts = [_items(rule) for rule in acting if rule.action == Rule.Action.BOOST]
    in_turn = [item_id for lists in (pins, boosts) for turn in zip_longest(*lists) for item_id in turn if item_id]
    return list(dict.fromkeys(in_turn))[:limit]


def _items(rule: Acting) -> list[str]:
    key = rule.condition.text
    until, took, known = _kept.get(key, (0.0, 0.0, []))
    # While one thread asks, the others go by what is known, and without it a list is made without.
    if monotonic() < until or not _asking.acquire(blocking=False):
        return known
    if took > SLOW_S:
        threading.Thread(target=_ask_aside, args=(rule, key), daemon=True).start()
        return known
    try:
        return _ask(rule, key)
    finally:
        _asking.release()


def _ask_aside(rule: Acting, key: str) -> None:
    """In a thread of its own, with the lock of the one that started it."""
    try:
        _ask(rule, key)
    finally:
        _asking.release()
        connection.close()


def _ask(rule: Acting, key: str) -> list[str]:
    start = monotonic()
    there = Q(stock__isnull=True) | Q(stock__gt=0)
    try:
        items = Item.objects.filter(rule.condition.as_q(), there, active__in=[True])  # a bare "active" uses no index
        found = list(items.order_by("-added_at", "id").values_list("id", flat=True)[:EACH])
    except DatabaseError:
        log.exception("The items that rule %r names cannot be read; the list goes without them.", rule.name)
        found = []
    now = monotonic()
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[key] = (now + max(WANTED_FOR_S, (now - start) / BUSY), now - start, found)
    return found


def forget() -> None:
    _kept.clear()
