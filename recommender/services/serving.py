"""Recommendations from the live model and the visitor's latest events, with a fallback behind each tier.

Nothing is precomputed per visitor: the query vector is built from the events of the database at answer time, so the
first click of a guest changes the next page. Redis is not on this path.
"""

import logging
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from django.db.models import Count
from django.db.models.functions import Coalesce

from recommender.conf import conf
from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.errors import RecommenderError
from recommender.engine.model import LiveModel, open_model
from recommender.engine.ranking.diversify import diversify
from recommender.engine.ranking.explain import explain
from recommender.models import Event, Item, Run
from recommender.services import catalogue, histories, publishing
from recommender.services.errors import InvalidInput

log = logging.getLogger(__name__)

MAX_RESULTS = 100  # items of one answer; more than any shelf shows, and each is read from the database
POOL = 4  # candidates per wanted result, so that filters and diversity have something to choose from
OPEN_AGAIN_AFTER_S = 30.0  # seconds until an artifact that could not be opened is looked at again
SPARE = 4  # items fetched beyond the wanted ones, in place of those that are sold out
POPULAR_FOR_S = 60.0  # seconds a process keeps its list of popular items when no model serves
RELEVANCE = 0.8  # share of relevance against novelty within a list (lambda of maximal marginal relevance)
POPULAR_REASON = "Popular with other shoppers"
NEW_REASON = "New in the shop"
VERBS = {
    Event.Kind.PURCHASE: "bought",
    Event.Kind.LIKE: "liked",
    Event.Kind.RATING: "rated",
    Event.Kind.CART: "chose",
    Event.Kind.CLICK: "looked at",
    Event.Kind.VIEW: "looked at",
}
"""What a visitor did with an item, the strongest first, in the words of a reason."""


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
    """model, similar, together, popular or catalogue."""
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
    return popular(n, category=category, exclude={*exclude, *past.known}, current=current)


def _by_model(
    current: Live, past: histories.History, n: int, category: str | None, exclude: Collection[str]
) -> Shelf | None:
    model = current.model
    assert model is not None
    rows = model.items.rows(past.item_ids)
    known = rows != UNKNOWN
    told = Histories.single(rows[known], past.weights[known], past.times[known])
    _, place = np.unique(told.item_rows, return_inverse=True)
    if not (np.bincount(place, weights=told.weights) > 0).any():  # nothing that speaks for anything
        return None
    shut_out = np.zeros(len(model), dtype=bool)
    if category:
        shut_out[:] = True
        shut_out[_rows(model, _ids_in(category))] = False
    shut_out[_rows(model, [*past.known, *exclude])] = True
    ranked, scored = model.recommend(told, n * POOL, exclude_rows=np.flatnonzero(shut_out))
    ranked, scored = ranked[0], scored[0]
    items = _available(model.items.ids(ranked[ranked != UNKNOWN]), category)
    places = [k for k, row in enumerate(ranked) if row != UNKNOWN and model.items.id(row) in items]
    if not places:
        return None
    found, scores = ranked[places], scored[places]
    vectors = model.query.item_vectors
    order = diversify(scores, n, balance=RELEVANCE, vectors=None if vectors is None else np.asarray(vectors[found]))
    found, scores = found[order], scores[order]
    reasons = _reasons(model, told, found, past)
    entries = [
        Recommendation(items[model.items.id(row)], position, float(score), reason)
        for position, (row, score, reason) in enumerate(zip(found, scores, reasons, strict=True), 1)
    ]
    return Shelf("for-you", "Picked for you", "model", current.run_id, entries)


def _rows(model: LiveModel, item_ids: Iterable[str]) -> np.ndarray:
    rows = model.items.rows(item_ids)
    return rows[rows != UNKNOWN]


def _reasons(model: LiveModel, told: Histories, found: np.ndarray, past: histories.History) -> list[str]:
    """For each found row, the past item that adds most to its score, in a sentence."""
    strongest = [reasons[0] if reasons else None for reasons in explain(model.query, told, found, limit=1)]
    reason_ids = {reason.item_row: model.items.id(reason.item_row) for reason in strongest if reason}
    titles = dict(Item.objects.filter(id__in=reason_ids.values()).values_list("id", "title"))
    did: dict[str, set[str]] = {}
    for item_id, kind in zip(past.item_ids, past.kinds, strict=True):
        did.setdefault(item_id, set()).add(kind)

    def sentence(item_id: str) -> str:
        verb = next((word for kind, word in VERBS.items() if kind in did[item_id]), "chose")
        return f"Because you {verb} {titles[item_id]}"

    return [sentence(reason_ids[reason.item_row]) if reason else POPULAR_REASON for reason in strongest]


def similar(item_id: str, n: int = 10, *, exclude: Collection[str] = (), current: Live | None = None) -> Shelf:
    """Items that the same shoppers like. Falls back to popular items of the category. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "similar")


def bought_together(item_id: str, n: int = 10, *, exclude: Collection[str] = (), current: Live | None = None) -> Shelf:
    """Items bought in the same basket more often than chance explains; empty where none is. Raises UnknownItem."""
    return _neighbours(item_id, n, exclude, current or live(), "together")


def _neighbours(item_id: str, n: int, exclude: Collection[str], current: Live, kind: str) -> Shelf:
    n = _checked(n)
    item = catalogue.item(item_id)
    model = current.model
    shut_out = {item_id, *exclude}
    title, reason = {
        "similar": ("Similar items", f"Liked by those who like {item.title}"),
        "together": ("Often bought together", f"Bought together with {item.title}"),
    }[kind]
    entries: list[Recommendation] = []
    row = UNKNOWN if model is None else model.items.row(item_id)
    if model is not None and row != UNKNOWN:
        try:
            find = model.similar if kind == "similar" else model.together
            rows, scores = find(row, n * POOL + len(shut_out))
            entries = _entries(model.items.ids(rows), scores.tolist(), n, shut_out, reason)
        except Exception:
            log.exception("The model of run %s failed; popular items serve instead.", current.run_id)
    if entries or kind == "together":
        return Shelf(kind, title, kind, current.run_id if entries else None, entries)
    return popular(
        n, category=item.category_id, exclude=shut_out, current=current, name=kind, title="You may also like"
    )


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
            if entries := _entries(found, counts, n, exclude, POPULAR_REASON, category):
                return Shelf(name, title, "popular", current.run_id, entries)
        except Exception:
            log.exception("The model of run %s failed; the event table serves instead.", current.run_id)
    counted = _counted(category)
    entries = _entries(
        [item_id for item_id, _ in counted], [score for _, score in counted], n, exclude, POPULAR_REASON, category
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
    title: str = NEW_REASON,
) -> Shelf:
    """What was added last: no judgement at all, so it serves where nothing is known yet."""
    latest = catalogue.active_items(category).order_by("-added_at", "id").values_list("id", flat=True)
    found = list(latest[: _checked(n) * POOL + len(exclude)])
    entries = _entries(found, [0.0] * len(found), n, exclude, NEW_REASON, category)
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


def _ids_in(category: str) -> list[str]:
    return list(catalogue.active_items(category).values_list("id", flat=True))


def _available(item_ids: Sequence[str], category: str | None = None) -> dict[str, Item]:
    """The items of these that can be bought now, with what a card shows: truth at answer time."""
    items = catalogue.active_items(category).filter(id__in=item_ids).annotate(stock_now=Coalesce("stock", 1))
    return {item.id: item for item in catalogue.with_cards(items.filter(stock_now__gt=0))}


def _entries(
    item_ids: Sequence[str],
    scores: Sequence[float],
    n: int,
    exclude: Collection[str],
    reason: str,
    category: str | None = None,
) -> list[Recommendation]:
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
