"""What a visitor did lately, as arrays: what a recommendation is computed from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Max
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.weighting import weigh
from recommender.models import Event
from recommender.services import events
from recommender.services.controls import Controls
from recommender.services.controls import read as read_controls

LIKE, DISLIKE, RATING = Event.Kind.LIKE.value, Event.Kind.DISLIKE.value, Event.Kind.RATING.value
SECONDS = {
    "sqlite": "CAST(strftime('%%s', occurred_at) AS INTEGER)",
    "postgresql": "FLOOR(EXTRACT(EPOCH FROM occurred_at))::bigint",
}
"""By database: the Unix seconds of an event."""
Told = tuple[str, str, float | None, int]


@dataclass(frozen=True)
class History:
    """A visitor's latest events, oldest first."""

    item_ids: list[str]
    kinds: list[str]
    weights: NDArray[np.float32]
    """(L,), see engine/data/weighting."""
    times: NDArray[np.int64]
    """(L,), Unix seconds."""
    older: frozenset[str] = frozenset()
    """Items of events before these, and ignored ones: known to the visitor, so not to be recommended."""
    disliked: frozenset[str] = frozenset()
    """Items of which the visitor's last word is a dislike: never shown."""

    def __bool__(self) -> bool:
        return bool(self.item_ids)

    @property
    def known(self) -> set[str]:
        return {*self.item_ids, *self.older}


NO_HISTORY = History([], [], np.zeros(0, np.float32), np.zeros(0, np.int64))


def read(visitor_id: str | None, controls: Controls | None = None, before: datetime | None = None) -> History:
    """The events that say something about a visitor's taste: the latest, weighed by kind and age.

    `controls` are the visitor's, if the caller has them already. What was done before a reset is as if it had not been.
    An ignored item says nothing, whatever is done with it later, but stays known. With personal recommendations off,
    no event is read at all. `before`: as it was then.
    """
    controls = read_controls(visitor_id) if controls is None else controls
    if not visitor_id or not controls.personalised:
        return NO_HISTORY
    rows = _latest(visitor_id, controls.reset_at, before, conf().history_length)
    older, disliked = controls.ignored, _disliked(rows)
    if len(rows) == conf().history_length:
        told = _of_all(visitor_id, controls.reset_at, before)
        older |= {item_id for item_id, _ in told}
        disliked = _disliked(told)
    if controls.ignored:
        rows = [row for row in rows if row[0] not in controls.ignored]
    if not rows:
        return replace(NO_HISTORY, older=older, disliked=disliked)
    item_ids, kinds, values, seconds = zip(*_without_replaced(rows)[::-1], strict=True)
    times = np.array(seconds, dtype=np.int64)
    # Age counts from the visitor's own latest event: a shopper who returns after a year is not a stranger.
    weights = weigh(
        np.array(kinds),
        np.array([np.nan if value is None else value for value in values], dtype=np.float64),
        times,
        int(times[-1]),
        conf().weights,
    )
    return History(list(item_ids), list(kinds), weights, times, older, disliked)


def _latest(visitor_id: str, after: datetime | None, before: datetime | None, limit: int) -> list[Told]:
    """(item, kind, value, Unix seconds) of a visitor's latest events but impressions, the latest first.

    Every answer asks this, so it is SQL by hand: building the query and a datetime per row takes three times as long.
    """
    moments = [(sign, moment) for sign, moment in ((">", after), ("<", before)) if moment]
    between = "".join(f" AND occurred_at {sign} %s" for sign, _ in moments)
    bounds = [connection.ops.adapt_datetimefield_value(moment) for _, moment in moments]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT item_id, kind, value, {SECONDS[connection.vendor]} FROM recommender_event"  # noqa: S608
            f" WHERE visitor_id = %s AND kind <> %s{between} ORDER BY occurred_at DESC, id DESC LIMIT %s",
            [visitor_id, Event.Kind.IMPRESSION.value, *bounds, limit],
        )
        return cursor.fetchall()


def _of_all(visitor_id: str, after: datetime | None, before: datetime | None) -> list[tuple[str, str]]:
    """(item, kind) of everything but impressions that a visitor did, once each, the latest first."""
    mine = events.history_of(visitor_id)
    if after:
        mine = mine.filter(occurred_at__gt=after)
    if before:
        mine = mine.filter(occurred_at__lt=before)
    told = mine.order_by().values_list("item_id", "kind").annotate(at=Max("occurred_at"))
    return [(item_id, kind) for _, item_id, kind in sorted(((at, i, k) for i, k, at in told), reverse=True)]


def _disliked(rows: Iterable[Sequence[Any]]) -> frozenset[str]:
    """Items of these events, (item, kind, ...) with the latest first, of which the last opinion is a dislike."""
    opinions: dict[str, str] = {}
    for item_id, kind, *_ in rows:
        if kind in (LIKE, DISLIKE):
            opinions.setdefault(item_id, kind)
    return frozenset(item_id for item_id, kind in opinions.items() if kind == DISLIKE)


def _without_replaced(rows: list[Told]) -> list[Told]:
    """Events, latest first, without the ratings that a later one of the same item replaced; as in training."""
    rated: set[str] = set()
    kept = []
    for row in rows:
        if row[1] == RATING:
            if row[0] in rated:
                continue
            rated.add(row[0])
        kept.append(row)
    return kept
