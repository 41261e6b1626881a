"""What to show. The hot path: no model of the answer is built, its bytes are."""

import math
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Path, Query, Router

from recommender.api.auth import READ, sent_key
from recommender.api.bodies import answer
from recommender.api.items import image_url, price_text
from recommender.api.recommendation_schemas import Recommendations, SimilarItems
from recommender.api.schemas import Problem
from recommender.models import ApiKey
from recommender.services import access, alike, catalogue, filtering, people, serving
from recommender.services.serving import MAX_RESULTS, Recommendation, Shelf

router = Router(tags=["Recommendations"], auth=READ)

Count = Annotated[int, Query(10, ge=1, le=MAX_RESULTS, description="How many items at most.", example=10)]
Category = Annotated[
    str | None, Query(None, description="Only from this category and those under it.", example="prints")
]
Filter = Annotated[
    str | None,
    Query(
        None,
        description="Only items of which this is true; see the guide to the filter language.",
        example="price < 20 and stock > 0",
        max_length=filtering.MAX_LENGTH,
    ),
]
ItemId = Annotated[str, Path(description="An item of the catalogue.", example="print-0042")]
ANSWERS = {200: Recommendations, 404: Problem}


@router.get("/recommendations", response=ANSWERS, summary="For a user or a session", operation_id="recommendations")
def recommendations(
    request: HttpRequest,
    user_id: Annotated[str | None, Query(None, description="Your id of a user.", example="customer-1001")] = None,
    session_id: Annotated[str | None, Query(None, description="Your id of an anonymous session.")] = None,
    n: Count = 10,
    category: Category = None,
    filter: Filter = None,
    explain: Annotated[
        bool, Query(False, description="Also say which past events stand behind each item, and their shares.")
    ] = False,
) -> HttpResponse:
    """What this visitor may like next. Give either `user_id` or `session_id`.

    It is computed from the visitor's latest events, so an event posted now changes the next answer, without training.
    For a visitor nobody knows yet, and while there is no trained model, popular items serve: `tier` says who did.
    """
    visitor_id = people.client_visitor_id(user_id, session_id)
    condition = None if filter is None else filtering.parse(filter)
    current = serving.live(visitor_id) if explain else None
    shelf = serving.recommend(visitor_id, n, category=_known(category), condition=condition, current=current)
    answered = as_json(shelf)
    if current is not None:
        for shown, behind in zip(answered["items"], serving.behind(visitor_id, shelf, current), strict=True):
            shown["behind"] = _behind(behind)
    return answer(answered)


def quickly(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Before ninja's view of the route above: the same answers to what is asked most, a visitor's id and perhaps a
    number, in a third of the time. Whatever is more than that, or not as it should be, is left to ninja."""

    @wraps(view)
    def quick(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asked, key = request.GET, sent_key(request)
        n = asked.get("n", "10")
        plain = asked.keys() <= PLAIN and all(len(values) == 1 for _, values in asked.lists())
        if request.method != "GET" or not key or not plain or n not in NUMBERS:
            return view(request, *args, **kwargs)
        access.require(access.authenticate(key), ApiKey.Scope.READ)
        visitor_id = people.client_visitor_id(asked.get("user_id"), asked.get("session_id"))
        return answer(as_json(serving.recommend(visitor_id, NUMBERS[n])))

    return quick


PLAIN = frozenset({"user_id", "session_id", "n"})
NUMBERS = {str(n): n for n in range(1, MAX_RESULTS + 1)}


@router.get("/popular", response=ANSWERS, summary="Popular items", operation_id="popular_items")
def popular(request: HttpRequest, n: Count = 10, category: Category = None) -> HttpResponse:
    """What most shoppers chose; the newest items while nobody has chosen anything."""
    return _shelf(serving.popular(n, category=_known(category), terms=serving.terms_of(None, "popular")))


@router.get("/trending", response=ANSWERS, summary="Trending items", operation_id="trending_items")
def trending(request: HttpRequest, n: Count = 10, category: Category = None) -> HttpResponse:
    """What shoppers turned to in the last days, by a count that halves every two; nothing where little happened."""
    return _shelf(serving.trends(n, category=_known(category), terms=serving.terms_of(None, "trending")))


@router.get(
    "/items/{item_id}/similar",
    response={200: SimilarItems, 404: Problem},
    summary="Similar items",
    operation_id="similar_items",
)
def similar(
    request: HttpRequest,
    item_id: ItemId,
    n: Count = 10,
    by: Annotated[
        alike.By, Query("both", description="By what items are, by what the same shoppers like, or by both.")
    ] = "both",
) -> HttpResponse:
    """Items like this one, and why. One that nobody has touched yet is like others by its content alone; where nothing
    at all is known of it, popular items of its category serve."""
    shelf = alike.similar(item_id, n, by=by, terms=serving.terms_of(None, "similar"))
    answered = as_json(shelf)
    for shown, entry in zip(answered["items"], shelf.entries, strict=True):
        shown["why"] = _why(entry.why) if isinstance(entry, alike.Alike) else None
    return answer(answered)


@router.get(
    "/items/{item_id}/bought-together",
    response=ANSWERS,
    summary="Items bought together",
    operation_id="items_bought_together",
)
def bought_together(request: HttpRequest, item_id: ItemId, n: Count = 10) -> HttpResponse:
    """What was in the same basket more often than chance explains; nothing where no item was."""
    return _shelf(serving.bought_together(item_id, n, terms=serving.terms_of(None, "together")))


@router.get(
    "/items/{item_id}/substitutes",
    response=ANSWERS,
    summary="What could be bought instead",
    operation_id="item_substitutes",
)
def substitutes(request: HttpRequest, item_id: ItemId, n: Count = 10) -> HttpResponse:
    """For an item that is sold out: items like it that can be bought, those of its category first."""
    return _shelf(serving.substitutes(item_id, n, terms=serving.terms_of(None, "substitutes")))


def _known(category: str | None) -> str | None:
    return None if category is None else catalogue.category(category).slug


def _shelf(shelf: Shelf) -> HttpResponse:
    return answer(as_json(shelf))


def as_json(shelf: Shelf) -> dict[str, Any]:
    """schemas.Recommendations of a shelf."""
    return {
        "rec_id": str(shelf.rec_id),
        "run_id": shelf.run_id,
        "tier": shelf.tier,
        "shelf": shelf.name,
        "title": shelf.title,
        "variant": shelf.variant or None,
        "items": [_entry(entry) for entry in shelf.entries],
    }


def _entry(entry: Recommendation) -> dict[str, Any]:
    item = entry.item
    return {
        "item_id": item.pk,
        "title": item.title,
        # JSON has no infinity; a score that is one says only that it is a bound.
        "score": round(entry.score, 6) if math.isfinite(entry.score) else 0.0,
        "position": entry.position,
        "reason": entry.reason,
        "source": entry.source or None,
        "rules": list(entry.rules),
        "chance": entry.chance,
        "price": price_text(item),
        "category": item.category_id,
        "image": image_url(item),
    }


def _behind(behind: serving.Why) -> dict[str, Any]:
    return {
        "exact": behind.exact,
        "events": [
            {"item_id": part.item_id, "title": part.title, "verb": part.verb, "share": part.share}
            for part in behind.shares
        ],
    }


def _why(why: alike.Why) -> dict[str, Any]:
    cosines = {name: getattr(why, name) for name in ("text", "image", "audio")}
    return {
        "shoppers": why.shoppers,
        "creator": why.creator,
        "category": why.category,
        "words": list(why.words),
        **{name: None if cosine is None else round(cosine, 4) for name, cosine in cosines.items()},
    }
