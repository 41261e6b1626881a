"""The event table as arrays: what a training learns from."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.weighting import weigh
from recommender.engine.errors import NoData
from recommender.models import Event

CHUNK = 50_000  # rows fetched at once
REPEAT_S = 1800  # the same visitor, item and kind again within half an hour is one visit reloading a page


@dataclass(frozen=True)
class EventLog:
    """Events as columns (E,), in order of time. times int64, Unix seconds; values float64, NaN where none."""

    visitor_ids: NDArray[np.object_]
    item_ids: NDArray[np.object_]
    kinds: NDArray[np.object_]
    values: NDArray[np.float64]
    times: NDArray[np.int64]
    sessions: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.times)

    def where(self, mask: NDArray[np.bool_]) -> "EventLog":
        return EventLog(*(column[mask] for column in vars(self).values()))


def read() -> EventLog:
    """Every event of a kind that has a weight. Raises NoData."""
    kinds = [kind for kind, weight in conf().weights.by_kind.items() if weight]
    events = Event.objects.filter(kind__in=kinds).order_by("occurred_at", "id")
    columns = events.values_list("visitor_id", "item_id", "kind", "value", "occurred_at", "session")
    rows = list(columns.iterator(chunk_size=CHUNK))
    if not rows:
        raise NoData("Import a shop's events, seed the demo shop, or let visitors click first.")
    visitor_ids, item_ids, kind_column, values, moments, sessions = zip(*rows, strict=True)
    return EventLog(
        np.array(visitor_ids, dtype=object),
        np.array(item_ids, dtype=object),
        np.array(kind_column, dtype=object),
        np.array([np.nan if value is None else value for value in values], dtype=np.float64),
        np.array([moment.timestamp() for moment in moments], dtype=np.int64),
        np.array(sessions, dtype=object),
    )


def without_repeats(log: EventLog) -> tuple[EventLog, int]:
    """The log with quick repeats of the same thing counted once, and how many were left out.

    Every purchase counts. Of a visitor's ratings of an item the last one counts: it replaced the others.
    """
    keys = [_codes(column) for column in (log.visitor_ids, log.item_ids, log.kinds)]
    order = np.lexsort((log.times, *keys))
    same = np.ones(len(log) - 1, dtype=bool)
    for key in keys:
        same &= np.diff(key[order]) == 0
    kinds, gaps_s = log.kinds[order[1:]], np.diff(log.times[order])
    repeat = np.zeros(len(log), dtype=bool)
    repeat[order[1:]] = same & (gaps_s < REPEAT_S) & ~np.isin(kinds, ["purchase", "rating"])
    repeat[order[:-1]] |= same & (kinds == "rating")
    return log.where(~repeat), int(repeat.sum())


def interactions(log: EventLog) -> Interactions:
    """The log weighed by kind and by age at its last event, laid out by user and item."""
    weights = weigh(log.kinds, log.values, log.times, int(log.times[-1]), conf().weights)
    users, user_rows = Ids.factorize(log.visitor_ids)
    items, item_rows = Ids.factorize(log.item_ids)
    return Interactions.build(users, items, user_rows, item_rows, weights, log.times, _baskets(user_rows, log.sessions))


def purchases(log: EventLog, data: Interactions) -> Interactions:
    """The baskets that bought-together counts: purchases that name their session, over the rows of `data`."""
    bought = log.where((log.kinds == "purchase") & (log.sessions != ""))
    user_rows = data.users.rows(bought.visitor_ids)
    return Interactions.build(
        data.users,
        data.items,
        user_rows,
        data.items.rows(bought.item_ids),
        times=bought.times,
        baskets=_baskets(user_rows, bought.sessions),
    )


def _baskets(user_rows: NDArray[np.int32], sessions: NDArray[np.object_]) -> NDArray[np.int64]:
    """One number for each visitor's session, whatever other visitors call theirs; int64 (E,)."""
    codes = _codes(sessions)
    return user_rows.astype(np.int64) * (codes.max(initial=0) + 1) + codes


def _codes(column: NDArray[np.object_]) -> NDArray[np.int64]:
    """The same number for the same text, int64 (E,)."""
    import pandas as pd  # not at the top: only workers learn

    return pd.factorize(column)[0].astype(np.int64)


def moment(unix_s: int) -> datetime:
    """A time of a log as one of the tables, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)
