"""Why something is recommended to somebody: which of the things they did, and how much each counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.ranking import explain
from recommender.models import Item
from recommender.services import catalogue, controls, histories, reasons, rules
from recommender.services.serving import candidates
from recommender.services.serving.answers import Shelf
from recommender.services.serving.live_model import Live, live
from recommender.services.serving.personal import NAME, terms_of

MOST = 5  # past items named
EXACT = frozenset({"als", "ease", "item_knn", "spectral", "item2vec", "bpr", "lmf", "matrix", "popularity"})
"""Trainers whose scores are sums over the history, so that shares are exact; of the others they are attributions."""


@dataclass(frozen=True)
class Share:
    """A past item's part of what speaks for a recommendation."""

    item_id: str
    title: str
    verb: str
    """bought, liked, ..."""
    share: float
    """0 to 1, of all that speaks for it."""


@dataclass(frozen=True)
class Why:
    shares: list[Share]
    """The weightiest first; empty where nothing the visitor did is behind it."""
    source: str
    rules: tuple[str, ...]
    """Business rules that act on it."""
    exact: bool
    """Whether the shares are the model's own sum, as against an attribution."""
    chance: float | None = None


def why(visitor_id: str | None, item_id: str, *, current: Live | None = None, shelf: str = NAME) -> Why:
    """What stands behind recommending this item to this visitor now. Raises UnknownItem."""
    current = current or live(visitor_id)
    terms = terms_of(visitor_id, shelf)
    past = histories.read(visitor_id, terms.wishes)
    item = catalogue.item(item_id)
    named = rules.apply(terms.acting, [item], np.ones(1, np.float32)).named[0] if terms.acting else ()
    return replace(_shares(current, past, [item])[0], rules=named)


def behind(visitor_id: str | None, shelf: Shelf, current: Live) -> list[Why]:
    """The same for each item of one answer that `current` gave."""
    if shelf.tier != "model":
        return [Why([], shelf.tier, entry.rules, True, entry.chance) for entry in shelf.entries]
    past = histories.read(visitor_id, controls.read(visitor_id))
    found = _shares(current, past, [entry.item for entry in shelf.entries])
    return [
        replace(one, source=entry.source, rules=entry.rules, chance=entry.chance)
        for one, entry in zip(found, shelf.entries, strict=True)
    ]


def _shares(current: Live, past: histories.History, items: Sequence[Item]) -> list[Why]:
    model = current.model
    found = [Why([], "popular", (), True) for _ in items]
    if model is None or not past:
        return found
    known = candidates.told(model, past)
    rows = model.items.rows([item.pk for item in items])
    places = np.flatnonzero(rows != UNKNOWN)
    if not candidates.speaks(known) or not len(places):
        return found
    exact = model.manifest["trainer"] in EXACT
    parts = explain.shares(model.query, known, rows[places])
    behind = {row for part in parts for row, _ in part[:MOST]}
    ids = {row: model.items.id(row) for row in behind}
    said = reasons.described(list(ids.values()), past)
    for place, part in zip(places.tolist(), parts, strict=True):
        shares = [Share(ids[row], *said[ids[row]], round(float(share), 4)) for row, share in part[:MOST]]
        found[place] = Why(shares, "model", (), exact)
    return found
