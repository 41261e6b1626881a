"""What is true of items now: one query, on the path of every answer.

The query is written out, since Django takes longer to write it than a database to answer it. The items come with what a
card shows: their category, of their pictures the first, and the mean of their reviews where that is asked for.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model
from django.db.models.base import ModelState

from recommender.models import Category, Item, Picture, Review
from recommender.services.rows import fetched

M = TypeVar("M", bound=Model)
SHOWN = ("id", "title", "creator", "category_id", "price", "stock", "sound", "active")
FIELDS = (*SHOWN, "attributes", "added_at")  # what takes long to read comes last
ITEMS, CATEGORIES, PICTURES, REVIEWS = (model._meta.db_table for model in (Item, Category, Picture, Review))
CATEGORY = f", c.name, c.parent_id, c.position FROM {ITEMS} i LEFT JOIN {CATEGORIES} c ON c.slug = i.category_id"
CARD = f"""
    , c.name, c.parent_id, c.position, p.id, p.file, p.alt
    FROM {ITEMS} i
    LEFT JOIN {CATEGORIES} c ON c.slug = i.category_id
    LEFT JOIN {PICTURES} p ON p.id =
        (SELECT first.id FROM {PICTURES} first WHERE first.item_id = i.id ORDER BY first.position, first.id LIMIT 1)
"""  # noqa: S608  names of tables and columns only
OPEN = f"FROM {REVIEWS} r WHERE r.item_id = i.id AND NOT r.hidden AND r.held = ''"
STARS = f", (SELECT AVG(r.stars) {OPEN}), (SELECT COUNT(*) {OPEN})"


def read(item_ids: Collection[str], *, stars: bool = False, whole: bool = True) -> dict[str, Item]:
    """These items as they are now, whether or not they can be bought. Unless `whole`, attributes, moments and pictures
    are left for queries of their own, if anybody asks."""
    if not item_ids:
        return {}
    wanted = f"WHERE i.id IN ({', '.join(['%s'] * len(item_ids))})"
    return {item.pk: item for item in _items(wanted, list(item_ids), stars, FIELDS if whole else SHOWN)}


def latest(k: int, category: str | None = None, *, stars: bool = False) -> list[Item]:
    """The K items that were added last, of those that can be bought."""
    within = "AND (c.slug = %s OR c.parent_id = %s)" if category else ""
    # SQLite uses no index for a bare "active".
    active = "i.active IN (1)" if connection.vendor == "sqlite" else "i.active"
    wanted = f"WHERE {active} AND (i.stock IS NULL OR i.stock > 0) {within} ORDER BY i.added_at DESC, i.id LIMIT %s"
    return list(_items(wanted, [*([category] * 2 if category else []), k], stars))


def is_for_sale(item: Item, category: str | None = None) -> bool:
    """Whether a list may show it: active, not sold out, and of the category or one below it."""
    if not (item.active and item.in_stock):
        return False
    return category is None or category in (item.category_id, item.category.parent_id if item.category else None)


def add_pictures(items: Collection[Item]) -> None:
    """What `read` left out for them: the picture of each one's card."""
    if not items:
        return
    wanted = f"WHERE item_id IN ({', '.join(['%s'] * len(items))}) ORDER BY position, id"
    query = f"SELECT id, item_id, file, alt FROM {PICTURES} {wanted}"  # noqa: S608
    rows = fetched(query, [item.pk for item in items], Picture)
    first: dict[str, Picture] = {}
    for picture_id, item_id, file, alt in rows:
        if item_id not in first:
            first[item_id] = _picture(picture_id, item_id, file, alt, connection.alias)
    for item in items:
        item.__dict__["_prefetched_objects_cache"] = {"pictures": [first[item.pk]] if item.pk in first else []}


def _items(wanted: str, values: Sequence[Any], stars: bool, names: tuple[str, ...] = FIELDS) -> Iterator[Item]:
    card = CARD if names is FIELDS else CATEGORY
    if stars:
        card = card.replace("c.position", f"c.position{STARS}", 1)
    known: dict[str, Category] = {}
    alias, n = connection.alias, len(names)
    for row in fetched(f"SELECT i.{', i.'.join(names)} {card} {wanted}", values, Item, names):
        item = _made(Item, dict(zip(names, row, strict=False)), alias)
        name, parent_id, position, *more = row[n:]
        if stars:
            item.mean_stars, item.review_count, *more = more  # type: ignore[attr-defined]  # as an annotation would
        slug = item.category_id
        if slug is not None:
            if slug not in known:
                facts = {"slug": slug, "name": name, "parent_id": parent_id, "position": position}
                known[slug] = _made(Category, facts, alias)
            item._state.fields_cache["category"] = known[slug]
        if more:
            pictures = [] if more[0] is None else [_picture(more[0], item.pk, more[1], more[2], alias)]
            item.__dict__["_prefetched_objects_cache"] = {"pictures": pictures}
        yield item


def _picture(picture_id: int, item_id: str, file: str, alt: str, alias: str) -> Picture:
    return _made(Picture, {"id": picture_id, "item_id": item_id, "file": file, "alt": alt}, alias)


def _made(kind: type[M], values: dict[str, Any], alias: str) -> M:
    """A row's object as Django makes it, which asks the signals' receivers of each: there are none, and half of an
    answer's time would go into it. Columns that are missing are read when they are asked for, as after `defer`."""
    made = kind.__new__(kind)
    made.__dict__ = values
    state = made._state = ModelState()
    state.adding, state.db, state.fields_cache = False, alias, {}
    return made
