"""The items on the shelves: what is in a category, what belongs to an item, and what staff should know of the shop."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Avg, Count, F, Q, QuerySet
from django.utils import timezone

from recommender.models import Category, Event, Item, OrderLine, Review
from recommender.models.ids import is_external_id, validate_external_id
from recommender.services.errors import InvalidInput, UnknownCategory, UnknownItem
from recommender.services.texts import storable

TEXTS = ("title", "creator", "description")
WRITABLE = (*TEXTS, "price", "stock", "attributes", "active")
SORTS = {
    "title": ("title", "id"),
    "newest": ("-added_at", "id"),
    # Items with a price on request come last, whichever way the database would sort them.
    "price": (F("price").asc(nulls_last=True), "title", "id"),
    "price-down": (F("price").desc(nulls_last=True), "title", "id"),
}
MAX_ATTRIBUTES_BYTES = 65_536  # of an item's attributes as JSON


def departments() -> QuerySet[Category]:
    """The categories without a parent."""
    return Category.objects.filter(parent=None)


def stands_in(category: str, path: str = "") -> Q:
    """The condition that an item stands in the category of this slug or in one below it.

    `path` leads from the table that is asked to the item, such as "item__".
    """
    return Q(**{f"{path}category_id": category}) | Q(**{f"{path}category__parent_id": category})


def active_items(category: str | None = None) -> QuerySet[Item]:
    """What the shop shows: of one category, given by its slug, and of those below it, or of all."""
    items = Item.objects.filter(active=True)
    return items.filter(stands_in(category)) if category else items


def with_cards(items: QuerySet[Item]) -> QuerySet[Item]:
    """The items with what a card shows of them."""
    return items.select_related("category").prefetch_related("pictures")


def in_category(category: Category, sort: str = "title") -> QuerySet[Item]:
    """A category's items and its children's, with what a card shows, in one of SORTS' orders."""
    return with_cards(active_items(category.pk)).order_by(*SORTS.get(sort, SORTS["title"]))


def item(item_id: str) -> Item:
    """Active or not. Raises UnknownItem."""
    items = Item.objects.select_related("category__parent").prefetch_related("pictures")
    # Not asked for what is no id: PostgreSQL refuses a NUL character with an error of its own.
    found = items.filter(pk=item_id).first() if is_external_id(item_id) else None
    if found is None:
        raise UnknownItem(f"Nothing here has the id {item_id[:80]!r}.")
    return found


def category(slug: str) -> Category:
    """Raises UnknownCategory."""
    found = Category.objects.select_related("parent").filter(pk=slug).first() if storable(slug) else None
    if found is None:
        raise UnknownCategory(f"None is called {slug[:80]!r}.")
    return found


def some(item_ids: Sequence[str]) -> list[Item]:
    """The active items of these, in their order."""
    found = {item.id: item for item in with_cards(active_items()).filter(id__in=item_ids)}
    return [found[item_id] for item_id in item_ids if item_id in found]


def rating(item_id: str) -> dict[str, Any]:
    """{count, mean, shares}: the reviews shown for an item; shares maps 5..1 stars to their part (0 to 1)."""
    shown = Review.objects.filter(item_id=item_id, hidden=False, held="")
    by_stars = dict(shown.values_list("stars").annotate(n=Count("id")).order_by())
    count = sum(by_stars.values())
    mean = sum(stars * n for stars, n in by_stars.items()) / count if count else None
    shares = {stars: by_stars.get(stars, 0) / count if count else 0.0 for stars in range(5, 0, -1)}
    return {"count": count, "mean": mean, "shares": shares}


def mean_ratings(item_ids: Sequence[str]) -> dict[str, tuple[float, int]]:
    """{item id: (mean stars, number of reviews)} in one query, for the cards of a page."""
    rows = Review.objects.filter(item_id__in=item_ids, hidden=False, held="").values("item_id")
    return {
        row["item_id"]: (row["mean"], row["n"]) for row in rows.annotate(mean=Avg("stars"), n=Count("id")).order_by()
    }


def put(item_id: str, values: Mapping[str, Any]) -> tuple[Item, bool]:
    """Create or change one item; returns it and whether it is new. Fields that are not given stay as they are.

    `category` is a slug; an unknown one is made, so that a catalogue can be sent item by item; None takes the item out
    of its category. Raises InvalidInput.
    """
    if strange := sorted(set(values) - {*WRITABLE, "category"}):
        raise InvalidInput(f"No such field: {', '.join(strange)}. Fields: {', '.join((*WRITABLE, 'category'))}.")
    try:
        validate_external_id(item_id)
    except ValidationError as error:
        raise InvalidInput(f"item_id: {' '.join(error.messages)}") from error
    _check_texts(values)
    check_attributes(values.get("attributes"))
    for _ in range(2):  # another request may make the category, and then the item, at this very moment
        with suppress(IntegrityError):
            return _put(item_id, values)
    return _put(item_id, values)


@transaction.atomic
def _put(item_id: str, values: Mapping[str, Any]) -> tuple[Item, bool]:
    # Locked, so that what is written back does not undo what an order takes from the stock meanwhile.
    found = Item.objects.select_for_update().filter(pk=item_id).first()
    made = found is None
    chosen = found or Item(id=item_id)
    for name in WRITABLE:
        if name in values:
            setattr(chosen, name, values[name])
    try:
        if "category" in values:
            chosen.category = ensure_category(values["category"]) if values["category"] else None
        chosen.full_clean(validate_unique=False)  # its id may be taken meanwhile: the insert tells
    except ValidationError as error:
        raise InvalidInput(
            "; ".join(f"{name}: {' '.join(problems)}" for name, problems in error.message_dict.items())
        ) from error
    chosen.save(force_insert=made)
    return chosen, made


def set_active(items: QuerySet[Item], active: bool) -> int:
    """Show items in the shop, or hide them and keep their history; returns how many."""
    return items.update(active=active, updated_at=timezone.now())


def touch(items: QuerySet[Item]) -> int:
    """Note that what belongs to them changed (a picture, their category's name), for those that ask what is new."""
    return items.update(updated_at=timezone.now())


def in_use(item: Item) -> bool:
    """Whether events or orders point at it, so that it is to be deactivated rather than deleted."""
    return Event.objects.filter(item=item).exists() or OrderLine.objects.filter(item=item).exists()


def _check_texts(values: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what some database would refuse or turn into another text."""
    for name in (*TEXTS, "category"):
        value = values.get(name)
        if not isinstance(value, str | None):
            raise InvalidInput(f"{name} must be a text.")
        if not storable(value):
            raise InvalidInput(f"{name} must be a text without NUL or broken characters.")


def check_attributes(values: Any) -> None:
    """Raises InvalidInput for what a JSON column of some database would refuse."""
    refused = "attributes must be JSON without NaN, infinity, NUL or broken characters."
    try:
        text = json.dumps(values, allow_nan=False)
        if not storable(values):
            raise InvalidInput(refused)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(refused) from error
    if not isinstance(values, Mapping | None):
        raise InvalidInput('attributes must be an object, such as {"format": "A3"}.')
    if len(text) > MAX_ATTRIBUTES_BYTES:
        raise InvalidInput(f"attributes must be at most {MAX_ATTRIBUTES_BYTES:,} bytes of JSON.")


def ensure_category(slug: str, name: str = "", parent: Category | None = None, position: int = 0) -> Category:
    """The category with this slug, made if missing. Raises ValidationError when the slug is not one."""
    found = Category.objects.filter(pk=slug).first()
    if found is None:
        found = Category(slug=slug, name=name or slug.replace("-", " ").capitalize(), parent=parent, position=position)
        found.full_clean(validate_unique=False)
        found.save(force_insert=True)
    return found
