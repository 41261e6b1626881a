"""Why a recommendation stands there, in a sentence about what the visitor did."""

from collections.abc import Collection, Mapping, Sequence

from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.model import LiveModel
from recommender.models import Event, Item
from recommender.services import newcomers
from recommender.services.histories import History

POPULAR = "Popular with other shoppers"
NEW = "New in the shop"
CHOSEN = "Chosen by the shop"
VERBS = {
    Event.Kind.PURCHASE: "bought",
    Event.Kind.LIKE: "liked",
    Event.Kind.RATING: "rated",
    Event.Kind.CART: "chose",
    Event.Kind.CLICK: "looked at",
    Event.Kind.VIEW: "looked at",
}
"""What a visitor did with an item, the strongest first."""


def of_page(
    model: LiveModel, item_ids: Sequence[str], causes: Mapping[str, str], titles: Mapping[str, str], past: History
) -> list[str]:
    """For each of these items, some of which the model may not know: by `causes`, the past item that adds most to its
    score, of which `titles` are known already."""
    verbs = _verbs(past)
    new = [item_id for item_id in item_ids if item_id not in causes and model.items.row(item_id) == UNKNOWN]
    of_new = dict(zip(new, of_newcomers(model, new, past), strict=True))
    said = []
    for item_id in item_ids:
        cause = causes.get(item_id)
        if cause is not None and cause in titles:
            said.append(f"Because you {_verb(verbs, cause)} {titles[cause]}")
        else:
            said.append(of_new.get(item_id, POPULAR))
    return said


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
    said = described(item_ids, past)
    return [words.format(title=said[item_id][0], verb=said[item_id][1]) for item_id in item_ids]


def described(item_ids: Collection[str], past: History) -> dict[str, tuple[str, str]]:
    """Of each of these items of a history, its title and what the visitor did with it, the strongest."""
    titles = dict(Item.objects.filter(id__in=set(item_ids)).values_list("id", "title")) if item_ids else {}
    did = _verbs(past)
    return {item_id: (titles[item_id], _verb(did, item_id)) for item_id in item_ids}


def _verbs(past: History) -> dict[str, set[str]]:
    """What the visitor did with each item."""
    did: dict[str, set[str]] = {}
    for item_id, kind in zip(past.item_ids, past.kinds, strict=True):
        did.setdefault(item_id, set()).add(kind)
    return did


def _verb(did: Mapping[str, set[str]], item_id: str) -> str:
    return next((word for kind, word in VERBS.items() if kind in did[item_id]), "chose")
