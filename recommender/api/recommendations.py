"""What to show. The hot path: no model of the answer is built, its bytes are."""

import math
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from recommender.api.auth import READ
from recommender.api.bodies import answer
from recommender.api.items import image_url, price_text
from recommender.api.schemas import Problem, Recommendations, SimilarItems
from recommender.services import alike, catalogue, people, serving
from recommender.services.serving import MAX_RESULTS, Recommendation, Shelf

router = Router(tags=["Recommendations"], auth=READ)

Count = Annotated[int, Query(10, ge=1, le=MAX_RESULTS, description="How many items at most.", example=10)]
Category = Annotated[
    str | None, Query(None, description="Only from this category and those under it.", example="prints")
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
) -> HttpResponse:
    """What this visitor may like next. Give either `user_id` or `session_id`.

    It is computed from the visitor's latest events, so an event posted now changes the next answer, without training.
    For a visitor nobody knows yet, and while there is no trained model, popular items serve.
    """
    visitor_id = people.client_visitor_id(user_id, session_id)
    return _shelf(serving.recommend(visitor_id, n, category=_known(category)))


@router.get("/popular", response=ANSWERS, summary="Popular items", operation_id="popular_items")
def popular(request: HttpRequest, n: Count = 10, category: Category = None) -> HttpResponse:
    """What most shoppers chose; the newest items while nobody has chosen anything."""
    return _shelf(serving.popular(n, category=_known(category)))


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
    shelf = alike.similar(item_id, n, by=by)
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
    return _shelf(serving.bought_together(item_id, n))


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
        "price": price_text(item),
        "category": item.category_id,
        "image": image_url(item),
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
