"""A shop as large as wanted, for measuring how it answers: vectors as ALS learns them, items, visitors, a live model.

No model is trained: that of a million items would take longer than everything measured with it. The vectors are drawn
so that what matters for a search is as in real ones or harder. ALS's of Gowalla (40,981 x 64, 10 sweeps; in brackets
what this world has at that size): lengths are lognormal with a spread of .8; the singular values of the directions fall
to .31 of the first; an item's neighbours have cosines of .95 (.91) for the 1st, .83 (.85) for the 100th and .42 (.3)
for the 1,000th; a history's 10th best score is .38 (.5) of its best, the 100th .14 (.23); and the best ten have cosines
of .94 (.6) with the history's vector, since a shopper here has three tastes and some accidents. More items are more
groups of the same size, which a search does not find easier.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

D = 64
GROUP = 150  # items that are alike, in the mean
VISITORS, EVENTS = 20_000, 30  # who asks, and what each did
CATEGORIES, DEPARTMENTS, CREATORS = 40, 8, 5000
SPREAD = 0.8  # of the logarithm of lengths
WORTH = {
    "model": 0.54,
    "similar": 0.1,
    "together": 0.02,
    "trending": 0.12,
    "new": 0.13,
    "cluster": 0.02,
    "popular": 0.07,
}
"""Of sources, as the demo shop's second run learned it."""
KINDS = ("view",) * 6 + ("click",) * 2 + ("cart", "like")


@dataclass(frozen=True)
class Vectors:
    items: NDArray[np.float32]
    """(N, D)."""
    groups: NDArray[np.int32]
    """(N,): which are alike."""
    lambda_: float


def vectors_of(n: int, d: int = D, seed: int = 42) -> Vectors:
    """Groups within wider ones, in a space whose directions differ in weight."""
    rng = np.random.default_rng(seed)
    weight = (np.linspace(1, 0.5, d)).astype(np.float32)
    wide = _unit(rng.normal(size=(max(8, round(0.5 * np.sqrt(n))), d)) * weight)
    size = rng.lognormal(0, 1, max(1, n // GROUP))
    parent = rng.integers(0, len(wide), len(size))
    centres = _unit(0.45 * wide[parent] + _unit(rng.normal(size=(len(size), d)) * weight))
    groups = rng.choice(len(size), n, p=size / size.sum()).astype(np.int32)
    apart = rng.lognormal(np.log(0.42), 0.3, len(size))[groups, None]  # how far a group's items are from its centre
    directions = _unit(centres[groups] + apart * _unit(rng.normal(size=(n, d)) * weight))
    lengths = 0.12 * rng.lognormal(0, SPREAD, (n, 1))
    items = (directions * lengths).astype(np.float32)
    return Vectors(items, groups, float(0.2 * np.square(items, dtype=np.float64).sum() / d))


def histories_of(vectors: Vectors, visitors: int = VISITORS, events: int = EVENTS, seed: int = 7) -> NDArray[np.int32]:
    """(V, L) rows: each visitor took popular items, which are the long ones, of three groups and some others."""
    rng = np.random.default_rng(seed)
    lengths = np.linalg.norm(vectors.items, axis=1)
    order = np.argsort(vectors.groups, kind="stable")
    starts = np.searchsorted(vectors.groups[order], np.arange(vectors.groups.max() + 2))
    taken = np.zeros((visitors, events), dtype=np.int32)
    anywhere = rng.choice(len(lengths), (visitors, events), p=lengths / lengths.sum())
    for visitor in range(visitors):
        for place in range(events):
            seed_row = anywhere[visitor, place % 3]
            if rng.random() < 0.2:
                taken[visitor, place] = anywhere[visitor, place]
                continue
            own = order[starts[vectors.groups[seed_row]] : starts[vectors.groups[seed_row] + 1]]
            taken[visitor, place] = own[_drawn(lengths[own], rng)]
    return taken


def _drawn(weights: NDArray[Any], rng: np.random.Generator) -> int:
    summed = np.cumsum(weights)
    return min(int(np.searchsorted(summed, rng.random() * summed[-1], side="right")), len(weights) - 1)


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def fill(vectors: Vectors, taken: NDArray[np.int32]) -> None:
    """The tables: items with prices, categories, stock and attributes, of which some are sold out or not active; the
    visitors and what they did, the last of it a minute ago."""
    from django.db import connection, transaction
    from django.utils import timezone

    from recommender.models import Category, Event, Item, Picture, Visitor

    rng, n = np.random.default_rng(3), len(vectors.items)
    above = [Category(slug=f"department-{k}", name=f"Department {k}") for k in range(DEPARTMENTS)]
    Category.objects.bulk_create(above)
    Category.objects.bulk_create(
        [
            Category(slug=f"category-{k}", name=f"Category {k}", parent=above[k % DEPARTMENTS], position=k)
            for k in range(CATEGORIES)
        ]
    )
    category = vectors.groups % CATEGORIES  # what is alike is of one category
    creator = (vectors.groups.astype(np.int64) * 7 + rng.integers(0, 12, n)) % CREATORS
    prices, stocks = rng.integers(199, 9999, n), rng.integers(0, 60, n)
    colours, pages = rng.integers(0, 5, n), rng.integers(60, 900, n)
    active = rng.random(n) > 0.02
    now = timezone.now()
    adapt = connection.ops.adapt_datetimefield_value

    def rows(start: int) -> list[tuple[Any, ...]]:
        return [
            (
                item_id(row),
                f"The {COLOURS[colours[row]]} thing number {row}",
                f"Maker {creator[row]}",
                "",
                f"category-{category[row]}",
                f"{prices[row] / 100:.2f}",
                int(stocks[row]),
                "",
                json.dumps({"colour": COLOURS[colours[row]], "pages": int(pages[row]), "tags": ["plain", "sold"]}),
                bool(active[row]),
                adapt(now - timedelta(minutes=row % 500_000)),
                adapt(now),
            )
            for row in range(start, min(start + AT_ONCE, n))
        ]

    columns = (
        "id, title, creator, description, category_id, price, stock, sound, attributes, active, added_at, updated_at"
    )
    places = ", ".join(["%s"] * 12)
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, n, AT_ONCE):
            cursor.executemany(f"INSERT INTO {Item._meta.db_table} ({columns}) VALUES ({places})", rows(start))
        cursor.executemany(
            f"INSERT INTO {Picture._meta.db_table} (item_id, file, alt, position) VALUES (%s, %s, '', 0)",
            ((item_id(row), f"pictures/{item_id(row)}.jpg") for row in range(n)),
        )
    Visitor.objects.bulk_create(Visitor(id=visitor_id(k), kind="external") for k in range(len(taken)))
    events = (
        (
            uuid.UUID(int=k * EVENTS + place + 1).hex,
            KINDS[(k + place) % len(KINDS)],
            visitor_id(k),
            item_id(int(row)),
            adapt(now - timedelta(minutes=1 + 7 * (EVENTS - place))),
            adapt(now),
        )
        for k, rows_of in enumerate(taken)
        for place, row in enumerate(rows_of)
    )
    columns = "event_id, kind, visitor_id, item_id, occurred_at, received_at, session, shelf, flag"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {Event._meta.db_table} ({columns}) VALUES (%s, %s, %s, %s, %s, %s, '', '', '')",
            list(events),
        )


COLOURS = ("blue", "green", "red", "white", "black")
AT_ONCE = 20_000


def item_id(row: int) -> str:
    return f"item-{row:07d}"


def visitor_id(number: int) -> str:
    return f"customer-{number}"


def publish(vectors: Vectors, taken: NDArray[np.int32], mixed: bool = True) -> Path:
    """An artifact as a training writes it, published. `mixed`: seven sources count, as a shop's own figures may say;
    otherwise the model alone, which is what serves where nothing speaks for others."""
    from recommender.conf import conf
    from recommender.engine.data.ids import Ids
    from recommender.engine.data.interactions import Interactions
    from recommender.engine.data.vectors import unit
    from recommender.engine.model import write_model
    from recommender.engine.ranking.sources import SOURCES
    from recommender.engine.trainers.als import AlsConfig
    from recommender.models import Run
    from recommender.services import publishing

    n = len(vectors.items)
    items = Ids(np.array([item_id(row).encode() for row in range(n)]))
    lengths = np.linalg.norm(vectors.items, axis=1)
    rng = np.random.default_rng(5)
    users, seen = 50_000, 40 * 50_000  # so that popularity and companions are of a shop's size
    order = np.argsort(vectors.groups, kind="stable")
    starts = np.searchsorted(vectors.groups[order], np.arange(vectors.groups.max() + 2))
    lead = rng.choice(n, seen // 10, p=lengths / lengths.sum())
    low, high = starts[vectors.groups[lead]], starts[vectors.groups[lead] + 1]
    rows = order[(low[:, None] + (rng.random((len(lead), 10)) ** 2 * (high - low)[:, None])).astype(np.int64)]
    who = np.repeat(np.arange(users), seen // users)
    data = Interactions.build(
        Ids(np.array([f"user-{k:06d}".encode() for k in range(users)])), items, who, rows.ravel(), baskets=who
    )
    facts: dict[str, Any] = {
        "groups": {"by": "behaviour", "items": [], "dense": [], "segments": [], "segment_sizes": []}
    }
    further: dict[str, NDArray[Any]] = {}
    units = unit(vectors.items)
    centres = unit(units[rng.choice(n, 12, replace=False)])
    near = np.argsort(-(centres @ units.T) * lengths, axis=1)[:, :200].astype(np.int32)
    further |= {
        "groups/items": vectors.groups,
        "groups/dense": vectors.groups,
        "groups/points": np.zeros((n, 2), np.float32),
        "groups/segments": centres,
        "groups/favourites": near,
        "groups/takers": np.tile(np.arange(200, 0, -1, dtype=np.int32), (12, 1)),
    }
    facts["mixer"] = {"kind": "first", "sources": list(SOURCES)}
    if mixed:
        worth = {
            "model": 0.54,
            "similar": 0.1,
            "together": 0.02,
            "trending": 0.12,
            "new": 0.13,
            "cluster": 0.02,
            "popular": 0.07,
        }
        further["mixer/weights"] = np.array(
            [[worth.get(name, 0) * part for name in SOURCES] for part in (0.3, 0.6, 0.1)], np.float32
        )
        facts["mixer"]["kind"] = "weights"
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact="run-benchmark")
    learned = {"item_vectors": vectors.items, "lambda": np.array(vectors.lambda_, np.float32)}
    path = write_model(
        conf().artifacts_dir,
        "run-benchmark",
        "als",
        AlsConfig(),
        learned,
        data,
        purchases=data,
        manifest=facts,
        further=further,
    )
    publishing.publish(run.pk, "benchmark")
    return path
