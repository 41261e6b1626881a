"""The event table as arrays: what a training learns from."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from django.db.models import BigIntegerField, Func
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.weighting import weigh
from recommender.engine.errors import NoData
from recommender.models import Event
from recommender.services.content.item_features import Description

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
    flagged: NDArray[np.bool_] | None = None
    """Whether it broke a rule as it came; None where nothing did, or nobody looked."""

    def __len__(self) -> int:
        return len(self.times)

    def where(self, mask: NDArray[np.bool_]) -> "EventLog":
        kept = {name: column[mask] for name, column in vars(self).items() if column is not None}
        return EventLog(**kept)


class Microseconds(Func):
    """A time as whole microseconds since 1970, counted by the database: making a date of each row takes longest."""

    template = "CAST(EXTRACT(EPOCH FROM %(expressions)s) * 1000000 AS BIGINT)"
    output_field = BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        seconds = "CAST(STRFTIME('%%%%s', SUBSTR(%(expressions)s, 1, 19)) AS INTEGER)"
        fraction = "CAST(ROUND(1000000 * ('0' || SUBSTR(%(expressions)s, 20))) AS INTEGER)"
        return self.as_sql(compiler, connection, template=f"({seconds} * 1000000 + {fraction})", **extra)

    def get_db_converters(self, connection: Any) -> list[Any]:
        return []  # whole numbers already; Django would call int() on each


def read() -> EventLog:
    """Every event of a kind that has a weight. Raises NoData."""
    kinds = [kind for kind, weight in conf().weights.by_kind.items() if weight]
    # In order of recording, which is how they lie on disk; by time they would be fetched from all over it.
    events = Event.objects.filter(kind__in=kinds).order_by("id")
    moment = Microseconds("occurred_at")
    columns = events.values_list("visitor_id", "item_id", "kind", "session", "value", moment, "flag")
    rows = columns.iterator(chunk_size=CHUNK)
    texts: list[list[NDArray[np.object_]]] = [[], [], [], []]
    names: list[dict[str, str]] = [{}, {}, {}, {}]
    values, microseconds, flags = [], [], []
    while chunk := list(islice(rows, CHUNK)):
        *named, value, moments, flag = np.array(chunk, dtype=object).T
        for parts, column, known in zip(texts, named, names, strict=True):
            parts.append(_shared(column, known))
        values.append(value.astype(np.float64))
        microseconds.append(moments.astype(np.int64))
        flags.append(flag != "")
    if not values:
        raise NoData("Import a shop's events, seed the demo shop, or let visitors click first.")
    times = np.concatenate(microseconds)
    order = np.argsort(times, kind="stable")
    visitor_ids, item_ids, kind_column, sessions = (np.concatenate(parts)[order] for parts in texts)
    flagged = np.concatenate(flags)[order]
    return EventLog(
        visitor_ids,
        item_ids,
        kind_column,
        np.concatenate(values)[order],
        times[order] // 1_000_000,
        sessions,
        flagged if flagged.any() else None,
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


def interactions(log: EventLog, trust: NDArray[np.float32] | None = None) -> Interactions:
    """The log weighed by kind, by age at its last event and by trust (E,), laid out by user and item."""
    weights = weigh(log.kinds, log.values, log.times, int(log.times[-1]), conf().weights)
    if trust is not None:
        weights = weights * trust
    users, user_rows = Ids.factorize(log.visitor_ids)
    items, item_rows = Ids.factorize(log.item_ids)
    return Interactions.build(users, items, user_rows, item_rows, weights, log.times, _baskets(user_rows, log.sessions))


def described(data: Interactions) -> Interactions:
    """The same with what is known of each item beside its events, for trainers that look at it."""
    item_ids = data.items.all
    return replace(data, item_features=Description.of(item_ids).features(item_ids))


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


def _shared(column: NDArray[np.object_], names: dict[str, str]) -> NDArray[np.object_]:
    """The same column with one string for equal ones, all that `names` has met: rows bring a copy each."""
    import pandas as pd

    codes, distinct = pd.factorize(column)
    shared = np.array([names.setdefault(name, name) for name in distinct.tolist()], dtype=object)
    return shared[codes]


def _codes(column: NDArray[np.object_]) -> NDArray[np.int64]:
    """The same number for the same text, int64 (E,)."""
    import pandas as pd  # not at the top: only workers learn

    return pd.factorize(column)[0].astype(np.int64)


def moment(unix_s: int) -> datetime:
    """A time of a log as one of the tables, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)
