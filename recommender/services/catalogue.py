"""The items on the shelves: what is in a category, what belongs to an item, and what staff should know of the shop."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Avg, Count, F, Q, QuerySet

from recommender.models import Category, Item, Review
from recommender.models.ids import validate_external_id
from recommender.services.errors import InvalidInput, UnknownItem

WRITABLE = ("title", "creator", "description", "price", "stock", "attributes", "active")
SORTS = {
    "title": ("title", "id"),
    "newest": ("-added_at", "id"),
    # Items with a price on request come last, whichever way the database would sort them.
    "price": (F("price").asc(nulls_last=True), "title", "id"),
    "price-down": (F("price").desc(nulls_last=True), "title", "id"),
}


def departments() -> list[Category]:
    """The categories without a parent, for every page's navigation."""
    return list(Category.objects.filter(parent=None))


def top_categories() -> list[Category]:
    """The categories without a parent, each with its children prefetched."""
    return list(Category.objects.filter(parent=None).prefetch_related("children"))


def visible_items() -> QuerySet[Item]:
    """Active items with what a card shows."""
    return Item.objects.filter(active=True).select_related("category").prefetch_related("pictures")


def in_category(category: Category, sort: str = "title") -> QuerySet[Item]:
    """A category's items and its children's, in one of SORTS' orders."""
    chosen = visible_items().filter(Q(category=category) | Q(category__parent=category))
    return chosen.order_by(*SORTS.get(sort, SORTS["title"]))


def item(item_id: str) -> Item:
    """Raises UnknownItem."""
    try:
        validate_external_id(item_id)  # PostgreSQL refuses a NUL character with an error of its own
    except ValidationError:
        raise UnknownItem(f"{item_id[:80]!r}.") from None
    found = Item.objects.select_related("category__parent").prefetch_related("pictures").filter(pk=item_id).first()
    if found is None:
        raise UnknownItem(f"{item_id[:80]!r}.")
    return found


def some(item_ids: Sequence[str]) -> list[Item]:
    """The active items of these, in their order."""
    found = {item.id: item for item in visible_items().filter(id__in=item_ids)}
    return [found[item_id] for item_id in item_ids if item_id in found]


def rating(item_id: str) -> dict[str, Any]:
    """{count, mean, shares}: the reviews shown for an item; shares maps 5..1 stars to their part (0 to 1)."""
    shown = Review.objects.filter(item_id=item_id, hidden=False)
    by_stars = dict(shown.values_list("stars").annotate(n=Count("id")).order_by())
    count = sum(by_stars.values())
    mean = sum(stars * n for stars, n in by_stars.items()) / count if count else None
    shares = {stars: by_stars.get(stars, 0) / count if count else 0.0 for stars in range(5, 0, -1)}
    return {"count": count, "mean": mean, "shares": shares}


def mean_ratings(item_ids: Sequence[str]) -> dict[str, tuple[float, int]]:
    """{item id: (mean stars, number of reviews)} in one query, for the cards of a page."""
    rows = Review.objects.filter(item_id__in=item_ids, hidden=False).values("item_id")
    return {
        row["item_id"]: (row["mean"], row["n"]) for row in rows.annotate(mean=Avg("stars"), n=Count("id")).order_by()
    }


@transaction.atomic
def put(item_id: str, values: Mapping[str, Any]) -> tuple[Item, bool]:
    """Create or change one item; returns it and whether it is new. Fields that are not given stay as they are.

    `category` is a slug; an unknown one is made, so that a catalogue can be sent item by item. Raises InvalidInput.
    """
    if strange := sorted(set(values) - {*WRITABLE, "category"}):
        raise InvalidInput(f"No such field: {', '.join(strange)}. Fields: {', '.join((*WRITABLE, 'category'))}.")
    found = Item.objects.filter(pk=item_id).first()
    made = found is None
    chosen = found or Item(id=item_id)
    for name in WRITABLE:
        if name in values:
            setattr(chosen, name, values[name])
    try:
        if values.get("category"):
            chosen.category = ensure_category(values["category"])
        chosen.full_clean()
    except ValidationError as error:
        raise InvalidInput(
            "; ".join(f"{name}: {' '.join(problems)}" for name, problems in error.message_dict.items())
        ) from error
    chosen.save(force_insert=made)
    return chosen, made


def ensure_category(slug: str, name: str = "", parent: Category | None = None, position: int = 0) -> Category:
    """The category with this slug, made if missing. Raises ValidationError when the slug is not one."""
    found = Category.objects.filter(pk=slug).first()
    if found is None:
        found = Category(slug=slug, name=name or slug.replace("-", " ").capitalize(), parent=parent, position=position)
        found.full_clean()
        found.save(force_insert=True)
    return found
