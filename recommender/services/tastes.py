"""A new shopper's first word: a few items, as well known and as different as the shop has them, to say yes to.

What is picked becomes likes, which everything else already understands; they can be taken back, they alone.
"""

from collections.abc import Sequence

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from recommender.engine.ranking.diversify import diversify
from recommender.models import Event, Item, Visitor
from recommender.services import catalogue, clusters, events, serving
from recommender.services.content import vectors
from recommender.services.errors import InvalidInput

ENOUGH = 3  # picks that say something of a taste
OFFERED = 24  # items on a page; divides by 2, 3, 4 and 6 columns
PAGES = 4
WELL_KNOWN = 40  # of each department, the most popular, that are chosen from
DEPARTMENTS = 10  # that are chosen from, at most
FAME = 0.5  # what it counts that an item is well known, against that it is unlike the others
SHELF = "taste-picks"
"""Where these likes come from; no link carries it, so that no other like is taken for one of them."""


def choices(page: int = 1) -> tuple[list[Item], bool]:
    """The items of a page, from 1, none of which is on another; and whether another page follows. The same for
    everybody until the shop or its model changes."""
    items, fame = _well_known()
    if not items:
        return [], False
    item_ids = [item.pk for item in items]
    space = vectors.space("fused")
    groups = _groups(item_ids)
    shown = min(len(items), PAGES * OFFERED)
    order = diversify(
        np.array(fame, dtype=np.float32),
        shown,
        balance=FAME,
        vectors=None if space is None else space.vectors(item_ids),
        groups=groups,
        most=max(1, -(-shown // len(set(groups.tolist())))),
    )
    start = (page - 1) * OFFERED
    return [items[place] for place in order[start : start + OFFERED]], start + OFFERED < shown


def picked(visitor_id: str) -> list[Item]:
    """What this visitor picked so far, the latest first."""
    return catalogue.some(
        list(dict.fromkeys(_likes(visitor_id).order_by("-occurred_at").values_list("item_id", flat=True)))
    )


def pick(visitor: Visitor, item_ids: Sequence[str]) -> int:
    """Note that these items are liked; returns how many were not before. Unknown ones are left out.

    Raises InvalidInput where that makes fewer than ENOUGH, with those picked before.
    """
    found = catalogue.some(list(dict.fromkeys(item_ids))[: PAGES * OFFERED])
    before = {item.pk for item in picked(visitor.pk)}
    if len(before | {item.pk for item in found}) < ENOUGH:
        raise InvalidInput(f"Pick at least {ENOUGH}, so that a taste can be told from a coincidence.")
    noted = 0
    with transaction.atomic():
        for place, item in enumerate(found, 1):
            if events.opinion(visitor.pk, item.pk) != Event.Kind.LIKE:
                noted += events.record(
                    visitor, item, Event.Kind.LIKE, source=events.Source(shelf=SHELF, position=place)
                )
    return noted


def start_again(visitor_id: str) -> int:
    """Take the picks back, and nothing else; returns how many there were."""
    return _likes(visitor_id).delete()[0]


def _likes(visitor_id: str) -> QuerySet[Event]:
    return Event.objects.filter(visitor_id=visitor_id, kind=Event.Kind.LIKE, shelf=SHELF)


def _well_known() -> tuple[list[Item], list[float]]:
    """Popular items of each department and of the whole shop, and how well known each is there, from 0 to 1."""
    current = serving.live()
    fame: dict[str, float] = {}
    items: dict[str, Item] = {}
    for category in [None, *catalogue.departments().values_list("pk", flat=True)[:DEPARTMENTS]]:
        shelf = serving.popular(WELL_KNOWN, category=category, current=current)
        for place, entry in enumerate(shelf.entries):
            items[entry.item.pk] = entry.item
            fame[entry.item.pk] = max(fame.get(entry.item.pk, 0.0), 1 - place / WELL_KNOWN)
    return list(items.values()), list(fame.values())


def _groups(item_ids: Sequence[str]) -> np.ndarray:
    """The live model's group of each item, or else its category's; int32 (N,)."""
    model = serving.live().model
    groups = clusters.of(model)
    if model is not None and groups is not None:
        rows = model.items.rows(item_ids)
        return np.where(rows >= 0, groups.labels[rows], -1).astype(np.int32)
    categories = dict(Item.objects.filter(pk__in=item_ids).values_list("pk", "category_id"))
    return np.unique([str(categories.get(item_id)) for item_id in item_ids], return_inverse=True)[1].astype(np.int32)
