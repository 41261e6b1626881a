"""Search for a client's own page: items, facets and mended words; and suggestions while somebody types."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from recommender.api.auth import READ
from recommender.api.bodies import answer
from recommender.api.items import image_url, price_text
from recommender.api.schemas import Problem
from recommender.api.search_schemas import SearchAnswer, SuggestAnswer
from recommender.models import Item
from recommender.services import catalogue, people, search
from recommender.services.errors import InvalidInput
from recommender.services.search import CANDIDATES, MAX_LENGTH, Answer, Filters

router = Router(tags=["Search"], auth=READ)

MAX_RESULTS = 100  # items of one answer
MAX_VALUES = 20  # of one filter
Sort = Literal["relevance", "price", "price-down", "newest"]
Text = Annotated[
    str,
    Query("", description=f"What is searched for: any text, of which {MAX_LENGTH} characters are looked at.",
          example="harbour"),
]  # fmt: skip
Price = Annotated[Decimal | None, Query(None, ge=0, le=10**8, description="Items with a price on request have none.")]


@router.get(
    "/search", response={200: SearchAnswer, 404: Problem}, summary="Search", operation_id="search", url_name="search"
)
def find(
    request: HttpRequest,
    q: Text = "",
    limit: Annotated[int, Query(24, ge=1, le=MAX_RESULTS, description="How many items at most.", example=10)] = 24,
    offset: Annotated[int, Query(0, ge=0, le=CANDIDATES, description="How many to pass over.")] = 0,
    sort: Annotated[Sort, Query("relevance", description="In what order.")] = "relevance",
    category: Annotated[
        list[str], Query([], max_length=MAX_VALUES, description="Slugs: of these or below them. May be repeated.")
    ] = [],  # noqa: B006
    creator: Annotated[list[str], Query([], max_length=MAX_VALUES, description="May be repeated.")] = [],  # noqa: B006
    min_price: Price = None,
    max_price: Price = None,
    in_stock: Annotated[bool, Query(False, description="Only what can be bought now.")] = False,
    attribute: Annotated[
        list[str], Query([], max_length=MAX_VALUES, description="name:value, such as format:A3. May be repeated.")
    ] = [],  # noqa: B006
    user_id: Annotated[str | None, Query(None, description="Whose taste may order what is equally relevant.")] = None,
    session_id: Annotated[str | None, Query(None, description="The same, for an anonymous session.")] = None,
) -> HttpResponse:
    """Active items by their words, mended where they are misspelled, and by meaning where items have text vectors.

    The best 1,000 matches are what is narrowed down, counted and sorted. Send `rec_id`, `run_id`, `shelf` and
    `position` back with the events that follow.
    """
    if not q:
        raise InvalidInput("q: say what is searched for.")
    filters = Filters(
        tuple(catalogue.category(slug).slug for slug in category),
        tuple(creator),
        min_price,
        max_price,
        in_stock,
        _attributes(attribute),
    )
    visitor_id = people.client_visitor_id(user_id, session_id) if user_id or session_id else None
    found = search.search(q, filters, sort, visitor_id=visitor_id)
    return answer(_described(found, offset, limit))


@router.get("/search/suggest", response=SuggestAnswer, summary="Suggest searches", operation_id="suggest")
def suggest(request: HttpRequest, q: Text = "") -> HttpResponse:
    """Titles, creators and categories that hold the words so far; at most ten."""
    return answer(
        {
            "suggestions": [
                {
                    "kind": one.kind,
                    "text": one.text,
                    "item_id": one.id if one.kind == "title" else None,
                    "category": one.id if one.kind == "category" else None,
                }
                for one in search.suggest(q)
            ]
        }
    )


def _attributes(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, colon, value = pair.partition(":")
        if not (name and colon and value):
            raise InvalidInput("attribute must be name:value, such as format:A3.")
        chosen[name] = (*chosen.get(name, ()), value)
    return chosen


def _described(found: Answer, offset: int, limit: int) -> dict[str, Any]:
    scores = {row.item_id: row.score for row in found.rows[offset : offset + limit]}
    return {
        "rec_id": str(found.rec_id),
        "run_id": found.run_id,
        "shelf": "search",
        "query": found.query,
        "tier": found.tier,
        "total": len(found.rows),
        "cut": found.is_cut,
        "corrected": found.corrected,
        "dropped": found.dropped,
        "did_you_mean": found.did_you_mean or None,
        "facets": [
            {"name": facet.name, "title": facet.title, "choices": [vars(choice) for choice in facet.choices]}
            for facet in found.facets
        ],
        "items": [
            _item(item, scores[item.pk], position)
            for position, item in enumerate(found.items(offset, limit), offset + 1)
        ],
    }


def _item(item: Item, score: float, position: int) -> dict[str, Any]:
    return {
        "item_id": item.pk,
        "title": item.title,
        "creator": item.creator,
        "score": round(score, 6),
        "position": position,
        "price": price_text(item),
        "category": item.category_id,
        "image": image_url(item),
    }
