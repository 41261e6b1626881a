"""Recommendations from the live model and the visitor's latest events, with a fallback behind each tier.

Nothing is precomputed per visitor: the query vector is built from the events of the database at answer time, so the
first click of a guest changes the next page. Redis is not on this path.
"""

import logging
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from django.db.models import Count
from django.db.models.functions import Coalesce

from recommender.conf import conf
from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.errors import RecommenderError
from recommender.engine.model import LiveModel, open_model
from recommender.engine.ranking.diversify import diversify
from recommender.models import Event, Item, Run
from recommender.services import catalogue, clusters, histories, newcomers, publishing, reasons
from recommender.services.content import vectors
from recommender.services.errors import InvalidInput

log = logging.getLogger(__name__)

GROUP_SHARE = 0.5  # of a list of picks that may come from one group of items while others have something to offer
MAX_RESULTS = 100  # items of one answer; more than any shelf shows, and each is read from the database
POOL = 4  # candidates per wanted result, so that filters and diversity have something to choose from
OPEN_AGAIN_AFTER_S = 30.0  # seconds until an artifact that could not be opened is looked at again
SPARE = 4  # items fetched beyond the wanted ones, in place of those that are sold out
POPULAR_FOR_S = 60.0  # seconds a process keeps its list of popular items when no model serves
RELEVANCE = 0.8  # share of relevance against novelty within a list (lambda of maximal marginal relevance)
SEGMENT_TITLE = "Popular with shoppers like you"


@dataclass(frozen=True)
class Recommendation:
    item: Item
    position: int
    score: float
    reason: str


@dataclass(frozen=True)
class Shelf:
    """One answer: a row of recommendations that all came from one tier of one run."""

    name: str
    title: str
    tier: str
    """model, segment, similar, together, content, popular or catalogue."""
    run_id: int | None
    entries: list[Recommendation]
    rec_id: uuid.UUID = field(default_factory=uuid.uuid4)

    def __bool__(self) -> bool:
        return bool(self.entries)


@dataclass(frozen=True)
class Live:
    """The model that serves this request; taken once per request so that no page mixes two."""

    run_id: int | None
    model: LiveModel | None


_opened: dict[int, LiveModel] = {}
_broken: dict[int, float] = {}  # runs that could not be opened: when (monotonic seconds) to try again
_opening = threading.Lock()
_counts: dict[str | None, tuple[float, list[tuple[str, float]]]] = {}  # by category: when it was counted, and what


def live() -> Live:
    """The live run and its model, opened once per process. Without a usable one, (run_id, None) or (None, None)."""
    run_id = publishing.live_run_id()
    if run_id is None:
        return Live(None, None)
    model = _opened.get(run_id)
    if model is None:
        with _opening:
            model = _opened.get(run_id) or _open(run_id)
    return Live(run_id, model)


def _open(run_id: int) -> LiveModel | None:
    if time.monotonic() < _broken.get(run_id, 0.0):  # hashing a damaged artifact for every request would cost us dear
        return None
    artifact = Run.objects.values_list("artifact", flat=True).get(pk=run_id)
    try:
        model = open_model(conf().artifacts_dir / artifact)
    except (RecommenderError, OSError):
        log.exception("Run %s is live but cannot be opened; popular items serve instead.", run_id)
        _broken[run_id] = time.monotonic() + OPEN_AGAIN_AFTER_S
        return None
    _opened.clear()  # the previous model's files stay mapped until the last request that holds it is done
    _opened[run_id] = model
    return model


def recommend(
    visitor_id: str | None,
    n: int = 10,
    *,
    category: str | None = None,
    exclude: Collection[str] = (),
    past: histories.History | None = None,
    current: Live | None = None,
) -> Shelf:
    """What this visitor may like next: by the model if it knows anything of theirs, popular items otherwise.

    `past` and `current` are for callers that have them already. Raises InvalidInput for an `n` that is not from 1 to
    MAX_RESULTS, as all answers here do.
    """
    n = _checked(n)
    current = current or live()
    past = histories.read(visitor_id) if past is None else past
    if past and current.model is not None:
        try:
            if shelf := _by_model(current, past, n, category, exclude):
                return shelf
        except Exception:
            log.exception("The model of run %s failed; popular items serve instead.", current.run_id)
        if shelf := _by_segment(current, past, n, category, exclude):
            return shelf
    if past and (shelf := _by_content(past, n, category, exclude)):
        return shelf
    return popular(n, category=category, exclude={*exclude, *past.known}, current=current)


def _by_segment(
    current: Live, past: histories.History, n: int, category: str | None, exclude: Collection[str]
) -> Shelf | None:
    """What is popular in the visitor's group of shoppers; None where the run knows no groups or cannot tell theirs."""
    assert current.model is not None
    try:
        groups = clusters.of(current.model)
        segment = None if groups is None else groups.segment(_told(current.model, past))
        if groups is None or segment is None:
            return None
        rows = np.asarray(groups.favourites[segment])
        rows = rows[rows != UNKNOWN]
        takers = groups.takers[segment, : len(rows)].tolist()
        shut_out = {*exclude, *past.known}
        entries = filled(current.model.items.ids(rows), takers, n, shut_out, SEGMENT_TITLE, category)
    except Exception:
        log.exception("The groups of run %s cannot be used; popular items serve instead.", current.run_id)
        return None
    return Shelf("segment", SEGMENT_TITLE, "segment", current.run_id, entries) if entries else None


def _told(model: LiveModel, past: histories.History) -> Histories:
    """The part of a history that the model knows the items of."""
    rows = model.items.rows(past.item_ids)
    known = rows != UNKNOWN
    return Histories.single(rows[known], past.weights[known], past.times[known])


def _by_model(
    current: Live, past: histories.History, n: int, category: str | None, exclude: Collection[str]
) -> Shelf | None:
    model = current.model
    assert model is not None
    told = _told(model, past)
    _, place = np.unique(told.item_rows, return_inverse=True)
    if not (np.bincount(place, weights=told.weights) > 0).any():  # nothing that speaks for anything
        return None
    shut_out = np.zeros(len(model), dtype=bool)
    allowed = None
    if category:
        allowed = set(_ids_in(category))
        shut_out[:] = True
        shut_out[_rows(model, allowed)] = False
    out = {*past.known, *exclude}
    shut_out[_rows(model, out)] = True
    ranked, scored = model.recommend(told, n * POOL, exclude_rows=np.flatnonzero(shut_out))
    found, scores = ranked[0][ranked[0] != UNKNOWN], scored[0][ranked[0] != UNKNOWN]
    fresh = newcomers.beside(model, told, n, scores, allowed, out)
    item_ids = [*model.items.ids(found), *fresh.item_ids]
    items = _available(item_ids, category)
    places = np.flatnonzero([item_id in items for item_id in item_ids])
    if not len(places):
        return None
    new = np.arange(len(item_ids)) >= len(found)
    room = max(int(n * newcomers.SHARE), n - int(np.count_nonzero(~new[places])))
    vectors, labels = model.query.item_vectors, clusters.of(model)
    told_apart = None if vectors is None else np.concatenate((vectors[found], fresh.vectors))[places]
    grouped = None if labels is None else np.append(labels.labels[found], np.full_like(fresh.scores, -1))
    all_scores = np.append(scores, fresh.scores)
    order = diversify(
        all_scores[places],
        n + int(np.count_nonzero(new[places])),
        balance=RELEVANCE,
        vectors=told_apart,
        groups=None if grouped is None else grouped[places].astype(np.int32),
        most=max(1, round(n * GROUP_SHARE)),
    )
    chosen = places[order]
    chosen = chosen[~new[chosen] | (np.cumsum(new[chosen]) <= room)][:n]
    shown = [item_ids[place] for place in chosen]
    said = zip(shown, all_scores[chosen].tolist(), reasons.of_page(model, told, shown, past), strict=True)
    entries = [Recommendation(items[item], place, score, why) for place, (item, score, why) in enumerate(said, 1)]
    return Shelf("for-you", "Picked for you", "model", current.run_id, entries)


def _by_content(past: histories.History, n: int, category: str | None, exclude: Collection[str]) -> Shelf | None:
    """What is like the items of a history that no model knows, by what they say of themselves; None where nothing is
    known of those either."""
    try:
        found, cosines, nearest = newcomers.like_history(past, n * POOL * (POOL if category else 1), exclude)
        entries = filled(found, cosines.tolist(), n, {*past.known, *exclude}, category=category)
        near = [nearest[entry.item.pk] for entry in entries]
        said = reasons.sentences(near, past, "Close to {title} that you {verb}")
    except Exception:
        log.exception("The vectors of the catalogue failed; popular items serve instead.")
        return None
    told = [replace(entry, reason=reason) for entry, reason in zip(entries, said, strict=True)]
    return Shelf("for-you", "Picked for you", "content", None, told) if told else None


def _rows(model: LiveModel, item_ids: Iterable[str]) -> np.ndarray:
    rows = model.items.rows(item_ids)
    return rows[rows != UNKNOWN]


def similar(item_id: str, n: int = 10, *, exclude: Collection[str] = (), current: Live | None = None) -> Shelf:
    """Items that the same shoppers like; for an item that the model does not know, what is like it by itself, or else
    popular items of its category. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "similar")


def bought_together(item_id: str, n: int = 10, *, exclude: Collection[str] = (), current: Live | None = None) -> Shelf:
    """Items bought in the same basket more often than chance explains; empty where none is. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "together")


def _neighbours(item_id: str, n: int, exclude: Collection[str], current: Live, kind: str) -> Shelf:
    n = _checked(n)
    item = catalogue.item(item_id)
    shut_out = {item_id, *exclude}
    title, reason = {
        "similar": ("Similar items", f"Liked by those who like {item.title}"),
        "together": ("Often bought together", f"Bought together with {item.title}"),
    }[kind]
    found, scores = model_neighbours(item_id, n * POOL + len(shut_out), current, kind)
    entries = filled(found, scores, n, shut_out, reason)
    if entries or kind == "together":
        return Shelf(kind, title, kind, current.run_id if entries else None, entries)
    found, scores = content_neighbours(item_id, n * POOL, shut_out)
    if entries := filled(found, scores, n, shut_out, f"Much like {item.title}"):
        return Shelf(kind, title, "content", None, entries)
    return popular(
        n, category=item.category_id, exclude=shut_out, current=current, name=kind, title="You may also like"
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


def popular(
    n: int = 10,
    *,
    category: str | None = None,
    exclude: Collection[str] = (),
    current: Live | None = None,
    name: str = "popular",
    title: str = "Popular now",
) -> Shelf:
    """What most shoppers chose: by the live run's count, else by the event table, else the newest items."""
    n = _checked(n)
    current = current or live()
    if current.model is not None:
        try:
            found, counts = _most_popular(current.model, n * POOL + len(exclude), category)
            if entries := filled(found, counts, n, exclude, reasons.POPULAR, category):
                return Shelf(name, title, "popular", current.run_id, entries)
        except Exception:
            log.exception("The model of run %s failed; the event table serves instead.", current.run_id)
    counted = _counted(category)
    entries = filled(
        [item_id for item_id, _ in counted], [score for _, score in counted], n, exclude, reasons.POPULAR, category
    )
    if entries:
        return Shelf(name, title, "popular", None, entries)
    return newest(n, category=category, exclude=exclude, name=name, title=title)


def _most_popular(model: LiveModel, k: int, category: str | None) -> tuple[list[str], list[float]]:
    """Up to K item ids with the number of their shoppers, most first, among the model's items of a category or all."""
    rows, counts = model.popular(len(model) if category else k)
    if category:
        kept = np.flatnonzero(np.isin(rows, _rows(model, _ids_in(category))))[:k]
        rows, counts = rows[kept], counts[kept]
    return model.items.ids(rows), counts.tolist()


def newest(
    n: int = 10,
    *,
    category: str | None = None,
    exclude: Collection[str] = (),
    name: str = "new",
    title: str = reasons.NEW,
) -> Shelf:
    """What was added last: no judgement at all, so it serves where nothing is known yet."""
    items = catalogue.active_items(category).filter(active__in=[True])  # SQLite uses no index for a bare "active"
    latest = items.order_by("-added_at", "id").values_list("id", flat=True)
    found = list(latest[: _checked(n) * POOL + len(exclude)])
    entries = filled(found, [0.0] * len(found), n, exclude, reasons.NEW, category)
    return Shelf(name, title, "catalogue", None, entries)


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
    """Drop what this process remembers, so that no test sees what another one served."""
    _opened.clear()
    _broken.clear()
    _counts.clear()
    newcomers.forget()


def _ids_in(category: str) -> list[str]:
    return list(catalogue.active_items(category).values_list("id", flat=True))


def _available(item_ids: Sequence[str], category: str | None = None) -> dict[str, Item]:
    """The items of these that can be bought now, with what a card shows: truth at answer time."""
    items = catalogue.active_items(category).filter(id__in=item_ids).annotate(stock_now=Coalesce("stock", 1))
    return {item.id: item for item in catalogue.with_cards(items.filter(stock_now__gt=0))}


def filled(
    item_ids: Sequence[str],
    scores: Sequence[float],
    n: int,
    exclude: Collection[str] = (),
    reason: str = "",
    category: str | None = None,
) -> list[Recommendation]:
    """The first n of these candidates, best first, that can be bought now."""
    wanted = [(item_id, score) for item_id, score in zip(item_ids, scores, strict=True) if item_id not in exclude]
    kept: list[tuple[Item, float]] = []
    at_once = n + SPARE  # nearly always enough: the rest of the candidates is only fetched where much is sold out
    while wanted and len(kept) < n:
        items = _available([item_id for item_id, _ in wanted[:at_once]], category)
        kept += [(items[item_id], score) for item_id, score in wanted[:at_once] if item_id in items]
        wanted, at_once = wanted[at_once:], at_once * POOL
    kept = kept[:n]
    return [Recommendation(item, position, float(score), reason) for position, (item, score) in enumerate(kept, 1)]


def _checked(n: int) -> int:
    if not 1 <= n <= MAX_RESULTS:
        raise InvalidInput(f"n must be from 1 to {MAX_RESULTS}.")
    return n
