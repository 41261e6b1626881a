"""Items that go with an item."""

import logging
from collections.abc import Collection
from dataclasses import replace

from recommender.engine.data.interactions import UNKNOWN
from recommender.services import catalogue
from recommender.services.content import vectors
from recommender.services.serving.answers import MAX_RESULTS, Recommendation, Shelf, checked
from recommender.services.serving.choosing import POOL, Terms, filled
from recommender.services.serving.lists import popular
from recommender.services.serving.live_model import Live, live

log = logging.getLogger(__name__)


def similar(
    item_id: str,
    n: int = 10,
    *,
    exclude: Collection[str] = (),
    current: Live | None = None,
    terms: Terms | None = None,
) -> Shelf:
    """Items that the same shoppers like; for an item that the model does not know, what is like it by itself, or else
    popular items of its category. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "similar", terms)


def bought_together(
    item_id: str,
    n: int = 10,
    *,
    exclude: Collection[str] = (),
    current: Live | None = None,
    terms: Terms | None = None,
) -> Shelf:
    """Items bought in the same basket more often than chance explains; empty where none is. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "together", terms)


def substitutes(
    item_id: str,
    n: int = 4,
    *,
    exclude: Collection[str] = (),
    current: Live | None = None,
    terms: Terms | None = None,
) -> Shelf:
    """What could be bought instead of something that is sold out: like it, of its category where that has any.
    Raises UnknownItem."""
    current = current or live()
    alike = _neighbours(item_id, min(checked(n) * POOL, MAX_RESULTS), exclude, current, "similar", terms)
    own = catalogue.item(item_id).category

    def strangeness(entry: Recommendation) -> int:
        """0 of the same category, 1 of the same department, 2 of another."""
        other = entry.item.category
        if own is None or other is None:
            return 2
        return 0 if other.pk == own.pk else 1 if (other.parent_id or other.pk) == (own.parent_id or own.pk) else 2

    first = sorted(alike.entries, key=strangeness)[:n]
    entries = [replace(entry, position=position) for position, entry in enumerate(first, 1)]
    return Shelf("substitutes", "Available instead", alike.tier, alike.run_id, entries)


def _neighbours(item_id: str, n: int, exclude: Collection[str], current: Live, kind: str, terms: Terms | None) -> Shelf:
    n = checked(n)
    item = catalogue.item(item_id)
    shut_out = {item_id, *exclude}
    title, reason = {
        "similar": ("Similar items", f"Liked by those who like {item.title}"),
        "together": ("Often bought together", f"Bought together with {item.title}"),
    }[kind]
    found, scores = model_neighbours(item_id, n * POOL + len(shut_out), current, kind)
    entries = filled(found, scores, n, shut_out, reason, terms=terms)
    if entries or kind == "together":
        return Shelf(kind, title, kind, current.run_id if entries else None, entries)
    found, scores = content_neighbours(item_id, n * POOL, shut_out)
    if entries := filled(found, scores, n, shut_out, f"Much like {item.title}", terms=terms):
        return Shelf(kind, title, "content", None, entries)
    return popular(
        n,
        category=item.category_id,
        exclude=shut_out,
        current=current,
        name=kind,
        title="You may also like",
        terms=terms,
    )


def model_neighbours(item_id: str, k: int, current: Live, kind: str = "similar") -> tuple[list[str], list[float]]:
    """Up to K items that the live model puts beside this one, with their scores; none where it does not know the item.

    `kind`: "similar", liked by the same shoppers, or "together", bought in the same basket.
    """
    model = current.model
    row = UNKNOWN if model is None else model.items.row(item_id)
    if model is None or row == UNKNOWN:
        return [], []
    try:
        rows, scores = (model.similar if kind == "similar" else model.together)(row, k)
    except Exception:
        log.exception("The model of run %s failed; the answer goes without it.", current.run_id)
        return [], []
    return model.items.ids(rows), scores.tolist()


def content_neighbours(item_id: str, k: int, exclude: Collection[str] = ()) -> tuple[list[str], list[float]]:
    """Up to K items that say, show and sound like this one, with their cosines; none where it is not encoded yet."""
    try:
        space = vectors.space("fused")
        query = None if space is None else space.vectors([item_id])[0]
        if space is None or query is None or not query.any():
            return [], []
        found, cosines = space.nearest(query, k, {item_id, *exclude})
    except Exception:
        log.exception("The vectors of the catalogue failed; the answer goes without them.")
        return [], []
    return found, cosines.tolist()
