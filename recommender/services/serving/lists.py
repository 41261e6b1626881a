"""Lists that are the same for everybody: popular, trending, new; and one on disk, where nothing else can be read."""

import logging
import time
from collections.abc import Collection

from django.db.models import Count

from recommender.engine.model import LiveModel
from recommender.models import Event, Item, Picture
from recommender.services import catalogue, reasons, trending
from recommender.services.serving import truth
from recommender.services.serving.answers import MAX_RESULTS, Recommendation, Shelf, checked
from recommender.services.serving.choosing import POOL, Terms, filled
from recommender.services.serving.live_model import Live, live
from recommender.services.serving.narrowing import narrowed

log = logging.getLogger(__name__)

POPULAR_FOR_S = 60.0  # seconds a process keeps its list of popular items when no model serves

_counts: dict[str | None, tuple[float, list[tuple[str, float]]]] = {}  # by category: when it was counted, and what


def popular(
    n: int = 10,
    *,
    category: str | None = None,
    exclude: Collection[str] = (),
    current: Live | None = None,
    name: str = "popular",
    title: str = "Popular now",
    terms: Terms | None = None,
) -> Shelf:
    """What most shoppers chose: by the live run's count, else by the event table, else the newest items."""
    n = checked(n)
    current = current or live()
    if current.model is not None:
        try:
            found, counts = most_popular(current.model, n * POOL + len(exclude), category)
            if entries := filled(found, counts, n, exclude, reasons.POPULAR, category, terms):
                return Shelf(name, title, "popular", current.run_id, entries)
        except Exception:
            log.exception("The model of run %s failed; the event table serves instead.", current.run_id)
    counted = _counted(category)
    found, counts = [item_id for item_id, _ in counted], [score for _, score in counted]
    if entries := filled(found, counts, n, exclude, reasons.POPULAR, category, terms):
        return Shelf(name, title, "popular", None, entries)
    return newest(n, category=category, exclude=exclude, name=name, title=title, terms=terms)


def trends(
    n: int = 10, *, category: str | None = None, exclude: Collection[str] = (), terms: Terms | None = None
) -> Shelf:
    """What shoppers turned to in the last days; empty where too little happened."""
    found, scores = trending.trending(category)
    entries = filled(found, scores.tolist(), checked(n), exclude, "Many look at it these days", category, terms)
    return Shelf("trending", "Trending now", "trending", None, entries)


def newest(
    n: int = 10,
    *,
    category: str | None = None,
    exclude: Collection[str] = (),
    name: str = "new",
    title: str = reasons.NEW,
    terms: Terms | None = None,
) -> Shelf:
    """What was added last: no judgement at all, so it serves where nothing is known yet."""
    stars = terms is not None and terms.stars
    found = truth.latest(checked(n) * POOL + len(exclude), category, stars=stars)
    items = {item.pk: item for item in found}
    entries = filled(list(items), [0.0] * len(items), n, exclude, reasons.NEW, category, terms, items)
    return Shelf(name, title, "catalogue", None, entries)


def on_disk(n: int, *, category: str | None = None, exclude: Collection[str] = ()) -> Shelf:
    """What was popular when the database could last be read: nobody knows what is true of it now."""
    entries: list[Recommendation] = []
    for card in trending.on_disk():
        if len(entries) < n and card.item_id not in exclude and category in (None, card.category):
            item = Item(id=card.item_id, title=card.title, category_id=card.category, price=card.price)
            pictures = [Picture(file=card.image)] if card.image else []
            item._prefetched_objects_cache = {"pictures": pictures}  # type: ignore[attr-defined]  # Django's own name
            entries.append(Recommendation(item, len(entries) + 1, 0.0, reasons.POPULAR))
    return Shelf("popular", "Popular lately", "disk", None, entries)


def most_popular(model: LiveModel, k: int, category: str | None) -> tuple[list[str], list[float]]:
    """Up to K item ids with the number of their shoppers, most first, among the model's items of a category or all."""
    rows, counts = model.popular(len(model) if category else k)
    if category:
        kept = narrowed(model, category, None).mask[rows].nonzero()[0][:k]
        rows, counts = rows[kept], counts[kept]
    return model.items.ids(rows), counts.tolist()


def _counted(category: str | None) -> list[tuple[str, float]]:
    """(item id, visitors) of the items that most visitors bought or chose, most first; kept for a minute."""
    made, found = _counts.get(category, (0.0, []))
    if made and time.monotonic() - made < POPULAR_FOR_S:
        return found
    strong = (Event.Kind.PURCHASE, Event.Kind.CART, Event.Kind.LIKE, Event.Kind.VIEW, Event.Kind.CLICK)
    events = Event.objects.filter(kind__in=strong, item__active=True)
    if category:
        events = events.filter(catalogue.stands_in(category, "item__"))
    rows = events.values("item_id").annotate(n=Count("visitor_id", distinct=True)).order_by("-n", "item_id")
    found = [(row["item_id"], float(row["n"])) for row in rows[: MAX_RESULTS * POOL]]
    if found:  # an empty shop asks again at once, so that its first events show
        _counts[category] = (time.monotonic(), found)
    return found


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    _counts.clear()
