"""The tables as the columns that detectors look at, each read in one pass, in chunks."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import numpy as np
from django.db.models import FloatField, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.anomaly.subjects.access import Doors
from recommender.engine.anomaly.subjects.orders import Orders
from recommender.engine.anomaly.subjects.reviews import Words
from recommender.engine.data.activity import KINDS, RATING, Activity
from recommender.engine.data.ids import UNKNOWN, Ids
from recommender.engine.errors import NoData, RecommenderError
from recommender.engine.model import open_model
from recommender.models import Access, Event, Order, OrderLine, Review
from recommender.services import publishing
from recommender.services.event_log import Microseconds

log = logging.getLogger(__name__)

CHUNK = 50_000  # rows fetched at once
ACCESS_DAYS = 7  # back from now that log-ins and API use are judged by
PURCHASE, VIEW, CLICK, CART = (KINDS.index(name) for name in ("purchase", "view", "click", "cart"))
MISSING = -1

Ints = NDArray[np.int64]


class Names:
    """Texts as numbers, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def codes(self, column: NDArray[np.object_]) -> Ints:
        import pandas as pd  # not at the top: only workers look at everything

        codes, distinct = pd.factorize(column)
        numbers = self.numbers
        known = np.array([numbers.setdefault(name, len(numbers)) for name in distinct.tolist()], dtype=np.int64)
        return known[codes]

    def __len__(self) -> int:
        return len(self.numbers)

    def ids(self, codes: Ints) -> tuple[Ids, NDArray[np.int32]]:
        """The texts as sorted ids, and the codes as their rows."""
        if not self.numbers:
            return Ids.of([]), codes.astype(np.int32)
        ids, row_of_code = Ids.factorize(list(self.numbers))
        return ids, row_of_code[codes]


def activity() -> Activity:
    """Every event of every kind, in order of time, beside the vectors that the live run learned. Raises NoData."""
    visitors, items, sessions, kind_of = Names(), Names(), Names(), {name: place for place, name in enumerate(KINDS)}
    parts: list[tuple[NDArray[Any], ...]] = []
    rows = Event.objects.order_by("id").values_list(
        "visitor_id", "item_id", "kind", "session", "value", Microseconds("occurred_at")
    )
    for who, what, kind, session, value, moment in _chunks(rows):
        parts.append(
            (
                visitors.codes(who).astype(np.int32),
                items.codes(what).astype(np.int32),
                np.array([kind_of.get(name, 0) for name in kind.tolist()], dtype=np.int8),
                np.where(session == "", MISSING, sessions.codes(session)),
                value.astype(np.float32),
                moment.astype(np.int64),
            )
        )
    if not parts:
        raise NoData("Nobody has done anything yet.")
    who, what, kinds, named, values, moments = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(moments, kind="stable")
    visitor_ids, visitor_rows = visitors.ids(who[order])
    item_ids, item_rows = items.ids(what[order])
    return Activity(
        visitor_ids,
        item_ids,
        visitor_rows,
        item_rows,
        kinds[order],
        values[order],
        moments[order] // 1_000_000,
        named[order],
        learned_vectors(item_ids),
    )


def learned_vectors(items: Ids) -> NDArray[np.float32] | None:
    """The live run's vector of each item, length 1 or 0, (N, D); None where none serves, or it has none to read."""
    run = publishing.live_run()
    if run is None or not run.artifact:
        return None
    try:
        model = open_model(conf().artifacts_dir / run.artifact, verify=False)
    except RecommenderError as error:
        log.warning("Items are judged without their vectors: %s", error)
        return None
    stored = model.artifact.arrays.get("unit_vectors")
    if stored is None:
        return None
    rows = model.items.rows(items.all)
    vectors = np.zeros((len(items), stored.shape[1]), dtype=np.float32)
    vectors[rows != UNKNOWN] = stored[rows[rows != UNKNOWN]]
    return vectors


def words(behind: Activity) -> Words:
    """Every review, held and hidden ones too, with what its writer did before, by `behind`. Raises NoData."""
    rows = Review.objects.order_by("id").values_list(
        "id", "visitor_id", "item_id", "stars", "title", "body", "sentiment", Microseconds("created_at")
    )
    who, what, columns = Names(), Names(), []
    for pk, visitor, item, stars, title, body, sentiment, moment in _chunks(rows):
        columns.append(
            (pk, who.codes(visitor), what.codes(item), stars, title + "\n" + body, sentiment, moment // 1_000_000)
        )
    if not columns:
        raise NoData("Nobody has written a review yet.")
    pk, visitor, item, stars, texts, sentiment, moment = (np.concatenate(c) for c in zip(*columns, strict=True))
    visitors, visitor_rows = who.ids(visitor.astype(np.int64))
    items, item_rows = what.ids(item.astype(np.int64))
    times = moment.astype(np.int64)
    return Words(
        ids=[str(number) for number in pk.tolist()],
        visitors=visitors,
        items=items,
        visitor_rows=visitor_rows,
        item_rows=item_rows,
        stars=stars.astype(np.float32),
        times=times,
        texts=texts.tolist(),
        sentiment=sentiment.astype(np.float32),
        **_before(behind, visitors, items, visitor_rows, item_rows, times),
    )


def _before(
    behind: Activity,
    visitors: Ids,
    items: Ids,
    visitor_rows: NDArray[np.int32],
    item_rows: NDArray[np.int32],
    times: Ints,
) -> dict[str, NDArray[np.float32]]:
    """What each review's (R,) visitor had done by then: since when looking at the item, whether bought, and what else.

    NaN throughout where nobody's looks, or nobody's purchases, are on record: they say nothing then.
    """
    who, what = behind.visitors.rows(visitors.all), behind.items.rows(items.all)
    n, count = len(behind.items), len(times)
    wanted = who[visitor_rows].astype(np.int64) * n + what[item_rows]
    there = (who[visitor_rows] != UNKNOWN) & (what[item_rows] != UNKNOWN)

    def first(kinds: list[int]) -> NDArray[np.float32]:
        """Seconds since its visitor's first such event with the item; infinite without, NaN where nobody has any."""
        places = np.flatnonzero(np.isin(behind.kinds, kinds))
        if not len(places):
            return np.full(count, np.nan, dtype=np.float32)
        pairs, at = np.unique(
            behind.visitor_rows[places].astype(np.int64) * n + behind.item_rows[places], return_index=True
        )  # the first of each: events are in order of time
        spot = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        since = (times - behind.times[places[at[spot]]]).astype(np.float32)
        return np.where(there & (pairs[spot] == wanted) & (since >= 0), since, np.inf).astype(np.float32)

    bought = first([PURCHASE])
    other = np.bincount(behind.visitor_rows[~np.isin(behind.kinds, [0, RATING])], minlength=len(behind.visitors))
    steps = np.where(who[visitor_rows] == UNKNOWN, 0, other[who[visitor_rows]]).astype(np.float32)
    return {
        "looked_s": first([VIEW, CLICK, CART, PURCHASE]),
        "bought": np.where(np.isnan(bought), np.nan, np.isfinite(bought)).astype(np.float32),
        "steps": steps if other.any() else np.full(count, np.nan, dtype=np.float32),
    }


def orders(behind: Activity | None = None) -> Orders:
    """Every order with its lines, and what its visitor had done before, by `behind`. Raises NoData."""
    texts = [Names() for _ in range(6)]  # visitor, e-mail, address, card, client, name
    fields = ("visitor_id", "email", "address", "payment", "client", "name")
    rows = Order.objects.order_by("placed_at", "id").values_list(
        "id", *fields, Cast("total", FloatField()), Microseconds("placed_at")
    )
    ids, coded, totals, moments = [], [], [], []
    for pk, *named, total, moment in _chunks(rows):
        ids += pk.tolist()
        coded.append(np.stack([names.codes(_folded(column)) for names, column in zip(texts, named, strict=True)]))
        totals.append(total.astype(np.float32))
        moments.append(moment.astype(np.int64) // 1_000_000)
    if not ids:
        raise NoData("Nobody has ordered yet.")
    codes = np.concatenate(coded, axis=1)
    for names, row in zip(texts[1:], codes[1:], strict=True):
        row[row == names.numbers.get("", MISSING)] = MISSING
    visitors, visitor_rows = texts[0].ids(codes[0])
    times = np.concatenate(moments)
    items, lines = _lines(ids)
    carted, first = (np.full(len(ids), np.nan, dtype=np.float64) for _ in range(2))
    if behind is not None:
        carted, first = _since(behind, visitors, visitor_rows, times)
    return Orders(
        ids=ids,
        visitors=visitors,
        visitor_rows=visitor_rows,
        times=times,
        totals=np.concatenate(totals),
        emails=codes[1],
        addresses=codes[2],
        cards=codes[3],
        clients=codes[4],
        names=codes[5],
        items=items,
        line_orders=lines[0],
        line_items=lines[1],
        quantities=lines[2],
        carted_s=carted,
        known_s=first,
        item_vectors=learned_vectors(items),
    )


def _lines(ids: list[str]) -> tuple[Ids, tuple[Ints, NDArray[np.int32], Ints]]:
    """The items of all lines; each line's order as a place in `ids`, its item's row, and its pieces."""
    place = {order_id: number for number, order_id in enumerate(ids)}
    what, parts = Names(), []
    for order_id, item, pieces in _chunks(
        OrderLine.objects.order_by("id").values_list("order_id", "item_id", "quantity")
    ):
        at = np.array([place.get(one, MISSING) for one in order_id.tolist()], dtype=np.int64)
        parts.append((at, what.codes(item), pieces.astype(np.int64)))
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Ids.of([]), (empty, empty.astype(np.int32), empty)
    at, item, pieces = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = at != MISSING  # an order placed while this was read
    items, item_rows = what.ids(item)
    return items, (at[kept], item_rows[kept], pieces[kept])


def _since(
    behind: Activity, visitors: Ids, visitor_rows: NDArray[np.int32], times: Ints
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds from its visitor's last cart event, and from the first event but purchases, to each order; or NaN."""
    who = behind.visitors.rows(visitors.all)[visitor_rows].astype(np.int64)
    start = int(min(behind.times.min(), times.min()))
    span = int(max(behind.times.max(), times.max())) - start + 1

    def last(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        keys = np.sort(behind.visitor_rows[mask] * np.int64(span) + behind.times[mask] - start)
        if not len(keys):
            return np.full(len(times), np.nan)
        place = np.searchsorted(keys, who * span + times - start, "right") - 1
        key = keys[np.maximum(place, 0)]
        mine = (who != UNKNOWN) & (place >= 0) & (key // span == who)
        return np.where(mine, times - start - key % span, np.nan)

    first = np.full(len(behind.visitors), np.inf)
    came = behind.kinds != PURCHASE  # an order's own purchases tell nothing
    np.minimum.at(first, behind.visitor_rows[came], behind.times[came])
    known = np.where(who == UNKNOWN, np.nan, times - first[np.maximum(who, 0)])
    return last(behind.kinds == CART), np.where(np.isfinite(known) & (known >= 0), known, np.nan)


def access(days: int = ACCESS_DAYS) -> Doors:
    """Log-ins and API use of the last days, by minute. Raises NoData."""
    rows = (
        Access.objects.filter(minute__gte=timezone.now() - timedelta(days=days))
        .order_by("minute", "id")
        .values_list("door", "who", "client", "requests", "failures", "targets", Microseconds("minute"))
    )
    names, clients, doors, parts = Names(), Names(), [], []
    for door, who, client, requests, failures, targets, minute in _chunks(rows):
        doors.append(door == Access.Door.LOG_IN)
        parts.append(
            np.stack(
                [
                    np.where(who == "", MISSING, names.codes(who)),
                    np.where(client == "", MISSING, clients.codes(client)),
                    *(column.astype(np.int64) for column in (requests, failures, targets)),
                    minute.astype(np.int64) // 1_000_000,
                ]
            )
        )
    if not parts:
        raise NoData("Nobody has logged in or used the API lately.")
    who, client, requests, failures, targets, minutes = np.concatenate(parts, axis=1)
    return Doors(
        names=list(names.numbers),
        clients=list(clients.numbers),
        name_rows=who,
        client_rows=client,
        log_ins=np.concatenate(doors).astype(bool),
        requests=requests,
        failures=failures,
        targets=targets,
        minutes=minutes,
    )


def _chunks(rows: QuerySet[Any, Any]) -> Iterator[NDArray[np.object_]]:
    """Rows as columns (F, R) of objects, CHUNK at a time."""
    left = rows.iterator(chunk_size=CHUNK)
    while chunk := list(islice(left, CHUNK)):
        yield np.array(chunk, dtype=object).T


def _folded(column: NDArray[np.object_]) -> NDArray[np.object_]:
    """Without what a person types differently from one day to the next: case and spaces."""
    return np.array([" ".join(text.split()).casefold() for text in column.tolist()], dtype=object)
