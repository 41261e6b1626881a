"""Why a recommendation stands there, in a sentence about what the visitor did."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.model import LiveModel
from recommender.engine.ranking.explain import explain
from recommender.models import Event, Item
from recommender.services import newcomers
from recommender.services.histories import History

POPULAR = "Popular with other shoppers"
NEW = "New in the shop"
VERBS = {
    Event.Kind.PURCHASE: "bought",
    Event.Kind.LIKE: "liked",
    Event.Kind.RATING: "rated",
    Event.Kind.CART: "chose",
    Event.Kind.CLICK: "looked at",
    Event.Kind.VIEW: "looked at",
}
"""What a visitor did with an item, the strongest first."""


def of_page(model: LiveModel, told: Histories, item_ids: Sequence[str], past: History) -> list[str]:
    """For each of these items, some of which the model may not know. `told` is what it knows of the history `past`."""
    rows = model.items.rows(item_ids)
    known = rows != UNKNOWN
    said = np.empty(len(rows), dtype=object)
    said[known] = of_rows(model, told, rows[known], past)
    new = [item_id for item_id, row in zip(item_ids, rows, strict=True) if row == UNKNOWN]
    said[~known] = of_newcomers(model, new, past)
    return said.tolist()


def of_rows(model: LiveModel, told: Histories, found: NDArray[np.int32], past: History) -> list[str]:
    """For each found row, the past item that adds most to its score."""
    strongest = [reasons[0] if reasons else None for reasons in explain(model.query, told, found, limit=1)]
    ids = {reason.item_row: model.items.id(reason.item_row) for reason in strongest if reason}
    said = dict(zip(ids, sentences(list(ids.values()), past, "Because you {verb} {title}"), strict=True))
    return [said[reason.item_row] if reason else POPULAR for reason in strongest]


def of_newcomers(model: LiveModel, item_ids: Sequence[str], past: History) -> list[str]:
    """For each of the shop's newcomers, the past item that is closest to it by what both say of themselves."""
    there = newcomers.of(model) if item_ids else None
    if there is None:
        return [NEW] * len(item_ids)
    closest = there.closest(item_ids, past)
    near = [item_id for item_id in closest if item_id]
    said = iter(sentences(near, past, "New, and close to {title} that you {verb}"))
    return [next(said) if item_id else NEW for item_id in closest]


def sentences(item_ids: Sequence[str], past: History, words: str) -> list[str]:
    """For each of these items of a history, `words` with its {title} and what the visitor did with it as {verb}."""
    titles = dict(Item.objects.filter(id__in=set(item_ids)).values_list("id", "title"))
    did: dict[str, set[str]] = {}
    for item_id, kind in zip(past.item_ids, past.kinds, strict=True):
        did.setdefault(item_id, set()).add(kind)

    def verb(item_id: str) -> str:
        return next((word for kind, word in VERBS.items() if kind in did[item_id]), "chose")

    return [words.format(title=titles[item_id], verb=verb(item_id)) for item_id in item_ids]
